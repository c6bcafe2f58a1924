package stripekittest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

func TestNewClientReachesItsServer(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	charge, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	})
	require.NoError(t, err)
	require.EqualValues(t, "succeeded", charge.Status)
	require.Equal(t, 1, server.Count("POST /v1/charges"))
}

func TestNewClientClosesItsServerAtTheEndOfTheTest(t *testing.T) {
	var client *stripekit.Client
	runTest(t, func(test testing.TB) {
		client, _ = stripekittest.NewClient(test, stripekit.WithMaxRetries(0))
		_, err := client.Check(t.Context())
		require.NoError(t, err)
	})
	_, err := client.Check(t.Context())
	require.Error(t, err)
}

func TestNewClientRefusesABadOption(t *testing.T) {
	got := runTest(t, func(test testing.TB) {
		stripekittest.NewClient(test, stripekit.WithMaxRetries(-1))
		t.Error("the test went on")
	})
	require.Equal(t, "stripekittest: stripe: WithMaxRetries: negative", got.fatal)
}

func TestClientsLeaveTheProcessWithNoOption(t *testing.T) {
	outside := &http.Client{Transport: noNetwork{t}}
	opts := []stripekit.Option{stripekit.WithBaseURL("https://api.stripe.com"), stripekit.WithHTTPClient(outside)}

	client, server := stripekittest.NewClient(t, opts...)
	_, err := client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, server.Count("GET /v1/account"))

	client = stripekittest.Replay(t, files("account.http", "GET /v1/account\n\n{\"id\": \"acct_1\"}"), opts...)
	_, err = client.Check(t.Context())
	require.NoError(t, err)
}

// noNetwork is a transport that must not be used.
type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("%s %s left the process", r.Method, r.URL)
	return nil, http.ErrUseLastResponse
}

func TestNewClientRetriesInTheTimeOfABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := stripekittest.NewClient(t, stripekit.WithMaxRetries(1))
		server.Fault("GET /v1/charges", stripetest.First(1), stripetest.RateLimit(stripetest.GlobalRate), stripetest.RetryAfter(30*time.Second))
		start := time.Now()
		_, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{})
		require.NoError(t, err)
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}
