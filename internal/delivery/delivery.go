// Package delivery keeps events from when they are found until they are done:
// in which order they are offered, how often, and how many may be on their way.
// It is pure logic.
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
// An event is out while the reader has it. A Nack makes it wait until its
// redelivery is due. The reader may be quicker with its Ack or Nack than the
// caller of Take, who learns later that the event was taken: so each of the
// three implies the first.
type Queue[E any] struct {
	max     int
	last    uint64
	events  map[uint64]*entry[E]
	queued  []*entry[E] // from the oldest; those that are not queued any more are skipped
	waiting waiting[E]
	taken   int    // events that the reader has had and that are not done
	total   uint64 // events that the reader has had
}

// New makes a queue of which the reader has max events at a time.
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
	attempt int // the next or present one, from 1
	state   state
	taken   bool
	due     time.Time // of the redelivery
	index   int       // in waiting
}

// Offer is an event to be handed over.
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

// Next is what to offer now: a redelivery that is due, or the oldest event that
// was not offered yet, while the reader has less than the maximum.
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

// Due is when the next redelivery is due.
func (q *Queue[E]) Due() (at time.Time, ok bool) {
	if len(q.waiting) == 0 {
		return at, false
	}
	return q.waiting[0].due, true
}

// Take notes that the reader has taken an offer.
func (q *Queue[E]) Take(seq uint64, attempt int) {
	if e := q.at(seq, attempt); e != nil && e.state != isGivenUp {
		q.move(e, isOut)
	}
}

// Ack ends an event. It reports whether that is news.
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

// Nack has an event delivered again, not before due. It reports whether the
// attempt was the present one.
func (q *Queue[E]) Nack(seq uint64, attempt int, due time.Time) bool {
	e := q.at(seq, attempt)
	if e == nil || e.state == isGivenUp {
		return false
	}
	q.wait(e, due)
	return true
}

// GiveUp takes an event out of delivery until Ack or Keep decides. It reports
// whether the attempt was the present one.
func (q *Queue[E]) GiveUp(seq uint64, attempt int) bool {
	e := q.at(seq, attempt)
	if e == nil || e.state == isGivenUp {
		return false
	}
	q.move(e, isGivenUp)
	return true
}

// Keep has an event that was given up delivered again after all, not before due.
func (q *Queue[E]) Keep(seq uint64, due time.Time) {
	if e := q.events[seq]; e != nil && e.state == isGivenUp {
		q.wait(e, due)
	}
}

// at is the event, if it is in this attempt.
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

// move changes the state of an event that the reader has had.
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

// Event is an event that is not done.
func (q *Queue[E]) Event(seq uint64) (event E, ok bool) {
	e := q.events[seq]
	if e == nil {
		return event, false
	}
	return e.event, true
}

// All iterates over the events that are not done, in no order.
func (q *Queue[E]) All() iter.Seq2[uint64, E] {
	return func(yield func(uint64, E) bool) {
		for seq, e := range q.events {
			if !yield(seq, e.event) {
				return
			}
		}
	}
}

// Len is the number of events that are not done.
func (q *Queue[E]) Len() int { return len(q.events) }

// Full reports whether as many events are not done as the reader may have.
func (q *Queue[E]) Full() bool { return len(q.events) >= q.max }

// Delivered is the number of events that the reader has had so far.
func (q *Queue[E]) Delivered() uint64 { return q.total }

// waiting is a heap by due time.
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
