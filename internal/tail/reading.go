package tail

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
)

const (
	// maxPages is how many pages a reading has at the most, within one second
	// excepted. It bounds what is held back until the oldest is known.
	maxPages = 24
	// maxAgain is how many objects of a page the next one may list again.
	maxAgain = listing.PageSize / 4
	// windowPages is how many pages a window should have.
	windowPages = 3
	// maxLost is how many lost cursors a reading tolerates, and one more for
	// every four pages.
	maxLost = 5
	// noBound is a second behind all others, where nothing is known.
	noBound = 1 << 40
)

type kind uint8

const (
	probe kind = iota // learn the service's clock
	hole              // what an earlier life left unacknowledged
	head              // what is new, or the next window of a backlog
	sweep             // what may have appeared late
)

// reading covers the seconds from lo up to hi, from the newest page down. Its
// objects are found once it is complete, so that the oldest come first. Within
// one second there is no order to keep: they are found page by page.
type reading struct {
	kind   kind
	lo, hi int64 // hi is exclusive; 0 is no end
	top    int64 // exclusive: what stands above was read; 0 while nothing was
	newest int64 // the created second of an object near the top, where a few can be of the future
	pages  int
	lost   int

	// A second that is much of a page, or more, is read by a cursor.
	cursor      string
	second      int64
	anchoring   bool            // the anchors are to be read first
	anchors     map[uint64]bool // objects below the second, where objects do not tell theirs
	walked      listing.Cursors // of the pages of the second
	unconfirmed *walk           // a page of which the anchors are to be read again

	at      time.Time       // when the first page was requested, by the monotonic clock
	timed   bool            // reached is known, of every page
	reached int64           // what the service's clock had reached at the earliest page
	ordered bool            // every page told its seconds, newest first
	listed  int             // objects on its pages
	refs    int             // the Refs given
	own     map[uint64]bool // the objects found
	found   []Found         // newest first
}

func newReading(k kind, lo, hi int64) *reading {
	return &reading{kind: k, lo: lo, hi: hi, ordered: true}
}

func (r *reading) query() listing.Query {
	switch {
	case r.kind == probe:
		return listing.Query{Limit: 1}
	case r.anchoring:
		return listing.Query{Limit: listing.PageSize, LT: r.lo}
	case r.cursor != "":
		return listing.Query{Limit: listing.PageSize, After: r.cursor}
	default:
		return listing.Query{Limit: listing.PageSize, GTE: r.lo, LT: r.end()}
	}
}

// end is the exclusive end of what is left to read; 0 is none.
func (r *reading) end() int64 { return cmp.Or(r.top, r.hi) }

// single reports whether the reading is of one second.
func (r *reading) single() bool { return r.hi == r.lo+1 }

// take goes on with the reading by a page.
func (t *Tail) take(p Page) (Result, error) {
	r := t.reading
	t.date(r, p)
	switch {
	case r.anchoring:
		return t.takeAnchors(p)
	case r.cursor != "":
		return t.takeOfSecond(p)
	}
	ordered := inOrder(p.Heads, r.lo, r.end())
	r.ordered = r.ordered && ordered
	if p.HasMore && !ordered && !r.single() {
		return t.halve()
	}
	if r.pages == 1 && len(p.Heads) > 0 {
		r.newest = p.Heads[len(p.Heads)/10].Created
	}
	if !p.HasMore {
		return t.finish(t.collect(p.Heads, 0, r.lo, r.end())), nil
	}
	oldest := p.Heads[len(p.Heads)-1].Created
	if ordered && !r.single() && r.tooFull(oldest) {
		return t.tooFull(oldest), nil
	}
	fresh := t.collect(p.Heads, 0, r.lo, r.end())
	if ordered {
		return t.goOn(p.Heads, fresh), nil
	}
	r.second, r.anchoring = r.lo, true
	r.top, r.cursor, r.walked = r.second+1, p.Heads[len(p.Heads)-1].ID, listing.Cursors{}
	return t.within(fresh), nil
}

