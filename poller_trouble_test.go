package stripekit_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// The known ways in which pollers of lists lose or repeat objects, each with a
// stripetest server that causes it.

func TestPollerDeliversWhatBecomesVisibleLate(t *testing.T) {
	for _, late := range []time.Duration{time.Second, time.Minute, 9 * time.Minute} {
		for _, busy := range []int{0, 300} {
			synctest.Test(t, func(t *testing.T) {
				var delay atomic.Int64
				s := newShop(t, stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
				events, stop := s.watch(s.poller(stripekit.PollConfig{}))
				defer stop()
				s.sell(busy)
				delay.Store(int64(late))
				hidden := s.sell(1)
				delay.Store(0)
				pass(time.Second)
				newer := s.sell(1)
				seen := collect(events, 20*time.Second)
				if late > time.Minute {
					require.Contains(t, seen, newer[0])
					require.NotContains(t, seen, hidden[0])
				}
				seen = append(seen, collect(events, 15*time.Minute)...)
				require.Contains(t, seen, hidden[0], "%s late, beside %d", late, busy)
				require.Len(t, seen, busy+2, "nothing twice")
			})
		}
	}
}

func TestPollerDeliversWhatSortsBelowInTheSameSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delay atomic.Int64
		s := newShop(t, stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		delay.Store(int64(40 * time.Second))
		b := s.sell(1)
		delay.Store(0)
		a := s.sell(1)
		require.Equal(t, a, collect(events, 20*time.Second))
		require.Equal(t, b, collect(events, time.Minute))
	})
}

func TestPollerLosesNothingWhenItsCursorIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		sold := s.sell(450)
		deleted := map[string]bool{}
		remove := func(id string) {
			deleted[id] = true
			_, err := s.client.Customers.Delete(t.Context(), id)
			require.NoError(t, err)
		}
		s.interfere(func(r *http.Request) (*http.Response, error) {
			if cursor := r.URL.Query().Get("starting_after"); cursor != "" && len(deleted) < 3 {
				remove(cursor) // between the page that ended there and this one
			}
			return nil, nil
		})
		cfg := stripekit.PollConfig{From: stripekit.FromBeginning, Checkpoints: new(stripekit.MemoryStore)}
		events, stop := s.watch(s.poller(cfg))
		got := collect(events, time.Minute)
		require.Len(t, deleted, 3)
		stop()

		// All objects in the checkpoint are deleted while no Poller runs.
		for _, id := range sold[300:] {
			if !deleted[id] {
				remove(id)
			}
		}
		pass(time.Hour)
		more := s.sell(250)
		events, stop = s.watch(s.poller(cfg))
		defer stop()
		got = append(got, collect(events, time.Minute)...)
		for _, id := range append(sold, more...) {
			require.Equal(t, 1, count(got, id), "%s, deleted %t", id, deleted[id])
		}
	})
}

func count(ids []string, id string) (n int) {
	for _, other := range ids {
		if other == id {
			n++
		}
	}
	return n
}

func TestPollerSkipsNothingWhenAPageFails(t *testing.T) {
	for name, effect := range map[string]stripetest.Effect{
		"a 500":          stripetest.Respond(500, `{"error":{"type":"api_error","message":"down"}}`),
		"truncated JSON": stripetest.Truncate(1000),
		"garbled JSON":   stripetest.Garble(),
		"a timeout":      stripetest.Delay(time.Hour),
		"a reset":        stripetest.Reset(stripetest.InResponse),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				sold := s.sell(500)
				fault := s.server.Fault("GET /v1/customers", stripetest.Nth(6), effect)
				events, stop := s.watch(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
				defer stop()
				require.Equal(t, sold, collect(events, 10*time.Minute))
				require.Equal(t, 1, fault.Struck())
			})
		})
	}
}

// mortalStore is the store of a process that crashes. After the crash its saves have
// no effect.
type mortalStore struct {
	stripekit.CheckpointStore
	dead atomic.Bool
}

func (m *mortalStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if m.dead.Load() {
		return revision + 1, nil
	}
	return m.CheckpointStore.Save(ctx, key, data, revision)
}

func TestPollerKilledAnywhereRepeatsOnlyWhatWasNotSaved(t *testing.T) {
	// after is how many events are received before the end, acked how many of them
	// are acknowledged, and wait whether there is time for a save.
	for _, at := range []struct {
		after, acked int
		wait         time.Duration
	}{
		{0, 0, 0},
		{1, 0, 0},
		{1, 1, 0},
		{1, 1, 2 * time.Second},
		{60, 59, 2 * time.Second},
		{60, 60, 0},
		{100, 100, 2 * time.Second},
		{150, 149, 0},
		{250, 250, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			sold := s.sell(250)
			disk := new(stripekit.MemoryStore)
			cfg := stripekit.PollConfig{From: stripekit.FromBeginning}
			mortal := &mortalStore{CheckpointStore: disk}
			cfg.Checkpoints = mortal
			events, stop := s.watch(s.poller(cfg))
			for i := range at.after {
				e := <-events
				require.Equal(t, sold[i], e.ID)
				if i < at.acked {
					e.Ack()
				}
			}
			pass(at.wait)
			mortal.dead.Store(true)
			stop()

			cfg.Checkpoints = disk
			events, stop = s.watch(s.poller(cfg))
			defer stop()
			again := collect(events, time.Minute)
			require.Equal(t, slices.Concat(sold[len(sold)-len(again):]), again, "%+v: a tail, in order", at)
			require.GreaterOrEqual(t, len(again), len(sold)-at.acked, "%+v: nothing lost", at)
			if at.wait > 0 {
				require.Len(t, again, len(sold)-at.acked, "%+v: what was saved is not repeated", at)
			}
		})
	}
}

