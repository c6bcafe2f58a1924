package stripekittest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stripekit/stripekit"
)

// TestStore tests an implementation of stripekit.CheckpointStore against all that
// the interface promises, also while many use the store at the same time, and by a
// Poller and a Backfill. Each promise is a subtest.
//
//	func TestStore(t *testing.T) {
//		stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
//			dir := t.TempDir()
//			return func() stripekit.CheckpointStore {
//				store, err := mystore.Open(dir)
//				if err != nil {
//					t.Fatal(err)
//				}
//				t.Cleanup(func() { store.Close() })
//				return store
//			}
//		})
//	}
//
// newStorage is called once in each subtest, and returns a function that opens a store
// on a new, empty storage: a folder, a table, a bucket. That function is called up to
// five times, on the goroutine of the subtest. It should open another store on the same
// storage each time, as another process would. If it can only return the same store, as
// one in memory, all subtests run with that store, and a log line says so.
//
// A subtest calls stores up to 100 times at the same time. A store of a database should
// limit its connections.
//
// A key that a store cannot keep must be refused by Load, Save and Delete alike; the
// keys of Pollers must not be refused. An operation whose context is over must return
// within seconds: an error that wraps the context's, or nil if it took place.
//
// TestStore makes about 1,500 saves, 350 deletes and some thousand other operations. It
// takes a few seconds with a fast store, and about 20 s if a save takes 10 ms. It logs
// how fast the store is.
func TestStore(t *testing.T, newStorage func(t *testing.T) (open func() stripekit.CheckpointStore)) {
	t.Helper()
	var onlyStore sync.Once
	for _, check := range storeChecks {
		t.Run(check.name, func(t *testing.T) {
			check.run(&storeTest{TB: t, openStore: newStorage(t), patience: storePatience, onlyStore: &onlyStore})
		})
	}
}

// storeChecks are the subtests of TestStore.
var storeChecks = []struct {
	name string
	run  func(t *storeTest)
}{
	{"an empty store has no checkpoint", checkEmptyStore},
	{"each save is loaded by every store", checkSaves},
	{"each save has a revision of its own", checkRevisions},
	{"a save with another revision is refused", checkConflicts},
	{"the slices are the caller's", checkSlices},
	{"empty data is stored", checkEmptyData},
	{"data is kept as it is", checkData},
	{"a delete removes the checkpoint", checkDelete},
	{"no revision returns after a delete", checkRevisionsAfterDelete},
	{"keys of Pollers are kept", checkPollerKeys},
	{"every key is kept distinct or refused", checkHostileKeys},
	{"of 100 saves at the same time one succeeds", checkRace},
	{"no update is lost", checkCounter},
	{"keys do not disturb each other", checkKeysAtOnce},
	{"loads among saves are consistent", checkLoadsAmongSaves},
	{"deletes among saves lose nothing else", checkDeletesAmongSaves},
	{"a context that is over ends an operation", checkContextOver},
	{"a save that is cancelled takes place or not", checkCancelledSaves},
	{"a delete that is cancelled takes place or not", checkCancelledDeletes},
	{"waiting saves end with their context", checkCancelledCrowd},
	{"a Poller continues where it was stopped", checkPoller},
	{"of two Pollers the newer one continues", checkTwoPollers},
	{"a Backfill continues where it was left", checkBackfill},
	{"speed", logSpeed},
}

const (
	// storeTimeout bounds each operation of a store.
	storeTimeout = 30 * time.Second
	// storePatience is how long an operation may go on after its context is over.
	storePatience = 10 * time.Second
	// storeKey is a key as Pollers have it.
	storeKey = "test///charges//orders"
)

// storeTest is one subtest, with a storage of its own.
type storeTest struct {
	testing.TB
	openStore func() stripekit.CheckpointStore
	first     stripekit.CheckpointStore // that was opened
	patience  time.Duration             // for operations whose context is over
	onlyStore *sync.Once                // logs that the same store is opened each time
	failed    sync.Once
}

// failf fails the test. It is for goroutines: what the first one finds is enough.
func (t *storeTest) failf(format string, args ...any) {
	t.Helper()
	t.failed.Do(func() { t.Errorf(format, args...) })
}

// open opens a store on the storage. It must be called by the goroutine of the test.
func (t *storeTest) open() *openStore {
	t.Helper()
	store := t.openStore()
	if store == nil {
		t.Fatalf("the function that opens a store has returned nil")
	}
	if t.first == nil {
		t.first = store
	} else if reflect.TypeOf(store).Comparable() && store == t.first {
		t.onlyStore.Do(func() {
			t.Logf("the same store is opened each time: the subtests show nothing about several stores on one storage, such as those of several processes")
		})
	}
	return &openStore{t: t, store: store}
}

