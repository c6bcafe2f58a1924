package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
)

// hookedStore calls hooks of a test between a Poller and its store.
type hookedStore struct {
	stripekit.MemoryStore

	mu     sync.Mutex
	onSave func(ctx context.Context, save func() (uint64, error)) (uint64, error)
	keys   map[string]bool // that were saved
	saves  int
	size   int // of the data saved last
}

func (h *hookedStore) hook(onSave func(ctx context.Context, save func() (uint64, error)) (uint64, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onSave = onSave
}

func (h *hookedStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	h.mu.Lock()
	onSave := h.onSave
	if h.keys == nil {
		h.keys = map[string]bool{}
	}
	h.keys[key] = true
	h.saves++
	h.size = len(data)
	h.mu.Unlock()
	save := func() (uint64, error) { return h.MemoryStore.Save(ctx, key, data, revision) }
	if onSave == nil {
		return save()
	}
	return onSave(ctx, save)
}

func (h *hookedStore) saveCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.saves
}

// savedKeys returns the keys that were saved, in order.
func (h *hookedStore) savedKeys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.keys))
}

// lastSize returns the size of the data saved last.
func (h *hookedStore) lastSize() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size
}

// key returns the only key saved so far.
func (h *hookedStore) key(t *testing.T) string {
	t.Helper()
	keys := h.savedKeys()
	require.Len(t, keys, 1)
	return keys[0]
}

func TestPollerOutlastsALateAckOfItsPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		predecessor := s.poller(cfg)
		events, stop := s.watch(predecessor)
		sold := s.sell(4)
		var taken []stripekit.Event[stripekit.Customer]
		for range 3 {
			e, ok := receive(events, time.Minute)
			require.True(t, ok)
			taken = append(taken, e)
		}
		taken[0].Ack()
		pass(2 * time.Second)
		stop()

		successor := s.poller(cfg)
		events, stop = s.watch(successor)
		defer stop()
		taken[1].Ack() // before the successor has anything to save
		pass(2 * time.Second)
		got := collect(events, 30*time.Second)
		taken[2].Ack()
		pass(2 * time.Second)
		more := s.sell(2)
		got = append(got, collect(events, time.Minute)...)
		require.NoError(t, successor.Err())
		require.Equal(t, append(sold[1:], more...), got, "what was not acknowledged in time, and what is new")
		require.ErrorIs(t, predecessor.Flush(t.Context()), stripekit.ErrCheckpointConflict)
		require.NoError(t, predecessor.Err(), "it had ended before")
	})
}

// TestPollerOfARollingUpdateYieldsToTheNewest starts each process while the previous
// one still runs and handles an event.
func TestPollerOfARollingUpdateYieldsToTheNewest(t *testing.T) {
	const updates = 6
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		var mu sync.Mutex
		handled := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start := func() chan error {
			ended := make(chan error, 1)
			p := s.poller(cfg)
			go func() {
				ended <- p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
					pass(20 * time.Second)
					mu.Lock()
					defer mu.Unlock()
					handled[e.ID]++
					return nil
				})
			}()
			synctest.Wait()
			return ended
		}
		var sold []string
		newest := start()
		for i := range updates {
			sold = append(sold, s.sell(2)...)
			pass(30 * time.Second)
			older := newest
			newest = start()
			pass(3 * time.Minute)
			select {
			case err := <-older:
				require.ErrorIs(t, err, stripekit.ErrCheckpointConflict, "update %d", i)
			default:
				require.Fail(t, "the older Poller still runs", "update %d", i)
			}
			select {
			case err := <-newest:
				require.Fail(t, "the newest Poller has ended", "update %d: %v", i, err)
			default:
			}
		}
		sold = append(sold, s.sell(2)...)
		pass(3 * time.Minute)
		cancel()
		require.NoError(t, <-newest)
		requireAllDelivered(t, sold, handled)
	})
}

// unclearSaves are saves that are carried out although the caller gets an error.
var unclearSaves = map[string]func(ctx context.Context, save func() (uint64, error)) (uint64, error){
	"the response is lost": func(_ context.Context, save func() (uint64, error)) (uint64, error) {
		if _, err := save(); err != nil {
			return 0, err
		}
		return 0, errors.New("connection reset")
	},
	"the time is over": func(ctx context.Context, save func() (uint64, error)) (uint64, error) {
		if _, err := save(); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	},
	"the retry of a driver meets its own save": func(_ context.Context, save func() (uint64, error)) (uint64, error) {
		if _, err := save(); err != nil {
			return 0, err
		}
		return save()
	},
}

