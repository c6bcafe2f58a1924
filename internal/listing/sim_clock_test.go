package listing

import (
	"container/heap"
	"math"
	"math/rand/v2"

	"github.com/stretchr/testify/require"
)

// clock drives Windows in virtual time, like a driver that makes as many
// requests as it may, behind a rate limiter.
type clock struct {
	*driver
	arrivals arrivals
	latency  func() float64 // of a request, in seconds
	rate     float64        // requests per second; 0 for no limit
	consume  float64        // seconds that the consumer needs for an object

	now   float64 // in seconds
	slot  float64 // when the limiter lets the next request through
	free  float64 // when the consumer has processed what it has
	first float64 // when the first object was delivered

	// The totals of requests and of delivered objects at the end of each
	// second.
	timeline []moment
}

type moment struct{ requests, objects int }

func newClock(t require.TestingT, s *server, c Config) *clock {
	return &clock{driver: newDriver(t, s, c), latency: fixed(0.1), first: math.Inf(1)}
}

func fixed(seconds float64) func() float64 { return func() float64 { return seconds } }

// varying returns a latency with a long tail.
func varying(r *rand.Rand) func() float64 {
	return func() float64 { return 0.05 + 0.05*r.ExpFloat64() }
}

// run reads to the end, with at most limit requests.
func (c *clock) run(s *server, limit int) {
	for {
		for c.begin() || c.deliver() {
		}
		if c.windows.Done() {
			break
		}
		if c.requests > limit {
			require.Fail(c.t, "too many requests", "%d, %d objects delivered", c.requests, c.popped)
		}
		c.wait()
	}
	c.now = max(c.now, c.free)
	c.finish(s.objects)
}

// begin starts a request, which the limiter may delay.
func (c *clock) begin() bool {
	f := c.next()
	if f == nil {
		return false
	}
	at := c.now
	if c.rate > 0 {
		at = max(at, c.slot)
		c.slot = at + 1/c.rate
	}
	f.arrives = at + c.latency()
	heap.Push(&c.arrivals, f)
	return true
}

// deliver delivers a run to the consumer, if it is free.
func (c *clock) deliver() bool {
	before := c.popped
	if c.free > c.now || !c.pop() {
		return false
	}
	c.first = min(c.first, c.now)
	c.free = c.now + c.consume*float64(c.popped-before)
	return true
}

// wait advances the time until a response arrives or the consumer is free.
func (c *clock) wait() {
	at := math.Inf(1)
	if len(c.arrivals) > 0 {
		at = c.arrivals[0].arrives
	}
	if c.free > c.now {
		at = min(at, c.free)
	}
	if math.IsInf(at, 1) {
		c.stuck()
	}
	for len(c.timeline) < int(at) {
		c.timeline = append(c.timeline, moment{c.requests, c.popped})
	}
	c.now = at
	for len(c.arrivals) > 0 && c.arrivals[0].arrives <= c.now {
		c.receive(heap.Pop(&c.arrivals).(*flight))
	}
}

func (c *clock) receive(f *flight) {
	for i := range c.flights {
		if c.flights[i] == f {
			require.NoError(c.t, c.response(i), "%+v", f.request.Query)
			break
		}
	}
	for len(c.unready) > 0 {
		c.ready(0)
	}
}

// arrivals is a heap of requests under way, ordered by the arrival of their
// responses.
type arrivals []*flight

func (a arrivals) Len() int { return len(a) }

func (a arrivals) Less(i, j int) bool {
	if a[i].arrives != a[j].arrives {
		return a[i].arrives < a[j].arrives
	}
	return a[i].order < a[j].order
}

func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(f any)   { *a = append(*a, f.(*flight)) }

func (a *arrivals) Pop() any {
	n := len(*a) - 1
	f := (*a)[n]
	*a = (*a)[:n]
	return f
}
