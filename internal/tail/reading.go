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
	// maxPages is the maximum number of pages of a reading, except within one
	// second. It bounds what is held back until the oldest object is known.
	maxPages = 24
	// maxAgain is how many objects of a page the next page may list again.
	maxAgain = listing.PageSize / 4
	// windowPages is how many pages a window should have.
	windowPages = 3
	// maxLost is how many lost cursors a reading tolerates, plus one for every
	// four pages.
	maxLost = 5
	// noBound is a second later than all others. It stands for an unknown one.
	noBound = 1 << 40
)

type kind uint8

const (
	probe kind = iota // learn the service's clock
	hole              // read what an earlier process left unacknowledged
	head              // read what is new, or the next window of a backlog
	sweep             // read what may have appeared late
)

// reading covers the seconds from lo to hi, from the newest page down. Its
// objects are returned once it is complete, so that the oldest come first. A
// reading of a single second has no order to keep: its objects are returned
// page by page.
type reading struct {
	kind   kind
	lo, hi int64 // hi is exclusive; 0 is no end
	top    int64 // everything from this second up was read; 0 if nothing was
	newest int64 // created second of an object near the top; not of the first, since a few may lie in the future
	pages  int   // pages read
	lost   int   // cursors lost

	// A second that fills much of a page, or more, is read by a cursor.
	cursor      string
	second      int64
	anchoring   bool            // the anchors have to be read first
	anchors     map[uint64]bool // objects below the second, for objects without a created second
	walked      listing.Cursors // cursors used within the second
	unconfirmed *walk           // state after a page for which the anchors are read again

	at      time.Time       // when the first page was requested, by the monotonic clock
	timed   bool            // reached is known for every page
	reached int64           // the lowest second that the service's clock had reached when a page was requested
	ordered bool            // every page had created seconds, newest first
	listed  int             // objects on its pages
	refs    int             // number of Refs assigned
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

// end returns the exclusive end of what is left to read; 0 is no end.
func (r *reading) end() int64 { return cmp.Or(r.top, r.hi) }

// single reports whether the reading covers a single second.
func (r *reading) single() bool { return r.hi == r.lo+1 }

// apply continues the reading with a page.
func (t *Tail) apply(p Page) (Result, error) {
	r := t.reading
	t.date(r, p)
	switch {
	case r.anchoring:
		return t.applyAnchors(p)
	case r.cursor != "":
		return t.applySecond(p)
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

// applySecond continues the reading within a second, with a page after the
// cursor.
func (t *Tail) applySecond(p Page) (Result, error) {
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
		return t.applyBelow(p, end, fresh)
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

// applyBelow processes the objects below the second on a page after the cursor.
// The page is in order, so they are all that the list has down to the page's
// end.
func (t *Tail) applyBelow(p Page, first int, fresh []Fresh) (Result, error) {
	r := t.reading
	r.cursor, r.top = "", r.second
	objects := p.Heads[first:]
	bottom := slices.IndexFunc(objects, func(h listing.Head) bool { return h.Created > 0 && h.Created < r.lo })
	if bottom >= 0 {
		objects = objects[:bottom]
	}
	if !inOrder(objects, r.lo, r.second) {
		return Result{Fresh: fresh}, nil // the next request, by filters, reads them again
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

// goOn chooses how to read on after a page in order: by filters, which list the
// oldest second of the page again, or by a cursor if that would repeat too
// much.
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

// walk is the state of a reading after a page within a second.
type walk struct {
	ended bool         // the page is the last of the second
	more  bool         // has_more
	last  listing.Head // the last object of the second on the page
}

// walkOn continues after the last object of a page, or below the second.
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
		return Result{}, nil // the span below the second is still to be read
	}
	return t.complete(), nil
}

// within returns fresh as a Result. If the reading covers a single second, the
// Result includes what was found so far.
func (t *Tail) within(fresh []Fresh) Result {
	result := Result{Fresh: fresh}
	if t.reading.single() {
		result.Found = t.accept(t.reading)
	}
	return result
}

// applyAnchors processes the page of anchors: the objects listed below a second
// whose objects have no created second. The second ends at the first anchor. An
// object below the second can appear just before a page is requested by the
// cursor, and would then be taken for an object of the second. So the anchors
// are read before the first such page, and again after each page with new
// objects.
func (t *Tail) applyAnchors(p Page) (Result, error) {
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

// collect adds the objects that were not seen before to the reading. first is
// the index of objects[0] on its page. The objects were listed for the seconds
// from lo to hi, exclusive.
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

// bounds returns the From and Second of the key of an object without a created
// second. Only the filter proves anything about it, because a response can be
// slow and the clock can be behind. A reading without an end leaves Second
// open; a later reading closes it.
func bounds(lo, hi int64) (from, second int64) {
	if second = noBound; hi != 0 {
		second = hi - 1
	}
	return lo - 1, second
}

func inSpan(second, lo, hi int64) bool { return second >= lo && second > 0 && (hi == 0 || second < hi) }

// inOrder reports whether all objects have created seconds within the requested
// span, newest first.
func inOrder(objects []listing.Head, lo, hi int64) bool {
	for _, object := range objects {
		if !inSpan(object.Created, lo, hi) {
			return false
		}
	}
	return slices.IsSortedFunc(objects, func(a, b listing.Head) int { return cmp.Compare(b.Created, a.Created) })
}

// tooFull reports whether a reading that has reached the second oldest would
// have too many pages. Only for a head is that estimated from its first page:
// the size of a sweep is known better.
func (r *reading) tooFull(oldest int64) bool {
	if r.pages == 1 && r.kind == head {
		return oldest-r.lo > maxPages*(r.newest-oldest+1)
	}
	return r.pages >= maxPages
}

// tooFull replaces a reading that would have too many pages by a drain, or by a
// reading of a narrower span.
func (t *Tail) tooFull(oldest int64) Result {
	r := t.reading
	if r.kind == head && r.hi == 0 && r.timed && t.planDrain(r.reached) {
		t.reading = nil
		return Result{Dropped: true}
	}
	return t.cut(t.backlog.tooFull(r, oldest))
}

// halve halves the span of the reading, since nothing is known about when its
// objects were created.
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

// cut restarts the reading with a narrower span.
func (t *Tail) cut(width int64) Result {
	r := t.reading
	t.reading = newReading(r.kind, r.lo, r.lo+width)
	return Result{Dropped: true}
}

// fail gives up the reading. The next one starts over, so nothing is lost.
func (t *Tail) fail(err error) (Result, error) {
	t.reading = nil
	return Result{Dropped: true}, err
}

// date records what the service's clock had reached when a page was requested.
// A later correction of the clock does not change it.
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
