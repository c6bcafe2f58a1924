// Package tail finds the new objects of a list that can only be read a page at
// a time, newest first, while it changes. It is pure logic: it says what to ask
// next, is told the answer, and says which objects of it are new.
//
// # The idea
//
// A Tail keeps a floor, a second before which everything is done, and the ids
// that it has seen at or above the floor. What is listed at or above the floor
// and has not been seen is new, however late it appeared and wherever in the
// list it stands. Cursors serve only to get from page to page: none is kept
// between the lives of a process, so none can be lost with its object.
//
// An object may become visible up to the overlap after its created second. So a
// complete reading from the floor up, begun when the service's clock stood at
// D, moves the floor to D - overlap: whatever is missing below that will not
// come any more.
//
// # Three ways of reading
//
//	window  created[gte]=floor, one page. If the page is all, it is a complete
//	        reading in one request: the way of a list with up to 100 objects in
//	        its overlap.
//	walk    up from the newest object below the floor, by ending_before, one
//	        adjacent page after the other: a complete reading of any length,
//	        oldest first. A backlog drains through it, the floor following.
//	tip     up from the newest object seen, by ending_before: finds what is new
//	        above it with one small request, but not what came late below. It
//	        bridges the time between two walks of a busy list.
//
// No request combines a cursor with a created filter: the service is reported
// to answer that wrongly.
package tail

import (
	"errors"
	"fmt"
	"time"
)

// PageSize is the number of objects asked for at a time, the most there is.
const PageSize = 100

// sweepEvery is the time between two complete readings of a list that does not
// fit on one page.
const sweepEvery = time.Minute

// maxLost is how many lost cursors a pass puts up with.
const maxLost = 5

// ErrAnswer is wrapped by the errors of Read for an answer that no list gives.
// The pass is over; the next begins anew, and nothing is lost.
var ErrAnswer = errors.New("the list's answer makes no sense")

// Item is an object as it stands on a page. Created is in seconds, 0 where it
// has none.
type Item struct {
	ID      string
	Created int64
}

// Query is what to ask of the list. One of the cursors and bounds is set at the
// most; 0 and "" are none.
type Query struct {
	Limit         int
	GTE, LTE, LT  int64 // of created
	EndingBefore  string
	StartingAfter string
}

// HasCursor tells whether the query depends on an object to exist.
func (q Query) HasCursor() bool { return q.EndingBefore != "" || q.StartingAfter != "" }

// Answer is a page, newest first. Asked is the service's second when it was
// asked for, or somewhat before; At is the same moment by the monotonic clock.
type Answer struct {
	Items   []Item
	HasMore bool
	Asked   int64
	At      time.Time
}

// Found is a new object.
type Found struct {
	Index int    // into Answer.Items
	Seq   uint64 // for Ack
	Late  bool   // it appeared after objects that are newer
}

// Tail reads one list. It is not safe for concurrent use.
type Tail struct {
	overlap int64
	ledger  ledger

	floor   int64 // everything created before is found
	tip     Item  // the newest object read; Created is its level
	started bool  // floor is set
	fits    bool  // the last complete reading would have fitted on one page
	swept   time.Time
	clock   clock

	pass pass
}

// pass is the state of one pass over the list.
type pass struct {
	number  uint64
	step    step
	now     time.Time
	at      time.Time // of its first answer
	asked   int64     // the service's second then
	cursor  string    // of walk, tip and descend
	level   int64     // the highest created second from below up to here
	plateau []*sight  // the objects since it last rose
	newest  int64     // the level of the newest object before this pass
	lo, hi  int64     // of the search
	count   int       // objects read
	lost    int       // cursors lost
	used    map[string]bool
}

type step uint8

const (
	done    step = iota
	start        // learn the service's clock
	window       // created[gte]=floor
	anchor       // the newest object below the floor
	search       // the oldest object of all, by bisection of time
	descend      // down to the end, where very many share the oldest second
	walk         // up, from below the floor
	climb        // up, from the tip
)

// New makes the tail of a list from the service's present second on.
func New(overlap time.Duration) *Tail {
	return &Tail{overlap: int64(overlap / time.Second), fits: true, ledger: newLedger()}
}

// NewAt makes the tail of a list from a second on; 0 is from the beginning.
func NewAt(overlap time.Duration, from int64) *Tail {
	t := New(overlap)
	t.floor, t.started = max(from, 0), true
	return t
}

// Begin starts a pass, or goes on with one that a failed request broke off. now
// is of a monotonic clock: only differences count.
func (t *Tail) Begin(now time.Time) {
	if !t.Done() {
		return
	}
	t.pass = pass{number: t.pass.number + 1, now: now, newest: t.tip.Created, used: map[string]bool{}}
	switch {
	case !t.started:
		t.pass.step = start
	case t.fits:
		t.pass.step = window
	default:
		t.byPages()
	}
}

