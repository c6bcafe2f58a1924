package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// retries is the maximum number of retries of both clients, so that their
// attempts are comparable.
const retries = 3

// fault is the response of the service to every attempt of a call.
type fault struct {
	status      int
	kind        string // the type of the error in the body
	body        string // "JSON", "HTML", "empty" or "truncated"
	shouldRetry string // the header Stripe-Should-Retry
	retryAfter  string // "", "seconds" or "date"
	method      string
	network     error // instead of a response
	slow        bool  // the body stops in the middle and never continues
}

// retryAfter is the wait of the Retry-After header, if a fault has one.
const retryAfter = 2 * time.Second

// wireOf is a transport that responds with a fault, and records what the
// clients sent.
type wireOf struct {
	fault
	attempts int
	keys     map[string]bool // values of Idempotency-Key
}

func (w *wireOf) RoundTrip(r *http.Request) (*http.Response, error) {
	w.attempts++
	w.keys[r.Header.Get("Idempotency-Key")] = true
	if w.network != nil {
		return nil, w.network
	}
	now := time.Now()
	header := http.Header{
		"Date":         {now.UTC().Format(http.TimeFormat)},
		"Request-Id":   {"req_" + strconv.Itoa(w.attempts)},
		"Content-Type": {"application/json"},
	}
	if w.shouldRetry != "" {
		header.Set("Stripe-Should-Retry", w.shouldRetry)
	}
	switch w.retryAfter {
	case "seconds":
		header.Set("Retry-After", "2")
	case "date":
		// HTTP dates have no fraction, so the date is rounded up: one second
		// more is never too early.
		header.Set("Retry-After", now.Add(retryAfter).UTC().Format(http.TimeFormat))
	}
	if w.kind == "rate_limit" {
		header.Set("Stripe-Rate-Limited-Reason", "endpoint-rate")
	}
	resp := &http.Response{
		StatusCode: w.status, Status: strconv.Itoa(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Request: r, ContentLength: -1,
	}
	resp.Body = w.bodyOf(r.Context())
	if w.body == "HTML" {
		header.Set("Content-Type", "text/html")
	}
	return resp, nil
}

func (w *wireOf) bodyOf(ctx context.Context) io.ReadCloser {
	json := fmt.Sprintf(`{"error": {"type": "invalid_request_error", "code": %q, "message": "no"}}`, w.kind)
	switch {
	case w.slow:
		return io.NopCloser(io.MultiReader(strings.NewReader(json[:20]), stuck{ctx}))
	case w.body == "HTML":
		return io.NopCloser(strings.NewReader("<html><h1>Bad gateway</h1></html>"))
	case w.body == "empty":
		return io.NopCloser(strings.NewReader(""))
	case w.body == "truncated":
		return io.NopCloser(io.MultiReader(strings.NewReader(json[:20]), broken{}))
	default:
		return io.NopCloser(strings.NewReader(json))
	}
}

// broken is the body of a connection that is reset in the middle.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// stuck is the body of a connection that receives nothing any more.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// result is how a client handled a fault.
type result struct {
	attempts int
	keys     int // number of different idempotency keys; a missing key counts as one
	noKey    bool
	took     time.Duration
	err      error
}

func callOurs(ctx context.Context, f fault, timeout time.Duration) result {
	w := &wireOf{fault: f, keys: map[string]bool{}}
	client, err := stripekit.New(mock.Key, stripekit.WithBaseURL("http://127.0.0.1:1"),
		stripekit.WithHTTPClient(&http.Client{Transport: w}), stripekit.WithMaxRetries(retries), stripekit.WithTimeout(timeout))
	if err != nil {
		return result{err: err}
	}
	start := time.Now()
	if f.method == http.MethodPost {
		_, err = client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: new("Jenny")})
	} else {
		_, err = client.Customers.Get(ctx, "cus_1")
	}
	return result{w.attempts, len(w.keys), w.keys[""], time.Since(start), err}
}

func callTheirs(ctx context.Context, f fault, timeout time.Duration) result {
	w := &wireOf{fault: f, keys: map[string]bool{}}
	client := stripe.NewClient(mock.Key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL:               new("http://127.0.0.1:1"),
		HTTPClient:        &http.Client{Transport: w, Timeout: timeout},
		MaxNetworkRetries: new(int64(retries)),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	start := time.Now()
	var err error
	if f.method == http.MethodPost {
		_, err = client.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Name: new("Jenny")})
	} else {
		_, err = client.V1Customers.Retrieve(ctx, "cus_1", nil)
	}
	return result{w.attempts, len(w.keys), w.keys[""], time.Since(start), err}
}

// responses returns every fault that is a response.
func responses() (faults []fault) {
	kinds := []fault{
		{status: 400, kind: "parameter_missing"},
		{status: 402, kind: "card_declined"},
		{status: 404, kind: "resource_missing"},
		{status: 409, kind: "idempotency_key_in_use"},
		{status: 429, kind: "rate_limit"},
		{status: 429, kind: "lock_timeout"},
		{status: 500, kind: "api_error"},
		{status: 503, kind: "api_error"},
	}
	for _, f := range kinds {
		for _, f.body = range []string{"JSON", "HTML", "empty", "truncated"} {
			for _, f.shouldRetry = range []string{"", "true", "false"} {
				for _, f.retryAfter = range []string{"", "seconds", "date"} {
					for _, f.method = range []string{http.MethodGet, http.MethodPost} {
						faults = append(faults, f)
					}
				}
			}
		}
	}
	return faults
}

