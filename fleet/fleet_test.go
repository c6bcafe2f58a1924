package fleet_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

func TestFleetSharesOutConnectionsAndDeliversEachEventOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 60
		w := newWorld(t, shops.Config{LateShare: 0.1, LateMax: 20 * time.Second})
		a := w.run(w.process("a"))
		w.put(a, accounts)
		pass(time.Minute)
		b, c := w.run(w.process("b")), w.run(w.process("c"))
		pass(10 * time.Minute)
		since := time.Now()
		pass(time.Minute)
		count := map[string]int{}
		for account, workers := range w.pollers(since) {
			require.Len(t, workers, 1, "account %d", account)
			count[workers[0]]++
		}
		require.Equal(t, accounts, count["a"]+count["b"]+count["c"])
		for _, name := range []string{"a", "b", "c"} {
			require.InDelta(t, accounts/3, count[name], 12, name)
		}
		require.NoError(t, b.stop())
		pass(5 * time.Minute)
		w.requireAllDelivered(accounts, w.start, true)
		w.end(a, c)
	})
}

func TestFleetTakesOverFromAWorkerThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 40
		w := newWorld(t, shops.Config{})
		a, b := w.run(w.process("a")), w.run(w.process("b"))
		w.put(a, accounts)
		pass(5 * time.Minute)
		b.dead.Store(true) // it still reaches Stripe and the checkpoints
		cut := time.Now()
		pass(ttl)
		for account, workers := range w.pollers(cut.Add(ttl - ttl/10)) {
			require.NotContains(t, workers, "b", "account %d", account)
		}
		pass(time.Minute)
		require.Len(t, w.pollers(cut.Add(ttl+5*time.Second)), accounts)
		w.requireAllDelivered(accounts, w.start, true)

		b.dead.Store(false)
		pass(5 * time.Minute)
		polls := w.pollers(time.Now().Add(-time.Minute))
		count := map[string]int{}
		for _, workers := range polls {
			require.Len(t, workers, 1)
			count[workers[0]]++
		}
		require.Greater(t, count["b"], accounts/4, "it has its share again")
		w.requireAllDelivered(accounts, w.start, true)
		w.end(a, b)
	})
}

func TestFleetKeepsWhatItHasOverAChangeOfASpec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: 5 * time.Second})
		a, b := w.run(w.process("a")), w.run(w.process("b"))
		w.put(a, 5)
		for range 20 {
			pass(33 * time.Second)
			w.put(b, 5) // the same, which restarts its flows
			changed := spec(3)
			changed.Triggers[0].Every = 5 * time.Second
			require.NoError(t, b.Put(t.Context(), changed))
		}
		pass(time.Minute)
		w.requireAllDelivered(5, w.start, true)
		specs, err := b.List(t.Context())
		require.NoError(t, err)
		require.Len(t, specs, 5)
		require.Equal(t, w.start.UTC(), specs[0].Added)
		require.Equal(t, 5*time.Second, specs[3].Triggers[0].Every)
		w.end(a, b)
	})
}

func TestFleetBeginsAnewAfterARemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: 5 * time.Second})
		a := w.run(w.process("a"))
		w.put(a, 2)
		pass(2 * time.Minute)
		removed := time.Now()
		require.NoError(t, a.Remove(t.Context(), "shop 1"))
		require.NoError(t, a.Remove(t.Context(), "shop 1"), "there is none")
		pass(10 * time.Minute)
		require.NotContains(t, w.pollers(removed.Add(time.Second)), 1)
		specs, err := a.List(t.Context())
		require.NoError(t, err)
		require.Len(t, specs, 1)

		again := time.Now()
		require.NoError(t, a.Put(t.Context(), spec(1)))
		pass(2 * time.Minute)
		for o := range w.stripe.Objects(1, shops.Charges, removed.Add(time.Second), again.Add(-11*time.Second)) {
			require.Zero(t, w.events[o.ID()], "created while there was no connection")
		}
		for o := range w.stripe.Objects(1, shops.Charges, again, again.Add(time.Minute)) {
			require.Equal(t, 1, w.events[o.ID()])
		}
		w.end(a)
	})
}

// TestFleetLosesNothingOfAConnectionThatIsAddedWithoutAWorker adds a connection with a
// clock that is 9 s ahead of that of the service.
func TestFleetLosesNothingOfAConnectionThatIsAddedWithoutAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: time.Second})
		a := w.process("a")
		ahead := spec(0)
		ahead.Added = time.Now().Add(9 * time.Second)
		require.NoError(t, a.Put(t.Context(), ahead))
		pass(10 * time.Minute)
		w.run(a)
		pass(5 * time.Minute)
		w.requireAllDelivered(1, w.start, true)
		w.end(a)
	})
}

func TestFleetParksAConnectionUntilItIsPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var revoked atomic.Bool
		w := newWorld(t, shops.Config{Revoked: func(account int) bool { return account == 1 && revoked.Load() }})
		a := w.run(w.process("a"))
		w.put(a, 3)
		pass(5 * time.Minute)
		revoked.Store(true)
		pass(20 * time.Minute)
		parked := time.Now()
		pass(2 * time.Hour)
		require.NotContains(t, w.pollers(parked), 1)
		revoked.Store(false)
		require.NoError(t, a.Put(t.Context(), spec(1)))
		pass(5 * time.Minute)
		w.requireAllDelivered(3, w.start, true)
		w.end(a)
	})
}

func TestFleetReadsARefusedKeyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		w.put(a, 2)
		pass(5 * time.Minute)
		w.mu.Lock()
		w.refused["sk_test_shop1"] = true // the key is rolled, and the vault has the new one a little later
		w.mu.Unlock()
		pass(3 * time.Minute)
		w.mu.Lock()
		w.keys["shop1"] = "rolled1"
		w.mu.Unlock()
		pass(3 * time.Minute)
		w.requireAllDelivered(2, w.start, true)
		w.end(a)
	})
}

func TestFleetGoesOnBesideAHandlerThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var givenUp atomic.Int64
		w := newWorld(t, shops.Config{})
		var poison atomic.Value
		w.handle = func(ctx context.Context, id string) error {
			if account, _, k, ok := shops.ParseID(id); ok && account == 1 && k%5 == 0 {
				panic("poison")
			}
			return nil
		}
		a := w.run(w.process("a", func(c *fleet.Config) {
			c.MaxAttempts = 3
			c.OnGiveUp = func(ctx context.Context, e stripekit.Event[any], reason error) error {
				flow := fleet.FlowFromContext(ctx)
				require.Equal(t, "shop 1", flow.Connection)
				require.Contains(t, []string{"charges", "customers"}, flow.Trigger)
				require.Contains(t, flow.Key, flow.Trigger)
				require.ErrorContains(t, reason, "poison")
				poison.Store(e.ID)
				givenUp.Add(1)
				return nil
			}
		}))
		w.put(a, 3)
		pass(20 * time.Minute)
		require.NotNil(t, poison.Load())
		expected := int64(0)
		for _, list := range []shops.List{shops.Charges, shops.Customers} {
			for o := range w.stripe.Objects(1, list, w.start, time.Now().Add(-time.Minute)) {
				if o.K%5 == 0 {
					expected++
				} else {
					require.Equal(t, 1, w.events[o.ID()])
				}
			}
		}
		require.NotZero(t, expected)
		require.InDelta(t, expected, givenUp.Load(), 2)
		w.end(a)
	})
}

func TestFleetParksAFlowOfATriggerThatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		odd := spec(0)
		odd.Triggers = append(odd.Triggers, fleet.Trigger{Name: "payouts"})
		require.NoError(t, a.Put(t.Context(), odd))
		pass(5 * time.Minute)
		w.requireAllDelivered(1, w.start, true)
		w.end(a)
	})
}

func TestFleetRefusesAnotherNumberOfShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		pass(time.Second)
		b := w.process("b", func(c *fleet.Config) { c.Shards = 64 })
		require.ErrorContains(t, b.Run(t.Context()), "32 shards, and Config.Shards is 64")
		w.end(a)
	})
}

func TestFleetRunsPollersOfAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		runs := map[string]int{}
		p := w.process("a")
		require.NoError(t, fleet.WatchPoller(p.Fleet, "run", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
			func(ctx context.Context, poller *stripekit.Poller[stripekit.Charge]) error {
				w.mu.Lock()
				name := fleet.FlowFromContext(ctx).Connection
				runs[name]++
				n := runs[name]
				w.mu.Unlock()
				switch n {
				case 1:
					return errors.New("the database cannot be reached")
				case 2:
					panic("a bug")
				case 3:
					runtime.Goexit()
				}
				return poller.Run(ctx, func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error { return w.deliver(ctx, e.ID) })
			}))
		w.run(p)
		for account := range 3 {
			s := spec(account)
			s.Triggers = []fleet.Trigger{{Name: "run"}, {Name: "customers"}}
			require.NoError(t, p.Put(t.Context(), s))
		}
		pass(10 * time.Minute)
		w.requireAllDelivered(3, w.start, true)
		require.Equal(t, map[string]int{"shop 0": 4, "shop 1": 4, "shop 2": 4}, runs)
		w.end(p)
	})
}

func TestFleetTakesWhatALeaverFreesAlthoughAHandlerOfItIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 40
		w := newWorld(t, shops.Config{Period: 5 * time.Second})
		var leaves atomic.Bool
		var slow atomic.Int64
		w.handle = func(ctx context.Context, id string) error {
			if account, _, _, _ := shops.ParseID(id); account == 1 && leaves.Load() && slow.Add(1) == 1 {
				time.Sleep(25 * time.Second) // it does not obey its context
			}
			return nil
		}
		a := w.run(w.process("a"))
		w.put(a, accounts)
		pass(5 * time.Minute)
		b := w.run(w.process("b"))
		pass(time.Minute)
		if w.pollers(time.Now().Add(-20 * time.Second))[1][0] == "a" {
			a, b = b, a // b is the one with the slow handler
		}
		leaves.Store(true)
		for slow.Load() == 0 {
			pass(time.Second)
		}
		left := time.Now()
		done := make(chan error)
		go func() { done <- b.stop() }()
		pass(15 * time.Second)
		polled := w.pollers(left.Add(2 * time.Second))
		require.Greater(t, len(polled), accounts*3/4, "only one shard waits for the handler")
		require.NoError(t, <-done)
		require.Greater(t, time.Since(left), 20*time.Second)
		pass(2 * time.Minute)
		w.requireAllDelivered(accounts, w.start, true)
		w.end(a)
	})
}
