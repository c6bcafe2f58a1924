package delivery

import "time"

// Receipt is told how the attempts at an event end. An attempt is ended by one of
// these; what comes after that is ignored.
type Receipt interface {
	Ack(seq uint64)
	Nack(seq uint64, attempt int, after time.Duration, reason error)
	Term(seq uint64, attempt int, reason error)
}
