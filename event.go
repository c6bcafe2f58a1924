package stripekit

import "time"

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

	receipt receipt
	seq     uint64
}

// receipt is where an event is acknowledged.
type receipt interface {
	ack(seq uint64)
	nack(seq uint64, attempt int, after time.Duration, reason error)
	term(seq uint64, attempt int, reason error)
}

// Ack says that the event is dealt with: it will not be delivered again. It
// never blocks and can be called from any goroutine, in any order, more than
// once. The checkpoint is saved soon after, usually within a second.
func (e Event[T]) Ack() {
	if e.receipt != nil {
		e.receipt.ack(e.seq)
	}
}

// Nack has the event delivered again after a while, 0 for at once. It never
// blocks, and does nothing for an event that is acknowledged, nor the second
// time for one delivery. The Nack of attempt PollConfig.MaxAttempts is a Term.
func (e Event[T]) Nack(after time.Duration) {
	if e.receipt != nil {
		e.receipt.nack(e.seq, e.Attempt, after, nil)
	}
}

// Term gives the event up: it is not delivered again, PollConfig.OnGiveUp is
// called with the reason, and then it counts as acknowledged. It never blocks,
// and does nothing where Nack does nothing.
func (e Event[T]) Term(reason error) {
	if e.receipt != nil {
		e.receipt.term(e.seq, e.Attempt, reason)
	}
}
