package stripesql

import (
	"errors"
	"io"
	"slices"
	"sync"
)

const (
	// rampPages is how many pages of a list are read one after the other before
	// a scan looks whether there is enough for reading in windows. A statement
	// that has what it wants by then has cost nothing else.
	rampPages = 10
	// minAhead is how many pages must be left for that.
	minAhead = 64
	// orderedPages is about the size of a window whose pages wait for those
	// before them.
	orderedPages = 16
)

// wideFeed reads a list that may be long: page by page at first, and then in
// windows of time, several at once.
type wideFeed struct {
	list    *listFeed
	pages   int
	settled bool // whether it is to be read in windows
	ahead   *ahead
}

func (f *wideFeed) next() ([]*object, error) {
	if !f.settled && (f.pages == rampPages || f.pages == 0 && f.evenly()) {
		f.settled = f.pages > 0
		if err := f.split(); err != nil {
			return nil, err
		}
	}
	if f.ahead != nil {
		return f.ahead.next()
	}
	f.pages++
	return f.list.next()
}

// evenly tells whether the table is known to be as regular as a clock, so that
// each page can be asked for by itself.
func (f *wideFeed) evenly() bool {
	s := f.list.query.source.density.surveyOf(f.list.spec.table)
	return s != nil && s.gap > 0
}

// split divides what is left of the list into windows.
func (f *wideFeed) split() error {
	l := f.list
	if l.done || l.query.source.concurrency == 1 || l.query.left() < minAhead {
		return nil
	}
	left := l.window
	if l.reached > 0 {
		left.high = l.reached + 1
	}
	s, err := f.survey(left)
	if err != nil || s == nil {
		return err
	}
	expected := s.count(left)
	if expected < minAhead*maxPage {
		return nil
	}
	ordered := l.spec.order != ""
	f.settled = true
	f.ahead = &ahead{
		list: l, ordered: ordered, windows: s.divide(left, l.query.source.concurrency, ordered), paged: s.gap > 0,
		survey: s, whole: expected + float64(l.read), read: float64(l.read), consumed: f.pages, out: make(chan answer), seen: map[string]bool{},
	}
	return nil
}

// survey is what is known of the window. Where its end is given, that is what
// has been seen on the way.
func (f *wideFeed) survey(left window) (*survey, error) {
	l := f.list
	low, _ := left.bounded()
	switch {
	case f.pages == 0:
		return l.query.source.density.surveyOf(l.spec.table), nil
	case !low && left.high-1 == l.reached && l.window == everything():
		return l.query.surveyBehind(l)
	case !low:
		return l.query.survey(l.spec.table)
	}
	rate := l.rate()
	return &survey{points: []point{{l.reached, rate}, {left.low, rate}}, gap: l.gap}, nil
}

// divide cuts a window into parts, the newest first. Where objects come like
// clockwork each part is one full page, which needs no other one to know that
// it is whole. Else each part ends within a page, so that there are only as
// many parts as are read at once; but of a list that must be read in order they
// are small, since their pages wait for one another.
func (s *survey) divide(w window, parallel int, ordered bool) []window {
	top := min(w.high-1, s.newest())
	if s.gap > 0 {
		// The list goes on behind its last object, or begins with the newest:
		// either way 99 objects lie between, and one tells that it is enough.
		return s.cut(w, top-(maxPage-1)*s.gap, func(high int64) int64 { return high - maxPage*s.gap })
	}
	size := max(s.count(w)/float64(parallel), orderedPages/2*maxPage)
	if ordered {
		size = orderedPages * maxPage
	}
	low := func(high int64) int64 { return s.before(high, size) }
	return s.cut(w, low(top+1), low)
}

// cut makes windows down to where objects have been seen, the last of which has
// all that is older. next is where the one that ends at a second begins.
func (s *survey) cut(w window, first int64, next func(high int64) int64) []window {
	var windows []window
	for low := first; low > max(w.low, s.oldest()); low = next(low) {
		windows = append(windows, window{low, w.high})
		w.high = low
	}
	return append(windows, w)
}

// before is the last second from which on there are so many objects until high.
func (s *survey) before(high int64, objects float64) int64 {
	low, top := int64(0), high-1
	for low < top {
		middle := low + (top-low+1)/2
		if s.count(window{middle, high}) >= objects {
			low = middle
		} else {
			top = middle - 1
		}
	}
	return low
}

