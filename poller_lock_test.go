package stripekit_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// No lock is held during a request, a save, a log call or a callback. If one of them
// hangs, the methods of the Poller return at once, and another Poller can end.

// hangs is a part that can be made to hang and ignores any context.
type hangs struct {
	told  atomic.Bool
	calls atomic.Int64 // how many hang now
	awake chan struct{}
}

func newHangs(t *testing.T) *hangs {
	h := &hangs{awake: make(chan struct{})}
	t.Cleanup(h.release)
	return h
}

// call returns once the part need not hang.
func (h *hangs) call() {
	if h.told.Load() {
		h.calls.Add(1)
		<-h.awake
	}
}

func (h *hangs) release() {
	if h.told.Swap(false) {
		close(h.awake)
	}
}

// Enabled, Handle, WithAttrs and WithGroup make it a log sink.
func (h *hangs) Enabled(context.Context, slog.Level) bool { return true }

func (h *hangs) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}

func (h *hangs) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *hangs) WithGroup(string) slog.Handler      { return h }

// hangingStore hangs in Load and in Save.
type hangingStore struct {
	stripekit.MemoryStore
	hangs *hangs
}

func (s *hangingStore) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	s.hangs.call()
	return s.MemoryStore.Load(ctx, key)
}

func (s *hangingStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.hangs.call()
	return s.MemoryStore.Save(ctx, key, data, revision)
}

// failLists makes the lists of customers fail.
func failLists(s *shop) {
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/customers") {
			return response(r, 500, `{"error":{"type":"api_error","message":"down"}}`), nil
		}
		return nil, nil
	})
}

func TestPollerHoldsNoLockOverWhatHangs(t *testing.T) {
	// drive makes the Poller reach the part that hangs, by means of an event.
	type drive func(s *shop, e stripekit.Event[stripekit.Customer])
	ack := func(_ *shop, e stripekit.Event[stripekit.Customer]) { e.Ack() }
	for name, part := range map[string]struct {
		configure func(h *hangs, s *shop, cfg *stripekit.PollConfig)
		drive     drive
	}{
		"the store": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) { cfg.Checkpoints = &hangingStore{hangs: h} },
			ack,
		},
		"the log of a failed poll": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) { cfg.Logger = slog.New(h) },
			func(s *shop, _ stripekit.Event[stripekit.Customer]) { failLists(s) },
		},
		"the log of a failed save": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) {
				cfg.Logger, cfg.Checkpoints = slog.New(h), new(brokenStore)
			},
			ack,
		},
		"the log of an event that is given up": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) { cfg.Logger = slog.New(h) },
			func(_ *shop, e stripekit.Event[stripekit.Customer]) { e.Term(errPoisoned) },
		},
		"Observe": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) {
				cfg.Observe = func(stripekit.PollStatus) { h.call() }
			},
			ack,
		},
		"OnGiveUp": {
			func(h *hangs, _ *shop, cfg *stripekit.PollConfig) {
				cfg.OnGiveUp = func(context.Context, stripekit.Event[any], error) error {
					h.call()
					return nil
				}
			},
			func(_ *shop, e stripekit.Event[stripekit.Customer]) { e.Term(errPoisoned) },
		},
		"the server": {
			func(*hangs, *shop, *stripekit.PollConfig) {},
			ack,
		},
	} {
		t.Run(name, func(t *testing.T) {
			restingBubble(t, func(t *testing.T) {
				s := newShop(t)
				h := newHangs(t)
				cfg := stripekit.PollConfig{Name: "hangs"}
				part.configure(h, s, &cfg)
				p, err := stripekit.NewPoller(s.client.Customers, cfg)
				require.NoError(t, err)
				events, err := p.Start(t.Context())
				require.NoError(t, err)
				other, err := stripekit.NewPoller(s.client.Customers, stripekit.PollConfig{Name: "other"})
				require.NoError(t, err)
				endOther := runInBackground(t, other, func(context.Context, stripekit.Event[stripekit.Customer]) error { return nil })
				s.sell(5)
				var held []stripekit.Event[stripekit.Customer]
				for range 5 {
					held = append(held, <-events)
				}
				pass(2 * time.Second)

				h.told.Store(true)
				if name == "the server" {
					s.interfere(func(r *http.Request) (*http.Response, error) {
						h.calls.Add(1)
						select {
						case <-h.awake:
						case <-r.Context().Done():
						}
						return nil, r.Context().Err()
					})
				}
				part.drive(s, held[0])
				for range 40 { // until something hangs
					if h.calls.Load() > 0 {
						break
					}
					pass(time.Second)
				}
				require.NotZero(t, h.calls.Load(), "nothing hangs: the test tests nothing")

				start := time.Now()
				held[1].Ack()
				held[2].Nack(time.Hour)
				held[3].Term(errPoisoned)
				require.NotZero(t, p.Status().Unacked)
				require.NoError(t, p.Err())
				require.NoError(t, endOther(), "the other Poller ends")
				require.Less(t, time.Since(start), 10*time.Millisecond)

				// The flow continues in the meantime, unless the requests hang.
				held[4].Nack(0)
				again := <-events
				require.Equal(t, held[4].ID, again.ID)
				require.Equal(t, 2, again.Attempt)
				again.Ack()
				require.Less(t, time.Since(start), 10*time.Millisecond)
			})
		})
	}
}

func TestPollerStatusReturnsWhileStartHangsInItsStore(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		h := newHangs(t)
		h.told.Store(true)
		p := s.poller(stripekit.PollConfig{Checkpoints: &hangingStore{hangs: h}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := make(chan error, 1)
		go func() {
			_, err := p.Start(ctx)
			started <- err
		}()
		synctest.Wait()
		require.EqualValues(t, 1, h.calls.Load())
		require.Zero(t, p.Status().Lag)
		require.NoError(t, p.Err())
		require.Error(t, p.Flush(ctx), "it is not started")
		h.release()
		require.NoError(t, <-started)
	})
}

func TestPollerEndsWhileItsStoreHangsForEver(t *testing.T) {
	for _, ends := range []string{"by its context", "by an error"} {
		t.Run(ends, func(t *testing.T) {
			restingBubble(t, func(t *testing.T) {
				s := newShop(t)
				h := newHangs(t)
				p := s.poller(stripekit.PollConfig{Checkpoints: &hangingStore{hangs: h}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				events, err := p.Start(ctx)
				require.NoError(t, err)
				s.sell(1)
				e := <-events
				h.told.Store(true)
				e.Ack()
				pass(2 * time.Second)
				require.EqualValues(t, 1, h.calls.Load())
				start := time.Now()
				if ends == "by an error" {
					s.interfere(func(r *http.Request) (*http.Response, error) {
						return response(r, 404, `{"error":{"type":"invalid_request_error","message":"no"}}`), nil
					})
				} else {
					cancel()
				}
				_, open := <-events
				require.False(t, open)
				require.Less(t, time.Since(start), 30*time.Second)
				if ends == "by an error" {
					require.ErrorIs(t, p.Err(), stripekit.ErrNotFound)
				} else {
					require.ErrorIs(t, p.Err(), context.DeadlineExceeded, "the acknowledgement is not saved")
				}
			})
		})
	}
}
