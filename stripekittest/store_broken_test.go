package stripekittest_test

import (
	"bytes"
	"context"
	"hash/fnv"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit"
)

// storeKey is the key that most subtests of TestStore use.
const storeKey = "test///charges//orders"

// hookedStore is a store in memory, some operations of which are replaced.
type hookedStore struct {
	stripekit.MemoryStore
	onLoad   func(ctx context.Context, key string) ([]byte, uint64, error)
	onSave   func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error)
	onDelete func(ctx context.Context, key string) error
}

func (s *hookedStore) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	if s.onLoad != nil {
		return s.onLoad(ctx, key)
	}
	return s.MemoryStore.Load(ctx, key)
}

func (s *hookedStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if s.onSave != nil {
		return s.onSave(ctx, key, data, revision)
	}
	return s.MemoryStore.Save(ctx, key, data, revision)
}

func (s *hookedStore) Delete(ctx context.Context, key string) error {
	if s.onDelete != nil {
		return s.onDelete(ctx, key)
	}
	return s.MemoryStore.Delete(ctx, key)
}

// stored returns the revision that is stored.
func (s *hookedStore) stored(key string) uint64 {
	_, revision, _ := s.MemoryStore.Load(context.Background(), key)
	return revision
}

// force saves whatever is stored.
func (s *hookedStore) force(key string, data []byte) (uint64, error) {
	for {
		next, err := s.MemoryStore.Save(context.Background(), key, data, s.stored(key))
		if err == nil {
			return next, nil
		}
	}
}

// saveIf saves if a comparison of the stored revision and the expected one is true.
func (s *hookedStore) saveIf(same func(stored, revision uint64) bool) {
	s.onSave = func(_ context.Context, key string, data []byte, revision uint64) (uint64, error) {
		if !same(s.stored(key), revision) {
			return 0, stripekit.ErrCheckpointConflict
		}
		runtime.Gosched()
		return s.force(key, data)
	}
}

// mapKeys replaces the keys of all operations.
func (s *hookedStore) mapKeys(mapped func(key string) string) {
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		return s.MemoryStore.Load(ctx, mapped(key))
	}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		return s.MemoryStore.Save(ctx, mapped(key), data, revision)
	}
	s.onDelete = func(ctx context.Context, key string) error { return s.MemoryStore.Delete(ctx, mapped(key)) }
}

// mapRevisions replaces the revisions that the caller sees; 0 stays 0.
func (s *hookedStore) mapRevisions(out, in func(uint64) uint64) {
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		data, revision, err := s.MemoryStore.Load(ctx, key)
		if revision != 0 {
			revision = out(revision)
		}
		return data, revision, err
	}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		if revision != 0 {
			revision = in(revision)
		}
		next, err := s.MemoryStore.Save(ctx, key, data, revision)
		if err != nil {
			return 0, err
		}
		return out(next), nil
	}
}

// mapData replaces what is saved.
func (s *hookedStore) mapData(mapped func(data []byte) []byte) {
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		return s.MemoryStore.Save(ctx, key, mapped(data), revision)
	}
}

// whenCancelled makes a Save take some time, and replaces its end if the context is
// cancelled within this time.
func (s *hookedStore) whenCancelled(end func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error)) {
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		if disturbed(ctx) {
			return end(ctx, key, data, revision)
		}
		return s.MemoryStore.Save(ctx, key, data, revision)
	}
}

// disturbed takes the time of a disk. It reports whether the context was cancelled
// meanwhile.
func disturbed(ctx context.Context) bool {
	timer := time.NewTimer(time.Millisecond / 2)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() != nil
	case <-ctx.Done():
		return true
	}
}

// sliceStore keeps slices, or lends its own, or both.
type sliceStore struct {
	hookedStore
	mu   sync.Mutex
	data map[string][]byte
}

func newSliceStore(keeps, lends bool) *sliceStore {
	s := &sliceStore{data: map[string][]byte{}}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		next, err := s.MemoryStore.Save(ctx, key, data, revision)
		if err == nil && keeps {
			s.data[key] = data
		} else if err == nil {
			s.data[key] = bytes.Clone(data)
		}
		return next, err
	}
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, revision, err := s.MemoryStore.Load(ctx, key)
		if lends {
			return s.data[key], revision, err
		}
		return bytes.Clone(s.data[key]), revision, err
	}
	return s
}

