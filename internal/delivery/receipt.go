package delivery

import "time"

// Receipt is called when an attempt to process an event ends. Only the first
// call for an attempt counts; later ones are ignored.
type Receipt interface {
	Ack(seq uint64)
	Nack(seq uint64, attempt int, after time.Duration, reason error)
	Term(seq uint64, attempt int, reason error)
}
