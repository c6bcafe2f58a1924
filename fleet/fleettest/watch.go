package fleettest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// checkWatchState stores some thousand records, as a fleet has connections.
func checkWatchState(t *engineTest) {
	const writers, keys = 16, 1000
	engines := t.openAll(2)
	ctx, cancel := t.limit()
	defer cancel()
	key := func(i int) string { return fmt.Sprintf("connection/%08x", i*2654435761%(1<<32)) }
	var revisions [keys]uint64
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for i := writer; i < keys; i += writers {
				e, value := engines[i%2], []byte(key(i))
				revision, err := e.Put(ctx, key(i), value, 0, 0)
				if err == nil && i%10 == 3 {
					revision, err = e.Put(ctx, key(i), value, revision, time.Hour)
				}
				if err == nil && i%10 == 7 {
					err, revision = e.Delete(ctx, key(i), revision), 0
				}
				if err != nil {
					t.failf("storing %d records: %v", keys, err)
					return
				}
				revisions[i] = revision
			}
		})
	}
	all.Wait()
	t.stopIfFailed()
	for _, e := range append(engines, t.open()) {
		w := e.watchSynced()
		if want := keys - keys/10; w.state != want {
			t.Fatalf("Watch has observed %d records before the empty key: want the %d that are stored, each once", w.state, want)
		}
		for i, revision := range revisions {
			if revision == 0 {
				w.misses(key(i), "it was deleted before Watch began")
			} else {
				w.sees(0, key(i), []byte(key(i)), revision)
			}
		}
		w.end()
	}
}

// checkWatchDelay measures how long a change takes, while little else happens. This
// machine may pause in one of the tries, but hardly in all of them.
func checkWatchDelay(t *engineTest) {
	engines := t.openAll(2)
	var longest time.Duration
	for range 3 {
		if longest = t.measureDelay(engines); longest <= watchDelay+slack {
			return
		}
	}
	t.Fatalf("Watch has observed a change %v after it was made: want %v at the most", longest, watchDelay)
}

// measureDelay returns the longest time that a change takes to be observed. It ends with
// the first one that is too late.
func (t *engineTest) measureDelay(engines []*engine) (longest time.Duration) {
	t.Helper()
	watchers := []*watcher{engines[0].watchSynced(), engines[1].watchSynced()}
	see := func(value []byte, revision uint64) (inTime bool) {
		made := time.Now()
		for _, w := range watchers {
			longest = max(longest, w.sees(watchTimeout, testKey, value, revision).at.Sub(made))
		}
		return longest <= watchDelay+slack
	}
	revision := uint64(0)
	next := time.Now()
	inTime := true
	for n := 0; n < 12 && inTime; n++ {
		value := fmt.Append(nil, n)
		revision = engines[n%2].put(testKey, value, revision, 0)
		inTime = see(value, revision)
		// After a pause of another length each time, an engine may be in another state.
		next = next.Add(time.Duration(n) * 30 * time.Millisecond)
		t.until(next)
	}
	engines[0].remove(testKey, revision)
	see(nil, revision)
	return longest
}

func checkWatchChanges(t *engineTest) {
	engines := t.openAll(3)
	old := engines[0].put("old", []byte("before"), 0, 0)
	watchers := []*watcher{engines[0].watchSynced(), engines[1].watchSynced(), engines[1].watchSynced()}
	see := func(key string, value []byte, revision uint64) {
		for _, w := range watchers {
			w.sees(watchTimeout, key, value, revision)
		}
	}
	see("old", []byte("before"), old)
	revision := uint64(0)
	for i := range 6 {
		value := fmt.Append(nil, i/2) // the same value again is another change
		revision = engines[i%3].put(testKey, value, revision, time.Duration(i%3)*time.Hour)
		see(testKey, value, revision)
	}
	see("old", []byte("after"), engines[2].put("old", []byte("after"), old, 0))
	watchers[1].end()
	watchers = []*watcher{watchers[0], watchers[2], engines[2].watchSynced()}
	see(testKey, []byte("2"), revision)
	see(testKey, []byte("last"), engines[0].put(testKey, []byte("last"), revision, 0))
}

func checkWatchDelete(t *engineTest) {
	engines := t.openAll(2)
	stored := engines[0].put("stored", []byte("before"), 0, 0)
	watchers := []*watcher{engines[0].watchSynced(), engines[1].watchSynced()}
	for i, ttl := range []time.Duration{0, time.Hour, 0} {
		revision := engines[i%2].put(testKey, []byte{}, 0, ttl)
		for _, w := range watchers {
			w.sees(watchTimeout, testKey, []byte{}, revision)
		}
		engines[(i+1)%2].remove(testKey, revision)
		for _, w := range watchers {
			w.sees(watchTimeout, testKey, nil, revision)
		}
	}
	engines[1].remove("stored", stored)
	for _, w := range watchers {
		w.sees(watchTimeout, "stored", nil, stored)
	}
	last := engines[0].put("last", []byte("x"), 0, 0)
	for _, e := range engines {
		w := e.watchSynced()
		w.sees(watchTimeout, "last", []byte("x"), last)
		w.misses(testKey, "it was deleted before Watch began")
		w.misses("stored", "it was deleted before Watch began")
	}
}

// writer changes the records of its own keys, and knows how they end.
type writer struct {
	e         *engine
	keys      []string
	values    map[string][]byte // nil: deleted
	revisions map[string]uint64 // of the last Put
}

func newWriter(e *engine, name string, keys int) *writer {
	w := &writer{e: e, values: map[string][]byte{}, revisions: map[string]uint64{}}
	for i := range keys {
		w.keys = append(w.keys, fmt.Sprintf("claim/%s.%d", name, i))
	}
	return w
}

