package tail

import (
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// A history checks the guarantees of a Tail:
//
//   - Nothing is lost: an object that was created after the beginning, appeared
//     within the overlap and stayed, is found. It is found again after a crash
//     if its acknowledgement is not in the snapshot.
//   - No object is found twice in a life, or if its acknowledgement is in the
//     snapshot.
//   - The objects of a result are ordered by their created seconds.
//   - A snapshot is consistent and bounded.
//   - Once the list stops changing, a bounded number of polls finds everything.

// lateIsKnown reports whether the Tail can know for sure which objects are
// late. The flag Late is only a hint.
func (h *history) lateIsKnown() bool {
	return h.dates.kind == datesRight && h.stopped == 0 && !h.future && h.quick
}

// deliver checks an object that was found against the state of the oracle.
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

// missing returns an object that should have been delivered and was not.
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

// checkSnapshot checks the invariants of a snapshot.
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

// checkHoles checks that every hole has something unacknowledged. Holes of the
// snapshot that was resumed are read by the first poll.
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

// checkBound checks that the snapshot does not grow with time. For a reader
// that is slower than the list, it may hold what was young when the reader fell
// behind.
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

// checkSaved checks that the last snapshot has not changed since it was taken.
func (h *history) checkSaved(otherwise string) {
	a, b := h.saved.copy, h.saved.snapshot
	if !slices.Equal(a.Seen, b.Seen) || !slices.Equal(a.Holes, b.Holes) || a.Floor != b.Floor || a.Seed != b.Seed {
		require.Fail(h.t, otherwise, cmp.Diff(a, b))
	}
}

// sawStart records what the Tail has taken as its beginning. If the machine is
// suspended before that, the Tail cannot know for how long. If all Dates are
// wrong, the second of its start is wrong too.
func (h *history) sawStart() {
	if !h.started && h.tail.Started() {
		h.started = true
		if h.config.From == 0 {
			h.begin = max(h.begin, h.start+(h.stopped+999)/1000, h.startByDates)
		}
	}
}
