package tail

import (
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// What a Tail promises, and a history checks:
//
//   - Nothing is lost: what was created from the beginning on, appeared within
//     the overlap and stayed, is found; and once more after a crash if its
//     acknowledgement is not in the snapshot.
//   - Nothing is found twice in a life, nor when its acknowledgement is in the
//     snapshot.
//   - The objects of a result are ordered by their created seconds.
//   - A snapshot is consistent and bounded.
//   - Once the list falls silent, a bounded number of polls finds everything.

// lateIsKnown reports whether nothing can hide from the Tail that an object is
// late, which is only a hint.
func (h *history) lateIsKnown() bool {
	return h.dates.kind == datesRight && h.stopped == 0 && !h.future && h.quick
}

// deliver checks an object that was found against what the oracle knows of it.
func (h *history) deliver(o *object, f Found) {
	fail := func(what string) { require.Fail(h.t, what, "%+v: %+v", *o, f) }
	switch k := f.Key; {
	case o.life == h.life:
		fail("delivered twice in a life")
	case o.acked:
		fail("was acknowledged")
	case h.service.undated && h.promised(o) && (k.From > o.created || k.Second < o.created):
		fail("is not of the seconds of its key")
	case !h.service.undated && (k.From != o.created || k.Second != o.created):
		fail("is not of the second of its key")
	case h.config.From != 0 && o.created < h.start:
		fail("is older than the beginning")
	case h.config.From == 0 && (h.dates.kind == datesRight || h.dates.kind == datesSome) && o.created < h.start-120:
		fail("is much older than the beginning")
	}
	h.totals.found++
	if f.Late {
		h.totals.lateFound++
	}
	if o.life != 0 {
		h.totals.again++
	}
	h.trace("deliver %s %d %+v", o.id, o.created, f)
	if o.life = h.life; o.created <= h.pollBegan {
		h.newest = max(h.newest, o.created)
	}
	p := pending{object: o, key: f.Key}
	if len(h.neverAcked) < h.never && h.rand.IntN(10) == 0 {
		h.neverAcked = append(h.neverAcked, p)
	} else {
		h.pending = append(h.pending, p)
	}
}

// promised reports whether an object became visible within the overlap.
func (h *history) promised(o *object) bool { return o.visible <= (o.created+h.service.overlap)*1000 }

// missing is an object that is to be delivered and was not.
func (h *history) missing() *object {
	from := h.service.index(h.begin, 0)
	for _, o := range h.service.objects[from:] {
		if !o.deleted && !o.acked && o.life != h.life && h.promised(o) {
			return o
		}
	}
	return nil
}

// verify checks that nothing was lost.
func (h *history) verify() {
	if !h.tail.Started() {
		require.True(h.t, h.refused, "not started, and no error")
		h.totals.unstarted++
		return
	}
	if o := h.missing(); o != nil && !h.refused {
		require.Fail(h.t, "lost", "%+v; begin %d, life %d, dates %d, undated %v",
			*o, h.begin, h.life, h.dates.kind, h.service.undated)
	}
	h.save()
}

// checkSnapshot checks what is always true of a snapshot.
func (h *history) checkSnapshot(s Snapshot, also []Key) {
	t := h.t
	for i, hole := range s.Holes {
		require.LessOrEqual(t, hole.From, hole.To)
		require.Less(t, hole.To, s.Floor)
		require.True(t, i == 0 || s.Holes[i-1].To < hole.From, "holes: %v", s.Holes)
	}
	inHole := func(k Key) bool {
		return slices.ContainsFunc(s.Holes, func(hole Span) bool { return hole.From <= k.Second && k.From <= hole.To })
	}
	seen := make(map[uint64]bool, len(s.Seen))
	for i, k := range s.Seen {
		seen[k.Hash] = true
		if k.Second < s.Floor && !inHole(k) {
			require.Fail(t, "a key that is of no use", "%+v, floor %d, holes %v", k, s.Floor, s.Holes)
		}
		if i > 0 && compareKeys(s.Seen[i-1], k) >= 0 {
			require.Fail(t, "order", "%+v, %+v", s.Seen[i-1], k)
		}
	}
	isAlso := make(map[Key]bool, len(also))
	for _, k := range also {
		isAlso[k] = true
	}
	for _, list := range [][]pending{h.pending, h.neverAcked} {
		for _, p := range list {
			if isAlso[p.key] {
				continue
			}
			if seen[p.key.Hash] {
				require.Fail(t, "seen is not acknowledged", "%+v", p.key)
			}
			if second := p.object.created; h.promised(p.object) && second < s.Floor && !inHole(Key{From: second, Second: second}) {
				require.Fail(t, "will not be found again", "%+v: floor %d, holes %v", *p.object, s.Floor, s.Holes)
			}
		}
	}
	if h.polled {
		h.checkHoles(s)
	}
	h.checkBound(s)
}

// checkHoles checks that every hole has something unacknowledged. Those of an
// earlier life are read by the first poll.
func (h *history) checkHoles(s Snapshot) {
	for _, hole := range s.Holes {
		within := func(p pending) bool {
			return !h.promised(p.object) || hole.From <= p.object.created && p.object.created <= hole.To
		}
		if !slices.ContainsFunc(h.pending, within) && !slices.ContainsFunc(h.neverAcked, within) {
			require.Fail(h.t, "a hole without anything", "%v of %v", hole, s.Holes)
		}
	}
}

// checkBound checks that the snapshot does not grow with time. A reader that is
// slower than the list has what was young when it fell behind.
func (h *history) checkBound(s Snapshot) {
	back := h.service.overlap + 300
	h.peak = max(h.peak, h.service.count(h.service.second()-back, 1<<40))
	if h.dates.kind != datesRight || h.service.traffic == (traffic{}) {
		return
	}
	bound := h.service.count(min(h.settled, h.service.second())-back, 1<<40)
	if h.readerSlow {
		bound = h.peak
	}
	for _, hole := range s.Holes {
		bound += h.service.count(hole.From, hole.To)
	}
	if bound += 3500; len(s.Seen) > bound {
		require.Fail(h.t, "unbounded", "%d seen, bound %d, second %d, full poll at %d, overlap %d, floor %d, marks %v, holes %v, pending %d, never %d",
			len(s.Seen), bound, h.service.second(), h.settled, h.service.overlap, s.Floor, h.tail.marks, s.Holes, len(h.pending), len(h.neverAcked))
	}
}

// checkSaved checks that the last snapshot is as it was when it was taken.
func (h *history) checkSaved(otherwise string) {
	a, b := h.saved.copy, h.saved.snapshot
	if !slices.Equal(a.Seen, b.Seen) || !slices.Equal(a.Holes, b.Holes) || a.Floor != b.Floor || a.Seed != b.Seed {
		require.Fail(h.t, otherwise, cmp.Diff(a, b))
	}
}

// sawStart notes what the Tail has taken for its beginning. While the machine
// sleeps before that, nothing tells the Tail how long; and where all Dates are
// wrong, so is the second that it was started in.
func (h *history) sawStart() {
	if !h.started && h.tail.Started() {
		h.started = true
		if h.config.From == 0 {
			h.begin = max(h.begin, h.start+(h.stopped+999)/1000, h.startByDates)
		}
	}
}
