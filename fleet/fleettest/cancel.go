package fleettest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
)

func checkContextOver(t *engineTest) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	engines := t.openAll(2)
	for i, over := range []context.Context{cancelled, expired} {
		key := fmt.Sprint("claim/", i)
		revision := engines[0].put(key, []byte("stored"), 0, 0)
		if value, stored, err := engines[0].Get(over, key); err == nil {
			t.Errorf("Get in a context that is over: got %s, revision %d and no error", brief(value), stored)
		}
		engines[0].putOver(over, key, revision, engines[1])
		engines[0].putOver(over, key+"/new", 0, engines[1])

		key += "/deleted"
		revision = engines[1].put(key, []byte("stored"), 0, 0)
		if err := engines[1].Delete(over, key, revision); err == nil {
			t.Errorf("Delete in a context that is over has returned no error")
		} else if errors.Is(err, stripekit.ErrCheckpointConflict) {
			t.Errorf("Delete of the stored revision in a context that is over is a conflict: %v", err)
		}
		if _, stored := engines[0].get(key); stored != 0 {
			engines[0].has(key, []byte("stored"), revision)
		}
	}
}

// putOver calls Put in a context that is over, and again in another one.
func (e *engine) putOver(over context.Context, key string, revision uint64, other *engine) {
	e.t.Helper()
	_, err := e.Put(over, key, []byte("in doubt"), revision, 0)
	switch {
	case err == nil:
		e.t.Errorf("Put in a context that is over has returned no error")
	case errors.Is(err, stripekit.ErrCheckpointConflict):
		e.t.Errorf("Put with the stored revision %d in a context that is over is a conflict: %v", revision, err)
	}
	if value, stored := other.get(key); stored != revision && string(value) != "in doubt" {
		e.t.Fatalf("Get after Put in a context that is over: got %s and revision %d", brief(value), stored)
	}
	next := e.put(key, []byte("again"), revision, 0)
	other.has(key, []byte("again"), next)
}

// cancelSoon returns a context that is cancelled at a random moment, within about the
// time of the operations that it is for.
func (t *engineTest) cancelSoon(usual time.Duration) (ctx context.Context, cancel func()) {
	ctx, stop := t.limit()
	// Early moments are frequent, in case that usual is too long.
	timer := time.AfterFunc(rand.N(usual+usual/2+1)>>rand.N(4), stop)
	return ctx, func() { timer.Stop(); stop() }
}

// usualPut returns how long a Put takes that is in the middle of some.
func (t *engineTest) usualPut(e *engine) time.Duration {
	t.Helper()
	var all []time.Duration
	revision := uint64(0)
	for n := range 7 {
		began := time.Now()
		revision = e.put("report/timed", fmt.Append(nil, n), revision, 0)
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// checkDoubt cancels Puts at random moments, and puts again with the same revision.
func checkDoubt(t *engineTest) {
	engines := t.openAll(2)
	a, b := engines[0], engines[1]
	w := b.watchSynced()
	usual := t.usualPut(a)
	revisions := map[string]uint64{}
	values := map[string][]byte{}
	doubts, all := 0, 0
	for n := range roundsFor(2*spell, 8, 60) {
		key := fmt.Sprint("session/w.", n%20) // each is new at first
		all++
		values[key] = fmt.Append(nil, "put once ", n)
		ctx, cancel := t.cancelSoon(usual)
		next, err := a.Put(ctx, key, values[key], revisions[key], time.Duration(n%2)*time.Hour)
		cancel()
		if err != nil {
			doubts++
			if errors.Is(err, stripekit.ErrCheckpointConflict) {
				t.Fatalf("Put with the stored revision %d by the only writer is a conflict: %v", revisions[key], err)
			}
			if n%3 == 0 {
				b.get(key) // reading is no change
			}
			values[key] = fmt.Append(nil, "put again ", n)
			ctx, cancel := t.limit()
			next, err = a.Put(ctx, key, values[key], revisions[key], 0)
			cancel()
			if err != nil {
				t.Fatalf("Put again with the revision %d by the same engine, after a Put with another error, and while nobody else has changed the record: %v", revisions[key], err)
			}
		}
		b.has(key, values[key], next)
		revisions[key] = next
	}
	t.Logf("of %d cancelled Puts %d returned an error", all, doubts)
	for key, revision := range revisions {
		w.sees(watchTimeout, key, values[key], revision)
		a.has(key, values[key], revision) // a Put in doubt has not replaced it later
	}
}

// checkDoubtAmongOthers has another engine change the record after a cancelled Put.
func checkDoubtAmongOthers(t *engineTest) {
	engines := t.openAll(2)
	a, b := engines[0], engines[1]
	usual := t.usualPut(a)
	for n := range roundsFor(2*spell, 8, 40) {
		key := fmt.Sprint("claim/", n)
		revision := a.put(key, []byte("first"), 0, 0)
		ctx, cancel := t.cancelSoon(usual)
		_, err := a.Put(ctx, key, []byte("in doubt"), revision, 0)
		cancel()
		if err == nil {
			continue
		}
		change := func(stored uint64) (uint64, error) { return b.renew(key, []byte("other's"), stored, 0) }
		if n%2 == 0 {
			change = func(stored uint64) (uint64, error) {
				ctx, cancel := t.limit()
				defer cancel()
				return 0, b.Delete(ctx, key, stored)
			}
		}
		next := b.changeDoubtful(key, change)
		a.refuses(key, revision, "after a Put in doubt, and then a change by another engine")
		if next == 0 {
			b.lacks(key)
		} else {
			b.has(key, []byte("other's"), next)
		}
	}
}

// changeDoubtful changes a record. It tries again as long as a Put in doubt is stored
// meanwhile.
func (e *engine) changeDoubtful(key string, change func(stored uint64) (uint64, error)) (next uint64) {
	e.t.Helper()
	var err error
	for range 10 {
		_, stored := e.get(key)
		if stored == 0 {
			e.t.Fatalf("Get(%q) after a Put in doubt has found no record: want the old or the new one", key)
		}
		if next, err = change(stored); !errors.Is(err, stripekit.ErrCheckpointConflict) {
			break
		}
	}
	if err != nil {
		e.t.Fatalf("a change of %q, after a Put of another engine in doubt: %v", key, err)
	}
	return next
}

// checkDoubtAfterRemoval: a worker whose renewal is in doubt, and whose session is
// removed then, must notice it.
func checkDoubtAfterRemoval(t *engineTest) {
	engines := t.openAll(2)
	a, b := engines[0], engines[1]
	w := b.watchSynced()
	usual := t.usualPut(a)
	revisions := map[string]uint64{}
	for n := range rounds(20) {
		key := fmt.Sprint("session/w.", n)
		revisions[key] = a.put(key, []byte("first"), 0, shortTTL)
		ctx, cancel := t.cancelSoon(usual)
		if next, err := a.Put(ctx, key, []byte("in doubt"), revisions[key], shortTTL); err == nil {
			revisions[key] = next
		}
		cancel()
	}
	for key, revision := range revisions {
		removed := func() bool { last := w.lastLocked(key); return last.revision > revision && last.value == nil }
		if !w.wait(watchTimeout, removed) {
			t.Fatalf("Watch has not observed the removal of %q, of the ttl %v", key, shortTTL)
		}
		b.lacks(key)
		a.refuses(key, revision, "after a Put in doubt, and then the removal by ttl")
		b.lacks(key)
	}
}
