package stripetest

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	typeInvalidRequest = "invalid_request_error"
	typeCard           = "card_error"
	typeIdempotency    = "idempotency_error"
	typeAPI            = "api_error"

	codeResourceMissing = "resource_missing"
	codeMissing         = "parameter_missing"
	codeInvalidEmpty    = "parameter_invalid_empty"
	codeInvalidInteger  = "parameter_invalid_integer"
	codeUnknown         = "parameter_unknown"
)

// apiError is the error in the body of a refused request.
type apiError struct {
	status  int
	missing missingObject // the object that does not exist; zero if the error is another one
	kept    bool          // what the request has changed is kept: a declined payment

	Charge        string `json:"charge,omitempty"`
	Code          string `json:"code,omitempty"`
	DeclineCode   string `json:"decline_code,omitempty"`
	DocURL        string `json:"doc_url,omitempty"`
	Message       string `json:"message"`
	Param         string `json:"param,omitempty"`
	PaymentIntent any    `json:"payment_intent,omitempty"`
	PaymentMethod any    `json:"payment_method,omitempty"`
	RequestLogURL string `json:"request_log_url,omitempty"`
	Type          string `json:"type"`
}

type errorBody struct {
	Error apiError `json:"error"`
}

// envelope adds the URLs that depend on the call. A request without an accepted
// API key has no log URL.
func (e apiError) envelope(c *call) errorBody {
	if e.Code != "" {
		e.DocURL = docURL(e.Code)
	}
	if c.account != nil {
		mode := "test/"
		if c.account.live {
			mode = ""
		}
		e.RequestLogURL = fmt.Sprintf("https://dashboard.stripe.com/%slogs/%s?t=%d", mode, c.requestID, c.time.Unix())
	}
	return errorBody{Error: e}
}

// docURL returns the page of Stripe's documentation that describes an error code.
func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

func invalidRequest(code, param, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, Type: typeInvalidRequest, Code: code, Param: param, Message: message}
}

func noKey() *apiError {
	return &apiError{
		status: http.StatusUnauthorized,
		Type:   typeInvalidRequest,
		Message: "You did not provide an API key. You need to provide your API key in the Authorization header, " +
			"using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
	}
}

func badKey(key string) *apiError {
	return &apiError{
		status:  http.StatusUnauthorized,
		Type:    typeInvalidRequest,
		Message: "Invalid API Key provided: " + maskKey(key),
	}
}

func expiredKey(key string) *apiError {
	return &apiError{
		status:  http.StatusUnauthorized,
		Type:    typeInvalidRequest,
		Code:    "api_key_expired",
		Message: "Expired API Key provided: " + maskKey(key),
	}
}

// publishableKey is the error for a publishable key on any path but that of
// tokens. The status is from a public report (seatreg issue 97); so is the code
// (pro-sites issue 3).
func publishableKey() *apiError {
	return &apiError{
		status: http.StatusForbidden,
		Type:   typeInvalidRequest,
		Code:   "secret_key_required",
		Message: "This API call cannot be made with a publishable API key. Please use a secret API key. " +
			"You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
	}
}

// noActiveCard is the error for a charge of a customer without a card, as
// stripe-node issue 282 and stripe-android issue 475 show it.
func noActiveCard() *apiError {
	return &apiError{
		status:  http.StatusPaymentRequired,
		Type:    typeCard,
		Code:    "missing",
		Param:   "card",
		Message: "Cannot charge a customer that has no active card",
	}
}

func rateLimited() *apiError {
	return &apiError{
		status:  http.StatusTooManyRequests,
		Type:    typeInvalidRequest,
		Code:    "rate_limit",
		Message: "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
	}
}

func lockTimeout() *apiError {
	return &apiError{
		status: http.StatusTooManyRequests,
		Type:   typeInvalidRequest,
		Code:   "lock_timeout",
		Message: "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. " +
			"If you see this error intermittently, retry the request.",
	}
}

func internalError() *apiError {
	return &apiError{
		status:  http.StatusInternalServerError,
		Type:    typeAPI,
		Message: "An unknown error occurred.",
	}
}

func unrecognizedURL(method, path string) *apiError {
	return &apiError{
		status: http.StatusNotFound,
		Type:   typeInvalidRequest,
		Message: fmt.Sprintf("Unrecognized request URL (%s: %s). If you are trying to list objects, remove the trailing slash. "+
			"If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code.", method, path),
	}
}

// notFound is the error for an unknown id in the path.
func notFound(object, id string) *apiError {
	failure := noSuch(object, id, "id")
	failure.status = http.StatusNotFound
	return failure
}

// noSuch is the error for an unknown id in a parameter.
func noSuch(object, id, param string) *apiError {
	failure := invalidRequest(codeResourceMissing, param, fmt.Sprintf("No such %s: '%s'", object, id))
	failure.missing = missingObject{object, id}
	return failure
}

type missingObject struct{ object, id string }

// hintAtOtherMode adds to the error for a missing object that the other mode has
// it (stripe-node issue 149). It must be called without an account's lock, since
// it takes that of the other mode.
func (s *Server) hintAtOtherMode(c *call, failure *apiError) {
	if failure.missing == (missingObject{}) {
		return
	}
	s.mu.Lock()
	other := s.accounts[tenant{c.account.profile.ID, !c.account.live}]
	s.mu.Unlock()
	if other == nil {
		return
	}
	other.mu.RLock()
	found := other.lookup(failure.missing.object, failure.missing.id, nil)
	other.mu.RUnlock()
	if _, deleted := found.(*deletedObject); found == nil || deleted {
		return
	}
	here, there := "test", "live"
	if c.account.live {
		here, there = there, here
	}
	failure.Message += fmt.Sprintf("; a similar object exists in %s mode, but a %s mode key was used to make this request.", there, here)
}

func missingParam(param string) *apiError {
	return invalidRequest(codeMissing, param, "Missing required param: "+param+".")
}

func unknownParam(param string) *apiError {
	return invalidRequest(codeUnknown, param, "Received unknown parameter: "+param)
}

func emptyParam(param string) *apiError {
	return invalidRequest(codeInvalidEmpty, param, fmt.Sprintf("You passed an empty string for '%[1]s'. "+
		"We assume empty values are an attempt to unset a field; however '%[1]s' cannot be unset. "+
		"You should remove '%[1]s' from your request or supply a non-empty value.", param))
}
