package stripekit

import (
	"errors"
	"net/http"
)

// permanence is the consequence of an error for a Poller.
type permanence int

const (
	// passes: the error is temporary. The Poller polls again after a wait.
	passes permanence = iota
	// waitsForKey: the key is refused, and an Update of the connection may bring
	// another key. The Poller decides how long it waits for one.
	waitsForKey
	// ends: the error is permanent. The Poller ends.
	ends
)

// endsPoller returns the consequence of an error for a Poller. renewable is that of its
// client. The first matching row of this table decides:
//
//	the error                                              | means
//	-------------------------------------------------------|------------
//	none                                                   | passes
//	ErrNoConnection, ErrDisabled, ErrWriteOnly             | ends
//	ErrKeyChanged: a client of PinKey                      | ends
//	ErrCheckpointConflict, ErrCheckpointInvalid, ErrGap    | ends
//	*ParamError: a parameter was refused before sending    | ends
//	an account id without "acct_", or with an API key      | ends
//	no *Error, or no response: network, context, store     | passes
//	Stripe-Should-Retry: true                              | passes
//	Stripe-Should-Retry: false, 401                        | as 401 below
//	Stripe-Should-Retry: false, 4xx except 409 and 429     | ends
//	a body without type and code, as from a proxy          | passes
//	401 on a Connection, without PinKey                    | waitsForKey
//	401 otherwise                                          | ends
//	408, 409, 424, 425, 429                                | passes
//	any other 4xx                                          | ends
//	any other status: 5xx, 3xx, a 200 that cannot be read  | passes
//
// Stripe-Should-Retry: false forbids an immediate retry. A Poller waits longer, so
// a 409, 429 or 5xx with that header is temporary.
//
// If the cursor of a query names an object that does not exist any more, the
// response is a 400 or 404 that must not end a Poller. So the caller checks
// cursorLost first.
func endsPoller(err error, renewable bool) permanence {
	for _, refusal := range []error{
		ErrNoConnection, ErrDisabled, ErrWriteOnly, ErrKeyChanged,
		ErrCheckpointConflict, ErrCheckpointInvalid, ErrGap, errAccountID,
	} {
		if errors.Is(err, refusal) {
			return ends
		}
	}
	if _, ok := errors.AsType[*ParamError](err); ok {
		return ends
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.HTTPStatus < 400 || e.HTTPStatus > 499 || e.shouldRetry == "true" {
		return passes
	}
	notAtOnce := e.shouldRetry == "false"
	if !notAtOnce && !e.fromStripe() {
		return passes
	}
	switch e.HTTPStatus {
	case http.StatusUnauthorized:
		if renewable {
			return waitsForKey
		}
	case http.StatusConflict, http.StatusTooManyRequests:
		return passes
	case http.StatusRequestTimeout, http.StatusFailedDependency, http.StatusTooEarly:
		if !notAtOnce {
			return passes
		}
	}
	return ends
}

// fromStripe reports whether the body of the response was an error of the Stripe
// API, and not of a proxy.
func (e *Error) fromStripe() bool { return e.Type != "" || e.Code != "" }
