package lease

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// process is a process with a Worker, and the driver of the Worker.
type process struct {
	h       *history
	name    string
	clock   *clock
	w       *Worker
	timeout time.Duration

	right   Right
	run     []bool  // by shard: the Pollers may act, as long as the right is valid
	pollers []bool  // by shard: they have been started, and not stopped
	ending  []bool  // by shard: they are told to stop
	claimed []*call // by shard: the Claim that Run followed
	renewal *call   // on which the right relies
	told    []uint64

	watching *watch
	calls    uint64
	ops      []int64 // the true times of the last operations
	paused   bool    // stopped by a signal, or with its machine
	inbox    []func()
	cutOut   int64 // until then no request arrives
	cutIn    int64 // until then no response arrives
	leaving  bool
	dead     bool // it has left or crashed
}

func (h *history) start(name string, c *clock) *process {
	p := &process{
		h: h, name: name, clock: c, run: make([]bool, h.shards), pollers: make([]bool, h.shards),
		ending: make([]bool, h.shards), claimed: make([]*call, h.shards), told: make([]uint64, h.shards),
		timeout: time.Duration(h.between(h.ttl/8, h.ttl/2)),
	}
	p.w = New(Config{
		Name: name, Shards: h.shards, TTL: time.Duration(h.ttl), Rand: rand.New(rand.NewPCG(h.rand.Uint64(), 0)),
		NewID: func() string { h.sessions++; return strconv.Itoa(h.sessions) },
	})
	h.trace("%s starts", name)
	h.processes = append(h.processes, p)
	p.watchNow()
	p.tick()
	return p
}

func (p *process) now() time.Time { return p.clock.now(p.h.now) }

// deliver lets something happen in the process, as soon as it runs.
func (p *process) deliver(do func()) {
	switch {
	case p.dead:
	case p.paused:
		p.inbox = append(p.inbox, do)
	default:
		do()
	}
}

// after delivers something after a duration of the monotonic clock, or a bit later.
func (p *process) after(d int64, do func()) {
	p.h.at(p.h.now+int64(float64(d)/p.clock.rate), func() { p.deliver(do) })
}

// resume lets all happen that was due while the process was paused, in any order.
func (p *process) resume() {
	if p.dead || !p.paused {
		return
	}
	p.h.trace("%s runs again", p.name)
	p.clock.advance(p.h.now)
	p.clock.suspended = false
	p.paused = false
	inbox := p.inbox
	p.inbox = nil
	p.h.rand.Shuffle(len(inbox), func(i, j int) { inbox[i], inbox[j] = inbox[j], inbox[i] })
	for _, do := range inbox {
		p.deliver(do)
	}
}

func (p *process) tick() {
	p.step()
	p.after(p.h.ttl/16, p.tick)
}

func (p *process) step() {
	if p.dead {
		return
	}
	p.apply(p.w.Next(p.now()))
	if p.w.Left() && !p.dead {
		p.h.trace("%s has left", p.name)
		p.die()
		p.h.check(len(p.w.holdings) == 0, "%s has left with holdings", p.name)
	}
}

// apply carries out operations. Those that lose their shard are told before another
// right is published.
func (p *process) apply(ops []Op) {
	for _, op := range ops {
		if op.Kind == Lose {
			p.run[op.Shard] = false
		}
	}
	now := p.now()
	valid := p.right.Valid(now)
	p.right = p.w.Right()
	if !valid && p.right.Valid(now) {
		p.h.checkHolders(p)
	}
	for _, op := range ops {
		p.carryOut(op)
	}
}

func (p *process) carryOut(op Op) {
	p.h.trace("%s %s", p.name, text(op))
	switch op.Kind {
	case Run, Drain, Lose:
		p.h.quiet(p, op)
	}
	switch op.Kind {
	case Run:
		p.h.check(!p.pollers[op.Shard], "%s runs shard %d before its Pollers have stopped", p.name, op.Shard)
		p.pollers[op.Shard], p.run[op.Shard], p.ending[op.Shard] = true, true, false
		p.h.runs[op.Shard]++
		p.h.checkHolder(op.Shard, p)
	case Drain, Lose:
		p.h.check(p.pollers[op.Shard], "%s has no Pollers of shard %d", p.name, op.Shard)
		if !p.ending[op.Shard] {
			p.ending[op.Shard] = true
			p.after(p.h.stopDelay(), func() { p.stopped(op.Shard) })
		}
	default:
		p.call(op)
	}
}

func (p *process) stopped(shard int) {
	p.h.trace("%s has stopped %d", p.name, shard)
	p.pollers[shard], p.run[shard] = false, false
	p.apply(p.w.Stopped(shard))
	p.step()
}

