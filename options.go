package stripekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/duration"
	"github.com/stripekit/stripekit/internal/report"
	"github.com/stripekit/stripekit/internal/transport"
)

// Option configures a Client. If an option is given twice, the last one counts.
type Option func(*options) error

type options struct {
	httpClient *http.Client
	baseURL    string
	proxy      *url.URL
	timeout    time.Duration
	maxRetries int
	maxBody    int64
	version    string
	rateLimit  *RateLimit
	logger     *slog.Logger
	observe    func(context.Context, transport.Attempt)
}

// discard is the logger of those who have none.
var discard = slog.New(slog.DiscardHandler)

const stripeURL = "https://api.stripe.com"

func defaultOptions() *options {
	return &options{
		baseURL:    stripeURL,
		timeout:    80 * time.Second,
		maxRetries: 3,
		maxBody:    64 << 20,
		logger:     discard,
	}
}

// applied returns the default options, changed by opts.
func applied(opts []Option) (*options, error) {
	o := defaultOptions()
	for _, opt := range opts {
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	return o, o.checkProxy()
}

// WithHTTPClient sets the HTTP client that makes the requests. Its Transport and
// Jar are used. Redirects are never followed, and its Timeout is ignored: see
// WithTimeout. The default client keeps connections for 90 s after their last use, up
// to 1,024 of them, and takes the proxy from the environment (HTTPS_PROXY, NO_PROXY).
func WithHTTPClient(client *http.Client) Option {
	return func(o *options) error {
		if client == nil {
			return errors.New("WithHTTPClient: client is nil")
		}
		o.httpClient = client
		return nil
	}
}

// WithBaseURL sets the URL that requests are sent to. The default is
// https://api.stripe.com. Plain http is refused unless the host is loopback
// (127.0.0.0/8, ::1, localhost), because every request contains the key.
func WithBaseURL(base string) Option {
	return func(o *options) error {
		u, err := url.Parse(base)
		switch {
		case err != nil || u.Hostname() == "":
			return errors.New("WithBaseURL: not an absolute URL")
		case u.User != nil || strings.ContainsAny(base, "?#"):
			return errors.New("WithBaseURL: must not have a user, a query or a fragment")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			return errors.New("WithBaseURL: plain http would show the key to the network: use https")
		case u.Scheme != "http" && u.Scheme != "https":
			return errors.New("WithBaseURL: the scheme must be https")
		case transport.HasKey(base):
			return errors.New("WithBaseURL: " + looksLikeKey)
		}
		o.baseURL = strings.TrimRight(u.String(), "/")
		return nil
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// WithProxy sends requests through a proxy: http://, https:// or socks5://, with
// user and password in the URL if the proxy requires them. It replaces the proxy of
// the environment. It cannot be combined with WithHTTPClient: set the proxy in the
// Transport of that client.
func WithProxy(proxy string) Option {
	return func(o *options) error {
		u, err := url.Parse(proxy)
		if err != nil {
			return errors.New("WithProxy: not an absolute URL")
		}
		if err := checkProxyURL(u); err != nil {
			return fmt.Errorf("WithProxy: %w", err)
		}
		o.proxy = u
		return nil
	}
}

// checkProxyURL returns an error for a URL that is none of a proxy. A path or the like is
// what a password becomes that has a character such as / in it. The part before it would
// then be taken for the host, which errors show.
func checkProxyURL(u *url.URL) error {
	switch {
	case u.Hostname() == "":
		return errors.New("not an absolute URL")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a path, a query or a fragment: write / ? # in a password as %2F %3F %23")
	case transport.HasKey(u.Host):
		return errors.New(looksLikeKey)
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return errors.New("the scheme must be http, https or socks5")
	}
	return nil
}

// errEnvironmentProxy is returned in place of the error of net/http, which quotes the
// password.
var errEnvironmentProxy = errors.New("the proxy of the environment, HTTPS_PROXY or HTTP_PROXY, is not a valid URL of a proxy")

// environmentProxy returns the proxy of the environment for a request.
func environmentProxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if err != nil || u != nil && checkProxyURL(u) != nil {
		return nil, errEnvironmentProxy
	}
	return u, nil
}

// WithTimeout bounds each attempt of a call, from the connection to the last
// byte. The default is 80 s, as in Stripe's own libraries; 0 is no bound. The minimum
// is 1 ms: 30 without time.Second is 30 ns, and an error. To bound a call including its
// retries, use a context with a deadline.
func WithTimeout(d time.Duration) Option {
	return func(o *options) error {
		if err := duration.Check("WithTimeout:", d); err != nil {
			return err
		}
		o.timeout = d
		return nil
	}
}

// WithMaxRetries sets how often a failed call is retried. The default is 3; 0 is
// never. Network errors, 409, 429 and 5xx are retried, unless the response header
// Stripe-Should-Retry says otherwise, or Retry-After asks for more than a minute. A
// POST keeps its idempotency key.
func WithMaxRetries(n int) Option {
	return func(o *options) error {
		if n < 0 {
			return errors.New("WithMaxRetries: negative")
		}
		o.maxRetries = n
		return nil
	}
}

// WithAPIVersion pins all requests to another API version, including those for
// orders.
func WithAPIVersion(version string) Option {
	return func(o *options) error {
		if version == "" || strings.ContainsFunc(version, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("WithAPIVersion: not a version, such as 2026-08-26.dahlia")
		}
		if transport.HasKey(version) {
			return errors.New("WithAPIVersion: " + looksLikeKey)
		}
		o.version = version
		return nil
	}
}

// RateLimit is how many requests a client makes per second at most. A request
// above a limit waits. In each field 0 is no limit.
type RateLimit struct {
	Total    float64 // all requests
	Endpoint float64 // the requests to one endpoint, such as /v1/charges and all paths below
	Search   float64 // all searches
}

// WithRateLimit sets the rate limits, which all copies of a client share. The
// defaults are Stripe's own, in requests per second: in total 100 with a live key
// and 25 with a test key, 25 to each endpoint, and 20 searches. With another base
// URL than Stripe's, the default is no limit. RateLimit{} switches the limits off.
//
// With or without limits, a 429 for too many requests pauses all requests to its
// endpoint: for as long as its Retry-After says, up to a minute, or else for 50 ms,
// which double with each further 429 up to eight seconds.
func WithRateLimit(limit RateLimit) Option {
	return func(o *options) error {
		if !(limit.Total >= 0 && limit.Endpoint >= 0 && limit.Search >= 0) {
			return errors.New("WithRateLimit: a limit is negative or not a number")
		}
		o.rateLimit = &limit
		return nil
	}
}

// WithLogger sets the logger for retries, which are logged at level Warn. Keys and
// parameters are never logged. By default nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) error {
		if logger == nil {
			return errors.New("WithLogger: logger is nil")
		}
		o.logger = logger
		return nil
	}
}

