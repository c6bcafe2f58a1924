package stripekit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// TestStep is a part of the way from a connection to its account.
type TestStep string

// The steps at which a test of a connection fails, in their order.
const (
	StepNameResolution TestStep = "name resolution" // of the service's host
	StepConnection     TestStep = "connection"      // to the service
	StepProxy          TestStep = "proxy"           // to it, or by it
	StepTLS            TestStep = "TLS"             // with the service
	StepKey            TestStep = "key"             // the service knows no such key
	StepPermission     TestStep = "permission"      // the key is good, and may not do this
	StepService        TestStep = "service"         // anything else it answered, or that it did not answer
)

// TestResult is what a test of a connection found.
type TestResult struct {
	// Account is whose key it is. Of a restricted key that may not read its
	// account it has the ID alone, or is nil where that is not told either.
	Account    *Account
	Mode       Mode
	APIVersion string        // of the answer
	Duration   time.Duration // of the request
}

// TestError tells where the test of a connection failed, in one sentence without
// secrets.
type TestError struct {
	Connection string // its name
	Step       TestStep
	Reason     string // without name and step

	cause error
}

// Error is the name of the connection, the step and the reason.
func (e *TestError) Error() string {
	return fmt.Sprintf("stripe: connection %q: %s: %s", e.Connection, e.Step, e.Reason)
}

// Unwrap is the *Error of the request, which wraps a failure of the network in
// its turn.
func (e *TestError) Unwrap() error { return e.cause }

// Test asks the service for the account of the connection of a name, once and
// without retries. It does so for a connection that is disabled or write-only as
// well: it is the connection's maker who asks, and nothing of the account's
// business is read. A failure is a *TestError, an unknown name ErrNoConnection.
// It takes as long as the connection's Timeout allows, or ctx.
func (cs *Connections) Test(ctx context.Context, name string) (*TestResult, error) {
	cs.mu.RLock()
	l, err := cs.named(name)
	if err != nil {
		cs.mu.RUnlock()
		return nil, err
	}
	cfg, now, key := l.config(), l.current.Load(), l.plan.key()
	cs.mu.RUnlock()

	cfg.MaxRetries = 0
	trial := &core{transport: now.transport.Renew(cfg), identity: now.identity, version: now.version}
	var current atomic.Pointer[core]
	current.Store(trial)
	way := newWay(cfg.HTTP, cfg.BaseURL)
	result := &TestResult{Mode: trial.identity.mode}
	var resp Response
	start := time.Now()
	result.Account, err = newClient(&current).check(way.traced(ctx), trial, CaptureResponse(&resp))
	result.Duration = time.Since(start)
	result.APIVersion = resp.Header.Get("Stripe-Version")
	switch e, _ := errors.AsType[*Error](err); {
	case err == nil:
		return result, nil
	case strings.HasPrefix(key, "rk_") && e != nil && e.HTTPStatus == http.StatusForbidden && e.Type != "":
		if id := accountNamed(err); id != "" {
			result.Account = &Account{ID: id, Mode: result.Mode}
		}
		return result, nil
	default:
		return nil, way.failed(name, err)
	}
}

// way is the way to a service, and how far a request came on it.
type way struct {
	host       string
	proxy      *url.URL // nil for none
	reached    atomic.Int64
	handshakes atomic.Int64
}

// The places that a request passes. The later, the further it came.
const (
	atStart int64 = iota
	atName
	atHost
	atProxy
	atTLS
	atService
)

func newWay(client *http.Client, base string) *way {
	w := new(way)
	req, err := http.NewRequest(http.MethodGet, base, nil)
	if err != nil {
		return w
	}
	w.host = req.URL.Host
	if t, ok := cmp.Or(client.Transport, http.DefaultTransport).(*http.Transport); ok && t.Proxy != nil {
		w.proxy, _ = t.Proxy(req)
	}
	return w
}

func (w *way) traced(ctx context.Context) context.Context {
	at := func(place int64) {
		// A second attempt to connect may be later than what the first one led to.
		for {
			before := w.reached.Load()
			if before >= place || w.reached.CompareAndSwap(before, place) {
				return
			}
		}
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { at(atName) },
		ConnectStart: func(string, string) { at(atHost) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				at(atProxy)
			}
		},
		TLSHandshakeStart: func() {
			if w.handshakes.Add(1) == 1 && w.proxy != nil && w.proxy.Scheme == "https" {
				return // with the proxy
			}
			at(atTLS)
		},
		GotConn: func(httptrace.GotConnInfo) { at(atService) },
	})
}

// failed is the error of a test whose request failed.
func (w *way) failed(name string, err error) error {
	step, detail := w.step(err), err.Error()
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e.cause != nil:
		detail = e.cause.Error()
	case ok:
		detail = fmt.Sprintf("%s (%d)", e.Message, e.HTTPStatus)
	}
	reason := map[TestStep]string{
		StepNameResolution: "there is no address for " + w.host,
		StepConnection:     "there is no connection to " + w.host,
		StepProxy:          "there is no way through the proxy" + w.proxyName(),
		StepTLS:            "there is no secure connection to " + w.host,
		StepKey:            "the service refuses the key",
		StepPermission:     "the key is good, but may not do this",
		StepService:        "the service gives no good answer",
	}[step]
	return &TestError{Connection: name, Step: step, Reason: reason + ": " + detail, cause: err}
}

// proxyName is the proxy without its user and password.
func (w *way) proxyName() string {
	if w.proxy == nil {
		return ""
	}
	return " " + w.proxy.Scheme + "://" + w.proxy.Host
}

// step is where it failed: the error knows best, and the way itself knows where
// time ran out or a connection broke.
func (w *way) step(err error) TestStep {
	if e, ok := errors.AsType[*Error](err); ok && e.HTTPStatus != 0 {
		switch e.HTTPStatus {
		case http.StatusProxyAuthRequired:
			return StepProxy
		case http.StatusUnauthorized:
			return StepKey
		case http.StatusForbidden:
			return StepPermission
		}
		return StepService
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "proxyconnect" || op.Op == "socks connect") {
		return StepProxy
	}
	reached := w.reached.Load()
	if w.proxy != nil && reached > atStart && reached < atTLS {
		return StepProxy
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok || reached == atName {
		return StepNameResolution
	}
	if badTLS(err) || reached == atTLS {
		return StepTLS
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" || reached == atHost || reached == atProxy {
		return StepConnection
	}
	return StepService
}

func badTLS(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert
}
