package fleet_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

const (
	benchWorkers = 4
	benchTTL     = 10 * time.Second
	benchShards  = 512
	benchEvery   = 15 * time.Second
	// benchPeriod is the time between two events of a connection.
	benchPeriod = 10 * time.Minute
	// benchSpan is how long the load is measured.
	benchSpan = 30 * time.Second
	// benchPatience is a time after which something that must happen has not happened.
	benchPatience = 5 * time.Minute
	// benchAdded is how many connections are added and removed later.
	benchAdded = 20
)

// bench is a fleet of connections with one trigger each, whose events go to a stream.
type bench struct {
	b       *testing.B
	n       int // of the connections
	site    *natsSite
	job     job
	shops   *shops.Stripe
	shared  shared
	fleet   *fleet.Fleet
	board   *board
	claims  claims
	workers []*process
	added   []time.Time // by the account
}

// BenchmarkFleet measures a fleet of four processes on a NATS server, with 10,000
// connections, or as many as STRIPEKIT_CONNECTIONS says, and prints a table. It takes
// about two minutes.
func BenchmarkFleet(b *testing.B) {
	w := newBench(b)
	w.putAll()
	w.startAll()
	w.measureLoad()
	w.killOne()
	w.addAndRemove()
	w.leave()
}

func newBench(b *testing.B) *bench {
	b.Helper()
	n, err := strconv.Atoi(os.Getenv("STRIPEKIT_CONNECTIONS"))
	if err != nil {
		n = 10_000
	}
	w := &bench{b: b, n: n, site: startNATSSite(b, 1).(*natsSite), added: make([]time.Time, n)}
	w.job = job{
		Place: w.site.place(), Shards: benchShards, TTL: benchTTL, Poison: nobody,
		Board:  filepath.Join(b.TempDir(), "board"),
		Stripe: stripe{Seed: 1, Start: time.Now().Add(-time.Hour), Period: benchPeriod, Revoked: nobody},
	}
	w.board, err = createBoard(w.job.Board, n+benchAdded)
	require.NoError(b, err)
	w.shops, err = w.job.Stripe.open(nil)
	require.NoError(b, err)
	w.shared, err = w.job.Place.open(b.Context())
	require.NoError(b, err)
	b.Cleanup(w.shared.close)
	w.fleet, err = fleet.New(fleet.Config{Worker: "parent", Engine: w.shared.engine})
	require.NoError(b, err)
	w.claims.owners = map[string]string{}
	go func() { _ = w.shared.engine.Watch(b.Context(), w.claims.observe) }() // without it, killOne fails
	return w
}

// report prints a line of the table.
func (w *bench) report(what, format string, values ...any) {
	for i, v := range values {
		if d, ok := v.(time.Duration); ok {
			values[i] = d.Round(10 * time.Millisecond)
		}
	}
	w.b.Logf("%-34s %s", what, fmt.Sprintf(format, values...))
}

func (w *bench) await(what string, condition func() bool) {
	w.b.Helper()
	for end := time.Now().Add(benchPatience); !condition(); <-time.After(20 * time.Millisecond) {
		require.True(w.b, time.Now().Before(end), what)
	}
}

func (w *bench) put(account int, every time.Duration) error {
	return w.fleet.Put(w.b.Context(), fleet.Spec{
		Name: connectionName(account), Key: "shop" + strconv.Itoa(account), Triggers: []fleet.Trigger{{Name: once, Every: every}},
	})
}

