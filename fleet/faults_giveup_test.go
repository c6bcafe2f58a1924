package fleet_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// TestFleetOnGiveUpEndsBeforeItsShardMoves moves shards in order while OnGiveUp stores
// dead letters, which takes 3 s each.
func TestFleetOnGiveUpEndsBeforeItsShardMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: 5 * time.Second})
		w.handle = func(context.Context, string) error { return errors.New("refused") }
		letters := map[string]int{}
		var busy atomic.Int64 // of b
		change := func(c *fleet.Config) {
			c.MaxAttempts = 1
			c.OnGiveUp = func(_ context.Context, e stripekit.Event[any], _ error) error {
				if c.Worker == "b" {
					busy.Add(1)
					defer busy.Add(-1)
				}
				time.Sleep(3 * time.Second)
				w.mu.Lock()
				defer w.mu.Unlock()
				letters[e.ID]++
				return nil
			}
		}
		a := w.run(w.process("a", change))
		w.put(a, 20)
		pass(2 * time.Minute)
		b := w.run(w.process("b", change))
		pass(2 * time.Minute)
		require.NoError(t, b.stop())
		busyAfter := busy.Load()
		pass(2 * time.Minute)
		w.end(a)
		pass(time.Minute)
		twice := 0
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, n := range letters {
			if n > 1 {
				twice++
			}
		}
		assert.Zero(t, busyAfter, "calls of OnGiveUp that went on when Run had returned")
		assert.Zero(t, twice, "dead letters stored twice, of %d, and no process died", len(letters))
	})
}

// TestFleetALostShardIsNoAttemptOfAnEvent cuts a worker off while it handles a backlog.
func TestFleetALostShardIsNoAttemptOfAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: time.Second})
		w.handle = func(context.Context, string) error { time.Sleep(200 * time.Millisecond); return nil }
		var letters []string
		change := func(c *fleet.Config) {
			c.MaxAttempts = 1
			c.OnGiveUp = func(ctx context.Context, e stripekit.Event[any], reason error) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				letters = append(letters, fleet.FlowFromContext(ctx).Connection+" "+e.ID+": "+reason.Error())
				return nil
			}
		}
		a, b := w.run(w.process("a", change)), w.run(w.process("b", change))
		w.put(a, 20)
		pass(5*time.Minute + 300*time.Millisecond)
		b.dead.Store(true)
		pass(2 * time.Minute)
		w.end(a, b)
		require.Empty(t, letters, "the handler has refused no event")
	})
}

// TestFleetAPollerOfAFunctionHandlesNothingWithoutRight cuts a worker off that runs
// Poller.Run in WatchPoller.
func TestFleetAPollerOfAFunctionHandlesNothingWithoutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: time.Second})
		began := map[string]time.Time{} // the last event that each worker began to handle
		process := func(name string) *process {
			p := w.process(name)
			require.NoError(t, fleet.WatchPoller(p.Fleet, "run", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
				func(ctx context.Context, poller *stripekit.Poller[stripekit.Charge]) error {
					return poller.Run(ctx, func(context.Context, stripekit.Event[stripekit.Charge]) error {
						w.mu.Lock()
						began[name] = time.Now()
						w.mu.Unlock()
						time.Sleep(100 * time.Millisecond)
						return nil
					})
				}))
			return p
		}
		a, b := w.run(process("a")), w.run(process("b"))
		for account := range 20 {
			s := spec(account)
			s.Triggers = []fleet.Trigger{{Name: "run"}}
			require.NoError(t, a.Put(t.Context(), s))
		}
		worst := time.Duration(0)
		for range 8 {
			pass(time.Minute + 170*time.Millisecond)
			b.dead.Store(true)
			cut := time.Now()
			pass(ttl)
			w.mu.Lock()
			last := began["b"]
			w.mu.Unlock()
			worst = max(worst, last.Sub(cut))
			b.dead.Store(false)
		}
		w.end(a, b)
		require.LessOrEqual(t, worst, ttl-ttl/10, "it has begun to handle an event after its right had ended")
	})
}
