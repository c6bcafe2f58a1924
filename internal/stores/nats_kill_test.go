package stores_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/natsstore"
)

// counters are checkpoints that several writers count in. The data is a map from the
// name of the writer to how often it has counted.
type counters struct {
	t *testing.T

	mu    sync.Mutex
	saves int             // that have succeeded
	wins  map[uint64]bool // the revisions from which a Save has succeeded
}

// writer is one writer of a key.
type writer struct {
	*counters
	name, key string
	store     *natsstore.Store

	counted  int    // what must be stored
	doubtful bool   // one more may be stored
	revision uint64 // the last one seen
}

// countUntil counts until the context is over.
func (w *writer) countUntil(ctx context.Context) {
	for ctx.Err() == nil {
		if counts, revision, ok := w.load(ctx); ok {
			counts[w.name]++
			w.save(ctx, counts, revision)
		}
	}
}

// load loads the counts, and compares them with what the writer knows.
func (w *writer) load(ctx context.Context) (counts map[string]int, revision uint64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	data, revision, err := w.store.Load(ctx, w.key)
	if err != nil {
		return nil, 0, false
	}
	if revision < w.revision {
		w.t.Errorf("%s: revision %d was loaded after %d", w.name, revision, w.revision)
	}
	w.revision = revision
	counts = map[string]int{}
	if revision != 0 {
		if err := json.Unmarshal(data, &counts); err != nil {
			w.t.Errorf("%s: %v: %q", w.name, err, data)
		}
	}
	switch counts[w.name] {
	case w.counted:
	case w.counted + 1:
		if !w.doubtful {
			w.t.Errorf("%s: %d saves are stored, and %d have succeeded", w.name, counts[w.name], w.counted)
		}
		w.counted++
	default:
		w.t.Errorf("%s: %d saves are stored, and %d have succeeded", w.name, counts[w.name], w.counted)
		w.counted = counts[w.name]
	}
	w.doubtful = false
	return counts, revision, true
}

// save saves the counts. If the end is unknown, it tries again with the same revision.
func (w *writer) save(ctx context.Context, counts map[string]int, revision uint64) {
	data, err := json.Marshal(counts)
	if err != nil {
		w.t.Error(err)
	}
	for ctx.Err() == nil {
		saving, cancel := context.WithTimeout(ctx, time.Second)
		next, err := w.store.Save(saving, w.key, data, revision)
		cancel()
		switch {
		case err == nil:
			w.revision, w.doubtful = next, false
			w.counted++
			w.won(revision)
			return
		case errors.Is(err, stripekit.ErrCheckpointConflict):
			return
		}
		w.doubtful = true
		if strings.HasSuffix(w.name, "loads") {
			return // it does not try again, and finds out by load
		}
		if err := w.t.Context().Err(); err != nil {
			return
		}
	}
}

func (c *counters) won(revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saves++
	if revision == 0 {
		return
	}
	if c.wins[revision] {
		c.t.Errorf("two saves with revision %d have succeeded", revision)
	}
	c.wins[revision] = true
}

func (c *counters) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.saves
}

// awaitMore waits for n more saves that succeed.
func (c *counters) awaitMore(n int) {
	c.t.Helper()
	target := c.count() + n
	require.Eventually(c.t, func() bool { return c.count() >= target }, soon, time.Millisecond)
}

// countDuring has writers count during disturb: four on one key, and two more on a key
// each.
func countDuring(t *testing.T, urls, name string, disturb func(c *counters)) {
	t.Helper()
	c := &counters{t: t, wins: map[uint64]bool{}}
	var writers []*writer
	for i, key := range []string{"shared", "shared", "shared", "shared", "alone", "alone too"} {
		kind := []string{"repeats", "loads"}[i%2]
		writers = append(writers, &writer{counters: c, name: fmt.Sprint(i, " ", kind), key: key, store: openStore(t, urls, name)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for _, w := range writers {
		all.Go(func() { w.countUntil(ctx) })
	}
	disturb(c)
	cancel()
	all.Wait()
	total := map[string]int{}
	for _, w := range writers {
		require.Eventually(t, func() bool {
			counts, _, ok := w.load(t.Context())
			maps.Copy(total, counts)
			return ok
		}, soon, 10*time.Millisecond)
		require.Equal(t, w.counted, total[w.name], w.name)
	}
	t.Logf("%d saves: %v", c.count(), total)
}

func TestNATSStoreLosesNothingWhenItsServerIsKilled(t *testing.T) {
	serveNATS()
	t.Parallel()
	process := startNATSProcess(t, t.Name(), servers.NATSConfigs(t, 1)[0])
	js := connectNATS(t, process.URL())
	name, _ := createStore(t, js)
	countDuring(t, process.URL(), name, func(c *counters) {
		for range 4 {
			c.awaitMore(200)
			process.kill()
			process.start(t, t.Name())
		}
		c.awaitMore(200)
	})
}

func TestNATSStoreLosesNothingWhenLeadersOfAClusterAreKilled(t *testing.T) {
	serveNATS()
	t.Parallel()
	processes := map[string]*natsProcess{}
	var urls []string
	for _, cfg := range servers.NATSConfigs(t, 3) {
		processes[cfg.Name] = startNATSProcess(t, t.Name(), cfg)
		urls = append(urls, cfg.URL())
	}
	all := strings.Join(urls, ",")
	js := connectNATS(t, all)
	const name = "CLUSTERED"
	for _, replicas := range []int{1, 3} {
		require.Eventually(t, func() bool {
			_, err := natsstore.Create(t.Context(), js, natsstore.Config{Name: name, Replicas: replicas})
			return err == nil
		}, soon, 100*time.Millisecond)
	}
	currentLeader(t, js, name)
	large := strings.Repeat("x", 1_000_000)
	for i, url := range urls {
		save(t, openStore(t, url, name), fmt.Sprint("large", i), large, 0)
		for _, other := range urls {
			stored(t, openStore(t, other, name), fmt.Sprint("large", i), large)
		}
	}
	countDuring(t, all, name, func(c *counters) {
		for range rounds(2) {
			c.awaitMore(200)
			leader := currentLeader(t, js, name)
			processes[leader].kill()
			c.awaitMore(200)
			processes[leader].start(t, t.Name())
		}
		c.awaitMore(200)
	})
}

// currentLeader returns the leader of a stream, once all its replicas are current.
func currentLeader(t *testing.T, js jetstream.JetStream, name string) (leader string) {
	t.Helper()
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			return false
		}
		cluster := stream.CachedInfo().Cluster
		leader = cluster.Leader
		for _, r := range cluster.Replicas {
			if !r.Current || r.Offline {
				return false
			}
		}
		return leader != "" && len(cluster.Replicas) == 2
	}, soon, 20*time.Millisecond)
	return leader
}
