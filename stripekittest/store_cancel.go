package stripekittest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit"
)

func checkContextOver(t *storeTest) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	s := t.open()
	for i, over := range []context.Context{cancelled, expired} {
		for operation, call := range map[string]func(ctx context.Context, key string) error{
			"Load": s.loadOver, "Save": s.saveOver, "Delete": s.deleteOver,
		} {
			err := call(over, fmt.Sprint(storeKey, operation, i))
			if err == nil {
				t.Logf("%s in a context that is over takes place", operation)
			} else if !errors.Is(err, over.Err()) {
				t.Errorf("%s in a context that is over: want no error or one that wraps %q, got %v", operation, over.Err(), err)
			}
		}
	}
}

// loadOver calls Load in a context that is over.
func (s *openStore) loadOver(ctx context.Context, key string) error {
	revision := s.save(key, numbered(0), 0)
	data, loaded, err := s.Load(ctx, key)
	if n, ok := number(data); err == nil && (!ok || n != 0 || loaded != revision) {
		s.t.Fatalf("Load in a context that is over: got %s and revision %d, and no error", brief(data), loaded)
	}
	return err
}

// saveOver calls Save in a context that is over.
func (s *openStore) saveOver(ctx context.Context, key string) error {
	revision := s.save(key, numbered(0), 0)
	next, err := s.Save(ctx, key, numbered(1), revision)
	data, stored := s.load(key)
	switch n, ok := number(data); {
	case err == nil && n == 1 && ok && stored == next:
	case err != nil && n == 0 && ok && stored == revision:
	case err != nil && n == 1 && ok && stored != revision && stored != 0:
		s.t.Logf("Save in a context that is over takes place, and returns an error")
	default:
		s.t.Fatalf("after Save in a context that is over, with the error %v: got %s and revision %d", err, brief(data), stored)
	}
	return err
}

// deleteOver calls Delete in a context that is over.
func (s *openStore) deleteOver(ctx context.Context, key string) error {
	revision := s.save(key, numbered(0), 0)
	err := s.Delete(ctx, key)
	if data, stored := s.load(key); stored == 0 {
		s.lacks(key)
	} else if n, ok := number(data); err == nil || !ok || n != 0 || stored != revision {
		s.t.Fatalf("after Delete in a context that is over, with the error %v: got %s and revision %d", err, brief(data), stored)
	}
	return err
}

// cancelSoon returns a context that is cancelled at a random moment, within about
// the time of the operations that it is for.
func (t *storeTest) cancelSoon(usual time.Duration) (ctx context.Context, cancel func()) {
	ctx, stop := t.timeout()
	// Early moments are frequent, in case that usual is too long.
	timer := time.AfterFunc(rand.N(usual+usual/2+1)>>rand.N(4), stop)
	return ctx, func() { timer.Stop(); stop() }
}

// usualSave returns how long the fastest of some saves takes.
func (t *storeTest) usualSave(s *openStore) time.Duration {
	t.Helper()
	usual := storeTimeout
	revision := uint64(0)
	for n := range 6 {
		began := time.Now()
		revision = s.save("test///charges//timed", numbered(n), revision)
		usual = min(usual, time.Since(began))
	}
	return usual
}

// doubtful is a checkpoint with numbered data, some saves of which were cancelled: they
// may have taken place, or may still do so.
type doubtful struct {
	t        *storeTest
	number   int // of the data that was stored for sure
	revision uint64
	may      map[int]*openStore // the saves on top of it that were cancelled, and who made them
}

// load loads the checkpoint, which is that of the last save, or of one in doubt. In the
// second case later saves of the same store are in doubt still: it may have accepted them
// on top of that one.
func (d *doubtful) load(s *openStore) {
	d.t.Helper()
	data, revision := s.load(storeKey)
	n, ok := number(data)
	switch {
	case !ok || revision == 0:
		d.t.Fatalf("Load after a cancelled Save: got %s and revision %d: want the old or the new data", brief(data), revision)
	case n == d.number && revision == d.revision:
	case d.may[n] != nil && revision != d.revision:
		maker := d.may[n]
		maps.DeleteFunc(d.may, func(other int, s *openStore) bool { return other <= n || s != maker })
		d.number, d.revision = n, revision
	default:
		d.t.Fatalf("Load: got data %d with revision %d; data %d with revision %d was saved before, and %v were cancelled since",
			n, revision, d.number, d.revision, slices.Sorted(maps.Keys(d.may)))
	}
}

