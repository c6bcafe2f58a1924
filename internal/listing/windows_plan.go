package listing

import (
	"math"
	"slices"
)

const (
	// maxGap is how many pages a gap should have at the most, where there is
	// room.
	maxGap = 24
	// minHelp is how many objects must be left in a gap for a probe to help the
	// two ends that are read already.
	minHelp = 6 * PageSize
	// wasteShare is how many requests more than full pages there may be for each
	// page, beside those for each lane and for each halving of the range.
	wasteShare = 0.075
	// wasteMargin is how many of them are kept for what goes wrong.
	wasteMargin = 8
	// maxLeaps is for how many lanes one more leap may be under way.
	maxLeaps = 8
	// leastSearch is how many requests look for the oldest object at once, at the
	// least: each of twice as many makes half as much difference.
	leastSearch = 3
	// nearPages is how many pages may be left before the first block.
	nearPages = 4
)

// plan chooses the next request.
func (w *Windows) plan() *Request {
	if w.searching() {
		if r := w.planSearch(); r != nil || w.taken == 0 || w.search.exact {
			return r
		}
	}
	gaps, outer := w.gaps()
	if e := w.frontEdge(); len(gaps) == 0 || w.worth(gaps[0]) {
		if r := w.follow(e); r != nil {
			return r
		}
	}
	if w.c.Lanes == 1 || w.room() < 2*PageSize {
		return nil
	}
	near := w.near(gaps)
	for _, i := range near {
		if r := w.planGap(i); r != nil {
			return r
		}
	}
	if outer >= 0 && len(near) == len(gaps) {
		if r := w.planOuter(outer); r != nil {
			return r
		}
	}
	least := 1.5 * float64(w.gapPages()*PageSize)
	if !w.fits(float64(w.gapPages()) * PageSize) {
		least = max(minHelp, w.gapCost()/wasteShare*PageSize) // the buffer is full of what comes behind
	}
	for _, i := range near {
		if r := w.planHelp(i, w.leastHelp(i, least)); r != nil {
			return r
		}
	}
	return nil
}

// near are the gaps that can be read and leave room for what comes before them.
func (w *Windows) near(gaps []int) []int {
	if w.c.Order == AnyOrder {
		return gaps
	}
	room := float64(w.room() - 2*PageSize)
	for n, i := range gaps {
		if room < 0 {
			return gaps[:n]
		}
		left := w.remaining(i)
		if n == 0 {
			left /= 2
		}
		room -= left
	}
	return gaps
}

// gaps are the places of the gaps between what was read, in order, and of the
// outer one, beyond which nothing was read; -1 if there is none.
func (w *Windows) gaps() (gaps []int, outer int) {
	gaps = make([]int, len(w.blocks)-1)
	for i := range gaps {
		gaps[i] = i
	}
	last := len(w.blocks) - 1
	beyond := w.blocks[last].bottom.ids
	if w.c.Order != OldestFirst {
		slices.Reverse(gaps)
		beyond = w.blocks[0].top.ids
	}
	if beyond != nil {
		return gaps, -1
	}
	return gaps[:last-1], gaps[last-1]
}

// frontEdge is what all that is handed on waits for.
func (w *Windows) frontEdge() *edge {
	first, second := w.blocks[0].top, w.blocks[1].bottom
	switch {
	case w.c.Order != OldestFirst:
		return w.blocks[len(w.blocks)-1].bottom
	case !w.climbs(first) || first.busy && second.second <= first.second:
		return second
	}
	return first
}

// follow is the request behind an edge; nil if it is under way, or cannot be
// made.
func (w *Windows) follow(e *edge) *Request {
	switch {
	case e.busy:
		return nil
	case e.up:
		cursor, ok := w.cursorUp(e)
		if !ok {
			return nil
		}
		return &Request{Query: Query{Before: cursor}, edge: e}
	case len(e.cursors) > 0:
		return &Request{Query: Query{After: e.cursors[len(e.cursors)-1]}, edge: e}
	}
	below := w.blocks[w.index(e.block)-1]
	r := w.before(below.top.second, e.second+1)
	r.edge = e
	return r
}

// cursorUp is the cursor of the page above a block; false if it has to be read
// from above. Where ids are used again it is that of the last object but one, so
// that the page begins with the last: it would not if the cursor had moved.
func (w *Windows) cursorUp(e *edge) (cursor string, ok bool) {
	i := len(e.cursors) - 1
	if w.c.Reused {
		i--
	}
	if i < 0 {
		return "", false
	}
	return e.cursors[i], true
}

