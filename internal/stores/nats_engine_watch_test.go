package stores_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/natsstore"
)

// natsWatch is a Watch that is under way, and what it has observed.
type natsWatch struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan error // what Watch has returned

	mu        sync.Mutex
	synced    bool
	values    map[string]string // the last of each key, "-" for a removal
	revisions map[string]uint64
	calls     int
	gate      chan struct{} // observe waits until it is closed, unless it is nil
}

func watchNATS(t testing.TB, e *natsstore.Engine) *natsWatch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &natsWatch{t: t, cancel: cancel, done: make(chan error, 1), values: map[string]string{}, revisions: map[string]uint64{}}
	go func() { w.done <- e.Watch(ctx, w.observe) }()
	t.Cleanup(cancel)
	return w
}

// watchNATSAll returns a Watch that has observed what is stored.
func watchNATSAll(t testing.TB, e *natsstore.Engine) *natsWatch {
	t.Helper()
	w := watchNATS(t, e)
	w.await(func() bool { return w.synced }, "an empty key")
	return w
}

func (w *natsWatch) observe(key string, value []byte, revision uint64) {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if key == "" {
		if w.synced {
			w.t.Error("a second empty key was observed")
		}
		w.synced = true
		return
	}
	if revision <= w.revisions[key] {
		w.t.Errorf("revision %d of %s was observed after %d", revision, key, w.revisions[key])
	}
	w.revisions[key] = revision
	w.values[key] = "-"
	if value != nil {
		w.values[key] = string(value)
	}
}

// await waits for a condition, which is evaluated under the lock.
func (w *natsWatch) await(condition func() bool, what string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return condition()
	}, soon, time.Millisecond, "not observed: %s", what)
}

// last returns the last revision that was observed of a key, and how many calls of
// observe there were.
func (w *natsWatch) last(key string) (revision uint64, calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revisions[key], w.calls
}

// sees waits until a value is the last that was observed of a key.
func (w *natsWatch) sees(key, value string) {
	w.t.Helper()
	w.await(func() bool { return w.values[key] == value }, key+" = "+value)
}

// ends waits until Watch has returned, and returns its error.
func (w *natsWatch) ends() error {
	w.t.Helper()
	select {
	case err := <-w.done:
		require.Error(w.t, err)
		return err
	case <-time.After(soon):
		require.Fail(w.t, "Watch goes on")
		return nil
	}
}

// putNATS puts a record, which must succeed.
func putNATS(t testing.TB, e *natsstore.Engine, key, value string, revision uint64, ttl time.Duration) uint64 {
	t.Helper()
	next, err := e.Put(t.Context(), key, []byte(value), revision, ttl)
	require.NoError(t, err)
	require.Greater(t, next, revision)
	return next
}

func natsConsumers(t testing.TB, js jetstream.JetStream, name string) (names []string) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	list := stream.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	require.NoError(t, list.Err())
	return names
}

func TestNATSEngineWatchLeavesNothingBehind(t *testing.T) {
	n, js := startNATS(t)
	name, _ := createNATSEngine(t, js)
	engine := openNATSEngine(t, n.URL(), name)
	putNATS(t, engine, "key", "value", 0, 0)
	watchNATSAll(t, engine).cancel() // warm up
	require.Eventually(t, func() bool { return len(natsConsumers(t, js, name)) == 0 }, soon, time.Millisecond)
	before := natsStacks("natsstore", "jetstream")
	for range 10 {
		w := watchNATSAll(t, engine)
		require.Len(t, natsConsumers(t, js, name), 1)
		w.cancel()
		require.ErrorIs(t, w.ends(), context.Canceled)
		require.Empty(t, natsConsumers(t, js, name))
	}
	require.Eventually(t, func() bool { return natsStacks("natsstore", "jetstream") <= before }, soon, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, engine.Watch(ctx, func(string, []byte, uint64) { t.Error("observed") }), context.Canceled)
}

// natsStacks counts the goroutines that are in one of the packages of the client.
func natsStacks(packages ...string) (count int) {
	buffer := make([]byte, 1<<22)
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		for _, name := range packages {
			if strings.Contains(stack, "/"+name+".") && !strings.Contains(stack, "nats-server") {
				count++
				break
			}
		}
	}
	return count
}

func TestNATSEngineWatchGoesOnWhenTheServerRestarts(t *testing.T) {
	n, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	w := watchNATSAll(t, engine)
	kept := putNATS(t, engine, "kept", "first", 0, 0)
	putNATS(t, engine, "session", "short", 0, time.Second)
	w.await(func() bool { return w.revisions["session"] != 0 }, "session")
	n.Stop()
	awaitLoss(t, js)
	_, err := engine.Put(t.Context(), "kept", nil, kept, 0)
	require.Error(t, err)
	_, err = engine.Put(t.Context(), "kept", []byte("while it is down"), kept, 0)
	require.ErrorIs(t, err, nats.ErrDisconnected)
	require.ErrorIs(t, engine.Delete(t.Context(), "kept", kept), nats.ErrDisconnected)
	require.ErrorIs(t, engine.Watch(t.Context(), w.observe), nats.ErrDisconnected)
	n.Start(t)
	awaitConnection(t, js)
	putNATS(t, openNATSEngine(t, n.URL(), name), "kept", "second", kept, 0)
	w.sees("kept", "second")
	w.sees("session", "-") // its ttl was over while the server was down
	_, revision, err := engine.Get(t.Context(), "session")
	require.NoError(t, err)
	require.Zero(t, revision)
	w.cancel()
	require.ErrorIs(t, w.ends(), context.Canceled)
	require.Empty(t, natsConsumers(t, js, name))
}

