package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

// totals counts what happened in many histories.
type totals struct {
	objects, late, deleted, polls, requests, failures, dropped, lost, nonsense int
	found, lateFound, again, crashes, sleeps, snapshots, holes, maxSeen        int
	refused, unstarted, helpless, maxSettle, maxPoll, drains, drained, plain   int
}

// seeded adds the seed of the history to a failure.
type seeded struct {
	*testing.T
	seed uint64
}

func (s seeded) Errorf(format string, args ...any) {
	s.T.Helper()
	s.T.Errorf("STRIPEKIT_HISTORY=%d: %s", s.seed, fmt.Sprintf(format, args...))
}

// pending is an object that was delivered and not acknowledged.
type pending struct {
	object *object
	key    Key
}

// saved is a checkpoint, and the state of the oracle for it.
type saved struct {
	snapshot Snapshot
	copy     Snapshot // a copy, to check that the snapshot does not change
	acked    []*object
}

// history drives a Tail through a random life, as a Poller would, and knows
// what the Tail must find.
type history struct {
	t       require.TestingT
	trace   func(format string, args ...any)
	rand    *rand.Rand
	lies    *rand.Rand // of the pages of drains
	service *service
	dates   dates
	totals  *totals

	tail         *Tail
	config       Config
	mono         time.Time // the monotonic clock
	stopped      int64     // milliseconds that the monotonic clock has missed
	start        int64     // the second of Start, or From
	begin        int64     // the second from which nothing may be lost
	startByDates int64     // if the Dates are wrong: the latest second that they imply for Start
	started      bool      // as seen in this life

	polls, maxRequests               int
	interval                         int64 // in milliseconds
	slowest                          int64 // duration of the slowest request, in milliseconds
	gaps, sleeps                     float64
	crashes, saves, asleep           float64 // chances
	failures, cursorGone             float64
	nonsense, noSweep                float64
	ackShare                         float64
	never, maxUnacked                int
	large, future, quick, readerSlow bool
	life                             int
	refs                             map[int]*object
	pending                          []pending
	neverAcked                       []pending
	acked                            []*object
	saved                            saved
	pollBegan                        int64
	newest                           int64 // newest created second delivered in this life
	settled                          int64 // second in which the last full poll was done
	refused                          bool
	polled                           bool // a poll of this life was done
	peak                             int  // maximum number of young objects at a time
}

func (h *history) chance(p float64) bool { return h.rand.Float64() < p }

// pass advances both clocks.
func (h *history) pass(milliseconds int64) {
	h.mono = h.mono.Add(time.Duration(milliseconds) * time.Millisecond)
	h.service.advance(milliseconds)
}

// sleep advances the service's clock while the machine is suspended.
func (h *history) sleep() {
	h.totals.sleeps++
	milliseconds := oneOf[int64](h.rand, 90, 1800, 8*3600, 8*3600, 3*day) * 1000
	h.trace("sleep %d s", milliseconds/1000)
	h.stopped += milliseconds
	h.service.advance(milliseconds)
}

// run runs the whole history.
func (h *history) run() {
	for range h.polls {
		if h.service.requests > h.maxRequests {
			break
		}
		h.poll()
		h.gap()
	}
	h.settle()
	h.verify()
	t, s := h.totals, h.service
	t.objects += s.created
	t.late += s.late
	t.deleted += s.deleted
	t.requests += s.requests
}

// gap waits for the time between two polls.
func (h *history) gap() {
	h.pass(h.interval/2 + h.rand.Int64N(h.interval))
	switch {
	case h.chance(h.asleep):
		h.sleep()
	case h.chance(h.gaps):
		h.pass(oneOf[int64](h.rand, 120, h.service.overlap, 2*h.service.overlap, 7*day) * 1000)
	}
	h.between()
}

// poll makes one poll, which a crash may end.
func (h *history) poll() {
	h.totals.polls++
	h.trace("poll, second %d", h.service.second())
	h.tail.Begin()
	h.pollBegan = h.service.second()
	due := h.mono.Add(time.Duration(h.interval) * time.Millisecond)
	noSweep, full := h.chance(h.noSweep), true
	stopSweep := h.rand.IntN(5)
	for n := 0; ; n++ {
		h.totals.maxPoll = max(h.totals.maxPoll, n)
		if h.service.requests > h.maxRequests {
			h.service.traffic, h.sleeps = traffic{}, 0
		}
		h.makeRoom()
		sweep := !noSweep || n < stopSweep
		if h.readerSlow {
			sweep = h.mono.Before(due)
		}
		full = full && sweep
		q, ok := h.tail.Next(h.mono, sweep)
		if !ok && h.tail.Draining() {
			if h.drain(); h.refused {
				return
			}
			continue
		}
		if !ok {
			break
		}
		if n > 300+len(h.service.objects)/10 {
			require.Fail(h.t, "the poll does not end", "%+v", q)
		}
		h.refused = false
		h.request(q)
		h.between()
		if h.refused {
			return
		}
		if h.chance(h.crashes) {
			h.crash()
			return
		}
	}
	if h.polled = true; full {
		h.settled = h.service.second()
	}
}