func (w *Windows) climbs(e *edge) bool {
	_, ok := w.cursorUp(e)
	return ok
}

// before requests the page before a second.
func (w *Windows) before(low, high int64) *Request {
	if high >= NoBound {
		high = 0
	}
	return &Request{Query: Query{GTE: low, LT: high}}
}

// planGap reads on from an end of a gap, as long as there seems to be a page for
// it.
func (w *Windows) planGap(i int) *Request {
	if !w.worth(i) {
		return nil
	}
	near, far := w.blocks[i].top, w.blocks[i+1].bottom
	if w.c.Order != OldestFirst {
		near, far = far, near
	}
	if r := w.follow(near); r != nil {
		return r
	}
	return w.follow(far)
}

// worth reports whether there seems to be a page left in a gap beside those that
// are under way.
func (w *Windows) worth(i int) bool {
	n := w.underWay(i)
	return n == 0 || w.remaining(i) >= float64((n+1)*PageSize)
}

// planOuter goes on to where nothing was read yet.
func (w *Windows) planOuter(i int) *Request {
	e := w.blocks[i].top
	if w.c.Order != OldestFirst {
		e = w.blocks[i+1].bottom
	}
	if second, ok := w.leap(i, e); ok {
		return w.before(w.blocks[i].top.second, second)
	}
	if w.underWay(i) > 0 {
		return nil
	}
	return w.follow(e)
}

// leap is the second before which the next block should end.
func (w *Windows) leap(i int, e *edge) (second int64, ok bool) {
	pages := w.gapPages()
	if pages < 2 || len(e.cursors) == 0 || w.probing(i) > w.c.Lanes/maxLeaps || !w.allowed(1) || !w.fits(float64(pages+1)*PageSize) {
		return 0, false
	}
	step := max(int64(w.pace(e, pages*PageSize)), 2)
	if w.c.Order != OldestFirst {
		base := e.second
		for _, p := range w.probes {
			base = min(base, p.Query.LT)
		}
		return base - step, base-step > w.blocks[i].top.second
	}
	base := e.second
	for _, p := range w.probes {
		if base = max(base, p.Query.LT); p.Query.LT == 0 {
			return 0, false
		}
	}
	if step >= NoBound || base > w.search.newest {
		return 0, false
	}
	if second = base + step; second > w.search.newest {
		second = w.c.High
	}
	return second, true
}

// gapPages is how many pages the gaps should have: as many as fit into the
// buffer, where two lanes read each.
func (w *Windows) gapPages() int {
	if w.c.Order == AnyOrder {
		return maxGap
	}
	gaps := float64(w.c.Lanes)/2 + 1.5
	fit := float64(w.c.Buffer-4*PageSize) / PageSize / gaps
	return min(maxGap, int(max(fit, w.gapCost()/wasteShare)))
}

// fits reports whether there is room for so many objects beside all that is
// known to come.
func (w *Windows) fits(objects float64) bool {
	if w.c.Order == AnyOrder {
		return true
	}
	expected := float64(w.held + 2*PageSize)
	gaps, _ := w.gaps()
	for n, i := range gaps {
		left := w.remaining(i)
		if n == 0 {
			left /= 2
		}
		expected += left
	}
	for _, p := range w.probes {
		if !p.search {
			expected += float64(w.gapPages()+1) * PageSize
		}
	}
	return expected+objects <= float64(w.c.Buffer)
}

// leastHelp is less for a gap that has proved fuller than it seemed.
func (w *Windows) leastHelp(i int, least float64) float64 {
	b := w.blocks[i]
	if float64(b.read)+w.remaining(i) > 2*b.expected {
		return min(least, max(minHelp, w.gapCost()/wasteShare*PageSize))
	}
	return least
}

// planHelp puts a block into a gap of which both ends are being read, if there
// is much left.
func (w *Windows) planHelp(i int, least float64) *Request {
	below, above := w.blocks[i].top, w.blocks[i+1].bottom
	low, high := below.second, above.second
	if high-low < 2 || w.remaining(i) < least || !w.allowed(0.5) || w.probing(i) > 0 {
		return nil
	}
	return w.before(low, w.middle(i))
}

// allowed reports whether a gap more may be made: whether the requests that had
// less than a page, with what is still open, are within the allowance.
func (w *Windows) allowed(risk float64) bool {
	open := max(len(w.blocks)-2, 0)
	pages := float64(w.taken) / PageSize
	risk += float64(w.answered) - pages + float64(open)/2 + float64(len(w.probes))
	return risk <= wasteShare*pages+2*float64(w.c.Lanes)+2*math.Log2(float64(max(w.search.newest-w.c.Low, 2)))-wasteMargin
}