// Attempt describes one HTTP request of a call, for an observer.
type Attempt struct {
	Method    string
	Path      string        // without parameters, but with the ids of objects
	Number    int           // 1 for the first attempt of a call
	Status    int           // 0 if there was no complete response
	Duration  time.Duration // to the last byte of the response
	RequestID string        // "req_…", with secrets masked; empty if there was no response
	Err       error         // why there was no complete response
}

// attrs returns the attempt for logs and for JSON.
func (a Attempt) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("method", a.Method),
		slog.String("path", a.Path),
		slog.Int("attempt", a.Number),
		slog.Int("status", a.Status),
		slog.Float64("duration_seconds", report.Seconds(a.Duration)),
		slog.String("request_id", a.RequestID),
		report.Error("error", a.Err),
	}
}

// LogValue returns the attempt as a group of attributes, for log/slog. They have the
// names and values of MarshalJSON.
func (a Attempt) LogValue() slog.Value { return slog.GroupValue(a.attrs()...) }

// MarshalJSON writes the attempt with these fields: method, path, attempt, status,
// duration_seconds, request_id and, unless it is nil, error, which is the text of Err
// without API keys.
func (a Attempt) MarshalJSON() ([]byte, error) { return report.JSON(a.attrs()) }

// WithObserver sets a function for metrics and traces. It is called after every
// attempt of every call, on the goroutine that makes the request, with the context of
// the call, and must not block.
func WithObserver(observe func(context.Context, Attempt)) Option {
	return func(o *options) error {
		if observe == nil {
			return errors.New("WithObserver: observer is nil")
		}
		o.observe = func(ctx context.Context, a transport.Attempt) {
			observe(ctx, Attempt{
				Method: a.Method, Path: a.Path, Number: a.Number, Status: a.Status,
				Duration: a.Duration, RequestID: transport.RequestID(a.Header), Err: a.Err,
			})
		}
		return nil
	}
}

// maxIdle is the most connections that are kept open between calls. It is as many as
// polls may be under way.
const maxIdle = 1024

// checkProxy returns an error if the proxy contradicts another option.
func (o *options) checkProxy() error {
	switch {
	case o.proxy == nil:
		return nil
	case o.httpClient != nil:
		return errors.New("WithProxy: does not go together with WithHTTPClient: set the proxy in the client's Transport")
	case strings.HasPrefix(o.baseURL, "http:") && !loopback(o.proxy.Hostname()):
		return errors.New("WithProxy: a base URL of plain http would show the key to the proxy: use https")
	}
	return nil
}