func TestNATSEngineWatchGoesOnWithoutItsConsumer(t *testing.T) {
	_, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	revision := putNATS(t, engine, "key", "0", 0, 0)
	w := watchNATSAll(t, engine)
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	for i := range 5 {
		for _, consumer := range natsConsumers(t, js, name) {
			require.NoError(t, stream.DeleteConsumer(t.Context(), consumer))
		}
		revision = putNATS(t, engine, "key", fmt.Sprint(i+1), revision, 0)
		w.sees("key", fmt.Sprint(i+1))
	}
	_, calls := w.last("key")
	require.Equal(t, 7, calls, "something was observed twice")
}

func TestNATSEngineWatchEndsWithItsStream(t *testing.T) {
	n, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	w := watchNATSAll(t, openNATSEngine(t, n.URL(), name))
	require.NoError(t, js.DeleteStream(t.Context(), name))
	require.ErrorIs(t, w.ends(), jetstream.ErrStreamNotFound)
	require.ErrorIs(t, engine.Watch(t.Context(), w.observe), jetstream.ErrStreamNotFound)

	cfg := natsstore.Config{Name: name}
	engine, err := natsstore.CreateEngine(t.Context(), js, cfg)
	require.NoError(t, err)
	old := putNATS(t, engine, "key", "old", 0, 0)
	proxy := startProxy(t, n.NATSConfig)
	w = watchNATSAll(t, openNATSEngine(t, proxy.url(), name))
	proxy.set(toClient, isDropped) // so that it does not see the end of the stream
	require.NoError(t, js.DeleteStream(t.Context(), name))
	engine, err = natsstore.CreateEngine(t.Context(), js, cfg)
	require.NoError(t, err)
	_, err = engine.Put(t.Context(), "key", []byte("new"), old, 0)
	require.Error(t, err)
	proxy.reconnect()
	require.ErrorContains(t, w.ends(), "deleted and created again")
}

func TestNATSEngineWatchEndsWithItsConnection(t *testing.T) {
	n, js := startNATS(t)
	name, _ := createNATSEngine(t, js)
	own := connectNATS(t, n.URL())
	engine, err := natsstore.OpenEngine(t.Context(), own, name)
	require.NoError(t, err)
	w := watchNATSAll(t, engine)
	own.Conn().Close()
	require.ErrorIs(t, w.ends(), nats.ErrConnectionClosed)
}

// Messages on their way are lost with a connection, or it says nothing any more.
func TestNATSEngineWatchMissesNothingWhenItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	n, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	proxy := startProxy(t, n.NATSConfig)
	w := watchNATSAll(t, openNATSEngine(t, proxy.url(), name))
	revision := uint64(0)
	for i := range 6 {
		temporary := fmt.Sprint("temporary", i)
		deleted := putNATS(t, engine, temporary, "there", 0, 0)
		w.sees(temporary, "there")
		dropped := proxy.held(toClient)
		proxy.set(toClient, isDropped)
		revision = putNATS(t, engine, "key", fmt.Sprint(i), revision, 0)
		require.NoError(t, engine.Delete(t.Context(), temporary, deleted))
		require.Eventually(t, func() bool { return proxy.held(toClient) > dropped }, soon, time.Millisecond)
		if i == 5 { // it notices the silence, but cannot do anything about it
			<-time.After(3 * time.Second)
		}
		proxy.reconnect()
		w.sees("key", fmt.Sprint(i))
		w.sees(temporary, "-")
	}
}

func TestNATSEngineWatchWithASlowObserver(t *testing.T) {
	t.Parallel()
	n, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	w := watchNATSAll(t, openNATSEngine(t, n.URL(), name))
	gate := make(chan struct{})
	w.mu.Lock()
	w.gate = gate
	w.mu.Unlock()
	const keys = 40
	revisions := make([]uint64, keys)
	for i := range 3000 {
		revisions[i%keys] = putNATS(t, engine, fmt.Sprint("key", i%keys), fmt.Sprint(i), revisions[i%keys], 0)
	}
	for i := range keys / 2 {
		require.NoError(t, engine.Delete(t.Context(), fmt.Sprint("key", i), revisions[i]))
	}
	<-time.After(3 * time.Second) // longer than heartbeats are missed
	close(gate)
	for i := range keys {
		want := "-"
		if i >= keys/2 {
			want = fmt.Sprint(2960 + i)
		}
		w.sees(fmt.Sprint("key", i), want)
	}
	w.mu.Lock()
	w.gate = make(chan struct{})
	w.mu.Unlock()
	putNATS(t, engine, "last", "x", 0, 0)
	w.cancel()
	close(w.gate)
	require.ErrorIs(t, w.ends(), context.Canceled)
}

func TestNATSEngineWatchOfManyRecords(t *testing.T) {
	n, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	const records = 5000
	value := strings.Repeat("x", 300)
	began := time.Now()
	natsParallel(records, func(i int) {
		if _, err := engine.Put(t.Context(), fmt.Sprint("connection/", i), []byte(value), 0, 0); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d Puts: %v", records, time.Since(began))
	began = time.Now()
	var all []*natsWatch
	for range 4 {
		all = append(all, watchNATS(t, openNATSEngine(t, n.URL(), name)))
	}
	for _, w := range all {
		w.await(func() bool { return w.synced }, "an empty key")
		require.Len(t, w.values, records)
	}
	t.Logf("4 times observed: %v", time.Since(began))
}

// natsParallel calls f from 64 goroutines.
func natsParallel(n int, f func(i int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}
