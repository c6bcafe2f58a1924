package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

const ttl = 8 * time.Second

// world is a fleet in one process, in the bubble of a test, on shops.
type world struct {
	t      *testing.T
	stripe *shops.Stripe
	engine fleet.MemoryEngine
	disk   stripekit.MemoryStore
	start  time.Time

	mu       sync.Mutex
	events   map[string]int // deliveries of each object
	requests []request
	keys     map[string]string // by reference, where it is not shop<n> itself
	refused  map[string]bool   // keys
	handle   func(ctx context.Context, id string) error
}

// request is a request of a list as a shop has received it.
type request struct {
	worker  string
	account int
	at      time.Time
}

func newWorld(t *testing.T, cfg shops.Config) *world {
	t.Helper()
	w := &world{t: t, start: time.Now(), events: map[string]int{}, keys: map[string]string{}, refused: map[string]bool{}}
	cfg.Start = w.start.Add(-time.Hour)
	if cfg.Period == 0 {
		cfg.Period = 40 * time.Second
	}
	var err error
	w.stripe, err = shops.New(cfg)
	require.NoError(t, err)
	return w
}

// process is a worker of a world.
type process struct {
	*fleet.Fleet
	name string
	dead atomic.Bool // it reaches nothing any more
	stop func() error
}

var errDead = errors.New("the process is cut off")

// RoundTrip, Get, Put, … are what a process reaches.
func (p *process) check() error {
	if p.dead.Load() {
		return errDead
	}
	return nil
}

type processEngine struct {
	fleet.Engine
	p *process
}

func (e processEngine) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := e.p.check(); err != nil {
		return nil, 0, err
	}
	return e.Engine.Get(ctx, key)
}

func (e processEngine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if err := e.p.check(); err != nil {
		return 0, err
	}
	return e.Engine.Put(ctx, key, value, revision, ttl)
}

func (e processEngine) Delete(ctx context.Context, key string, revision uint64) error {
	if err := e.p.check(); err != nil {
		return err
	}
	return e.Engine.Delete(ctx, key, revision)
}

// Watch of a process that is cut off observes nothing, and does not end.
func (e processEngine) Watch(ctx context.Context, observe func(string, []byte, uint64)) error {
	return e.Engine.Watch(ctx, func(key string, value []byte, revision uint64) {
		if e.p.check() == nil {
			observe(key, value, revision)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// process makes a worker that watches the charges and the customers.
func (w *world) process(name string, change ...func(*fleet.Config)) *process {
	w.t.Helper()
	p := &process{name: name}
	cfg := fleet.Config{
		Worker: name, Engine: processEngine{&w.engine, p}, Checkpoints: &w.disk, Shards: 32,
		HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1/c") {
				user, _, _ := r.BasicAuth()
				account, _ := strconv.Atoi(strings.TrimPrefix(user, "sk_test_shop"))
				w.mu.Lock()
				w.requests = append(w.requests, request{name, account, time.Now()})
				w.mu.Unlock()
			}
			return w.stripe.RoundTrip(w.authorized(r))
		})},
		Keys: func(_ context.Context, ref string) (stripekit.Secret, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if key, ok := w.keys[ref]; ok {
				ref = key
			}
			return stripekit.NewSecret("sk_test_" + ref), nil
		},
		Options: []stripekit.Option{stripekit.WithMaxRetries(0)},
		Logger:  slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	p.Fleet, err = fleet.New(cfg)
	require.NoError(w.t, err)
	require.NoError(w.t, fleet.Watch(p.Fleet, "charges", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
		func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error { return w.deliver(ctx, e.ID) }))
	require.NoError(w.t, fleet.Watch(p.Fleet, "customers", func(c *stripekit.Client) stripekit.Source[stripekit.Customer] { return c.Customers },
		func(ctx context.Context, e stripekit.Event[stripekit.Customer]) error { return w.deliver(ctx, e.ID) }))
	return p
}

// authorized returns the request with the key that the shops know: another one for a
// refused key, and that of shop<n> for rolled<n>, which is a new key of the account.
func (w *world) authorized(r *http.Request) *http.Request {
	user, _, _ := r.BasicAuth()
	w.mu.Lock()
	refused := w.refused[user]
	w.mu.Unlock()
	number, rolled := strings.CutPrefix(user, "sk_test_rolled")
	switch {
	case refused:
		user = "sk_test_nobody"
	case rolled:
		user = "sk_test_shop" + number
	default:
		return r
	}
	r = r.Clone(r.Context())
	r.SetBasicAuth(user, "")
	return r
}

func (w *world) deliver(ctx context.Context, id string) error {
	if w.handle != nil {
		if err := w.handle(ctx, id); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events[id]++
	return nil
}

// run starts a worker. stop ends it, and the end of the test does.
func (w *world) run(p *process) *process {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	return p
}

// end stops workers, and waits.
func (w *world) end(all ...*process) {
	w.t.Helper()
	for _, p := range all {
		require.NoError(w.t, p.stop(), p.name)
	}
}

func spec(account int) fleet.Spec {
	return fleet.Spec{
		Name: fmt.Sprintf("shop %d", account), Key: fmt.Sprintf("shop%d", account),
		Triggers: []fleet.Trigger{{Name: "charges"}, {Name: "customers"}},
	}
}

func (w *world) put(p *process, accounts int) {
	w.t.Helper()
	for account := range accounts {
		require.NoError(w.t, p.Put(w.t.Context(), spec(account)))
	}
}

// pass lets the time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// requireAllDelivered requires that the objects created since from were delivered, each
// as often as once says. Those of the last minute may be missing.
func (w *world) requireAllDelivered(accounts int, from time.Time, once bool) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	until := time.Now().Add(-time.Minute)
	lost, twice, created := 0, 0, 0
	for account := range accounts {
		for _, list := range []shops.List{shops.Charges, shops.Customers} {
			for o := range w.stripe.Objects(account, list, from, until) {
				created++
				switch n := w.events[o.ID()]; {
				case n == 0:
					lost++
				case n > 1:
					twice++
				}
			}
		}
	}
	require.NotZero(w.t, created)
	require.Zero(w.t, lost, "lost, of %d", created)
	if once {
		require.Zero(w.t, twice, "delivered twice, of %d", created)
	}
	w.t.Logf("%d created, %d lost, %d twice", created, lost, twice)
}

// pollers returns which workers have polled each account since a time.
func (w *world) pollers(since time.Time) map[int][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	byAccount := map[int]map[string]bool{}
	for _, r := range w.requests {
		if r.at.Before(since) {
			continue
		}
		if byAccount[r.account] == nil {
			byAccount[r.account] = map[string]bool{}
		}
		byAccount[r.account][r.worker] = true
	}
	out := map[int][]string{}
	for account, workers := range byAccount {
		out[account] = slices.Sorted(maps.Keys(workers))
	}
	return out
}
