package stripekittest

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// testKey is the API key of the clients.
const testKey = "sk_test_stripekittest"

// NewClient returns a client and the in-memory fake Stripe that it calls, which
// is empty. The server is closed when the test ends. A bad option is a t.Fatal.
//
// The options are those of stripekit.New. WithBaseURL and WithHTTPClient have no
// effect: the client reaches the fake and nothing else. Retries are on, with
// their waits; in a bubble of testing/synctest these take no time. For a server
// with options of its own, such as another clock, use stripetest.New. So does the test
// of a transport, which can wrap that of stripetest.Server.Client.
func NewClient(t testing.TB, opts ...stripekit.Option) (*stripekit.Client, *stripetest.Server) {
	t.Helper()
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	return newClient(t, server.URL, server.Client(), opts), server
}

// newClient returns a client that makes its requests by httpClient, whatever the
// options say.
func newClient(t testing.TB, baseURL string, httpClient *http.Client, opts []stripekit.Option) *stripekit.Client {
	t.Helper()
	client, err := stripekit.New(testKey, slices.Concat(opts, []stripekit.Option{
		stripekit.WithBaseURL(baseURL), stripekit.WithHTTPClient(httpClient),
	})...)
	if err != nil {
		t.Fatalf("stripekittest: %v", err)
	}
	return client
}
