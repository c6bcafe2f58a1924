package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// hourlyAtRandom matches the requests of the hourly trigger. Its second poll is
// due at a random time within the hour, so about once in a few hundred runs it
// falls into the test.
var hourlyAtRandom = regexp.MustCompile("every 1h0m0s     [34] calls")

func TestConnectionsAreTestedRunAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory(), stripetest.WithKeys("sk_test_shop"))
		defer server.Close()
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out, server, time.Second, 10*time.Second-1))
		account, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		owner, err := account.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(`Tests:
  mistyped  failed at the key: the service refuses the key: Invalid API Key provided: sk_test_**** (401)
  paused    good: account %[1]s in test mode, API version 2026-08-26.dahlia
  source    good: account %[1]s in test mode, API version 2026-08-26.dahlia

Calls a day of a trigger on a quiet account, and three more to begin with:
  every 15s     5760
  every 1h0m0s    24

Triggers on source, for 9.999999999s:
  every 1s        13 calls, found [2000 usd]
  every 1h0m0s     3 calls, found []

Refused:
  stripe: POST /v1/customers: connection "source": read-only, refuses writes
  stripe: POST /v1/customers: connection "paused": disabled
`, owner.Account.ID), hourlyAtRandom.ReplaceAllString(out.String(), "every 1h0m0s     3 calls"))
		require.Zero(t, server.Count("POST /v1/customers"))
	})
}

func TestADayOfATriggerCostsWhatWasComputed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		connections := stripekit.NewConnections(stripekit.WithHTTPClient(server.Client()))
		require.NoError(t, connections.Add(stripekit.Connection{
			Name: "source", APIKey: stripekit.NewSecret("sk_test_shop"), BaseURL: server.URL, Access: stripekit.ReadOnly,
		}))
		for every, want := range map[time.Duration]int{15 * time.Second: 5760, time.Hour: 24} {
			before := server.Count("GET /v1/charges")
			ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour-1)
			_, calls, err := trigger(ctx, connections, "source", every)
			cancel()
			require.NoError(t, err)
			require.Equal(t, want, callsADay(every))
			require.EqualValues(t, want+3, calls, "the first poll, at once, asks what time it is, too")
			require.EqualValues(t, calls, server.Count("GET /v1/charges")-before)
		}
	})
}