func TestPollerInA429StormLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		s.server.Fault("GET /v1/charges", stripetest.Every(), stripetest.RateLimit(stripetest.EndpointRate))
		client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(s.server.URL), stripekit.WithHTTPClient(s.server.Client()))
		require.NoError(t, err)
		for i := range 5 {
			p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Name: fmt.Sprint(i)})
			require.NoError(t, err)
			_, err = p.Start(t.Context())
			require.NoError(t, err)
		}
		var got, want []string
		for range 20 {
			want = append(want, s.sell(1)...)
			got = append(got, collect(events, 16*time.Second)...)
		}
		require.Equal(t, want, got)
		for _, second := range s.server.CountsPerSecond() {
			require.LessOrEqual(t, second.Routes["GET /v1/charges"], 25, second.Second)
		}
	})
}

func TestPollerDrains45DaysInBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const backlog, crashes = 200_000, 10
		s := newShop(t, stripetest.WithRequestLog(1))
		disk := new(stripekit.MemoryStore)
		events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: disk}))
		pass(time.Minute)
		stop()
		require.Empty(t, collect(events, time.Second))

		start := time.Now()
		pass(45 * 24 * time.Hour)
		want := s.server.Seed("/v1/customers", stripetest.Seeding{Count: backlog, First: start.Add(time.Minute), Every: 45 * 24 * time.Hour / (backlog + 1000)})
		base := heap()
		delivered, next, repeated := 0, 0, 0
		for crash := range crashes + 1 {
			mortal := &mortalStore{CheckpointStore: disk}
			events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: mortal}))
			first := true
			for next < backlog && (crash == crashes || delivered < (crash+1)*backlog/(crashes+1)) {
				e := <-events
				at := next
				if first && e.ID != want[next] { // events with an unsaved acknowledgement are redelivered
					at = slices.Index(want[max(0, next-30_000):next], e.ID) + max(0, next-30_000)
					require.Positive(t, at)
					repeated += next - at
				}
				first = false
				require.Equal(t, want[at], e.ID, "in order")
				next = at + 1
				delivered = max(delivered, next)
				e.Ack()
				if next%1000 == 0 {
					pass(200 * time.Millisecond)
				}
			}
			require.Less(t, heap()-base, int64(40<<20))
			mortal.dead.Store(true)
			stop()
		}
		require.Equal(t, backlog, next)
		require.Less(t, s.listRequests(), 2*backlog/100+500)
		t.Logf("%d objects, %d crashes, %d delivered again, %d requests", backlog, crashes, repeated, s.listRequests())
	})
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestPollerDeliversObjectsWithoutATimeOrWithAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p, err := stripekit.NewPoller(s.newClient().InvoiceItems, stripekit.PollConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		got := map[string]int{}
		done := make(chan error)
		go func() {
			done <- p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.InvoiceItem]) error {
				got[e.ID]++
				return nil
			})
		}()
		synctest.Wait()
		pass(time.Minute)
		var want []string
		for i := range 300 {
			want = append(want, s.server.Seed("/v1/invoiceitems", stripetest.Seeding{Undated: i%3 == 0})...)
			if i%50 == 0 {
				pass(20 * time.Second)
			}
		}
		pass(20 * time.Minute)
		cancel()
		require.NoError(t, <-done)
		for _, id := range want {
			require.Equal(t, 1, got[id])
		}
	})
}

func TestPollerWhoseReaderBlocksStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		stuck := s.poller(stripekit.PollConfig{Name: "stuck"})
		_, stopStuck := s.watch(stuck)
		events, stop := s.watch(s.poller(stripekit.PollConfig{Name: "other"}))
		defer stop()
		for range 10 {
			sold := s.sell(30)
			require.Equal(t, sold, collect(events, 16*time.Second))
		}
		require.Equal(t, 300, stuck.Status().Unacked)
		start := time.Now()
		stopStuck()
		require.Zero(t, time.Since(start))
	})
}

