//go:build unix

package fleet_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

const (
	ttl    = 3 * time.Second
	shards = 32
	// patience is a time after which something that must happen has not happened.
	patience = 3 * time.Minute
)

// kills returns STRIPEKIT_KILLS, or 0.
func kills() int {
	n, _ := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")) // 0 if it is not set
	return n
}

// rounds is how often a test does to a fleet what its name says.
func rounds() int { return 1 + kills()/20 }

// size is how many connections a fleet has.
func size() int {
	if kills() > 0 {
		return 300
	}
	return 100
}

// world is a fleet of child processes.
type world struct {
	t       *testing.T
	site    site
	job     job // of the workers, without what differs
	shops   *shops.Stripe
	shared  shared
	fleet   *fleet.Fleet // of this process, which is no worker
	workers []*fleetWorker
	dir     string

	connections map[int]*connection // by the account
	// zombies is how many requests and events a worker may begin after another one has
	// its shard: those that were on their way when it was stopped.
	zombies int

	// What the workers have noted.
	requests []line
	polls    map[pollKey]line  // the last requests
	events   map[string][]line // that a plain handler has handled, by id
	poisoned int
	tenures  map[int][]line // won, drained and lost, by the shard
	warnings []line
}

type pollKey struct {
	account int
	list    shops.List
}

// connection is what was put.
type connection struct {
	added   time.Time
	removed time.Time // zero if it is there
	again   bool      // it was put again after a removal
}

// fleetWorker is a worker process.
type fleetWorker struct {
	*process
	number  int // in world.workers
	name    string
	journal tail
	killed  time.Time   // zero if it was not
	stopped []time.Time // by SIGSTOP
}

// newWorld starts the servers of a fleet. Its job may be changed before begin.
func newWorld(t *testing.T, engine string, replicas int) *world {
	t.Helper()
	w := &world{
		t: t, site: startSite(t, engine, replicas), dir: t.TempDir(), connections: map[int]*connection{},
		polls: map[pollKey]line{}, events: map[string][]line{}, tenures: map[int][]line{},
	}
	w.job = job{
		Place: w.site.place(), Shards: shards, TTL: ttl, Poison: nobody,
		Stripe: stripe{
			Seed: rand.Uint64(), Start: time.Now().Add(-time.Minute), Period: 12 * time.Second,
			LateShare: 0.1, LateMax: 2 * time.Second, Revoked: nobody,
		},
	}
	t.Cleanup(w.explain)
	return w
}

// begin puts the connections, and starts workers at the same time.
func (w *world) begin(names ...string) []*fleetWorker {
	w.t.Helper()
	var err error
	w.shops, err = w.job.Stripe.open(nil)
	require.NoError(w.t, err)
	w.shared, err = w.site.place().open(w.t.Context())
	require.NoError(w.t, err)
	w.t.Cleanup(w.shared.close)
	w.fleet, err = fleet.New(fleet.Config{Worker: "parent", Engine: w.shared.engine})
	require.NoError(w.t, err)
	for account := range size() {
		w.put(account)
	}
	started := time.Now()
	workers := w.startAll(names...)
	w.awaitPolled(time.Time{})
	w.t.Logf("all polled after %v", time.Since(started).Round(time.Millisecond))
	return workers
}

func connectionName(account int) string { return fmt.Sprintf("shop %d", account) }

// shardOf returns the shard of a connection.
func (w *world) shardOf(account int) int {
	hash := sha256.Sum256([]byte(connectionName(account)))
	return int(binary.BigEndian.Uint64(hash[:]) % uint64(w.job.Shards))
}

// spec returns the connection of an account.
func spec(account int, every time.Duration) fleet.Spec {
	triggers := []fleet.Trigger{
		{Name: once, Every: every, Overlap: 5 * time.Second}, {Name: plain, Every: every, Overlap: 5 * time.Second},
	}
	return fleet.Spec{Name: connectionName(account), Key: "shop" + strconv.Itoa(account), Triggers: triggers}
}

// put puts a connection, or puts it again.
func (w *world) put(account int) {
	w.t.Helper()
	now := time.Now()
	require.NoError(w.t, w.fleet.Put(w.t.Context(), spec(account, time.Second)))
	switch c := w.connections[account]; {
	case c == nil:
		w.connections[account] = &connection{added: now}
	case !c.removed.IsZero():
		w.connections[account] = &connection{added: now, again: true}
	}
}

func (w *world) remove(account int) {
	w.t.Helper()
	require.NoError(w.t, w.fleet.Remove(w.t.Context(), connectionName(account)))
	w.connections[account].removed = time.Now()
}

// start starts a worker.
func (w *world) start(name string) *fleetWorker {
	w.t.Helper()
	return w.startAt(name, w.job.Place)
}

// startAt starts a worker that reaches the servers at a place of its own.
func (w *world) startAt(name string, p place) *fleetWorker {
	w.t.Helper()
	f := w.launch(name, p)
	f.awaitReady(w.t)
	return f
}

// launch starts a worker, and does not wait until it has begun.
func (w *world) launch(name string, p place) *fleetWorker {
	w.t.Helper()
	j := w.job
	j.Worker, j.Place = name, p
	j.Journal = filepath.Join(w.dir, fmt.Sprintf("%d-%s", len(w.workers), name))
	f := &fleetWorker{number: len(w.workers), name: name, journal: tail{path: j.Journal}}
	f.process = launchProcess(w.t, workerVariable, j)
	w.workers = append(w.workers, f)
	return f
}

