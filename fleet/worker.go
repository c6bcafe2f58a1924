package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	crand "crypto/rand"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet/internal/lease"
)

const (
	// leaveTimeout bounds the end of Run.
	leaveTimeout = stopTimeout + 5*time.Second
	// logEvery is the time between two logs of errors of the Engine.
	logEvery = 10 * time.Second
	// maxOps is how many claims are changed at a time.
	maxOps = 64
	// maxKeys is how many keys are read again at a time.
	maxKeys = 16
)

// Run makes this process a worker until ctx ends: it claims its share of the shards,
// and polls their connections. Then it stops the Pollers, saves their acknowledgements,
// frees the shards for other workers, and returns nil. While the Engine cannot be
// reached at the start, Run waits. It returns an error if the fleet has another number of
// shards, or at its end if a handler has not returned within 30 s.
//
// A handler that ignores its context keeps the other connections of its shard from being
// polled for as long, whenever the shard moves. Then the shard moves without it.
//
// Run may be called once.
func (f *Fleet) Run(ctx context.Context) error {
	if err := f.claimRun(); err != nil {
		return err
	}
	if err := f.agreeOnShards(ctx); err != nil {
		return err
	}
	w := newWorker(ctx, f)
	f.worker.Store(w)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer w.expiry.Stop()
	defer w.end()
	loops.Go(w.watch)
	loops.Go(w.tick)
	loops.Go(w.sweep)
	<-ctx.Done()
	w.log.Info("stripe fleet worker leaves")
	w.step(func(time.Time) []lease.Op { w.lease.Leaves(); return nil })
	select {
	case <-w.left:
		if n := w.abandoned.Load(); n > 0 {
			return fmt.Errorf("fleet: handlers of %d shards have not returned within %v", n, stopTimeout)
		}
		return nil
	case <-time.After(leaveTimeout):
		return fmt.Errorf("fleet: %d shards have not stopped within %v", w.shardCount(), leaveTimeout)
	}
}

