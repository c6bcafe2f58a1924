package stripetest_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

const testKey = "sk_test_51abcdef1234"

// api is a minimal client of a server.
type api struct {
	t      testing.TB
	server *stripetest.Server
	key    string
	header http.Header
}

// reply is a response with its body read.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// memory returns a client of a new in-memory server.
func memory(t testing.TB, opts ...stripetest.Option) *api {
	server := stripetest.New(append(opts, stripetest.InMemory())...)
	t.Cleanup(server.Close)
	return &api{t: t, server: server, key: testKey}
}

func (a *api) with(name, value string) *api {
	other := *a
	other.header = a.header.Clone()
	if other.header == nil {
		other.header = http.Header{}
	}
	other.header.Set(name, value)
	return &other
}

func (a *api) as(key string) *api {
	other := *a
	other.key = key
	return &other
}

func (a *api) do(method, path, form string) reply {
	a.t.Helper()
	var body io.Reader
	if form != "" {
		body = strings.NewReader(form)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.server.URL+path, body)
	require.NoError(a.t, err)
	maps.Copy(req.Header, a.header)
	if form != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.key != "" {
		req.SetBasicAuth(a.key, "")
	}
	resp, err := a.server.Client().Do(req)
	require.NoError(a.t, err)
	return read(a.t, resp)
}

func read(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	out := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	require.NoError(t, json.Unmarshal(raw, &out.body))
	return out
}

// get and post require success and return the object.
func (a *api) get(path string) map[string]any {
	a.t.Helper()
	r := a.do("GET", path, "")
	require.Equal(a.t, http.StatusOK, r.status, r.raw)
	return r.body
}

func (a *api) post(path, form string) map[string]any {
	a.t.Helper()
	r := a.do("POST", path, form)
	require.Equal(a.t, http.StatusOK, r.status, r.raw)
	return r.body
}

// charge creates a charge with additional parameters and returns its id.
func (a *api) charge(more string) string {
	a.t.Helper()
	return a.post("/v1/charges", "amount=1000&currency=usd&"+more)["id"].(string)
}

// refundsOf returns the list of refunds in a charge.
func (a *api) refundsOf(charge string) map[string]any {
	a.t.Helper()
	return a.get("/v1/charges/" + charge + "?expand[]=refunds")["refunds"].(map[string]any)
}

// failure returns the error in a response.
func (r reply) failure() map[string]any {
	failure, _ := r.body["error"].(map[string]any)
	return failure
}

// page requests a list and returns its ids and has_more.
func (a *api) page(path string, query url.Values) ([]string, bool) {
	a.t.Helper()
	list := a.get(path + "?" + query.Encode())
	require.Equal(a.t, "list", list["object"])
	require.Equal(a.t, path, list["url"])
	ids := []string{}
	for _, object := range list["data"].([]any) {
		ids = append(ids, object.(map[string]any)["id"].(string))
	}
	return ids, list["has_more"].(bool)
}

// clock is a clock that a test sets.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func at(second int64) *clock { return &clock{now: time.Unix(second, 0)} }