// byPages goes on from the tip, or from the floor where that is due or the tip
// is not known.
func (t *Tail) byPages() {
	p := &t.pass
	if t.tip.ID != "" && p.now.Sub(t.swept) < sweepEvery {
		p.step, p.cursor, p.level = climb, t.tip.ID, t.tip.Created
		return
	}
	t.anchor()
}

// anchor begins a complete reading by pages, from the floor up.
func (t *Tail) anchor() {
	p := &t.pass
	p.step, p.cursor, p.used = anchor, "", map[string]bool{}
	p.level, p.plateau = t.floor, nil
}

func (t *Tail) search() {
	p := &t.pass
	p.step, p.lo = search, max(t.floor, 1)
	p.hi = max(p.asked, p.lo) + 1
}

// Done tells that the pass is over.
func (t *Tail) Done() bool { return t.pass.step == done }

// Next is what to ask now. The pass must not be done.
func (t *Tail) Next() Query {
	p := &t.pass
	switch p.step {
	case start:
		return Query{Limit: 1}
	case window:
		return Query{Limit: PageSize, GTE: t.floor}
	case anchor:
		// Below second 1 there is as little as below 0, which means no bound.
		return Query{Limit: 1, LT: max(t.floor, 1)}
	case search:
		return Query{Limit: PageSize, LTE: p.mid()}
	case descend:
		return Query{Limit: PageSize, StartingAfter: p.cursor}
	default:
		return Query{Limit: PageSize, EndingBefore: p.cursor}
	}
}

func (p *pass) mid() int64 { return p.lo + (p.hi-p.lo)/2 }

// Read takes the answer to Next and returns what is new in it, oldest first.
func (t *Tail) Read(a Answer) ([]Found, error) {
	p := &t.pass
	if err := check(a, p.step == walk || p.step == climb); err != nil {
		return t.fail(err)
	}
	t.clock.read(a.Asked, a.At)
	if p.asked == 0 {
		p.at = a.At
	}
	p.asked = t.clock.at(p.at)
	switch p.step {
	case start:
		return t.readStart()
	case window:
		return t.readWindow(a)
	case anchor:
		if len(a.Items) == 0 {
			t.search()
		} else {
			p.step, p.cursor = walk, a.Items[0].ID
		}
		return nil, nil
	case search:
		return t.readSearch(a)
	case descend:
		return t.readDescend(a)
	default:
		return t.readUpward(a)
	}
}

// Lost is told in place of Read where the query's cursor is an object that is
// not there any more.
func (t *Tail) Lost() error {
	p := &t.pass
	if p.lost++; p.lost > maxLost {
		_, err := t.fail(fmt.Errorf("%w: %d cursors in a row are unknown", ErrAnswer, p.lost))
		return err
	}
	if p.step == climb {
		t.tip.ID = ""
	}
	t.anchor()
	return nil
}

func (t *Tail) fail(err error) ([]Found, error) {
	t.pass.step = done
	return nil, err
}

func check(a Answer, upward bool) error {
	if a.Asked <= 0 {
		return fmt.Errorf("%w: no Date header", ErrAnswer)
	}
	for _, item := range a.Items {
		if item.ID == "" {
			return fmt.Errorf("%w: an object without an id", ErrAnswer)
		}
	}
	// Of the way up, has_more is known from reading code only, and not relied on.
	if a.HasMore && len(a.Items) == 0 && !upward {
		return fmt.Errorf("%w: has_more on a page without objects", ErrAnswer)
	}
	return nil
}

func (t *Tail) readWindow(a Answer) ([]Found, error) {
	p := &t.pass
	if a.HasMore {
		// More than a page: nothing of it is taken, since the oldest come
		// first and these are the newest.
		t.fits = false
		t.byPages()
		return nil, nil
	}
	p.level = t.floor
	found := t.take(a.Items, false)
	t.complete()
	return found, nil
}

func (t *Tail) readSearch(a Answer) ([]Found, error) {
	p := &t.pass
	switch {
	case len(a.Items) > 0 && !a.HasMore:
		return t.readBottom(a)
	case len(a.Items) > 0 && p.lo == p.hi:
		p.step, p.cursor = descend, a.Items[len(a.Items)-1].ID
	case len(a.Items) > 0:
		p.hi = p.mid()
	case p.lo == p.hi:
		// Nothing up to here: what was listed above has gone meanwhile, or
		// is younger than the service's clock was. The next pass sees.
		p.step = done
	default:
		p.lo = p.mid() + 1
	}
	return nil, nil
}

func (t *Tail) readDescend(a Answer) ([]Found, error) {
	if !a.HasMore {
		return t.readBottom(a)
	}
	return nil, t.move(a.Items[len(a.Items)-1].ID, a.Items)
}

// readBottom takes the page that ends the list, and walks up from its top. An
// empty one is the end of a descent whose last objects have gone: the pass
// begins again.
func (t *Tail) readBottom(a Answer) ([]Found, error) {
	if len(a.Items) == 0 {
		return nil, t.Lost()
	}
	p := &t.pass
	p.step, p.cursor, p.used = walk, a.Items[0].ID, map[string]bool{}
	return t.take(a.Items, true), nil
}

