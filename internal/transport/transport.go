// Package transport carries one API call to the service and its answer back,
// through a chain of small steps, one file each:
//
//	retry  repeats what may be repeated, waiting as told
//	limit  keeps below the service's rate limits, and pollers few at a time
//	send   writes the HTTP request and reads the whole answer, within a bound
//
// It knows HTTP and Stripe's headers, and nothing of resources or JSON.
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
	Path   string // escaped, from /v1 on
	Params []byte // form-encoded: the body of a POST, the query of the rest

	Account        string // Stripe-Account; empty: the key's own
	Version        string // Stripe-Version
	IdempotencyKey string // POST only
	Poll           bool   // made by a poller: not too many at a time
	Passed         func() // optional; called when an attempt has passed the limits

	attempt int // the number of the attempt under way, from 1
}

// Response is a whole answer of the service, whatever its status.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // valid until Release

	// Date is the service's clock when it answered. Zero where it did not say.
	Date time.Time
	// ServerTimeAtSend is the service's clock when the request was sent, at the latest:
	// the Date less the time the answer took. Zero without a Date.
	ServerTimeAtSend time.Time
	// SentAt is when that was by the local clock: its monotonic reading tells
	// how much time lies between two answers.
	SentAt time.Time
	// Attempts is how many requests it took.
	Attempts int
	// MayHaveExecuted tells that the service may have acted without saying how it ended:
	// on this attempt or one before it. A 429 after a connection that broke
	// does not tell what came of the first request.
	MayHaveExecuted bool

	buf *buffer
}

// Release gives the memory of Body back. Nothing may hold on to Body after it.
func (r *Response) Release() {
	if r.buf != nil {
		r.buf.release()
		r.buf, r.Body = nil, nil
	}
}

// Error is a call that got no whole answer.
type Error struct {
	Err      error
	Attempts int // requests made; 0 where the wait for the first was cut short
	// MayHaveExecuted tells that the service may have acted: this attempt or one before
	// it may have reached it.
	MayHaveExecuted bool

	tried bool // a request was begun, as opposed to refused on the way
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Attempt describes one HTTP request to an observer.
type Attempt struct {
	Method   string
	Path     string
	Number   int // from 1
	Status   int // 0 where no answer came
	Duration time.Duration
	Err      error
	Header   http.Header // of the answer
}

// Config is what a chain is made from. Every field is required unless it says
// otherwise.
type Config struct {
	HTTP        *http.Client
	BaseURL     string // without a trailing slash
	Key         string
	UserAgent   string
	Timeout     time.Duration // of one attempt; 0 is none
	MaxRetries  int
	MaxBody     int64
	Limits      Limits
	Logger      *slog.Logger
	Observe     func(context.Context, Attempt) // optional
	RandomFloat func() float64                 // in [0, 1)
}

// step is one link of the chain.
type step func(context.Context, *Request) (*Response, error)

// Transport is the chain. It is safe for concurrent use.
type Transport struct {
	first   step
	limiter *limiter
}

// New links the chain.
func New(cfg Config) *Transport { return link(cfg, newLimiter(cfg.Limits)) }

// Renew links a chain of other settings that counts towards the limits of t,
// and rests with it after a 429. It takes no notice of cfg.Limits.
func (t *Transport) Renew(cfg Config) *Transport { return link(cfg, t.limiter) }

func link(cfg Config, l *limiter) *Transport {
	s := newSender(cfg)
	r := &retrier{max: cfg.MaxRetries, random: cfg.RandomFloat, logger: cfg.Logger}
	return &Transport{first: r.around(l.around(s.send)), limiter: l}
}

// Rate is how many requests a second the limits allow of one list; 0 is without
// a limit.
func (t *Transport) Rate() float64 {
	l := t.limiter.limits
	if l.Total > 0 && l.Endpoint > 0 {
		return min(l.Total, l.Endpoint)
	}
	return max(l.Total, l.Endpoint)
}

// Do carries req. An answer of any status is a Response; no whole answer is an
// *Error.
func (t *Transport) Do(ctx context.Context, req *Request) (*Response, error) {
	return t.first(ctx, req)
}
