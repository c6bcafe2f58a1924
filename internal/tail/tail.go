// Package tail finds the new objects of a list that can only be read a page at
// a time, newest first, while it changes. It makes no requests: it returns what
// to request next, receives the response, and returns which objects of it are
// new.
//
// # The idea
//
// A Tail keeps a floor, a second before which everything is done, and the
// objects that it has seen at or above the floor. What is listed at or above the
// floor and has not been seen is new, however late it appeared.
//
// The list is read by readings. A reading covers a span of created seconds, by
// filters on created, from the newest page down. If a single second fills much
// of a page, or more, a cursor leads to the next page. If the object that the
// cursor names is deleted in the meantime, the second is read again by the
// filters.
//
// # Levels
//
// An object may become visible up to the overlap after it was created. So each
// second is read several times: when it is new, at growing ages, and once more
// when it is older than the overlap. Each age has a mark, below which every
// second was read at that age or later:
//
//	ages   0     1 min   2 min   4 min   …   overlap
//	marks  now ≥ ...   ≥ ...   ≥ ...   ≥ … ≥ floor
//
// A poll first reads what is new, from the youngest mark up. Then it sweeps
// slices of the spans that have reached an age, as far as its budget allows.
// Sweeps that are put off merge with those of the next age. If everything above
// an older mark fits on the same page, the first reading starts at that mark,
// so a quiet list costs one request per poll.
//
// The part of a backlog that is older than the overlap is complete, so it is
// drained: it is read once, by concurrent requests, and the floor rises with
// what is returned. The rest of the backlog, and the whole of a list without
// created seconds, is read in windows, the oldest first, each a few pages wide.
// Windows older than the overlap are each followed by sweeps of what was read
// before the backlog, so that the floor rises and the memory does not grow.
package tail

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
)

const (
	// quietPage is how many known objects may share the page with new ones.
	quietPage = listing.PageSize * 3 / 4
	// maxProbes is the maximum number of requests at the start that only read
	// the service's clock.
	maxProbes = 5
	// firstAge is the age of the second reading, in seconds. Each further age
	// is twice as high.
	firstAge = 60
	// headAge is how far the youngest mark stays behind the service's clock, in
	// seconds.
	headAge = 2
)

// errNoDate is returned if the service's clock is needed and not known.
var errNoDate = fmt.Errorf("%w: the responses have no Date header that can be relied on", listing.ErrPage)

// Page is a page of the list, newest first, with its times.
type Page struct {
	listing.Page
	// Date is the service's Unix second when the page was requested, or
	// somewhat earlier. It is 0 if it is not known.
	Date int64
	// At is when the page was requested, by the monotonic clock.
	At time.Time
	// Received is when the response was read, by the monotonic clock.
	Received time.Time
}

// Fresh is an object on a page that was not seen before. It is new unless its
// reading is dropped.
type Fresh struct {
	Index int // into Page.Heads
	Ref   int // identifies the object within the reading
}

// Found is a new object.
type Found struct {
	Ref  int // the Ref of its Fresh
	Key  Key
	Late bool // the object appeared after newer objects
}

// Result is the outcome of a page.
type Result struct {
	Dropped bool    // the reading has started over: earlier Refs are invalid
	Fresh   []Fresh // on this page
	Found   []Found // of the whole reading once it is complete, the oldest first
}

// Config holds the settings of a Tail.
type Config struct {
	// Overlap is how long after its creation an object may become visible.
	Overlap time.Duration
	// From is the Unix second to begin from; 0 is the moment Start.
	From int64
	// Start is when the flow was started, by the monotonic clock.
	Start time.Time
	// Seed is the key of the hashes of ids. With a secret Seed, nobody can
	// choose ids whose hashes collide.
	Seed [16]byte
	// Dated is set if nothing may be read before two Dates agree.
	Dated bool
	// Reused is set if the id of a deleted object can be used for a new one.
	Reused bool
}

// Tail reads one list. It is not safe for concurrent use.
type Tail struct {
	seed    [16]byte
	overlap int64   // the last age, in seconds: the overlap plus the tolerance
	marks   []int64 // descending; the last is the floor
	low     int64   // the floor of a checkpoint
	start   time.Time
	guess   int64 // the second estimated for start, while the marks are still there; else 0

	clock   clock
	seen    seen
	started bool // the marks are set
	undated bool // an object without a created second was seen
	plain   bool // the list cannot be drained
	reused  bool
	dated   bool
	whole   bool  // the last poll has read everything from the floor on
	newest  int64 // the newest created second found

	// The state of the poll.
	reading  *reading
	drain    *drain
	headDone bool
	position int64 // everything older was read
	backlog  backlog
	slices   int // slices that may be swept before the next window
	probes   int // probes made
	fresh    int // new objects found by heads and drains
	budget   int // pages left for sweeps
}

