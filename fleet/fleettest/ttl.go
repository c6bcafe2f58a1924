package fleettest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// shortTTL is the ttl of most records that shall be removed.
const shortTTL = time.Second

// checkWindow has records removed. Some are read all the time, others only watched.
func checkWindow(t *engineTest) {
	engines := t.openAll(2)
	w := engines[1].watchSynced()
	var all sync.WaitGroup
	for i, ttl := range []time.Duration{shortTTL, 1500 * time.Millisecond, 2 * time.Second, 2700 * time.Millisecond} {
		for j, read := range []bool{false, true} {
			key := fmt.Sprintf("session/%d.%d", i, j)
			all.Go(func() {
				began := time.Now()
				ctx, cancel := t.limit()
				defer cancel()
				revision, err := engines[0].Put(ctx, key, []byte("x"), 0, ttl)
				if err != nil {
					t.failf("Put with the ttl %v: %v", ttl, err)
					return
				}
				life := lifetime{key: key, ttl: ttl, revision: revision, began: began, stored: time.Now()}
				if read {
					life.read(ctx, engines[1])
				}
				life.watched(w)
			})
		}
	}
	all.Wait()
}

// lifetime is a record that shall be removed by its ttl.
type lifetime struct {
	key      string
	ttl      time.Duration
	revision uint64
	began    time.Time // before Put was called
	stored   time.Time // after Put had returned
}

func (l lifetime) earliest() time.Time { return l.began.Add(l.ttl - drift) }
func (l lifetime) latest() time.Time   { return l.stored.Add(l.ttl + removalDelay + slack) }

// read reads the record until it is removed.
func (l lifetime) read(ctx context.Context, e *engine) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		asked := time.Now()
		_, revision, err := e.Get(ctx, l.key)
		switch {
		case err != nil:
			e.t.failf("Get(%q): %v", l.key, err)
			return
		case revision == 0:
			if since := time.Since(l.began); time.Now().Before(l.earliest()) {
				e.t.failf("Get(%q) has found the record removed %v after Put was called, before its ttl of %v had passed", l.key, since, l.ttl)
			}
			return
		case revision != l.revision:
			e.t.failf("Get(%q): got the revision %d: want %d until the record is removed", l.key, revision, l.revision)
			return
		case asked.After(l.latest()):
			e.t.failf("Get(%q) has found the record %v after Put had returned: its ttl is %v, and it must be removed within %v after that",
				l.key, asked.Sub(l.stored), l.ttl, removalDelay)
			return
		}
		<-ticker.C
	}
}

// watched requires that the removal is observed in time.
func (l lifetime) watched(w *watcher) {
	within := time.Until(l.latest().Add(watchDelay))
	removed := func() bool { return w.lastLocked(l.key).revision > l.revision }
	if !w.wait(within, removed) {
		w.t.failf("Watch has not observed the removal of %q, of the ttl %v, within %v and %v: nobody has used the engine since",
			l.key, l.ttl, l.ttl+removalDelay, watchDelay)
		return
	}
	switch last := w.last(l.key); {
	case last.value != nil:
		w.t.failf("Watch has observed %q as %s with the revision %d, and no removal by ttl", l.key, brief(last.value), last.revision)
	case last.at.Before(l.earliest()):
		w.t.failf("Watch has observed the removal of %q %v after Put was called, before its ttl of %v had passed", l.key, last.at.Sub(l.began), l.ttl)
	}
}

// checkRemovalKnown: an engine that has observed a removal acts on it, and no Get of
// another one may know less.
func checkRemovalKnown(t *engineTest) {
	engines := t.openAll(3)
	w := engines[1].watchSynced()
	var all sync.WaitGroup
	ctx, cancel := t.limit()
	defer cancel()
	var revisions [10]uint64
	for i := range revisions {
		key := fmt.Sprint("session/w.", i)
		revision := engines[i%3].put(key, []byte("x"), 0, shortTTL+time.Duration(i)*37*time.Millisecond)
		revisions[i] = revision
		all.Go(func() {
			known := engines[2].waitRemoved
			if i%2 == 0 {
				known = w.waitRemoval
			}
			if !known(ctx, key, revision) {
				return
			}
			for _, e := range engines {
				if value, stored, err := e.Get(ctx, key); err != nil || stored != 0 {
					t.failf("Get(%q) after the removal by ttl was observed, or seen by another Get: got %s, revision %d and the error %v: want nil and 0",
						key, brief(value), stored, err)
				}
			}
		})
	}
	all.Wait()
	t.stopIfFailed()
	for i, revision := range revisions {
		key := fmt.Sprint("session/w.", i)
		w.sees(watchDelay+slack, key, nil, revision)
		revisions[i] = engines[i%3].put(key, []byte("again"), 0, 0)
	}
	for i, revision := range revisions { // it is greater than that of the removal
		w.sees(watchTimeout, fmt.Sprint("session/w.", i), []byte("again"), revision)
	}
}