func TestPollerOutlastsASaveOfUnclearEnd(t *testing.T) {
	for name, unclear := range unclearSaves {
		for _, of := range []int{1, 2, 3} { // one of this many saves
			t.Run(fmt.Sprintf("%s, one of %d", name, of), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newShop(t)
					store := new(hookedStore)
					p := s.poller(stripekit.PollConfig{Checkpoints: store})
					events, stop := s.watch(p)
					var saves atomic.Int64
					store.hook(func(ctx context.Context, save func() (uint64, error)) (uint64, error) {
						if saves.Add(1)%int64(of) == 0 {
							return unclear(ctx, save)
						}
						return save()
					})
					var sold, got []string
					for range 10 {
						sold = append(sold, s.sell(3)...)
						got = append(got, collect(events, 20*time.Second)...)
					}
					require.Equal(t, sold, got)
					require.NoError(t, p.Err())
					require.Greater(t, saves.Load(), int64(5))
					store.hook(nil)
					stop()
					require.NoError(t, p.Err())

					events, stop = s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
					defer stop()
					require.Empty(t, collect(events, 15*time.Minute), "nothing twice")
				})
			})
		}
	}
}

func TestPollerStoppedInASaveOfUnclearEndEndsWell(t *testing.T) {
	for name, unclear := range unclearSaves {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				store := new(hookedStore)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				var handled []string
				p := s.poller(stripekit.PollConfig{Checkpoints: store})
				go func() {
					done <- p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
						handled = append(handled, e.ID)
						return nil
					})
				}()
				pass(time.Minute)
				stopped := false
				store.hook(func(ctx context.Context, save func() (uint64, error)) (uint64, error) {
					if stopped {
						return save()
					}
					stopped = true
					pass(3 * time.Second)
					cancel()
					return unclear(ctx, save)
				})
				sold := s.sell(5)
				require.NoError(t, <-done)
				require.True(t, stopped)
				require.NotEmpty(t, handled)

				events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
				defer stop()
				require.Equal(t, sold, append(handled, collect(events, 15*time.Minute)...), "nothing twice")
			})
		})
	}
}

func TestPollerSavesAnewWhereItsCheckpointVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(hookedStore)
		cfg := stripekit.PollConfig{Checkpoints: store}
		p := s.poller(cfg)
		events, stop := s.watch(p)
		sold := s.sell(2)
		require.Equal(t, sold, collect(events, 30*time.Second))
		require.NoError(t, store.Delete(t.Context(), store.key(t)))
		sold = s.sell(2)
		require.Equal(t, sold, collect(events, 30*time.Second))
		require.NoError(t, p.Err())
		require.NoError(t, p.Status().SaveErr)
		stop()

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		sold = s.sell(1)
		require.Equal(t, sold, collect(events, 15*time.Minute), "nothing twice")
	})
}

func TestPollerEndsWhenItsCheckpointIsReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		// replace stores a checkpoint that the Poller did not save.
		replace func(s *shop, store *hookedStore, cfg stripekit.PollConfig)
		want    error
	}{
		"claimed": {func(s *shop, _ *hookedStore, cfg stripekit.PollConfig) {
			_, stop := s.watch(s.poller(cfg))
			stop()
		}, stripekit.ErrCheckpointConflict},
		"deleted and claimed": {func(s *shop, store *hookedStore, cfg stripekit.PollConfig) {
			require.NoError(s.t, store.Delete(s.t.Context(), store.key(s.t)))
			_, stop := s.watch(s.poller(cfg))
			stop()
		}, stripekit.ErrCheckpointConflict},
		"damaged": {func(s *shop, store *hookedStore, _ stripekit.PollConfig) {
			key := store.key(s.t)
			_, revision, err := store.Load(s.t.Context(), key)
			require.NoError(s.t, err)
			_, err = store.Save(s.t.Context(), key, []byte("damaged"), revision)
			require.NoError(s.t, err)
		}, stripekit.ErrCheckpointInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				store := new(hookedStore)
				cfg := stripekit.PollConfig{Checkpoints: store}
				p := s.poller(cfg)
				events, _ := s.watch(p)
				sold := s.sell(2)
				require.Equal(t, sold, collect(events, 30*time.Second))
				tt.replace(s, store, cfg)
				saves := store.saveCount()
				s.sell(1)
				collect(events, time.Minute) // until the end
				_, open := receive(events, time.Minute)
				require.False(t, open)
				require.ErrorIs(t, p.Err(), tt.want)
				require.LessOrEqual(t, store.saveCount(), saves+1, "the replacement is not overwritten")
			})
		})
	}
}

// flow is a Poller of any type on a store.
type flow func(t *testing.T, store stripekit.CheckpointStore) (run func(context.Context) error)

func flowOf[T any](source stripekit.Source[T], name string) flow {
	return func(t *testing.T, store stripekit.CheckpointStore) func(context.Context) error {
		t.Helper()
		p, err := stripekit.NewPoller(source, stripekit.PollConfig{Name: name, Checkpoints: store, From: stripekit.FromBeginning})
		require.NoError(t, err)
		return func(ctx context.Context) error {
			return p.Run(ctx, func(context.Context, stripekit.Event[T]) error { return nil })
		}
	}
}