// New returns a Tail that begins at c.From or c.Start.
func New(c Config) *Tail {
	t := &Tail{seed: c.Seed, start: c.Start, reused: c.Reused, dated: c.Dated, overlap: int64(c.Overlap/time.Second) + tolerance}
	ages := 2
	for age := int64(firstAge); age < t.overlap; age *= 2 {
		ages++
	}
	t.marks = make([]int64, ages)
	if c.From > 0 {
		t.begin(c.From)
	}
	return t
}

// Resume returns a Tail that continues from a snapshot. It finds the objects
// again that were found and not acknowledged. The Seed of the snapshot replaces
// c.Seed, and its Floor replaces c.From unless it is 0.
func Resume(c Config, s Snapshot) *Tail {
	c.Seed = s.Seed
	if s.Floor > 0 {
		c.From = s.Floor
	}
	t := New(c)
	t.seen.keys, t.seen.unread = slices.Clone(s.Seen), slices.Clone(s.Holes)
	for _, k := range s.Seen {
		if k.From < k.Second {
			if t.seen.undated == nil {
				t.seen.undated = map[uint64]int64{}
			}
			t.seen.undated[k.Hash] = k.Second
		}
	}
	return t
}

// age returns the age of mark k, in seconds.
func (t *Tail) age(k int) int64 {
	switch k {
	case 0:
		return headAge
	case len(t.marks) - 1:
		return t.overlap
	}
	return firstAge << (k - 1)
}

func (t *Tail) begin(from int64) {
	for i := range t.marks {
		t.marks[i] = from
	}
	t.low, t.started = from, true
}

// Begin starts a poll.
func (t *Tail) Begin() {
	t.headDone, t.probes, t.fresh = false, 0, 0
	t.position = t.marks[0]
}

// Next returns what to request now. It returns false if the poll is done, or if
// there is a backlog to drain first. Without sweep, the poll is done once what
// is new was read, unless too many objects wait in memory for their last sweep.
func (t *Tail) Next(now time.Time, sweep bool) (listing.Query, bool) {
	if t.drain != nil {
		return listing.Query{}, false
	}
	if t.reading == nil {
		t.reading = t.plan(now, sweep)
	}
	if t.reading == nil {
		return listing.Query{}, false
	}
	return t.reading.query(), true
}

// Pages returns how many pages of new objects the poll has found so far. It
// does not count objects found by sweeps.
func (t *Tail) Pages() int { return (t.fresh + listing.PageSize - 1) / listing.PageSize }

// plan chooses the next reading.
func (t *Tail) plan(now time.Time, sweep bool) *reading {
	switch {
	case !t.started, t.dated && !t.clock.sure():
		return newReading(probe, 0, 0)
	case len(t.seen.unread) > 0:
		span := t.seen.unread[0]
		return newReading(hole, span.From, span.To+1)
	case !t.headDone:
		if r := t.planCatchUp(now); r != nil {
			return r
		}
		if at, ok := t.clock.safe(now, t.undated); ok && t.backlog.width > 0 && t.planDrain(at) {
			return nil
		}
		return t.planHead()
	}
	return t.planSweep(now, sweep)
}

// planHead returns the reading of what is new: the next window of a backlog, or
// everything from the oldest mark that leaves room on a page for new objects.
func (t *Tail) planHead() *reading {
	behind := t.backlog.width > 0
	if hi := t.backlog.next(t.position); hi != 0 {
		return newReading(head, t.position, hi)
	}
	lo := t.position
	if lo == t.marks[0] && !behind {
		for _, mark := range t.marks {
			if len(t.seen.keys)-t.seen.from(mark) <= quietPage {
				lo = mark
			}
		}
	}
	return newReading(head, lo, 0)
}

const (
	// sweepPages is the maximum number of pages of a slice.
	sweepPages = 2
	// undatedSlice is the maximum number of known objects in a slice of a list
	// without created seconds.
	undatedSlice = listing.PageSize * 3 / 4
	// minBudget is how many pages a poll may sweep if it has found little. For
	// each page of new objects it may sweep two pages: one for the last age,
	// and one for the ages before it.
	minBudget = 2
	// maxUnswept is how many objects may be kept in memory because the budget
	// was too small for their last sweep.
	maxUnswept = 1000
	// windowSlices is the maximum number of slices between two windows of a
	// backlog.
	windowSlices = 2
	// minSweep is how many known objects a sweep waits for. It also starts once
	// its span is half of its age, or for the last age a sixteenth of it, but
	// at least 30 seconds.
	minSweep = listing.PageSize * 4 / 5
)

