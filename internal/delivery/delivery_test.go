package delivery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Unix(1_700_000_000, 0)

// at returns a time, in seconds after epoch.
func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

// next returns what the queue offers at a second, as "event/attempt", or "" if
// nothing.
func next(q *Queue[string], second int) string {
	o, ok := q.Next(at(second))
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s/%d", o.Event, o.Attempt)
}

func TestQueueOffersInOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		limit int
		do    func(t *testing.T, q *Queue[string]) // called with a queue of the events a, b and c, numbered 1, 2 and 3
		want  []string                             // the offers taken afterwards, one for each second from 0 on; "" for none
	}{
		"in the order of Add": {10, func(*testing.T, *Queue[string]) {}, []string{"a/1", "b/1", "c/1", ""}},
		"a redelivery before what is queued": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.Nack(1, 1, at(1))
		}, []string{"b/1", "a/2", "c/1", ""}},
		"redeliveries by their due time": {10, func(_ *testing.T, q *Queue[string]) {
			for seq, due := range []int{2, 4, 0} {
				q.Take(uint64(seq+1), 1)
				q.Nack(uint64(seq+1), 1, at(due))
			}
		}, []string{"c/2", "", "a/2", "", "b/2", ""}},
		"no more than the reader may have": {2, func(*testing.T, *Queue[string]) {}, []string{"a/1", "b/1", "", ""}},
		"a redelivery to a reader that has the maximum": {1, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.Nack(1, 1, at(1))
		}, []string{"", "a/2", "", ""}},
		"room is made by an Ack": {1, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.Ack(1)
		}, []string{"b/1", "", ""}},
		"no room is made by a Nack": {1, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.Nack(1, 1, at(100))
		}, []string{"", ""}},
		"no room is made by GiveUp": {1, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			require.True(t, q.GiveUp(1, 1))
		}, []string{"", ""}},
		"a Nack before Take": {10, func(_ *testing.T, q *Queue[string]) {
			require.True(t, q.Nack(1, 1, at(1)))
			q.Take(1, 1) // the attempt that was refused
		}, []string{"b/1", "a/2", "c/1", ""}},
		"two Nacks before Take": {10, func(_ *testing.T, q *Queue[string]) {
			require.True(t, q.Nack(1, 1, at(0)))
			require.True(t, q.Nack(1, 2, at(1)))
			q.Take(1, 1)
			q.Take(1, 2)
		}, []string{"b/1", "a/3", "c/1", ""}},
		"an Ack before Take": {10, func(_ *testing.T, q *Queue[string]) {
			_, ok := q.Ack(1)
			require.True(t, ok)
			q.Take(1, 1)
		}, []string{"b/1", "c/1", ""}},
		"an Ack of what is queued in the middle": {10, func(_ *testing.T, q *Queue[string]) { q.Ack(2) }, []string{"a/1", "c/1", ""}},
		"an Ack of what waits": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.Nack(1, 1, at(1))
			q.Ack(1)
		}, []string{"b/1", "c/1", ""}},
		"GiveUp before Take": {10, func(_ *testing.T, q *Queue[string]) {
			require.True(t, q.GiveUp(1, 1))
			q.Take(1, 1)
		}, []string{"b/1", "c/1", ""}},
		"what is given up is refused no more": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			require.True(t, q.GiveUp(1, 1))
			require.False(t, q.GiveUp(1, 1))
			require.False(t, q.Nack(1, 1, at(0)))
		}, []string{"b/1", "c/1", ""}},
		"what is given up and kept": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.GiveUp(1, 1)
			q.Keep(1, at(1))
			q.Keep(1, at(0)) // the event is not given up any more
		}, []string{"b/1", "a/2", "c/1", ""}},
		"Keep of what was acknowledged meanwhile": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			q.GiveUp(1, 1)
			q.Ack(1)
			q.Keep(1, at(0))
		}, []string{"b/1", "c/1", ""}},
		"a Nack or GiveUp of an earlier attempt": {10, func(_ *testing.T, q *Queue[string]) {
			q.Take(1, 1)
			require.True(t, q.Nack(1, 1, at(1)))
			require.False(t, q.Nack(1, 1, at(0)))
			require.False(t, q.GiveUp(1, 1))
			require.False(t, q.Nack(1, 7, at(0)))
			require.False(t, q.Nack(99, 1, at(0)))
		}, []string{"b/1", "a/2", "c/1", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			q := New[string](tt.limit)
			for i, event := range []string{"a", "b", "c"} {
				require.EqualValues(t, i+1, q.Add(event))
			}
			tt.do(t, q)
			for second, want := range tt.want {
				require.Equal(t, want, next(q, second), "second %d", second)
				if o, ok := q.Next(at(second)); ok {
					q.Take(o.Seq, o.Attempt)
				}
			}
		})
	}
}