// flows are Pollers of which no two may share a checkpoint.
func (s *shop) flows() map[string]flow {
	s.t.Helper()
	source := func(path string) stripekit.Source[stripekit.ObjectID] {
		source, err := stripekit.NewSource[stripekit.ObjectID](s.client, path, "")
		require.NoError(s.t, err)
		return source
	}
	connections := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithMaxRetries(0))
	open := func(name string) *stripekit.Client {
		require.NoError(s.t, connections.Add(stripekit.Connection{
			Name: name, APIKey: stripekit.NewSecret("sk_test_" + name), BaseURL: s.server.URL,
		}))
		client, err := connections.Open(name)
		require.NoError(s.t, err)
		return client
	}
	live, err := stripekit.New("sk_live_shop", stripekit.WithBaseURL(s.server.URL),
		stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithMaxRetries(0))
	require.NoError(s.t, err)
	where := func(email string) stripekit.Source[stripekit.Customer] {
		return s.client.Customers.Where(stripekit.CustomerListParams{Email: &email})
	}
	return map[string]flow{
		"customers":                   flowOf(s.client.Customers, ""),
		"products":                    flowOf(s.client.Products, ""),
		"live":                        flowOf(live.Customers, ""),
		"connection a":                flowOf(open("a").Customers, ""),
		"connection b":                flowOf(open("b").Customers, ""),
		"account 1":                   flowOf(s.client.WithAccount("acct_1").Customers, ""),
		"account 2":                   flowOf(s.client.WithAccount("acct_2").Customers, ""),
		"issuing, cards/x":            flowOf(source("/v1/issuing"), "cards/x"),
		"issuing/cards, x":            flowOf(source("/v1/issuing/cards"), "x"),
		"issuing, cards//x":           flowOf(source("/v1/issuing"), "cards//x"),
		"issuing//cards, x":           flowOf(source("/v1/issuing//cards"), "x"),
		"issuing/cards/x":             flowOf(source("/v1/issuing/cards/x"), ""),
		"issuing, cards%2Fx":          flowOf(source("/v1/issuing"), "cards%2Fx"),
		"email a":                     flowOf(where("a@example.com"), ""),
		"email b":                     flowOf(where("b@example.com"), ""),
		"no filter, named as filter":  flowOf(s.client.Customers, "email=a%40example.com"),
		"no filter, named as filter/": flowOf(s.client.Customers, "email=a%40example.com/"),
	}
}

func TestPollersOfDifferentFlowsShareNoCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1/issuing") {
				return response(r, 200, `{"data":[{"id":"ic_1","created":1}],"has_more":false}`), nil
			}
			return nil, nil
		})
		store := new(hookedStore)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		results := map[string]error{}
		var mu sync.Mutex
		flows := s.flows()
		for name, flow := range flows {
			run := flow(t, store)
			running.Go(func() {
				err := run(ctx)
				mu.Lock()
				defer mu.Unlock()
				results[name] = err
			})
		}
		for range 10 {
			s.sell(1)
			pass(20 * time.Second)
		}
		mu.Lock()
		ended := maps.Clone(results)
		mu.Unlock()
		cancel()
		running.Wait()
		require.Empty(t, ended, "none ends before it is stopped")
		require.Len(t, store.savedKeys(), len(flows), "each has a key of its own")
	})
}

func TestPollerBeginsAnewWhenItsCheckpointIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(hookedStore)
		cfg := stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning}
		sold := s.sell(150)
		for range 2 {
			events, stop := s.watch(s.poller(cfg))
			require.Equal(t, sold, collect(events, time.Minute))
			stop()
			events, stop = s.watch(s.poller(cfg))
			require.Empty(t, collect(events, time.Minute))
			stop()
			require.NoError(t, store.Delete(t.Context(), store.key(t)))
		}
	})
}

func TestPollerAsksForItsAccountOnceForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		for i, key := range []string{"sk_test_shop", "sk_test_shop", "sk_test_other", "sk_test_other", "sk_test_shop"} {
			client, err := stripekit.New(key, stripekit.WithBaseURL(s.server.URL), stripekit.WithHTTPClient(&http.Client{Transport: s}))
			require.NoError(t, err)
			p, err := stripekit.NewPoller(client.Customers, cfg)
			require.NoError(t, err)
			_, stop := started(t, p) // the account is saved although there is no event
			pass(time.Minute)
			stop()
			pass(time.Second)
			require.Equal(t, []int{1, 1, 2, 2, 3}[i], s.server.Count("GET /v1/account"))
		}
	})
}