// planSweep returns the sweep of a slice that has reached an age: first the
// last age, which the floor waits for, then the youngest. If sweep is false,
// only a last sweep that is overdue is returned.
func (t *Tail) planSweep(now time.Time, sweep bool) *reading {
	at, ok := t.clock.safe(now, t.undated)
	if !ok {
		return nil
	}
	last := len(t.marks) - 1
	for i := range t.marks {
		k, part := i, int64(2)
		if i == 0 {
			k, part = last, 16
		} else if i == last {
			break
		}
		lo, hi := t.marks[k], at-t.age(k)
		count := t.seen.count(lo, hi)
		if (!sweep || t.budget <= 0) && (k != last || count <= maxUnswept) {
			return nil
		}
		if hi <= lo || count < minSweep && hi-lo < max(t.age(k)/part, 30) {
			continue
		}
		return t.slice(lo, hi)
	}
	return nil
}

// slice returns a sweep from lo to hi, or to a lower second if that would be
// too many pages. Objects without created seconds cannot be read page by page,
// so their slice should fit on one page.
func (t *Tail) slice(lo, hi int64) *reading {
	from, limit := t.seen.from(lo), sweepPages*listing.PageSize*9/10
	if t.undated {
		limit = undatedSlice
	}
	if t.seen.count(lo, hi) <= limit {
		return newReading(sweep, lo, hi)
	}
	hi = t.seen.keys[from+limit].Second
	if before := t.seen.from(hi); t.undated && before > from {
		hi = t.seen.keys[before-1].Second + 1 // includes every object that may belong to that second
	}
	return newReading(sweep, lo, max(hi, lo+1))
}

// planCatchUp returns a sweep between two windows of a backlog. The sweep
// covers a slice of what was read before the window, if the window was older
// than the overlap or too many objects are unswept. Without such sweeps, the
// floor would stay where the backlog began, with everything above it in memory,
// and a reader slower than the list would never sweep.
func (t *Tail) planCatchUp(now time.Time) *reading {
	at, ok := t.clock.safe(now, t.undated)
	if !ok || t.slices == 0 {
		return nil
	}
	t.slices--
	last := len(t.marks) - 1
	lo, hi := t.marks[last], min(at-t.overlap, t.position)
	if lo < hi && (hi == t.position || t.seen.count(lo, hi) > maxUnswept) {
		return t.slice(lo, hi)
	}
	return nil
}

// Read processes the response to the request of Next.
func (t *Tail) Read(p Page) (Result, error) {
	r := t.reading
	r.pages++
	if r.kind == sweep {
		t.budget--
	}
	if err := p.Check(); err != nil {
		return t.fail(err)
	}
	t.observe(p)
	if r.kind == probe {
		return Result{}, t.readProbe()
	}
	return t.apply(p)
}

// observe reads the service's clock from a page, and notes whether the page has
// objects without a created second.
func (t *Tail) observe(p Page) {
	if p.Date > 0 {
		t.clock.vote(p.Date, p.At)
	}
	for _, object := range p.Heads {
		if object.Created > 0 {
			t.clock.observe(object.Created, p.Received)
		} else {
			t.undated = true
		}
	}
	t.correctStart()
}

// readProbe sets the beginning of the Tail once two Dates agree. It returns an
// error after maxProbes responses.
func (t *Tail) readProbe() error {
	t.reading = nil
	switch t.probes++; {
	case t.clock.sure() && t.started:
	case t.clock.sure():
		t.begin(t.beginning())
		t.guess, t.position = t.low, t.low
	case t.probes >= maxProbes:
		return errNoDate
	}
	return nil
}

// beginning returns the second of start by the service's clock, minus one for
// rounding.
func (t *Tail) beginning() int64 { return max(t.clock.at(t.start)-1, 1) }

// correctStart moves the beginning down if its Dates prove to have been ahead
// of the service's time.
func (t *Tail) correctStart() {
	if t.guess == 0 {
		return
	}
	if t.marks[0] != t.guess || t.low != t.guess {
		t.guess = 0 // objects that were read may be forgotten already
	} else if from := t.beginning(); t.clock.sure() && from < t.low-tolerance {
		t.begin(from)
		t.guess, t.position = from, from
		t.drain = nil // it began too late
	}
}

// Drop gives up the reading under way. The next one starts over.
func (t *Tail) Drop() { t.reading = nil }

