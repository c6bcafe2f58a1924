// Package tail finds the new objects of a list that can only be read a page at
// a time, newest first, while it changes. It is pure logic: it says what to
// request next, is given the response, and says which objects of it are new.
//
// # The idea
//
// A Tail keeps a floor, a second before which everything is done, and the
// objects that it has seen at or above the floor. What is listed at or above the
// floor and has not been seen is new, however late it appeared.
//
// Everything is read by readings: a reading covers a span of created seconds, by
// filters on created, from its newest page down. A cursor leads to the next page
// where a single second is much of a page, or more. If the object of the cursor is
// deleted meanwhile, the second is read again by the filters.
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
// A poll reads first what is new, from the youngest mark up, and then sweeps
// slices of the spans that have come of age, as many as there is a budget for.
// Sweeps that are put off merge with those of the next age. Where what stands
// above an older mark fits on the same page, the first reading starts there, so
// a quiet list costs one request a poll.
//
// What of a backlog is older than the overlap is complete, and drained: read once,
// by several requests side by side, the floor rising with what is handed on. The
// rest, and all of a list that does not tell its seconds, is read in windows, the
// oldest first, each a few pages wide. Once they are older than the overlap, each
// is followed by sweeps of what was read before the backlog, so that the floor
// follows and the memory does not grow.
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
	// maxProbes is how many responses the clock is read from at the start.
	maxProbes = 5
	// firstAge is the age of the second reading, in seconds. It doubles from
	// there.
	firstAge = 60
	// headAge is how far the mark of the youngest readings stays behind, in
	// seconds.
	headAge = 2
)

// errNoDate is wrapped where the service's clock is needed and not known.
var errNoDate = fmt.Errorf("%w: the responses have no Date header that can be relied on", listing.ErrPage)

// Page is a response, newest first. Date is the service's second when it was
// requested, or somewhat before, 0 where that is not known; At is the same
// moment by the monotonic clock.
type Page struct {
	listing.Page
	Date int64
	At   time.Time
	// Received is when the response was read, by the monotonic clock.
	Received time.Time
}

// Fresh is an object on a page that was not seen before. It is new unless its
// reading is dropped.
type Fresh struct {
	Index int // into Page.Heads
	Ref   int // its name in the reading
}

// Found is a new object.
type Found struct {
	Ref  int // of its Fresh
	Key  Key
	Late bool // it appeared after objects that are newer
}

// Result says what a page has brought.
type Result struct {
	Dropped bool    // the reading began anew: no earlier Ref is of use
	Fresh   []Fresh // on this page
	Found   []Found // of the whole reading, which is complete; oldest first
}

// Config is what a Tail is made of.
type Config struct {
	Overlap time.Duration
	// From is the second to begin from; 0 is the moment Start.
	From int64
	// Start is when the flow was started, by the monotonic clock.
	Start time.Time
	// Seed keys the hashes of ids, so that nobody can choose ids that collide.
	Seed [16]byte
	// Reused is set if an id can be that of an object which was deleted.
	Reused bool
}

// Tail reads one list. It is not safe for concurrent use.
type Tail struct {
	seed    [16]byte
	buf     []byte
	overlap int64   // the last age: with the tolerance, in seconds
	marks   []int64 // descending; the last is the floor
	low     int64   // the floor that a checkpoint has
	started bool    // the marks are set
	start   time.Time
	guess   int64 // where start was by the clock, while the marks stand there

	clock   clock
	seen    seen
	undated bool // an object that does not tell its second was seen
	plain   bool // the list cannot be drained
	reused  bool
	newest  int64

	// Of the poll.
	reading  *reading
	drain    *drain
	headDone bool
	position int64 // what is older was read
	backlog  backlog
	slices   int // to catch up by before the next window
	probes   int
	fresh    int // objects that the head has found
	budget   int // pages left for sweeps
}