// wanted returns how many attempts Stripe's rules ask for. The header
// Stripe-Should-Retry takes precedence; otherwise conflicts, rate limits, failures
// of the service and broken connections are retried.
func (f fault) wanted() int {
	again := f.status == 409 || f.status == 429 || f.status >= 500 || f.body == "truncated"
	if f.shouldRetry != "" {
		again = f.shouldRetry == "true"
	}
	if again {
		return 1 + retries
	}
	return 1
}

var kindOf = map[int]error{
	400: stripekit.ErrInvalidRequest, 402: stripekit.ErrCardDeclined, 404: stripekit.ErrNotFound, 409: stripekit.ErrConflict,
	429: stripekit.ErrRateLimited, 500: stripekit.ErrAPI, 503: stripekit.ErrAPI,
}

// TestFaultTable tests both clients with the same faults. Every cell of ours is
// asserted; theirs is measured, for the table in the README.
func TestFaultTable(t *testing.T) {
	summary := newSummary()
	for _, f := range responses() {
		synctest.Test(t, func(t *testing.T) {
			name := fmt.Sprintf("%d %s, %s, Should-Retry %q, Retry-After %q, %s", f.status, f.kind, f.body, f.shouldRetry, f.retryAfter, f.method)
			ours := callOurs(t.Context(), f, time.Minute)
			require.Equal(t, f.wanted(), ours.attempts, name)
			kind := kindOf[f.status]
			if f.status == http.StatusNotFound && f.body != "JSON" {
				kind = stripekit.ErrAPI // no word of Stripe's about the object
			}
			require.ErrorIs(t, ours.err, kind, name)
			require.Equal(t, 1, ours.keys, "%s: one idempotency key for all attempts", name)
			require.Equal(t, f.method == http.MethodGet, ours.noKey, name)

			waits := ours.attempts - 1
			least, most := time.Duration(waits)*350*time.Millisecond, time.Duration(waits)*1500*time.Millisecond
			if f.retryAfter != "" {
				least, most = time.Duration(waits)*retryAfter, time.Duration(waits)*(retryAfter+time.Second)
			}
			require.GreaterOrEqual(t, ours.took, least, name)
			require.LessOrEqual(t, ours.took, most, name)

			unknown := f.method == http.MethodPost && (f.status >= 500 || f.status == 409)
			require.Equal(t, unknown, errors.Is(ours.err, stripekit.ErrOutcomeUnknown), name)

			summary.add(f, ours, callTheirs(t.Context(), f, time.Minute))
		})
	}
	t.Logf("\n%s", summary)
}

// TestFaultTableOfTheNetwork tests calls without a complete response.
func TestFaultTableOfTheNetwork(t *testing.T) {
	const timeout = 10 * time.Second
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	rows := []struct {
		name    string
		fault   fault
		cause   error
		unknown bool // whether a POST may have been executed
	}{
		{"connection refused", fault{network: refused}, syscall.ECONNREFUSED, false},
		{"reset before the headers", fault{network: reset}, syscall.ECONNRESET, true},
		{"reset after the headers", fault{status: 200, body: "truncated"}, io.ErrUnexpectedEOF, true},
		{"body that stops half way", fault{status: 200, slow: true}, context.DeadlineExceeded, true},
	}
	var out strings.Builder
	fmt.Fprintf(&out, "| fault | stripekit: attempts | keys | stripe-go: attempts | keys |\n|---|---|---|---|---|\n")
	for _, row := range rows {
		for _, row.fault.method = range []string{http.MethodGet, http.MethodPost} {
			synctest.Test(t, func(t *testing.T) {
				name := row.fault.method + ", " + row.name
				ours := callOurs(t.Context(), row.fault, timeout)
				require.Equal(t, 1+retries, ours.attempts, name)
				require.ErrorIs(t, ours.err, row.cause, name)
				require.Equal(t, 1, ours.keys, name)
				require.Equal(t, row.unknown && row.fault.method == http.MethodPost, errors.Is(ours.err, stripekit.ErrOutcomeUnknown), name)
				theirs := callTheirs(t.Context(), row.fault, timeout)
				fmt.Fprintf(&out, "| %s | %d | %d | %d | %d |\n", name, ours.attempts, ours.keys, theirs.attempts, theirs.keys)
			})
		}
	}
	t.Logf("\n%s", &out)
}

// TestCancelledContextEndsTheBackoff cancels during the wait after the first
// attempt, and measures how long the call continues.
func TestCancelledContextEndsTheBackoff(t *testing.T) {
	for _, header := range []string{"", "seconds"} {
		synctest.Test(t, func(t *testing.T) {
			f := fault{status: 503, kind: "api_error", body: "HTML", retryAfter: header, method: http.MethodGet}
			const deadline = 200 * time.Millisecond
			past := func(call func(context.Context, fault, time.Duration) result) (time.Duration, error) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				r := call(ctx, f, time.Minute)
				return r.took - deadline, r.err
			}
			ours, err := past(callOurs)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.LessOrEqual(t, ours, 50*time.Millisecond)
			theirs, _ := past(callTheirs)
			t.Logf("time past the deadline, Retry-After %q: stripekit %s, stripe-go %s", header, ours, theirs)
		})
	}
}
