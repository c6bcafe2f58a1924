package stripekit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/tail"
)

// Start is the second from which a Poller delivers objects where it finds no
// checkpoint.
type Start int64

const (
	// FromNow delivers what is created from the moment of Start on, by the
	// service's clock: however long the first response takes.
	FromNow Start = 0
	// FromBeginning delivers everything, the oldest first.
	FromBeginning Start = 1
)

// FromTime delivers what was created at t or later, to the second.
func FromTime(t time.Time) Start { return Start(max(t.Unix(), int64(FromBeginning))) }

// PollConfig configures a Poller. Its zero value is good.
type PollConfig struct {
	// Every is the time between two polls; 0 is 15 s. A list on which more than
	// four pages appear in that time is polled more often: it costs no more
	// requests.
	Every time.Duration
	// From is where to begin without a checkpoint; 0 is FromNow.
	From Start
	// Overlap is how long after its created second an object may become
	// visible and is still delivered; 0 is 10 minutes.
	Overlap time.Duration
	// Checkpoints keeps what was delivered and acknowledged. If it is nil,
	// nothing is kept beyond the life of the Poller.
	Checkpoints CheckpointStore
	// Name distinguishes flows on the same list: each has a checkpoint of its
	// own. So do the lists of different connections, connected accounts
	// (WithAccount), modes and filters. Clients of New with the keys of different
	// accounts need different Names on one store: a Poller that finds the
	// checkpoint of another account ends with ErrCheckpointInvalid. "" is a name
	// too.
	Name string
	// MaxUnacked is how many events the reader may have without an
	// acknowledgement. With as many in all, nothing more is fetched. 0 is 1000.
	MaxUnacked int
	// MaxAttempts is how often an event is delivered before it is given up, as
	// by Term; 0 is without end.
	MaxAttempts int
	// OnGiveUp is called for an event that is given up, by Term or MaxAttempts:
	// the place for a dead letter. Its Object points to the *T, and is nil where
	// the event has a DecodeErr. Once it returns nil, the event counts as
	// acknowledged; after an error or a panic the event is delivered again. One
	// call is made at a time. If it is nil, the event is logged and counts as
	// acknowledged.
	OnGiveUp func(ctx context.Context, e Event[any], reason error) error
	// Workers is how many events Run handles at a time; 0 is 1. With more than
	// one the order of handling is not that of delivery.
	Workers int
	// Logger is told of starts, late objects, failures and ends. If it is nil,
	// nothing is logged.
	Logger *slog.Logger
	// Observe is called with the status after every poll and every failed save,
	// and in a long poll once every Every, for metrics. It runs beside the
	// Poller, one call at a time. The end of the Poller waits for a call that is
	// under way, but for no more than 10 s. If it is nil, it is not called.
	Observe func(PollStatus)
}

func (c PollConfig) withDefaults() (PollConfig, error) {
	for name, bad := range map[string]bool{
		"Every": c.Every < 0, "From": c.From < 0, "MaxUnacked": c.MaxUnacked < 0, "Workers": c.Workers < 0,
		"MaxAttempts": c.MaxAttempts < 0, "Overlap": c.Overlap < 0 || c.Overlap > 0 && c.Overlap < time.Second,
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
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Poller delivers the new objects of a list, each once, the oldest first:
// whatever crashes, comes late, is deleted or shifts in between. Between two
// polls it is a timer, and no goroutine.
//
// What it does is divided among roles: fetching, delivering, saving, giving up
// and observing. Each is a goroutine that ends when it has nothing to do, and
// there is one of each at the most. kick starts those for which something is due.
type Poller[T any] struct {
	source    source[T]
	cfg       PollConfig
	mode      Mode
	connected bool // the client is one of a Connection
	key       string
	claim     string // marks the checkpoints of this Poller
	log       *slog.Logger
	events    chan Event[T]

	ctx    context.Context // from Start
	cancel context.CancelFunc

	// Of the fetcher.
	last     lastPage
	identity *keyIdentity         // of the key that the account was identified by; nil before
	held     map[int]*incoming[T] // what a reading has found so far

	// revision is of the checkpoint last saved or loaded. The holder of the save
	// slot may use it.
	revision uint64

	// mu is never held over a request, a save, a log call or a callback.
	mu      sync.Mutex
	phase   phase
	err     error
	account string // that the checkpoint belongs to, where that is known
	timer   *time.Timer
	timerAt time.Time // when timer fires; zero if it is not set
	roles   roles
	wake    chan struct{} // tells the deliverer of an Ack or Nack; nil while there is none

	tail        *tail.Tail
	drainer     *drainer // nil while no backlog is drained
	queue       *delivery.Queue[*incoming[T]]
	polling     bool      // a poll is under way, or has failed and goes on at pollAt
	paused      bool      // the poll has waited for the reader: it sweeps, although its time is over
	pollAt      time.Time // when the next poll, or the rest of a failed one, is due
	began       time.Time // when the poll was due
	beganBefore time.Time // when the poll before was due; zero before the second
	failedAt    time.Time // when a request failed; zero if the last one did not
	refused     time.Time // since when the key of a connection is refused; zero if it is not
	spread      bool      // the next poll is due at random, since the first one was not

	wantObserved bool // the observer has something to tell
	observedAt   time.Time
	givenUp      []givenUp

	changes     uint64        // of what a checkpoint holds
	saved       uint64        // the changes that are saved
	tried       uint64        // the changes at the last attempt to save
	saveAt      time.Time     // no save before
	saveStarted time.Time     // of the save under way
	slotFree    chan struct{} // closed when the save slot is free; nil if nobody waits for it
	startedAt   time.Time     // of a flow from now on, until its floor is known

	status       PollStatus
	waitingSince time.Time // for the client's limits
}

// phase is where a Poller is in its life.
type phase uint8

const (
	isNew phase = iota
	isStarting
	isRunning
	isEnding // the context is over; the last roles finish
	hasEnded // the channel is closed
)

// roles are the goroutines that run.
type roles struct {
	fetching, delivering, saving, givingUp bool
	observing                              chan struct{} // closed when it ends; nil while nothing is observed
}

// incoming is an event from when its object was read until it is done.
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

// PollStatus is what a Poller is doing.
type PollStatus struct {
	LastPoll      time.Time     // when the last poll ended; zero before
	Lag           time.Duration // the age of the oldest event that is not acknowledged, by the service's clock; 0 where there is none
	OldestUnacked time.Duration // how long ago the event was found that has waited longest for its acknowledgement; 0 where there is none
	Requests      uint64        // made in all, without the client's own retries
	Delivered     uint64        // events handed over, redeliveries not counted
	Late          uint64        // events found after newer ones
	GivenUp       uint64        // events that ended by Term or MaxAttempts
	Unacked       int           // events found and not acknowledged
	Waiting       time.Duration // how long the request under way has waited for the client's rate limits; 0 while none waits

	Failures   int   // requests that failed in a row
	LastError  error // of the last poll; nil when it went well
	HandlerErr error // that a handler of Run returned last; nil after a success
	SaveErr    error // of the last save, or of one that takes very long; nil when it went well

	CheckpointBytes int // the size of the checkpoint last saved
}

// NewPoller makes a Poller for the list of a service, such as client.Charges. It
// makes no request. It returns an error for a value of cfg that is out of range,
// and for a filter that Where has refused.
func NewPoller[T any](src Source[T], cfg PollConfig) (*Poller[T], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := src.source()
	if s.err != nil {
		return nil, s.err
	}
	return &Poller[T]{
		source: s, cfg: cfg,
		mode:      s.client.Mode(),
		connected: s.client.current.Load().connection != "",
		key:       s.checkpointKey(cfg.Name),
		claim:     rand.Text(),
		log:       cfg.Logger.With("resource", s.resource(), "name", cfg.Name),
		events:    make(chan Event[T]),
		last:      newLastPage(),
		queue:     delivery.New[*incoming[T]](cfg.MaxUnacked),
	}, nil
}

// Start begins to poll and returns the channel of new objects. It claims the
// checkpoint: of two Pollers on one the newest wins, and the older ends with
// ErrCheckpointConflict at its next save.
//
// The channel is closed when the Poller ends: because ctx was cancelled, or by an
// error that waiting does not cure, which Err returns: a bad key, a missing
// permission, an endpoint that is not there, a connection that was removed,
// disabled or made write-only, another Poller on the checkpoint, or a checkpoint
// that turns out to be another account's. On a connection, a key that is refused
// is retried for a quarter of an hour, since an Update may bring another one.
//
// Start returns an error if the checkpoint cannot be read, used or claimed, and
// may then be called again; and the second time.
func (p *Poller[T]) Start(ctx context.Context) (<-chan Event[T], error) {
	p.mu.Lock()
	if p.phase != isNew {
		p.mu.Unlock()
		return nil, errors.New("stripe: the poller was started before")
	}
	p.phase = isStarting
	p.mu.Unlock()

	began := time.Now()
	state, err := p.claimCheckpoint(ctx, began)
	p.mu.Lock()
	if err != nil {
		p.phase = isNew
		p.mu.Unlock()
		return nil, err
	}
	p.begin(ctx, began, state)
	p.mu.Unlock()
	p.log.Info("stripe poller started", "every", p.cfg.Every, "resumed", state.Floor > 0)
	return p.events, nil
}

// Err is why the Poller ended; nil while it runs, and when its context was
// cancelled.
func (p *Poller[T]) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Status tells what the Poller is doing.
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
	if took := now.Sub(p.saveStarted); p.roles.saving && took > saveTimeout {
		s.SaveErr = fmt.Errorf("stripe: saving checkpoint %q has taken %v so far", p.key, took.Round(time.Second))
	}
	return s
}
