package stripekit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/report"
	"github.com/stripekit/stripekit/internal/transport"
)

// CheckStep is a step of the request from a client to its account.
type CheckStep string

// The steps at which a check can fail, in order.
const (
	StepNameResolution CheckStep = "name resolution" // the host of the service has no address
	StepConnection     CheckStep = "connection"      // the service cannot be reached
	StepProxy          CheckStep = "proxy"           // the proxy cannot be reached, or does not reach the service
	StepTLS            CheckStep = "TLS"             // the TLS handshake with the service failed
	StepKey            CheckStep = "key"             // the service does not accept the key
	StepPermission     CheckStep = "permission"      // the service accepts the key, but refuses the request
	StepService        CheckStep = "service"         // any other error response, or no response
)

// CheckResult is the result of a check that succeeded. In JSON it has the fields account,
// mode, api_version and duration_seconds. A log has the id of the account alone.
type CheckResult struct {
	// Account is the account that the key belongs to. A restricted key may lack
	// the permission to read it: then only ID and Mode are set, or Account is nil
	// if the service does not name the account either.
	Account    *Account
	Mode       Mode          // the mode of the key
	APIVersion string        // the API version of the response
	Duration   time.Duration // how long the request took
}

// MarshalJSON writes the result. Without an account, its field is left out.
func (r CheckResult) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Account    *Account `json:"account,omitzero"`
		Mode       Mode     `json:"mode"`
		APIVersion string   `json:"api_version"`
		Duration   float64  `json:"duration_seconds"`
	}{r.Account, r.Mode, r.APIVersion, report.Seconds(r.Duration)})
}

// LogValue returns the result as a group of attributes, for log/slog.
func (r CheckResult) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("mode", string(r.Mode)), slog.String("api_version", r.APIVersion), slog.Float64("duration_seconds", report.Seconds(r.Duration)),
	}
	if r.Account != nil {
		attrs = append(attrs, slog.String("account", r.Account.ID))
	}
	return slog.GroupValue(attrs...)
}

// CheckError is the failure of a check. It contains no secrets. It wraps the
// *Error of the request.
type CheckError struct {
	Connection string    `json:"connection,omitempty"` // its name; empty for a client made by New
	Step       CheckStep `json:"step"`                 // the step that failed
	Reason     string    `json:"reason"`               // for people, without the name and the step

	cause error
}

// Error returns the name of the connection, the step and the reason.
func (e *CheckError) Error() string {
	if e.Connection == "" {
		return fmt.Sprintf("stripe: %s: %s", e.Step, e.Reason)
	}
	return fmt.Sprintf("stripe: connection %q: %s: %s", e.Connection, e.Step, e.Reason)
}

// Unwrap returns the *Error of the request.
func (e *CheckError) Unwrap() error { return e.cause }

// Check requests the account that the key belongs to, to find out whether the
// client works: the "test connection" button of a connector. It makes one
// request, without retries, and takes no longer than the timeout of the client
// and ctx allow.
//
// A restricted key that may not read its account is valid; see CheckResult. A
// failure is a *CheckError. If the request is refused before it is sent, Check
// returns the error that any other call would return.
func (c *Client) Check(ctx context.Context) (*CheckResult, error) {
	current := c.current.Load()
	if _, _, err := c.request(current, http.MethodGet, accountPath, nil, nil); err != nil {
		return nil, err
	}
	return c.check(ctx, current)
}

// Check checks the named connection as Client.Check does, even if it is disabled
// or write-only. It returns ErrNoConnection for an unknown name.
func (cs *Connections) Check(ctx context.Context, name string) (*CheckResult, error) {
	client, err := cs.Open(name)
	if err != nil {
		return nil, err
	}
	return client.check(ctx, client.current.Load())
}