// New makes a Tail.
func New(c Config) *Tail {
	t := &Tail{seed: c.Seed, start: c.Start, reused: c.Reused, overlap: int64(c.Overlap/time.Second) + tolerance}
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

// Resume makes the Tail that a snapshot was taken of, without what was found
// and not acknowledged: that is found again. Where the snapshot has a floor, it
// stands for From, and always for Seed.
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

// age is that of a mark, in seconds.
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

// Next is what to request now; false if the poll is done, or if there is a backlog
// to drain first. Without sweep it is
// done once what is new was read, and not too much is left in memory.
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

// Pages is how many pages of new objects the poll has found so far, sweeps
// excepted.
func (t *Tail) Pages() int { return (t.fresh + listing.PageSize - 1) / listing.PageSize }

// plan chooses the next reading.
func (t *Tail) plan(now time.Time, sweep bool) *reading {
	switch {
	case !t.started:
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

// planHead reads what is new: to the end, from the oldest mark that leaves room
// for it on a page, or the next window of a backlog.
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
	sweepPages   = 2 // of a slice
	undatedSlice = listing.PageSize * 3 / 4
	// minBudget is how many pages a poll sweeps at the most without much news.
	// With more, it sweeps two pages for a page of news: one for the last age,
	// and one for those before it.
	minBudget = 2
	// maxUnswept is how many objects may be kept in memory because the budget
	// did not suffice to sweep them for the last time.
	maxUnswept   = 1000
	windowSlices = 2 // at the most between the windows of a backlog
	// A sweep waits until it has a page's worth to read, or for a part of its
	// age: half of it, and a sixteenth for the last.
	minSweep = listing.PageSize * 4 / 5
)

// planSweep reads a slice of what has come of age: first of the age that the
// floor waits for, then of the youngest. Without sweep there is no budget for it.
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

// slice is a sweep from lo up to hi, or to where it has enough pages. What does
// not tell its second cannot be read page by page, so it is to fit on one.
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
		hi = t.seen.keys[before-1].Second + 1 // which includes all that may be of it
	}
	return newReading(sweep, lo, max(hi, lo+1))
}

// planCatchUp follows a window of a backlog by slices of what was read before it
// and is still to be swept, of more objects than the window: if the window had
// come of age as it was read, or if there is much. Otherwise the floor would stay
// where the backlog began, with everything above it in memory, and a reader
// slower than the list would never come to sweep.
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

// Read takes the response to Next.
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
	return t.take(p)
}

// observe learns the service's clock from a page, and whether its objects tell
// their seconds.
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

// readProbe waits until two Dates agree on the second that the Tail begins from.
func (t *Tail) readProbe() error {
	t.reading = nil
	switch t.probes++; {
	case t.clock.sure():
		t.begin(t.beginning())
		t.guess, t.position = t.low, t.low
	case t.probes >= maxProbes:
		return errNoDate
	}
	return nil
}

// beginning is the second of start by the clock, less what the clock is rounded.
func (t *Tail) beginning() int64 { return max(t.clock.at(t.start)-1, 1) }

// correctStart moves the beginning down if the Dates that it was taken from turn
// out to be ahead of the service's time.
func (t *Tail) correctStart() {
	if t.guess == 0 {
		return
	}
	if t.marks[0] != t.guess || t.low != t.guess {
		t.guess = 0 // what was read may be forgotten already
	} else if from := t.beginning(); t.clock.sure() && from < t.low-tolerance {
		t.begin(from)
		t.guess, t.position = from, from
	}
}

// Drop gives up the reading under way. The next begins anew.
func (t *Tail) Drop() { t.reading = nil }

// Lost is told in place of Read where the query's cursor is an object that is
// not there any more. The second that it stood in is read again.
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

// cover moves the marks of the ages at which a reading has covered its span.
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

// accept makes the fresh objects of a reading known, and returns them oldest
// first.
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

// Ack takes notice that an object need not be found again.
func (t *Tail) Ack(k Key) { t.seen.ack(k.Hash) }

// Snapshot is what is needed to go on in another process, as if the objects in
// also were acknowledged.
func (t *Tail) Snapshot(also ...Key) Snapshot {
	hashes := make([]uint64, len(also))
	for i, k := range also {
		hashes[i] = k.Hash
	}
	holes := t.seen.spans(t.low)
	return Snapshot{Seed: t.seed, Floor: t.low, Holes: holes, Seen: t.seen.acknowledged(t.low, holes, hashes)}
}

// hash identifies an object. A product that is deleted and made again under its
// id has another created second, and so is another object.
func (t *Tail) hash(object listing.Head) uint64 {
	t.buf = append(append(t.buf[:0], t.seed[:]...), object.ID...)
	t.buf = binary.LittleEndian.AppendUint64(t.buf, uint64(object.Created))
	sum := sha256.Sum256(t.buf)
	return binary.LittleEndian.Uint64(sum[:8])
}