// agreeOnShards stores the number of shards, or returns an error if another one is
// stored.
func (f *Fleet) agreeOnShards(ctx context.Context) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		value, err := f.storedShards(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && string(value) == strconv.Itoa(f.cfg.Shards):
			return nil
		case err == nil:
			return fmt.Errorf("fleet: it has %s shards, and Config.Shards is %d", value, f.cfg.Shards)
		case !errors.Is(err, stripekit.ErrCheckpointConflict):
			f.cfg.Logger.Warn("stripe fleet engine cannot be used, another try", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// storedShards returns the record of the number of shards, which it stores if there is
// none.
func (f *Fleet) storedShards(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.TTL)
	defer cancel()
	value, revision, err := f.cfg.Engine.Get(ctx, shardsKey)
	if err == nil && revision == 0 {
		value = []byte(strconv.Itoa(f.cfg.Shards))
		_, err = f.cfg.Engine.Put(ctx, shardsKey, value, 0, 0)
	}
	return value, err
}

// worker is one call of Run.
type worker struct {
	fleet   *Fleet
	ctx     context.Context // ends when Run returns
	end     context.CancelFunc
	log     *slog.Logger
	pollLog *slog.Logger // of the Pollers
	http    *http.Client
	starter starter
	ops     chan struct{} // one for each change of a claim in progress
	keys    chan struct{} // one for each key that is being read again
	left    chan struct{} // closed when there is nothing left to do

	right     atomic.Pointer[lease.Right]
	abandoned atomic.Int64 // shards that were freed although a handler had not returned

	mu        sync.Mutex // never held over a call of the Engine or of a shard
	lease     *lease.Worker
	shards    map[int]*shard
	directory directory
	removed   map[int]uint64 // the revisions of claims that were removed
	hasLeft   bool
	ends      time.Time   // when the right ends
	expiry    *time.Timer // calls step then
	failedAt  time.Time   // when an error of the Engine was logged last

	status status
	names  nameIndex
}

func newWorker(ctx context.Context, f *Fleet) *worker {
	client := *f.cfg.HTTP
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	w := &worker{
		fleet: f, http: &client,
		log:     f.cfg.Logger.With("worker", f.cfg.Worker),
		pollLog: slog.New(warnings{f.cfg.Logger.Handler()}),
		ops:     make(chan struct{}, maxOps), keys: make(chan struct{}, maxKeys), left: make(chan struct{}),
		lease: lease.New(lease.Config{
			Name: f.cfg.Worker, Shards: f.cfg.Shards, TTL: f.cfg.TTL, NewID: crand.Text,
			Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		}),
		shards: map[int]*shard{}, directory: newDirectory(f.cfg.Shards), removed: map[int]uint64{},
	}
	w.right.Store(new(lease.Right))
	w.expiry = time.AfterFunc(time.Hour, func() { w.step(nil) })
	w.expiry.Stop()
	w.status.init(f.cfg, time.Now())
	w.ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

// holds reports whether the right of the session stands.
func (w *worker) holds() bool { return w.right.Load().Valid(time.Now()) }

// step tells the lease of an event, and carries out what follows from it. f is called
// with mu held.
func (w *worker) step(f func(now time.Time) []lease.Op) {
	w.mu.Lock()
	now := time.Now()
	var ops []lease.Op
	if f != nil {
		ops = f(now)
	}
	ops = append(ops, w.lease.Next(now)...)
	for _, op := range ops {
		switch op.Kind {
		case lease.Run:
			w.shards[op.Shard] = newShard(w, op.Shard)
		case lease.Lose:
			w.shards[op.Shard].lost.Store(true)
		}
	}
	// A shard that was lost must not see the right of a new session.
	right := w.lease.Right()
	w.right.Store(&right)
	if ends := right.Ends(); !ends.Equal(w.ends) {
		w.ends = ends
		w.expiry.Reset(time.Until(ends)) // without a right, at once
	}
	if w.lease.Left() && !w.hasLeft {
		w.hasLeft = true
		close(w.left)
	}
	for _, op := range ops {
		w.carryOut(op)
	}
	w.mu.Unlock()
}

// carryOut begins to carry out an operation. The caller holds mu.
func (w *worker) carryOut(op lease.Op) {
	switch op.Kind {
	case lease.Run:
		s := w.shards[op.Shard]
		go func() {
			w.log.Debug("stripe fleet shard won", "shard", s.id)
			w.run(s)
		}()
	case lease.Drain:
		s := w.shards[op.Shard]
		go func() {
			w.log.Debug("stripe fleet shard drained", "shard", s.id)
			s.stop()
		}()
	case lease.Lose:
		s := w.shards[op.Shard]
		go func() {
			w.log.Info("stripe fleet shard lost", "shard", s.id)
			s.stop()
		}()
	default:
		if w.ctx.Err() == nil {
			go w.request(op)
		}
	}
}

// run starts the connections of a shard.
func (w *worker) run(s *shard) {
	w.mu.Lock()
	records := w.directory.of(s.id)
	w.mu.Unlock()
	for key, r := range records {
		w.set(s, key, r)
	}
}

// set tells a shard of the record of a connection. A record that cannot be read, as one
// of a newer version, is left alone.
func (w *worker) set(s *shard, key string, r record) {
	if r.value == nil {
		s.set(key, nil, r.seq)
		return
	}
	spec := new(stored)
	err := json.Unmarshal(r.value, spec)
	if err == nil && (connectionKey(spec.Name) != key || spec.Generation == "" || len(spec.Triggers) == 0) {
		err = errors.New("it is not complete")
	}
	if err != nil {
		w.log.Error("stripe connection cannot be read", "record", key, "error", err)
		return
	}
	s.set(key, spec, r.seq)
}

// stopped is called when the Pollers of a shard have stopped.
func (w *worker) stopped(s *shard) {
	w.step(func(time.Time) []lease.Op {
		if w.shards[s.id] != s {
			return nil
		}
		delete(w.shards, s.id)
		return w.lease.Stopped(s.id)
	})
}

// request carries out an operation on the Engine.
func (w *worker) request(op lease.Op) {
	timeout := w.fleet.cfg.TTL / 4
	if op.Kind == lease.Claim || op.Kind == lease.Free {
		w.ops <- struct{}{}
		defer func() { <-w.ops }()
		timeout = w.fleet.cfg.TTL / 2
	}
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	outcome, revision := lease.Done, uint64(0)
	var err error
	switch op.Kind {
	case lease.Renew:
		revision, err = w.fleet.cfg.Engine.Put(ctx, sessionPrefix+op.Session, w.status.payload(op.Leaving), op.Revision, w.fleet.cfg.TTL)
	case lease.Claim:
		revision, err = w.fleet.cfg.Engine.Put(ctx, claimKey(op.Shard), []byte(op.Session), w.expected(op), 0)
	case lease.Free:
		revision, err = w.fleet.cfg.Engine.Put(ctx, claimKey(op.Shard), []byte{}, w.expected(op), 0)
	case lease.Probe:
		var found uint64
		if _, found, err = w.fleet.cfg.Engine.Get(ctx, sessionPrefix+op.Session); err == nil && found == 0 {
			outcome = lease.Conflict
		}
	case lease.Leave:
		err = w.fleet.cfg.Engine.Delete(ctx, sessionPrefix+op.Session, op.Revision)
	}
	switch {
	case errors.Is(err, stripekit.ErrCheckpointConflict):
		outcome = lease.Conflict
	case err != nil:
		outcome = lease.Unknown
		if w.ctx.Err() == nil {
			w.failed(err)
		}
	}
	w.step(func(now time.Time) []lease.Op { return w.lease.Ended(op, outcome, revision, now) })
}

// failed logs an error of the Engine, but not each of an outage.
func (w *worker) failed(err error) {
	w.mu.Lock()
	now := time.Now()
	due := now.Sub(w.failedAt) >= logEvery
	if due {
		w.failedAt = now
	}
	w.mu.Unlock()
	if due {
		w.log.Warn("stripe fleet engine request failed", "error", err)
	}
}

func claimKey(shard int) string { return claimPrefix + strconv.Itoa(shard) }

// expected returns the revision for the Put of a claim: 0 if it was removed, as by
// somebody who has deleted the records of the fleet.
func (w *worker) expected(op lease.Op) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.removed[op.Shard] == op.Revision {
		return 0
	}
	return op.Revision
}

// tick calls step regularly.
func (w *worker) tick() {
	ticker := time.NewTicker(w.fleet.cfg.TTL / 16)
	defer ticker.Stop()
	for {
		w.step(nil)
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			return
		}
	}
}

