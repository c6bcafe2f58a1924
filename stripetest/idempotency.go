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

// WithStoredBadRequests makes the server keep answers with status 400 under
// their idempotency key and replay them, like all others. By default it does
// not: a request that was refused did not begin to execute, and the key can be
// used again, with corrected parameters too. Which of the two the real service
// does depends on where it finds the error.
func WithStoredBadRequests() Option {
	return func(s *Server) { s.storeBadRequests = true }
}

// replays are the answers of one account in one mode by idempotency key.
type replays struct {
	byKey map[string]*replay
	keys  []string // of the finished ones, in the order they were stored
}

// replay is what a key stands for. It is in flight until it has an answer.
type replay struct {
	request [sha256.Size]byte // what was asked
	stored  time.Time
	answer  *answer
}

// idempotencyKey is the request's key, empty if it has none that counts: only
// a POST has use for one.
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

// once performs a call unless its key has an answer already.
//
// The key is claimed before the call is handled and settled after it, both
// under the server's lock, so of any number of calls at the same time with the
// same key one is performed; those that come while it is under way are refused
// and those that come later get its answer. A call whose client went away
// before it was handled gives the key back, and so does one that panics.
func (s *Server) once(c *call, key string, perform func() *answer) *answer {
	claimed, earlier, failure := s.claim(c, key)
	if failure != nil {
		return c.refuse(failure)
	}
	if earlier != nil {
		return earlier.again(c)
	}
	var a *answer
	defer func() { s.settle(c, key, claimed, a) }()
	a = perform()
	return a
}

// claim reserves the key for this call, or finds the answer of an earlier one.
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
	case found.answer == nil:
		return nil, nil, keyInUse(key)
	}
	return nil, found, nil
}

// settle stores the answer, or gives the key back if the answer does not count.
func (s *Server) settle(c *call, key string, claimed *replay, a *answer) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	known := &c.account.replays
	if a == nil || !s.stores(a) {
		delete(known.byKey, key)
		return
	}
	claimed.answer, claimed.stored = a.clone(), now // faults may still change a
	known.keys = append(known.keys, key)
}

// stores says whether an answer is one that is replayed. A 401, a 403 and a
// 429 are given before the key is looked at, and so are the answers of faults
// in front of the API.
func (s *Server) stores(a *answer) bool {
	return a.err == nil && (a.status != http.StatusBadRequest || s.storeBadRequests)
}

func (r *replays) put(key string, claimed *replay) {
	if r.byKey == nil {
		r.byKey = make(map[string]*replay)
	}
	r.byKey[key] = claimed
}

// expire forgets the answers that are older than a day, which are the first.
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

// again is a stored answer as it is given to a later call: the same status and
// body, in the API version of the first.
func (r *replay) again(c *call) *answer {
	a := c.respond(r.answer.status, r.answer.body)
	a.header.Set("Idempotent-Replayed", "true")
	a.header.Set("Original-Request", r.answer.header.Get("Request-Id"))
	a.header.Set(headerVersion, r.answer.header.Get(headerVersion))
	return a
}

// fingerprint tells requests apart: by path and parameters, in whatever order
// these were sent.
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
		v.below[name].write(w)
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