func (t *Tail) readUpward(a Answer) ([]Found, error) {
	p := &t.pass
	if len(a.Items) == 0 {
		t.top()
		return nil, nil
	}
	if err := t.move(a.Items[0].ID, a.Items); err != nil {
		return nil, err
	}
	p.lost = 0
	found := t.take(a.Items, p.step == walk)
	if !a.HasMore && len(a.Items) < PageSize {
		t.top()
	}
	return found, nil
}

// move takes the cursor on to id, the end of a page, and refuses a page that
// leads back to where the pass has been.
func (t *Tail) move(id string, page []Item) error {
	p := &t.pass
	p.used[p.cursor] = true
	for _, item := range page {
		if p.used[item.ID] {
			_, err := t.fail(fmt.Errorf("%w: a page repeats an earlier one", ErrAnswer))
			return err
		}
	}
	p.cursor = id
	return nil
}

// top is the upper end of the list.
func (t *Tail) top() {
	if t.pass.step == walk {
		t.fits = t.pass.count <= PageSize*3/4
		t.complete()
		return
	}
	t.pass.step = done
}

// complete ends a complete reading.
func (t *Tail) complete() {
	p := &t.pass
	t.raise(p.asked - t.overlap)
	t.swept = p.now
	t.ledger.swept = p.number
	t.ledger.prune(t.Floor(), p.number)
	p.step = done
}

// take goes through a page from its oldest object up and returns what is new.
// Where the reading is a walk, the floor follows.
func (t *Tail) take(items []Item, follow bool) []Found {
	p := &t.pass
	var found []Found
	for i := len(items) - 1; i >= 0; i-- {
		item := items[i]
		p.count++
		t.rise(item.Created)
		s, seq := t.ledger.see(item.ID, max(p.level, item.Created), p.number, t.floor)
		p.plateau = append(p.plateau, s)
		if seq != 0 {
			found = append(found, Found{Index: i, Seq: seq, Late: item.Created > 0 && item.Created < p.newest})
		}
		if follow {
			t.raise(min(p.level, p.asked-t.overlap))
		}
	}
	if len(items) > 0 {
		t.tip = Item{ID: items[0].ID, Created: p.level}
	}
	if floor := t.Floor(); follow && floor != t.ledger.low {
		t.ledger.prune(floor, p.number)
	}
	return found
}

// raise moves the floor up, as soon as the clock can be relied on.
func (t *Tail) raise(floor int64) {
	if t.clock.sure() {
		t.floor = max(t.floor, floor)
	}
}

// rise takes the level up to the created second of the next object. A list is
// ordered by the second in which the service made an object, and that is what
// its filters go by; what the object itself says can be older (an invoice item
// with a date set by hand), missing, or newer than the clock. So an object on
// the way up is known to be made at the level or later, and at the next rise of
// the level or earlier: until then it is kept.
func (t *Tail) rise(created int64) {
	p := &t.pass
	if created <= p.level || created > p.asked {
		return
	}
	p.level = created
	for _, s := range p.plateau {
		s.level = max(s.level, created)
	}
	p.plateau = p.plateau[:0]
}

// Floor is the second before which everything is found and acknowledged.
func (t *Tail) Floor() int64 { return t.ledger.floor(t.floor) }

// Ack takes note that a found object need not be found again. It reports
// whether that is news.
func (t *Tail) Ack(seq uint64) bool { return t.ledger.ack(seq) }

// Seen tells whether an object was found before.
func (t *Tail) Seen(id string) bool { return t.ledger.seen[id] != nil }

// Oldest is the seq of the oldest unacknowledged object, or, where there is
// none, the one that the next to be found will have.
func (t *Tail) Oldest() uint64 { return t.ledger.first + uint64(t.ledger.head) }

// Span is the number of found objects from the oldest unacknowledged one on.
func (t *Tail) Span() int { return len(t.ledger.queue) - t.ledger.head }

// Snapshot is what a Tail needs to go on from where it is, in another process.
type Snapshot struct {
	Floor int64            // everything created before is done
	Seen  map[string]int64 // the acknowledged objects from there on, with their level
}

// Snapshot takes one. The tail must be started.
func (t *Tail) Snapshot() Snapshot {
	return Snapshot{Floor: t.Floor(), Seen: t.ledger.done()}
}

// Started tells whether the tail knows where it begins.
func (t *Tail) Started() bool { return t.started }

// Resume makes the tail that a snapshot was taken of, without what was found
// and not acknowledged: that is found again.
func Resume(overlap time.Duration, s Snapshot) *Tail {
	t := NewAt(overlap, s.Floor)
	for id, level := range s.Seen {
		t.ledger.seen[id] = &sight{level: level}
	}
	return t
}
