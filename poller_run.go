package stripekit

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
)

// errGoexit is why a Poller ended whose handler ended its goroutine.
var errGoexit = errors.New("stripe: the handler of the poller called runtime.Goexit")

// Run starts the Poller, calls handle for each event, and acknowledges it when
// handle returns nil; on an error the event comes again, after a second first
// and then less and less often. An event with a DecodeErr is not given to handle:
// it counts as if handle had returned that error, so that PollConfig.MaxAttempts
// and OnGiveUp deal with it.
//
// Run returns when the Poller ends, after the last handle has returned and the
// last acknowledgement is saved: with its Err, or the error of that save. If
// handle panics, the Poller ends without that event acknowledged, and Run panics
// with a *PanicError. If handle ends its goroutine (runtime.Goexit, as FailNow of
// package testing does), the Poller ends likewise and Run returns an error.
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
	for range events { // what is left when every worker has failed
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
	panicked *PanicError // the first
}

// work handles events until there are no more, or handle does not return.
func (r *run[T]) work(ctx context.Context) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// A Goexit leaves nothing to recover.
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
		r.poller.handled(e, err)
	}
	returned = true
}

// abort ends the Poller because of its handler.
func (p *Poller[T]) abort(goexit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if goexit {
		p.fail(errGoexit)
		return
	}
	p.cancel()
}

// handled acknowledges an event, or has it delivered again.
func (p *Poller[T]) handled(e Event[T], err error) {
	if err != nil {
		e.receipt.Nack(e.seq, e.Attempt, redelivery(e.Attempt), err)
		p.log.Warn("stripe event not handled", "id", e.ID, "attempt", e.Attempt, "error", err)
		return
	}
	p.mu.Lock()
	p.status.HandlerErr = nil
	p.mu.Unlock()
	e.Ack()
}
