package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// How a Poller ends, and what remains in memory.

// endedPollers starts n Pollers that end by an error while their context continues,
// and returns weak pointers to them.
func endedPollers(s *shop, n int, cfg stripekit.PollConfig) (all []weak.Pointer[stripekit.Poller[stripekit.ObjectID]]) {
	nonsense, err := stripekit.NewSource[stripekit.ObjectID](s.client, "/v1/nonsense", "")
	require.NoError(s.t, err)
	var ended sync.WaitGroup
	for i := range n {
		cfg.Name = fmt.Sprint(i)
		p, err := stripekit.NewPoller(nonsense, cfg)
		require.NoError(s.t, err)
		events, err := p.Start(s.t.Context())
		require.NoError(s.t, err)
		all = append(all, weak.Make(p))
		ended.Go(func() {
			for range events {
			}
			if !errors.Is(p.Err(), stripekit.ErrNotFound) {
				s.t.Error(p.Err())
			}
		})
	}
	ended.Wait()
	return all
}

func TestPollerThatEndedIsCollectedWhileItsContextLives(t *testing.T) {
	for name, store := range map[string]stripekit.CheckpointStore{
		"no store": nil, "a store": new(stripekit.MemoryStore), "a store that is broken": new(brokenStore),
	} {
		t.Run(name, func(t *testing.T) {
			restingBubble(t, func(t *testing.T) {
				const n = 2000
				all := endedPollers(newShop(t), n, stripekit.PollConfig{Checkpoints: store})
				pass(2 * time.Minute) // timers that were stopped are gone
				runtime.GC()
				runtime.GC()
				alive := 0
				for _, p := range all {
					if p.Value() != nil {
						alive++
					}
				}
				require.LessOrEqual(t, alive, n/100, "of %d that ended", n)
				require.NoError(t, t.Context().Err())
			})
		})
	}
}

// brokenStore accepts only the first save of each key, which is the claim.
type brokenStore struct {
	mu      sync.Mutex
	claimed map[string]bool
	saves   atomic.Int64
}

var errBroken = errors.New("the disk is full")

func (b *brokenStore) Load(context.Context, string) ([]byte, uint64, error) { return nil, 0, nil }

func (b *brokenStore) Save(_ context.Context, key string, _ []byte, _ uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saves.Add(1)
	if b.claimed[key] {
		return 0, errBroken
	}
	if b.claimed == nil {
		b.claimed = map[string]bool{}
	}
	b.claimed[key] = true
	return 1, nil
}

func (b *brokenStore) Delete(context.Context, string) error { return nil }

func TestPollerRunEndsWhenItsHandlerEndsTheGoroutine(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			restingBubble(t, func(t *testing.T) {
				s := newShop(t)
				cfg := stripekit.PollConfig{Workers: workers, Checkpoints: new(stripekit.MemoryStore)}
				var mu sync.Mutex
				var handled []string
				done := make(chan error, 1)
				go func() {
					done <- s.poller(cfg).Run(t.Context(), func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
						mu.Lock()
						defer mu.Unlock()
						if e.Object.Name == "customer 50" {
							runtime.Goexit() // as require.FailNow does
						}
						handled = append(handled, e.ID)
						return nil
					})
				}()
				synctest.Wait()
				sold := s.sell(100)
				select {
				case err := <-done:
					require.ErrorContains(t, err, "Goexit")
				case <-time.After(time.Hour):
					t.Fatal("Run does not return")
				}
				require.Contains(t, handled, sold[49])

				events, stop := s.watch(s.poller(cfg))
				defer stop()
				again := collect(events, time.Minute)
				require.Contains(t, again, sold[50])
				require.ElementsMatch(t, sold, append(handled, again...), "none is swallowed, and none is repeated")
			})
		})
	}
}

func TestPollerRunReturnsTheErrorOfTheLastSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(brokenStore)
		end := runInBackground(t, s.poller(stripekit.PollConfig{Checkpoints: store}), func(context.Context, stripekit.Event[stripekit.Customer]) error {
			return nil
		})
		s.sell(1)
		pass(time.Minute)
		require.ErrorIs(t, end(), errBroken)
	})
}

