package stripekit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/tail"
	"github.com/stripekit/stripekit/internal/transport"
)

// errRefused is the reason for giving up an event after a Nack of the last attempt.
var errRefused = errors.New("stripe: the event was refused in each of its attempts")

// begin starts a Poller with the state of a checkpoint. The caller holds mu.
func (p *Poller[T]) begin(ctx context.Context, began time.Time, state *checkpoint.State) {
	p.account, p.accountKey, p.seed, p.startedAt = state.Account, state.KeyHash, state.Seed, state.Started
	p.retention = retention{readTo: state.DoneTo, saved: state.DoneTo}
	cfg := tail.Config{Overlap: p.cfg.Overlap, From: int64(p.cfg.From), Start: began, Dated: p.source.kept() > 0}
	if !state.Started.IsZero() {
		// An earlier process ended before it knew the service's clock. Only the wall
		// clock of this machine gives the time since then.
		cfg.Start = began.Add(-max(0, began.Round(0).Sub(state.Started)))
	}
	p.tail = tail.Resume(cfg, state.Snapshot)
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.phase = isRunning

	var first time.Duration // with FromNow 0, since the first responses say when that is
	if p.tail.Started() {
		first = rand.N(p.cfg.Every)
	}
	p.spread = !p.tail.Started()
	p.pollAt, p.observedAt = began.Add(first), began
	tick := p.tick
	p.timer = time.AfterFunc(time.Hour, tick)
	context.AfterFunc(p.ctx, tick)
	p.kick()
}

// tick is called by the timer, and at the end of the context.
func (p *Poller[T]) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timerAt = time.Time{}
	p.kick()
}

// kick starts the roles that have something to do, and sets the timer for the next
// time that something is due. The caller holds mu.
func (p *Poller[T]) kick() {
	if p.phase < isRunning {
		return
	}
	now := time.Now()
	var next time.Time
	// due reports whether at is not in the future. Otherwise the timer will be set
	// for it, or for an earlier time.
	due := func(at time.Time) bool {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
		return !at.After(now)
	}
	if p.ctx.Err() != nil {
		p.kickEnding()
	} else {
		if !p.roles.fetching && !p.queue.Full() && due(p.pollAt) {
			p.roles.fetching = true
			go p.fetch()
		}
		if p.drainer != nil && !p.roles.fetching {
			// The next request is not due yet, but the reader need not wait for it.
			if p.takeDrained(); !p.tail.Draining() {
				p.closeDrain()
			}
		}
		p.kickDelivery(now, due)
	}
	if p.drainer != nil {
		p.drainer.notify()
	}
	if p.phase != isEnding && p.unsaved() && !p.roles.saving && due(p.saveAt) {
		p.takeSlot(now)
		go p.saveOnce()
	}
	if p.observeDue(due) {
		p.wantObserve(now)
	}
	if p.wantObserved && p.roles.observing == nil {
		p.roles.observing = make(chan struct{})
		go p.observe(p.roles.observing)
	}
	p.kickFinish()
	p.arm(now, next)
}

func (p *Poller[T]) kickDelivery(now time.Time, due func(time.Time) bool) {
	if len(p.givenUp) > 0 && !p.roles.givingUp {
		p.roles.givingUp = true
		go p.giveUp()
	}
	if p.handler != nil {
		p.kickHandler(now, due)
		return
	}
	if p.roles.delivering {
		return
	}
	if _, ok := p.queue.Next(now); ok {
		p.roles.delivering, p.wake = true, make(chan struct{}, 1)
		go p.deliver(p.wake)
	} else if at, ok := p.queue.Due(); ok {
		due(at)
	}
}

// kickEnding ends the Poller once fetching and delivering have ended.
func (p *Poller[T]) kickEnding() {
	if p.phase == isRunning && !p.roles.fetching && !p.roles.delivering {
		p.phase = isEnding
		go p.end()
	}
}