// startAll starts workers at the same time.
func (w *world) startAll(names ...string) []*fleetWorker {
	w.t.Helper()
	workers := make([]*fleetWorker, len(names))
	for i, name := range names {
		workers[i] = w.launch(name, w.job.Place)
	}
	for _, f := range workers {
		f.awaitReady(w.t)
	}
	return workers
}

// kill kills a worker by SIGKILL. It must not have ended before.
func (w *world) kill(f *fleetWorker) {
	w.t.Helper()
	f.process.kill()
	f.killed = time.Now()
	require.Equal(w.t, -1, f.cmd.ProcessState.ExitCode(), "%s has ended by itself", f.name)
}

// stop stops a worker by SIGSTOP.
func (w *world) stop(f *fleetWorker) {
	w.t.Helper()
	f.signal(w.t, syscall.SIGSTOP)
	f.stopped = append(f.stopped, time.Now())
}

// wake lets a worker go on that was stopped.
func (w *world) wake(f *fleetWorker) {
	w.t.Helper()
	f.signal(w.t, syscall.SIGCONT)
}

// end lets a worker leave the fleet.
func (w *world) end(f *fleetWorker) {
	w.t.Helper()
	f.signal(w.t, syscall.SIGTERM)
	f.awaitExit(w.t)
}

// live returns the workers that have not ended.
func (w *world) live() (live []*fleetWorker) {
	for _, f := range w.workers {
		if f.running() {
			live = append(live, f)
		}
	}
	return live
}

// read reads what the workers have noted.
func (w *world) read() {
	w.t.Helper()
	for _, f := range w.workers {
		lines, err := f.journal.read()
		require.NoError(w.t, err)
		for _, l := range lines {
			l.worker = f.number
			w.add(l)
		}
	}
}

func (w *world) add(l line) {
	switch l.kind {
	case requested:
		w.requests = append(w.requests, l)
		key := pollKey{l.account, l.list}
		if l.at > w.polls[key].at {
			w.polls[key] = l
		}
	case handled:
		w.events[l.text] = append(w.events[l.text], l)
	case poisoned:
		w.poisoned++
	case won, drained, lost:
		w.tenures[l.shard] = append(w.tenures[l.shard], l)
	case warned:
		w.warnings = append(w.warnings, l)
	}
}

// await waits until a condition holds.
func await(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !condition(); <-time.After(100 * time.Millisecond) {
		require.True(tb, time.Now().Before(end), "%s", what)
	}
}

// await waits until a condition holds, which is about what the workers have noted.
func (w *world) await(what string, condition func() bool) {
	w.t.Helper()
	await(w.t, what, func() bool {
		w.read()
		return condition()
	})
}

// awaitPolled waits until both lists of each connection were polled after a time.
func (w *world) awaitPolled(since time.Time) {
	w.t.Helper()
	w.await("all connections are polled", func() bool {
		for account, c := range w.connections {
			if account == w.job.Stripe.Revoked || !c.removed.IsZero() {
				continue
			}
			for _, list := range []shops.List{shops.Charges, shops.Customers} {
				if poll, ok := w.polls[pollKey{account, list}]; !ok || poll.at <= since.UnixNano() {
					return false
				}
			}
		}
		return true
	})
}

// owners returns the number of the worker that has each shard.
func (w *world) owners() map[int]int {
	owners := map[int]int{}
	for shard, lines := range w.tenures {
		sortByTime(lines)
		for _, l := range lines {
			if owner, ok := owners[shard]; l.kind == won {
				owners[shard] = l.worker
			} else if ok && owner == l.worker {
				delete(owners, shard)
			}
		}
	}
	return owners
}

// awaitOwners waits until workers have all shards, and none of them more than its share.
func (w *world) awaitOwners(workers ...*fleetWorker) {
	w.t.Helper()
	share := (w.job.Shards + len(workers) - 1) / len(workers)
	w.await(fmt.Sprintf("%d workers have all shards", len(workers)), func() bool {
		owned := map[int]int{}
		for _, owner := range w.owners() {
			owned[owner]++
		}
		total := 0
		for _, f := range workers {
			if owned[f.number] > share {
				return false
			}
			total += owned[f.number]
		}
		return total == w.job.Shards
	})
}

// awaitPolling waits until workers have all shards, as awaitOwners does, and poll all
// connections of their shards.
func (w *world) awaitPolling(workers ...*fleetWorker) {
	w.t.Helper()
	w.awaitOwners(workers...)
	w.await("the owners of the shards poll", func() bool {
		owners := w.owners()
		for account, c := range w.connections {
			if account == w.job.Stripe.Revoked || !c.removed.IsZero() {
				continue
			}
			for _, list := range []shops.List{shops.Charges, shops.Customers} {
				if owner, ok := owners[w.shardOf(account)]; !ok || w.polls[pollKey{account, list}].worker != owner {
					return false
				}
			}
		}
		return true
	})
}

// explain logs the last warnings of the workers of a test that has failed.
func (w *world) explain() {
	if !w.t.Failed() {
		return
	}
	for _, f := range w.workers { // some may not have been read
		lines, _ := f.journal.read()
		for _, l := range lines {
			l.worker = f.number
			w.add(l)
		}
	}
	sortByTime(w.warnings)
	for _, l := range w.warnings[max(0, len(w.warnings)-40):] {
		w.t.Logf("%v worker %d: %s", time.Unix(0, l.at).Format("15:04:05.000"), l.worker, l.text)
	}
}

// eventually calls f until it succeeds.
func eventually(tb testing.TB, what string, f func(ctx context.Context) error) {
	tb.Helper()
	var err error
	await(tb, what, func() bool {
		ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
		defer cancel()
		err = f(ctx)
		return err == nil
	})
}
