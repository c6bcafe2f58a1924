package stripekit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const (
	goalEvery   = 15 * time.Second // the default of PollConfig.Every
	goalOverlap = 10 * time.Minute // the default of PollConfig.Overlap
	goalLatency = 300 * time.Millisecond
)

// TestPollerGoals measures the promises of the Poller for a busy list in fake time,
// prints a table of goals and figures, and fails if a goal is missed.
func TestPollerGoals(t *testing.T) {
	var table goalTable
	defer func() { t.Logf("\n| goal | measured | met |\n|---|---|---|\n%s", &table) }()
	measureBusyLists(t, &table)
	measureFaults(t, &table)
	measureLongOverlap(t, &table)
}

// goalTable is a table in Markdown.
type goalTable struct{ strings.Builder }

func (table *goalTable) add(t *testing.T, met bool, goal, format string, args ...any) {
	t.Helper()
	verdict, measured := "yes", fmt.Sprintf(format, args...)
	if !met {
		verdict = "no"
		t.Errorf("missed: %s: %s", goal, measured)
	}
	fmt.Fprintf(table, "| %s | %s | %s |\n", goal, measured, verdict)
}

func measureBusyLists(t *testing.T, table *goalTable) {
	for _, f := range []goalFlow{
		{rate: 10, arrivals: evenly, measured: 10 * time.Minute},
		{rate: 10, arrivals: poisson, measured: 10 * time.Minute},
		{rate: 100, arrivals: evenly, measured: 5 * time.Minute},
		{rate: 100, arrivals: poisson, measured: 5 * time.Minute},
	} {
		m := f.measure(t)
		name := fmt.Sprintf("%g/s %s: ", f.rate, f.arrivals.name)
		median, most := m.percentile(50), m.percentile(100)
		table.add(t, median <= goalEvery/2+time.Second, name+"median from visible to delivered ≤ 8.5 s", "%.1f s", median.Seconds())
		table.add(t, most <= goalEvery+5*time.Second, name+"maximum ≤ 20 s", "%.1f s", most.Seconds())
		if f.rate == 10 {
			table.add(t, m.requestsAPoll() <= 6, name+"requests a poll ≤ 6", "%.2f", m.requestsAPoll())
		}
		bytes := float64(m.checkpoint) / (f.rate * goalOverlap.Seconds())
		table.add(t, bytes <= 10, name+"checkpoint ≤ 10 bytes an object in the overlap", "%.2f (%d at the most)", bytes, m.checkpoint)
	}
}

func measureFaults(t *testing.T, table *goalTable) {
	for _, fault := range []goalFault{{"3 % of 500s", serverError}, {"3 % without a Date", withoutDate}} {
		m := goalFlow{rate: 10, arrivals: evenly, fault: fault, measured: 5 * time.Minute}.measure(t)
		p95, most := m.percentile(95), m.percentile(100)
		table.add(t, p95 <= time.Minute, "10/s, "+fault.name+": 95th percentile ≤ 60 s", "%.1f s (maximum %.1f s, %d faults)", p95.Seconds(), most.Seconds(), m.faults)
	}
}

func measureLongOverlap(t *testing.T, table *goalTable) {
	long := goalFlow{rate: 5. / 60, arrivals: evenly, overlap: 24 * time.Hour, warmUp: 25 * time.Hour, measured: time.Hour}
	short := long
	short.overlap, short.warmUp = goalOverlap, time.Hour // it is steady after 12 minutes
	day, minutes := long.measure(t), short.measure(t)
	ratio := float64(day.requests) / float64(minutes.requests)
	table.add(t, ratio <= 1.3, "5/min: requests with Overlap 24 h ≤ 1.3 × those with 10 min",
		"%.2f × (%.2f and %.2f a poll)", ratio, day.requestsAPoll(), minutes.requestsAPoll())
}

// goalArrivals is how objects are spread over time.
type goalArrivals struct {
	name string
	gap  func(random *rand.Rand, mean time.Duration) time.Duration
}

var (
	evenly  = goalArrivals{"evenly", func(_ *rand.Rand, mean time.Duration) time.Duration { return mean }}
	poisson = goalArrivals{"Poisson", func(random *rand.Rand, mean time.Duration) time.Duration {
		return time.Duration(random.ExpFloat64() * float64(mean))
	}}
)

// goalFault spoils 3 % of the list responses.
type goalFault struct {
	name  string
	spoil func(r *http.Request, resp *http.Response) *http.Response
}

func serverError(r *http.Request, _ *http.Response) *http.Response {
	return response(r, http.StatusInternalServerError, `{"error":{"type":"api_error","message":"broken"}}`)
}

func withoutDate(_ *http.Request, resp *http.Response) *http.Response {
	resp.Header.Del("Date")
	return resp
}

