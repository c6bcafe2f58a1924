package stripekit

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/duration"
	"github.com/stripekit/stripekit/internal/tail"
	"github.com/stripekit/stripekit/internal/transport"
)

// Start is the second from which a Poller delivers objects if there is no
// checkpoint: FromNow, FromBeginning or FromTime.
type Start int64

const (
	// FromNow delivers the objects that are created from the moment of Poller.Start
	// on, by the service's clock.
	FromNow Start = 0
	// FromBeginning delivers all objects, the oldest first.
	FromBeginning Start = 1
)

// FromTime returns the Start for the objects that were created at t or later, to
// the second. For the zero time it returns FromBeginning.
func FromTime(t time.Time) Start { return Start(max(t.Unix(), int64(FromBeginning))) }

// PollConfig configures a Poller. The zero value is valid.
type PollConfig struct {
	// Every is the time between two polls, to 10 ms; 0 is 15 s. The minimum is 1 µs,
	// which polls without a pause: 15 without time.Second is 15 ns, and an error. A list
	// that gets more than four pages of new objects in that time is polled more often,
	// which costs no additional requests. So that Pollers do not poll at the same moment,
	// the first poll is at a random time within Every after Start. With FromNow and no
	// checkpoint it is the second poll, and the first is at once.
	Every time.Duration
	// From is where to begin if there is no checkpoint; 0 is FromNow.
	From Start
	// Overlap is how long after its created second an object may become visible
	// and still be delivered; 0 is 10 minutes. The minimum is one second, and the
	// maximum 29 days for events and changes, which Stripe keeps for 30 days.
	Overlap time.Duration
	// Checkpoints keeps which events were acknowledged. If nil, a Poller does not
	// continue where an earlier one ended.
	Checkpoints CheckpointStore
	// Name distinguishes flows on the same list: each has its own checkpoint. The
	// lists of different connections, connected accounts (WithAccount), modes and
	// filters have different checkpoints anyway. Clients made by New with the keys
	// of different accounts need different Names in one store: a Poller that finds
	// the checkpoint of another account ends with ErrCheckpointInvalid. "" is a
	// valid name.
	Name string
	// MaxUnacked is the most events that the reader may have without an
	// acknowledgement; 0 is 1000. If that many events are unacknowledged, delivered
	// or not, the Poller makes no request. Afterwards it goes on where it was, and loses
	// nothing but objects that were created and deleted meanwhile.
	MaxUnacked int
	// MaxAttempts is how often an event is delivered before it is given up, as
	// after Term; 0 is no limit.
	MaxAttempts int
	// OnGiveUp is called for an event that is given up by Term or MaxAttempts, for
	// example to store a dead letter. The Object of e points to the *T, as in
	// (*e.Object).(*Charge), and is nil if the event has a DecodeErr. If OnGiveUp
	// returns nil, the event counts as acknowledged. After an error or a panic the event
	// is redelivered. The acknowledgement is saved later, as after Ack: if the process
	// crashes before, OnGiveUp is called again with an event of the same ID. ctx ends
	// with the Poller. There is one call at a time. If OnGiveUp is nil, the event is
	// logged and counts as acknowledged.
	OnGiveUp func(ctx context.Context, e Event[any], reason error) error
	// Workers is how many events Run and Handle handle at a time; 0 is 1. With more than
	// one, events may be handled in another order than delivered.
	Workers int
	// Logger logs starts, late objects, failures and ends. If nil, nothing is
	// logged.
	Logger *slog.Logger
	// Observe is called with the status, for metrics: after every poll, after every
	// failed request or save, and once every Every in a long poll. It runs
	// concurrently with the Poller, one call at a time. At its end the Poller waits
	// up to 10 s for a call to return. If nil, it is not called.
	Observe func(PollStatus)
}

func (c PollConfig) withDefaults() (PollConfig, error) {
	err := firstError(duration.CheckFrom("stripe: PollConfig.Every", c.Every, time.Microsecond), duration.Check("stripe: PollConfig.Overlap", c.Overlap))
	if err != nil {
		return c, err
	}
	for name, bad := range map[string]bool{
		"From": c.From < 0, "MaxUnacked": c.MaxUnacked < 0, "Workers": c.Workers < 0,
		"MaxAttempts": c.MaxAttempts < 0, "Overlap": c.Overlap > 0 && c.Overlap < time.Second,
	} {
		if bad {
			return c, fmt.Errorf("stripe: PollConfig.%s is out of range", name)
		}
	}
	c.Every = cmp.Or(c.Every, 15*time.Second)
	c.Overlap = cmp.Or(c.Overlap, 10*time.Minute)
	c.MaxUnacked = cmp.Or(c.MaxUnacked, 1000)
	c.Workers = cmp.Or(c.Workers, 1)
	if c.Logger == nil {
		c.Logger = discard
	}
	return c, nil
}

