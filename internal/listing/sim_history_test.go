package listing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// totals counts what happened in many histories.
type totals struct {
	objects, pages, requests, responses, lost, dropped, delivered int
	added, removed, refused, nonsense                             int
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

// The orders in which the responses to requests under way arrive.
const (
	anyArrival = iota
	firstComesFirst
	lastComesFirst
	oneComesLast // the oldest request waits while there is another
)

// history drives Windows through a random reading of a list that changes.
type history struct {
	*driver
	rand   *rand.Rand
	server *server
	seed   uint64

	arrival int
	drops   float64 // chances
	early   float64 // chance that a page is chosen long before it arrives
	idle    float64 // chance that Next is not called until nothing else is left to do
	pops    float64
	readies float64
	lanes   float64 // chance that the number of lanes changes
	errors  int     // of a hostile server, after which the request is retried
	changes int     // changes of the list that are left
	change  float64 // chance of a change, in each step
	changed int
	added   int
	removed int
	atStart int     // objects
	nearby  float64 // chance that a change is near the reading
	looks   float64 // chance that Unread is checked
}

func oneOf[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (h *history) chance(p float64) bool { return h.rand.Float64() < p }

// newHistory chooses everything that stays the same during a history.
func newHistory(t require.TestingT, seed uint64) *history {
	return newHistoryOf(t, seed, 0)
}

// newHistoryOf returns a history with the given Buffer; 0 for any.
func newHistoryOf(t require.TestingT, seed uint64, buffer int) *history {
	r := rand.New(rand.NewPCG(seed, 5+uint64(buffer)))
	h := &history{rand: r, seed: seed}
	c := Config{
		Order:  oneOf(r, OldestFirst, OldestFirst, NewestFirst, AnyOrder),
		Lanes:  1 + r.IntN(16),
		Buffer: oneOf(r, 4*PageSize, 4*PageSize+r.IntN(4*PageSize), 1000+r.IntN(2000), 10_000, 20_000),
	}
	if buffer > 0 {
		c.Buffer = buffer
	}
	seconds := anyList(r)
	h.server = newServer(r, seconds)
	h.server.moreBefore = r.IntN(4)
	h.atStart = len(h.server.objects)
	c.Reused = r.IntN(2) == 0
	c.Low, c.High = boundsOf(r, oneOf(r, reaches...), seconds)
	h.driver = newDriver(t, h.server, c)
	h.chooseDriver()
	h.chooseChanges()
	return h
}

// anyList returns the created seconds of a list of any shape, occasionally a
// long one.
func anyList(r *rand.Rand) []int64 {
	n := oneOf(r, r.IntN(4), 99+r.IntN(3), 200+r.IntN(2), r.IntN(1000), r.IntN(3000), 6000)
	if r.IntN(40) == 0 {
		n = 30_000
	}
	switch r.IntN(6) {
	case 0, 1:
		return mixture(r, n)
	case 2:
		return fullSeconds(r, n)
	default:
		return oneOf(r, shapes...).make(r, n)
	}
}

func (h *history) chooseDriver() {
	r := h.rand
	h.arrival = r.IntN(4)
	h.drops = oneOf(r, 0, 0, 0.05, 0.05, 0.4)
	h.early = oneOf(r, 0, 0.1, 0.5)
	h.idle = oneOf(r, 0, 0, 0.5, 1)
	h.pops = oneOf(r, 0, 0.1, 1, 1)
	h.readies = oneOf(r, 0, 0.2, 0.5)
	h.lanes = oneOf(r, 0, 0, 0.05)
	h.looks = oneOf(r, 0.005, 0.005, 0.2)
}

func (h *history) chooseChanges() {
	r := h.rand
	if r.IntN(3) == 0 {
		return
	}
	h.driver.changes = true
	h.changes = oneOf(r, 1, 5, 30, 200)
	h.change = oneOf(r, 0.02, 0.2, 0.6)
	h.nearby = oneOf(r, 0, 0.3, 0.9)
}

// limit returns the number of responses after which a reading counts as
// endless. It is far above what is good; see sim_bound_test.go for that.
func (h *history) limit() int {
	pages := len(h.server.all)/PageSize + 1
	if h.lenient {
		return 40*pages + 5*h.changed + 3000
	}
	return 4*pages + 250 + 4*16 + (PageSize+20)*h.changed
}

// run runs the whole history.
func (h *history) run() error {
	for !h.windows.Done() {
		if err := h.step(); err != nil {
			if h.errors--; h.errors < 0 {
				return err
			}
		}
		if h.responses > h.limit() {
			require.Fail(h.t, "too many requests", "%d, %d lost, %d of %d objects delivered", h.requests, h.lost, h.popped, len(h.server.all))
		}
	}
	h.finish(h.server.all)
	return nil
}

// step does one random thing.
func (h *history) step() error {
	if h.chance(h.looks) {
		h.checkSpans(h.server.all)
	}
	if h.changes > 0 && h.chance(h.change) {
		h.changeList()
	}
	if h.chance(h.lanes) {
		h.setLanes(1 + h.rand.IntN(16))
	}
	if !h.chance(h.idle) {
		for h.next() != nil {
		}
	}
	if h.chance(h.pops) {
		for h.pop() {
		}
	}
	if len(h.unready) > 0 && (len(h.flights) == 0 || h.chance(h.readies)) {
		h.ready(h.rand.IntN(len(h.unready)))
		return nil
	}
	if len(h.flights) > 0 {
		return h.arrive()
	}
	if h.next() == nil && !h.pop() && !h.windows.Done() {
		h.stuck()
	}
	return nil
}

// arrive delivers the response to a request, or an error in its place.
func (h *history) arrive() error {
	i := h.rand.IntN(len(h.flights))
	if h.chance(h.early) {
		h.see(h.flights[i])
		return nil
	}
	for at, f := range h.flights {
		first, last := f.order < h.flights[i].order, f.order > h.flights[i].order
		if h.arrival == firstComesFirst && first || h.arrival == lastComesFirst && last || h.arrival == oneComesLast && last && len(h.flights) > 1 {
			i = at
		}
	}
	if h.arrival == oneComesLast && h.chance(0.5) {
		i = h.anyButFirst()
	}
	if h.chance(h.drops) {
		h.drop(i)
		return nil
	}
	return h.response(i)
}

// anyButFirst returns the index of any flight except that of the oldest
// request.
func (h *history) anyButFirst() int {
	oldest := 0
	for i, f := range h.flights {
		if f.order < h.flights[oldest].order {
			oldest = i
		}
	}
	if len(h.flights) == 1 {
		return 0
	}
	return (oldest + 1 + h.rand.IntN(len(h.flights)-1)) % len(h.flights)
}

// reuse is a change after which an object at the top of the list has the id of
// a deleted one.
const reuse = -1

// changeList adds objects or deletes some.
func (h *history) changeList() {
	h.changes--
	h.changed++
	r, s := h.rand, h.server
	before := len(s.objects)
	at := h.anywhere()
	if h.chance(h.nearby) {
		at = h.nearReading()
	}
	kind := r.IntN(10)
	if h.config.Reused && at < before && r.IntN(3) == 0 {
		kind = reuse
	}
	switch kind {
	case reuse:
		s.replace(at, max(s.now, s.objects[at].created+1)+r.Int64N(3))
	case 0:
		s.add(s.now + r.Int64N(3))
	case 1:
		for range r.IntN(250) {
			s.add(s.now + r.Int64N(60))
		}
	case 2, 3, 4:
		h.addLate(at)
	case 5:
		h.removeRead(at)
	default:
		h.remove(at, oneOf(r, 1, 1, 1, 2, 200))
	}
	if n := len(s.objects) - before; n > 0 {
		h.added += n
	} else {
		h.removed -= n
	}
	h.trace("%d objects, %d before", len(s.objects), before)
}

// addLate adds objects with the created second of an object, or with any second
// that was there before.
func (h *history) addLate(at int) {
	r, s := h.rand, h.server
	n := oneOf(r, 1, 1, 3, 120)
	second, spread := 1+r.Int64N(s.now), oneOf[int64](r, 1, 1, 100)
	if at < len(s.objects) && r.IntN(6) > 0 {
		second = s.objects[at].created
	}
	for range n {
		s.add(max(1, second+r.Int64N(spread)))
	}
}

// removeRead deletes what was read around an index, so that no cursor is left.
func (h *history) removeRead(at int) {
	s := h.server
	for i := min(at+500, len(s.objects)-1); i >= max(0, at-500); i-- {
		if s.objects[i].offered {
			s.remove(i, i+1)
		}
	}
}

func (h *history) anywhere() int { return h.rand.IntN(max(1, len(h.server.objects))) }

// nearReading returns the index of an object that is a cursor of a request
// under way, or at an end of its page, or was read last.
func (h *history) nearReading() int {
	s := h.server
	for range 10 {
		if len(h.flights) == 0 {
			break
		}
		f := h.flights[h.rand.IntN(len(h.flights))]
		o := s.byID(f.request.Query.After + f.request.Query.Before)
		if p := f.page; p != nil && len(p.entries) > 0 && h.chance(0.5) {
			o = p.entries[oneOf(h.rand, 0, len(p.entries)-1)].object
		}
		if o != nil && !o.gone {
			return s.index(o)
		}
	}
	if len(h.unready) > 0 {
		run := h.unready[h.rand.IntN(len(h.unready))]
		if o := run.Value.(*flight).page.entries[oneOf(h.rand, run.From, run.To-1)].object; !o.gone {
			return s.index(o)
		}
	}
	return h.anywhere()
}

// remove deletes objects around an index.
func (h *history) remove(at, n int) {
	from := max(0, at-h.rand.IntN(n))
	h.server.remove(min(from, len(h.server.objects)), min(from+n, len(h.server.objects)))
}

func (h *history) add(sum *totals) {
	sum.objects += len(h.server.all)
	sum.pages += (h.atStart + PageSize - 1) / PageSize
	sum.requests += h.requests
	sum.responses += h.responses
	sum.lost += h.lost
	sum.dropped += h.dropped
	sum.delivered += h.popped
	sum.added += h.added
	sum.removed += h.removed
}

// histories calls run with the seeds of n histories. The environment can set
// the number, STRIPEKIT_HISTORIES, or a single seed, STRIPEKIT_HISTORY.
func histories(t *testing.T, n int, run func(t seeded, only bool)) {
	first := 0
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
	failed := 0
	for seed := first; seed < first+n && failed < mostFailures; seed++ {
		if !t.Run(strconv.Itoa(seed), func(t *testing.T) {
			began := time.Now()
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("STRIPEKIT_HISTORY=%d: panic", seed)
					panic(r)
				}
				if d := time.Since(began); d > time.Second {
					t.Logf("STRIPEKIT_HISTORY=%d took %v", seed, d)
				}
			}()
			run(seeded{T: t, seed: uint64(seed)}, one != "")
		}) {
			failed++
		}
	}
}

// mostFailures is how many histories may fail before the rest is skipped.
const mostFailures = 20

// TestWindowsHistories reads many lists that change, at random.
func TestWindowsHistories(t *testing.T) {
	var sum totals
	histories(t, 1200, func(t seeded, only bool) {
		h := newHistory(t, t.seed)
		if only {
			h.trace = t.Logf
			t.Logf("%+v; %d objects; %d changes", h.config, h.atStart, h.changes)
		}
		require.NoError(t, h.run())
		h.add(&sum)
	})
	t.Logf("%+v", sum)
}

// TestWindowsHistoriesOfTheLeastBuffer reads with a Buffer in which a page that
// has to wait may leave no room for the page that it waits for.
func TestWindowsHistoriesOfTheLeastBuffer(t *testing.T) {
	histories(t, 300, func(t seeded, only bool) {
		h := newHistoryOf(t, t.seed, 4*PageSize+int(t.seed%3)*50)
		if only {
			h.trace = t.Logf
			t.Logf("%+v; %d objects; %d changes", h.config, h.atStart, h.changes)
		}
		require.NoError(t, h.run())
	})
}
