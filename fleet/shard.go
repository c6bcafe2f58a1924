package fleet

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit"
)

// stopTimeout is how long a shard waits for handlers that do not return.
const stopTimeout = 30 * time.Second

// shard is a shard that this worker runs, from its claim until all of its Pollers have
// stopped.
type shard struct {
	worker      *worker
	id          int
	ctx         context.Context
	cancel      context.CancelFunc
	lost        atomic.Bool // the claim has ended
	store       stripekit.CheckpointStore
	connections *stripekit.Connections

	mu     sync.Mutex // never held over a call of a connection
	byKey  map[string]*connection
	gone   map[string]uint64 // the numbers of records that were removed
	closed bool

	patience      *time.Timer // since stop
	reportStopped sync.Once
}

func newShard(w *worker, id int) *shard {
	s := &shard{worker: w, id: id, byKey: map[string]*connection{}, gone: map[string]uint64{}}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(w.ctx))
	s.store = fencedStore{w.fleet.cfg.Checkpoints, s}
	client := *w.http
	client.Transport = fence{s, w.http.Transport}
	s.connections = stripekit.NewConnections(append(slices.Clone(w.fleet.cfg.Options), stripekit.WithHTTPClient(&client))...)
	return s
}

// held reports whether the worker still has the right to the shard. It is asked before
// each request, event and save.
func (s *shard) held() bool { return !s.lost.Load() && s.worker.holds() }

// onGiveUp returns OnGiveUp, which is not called after the shard was lost.
func (s *shard) onGiveUp(f func(context.Context, stripekit.Event[any], error) error) func(context.Context, stripekit.Event[any], error) error {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, e stripekit.Event[any], reason error) error {
		if !s.held() {
			return errNotHeld
		}
		return f(ctx, e, reason)
	}
}

// set starts a connection, or replaces it, or removes it if spec is nil. It ignores a
// record that was observed earlier than what the shard knows.
func (s *shard) set(key string, spec *stored, seq uint64) {
	s.mu.Lock()
	old := s.byKey[key]
	if s.closed || s.gone[key] >= seq || old != nil && old.latest() >= seq {
		s.mu.Unlock()
		return
	}
	delete(s.gone, key)
	var next *connection
	if spec != nil {
		next = newConnection(s, key, spec, seq)
	} else {
		s.gone[key] = seq
	}
	if old != nil {
		old.follow(next)
	} else if next != nil {
		s.byKey[key] = next
	}
	s.mu.Unlock()
	switch {
	case old != nil:
		old.stop()
	case next != nil:
		next.start()
	}
}

// follow lets next start when the connection has stopped. It replaces an earlier next.
func (c *connection) follow(next *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		c.next.cancel()
	}
	c.next = next
	c.removed = c.removed || next == nil || next.spec.Generation != c.spec.Generation
}

// latest returns the number of the record that the connection, or the one that
// follows it, was made of.
func (c *connection) latest() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		return c.next.seq
	}
	return c.seq
}

// stop stops all connections. The worker is told when they have stopped.
func (s *shard) stop() {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	all := make([]*connection, 0, len(s.byKey))
	for _, c := range s.byKey {
		all = append(all, c)
	}
	s.mu.Unlock()
	s.cancel()
	if again {
		return
	}
	s.patience = time.AfterFunc(stopTimeout, s.abandon)
	for _, c := range all {
		c.stop()
	}
	if len(all) == 0 {
		s.stopped()
	}
}

// stopped reports, once, that the shard has stopped.
func (s *shard) stopped() {
	s.patience.Stop()
	s.reportStopped.Do(func() { s.worker.stopped(s) })
}

// abandon gives up the wait for a handler that does not return, so that it does not keep
// the other connections of the shard from being polled. What it still does has no effect
// on the checkpoint: its event is delivered again, to the worker that follows.
func (s *shard) abandon() {
	s.mu.Lock()
	left := len(s.byKey)
	s.mu.Unlock()
	if left == 0 {
		return
	}
	s.lost.Store(true)
	s.reportStopped.Do(func() {
		s.worker.log.Error("stripe fleet shard freed although a handler of it has not returned",
			"shard", s.id, "connections", left, "waited", stopTimeout)
		s.worker.abandoned.Add(1)
		s.worker.stopped(s)
	})
}

// connectionStopped removes a connection that has stopped, and starts the one that
// follows it.
func (s *shard) connectionStopped(c *connection) {
	s.mu.Lock()
	c.mu.Lock()
	next := c.next
	c.mu.Unlock()
	if next != nil && !s.closed {
		s.byKey[c.key] = next
	} else {
		next = nil
		delete(s.byKey, c.key)
	}
	last := s.closed && len(s.byKey) == 0
	s.mu.Unlock()
	if next != nil {
		next.start()
	}
	if last {
		s.stopped()
	}
}

// all returns the connections.
func (s *shard) all() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*connection, 0, len(s.byKey))
	for _, c := range s.byKey {
		all = append(all, c)
	}
	return all
}

// fence refuses requests of a worker that does not hold the shard any more.
type fence struct {
	shard *shard
	base  http.RoundTripper
}

// RoundTrip sends the request if the shard is held.
func (f fence) RoundTrip(r *http.Request) (*http.Response, error) {
	if !f.shard.held() {
		return nil, errNotHeld
	}
	return f.base.RoundTrip(r)
}

// fencedStore refuses saves of a worker that does not hold the shard any more.
type fencedStore struct {
	stripekit.CheckpointStore
	shard *shard
}

// Save saves the checkpoint if the shard is held.
func (s fencedStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	return s.CheckpointStore.Save(ctx, key, data, revision)
}

// Check returns an error if the shard is not held. sqlstore.RunTx calls it before each
// commit.
func (s fencedStore) Check() error {
	if !s.shard.held() {
		return fmt.Errorf("%w: %w", errNotHeld, stripekit.ErrCheckpointConflict)
	}
	return nil
}

// Unwrap returns the store that keeps the checkpoints. sqlstore.RunTx needs it.
func (s fencedStore) Unwrap() stripekit.CheckpointStore { return s.CheckpointStore }
