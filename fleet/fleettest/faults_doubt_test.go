package fleettest_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// whenCancelled makes a Put take some time, and replaces its end if the context is
// cancelled within this time.
func (e *hookedEngine) whenCancelled(end putFunc) putFunc {
	return func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		timer := time.NewTimer(time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
		case <-ctx.Done():
			return end(context.WithoutCancel(ctx), key, value, revision, ttl)
		}
	}
}

var errDoubt = errors.New("the connection was lost")

// storesCancelled stores a cancelled Put, and does not know of it.
func storesCancelled(e *hookedEngine) {
	e.onPut = e.whenCancelled(func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		if _, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl); err != nil {
			return 0, err
		}
		return 0, errDoubt
	})
}

// conflictsCancelled returns the wrong error for a cancelled Put.
func conflictsCancelled(e *hookedEngine) {
	e.onPut = e.whenCancelled(func(context.Context, string, []byte, uint64, time.Duration) (uint64, error) {
		return 0, stripekit.ErrCheckpointConflict
	})
}

// lateOverwrite stores a cancelled Put late, on whatever is stored then.
func lateOverwrite(e *hookedEngine) {
	e.onPut = e.whenCancelled(func(_ context.Context, key string, value []byte, _ uint64, ttl time.Duration) (uint64, error) {
		value = bytes.Clone(value)
		time.AfterFunc(2*time.Millisecond, func() { _, _ = e.force(key, value, ttl) })
		return 0, errDoubt
	})
}

// trustsDoubt accepts a Put with the revision of a Put in doubt, if the condition is
// true for what is stored.
func trustsDoubt(condition func(stored uint64) bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		var doubts sync.Map
		put := e.whenCancelled(func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			doubts.Store(key, revision)
			_, _ = e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			return 0, errDoubt
		})
		e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
			next, err := put(ctx, key, value, revision, ttl)
			if !errors.Is(err, stripekit.ErrCheckpointConflict) {
				return next, err
			}
			if doubt, ok := doubts.LoadAndDelete(key); ok && doubt == revision && condition(e.stored(key)) {
				return e.force(key, value, ttl)
			}
			return next, err
		}
	}
}

// ignoresContext does not look at a context.
func ignoresContext(get, put, remove bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		if get {
			e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
				return e.MemoryEngine.Get(context.WithoutCancel(ctx), key)
			}
		}
		if put {
			e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
				return e.MemoryEngine.Put(context.WithoutCancel(ctx), key, value, revision, ttl)
			}
		}
		if remove {
			e.onDelete = func(ctx context.Context, key string, revision uint64) error {
				return e.MemoryEngine.Delete(context.WithoutCancel(ctx), key, revision)
			}
		}
	}
}

// hangs does not return from a cancelled Put.
func hangs(e *hookedEngine) {
	e.onPut = e.whenCancelled(func(context.Context, string, []byte, uint64, time.Duration) (uint64, error) {
		<-e.over
		return 0, errDoubt
	})
}
