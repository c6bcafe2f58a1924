package lease

import (
	"fmt"
	"strings"
	"time"
)

// checkHolders checks all shards that a process runs.
func (h *history) checkHolders(p *process) {
	for shard, run := range p.run {
		if run {
			h.checkHolder(shard, p)
		}
	}
}

// checkHolder checks that nobody else may act for a shard for which p begins to act. A
// stopped process is taken for one that may act, because it may run again at any time.
func (h *history) checkHolder(shard int, p *process) {
	if !p.right.Valid(p.now()) {
		return
	}
	for _, o := range h.processes {
		if o == p || !o.run[shard] || !o.right.Valid(o.now()) {
			continue
		}
		h.check(h.failovers && (o.mayOverlap(shard, p) || p.mayOverlap(shard, o)), "%s and %s act for shard %d", p.name, o.name, shard)
		h.totals.overlaps++
	}
}

// mayOverlap reports whether a process may still act for a shard for which another one
// begins to act: a failover has removed its claim or session, and it has not observed
// the claim of the other one.
func (p *process) mayOverlap(shard int, other *process) bool {
	before := min(p.claimed[shard].storedAt, p.renewal.storedAt) <= p.h.failedOver
	return before && p.told[shard] < other.w.holdings[shard].revision
}

// limit checks that a process does not call the engine in a busy loop.
func (h *history) limit(p *process) {
	h.totals.calls++
	for len(p.ops) > 0 && p.ops[0] < h.now-h.ttl {
		p.ops = p.ops[1:]
	}
	p.ops = append(p.ops, h.now)
	// Each shard and the own session is tried every TTL/16, each other session probed
	// every TTL/4. The process may run faster by 4 %, and has not run for a while.
	most := 36*(1+h.shards) + 10*len(p.w.others)
	h.check(len(p.ops) <= most, "%s calls the engine %d times within TTL", p.name, len(p.ops))
	h.check(len(p.w.holdings) <= h.shards, "%s has %d holdings", p.name, len(p.w.holdings))
	h.check(len(p.w.others) <= h.sessions, "%s knows %d sessions", p.name, len(p.w.others))
}

// quiet checks that nothing changes after all shards are held.
func (h *history) quiet(p *process, op Op) {
	h.check(!h.silent || op.Kind == Renew, "%s is not at rest: %s", p.name, text(op))
}

// checkLeave checks that a process that leaves in order has freed its claims.
func (h *history) checkLeave(p *process, session string) {
	h.check(len(p.w.holdings) == 0, "%s leaves with holdings", p.name)
	for shard := range h.shards {
		h.check(!p.pollers[shard], "%s leaves before the Pollers of shard %d have stopped", p.name, shard)
	}
	if !h.silentLeave() {
		return
	}
	for key, r := range h.engine.records {
		h.check(!strings.HasPrefix(key, "claim/") || r.value != session, "%s leaves and has not freed %s", p.name, key)
	}
}

// silentLeave reports whether no operation can have been in doubt for a long time.
func (h *history) silentLeave() bool { return h.calm && h.now > h.late+2*h.ttl }

// share returns the fair share of the workers.
func (h *history) share() int {
	names := map[string]bool{}
	for _, p := range h.processes {
		if !p.leaving {
			names[p.name] = true
		}
	}
	return (h.shards + len(names) - 1) / len(names)
}

// held returns how many shards each process holds, and whether all shards are held
// fairly.
func (h *history) held() (held map[*process]int, fair bool) {
	held = map[*process]int{}
	total := 0
	for _, p := range h.processes {
		for shard, run := range p.run {
			if run && !p.ending[shard] && p.right.Valid(p.now()) {
				held[p]++
				total++
			}
		}
	}
	fair = total == h.shards
	share := h.share()
	for _, n := range held {
		fair = fair && n <= share
	}
	return held, fair
}

