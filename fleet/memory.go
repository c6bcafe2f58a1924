package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// maxKeyBytes is the length of the longest key.
const maxKeyBytes = 200

// MemoryEngine is an Engine that keeps records in memory, as long as the process runs.
// It is for tests, and for a fleet of one process. The zero value is ready for use.
//
// It removes a record with a ttl by a timer, which it stops when the record is replaced
// or deleted. It has no goroutines of its own.
type MemoryEngine struct {
	mu       sync.Mutex
	records  map[string]memoryRecord
	revision uint64 // of the last change of any key, so that no revision is reused
	watchers map[*memoryWatcher]struct{}
}

// memoryRecord is a stored record. Its value is never changed, so that observers may
// keep it.
type memoryRecord struct {
	value    []byte
	revision uint64
	removal  *time.Timer // nil without a ttl
}

// Get returns the value under key and its revision, as Engine defines it.
func (e *MemoryEngine) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if err := checkCall(ctx, key); err != nil {
		return nil, 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.records[key]
	return bytes.Clone(r.value), r.revision, nil
}

// Put stores a copy of value, or returns stripekit.ErrCheckpointConflict.
func (e *MemoryEngine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if err := checkCall(ctx, key); err != nil {
		return 0, err
	}
	if value == nil {
		return 0, errors.New("fleet: the value of a record must not be nil")
	}
	if ttl < 0 {
		return 0, fmt.Errorf("fleet: the ttl %v is negative", ttl)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.records[key].revision != revision {
		return 0, stripekit.ErrCheckpointConflict
	}
	e.drop(key)
	stored := memoryRecord{value: bytes.Clone(value), revision: e.nextRevision()}
	if ttl > 0 {
		stored.removal = time.AfterFunc(ttl, func() { e.expire(key, stored.revision) })
	}
	if e.records == nil {
		e.records = map[string]memoryRecord{}
	}
	e.records[key] = stored
	e.tell(memoryChange{key, stored.value, stored.revision})
	return stored.revision, nil
}

// Delete removes the record, or returns stripekit.ErrCheckpointConflict.
func (e *MemoryEngine) Delete(ctx context.Context, key string, revision uint64) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.records[key].revision {
	case 0:
		return nil
	case revision:
		e.remove(key)
		return nil
	}
	return stripekit.ErrCheckpointConflict
}

// expire removes a record whose ttl has passed. A timer that could not be stopped any
// more, because its function had begun, finds another revision, or nothing.
func (e *MemoryEngine) expire(key string, revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.records[key].revision == revision {
		e.remove(key)
	}
}

// remove removes a record and tells the watchers. The caller holds the lock.
func (e *MemoryEngine) remove(key string) {
	e.drop(key)
	e.tell(memoryChange{key, nil, e.nextRevision()})
}

// drop forgets a record, if there is one, and its timer. The caller holds the lock.
func (e *MemoryEngine) drop(key string) {
	if removal := e.records[key].removal; removal != nil {
		removal.Stop()
	}
	delete(e.records, key)
}

// nextRevision returns a revision that was never used. The caller holds the lock.
func (e *MemoryEngine) nextRevision() uint64 {
	e.revision++
	return e.revision
}

// tell gives a change to the watchers. The caller holds the lock.
func (e *MemoryEngine) tell(c memoryChange) {
	for w := range e.watchers {
		w.add(c)
	}
}

// Watch observes all records and each change, as Engine defines it. An observe that
// blocks delays only its own Watch.
func (e *MemoryEngine) Watch(ctx context.Context, observe func(key string, value []byte, revision uint64)) error {
	w := &memoryWatcher{added: make(chan struct{}, 1)}
	records := e.attach(w)
	defer e.detach(w)
	for _, c := range records {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		observe(c.key, c.value, c.revision)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	observe("", nil, 0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.added:
		}
		for _, c := range e.take(w) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			observe(c.key, c.value, c.revision)
		}
	}
}

// attach returns all records. From then on w gets the changes.
func (e *MemoryEngine) attach(w *memoryWatcher) []memoryChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[*memoryWatcher]struct{}{}
	}
	e.watchers[w] = struct{}{}
	records := make([]memoryChange, 0, len(e.records))
	for key, r := range e.records {
		records = append(records, memoryChange{key, r.value, r.revision})
	}
	return records
}

func (e *MemoryEngine) detach(w *memoryWatcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
}

// take returns the changes that w has got, and leaves none.
func (e *MemoryEngine) take(w *memoryWatcher) []memoryChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	changes := w.queue
	w.queue, w.place = nil, nil
	return changes
}

type memoryChange struct {
	key      string
	value    []byte // nil: the record was removed
	revision uint64
}

// memoryWatcher is the queue of one Watch, guarded by the lock of the engine. It keeps
// only the latest change of each key, so that it does not grow without bounds while
// observe is slow.
type memoryWatcher struct {
	queue []memoryChange
	place map[string]int // of each key in queue
	added chan struct{}  // has an element if queue may not be empty
}

func (w *memoryWatcher) add(c memoryChange) {
	if i, ok := w.place[c.key]; ok {
		w.queue[i] = c
		return
	}
	if w.place == nil {
		w.place = map[string]int{}
	}
	w.place[c.key] = len(w.queue)
	w.queue = append(w.queue, c)
	select {
	case w.added <- struct{}{}:
	default: // Watch has not taken the changes before this one yet
	}
}

// checkCall returns an error if a context is over or a key is none of a record.
func checkCall(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fleet: nothing done: %w", ctx.Err())
	}
	if !validKey(key) {
		return fmt.Errorf("fleet: invalid key %.60q: a key has 1 to %d bytes: ASCII letters, digits and -_./, with a letter or digit at both ends", key, maxKeyBytes)
	}
	return nil
}

func validKey(key string) bool {
	if key == "" || len(key) > maxKeyBytes || !isAlphanumeric(key[0]) || !isAlphanumeric(key[len(key)-1]) {
		return false
	}
	for i := range len(key) {
		switch c := key[i]; {
		case isAlphanumeric(c), c == '-', c == '_', c == '.', c == '/':
		default:
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
