package lease

import (
	"maps"
	"slices"
	"time"
)

// call is a call of the Engine by a process.
type call struct {
	op       Op
	p        *process
	key      string
	value    string
	revision uint64
	ttl      time.Duration
	number   uint64 // in the order of the calls
	over     bool   // the caller has its end
	doubtful bool   // the caller does not know whether it was stored
	storedAt int64
}

// record is what the engine has stored under a key.
type record struct {
	value    string
	revision uint64
	call     *call
	removeAt int64 // 0: never
}

// change is a Put or a removal, as a Watch observes it.
type change struct {
	key, value string
	removed    bool
	synced     bool // no change: all records were observed
	revision   uint64
}

// logged is a change of the engine, for failovers.
type logged struct {
	at     int64
	key    string
	record *record // nil: removed
}

// engine is a model of an Engine, written from its contract. All that it does takes
// effect at one moment of the true time.
type engine struct {
	h        *history
	records  map[string]*record
	revision uint64
	log      []logged // only in histories with failovers
	watches  []*watch
}

// put is a Put that has arrived.
func (e *engine) put(c *call) (Outcome, uint64) {
	r := e.records[c.key]
	switch {
	case r == nil && c.revision == 0:
	case r != nil && r.revision == c.revision:
	case r != nil && r.call.p == c.p && r.call.revision == c.revision && r.call.doubtful && r.call.number < c.number:
		// The record is of an earlier Put of the same process, which ended in doubt.
	default:
		return Conflict, 0
	}
	e.revision++
	r = &record{value: c.value, revision: e.revision, call: c}
	c.storedAt = e.h.now
	if c.ttl != 0 {
		r.removeAt = e.h.now + int64(c.ttl)
		if e.h.chance(0.5) {
			r.removeAt += e.h.rand.Int64N(int64(2 * time.Second))
		}
	}
	e.store(c.key, r)
	e.expireLater(c.key, r)
	return Done, r.revision
}

func (e *engine) expireLater(key string, r *record) {
	if r.removeAt == 0 {
		return
	}
	e.h.at(max(r.removeAt, e.h.now), func() {
		if now := e.records[key]; now != nil && now.revision == r.revision {
			e.h.trace("engine removes %s", key)
			e.remove(key)
		}
	})
}

func (e *engine) delete(c *call) Outcome {
	switch r := e.records[c.key]; {
	case r == nil:
	case r.revision == c.revision:
		e.remove(c.key)
	default:
		return Conflict
	}
	return Done
}

func (e *engine) store(key string, r *record) {
	e.records[key] = r
	e.logs(key, r)
	for _, w := range e.watches {
		w.add(change{key: key, value: r.value, revision: r.revision})
	}
}

func (e *engine) remove(key string) {
	delete(e.records, key)
	e.logs(key, nil)
	e.revision++
	for _, w := range e.watches {
		w.add(change{key: key, removed: true, revision: e.revision})
	}
}

func (e *engine) logs(key string, r *record) {
	if e.h.failovers {
		e.log = append(e.log, logged{e.h.now, key, r})
	}
}

// failover makes the engine forget what it has stored in the last time. Revisions are
// not used again. All Watches break.
func (e *engine) failover(lost int64) {
	e.h.trace("engine fails over to %v ago", time.Duration(lost))
	kept, _ := slices.BinarySearchFunc(e.log, e.h.now-lost, func(l logged, at int64) int { return int(l.at - at) })
	e.log = e.log[:kept]
	clear(e.records)
	for _, l := range e.log {
		if e.records[l.key] = l.record; l.record == nil {
			delete(e.records, l.key)
		}
	}
	e.h.failedOver = e.h.now
	for _, key := range slices.Sorted(maps.Keys(e.records)) {
		e.expireLater(key, e.records[key])
	}
	for _, w := range slices.Clone(e.watches) {
		w.breaks()
	}
}

// watch is one Watch of a process.
type watch struct {
	e         *engine
	p         *process
	pending   []change
	ready     []change       // delivered, and not observed yet
	place     map[string]int // of each key in pending
	moves     bool           // an overwritten change loses its place, too
	stalled   int64          // until then nothing is delivered
	scheduled bool
	broken    bool
}

// watch begins a Watch. The request has arrived.
func (e *engine) watch(w *watch) {
	w.place = map[string]int{}
	w.moves = e.h.chance(0.5)
	e.watches = append(e.watches, w)
	keys := slices.Sorted(maps.Keys(e.records))
	e.h.rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		w.add(change{key: key, value: e.records[key].value, revision: e.records[key].revision})
	}
	w.add(change{synced: true})
}

func (w *watch) add(c change) {
	if i, ok := w.place[c.key]; !ok {
		w.place[c.key] = len(w.pending)
		w.pending = append(w.pending, c)
	} else if !w.moves {
		w.pending[i] = c
	} else {
		w.pending = append(slices.Delete(w.pending, i, i+1), c)
		for i, c := range w.pending {
			w.place[c.key] = i
		}
	}
	w.schedule()
}

func (w *watch) schedule() {
	if w.scheduled || w.broken || len(w.pending) == 0 {
		return
	}
	w.scheduled = true
	h := w.e.h
	h.at(max(h.now+h.watchDelay(), w.stalled), w.deliver)
}

// deliver gives the process a batch, if it is not cut off.
func (w *watch) deliver() {
	w.scheduled = false
	h := w.e.h
	if w.broken || w.p.dead {
		return
	}
	if wait := max(w.p.cutIn, w.stalled); wait > h.now {
		w.stalled = wait + h.watchDelay()
		w.schedule()
		return
	}
	n := len(w.pending)
	if h.chance(h.net.batch) {
		n = 1 + h.rand.IntN(n)
	}
	w.ready = append(w.ready, w.pending[:n]...)
	w.pending = append(w.pending[:0], w.pending[n:]...)
	clear(w.place)
	for i, c := range w.pending {
		w.place[c.key] = i
	}
	w.p.deliver(func() { w.p.observe(w) })
	w.schedule()
}

// breaks ends the Watch with an error.
func (w *watch) breaks() {
	if w.broken {
		return
	}
	w.broken = true
	w.e.watches = slices.DeleteFunc(w.e.watches, func(o *watch) bool { return o == w })
	w.p.deliver(w.p.watchLater)
}
