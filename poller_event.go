package stripekit

import (
	"time"

	"github.com/stripekit/stripekit/internal/delivery"
)

// Event is a new object that a Poller delivers. The caller acknowledges it by Ack,
// asks for a redelivery by Nack, or gives it up by Term.
type Event[T any] struct {
	// ID is the id of the object.
	ID string
	// Object is the decoded object; nil if DecodeErr is set.
	Object *T
	// Raw is the object as JSON.
	Raw []byte
	// DecodeErr is why the object could not be decoded into T; nil if it was. It is
	// a *PanicError if the decoding of T panicked.
	DecodeErr error
	// Created is when the object was created, to the second: its field "created",
	// or the timeField of NewSource. It is zero if the object has no such field.
	Created time.Time
	// Seen is the time by the service's clock when the Poller found the object; zero
	// if the response has no Date header.
	Seen time.Time
	// Late reports whether the object became visible after newer objects.
	Late bool
	// Attempt is the number of the delivery: 1 for the first.
	Attempt int

	receipt delivery.Receipt
	seq     uint64
}

// WithReceipt returns a copy of the event with Ack, Nack and Term passed to r. It
// is for stripekittest.NewEvent alone, since the type of r is internal.
func (e Event[T]) WithReceipt(r delivery.Receipt) Event[T] {
	e.receipt = r
	return e
}

// ledger makes a Poller the Receipt of its events.
type ledger[T any] Poller[T]

func (l *ledger[T]) Ack(seq uint64) { (*Poller[T])(l).ack(seq) }

func (l *ledger[T]) Nack(seq uint64, attempt int, after time.Duration, reason error) {
	(*Poller[T])(l).nack(seq, attempt, after, reason)
}

func (l *ledger[T]) Term(seq uint64, attempt int, reason error) {
	(*Poller[T])(l).term(seq, attempt, reason)
}

// Ack acknowledges the event: it is not redelivered. Ack never blocks. It may be
// called from any goroutine, in any order, and more than once. The checkpoint is
// saved soon after, usually within a second.
func (e Event[T]) Ack() {
	if e.receipt != nil {
		e.receipt.Ack(e.seq)
	}
}

// Nack asks the Poller to redeliver the event after a wait; 0 is at once. Nack
// never blocks. It has no effect on an acknowledged event, or after a Nack or Term of
// the same delivery. If Attempt has reached PollConfig.MaxAttempts, Nack gives the
// event up like Term.
func (e Event[T]) Nack(after time.Duration) {
	if e.receipt != nil {
		e.receipt.Nack(e.seq, e.Attempt, after, nil)
	}
}

// Term gives the event up: it is not redelivered, PollConfig.OnGiveUp is called with
// the reason, and then the event counts as acknowledged. Term never blocks. It has
// no effect on an acknowledged event, or after a Nack or Term of the same delivery. Once
// the context of the Poller has ended, OnGiveUp is not called any more, and the next Poller
// delivers the event again.
func (e Event[T]) Term(reason error) {
	if e.receipt != nil {
		e.receipt.Term(e.seq, e.Attempt, reason)
	}
}
