package stripesql

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// At every moment a or b is enabled, after others. A query has to have one of them, or it
// would lack rows.
func TestAccountsAreThoseOfOneMoment(t *testing.T) {
	a := stripekit.Connection{Name: "a", APIKey: stripekit.NewSecret("sk_test_a")}
	b := stripekit.Connection{Name: "b", APIKey: stripekit.NewSecret("sk_test_b")}
	disabled := func(c stripekit.Connection) stripekit.Connection {
		c.Disabled = true
		return c
	}
	for name, replace := range map[string]func(cs *stripekit.Connections, from, to stripekit.Connection) error{
		"by adding and removing": func(cs *stripekit.Connections, from, to stripekit.Connection) error {
			if err := cs.Add(to); err != nil {
				return err
			}
			return cs.Remove(from.Name)
		},
		"by enabling and disabling": func(cs *stripekit.Connections, from, to stripekit.Connection) error {
			_ = cs.Add(disabled(to)) // the first time
			if err := cs.Update(to); err != nil {
				return err
			}
			return cs.Update(disabled(from))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cs := stripekit.NewConnections()
			const others = 50
			for i := range others {
				require.NoError(t, cs.Add(stripekit.Connection{Name: fmt.Sprintf("_%02d", i), APIKey: a.APIKey}))
			}
			require.NoError(t, cs.Add(a))
			stop, stopped := make(chan struct{}), make(chan error, 1)
			go func() {
				for from, to := a, b; ; from, to = to, from {
					select {
					case <-stop:
						stopped <- nil
						return
					default:
					}
					if err := replace(cs, from, to); err != nil {
						stopped <- err
						return
					}
				}
			}()
			as := &accounts{connections: cs}
			for range 1000 {
				require.Greater(t, len(as.now()), others)
			}
			close(stop)
			require.NoError(t, <-stopped)
		})
	}
}