// ahead reads the windows of a list, several at once. Who uses it may stop at
// any time: it is never ahead by more than a quarter of what has been used.
type ahead struct {
	list    *listFeed // of which these are windows; it goes on with the first one
	ordered bool
	windows []window // the newest first
	paged   bool     // each is expected to be one full page
	survey  *survey
	whole   float64 // objects in the list, about

	parts    []chan answer // of the windows begun
	ended    int           // of them
	consumed int           // pages
	objects  int
	out      chan answer
	seen     map[string]bool // objects without a time, which two windows may have
	failed   error           // the budget is used up; what is under way comes first

	mu   sync.Mutex
	read float64 // objects that have been read, by the same guess as whole
}

// answer is a page of a window, or its end.
type answer struct {
	objects []*object
	err     error // io.EOF at the end
}

func (a *ahead) next() ([]*object, error) {
	for a.ended < len(a.windows) {
		a.begin()
		if len(a.parts) == a.ended {
			break
		}
		got, err := a.receive()
		if err != nil {
			return nil, err
		}
		switch _, spent := errors.AsType[*BudgetError](got.err); {
		case got.err == nil:
			a.consumed++
			a.objects += len(got.objects)
			return a.unseen(got.objects), nil
		case got.err == io.EOF:
			a.ended++
			a.check()
		case spent && !a.ordered:
			a.failed = got.err
			a.ended++
		default:
			return nil, got.err
		}
	}
	if a.failed != nil {
		return nil, a.failed
	}
	return nil, io.EOF
}

// begin starts as many windows as may be under way.
func (a *ahead) begin() {
	q := a.list.query
	allowed := min(1+a.consumed/4, q.source.concurrency)
	for len(a.parts) < len(a.windows) && len(a.parts)-a.ended < allowed && a.failed == nil {
		f, out := a.feed(len(a.parts)), a.out
		if a.ordered {
			out = make(chan answer, 2*orderedPages)
		}
		a.parts = append(a.parts, out)
		q.running.Go(func() { f.run(out) })
	}
}

// feed reads one of the windows.
func (a *ahead) feed(i int) *listFeed {
	f, w := a.list, a.windows[i]
	if i == 0 && f.read > 0 {
		f.window.low, f.part = w.low, a.part(w)
		return f
	}
	inner := *f.spec
	inner.window = w
	return &listFeed{query: f.query, spec: &inner, request: inner.request(), window: w, oldest: a.survey.oldest(), part: a.part(w)}
}

// part makes of the share of a window that has been read that of the list.
func (a *ahead) part(w window) func(float64) float64 {
	expected, before := a.survey.count(w), 0.0
	return func(share float64) float64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.read += expected * (share - before)
		before = share
		return min(1, a.read/a.whole)
	}
}

// run hands all pages on.
func (f *listFeed) run(out chan<- answer) {
	for {
		objects, err := f.next()
		select {
		case out <- answer{objects, err}:
		case <-f.query.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// receive waits for a page: in order that of the newest window, else of any.
func (a *ahead) receive() (answer, error) {
	out := a.out
	if a.ordered {
		out = a.parts[a.ended]
	}
	select {
	case got := <-out:
		return got, nil
	case <-a.list.query.ctx.Done():
		return answer{}, a.list.query.ctx.Err()
	}
}

// check looks whether windows of a page are as full as they were expected to
// be. If not, those that have not begun are made larger.
func (a *ahead) check() {
	const trial, full = 20, 0.9
	if !a.paged || a.ended < trial || float64(a.objects) >= full*maxPage*float64(a.ended) {
		return
	}
	a.paged = false
	begun := len(a.parts)
	size := max(1, (len(a.windows)-begun)/a.list.query.source.concurrency)
	larger := a.windows[:begun:begun]
	for some := range slices.Chunk(a.windows[begun:], size) {
		larger = append(larger, window{some[len(some)-1].low, some[0].high})
	}
	a.windows = larger
}

// unseen takes off objects without a time that another window has had.
func (a *ahead) unseen(objects []*object) []*object {
	return slices.DeleteFunc(objects, func(o *object) bool {
		if o.dated {
			return false
		}
		seen := a.seen[o.id]
		a.seen[o.id] = true
		return seen
	})
}