// waitRemoval waits until a removal is observed.
func (w *watcher) waitRemoval(_ context.Context, key string, revision uint64) bool {
	removed := w.wait(watchTimeout, func() bool { return w.lastLocked(key).revision > revision })
	if !removed {
		w.t.failf("Watch has not observed the removal of %q by its ttl within %v", key, watchTimeout)
	}
	return removed
}

// waitRemoved waits until Get says that there is no record.
func (e *engine) waitRemoved(ctx context.Context, key string, _ uint64) bool {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, revision, err := e.Get(ctx, key)
		if err != nil {
			e.t.failf("Get(%q) until the record is removed by its ttl: %v", key, err)
			return false
		}
		if revision == 0 {
			return true
		}
		<-ticker.C
	}
}

// checkRemovalFinal makes each operation the first one after a removal.
func checkRemovalFinal(t *engineTest) {
	engines := t.openAll(2)
	var records [6]lifetime
	for i := range records {
		records[i] = t.putInTime([]*engine{engines[0], engines[0]}, fmt.Sprint("session/w.", i), []time.Duration{0, shortTTL})
	}
	key := func(i int) string { return records[i].key }
	revision := func(i int) uint64 { return records[i].revision }
	t.until(time.Now().Add(shortTTL + removalDelay + slack))
	const why = "and the record was removed by its ttl"
	engines[0].refuses(key(0), revision(0), why)
	engines[1].refuses(key(1), revision(1), why)
	engines[0].remove(key(2), revision(2))
	engines[1].remove(key(3), revision(3)+1)
	engines[1].lacks(key(4))
	for i, e := range []*engine{engines[0], engines[1]} {
		k, old := key(4+i), revision(4+i)
		next := e.put(k, []byte("second"), 0, 0)
		if next <= old {
			t.Fatalf("the first Put after a removal by ttl has the revision %d, and the removed record had %d: it must grow", next, old)
		}
		e.refuses(k, old, "which is older than a removal by ttl")
		e.keeps(k, old)
		e.has(k, []byte("second"), next)
	}
	for i := range 4 {
		engines[i%2].lacks(key(i))
		engines[i%2].refuses(key(i), revision(i), why)
		w := engines[0].watchSynced()
		w.misses(key(i), "it was removed by its ttl before Watch began")
		next := engines[i%2].put(key(i), []byte("second"), 0, 0)
		if next <= revision(i) {
			t.Fatalf("the first Put after a removal by ttl has the revision %d, and the removed record had %d: it must grow", next, revision(i))
		}
		w.sees(watchTimeout, key(i), []byte("second"), next)
	}
}

// checkRenewals renews a record as a worker renews its session.
func checkRenewals(t *engineTest) {
	const ttl, every, renewals = 2 * time.Second, 400 * time.Millisecond, 13
	engines := t.openAll(2)
	for try := range 5 {
		w := engines[1].watchSynced()
		key := fmt.Sprint("session/w.", try)
		put := time.Now() // before the Put that is stored was called
		revision := engines[0].put(key, []byte("0"), 0, ttl)
		tooSlow := false
		for n := range renewals {
			t.until(put.Add(every))
			_, stored := engines[1].get(key)
			again := time.Now()
			next, err := engines[0].renew(key, fmt.Append(nil, n+1), revision, ttl)
			if tooSlow = time.Since(put) >= ttl-drift; tooSlow {
				break
			}
			if err != nil || stored != revision {
				t.Fatalf("the renewal %d, %v after the Put before with the ttl %v: Get has found the revision %d, want %d; the error of the renewal: %v",
					n+1, time.Since(put), ttl, stored, revision, err)
			}
			revision, put = next, again
		}
		if tooSlow {
			continue
		}
		w.sees(watchTimeout, key, fmt.Append(nil, renewals), revision)
		for _, c := range w.all(key) {
			if c.value == nil {
				t.Fatalf("Watch has observed the removal of a record that was renewed every %v with the ttl %v", every, ttl)
			}
		}
		return
	}
	t.Fatalf("no result: this machine was too slow to renew a record within its ttl of %v", ttl)
}