// takeOfSecond goes on within a second, by a page behind the cursor.
func (t *Tail) takeOfSecond(p Page) (Result, error) {
	r := t.reading
	if r.anchors == nil && !inOrder(p.Heads, 0, r.second+1) {
		return t.fail(fmt.Errorf("%w: a page is not in order", listing.ErrPage))
	}
	end, ended := len(p.Heads), false
	for i, object := range p.Heads {
		ended = r.anchors[t.hash(object)] || r.anchors == nil && object.Created > 0 && object.Created < r.second
		if ended {
			end = i
			break
		}
	}
	fresh := t.collect(p.Heads[:end], 0, r.second, r.second+1)
	if r.anchors == nil && ended && r.second > r.lo {
		return t.takeBelow(p, end, fresh)
	}
	w := walk{ended: ended, more: p.HasMore}
	if end > 0 {
		w.last = p.Heads[end-1]
	}
	if r.anchors != nil && len(fresh) > 0 {
		r.unconfirmed, r.anchoring = &w, true
		return Result{Fresh: fresh}, nil
	}
	result, err := t.walkOn(w)
	result.Fresh = fresh
	return result, err
}

// takeBelow takes what a page behind the cursor lists below the second: the page
// is in order, so it is all that is listed from there to the page's end.
func (t *Tail) takeBelow(p Page, first int, fresh []Fresh) (Result, error) {
	r := t.reading
	r.cursor, r.top = "", r.second
	objects := p.Heads[first:]
	bottom := slices.IndexFunc(objects, func(h listing.Head) bool { return h.Created > 0 && h.Created < r.lo })
	if bottom >= 0 {
		objects = objects[:bottom]
	}
	if !inOrder(objects, r.lo, r.second) {
		return Result{Fresh: fresh}, nil // the filters read it again
	}
	fresh = append(fresh, t.collect(objects, first, r.lo, r.second)...)
	if bottom >= 0 || !p.HasMore {
		return t.finish(fresh), nil
	}
	if oldest := objects[len(objects)-1].Created; r.tooFull(oldest) {
		return t.tooFull(oldest), nil
	}
	return t.goOn(objects, fresh), nil
}

// goOn chooses how to read what is older than the last objects of a page in
// order: by the filters, which list the oldest second of the page again, or, where
// that would be much, by a cursor.
func (t *Tail) goOn(objects []listing.Head, fresh []Fresh) Result {
	r := t.reading
	last := objects[len(objects)-1]
	r.top = last.Created + 1
	above := sort.Search(len(objects), func(i int) bool { return objects[i].Created <= last.Created })
	if above > 0 && len(objects)-above <= maxAgain {
		return Result{Fresh: fresh}
	}
	r.second, r.cursor, r.walked = last.Created, last.ID, listing.Cursors{}
	return t.within(fresh)
}

// finish completes the reading with the objects of its last page.
func (t *Tail) finish(fresh []Fresh) Result {
	result := t.complete()
	result.Fresh = fresh
	return result
}

// walk is where a reading stands after a page behind the cursor.
type walk struct {
	ended bool // the page is the last of the second
	more  bool
	last  listing.Head // of the second on the page
}

// walkOn goes on behind the last object of a page, or below the second.
func (t *Tail) walkOn(w walk) (Result, error) {
	r := t.reading
	if !w.ended && w.more {
		if err := r.walked.Add(w.last.ID); err != nil {
			return t.fail(err)
		}
		if r.cursor = w.last.ID; !r.single() && r.pages >= maxPages {
			return t.cut(t.backlog.fullSecond(r)), nil
		}
		return t.within(nil), nil
	}
	r.cursor, r.top = "", r.second
	if w.ended && r.second > r.lo {
		return Result{}, nil // there is more below the second
	}
	return t.complete(), nil
}

// within finds what was read of a second so far, where that is all there is to
// read.
func (t *Tail) within(fresh []Fresh) Result {
	result := Result{Fresh: fresh}
	if t.reading.single() {
		result.Found = t.accept(t.reading)
	}
	return result
}

// takeAnchors reads where a second ends whose objects do not tell it: at the first
// object that is listed below it. Such an object can appear just before a page
// behind the cursor, and would look as if it were of the second. So the anchors
// are read before the first of these pages, and again after each that has
// something new.
func (t *Tail) takeAnchors(p Page) (Result, error) {
	r := t.reading
	r.anchoring, r.anchors = false, map[uint64]bool{}
	for _, object := range p.Heads {
		r.anchors[t.hash(object)] = true
	}
	if r.unconfirmed == nil {
		return Result{}, nil
	}
	w := *r.unconfirmed
	r.unconfirmed = nil
	r.found = slices.DeleteFunc(r.found, func(f Found) bool {
		below := r.anchors[f.Key.Hash]
		if below {
			w.ended = true // a sweep will find it
			delete(r.own, f.Key.Hash)
		}
		return below
	})
	return t.walkOn(w)
}

