package stripetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// defaultVersion is the API version of a request that names none.
const defaultVersion = "2026-08-26.dahlia"

// call is one request on its way through a handler.
type call struct {
	request   *http.Request
	requestID string
	path      string
	id        string // what {id} in the route's pattern stood for
	params    *value
	account   *account // nil until the key is accepted
	time      time.Time
}

// answer is a response before it is put on a wire or handed over in memory.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// serve answers a request and records it. It records before it returns, so
// that whoever has the response finds the request in Requests.
func (s *Server) serve(r *http.Request, body []byte, bodyErr error) *answer {
	c := &call{request: r, requestID: newID("req_", 14), path: r.URL.EscapedPath()}
	status := http.StatusOK
	result, failure := s.handle(c, body, bodyErr)
	if c.time.IsZero() {
		c.time = s.now()
	}
	if failure != nil {
		status, result = failure.status, failure.envelope(c)
	}
	s.record(c, body, status)

	rendered := render(result)
	header := http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(rendered))},
		"Date":           {c.time.UTC().Format(http.TimeFormat)},
		"Request-Id":     {c.requestID},
		"Stripe-Version": {cmp.Or(r.Header.Get("Stripe-Version"), defaultVersion)},
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		header.Set("Idempotency-Key", key)
	}
	return &answer{status: status, header: header, body: rendered}
}

// handle finds the route, then the account, then checks the parameters, and
// only then runs the handler.
func (s *Server) handle(c *call, body []byte, bodyErr error) (any, *apiError) {
	method := cmp.Or(c.request.Method, http.MethodGet)
	route, id, found := s.match(method, c.path)
	if !found {
		return nil, unrecognizedURL(method, c.path)
	}
	live, failure := s.authenticate(c.request)
	if failure != nil {
		return nil, failure
	}
	c.id, c.account = id, s.accountFor(c.request.Header.Get("Stripe-Account"), live)

	if failure := checkBody(c.request, body, bodyErr); failure != nil {
		return nil, failure
	}
	c.params, failure = parseParams(c.request.URL.RawQuery, string(body))
	if failure != nil {
		return nil, failure
	}
	if failure := route.params.check("", c.params); failure != nil {
		return nil, failure
	}
	return s.run(route, c)
}

// run calls the handler under the account's lock. The clock is read under it
// too: were it read before, a list could be answered with a Date older than
// what it holds, and a new object could appear below one listed already.
func (s *Server) run(route route, c *call) (any, *apiError) {
	if route.method == http.MethodGet {
		c.account.mu.RLock()
		defer c.account.mu.RUnlock()
	} else {
		c.account.mu.Lock()
		defer c.account.mu.Unlock()
	}
	c.time = s.now()
	return route.handle(c)
}

func checkBody(r *http.Request, body []byte, err error) *apiError {
	if errors.Is(err, errBodyTooLarge) {
		return invalidRequest("", "", "The request body is larger than "+strconv.Itoa(maxBody)+" bytes.")
	}
	if err != nil {
		return invalidRequest("", "", "The request body could not be read.")
	}
	if len(body) > 0 && !isForm(r) {
		return invalidRequest("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
	}
	return nil
}

func isForm(r *http.Request) bool {
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/x-www-form-urlencoded"
}

// render encodes what a handler returned. Stored objects are never changed
// once stored, so this needs no lock.
func render(object any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(object); err != nil {
		// Every object is a struct of texts, numbers and maps of texts.
		panic("stripetest: " + err.Error())
	}
	return out.Bytes()
}
