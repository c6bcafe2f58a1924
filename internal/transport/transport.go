// Package transport makes one API call: it sends the request to the service and
// returns the response, through a chain of small steps, one file each:
//
//	retry  retries failures that may pass, and honours Retry-After
//	limit  keeps below the rate limits, and bounds the concurrent polls (polls.go)
//	send   writes the HTTP request and reads the whole response, up to a limit
//
// It handles HTTP and Stripe's headers, but no resources and no JSON.
package transport

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Request is one API call.
type Request struct {
	Method string
	Path   string // escaped, beginning with /v1
	Params []byte // form-encoded: the body of a POST, else the query

	Account        string // Stripe-Account; if empty, the account of the key
	Version        string // Stripe-Version
	IdempotencyKey string // POST only
	Poll           bool   // made by a poller; such requests are bounded

	// Waits is called with true when an attempt begins to wait for the limits, and
	// with false when it has passed them. If nil, it is not called.
	Waits func(bool)

	attempt int // the number of the attempt under way, from 1
}

// Response is a response of the service, with any status. It is complete unless Cut is set.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // valid until Release

	// Date is the Date header: the service's clock when it responded. It is
	// zero if there is none.
	Date time.Time
	// ServerTimeAtSend is a lower bound of the service's clock when the request
	// was sent: Date less the duration of the request. It is zero without a
	// Date.
	ServerTimeAtSend time.Time
	// SentAt is the local time when the request was sent, with its monotonic
	// reading.
	SentAt time.Time
	// Duration is how long the last HTTP request took, to the last byte of its response.
	Duration time.Duration
	// Attempts is the number of HTTP requests made.
	Attempts int
	// Cut is set if the connection broke in the body of an error. Body is then empty.
	Cut bool
	// MayHaveExecuted is set if the service may have executed this attempt, or
	// an earlier one, without reporting the outcome. For example, a 429 after a
	// broken connection says nothing about the first request.
	MayHaveExecuted bool

	buf *buffer
}

// Release makes the memory of Body available for reuse. Body must not be used
// afterwards.
func (r *Response) Release() {
	if r.buf != nil {
		r.buf.release()
		r.buf, r.Body = nil, nil
	}
}

// Error is returned for a call without a complete response.
type Error struct {
	Err error
	// RequestID is the Request-Id of the response to the last attempt, if the wait for
	// the next one was cancelled.
	RequestID string
	Attempts  int // HTTP requests made; 0 if the wait for the first was cancelled
	// MayHaveExecuted is set if the service may have executed this attempt or
	// an earlier one.
	MayHaveExecuted bool

	tried bool // an HTTP request was started
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Attempt describes one HTTP request to an observer.
type Attempt struct {
	Method   string
	Path     string
	Number   int // from 1
	Status   int // 0 if there was no response
	Duration time.Duration
	Err      error
	Header   http.Header // of the response
}

// Config holds the settings of a chain. Every field is required unless it says
// otherwise.
type Config struct {
	Pool        *Pool
	BaseURL     string // without a trailing slash
	Key         string
	UserAgent   string
	Timeout     time.Duration // of one attempt; 0 is no timeout
	MaxRetries  int
	MaxBody     int64 // in bytes
	Limits      Limits
	Logger      *slog.Logger
	Observe     func(context.Context, Attempt) // called after each attempt; if nil, it is not called
	RandomFloat func() float64                 // returns a number in [0, 1)
}

// step is one link of the chain.
type step func(context.Context, *Request) (*Response, error)

// Transport makes API calls through the chain. It is safe for concurrent use.
type Transport struct {
	first   step
	limiter *limiter
}

// New returns a Transport with its own rate limits.
func New(cfg Config) *Transport { return link(cfg, newLimiter(cfg.Limits)) }

// Renew returns a Transport with other settings that shares the limits of t,
// and its pauses after a 429. It ignores cfg.Limits.
func (t *Transport) Renew(cfg Config) *Transport { return link(cfg, t.limiter) }

func link(cfg Config, l *limiter) *Transport {
	s := newSender(cfg)
	r := &retrier{max: cfg.MaxRetries, random: cfg.RandomFloat, logger: cfg.Logger}
	return &Transport{first: r.around(l.around(cfg.Pool, s.send)), limiter: l}
}

// Limits returns the rate limits.
func (t *Transport) Limits() Limits { return t.limiter.limits }

// Do makes the call. It returns a Response of any status, or an *Error if there
// was no complete response.
func (t *Transport) Do(ctx context.Context, req *Request) (*Response, error) {
	return t.first(ctx, req)
}
