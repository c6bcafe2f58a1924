package fleettest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// watcher is a Watch that is under way. It holds each call of observe to the sentences
// that are about every call, and remembers it.
type watcher struct {
	t      *engineTest
	cancel context.CancelFunc
	done   chan struct{} // closed when Watch has returned
	err    error         // of Watch, when done is closed
	busy   atomic.Bool   // observe is being called

	mu      sync.Mutex
	ending  bool // cancel was called
	ended   bool // Watch has returned
	synced  bool // observe was called with an empty key
	state   int  // calls of observe with a record before that
	live    int  // and after that
	changes map[string][]change
	changed chan struct{} // closed and replaced at each call of observe
}

// change is a call of observe.
type change struct {
	value    []byte // a copy
	kept     []byte // the slice that observe may keep
	revision uint64
	at       time.Time
}

// watch begins a Watch. It ends with the test at the latest.
func (e *engine) watch() *watcher {
	ctx, cancel := context.WithCancel(e.t.Context())
	w := &watcher{
		t: e.t, cancel: cancel, done: make(chan struct{}),
		changes: map[string][]change{}, changed: make(chan struct{}),
	}
	go func() {
		err := e.Watch(ctx, w.observe)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err, w.ended = err, true
		if !w.ending && ctx.Err() == nil {
			e.t.failf("Watch has ended, although its context has not, with the error %v", err)
		}
		close(w.done)
	}()
	e.t.Cleanup(w.end)
	return w
}

// watchSynced begins a Watch, and waits until it has observed what is stored.
func (e *engine) watchSynced() *watcher {
	e.t.Helper()
	w := e.watch()
	w.sync()
	return w
}

func (w *watcher) observe(key string, value []byte, revision uint64) {
	at := time.Now()
	if !w.busy.CompareAndSwap(false, true) {
		w.t.failf("observe is called by two goroutines at a time")
	}
	defer w.busy.Store(false)
	runtime.Gosched()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		w.t.failf("observe(%.40q, %s, %d) is called after Watch has returned", key, brief(value), revision)
		return
	}
	if key == "" {
		if w.synced {
			w.t.failf("observe is called with an empty key more than once")
		}
		w.synced = true
	} else {
		w.check(key, value, revision)
		w.changes[key] = append(w.changes[key], change{bytes.Clone(value), value, revision, at})
		if w.synced {
			w.live++
		} else {
			w.state++
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// check compares a change of a record with the one before.
func (w *watcher) check(key string, value []byte, revision uint64) {
	if revision == 0 {
		w.t.failf("observe(%.40q, %s, 0): the revision 0 means that there is no record; a removal has a greater one", key, brief(value))
	}
	before := w.lastLocked(key)
	switch {
	case revision < before.revision:
		w.t.failf("observe(%.40q, %s, %d) is called after the revision %d was observed: the revisions of a key never decrease",
			key, brief(value), revision, before.revision)
	case revision == before.revision && before.revision != 0 && (!bytes.Equal(value, before.value) || (value == nil) != (before.value == nil)):
		w.t.failf("observe(%.40q) has got the revision %d with %s and with %s: a revision identifies one Put, and that of a removal is greater",
			key, revision, brief(before.value), brief(value))
	}
}

// lastLocked returns the last change of a key, or none. The caller holds the lock.
func (w *watcher) lastLocked(key string) change {
	if all := w.changes[key]; len(all) > 0 {
		return all[len(all)-1]
	}
	return change{}
}

// last returns the last change of a key that was observed, or none.
func (w *watcher) last(key string) change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastLocked(key)
}

// all returns the changes of a key that were observed.
func (w *watcher) all(key string) []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]change(nil), w.changes[key]...)
}

// wait waits until a condition is true, which is evaluated under the lock. It reports
// whether it became true in time.
func (w *watcher) wait(within time.Duration, condition func() bool) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for over := false; ; {
		w.mu.Lock()
		ok, changed := condition(), w.changed
		w.mu.Unlock()
		if ok || over {
			return ok
		}
		select {
		case <-changed:
		case <-w.done:
			over = true
		case <-timer.C:
			over = true
		}
	}
}

// sync waits for the empty key.
func (w *watcher) sync() {
	w.t.Helper()
	if !w.wait(watchTimeout, func() bool { return w.synced }) {
		w.t.stopIfFailed()
		w.t.Fatalf("Watch has not called observe with an empty key within %v", watchTimeout)
	}
}

// sees requires that a change is observed in time, and is the last one of its key. A
// value of nil is a removal, and revision then the one of the removed record.
func (w *watcher) sees(within time.Duration, key string, value []byte, revision uint64) change {
	w.t.Helper()
	isThere := func() bool {
		last := w.lastLocked(key)
		return last.revision > revision || last.revision == revision && value != nil
	}
	what := fmt.Sprintf("%s with the revision %d", brief(value), revision)
	if value == nil {
		what = fmt.Sprintf("the removal of the revision %d", revision)
	}
	found := w.wait(within, isThere)
	w.t.stopIfFailed()
	last := w.last(key)
	switch {
	case !found:
		w.t.Fatalf("Watch has not observed %s of %.40q within %v: the last observed is %s with the revision %d", what, key, within, brief(last.value), last.revision)
	case value == nil && last.value != nil, value != nil && (!bytes.Equal(last.value, value) || last.value == nil || last.revision != revision):
		w.t.Fatalf("Watch has observed %s with the revision %d as the last change of %.40q: want %s", brief(last.value), last.revision, key, what)
	}
	return last
}

// misses requires that a key was not observed.
func (w *watcher) misses(key, why string) {
	w.t.Helper()
	if all := w.all(key); len(all) > 0 {
		w.t.Fatalf("Watch has observed %.40q as %s with the revision %d, although %s", key, brief(all[0].value), all[0].revision, why)
	}
}

// end ends Watch, and requires that it returns an error, and has not changed the values
// that observe was called with.
func (w *watcher) end() {
	w.t.Helper()
	w.mu.Lock()
	again := w.ending
	w.ending = true
	w.mu.Unlock()
	w.cancel()
	if again {
		return
	}
	timer := time.NewTimer(w.t.patience)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
		w.t.failf("Watch has not returned within %v, although its context is over", w.t.patience)
		return
	}
	if w.err == nil {
		w.t.failf("Watch has returned no error when its context ended")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, changes := range w.changes {
		for _, c := range changes {
			if !bytes.Equal(c.value, c.kept) {
				w.t.failf("the value %s of %.40q with the revision %d, which observe may keep, was changed to %s",
					brief(c.value), key, c.revision, brief(c.kept))
			}
		}
	}
}