// call carries out an operation on the engine.
func (p *process) call(op Op) {
	h := p.h
	h.quiet(p, op)
	h.limit(p)
	p.calls++
	c := &call{op: op, p: p, number: p.calls, revision: op.Revision}
	switch op.Kind {
	case Renew:
		c.key, c.value, c.ttl = "session/"+op.Session, "on", time.Duration(h.ttl)
	case Probe, Leave:
		c.key = "session/" + op.Session
	case Claim:
		c.key, c.value = claimKey(op.Shard), op.Session
	case Free:
		c.key = claimKey(op.Shard)
		h.check(!p.pollers[op.Shard], "%s frees shard %d before its Pollers have stopped", p.name, op.Shard)
	}
	if op.Kind == Leave {
		h.checkLeave(p, op.Session)
	}
	h.disturb(h.now + 2*int64(p.timeout))
	p.after(int64(p.timeout), func() { p.ended(c, Unknown, 0) })
	if h.outage > h.now && h.refuses {
		p.after(h.between(0, h.ttl/1000), func() { p.ended(c, Unknown, 0) })
		return
	}
	p.after(h.between(0, h.ttl/1000), func() {
		if !c.over || h.chance(0.5) {
			h.send(c)
		}
	})
}

// send gives a request to the network.
func (h *history) send(c *call) {
	if c.p.cutOut > h.now || h.chance(h.net.loss) {
		return
	}
	delay := h.delay()
	h.disturb(h.now + delay)
	h.at(h.now+delay, func() {
		if h.outage > h.now {
			return
		}
		outcome, revision := h.engine.do(c)
		h.trace("engine: %s %s: %v %d", c.p.name, text(c.op), outcome, revision)
		if c.p.cutIn > h.now || h.chance(h.net.loss) {
			return
		}
		delay := h.delay()
		h.disturb(h.now + delay)
		h.at(h.now+delay, func() { c.p.deliver(func() { c.p.ended(c, outcome, revision) }) })
	})
}

func (e *engine) do(c *call) (Outcome, uint64) {
	switch c.op.Kind {
	case Renew, Claim, Free:
		return e.put(c)
	case Leave:
		return e.delete(c), 0
	}
	if e.records[c.key] == nil {
		return Conflict, 0
	}
	return Done, 0
}

func claimKey(shard int) string { return "claim/" + strconv.Itoa(shard) }

// ended gives the end of an operation to the Worker.
func (p *process) ended(c *call, outcome Outcome, revision uint64) {
	if c.over {
		return
	}
	c.over, c.doubtful = true, outcome == Unknown
	p.h.trace("%s ended: %s: %v", p.name, text(c.op), outcome)
	if outcome == Done {
		switch c.op.Kind {
		case Claim:
			p.claimed[c.op.Shard] = c
		case Renew:
			p.renewal = c
		}
	}
	p.apply(p.w.Ended(c.op, outcome, revision, p.now()))
	p.step()
}

func (p *process) watchNow() {
	p.w.Watching()
	w := &watch{e: p.h.engine, p: p}
	p.watching = w
	if p.h.outage > p.h.now || p.cutOut > p.h.now {
		w.breaks()
		return
	}
	p.h.at(p.h.now+p.h.delay(), func() {
		if !p.dead && !w.broken {
			p.h.engine.watch(w)
		}
	})
}

func (p *process) watchLater() { p.after(p.h.ttl/16, p.watchNow) }

// observe gives what a Watch has delivered to the Worker.
func (p *process) observe(w *watch) {
	if p.watching != w || w.broken {
		return
	}
	for _, c := range w.ready {
		p.h.trace("%s observes %+v", p.name, c)
		kind, id, _ := strings.Cut(c.key, "/")
		switch {
		case c.synced:
			p.apply(p.w.Synced())
		case kind == "session":
			p.w.ObserveSession(id, c.removed, p.now())
		default:
			shard, err := strconv.Atoi(id)
			p.h.check(err == nil, "a claim of %q", id)
			p.apply(p.w.ObserveClaim(shard, c.value, c.revision))
			p.told[shard] = c.revision
		}
	}
	w.ready = w.ready[:0]
	p.step()
}

// die ends the process.
func (p *process) die() {
	p.dead = true
	clear(p.run)
	clear(p.pollers)
	if p.watching != nil {
		p.watching.breaks()
	}
	h := p.h
	for i, o := range h.processes {
		if o == p {
			h.processes = append(h.processes[:i:i], h.processes[i+1:]...)
			break
		}
	}
}

// text is an operation that is described in a trace.
type text Op

func (op text) String() string {
	kind := [...]string{"Renew", "Claim", "Free", "Probe", "Leave", "Run", "Drain", "Lose"}[op.Kind]
	return fmt.Sprintf("%s %s shard %d revision %d", kind, op.Session, op.Shard, op.Revision)
}
