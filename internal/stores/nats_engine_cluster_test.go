//go:build unix

package stores_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/natsstore"
)

// natsCluster is a cluster of three servers, each a process, with an engine's stream on
// all of them.
type natsCluster struct {
	t         *testing.T
	processes map[string]*natsProcess
	urls      string
	name      string // of the stream
}

// startNATSCluster starts a cluster. A test that calls it begins with serveNATS.
func startNATSCluster(t *testing.T) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t, processes: map[string]*natsProcess{}, name: "FLEET"}
	var urls []string
	for _, cfg := range servers.NATSConfigs(t, 3) {
		c.processes[cfg.Name] = startNATSProcess(t, t.Name(), cfg)
		urls = append(urls, cfg.URL())
	}
	c.urls = strings.Join(urls, ",")
	js := connectNATS(t, c.urls)
	require.Eventually(t, func() bool {
		_, err := natsstore.CreateEngine(t.Context(), js, natsstore.Config{Name: c.name, Replicas: 3})
		return err == nil
	}, soon, 100*time.Millisecond)
	return c
}

// leader returns the server that leads the stream.
func (c *natsCluster) leader() *natsProcess {
	c.t.Helper()
	return c.processes[currentLeader(c.t, connectNATS(c.t, c.urls), c.name)]
}

// signalOthers sends a signal to all servers but one.
func (c *natsCluster) signalOthers(than *natsProcess, signal syscall.Signal) {
	c.t.Helper()
	for _, p := range c.processes {
		if p != than {
			require.NoError(c.t, p.cmd.Process.Signal(signal))
		}
	}
}

// The renewal is sent in time, and stored when the ttl is over: the followers are
// stopped meanwhile. The leader has the marker of the removal behind it then.
func TestNATSEngineRenewsNothingThatIsRemovedAtOnce(t *testing.T) {
	serveNATS()
	t.Parallel()
	c := startNATSCluster(t)
	const ttl = time.Second
	for i, ttls := range [][2]time.Duration{{ttl, 10 * ttl}, {ttl, 0}, {ttl, time.Hour}} {
		key, leader := fmt.Sprint("key/", i), c.leader()
		engine := openNATSEngine(t, leader.URL(), c.name)
		stored := time.Now()
		revision, err := engine.Put(t.Context(), key, []byte("first"), 0, ttls[0])
		require.NoError(t, err)
		c.signalOthers(leader, syscall.SIGSTOP)
		type result struct {
			revision uint64
			err      error
		}
		done := make(chan result, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			next, err := engine.Put(ctx, key, []byte("second"), revision, ttls[1])
			done <- result{next, err}
		}()
		<-time.After(time.Until(stored.Add(ttl + 1500*time.Millisecond)))
		c.signalOthers(leader, syscall.SIGCONT)
		got := <-done
		var value []byte
		var present uint64
		require.Eventually(t, func() bool { // the servers may elect a leader
			value, present, err = engine.Get(t.Context(), key)
			return err == nil
		}, soon, 10*time.Millisecond)
		t.Logf("ttls %v: Put: %d, %v; Get: %q %d", ttls, got.revision, got.err, value, present)
		switch {
		case got.err == nil:
			require.Equal(t, got.revision, present)
		case errors.Is(got.err, stripekit.ErrCheckpointConflict):
			require.Zero(t, present)
		default: // it is stored or not
			require.True(t, present == 0 || string(value) == "second")
		}
	}
}

// engineWriter is the only writer of some records. It knows what is stored.
type engineWriter struct {
	t      *testing.T
	engine *natsstore.Engine
	name   string
	keys   int

	values    map[string]string // "-" if deleted
	revisions map[string]uint64
	mu        sync.Mutex
	count     int // changes that have succeeded
}

func (w *engineWriter) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("claim/%s.%d", w.name, n%w.keys)
		revision := w.revisions[key]
		value, next := "-", uint64(0)
		change := func(ctx context.Context) error { return w.engine.Delete(ctx, key, revision) }
		if n%7 != 6 || revision == 0 {
			value = fmt.Sprint(n)
			change = func(ctx context.Context) (err error) {
				next, err = w.engine.Put(ctx, key, []byte(value), revision, time.Duration(n%2)*time.Hour)
				return err
			}
		}
		if err := w.try(change); err != nil {
			w.t.Errorf("change %d, of revision %d: %v", n, revision, err)
			return
		}
		w.values[key], w.revisions[key] = value, next
		w.mu.Lock()
		w.count++
		w.mu.Unlock()
	}
}

