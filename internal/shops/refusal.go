package shops

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is a response with an error, in Stripe's form.
type refusal struct {
	status     int
	retryAfter string // the header; empty for none

	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Param   string `json:"param,omitempty"`
	Message string `json:"message"`
}

func (r *refusal) body() []byte {
	body, err := json.Marshal(struct {
		Error *refusal `json:"error"`
	}{r})
	if err != nil {
		panic(err) // a struct of strings is always encoded
	}
	return body
}

const invalidRequest = "invalid_request_error"

func invalid(code, param, message string) *refusal {
	return &refusal{status: http.StatusBadRequest, Type: invalidRequest, Code: code, Param: param, Message: message}
}

func unauthorized(code, message string) *refusal {
	return &refusal{status: http.StatusUnauthorized, Type: invalidRequest, Code: code, Message: message}
}

func revokedKey(account int) *refusal {
	return unauthorized("api_key_expired", "Expired API Key provided: "+mask(Key(account)))
}

func noAccess(account int, connected string) *refusal {
	return &refusal{
		status: http.StatusForbidden, Type: invalidRequest, Code: "account_invalid",
		Message: fmt.Sprintf("The provided key '%s' does not have access to account '%s' (or that account does not exist). "+
			"Application access may have been revoked.", mask(Key(account)), connected),
	}
}

func unrecognized(r *http.Request) *refusal {
	return &refusal{
		status: http.StatusNotFound, Type: invalidRequest,
		Message: fmt.Sprintf("Unrecognized request URL (%s: %s).", r.Method, r.URL.Path),
	}
}

// failure returns the response for a status of Config.Fail.
func (s *Stripe) failure(status int) *refusal {
	r := &refusal{status: status, Type: invalidRequest, Message: "The request was refused."}
	switch {
	case status == http.StatusTooManyRequests:
		r.Code, r.Message = "rate_limit", "Request rate limit exceeded."
	case status >= 500:
		r.Type, r.Message = "api_error", "An unknown error occurred."
	}
	if s.cfg.RetryAfter > 0 && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) {
		r.retryAfter = strconv.FormatInt(int64((s.cfg.RetryAfter+time.Second-1)/time.Second), 10)
	}
	return r
}

// authenticate returns the account of the key of a request, or -1 and a refusal.
func (s *Stripe) authenticate(r *http.Request) (account int, refused *refusal) {
	var buf [64]byte
	key := apiKey(first(r.Header["Authorization"]), buf[:])
	if key == "" {
		return -1, unauthorized("", "You did not provide an API key. You need to provide your API key in the Authorization header, "+
			"using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	}
	digits, ok := strings.CutPrefix(key, keyPrefix)
	if ok {
		account, ok = number(digits)
	}
	if !ok || !s.has(account) {
		return -1, unauthorized("", "Invalid API Key provided: "+mask(key))
	}
	return account, nil
}

// apiKey returns the key in an Authorization header: the token of Bearer, or the
// user of Basic. Short keys are decoded in buf.
func apiKey(header string, buf []byte) string {
	scheme, value, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(value)
	case !strings.EqualFold(scheme, "Basic"):
		return ""
	}
	decoded, err := base64.StdEncoding.AppendDecode(buf[:0], []byte(value))
	if err != nil {
		return ""
	}
	user, _, _ := strings.Cut(string(decoded), ":")
	return user
}

// mask returns what an error may show of a key: its prefix, and its last four
// characters if at least four others stay hidden.
func mask(key string) string {
	prefix := ""
	if len(key) > len("sk_test_") && (strings.HasPrefix(key, "sk_") || strings.HasPrefix(key, "rk_")) {
		prefix = key[:len("sk_test_")]
	}
	if secret := key[len(prefix):]; len(secret) >= 8 {
		return prefix + "****" + secret[len(secret)-4:]
	}
	return prefix + "****"
}