// Lost is called instead of Read if the object that the query's cursor names
// was deleted. The second of that object is read again.
func (t *Tail) Lost() (Result, error) {
	r := t.reading
	if r.lost++; r.lost > maxLost+r.pages/4 {
		return t.fail(fmt.Errorf("%w: %d cursors are unknown", listing.ErrPage, r.lost))
	}
	r.cursor, r.anchoring, r.anchors, r.unconfirmed = "", false, nil, nil
	return Result{}, nil
}

// complete ends a reading.
func (t *Tail) complete() Result {
	r := t.reading
	t.reading = nil
	if r.kind == head && r.hi == 0 {
		t.whole = r.lo <= t.Floor()
	}
	t.cover(r)
	if r.hi == 0 {
		t.seen.close(r.lo)
	}
	found := t.accept(r)
	switch {
	case r.kind == hole && r.hi <= t.seen.unread[0].To:
		t.seen.unread[0].From = r.hi
	case r.kind == hole:
		t.seen.unread = t.seen.unread[1:]
	case r.kind == head && r.hi == 0:
		t.headDone, t.backlog = true, backlog{}
		t.budget = min(max(t.budget, -1), 0) + max(minBudget, 2*t.fresh/listing.PageSize)
	case r.kind == head:
		t.position, t.slices = max(t.position, r.hi), windowSlices
		t.backlog.done(r)
	}
	t.low = t.seen.prune(t.marks[len(t.marks)-1], t.low)
	return Result{Found: found}
}

// cover moves up the marks of all ages that the reading has covered its span
// at.
func (t *Tail) cover(r *reading) {
	if !r.timed {
		return
	}
	for k := range t.marks {
		if r.lo > t.marks[k] {
			continue
		}
		mark := r.reached - t.age(k)
		if r.hi != 0 {
			mark = min(mark, r.hi)
		}
		t.marks[k] = max(t.marks[k], mark)
	}
}

// accept marks the new objects of a reading as seen, and returns them, the
// oldest first.
func (t *Tail) accept(r *reading) []Found {
	found := r.found
	r.found = nil
	if r.kind == head {
		t.fresh += len(found)
	}
	if len(found) == 0 {
		return nil
	}
	slices.Reverse(found)
	slices.SortStableFunc(found, func(a, b Found) int { return cmp.Compare(a.Key.Second, b.Key.Second) })
	keys, newest := make([]Key, len(found)), t.newest
	for i := range found {
		k := found[i].Key
		keys[i] = k
		if k.From == k.Second {
			found[i].Late = k.Second < newest
			if !r.timed || k.Second <= r.reached+tolerance {
				t.newest = max(t.newest, k.Second)
			}
		}
	}
	t.seen.add(keys)
	return found
}

// Started reports whether the Tail knows where it begins.
func (t *Tail) Started() bool { return t.started }

// Floor returns the second before which everything was read for the last time. It is 0
// if the Tail has not started.
func (t *Tail) Floor() int64 { return t.marks[len(t.marks)-1] }

// Hole returns the first second of the oldest hole that is not read yet. It is 0 if
// there is none.
func (t *Tail) Hole() int64 {
	if len(t.seen.unread) == 0 {
		return 0
	}
	return t.seen.unread[0].From
}

// Whole reports whether the last poll has read everything from the floor on. Otherwise
// it has left to sweeps what may have appeared late.
func (t *Tail) Whole() bool { return t.whole }

// ServiceTime returns the second of the service's clock at a moment, or somewhat less.
// It is 0 until two Dates agree.
func (t *Tail) ServiceTime(at time.Time) int64 {
	if !t.clock.sure() {
		return 0
	}
	return t.clock.at(at)
}

// Ack acknowledges an object: it is not found again.
func (t *Tail) Ack(k Key) { t.seen.ack(k.Hash) }

// Snapshot returns the state to continue from in another process, as if the
// objects in also were acknowledged.
func (t *Tail) Snapshot(also ...Key) Snapshot {
	hashes := make([]uint64, len(also))
	for i, k := range also {
		hashes[i] = k.Hash
	}
	holes := t.seen.spans(t.low)
	return Snapshot{Seed: t.seed, Floor: t.low, Holes: holes, Seen: t.seen.acknowledged(t.low, holes, hashes)}
}

// hash returns a hash that identifies an object. A product that is deleted and
// created again under the same id has another created second, so it is another
// object.
func (t *Tail) hash(object listing.Head) uint64 {
	input := append(append(make([]byte, 0, 128), t.seed[:]...), object.ID...)
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(input, uint64(object.Created)))
	return binary.LittleEndian.Uint64(sum[:8])
}
