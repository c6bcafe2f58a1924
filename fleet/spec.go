package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/duration"
	"github.com/stripekit/stripekit/internal/transport"
)

// Spec describes a connection: an account of Stripe, and the triggers that watch it.
// It has no secret. It is stored in the Engine.
type Spec struct {
	// Name identifies the connection in the fleet. It has the form of
	// stripekit.Connection.Name.
	Name string `json:"name"`
	// Key is a reference to the API key, which Config.Keys resolves: the name of a
	// secret in a vault, for example. A Put of what looks like a key of Stripe is
	// refused.
	Key string `json:"key"`
	// Account is a connected account ("acct_…") that the key acts for. If empty, it
	// is the account of the key.
	Account string `json:"account,omitempty"`
	// BaseURL is the URL of the service; if empty, https://api.stripe.com. See
	// stripekit.WithBaseURL. Whoever may Put a Spec decides with it where the key is
	// sent to.
	BaseURL string `json:"base_url,omitempty"`
	// APIVersion is sent with every request. If empty, it is that of the library.
	APIVersion string `json:"api_version,omitempty"`
	// Triggers are what is watched. Each has a name of Watch or WatchPoller, and
	// occurs once.
	Triggers []Trigger `json:"triggers"`
	// Added is when the connection was added. Its triggers deliver what is created
	// from then on. If zero, a new connection gets the present time, and an existing
	// one keeps what it has.
	Added time.Time `json:"added,omitzero"`
}

// Trigger configures what is watched on a connection. Zero values are the defaults of
// stripekit.PollConfig. The minimum of Every is 1 ms. In JSON, Every and Overlap are in
// nanoseconds.
type Trigger struct {
	Name    string        `json:"name"`
	Every   time.Duration `json:"every,omitempty"`
	Overlap time.Duration `json:"overlap,omitempty"`
	// From is the time from which objects are delivered. If zero, it is 10 s before
	// Spec.Added: so nothing is lost between a Put and the first poll if the clock of
	// the process that called Put is 10 s ahead of that of Stripe.
	From time.Time `json:"from,omitzero"`
}

func (t Trigger) check() error {
	name := fmt.Sprintf("trigger %q", t.Name)
	if err := duration.Check(name+": Every", t.Every); err != nil {
		return err
	}
	if err := duration.Check(name+": Overlap", t.Overlap); err != nil {
		return err
	}
	if t.Overlap > 0 && t.Overlap < time.Second {
		return fmt.Errorf("%s: Overlap is out of range", name)
	}
	return nil
}

// clockTolerance is how far the clock of Put may be ahead of that of the service.
const clockTolerance = 10 * time.Second

// start returns where the trigger begins.
func (t Trigger) start(added time.Time) stripekit.Start {
	if !t.From.IsZero() {
		return stripekit.FromTime(t.From)
	}
	return stripekit.FromTime(added.Add(-clockTolerance))
}

// stored is a Spec in the Engine.
type stored struct {
	Spec
	// Generation is random. A connection that is removed and added again has another
	// one, and does not continue with the checkpoints of the first one.
	Generation string `json:"generation"`
}

// The kinds of records.
const (
	sessionPrefix    = "session/"
	claimPrefix      = "claim/"
	connectionPrefix = "connection/"
	reportPrefix     = "report/"
	shardsKey        = "fleet/shards"
)

// maxSpec is the largest Spec, in bytes of JSON.
const maxSpec = 64 << 10

// connectionKey returns the key of a connection's record. It has a hash, since a name
// may have characters that a key may not.
func connectionKey(name string) string {
	hash := sha256.Sum256([]byte(name))
	return connectionPrefix + hex.EncodeToString(hash[:16])
}

// shardOf returns the shard of a connection's record, or -1 if its key is none.
func shardOf(key string, shards int) int {
	hash, err := hex.DecodeString(strings.TrimPrefix(key, connectionPrefix))
	if err != nil || len(hash) != 16 {
		return -1
	}
	return int(binary.BigEndian.Uint64(hash) % uint64(shards))
}

// check returns an error if the Spec is invalid. Whether its triggers are watched is
// known to the workers alone.
func (s *Spec) check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("fleet: connection %q: "+format, append([]any{shown(s.Name)}, args...)...)
	}
	switch {
	case transport.HasKey(s.Name):
		return errors.New("fleet: the name of a connection must not be a key")
	case s.Key == "":
		return fail("the reference to its key is empty")
	case transport.HasKey(s.Key):
		return fail("it has a key in place of a reference to one")
	case s.Account != "" && !strings.HasPrefix(s.Account, "acct_"):
		return fail("its account does not begin with acct_")
	case transport.HasKey(s.Account):
		return fail("its account has a key in it")
	case len(s.Triggers) == 0:
		return fail("it has no trigger")
	}
	for i, t := range s.Triggers {
		if t.Name == "" {
			return fail("a trigger has no name")
		}
		if transport.HasKey(t.Name) {
			return fail("the name of a trigger must not be a key")
		}
		if slices.ContainsFunc(s.Triggers[:i], func(other Trigger) bool { return other.Name == t.Name }) {
			return fail("it has the trigger %q twice", t.Name)
		}
		if err := t.check(); err != nil {
			return fail("%w", err)
		}
	}
	// Everything else is checked as the workers do, with a key that is not used.
	_, err := s.connection(stripekit.NewSecret("sk_test_0")).Open()
	if err != nil {
		return fail("%w", err)
	}
	return nil
}

