package lease

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
)

// history is a random life of a fleet on a model of an Engine. Nothing in it happens
// at the same time, but the events of one true moment happen in any order.
type history struct {
	rand   *rand.Rand
	traces func(format string, args ...any)
	totals *totals

	shards    int
	ttl       int64
	failovers bool
	enabled   []trouble // the kinds of trouble in this history
	wallBack  bool      // wall clocks are set back; then no machine is suspended

	now    int64 // the true time in nanoseconds
	events events
	number uint64

	engine     *engine
	processes  []*process
	sessions   int
	names      int
	net        network
	outage     int64 // until then the engine is down
	refuses    bool  // while it is down, it refuses requests, instead of being silent
	calm       bool
	late       int64 // the last moment at which something of the trouble arrives
	failedOver int64
	runs       []int // by shard
	silent     bool  // nothing may change
}

// totals counts what happened in many histories.
type totals struct {
	events, calls, runs, moves, sessions, failovers, overlaps int
	slowest                                                   float64 // in TTL, until all shards were held
}

// network is the quality of the network.
type network struct {
	loss, slow, batch float64
	late              int64 // the largest delay of a slow message
}

// failure ends a history.
type failure string

func (h *history) check(ok bool, format string, args ...any) {
	if !ok {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

func (h *history) trace(format string, args ...any) {
	if h.traces != nil {
		h.traces("%9.3f  "+format, append([]any{float64(h.now) / 1e9}, args...)...)
	}
}

func (h *history) chance(p float64) bool { return h.rand.Float64() < p }

func (h *history) between(least, most int64) int64 { return least + h.rand.Int64N(most-least+1) }

// event is something that happens at a true moment.
type event struct {
	at     int64
	number uint64
	do     func()
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}

func (h *history) at(at int64, do func()) {
	h.number++
	heap.Push(&h.events, event{at, h.number, do})
}

// pass lets everything happen until a moment.
func (h *history) pass(until int64) {
	for len(h.events) > 0 && h.events[0].at <= until {
		e := heap.Pop(&h.events).(event)
		h.now = e.at
		h.totals.events++
		e.do()
	}
	h.now = until
}

// disturb notes that something of the trouble arrives late.
func (h *history) disturb(at int64) {
	if !h.calm {
		h.late = max(h.late, at)
	}
}

func (h *history) delay() int64 {
	if h.calm || !h.chance(h.net.slow) {
		return h.between(0, h.ttl/200)
	}
	return h.between(0, h.net.late)
}

func (h *history) watchDelay() int64 {
	if h.calm {
		return h.between(0, h.ttl/100)
	}
	return h.delay() / 2
}

// stopDelay returns how long the Pollers of a shard take to stop.
func (h *history) stopDelay() int64 {
	if h.calm || h.chance(0.7) {
		return h.between(0, h.ttl/8)
	}
	delay := h.between(0, 3*h.ttl)
	h.disturb(h.now + delay)
	return delay
}

// newHistory returns a history of a seed.
func newHistory(seed uint64, failovers bool, totals *totals) *history {
	h := &history{rand: rand.New(rand.NewPCG(seed, 0)), totals: totals, failovers: failovers}
	h.engine = &engine{h: h, records: map[string]*record{}}
	h.ttl = []int64{8e9, 8e9, 8e9, 4e9, 30e9}[h.rand.IntN(5)]
	h.shards = 1 + h.rand.IntN(1+h.rand.IntN(40))
	h.runs = make([]int, h.shards)
	h.wallBack = h.chance(0.5)
	for t := range troubles {
		if h.chance(0.4) {
			h.enabled = append(h.enabled, trouble(t))
		}
	}
	h.changeNetwork()
	return h
}

// live lets the whole history happen.
func (h *history) live() {
	for range 1 + h.rand.IntN(1+h.rand.IntN(8)) {
		h.join()
	}
	end := h.between(2*h.ttl, 12*h.ttl)
	for h.now < end {
		h.pass(h.now + h.between(0, h.ttl))
		h.trouble()
	}
	h.settles()
	for range h.rand.IntN(3) {
		h.changes()
	}
	h.totals.sessions += h.sessions
	for _, n := range h.runs {
		h.totals.runs += n
	}
}

// runHistory returns why a history of a seed fails, or "".
func runHistory(seed uint64, failovers bool, totals *totals, traces func(string, ...any), live func(*history)) (failed string) {
	h := newHistory(seed, failovers, totals)
	h.traces = traces
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			failed = fmt.Sprintf("after %.3f s: %s", float64(h.now)/1e9, string(f))
		default:
			panic(f)
		}
	}()
	live(h)
	return ""
}

// number returns a number of the environment.
func number(t *testing.T, name string, otherwise uint64) (n uint64, set bool) {
	text := os.Getenv(name)
	if text == "" {
		return otherwise, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// runHistories runs STRIPEKIT_HISTORIES random histories, or a part of that number, or
// the one of STRIPEKIT_SEED, which it traces if the test is verbose.
func runHistories(t *testing.T, part uint64, failovers bool, live func(*history)) {
	histories, _ := number(t, "STRIPEKIT_HISTORIES", 300)
	histories = (histories + part - 1) / part
	first := uint64(0)
	var traces func(string, ...any)
	if seed, set := number(t, "STRIPEKIT_SEED", 0); set {
		first, histories = seed, 1
		if testing.Verbose() {
			traces = t.Logf
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a history is small
	var totals totals
	began := time.Now()
	for seed := first; seed < first+histories; seed++ {
		if failed := runHistory(seed, failovers, &totals, traces, live); failed != "" {
			t.Fatalf("STRIPEKIT_SEED=%d: %s", seed, failed)
		}
	}
	t.Logf("%d histories in %v: %+v", histories, time.Since(began).Round(time.Millisecond), totals)
}

// TestWorkerHistories runs fleets through random trouble. At most one worker may act
// for a shard at any time. After the trouble, each shard is held by one worker, and
// only what has to move moves.
func TestWorkerHistories(t *testing.T) { runHistories(t, 1, false, (*history).live) }

// TestWorkerHistoriesWithFailovers runs fleets on an engine that sometimes forgets what
// it has stored last. Then two workers may act for a shard, until the first one has
// observed the claim of the second.
func TestWorkerHistoriesWithFailovers(t *testing.T) { runHistories(t, 4, true, (*history).live) }

// TestWorkersThatStartTogetherHistories starts fleets without any trouble. No shard may
// move.
func TestWorkersThatStartTogetherHistories(t *testing.T) {
	runHistories(t, 4, false, func(h *history) {
		h.calm, h.net = true, network{}
		for range 1 + h.rand.IntN(8) {
			h.names++
			h.start(fmt.Sprintf("worker.%d", h.names), h.newClock())
			h.pass(h.now + h.between(0, h.ttl/64))
		}
		h.rests(h.ttl)
		h.staysAtRest()
		for shard, n := range h.runs {
			h.check(n == 1, "shard %d was run %d times", shard, n)
		}
	})
}
