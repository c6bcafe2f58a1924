package stripekit_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

const day = 24 * time.Hour

type customerChange = stripekit.Change[stripekit.Customer]

// changes makes a Poller of the changes of customers. Their default is to poll once an
// hour, since these tests take weeks.
func (s *shop) changes(cfg stripekit.PollConfig) *stripekit.Poller[customerChange] {
	s.t.Helper()
	if cfg.Every == 0 {
		cfg.Every = time.Hour
	}
	p, err := stripekit.NewPoller(s.newClient().Customers.Changes(), cfg)
	require.NoError(s.t, err)
	return p
}

// requireGap waits for the end of a Poller by ErrGap, and returns what it has delivered.
func requireGap(t *testing.T, p *stripekit.Poller[customerChange], events <-chan stripekit.Event[customerChange]) (gap *stripekit.GapError) {
	t.Helper()
	_, ok := receive(events, 3*time.Hour)
	require.False(t, ok, "an event behind a gap")
	require.ErrorIs(t, p.Err(), stripekit.ErrGap)
	require.True(t, errors.As(p.Err(), &gap))
	require.Equal(t, p.Key(), gap.Key)
	require.True(t, gap.From.Before(gap.To))
	return gap
}

func TestPollerOfEventsEndsIfSomeAreTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		p := s.changes(stripekit.PollConfig{Checkpoints: store})
		events, stop := started(t, p)
		s.sell(1)
		require.Len(t, collectOf(events, 2*time.Hour), 1)
		stop()
		last := time.Now()
		s.sell(1) // nobody will know
		pass(31 * day)
		s.sell(1)
		for range 2 { // the checkpoint stays as it is
			p = s.changes(stripekit.PollConfig{Checkpoints: store})
			events, err := p.Start(t.Context())
			require.NoError(t, err)
			gap := requireGap(t, p, events)
			require.WithinDuration(t, last, gap.From, 2*time.Hour)
			require.WithinDuration(t, time.Now().Add(-30*day), gap.To, 2*time.Hour)
			require.ErrorContains(t, p.Err(), "Backfill")
			require.Equal(t, p.Err(), p.Status().LastError)
		}
		require.NoError(t, store.Delete(t.Context(), p.Key()))
		events, stop = started(t, s.changes(stripekit.PollConfig{Checkpoints: store}))
		defer stop()
		s.sell(1)
		require.Len(t, collectOf(events, 2*time.Hour), 1)
	})
}

// A Poller that was away for about 30 days either delivers all, or says that it cannot.
func TestPollerOfEventsLosesNothingInSilenceAtTheBorder(t *testing.T) {
	for _, slow := range []time.Duration{0, 30 * time.Second} { // how much the Dates are behind
		for away := 30*day - 90*time.Minute; away <= 30*day+20*time.Minute; away += 5 * time.Minute {
			t.Run(fmt.Sprint(away, " ", slow), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { s := newShop(t); s.behind = slow; awayFor(t, s, away) })
			})
		}
	}
}

func awayFor(t *testing.T, s *shop, away time.Duration) {
	store := new(stripekit.MemoryStore)
	cfg := stripekit.PollConfig{Checkpoints: store, Every: time.Minute}
	events, stop := started(t, s.changes(cfg))
	s.sell(1)
	require.Len(t, collectOf(events, 2*time.Hour), 1)
	stop()
	want := 0
	for left := away; left > 0; left -= away / 50 {
		pass(min(left, time.Second))
		s.sell(1)
		want++
		pass(max(min(left, away/50)-time.Second, 0))
	}
	p := s.changes(cfg)
	events, err := p.Start(t.Context())
	require.NoError(t, err)
	got := 0
	for range want {
		if e, ok := receive(events, time.Hour); ok {
			e.Ack()
			got++
		}
	}
	if p.Err() == nil {
		require.Equal(t, want, got)
		require.Less(t, away, 30*day)
		return
	}
	require.ErrorIs(t, p.Err(), stripekit.ErrGap)
	require.Greater(t, away, 30*day-readSaveEvery-20*time.Minute, "there was no gap")
}

// readSaveEvery is how much earlier a gap may be reported: the last poll is saved so often.
const readSaveEvery = time.Hour

func TestPollerOfEventsTakesAQuietTimeForNoGap(t *testing.T) {
	for _, customers := range []int{0, 1} {
		t.Run(fmt.Sprint("after events: ", customers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newShop(t), new(stripekit.MemoryStore)
				p := s.changes(stripekit.PollConfig{Checkpoints: store})
				events, stop := started(t, p)
				s.sell(customers)
				require.Len(t, collectOf(events, 65*day), customers)
				require.NoError(t, p.Err())
				stop()
				pass(20 * day)
				s.sell(1)
				pass(9 * day)
				events, stop = started(t, s.changes(stripekit.PollConfig{Checkpoints: store}))
				defer stop()
				require.Len(t, collectOf(events, day), 1)
			})
		})
	}
}