// renew puts a record again. The caller decides about the error.
func (e *engine) renew(key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	ctx, cancel := e.t.limit()
	defer cancel()
	return e.Put(ctx, key, value, revision, ttl)
}

// checkLateRenewals renews records about when they are removed. Each renewal either
// gives the record its whole ttl again, or is a conflict, and the record is gone.
func checkLateRenewals(t *engineTest) {
	const keys = 40
	engines := t.openAll(3)
	w := engines[2].watchSynced()
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key := fmt.Sprint("session/w.", i)
			began := time.Now()
			revision, err := engines[0].renew(key, []byte("first"), 0, shortTTL)
			if err != nil {
				t.failf("Put(%q) with a ttl: %v", key, err)
				return
			}
			// From a little before the earliest removal to the last one.
			wait := shortTTL - 100*time.Millisecond + removalDelay*time.Duration(i)/keys
			timer := time.NewTimer(time.Until(began.Add(wait)))
			defer timer.Stop()
			<-timer.C
			engines[1+i%2].renewLate(w, lifetime{key: key, ttl: shortTTL, revision: revision, began: began})
		})
	}
	all.Wait()
}

// renewLate renews a record that may have been removed.
func (e *engine) renewLate(w *watcher, old lifetime) {
	again := time.Now()
	next, err := e.renew(old.key, []byte("renewed"), old.revision, old.ttl)
	ended := time.Now()
	ctx, cancel := e.t.limit()
	defer cancel()
	value, stored, getErr := e.Get(ctx, old.key)
	renewed := lifetime{key: old.key, ttl: old.ttl, revision: next, began: again, stored: ended}
	inTime := time.Now().Before(renewed.earliest())
	switch {
	case getErr != nil:
		e.t.failf("Get(%q) after a renewal: %v", old.key, getErr)
	case errors.Is(err, stripekit.ErrCheckpointConflict):
		if stored != 0 {
			e.t.failf("a renewal of %q was a conflict, and then Get has found %s with the revision %d: the renewal had the revision %d, and a removal is final",
				old.key, brief(value), stored, old.revision)
		} else if ended.Before(old.earliest()) {
			e.t.failf("a renewal of %q was a conflict, although its ttl had not passed", old.key)
		}
	case err != nil:
		e.t.failf("a renewal of %q: want no error, or one that wraps ErrCheckpointConflict, got %v", old.key, err)
	case inTime && (stored != next || string(value) != "renewed"):
		e.t.failf("Get(%q) after a renewal, which has the revision %d: got %s and revision %d", old.key, next, brief(value), stored)
	default:
		renewed.watched(w)
		for _, c := range w.all(old.key) {
			if c.value == nil && c.at.Before(renewed.earliest()) {
				e.t.failf("Watch has observed a removal of %q %v after it was renewed with a ttl of %v: the renewal has brought a removed record back, or the earlier ttl has removed the renewed one",
					old.key, c.at.Sub(again), old.ttl)
			}
		}
	}
}