// watch observes the records.
func (w *worker) watch() {
	for wait := 100 * time.Millisecond; w.ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		w.mu.Lock()
		w.lease.Watching()
		w.directory.begin()
		w.mu.Unlock()
		began := time.Now()
		err := w.fleet.cfg.Engine.Watch(w.ctx, w.observe)
		if w.ctx.Err() != nil {
			return
		}
		w.log.Warn("stripe fleet records not observed, another try", "error", err)
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		select {
		case <-time.After(wait):
		case <-w.ctx.Done():
		}
	}
}

// observe is called with each record and change.
func (w *worker) observe(key string, value []byte, revision uint64) {
	switch {
	case key == "":
		w.synced()
	case strings.HasPrefix(key, connectionPrefix):
		w.observeConnection(key, record{value: value, revision: revision})
	case strings.HasPrefix(key, sessionPrefix):
		id := strings.TrimPrefix(key, sessionPrefix)
		leaving := w.status.observeSession(id, value)
		w.step(func(now time.Time) []lease.Op {
			w.lease.ObserveSession(id, value == nil, now)
			if leaving {
				w.lease.ObserveLeaving(id)
			}
			return nil
		})
	case strings.HasPrefix(key, claimPrefix):
		shard, err := strconv.Atoi(strings.TrimPrefix(key, claimPrefix))
		if err != nil || key != claimKey(shard) {
			return
		}
		w.step(func(time.Time) []lease.Op {
			if value == nil {
				w.removed[shard] = revision
			}
			w.status.observeClaim(shard, string(value))
			return w.lease.ObserveClaim(shard, string(value), revision)
		})
	case strings.HasPrefix(key, reportPrefix):
		w.status.observeReport(strings.TrimPrefix(key, reportPrefix), value)
	}
}

func (w *worker) observeConnection(key string, r record) {
	shard := shardOf(key, w.fleet.cfg.Shards)
	if shard < 0 {
		return
	}
	w.mu.Lock()
	r, changed := w.directory.observe(shard, key, r)
	s := w.shards[shard]
	w.mu.Unlock()
	if changed && s != nil {
		w.set(s, key, r)
	}
}

// synced is called when what was observed is complete.
func (w *worker) synced() {
	w.mu.Lock()
	missing := w.directory.complete()
	shards := make([]*shard, len(missing))
	for i, m := range missing {
		shards[i] = w.shards[m.shard]
	}
	w.mu.Unlock()
	for i, m := range missing {
		if shards[i] != nil {
			shards[i].set(m.key, nil, m.seq)
		}
	}
	w.status.observeAll(time.Now())
	w.step(func(time.Time) []lease.Op { return w.lease.Synced() })
}

func (w *worker) shardCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.shards)
}

// warnings passes warnings and errors to another Handler.
type warnings struct{ slog.Handler }

// Enabled reports whether a record of the level is passed on.
func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs returns a Handler of the same kind.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a Handler of the same kind.
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
