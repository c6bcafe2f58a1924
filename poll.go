package stripekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit/internal/tail"
)

// Start is the second from which a Poller delivers objects where it finds no
// checkpoint.
type Start int64

const (
	// FromNow delivers what is created from the first poll on, by the
	// service's clock.
	FromNow Start = 0
	// FromBeginning delivers everything, the oldest first.
	FromBeginning Start = 1
)

// FromTime delivers what was created at t or later, to the second.
func FromTime(t time.Time) Start { return Start(max(t.Unix(), int64(FromBeginning))) }

// PollConfig configures a Poller. Its zero value is good.
type PollConfig struct {
	// Every is the time between two polls; 0 is 15 s.
	Every time.Duration
	// From is where to begin without a checkpoint; 0 is FromNow.
	From Start
	// Overlap is how long after its created second an object may become
	// visible and is still delivered; 0 is 10 minutes.
	Overlap time.Duration
	// Checkpoints keeps what was delivered and acknowledged; nil keeps it in
	// memory, for as long as the Poller lives.
	Checkpoints CheckpointStore
	// Name tells flows on the same list apart: each has a checkpoint of its
	// own. So do accounts that share a store: give each a Name, since one that
	// finds the checkpoint of another ends with ErrCheckpointInvalid. "" is a
	// name too.
	Name string
	// MaxUnacked is how many events delivery runs ahead of the oldest one that
	// is not acknowledged; then it waits, and nothing is fetched. 0 is 1000.
	MaxUnacked int
	// Workers is how many events Run handles at a time; 0 is 1. With more than
	// one the order of handling is not that of delivery.
	Workers int
	// Logger is told of starts, late objects, failures and ends; nil is silent.
	Logger *slog.Logger
	// Observe is called with the status after every poll, for metrics; nil is
	// not. It must not block.
	Observe func(PollStatus)
}

const (
	// saveEvery is the least time between two saves of a checkpoint.
	saveEvery = time.Second
	// saveTimeout bounds the save at the end, when the context is over.
	saveTimeout = 10 * time.Second
	// maxRest bounds the time between polls that fail, where Every is less.
	maxRest = time.Minute
)

