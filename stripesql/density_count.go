package stripesql

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// gap is a window between two stretches, of which nothing is known.
type gap struct {
	window
	newer, older *stretch // nil at the ends of time
	objects      guess    // how many there may be
}

// gaps returns the gaps within a window, the newest first.
func (d *density) gaps(w window) []gap {
	var gaps []gap
	of := d.character()
	high, newer := int64(endOfStamps), (*stretch)(nil)
	add := func(low int64, older *stretch) {
		g := gap{window: w.and(window{low, high}), newer: newer, older: older}
		if !g.empty() {
			g.objects = g.guess(of)
			gaps = append(gaps, g)
		}
	}
	for i := range d.seen {
		s := &d.seen[i]
		add(s.high, s)
		high, newer = s.low, s
	}
	add(0, nil)
	return gaps
}

// character is what the stretches of a list say of it together.
type character struct {
	bursts bool    // there are pauses between its objects
	rate   float64 // objects per second
}

// character returns what is known of a list, but for the time before its oldest object
// and that after its newest.
func (d *density) character() (c character) {
	objects, seconds, stretches, pauses := 0, int64(0), 0, 0
	for i, s := range d.seen {
		if s.objects == 0 && (i == 0 || i >= len(d.seen)-1 || d.seen[i+1].objects == 0) {
			continue
		}
		objects, seconds, stretches = objects+s.objects, seconds+s.seconds(), stretches+1
		if s.uneven || s.dense > uneven*s.rate() {
			pauses++
		}
	}
	return character{bursts: 4*pauses > stretches, rate: float64(objects) / float64(max(seconds, 1))}
}

// guess estimates how many objects a gap has.
func (g gap) guess(of character) guess {
	length := float64(g.seconds())
	switch {
	case g.newer == nil && g.older == nil:
		return guess{0, 0, math.Inf(1)}
	case g.newer == nil || g.older == nil:
		known := cmp.Or(g.newer, g.older)
		return guess{0, known.rate() * float64(known.seconds()), math.Inf(1)}
	}
	a, b := g.newer, g.older
	least, most := min(a.rate(), b.rate()), max(a.rate(), b.rate(), a.dense, b.dense)
	likely := float64(a.objects+b.objects) / float64(a.seconds()+b.seconds())
	if of.bursts {
		likely = min(likely, of.rate)
	}
	switch {
	case a.objects*b.objects == 0:
		return guess{0, (a.rate() + b.rate()) / 2 * length, most * length}
	case of.bursts || most > uneven*least:
		return guess{0, min(likely*length+a.further(length), most*length), most * length}
	}
	return guess{least * length, likely * length, most * length}
}

// uneven is how many times denser than another a part of a list is, if it may have
// pauses as well.
const uneven = 4

// further estimates how many objects there are before the oldest of a stretch, as dense
// as those, if a burst may be of any length.
func (s *stretch) further(length float64) float64 {
	return float64(s.objects) * math.Log(1+length*s.dense/float64(s.objects))
}

// count estimates how many objects a window has. It takes the errors of gaps as
// independent.
func (d *density) count(w window) guess {
	total, below, above := 0.0, 0.0, 0.0
	for _, s := range d.seen {
		part := s.and(w)
		if part.empty() {
			continue
		}
		total += float64(s.objects) * float64(part.seconds()) / float64(s.seconds())
		if s.open && s.seconds() == 1 {
			above = math.Inf(1) // a second with more than a page: only reading it tells how many
		}
	}
	certain := total
	for _, g := range d.gaps(w) {
		n := g.objects
		total += n.likely
		below += (n.likely - n.least) * (n.likely - n.least)
		above += (n.most - n.likely) * (n.most - n.likely)
	}
	if d.character().bursts && above > 0 {
		return guess{certain, total, math.Inf(1)}
	}
	return guess{max(total-math.Sqrt(below), certain), total, total + math.Sqrt(above)}
}

// probeFactor is how many times farther back each probe for the oldest object goes.
const probeFactor = 4

// probeShare is the share of the time of a list in which its beginning is found.
const probeShare = 16

// probe returns the second before which the next page would tell most of a window,
// false if enough is known.
func (d *density) probe(w window) (before int64, ok bool) {
	gaps := d.gaps(w)
	if len(gaps) == 0 {
		return 0, false
	}
	newest := d.newest()
	if last := gaps[len(gaps)-1]; last.older != nil && last.older.objects == 0 && last.seconds()-1 > (newest-last.low)/probeShare {
		return last.middle(), true // the beginning of the list
	}
	if d.count(w).sure() {
		return 0, false
	}
	widest := slices.MaxFunc(gaps, func(a, b gap) int {
		return cmp.Compare(a.objects.most-a.objects.least, b.objects.most-b.objects.least)
	})
	switch {
	case widest.newer == nil:
		return widest.high, true
	case widest.older == nil && w.low == 0: // go back by larger and larger steps
		return max(newest-probeFactor*max(newest-widest.high+1, 1), 1), true
	case widest.older == nil:
		return w.low, true
	}
	return widest.middle(), true
}

// newest returns when the newest object was created, 0 if none is known.
func (d *density) newest() int64 {
	i := slices.IndexFunc(d.seen, func(s stretch) bool { return s.objects > 0 })
	if i < 0 {
		return 0
	}
	return d.seen[i].high - 1
}

func (g gap) middle() int64 { return g.low + g.seconds()/2 }

// isMeasured reports whether a table was measured from its beginning. What scans have read
// does not count: the way to read a join would depend on the statements before it.
func (d *density) isMeasured() bool { return d.oldest() > 0 && time.Since(d.measured) < densityAge }

// oldest returns when the oldest object of a table was created, or a second shortly
// before it; 0 if that is unknown.
func (d *density) oldest() int64 {
	if n := len(d.seen); n > 0 && d.seen[n-1].low == 0 && d.seen[n-1].objects == 0 {
		return d.seen[n-1].high
	}
	return 0
}

// rows estimates how many objects a table has.
func (d *density) rows(t *table) float64 {
	if d.isMeasured() {
		return max(d.count(everything()).likely, 1)
	}
	return float64(t.rows)
}

// share estimates the share of a table's objects that is in a window.
func (d *density) share(t *table, w window) float64 {
	if w.empty() {
		return 0
	}
	if d.isMeasured() {
		return min(1, d.count(w).likely/d.rows(t))
	}
	low, high := w.bounded()
	switch {
	case low && high:
		const lifetime = 3 * 365 * 24 * 3600 // of an account, in seconds
		return min(1, float64(w.seconds())/lifetime)
	case low || high:
		return 1.0 / 3
	}
	return 1
}
