// Package lease decides which shards a worker of a fleet holds. It is pure: it has
// no clock, starts no goroutine and does no I/O. Its caller carries out the
// operations of Next, reports their ends and what it observes, and calls Next again.
//
// # The protocol
//
// A worker has a session: a record that the engine removes by its own clock, TTL after
// it was stored last. The worker renews it every TTL/4, by compare-and-set. The id of
// a session is random and never used again, so that a session that was removed does
// not come back. For the same reason the first Put of a session is not repeated: if its
// end is unknown, the worker begins another session.
//
// A shard has a claim: a record with the id of a session, which owns the shard, or
// with nothing. A claim changes by compare-and-set alone. A worker claims a shard if
// nobody owns it, or if the session of its owner is gone: it has observed the removal
// of the session, or the engine has told it that there is none. That the session is
// missing in what it has observed is no proof, because a record that changes often may
// be observed later than one that was stored after it.
//
// So at most one worker holds a shard at any time. The right of a holder ends by its
// own clock, TTL - TTL/10 after it sent the last renewal that was acknowledged. The
// engine stored the renewal after that, so the session is not removed before, unless
// one clock runs faster than the other by more than a tenth.
//
// # The shares
//
// The fair share of a worker is the number of shards divided by that of the workers,
// rounded up. A worker claims shards up to its share. If it runs more, it drains the
// surplus: it stops them in order, and then frees their claims. No other shard moves.
//
//	         Claim            Run              surplus           Stopped          Free
//	(none) ───────→ claiming ─────→ running ───────────→ draining ──────→ freeing ────→ (none)
//	                                   └── the right ends ──┴──→ losing ── Stopped ───→ (none)
package lease

import (
	"math/rand/v2"
	"time"
)

// Config configures a Worker.
type Config struct {
	// Name is the name of the worker. Two processes with one name are safe, but they
	// count as one for the fair share.
	Name   string
	Shards int
	TTL    time.Duration
	// Rand chooses among shards.
	Rand *rand.Rand
	// NewID returns a random text for a new session. It must not contain a dot.
	NewID func() string
}

// Kind is the kind of an operation.
type Kind uint8

// The operations.
const (
	Renew Kind = iota // Put the session with its TTL; the first time with revision 0
	Claim             // Put the claim with Session as the owner
	Free              // Put the claim with an empty owner
	Probe             // Get the session
	Leave             // Delete the session
	Run               // start the Pollers of the shard
	Drain             // stop the Pollers of the shard, save, and report Stopped
	Lose              // the right to the shard has ended: stop its Pollers, and report Stopped
)

// Op is an operation that the caller of Next carries out. Run, Drain and Lose have no
// end to report but Stopped, once, after a Drain or Lose.
type Op struct {
	Kind     Kind
	Session  string // own session; of a Probe the other one
	Shard    int
	Revision uint64    // expected by the compare-and-set
	Sent     time.Time // of a Renew: when Next returned it
	Leaving  bool      // of a Renew: the record must say that the worker leaves
}

// Outcome is how an operation on the engine ended.
type Outcome uint8

// The outcomes.
const (
	Done     Outcome = iota // it was carried out; a Probe has found the session
	Conflict                // the stored revision is another one; a Probe has found no session
	Unknown                 // any other error
)

// Worker is the state of a worker. It is not safe for concurrent use.
type Worker struct {
	cfg     Config
	self    session
	leaving bool
	synced  bool // what was observed is complete
	// known is when the worker first knew of the others; zero before.
	known time.Time

	claims   []claim // as observed, by shard
	holdings map[int]*holding
	others   map[string]*other // the sessions of other workers, by id
}

// session is the worker's own session.
type session struct {
	id       string
	revision uint64    // 0 before the first renewal was acknowledged
	begun    time.Time // when the first renewal was acknowledged
	renewed  time.Time // when the last acknowledged renewal was sent
	renewAt  time.Time // when the next renewal is due
	renewing bool
	over     bool // removed, or expired by the worker's own clock
	deleting bool
	left     bool // the worker has deleted it, or tried to
}

// claim is the claim of a shard as observed.
type claim struct {
	owner    string
	revision uint64
	tryAt    time.Time // no other try before: what was observed is out of date
}

// holding is a shard that the worker has something to do with.
type holding struct {
	state    state
	revision uint64 // of the claim
	stale    bool   // a Claim or Free was sent before the last Watching
}

type state uint8

const (
	claiming state = iota
	running
	draining
	losing
	freeing
)

// other is a session of another worker.
type other struct {
	gone    bool // for good
	leaving bool
	seen    time.Time // when it was observed last; zero if it never was
	probing bool
	probeAt time.Time // no Probe before
}

// New returns the state of a worker that begins.
func New(cfg Config) *Worker {
	w := &Worker{cfg: cfg, claims: make([]claim, cfg.Shards), holdings: map[int]*holding{}, others: map[string]*other{}}
	w.begin(time.Time{})
	return w
}

// begin begins another session.
func (w *Worker) begin(renewAt time.Time) {
	w.self = session{id: w.cfg.Name + "." + w.cfg.NewID(), renewAt: renewAt}
}

// Right is the right of a worker to what its session owns. It may be used
// concurrently with the Worker.
type Right struct {
	since time.Time
	ttl   time.Duration
}

// Valid reports whether the right stands. A machine that was suspended may have a
// monotonic clock that stood still meanwhile, and a wall clock may be set back. So
// both must say that the time is not over. If a wall clock is set back by as much as
// its machine was suspended, nothing tells.
func (r Right) Valid(now time.Time) bool {
	if r.since.IsZero() {
		return false
	}
	elapsed := max(now.Sub(r.since), now.Round(0).Sub(r.since.Round(0)))
	return elapsed < r.ttl-r.ttl/10
}

// Ends returns when the right ends by the monotonic clock; zero if there is none.
func (r Right) Ends() time.Time {
	if r.since.IsZero() {
		return time.Time{}
	}
	return r.since.Add(r.ttl - r.ttl/10)
}

// Right returns the present right. It is renewed by Ended.
func (w *Worker) Right() Right {
	if w.self.over || w.self.left {
		return Right{}
	}
	return Right{since: w.self.renewed, ttl: w.cfg.TTL}
}

// Session returns the id of the present session, or "" if it has not begun.
func (w *Worker) Session() string {
	if w.self.revision == 0 || w.self.over {
		return ""
	}
	return w.self.id
}

// Leaves makes Next drain all shards and then end the session. A last renewal tells the
// others, so that they do not wait for the shard that stops last.
func (w *Worker) Leaves() {
	if !w.leaving {
		w.leaving, w.self.renewAt = true, time.Time{}
	}
}

// Left reports whether a worker that leaves has nothing more to do.
func (w *Worker) Left() bool {
	return w.leaving && len(w.holdings) == 0 && !w.self.renewing && (w.self.left || w.self.over || w.self.revision == 0)
}