func (c PollConfig) withDefaults() (PollConfig, error) {
	for name, bad := range map[string]bool{
		"Every": c.Every < 0, "From": c.From < 0, "MaxUnacked": c.MaxUnacked < 0, "Workers": c.Workers < 0,
		"Overlap": c.Overlap < 0 || c.Overlap > 0 && c.Overlap < time.Second,
	} {
		if bad {
			return c, fmt.Errorf("stripe: PollConfig.%s is out of range", name)
		}
	}
	c.Every = cmp.Or(c.Every, 15*time.Second)
	c.Overlap = cmp.Or(c.Overlap, 10*time.Minute)
	c.MaxUnacked = cmp.Or(c.MaxUnacked, 1000)
	c.Workers = cmp.Or(c.Workers, 1)
	if c.Checkpoints == nil {
		c.Checkpoints = new(MemoryStore)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Poller delivers the new objects of a list, each once, the oldest first:
// whatever crashes, comes late, is deleted or shifts in between. Between two
// polls it is a timer, and no goroutine.
//
// All that it does, it does in turns, one at a time: fetching, handing over,
// saving. A turn ends when there is nothing left to do until the next poll,
// save or redelivery is due. Ack and Nack come from other goroutines: they note
// what they have to say, and wake the turn, or the timer where none is under
// way.
type Poller[T any] struct {
	source source[T]
	cfg    PollConfig
	mode   Mode
	key    string
	log    *slog.Logger
	events chan Event[T]
	wake   chan struct{}   // tells a turn under way of an Ack or Nack
	ctx    context.Context // from Start, for the turns

	// Of the turns alone.
	last  lastPage
	whose *keyIdentity // of the key that was asked whose it is; nil before

	mu      sync.Mutex
	started bool
	running bool // a turn is under way
	stopped bool
	err     error
	timer   *time.Timer
	tail    *tail.Tail
	open    map[uint64]*delivery[T] // found and not acknowledged
	queue   []*delivery[T]          // of these, not handed over yet
	nacked  map[uint64]*delivery[T] // of these, to be handed over again
	status  PollStatus
	pollAt  time.Time
	saveAt  time.Time // no save before
	account string    // whose checkpoint it is, where that is known
	dirty   bool      // there is something to save

	saving   sync.Mutex // held for a save; taken before mu
	revision uint64     // of the checkpoint last saved or loaded
}

// delivery is an event on its way.
type delivery[T any] struct {
	event Event[T]
	again time.Time // when a Nack wants it delivered again
}

// PollStatus is what a Poller is doing.
type PollStatus struct {
	LastPoll  time.Time     // when the last poll ended; zero before
	Lag       time.Duration // how old the oldest event is that is not acknowledged; 0 where there is none
	Requests  uint64        // made in all, without the client's own retries
	Delivered uint64        // events handed over, redeliveries not counted
	Late      uint64        // of these, out of order
	Unacked   int           // events found and not acknowledged
	Failures  int           // polls that failed in a row
	LastError error         // of the last poll or save; nil when it went well
}

// NewPoller makes a Poller for the list of a service, such as client.Charges.
// It makes no request.
func NewPoller[T any](src Source[T], cfg PollConfig) (*Poller[T], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := src.source()
	mode := s.client.Mode()
	return &Poller[T]{
		source: s, cfg: cfg,
		mode:   mode,
		key:    fmt.Sprintf("%s/%s/%s/%s", mode, s.client.account, s.resource(), cfg.Name),
		log:    cfg.Logger.With("resource", s.resource(), "name", cfg.Name),
		events: make(chan Event[T]),
		wake:   make(chan struct{}, 1),
		last:   newLastPage(),
		open:   map[uint64]*delivery[T]{},
		nacked: map[uint64]*delivery[T]{},
	}, nil
}

// Start begins to poll and returns the channel of new objects. It is closed
// when the Poller ends: because ctx was cancelled, or by an error that waiting
// does not cure, which Err returns: a bad key, a missing permission, an endpoint
// that is not there, a connection that was removed, disabled or made write-only,
// another poller on the checkpoint, or a checkpoint that turns out to be another
// account's. Start fails on a checkpoint that cannot be read or used, and the
// second time.
func (p *Poller[T]) Start(ctx context.Context) (<-chan Event[T], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return nil, errors.New("stripe: the poller was started before")
	}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	p.started, p.ctx = true, ctx
	first := time.Duration(rand.Int64N(int64(p.cfg.Every)))
	if !p.tail.Started() {
		first = 0 // FromNow: the first answer says when that is
	}
	p.pollAt = time.Now().Add(first)
	p.timer = time.AfterFunc(first, p.turn)
	context.AfterFunc(ctx, p.stop)
	p.log.Info("stripe poller started", "every", p.cfg.Every)
	return p.events, nil
}

// Run starts the Poller, calls handle for each event, and acknowledges it when
// handle returns nil; on an error the event comes again, after a second first
// and then less and less often. It returns when the Poller ends, with its Err,
// after the last handle has returned and the last acknowledgement is saved. If
// handle panics, the Poller ends without that event acknowledged, and Run
// panics.
func (p *Poller[T]) Run(ctx context.Context, handle func(context.Context, Event[T]) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return err
	}
	var panicked atomic.Value
	var workers sync.WaitGroup
	for range p.cfg.Workers {
		workers.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					panicked.CompareAndSwap(nil, fmt.Sprintf("%v\n\n%s", v, debug.Stack()))
					cancel()
				}
			}()
			for e := range events {
				p.handle(ctx, e, handle)
			}
		})
	}
	workers.Wait()
	for range events { // what is left when every worker has panicked
	}
	p.saveLate()
	if v := panicked.Load(); v != nil {
		panic(v)
	}
	return p.Err()
}

func (p *Poller[T]) handle(ctx context.Context, e Event[T], handle func(context.Context, Event[T]) error) {
	err := handle(ctx, e)
	if err == nil {
		e.Ack()
		return
	}
	p.log.Warn("stripe event not handled, will be delivered again", "id", e.ID, "attempt", e.Attempt, "error", err)
	e.Nack(min(time.Second<<min(e.Attempt-1, 10), 5*time.Minute))
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
	s := p.status
	s.Unacked = len(p.open)
	if p.tail != nil {
		if d := p.open[p.tail.Oldest()]; d != nil && !d.event.Created.IsZero() {
			s.Lag = d.event.Seen.Sub(d.event.Created) + time.Since(s.LastPoll)
		}
	}
	return s
}
