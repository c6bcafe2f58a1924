package fleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/transport"
)

const (
	// firstWait and maxWait bound the wait before a flow that has failed is started
	// again.
	firstWait = time.Second
	maxWait   = 5 * time.Minute
)

// State is the state of a flow.
type State string

// The states of a flow.
const (
	Starting State = "starting" // it is about to be started, or waits for its turn
	Polling  State = "polling"  // its last poll has succeeded, or it has not polled yet
	Failing  State = "failing"  // its last poll has failed, or it waits before it is started again
	Parked   State = "parked"   // it has ended by a permanent error, and waits for a Put
)

// flow is a trigger of a connection on this worker.
//
//	queued ──→ starting ──→ polling ──→ (ended by an error)
//	   ↑                                  │         │
//	   └────────────── waiting ←──────────┘         └──→ parked
//
// After stop it goes to stopped from any state, once its Poller has ended.
type flow struct {
	conn    *connection
	trigger *Trigger

	mu       sync.Mutex // never held over a call of a function of another package
	phase    phase
	stopping bool
	poller   poller // while polling
	key      string // of the checkpoint; empty before the first start
	timer    *time.Timer
	err      error     // why it waits or is parked
	failures int       // consecutive ends by an error
	began    time.Time // when the present or last Poller was started; zero if it could not be
	counted  counts    // of the present Poller, as far as the worker has counted them
}

type phase uint8

const (
	queued phase = iota
	starting
	polling
	waiting
	parked
	stopped
)

// identity returns the Flow for handlers.
func (fl *flow) identity() Flow {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return Flow{Connection: fl.conn.spec.Name, Trigger: fl.trigger.Name, Key: fl.key}
}

// start is called by the starter.
func (fl *flow) start() {
	fl.mu.Lock()
	if fl.stopping {
		fl.mu.Unlock()
		return
	}
	fl.phase, fl.began = starting, time.Time{}
	fl.mu.Unlock()
	err := errors.New("fleet: Config.Keys or the source of the trigger called runtime.Goexit")
	defer func() {
		if err != nil {
			fl.ended(err)
		}
	}()
	err = fl.open()
}

// open starts a Poller.
func (fl *flow) open() (err error) {
	defer recovered(&err)
	conn := fl.conn
	open, err := conn.shard.worker.fleet.trigger(fl.trigger.Name)
	if err != nil {
		return err
	}
	client, err := conn.open()
	if err != nil {
		return err
	}
	p, err := open(client, conn.pollConfig(fl.trigger), conn.shard.held)
	if err != nil {
		return err
	}
	fl.mu.Lock()
	fl.poller, fl.key, fl.began, fl.counted = p, p.Key(), time.Now(), counts{}
	fl.phase = polling
	fl.mu.Unlock()
	return p.start(flowContext{conn.ctx, fl}, fl.ended)
}

// ended is called when a flow cannot be started, and at the end of its Poller.
func (fl *flow) ended(err error) {
	fl.mu.Lock()
	p := fl.poller
	fl.mu.Unlock()
	// The error of a function of WatchPoller may be that of another call of the API.
	permanent := isPermanent(err)
	if p != nil {
		fl.count(p.Status())
		permanent = permanent && p.Err() != nil
	}
	if err == nil {
		err = errors.New("the function of the trigger has returned")
	}
	fl.mu.Lock()
	fl.poller = nil
	stopping := fl.stopping
	over := !stopping && fl.conn.ctx.Err() != nil // stop is about to be called
	var wait time.Duration
	switch {
	case stopping:
	case over:
		fl.phase = waiting
	case permanent:
		fl.phase, fl.err = parked, err
	default:
		fl.err = err
		wait = fl.wait()
	}
	fl.mu.Unlock()
	log := fl.conn.shard.worker.log.With("connection", fl.conn.spec.Name, "trigger", fl.trigger.Name, "error", err)
	switch {
	case stopping:
		fl.end()
	case over:
	case permanent:
		log.Error("stripe flow parked until its connection is put again")
	default:
		log.Warn("stripe flow has ended, will be started again", "after", wait)
	}
}

// wait lets the flow wait before it is started again. The caller holds mu.
func (fl *flow) wait() time.Duration {
	wait := min(firstWait<<min(fl.failures, 10), maxWait)
	if !fl.began.IsZero() && time.Since(fl.began) > maxWait {
		fl.failures, wait = 0, firstWait // it has worked for long
	}
	fl.failures++
	wait -= rand.N(wait / 4)
	fl.phase = waiting
	fl.timer = time.AfterFunc(wait, func() {
		fl.mu.Lock()
		if fl.phase != waiting || fl.stopping {
			fl.mu.Unlock()
			return
		}
		fl.phase = queued
		fl.mu.Unlock()
		fl.conn.shard.worker.starter.add(fl)
	})
	return wait
}

// stop stops the flow. The context of its Poller has ended. The connection is told
// when it has stopped.
func (fl *flow) stop() {
	fl.mu.Lock()
	fl.stopping = true
	resting := fl.phase == queued || fl.phase == waiting || fl.phase == parked
	if fl.timer != nil {
		fl.timer.Stop()
	}
	fl.mu.Unlock()
	if resting {
		fl.end()
	}
}

// end tells the connection that the flow has stopped.
func (fl *flow) end() {
	fl.mu.Lock()
	fl.phase = stopped
	fl.mu.Unlock()
	fl.conn.flowStopped()
}

// isPermanent reports whether an error will not pass before somebody changes the
// connection or its key.
func isPermanent(err error) bool {
	for _, permanent := range []error{
		stripekit.ErrAuthentication, stripekit.ErrPermission, stripekit.ErrNotFound, stripekit.ErrInvalidRequest,
		stripekit.ErrCheckpointInvalid, stripekit.ErrGap, errUnknownTrigger,
	} {
		if errors.Is(err, permanent) {
			return true
		}
	}
	_, bad := errors.AsType[*stripekit.ParamError](err)
	return bad
}

// recovered makes an error of a panic in a function of the user.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = transport.QuoteError(fmt.Errorf("panic: %v", v))
	}
}
