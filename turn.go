package stripekit

import (
	"errors"
	"fmt"
	"time"

	"github.com/stripekit/stripekit/internal/tail"
)

// turn does what is due, and sets the timer for what will be.
func (p *Poller[T]) turn() {
	if !p.claim() {
		return
	}
	err := p.work()
	if err != nil || !p.rest() {
		p.end(err)
	}
}

// stop ends a Poller at rest; a turn under way sees the context itself.
func (p *Poller[T]) stop() {
	if p.claim() {
		p.end(nil)
	}
}

// claim makes the caller the one who may work.
func (p *Poller[T]) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		return false
	}
	p.running = true
	return true
}

// rest sets the timer and lets the next turn come, unless the context is over.
// If it is cancelled right after, stop finds the Poller at rest.
func (p *Poller[T]) rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.running = false
	p.arm()
	return true
}

// arm sets the timer for what is due next. The caller holds mu.
func (p *Poller[T]) arm() {
	at, some := p.due()
	if !p.full() && (!some || p.pollAt.Before(at)) {
		at, some = p.pollAt, true
	}
	if some {
		p.timer.Reset(time.Until(at))
	}
}

// due is when something other than a poll must be done. The caller holds mu.
func (p *Poller[T]) due() (at time.Time, some bool) {
	if p.dirty {
		at, some = p.saveAt, true
	}
	for _, d := range p.nacked {
		if !some || d.again.Before(at) {
			at, some = d.again, true
		}
	}
	return at, some
}

// full tells that no more may be fetched. The caller holds mu.
func (p *Poller[T]) full() bool { return p.tail.Span() >= p.cfg.MaxUnacked }

// work does all that is due. Its error ends the Poller.
func (p *Poller[T]) work() error {
	if err := p.deliver(false); err != nil || !p.pollDue() {
		return err
	}
	err := p.poll()
	if p.ctx.Err() != nil {
		return nil
	}
	p.polled(err)
	if p.cfg.Observe != nil {
		p.cfg.Observe(p.Status())
	}
	if endsPoller(err, false) == ends {
		return err
	}
	return p.save()
}

func (p *Poller[T]) pollDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ctx.Err() == nil && !p.full() && !time.Now().Before(p.pollAt)
}

// polled takes note of a poll's end and sets the time of the next.
func (p *Poller[T]) polled(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.status.LastPoll, p.status.LastError = now, err
	if err != nil {
		wait := min(p.cfg.Every<<min(p.status.Failures, 10), max(p.cfg.Every, maxRest))
		p.status.Failures++
		p.pollAt = now.Add(wait)
		p.log.Warn("stripe poll failed", "error", err, "failures", p.status.Failures, "next", wait)
		return
	}
	p.status.Failures = 0
	// No drift from poll to poll; those that were missed, since the reader or
	// the service was slow, are not made up for.
	if p.pollAt = p.pollAt.Add(p.cfg.Every); p.pollAt.Before(now) {
		p.pollAt = now.Add(p.cfg.Every)
	}
}