// collect keeps what was not seen of the objects on a page from index first on,
// which were listed for the seconds from lo up to hi.
func (t *Tail) collect(objects []listing.Head, first int, lo, hi int64) (fresh []Fresh) {
	r := t.reading
	r.listed += len(objects)
	for i, object := range objects {
		k := Key{From: object.Created, Second: object.Created, Hash: t.hash(object)}
		if !inSpan(object.Created, lo, hi) {
			k.From, k.Second = bounds(lo, hi)
		}
		if t.seen.has(object.Created, k.Hash) {
			if k.From < k.Second {
				t.seen.narrow(k)
			}
			continue
		}
		if r.own[k.Hash] {
			continue
		}
		if r.own == nil {
			r.own = map[uint64]bool{}
		}
		r.own[k.Hash] = true
		fresh = append(fresh, Fresh{Index: first + i, Ref: r.refs})
		r.found = append(r.found, Found{Ref: r.refs, Key: k})
		r.refs++
	}
	return fresh
}

// bounds are the From and Second of the key of an object that does not tell when
// it was created. Only the filter proves anything of it: a response can be slow,
// and the clock behind. What a reading without an end leaves open, a later one
// closes.
func bounds(lo, hi int64) (from, second int64) {
	if second = noBound; hi != 0 {
		second = hi - 1
	}
	return lo - 1, second
}

func inSpan(second, lo, hi int64) bool { return second >= lo && second > 0 && (hi == 0 || second < hi) }

// inOrder reports whether the objects of a page tell their seconds, newest
// first, in the span that was requested.
func inOrder(objects []listing.Head, lo, hi int64) bool {
	for _, object := range objects {
		if !inSpan(object.Created, lo, hi) {
			return false
		}
	}
	return slices.IsSortedFunc(objects, func(a, b listing.Head) int { return cmp.Compare(b.Created, a.Created) })
}

// tooFull reports whether a reading that has come down to a second would have
// more pages than it may. How many a sweep has is known better than from its
// first page.
func (r *reading) tooFull(oldest int64) bool {
	if r.pages == 1 && r.kind == head {
		return oldest-r.lo > maxPages*(r.newest-oldest+1)
	}
	return r.pages >= maxPages
}

// tooFull ends a reading that would have too many pages: for a drain, or for one of
// a narrower span.
func (t *Tail) tooFull(oldest int64) Result {
	r := t.reading
	if r.kind == head && r.hi == 0 && r.timed && t.planDrain(r.reached) {
		t.reading = nil
		return Result{Dropped: true}
	}
	return t.cut(t.backlog.tooFull(r, oldest))
}

// halve cuts the reading to half of its span, since nothing is known of where in
// it its objects were created.
func (t *Tail) halve() (Result, error) {
	r := t.reading
	end := r.end()
	if end == 0 {
		if !t.clock.known() {
			return t.fail(errNoDate)
		}
		end = t.clock.at(r.at) + 1
	}
	return t.cut(t.backlog.overfull(r, end)), nil
}

// cut begins the reading anew with a narrower span.
func (t *Tail) cut(width int64) Result {
	r := t.reading
	t.reading = newReading(r.kind, r.lo, r.lo+width)
	return Result{Dropped: true}
}

// fail gives up the reading. The next begins anew, and nothing is lost.
func (t *Tail) fail(err error) (Result, error) {
	t.reading = nil
	return Result{Dropped: true}, err
}

// date notes what the service's clock had reached when a page was requested.
// That is settled with the page: a clock that is corrected later changes nothing
// of it.
func (t *Tail) date(r *reading, p Page) {
	reached, ok := t.clock.safe(p.At, t.undated)
	if ok && p.Date > 0 {
		reached = min(reached, p.Date)
	}
	if r.pages == 1 {
		r.at, r.timed, r.reached = p.At, ok, reached
		return
	}
	r.timed, r.reached = r.timed && ok, min(r.reached, reached)
}