// arm sets the timer to next, or stops it if next is zero.
func (p *Poller[T]) arm(now, next time.Time) {
	switch {
	case next.IsZero():
		p.timer.Stop()
		p.timerAt = time.Time{}
	case p.timerAt.IsZero() || !p.timerAt.Equal(next):
		p.timerAt = next
		p.timer.Reset(next.Sub(now))
	}
}

// fail ends the Poller with an error. The caller holds mu.
func (p *Poller[T]) fail(err error) {
	if p.err == nil && p.ctx.Err() == nil {
		p.err = err
	}
	p.cancel()
}

// end saves the acknowledgements, and closes the channel. It waits no longer than
// saveTimeout for the save and for a call of Observe.
//
// A later acknowledgement is saved as well.
func (p *Poller[T]) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), saveTimeout)
	defer cancel()
	saveErr := p.flush(ctx)
	p.awaitObserver(ctx)
	p.mu.Lock()
	p.closeDrain()
	if p.err == nil && saveErr != nil {
		p.err = saveErr
	}
	err := p.err
	p.phase = hasEnded
	p.saveAt, p.timerAt = time.Time{}, time.Time{} // a later acknowledgement is saved at once
	p.mu.Unlock()
	if p.handler == nil {
		close(p.events)
	}
	if err != nil {
		p.log.Error("stripe poller ended", "error", err)
	} else {
		p.log.Info("stripe poller stopped")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kick()
}

// observeDue reports whether Observe must be called because no poll has ended for
// the time Every: the poll takes long, waits for the reader, or waits after a
// failure. The caller holds mu.
func (p *Poller[T]) observeDue(due func(time.Time) bool) bool {
	at := p.observedAt.Add(p.cfg.Every)
	switch {
	case p.polling && p.began.After(p.observedAt):
		at = p.began.Add(p.cfg.Every)
	case !p.polling && p.roles.fetching: // a poll begins right now
		at = p.pollAt.Add(p.cfg.Every)
	}
	soon := !p.polling && !p.roles.fetching && !p.queue.Full() && !p.pollAt.After(at)
	return p.cfg.Observe != nil && p.phase == isRunning && !soon && due(at)
}

// wantObserve makes the observing role call Observe. The caller holds mu.
func (p *Poller[T]) wantObserve(now time.Time) {
	p.wantObserved = p.cfg.Observe != nil && p.phase < hasEnded
	p.observedAt = now
}

