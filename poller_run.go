package stripekit

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/transport"
)

// errGoexit is the error of a Poller after its handler has called runtime.Goexit.
var errGoexit = errors.New("stripe: the handler of the poller called runtime.Goexit")

// Run starts the Poller, calls handle for each event, and acknowledges the event if
// handle returns nil, unless handle has called Nack or Term. After an error the event
// is redelivered, with waits that double from one second to five minutes. handle is not
// called with an event that has a DecodeErr: Run treats it as if handle had returned
// that error, so that PollConfig.MaxAttempts and OnGiveUp apply.
//
// handle gets ctx itself. When ctx is cancelled, a call under way may return an error, and its
// event is redelivered by the next Poller with this checkpoint. Or it may finish its work, with
// context.WithoutCancel(ctx) and a timeout: Run waits, and saves the acknowledgement.
//
// Run returns when the Poller has ended, all calls of handle and OnGiveUp have
// returned, and the last acknowledgement is saved. It returns the Err of the Poller, or
// the error of that save. If handle panics, the event is not acknowledged, the Poller
// ends, and Run panics with a *PanicError. If handle calls runtime.Goexit, as FailNow
// of package testing does, the event is not acknowledged, the Poller ends, and Run
// returns an error.
func (p *Poller[T]) Run(ctx context.Context, handle func(context.Context, Event[T]) error) error {
	ended := make(chan error, 1)
	if err := p.Handle(ctx, handle, func(err error) { ended <- err }); err != nil {
		return err
	}
	err := <-ended
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		panic(panicked)
	}
	return err
}

// Handle does what Run does, and does not wait for the end: it returns once the
// Poller has started, or the error of Start. Between two polls it uses no goroutine,
// so it is for programs with many Pollers. When Run would return, ended is called
// with its result, once, in a goroutine of its own. After a panic of handle the
// result is the *PanicError.
func (p *Poller[T]) Handle(ctx context.Context, handle func(context.Context, Event[T]) error, ended func(error)) error {
	_, err := p.start(ctx, &handler[T]{ctx: ctx, handle: handle, ended: ended})
	return err
}

// handler is the receiver of the events after Run or Handle. Up to
// PollConfig.Workers goroutines call handle. Each ends when no event is due.
type handler[T any] struct {
	ctx    context.Context // for handle
	handle func(context.Context, Event[T]) error
	ended  func(error)

	// Guarded by Poller.mu.
	workers   int         // the goroutines
	panicked  *PanicError // the first panic of handle
	finishing bool        // ended is about to be called
}

// kickHandler starts a worker if an event is due. The caller holds mu.
func (p *Poller[T]) kickHandler(now time.Time, due func(time.Time) bool) {
	if p.handler.workers == p.cfg.Workers {
		return
	}
	if _, ok := p.queue.Next(now); ok {
		p.handler.workers++
		go p.work()
	} else if at, ok := p.queue.Due(); ok {
		due(at)
	}
}

// work is a worker: it handles events until none is due, or until handle panics or
// calls runtime.Goexit.
func (p *Poller[T]) work() {
	returned := false
	defer func() {
		if returned {
			p.workEnded(nil, false)
			return
		}
		// After a Goexit, recover returns nil.
		if v := recover(); v != nil {
			p.workEnded(&PanicError{Value: v, Stack: debug.Stack()}, false)
			return
		}
		p.workEnded(nil, true)
	}()
	for {
		e, ok := p.takeEvent()
		if !ok {
			break
		}
		err := e.DecodeErr
		if err == nil {
			err = p.handler.handle(p.handler.ctx, e)
		}
		p.Handled(e, err)
	}
	returned = true
}

// takeEvent takes the next event that is due.
func (p *Poller[T]) takeEvent() (e Event[T], ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return e, false
	}
	offer, ok := p.queue.Next(time.Now())
	if !ok {
		return e, false
	}
	p.queue.Take(offer.Seq, offer.Attempt)
	p.kick() // another worker, if another event is due
	return p.offered(offer), true
}

// workEnded counts a worker that ended. A panic of its handler, or a
// runtime.Goexit, ends the Poller.
func (p *Poller[T]) workEnded(panicked *PanicError, goexit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler.workers--
	switch {
	case goexit:
		p.fail(errGoexit)
	case panicked != nil:
		if p.handler.panicked == nil {
			p.handler.panicked = panicked
		}
		p.cancel()
	}
	p.kick()
}

// kickFinish calls ended after the end of the Poller, once the last worker has
// ended, and the last call of OnGiveUp. The caller holds mu.
func (p *Poller[T]) kickFinish() {
	h := p.handler
	if h == nil || p.phase != hasEnded || h.workers > 0 || p.roles.givingUp || h.finishing {
		return
	}
	h.finishing = true
	go p.finish()
}

// finish saves the last acknowledgements and calls ended.
func (p *Poller[T]) finish() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), saveTimeout)
	defer cancel()
	saveErr := p.flush(ctx)
	switch err := p.Err(); {
	case p.handler.panicked != nil:
		p.handler.ended(p.handler.panicked)
	case err != nil:
		p.handler.ended(err)
	default:
		p.handler.ended(saveErr)
	}
}

// Handled acknowledges an event if err is nil, unless Nack or Term was called for it.
// Otherwise it asks for a redelivery and logs err, as Run does after an error of its
// handler: PollStatus.HandlerErr is err, and after PollConfig.MaxAttempts deliveries
// the event is given up with err as the reason. Handled is for loops that do the work
// of Run in another way.
func (p *Poller[T]) Handled(e Event[T], err error) {
	if err != nil {
		if e.receipt != nil {
			e.receipt.Nack(e.seq, e.Attempt, redelivery(e.Attempt), err)
		}
		p.log.Warn("stripe event not handled", "id", transport.Quote(e.ID), "attempt", e.Attempt, "error", err)
		return
	}
	p.mu.Lock()
	p.status.HandlerErr = nil
	refused := p.queue.Refused(e.seq, e.Attempt) && e.receipt == delivery.Receipt((*ledger[T])(p))
	p.mu.Unlock()
	if !refused {
		e.Ack()
	}
}
