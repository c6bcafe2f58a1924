package stripekit_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/tail"
	"github.com/stripekit/stripekit/stripetest"
)

func TestPollerDeliversNewObjectsOnceOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		old := s.sell(3)
		pass(time.Minute)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()

		first := s.sell(3)
		pass(time.Second)
		first = append(first, s.sell(2)...)
		require.Equal(t, first, collect(events, time.Minute))

		second := s.sell(1)
		require.Equal(t, second, collect(events, 30*time.Minute))
		require.NotContains(t, slices.Concat(first, second), old[0])
	})
}

func TestPollerPollsEveryFifteenSecondsWithOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		collect(events, time.Minute)
		before := s.listRequests()
		require.Empty(t, collect(events, time.Hour))
		require.InDelta(t, 240, s.listRequests()-before, 1)
	})
}

func TestPollerFindsObjectsThatShareASecondAcrossPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{2, 100, 250, 1000} {
			// The clock of the service stands still, so that all objects have one second.
			at := time.Now().Add(time.Hour)
			s := newShop(t, stripetest.WithClock(func() time.Time { return at }))
			events, stop := s.watch(s.poller(stripekit.PollConfig{}))
			var want, got []string
			for range 4 {
				want = append(want, s.sell(n/4+1)...)
				got = append(got, collect(events, time.Minute)...)
			}
			require.ElementsMatch(t, want, got, "%d in one second", n)
			stop()
		}
	})
}

func TestPollerLosesNothingWhenPagesShift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		old := s.sell(350)
		pass(time.Second)
		var fresh []string
		s.interfere(func(*http.Request) (*http.Response, error) {
			if len(fresh) < 300 {
				fresh = append(fresh, s.sell(30)...)
			}
			return nil, nil
		})
		events, stop := s.watch(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		got := collect(events, 5*time.Minute)
		require.Len(t, got, len(old)+len(fresh))
		require.Equal(t, append(old, fresh...), got)
	})
}

func TestPollerDrainsABacklogOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var want []string
		for range 40 {
			want = append(want, s.sell(25)...)
			pass(time.Minute)
		}
		events, stop := s.watch(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		require.Equal(t, want, collect(events, time.Minute))
		require.Less(t, s.listRequests(), 60)
	})
}

func TestPollerStartsAtAGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(2)
		pass(time.Hour)
		from := time.Now()
		want := s.sell(2)
		events, stop := s.watch(s.poller(stripekit.PollConfig{From: stripekit.FromTime(from)}))
		defer stop()
		require.Equal(t, want, collect(events, time.Minute))
	})
}

func TestPollerResumesFromItsCheckpointAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		events, stop := s.watch(s.poller(cfg))
		first := s.sell(3)
		require.Equal(t, first, collect(events, time.Minute))
		stop()

		missed := s.sell(150)
		pass(24 * time.Hour)
		missed = append(missed, s.sell(3)...)
		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, missed, collect(events, time.Minute))
	})
}

func TestPollerRedeliversUnackedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		events, stop := s.watch(s.poller(cfg))
		sold := s.sell(5)
		for i := range sold {
			e := <-events
			require.Equal(t, sold[i], e.ID)
			if i%2 == 0 {
				e.Ack()
			}
		}
		pass(2 * time.Second)
		stop()

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, []string{sold[1], sold[3]}, collect(events, time.Minute))
	})
}

func TestPollerSavesAnAckThatComesAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		events, stop := s.watch(s.poller(cfg))
		s.sell(1)
		e := <-events
		stop()
		e.Ack()
		synctest.Wait()

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Hour))
	})
}

func TestPollerSavesAnAckRightBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		events, stop := s.watch(s.poller(cfg))
		s.sell(3)
		for range 3 {
			e := <-events
			e.Ack()
			synctest.Wait() // the first is saved at once, the others are due in a second
		}
		stop()

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Hour))
	})
}

// countingStore counts what is saved.
type countingStore struct {
	stripekit.MemoryStore
	saves atomic.Int64
}

func (s *countingStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.saves.Add(1)
	return s.MemoryStore.Save(ctx, key, data, revision)
}

func TestPollerSavesOnceASecondAtTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(countingStore)
		events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
		defer stop()
		s.sell(500)
		before := store.saves.Load()
		require.Len(t, collect(events, time.Minute), 500)
		require.LessOrEqual(t, store.saves.Load()-before, int64(3), "500 events within a moment")
		require.Greater(t, store.saves.Load(), before)
	})
}

