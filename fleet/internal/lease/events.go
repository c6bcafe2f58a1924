package lease

import "time"

// Watching begins the observation anew: the records that exist will be observed, and
// then Synced called.
func (w *Worker) Watching() {
	w.synced = false
	clear(w.claims)
	for _, h := range w.holdings {
		h.stale = h.state == claiming || h.state == freeing
	}
}

// Synced tells that what was observed is complete. Claims that the engine has lost, as
// at a failover of its database to a replica that was behind, have ended. What is left
// of a claim may be an earlier Put.
func (w *Worker) Synced() (ops []Op) {
	w.synced = true
	for _, shard := range w.shards() {
		h, c := w.holdings[shard], w.claims[shard]
		switch {
		case h.state != running && h.state != draining:
		case c.owner != w.self.id:
			ops = append(ops, w.lose(shard, h))
		default:
			h.revision = c.revision
		}
	}
	return ops
}

// ObserveSession tells of the record of a session: that it was stored, or removed.
func (w *Worker) ObserveSession(id string, removed bool, now time.Time) {
	if id == w.self.id {
		if removed && w.self.revision != 0 && !w.self.left {
			w.self.over = true
		}
		return
	}
	o := w.other(id)
	if removed {
		o.gone = true
	}
	o.seen = now
}

// ObserveLeaving tells that the record of a session says that its worker leaves. It does
// not count for the share of the others any more.
func (w *Worker) ObserveLeaving(id string) {
	if id != w.self.id {
		w.other(id).leaving = true
	}
}

// ObserveClaim tells of the record of a claim. It returns the operations that are due
// at once.
func (w *Worker) ObserveClaim(shard int, owner string, revision uint64) []Op {
	if shard < 0 || shard >= len(w.claims) {
		return nil
	}
	c := &w.claims[shard]
	if revision <= c.revision {
		return nil
	}
	*c = claim{owner: owner, revision: revision}
	h := w.holdings[shard]
	if h == nil || revision <= h.revision || owner == w.self.id {
		return nil
	}
	switch h.state {
	case running, draining:
		return []Op{w.lose(shard, h)}
	}
	return nil
}

// Ended tells how an operation on the engine ended. revision is the new one after a Put
// that was Done.
func (w *Worker) Ended(op Op, outcome Outcome, revision uint64, now time.Time) []Op {
	switch op.Kind {
	case Renew:
		w.renewEnded(op, outcome, revision, now)
	case Claim:
		return w.claimEnded(op, outcome, revision, now)
	case Free:
		stale := w.holdings[op.Shard].stale
		delete(w.holdings, op.Shard)
		if outcome == Done && !stale {
			w.ObserveClaim(op.Shard, "", revision)
		} else {
			w.tryLater(op.Shard, now)
		}
	case Probe:
		w.probeEnded(op, outcome, now)
	case Leave:
		w.self.deleting, w.self.left = false, true // if it was not deleted, it expires
	}
	return nil
}

func (w *Worker) renewEnded(op Op, outcome Outcome, revision uint64, now time.Time) {
	s := &w.self
	s.renewing = false
	switch {
	case outcome == Conflict:
		s.over = true
	case outcome == Unknown:
		s.renewAt = now.Add(min(w.cfg.TTL/16, time.Second)) // the next one tells
		if s.revision == 0 {
			// The session may have been stored and removed already, and others may
			// know that it is gone. Another Put without a revision would bring it back.
			w.begin(s.renewAt)
		}
	case s.revision == 0:
		s.begun = now
		fallthrough
	default:
		s.revision, s.renewed = revision, op.Sent
	}
}

func (w *Worker) claimEnded(op Op, outcome Outcome, revision uint64, now time.Time) []Op {
	h := w.holdings[op.Shard]
	if outcome != Done || op.Session != w.self.id || !w.Right().Valid(now) {
		delete(w.holdings, op.Shard)
		w.tryLater(op.Shard, now)
		return nil
	}
	c := w.claims[op.Shard]
	if c.revision > revision && c.owner != w.self.id {
		delete(w.holdings, op.Shard) // taken over already
		return nil
	}
	if h.stale && c.revision != revision {
		// The engine may have lost it since, and what is observed would not tell.
		delete(w.holdings, op.Shard)
		w.tryLater(op.Shard, now)
		return nil
	}
	w.ObserveClaim(op.Shard, op.Session, revision)
	h.state, h.revision = running, revision
	return []Op{{Kind: Run, Shard: op.Shard}}
}

// tryLater lets the worker wait for a newer observation of a claim.
func (w *Worker) tryLater(shard int, now time.Time) {
	w.claims[shard].tryAt = now.Add(w.cfg.TTL / 16)
}

func (w *Worker) probeEnded(op Op, outcome Outcome, now time.Time) {
	o := w.other(op.Session)
	o.probing = false
	switch outcome {
	case Done:
		o.seen = now
	case Conflict:
		o.gone = true
	}
}

// Stopped tells that the Pollers of a shard have stopped, after a Drain or Lose.
func (w *Worker) Stopped(shard int) []Op {
	h := w.holdings[shard]
	if h.state != draining {
		delete(w.holdings, shard)
		return nil
	}
	h.state = freeing
	return []Op{{Kind: Free, Session: w.self.id, Shard: shard, Revision: h.revision}}
}
