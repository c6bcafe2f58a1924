package lease

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// settle is how long a new session waits before it claims anything, so that workers
// that start together know of each other. The first observation of all records may take
// longer than the session takes to begin.
func (w *Worker) settle() time.Duration { return w.cfg.TTL / 4 }

// Next returns the operations that are to be carried out now, at the same time. It
// must be called after each Ended, Stopped and Observe, and at least every TTL/16.
func (w *Worker) Next(now time.Time) []Op {
	if w.synced && w.known.IsZero() {
		w.known = now
	}
	ops := w.endSession(now)
	ops = append(ops, w.renew(now)...)
	if w.Session() == "" {
		return ops
	}
	if w.leaving {
		return append(ops, w.leave()...)
	}
	if !w.synced || now.Sub(w.self.begun) < w.settle() || now.Sub(w.known) < w.settle() {
		return ops
	}
	ops = append(ops, w.probe(now)...)
	return append(ops, w.balance(now)...)
}

// endSession ends the session if its time is over by the worker's own clock, and
// begins another one after any end. A new session need not wait for the shards of the
// old one: it cannot claim those before they have stopped.
func (w *Worker) endSession(now time.Time) (ops []Op) {
	if w.self.revision != 0 && !w.Right().Valid(now) {
		w.self.over = true
	}
	if !w.self.over {
		return nil
	}
	for _, shard := range w.shards() {
		if h := w.holdings[shard]; h.state == running || h.state == draining {
			ops = append(ops, w.lose(shard, h))
		}
	}
	if !w.leaving && !w.self.renewing {
		w.begin(w.self.renewAt)
	}
	return ops
}

func (w *Worker) lose(shard int, h *holding) Op {
	h.state = losing
	return Op{Kind: Lose, Shard: shard}
}

// shards returns the shards of the holdings in a fixed order.
func (w *Worker) shards() []int { return slices.Sorted(maps.Keys(w.holdings)) }

func (w *Worker) renew(now time.Time) []Op {
	s := &w.self
	if s.renewing || s.over || s.left || s.deleting || !due(s.renewAt, now) || w.leaving && (s.revision == 0 || len(w.holdings) == 0) {
		return nil
	}
	s.renewing, s.renewAt = true, now.Add(w.cfg.TTL/4)
	return []Op{{Kind: Renew, Session: s.id, Revision: s.revision, Sent: now, Leaving: w.leaving}}
}

// due reports whether a time has come by one of the clocks. After its machine was
// suspended, a renewal must not wait for the monotonic clock.
func due(at, now time.Time) bool {
	return !now.Before(at) || !now.Round(0).Before(at.Round(0))
}

// leave drains all shards, and then deletes the session.
func (w *Worker) leave() (ops []Op) {
	for _, shard := range w.shards() {
		if h := w.holdings[shard]; h.state == running {
			h.state = draining
			ops = append(ops, Op{Kind: Drain, Shard: shard})
		}
	}
	if len(w.holdings) == 0 && !w.self.renewing && !w.self.deleting && !w.self.left {
		w.self.deleting = true
		ops = append(ops, Op{Kind: Leave, Session: w.self.id, Revision: w.self.revision})
	}
	return ops
}

// probe asks the engine for the sessions of owners that were not observed, or not for
// long. Their removal may have been missed.
func (w *Worker) probe(now time.Time) (ops []Op) {
	owners := map[string]bool{}
	for _, c := range w.claims {
		if c.owner != "" && c.owner != w.self.id {
			owners[c.owner] = true
		}
	}
	for id, o := range w.others {
		if o.gone && !owners[id] {
			delete(w.others, id)
		} else if !o.gone {
			owners[id] = true // for the number of workers
		}
	}
	for _, id := range slices.Sorted(maps.Keys(owners)) {
		o := w.other(id)
		if o.gone || o.probing || now.Before(o.probeAt) || now.Sub(o.seen) < 2*w.cfg.TTL {
			continue
		}
		o.probing, o.probeAt = true, now.Add(w.cfg.TTL/4)
		ops = append(ops, Op{Kind: Probe, Session: id})
	}
	return ops
}

func (w *Worker) other(id string) *other {
	o := w.others[id]
	if o == nil {
		o = new(other)
		w.others[id] = o
	}
	return o
}

// balance claims shards up to the fair share, and drains what is above it.
func (w *Worker) balance(now time.Time) (ops []Op) {
	share, own := w.share(), 0
	var surplus []int
	for _, shard := range w.shards() {
		switch w.holdings[shard].state {
		case claiming:
			own++
		case running:
			own++
			surplus = append(surplus, shard)
		}
	}
	w.cfg.Rand.Shuffle(len(surplus), func(i, j int) { surplus[i], surplus[j] = surplus[j], surplus[i] })
	for _, shard := range surplus[:min(len(surplus), max(own-share, 0))] {
		w.holdings[shard].state = draining
		ops = append(ops, Op{Kind: Drain, Shard: shard})
	}
	doubtful, free := w.free(now)
	w.cfg.Rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	for _, shard := range append(doubtful, free...) {
		switch c := w.claims[shard]; {
		case own < share:
			own++
			w.holdings[shard] = &holding{state: claiming, revision: c.revision}
			ops = append(ops, Op{Kind: Claim, Session: w.self.id, Shard: shard, Revision: c.revision})
		case c.owner == w.self.id:
			w.holdings[shard] = &holding{state: freeing, revision: c.revision}
			ops = append(ops, Op{Kind: Free, Session: w.self.id, Shard: shard, Revision: c.revision})
		}
	}
	return ops
}

// share returns the fair share of the worker.
func (w *Worker) share() int {
	names := map[string]bool{w.cfg.Name: true}
	for id, o := range w.others {
		if !o.gone && !o.leaving && !o.seen.IsZero() {
			names[id[:max(strings.LastIndexByte(id, '.'), 0)]] = true // a name may have dots
		}
	}
	return (w.cfg.Shards + len(names) - 1) / len(names)
}

// free returns the shards that the worker may claim. doubtful are those that its
// session owns although it does not hold them, because the end of a Claim or Free was
// unknown. They are claimed again, with another revision, so that an earlier Free that
// arrives late is refused.
func (w *Worker) free(now time.Time) (doubtful, free []int) {
	for shard, c := range w.claims {
		switch {
		case w.holdings[shard] != nil || now.Before(c.tryAt):
		case c.owner == w.self.id:
			doubtful = append(doubtful, shard)
		case c.owner == "" || w.others[c.owner] != nil && w.others[c.owner].gone:
			free = append(free, shard)
		}
	}
	return doubtful, free
}