// awaitObserver waits until the observing role has ended.
func (p *Poller[T]) awaitObserver(ctx context.Context) {
	p.mu.Lock()
	done := p.roles.observing
	p.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// observe is the observing role: it calls Observe. It closes done at its end.
func (p *Poller[T]) observe(done chan<- struct{}) {
	for {
		p.mu.Lock()
		if !p.wantObserved {
			p.roles.observing = nil
			close(done)
			p.kick()
			p.mu.Unlock()
			return
		}
		p.wantObserved = false
		p.mu.Unlock()
		p.cfg.Observe(p.Status())
	}
}

// deliver is the delivering role: it sends events to the channel. After a receive
// from wake it checks again which event is next.
func (p *Poller[T]) deliver(wake <-chan struct{}) {
	for {
		p.mu.Lock()
		offer, ok := p.queue.Next(time.Now())
		if !ok || p.ctx.Err() != nil {
			p.roles.delivering, p.wake = false, nil
			p.kick()
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		select {
		case p.events <- p.offered(offer):
			p.mu.Lock()
			p.queue.Take(offer.Seq, offer.Attempt)
			p.mu.Unlock()
		case <-wake: // the offer may be out of date
		case <-p.ctx.Done():
		}
	}
}

// offered returns the event of an offer.
func (p *Poller[T]) offered(offer delivery.Offer[*incoming[T]]) Event[T] {
	e := offer.Event.event
	e.Attempt, e.receipt, e.seq = offer.Attempt, (*ledger[T])(p), offer.Seq
	return e
}

// changed wakes the delivering role and starts other roles after an Ack, Nack or
// Term. The caller holds mu.
func (p *Poller[T]) changed() {
	if p.roles.delivering {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.kick()
}

// ack is called by Event.Ack.
func (p *Poller[T]) ack(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done(seq) {
		p.changed()
	}
}

// done acknowledges an event, and reports whether it was unacknowledged. The caller
// holds mu.
func (p *Poller[T]) done(seq uint64) bool {
	in, ok := p.queue.Ack(seq)
	if ok {
		p.tail.Ack(in.key)
		p.changes++
	}
	return ok
}

// nack is called by Event.Nack. After the end of the context, the next Poller delivers the
// event. The attempt ends nevertheless, so that Handled does not acknowledge the event. The
// reason is then mostly that end, and not worth telling.
func (p *Poller[T]) nack(seq uint64, attempt int, after time.Duration, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reason != nil && p.ctx.Err() == nil {
		p.status.HandlerErr = reason
	}
	if p.cfg.MaxAttempts > 0 && attempt >= p.cfg.MaxAttempts {
		if reason == nil {
			reason = errRefused
		}
		p.termLocked(seq, attempt, reason)
		return
	}
	if p.queue.Nack(seq, attempt, time.Now().Add(after)) {
		p.changed()
	}
}

// term is called by Event.Term. After the end of the context it has the effect of a Nack:
// OnGiveUp is not called any more.
func (p *Poller[T]) term(seq uint64, attempt int, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.termLocked(seq, attempt, reason)
}

func (p *Poller[T]) termLocked(seq uint64, attempt int, reason error) {
	if p.queue.GiveUp(seq, attempt) {
		p.givenUp = append(p.givenUp, givenUp{seq, attempt, reason})
		p.changed()
	}
}

// giveUp is the giving-up role: it calls OnGiveUp.
func (p *Poller[T]) giveUp() {
	for {
		p.mu.Lock()
		if len(p.givenUp) == 0 || p.ctx.Err() != nil {
			p.roles.givingUp = false
			p.kick()
			p.mu.Unlock()
			return
		}
		g := p.givenUp[0]
		p.givenUp = p.givenUp[1:]
		in, open := p.queue.Event(g.seq)
		p.mu.Unlock()
		if !open {
			continue // acknowledged meanwhile
		}
		err := p.onGiveUp(in.event, g)
		p.mu.Lock()
		if err != nil {
			p.status.HandlerErr = err
			p.queue.Keep(g.seq, time.Now().Add(redelivery(g.attempt)))
		} else if p.done(g.seq) {
			p.status.GivenUp++
		}
		p.changed()
		p.mu.Unlock()
	}
}

// onGiveUp calls OnGiveUp with an event, or logs the event if OnGiveUp is nil.
func (p *Poller[T]) onGiveUp(e Event[T], g givenUp) (err error) {
	log := p.log.With("id", transport.Quote(e.ID), "attempt", g.attempt, "reason", g.reason)
	if p.cfg.OnGiveUp == nil {
		log.Error("stripe event given up")
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		if err != nil {
			err = fmt.Errorf("stripe: giving up event %s: %w", transport.Quote(e.ID), err)
			log.Error("stripe event could not be given up, will be delivered again", "error", err)
		}
	}()
	out := Event[any]{
		ID: e.ID, Raw: e.Raw, DecodeErr: e.DecodeErr, Created: e.Created, Seen: e.Seen, Late: e.Late, Attempt: g.attempt,
	}
	if e.Object != nil {
		out.Object = new(any(e.Object))
	}
	return p.cfg.OnGiveUp(p.ctx, out, g.reason)
}

// redelivery returns the wait between a failed attempt and the redelivery.
func redelivery(attempt int) time.Duration {
	return min(time.Second<<min(attempt-1, 10), 5*time.Minute)
}
