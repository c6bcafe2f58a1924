package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/transport"
)

const (
	// keysTimeout bounds a call of Config.Keys.
	keysTimeout = 10 * time.Second
	// keyEvery is the time between two calls of Config.Keys for a key that is refused.
	keyEvery = time.Minute
)

// connection is a connection of a shard that this worker runs.
type connection struct {
	shard  *shard
	key    string // of the record
	spec   *stored
	seq    uint64 // of the record
	ctx    context.Context
	cancel context.CancelFunc
	flows  []*flow

	askedKey time.Time // when the key was read again last; used by sweep alone

	opening sync.Mutex // held while the key is read
	opened  bool       // the shard's Connections have it

	mu       sync.Mutex
	running  int // the flows that have not stopped
	stopping bool
	next     *connection // starts when this one has stopped; nil if there is none
	removed  bool        // the checkpoints are to be deleted
}

func newConnection(s *shard, key string, spec *stored, seq uint64) *connection {
	c := &connection{shard: s, key: key, spec: spec, seq: seq, running: len(spec.Triggers)}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.flows = make([]*flow, len(spec.Triggers))
	for i := range spec.Triggers {
		c.flows[i] = &flow{conn: c, trigger: &spec.Triggers[i]}
	}
	return c
}

// start starts the flows.
func (c *connection) start() {
	for _, fl := range c.flows {
		c.shard.worker.starter.add(fl)
	}
}

// stop stops the flows.
func (c *connection) stop() {
	c.mu.Lock()
	again := c.stopping
	c.stopping = true
	c.mu.Unlock()
	if again {
		return
	}
	c.cancel()
	for _, fl := range c.flows {
		fl.stop()
	}
}

// flowStopped counts a flow that has stopped.
func (c *connection) flowStopped() {
	c.mu.Lock()
	c.running--
	last := c.running == 0
	c.mu.Unlock()
	if last {
		go c.stopped()
	}
}

// stopped is called when all flows have stopped.
func (c *connection) stopped() {
	c.opening.Lock()
	if c.opened {
		_ = c.shard.connections.Remove(c.spec.Name) // it is there
	}
	c.opening.Unlock()
	c.mu.Lock()
	removed := c.removed
	c.mu.Unlock()
	if removed {
		c.deleteCheckpoints()
	}
	c.shard.connectionStopped(c)
}

// deleteCheckpoints deletes the checkpoints of a connection that was removed. Those of
// another one with its name have other keys.
func (c *connection) deleteCheckpoints() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), keysTimeout)
	defer cancel()
	for _, fl := range c.flows {
		if fl.key == "" || !c.shard.held() {
			continue
		}
		if err := c.shard.worker.fleet.cfg.Checkpoints.Delete(ctx, fl.key); err != nil {
			c.shard.worker.log.Warn("stripe checkpoint of a removed connection not deleted",
				"connection", c.spec.Name, "key", fl.key, "error", err)
		}
	}
}

// open returns a client of the connection.
func (c *connection) open() (*stripekit.Client, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	if !c.opened {
		key, err := c.readKey()
		if err != nil {
			return nil, err
		}
		if err := c.shard.connections.Add(c.spec.connection(key)); err != nil {
			return nil, fmt.Errorf("fleet: opening the connection: %v", err) // not permanent: the vault may be mended
		}
		c.opened = true
	}
	client, err := c.shard.connections.Open(c.spec.Name)
	if err != nil {
		return nil, err
	}
	return client.WithAccount(c.spec.Account), nil
}

// readKey calls Config.Keys. No error of it is permanent, whatever it wraps.
func (c *connection) readKey() (key stripekit.Secret, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, keysTimeout)
	defer cancel()
	key, err = c.shard.worker.fleet.cfg.Keys(ctx, c.spec.Key)
	switch {
	case err != nil:
		return key, fmt.Errorf("fleet: reading the key: %s", transport.Quote(err.Error()))
	case key.IsZero():
		return key, errors.New("fleet: reading the key: Config.Keys has returned none")
	}
	return key, nil
}

// renewKey reads the key again after the service has refused it, since it may have been
// replaced. It takes effect for the next request. A Poller waits 15 minutes for that.
func (c *connection) renewKey(now time.Time) {
	if now.Sub(c.askedKey) < keyEvery {
		return
	}
	keys := c.shard.worker.keys
	select {
	case keys <- struct{}{}:
	default:
		return // later
	}
	c.askedKey = now
	go func() {
		defer func() { <-keys }()
		c.opening.Lock()
		defer c.opening.Unlock()
		if c.ctx.Err() != nil || !c.opened {
			return
		}
		err := c.updateKey()
		if err != nil {
			c.shard.worker.log.Warn("stripe key refused, and not read again", "connection", c.spec.Name, "error", err)
		}
	}()
}

func (c *connection) updateKey() (err error) {
	defer recovered(&err)
	key, err := c.readKey()
	if err != nil {
		return err
	}
	return c.shard.connections.Update(c.spec.connection(key))
}

// pollConfig returns the configuration of a Poller.
func (c *connection) pollConfig(t *Trigger) stripekit.PollConfig {
	cfg := &c.shard.worker.fleet.cfg
	return stripekit.PollConfig{
		Every: t.Every, Overlap: t.Overlap, From: t.start(c.spec.Added),
		Checkpoints: c.shard.store, Name: t.Name + "/" + c.spec.Generation,
		MaxAttempts: cfg.MaxAttempts, OnGiveUp: c.shard.onGiveUp(cfg.OnGiveUp), Logger: c.shard.worker.pollLog,
	}
}
