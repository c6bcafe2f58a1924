package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// TestFleetErrorsOfKeysAreNotPermanent: Config.Keys says so.
func TestFleetErrorsOfKeysAreNotPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		fails := true
		a := w.run(w.process("a", func(c *fleet.Config) {
			c.Keys = func(_ context.Context, ref string) (stripekit.Secret, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if fails {
					return stripekit.Secret{}, fmt.Errorf("the secret store of Stripe: %w", stripekit.ErrNotFound)
				}
				return stripekit.NewSecret("sk_test_" + ref), nil
			}
		}))
		w.put(a, 1)
		pass(time.Minute)
		w.mu.Lock()
		fails = false
		w.mu.Unlock()
		pass(10 * time.Minute)
		polled := w.polledSince(0, w.start)
		w.end(a)
		require.True(t, polled)
	})
}

// TestFleetNoErrorShowsAKey: what looks like a key is refused, wherever it was put by
// mistake, and the error does not show it.
func TestFleetNoErrorShowsAKey(t *testing.T) {
	w := &world{t: t}
	p := w.process("a")
	for name, change := range map[string]func(*fleet.Spec){
		"the reference, with a space": func(s *fleet.Spec) { s.Key = " sk_live_0123456789" },
		"the reference, in base64":    func(s *fleet.Spec) { s.Key = "c2tfbGl2ZV8wMTIzNDU2Nzg5" },
		"the name":                    func(s *fleet.Spec) { s.Name = "shop sk_live_0123456789" },
		"the account":                 func(s *fleet.Spec) { s.Account = "acct_sk_live_0123456789" },
		"the base URL":                func(s *fleet.Spec) { s.BaseURL = "https://sk_live_0123456789.example" },
		"the version":                 func(s *fleet.Spec) { s.APIVersion = "sk_live_0123456789" },
		"a trigger":                   func(s *fleet.Spec) { s.Triggers[0].Name = "sk_live_0123456789" },
		"a trigger, twice": func(s *fleet.Spec) {
			s.Triggers = []fleet.Trigger{{Name: "rk_live_0123456789"}, {Name: "rk_live_0123456789"}}
		},
	} {
		s := spec(0)
		change(&s)
		if err := p.Put(t.Context(), s); assert.Error(t, err, name) {
			assert.NotContains(t, err.Error(), "0123456789", name)
		}
	}
	p.dead.Store(true)
	err := p.Remove(t.Context(), "sk_live_0123456789")
	assert.NotContains(t, err.Error(), "0123456789")
}

// TestFleetSecretsInErrorsOfKeysAreMasked: the store of the keys may say what it has.
func TestFleetSecretsInErrorsOfKeysAreMasked(t *testing.T) {
	failure := errors.New("https://user:MARKED@vault.example has no sk_live_MARKED0123456789")
	for name, fails := range map[string]func() error{
		"error": func() error { return failure },
		"panic": func() error { panic(failure) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, shops.Config{})
				var log bytes.Buffer
				a := w.run(w.process("a", func(c *fleet.Config) {
					c.Logger = slog.New(slog.NewTextHandler(&log, nil))
					c.Keys = func(context.Context, string) (stripekit.Secret, error) { return stripekit.Secret{}, fails() }
				}))
				w.put(a, 2)
				pass(20 * time.Minute)
				page := a.pageText(t, "/")
				w.end(a)
				for _, text := range []string{page, log.String()} {
					require.Contains(t, text, "vault.example has no sk_live_****")
					require.NotContains(t, text, "MARKED")
				}
			})
		})
	}
}

// TestFleetRefusesTimesOutOfRange: a number without a unit is nanoseconds, also in the
// JSON of a Spec.
func TestFleetRefusesTimesOutOfRange(t *testing.T) {
	p := (&world{t: t}).process("a")
	for trigger, want := range map[string]string{
		`{"name": "t", "every": -1}`:          `Every must not be negative`,
		`{"name": "t", "every": 15}`:          `Every is 15ns: is the unit missing?`,
		`{"name": "t", "overlap": 600}`:       `Overlap is 600ns: is the unit missing?`,
		`{"name": "t", "overlap": 500000000}`: `Overlap is out of range`,
	} {
		s := spec(0)
		s.Triggers = make([]fleet.Trigger, 1)
		require.NoError(t, json.Unmarshal([]byte(trigger), &s.Triggers[0]))
		require.EqualError(t, p.Put(t.Context(), s), fmt.Sprintf(`fleet: connection %q: trigger "t": %s`, s.Name, want))
	}
	for ttl, want := range map[time.Duration]string{
		-1:          "fleet: Config.TTL must not be negative",
		8:           "fleet: Config.TTL is 8ns: is the unit missing?",
		time.Second: "fleet: Config.TTL is out of range",
	} {
		_, err := fleet.New(fleet.Config{Engine: new(fleet.MemoryEngine), TTL: ttl})
		require.EqualError(t, err, want)
	}
}
