package listing

import (
	"math"
	"slices"
)

const (
	// maxGap is the maximum number of pages that a gap should have.
	maxGap = 24
	// minHelp is how many objects must be left in a gap before a probe helps
	// the two edges that grow into it.
	minHelp = 6 * PageSize
	// wasteShare is how many wasted requests, those beyond one for each full
	// page, are allowed per page read. Each lane and each halving of the range
	// allow two more.
	wasteShare = 0.075
	// wasteMargin is how many of the allowed requests are reserved for
	// surprises.
	wasteMargin = 8
	// maxLeaps is the number of lanes per additional leap under way.
	maxLeaps = 8
	// leastSearch is the minimum number of concurrent requests that search for
	// the oldest object. More requests bring less and less.
	leastSearch = 3
	// nearPages is how many pages may be left before the first block for the
	// search to end.
	nearPages = 4
)

// plan chooses the next request.
func (w *Windows) plan() *Request {
	if w.searching() {
		if r := w.planSearch(); r != nil || w.read == 0 || w.search.exact {
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
		least = max(minHelp, w.gapCost()/wasteShare*PageSize) // later objects fill the buffer
	}
	for _, i := range near {
		if r := w.planHelp(i, w.leastHelp(i, least)); r != nil {
			return r
		}
	}
	return nil
}

// near returns the gaps that can be read now while the buffer still has room
// for the gaps before them.
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

// gaps returns the indices of the gaps between blocks with objects, in delivery
// order, and of the outer gap, beyond which nothing was read. outer is -1 if
// there is none. Gap i is above block i.
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

// frontEdge returns the edge that the next delivery waits for.
func (w *Windows) frontEdge() *edge {
	first, second := w.blocks[0].top, w.blocks[1].bottom
	switch {
	case w.c.Order != OldestFirst:
		return w.blocks[len(w.blocks)-1].bottom
	case !w.canGrowUp(first) || first.busy && second.second <= first.second:
		return second
	}
	return first
}

// follow returns the request that grows the block at an edge. It returns nil if
// that is under way or cannot be made.
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

// cursorUp returns the cursor for the page above a block, false if that page
// has to be read from above. If ids are reused, the cursor is the last object
// but one. The page must then contain the last object; if not, the cursor has
// moved.
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

// canGrowUp reports whether the page above the edge can be read by a cursor.
func (w *Windows) canGrowUp(e *edge) bool {
	_, ok := w.cursorUp(e)
	return ok
}

// before returns the request for the page before the second high, by filters.
func (w *Windows) before(low, high int64) *Request {
	if high >= NoBound {
		high = 0
	}
	return &Request{Query: Query{GTE: low, LT: high}}
}

// planGap returns a request at an end of a gap, as long as there seems to be a
// page left for it.
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

// worth reports whether a gap seems to have a page left beyond those under way.
func (w *Windows) worth(i int) bool {
	n := w.underWay(i)
	return n == 0 || w.remaining(i) >= float64((n+1)*PageSize)
}

// planOuter returns a request in the outer gap, beyond which nothing was read.
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

// leap returns the second at which the next block in the outer gap should end.
// It returns false if there should be none now.
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

// gapPages returns how many pages a gap should have: as many as fit into the
// buffer if two lanes read each gap.
func (w *Windows) gapPages() int {
	if w.c.Order == AnyOrder {
		return maxGap
	}
	gaps := float64(w.c.Lanes)/2 + 1.5
	fit := float64(w.c.Buffer-4*PageSize) / PageSize / gaps
	return min(maxGap, int(max(fit, w.gapCost()/wasteShare)))
}

// fits reports whether the buffer has room for that many objects in addition to
// all that are expected from gaps and probes.
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

// leastHelp returns least, or less for a gap that seems to have more than twice
// the expected objects.
func (w *Windows) leastHelp(i int, least float64) float64 {
	b := w.blocks[i]
	if float64(b.read)+w.remaining(i) > 2*b.expected {
		return min(least, max(minHelp, w.gapCost()/wasteShare*PageSize))
	}
	return least
}

// planHelp returns a probe that starts a block in the middle of a gap, if at
// least that many objects are left in it.
func (w *Windows) planHelp(i int, least float64) *Request {
	below, above := w.blocks[i].top, w.blocks[i+1].bottom
	low, high := below.second, above.second
	if high-low < 2 || w.remaining(i) < least || !w.allowed(0.5) || w.probing(i) > 0 {
		return nil
	}
	return w.before(low, w.middle(i))
}

// allowed reports whether one more gap may be made: whether the wasted
// requests, with those that open gaps and probes may still waste, are within
// the allowance.
func (w *Windows) allowed(risk float64) bool {
	open := max(len(w.blocks)-2, 0)
	pages := float64(w.read) / PageSize
	risk += float64(w.responses) - pages + float64(open)/2 + float64(len(w.probes))
	return risk <= wasteShare*pages+2*float64(w.c.Lanes)+2*math.Log2(float64(max(w.search.newest-w.c.Low, 2)))-wasteMargin
}

// gapCost estimates how many requests a gap wastes: half of one, or more if an
// extra request is often needed to see that nothing is left.
func (w *Windows) gapCost() float64 {
	const few = 8
	wasted := float64(w.responses-w.searched) - float64(w.read)/PageSize
	return (few/2 + wasted) / (few + float64(w.closed))
}

// underWay returns how many requests are under way in a gap.
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

// probing returns how many probes are under way in a gap.
func (w *Windows) probing(i int) (n int) {
	for _, p := range w.probes {
		if w.gapBefore(p.Query.LT) == i {
			n++
		}
	}
	return n
}

// search is the state of the search for the oldest object.
type search struct {
	high   int64 // the oldest object was created before this second
	newest int64 // created second of the newest object; 0 until it is known
	ended  bool
	exact  bool   // an estimate was wrong: look for the exact beginning
	oldest int64  // oldest created second on the last page
	seen   []mark // pages that the search has read
}

// searching reports whether the oldest object of the first gap still has to be
// searched for.
func (w *Windows) searching() bool {
	first, second := w.blocks[0], w.blocks[1].bottom
	if w.c.Order != OldestFirst || w.canGrowUp(first.top) {
		return false
	}
	tooMuch := first.read > nearPages*PageSize || w.room() < 2*PageSize
	if w.search.ended && tooMuch && second.second > first.top.second {
		w.search.ended, w.search.exact = false, true
	}
	return !w.search.ended
}

// planSearch returns the next request of the search in the first gap.
func (w *Windows) planSearch() *Request {
	low := w.blocks[0].top.second
	if w.search.high <= low {
		w.search.high = NoBound // the object found there was deleted
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
		// The range often begins where an earlier reading ended.
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

// between returns a second that halves a span, and a measure of what a request
// there would tell. It first halves the order of magnitude of the age, because
// a list can span an hour or ten years.
func (s *search) between(low, high int64) (second int64, width float64) {
	near, far := float64(max(s.newest-high, 1)), float64(max(s.newest-low, 1))
	if far > 4*near {
		return min(max(s.newest-int64(math.Sqrt(near*far)), low+1), high-1), 2 * math.Log2(far/near)
	}
	return low + (high-low)/2, float64(high-low) / near
}

// found processes a page of the search, and reports whether its objects are
// kept. A page far from the beginning is not, as it would fill the buffer for
// too long.
func (s *search) found(w *Windows, p page, met bool) bool {
	if met || s.ended {
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
	s.ended = near || p.query.LT != 0 && p.query.LT-low <= 1
	return s.ended
}
