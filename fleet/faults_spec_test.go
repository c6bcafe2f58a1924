package fleet_test

import (
	"context"
	"fmt"
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
		"the name":                    func(s *fleet.Spec) { s.Name = "shop sk_live_0123456789" },
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