// poll makes one pass over what may be new, handing over page by page.
func (p *Poller[T]) poll() error {
	if p.whose == nil {
		if err := p.identify(); err != nil {
			return err
		}
	}
	for query, more := p.begin(); more; query, more = p.next() {
		if err := p.page(query); err != nil {
			return err
		}
		if err := p.deliver(true); err != nil {
			return err
		}
		if err := p.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Poller[T]) begin() (tail.Query, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail.Begin(time.Now())
	return p.tail.Next(), true
}

func (p *Poller[T]) next() (tail.Query, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail.Done() {
		return tail.Query{}, false
	}
	return p.tail.Next(), true
}

// page fetches one page and queues what is new on it.
func (p *Poller[T]) page(query tail.Query) error {
	page, err := p.source.ask(p.ctx, p.whose, query, p.fresh, &p.last)
	if errors.Is(err, errKeyChanged) {
		if err := p.identify(); err != nil {
			return err
		}
		return p.page(query)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Requests++
	if cursorLost(query, err) {
		return p.tail.Lost()
	}
	if err != nil {
		return err
	}
	// Where FromNow begins must survive a crash, found something or not.
	p.dirty = p.dirty || !p.tail.Started()
	found, err := p.tail.Read(page.answer)
	if err != nil {
		return fmt.Errorf("stripe: GET %s: %w", p.source.path, err)
	}
	for _, f := range found {
		item := page.answer.Items[f.Index]
		e := Event[T]{
			ID: item.ID, Object: page.objects[f.Index], Created: UnixTime(item.Created).Time(), Seen: page.date,
			Late: f.Late, Attempt: 1, receipt: p, seq: f.Seq,
		}
		if f.Late {
			p.log.Info("stripe object came late", "id", e.ID, "age", e.Seen.Sub(e.Created))
		}
		d := &delivery[T]{event: e}
		p.open[f.Seq] = d
		p.queue = append(p.queue, d)
	}
	return nil
}

func (p *Poller[T]) fresh(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.tail.Seen(id)
}

// deliver hands over what there is. It returns when that is done, or the
// context is over; in the middle of a poll it also waits until more may be
// fetched.
func (p *Poller[T]) deliver(midPoll bool) error {
	for p.ctx.Err() == nil {
		if err := p.save(); err != nil {
			return err
		}
		d, idle := p.ready(midPoll)
		if idle {
			return nil
		}
		p.hand(d)
	}
	return nil
}

// ready picks the event to hand over: one whose redelivery is due, else the
// next in the queue unless it is too far ahead of the oldest unacknowledged
// one. idle is that there is none, and nothing to wait for.
func (p *Poller[T]) ready(midPoll bool) (d *delivery[T], idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, o := range p.nacked {
		if !o.again.After(now) && (d == nil || o.again.Before(d.again)) {
			d = o
		}
	}
	if d == nil && len(p.queue) > 0 && p.queue[0].event.seq-p.tail.Oldest() < uint64(p.cfg.MaxUnacked) {
		d = p.queue[0]
	}
	return d, d == nil && len(p.queue) == 0 && !(midPoll && p.full())
}

// hand offers d, if there is one, until it is taken or something else is due.
func (p *Poller[T]) hand(d *delivery[T]) {
	var events chan Event[T]
	var event Event[T]
	if d != nil {
		events, event = p.events, d.event
	}
	p.mu.Lock()
	at, some := p.due()
	p.mu.Unlock()
	var timeout <-chan time.Time
	if some {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case events <- event:
		p.handed(d, event.Attempt)
	case <-p.wake:
	case <-timeout:
	case <-p.ctx.Done():
	}
}

// handed takes note that d was taken. The reader may have been quicker with a
// Nack, which then stands.
func (p *Poller[T]) handed(d *delivery[T], attempt int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || p.queue[0] != d {
		if d.event.Attempt == attempt {
			delete(p.nacked, d.event.seq)
		}
		return
	}
	p.queue[0], p.queue = nil, p.queue[1:]
	p.status.Delivered++
	if d.event.Late {
		p.status.Late++
	}
}

// ack is called by Event.Ack.
func (p *Poller[T]) ack(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tail.Ack(seq) {
		return
	}
	delete(p.open, seq)
	delete(p.nacked, seq)
	p.dirty = true
	p.nudge()
}

// nack is called by Event.Nack, with the attempt that it belongs to.
func (p *Poller[T]) nack(seq uint64, attempt int, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.open[seq]
	if d == nil || d.event.Attempt != attempt || p.stopped {
		return
	}
	d.event.Attempt++
	d.again = time.Now().Add(after)
	p.nacked[seq] = d
	p.nudge()
}

// nudge has somebody look at what has changed: the turn under way, the timer of
// a Poller at rest, or, after the end, a last save. The caller holds mu.
func (p *Poller[T]) nudge() {
	switch {
	case p.stopped:
		time.AfterFunc(0, p.saveLate)
	case p.running:
		select {
		case p.wake <- struct{}{}:
		default:
		}
	default:
		p.arm()
	}
}

// end is the last turn. An acknowledgement that comes before stopped is set is
// saved here, one that comes later by saveLate.
func (p *Poller[T]) end(err error) {
	p.timer.Stop()
	saveErr := p.saveAtEnd()
	p.mu.Lock()
	late := p.dirty && saveErr == nil
	p.stopped = true
	p.err = err
	if err == nil {
		p.err = saveErr
	}
	err = p.err
	p.mu.Unlock()
	if late {
		p.saveLate()
	}
	if err != nil {
		p.log.Error("stripe poller ended", "error", err)
	} else {
		p.log.Info("stripe poller stopped")
	}
	close(p.events)
}
