// Package delivery keeps events from when they are found until they are
// acknowledged. It decides in which order they are offered, how often, and how
// many the reader may have at a time. It starts no goroutines and does no I/O.
package delivery

import (
	"container/heap"
	"iter"
	"time"
)

// Queue holds the events that are not acknowledged. It is not safe for
// concurrent use.
//
//	Add → queued → out ⇄ waiting
//	                ↘    ↙
//	               givenUp, or Ack from anywhere
//
// An event is out while the reader has it. After a Nack, it waits until its
// redelivery is due. The Ack, Nack or GiveUp of the reader may come before the
// call of Take for the same attempt, so each of the three implies Take.
type Queue[E any] struct {
	max     int
	last    uint64
	events  map[uint64]*entry[E]
	queued  []*entry[E] // the oldest first; Next skips those in another state
	waiting waiting[E]
	taken   int    // events that the reader has received and not acknowledged
	total   uint64 // events that the reader has received
}

// New returns a queue that lets the reader have at most limit unacknowledged
// events.
func New[E any](limit int) *Queue[E] { return &Queue[E]{max: limit} }

type state uint8

const (
	isQueued state = iota
	isOut
	isWaiting
	isGivenUp
)

type entry[E any] struct {
	seq     uint64
	event   E
	attempt int // the number of the next or current attempt, from 1
	state   state
	taken   bool      // the reader has received it at least once
	due     time.Time // when the redelivery is due
	index   int       // in Queue.waiting
}

// Offer is an event to be delivered.
type Offer[E any] struct {
	Seq     uint64
	Attempt int
	Event   E
}

// Add appends an event.
func (q *Queue[E]) Add(event E) (seq uint64) {
	q.last++
	e := &entry[E]{seq: q.last, event: event, attempt: 1}
	if q.events == nil {
		q.events = map[uint64]*entry[E]{}
	}
	q.events[e.seq] = e
	q.queued = append(q.queued, e)
	return e.seq
}

// Next returns the event to offer now: a redelivery that is due, or the oldest
// queued event if the reader has fewer events than its limit.
func (q *Queue[E]) Next(now time.Time) (o Offer[E], ok bool) {
	if len(q.waiting) > 0 && !q.waiting[0].due.After(now) {
		return q.waiting[0].offer(), true
	}
	for len(q.queued) > 0 && q.queued[0].state != isQueued {
		q.queued[0], q.queued = nil, q.queued[1:]
	}
	if len(q.queued) == 0 {
		q.queued = nil
		return o, false
	}
	if q.taken >= q.max {
		return o, false
	}
	return q.queued[0].offer(), true
}

func (e *entry[E]) offer() Offer[E] { return Offer[E]{Seq: e.seq, Attempt: e.attempt, Event: e.event} }

// Due returns when the next redelivery is due, false if there is none.
func (q *Queue[E]) Due() (at time.Time, ok bool) {
	if len(q.waiting) == 0 {
		return at, false
	}
	return q.waiting[0].due, true
}

// Take records that the reader has received an offer.
func (q *Queue[E]) Take(seq uint64, attempt int) {
	if e := q.at(seq, attempt); e != nil && e.state != isGivenUp {
		q.move(e, isOut)
	}
}

// Ack acknowledges and removes an event. It reports whether the event was still
// there.
func (q *Queue[E]) Ack(seq uint64) (event E, ok bool) {
	e := q.events[seq]
	if e == nil {
		return event, false
	}
	q.move(e, isOut)
	delete(q.events, seq)
	q.taken--
	return e.event, true
}

// Nack schedules the redelivery of an event, not before due. It reports whether
// the attempt was the current one.
func (q *Queue[E]) Nack(seq uint64, attempt int, due time.Time) bool {
	e := q.at(seq, attempt)
	if e == nil || e.state == isGivenUp {
		return false
	}
	q.wait(e, due)
	return true
}

// GiveUp suspends the delivery of an event until Ack or Keep is called. It
// reports whether the attempt was the current one.
func (q *Queue[E]) GiveUp(seq uint64, attempt int) bool {
	e := q.at(seq, attempt)
	if e == nil || e.state == isGivenUp {
		return false
	}
	q.move(e, isGivenUp)
	return true
}

// Refused reports whether an attempt ended by Nack or GiveUp, and the event is not
// acknowledged. It may be delivered again since.
func (q *Queue[E]) Refused(seq uint64, attempt int) bool {
	e := q.events[seq]
	return e != nil && (e.attempt != attempt || e.state == isGivenUp)
}

// Keep schedules the redelivery of an event that was given up, not before due.
func (q *Queue[E]) Keep(seq uint64, due time.Time) {
	if e := q.events[seq]; e != nil && e.state == isGivenUp {
		q.wait(e, due)
	}
}

// at returns the entry of an event if attempt is its current one, else nil.
func (q *Queue[E]) at(seq uint64, attempt int) *entry[E] {
	e := q.events[seq]
	if e == nil || e.attempt != attempt {
		return nil
	}
	return e
}

func (q *Queue[E]) wait(e *entry[E], due time.Time) {
	q.move(e, isWaiting)
	e.attempt++
	e.due = due
	heap.Push(&q.waiting, e)
}

// move changes the state of an event that the reader has received.
func (q *Queue[E]) move(e *entry[E], to state) {
	if e.state == isWaiting {
		heap.Remove(&q.waiting, e.index)
	}
	e.state = to
	if !e.taken {
		e.taken = true
		q.taken++
		q.total++
	}
}

// Event returns an unacknowledged event, false if there is none of that number.
func (q *Queue[E]) Event(seq uint64) (event E, ok bool) {
	e := q.events[seq]
	if e == nil {
		return event, false
	}
	return e.event, true
}

// All iterates over the unacknowledged events, in no particular order.
func (q *Queue[E]) All() iter.Seq2[uint64, E] {
	return func(yield func(uint64, E) bool) {
		for seq, e := range q.events {
			if !yield(seq, e.event) {
				return
			}
		}
	}
}

// Len returns the number of unacknowledged events.
func (q *Queue[E]) Len() int { return len(q.events) }

// Full reports whether there are as many unacknowledged events as the reader
// may have.
func (q *Queue[E]) Full() bool { return len(q.events) >= q.max }

// Delivered returns the number of events that the reader has received so far.
func (q *Queue[E]) Delivered() uint64 { return q.total }

// waiting is a heap, ordered by due time.
type waiting[E any] []*entry[E]

func (w waiting[E]) Len() int           { return len(w) }
func (w waiting[E]) Less(i, j int) bool { return w[i].due.Before(w[j].due) }

func (w waiting[E]) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

func (w *waiting[E]) Push(x any) {
	e := x.(*entry[E])
	e.index = len(*w)
	*w = append(*w, e)
}

func (w *waiting[E]) Pop() any {
	last := len(*w) - 1
	e := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return e
}
