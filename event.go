package stripekit

import "time"

// Event is a new object, as a Poller delivers it.
type Event[T any] struct {
	ID     string
	Object *T
	// Created is the object's own time, to the second; zero where it has none.
	Created time.Time
	// Seen is the service's clock when the Poller found the object.
	Seen time.Time
	// Late tells that the object became visible after objects that are newer.
	Late bool
	// Attempt is 1 for the first delivery, and one more after each Nack.
	Attempt int

	receipt receipt
	seq     uint64
}

// receipt is where an event is acknowledged.
type receipt interface {
	ack(seq uint64)
	nack(seq uint64, attempt int, after time.Duration)
}

// Ack says that the event is dealt with: it will not be delivered again. It
// never blocks and can be called from any goroutine, in any order, more than
// once. The checkpoint is saved soon after, within a second.
func (e Event[T]) Ack() {
	if e.receipt != nil {
		e.receipt.ack(e.seq)
	}
}

// Nack has the event delivered again after a while, 0 for at once. It never
// blocks, and does nothing for an event that is acknowledged, nor the second
// time for one delivery.
func (e Event[T]) Nack(after time.Duration) {
	if e.receipt != nil {
		e.receipt.nack(e.seq, e.Attempt, after)
	}
}