// gapCost is how many requests a gap costs: half of one, or more where pages end
// where a batch ends, so that it takes one more to see that there is nothing left.
func (w *Windows) gapCost() float64 {
	const few = 8
	wasted := float64(w.answered-w.searched) - float64(w.taken)/PageSize
	return (few/2 + wasted) / (few + float64(w.closed))
}

// underWay is how many requests are under way for a gap.
func (w *Windows) underWay(i int) int {
	n := w.probing(i)
	if w.blocks[i].top.busy {
		n++
	}
	if w.blocks[i+1].bottom.busy {
		n++
	}
	return n
}

// probing is how many probes are.
func (w *Windows) probing(i int) (n int) {
	for _, p := range w.probes {
		if w.gapBefore(p.Query.LT) == i {
			n++
		}
	}
	return n
}

// search looks for the oldest object.
type search struct {
	high   int64 // it was created before
	newest int64 // the newest object; 0 until it is known
	over   bool
	exact  bool // pages that seem to be near the beginning were not
	oldest int64
	seen   []mark // pages on the way
}

// searching reports whether the first gap has to be read from its oldest object
// on, which is not known.
func (w *Windows) searching() bool {
	first, second := w.blocks[0], w.blocks[1].bottom
	if w.c.Order != OldestFirst || w.climbs(first.top) {
		return false
	}
	tooMuch := first.read > nearPages*PageSize || w.room() < 2*PageSize
	if w.search.over && tooMuch && second.second > first.top.second {
		w.search.over, w.search.exact = false, true
	}
	return !w.search.over
}

// planSearch looks for what comes first in the first gap.
func (w *Windows) planSearch() *Request {
	low := w.blocks[0].top.second
	if w.search.high <= low {
		w.search.high = NoBound // what was found there is deleted
	}
	high := min(w.search.high, w.blocks[1].bottom.second+1)
	var points []int64
	for _, p := range w.probes {
		if p.search {
			points = append(points, p.Query.LT)
		}
	}
	var second int64
	switch {
	case w.search.newest == 0 && len(points) == 0:
		second = w.c.High
	case w.search.newest == 0 || len(points) >= max(leastSearch, (w.c.Lanes+2)/3):
		return nil
	case high-low <= 1 && len(points) == 0:
		second = high
	case w.c.Low > 0 && low == w.c.Low && len(points) == 0 && len(w.search.seen) == 1:
		// Often the range begins where another reading ended.
		second = min(low+w.search.seen[0].high-w.search.seen[0].low+1, high-1)
	default:
		points = append(points, low, high)
		slices.Sort(points)
		widest := 0.0
		for i := 1; i < len(points); i++ {
			from, to := max(points[i-1], low), min(points[i], high)
			if to-from < 2 {
				continue
			}
			if at, width := w.search.between(from, to); width > widest {
				second, widest = at, width
			}
		}
		if second == 0 {
			return nil
		}
	}
	r := w.before(low, second)
	r.search = true
	return r
}

// between is a second that halves a span, and how much is to be learned by it:
// first of the order of magnitude of the time back from the newest object, since
// a list can be of the last hour as well as of the last ten years.
func (s *search) between(low, high int64) (second int64, width float64) {
	near, far := float64(max(s.newest-high, 1)), float64(max(s.newest-low, 1))
	if far > 4*near {
		return min(max(s.newest-int64(math.Sqrt(near*far)), low+1), high-1), 2 * math.Log2(far/near)
	}
	return low + (high-low)/2, float64(high-low) / near
}

// found takes a page of the search, and reports whether it is to be kept: a page
// far from the beginning would have to wait long.
func (s *search) found(w *Windows, p page, met bool) bool {
	if met || s.over {
		if met && len(p.heads) > 0 {
			s.oldest = p.heads[len(p.heads)-1].Created
		}
		return met
	}
	newest, oldest := p.heads[0].Created, p.heads[len(p.heads)-1].Created
	s.oldest, s.seen = oldest, append(s.seen, mark{oldest, newest, len(p.heads)})
	if oldest+1 < s.high {
		w.idle = 0
	}
	s.high = min(s.high, oldest+1)
	low := w.blocks[0].top.second
	near := !s.exact && w.room() >= 3*PageSize && float64(oldest-low) <= nearPages*float64(newest-oldest)
	s.over = near || p.query.LT != 0 && p.query.LT-low <= 1
	return s.over
}
