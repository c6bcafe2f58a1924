package stripekittest

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// NewEvent returns an event of object, as a Poller delivers it the first time,
// and its Receipt. ID, Raw and Created are taken from the JSON of object: ID from
// its field "id", Created from "created" or, as an invoice item has it, from
// "date"; they are zero if it has no such field. Attempt is 1. The other fields
// are zero. All of them can be set: an event with DecodeErr is one without Object.
//
// NewEvent panics if object cannot be encoded as JSON. Poller.Commit refuses the
// event, as every event that another Poller delivered.
func NewEvent[T any](object *T) (stripekit.Event[T], *Receipt) {
	raw, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("stripekittest: %v", err))
	}
	var head struct {
		ID      string             `json:"id"`
		Created stripekit.UnixTime `json:"created"`
		Date    stripekit.UnixTime `json:"date"`
	}
	_ = json.Unmarshal(raw, &head) // a field of another type stays zero
	if head.Created == 0 {
		head.Created = head.Date
	}
	receipt := new(Receipt)
	event := stripekit.Event[T]{ID: head.ID, Object: object, Raw: raw, Created: head.Created.Time(), Attempt: 1}
	return event.WithReceipt((*ledger)(receipt)), receipt
}

// Receipt says what became of an event of NewEvent. It has the rules of a Poller:
//
//   - The first Nack or Term of an attempt counts; a second one is ignored.
//   - An Ack counts at any time: after a Nack or a Term, too.
//   - After an Ack or a Term, a Nack or a Term is ignored.
//
// At most one of Acked, Nacked and Terminated is true; none, as long as the event
// is neither acknowledged nor refused. The same event with a higher Attempt stands
// for its redelivery after a Nack. MaxAttempts of a PollConfig has no part in it: a
// Nack stays a Nack. A Receipt is safe for concurrent use.
type Receipt struct {
	mu      sync.Mutex // guards what follows
	outcome outcome
	attempt int           // the last one that was ended by a Nack
	after   time.Duration // of the Nack
	reason  error         // of the Term
}

// outcome is the state of an event.
type outcome int

const (
	isOpen outcome = iota
	isNacked
	isTerminated
	isAcked
)

// Acked reports whether the event is acknowledged.
func (r *Receipt) Acked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcome == isAcked
}

// Nacked reports whether the event is to be delivered again, and after how long,
// as Nack was given it; 0 is at once.
func (r *Receipt) Nacked() (after time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcome != isNacked {
		return 0, false
	}
	return r.after, true
}

// Terminated reports whether the event is given up by Term, and the reason, as
// Term was given it.
func (r *Receipt) Terminated() (reason error, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcome != isTerminated {
		return nil, false
	}
	return r.reason, true
}

// ledger is a Receipt as the delivery.Receipt of its event. It has one event, and
// so takes no notice of the sequence number.
type ledger Receipt

func (l *ledger) Ack(uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcome = isAcked
}

func (l *ledger) Nack(_ uint64, attempt int, after time.Duration, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.present(attempt) {
		l.outcome, l.attempt, l.after = isNacked, attempt, after
	}
}

func (l *ledger) Term(_ uint64, attempt int, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.present(attempt) {
		l.outcome, l.reason = isTerminated, reason
	}
}

// present reports whether an attempt is under way. The caller holds mu.
func (l *ledger) present(attempt int) bool {
	return l.outcome == isOpen || l.outcome == isNacked && attempt > l.attempt
}