// goalNet is the network between a client and a server in memory. Each request takes
// goalLatency, half of it before the server handles it.
type goalNet struct {
	server *stripetest.Server
	fault  goalFault
	seen   func(r *http.Request) // called with each list request; if it is nil, it is not called

	mu       sync.Mutex
	random   *rand.Rand
	requests int // of lists
	faults   int
}

func (n *goalNet) RoundTrip(r *http.Request) (*http.Response, error) {
	pass(goalLatency / 2)
	resp, err := n.server.RoundTrip(r)
	pass(goalLatency / 2)
	if err != nil || strings.HasSuffix(r.URL.Path, "/account") {
		return resp, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	if n.seen != nil {
		n.seen(r)
	}
	if n.fault.spoil != nil && n.random.IntN(100) < 3 {
		n.faults++
		return n.fault.spoil(r, resp), nil
	}
	return resp, nil
}

func (n *goalNet) count() (requests, faults int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests, n.faults
}

// goalFlow is a list on which objects appear at a rate, and a Poller that reads it.
type goalFlow struct {
	rate     float64 // objects a second
	arrivals goalArrivals
	fault    goalFault
	overlap  time.Duration // 0 is goalOverlap
	warmUp   time.Duration // 0 is two minutes more than the overlap
	measured time.Duration // after the warm-up
}

// goalFigures are the measurements of a flow after its warm-up.
type goalFigures struct {
	delays     []time.Duration // from visible to delivered, ascending
	requests   int             // of lists
	faults     int             // from the beginning
	polls      float64         // that the interval stands for
	checkpoint int             // bytes at the most
}

func (m *goalFigures) requestsAPoll() float64 { return float64(m.requests) / m.polls }

func (m *goalFigures) percentile(p int) time.Duration {
	return m.delays[max(0, (len(m.delays)*p+99)/100-1)]
}

// measure runs a flow. The test fails if an object is delivered twice or not at
// all.
func (f goalFlow) measure(t *testing.T) (m goalFigures) {
	t.Helper()
	if f.overlap == 0 {
		f.overlap = goalOverlap
	}
	if f.warmUp == 0 {
		f.warmUp = f.overlap + 2*time.Minute
	}
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(0))
		defer server.Close()
		n := &goalNet{server: server, fault: f.fault, random: rand.New(rand.NewPCG(1, 2))}
		warm := time.Now().Add(f.warmUp)
		delivered := map[string]time.Time{}
		stop := f.read(t, n, delivered, func(s stripekit.PollStatus) {
			if time.Now().After(warm) {
				m.checkpoint = max(m.checkpoint, s.CheckpointBytes)
			}
		})
		visible := f.supply(n, warm, &m)
		pass(2 * time.Minute) // the last objects are delivered
		stop()
		lost := 0
		for id, at := range visible {
			switch got, ok := delivered[id]; {
			case !ok:
				lost++
			case !at.Before(warm):
				m.delays = append(m.delays, got.Sub(at))
			}
		}
		require.Zero(t, lost, "of %d objects are not delivered", len(visible))
		slices.Sort(m.delays)
		_, m.faults = n.count()
	})
	return m
}

// read starts a Poller with a handler that records the time of each call, and
// returns a function that ends it.
func (f goalFlow) read(t *testing.T, n *goalNet, delivered map[string]time.Time, observe func(stripekit.PollStatus)) (stop func()) {
	poller, err := stripekit.NewPoller(n.client(t).Customers, stripekit.PollConfig{
		Overlap: f.overlap, Checkpoints: new(stripekit.MemoryStore), Observe: observe,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
			if _, twice := delivered[e.ID]; twice {
				t.Errorf("%s is delivered twice", e.ID)
			}
			delivered[e.ID] = time.Now()
			return nil
		})
	}()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func (n *goalNet) client(t *testing.T) *stripekit.Client {
	client, err := stripekit.New("sk_test_goals", stripekit.WithBaseURL(n.server.URL),
		stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	return client
}

// supply makes the objects of a flow, and returns when each became visible. It
// counts the requests of the measured time.
func (f goalFlow) supply(n *goalNet, warm time.Time, m *goalFigures) map[string]time.Time {
	visible := map[string]time.Time{}
	random := rand.New(rand.NewPCG(3, 4))
	together := 1
	if f.arrivals.name == evenly.name && f.rate > 50 {
		together = 5 // that many at a time cost Seed a fifth
	}
	mean := time.Duration(float64(time.Second) / f.rate * float64(together))
	at := time.Now().Add(time.Second)
	until := func(end time.Time) {
		for ; at.Before(end); at = at.Add(f.arrivals.gap(random, mean)) {
			pass(time.Until(at))
			for _, id := range n.server.Seed("/v1/customers", stripetest.Seeding{Count: together}) {
				visible[id] = at
			}
		}
		pass(time.Until(end))
	}
	until(warm)
	before, _ := n.count()
	until(warm.Add(f.measured))
	after, _ := n.count()
	m.requests, m.polls = after-before, float64(f.measured)/float64(goalEvery)
	return visible
}