func TestPollerRunReturnsTheErrorOfASaveAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := &slowStore{awake: make(chan struct{})}
		end := runInBackground(t, s.poller(stripekit.PollConfig{Checkpoints: store}), func(ctx context.Context, _ stripekit.Event[stripekit.Customer]) error {
			<-ctx.Done()
			pass(time.Minute) // the Poller has ended, and saved
			store.hangs.Store(true)
			return nil
		})
		s.sell(1)
		pass(time.Minute)
		start := time.Now()
		require.ErrorIs(t, end(), context.DeadlineExceeded)
		require.Less(t, time.Since(start), 90*time.Second)
	})
}

func TestPollerRunPanicsWithAPanicError(t *testing.T) {
	for name, value := range map[string]any{"an error": errPoisoned, "a string": "poisoned"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				done := make(chan any)
				go func() {
					defer func() { done <- recover() }()
					_ = s.poller(stripekit.PollConfig{Workers: 2}).Run(t.Context(), func(context.Context, stripekit.Event[stripekit.Customer]) error {
						panic(value)
					})
				}()
				synctest.Wait()
				s.sell(2)
				panicked, ok := (<-done).(*stripekit.PanicError)
				require.True(t, ok)
				require.Equal(t, value, panicked.Value)
				require.Contains(t, string(panicked.Stack), "poller_end_test.go")
				if value == errPoisoned {
					require.ErrorIs(t, panicked, errPoisoned)
				}
			})
		})
	}
}

func TestPollerMakesFewSavesForManyAcksAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(countingStore)
		cfg := stripekit.PollConfig{Checkpoints: store}
		p := s.poller(cfg)
		events, stop := s.watch(p)
		s.sell(1000)
		var held []stripekit.Event[stripekit.Customer]
		for range 1000 {
			held = append(held, <-events)
		}
		stop()
		before := store.saves.Load()
		for _, e := range held {
			e.Ack()
			synctest.Wait()
		}
		pass(time.Minute)
		require.LessOrEqual(t, store.saves.Load()-before, int64(3))
		require.NoError(t, p.Flush(t.Context()))

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Minute), "all of them are saved")
	})
}

func TestPollerThatEndedDoesNotSaveForEverIntoABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(brokenStore)
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		events, stop := s.watch(p)
		s.sell(2)
		first, second := <-events, <-events
		first.Ack()
		stop()
		require.ErrorIs(t, p.Err(), errBroken)
		second.Ack()
		pass(time.Minute)
		before := store.saves.Load()
		pass(time.Hour)
		require.Equal(t, before, store.saves.Load())
		require.ErrorIs(t, p.Flush(t.Context()), errBroken)
	})
}

// hangAccount makes each request for the account hang until its context ends.
func hangAccount(s *shop) {
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if !strings.Contains(r.URL.Path, "/account") {
			return nil, nil
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
}

func TestPollerIsCancelledAtOnceWhileTheRequestForTheAccountHangs(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		hangAccount(s)
		var ends []func() error
		for i := range 10 {
			p, err := stripekit.NewPoller(s.client.Customers, stripekit.PollConfig{Name: fmt.Sprint(i)})
			require.NoError(t, err)
			ends = append(ends, runInBackground(t, p, nil))
			pass(100 * time.Millisecond)
		}
		for _, end := range ends {
			start := time.Now()
			require.NoError(t, end())
			require.Zero(t, time.Since(start))
		}
	})
}

func TestPollersShareAFailingRequestForTheAccount(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(s.server.URL), stripekit.WithHTTPClient(&http.Client{Transport: s}))
		require.NoError(t, err)
		var requests atomic.Int64
		s.interfere(func(r *http.Request) (*http.Response, error) {
			requests.Add(1)
			return response(r, 500, `{"error":{"type":"api_error","message":"down"}}`), nil
		})
		var pollers []*stripekit.Poller[stripekit.Customer]
		for i := range 20 {
			p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{Name: fmt.Sprint(i)})
			require.NoError(t, err)
			defer runInBackground(t, p, nil)()
			pollers = append(pollers, p)
		}
		pass(15 * time.Second)
		for i, p := range pollers {
			require.NotZero(t, p.Status().Failures, "Poller %d has attempted nothing", i)
		}
		require.Less(t, requests.Load(), int64(100))
	})
}