// write makes the change n: mostly a Put, sometimes a Delete.
func (w *writer) write(ctx context.Context, n int) bool {
	key := w.keys[n%len(w.keys)]
	if n%9 == 8 && w.values[key] != nil {
		if err := w.e.Delete(ctx, key, w.revisions[key]); err != nil {
			w.e.t.failf("Delete(%q) by the only writer: %v", key, err)
			return false
		}
		w.values[key] = nil
		return true
	}
	before := w.revisions[key]
	if w.values[key] == nil {
		before = 0
	}
	value := []byte(fmt.Sprintf("%s %d ", key, n) + strings.Repeat("x", n*37%500))
	revision, err := w.e.Put(ctx, key, value, before, 0)
	if err != nil {
		w.e.t.failf("Put(%q) by the only writer: %v", key, err)
		return false
	}
	w.values[key], w.revisions[key] = value, revision
	return true
}

// seen requires that a watcher has observed how the records of the writers have ended.
func (t *engineTest) seen(w *watcher, writers []*writer) {
	t.Helper()
	for _, writer := range writers {
		for key, revision := range writer.revisions {
			if value := writer.values[key]; value != nil || len(w.all(key)) > 0 {
				w.sees(watchTimeout, key, value, revision)
			}
		}
	}
}

func checkWatchLoad(t *engineTest) {
	engines := t.openAll(3)
	watchers := []*watcher{engines[0].watchSynced(), engines[1].watchSynced(), engines[1].watchSynced()}
	ctx, cancel := t.limit()
	defer cancel()
	var writers []*writer
	var all sync.WaitGroup
	for i := range 8 {
		writer := newWriter(engines[i%3], fmt.Sprint(i), 1+i)
		writers = append(writers, writer)
		all.Go(func() {
			for n := range rounds(150) {
				if !writer.write(ctx, n) {
					return
				}
			}
		})
	}
	all.Wait()
	t.stopIfFailed()
	for _, w := range watchers {
		t.seen(w, writers)
	}
}

// checkWatchBegins begins a Watch again and again while records change: nothing may be
// lost between what is stored and what changes.
func checkWatchBegins(t *engineTest) {
	const rivals = 2
	engines := t.openAll(2)
	ctx, cancel := t.limit()
	defer cancel()
	writing, stop := context.WithCancel(ctx)
	var writers []*writer
	var all sync.WaitGroup
	for i := range rivals {
		writer := newWriter(engines[i%2], fmt.Sprint(i), 3)
		writers = append(writers, writer)
		all.Go(func() {
			for n := 0; writing.Err() == nil && writer.write(ctx, n); n++ {
			}
		})
	}
	var watchers []*watcher
	for i := range rounds(8) {
		// Each of these keys is used once: no later change replaces one that is lost.
		const keys = 40
		once := newWriter(engines[i/2%2], fmt.Sprint("once.", i), keys)
		writers = append(writers, once)
		all.Go(func() {
			for n := 0; n < keys && once.write(ctx, n); n++ {
			}
		})
		w := engines[i%2].watchSynced()
		watchers = append(watchers, w)
		if !w.wait(watchTimeout, func() bool { return w.live > 3*rivals }) {
			t.failf("Watch has observed no more than some changes within %v while records change", watchTimeout)
			break
		}
	}
	stop()
	all.Wait()
	t.stopIfFailed()
	for _, w := range watchers {
		t.seen(w, writers)
	}
}

// checkWatchAndGet: what one engine has observed, a Get of another one knows.
func checkWatchAndGet(t *engineTest) {
	engines := t.openAll(2)
	w := engines[0].watchSynced()
	ctx, cancel := t.limit()
	defer cancel()
	writing, stop := context.WithCancel(ctx)
	writer := newWriter(engines[0], "w", 1)
	key := writer.keys[0]
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; writing.Err() == nil && writer.write(ctx, n); n++ {
		}
	})
	seen := uint64(0)
	for range rounds(50) {
		if !w.wait(watchTimeout, func() bool { return w.lastLocked(key).revision > seen }) {
			t.failf("Watch has observed no change for %v while a record changes", watchTimeout)
			break
		}
		last := w.last(key)
		seen = last.revision
		// A record that was removed meanwhile has no revision to compare. The first Get
		// that finds one is compared.
		if _, revision, err := engines[1].Get(ctx, key); err != nil || revision != 0 && revision < seen {
			t.failf("Get: got the revision %d and the error %v after Watch had observed the revision %d", revision, err, seen)
			break
		}
	}
	stop()
	all.Wait()
}

func checkWatchEnd(t *engineTest) {
	engines := t.openAll(2)
	ctx, cancel := t.limit()
	defer cancel()
	over, end := context.WithCancel(ctx)
	end()
	returned := make(chan error, 1)
	go func() { returned <- engines[0].Watch(over, func(string, []byte, uint64) {}) }()
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case err := <-returned:
		if err == nil {
			t.Fatalf("Watch in a context that is over has returned no error")
		}
	case <-timer.C:
		t.Fatalf("Watch in a context that is over has not returned within %v", t.patience)
	}

	quiet := engines[0].watchSynced()
	quiet.end()
	writing, stop := context.WithCancel(ctx)
	writer := newWriter(engines[1], "w", 3)
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; writing.Err() == nil && writer.write(ctx, n); n++ {
		}
	})
	for i := range rounds(8) {
		busy := engines[i%2].watchSynced()
		if !busy.wait(watchTimeout, func() bool { return busy.live > 5 }) {
			t.failf("Watch has observed no change for %v while records change", watchTimeout)
		}
		busy.end()
	}
	stop()
	all.Wait()
}
