package stripekit

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/transport"
)

// What an error is about, for errors.Is. The HTTP status and the code of the
// answer decide, not its type; one error can be two of them.
var (
	// ErrAuthentication: the key is missing, wrong, expired or revoked (401).
	ErrAuthentication = errors.New("authentication failed")
	// ErrPermission: the key is good but may not do this (403).
	ErrPermission = errors.New("permission denied")
	// ErrNotFound: no such object (404, or any status with the code
	// resource_missing: a cursor or a parameter that names a missing object
	// answers 400).
	ErrNotFound = errors.New("not found")
	// ErrCardDeclined: the payment did not go through (402). See DeclineCode.
	ErrCardDeclined = errors.New("card declined")
	// ErrInvalidRequest: the request is wrong and will be wrong again (the
	// other 4xx), or was refused before sending: see ParamError.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrIdempotency: the idempotency key was used with other parameters, or
	// is in use by a request still under way.
	ErrIdempotency = errors.New("idempotency key conflict")
	// ErrRateLimited: too many requests (429).
	ErrRateLimited = errors.New("rate limited")
	// ErrConflict: another request holds the object or the key (409, or 429
	// with the code lock_timeout).
	ErrConflict = errors.New("conflict")
	// ErrAPI: the service failed (5xx), or answered what is not an answer.
	ErrAPI = errors.New("api error")
	// ErrOutcomeUnknown: a POST failed after it may have been carried out: no
	// whole answer came, or one that says only that the service broke. Repeat
	// it with WithIdempotencyKey and the error's IdempotencyKey: Stripe then
	// carries it out once at most.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Error is a call that failed: an answer of the service that is not a success,
// or no answer at all (HTTPStatus is 0 and Unwrap tells why). It holds no key
// and no parameter values of its own; Message is the service's text, which
// quotes a key only in masked form.
type Error struct {
	Method string // of the request
	Path   string // of the request, without its parameters

	HTTPStatus     int    // 0 where no whole answer came
	Type           string // "card_error", "invalid_request_error", …
	Code           string // "resource_missing", "card_declined", …; often empty
	DeclineCode    string // "insufficient_funds", …: on a declined card
	Param          string // the parameter at fault
	Message        string // for people
	DocURL         string
	RequestLogURL  string
	RequestID      string // "req_…": what Stripe's support asks for
	ChargeID       string // the charge that failed, on a declined card
	IdempotencyKey string // of a POST; what a safe repeat needs
	Attempts       int    // requests made; 0 where the context ended before the first

	// OutcomeUnknown is set on a POST that may have been carried out.
	OutcomeUnknown bool

	// RetryAfter is how long the service asks to wait before the next request,
	// by the header Retry-After of the response; 0 where it does not say. It is
	// as the service gave it, in seconds or as a date by the service's clock,
	// and not bounded: the client's own retries wait for a minute at most.
	RetryAfter time.Duration

	shouldRetry string // the header Stripe-Should-Retry: "true", "false", or empty
	cause       error
}

// Error describes the failure in a line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stripe: %s %s: ", e.Method, e.Path)
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, "%d ", e.HTTPStatus)
		for _, s := range []string{e.Code, e.DeclineCode} {
			if s != "" {
				fmt.Fprintf(&b, "(%s) ", s)
			}
		}
	}
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	default:
		b.WriteString(http.StatusText(e.HTTPStatus))
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [%s]", e.RequestID)
	}
	if e.OutcomeUnknown {
		fmt.Fprintf(&b, " (outcome unknown, idempotency key %s)", e.IdempotencyKey)
	}
	return b.String()
}

// Unwrap returns why no answer came or why it could not be read: a network
// error, context.Canceled, context.DeadlineExceeded. It is nil for an error
// that the service answered.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether e is one of the sentinel errors of this package.
func (e *Error) Is(target error) bool {
	if target == ErrOutcomeUnknown {
		return e.OutcomeUnknown
	}
	return slices.Contains(e.kinds(), target)
}

func (e *Error) kinds() []error {
	var kinds []error
	switch s := e.HTTPStatus; {
	case s == 0:
		return nil
	case s == http.StatusUnauthorized:
		kinds = append(kinds, ErrAuthentication)
	case s == http.StatusForbidden:
		kinds = append(kinds, ErrPermission)
	case s == http.StatusNotFound:
		kinds = append(kinds, ErrNotFound)
	case s == http.StatusPaymentRequired:
		kinds = append(kinds, ErrCardDeclined)
	case s == http.StatusConflict:
		kinds = append(kinds, ErrConflict)
	case s == http.StatusTooManyRequests:
		kinds = append(kinds, ErrRateLimited)
	case s >= 400 && s < 500:
		kinds = append(kinds, ErrInvalidRequest)
	default:
		kinds = append(kinds, ErrAPI)
	}
	switch e.Code {
	case "resource_missing":
		kinds = append(kinds, ErrNotFound)
	case "lock_timeout":
		kinds = append(kinds, ErrConflict)
	case "idempotency_key_in_use":
		kinds = append(kinds, ErrIdempotency)
	}
	// The one kind that the service names by type alone.
	if e.Type == "idempotency_error" {
		kinds = append(kinds, ErrIdempotency)
	}
	return kinds
}

