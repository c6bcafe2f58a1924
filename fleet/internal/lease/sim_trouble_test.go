package lease

import (
	"fmt"
	"slices"
	"time"
)

// trouble is a kind of trouble.
type trouble int

// troubles are the kinds of trouble.
var troubles = [...]func(h *history, p *process){
	(*history).crash,
	(*history).crash,
	(*history).stop,
	(*history).stop,
	(*history).cut,
	(*history).cut,
	(*history).jump,
	(*history).leave,
	(*history).breakWatch,
	(*history).stallWatch,
	func(h *history, _ *process) { h.join() },
	func(h *history, _ *process) { h.breakDown() },
	func(h *history, _ *process) { h.changeNetwork() },
}

// trouble lets something happen to a random process.
func (h *history) trouble() {
	if h.failovers && h.chance(0.2) {
		h.totals.failovers++
		lost := h.between(0, min(h.ttl, h.now))
		if h.chance(0.6) {
			lost /= 8 // perhaps a claim and no renewal
		}
		h.engine.failover(lost)
	}
	if len(h.processes) == 0 {
		h.join()
	}
	if len(h.enabled) > 0 {
		p := h.processes[h.rand.IntN(len(h.processes))]
		troubles[h.enabled[h.rand.IntN(len(h.enabled))]](h, p)
	}
}

// long returns a duration that is rather short, or some TTL.
func (h *history) long() int64 {
	if h.chance(0.3) {
		return h.between(0, h.ttl/4)
	}
	return h.between(0, 3*h.ttl)
}

// join lets another process join, sometimes with the name of another one.
func (h *history) join() {
	if len(h.processes) >= 8 {
		return
	}
	h.names++
	name := fmt.Sprintf("worker.%d", h.names)
	if len(h.processes) > 0 && h.chance(0.1) {
		name = h.processes[h.rand.IntN(len(h.processes))].name
	}
	h.start(name, h.newClock())
}

// newClock returns the clock of a machine, which may be wrong by 4 %.
func (h *history) newClock() *clock {
	rate := []float64{0.96, 1, 1.04, 0.96 + 0.08*h.rand.Float64()}[h.rand.IntN(4)]
	c := newClock(rate, h.between(15e17, 18e17))
	c.at = h.now
	return c
}

// crash ends a process, and begins another one on its machine later.
func (h *history) crash(p *process) {
	h.trace("%s crashes", p.name)
	p.die()
	p.clock.advance(h.now)
	p.clock.suspended = false
	name := p.name
	if h.chance(0.5) {
		h.names++
		name = fmt.Sprintf("worker.%d", h.names)
	}
	h.at(h.now+h.long(), func() {
		if !h.calm && len(h.processes) < 8 {
			h.start(name, p.clock)
		}
	})
}

// stop stops a process, as by SIGSTOP, or suspends its machine.
func (h *history) stop(p *process) {
	if p.paused {
		return
	}
	p.paused = true
	p.clock.advance(h.now)
	p.clock.suspended = !h.wallBack && h.chance(0.5)
	h.trace("%s is stopped, suspended: %v", p.name, p.clock.suspended)
	h.at(h.now+h.long(), p.resume)
}

// cut cuts a process off, in one or both directions.
func (h *history) cut(p *process) {
	until := h.now + h.long()
	out, in := h.chance(0.7), h.chance(0.7)
	if out {
		p.cutOut = until
	}
	if in {
		p.cutIn = until
	}
	h.trace("%s is cut off: %v %v, until %.3f", p.name, out, in, float64(until)/1e9)
	if h.chance(0.5) {
		p.watching.breaks()
	}
}

// jump sets the wall clock of a machine.
func (h *history) jump(p *process) {
	by := h.long()
	if h.wallBack && h.chance(0.5) {
		by = -by
	}
	h.trace("the wall clock of %s jumps by %v", p.name, time.Duration(by))
	p.clock.advance(h.now)
	p.clock.wall += float64(by)
	h.checkHolders(p)
}

// leave lets a process leave in order.
func (h *history) leave(p *process) {
	h.trace("%s leaves", p.name)
	p.leaving = true
	p.deliver(func() {
		p.w.Leaves()
		p.step()
	})
}

func (h *history) breakWatch(p *process) { p.watching.breaks() }

func (h *history) stallWatch(p *process) { p.watching.stalled = h.now + h.long() }

// breakDown stops the engine for some time.
func (h *history) breakDown() {
	h.outage = h.now + h.long()
	h.refuses = h.chance(0.5)
	h.trace("the engine is down until %.3f, refuses: %v", float64(h.outage)/1e9, h.refuses)
}

func (h *history) changeNetwork() {
	h.net = []network{
		{loss: 0, slow: 0},
		{loss: 0, slow: 0.2, batch: 0.3, late: h.ttl / 4},
		{loss: 0.05, slow: 0.5, batch: 0.5, late: h.ttl},
		{loss: 0.3, slow: 0.5, batch: 0.5, late: h.ttl / 2},
		{loss: 0.1, slow: 0.3, batch: 0.5, late: 3 * h.ttl},
	}[h.rand.IntN(5)]
}

// end ends all trouble, and waits until nothing of it is under way.
func (h *history) end() {
	h.trace("the trouble ends")
	h.calm = true
	h.net = network{}
	h.outage = 0
	for _, p := range slices.Clone(h.processes) {
		p.cutIn, p.cutOut = 0, 0
		p.watching.stalled = 0
		p.resume()
	}
	for _, w := range slices.Clone(h.engine.watches) {
		w.deliver()
	}
	if len(h.processes) == 0 || h.leavers() == len(h.processes) {
		h.join()
	}
	h.pass(max(h.now, h.late) + h.ttl/8)
}

func (h *history) leavers() (n int) {
	for _, p := range h.processes {
		if p.leaving {
			n++
		}
	}
	return n
}
