package stripekittest

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stripekit/stripekit"
)

// Replay returns a client whose responses come from the fixtures in fsys: its
// files with the extension .http, in all of its folders. The package comment
// describes their format and which fixture matches a request. The client is safe
// for concurrent use.
//
// A request that no fixture matches fails the test: t.Errorf names its method,
// path and parameters, and the call returns an error of status 400, without
// retries. A recorded response, such as a 429, is retried as the service's would
// be: WithMaxRetries(0) turns that off. A fixture that no request used is named by
// t.Log when the test ends.
//
// The options are those of stripekit.New. WithBaseURL and WithHTTPClient have no
// effect. A bad option, a fixture that cannot be read, and an fsys without a
// fixture are a t.Fatal.
func Replay(t testing.TB, fsys fs.FS, opts ...stripekit.Option) *stripekit.Client {
	t.Helper()
	fixtures, err := readFixtures(fsys)
	if err != nil {
		t.Fatalf("stripekittest: %v", err)
	}
	r := &replayer{t: t, fixtures: fixtures}
	t.Cleanup(r.end)
	return newClient(t, "https://stripe.test", &http.Client{Transport: r}, opts)
}

// replayer is a transport that has the responses of fixtures.
type replayer struct {
	t testing.TB

	mu       sync.Mutex // guards what follows
	fixtures []*fixture
	ended    bool // t must not be used any more
}

// request is the part of an HTTP request that fixtures are compared with.
type request struct {
	method string
	path   string // unescaped
	params url.Values
}

func (r *replayer) RoundTrip(hreq *http.Request) (*http.Response, error) {
	req, err := readRequest(hreq)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.choose(req); f != nil {
		f.used = true
		return f.response(hreq), nil
	}
	problem := r.unmatched(req)
	if !r.ended {
		r.t.Errorf("stripekittest: %s", problem)
	}
	return refusal(problem).response(hreq), nil
}

func readRequest(hreq *http.Request) (*request, error) {
	encoded := hreq.URL.RawQuery
	if hreq.Body != nil {
		defer hreq.Body.Close()
		body, err := io.ReadAll(hreq.Body)
		if err != nil {
			return nil, err
		}
		if hreq.Method == http.MethodPost {
			encoded = string(body)
		}
	}
	params, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, err
	}
	return &request{method: hreq.Method, path: hreq.URL.Path, params: params}, nil
}

// choose returns the fixture that has the response to a request, or nil. The
// caller holds mu.
func (r *replayer) choose(req *request) *fixture {
	var chosen *fixture
	for _, f := range r.fixtures {
		if !f.matches(req) {
			continue
		}
		more := chosen == nil || len(f.params) > len(chosen.params)
		next := chosen != nil && chosen.used && len(f.params) == len(chosen.params)
		if more || next {
			chosen = f
		}
	}
	return chosen
}

// unmatched says that a request has no fixture, and which fixtures differ from it
// by their parameters alone.
func (r *replayer) unmatched(req *request) string {
	var text strings.Builder
	fmt.Fprintf(&text, "no fixture matches the request %s", describe(req.method, req.path, req.params))
	for _, f := range r.fixtures {
		if f.method == req.method && f.path == req.path {
			fmt.Fprintf(&text, "\n\t%s", f)
		}
	}
	return text.String()
}

// refusal is the response to a request without a fixture. Neither the client nor a
// Poller repeats the request.
func refusal(problem string) *fixture {
	body, _ := json.Marshal(map[string]any{ // strings cannot fail
		"error": map[string]string{"type": "invalid_request_error", "message": problem},
	})
	return &fixture{
		status: http.StatusBadRequest,
		header: http.Header{"Content-Type": {"application/json"}, "Stripe-Should-Retry": {"false"}},
		body:   string(body),
	}
}

// end is called when the test ends. A request that a goroutine makes after that
// has no test that it could fail.
func (r *replayer) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, f := range r.fixtures {
		if !f.used {
			r.t.Logf("stripekittest: no request used the fixture %s", f)
		}
	}
}