// atRest reports whether all shards are held fairly, and whether every worker knows
// which sessions there are.
func (h *history) atRest() bool {
	if h.leavers() > 0 || h.sessionRecords() != len(h.processes) {
		return false
	}
	for _, p := range h.processes {
		if len(p.w.others) != len(h.processes)-1 {
			return false
		}
		for id, o := range p.w.others {
			if o.gone || h.engine.records["session/"+id] == nil {
				return false
			}
		}
	}
	_, fair := h.held()
	return fair
}

// settles ends the trouble, and checks that within 4 TTL all shards are held, and that
// nothing changes then.
func (h *history) settles() {
	h.end()
	began := h.now
	h.rests(4 * h.ttl)
	h.totals.slowest = max(h.totals.slowest, float64(h.now-began)/float64(h.ttl))
	h.staysAtRest()
	h.checkMemory()
}

// rests waits until all shards are held and no operation but a renewal is under way.
func (h *history) rests(within int64) {
	for end := h.now + within; h.now < end; h.pass(min(end, h.now+h.ttl/32)) {
		if h.atRest() {
			h.pass(h.now + h.ttl/16) // two may still claim the same shard
			return
		}
	}
	held, _ := h.held()
	for _, p := range h.processes {
		h.trace("%s holds %d", p.name, held[p])
	}
	h.check(h.leavers() == 0, "a process does not leave")
	h.check(false, "not all shards are held fairly after %v", time.Duration(within))
}

// staysAtRest checks that nothing changes for more than 2 TTL, after which a worker
// probes what it has not observed.
func (h *history) staysAtRest() {
	h.silent = true
	h.pass(h.now + 3*h.ttl)
	h.silent = false
	h.check(h.atRest(), "the shards are not held fairly any more")
	for _, p := range h.processes {
		for shard, run := range p.run {
			r := h.engine.records[claimKey(shard)]
			h.check(!run || r != nil && r.value == p.w.Session(), "%s runs shard %d without a claim", p.name, shard)
		}
	}
}

// sessionRecords returns the number of sessions that the engine knows.
func (h *history) sessionRecords() (n int) {
	for key := range h.engine.records {
		if strings.HasPrefix(key, "session/") {
			n++
		}
	}
	return n
}

// checkMemory checks that the workers know the live sessions and nothing more.
func (h *history) checkMemory() {
	sessions := h.sessionRecords()
	h.check(sessions == len(h.processes), "there are %d sessions of %d processes", sessions, len(h.processes))
	for _, p := range h.processes {
		h.check(len(p.w.others) == sessions-1, "%s knows %d other sessions of %d", p.name, len(p.w.others), sessions-1)
		held := 0
		for _, run := range p.run {
			if run {
				held++
			}
		}
		h.check(len(p.w.holdings) == held, "%s has %d holdings and runs %d shards", p.name, len(p.w.holdings), held)
	}
}

// changes lets one worker join, leave or crash while all is at rest, and checks that
// only what has to move moves, and how long it takes.
func (h *history) changes() {
	before := append([]int(nil), h.runs...)
	held, _ := h.held()
	p := h.processes[h.rand.IntN(len(h.processes))]
	least, within := held[p], h.ttl*3/8 // of a worker that leaves
	switch {
	case len(h.processes) > 1 && h.chance(0.4):
		h.leave(p)
	case len(h.processes) > 1 && h.chance(0.5):
		h.trace("%s crashes", p.name)
		p.die()
		within = h.ttl + int64(2*time.Second) + h.ttl/4
	default:
		h.names++
		h.start(fmt.Sprintf("worker.%d", h.names), h.newClock())
		least, within = 0, h.ttl
		for _, n := range held {
			least += max(0, n-h.share())
		}
		h.pass(h.now + h.ttl/2)
	}
	h.rests(within)
	h.staysAtRest()
	moves := 0
	for shard, n := range h.runs {
		moves += n - before[shard]
	}
	h.totals.moves += moves
	h.check(moves == least, "%d shards were moved instead of %d", moves, least)
	h.checkMemory()
}