// pool returns a pool over the HTTP client of the options.
func (o *options) pool() *transport.Pool {
	if o.httpClient != nil {
		return transport.NewPool(o.httpClient)
	}
	proxy := environmentProxy
	if o.proxy != nil {
		proxy = http.ProxyURL(o.proxy)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return transport.NewPool(&http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: proxyResponded,
		Protocols:              &protocols,
		// With net/http's default of two idle connections per host, concurrent callers
		// would open and close a connection for nearly every call.
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}})
}

// proxyResponded returns an error if a proxy refuses a tunnel, to distinguish its
// response from those of the service.
func proxyResponded(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text := strings.TrimSpace(fmt.Sprintf("the proxy responded with %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(text)}
}

// config returns the settings of a transport to the service.
func (o *options) config(key string, mode Mode, pool *transport.Pool) transport.Config {
	return transport.Config{
		Pool:        pool,
		BaseURL:     o.baseURL,
		Key:         key,
		UserAgent:   "stripekit/" + version + " go/" + strings.TrimPrefix(runtime.Version(), "go"),
		Timeout:     o.timeout,
		MaxRetries:  o.maxRetries,
		MaxBody:     o.maxBody,
		Limits:      o.limits(mode),
		Logger:      o.logger,
		Observe:     o.observe,
		RandomFloat: rand.Float64,
	}
}

func (o *options) limits(mode Mode) transport.Limits {
	if o.rateLimit != nil {
		return transport.Limits(*o.rateLimit)
	}
	if o.baseURL != stripeURL {
		return transport.Limits{}
	}
	total := 25.0
	if mode == ModeLive {
		total = 100
	}
	return transport.Limits{Total: total, Endpoint: 25, Search: 20}
}

// CallOption configures one call.
type CallOption func(*callOptions) error

type callOptions struct {
	idempotencyKey string
	expand         []string
	capture        *Response
}

// maxIdempotencyKey is Stripe's limit in characters.
const maxIdempotencyKey = 255

// WithIdempotencyKey sets the idempotency key of a POST: Stripe carries out POSTs
// with the same key once at most, within at least 24 hours. By default each call
// has a random key, which its retries share. The option has no effect on a GET or
// DELETE.
//
// A key is for one attempt to pay, and not for an order. A declined card is
// declined again with the same key, by the stored response. Another card with it, as
// any other change of a parameter, is an ErrIdempotency.
func WithIdempotencyKey(key string) CallOption {
	return func(o *callOptions) error {
		if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			return &ParamError{Param: "Idempotency-Key", Reason: fmt.Sprintf("must be 1 to %d printable ASCII characters", maxIdempotencyKey)}
		}
		if transport.HasKey(key) {
			return &ParamError{Param: "Idempotency-Key", Reason: looksLikeKey}
		}
		o.idempotencyKey = key
		return nil
	}
}

// WithExpand asks the service to return whole objects in place of ids in these
// fields: "customer" for example, or "data.customer" in a list. They are in
// Ref.Object.
func WithExpand(fields ...string) CallOption {
	return func(o *callOptions) error {
		if slices.Contains(fields, "") {
			return &ParamError{Param: "expand", Reason: "names an empty field"}
		}
		o.expand = append(o.expand, fields...)
		return nil
	}
}

// Response is the HTTP response of a call, for CaptureResponse. Header and Body are as the
// service sent them, so they have the key if the service repeats the request.
type Response struct {
	Status             int           // the HTTP status
	RequestID          string        // "req_…", with secrets masked
	IdempotentReplayed bool          // the response is that of an earlier request with the same idempotency key
	Attempts           int           // requests made
	Duration           time.Duration // of the last request, to the last byte of the response; without waits for the rate limits
	Header             http.Header
	Body               []byte
}

// CaptureResponse stores the response of the call in r, even if it is an error. If
// there is no response, r does not change. In a list or a search, r is the response
// with the object that is being yielded, and no page is requested ahead.
func CaptureResponse(r *Response) CallOption {
	return func(o *callOptions) error {
		if r == nil {
			return &ParamError{Param: "CaptureResponse", Reason: "is nil"}
		}
		o.capture = r
		return nil
	}
}

func responseOf(r *transport.Response) Response {
	return Response{
		Status: r.Status, RequestID: transport.RequestID(r.Header), Attempts: r.Attempts, Duration: r.Duration,
		Header: r.Header, Body: bytes.Clone(r.Body),
		IdempotentReplayed: r.Header.Get("Idempotent-Replayed") == "true",
	}
}
