package listing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// boundOf returns how many requests the reading of an unchanging list of at
// least ten pages may make.
func boundOf(s *server, c Config) int {
	pages := (s.count(c.Low, c.High) + PageSize - 1) / PageSize
	high := c.High
	if high == 0 {
		high = s.now + 1
	}
	return int(1.08*float64(pages) + 2*math.Log2(float64(high-c.Low)) + 2*float64(c.Lanes))
}

var orders = []struct {
	name  string
	order Order
}{{"oldest first", OldestFirst}, {"newest first", NewestFirst}, {"any order", AnyOrder}}

// TestWindowsBoundRequests reads lists of every shape within the bound, in
// every order and with few or many lanes. It tries a sample of the
// combinations, unless STRIPEKIT_HISTORIES is set.
func TestWindowsBoundRequests(t *testing.T) {
	worst := 0.0
	for i, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			for seed := range uint64(2) {
				r := rand.New(rand.NewPCG(uint64(i), seed))
				seconds := shape.make(r, []int{2000, 20_000}[seed])
				s := newServer(r, seconds)
				for _, in := range reaches {
					low, high := boundsOf(r, in, seconds)
					for _, o := range orders {
						for _, lanes := range []int{1, 4, 12} {
							if r.IntN(8) > 0 && os.Getenv("STRIPEKIT_HISTORIES") == "" {
								continue
							}
							c := Config{Order: o.order, Low: low, High: high, Lanes: lanes, Buffer: 10_000}
							name := fmt.Sprintf("seed %d, %d objects, %s, %s, %d lanes", seed, len(seconds), in.name, o.name, lanes)
							worst = max(worst, checkBound(t, name, s, c, varying(r)))
						}
					}
				}
			}
		})
	}
	t.Logf("%.3f of the bound at the most", worst)
}

// checkBound reads a list and returns the share of the bound that was used.
func checkBound(t *testing.T, name string, s *server, c Config, latency func() float64) float64 {
	t.Helper()
	s.forget()
	if s.count(c.Low, c.High) < 10*PageSize {
		return 0
	}
	clock, bound := newClock(t, s, c), boundOf(s, c)
	clock.latency = latency
	clock.run(s, 10*bound+1000)
	if clock.requests > bound {
		t.Errorf("%s: %d requests, bound %d, %d pages", name, clock.requests, bound, (s.count(c.Low, c.High)+PageSize-1)/PageSize)
	}
	return float64(clock.requests) / float64(bound)
}

// forget resets what the oracle knows of the list.
func (s *server) forget() {
	for _, o := range s.all {
		o.offered, o.popped = false, false
	}
}

// A consumer that is slower than the requests lets the buffer fill up. Objects
// that were read are not read again.
func TestWindowsBoundRequestsForASlowConsumer(t *testing.T) {
	for i, shape := range shapes {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		seconds := shape.make(r, 20_000)
		s := newServer(r, seconds)
		for _, o := range orders {
			s.forget()
			c := Config{Order: o.order, Lanes: 8, Buffer: 3000}
			clock, bound := newClock(t, s, c), boundOf(s, c)
			clock.consume = 0.002
			clock.run(s, 10*bound+1000)
			if clock.requests > bound {
				t.Errorf("%s, %s: %d requests, bound %d", shape.name, o.name, clock.requests, bound)
			}
		}
	}
}

// A list of one page takes one request, even if nothing is known of it.
func TestWindowsReadAShortListInOneRequest(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100} {
		for _, o := range orders {
			r := rand.New(rand.NewPCG(uint64(n), 8))
			seconds := within(r, n, today-year, year)
			s := newServer(r, seconds)
			for _, in := range reaches[:len(reaches)-1] {
				s.forget()
				low, high := boundsOf(r, in, seconds)
				clock := newClock(t, s, Config{Order: o.order, Low: low, High: high, Lanes: 12, Buffer: 10_000})
				clock.run(s, 1000)
				require.LessOrEqual(t, clock.requests, 1, "%d objects, %s, %s", n, in.name, o.name)
			}
		}
	}
}