func TestPollerOfAnEndpointThatIsNotThereEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, stripetest.WithPermissions("rk_test_few", "customer_read", "account_read"))
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		nonsense, err := stripekit.NewSource[stripekit.ObjectID](s.client, "/v1/nonsense", "")
		require.NoError(t, err)
		absent, err := stripekit.NewPoller(nonsense, stripekit.PollConfig{})
		require.NoError(t, err)
		require.ErrorIs(t, absent.Run(t.Context(), nil), stripekit.ErrNotFound)

		restricted, err := stripekit.New("rk_test_few", stripekit.WithBaseURL(s.server.URL), stripekit.WithHTTPClient(s.server.Client()))
		require.NoError(t, err)
		refunds, err := stripekit.NewPoller(restricted.Refunds, stripekit.PollConfig{})
		require.NoError(t, err)
		require.ErrorIs(t, refunds.Run(t.Context(), nil), stripekit.ErrPermission)

		sold := s.sell(1)
		require.Equal(t, sold, collect(events, time.Minute))
	})
}

func TestPollerBelievesNoDateThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			events, stop := s.watch(s.poller(stripekit.PollConfig{}))
			defer stop()
			for range 40 {
				s.server.Fault("GET /v1/customers", stripetest.Nth(3), stripetest.DateOffset(jump))
				sold := s.sell(1)
				require.Equal(t, sold, collect(events, time.Minute), "a jump of %s", jump)
			}
		})
	}
}

func TestPollerRefusesTheCheckpointOfAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := newShop(t), newShop(t)
		other.key = "sk_test_other" // a key belongs to one account
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		_, stop := s.watch(s.poller(cfg))
		pass(time.Minute)
		stop()

		p := other.poller(cfg)
		require.ErrorIs(t, p.Run(t.Context(), nil), stripekit.ErrCheckpointInvalid)
		require.Zero(t, other.listRequests())

		_, stop = s.watch(s.poller(cfg)) // nothing was overwritten
		pass(time.Minute)
		stop()
	})
}

func TestPollerOfAKeyThatMayNotReadItsAccountKeepsItsCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, stripetest.WithPermissions("rk_test_few", "customer_read"))
		restricted, err := stripekit.New("rk_test_few", stripekit.WithBaseURL(s.server.URL), stripekit.WithHTTPClient(s.server.Client()))
		require.NoError(t, err)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		p, err := stripekit.NewPoller(restricted.Customers, cfg)
		require.NoError(t, err)
		_, stop := s.watch(p)
		pass(time.Minute)
		stop()

		sold := s.sell(2)
		events, stop := s.watch(s.poller(cfg)) // with a key that may
		defer stop()
		require.Equal(t, sold, collect(events, time.Minute))
	})
}

func TestPollerTellsItsObserverOfEachPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var seen []stripekit.PollStatus
		events, stop := s.watch(s.poller(stripekit.PollConfig{Observe: func(st stripekit.PollStatus) { seen = append(seen, st) }}))
		s.sell(3)
		require.Len(t, collect(events, time.Minute), 3)
		stop()
		require.InDelta(t, 6, len(seen), 1, "one at the start, then every 15 s")
		last := seen[len(seen)-1]
		require.EqualValues(t, 3, last.Delivered)
		require.Zero(t, last.Unacked)
		require.NoError(t, last.LastError)
	})
}

func TestNewSourceReadsTheTimeFieldItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.server.Fault("GET /v1/payouts", stripetest.Every(), stripetest.Respond(200,
			`{"data":[{"id":"po_1","created":1,"arrival_date":946684800,"amount":5}],"has_more":false}`))
		payouts, err := stripekit.NewSource[struct{ Amount int64 }](s.client, "/v1/payouts", "arrival_date")
		require.NoError(t, err)
		p, err := stripekit.NewPoller(payouts, stripekit.PollConfig{From: stripekit.FromBeginning})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, p.Run(ctx, func(_ context.Context, e stripekit.Event[struct{ Amount int64 }]) error {
			defer cancel()
			require.Equal(t, "po_1", e.ID)
			require.Equal(t, 2000, e.Created.Year())
			return nil
		}))
		_, err = stripekit.NewSource[struct{}](s.client, "https://example.com/", "")
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	})
}

// TestPollerStartsAndStopsAtAnyMoment also shows that no goroutine is left: the
// bubble of synctest ends after the last goroutine.
func TestPollerStartsAndStopsAtAnyMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(60)
		var all sync.WaitGroup
		for worker := range 10 {
			all.Go(func() {
				for round := range 50 {
					p := s.poller(stripekit.PollConfig{Name: fmt.Sprint(worker), From: stripekit.FromTime(time.Now().Add(-time.Hour)), Every: time.Second, MaxUnacked: 20})
					ctx, cancel := context.WithCancel(t.Context())
					events, err := p.Start(ctx)
					require.NoError(t, err)
					for range (worker * round) % 40 {
						e := <-events
						switch round % 3 {
						case 0:
							e.Ack()
						case 1:
							go e.Ack()
						default:
							e.Ack()
							e.Nack(0)
						}
					}
					pass(time.Duration(worker*round) * time.Millisecond)
					cancel()
					for range events {
					}
					require.NoError(t, p.Err())
				}
			})
		}
		all.Wait()
	})
}
