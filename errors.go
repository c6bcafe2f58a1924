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

// The kinds of errors, for errors.Is. The HTTP status and the code of the response
// decide. An error can be of two kinds.
var (
	// ErrAuthentication: the key is missing, wrong, expired or revoked (401).
	ErrAuthentication = errors.New("authentication failed")
	// ErrPermission: the key is valid, but lacks a permission (403).
	ErrPermission = errors.New("permission denied")
	// ErrNotFound: there is no such object (404, or any status with the code
	// resource_missing: the response is a 400 if a cursor or a parameter names a
	// missing object). A 404 that is not an error of the API, such as the page of a
	// proxy, is an ErrAPI.
	ErrNotFound = errors.New("not found")
	// ErrCardDeclined: the payment failed (402). See Error.DeclineCode. The Message of
	// an Error with the Type "card_error" can be shown to the buyer.
	ErrCardDeclined = errors.New("card declined")
	// ErrInvalidRequest: the request is wrong, and a retry would fail again (the
	// other 4xx), or a parameter was refused before sending: see ParamError.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrIdempotency: the idempotency key was used with other parameters, or
	// another request in flight uses it.
	ErrIdempotency = errors.New("idempotency key conflict")
	// ErrRateLimited: too many requests (429).
	ErrRateLimited = errors.New("rate limited")
	// ErrConflict: another request holds the object or the key (409, or 429
	// with the code lock_timeout).
	ErrConflict = errors.New("conflict")
	// ErrAPI: the service failed (5xx), its response cannot be read, or the response is a
	// redirect or a 404 that does not come from the API.
	ErrAPI = errors.New("api error")
	// ErrOutcomeUnknown: a POST failed after it may have been carried out: there
	// was no complete response, or one that does not settle the outcome, such as a
	// 5xx. Repeat the POST with WithIdempotencyKey and the IdempotencyKey of the
	// error: Stripe then carries it out once at most.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Error is the failure of a call: a response that is not a success, or no complete
// response. It contains no key, and of each text of the service 4 KiB at the most.
// Parameter values appear only where Message, the text of the service, quotes them.
type Error struct {
	Method string // of the request
	Path   string // of the request, without its parameters

	HTTPStatus     int    // 0 if there was no complete response: then Unwrap returns the reason
	Type           string // "card_error", "invalid_request_error", …
	Code           string // "resource_missing", "card_declined", …; often empty
	DeclineCode    string // "insufficient_funds", …, if a card was declined
	Param          string // the parameter at fault
	Message        string // for people; only that of a Type "card_error" is written for the buyer
	DocURL         string // the documentation of Code
	RequestLogURL  string // the request in the Stripe dashboard
	RequestID      string // "req_…", of the last response, which Stripe's support asks for
	ChargeID       string // the charge that failed, if a card was declined
	IdempotencyKey string // of a POST, to repeat it safely
	Attempts       int    // requests made; 0 if the context ended before the first

	// OutcomeUnknown is true for a POST that may have been carried out.
	OutcomeUnknown bool

	// RetryAfter is how long the service asks to wait before the next request, by
	// the header Retry-After; 0 if there is none. If it is longer than a minute, the
	// client has not retried the call.
	RetryAfter time.Duration

	shouldRetry string // the header Stripe-Should-Retry: "true", "false", or empty
	cause       error
}

// Error describes the failure in one line.
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

// Unwrap returns why there was no complete response, or why it could not be read:
// a network error, context.Canceled, context.DeadlineExceeded, or ErrReadOnly and
// the like. It is nil if the service responded with an error.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether e is of the kind target, one of the sentinel errors of this
// package.
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
	case s == http.StatusNotFound && e.Type != "":
		kinds = append(kinds, ErrNotFound)
	case s == http.StatusNotFound:
		kinds = append(kinds, ErrAPI) // the page of a proxy says nothing about the object
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
	// This kind is identified by the type alone.
	if e.Type == "idempotency_error" {
		kinds = append(kinds, ErrIdempotency)
	}
	return kinds
}

// LogValue returns the error as a group of attributes, for log/slog.
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

// ParamError is the refusal of a parameter before any request was made. It matches
// ErrInvalidRequest by errors.Is.
type ParamError struct {
	Param  string // the name that Stripe uses: "amount", "shipping[address][line1]"
	Reason string // what is wrong with it
}

