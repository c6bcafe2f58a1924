package fleettest_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
)

type (
	observer  = func(key string, value []byte, revision uint64)
	getFunc   = func(ctx context.Context, key string) ([]byte, uint64, error)
	putFunc   = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error)
	watchFunc = func(ctx context.Context, observe observer) error
)

// hookedEngine is an engine in memory, some operations of which are replaced.
type hookedEngine struct {
	*fleet.MemoryEngine
	over     <-chan struct{} // closed when the test has ended
	onGet    getFunc
	onPut    putFunc
	onDelete func(ctx context.Context, key string, revision uint64) error
	onWatch  watchFunc
}

func (e *hookedEngine) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if e.onGet != nil {
		return e.onGet(ctx, key)
	}
	return e.MemoryEngine.Get(ctx, key)
}

func (e *hookedEngine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if e.onPut != nil {
		return e.onPut(ctx, key, value, revision, ttl)
	}
	return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
}

func (e *hookedEngine) Delete(ctx context.Context, key string, revision uint64) error {
	if e.onDelete != nil {
		return e.onDelete(ctx, key, revision)
	}
	return e.MemoryEngine.Delete(ctx, key, revision)
}

func (e *hookedEngine) Watch(ctx context.Context, observe func(key string, value []byte, revision uint64)) error {
	if e.onWatch != nil {
		return e.onWatch(ctx, observe)
	}
	return e.MemoryEngine.Watch(ctx, observe)
}

// stored returns the revision that is stored.
func (e *hookedEngine) stored(key string) uint64 {
	_, revision, _ := e.MemoryEngine.Get(context.Background(), key)
	return revision
}

// force puts whatever is stored.
func (e *hookedEngine) force(key string, value []byte, ttl time.Duration) (uint64, error) {
	for {
		next, err := e.MemoryEngine.Put(context.Background(), key, value, e.stored(key), ttl)
		if !errors.Is(err, stripekit.ErrCheckpointConflict) {
			return next, err
		}
	}
}

// putIf puts if a comparison of the stored revision and the expected one is true.
func (e *hookedEngine) putIf(same func(stored, revision uint64) bool) {
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if !same(e.stored(key), revision) {
			return 0, stripekit.ErrCheckpointConflict
		}
		pause(time.Microsecond)
		return e.force(key, value, ttl)
	}
}

// pause takes the time of a network.
func pause(d time.Duration) { <-time.After(d) }

// withTTL replaces the ttls that shall remove a record within the test.
func (e *hookedEngine) withTTL(change func(ttl time.Duration) time.Duration) {
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		if ttl > 0 && ttl < time.Minute {
			ttl = change(ttl)
		}
		return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
	}
}

// mapKeys replaces the keys of all operations.
func (e *hookedEngine) mapKeys(mapped func(key string) string) {
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		return e.MemoryEngine.Get(ctx, mapped(key))
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		return e.MemoryEngine.Put(ctx, mapped(key), value, revision, ttl)
	}
	e.onDelete = func(ctx context.Context, key string, revision uint64) error {
		return e.MemoryEngine.Delete(ctx, mapped(key), revision)
	}
}

// mapValues replaces what is put.
func (e *hookedEngine) mapValues(mapped func(value []byte) []byte) {
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		return e.MemoryEngine.Put(ctx, key, mapped(value), revision, ttl)
	}
}

// mapObserver replaces the function that Watch calls.
func (e *hookedEngine) mapObserver(mapped func(observe observer) observer) {
	e.onWatch = func(ctx context.Context, observe observer) error {
		return e.MemoryEngine.Watch(ctx, mapped(observe))
	}
}

// shuffledRevisions has revisions in no order.
func shuffledRevisions(e *hookedEngine) {
	const factor = 0x9e3779b97f4a7c15 // it is odd, so that no product is another's
	inverse := uint64(factor)         // correct in its last 3 bits; each step doubles them
	for range 5 {
		inverse *= 2 - factor*inverse
	}
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		value, revision, err := e.MemoryEngine.Get(ctx, key)
		return value, revision * factor, err
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		next, err := e.MemoryEngine.Put(ctx, key, value, revision*inverse, ttl)
		return next * factor, err
	}
	e.onDelete = func(ctx context.Context, key string, revision uint64) error {
		return e.MemoryEngine.Delete(ctx, key, revision*inverse)
	}
}

// restartedRevisions begins with 1 again after a removal: by Delete, by ttl, or both.
func restartedRevisions(afterDelete, afterTTL bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		var mu sync.Mutex
		base, deleted := map[string]uint64{}, map[string]bool{}
		e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
			mu.Lock()
			defer mu.Unlock()
			value, revision, err := e.MemoryEngine.Get(ctx, key)
			if revision > 0 {
				revision -= base[key]
			}
			return value, revision, err
		}
		e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			mu.Lock()
			defer mu.Unlock()
			if revision > 0 {
				revision += base[key]
			}
			next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			if err != nil {
				return 0, err
			}
			if revision == 0 && (deleted[key] && afterDelete || !deleted[key] && afterTTL) {
				base[key] = next - 1
			}
			deleted[key] = false
			return next - base[key], nil
		}
		e.onDelete = func(ctx context.Context, key string, revision uint64) error {
			mu.Lock()
			defer mu.Unlock()
			err := e.MemoryEngine.Delete(ctx, key, revision+base[key])
			deleted[key] = deleted[key] || err == nil
			return err
		}
	}
}

// acceptsRemoved takes the revision of a removed record for that of nothing.
func acceptsRemoved(e *hookedEngine) {
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
		if errors.Is(err, stripekit.ErrCheckpointConflict) && e.stored(key) == 0 {
			return e.MemoryEngine.Put(ctx, key, value, 0, ttl)
		}
		return next, err
	}
}