func TestPollerDeliversAgainAfterANack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		sold := s.sell(1)
		e := <-events
		require.Equal(t, 1, e.Attempt)
		e.Nack(time.Minute)
		e.Nack(time.Second) // the first one counts
		start := time.Now()
		again := <-events
		require.Equal(t, sold[0], again.ID)
		require.Equal(t, 2, again.Attempt)
		require.Equal(t, time.Minute, time.Since(start))
		again.Ack()
		again.Ack()
		again.Nack(0)
		require.Empty(t, collect(events, time.Hour))
	})
}

// A reader may call Nack before the Poller has recorded that the event was received.
func TestPollerDeliversAgainAfterEveryNack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		s.sell(20)
		const attempts = 500
		var done atomic.Int64
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for e := range events {
					if e.Attempt < attempts {
						e.Nack(0)
						continue
					}
					e.Ack()
					done.Add(1)
				}
			})
		}
		pass(time.Minute)
		stop()
		readers.Wait()
		require.EqualValues(t, 20, done.Load())
	})
}

func TestPollerStopsFetchingUntilAcked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{MaxUnacked: 10})
		events, stop := s.watch(p)
		defer stop()
		sold := s.sell(25)
		var taken []stripekit.Event[stripekit.Customer]
		for range 10 {
			taken = append(taken, <-events)
		}
		select {
		case e := <-events:
			t.Fatal("delivered beyond MaxUnacked: ", e.ID)
		case <-time.After(time.Hour):
		}
		requests := s.listRequests()
		select {
		case <-events:
			t.Fatal("delivered beyond MaxUnacked")
		case <-time.After(time.Hour):
		}
		require.Equal(t, requests, s.listRequests(), "no fetching meanwhile")
		require.Equal(t, 25, p.Status().Unacked)

		// Each ack makes room, in any order.
		for _, e := range slices.Backward(taken) {
			e.Ack()
		}
		require.Equal(t, sold[10:], collect(events, time.Minute))
	})
}

func TestPollerFetchesNothingWhileItIsOwedAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{MaxUnacked: 10}))
		defer stop()
		s.sell(10)
		var taken []stripekit.Event[stripekit.Customer]
		for range 10 {
			taken = append(taken, <-events)
		}
		pass(time.Minute)
		requests := s.listRequests()
		more := s.sell(5)
		pass(time.Hour)
		require.Equal(t, requests, s.listRequests())
		for _, e := range taken {
			e.Ack()
		}
		require.Equal(t, more, collect(events, time.Minute))
	})
}

func TestPollerGoesOnWhereACursorIsLost(t *testing.T) {
	for _, status := range []int{400, 404} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			sold := s.sell(450)
			p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
			lost := 0
			s.interfere(func(r *http.Request) (*http.Response, error) {
				if lost < 3 && r.URL.Query().Has("starting_after") {
					lost++
					return response(r, status, `{"error":{"type":"invalid_request_error","code":"resource_missing","param":"starting_after","message":"No such customer"}}`), nil
				}
				return nil, nil
			})
			events, stop := s.watch(p)
			defer stop()
			require.ElementsMatch(t, sold, collect(events, time.Minute))
			require.Equal(t, 3, lost)
			require.NoError(t, p.Status().LastError)
		})
	}
}

func TestPollerRestsLongerWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		events, stop := s.watch(p)
		defer stop()
		s.interfere(func(r *http.Request) (*http.Response, error) {
			return response(r, 500, `{"error":{"type":"api_error","message":"down"}}`), nil
		})
		before := s.listRequests()
		require.Empty(t, collect(events, time.Hour))
		require.InDelta(t, 73, s.listRequests()-before, 12, "1, 2, 4 … and from then on up to 60 seconds, less up to a quarter")
		require.ErrorIs(t, p.Status().LastError, stripekit.ErrAPI)
		require.Greater(t, p.Status().Failures, 50)

		s.interfere(nil)
		sold := s.sell(1)
		require.Equal(t, sold, collect(events, 2*time.Minute))
		require.Zero(t, p.Status().Failures)
	})
}

func TestPollerIsNotEndedByAProxysPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		s.interfere(func(r *http.Request) (*http.Response, error) { return response(r, 403, "<html>blocked</html>"), nil })
		sold := s.sell(1)
		require.Empty(t, collect(events, time.Hour))
		s.interfere(nil)
		require.Equal(t, sold, collect(events, 2*time.Minute))
	})
}

func TestPollerTakesTheDateOfAnInvoiceItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p, err := stripekit.NewPoller(s.client.InvoiceItems, stripekit.PollConfig{From: stripekit.FromBeginning})
		require.NoError(t, err)
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/account" {
				return nil, nil
			}
			return response(r, 200, `{"data":[{"id":"ii_1","date":946684800}],"has_more":false}`), nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		err = p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.InvoiceItem]) error {
			require.Equal(t, "2000-01-01T00:00:00Z", e.Created.Format(time.RFC3339))
			require.EqualValues(t, 946684800, e.Object.Date)
			cancel()
			return nil
		})
		require.NoError(t, err)
	})
}

func TestPollerOutlastsFailuresAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		events, stop := s.watch(p)
		defer stop()
		var calls atomic.Int64
		s.interfere(func(r *http.Request) (*http.Response, error) {
			switch calls.Add(1) % 7 {
			case 1:
				return response(r, 500, `{"error":{"message":"down"}}`), nil
			case 2:
				return response(r, 200, `{"object":"list","data":[{"id":"cus_1","cre`), nil
			case 3:
				return nil, errors.New("connection reset")
			}
			return nil, nil
		})
		sold := s.sell(250)
		require.Equal(t, sold, collect(events, 10*time.Minute))
		require.NoError(t, p.Err())
		require.NotZero(t, calls.Load())
	})
}

func TestPollerEndsOnErrorsThatWillNotPass(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		want   error
	}{
		"bad key":            {401, stripekit.ErrAuthentication},
		"missing permission": {403, stripekit.ErrPermission},
		"no such endpoint":   {404, stripekit.ErrNotFound},
		"bad request":        {400, stripekit.ErrInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				healthy, stop := s.watch(s.poller(stripekit.PollConfig{Name: "other"}))
				defer stop()
				s.interfere(func(r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(r.URL.Path, "/v1/charges") {
						return response(r, tt.status, `{"error":{"type":"invalid_request_error","message":"no"}}`), nil
					}
					return nil, nil
				})
				p, err := stripekit.NewPoller(s.client.Charges, stripekit.PollConfig{})
				require.NoError(t, err)
				events, err := p.Start(t.Context())
				require.NoError(t, err)
				_, open := <-events
				require.False(t, open)
				require.ErrorIs(t, p.Err(), tt.want)

				sold := s.sell(1)
				require.Equal(t, sold, collect(healthy, time.Minute), "the others live")
			})
		})
	}
}

func TestPollerGoesByTheServicesClock(t *testing.T) {
	for _, off := range []time.Duration{-100 * time.Hour, 100 * time.Hour, -20 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t, stripetest.WithClock(func() time.Time { return time.Now().Add(off) }))
			s.sell(1)
			pass(time.Minute)
			events, stop := s.watch(s.poller(stripekit.PollConfig{}))
			defer stop()
			for range 50 {
				sold := s.sell(1)
				require.Equal(t, sold, collect(events, time.Minute), "clock off by %s", off)
			}
		})
	}
}

func TestPollerRefusesACheckpointThatIsNotItsOwn(t *testing.T) {
	const key = "test///customers//"
	state := func(key string) string {
		return string(checkpoint.Append(nil, &checkpoint.State{Key: key, Snapshot: tail.Snapshot{Floor: 1700000000}}))
	}
	for name, data := range map[string]string{
		"garbage":           "\x00\x01",
		"empty":             "",
		"cut off":           state(key)[:30],
		"of another list":   state("test///charges//"),
		"of another format": `{"version":1,"key":"test//customers/","floor":1700000000}`,
		"without a floor":   string(checkpoint.Append(nil, &checkpoint.State{Key: key})),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				store := new(stripekit.MemoryStore)
				_, err := store.Save(t.Context(), key, []byte(data), 0)
				require.NoError(t, err)
				_, revision, err := store.Load(t.Context(), key)
				require.NoError(t, err)
				_, err = s.poller(stripekit.PollConfig{Checkpoints: store}).Start(t.Context())
				require.ErrorIs(t, err, stripekit.ErrCheckpointInvalid)
				kept, now, err := store.Load(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, data, string(kept))
				require.Equal(t, revision, now)
			})
		})
	}
}

func TestPollerStopsAtOnceWithAReaderThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		events, err := p.Start(ctx)
		require.NoError(t, err)
		synctest.Wait()
		s.sell(5)
		pass(10 * 15 * time.Second)
		start := time.Now()
		cancel()
		synctest.Wait()
		_, open := <-events
		require.False(t, open)
		require.Zero(t, time.Since(start))
		require.NoError(t, p.Err())
	})
}

func TestPollerStartsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		_, stop := s.watch(p)
		defer stop()
		_, err := p.Start(t.Context())
		require.Error(t, err)
	})
}

func TestNewPollerRefusesValuesOutOfRange(t *testing.T) {
	client, err := stripekit.New("sk_test_1")
	require.NoError(t, err)
	for _, cfg := range []stripekit.PollConfig{{Every: -1}, {From: -5}, {MaxUnacked: -1}, {Workers: -1}, {Overlap: -1}, {Overlap: time.Millisecond}} {
		_, err := stripekit.NewPoller(client.Charges, cfg)
		require.Error(t, err, "%+v", cfg)
	}
}