// putAll puts the connections, 64 at a time.
func (w *bench) putAll() {
	began := time.Now()
	var all sync.WaitGroup
	for part := range 64 {
		all.Go(func() {
			for account := part; account < w.n; account += 64 {
				w.added[account] = time.Now()
				if err := w.put(account, benchEvery); err != nil {
					w.b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	require.False(w.b, w.b.Failed())
	w.report("connections", "%d, put in %v", w.n, time.Since(began))
}

// start starts a worker, and does not wait until it has begun.
func (w *bench) start(i int) *process {
	j := w.job
	j.Worker = fmt.Sprint("worker", i)
	return launchProcess(w.b, workerVariable, j)
}

// startAll starts the workers, and waits until each connection was polled.
func (w *bench) startAll() {
	began := time.Now()
	for i := range benchWorkers {
		w.workers = append(w.workers, w.start(i))
	}
	for _, p := range w.workers {
		p.awaitReady(w.b)
	}
	next := 0
	w.await("all are polled", func() bool {
		for next < w.n && w.board.polls[next].at.Load() != 0 {
			next++
		}
		return next == w.n
	})
	w.report("cold start", "all polled after %v", time.Since(began))
}

// measureLoad measures what the fleet costs while nothing happens to it.
func (w *bench) measureLoad() {
	<-time.After(2 * benchEvery) // the start is over
	broker := w.site.processes[w.site.configs[0].Name]
	began, polls := time.Now(), w.board.total()
	workerCPU, brokerCPU := cpuTime(w.b, w.workers...), cpuTime(w.b, broker)
	<-time.After(benchSpan)
	seconds := time.Since(began).Seconds()
	percent := func(before, after time.Duration) float64 { return 100 * (after - before).Seconds() / seconds }
	w.report("load", "%.0f polls/s", float64(w.board.total()-polls)/seconds)
	w.report("processors", "workers %.0f %%, broker %.0f %% of one core",
		percent(workerCPU, cpuTime(w.b, w.workers...)), percent(brokerCPU, cpuTime(w.b, broker)))
	resident := float64(memory(w.b, w.workers...))
	w.report("memory", "workers %.2f GiB, %.1f KiB a connection; broker %.2f GiB",
		resident/(1<<30), resident/(1<<10)/float64(w.n), float64(memory(w.b, broker))/(1<<30))
}

// killOne kills a worker by SIGKILL, and waits until others poll its connections.
func (w *bench) killOne() {
	victim := w.workers[0]
	victim.kill()
	killed := time.Now()
	var mine []int
	for account := range w.n {
		if int(w.board.polls[account].by.Load()) == victim.pid() {
			mine = append(mine, account)
		}
	}
	require.NotEmpty(w.b, mine)
	w.await("the claims are taken over", func() bool { return w.claims.claimed(benchShards, "worker0.") })
	claimed := time.Since(killed)
	var delays delays
	waiting := mine
	w.await("the connections are polled again", func() bool {
		var rest []int
		for _, account := range waiting {
			if p := &w.board.polls[account]; int(p.by.Load()) == victim.pid() {
				rest = append(rest, account)
			} else {
				delays = append(delays, time.Unix(0, p.at.Load()).Sub(killed))
			}
		}
		waiting = rest
		return len(rest) == 0
	})
	w.report("a worker of four killed", "%d connections; claimed after %v, polled again p50 %v, max %v",
		len(mine), claimed, delays.quantile(0.5), delays.quantile(1))
	w.workers[0] = w.start(0)
	w.workers[0].awaitReady(w.b)
	w.await("all are back", func() bool { return w.claims.owned("worker0.") >= benchShards/benchWorkers })
}

// addAndRemove adds connections that are polled ten times a second, and removes them.
func (w *bench) addAndRemove() {
	var added, removed delays
	var ends [benchAdded]time.Time
	for i := range ends {
		began := time.Now()
		require.NoError(w.b, w.put(w.n+i, 100*time.Millisecond))
		p := &w.board.polls[w.n+i]
		w.await("it is polled", func() bool { return p.at.Load() != 0 })
		added = append(added, time.Unix(0, p.at.Load()).Sub(began))
	}
	for i := range ends {
		ends[i] = time.Now()
		require.NoError(w.b, w.fleet.Remove(w.b.Context(), connectionName(w.n+i)))
	}
	for i, end := range ends {
		p := &w.board.polls[w.n+i]
		w.await("it is not polled any more", func() bool { return time.Since(time.Unix(0, p.at.Load())) > 2*time.Second })
		removed = append(removed, max(time.Unix(0, p.at.Load()).Sub(end), 0))
	}
	w.report("a connection added, removed", "polled after p50 %v, max %v; polled no longer after p50 %v, max %v",
		added.quantile(0.5), added.quantile(1), removed.quantile(0.5), removed.quantile(1))
}

// leave counts what is in the stream, and lets all workers leave.
func (w *bench) leave() {
	until := time.Now()
	var created, lost int
	w.await("all events are in the stream", func() bool {
		ctx, cancel := context.WithTimeout(w.b.Context(), time.Minute)
		defer cancel()
		stored, err := w.shared.stored(ctx)
		if err != nil {
			return false
		}
		created, lost = w.count(stored, until)
		if lost > 0 {
			<-time.After(time.Second)
		}
		return lost == 0
	})
	began := time.Now()
	for _, p := range w.workers {
		p.signal(w.b, syscall.SIGTERM)
	}
	for _, p := range w.workers {
		p.awaitExit(w.b)
	}
	w.report("all workers leave", "%v", time.Since(began))
	stored, err := w.shared.stored(w.b.Context())
	require.NoError(w.b, err)
	twice := 0
	for _, n := range stored {
		twice += n - 1
	}
	w.report("events", "%d created, lost %d, twice in the stream %d", created, lost, twice)
	require.Zero(w.b, twice)
	w.b.ReportMetric(0, "ns/op")
}

// count returns how many objects were created before, and how many are not in the
// stream.
func (w *bench) count(stored map[string]int, until time.Time) (created, lost int) {
	for account := range w.n {
		for o := range w.shops.Objects(account, shops.Charges, w.added[account], until) {
			created++
			if stored[o.ID()] == 0 {
				lost++
			}
		}
	}
	return created, lost
}

// claims are the owners of the shards, as observed.
type claims struct {
	mu     sync.Mutex
	owners map[string]string // sessions, by the key of the claim
}

func (c *claims) observe(key string, value []byte, _ uint64) {
	if strings.HasPrefix(key, "claim/") {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.owners[key] = string(value)
	}
}

// owned returns how many shards the sessions with a prefix have.
func (c *claims) owned(prefix string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, owner := range c.owners {
		if strings.HasPrefix(owner, prefix) {
			n++
		}
	}
	return n
}

// claimed reports whether all shards are claimed by other sessions than those with a
// prefix.
func (c *claims) claimed(shards int, prefix string) bool {
	return c.owned("")-c.owned(prefix) == shards && !c.anyFree()
}

func (c *claims) anyFree() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, owner := range c.owners {
		if owner == "" {
			return true
		}
	}
	return false
}