// Poller delivers the new objects of a list as events, each once and the oldest
// first, even if processes crash, objects become visible late or are deleted, and
// pages shift. Between two polls it uses a timer and no goroutine.
type Poller[T any] struct {
	// The work is divided among roles: fetching, delivering, saving, giving up and
	// observing. Each role is at most one goroutine, which ends when it has nothing
	// to do. kick starts the roles that have something to do.

	source    source[T]
	cfg       PollConfig
	mode      Mode
	renewable bool // see Client.renewable
	key       string
	claim     string   // random; marks the checkpoints of this Poller
	seed      [16]byte // of the hashes in the checkpoint; from Start
	log       *slog.Logger
	events    chan Event[T] // made by Start

	ctx     context.Context // from Start
	cancel  context.CancelFunc
	handler *handler[T] // nil after Start, whose caller receives the events

	// Used by the fetching role alone.
	last     lastPage
	identity *keyIdentity         // of the key that identify has checked; nil before
	held     map[int]*incoming[T] // the objects that a reading has found so far, by tail.Fresh.Ref

	// revision is that of the checkpoint last saved or loaded. doubts has the hashes of
	// what was perhaps saved since the last save that succeeded. Only the holder of the
	// save slot may use them.
	revision uint64
	doubts   [][sha256.Size]byte

	// mu is never held over a request, a save, a log call or a callback.
	mu      sync.Mutex
	phase   phase
	err     error
	account string // the account of the checkpoint; empty if unknown
	// accountKey is the hash of the key that account was learned with.
	accountKey [8]byte
	timer      *time.Timer
	timerAt    time.Time // when timer fires; zero if it is not set
	roles      roles
	wake       chan struct{} // wakes the delivering role after an Ack or Nack; nil while it does not run

	tail        *tail.Tail
	drainer     *drainer // nil while no backlog is drained
	queue       *delivery.Queue[*incoming[T]]
	polling     bool          // a poll is in progress, or has failed and continues at pollAt
	paused      bool          // the poll has waited for the reader: it sweeps, although the next poll is due
	pollAt      time.Time     // when the next poll, or the rest of a failed one, is due
	began       time.Time     // when the current poll was due
	beganBefore time.Time     // when the previous poll was due; zero before the second poll
	early       time.Duration // how much the time of the current poll, or of the next one, was rounded down
	failedAt    time.Time     // when the last request failed; zero if it succeeded
	refused     time.Time     // since when the key of a connection has been refused; zero if it is accepted
	spread      bool          // the next poll that is due after Every is due at a random time before that

	wantObserved bool      // Observe must be called
	observedAt   time.Time // when wantObserved was set last
	givenUp      []givenUp // events that await OnGiveUp

	changes     uint64        // counts the changes of the checkpoint
	saved       uint64        // the changes that are saved
	tried       uint64        // the changes at the last attempt to save
	saveAt      time.Time     // no save before
	saveStarted time.Time     // when the current save began; zero in a Commit, whose caller decides how long it takes
	slotFree    chan struct{} // closed when the save slot becomes free; nil if nobody waits for it
	retention   retention
	gap         error     // why the checkpoint must not be saved any more; nil if it may be
	startedAt   time.Time // when a flow with FromNow began; zero once its floor is known

	status       PollStatus
	waitingSince time.Time // since when a request has waited for the rate limits; zero if none waits
}

// phase is the state of a Poller.
type phase uint8

const (
	isNew phase = iota
	isStarting
	isRunning
	isEnding // the context has ended; the last roles finish
	hasEnded // the channel is closed
)

// roles are the goroutines that run.
type roles struct {
	fetching, delivering, saving, givingUp bool
	observing                              chan struct{} // closed when the observing role ends; nil while it does not run
}

// incoming is an event that is not acknowledged.
type incoming[T any] struct {
	event   Event[T]
	key     tail.Key
	foundAt time.Time // by the monotonic clock
}

// givenUp is an event that was given up and awaits OnGiveUp.
type givenUp struct {
	seq     uint64
	attempt int
	reason  error
}

// PollStatus is the current state of a Poller, for metrics. Counts begin with the
// Poller. Why a Poller has ended is in Poller.Err. MarshalJSON has the names of the
// fields in JSON and in logs.
type PollStatus struct {
	LastPoll      time.Time     // when a poll last succeeded, by this machine's clock; zero before. A backlog is one poll, however long that takes
	Lag           time.Duration // the largest age of an unacknowledged event, by the service's clock; 0 if there is none
	OldestUnacked time.Duration // the longest time since an unacknowledged event was found; 0 if there is none
	Requests      uint64        // requests made, without the retries of the client
	Delivered     uint64        // events delivered, without redeliveries
	Late          uint64        // events found after newer ones
	GivenUp       uint64        // events that ended by Term or MaxAttempts
	Unacked       int           // events found and not acknowledged, delivered or not; from PollConfig.MaxUnacked on, the Poller waits for the reader
	Waiting       time.Duration // how long a request has waited for the rate limits of the client, or for other Pollers; 0 if none waits

	Failures   int   // consecutive requests that failed, each after the retries of the client
	LastError  error // of the last poll; nil if it succeeded
	HandlerErr error // the last error of the handler (Run, Handled) or of OnGiveUp; nil after a success of the handler or a Commit
	SaveErr    error // of the last save, or of a save that takes longer than 10 s; nil if it succeeded

	CheckpointBytes int // the size of the checkpoint last saved
}