func TestQueueIsEmptyOnceAllIsAcknowledged(t *testing.T) {
	q := New[string](2)
	for range 3 {
		for _, event := range []string{"a", "b", "c"} {
			q.Add(event)
		}
		require.True(t, q.Full())
		for seq := range q.All() {
			_, ok := q.Ack(seq)
			require.True(t, ok)
			_, ok = q.Ack(seq)
			require.False(t, ok)
		}
		require.Zero(t, q.Len())
		require.False(t, q.Full())
		require.Empty(t, next(q, 0))
		_, ok := q.Due()
		require.False(t, ok)
		require.Nil(t, q.queued)
		require.Empty(t, q.waiting)
	}
	require.EqualValues(t, 9, q.Delivered())
}

// model is a naive queue: a slice that is searched each time.
type model struct {
	limit  int
	total  uint64
	events []*modelEvent // in the order of Add
}

type modelEvent struct {
	seq     uint64
	attempt int
	state   state
	had     bool // the reader has received it
	due     time.Time
}

func (m *model) find(seq uint64) *modelEvent {
	for _, e := range m.events {
		if e.seq == seq {
			return e
		}
	}
	return nil
}

// present returns an event if the attempt is its current one and it is not
// given up.
func (m *model) present(seq uint64, attempt int) *modelEvent {
	if e := m.find(seq); e != nil && e.attempt == attempt && e.state != isGivenUp {
		return e
	}
	return nil
}

func (m *model) had(e *modelEvent) {
	if !e.had {
		e.had = true
		m.total++
	}
}

func (m *model) count(is func(*modelEvent) bool) (n int) {
	for _, e := range m.events {
		if is(e) {
			n++
		}
	}
	return n
}

// offers returns the events that may be offered: those with the earliest due
// time, or the oldest that is queued.
func (m *model) offers(now time.Time) (seqs []uint64) {
	due, ok := m.due()
	if ok && !due.After(now) {
		for _, e := range m.events {
			if e.state == isWaiting && e.due.Equal(due) {
				seqs = append(seqs, e.seq)
			}
		}
		return seqs
	}
	if m.count(func(e *modelEvent) bool { return e.had }) >= m.limit {
		return nil
	}
	for _, e := range m.events {
		if e.state == isQueued {
			return []uint64{e.seq}
		}
	}
	return nil
}

func (m *model) due() (at time.Time, ok bool) {
	for _, e := range m.events {
		if e.state == isWaiting && (!ok || e.due.Before(at)) {
			at, ok = e.due, true
		}
	}
	return at, ok
}

func (m *model) ack(seq uint64) bool {
	e := m.find(seq)
	if e == nil {
		return false
	}
	m.had(e)
	m.events = slices.DeleteFunc(m.events, func(o *modelEvent) bool { return o == e })
	return true
}

func (m *model) wait(e *modelEvent, due time.Time) {
	m.had(e)
	e.state, e.due = isWaiting, due
	e.attempt++
}