// LogValue is the error as a group of attributes, for log/slog.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("method", e.Method), slog.String("path", e.Path)}
	for _, a := range []struct{ name, value string }{
		{"type", e.Type},
		{"code", e.Code},
		{"decline_code", e.DeclineCode},
		{"param", e.Param},
		{"message", e.Message},
		{"request_id", e.RequestID},
		{"charge", e.ChargeID},
		{"idempotency_key", e.IdempotencyKey},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	attrs = append(attrs, slog.Int("status", e.HTTPStatus), slog.Int("attempts", e.Attempts))
	if e.RetryAfter != 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	if e.cause != nil {
		attrs = append(attrs, slog.String("cause", e.cause.Error()))
	}
	if e.OutcomeUnknown {
		attrs = append(attrs, slog.Bool("outcome_unknown", true))
	}
	return slog.GroupValue(attrs...)
}

// ParamError is a parameter that was refused before any request was made. To
// errors.Is it is an ErrInvalidRequest.
type ParamError struct {
	Param  string // as Stripe names it: "amount", "shipping[address][line1]"
	Reason string
}

// Error names the parameter and what is wrong with it.
func (e *ParamError) Error() string { return "stripe: " + e.Param + ": " + e.Reason }

// Is reports whether target is ErrInvalidRequest.
func (e *ParamError) Is(target error) bool { return target == ErrInvalidRequest }

// errorBody is the body of an answer that is not a success.
type errorBody struct {
	Error errorFields `json:"error"`
}

type errorFields struct {
	Type          text `json:"type"`
	Code          text `json:"code"`
	DeclineCode   text `json:"decline_code"`
	Param         text `json:"param"`
	Message       text `json:"message"`
	DocURL        text `json:"doc_url"`
	RequestLogURL text `json:"request_log_url"`
	Charge        text `json:"charge"`
}

// text is a string of an error's body, without keys; empty where the body has
// something else in its place, which must not cost the other fields.
type text string

// UnmarshalJSON reads any value.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := unmarshal(b, &s); err != nil {
			return err
		}
	}
	*t = text(transport.Mask(s))
	return nil
}

// maxMessage bounds what of a body that is not JSON goes into a message.
const maxMessage = 200

// errorOf is the error that an answer holds; nil for a success.
func errorOf(req *transport.Request, resp *transport.Response) error {
	if resp.Status >= 200 && resp.Status < 300 {
		return nil
	}
	e := answered(req, resp)
	var body errorBody
	err := unmarshal(resp.Body, &body)
	b := body.Error
	fromStripe := err == nil && (b.Type != "" || b.Code != "" || b.Message != "")
	switch {
	case resp.Status >= 300 && resp.Status < 400:
		e.Message = "the service answered with a redirect, which is not followed"
	case !fromStripe:
		e.Message = notJSON(resp)
	default:
		e.Type, e.Code, e.DeclineCode, e.Param = string(b.Type), string(b.Code), string(b.DeclineCode), string(b.Param)
		e.Message, e.ChargeID = string(b.Message), string(b.Charge)
		e.DocURL, e.RequestLogURL = string(b.DocURL), string(b.RequestLogURL)
	}
	e.OutcomeUnknown = req.Method == http.MethodPost && resp.MayHaveExecuted && !(fromStripe && settles(resp.Status))
	return e
}

// settles tells whether an answer is the outcome of the idempotency key, for
// whichever attempt it was found. A 409 only tells that another request is
// under way, and a 5xx that this one may have been carried out in part; a 401,
// 403 or 429 is answered before the key is looked at, and says nothing of the
// attempts before.
func settles(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusPaymentRequired, http.StatusNotFound:
		return true
	}
	return false
}

// notJSON describes an answer that does not come from Stripe itself: a proxy's
// page, a load balancer's line.
func notJSON(resp *transport.Response) string {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(resp.Body[:min(len(resp.Body), maxMessage)]), "")), " ")
	if text == "" {
		return strings.TrimSpace(http.StatusText(resp.Status) + " (empty body)")
	}
	if kind == "" {
		kind = "unknown type"
	}
	// The page may repeat the request, and with it the key.
	text, kind = transport.Mask(text), transport.Mask(kind[:min(len(kind), maxMessage)])
	return strings.TrimSpace(fmt.Sprintf("%s (a body of %s that is not an API error: %q)", http.StatusText(resp.Status), kind, text))
}

// unanswered is the error of a call that got no whole answer.
func unanswered(req *transport.Request, err error) error {
	e := newError(req)
	e.cause, e.Attempts = err, 1
	var te *transport.Error
	if errors.As(err, &te) {
		e.cause, e.Attempts = te.Err, te.Attempts
		e.OutcomeUnknown = req.Method == http.MethodPost && te.MayHaveExecuted
	}
	return e
}

// unreadable is the error of a success whose body is not what it should be.
func unreadable(req *transport.Request, resp *transport.Response, err error) error {
	e := answered(req, resp)
	e.cause = fmt.Errorf("reading the answer: %w", err)
	if quoted := e.cause.Error(); transport.Mask(quoted) != quoted {
		e.cause = errors.New(transport.Mask(quoted))
	}
	e.OutcomeUnknown = req.Method == http.MethodPost
	return e
}

func answered(req *transport.Request, resp *transport.Response) *Error {
	e := newError(req)
	e.HTTPStatus, e.Attempts = resp.Status, resp.Attempts
	e.RequestID = transport.Mask(resp.Header.Get("Request-Id"))
	e.RetryAfter = transport.RetryAfter(resp.Header)
	e.shouldRetry = resp.Header.Get("Stripe-Should-Retry")
	return e
}

func newError(req *transport.Request) *Error {
	return &Error{Method: req.Method, Path: req.Path, IdempotencyKey: req.IdempotencyKey}
}

// PanicError is a panic of a user's function that was recovered.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked
}

// Error tells the panic's value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap is the panic's value where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
