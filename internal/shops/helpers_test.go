package shops_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when the time of a synctest bubble begins

func newStripe(t testing.TB, cfg shops.Config) *shops.Stripe {
	t.Helper()
	if cfg.Start.IsZero() {
		cfg.Start = start
	}
	stripe, err := shops.New(cfg)
	require.NoError(t, err)
	return stripe
}

// response is a response of any kind.
type response struct {
	status int
	header http.Header
	body   string

	ID      string
	Object  string
	URL     string
	HasMore bool `json:"has_more"`
	Data    []struct {
		ID      string
		Object  string
		Created int64
	}
	Error struct{ Type, Code, Param, Message string }
}

func (r *response) ids() []string {
	ids := []string{}
	for _, object := range r.Data {
		ids = append(ids, object.ID)
	}
	return ids
}

func request(t testing.TB, account int, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com"+target, nil)
	require.NoError(t, err)
	r.SetBasicAuth(shops.Key(account), "")
	return r
}

func send(t testing.TB, transport http.RoundTripper, r *http.Request) *response {
	t.Helper()
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, len(content), resp.ContentLength)
	require.Equal(t, fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode)), resp.Status)
	out := &response{status: resp.StatusCode, header: resp.Header, body: string(content)}
	require.NoError(t, json.Unmarshal(content, out), "%s", content)
	return out
}

// get sends a request with the key of an account.
func get(t testing.TB, stripe *shops.Stripe, account int, target string) *response {
	t.Helper()
	return send(t, stripe, request(t, account, target))
}

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }
