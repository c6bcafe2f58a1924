package stripekit_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// histories runs n random histories, each with its own seed. STRIPEKIT_HISTORIES
// sets their number; STRIPEKIT_HISTORY runs a single one, by its seed. A seed
// chooses the list and the configuration. The order of concurrent requests may
// differ from run to run.
func histories(t *testing.T, n int, run func(t *testing.T, seed uint64)) {
	t.Helper()
	first, err := 0, error(nil)
	if s := os.Getenv("STRIPEKIT_HISTORIES"); s != "" {
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	if s := os.Getenv("STRIPEKIT_HISTORY"); s != "" {
		first, err = strconv.Atoi(s)
		require.NoError(t, err)
		n = 1
	}
	for seed := first; seed < first+n; seed++ {
		if !t.Run(strconv.Itoa(seed), func(t *testing.T) { run(t, uint64(seed)) }) {
			t.Errorf("STRIPEKIT_HISTORY=%d", seed)
		}
	}
}

// randomList returns the created seconds of the objects of a list, and the second
// after it. The list has up to six parts: many objects in one second, objects with
// a constant interval between them, several objects in each second, or up to quiet
// seconds without any.
func randomList(r *rand.Rand, start int64, quiet int) (seconds []int64, end int64) {
	at := start
	for range 1 + r.IntN(6) {
		switch r.IntN(4) {
		case 0:
			seconds = append(seconds, slices.Repeat([]int64{at}, 1+r.IntN(1500))...)
			at += int64(1 + r.IntN(10))
		case 1:
			interval := int64(1 + r.IntN(100))
			for range r.IntN(1500) {
				seconds = append(seconds, at)
				at += interval
			}
		case 2:
			for range r.IntN(1500) {
				seconds = append(seconds, at)
				if r.IntN(5) == 0 {
					at++
				}
			}
		case 3:
			at += int64(r.IntN(quiet))
		}
	}
	return seconds, at + 1
}

// sharedRand is a source of random numbers for several goroutines.
type sharedRand struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (r *sharedRand) IntN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.IntN(n)
}

// chance returns true with the given probability.
func (r *sharedRand) chance(probability float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.Float64() < probability
}

// drainHistory is a backlog that several Pollers read one after the other. Meanwhile
// objects are deleted or become visible late, requests fail, and Pollers crash.
type drainHistory struct {
	*fakeList
	random     *sharedRand
	deletes    bool
	addsLate   bool
	failing    float64                           // the probability that a request fails
	sleeps     bool                              // the machine sleeps while requests are under way
	date       func(n int, now time.Time) string // of the nth response
	ordered    bool                              // new objects are delivered oldest first
	maxUnacked int                               // of each Poller

	responses atomic.Int64
	slept     atomic.Int64    // nanoseconds, which the monotonic clock does not count
	calm      atomic.Bool     // no request fails, and each event is acknowledged at once
	changes   int             // guarded by changing, as stays is
	stays     map[string]bool // objects that were not deleted

	disk  *stripekit.MemoryStore
	acked map[string]int
	saved map[string]bool // acknowledged, and a save of that has succeeded
}

// mostChanges is how many requests may find that the list has changed. Otherwise
// there would be new events for ever.
const mostChanges = 3000

func newDrainHistory(t *testing.T, seed uint64, wrongTime bool) *drainHistory {
	random := rand.New(rand.NewPCG(seed, 77))
	h := &drainHistory{
		fakeList: newFakeList(t), random: &sharedRand{rand: random}, ordered: !wrongTime,
		deletes: random.IntN(2) == 0, addsLate: random.IntN(2) == 0, failing: []float64{0, 0.02, 0.3}[random.IntN(3)],
		date:       func(_ int, now time.Time) string { return httpDate(now) },
		maxUnacked: []int{1, 2, 50, 1000, 5000}[random.IntN(5)],
		stays:      map[string]bool{}, disk: new(stripekit.MemoryStore), acked: map[string]int{}, saved: map[string]bool{},
	}
	h.latency = time.Duration(10+random.IntN(400)) * time.Millisecond
	if wrongTime {
		h.sleeps = random.IntN(2) == 0
	}
	if wrongTime && !h.sleeps {
		names := slices.Sorted(maps.Keys(wrongDates))
		h.date = wrongDates[names[random.IntN(len(names))]]
	}
	now := h.clock()
	seconds, _ := randomList(random, now-3600*int64(2+random.IntN(400)), 20_000)
	for i, second := range seconds {
		seconds[i] = min(second, now-1)
	}
	if random.IntN(10) < 7 { // objects of the seconds at which the drain ends
		for range random.IntN(2500) {
			seconds = append(seconds, now-660+int64(random.IntN(7))-3)
		}
	}
	h.create(seconds...)
	h.interfere(h.respond)
	return h
}

// clock returns the second that it is, counted from listStart.
func (h *drainHistory) clock() int64 {
	return time.Now().Unix() - listStart + h.slept.Load()/int64(time.Second)
}

func (h *drainHistory) create(seconds ...int64) {
	for _, id := range h.add(seconds...) {
		h.stays[id] = true
	}
}

func (h *drainHistory) delete(ids ...string) {
	h.remove(ids...)
	for _, id := range ids {
		delete(h.stays, id)
	}
}

func (h *drainHistory) respond(r *http.Request) (*http.Response, error) {
	if !h.calm.Load() && h.random.chance(h.failing) {
		return h.fail(r)
	}
	if r.URL.Path != "/v1/payouts" {
		return nil, nil
	}
	h.change(r.URL.Query())
	resp := h.list(r)
	resp.Header.Del("Date")
	if date := h.date(int(h.responses.Add(1)), time.Unix(listStart+h.clock(), 0)); date != "" {
		resp.Header.Set("Date", date)
	}
	return resp, nil
}

// fail responds to a request that fails, or returns its error.
func (h *drainHistory) fail(r *http.Request) (*http.Response, error) {
	if h.random.chance(0.3) {
		pass(time.Duration(h.random.IntN(90)) * time.Second)
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
	}
	const busy = `{"error":{"type":"api_error","code":"rate_limit","message":"busy"}}`
	switch h.random.IntN(6) {
	case 0:
		return response(r, 429, busy), nil
	case 1:
		resp := response(r, 429, busy)
		resp.Header.Set("Retry-After", strconv.Itoa(h.random.IntN(30)))
		return resp, nil
	case 2:
		return response(r, 200, `<html>proxy</html>`), nil
	case 3:
		return response(r, 403, `<html>proxy</html>`), nil
	case 4:
		return response(r, 200, `{"object":"list","data":[{"id":"po_1","created":1}`), nil
	}
	return nil, errors.New("no route to host")
}

// change changes the list, or has the machine sleep, before a page is made.
func (h *drainHistory) change(q url.Values) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.changes++; h.changes > mostChanges {
		return
	}
	if cursor := cmp.Or(q.Get("starting_after"), q.Get("ending_before")); cursor != "" && h.deletes && h.random.chance(0.1) {
		h.delete(cursor)
	}
	if h.deletes && h.random.chance(0.05) {
		ids := h.ids()
		from := h.random.IntN(len(ids) + 1)
		h.delete(ids[from:min(len(ids), from+h.random.IntN(150))]...)
	}
	if h.addsLate && h.random.chance(0.1) {
		h.create(h.clock() - int64(h.random.IntN(590)))
	}
	if h.sleeps && h.random.chance(0.03) && h.slept.Load() < int64(100*time.Hour) {
		before := h.clock()
		h.slept.Add(int64(time.Second) * int64(h.random.IntN(20)*3600+1))
		var seconds []int64
		for range h.random.IntN(800) {
			seconds = append(seconds, before+int64(h.random.IntN(int(h.clock()-before))))
		}
		h.create(seconds...)
	}
}

// drainLife is the life of one Poller of a history.
type drainLife struct {
	*drainHistory
	events    <-chan stripekit.Event[payoutObject]
	held      []stripekit.Event[payoutObject] // to be acknowledged later
	delivered map[string]int
	acked     []string
	newest    time.Time
}

// live has a Poller read the backlog: the last one all of it.
func (h *drainHistory) live(last bool) {
	store := &mortalStore{CheckpointStore: h.disk}
	p := h.poller(stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: h.maxUnacked, Checkpoints: store})
	ctx, cancel := context.WithCancel(h.t.Context())
	events, err := p.Start(ctx)
	require.NoError(h.t, err)
	l := &drainLife{drainHistory: h, events: events, delivered: map[string]int{}}
	if last {
		l.read(math.MaxInt)
		h.calm.Store(true)
		l.read(math.MaxInt)
	} else {
		l.read(1 + h.random.IntN(3000))
	}
	require.NoError(h.t, p.Err())
	crash := !last && h.random.chance(0.7)
	if crash && h.random.chance(0.5) {
		pass(3 * time.Second)
		require.NoError(h.t, p.Flush(ctx))
		l.markSaved()
	}
	store.dead.Store(crash)
	cancel()
	for range events {
		// what still comes is not acknowledged
	}
	if !crash {
		l.markSaved()
	}
}

// read receives up to n events, fewer if no more come.
func (l *drainLife) read(n int) {
	for range n {
		if l.random.chance(0.001) {
			pass(time.Duration(l.random.IntN(3600)) * time.Second)
		}
		e, ok := receive(l.events, 2*time.Hour)
		if ok {
			l.check(e)
			l.process(e)
			continue
		}
		if len(l.held) == 0 {
			return
		}
		for len(l.held) > 0 {
			l.ackHeld(0)
		}
	}
}

// check compares an event with those that were delivered before.
func (l *drainLife) check(e stripekit.Event[payoutObject]) {
	require.False(l.t, l.saved[e.ID], "%s was delivered again, though its acknowledgement was saved", e.ID)
	l.delivered[e.ID]++
	require.Equal(l.t, l.delivered[e.ID], e.Attempt, "the attempt of %s", e.ID)
	if e.Attempt > 1 || e.Late || !l.ordered {
		return
	}
	require.False(l.t, e.Created.Before(l.newest), "%s is older than an event before, and not late", e.ID)
	l.newest = e.Created
}

// process acknowledges an event now or later, or has it delivered again.
func (l *drainLife) process(e stripekit.Event[payoutObject]) {
	choice := l.random.IntN(12)
	switch {
	case choice == 0 && !l.calm.Load():
		e.Nack(time.Duration(l.random.IntN(100)) * time.Second)
	case choice == 1 && !l.calm.Load() && len(l.held) < l.maxUnacked-1:
		l.held = append(l.held, e)
	default:
		l.ack(e)
	}
	if len(l.held) > 0 && l.random.IntN(20) == 0 {
		l.ackHeld(l.random.IntN(len(l.held)))
	}
}

func (l *drainLife) ack(e stripekit.Event[payoutObject]) {
	e.Ack()
	l.drainHistory.acked[e.ID]++
	l.acked = append(l.acked, e.ID)
}

func (l *drainLife) ackHeld(i int) {
	l.ack(l.held[i])
	l.held = slices.Delete(l.held, i, i+1)
}

func (l *drainLife) markSaved() {
	for _, id := range l.acked {
		l.saved[id] = true
	}
}

// requireNothingLost fails if an object that was never deleted was not acknowledged.
func (h *drainHistory) requireNothingLost() {
	h.changing.Lock()
	defer h.changing.Unlock()
	requireAllDelivered(h.t, slices.Collect(maps.Keys(h.stays)), h.acked)
}

func runDrainHistory(t *testing.T, seed uint64, wrongTime bool) {
	restingBubble(t, func(t *testing.T) {
		h := newDrainHistory(t, seed, wrongTime)
		for range h.random.IntN(5) {
			h.live(false)
		}
		h.live(true)
		h.requireNothingLost()
	})
}

func TestPollerDrainLosesNothingInRandomHistories(t *testing.T) {
	histories(t, 8, func(t *testing.T, seed uint64) { runDrainHistory(t, seed, false) })
}

// The Dates of responses are wrong, or the machine sleeps.
func TestPollerDrainLosesNothingInRandomHistoriesWithWrongTimes(t *testing.T) {
	histories(t, 4, func(t *testing.T, seed uint64) { runDrainHistory(t, seed, true) })
}

// drainCommits is a backlog of which several Pollers commit a row for each object.
type drainCommits struct {
	*fakeList
	db     *ledger
	random *rand.Rand
}

// live has a Poller commit up to n rows, and reports whether it has read the
// backlog to its end.
func (c *drainCommits) live(n int) (done bool) {
	p := c.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Checkpoints: c.db, MaxUnacked: 1 + c.random.IntN(500)})
	ctx, cancel := context.WithCancel(c.t.Context())
	events, err := p.Start(ctx)
	require.NoError(c.t, err)
	defer func() {
		cancel()
		for range events {
			// what still comes is not acknowledged
		}
	}()
	for n > 0 {
		e, ok := receive(events, time.Hour)
		if !ok {
			return p.Err() == nil
		}
		if c.random.IntN(300) == 0 {
			c.takeOver()
		}
		if err := p.Commit(ctx, []stripekit.Event[payoutObject]{e}, c.commit(e.ID)); err != nil {
			e.Nack(time.Second)
			continue
		}
		n--
	}
	return false
}

// takeOver starts another Poller on the checkpoint, which ends after a second.
func (c *drainCommits) takeOver() {
	p := c.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Checkpoints: c.db})
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	go func() {
		defer cancel()
		events, err := p.Start(ctx)
		if err != nil {
			return
		}
		for range events {
			// what still comes is not acknowledged
		}
	}()
	pass(time.Millisecond)
}

// commit writes the row of an object, unless the transaction is rolled back. The
// database may not respond although it has written the row.
func (c *drainCommits) commit(id string) func(context.Context, stripekit.Checkpoint) (uint64, error) {
	row := customerEvent{ID: id}
	switch c.random.IntN(10) {
	case 0:
		return c.db.commitUnknown(false, row)
	case 1:
		return c.db.commitUnknown(true, row)
	}
	return c.db.commit(row)
}

func TestPollerDrainCommitsEveryRowOnceInRandomHistories(t *testing.T) {
	histories(t, 4, func(t *testing.T, seed uint64) {
		restingBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 9))
			c := &drainCommits{fakeList: newFakeList(t), db: new(ledger), random: random}
			c.latency = 50 * time.Millisecond
			sold := c.add(backlog(2500, time.Duration(1+random.IntN(60))*time.Second)...)
			lives := 1
			for ; !c.live(200 + random.IntN(1500)); lives++ {
				require.Less(t, lives, 200)
				pass(2 * time.Second)
			}
			require.Greater(t, lives, 1)
			for _, id := range sold {
				require.Equal(t, 1, c.db.written(id), "rows of %s", id)
			}
		})
	})
}
