package fleet_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// polled returns whether an account was polled since a time.
func (w *world) polledSince(account int, since time.Time) bool {
	return len(w.pollers(since)[account]) > 0
}

// hangingStore hangs for some checkpoints, until ctx ends.
type hangingStore struct {
	stripekit.CheckpointStore
	hangs func(key string) bool
}

func (s hangingStore) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	if s.hangs(key) {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return s.CheckpointStore.Load(ctx, key)
}

// TestFleetCheckpointsThatHangDelayNoOtherConnection: 32 connections, whose rows are locked
// for example, must not keep the others from starting.
func TestFleetCheckpointsThatHangDelayNoOtherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a", func(c *fleet.Config) {
			c.Checkpoints = hangingStore{&w.disk, func(key string) bool { return strings.Contains(key, "locked") }}
		}))
		for account := range 32 { // of 2 triggers
			s := spec(account)
			s.Name = fmt.Sprintf("locked %d", account)
			require.NoError(t, a.Put(t.Context(), s))
		}
		pass(time.Minute)
		require.NoError(t, a.Put(t.Context(), spec(100)))
		began := time.Now()
		pass(30 * time.Minute)
		require.NoError(t, a.stop())
		require.True(t, w.polledSince(100, began), "it was not polled within 30 minutes")
	})
}

// TestFleetKeysThatHangDelayNoOtherConnection: the vault hangs for some of the connections.
func TestFleetKeysThatHangDelayNoOtherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a", func(c *fleet.Config) {
			c.Keys = func(ctx context.Context, ref string) (stripekit.Secret, error) {
				if strings.HasPrefix(ref, "hung") {
					<-ctx.Done()
					return stripekit.Secret{}, ctx.Err()
				}
				return stripekit.NewSecret("sk_test_" + ref), nil
			}
		}))
		for account := range 2000 {
			s := spec(account)
			s.Name, s.Key = fmt.Sprintf("hung %d", account), "hung"
			s.Triggers = s.Triggers[:1]
			require.NoError(t, a.Put(t.Context(), s))
		}
		pass(10 * time.Second)
		require.NoError(t, a.Put(t.Context(), spec(5000)))
		began := time.Now()
		pass(5 * time.Minute)
		require.NoError(t, a.stop())
		require.True(t, w.polledSince(5000, began), "it was not polled within 5 minutes")
	})
}

// TestFleetAHandlerThatBlocksHoldsBackNoOtherConnection: shards move, and one handler takes
// 20 minutes.
func TestFleetAHandlerThatBlocksHoldsBackNoOtherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 40
		w := newWorld(t, shops.Config{})
		var taken atomic.Bool
		release := make(chan struct{})
		w.handle = func(_ context.Context, id string) error {
			if account, _, _, _ := shops.ParseID(id); account == 0 && !taken.Swap(true) {
				<-release
			}
			return nil
		}
		one := func(c *fleet.Config) { c.Shards = 1 }
		a := w.run(w.process("a", one))
		w.put(a, accounts)
		pass(3 * time.Minute)
		a.dead.Store(true) // the engine cannot be reached for 9 s
		pass(9 * time.Second)
		a.dead.Store(false)
		pass(time.Minute)
		since := time.Now()
		pass(20 * time.Minute)
		polled := len(w.pollers(since))
		close(release)
		pass(time.Minute)
		require.ErrorContains(t, a.stop(), "handlers of 1 shards")
		require.GreaterOrEqual(t, polled, accounts-1, "connections that were polled within 20 minutes")
	})
}

// TestFleetAShardWithARecordWithoutTriggersMoves puts a record that another version may
// have written.
func TestFleetAShardWithARecordWithoutTriggersMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		w.put(a, 3)
		_, err := w.engine.Put(t.Context(), "connection/00112233445566778899aabbccddeeff", []byte(`{"name":"x","flows":[]}`), 0, 0)
		require.NoError(t, err)
		pass(time.Minute)
		w.end(a)
	})
}

// TestFleetKeysThatCallGoexit is as a require in Keys that fails.
func TestFleetKeysThatCallGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a", func(c *fleet.Config) {
			c.Keys = func(_ context.Context, ref string) (stripekit.Secret, error) {
				if ref == "shop0" {
					runtime.Goexit()
				}
				return stripekit.NewSecret("sk_test_" + ref), nil
			}
		}))
		w.put(a, 3)
		pass(time.Minute)
		w.end(a)
	})
}

// TestFleetAShardMovesAlthoughKeysHang: a second worker comes while the vault hangs for
// some connections.
func TestFleetAShardMovesAlthoughKeysHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		hang := func(c *fleet.Config) {
			c.Logger = slog.New(slog.DiscardHandler)
			c.Keys = func(ctx context.Context, ref string) (stripekit.Secret, error) {
				if strings.HasPrefix(ref, "hung") {
					<-ctx.Done()
					return stripekit.Secret{}, ctx.Err()
				}
				return stripekit.NewSecret("sk_test_" + ref), nil
			}
		}
		a := w.run(w.process("a", hang))
		w.put(a, 60)
		pass(time.Minute)
		for account := range 3000 {
			s := spec(account)
			s.Name, s.Key = fmt.Sprintf("hung %d", account), "hung"
			s.Triggers = s.Triggers[:1]
			require.NoError(t, a.Put(t.Context(), s))
		}
		pass(10 * time.Second)
		b := w.run(w.process("b", hang))
		pass(time.Minute)
		since := time.Now()
		pass(time.Minute)
		polled := len(w.pollers(since))
		w.end(a, b)
		require.Equal(t, 60, polled, "healthy connections that are polled while shards move")
	})
}
