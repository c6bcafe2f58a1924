package conformance_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// startMock serves a description until the test ends.
func startMock(t *testing.T, description mock.Description) *mock.Server {
	t.Helper()
	server, err := mock.Start(description)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

// newClient returns a client of the library, and its transport.
func newClient(t *testing.T, key, baseURL string, opts ...stripekit.Option) (*stripekit.Client, *wire) {
	t.Helper()
	w := &wire{transport: new(http.Transport)}
	t.Cleanup(w.transport.CloseIdleConnections)
	client, err := stripekit.New(key, append([]stripekit.Option{
		stripekit.WithBaseURL(baseURL),
		stripekit.WithHTTPClient(&http.Client{Transport: w}),
		stripekit.WithMaxRetries(0),
	}, opts...)...)
	require.NoError(t, err)
	return client, w
}

// wire is a transport that keeps the parameters and the header of the last
// request.
type wire struct {
	transport *http.Transport
	requests  int
	header    http.Header
	params    url.Values
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	encoded := r.URL.RawQuery
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		encoded += string(body)
	}
	params, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, err
	}
	w.requests, w.header, w.params = w.requests+1, r.Header.Clone(), params
	return w.transport.RoundTrip(r)
}

var index = regexp.MustCompile(`\[\d+\]`)

// names returns the parameters of the last request, such as
// "shipping[address][line1]" or "tax_id_data[][type]".
func (w *wire) names() []string {
	names := map[string]bool{}
	for name := range w.params {
		names[index.ReplaceAllString(name, "[]")] = true
	}
	return slices.Sorted(maps.Keys(names))
}