// between does what happens between requests.
func (h *history) between() {
	h.ack(h.ackShare)
	if h.chance(h.saves) {
		h.save()
	}
	if h.chance(h.sleeps) {
		h.sleep()
	}
	if o := h.service.byID[h.service.newestID]; o != nil && h.chance(h.cursorGone) {
		h.service.delete(o)
	}
}

// request makes a request and passes the response to the Tail.
func (h *history) request(q listing.Query) {
	sent, rtt := h.mono, 50+h.rand.Int64N(h.slowest)
	there := h.rand.Int64N(rtt + 1)
	h.pass(there)
	if h.chance(h.sleeps / 4) {
		h.sleep()
	}
	heads, hasMore, ok := h.service.list(h.t, q)
	second := h.service.second()
	if h.chance(h.sleeps / 4) {
		h.sleep()
	}
	h.pass(rtt - there)
	h.trace("%d [%d, %d) %s: %d objects, more %v, ok %v", second, q.GTE, q.LT, q.After, len(heads), hasMore, ok)
	if h.chance(h.failures) {
		h.fail()
		return
	}
	var (
		res Result
		err error
	)
	page := Page{Page: listing.Page{Heads: heads, HasMore: hasMore}, At: sent, Received: h.mono}
	if date := h.dates.header(second); date != 0 {
		page.Date = floorSecond(date*1000 - rtt)
		if !h.started && !h.dates.mostlyRight() {
			h.startByDates = max(h.startByDates, page.Date-int64(sent.Sub(h.config.Start)/time.Second))
		}
	}
	if !ok {
		h.totals.lost++
		res, err = h.tail.Lost()
	} else {
		garbled := h.chance(h.nonsense)
		if garbled && h.garble(&page) {
			return
		}
		if res, err = h.tail.Read(page); garbled && err != nil {
			require.ErrorIs(h.t, err, listing.ErrPage)
			err = nil
		}
	}
	if err != nil && (h.dates.kind != datesRight || !ok) {
		// A Tail cannot go on without a Date, or if cursor after cursor is
		// gone, and returns an error.
		require.ErrorIs(h.t, err, listing.ErrPage)
		h.totals.refused++
		h.refused = true
		clear(h.refs)
		return
	}
	require.NoError(h.t, err)
	h.sawStart()
	h.take(page.Heads, res)
}

func floorSecond(milliseconds int64) int64 {
	return (milliseconds - ((milliseconds%1000)+1000)%1000) / 1000
}

// fail makes a request fail.
func (h *history) fail() {
	h.totals.failures++
	if h.rand.IntN(3) > 0 {
		h.pass(h.rand.Int64N(20_000))
		return
	}
	h.pass(61_000 + h.rand.Int64N(600_000))
	if h.rand.IntN(2) == 0 {
		h.drop()
	}
}

func (h *history) drop() {
	h.totals.dropped++
	h.tail.Drop()
	clear(h.refs)
}

// garble gives the Tail a page that a well-formed list cannot have, and returns
// true. Or it returns false and makes a page in the wrong order, which the Tail
// refuses, or reads correctly if it can.
func (h *history) garble(page *Page) (refused bool) {
	h.totals.nonsense++
	heads := slices.Clone(page.Heads)
	switch h.rand.IntN(3) {
	case 0:
		if !h.service.undated {
			slices.Reverse(heads)
			page.Heads = heads
		}
		return false
	case 1:
		heads = append(heads, listing.Head{})
	default:
		heads, page.HasMore = nil, true
	}
	page.Heads = heads
	_, err := h.tail.Read(*page)
	require.ErrorIs(h.t, err, listing.ErrPage)
	clear(h.refs)
	return true
}

// take handles a result as a Poller does.
func (h *history) take(heads []listing.Head, res Result) {
	if res.Dropped {
		h.totals.dropped++
		clear(h.refs)
	}
	for _, f := range res.Fresh {
		o := h.service.byID[heads[f.Index].ID]
		h.refs[f.Ref] = o
	}
	last, newest := int64(0), h.newest
	for _, f := range res.Found {
		o := h.refs[f.Ref]
		if o == nil {
			require.Fail(h.t, "an unknown ref", "%+v", f)
		}
		h.deliver(o, f)
		if !h.service.undated {
			if o.created < last {
				require.Fail(h.t, "not the oldest first", "%+v, after second %d", *o, last)
			}
			if last = o.created; o.created < newest && !f.Late && h.lateIsKnown() {
				require.Fail(h.t, "late, and not said to be", "%+v", *o)
			}
		}
	}
	if len(res.Found) > 0 {
		clear(h.refs)
	}
}

// ack acknowledges a share of the pending objects, in any order.
func (h *history) ack(share float64) {
	if len(h.pending) == 0 {
		return
	}
	if share < 1 {
		h.rand.Shuffle(len(h.pending), func(i, j int) { h.pending[i], h.pending[j] = h.pending[j], h.pending[i] })
	}
	n := h.rand.IntN(int(share*float64(len(h.pending))) + 1)
	if share == 1 {
		n = len(h.pending)
	}
	for _, p := range h.pending[:n] {
		h.tail.Ack(p.key)
		p.object.acked = true
		h.acked = append(h.acked, p.object)
	}
	h.pending = slices.Delete(h.pending, 0, n)
}

