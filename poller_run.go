package stripekit

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
)

// errGoexit is the error of a Poller after its handler has called runtime.Goexit.
var errGoexit = errors.New("stripe: the handler of the poller called runtime.Goexit")

// Run starts the Poller, calls handle for each event, and acknowledges the event if
// handle returns nil. After an error the event is redelivered, with waits that
// double from one second to five minutes. handle is not called with an event that
// has a DecodeErr: Run treats it as if handle had returned that error, so that
// PollConfig.MaxAttempts and OnGiveUp apply.
//
// Run returns when the Poller has ended, all calls of handle have returned, and the
// last acknowledgement is saved. It returns the Err of the Poller, or the error of
// that save. If handle panics, the event is not acknowledged, the Poller ends, and
// Run panics with a *PanicError. If handle calls runtime.Goexit, as FailNow of
// package testing does, the event is not acknowledged, the Poller ends, and Run
// returns an error.
func (p *Poller[T]) Run(ctx context.Context, handle func(context.Context, Event[T]) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return err
	}
	r := run[T]{poller: p, handle: handle, events: events}
	var workers sync.WaitGroup
	for range p.cfg.Workers {
		workers.Go(func() { r.work(ctx) })
	}
	workers.Wait()
	for range events { // events are left if every worker has failed
	}
	flushing, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer stop()
	saveErr := p.Flush(flushing)
	if r.panicked != nil {
		panic(r.panicked)
	}
	if err := p.Err(); err != nil {
		return err
	}
	return saveErr
}

// run is one call of Run.
type run[T any] struct {
	poller *Poller[T]
	handle func(context.Context, Event[T]) error
	events <-chan Event[T]

	mu       sync.Mutex
	panicked *PanicError // the first panic of handle
}

// work handles events until the channel is closed, or until handle panics or calls
// runtime.Goexit.
func (r *run[T]) work(ctx context.Context) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// After a Goexit, recover returns nil.
		v := recover()
		r.mu.Lock()
		if v != nil && r.panicked == nil {
			r.panicked = &PanicError{Value: v, Stack: debug.Stack()}
		}
		r.mu.Unlock()
		r.poller.abort(v == nil)
	}()
	for e := range r.events {
		err := e.DecodeErr
		if err == nil {
			err = r.handle(ctx, e)
		}
		r.poller.Handled(e, err)
	}
	returned = true
}

// abort ends the Poller after a panic or a runtime.Goexit of its handler.
func (p *Poller[T]) abort(goexit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if goexit {
		p.fail(errGoexit)
		return
	}
	p.cancel()
}

// Handled acknowledges an event if err is nil. Otherwise it asks for a redelivery
// and logs err, as Run does after an error of its handler: PollStatus.HandlerErr is
// err, and after PollConfig.MaxAttempts deliveries the event is given up with err as
// the reason. Handled is for loops that do the work of Run in another way.
func (p *Poller[T]) Handled(e Event[T], err error) {
	if err != nil {
		if e.receipt != nil {
			e.receipt.Nack(e.seq, e.Attempt, redelivery(e.Attempt), err)
		}
		p.log.Warn("stripe event not handled", "id", e.ID, "attempt", e.Attempt, "error", err)
		return
	}
	p.mu.Lock()
	p.status.HandlerErr = nil
	p.mu.Unlock()
	e.Ack()
}