// same checks that the queue and the model return the same.
func (m *model) same(t *testing.T, q *Queue[uint64], now time.Time) {
	require.Equal(t, len(m.events), q.Len())
	require.Equal(t, len(m.events) >= m.limit, q.Full())
	require.Equal(t, m.total, q.Delivered())
	mdue, mok := m.due()
	due, ok := q.Due()
	require.Equal(t, mok, ok)
	require.True(t, mdue.Equal(due))
	offers := m.offers(now)
	o, ok := q.Next(now)
	require.Equal(t, len(offers) > 0, ok)
	if ok {
		require.Contains(t, offers, o.Seq)
		require.Equal(t, m.find(o.Seq).attempt, o.Attempt)
		require.Equal(t, o.Seq, o.Event)
	}
	all := map[uint64]bool{}
	for seq, event := range q.All() {
		require.Equal(t, seq, event)
		e := m.find(seq)
		require.NotNil(t, e)
		found, ok := q.Event(seq)
		require.True(t, ok)
		require.Equal(t, event, found)
		for attempt := range e.attempt {
			current := attempt+1 == e.attempt
			require.Equal(t, !current || e.state == isGivenUp, q.Refused(seq, attempt+1))
		}
		all[seq] = true
	}
	require.Len(t, all, len(m.events))
	_, ok = q.Event(q.last + 1)
	require.False(t, ok)
}

// step does one random operation on both.
func (m *model) step(t *testing.T, q *Queue[uint64], r *rand.Rand, now time.Time) {
	seq, attempt := uint64(1), 1
	if len(m.events) > 0 { // most often for the current attempt
		e := m.events[r.IntN(len(m.events))]
		seq, attempt = e.seq, e.attempt-r.IntN(5)/4
	}
	due := now.Add(time.Duration(r.IntN(40)-5) * time.Second)
	e := m.present(seq, attempt)
	switch r.IntN(10) {
	case 0, 1, 2:
		seq = q.Add(q.last + 1)
		m.events = append(m.events, &modelEvent{seq: seq, attempt: 1})
	case 3, 4:
		o, ok := q.Next(now)
		if !ok {
			return
		}
		q.Take(o.Seq, o.Attempt)
		e = m.find(o.Seq)
		m.had(e)
		e.state = isOut
	case 5:
		if e != nil && e.state == isWaiting {
			return // no event has this attempt
		}
		q.Take(seq, attempt)
		if e != nil {
			m.had(e)
			e.state = isOut
		}
	case 6:
		require.Equal(t, e != nil, q.Nack(seq, attempt, due))
		if e != nil {
			m.wait(e, due)
		}
	case 7:
		require.Equal(t, e != nil, q.GiveUp(seq, attempt))
		if e != nil {
			m.had(e)
			e.state = isGivenUp
		}
	case 8:
		q.Keep(seq, due)
		if e := m.find(seq); e != nil && e.state == isGivenUp {
			m.wait(e, due)
		}
	case 9:
		_, ok := q.Ack(seq)
		require.Equal(t, m.ack(seq), ok)
	}
}

func TestQueueIsTheSameAsANaiveOne(t *testing.T) {
	for range 300 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		m := &model{limit: 1 + r.IntN(20)}
		q := New[uint64](m.limit)
		now := epoch
		ok := t.Run("", func(t *testing.T) {
			t.Logf("seed %d", seed)
			for range 400 {
				m.step(t, q, r, now)
				m.same(t, q, now)
				now = now.Add(time.Duration(r.IntN(3)) * time.Second)
			}
		})
		if !ok {
			return
		}
	}
}

// A Nack and the redelivery of the event cost about the same, however many
// others wait. If the list were searched, a million waiting events would cost
// 1,000 times as much as a thousand.
func BenchmarkNack(b *testing.B) {
	for _, waiting := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			q := New[struct{}](waiting + 1)
			r := rand.New(rand.NewPCG(1, 2))
			for range waiting {
				seq := q.Add(struct{}{})
				q.Nack(seq, 1, epoch.Add(time.Duration(r.Int64N(1e15))))
			}
			for b.Loop() {
				now, _ := q.Due()
				o, _ := q.Next(now)
				q.Take(o.Seq, o.Attempt)
				q.Nack(o.Seq, o.Attempt, now.Add(time.Duration(r.Int64N(1e15))))
			}
		})
	}
}