// openAll opens n stores on the storage.
func (t *storeTest) openAll(n int) []*openStore {
	t.Helper()
	stores := make([]*openStore, n)
	for i := range stores {
		stores[i] = t.open()
	}
	return stores
}

// timeout returns a context for one operation.
func (t *storeTest) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), storeTimeout)
}

// errHangs is the error of an operation that has not ended with its context.
var errHangs = errors.New("has not returned, although its context is over")

// openStore is a CheckpointStore whose operations end with their context, even if
// those of the store do not. The methods without a context are for the goroutine of
// the test: they end the test if the store does something wrong.
type openStore struct {
	t     *storeTest
	store stripekit.CheckpointStore
}

// result is what an operation of a store returns.
type result struct {
	data     []byte
	revision uint64
	err      error
}

func (s *openStore) call(ctx context.Context, operation string, key string, call func() result) result {
	done := make(chan result, 1)
	go func() { done <- call() }()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
	}
	timer := time.NewTimer(s.t.patience)
	defer timer.Stop()
	select {
	case r := <-done:
		return r
	case <-timer.C:
		return result{err: fmt.Errorf("%s(%.60q) %w", operation, key, errHangs)}
	}
}

func (s *openStore) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	r := s.call(ctx, "Load", key, func() (r result) {
		r.data, r.revision, r.err = s.store.Load(ctx, key)
		return r
	})
	return r.data, r.revision, r.err
}

func (s *openStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	r := s.call(ctx, "Save", key, func() (r result) {
		r.revision, r.err = s.store.Save(ctx, key, data, revision)
		return r
	})
	return r.revision, r.err
}

func (s *openStore) Delete(ctx context.Context, key string) error {
	return s.call(ctx, "Delete", key, func() result { return result{err: s.store.Delete(ctx, key)} }).err
}

// load loads a checkpoint.
func (s *openStore) load(key string) (data []byte, revision uint64) {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	data, revision, err := s.Load(ctx, key)
	if err != nil {
		s.t.Fatalf("Load(%.60q): %v", key, err)
	}
	return data, revision
}

// save saves a checkpoint, which must succeed.
func (s *openStore) save(key string, data []byte, revision uint64) uint64 {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	next, err := s.Save(ctx, key, data, revision)
	switch {
	case err != nil:
		s.t.Fatalf("Save(%.60q) of %d bytes with the stored revision %d: %v", key, len(data), revision, err)
	case next == 0:
		s.t.Fatalf("Save(%.60q) has returned the revision 0, which means that nothing is stored", key)
	case next == revision:
		s.t.Fatalf("Save(%.60q) has returned the revision %d, which is that of the data before", key, next)
	}
	return next
}

// remove deletes a checkpoint, which must succeed.
func (s *openStore) remove(key string) {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	if err := s.Delete(ctx, key); err != nil {
		s.t.Fatalf("Delete(%.60q): %v", key, err)
	}
}

// refuses requires that a Save with a revision that is not the stored one fails.
func (s *openStore) refuses(key string, revision uint64) {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	next, err := s.Save(ctx, key, []byte("must not be stored"), revision)
	switch {
	case err == nil:
		s.t.Fatalf("Save(%.60q) with the revision %d, which is not the stored one, has returned %d: want ErrCheckpointConflict", key, revision, next)
	case !errors.Is(err, stripekit.ErrCheckpointConflict):
		s.t.Fatalf("Save(%.60q) with the revision %d, which is not the stored one: want an error that wraps ErrCheckpointConflict, got %v", key, revision, err)
	}
}

// has requires that a checkpoint is stored.
func (s *openStore) has(key string, data []byte, revision uint64) {
	s.t.Helper()
	gotData, gotRevision := s.load(key)
	if string(gotData) != string(data) || gotRevision != revision {
		s.t.Fatalf("Load(%.60q): got %s and revision %d, want %s and revision %d",
			key, brief(gotData), gotRevision, brief(data), revision)
	}
}

// lacks requires that no checkpoint is stored.
func (s *openStore) lacks(key string) {
	s.t.Helper()
	if data, revision := s.load(key); data != nil || revision != 0 {
		s.t.Fatalf("Load(%.60q): got %s and revision %d, want nil and 0, since nothing is stored", key, brief(data), revision)
	}
}

// brief returns data for a message.
func brief(data []byte) string {
	const most = 40
	switch {
	case data == nil:
		return "nil"
	case len(data) > most:
		return fmt.Sprintf("%q… (%d bytes)", data[:most], len(data))
	}
	return fmt.Sprintf("%q", data)
}