// checkLastTTL replaces a ttl by none, none by a ttl, a ttl by another one, and a
// deleted record by a new one.
func checkLastTTL(t *engineTest) {
	engines := t.openAll(2)
	w := engines[1].watchSynced()
	const long = time.Hour
	put := func(key string, ttls ...time.Duration) lifetime { return t.putInTime(engines, key, ttls) }
	stay := []lifetime{
		put("a/ttl.then.none", shortTTL, 0), put("a/short.then.long", shortTTL, long),
		put("a/none.ttl.none", 0, shortTTL, 0), put("a/long", long), put("a/none", 0),
	}
	deleted := put("a/deleted", shortTTL)
	engines[0].remove(deleted.key, deleted.revision)
	stay = append(stay, lifetime{key: deleted.key, revision: engines[1].put(deleted.key, []byte("x"), 0, 0), stored: time.Now()})
	gone := []lifetime{
		put("b/none.then.ttl", 0, shortTTL), put("b/long.then.short", long, shortTTL), put("b/none.long.short", 0, long, shortTTL),
	}
	for _, l := range gone {
		l.watched(w)
		engines[0].lacks(l.key)
	}
	t.until(stay[len(stay)-1].stored.Add(shortTTL + removalDelay + slack))
	for i, l := range stay {
		value, revision := engines[i%2].get(l.key)
		if revision != l.revision || string(value) != "x" {
			t.Fatalf("Get(%q), whose ttl is that of the last Put, %v (0: none): got %s and revision %d, want revision %d", l.key, l.ttl, brief(value), revision, l.revision)
		}
		w.sees(watchDelay, l.key, []byte("x"), l.revision)
	}
}

// putInTime puts a record again and again, before a ttl can have removed it.
func (t *engineTest) putInTime(engines []*engine, key string, ttls []time.Duration) lifetime {
	t.Helper()
	for try := range 5 {
		l := lifetime{key: fmt.Sprint(key, ".", try)}
		tooSlow := false
		for i, ttl := range ttls {
			began := time.Now()
			next, err := engines[i%2].renew(l.key, []byte("x"), l.revision, ttl)
			made := lifetime{ttl: ttl, began: began} // it may be over before Put returns
			over := func(l lifetime) bool { return l.ttl > 0 && !time.Now().Before(l.earliest()) }
			if tooSlow = err != nil && (over(l) || over(made)); tooSlow {
				break
			}
			if err != nil {
				t.Fatalf("Put(%q) with the stored revision %d and the ttl %v: %v", l.key, l.revision, ttl, err)
			}
			l.ttl, l.revision, l.began, l.stored = ttl, next, began, time.Now()
		}
		if !tooSlow {
			return l
		}
	}
	t.Fatalf("no result: this machine was too slow to put %q again within its ttl", key)
	return lifetime{}
}

func checkWatchAfterRemoval(t *engineTest) {
	engines := t.openAll(2)
	during := engines[1].watchSynced()
	var revisions [5]uint64
	for i := range revisions {
		revisions[i] = engines[i%2].put(fmt.Sprint("session/w.", i), []byte("x"), 0, shortTTL)
	}
	stays := engines[0].put("other", []byte("stays"), 0, 0)
	for i, revision := range revisions {
		during.sees(shortTTL+removalDelay+watchDelay+slack, fmt.Sprint("session/w.", i), nil, revision)
	}
	for _, e := range engines {
		w := e.watchSynced()
		w.sees(watchTimeout, "other", []byte("stays"), stays)
		next := e.put("live", []byte("x"), 0, 0)
		w.sees(watchTimeout, "live", []byte("x"), next)
		for i := range 5 {
			w.misses(fmt.Sprint("session/w.", i), "it was removed by its ttl before Watch began")
		}
		e.remove("live", next)
	}
}

// checkWatchAmongRemovals begins Watches while records are removed: each one observes
// either nothing of a record, or its removal at last.
func checkWatchAmongRemovals(t *engineTest) {
	const keys, watches = 40, 16
	engines := t.openAll(2)
	began := time.Now()
	for i := range keys {
		engines[0].put(fmt.Sprint("session/w.", i), []byte("x"), 0, shortTTL)
	}
	stored := time.Now()
	var watchers []*watcher
	first := began.Add(shortTTL / 2)
	end := stored.Add(shortTTL + removalDelay + slack)
	for i := range watches {
		t.until(first.Add(end.Sub(first) * time.Duration(i) / watches))
		watchers = append(watchers, engines[i%2].watchSynced())
	}
	for _, w := range watchers {
		for i := range keys {
			key := fmt.Sprint("session/w.", i)
			gone := func() bool { return w.lastLocked(key).value == nil }
			if !w.wait(time.Until(end.Add(watchDelay)), gone) {
				last := w.last(key)
				t.Fatalf("Watch has observed %q as %s with the revision %d, and not its removal by ttl, which came soon after Watch had begun",
					key, brief(last.value), last.revision)
			}
		}
	}
}
