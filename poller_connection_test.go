package stripekit_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// A Poller on a connection that is updated while it runs continues, unless it would
// mix two accounts or modes.
func TestPollerFollowsItsConnection(t *testing.T) {
	key := func(key string) func(*stripekit.Connection) {
		return func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(key) }
	}
	for name, tt := range map[string]struct {
		change func(*stripekit.Connection)
		want   error
	}{
		"another key of the account": {key("sk_test_one_rolled"), nil},
		"another timeout":            {func(c *stripekit.Connection) { c.Timeout = time.Second }, nil},
		"read-only":                  {func(c *stripekit.Connection) { c.Access = stripekit.ReadOnly }, nil},
		"another account":            {key("sk_test_two"), stripekit.ErrCheckpointInvalid},
		"another mode":               {key("sk_live_one"), stripekit.ErrCheckpointInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				s.interfere(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path != "/v1/account" {
						return nil, nil
					}
					key, _, _ := r.BasicAuth()
					return response(r, 200, fmt.Sprintf(`{"id":"acct_%s"}`, key[len("sk_test_"):len("sk_test_one")])), nil
				})
				connections := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithMaxRetries(0))
				connection := stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret("sk_test_one"), BaseURL: s.server.URL}
				require.NoError(t, connections.Add(connection))
				client, err := connections.Open("shop")
				require.NoError(t, err)
				p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				events, err := p.Start(ctx)
				require.NoError(t, err)
				synctest.Wait()
				sold := s.sell(2)
				require.Equal(t, sold, collect(events, time.Minute))
				pass(time.Second) // no poll is under way

				tt.change(&connection)
				require.NoError(t, connections.Update(connection))
				before := s.listRequests()
				if tt.want == nil {
					sold = s.sell(2)
					require.Equal(t, sold, collect(events, time.Minute))
					require.NoError(t, p.Err())
					return
				}
				s.sell(2)
				require.Empty(t, collect(events, time.Minute))
				require.ErrorIs(t, p.Err(), tt.want)
				require.Equal(t, before, s.listRequests(), "not a page was read")
			})
		})
	}
}
