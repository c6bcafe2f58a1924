package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/duration"
)

// Config configures a Fleet. Engine, Checkpoints and Keys are required for Run. Put,
// Remove and List require the Engine alone.
type Config struct {
	// Worker is the name of this process in the fleet, which differs from that of any
	// other: 1 to 60 ASCII letters, digits, "-" and "_", without "-" and "_" at its ends. If
	// empty, it is made of the name of the host and a random text. A process that is
	// started again under its name counts as the same worker.
	Worker string
	// Engine keeps what the workers share.
	Engine Engine
	// Checkpoints keeps the checkpoints of all flows. For sqlstore.RunTx it is a
	// *sqlstore.Store.
	Checkpoints stripekit.CheckpointStore
	// Keys returns the API key for Spec.Key. It is called when a connection is started,
	// and once a minute for a key that the service refuses. An error is not permanent:
	// the connection is tried again. If ctx ends, Keys must return.
	Keys func(ctx context.Context, ref string) (stripekit.Secret, error)
	// Shards is how many parts the connections are divided into, up to 4096; 0 is 512. A worker
	// holds whole shards, so there should be many more shards than workers. The first
	// worker of a fleet decides: for another number all workers must stop, and the
	// record "fleet/shards" be deleted.
	Shards int
	// TTL is how long the others wait for a worker that does not respond, before they
	// take its shards over; 0 is 8 s, the minimum is 2 s, the maximum an hour. All workers
	// must have the same. A worker stops by itself when a tenth of it is left.
	TTL time.Duration
	// HTTP makes the requests of all connections. If nil, it is a client that keeps up
	// to 256 idle connections to a host. Its Timeout is ignored.
	HTTP *http.Client
	// Options are those of the clients of all connections, such as
	// stripekit.WithRateLimit. WithHTTPClient and WithProxy have no place here.
	Options []stripekit.Option
	// MaxAttempts and OnGiveUp are those of stripekit.PollConfig, for all flows.
	// FlowFromContext tells OnGiveUp which flow it is.
	MaxAttempts int
	OnGiveUp    func(ctx context.Context, e stripekit.Event[any], reason error) error
	// Logger logs what the worker does, and the warnings and errors of its flows. If
	// nil, nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Engine == nil {
		return c, errors.New("fleet: Config.Engine is nil")
	}
	if c.Worker == "" {
		host, _ := os.Hostname() // without it, the random text suffices
		c.Worker = workerName(host) + "-" + rand.Text()[:6]
	}
	if workerName(c.Worker) != c.Worker {
		return c, errors.New(`fleet: Config.Worker must have 1 to 60 ASCII letters, digits, "-" and "_", without those at its ends`)
	}
	if err := duration.Check("fleet: Config.TTL", c.TTL); err != nil {
		return c, err
	}
	c.Shards = cmp.Or(c.Shards, 512)
	c.TTL = cmp.Or(c.TTL, 8*time.Second)
	switch {
	case c.Shards < 1 || c.Shards > 4096:
		return c, errors.New("fleet: Config.Shards is out of range")
	case c.TTL < 2*time.Second || c.TTL > time.Hour:
		return c, errors.New("fleet: Config.TTL is out of range")
	case c.MaxAttempts < 0:
		return c, errors.New("fleet: Config.MaxAttempts is out of range")
	}
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
		c.HTTP = &http.Client{Transport: transport}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// workerName returns a valid name that resembles s.
func workerName(s string) string {
	valid := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
	return cmp.Or(strings.Trim(valid[:min(len(valid), 60)], "-_"), "worker")
}

// Fleet is a process of a fleet: a worker if it calls Run, and otherwise one that
// changes and lists connections. It is safe for concurrent use.
type Fleet struct {
	cfg Config

	mu       sync.Mutex
	triggers map[string]trigger
	running  bool
	worker   atomic.Pointer[worker] // of the last Run; nil before
}

// New makes a Fleet. It makes no request. It returns an error if a value of cfg is out
// of range.
func New(cfg Config) (*Fleet, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Fleet{cfg: cfg, triggers: map[string]trigger{}}, nil
}

func (f *Fleet) register(name string, t trigger) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case name == "":
		return errors.New("fleet: the name of a trigger is empty")
	case f.running:
		return fmt.Errorf("fleet: trigger %q: the fleet runs already", name)
	case f.triggers[name] != nil:
		return fmt.Errorf("fleet: trigger %q is watched already", name)
	}
	f.triggers[name] = t
	return nil
}

// errUnknownTrigger: a Spec has a trigger that this process does not watch.
var errUnknownTrigger = errors.New("this worker watches no trigger of this name")

func (f *Fleet) trigger(name string) (trigger, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.triggers[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("fleet: trigger %q: %w", name, errUnknownTrigger)
}

// claimRun makes the caller the one that runs.
func (f *Fleet) claimRun() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.running:
		return errors.New("fleet: Run was called before")
	case f.cfg.Checkpoints == nil || f.cfg.Keys == nil:
		return errors.New("fleet: Run requires Config.Checkpoints and Config.Keys")
	case len(f.triggers) == 0:
		return errors.New("fleet: Run requires a Watch or WatchPoller before")
	}
	f.running = true
	return nil
}