func TestPollerOfEventsEndsAfterAnOutageThatIsTooLong(t *testing.T) {
	for _, away := range []time.Duration{29 * day, 31 * day} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				p := s.changes(stripekit.PollConfig{})
				events, stop := started(t, p)
				s.sell(1)
				require.Len(t, collectOf(events, 2*time.Hour), 1)
				s.interfere(noNetwork)
				pass(time.Hour)
				s.sell(1)
				pass(away)
				s.interfere(nil)
				if away > 30*day {
					requireGap(t, p, events)
					return
				}
				defer stop()
				require.Len(t, collectOf(events, 2*time.Hour), 1)
			})
		})
	}
}

func TestPollerOfEventsBeginsNoEarlierThanTheyAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(1)
		pass(40 * day)
		want := s.sell(1)
		p := s.changes(stripekit.PollConfig{From: stripekit.FromTime(time.Now().Add(-31 * day))})
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		requireGap(t, p, events)

		// From the beginning is from the first event that is there.
		events, stop := started(t, s.changes(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		e, ok := receive(events, day)
		require.True(t, ok)
		require.Equal(t, want[0], e.Object.Object.ID)
		e.Ack()
		require.Empty(t, collectOf(events, 3*day))

		events, stop = started(t, s.changes(stripekit.PollConfig{From: stripekit.FromTime(time.Now().Add(-29 * day)), Name: "other"}))
		defer stop()
		require.Len(t, collectOf(events, day), 1)
	})
}

// An event that was delivered and not acknowledged is read again after a restart.
func TestPollerOfEventsEndsIfAnUnacknowledgedOneIsTooOld(t *testing.T) {
	for _, age := range []time.Duration{29 * day, 31 * day} {
		t.Run(age.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newShop(t), new(stripekit.MemoryStore)
				p := s.changes(stripekit.PollConfig{Checkpoints: store})
				events, stop := started(t, p)
				s.sell(1)
				first, ok := receive(events, day)
				require.True(t, ok)
				for range int(age/day) - 1 {
					s.sell(1)
					require.Len(t, collectOf(events, day), 1)
				}
				stop()
				pass(day)
				p = s.changes(stripekit.PollConfig{Checkpoints: store})
				if age > 30*day {
					events, err := p.Start(t.Context())
					require.NoError(t, err)
					require.WithinDuration(t, first.Created, requireGap(t, p, events).From, time.Second)
					return
				}
				events, stop = started(t, p)
				defer stop()
				again, ok := receive(events, day)
				require.True(t, ok)
				require.Equal(t, first.ID, again.ID)
			})
		})
	}
}

// The unacknowledged event is far behind the others, and nothing confirms the first Date of
// the next Poller.
func TestPollerOfEventsEndsIfAHoleIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newShop(t), new(stripekit.MemoryStore)
		p := s.changes(stripekit.PollConfig{Checkpoints: store, Every: time.Minute})
		events, stop := started(t, p)
		s.sell(1)
		first, ok := receive(events, time.Hour)
		require.True(t, ok)
		for range 5 {
			pass(time.Hour)
			s.sell(500) // more than 2000 in all
			require.Len(t, collectOf(events, time.Hour), 500)
		}
		require.Empty(t, collectOf(events, 31*day))
		stop()
		p = s.changes(stripekit.PollConfig{Checkpoints: store})
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, first.Created, requireGap(t, p, events).From, time.Second)
	})
}

// A backlog must be read before it is too old, although its reader waits. What was read
// and waits in memory is delivered.
func TestPollerOfEventsEndsIfItsReaderIsTooLate(t *testing.T) {
	const all = 18_000 // a drain holds 16,000
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		for range all / 30 {
			s.sell(30)
			pass(time.Minute)
		}
		pass(28 * day)
		p := s.changes(stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: 100})
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		got := 0
		for got < 500 {
			e, ok := receive(events, time.Hour)
			require.True(t, ok, "%d: %v", got, p.Err())
			e.Ack()
			got++
		}
		pass(10 * day)
		for {
			e, ok := receive(events, day)
			if !ok {
				break
			}
			e.Ack()
			got++
		}
		require.ErrorIs(t, p.Err(), stripekit.ErrGap, "%d delivered: %+v", got, p.Status())
		require.Less(t, got, all)
	})
}
