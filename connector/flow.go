package connector

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/stripekit/stripekit"
)

// ErrClosed: the flow has ended without an error, because it was closed or the context
// of Open has ended.
var ErrClosed = errors.New("stripe: the flow is closed")

// Event is what a trigger delivers. The caller acknowledges it by Ack, asks for a
// redelivery by Nack, or gives it up by Term.
type Event struct {
	// ID is the id of the new object, or of Stripe's event about the change.
	ID string
	// Data is JSON, as the schema Trigger.Data says. If DecodeErr is set, it is the
	// JSON that Stripe has sent.
	Data json.RawMessage
	// DecodeErr is why Data may not be as its schema says; nil normally.
	DecodeErr error
	// Created is when the object was created or the change happened, to the second.
	Created time.Time
	// Seen is the time by Stripe's clock when the event was found; zero if unknown.
	Seen time.Time
	// Late reports whether the event became visible after newer ones.
	Late bool
	// Attempt is the number of the delivery: 1 for the first.
	Attempt int

	receipt receipt
}

// receipt is the event of the Poller. Its type depends on the object.
type receipt interface {
	Ack()
	Nack(after time.Duration)
	Term(reason error)
}

// Ack acknowledges the event: it is not redelivered. Ack never blocks, and may be
// called from any goroutine, in any order, and more than once.
func (e Event) Ack() {
	if e.receipt != nil {
		e.receipt.Ack()
	}
}

// Nack asks for a redelivery after a wait; 0 is at once. Nack never blocks. It has no
// effect on an acknowledged event.
func (e Event) Nack(after time.Duration) {
	if e.receipt != nil {
		e.receipt.Nack(after)
	}
}

// Term gives the event up: it is not redelivered, Options.OnGiveUp is called with the
// reason, and then the event counts as acknowledged. Term never blocks.
func (e Event) Term(reason error) {
	if e.receipt != nil {
		e.receipt.Term(reason)
	}
}

// Flow is a trigger that runs. It is safe for concurrent use.
type Flow struct {
	poller poller
	next   func(context.Context) (e Event, ended bool, err error)
	cancel context.CancelFunc
}

// poller is what a stripekit.Poller has apart from its events.
type poller interface {
	Err() error
	Status() stripekit.PollStatus
	Key() string
	Flush(ctx context.Context) error
}

// dataOf returns the data of an event, from the decoded object (nil if it could not be
// decoded) and the object as JSON. If it fails, the data is the JSON.
type dataOf func(object any, raw []byte) (json.RawMessage, error)

// openFlow starts a Poller.
func openFlow[T any](ctx context.Context, src stripekit.Source[T], c flowConfig, o Options, data dataOf) (*Flow, error) {
	cfg, err := c.pollConfig(o)
	if err != nil {
		return nil, err
	}
	if o.OnGiveUp != nil {
		cfg.OnGiveUp = func(ctx context.Context, e stripekit.Event[any], reason error) error {
			return o.OnGiveUp(ctx, eventOf(e, e.Object, data), reason)
		}
	}
	p, err := stripekit.NewPoller(src, cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	delivered, err := p.Start(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	received := func(e stripekit.Event[T], ok bool) (Event, bool, error) {
		if !ok {
			return Event{}, true, nil
		}
		return eventOf(e, e.Object, data), false, nil
	}
	return &Flow{poller: p, cancel: cancel, next: func(ctx context.Context) (Event, bool, error) {
		select {
		case e, ok := <-delivered:
			return received(e, ok)
		default:
		}
		select {
		case e, ok := <-delivered:
			return received(e, ok)
		case <-ctx.Done():
			return Event{}, false, ctx.Err()
		}
	}}, nil
}

// eventOf returns the event of a Poller as one of a Flow. object is the Object of e,
// or what it points to.
func eventOf[T any](e stripekit.Event[T], object any, data dataOf) Event {
	if inner, ok := object.(*any); ok { // in OnGiveUp
		object = nil
		if inner != nil {
			object = *inner
		}
	}
	text, err := data(object, e.Raw)
	return Event{
		ID: e.ID, Data: text, DecodeErr: cmp.Or(e.DecodeErr, err), Created: e.Created, Seen: e.Seen,
		Late: e.Late, Attempt: e.Attempt, receipt: e,
	}
}

// Next waits for the next event. It returns the error of ctx if that ends first; an event
// or an end that is there already comes before it. Once the flow has ended, Next returns
// Err, or ErrClosed if that is nil.
func (f *Flow) Next(ctx context.Context) (Event, error) {
	e, ended, err := f.next(ctx)
	if !ended {
		return e, err
	}
	f.cancel()
	if err := f.poller.Err(); err != nil {
		return Event{}, err
	}
	return Event{}, ErrClosed
}

// Err returns the error by which the flow has ended: an invalid key, a missing
// permission, another flow on its checkpoint, and the like. It is nil while the flow
// runs, and after Close.
func (f *Flow) Err() error { return f.poller.Err() }

// Status returns the current state, for metrics.
func (f *Flow) Status() stripekit.PollStatus { return f.poller.Status() }

// Key returns the key of the checkpoint.
func (f *Flow) Key() string { return f.poller.Key() }

// Flush waits until all acknowledgements so far are saved.
func (f *Flow) Flush(ctx context.Context) error { return f.poller.Flush(ctx) }

// Close ends the flow, and waits until its acknowledgements are saved, or ctx ends.
// Events that were not acknowledged are delivered by the next flow on the checkpoint.
// It returns Err, or the error of the last save.
func (f *Flow) Close(ctx context.Context) error {
	f.cancel()
	for {
		_, ended, err := f.next(ctx)
		switch {
		case err != nil:
			return err
		case ended:
			if err := f.poller.Err(); err != nil {
				return err
			}
			return f.poller.Status().SaveErr
		}
	}
}
