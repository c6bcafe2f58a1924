package stripekit

import (
	"time"

	"github.com/stripekit/stripekit/internal/delivery"
)

// Event is a new object, as a Poller delivers it.
type Event[T any] struct {
	ID string
	// Object is nil if DecodeErr is set.
	Object *T
	// Raw is the object as JSON.
	Raw []byte
	// DecodeErr says why a T cannot hold the object. It is a *PanicError if the
	// decoding of T panicked.
	DecodeErr error
	// Created is the object's own time, to the second: its field "created", or
	// the timeField of NewSource; zero where it has none.
	Created time.Time
	// Seen is the service's clock when the Poller found the object; zero where
	// the response did not tell.
	Seen time.Time
	// Late is set if the object became visible after objects that are newer.
	Late bool
	// Attempt is 1 for the first delivery, and one more after each Nack.
	Attempt int

	receipt delivery.Receipt
	seq     uint64
}

// WithReceipt returns a copy of the event whose Ack, Nack and Term go to r. It is
// for stripekittest.NewEvent: nothing else can make an r.
func (e Event[T]) WithReceipt(r delivery.Receipt) Event[T] {
	e.receipt = r
	return e
}

// ledger is a Poller as the Receipt of its events.
type ledger[T any] Poller[T]

func (l *ledger[T]) Ack(seq uint64) { (*Poller[T])(l).ack(seq) }

func (l *ledger[T]) Nack(seq uint64, attempt int, after time.Duration, reason error) {
	(*Poller[T])(l).nack(seq, attempt, after, reason)
}

func (l *ledger[T]) Term(seq uint64, attempt int, reason error) {
	(*Poller[T])(l).term(seq, attempt, reason)
}

// Ack says that the event is dealt with: it will not be delivered again. It
// never blocks and can be called from any goroutine, in any order, more than
// once. The checkpoint is saved soon after, usually within a second.
func (e Event[T]) Ack() {
	if e.receipt != nil {
		e.receipt.Ack(e.seq)
	}
}

// Nack has the event delivered again after a while, 0 for at once. It never
// blocks, and does nothing for an event that is acknowledged, nor the second
// time for one delivery. The Nack of attempt PollConfig.MaxAttempts is a Term.
func (e Event[T]) Nack(after time.Duration) {
	if e.receipt != nil {
		e.receipt.Nack(e.seq, e.Attempt, after, nil)
	}
}

// Term gives the event up: it is not delivered again, PollConfig.OnGiveUp is
// called with the reason, and then it counts as acknowledged. It never blocks,
// and does nothing where Nack does nothing.
func (e Event[T]) Term(reason error) {
	if e.receipt != nil {
		e.receipt.Term(e.seq, e.Attempt, reason)
	}
}
