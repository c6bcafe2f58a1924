package stripekit

import (
	"errors"
	"net/http"
)

// permanence is what an error means for a Poller.
type permanence int

const (
	// passes: the Poller polls again after a wait.
	passes permanence = iota
	// waitsForKey: the key is refused, and an update of the connection may bring
	// another. The Poller decides how long it waits for one.
	waitsForKey
	// ends: the same request would fail again. The Poller ends.
	ends
)

// endsPoller returns what an error of a poll means for the Poller. connection
// reports whether the client is one of a Connection. The first row that matches
// decides:
//
//	the error                                              | means
//	-------------------------------------------------------|------------
//	none                                                   | passes
//	ErrNoConnection, ErrDisabled, ErrWriteOnly             | ends
//	ErrCheckpointConflict, ErrCheckpointInvalid            | ends
//	*ParamError: refused before it was sent                | ends
//	an account id that does not begin with "acct_"         | ends
//	no *Error, or no response: network, context, store     | passes
//	Stripe-Should-Retry: true                              | passes
//	Stripe-Should-Retry: false, 401                        | as 401 below
//	Stripe-Should-Retry: false, 4xx but 409 and 429        | ends
//	a body without type and code: the page of a proxy      | passes
//	401 on a Connection                                    | waitsForKey
//	401 else                                               | ends
//	408, 409, 424, 425, 429                                | passes
//	any other 4xx                                          | ends
//	any other status: 5xx, 3xx, a 200 that cannot be read  | passes
//
// Stripe-Should-Retry: false forbids a retry at once. A Poller waits longer than
// that, and so takes a 409, 429 or 5xx with it for one that passes.
//
// A page whose cursor names an object that is gone fails with a 400 or 404 that
// must not end a Poller: the caller asks cursorLost first.
func endsPoller(err error, connection bool) permanence {
	for _, refusal := range []error{
		ErrNoConnection, ErrDisabled, ErrWriteOnly,
		ErrCheckpointConflict, ErrCheckpointInvalid, errAccountID,
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
		if connection {
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

// fromStripe reports whether the body of the response was an error of Stripe's
// API, as opposed to the page of a proxy on the way.
func (e *Error) fromStripe() bool { return e.Type != "" || e.Code != "" }