// makeRoom waits until there are few enough unacknowledged objects for a request.
func (h *history) makeRoom() {
	for len(h.pending)+len(h.neverAcked) >= h.maxUnacked {
		if h.rand.IntN(3) == 0 {
			h.pass(h.rand.Int64N(30_000))
		}
		h.ack(max(h.ackShare, 0.2))
	}
}

// save takes a snapshot, as if some more objects were acknowledged.
func (h *history) save() {
	h.totals.snapshots++
	var also []Key
	var objects []*object
	if h.rand.IntN(3) == 0 {
		for _, p := range h.pending {
			if h.rand.IntN(2) == 0 {
				also, objects = append(also, p.key), append(objects, p.object)
			}
		}
	}
	s := h.tail.Snapshot(also...)
	h.trace("saved, floor %d, %d seen, holes %v, also %d", s.Floor, len(s.Seen), s.Holes, len(also))
	h.saved = saved{
		snapshot: s, acked: append(slices.Clone(h.acked), objects...),
		copy: Snapshot{Seed: s.Seed, Floor: s.Floor, Holes: slices.Clone(s.Holes), Seen: slices.Clone(s.Seen)},
	}
	h.totals.holes += len(s.Holes)
	h.totals.maxSeen = max(h.totals.maxSeen, len(s.Seen))
	h.checkSnapshot(s, also)
}

// crash ends a life. The next life resumes from the last checkpoint.
func (h *history) crash() {
	h.totals.crashes++
	h.checkSaved("the snapshot has changed")
	h.trace("crash, resumes with floor %d, %d seen, holes %v", h.saved.copy.Floor, len(h.saved.copy.Seen), h.saved.copy.Holes)
	if h.rand.IntN(2) == 0 {
		h.pass(h.rand.Int64N(600_000))
	}
	h.life++
	h.started, h.polled, h.newest = false, false, 0
	h.pending, h.neverAcked = nil, nil
	clear(h.refs)
	for _, o := range h.acked {
		o.acked = false
	}
	h.acked = slices.Clone(h.saved.acked)
	for _, o := range h.acked {
		o.acked = true
	}
	h.config.Seed[0]++
	h.tail = Resume(h.config, h.saved.snapshot)
	h.started = h.tail.Started()
	require.Equal(h.t, h.config.From != 0 || h.saved.snapshot.Floor != 0, h.started)
	h.checkSaved("Resume has changed the snapshot")
}

// settle ends a history: no objects are created any more, everything becomes
// visible, and a bounded number of polls must find it.
func (h *history) settle() {
	s := h.service
	s.traffic = traffic{}
	h.crashes, h.failures, h.sleeps, h.cursorGone, h.nonsense, h.noSweep, h.slowest = 0, 0, 0, 0, 0, 0, 100
	h.readerSlow = false
	last := s.now
	for _, o := range s.objects {
		last = max(last, o.visible, o.created*1000)
	}
	h.pass(last - s.now)
	h.maxRequests = s.requests + 100_000
	// A poll without new objects sweeps only a page or two, so that it does not
	// read the list over and over. The limit allows enough polls to sweep
	// everything.
	limit, done := 12+40+s.count(h.begin, 1<<40)/20, 0
	for n := 0; done < 3; n++ {
		if n == limit && h.service.undated && h.dates.kind == datesNone && h.refused {
			h.totals.helpless++ // the Tail has returned an error because it needs Dates
			return
		}
		if n == limit {
			h.verify()
			require.Fail(h.t, "polls do not settle")
		}
		h.pass(s.overlap*1000/4 + 60_000)
		h.poll()
		h.totals.maxSettle = max(h.totals.maxSettle, n)
		if done++; h.missing() != nil && h.tail.Started() {
			done = 0
		}
	}
}

// TestHistories runs a Tail through many random histories. STRIPEKIT_HISTORIES
// sets their number; STRIPEKIT_HISTORY runs a single one, by its seed.
func TestHistories(t *testing.T) {
	n, first := 300, 0
	if s := os.Getenv("STRIPEKIT_HISTORIES"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	one := os.Getenv("STRIPEKIT_HISTORY")
	if one != "" {
		var err error
		first, err = strconv.Atoi(one)
		require.NoError(t, err)
		n = 1
	}
	var sum totals
	for seed := first; seed < first+n; seed++ {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("STRIPEKIT_HISTORY=%d: panic", seed)
					panic(r)
				}
			}()
			began := time.Now()
			defer func() {
				if d := time.Since(began); d > 500*time.Millisecond {
					t.Logf("STRIPEKIT_HISTORY=%d took %v", seed, d)
				}
			}()
			h := newHistory(seeded{T: t, seed: uint64(seed)}, uint64(seed), &sum)
			if one != "" {
				h.trace = t.Logf
			}
			h.run()
		}()
	}
	t.Logf("%d histories: %+v", n, sum)
}