// try tries a change until it succeeds. Nobody else changes the record, so that none is
// a conflict. The error it returns has those of all tries.
func (w *engineWriter) try(change func(ctx context.Context) error) error {
	var tries []error
	for {
		began := time.Now()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		err := change(ctx)
		cancel()
		if err == nil {
			return nil
		}
		tries = append(tries, fmt.Errorf("after %v: %w", time.Since(began), err))
		if errors.Is(err, stripekit.ErrCheckpointConflict) || w.t.Context().Err() != nil {
			return errors.Join(tries...)
		}
	}
}

// awaitMore waits for n more changes.
func (w *engineWriter) awaitMore(n int) {
	w.t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.count
	}
	target := count() + n
	require.Eventually(w.t, func() bool { return count() >= target }, soon, time.Millisecond)
}

// changeDuring has records changed during disturb, and observed at each server. It
// requires that all is observed in the end, and that nobody else's renewals are removed.
func (c *natsCluster) changeDuring(disturb func(w *engineWriter)) {
	c.t.Helper()
	var watches []*natsWatch
	for _, p := range c.processes {
		watches = append(watches, watchNATSAll(c.t, openNATSEngine(c.t, p.URL()+","+c.urls, c.name)))
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var writers []*engineWriter
	var all sync.WaitGroup
	for i := range 4 {
		w := &engineWriter{
			t: c.t, engine: openNATSEngine(c.t, c.urls, c.name), name: fmt.Sprint(i), keys: 1 + 4*i,
			values: map[string]string{}, revisions: map[string]uint64{},
		}
		writers = append(writers, w)
		all.Go(func() { w.run(ctx) })
	}
	disturb(writers[3])
	cancel()
	all.Wait()
	watches = append(watches, watchNATS(c.t, openNATSEngine(c.t, c.urls, c.name)))
	for i, watch := range watches {
		watch.await(func() bool { return watch.synced }, "an empty key")
		for _, w := range writers {
			for key, value := range w.values {
				if value != "-" || i < len(watches)-1 {
					watch.sees(key, value)
				}
				watch.await(func() bool { return value == "-" || watch.revisions[key] == w.revisions[key] }, key+" as last put")
			}
		}
	}
}

func TestNATSEngineLosesNothingWhenLeadersOfAClusterAreKilled(t *testing.T) {
	serveNATS()
	t.Parallel()
	c := startNATSCluster(t)
	c.changeDuring(func(w *engineWriter) {
		for range rounds(2) {
			w.awaitMore(100)
			leader := c.leader()
			leader.kill()
			w.awaitMore(100)
			leader.start(t, t.Name())
		}
		w.awaitMore(100)
	})
}

// A server that is stopped keeps its connections: only the heartbeats of the watches
// that receive from it are missing.
func TestNATSEngineLosesNothingWhenServersOfAClusterAreStopped(t *testing.T) {
	serveNATS()
	t.Parallel()
	c := startNATSCluster(t)
	c.changeDuring(func(w *engineWriter) {
		names := []string{}
		for name := range c.processes {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names[:rounds(3)] {
			w.awaitMore(100)
			p := c.processes[name]
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
			<-time.After(3 * time.Second)
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
			w.awaitMore(100)
		}
	})
}

func TestNATSEngineClaimsManyShardsAtOnceInACluster(t *testing.T) {
	serveNATS()
	t.Parallel()
	c := startNATSCluster(t)
	c.leader()
	js, engine := connectNATS(t, c.urls), openNATSEngine(t, c.urls, c.name)
	before, began := lastSequence(t, js, c.name), time.Now()
	natsParallel(512, func(i int) {
		if _, err := engine.Put(t.Context(), fmt.Sprint("claim/", i), []byte("worker"), 0, 0); err != nil {
			t.Error(err)
		}
	})
	t.Logf("512 claims in %v", time.Since(began))
	require.EqualValues(t, 512, lastSequence(t, js, c.name)-before, "each claim is stored once")
}
