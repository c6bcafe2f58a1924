package stripetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

const (
	maxIdempotencyKey = 255 // characters
	idempotencyAge    = 24 * time.Hour
)

// WithStoredBadRequests makes the server store responses with status 400 under
// their idempotency key and replay them, like other responses. By default it
// does not: the key can then be used again, with corrected parameters too. The
// real service does one or the other, depending on where it finds the error.
func WithStoredBadRequests() Option {
	return func(s *Server) { s.storeBadRequests = true }
}

// replays holds the idempotency keys of one account in one mode.
type replays struct {
	byKey map[string]*replay
	keys  []string // the keys with a stored response, in the order they were stored
}

// replay is the state of one idempotency key.
type replay struct {
	request  [sha256.Size]byte // fingerprint of the first request
	stored   time.Time
	response *response // nil while the first request is in progress
}

// idempotencyKey returns the idempotency key of a POST, or "" if it has none.
// The key of any other request is ignored.
func idempotencyKey(r *http.Request) (string, *apiError) {
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost {
		return "", nil
	}
	if utf8.RuneCountInString(key) > maxIdempotencyKey {
		return "", keyTooLong()
	}
	return key, nil
}

// executeOnce performs a call unless its key has a response already.
//
// The key is claimed before the call is performed, and its response is stored
// afterwards, both under the server's lock. So of any number of concurrent
// requests with one key, only one is performed. Requests that arrive while it
// is in progress are refused. Later ones get the stored response. The key is
// released if the client goes away before the call is executed, or if the call
// panics.
func (s *Server) executeOnce(c *call, key string, perform func() *response) *response {
	claimed, earlier, failure := s.claim(c, key)
	if failure != nil {
		return c.refuse(failure)
	}
	if earlier != nil {
		return earlier.respond(c)
	}
	var resp *response
	defer func() { s.finish(c, key, claimed, resp) }()
	resp = perform()
	return resp
}

// claim reserves the key for this call, or returns the stored response of an
// earlier one.
func (s *Server) claim(c *call, key string) (claimed, earlier *replay, failure *apiError) {
	now, request := s.now(), fingerprint(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := &c.account.replays
	known.expire(now)
	found := known.byKey[key]
	switch {
	case found == nil:
		claimed = &replay{request: request}
		known.put(key, claimed)
		return claimed, nil, nil
	case found.request != request:
		return nil, nil, keyReused(key)
	case found.response == nil:
		return nil, nil, keyInUse(key)
	}
	return nil, found, nil
}

// finish stores the response under the key, or releases the key if such a
// response is not stored.
func (s *Server) finish(c *call, key string, claimed *replay, resp *response) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	known := &c.account.replays
	if resp == nil || !s.stores(resp) {
		delete(known.byKey, key)
		return
	}
	claimed.response, claimed.stored = resp.clone(), now // faults may still change resp
	known.keys = append(known.keys, key)
}

// stores reports whether a response is stored and replayed. Responses with
// status 401, 403 and 429 do not get here: they are given before the key is
// read, as are those of faults in front of the API.
func (s *Server) stores(resp *response) bool {
	return resp.err == nil && (resp.status != http.StatusBadRequest || s.storeBadRequests)
}

func (r *replays) put(key string, claimed *replay) {
	if r.byKey == nil {
		r.byKey = make(map[string]*replay)
	}
	r.byKey[key] = claimed
}

// expire removes the responses that are older than 24 hours.
func (r *replays) expire(now time.Time) {
	expired := 0
	for _, key := range r.keys {
		if now.Sub(r.byKey[key].stored) < idempotencyAge {
			break
		}
		delete(r.byKey, key)
		expired++
	}
	r.keys = slices.Delete(r.keys, 0, expired)
}

// respond makes the response for a later call: the stored status and body, in
// the API version of the first call.
func (r *replay) respond(c *call) *response {
	resp := c.respond(r.response.status, r.response.body)
	resp.header.Set("Idempotent-Replayed", "true")
	resp.header.Set("Original-Request", r.response.header.Get("Request-Id"))
	resp.header.Set(headerVersion, r.response.header.Get(headerVersion))
	return resp
}

// fingerprint returns a hash of the path and the parameters, which does not
// depend on the order of the parameters.
func fingerprint(c *call) (sum [sha256.Size]byte) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q", c.path)
	c.params.write(hash)
	hash.Sum(sum[:0])
	return sum
}

func (v *value) write(w io.Writer) {
	fmt.Fprintf(w, "%q{", v.text)
	for _, name := range slices.Sorted(slices.Values(v.names)) {
		fmt.Fprintf(w, "%q", name)
		v.children[name].write(w)
	}
	fmt.Fprint(w, "}")
}

func keyTooLong() *apiError {
	return &apiError{
		status:  http.StatusBadRequest,
		Type:    typeIdempotency,
		Message: fmt.Sprintf("Idempotency keys can have up to %d characters.", maxIdempotencyKey),
	}
}

func keyReused(key string) *apiError {
	return &apiError{
		status: http.StatusBadRequest,
		Type:   typeIdempotency,
		Message: "Keys for idempotent requests can only be used with the same parameters they were first used with. " +
			"Try using a key other than '" + key + "' if you meant to execute a different request.",
	}
}

func keyInUse(key string) *apiError {
	return &apiError{
		status: http.StatusConflict,
		Type:   typeIdempotency,
		Code:   "idempotency_key_in_use",
		Message: "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, " +
			"and the other request is still going through): " + key + ". Please try again later.",
	}
}
