package listing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rateGoal is the share of the possible rate that should be reached. The
// possible rate is that of full pages at the limit of requests.
type rateGoal struct {
	rate                   float64 // requests per second
	lanes, objects, buffer int
	goals                  map[kind]float64
}

// A goal of 0 is no goal: a single second is read only from its two ends.
var rateGoals = []rateGoal{
	{rate: 25, lanes: 5, objects: 60_000, buffer: 10_000, goals: map[kind]float64{steady: 0.95, uneven: 0.95, oneSecond: 0}},
	{rate: 100, lanes: 14, objects: 200_000, buffer: 40_000, goals: map[kind]float64{steady: 0.88, uneven: 0.80, oneSecond: 0}},
}

// leastRates is what every shape reaches, in the order OldestFirst.
var leastRates = map[kind]float64{steady: 0.86, uneven: 0.60}

// TestWindowsRate reads long lists behind a limiter, with 100 ms per request,
// for a fast consumer. With -v, it prints the share of the possible rate, for
// the other orders, a range of years and longer lists too, and which goals are
// missed. STRIPEKIT_OBJECTS sets another length of the lists.
func TestWindowsRate(t *testing.T) {
	for _, g := range rateGoals {
		t.Logf("%.0f requests/s, %d lanes: share of %.0f objects/s; first object; requests a page; held; under way",
			g.rate, g.lanes, g.rate*PageSize)
		for i, shape := range shapes {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			n := g.objects
			if testing.Verbose() {
				n = max(n, shape.least)
			}
			if text := os.Getenv("STRIPEKIT_OBJECTS"); text != "" {
				var err error
				n, err = strconv.Atoi(text)
				require.NoError(t, err)
			}
			seconds := shape.make(r, n)
			s := newServer(r, seconds)
			var line strings.Builder
			missed := ""
			for _, in := range []reach{reachOf("open"), reachOf("years")} {
				for _, o := range orders {
					if !testing.Verbose() && (o.order != OldestFirst || in.name != "open") {
						continue
					}
					share, cells := g.read(t, s, o.order, in, seconds)
					line.WriteString(cells)
					if o.order != OldestFirst {
						continue
					}
					require.GreaterOrEqual(t, share, leastRates[shape.kind], "%s, %s", shape.name, in.name)
					if share < g.goals[shape.kind] {
						missed = " MISSED"
					}
				}
			}
			t.Logf("%-24s %7d %s%s", shape.name, len(seconds), &line, missed)
		}
	}
}

func reachOf(name string) reach {
	for _, in := range reaches {
		if in.name == name {
			return in
		}
	}
	panic("no reach of this name")
}

// read reads the list and returns the share of the possible rate that was
// reached.
func (g rateGoal) read(t *testing.T, s *server, order Order, in reach, seconds []int64) (share float64, cells string) {
	s.forget()
	low, high := boundsOf(nil, in, seconds)
	c := newClock(t, s, Config{Order: order, Low: low, High: high, Lanes: g.lanes, Buffer: g.buffer})
	c.rate = g.rate
	c.run(s, len(seconds)/10+1000)
	share = float64(c.popped) / c.now / (g.rate * PageSize)
	perPage := float64(c.requests) / float64((c.popped+PageSize-1)/PageSize)
	return share, fmt.Sprintf("| %5.1f %% %4.1f s %.3f %5d %2d ", 100*share, c.first, perPage, c.maxHeld, c.maxFlights)
}
