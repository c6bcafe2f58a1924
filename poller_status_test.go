package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func TestPollerStatusTellsTheLagDuringTheFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(300)
		pass(time.Hour)
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: 50})
		require.Zero(t, p.Status().Lag)
		events, stop := s.watch(p)
		defer stop()
		require.GreaterOrEqual(t, p.Status().Lag, time.Duration(0))
		e, ok := receive(events, time.Minute)
		require.True(t, ok)
		require.InDelta(t, time.Hour.Seconds(), p.Status().Lag.Seconds(), 16)
		require.Less(t, p.Status().OldestUnacked, 16*time.Second, "it was found now")
		pass(10 * time.Minute)
		require.InDelta(t, (70 * time.Minute).Seconds(), p.Status().Lag.Seconds(), 16)
		require.InDelta(t, (10 * time.Minute).Seconds(), p.Status().OldestUnacked.Seconds(), 16)
		e.Ack()
		collect(events, time.Minute)
		require.Zero(t, p.Status().Lag)
		require.Zero(t, p.Status().OldestUnacked)
		require.Zero(t, p.Status().Unacked)
	})
}

// loadGate is a store with a Load that waits until it is released.
type loadGate struct {
	stripekit.MemoryStore
	released chan struct{}
}

func (h *loadGate) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	select {
	case <-h.released:
		return h.MemoryStore.Load(ctx, key)
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func TestPollerStatusReturnsWhileLoadHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := &loadGate{released: make(chan struct{})}
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		started := make(chan error, 1)
		go func() {
			_, err := p.Start(t.Context())
			started <- err
		}()
		pass(10 * time.Second)
		began := time.Now()
		require.Equal(t, stripekit.PollStatus{}, p.Status())
		require.NoError(t, p.Err())
		require.Zero(t, time.Since(began))
		close(store.released)
		require.NoError(t, <-started)
		pass(time.Minute)
		require.NotZero(t, p.Status().Requests)
	})
}

// observer collects what Observe is called with.
type observer struct {
	mu       sync.Mutex
	statuses []stripekit.PollStatus
	last     time.Time
	longest  time.Duration // between two calls
}

func (o *observer) observe(status stripekit.PollStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.last.IsZero() {
		o.longest = max(o.longest, time.Since(o.last))
	}
	o.last = time.Now()
	o.statuses = append(o.statuses, status)
}

// longestSilence is the longest time between two calls, up to now.
func (o *observer) longestSilence() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(o.longest, time.Since(o.last))
}

func (o *observer) all() []stripekit.PollStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.statuses)
}

func (o *observer) status() stripekit.PollStatus {
	all := o.all()
	return all[len(all)-1]
}

func TestPollerEndsAfterItsObserver(t *testing.T) {
	for takes, wait := range map[time.Duration]time.Duration{
		2 * time.Second: time.Second,
		time.Hour:       10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			began := make(chan struct{}, 1)
			// The second poll is due at a random moment of a day, not while this lasts.
			_, stop := s.watch(s.poller(stripekit.PollConfig{Every: 24 * time.Hour, Observe: func(stripekit.PollStatus) {
				select {
				case began <- struct{}{}:
				default:
				}
				pass(takes)
			}}))
			<-began
			pass(time.Second)
			end := time.Now()
			stop()
			require.Equal(t, wait, time.Since(end))
			pass(takes) // a bubble waits for what runs in it
		})
	}
}

func TestPollerObservesInADrainOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perRequest = 55 * time.Second // with many requests in flight at a time
		s := newShop(t, stripetest.WithRequestLog(1))
		sold := s.server.Seed("/v1/customers", stripetest.Seeding{Count: 60_000, First: time.Now().Add(-24 * time.Hour), Every: time.Second})
		s.interfere(func(r *http.Request) (*http.Response, error) {
			pass(perRequest)
			return nil, nil
		})
		var o observer
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Observe: o.observe})
		began := time.Now()
		events, stop := s.watch(p)
		defer stop()
		for range sold {
			e, ok := receive(events, time.Hour)
			require.True(t, ok)
			e.Ack()
		}
		require.Greater(t, time.Since(began), 50*time.Minute)
		require.LessOrEqual(t, o.longestSilence(), 15*time.Second+perRequest)
		require.Greater(t, len(o.all()), 100)
		var delivered uint64
		for _, status := range o.all() {
			require.GreaterOrEqual(t, status.Delivered, delivered)
			delivered = status.Delivered
		}
		require.Greater(t, delivered, uint64(57_000))
	})
}

func TestPollerObservesWhateverHoldsItUp(t *testing.T) {
	for name, holdUp := range map[string]func(s *shop){
		"a reader that does not read": func(s *shop) { s.sell(30) },
		"a request that hangs": func(s *shop) {
			s.interfere(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		},
		"Retry-After": func(s *shop) {
			s.interfere(func(r *http.Request) (*http.Response, error) {
				resp := response(r, 503, "busy")
				resp.Header.Set("Retry-After", "600")
				return resp, nil
			})
		},
		"an outage": func(s *shop) {
			s.interfere(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") })
		},
		"nothing": func(*shop) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				var o observer
				_, stop := s.watch(s.poller(stripekit.PollConfig{Observe: o.observe, MaxUnacked: 10}))
				pass(time.Minute)
				holdUp(s)
				before := len(o.all())
				pass(time.Hour)
				require.LessOrEqual(t, o.longestSilence(), 30*time.Second, "from the end of a poll to 15 s after the next began")
				require.Less(t, len(o.all())-before, 2*4*60, "and not much more often than every 15 s")
				stop()
			})
		})
	}
}

func TestPollerTellsOfSavesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(2)
		store := new(hookedStore)
		var o observer
		p := s.poller(stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning, Every: time.Hour, Observe: o.observe})
		events, stop := s.watch(p)
		defer stop()
		pass(time.Hour)
		full := errors.New("disk full")
		store.hook(func(context.Context, func() (uint64, error)) (uint64, error) { return 0, full })
		require.Len(t, collect(events, 10*time.Second), 2)
		require.ErrorIs(t, p.Status().SaveErr, full)
		require.ErrorIs(t, o.status().SaveErr, full, "without a poll in between")
		require.NoError(t, p.Status().LastError, "it is about polls")

		store.hook(nil)
		pass(2 * time.Minute)
		require.NoError(t, p.Status().SaveErr)
		require.Equal(t, store.lastSize(), p.Status().CheckpointBytes)
		require.NotZero(t, store.lastSize())

		pass(time.Hour)
		store.hook(func(ctx context.Context, _ func() (uint64, error)) (uint64, error) {
			<-t.Context().Done() // ignores ctx
			return 0, ctx.Err()
		})
		s.sell(1)
		require.Len(t, collect(events, 2*time.Hour), 1)
		require.ErrorContains(t, p.Status().SaveErr, "has taken")
	})
}

func TestPollerStatusTellsOfItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		broken := errors.New("database is down")
		var fail error
		var gone []string
		p := s.poller(stripekit.PollConfig{MaxAttempts: 3, OnGiveUp: func(_ context.Context, e stripekit.Event[any], reason error) error {
			if errors.Is(reason, broken) {
				gone = append(gone, e.ID)
			}
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- p.Run(ctx, func(context.Context, stripekit.Event[stripekit.Customer]) error { return fail })
		}()
		synctest.Wait()
		s.sell(1)
		pass(20 * time.Second)
		require.NoError(t, p.Status().HandlerErr)
		require.Zero(t, p.Status().GivenUp)

		fail = broken
		sold := s.sell(2)
		pass(time.Minute)
		require.ErrorIs(t, p.Status().HandlerErr, broken)
		require.EqualValues(t, 2, p.Status().GivenUp)
		require.ElementsMatch(t, sold, gone)
		require.Zero(t, p.Status().Unacked)

		fail = nil
		s.sell(1)
		pass(20 * time.Second)
		require.NoError(t, p.Status().HandlerErr)
		require.EqualValues(t, 4, p.Status().Delivered)
		cancel()
		require.NoError(t, <-done)
	})
}

func TestPollerStatusTellsOfItsWaitForTheRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pollers = 40
		s := newShop(t)
		client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(s.server.URL),
			stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithRateLimit(stripekit.RateLimit{Total: 0.5}))
		require.NoError(t, err)
		var all []*stripekit.Poller[stripekit.Customer]
		ctx, cancel := context.WithCancel(t.Context())
		for i := range pollers {
			p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{Name: fmt.Sprint(i)})
			require.NoError(t, err)
			_, err = p.Start(ctx)
			require.NoError(t, err)
			require.Zero(t, p.Status().Waiting)
			all = append(all, p)
		}
		waiting := func() (n int, longest time.Duration) {
			for _, p := range all {
				if w := p.Status().Waiting; w > 0 {
					n++
					longest = max(longest, w)
				}
			}
			return n, longest
		}
		pass(5 * time.Minute)
		n, longest := waiting()
		require.Greater(t, n, pollers/2)
		require.Greater(t, longest, 30*time.Second)
		require.Less(t, longest, 3*time.Minute)
		cancel()
		pass(time.Second)
		n, _ = waiting()
		require.Zero(t, n, "nobody waits after the end")
	})
}

func TestPollerStatusTellsOfTheWaitOfARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(s.server.URL), stripekit.WithMaxRetries(1),
			stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithRateLimit(stripekit.RateLimit{Total: 1.0 / 60}))
		require.NoError(t, err)
		p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{})
		require.NoError(t, err)
		_, stop := s.watch(p)
		defer stop()
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/account") {
				return nil, nil
			}
			return unavailable(r, ""), nil
		})
		pass(60*time.Second + time.Millisecond) // the request, after that for the account
		require.Zero(t, p.Status().Waiting, "between two attempts")
		pass(30 * time.Second)
		require.InDelta(t, 30*time.Second, p.Status().Waiting, float64(time.Second))
	})
}

func TestPollerThatWaitsForAResponseDoesNotCallItAWaitForTheRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		_, stop := s.watch(p)
		defer stop()
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/account") {
				return nil, nil
			}
			pass(10 * time.Second)
			return nil, nil
		})
		for range 40 {
			pass(time.Second)
			require.Zero(t, p.Status().Waiting)
		}
	})
}

// The acknowledgement comes after the end, and its save fails.
func TestPollerDoesNotObserveAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(1)
		store := new(hookedStore)
		var o observer
		events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning, Observe: o.observe}))
		e, ok := receive(events, time.Minute)
		require.True(t, ok)
		pass(time.Minute)
		stop()
		synctest.Wait()
		observed, saves := len(o.all()), store.saveCount()
		store.hook(func(context.Context, func() (uint64, error)) (uint64, error) { return 0, errors.New("disk full") })
		e.Ack()
		pass(time.Minute)
		require.Greater(t, store.saveCount(), saves)
		require.Len(t, o.all(), observed)
	})
}