// errKeyInCheckpoint is returned if the key of a checkpoint would contain a key of Stripe:
// stores write it into names of files and into errors.
var errKeyInCheckpoint = errors.New("stripe: the Name of the configuration, or the filter of the list, " + looksLikeKey)

// NewPoller makes a Poller for a source, such as client.Charges. It makes no
// request. It returns an error if a value of cfg is out of range, or if the source
// comes from Where with an invalid filter.
func NewPoller[T any](src Source[T], cfg PollConfig) (*Poller[T], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := src.source()
	if s.err != nil {
		return nil, s.err
	}
	if kept := s.kept(); kept > 0 && cfg.Overlap > kept-day {
		return nil, fmt.Errorf("stripe: PollConfig.Overlap must be a day less than the %d days for which events are kept", kept/day)
	}
	key := s.checkpointKey(cfg.Name)
	if transport.HasKey(key) {
		return nil, errKeyInCheckpoint
	}
	return &Poller[T]{
		source: s, cfg: cfg,
		mode:      s.client.Mode(),
		renewable: s.client.renewable(),
		key:       key,
		claim:     rand.Text(),
		log:       cfg.Logger.With("resource", s.resource(), "name", cfg.Name),
		last:      newLastPage(),
		queue:     delivery.New[*incoming[T]](cfg.MaxUnacked),
	}, nil
}

// Config returns the configuration, with the default values filled in.
func (p *Poller[T]) Config() PollConfig { return p.cfg }

// Key returns the key of the checkpoint. It identifies the flow: the mode, the
// connection, the connected account, the list with its filter, and PollConfig.Name.
func (p *Poller[T]) Key() string { return p.key }

// Start begins to poll and returns the channel of events. It claims the
// checkpoint: of two Pollers on one checkpoint the newer continues, and the older
// ends with ErrCheckpointConflict at its next save.
//
// The channel is closed when the Poller ends: because ctx was cancelled, or by a
// permanent error, which Err returns. Permanent errors are an invalid key, a
// missing permission, a missing endpoint, a connection that was removed, disabled
// or made write-only, another Poller on the checkpoint, a checkpoint of another
// account, and events that are missing (ErrGap). On a connection a refused key is retried
// for 15 minutes, because an Update may bring another key. With a client of PinKey, a
// refused key ends the Poller at once, and so does an Update to another key.
//
// Start returns an error if the checkpoint cannot be read, used or claimed, or if that
// takes longer than 20 s. Then it may be called again. It also returns an error if the
// Poller was started before.
func (p *Poller[T]) Start(ctx context.Context) (<-chan Event[T], error) { return p.start(ctx, nil) }

// start starts the Poller. Events are sent to the channel if h is nil.
func (p *Poller[T]) start(ctx context.Context, h *handler[T]) (<-chan Event[T], error) {
	p.mu.Lock()
	if p.phase != isNew {
		p.mu.Unlock()
		return nil, errors.New("stripe: the poller was started before")
	}
	p.phase = isStarting
	p.mu.Unlock()

	began := time.Now()
	state, resumed, err := p.claimCheckpoint(ctx, began)
	p.mu.Lock()
	if err != nil {
		p.phase = isNew
		p.mu.Unlock()
		return nil, err
	}
	if p.handler = h; h == nil {
		p.events = make(chan Event[T])
	}
	p.begin(ctx, began, state)
	p.mu.Unlock()
	p.log.Info("stripe poller started", "every", p.cfg.Every, "resumed", resumed)
	return p.events, nil
}

// Err returns the error by which the Poller ended. It is nil while the Poller runs. If
// the Poller ended because its context was cancelled, it is the error of the last save,
// or nil.
func (p *Poller[T]) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Status returns the current state of the Poller.
func (p *Poller[T]) Status() PollStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, s := time.Now(), p.status
	s.Unacked, s.Delivered = p.queue.Len(), p.queue.Delivered()
	for _, in := range p.queue.All() {
		since := now.Sub(in.foundAt)
		s.OldestUnacked = max(s.OldestUnacked, since)
		if e := in.event; !e.Created.IsZero() && !e.Seen.IsZero() {
			s.Lag = max(s.Lag, e.Seen.Sub(e.Created)+since)
		}
	}
	if !p.waitingSince.IsZero() {
		s.Waiting = now.Sub(p.waitingSince)
	}
	if took := now.Sub(p.saveStarted); p.roles.saving && !p.saveStarted.IsZero() && took > saveTimeout {
		s.SaveErr = fmt.Errorf("stripe: saving checkpoint %q has taken %v so far", p.key, took.Round(time.Second))
	}
	return s
}