// acceptsRemoval takes the revision of a removal for that of nothing.
func acceptsRemoval(e *hookedEngine) {
	var removals sync.Map
	e.onWatch = func(ctx context.Context, observe observer) error {
		return e.MemoryEngine.Watch(ctx, func(key string, value []byte, revision uint64) {
			if value == nil {
				removals.Store(key, revision)
			}
			observe(key, value, revision)
		})
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		if removal, ok := removals.Load(key); ok && removal == revision && e.stored(key) == 0 {
			revision = 0
		}
		return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
	}
}

// keyTimers removes what is stored under a key when the ttl of any Put has passed, or
// of any but those that a Put with a ttl has followed.
func keyTimers(renewable bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		var timers sync.Map
		e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			next, err := e.MemoryEngine.Put(ctx, key, value, revision, 0)
			if err != nil || ttl == 0 {
				return next, err
			}
			remove := func() { _ = e.MemoryEngine.Delete(context.Background(), key, e.stored(key)) }
			before, ok := timers.Swap(key, time.AfterFunc(ttl, remove))
			if ok && renewable {
				before.(*time.Timer).Stop()
			}
			return next, nil
		}
	}
}

// lazyRemoval removes a record when somebody asks for it.
func lazyRemoval(e *hookedEngine) {
	var ends sync.Map
	expire := func(key string) {
		if end, ok := ends.Load(key); ok && time.Now().After(end.(time.Time)) {
			ends.Delete(key)
			_ = e.MemoryEngine.Delete(context.Background(), key, e.stored(key))
		}
	}
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		expire(key)
		return e.MemoryEngine.Get(ctx, key)
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		expire(key)
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, 0)
		if err == nil {
			ends.Delete(key)
		}
		if err == nil && ttl > 0 {
			ends.Store(key, time.Now().Add(ttl))
		}
		return next, err
	}
}

// hiddenRemoval has Get say that a record was removed, long before it is.
func hiddenRemoval(e *hookedEngine) {
	var ends sync.Map
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		late := ttl
		if ttl > 0 {
			late += 10 * time.Second
		}
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, late)
		if err == nil && ttl > 0 {
			ends.Store(key, time.Now().Add(ttl))
		} else if err == nil {
			ends.Delete(key)
		}
		return next, err
	}
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		if end, ok := ends.Load(key); ok && time.Now().After(end.(time.Time)) {
			return nil, 0, ctx.Err()
		}
		return e.MemoryEngine.Get(ctx, key)
	}
}

// cachingEngine keeps what it has read or put, although others put too.
func cachingEngine(e *hookedEngine) {
	type record struct {
		value    []byte
		revision uint64
	}
	var cache sync.Map
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		if cached, ok := cache.Load(key); ok {
			return bytes.Clone(cached.(record).value), cached.(record).revision, ctx.Err()
		}
		value, revision, err := e.MemoryEngine.Get(ctx, key)
		if revision != 0 {
			cache.Store(key, record{value, revision})
		}
		return value, revision, err
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
		if err == nil {
			cache.Store(key, record{bytes.Clone(value), next})
		}
		return next, err
	}
}

// lateReplica reads from a copy that is late.
func lateReplica(late time.Duration) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		var before sync.Map
		e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			old, stored, _ := e.MemoryEngine.Get(context.Background(), key)
			next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			if err == nil {
				before.Store(key, func() ([]byte, uint64) { return old, stored })
				time.AfterFunc(late, func() { before.Delete(key) })
				pause(time.Microsecond)
			}
			return next, err
		}
		e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
			pause(time.Microsecond) // in a bubble, the clock stands still while anything runs
			if old, ok := before.Load(key); ok {
				value, revision := old.(func() ([]byte, uint64))()
				return bytes.Clone(value), revision, ctx.Err()
			}
			return e.MemoryEngine.Get(ctx, key)
		}
	}
}

// lateRemovals goes on to find a record for a while after its removal by ttl.
func lateRemovals(e *hookedEngine) {
	type found struct {
		value    []byte
		revision uint64
		at       time.Time
	}
	var last sync.Map
	e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
		value, revision, err := e.MemoryEngine.Get(ctx, key)
		if revision != 0 {
			last.Store(key, found{value, revision, time.Now()})
		} else if f, ok := last.Load(key); ok && time.Since(f.(found).at) < 500*time.Millisecond {
			return f.(found).value, f.(found).revision, err
		}
		return value, revision, err
	}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
		if err == nil && ttl > 0 {
			last.Store(key, found{bytes.Clone(value), next, time.Now().Add(ttl)})
		}
		return next, err
	}
	e.onDelete = func(ctx context.Context, key string, revision uint64) error {
		last.Delete(key)
		return e.MemoryEngine.Delete(ctx, key, revision)
	}
}

// sharedSlices keeps the slices of Put, or lends its own, or both.
func sharedSlices(keeps, lends bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		var slices sync.Map
		e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			if err == nil && keeps {
				slices.Store(key, value)
			} else if err == nil {
				slices.Store(key, bytes.Clone(value))
			}
			return next, err
		}
		e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
			value, revision, err := e.MemoryEngine.Get(ctx, key)
			if slice, ok := slices.Load(key); ok && revision != 0 {
				if value = slice.([]byte); !lends {
					value = bytes.Clone(value)
				}
			}
			return value, revision, err
		}
	}
}

// lowerKeys, flatKeys and cutKeys confuse keys.
func lowerKeys(e *hookedEngine) { e.mapKeys(strings.ToLower) }

func flatKeys(e *hookedEngine) {
	e.mapKeys(func(key string) string { return strings.ReplaceAll(key, "/", ".") })
}

func cutKeys(e *hookedEngine) {
	e.mapKeys(func(key string) string { return key[:min(len(key), 199)] })
}
