package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func noNetwork(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

// edit lets a test change the responses.
func (s *shop) edit(change func(*http.Response)) {
	s.interfere(func(r *http.Request) (*http.Response, error) {
		resp, err := s.server.RoundTrip(r)
		if err == nil {
			change(resp)
		}
		return resp, err
	})
}

// storeAway is a store that cannot be reached at times.
type storeAway struct {
	stripekit.CheckpointStore
	away atomic.Bool
}

func (s *storeAway) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if s.away.Load() {
		return 0, errors.New("the store is away")
	}
	return s.CheckpointStore.Save(ctx, key, data, revision)
}

// What is acknowledged or saved late must not move the checkpoint past the gap, and must
// not bring it back after it was deleted.
func TestPollerOfEventsSavesNothingBehindAGap(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		t.Run(fmt.Sprint("deleted: ", deleted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newShop(t), &storeAway{CheckpointStore: new(stripekit.MemoryStore)}
				cfg := stripekit.PollConfig{Checkpoints: store}
				p := s.changes(cfg)
				events, _ := started(t, p)
				s.sell(2)
				first, ok := receive(events, 2*time.Hour)
				require.True(t, ok)
				second, ok := receive(events, 2*time.Hour)
				require.True(t, ok)
				s.interfere(noNetwork)
				pass(time.Hour)
				s.sell(1) // nobody will know
				pass(31 * day)
				s.sell(1)
				store.away.Store(true)
				first.Ack()
				s.interfere(nil)
				requireGap(t, p, events)
				store.away.Store(false)
				if deleted {
					require.NoError(t, store.Delete(t.Context(), p.Key()))
				}
				second.Ack()
				require.ErrorIs(t, p.Flush(t.Context()), stripekit.ErrGap)
				require.ErrorIs(t, p.Commit(t.Context(), []stripekit.Event[customerChange]{first}, nil), stripekit.ErrGap)
				pass(time.Minute)

				p = s.changes(cfg)
				if !deleted {
					events, err := p.Start(t.Context())
					require.NoError(t, err)
					requireGap(t, p, events)
					return
				}
				events, stop := started(t, p)
				defer stop()
				s.sell(1)
				require.Len(t, collectOf(events, 2*time.Hour), 1)
			})
		})
	}
}

func TestPollerOfEventsFromTheBeginningEndsAfterARestartThatIsTooLate(t *testing.T) {
	for name, unacked := range map[string]int{"a slow reader": 30, "one poll": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newShop(t), new(stripekit.MemoryStore)
				for range 80 {
					s.sell(1)
					pass(time.Minute)
				}
				pass(25 * day)
				cfg := stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: 10, Every: time.Minute, Checkpoints: store}
				events, stop := started(t, s.changes(cfg))
				for range 80 - unacked {
					e, ok := receive(events, 2*time.Hour)
					require.True(t, ok)
					e.Ack()
				}
				pass(2 * time.Second)
				stop()
				s.sell(1) // nobody will know
				pass(31 * day)
				p := s.changes(cfg)
				events, err := p.Start(t.Context())
				require.NoError(t, err)
				requireGap(t, p, events)
			})
		})
	}
}

func TestPollerOfEventsReadsNothingBeforeItKnowsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		cfg := stripekit.PollConfig{Checkpoints: store}
		events, stop := started(t, s.changes(cfg))
		s.sell(1)
		require.Len(t, collectOf(events, 2*time.Hour), 1)
		stop()
		s.sell(1) // nobody will know
		pass(40 * day)
		s.sell(1)
		s.edit(func(resp *http.Response) { resp.Header.Del("Date") })
		p := s.changes(cfg)
		events, _ = started(t, p)
		require.Empty(t, collectOf(events, day))
		require.ErrorContains(t, p.Status().LastError, "Date")
		s.interfere(nil)
		requireGap(t, p, events)
	})
}

// The event becomes visible long after newer ones, just before the Poller is away.
func TestPollerOfEventsLosesNoLateEventInSilence(t *testing.T) {
	for run := range 2 { // the sweeps are at random times
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var late atomic.Bool
				s, store := newShop(t, stripetest.WithVisibility(func(object string) time.Duration {
					if late.Load() && object == "event" {
						return 23*time.Hour + 50*time.Minute
					}
					return 0
				})), new(stripekit.MemoryStore)
				cfg := stripekit.PollConfig{Checkpoints: store, Overlap: day, Every: time.Minute}
				events, stop := started(t, s.changes(cfg))
				want, got := 0, 0
				sellFor := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); want++ {
						s.sell(1)
						got += len(collectOf(events, 8*time.Minute))
					}
				}
				sellFor(30 * time.Hour)
				late.Store(true)
				s.sell(1)
				want++
				at := time.Now()
				late.Store(false)
				sellFor(24*time.Hour + 8*time.Minute)
				stop()
				pass(time.Until(at.Add(30*day + 2*time.Minute)))
				p := s.changes(cfg)
				events, err := p.Start(t.Context())
				require.NoError(t, err)
				got += len(collectOf(events, 5*time.Hour))
				if p.Err() == nil {
					require.Equal(t, want, got)
					return
				}
				require.ErrorIs(t, p.Err(), stripekit.ErrGap)
			})
		})
	}
}

func TestPollerOfEventsForgetsATimeThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		cfg := stripekit.PollConfig{Checkpoints: store}
		events, stop := started(t, s.changes(cfg))
		s.sell(1)
		require.Len(t, collectOf(events, 2*time.Hour), 1)
		s.edit(func(resp *http.Response) {
			resp.Header.Set("Date", time.Now().Add(5*day).UTC().Format(http.TimeFormat))
		})
		require.Empty(t, collectOf(events, 5*time.Hour))
		s.interfere(nil)
		require.Empty(t, collectOf(events, day))
		stop()
		pass(time.Hour)
		s.sell(1) // nobody will know
		pass(33 * day)
		s.sell(1)
		p := s.changes(cfg)
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		requireGap(t, p, events)
	})
}

// The machine sleeps for two days behind the first page of a poll, whose other pages say
// so.
func TestPollerOfEventsCountsASleepInAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slept atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		s, store := newShop(t, stripetest.WithClock(clock)), new(stripekit.MemoryStore)
		cfg := stripekit.PollConfig{Checkpoints: store}
		p := s.changes(cfg)
		events, stop := started(t, p)
		for range 4 {
			s.sell(1)
			require.Len(t, collectOf(events, 2*time.Hour), 1)
		}
		for last := p.Status().LastPoll; p.Status().LastPoll.Equal(last); {
			pass(time.Second)
		}
		for range 700 {
			s.sell(1)
			pass(5 * time.Second)
		}
		var pages atomic.Int64
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if !strings.Contains(r.URL.Path, "events") {
				return nil, nil
			}
			resp, err := s.server.RoundTrip(r)
			if pages.Add(1) == 1 {
				slept.Store(int64(day / 2))
				s.sell(1)
				slept.Store(int64(2 * day))
			}
			return resp, err
		})
		got, last := 0, p.Status().LastPoll
		for p.Status().LastPoll.Equal(last) {
			got += len(collectOf(events, time.Second))
		}
		got += len(collectOf(events, 3*time.Second))
		require.NoError(t, p.Flush(t.Context()))
		stop()
		require.Greater(t, pages.Load(), int64(4))
		slept.Add(int64(29*day + 12*time.Hour))
		s.interfere(nil)
		p = s.changes(cfg)
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		got += len(collectOf(events, 5*time.Hour))
		if p.Err() == nil {
			require.Equal(t, 701, got)
			return
		}
		require.ErrorIs(t, p.Err(), stripekit.ErrGap)
	})
}

// A program that is started once a day, and polls once.
func TestPollerOfEventsMayPollOnceARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		cfg := stripekit.PollConfig{Checkpoints: store, Every: time.Minute, From: stripekit.FromTime(time.Now())}
		for i := range 40 {
			s.sell(1)
			pass(day)
			p := s.changes(cfg)
			events, stop := started(t, p)
			e, ok := receive(events, 2*time.Minute)
			require.True(t, ok, "day %d: %v", i, p.Err())
			e.Ack()
			require.NoError(t, p.Flush(t.Context()))
			stop()
			require.NoError(t, p.Err())
		}
	})
}

func TestPollerOfEventsCommitsAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		cfg := stripekit.PollConfig{Checkpoints: store, Every: time.Minute}
		p := s.changes(cfg)
		events, stop := started(t, p)
		s.sell(1)
		e, ok := receive(events, day)
		require.True(t, ok)
		pass(30*day + 30*time.Second)
		require.NoError(t, p.Commit(t.Context(), []stripekit.Event[customerChange]{e}, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
			return store.Save(ctx, c.Key, c.Data, c.Revision)
		}))
		pass(10 * time.Minute)
		stop()
		s.sell(1)
		events, stop = started(t, s.changes(cfg))
		defer stop()
		require.Len(t, collectOf(events, 2*time.Hour), 1)
	})
}

func TestPollerOfEventsRefusesAnOverlapThatIsTooLong(t *testing.T) {
	s := newShop(t)
	_, err := stripekit.NewPoller(s.client.Customers.Changes(), stripekit.PollConfig{Overlap: 29*day + time.Second})
	require.ErrorContains(t, err, "Overlap")
	_, err = stripekit.NewPoller(s.client.Events, stripekit.PollConfig{Overlap: 29 * day})
	require.NoError(t, err)
	_, err = stripekit.NewPoller(s.client.Charges, stripekit.PollConfig{Overlap: 90 * day})
	require.NoError(t, err)
}