// save saves the next data. It reports whether that succeeded.
func (d *doubtful) save(ctx context.Context, s *openStore, n int) bool {
	d.t.Helper()
	next, err := s.Save(ctx, storeKey, numbered(n), d.revision)
	switch {
	case err == nil:
		d.number, d.revision, d.may = n, next, map[int]*openStore{}
		return true
	case errors.Is(err, errHangs), errors.Is(err, stripekit.ErrCheckpointConflict) && len(d.may) == 0:
		d.t.Fatalf("the only saver, with the stored revision: %v", err)
	case !errors.Is(err, stripekit.ErrCheckpointConflict):
		d.may[n] = s
	}
	return false
}

func checkCancelledSaves(t *storeTest) {
	stores := t.openAll(2)
	usual := t.usualSave(stores[0])
	d := &doubtful{t: t, may: map[int]*openStore{}}
	d.revision = stores[0].save(storeKey, numbered(0), 0)
	saved, all := 0, 0
	for n := range rounds(60) {
		ctx, cancel := t.cancelSoon(usual)
		if d.save(ctx, stores[n/10%2], n+1) {
			saved++
		}
		cancel()
		all++
		d.load(stores[n%2])
	}
	t.Logf("of %d cancelled saves %d returned no error", all, saved)

	for try := range 10 {
		d.load(stores[1])
		if d.save(t.Context(), stores[0], all+1+try) {
			d.load(stores[0])
			return
		}
	}
	t.Fatalf("after cancelled saves, no save succeeds any more")
}

func checkCancelledDeletes(t *storeTest) {
	stores := t.openAll(2)
	usual := t.usualSave(stores[0])
	for n := range rounds(30) {
		key := fmt.Sprint(storeKey, n)
		s, other := stores[n%2], stores[(n+1)%2]
		revision := s.save(key, numbered(n), 0)
		ctx, cancel := t.cancelSoon(usual)
		err := s.Delete(ctx, key)
		cancel()
		if errors.Is(err, errHangs) {
			t.Fatalf("%v", err)
		}
		data, stored := other.load(key)
		if err == nil && stored != 0 || stored != 0 && (stored != revision || string(data) != string(numbered(n))) {
			t.Fatalf("after a cancelled Delete with the error %v: got %s and revision %d; revision %d was saved", err, brief(data), stored, revision)
		}
		other.goesOn(key)
	}
}

// goesOn requires that a Save with the loaded revision succeeds. It may be refused as
// long as a cancelled operation takes place late.
func (s *openStore) goesOn(key string) {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	var err error
	for range 10 {
		_, revision := s.load(key)
		if _, err = s.Save(ctx, key, []byte("anew"), revision); err == nil {
			return
		}
		if !errors.Is(err, stripekit.ErrCheckpointConflict) {
			break
		}
	}
	s.t.Fatalf("after cancelled operations, Save with the loaded revision: %v", err)
}

func checkCancelledCrowd(t *storeTest) {
	stores := t.openAll(2)
	stores[0].save(storeKey, numbered(0), 0)
	ctx, cancel := context.WithTimeout(t.Context(), spell)
	defer cancel()
	var saves atomic.Int64
	var all sync.WaitGroup
	for saver := range 32 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, revision, err := stores[saver%2].Load(ctx, storeKey)
				if err == nil {
					_, err = stores[saver%2].Save(ctx, storeKey, numbered(saver), revision)
				}
				if err == nil && saves.Add(1) == 20 {
					cancel()
				}
				conflict := errors.Is(err, stripekit.ErrCheckpointConflict)
				if errors.Is(err, errHangs) || err != nil && !conflict && ctx.Err() == nil {
					t.failf("Load and Save among those of others: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	data, _ := stores[0].load(storeKey)
	if n, ok := number(data); !ok || n >= 32 {
		t.Errorf("after cancelled saves: got %s: want the data of one of them", brief(data))
	}
	stores[1].goesOn(storeKey)
}