// deletedStore restarts its revisions when a checkpoint is deleted.
type deletedStore struct {
	hookedStore
	mu     sync.Mutex
	stores map[string]*stripekit.MemoryStore
}

func newDeletedStore() *deletedStore {
	s := &deletedStore{stores: map[string]*stripekit.MemoryStore{}}
	of := func(key string) *stripekit.MemoryStore {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.stores[key] == nil {
			s.stores[key] = new(stripekit.MemoryStore)
		}
		return s.stores[key]
	}
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) { return of(key).Load(ctx, key) }
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		return of(key).Save(ctx, key, data, revision)
	}
	s.onDelete = func(_ context.Context, key string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.stores, key)
		return nil
	}
	return s
}

// hashStore has the hash of the data as its revision.
func hashStore(s *hookedStore) {
	hash := func(data []byte) uint64 {
		sum := fnv.New64()
		sum.Write(data)
		return sum.Sum64() | 1
	}
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		data, revision, err := s.MemoryStore.Load(ctx, key)
		if revision == 0 {
			return nil, 0, err
		}
		return data, hash(data), err
	}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		old, stored, _ := s.MemoryStore.Load(ctx, key)
		if stored == 0 && revision != 0 || stored != 0 && hash(old) != revision {
			return 0, stripekit.ErrCheckpointConflict
		}
		if _, err := s.MemoryStore.Save(ctx, key, data, stored); err != nil {
			return 0, err
		}
		return hash(data), nil
	}
}

// cachingStore keeps what it has loaded or saved, although others save too.
func cachingStore(shared *stripekit.MemoryStore) stripekit.CheckpointStore {
	s := new(hookedStore)
	type checkpoint struct {
		data     []byte
		revision uint64
	}
	var cache sync.Map
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		if cached, ok := cache.Load(key); ok {
			return bytes.Clone(cached.(checkpoint).data), cached.(checkpoint).revision, nil
		}
		data, revision, err := shared.Load(ctx, key)
		if revision != 0 {
			cache.Store(key, checkpoint{data, revision})
		}
		return data, revision, err
	}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		next, err := shared.Save(ctx, key, data, revision)
		if err == nil {
			cache.Store(key, checkpoint{bytes.Clone(data), next})
		}
		return next, err
	}
	s.onDelete = shared.Delete
	return s
}

// tornStore loads the data and the revision one after the other.
func tornStore(s *hookedStore) {
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		data, _, err := s.MemoryStore.Load(ctx, key)
		runtime.Gosched()
		return data, s.stored(key), err
	}
}

// staleStore mostly loads what it has loaded before, as a replica does that is late.
func staleStore(s *hookedStore) {
	var mu sync.Mutex
	loads := 0
	var data []byte
	var revision uint64
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		if loads++; loads%10 == 0 || revision == 0 {
			var err error
			if data, revision, err = s.MemoryStore.Load(ctx, key); err != nil {
				return nil, 0, err
			}
		}
		return bytes.Clone(data), revision, nil
	}
}

// globalStore refuses a save if any key has been saved since.
func globalStore(s *hookedStore) {
	var last atomic.Uint64
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		before := last.Load()
		runtime.Gosched()
		next, err := s.MemoryStore.Save(ctx, key, data, revision)
		if err == nil && !last.CompareAndSwap(before, next) {
			return 0, stripekit.ErrCheckpointConflict
		}
		return next, err
	}
}

// patternStore deletes all checkpoints that a key matches as a pattern.
func patternStore(s *hookedStore) {
	var keys sync.Map
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		keys.Store(key, true)
		return s.MemoryStore.Save(ctx, key, data, revision)
	}
	s.onDelete = func(ctx context.Context, key string) error {
		keys.Range(func(other, _ any) bool {
			if matches, _ := path.Match(key, other.(string)); matches {
				_ = s.MemoryStore.Delete(ctx, other.(string))
			}
			return true
		})
		return s.MemoryStore.Delete(ctx, key)
	}
}