// Error returns the parameter and the reason.
func (e *ParamError) Error() string { return transport.Mask("stripe: " + e.Param + ": " + e.Reason) }

// Is reports whether target is ErrInvalidRequest.
func (e *ParamError) Is(target error) bool { return target == ErrInvalidRequest }

// errorBody is the body of a response that is not a success.
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

// text is a string in the body of an error, with secrets masked. It is empty if the
// body has another kind of value there, so that the other fields are still read.
type text string

// UnmarshalJSON reads a string, and ignores any other value.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := unmarshal(b, &s); err != nil {
			return err
		}
	}
	*t = text(transport.Quote(s))
	return nil
}

// maxMessage is how many bytes of a body that is not JSON are put into a message.
const maxMessage = 200

// errorOf returns the error in a response, or nil for a success.
func errorOf(req *transport.Request, resp *transport.Response) error {
	if resp.Status >= 200 && resp.Status < 300 {
		return nil
	}
	e := responseError(req, resp)
	var body errorBody
	err := unmarshal(resp.Body, &body)
	b := body.Error
	fromStripe := err == nil && (b.Type != "" || b.Code != "" || b.Message != "")
	switch {
	case resp.Status >= 300 && resp.Status < 400:
		e.Message = "the service responded with a redirect, which is not followed"
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

// settles reports whether the status of a response is the outcome for the
// idempotency key, of this attempt and all earlier ones. A 409 only means that
// another request is in flight, and a 5xx that this attempt may have been carried
// out in part. A 401, 403 or 429 is returned before the idempotency key is looked
// up, and says nothing about earlier attempts.
func settles(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusPaymentRequired, http.StatusNotFound:
		return true
	}
	return false
}

// notJSON describes a response that does not come from Stripe itself, but from a
// proxy or a load balancer.
func notJSON(resp *transport.Response) string {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(resp.Body[:min(len(resp.Body), maxMessage)]), "")), " ")
	if resp.Cut {
		return strings.TrimSpace(http.StatusText(resp.Status) + " (the body was cut off)")
	}
	if text == "" {
		return strings.TrimSpace(http.StatusText(resp.Status) + " (empty body)")
	}
	if kind == "" {
		kind = "unknown type"
	}
	// The body may repeat the request, including the key.
	text, kind = transport.Quote(text), transport.Quote(kind[:min(len(kind), maxMessage)])
	return strings.TrimSpace(fmt.Sprintf("%s (a body of %s that is not an API error: %q)", http.StatusText(resp.Status), kind, text))
}

// noResponse returns the error of a call that got no complete response.
func noResponse(req *transport.Request, err error) error {
	e := newError(req)
	e.cause, e.Attempts = err, 1
	var te *transport.Error
	if errors.As(err, &te) {
		e.cause, e.Attempts = te.Err, te.Attempts
		e.RequestID = te.RequestID
		e.OutcomeUnknown = req.Method == http.MethodPost && te.MayHaveExecuted
	}
	return e
}

// unreadable returns the error of a successful response that cannot be read.
func unreadable(req *transport.Request, resp *transport.Response, err error) error {
	e := responseError(req, resp)
	e.cause = transport.QuoteError(fmt.Errorf("reading the response: %w", err))
	e.OutcomeUnknown = req.Method == http.MethodPost
	return e
}

// responseError returns an error with the status and the headers of a response.
func responseError(req *transport.Request, resp *transport.Response) *Error {
	e := newError(req)
	e.HTTPStatus, e.Attempts = resp.Status, resp.Attempts
	e.RequestID = transport.RequestID(resp.Header)
	e.RetryAfter = transport.RetryAfter(resp.Header)
	if value := resp.Header.Get("Stripe-Should-Retry"); value == "true" || value == "false" {
		e.shouldRetry = value
	}
	return e
}

func newError(req *transport.Request) *Error {
	return &Error{Method: req.Method, Path: req.Path, IdempotencyKey: req.IdempotencyKey}
}

// PanicError is the error that a recovered panic of a caller's function becomes.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // of the goroutine that panicked
}

// Error returns the value of the panic, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
