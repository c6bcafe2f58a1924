package fleet_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// failover is an Engine that goes back to an earlier state once: the revisions of
// connections were higher before. Watch ends then.
type failover struct {
	fleet.Engine
	mu     sync.Mutex
	ahead  uint64
	cancel []context.CancelFunc
}

func (e *failover) offset(key string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if strings.HasPrefix(key, "connection/") {
		return e.ahead
	}
	return 0
}

func (e *failover) back() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ahead = 0
	for _, cancel := range e.cancel {
		cancel()
	}
}

func (e *failover) Watch(ctx context.Context, observe func(string, []byte, uint64)) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	e.cancel = append(e.cancel, cancel)
	e.mu.Unlock()
	return e.Engine.Watch(inner, func(key string, value []byte, revision uint64) {
		observe(key, value, revision+e.offset(key))
	})
}

// TestFleetChangesAfterAFailoverToAnEarlierStateTakeEffect: a worker that has observed
// revisions that the engine has lost follows the later ones.
func TestFleetChangesAfterAFailoverToAnEarlierStateTakeEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		engine := &failover{Engine: &w.engine, ahead: 1000}
		a := w.run(w.process("a", func(c *fleet.Config) { c.Engine = engine }))
		operator := w.process("operator") // on the engine itself
		w.put(operator, 3)
		pass(5 * time.Minute)
		engine.back()
		pass(time.Minute)
		require.NoError(t, operator.Remove(t.Context(), "shop 1"))
		moved := spec(2)
		moved.Key = "shop7" // another account
		moved.Name = "shop 2"
		require.NoError(t, operator.Put(t.Context(), moved))
		pass(time.Minute)
		since := time.Now()
		pass(10 * time.Minute)
		polls := w.pollers(since)
		w.end(a)
		require.NotContains(t, polls, 1, "it was removed 10 minutes ago")
	})
}

// TestFleetThePageKnowsNoStateOfANewerVersion: during an upgrade a report has a state that
// this version does not know.
func TestFleetThePageKnowsNoStateOfANewerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Revoked: func(account int) bool { return account < 10 }})
		a := w.run(w.process("a"))
		b := w.run(w.process("b", func(c *fleet.Config) { c.Engine = newer{c.Engine} }))
		w.put(a, 20)
		pass(20 * time.Minute)
		defer w.end(a, b)
		require.NotPanics(t, func() {
			r := httptest.NewRequest(http.MethodGet, "http://localhost/api/connections", nil)
			a.Handler().ServeHTTP(httptest.NewRecorder(), r)
		})
	})
}

type newer struct{ fleet.Engine }

func (e newer) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if strings.HasPrefix(key, "report/") {
		value = []byte(strings.NewReplacer(`"parked"`, `"paused"`, `"failing"`, `"paused"`).Replace(string(value)))
	}
	return e.Engine.Put(ctx, key, value, revision, ttl)
}

// TestFleetNamesOfWorkersAreKeys: the name is part of the keys of records.
func TestFleetNamesOfWorkersAreKeys(t *testing.T) {
	for _, name := range []string{"a-", "-a", "_", "a.b", "a b", "é", strings.Repeat("a", 61)} {
		_, err := fleet.New(fleet.Config{Worker: name, Engine: new(fleet.MemoryEngine)})
		require.ErrorContains(t, err, "Config.Worker", name)
	}
	for _, name := range []string{"", "a", "a-b_c", strings.Repeat("a", 60)} {
		_, err := fleet.New(fleet.Config{Worker: name, Engine: new(fleet.MemoryEngine)})
		require.NoError(t, err, name)
	}
}

// hangsOnce is an Engine whose first Get hangs as long as its context allows.
type hangsOnce struct {
	fleet.Engine
	hung *atomic.Bool
}

func (e hangsOnce) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if !e.hung.Swap(true) {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return e.Engine.Get(ctx, key)
}

func TestFleetRunBeginsAlthoughTheFirstRequestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a", func(c *fleet.Config) { c.Engine = hangsOnce{c.Engine, new(atomic.Bool)} }))
		w.put(w.process("operator"), 1)
		pass(30 * time.Minute)
		polled := w.polledSince(0, w.start)
		w.end(a)
		require.True(t, polled)
	})
}

// TestFleetAnotherSpellingOfAClaimIsNone: claim/05 is not the claim of shard 5.
func TestFleetAnotherSpellingOfAClaimIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		w.put(a, 64)
		pass(time.Minute)
		for _, key := range []string{"claim/05", "claim/007", "claim/99999", "claim/-0", "claim/x"} {
			if _, err := w.engine.Put(t.Context(), key, []byte("x.y"), 0, 0); err != nil {
				require.ErrorContains(t, err, "key")
			}
		}
		pass(time.Minute)
		since := time.Now()
		pass(10 * time.Minute)
		polled := len(w.pollers(since))
		w.end(a)
		require.Equal(t, 64, polled)
	})
}