func (c *Client) check(ctx context.Context, current *snapshot) (*CheckResult, error) {
	config := current.config
	config.MaxRetries = 0
	trial := &snapshot{
		transport: current.transport.Renew(config), config: config,
		identity: current.identity, version: current.version,
	}
	trace := newDialTrace(config.Pool.HTTP, config.BaseURL)
	result := &CheckResult{Account: new(Account), Mode: trial.identity.mode}
	var resp Response
	start := time.Now()
	err := c.callWith(trace.traced(ctx), trial, http.MethodGet, accountPath, nil, result.Account, []CallOption{CaptureResponse(&resp)})
	result.Duration = time.Since(start)
	// A server that echoes the request may return the key.
	result.APIVersion = strings.ToValidUTF8(transport.Quote(resp.Header.Get("Stripe-Version")), "\uFFFD")
	result.Account.ID, result.Account.Mode = transport.Quote(result.Account.ID), result.Mode
	switch e, _ := errors.AsType[*Error](err); {
	case err == nil:
		return result, nil
	case strings.HasPrefix(config.Key, "rk_") && e != nil && e.HTTPStatus == http.StatusForbidden && e.fromStripe():
		result.Account = nil
		if id := accountNamed(err); id != "" {
			result.Account = &Account{ID: id, Mode: result.Mode}
		}
		return result, nil
	default:
		return nil, trace.failed(current.connection, err)
	}
}

// dialTrace records how far a request got on its way to a service.
type dialTrace struct {
	host       string
	proxy      *url.URL     // nil if there is none
	reached    atomic.Int64 // the last place: atStart to atService
	handshakes atomic.Int64 // TLS handshakes begun
}

// The places that a request passes, in order.
const (
	atStart int64 = iota
	atName
	atHost
	atProxy
	atTLS
	atService
)

func newDialTrace(client *http.Client, base string) *dialTrace {
	t := new(dialTrace)
	req, err := http.NewRequest(http.MethodGet, base, nil)
	if err != nil {
		return t
	}
	t.host = req.URL.Host
	if own, ok := cmp.Or(client.Transport, http.DefaultTransport).(*http.Transport); ok && own.Proxy != nil {
		t.proxy, _ = own.Proxy(req)
	}
	return t
}

// traced returns a context that records the places of a request.
func (t *dialTrace) traced(ctx context.Context) context.Context {
	at := func(place int64) {
		// A second attempt to connect may report an earlier place after the first
		// attempt has got further.
		for {
			before := t.reached.Load()
			if before >= place || t.reached.CompareAndSwap(before, place) {
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
			if t.handshakes.Add(1) == 1 && t.proxy != nil && t.proxy.Scheme == "https" {
				return // with the proxy
			}
			at(atTLS)
		},
		GotConn: func(httptrace.GotConnInfo) { at(atService) },
	})
}

// failed returns the CheckError for the error of a request.
func (t *dialTrace) failed(name string, err error) error {
	step, detail := t.step(err), err.Error()
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e.cause != nil:
		detail = e.cause.Error()
	case ok:
		detail = fmt.Sprintf("%s (%d)", e.Message, e.HTTPStatus)
	}
	reason := map[CheckStep]string{
		StepNameResolution: "there is no address for " + t.host,
		StepConnection:     "there is no connection to " + t.host,
		StepProxy:          "there is no connection through the proxy" + t.proxyName(),
		StepTLS:            "there is no secure connection to " + t.host,
		StepKey:            "the service refuses the key",
		StepPermission:     "the key is good, but may not do this",
		StepService:        "the service gives no good response",
	}[step]
	return &CheckError{Connection: name, Step: step, Reason: transport.Quote(reason + ": " + detail), cause: err}
}

// proxyName returns the proxy without its user and password.
func (t *dialTrace) proxyName() string {
	if t.proxy == nil || checkProxyURL(t.proxy) != nil {
		return ""
	}
	return " " + t.proxy.Scheme + "://" + t.proxy.Host
}

// step returns the step at which a request failed. Most errors identify it; for a
// timeout or a broken connection the trace does.
func (t *dialTrace) step(err error) CheckStep {
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
	reached := t.reached.Load()
	if t.proxy != nil && reached > atStart && reached < atTLS {
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