// shown returns a name as an error may show it: a key in its place is masked.
func shown(name string) string {
	return transport.Mask(name[:min(len(name), 100)])
}

func (s *Spec) connection(key stripekit.Secret) stripekit.Connection {
	return stripekit.Connection{
		Name: s.Name, APIKey: key, BaseURL: s.BaseURL, APIVersion: s.APIVersion, Access: stripekit.ReadOnly,
	}
}

// Put adds a connection, or replaces the one with its name. Any process may call it,
// whether it calls Run or not. It makes no request to Stripe. The triggers of a
// connection that was there continue where they are; Put also starts those anew that
// have ended by a permanent error, such as a key that was revoked.
//
// After an error that does not say that the Spec is invalid, the connection was put, or
// not, or is a little later. Put may be repeated.
func (f *Fleet) Put(ctx context.Context, spec Spec) error {
	if err := spec.check(); err != nil {
		return err
	}
	key := connectionKey(spec.Name)
	for {
		old, revision, err := f.get(ctx, key)
		if err == nil {
			next := stored{Spec: spec, Generation: old.Generation}
			if next.Added.IsZero() {
				next.Added = old.Added
			}
			if revision == 0 {
				next.Generation = rand.Text()
			}
			if next.Added.IsZero() {
				next.Added = time.Now()
			}
			next.Added = next.Added.UTC().Round(0)
			err = f.putStored(ctx, key, next, revision)
		}
		switch {
		case errors.Is(err, stripekit.ErrCheckpointConflict) && pause(ctx) == nil: // somebody else has put it
		case err != nil:
			return fmt.Errorf("fleet: putting connection %q: %w", spec.Name, err)
		default:
			return nil
		}
	}
}

// pause waits up to 20 ms, or returns the error of ctx.
func pause(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(1 + mrand.N(20*time.Millisecond))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Fleet) putStored(ctx context.Context, key string, next stored, revision uint64) error {
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if len(value) > maxSpec {
		return fmt.Errorf("it has %d bytes, %d are allowed", len(value), maxSpec)
	}
	_, err = f.cfg.Engine.Put(ctx, key, value, revision, 0)
	return err
}

func (f *Fleet) get(ctx context.Context, key string) (s stored, revision uint64, err error) {
	value, revision, err := f.cfg.Engine.Get(ctx, key)
	if err == nil && revision != 0 {
		err = json.Unmarshal(value, &s)
	}
	return s, revision, err
}

// Remove removes a connection. It returns nil if there is none. Its triggers stop. A
// later Put with its name is another connection, which begins anew. The checkpoints of
// the removed one are deleted by the worker that runs it; if none does, they remain in
// the CheckpointStore, and do no harm.
func (f *Fleet) Remove(ctx context.Context, name string) error {
	key := connectionKey(name)
	for {
		_, revision, err := f.cfg.Engine.Get(ctx, key)
		if err == nil && revision != 0 {
			err = f.cfg.Engine.Delete(ctx, key, revision)
		}
		switch {
		case errors.Is(err, stripekit.ErrCheckpointConflict) && pause(ctx) == nil:
		case err != nil:
			return fmt.Errorf("fleet: removing connection %q: %w", shown(name), err)
		default:
			return nil
		}
	}
}

// List returns all connections, sorted by name.
func (f *Fleet) List(ctx context.Context) ([]Spec, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	byKey, complete := map[string]Spec{}, false
	err := f.cfg.Engine.Watch(ctx, func(key string, value []byte, _ uint64) {
		switch {
		case key == "":
			complete = true
			cancel()
		case complete || !strings.HasPrefix(key, connectionPrefix):
		case value == nil:
			delete(byKey, key)
		default:
			var s stored
			if json.Unmarshal(value, &s) == nil {
				byKey[key] = s.Spec
			}
		}
	})
	if !complete {
		return nil, fmt.Errorf("fleet: listing connections: %w", err)
	}
	specs := make([]Spec, 0, len(byKey))
	for _, s := range byKey {
		specs = append(specs, s)
	}
	slices.SortFunc(specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}
