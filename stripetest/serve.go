package stripetest

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const headerVersion = "Stripe-Version"

// call is the state of one request while the server handles it.
type call struct {
	server    *Server
	request   *http.Request
	requestID string
	method    string
	path      string // escaped, as it was sent
	route     route  // the zero value if no route matches
	id        string // the value of {id} in the route's pattern
	version   version
	params    *value
	expand    [][]string // the paths of the expand parameter
	account   *account   // nil until the key is accepted
	time      time.Time  // of arrival; once executed, of execution
	faults    []Effect   // the effects that apply to this request
}

// response is a response that has not been sent yet.
type response struct {
	status   int
	header   http.Header // without Content-Length
	body     []byte
	delivery delivery
	err      error // the context's error if the client is gone; there is no response
}

func (resp *response) clone() *response {
	return &response{status: resp.status, header: resp.header.Clone(), body: resp.body}
}

// serve handles a request and records it. It records before it returns, so that
// a client that has the response finds its request in Requests.
func (s *Server) serve(r *http.Request, body []byte, bodyErr error) *response {
	c := s.newCall(r)
	resp := c.earlyResponse(Effect.entryHook)
	if resp == nil {
		resp = s.process(c, body, bodyErr)
	}
	for _, effect := range c.faults {
		if effect.onResponse != nil && resp.err == nil {
			effect.onResponse(c, resp)
		}
	}
	s.record(c, body, resp)
	return resp
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{
		server:    s,
		request:   r,
		requestID: newID("req_", 14),
		method:    cmp.Or(r.Method, http.MethodGet),
		path:      r.URL.EscapedPath(),
		version:   s.versionWithoutHeader(),
		time:      s.now(),
	}
	c.route, c.id, _ = s.match(c.method, c.path)
	c.faults = s.strike(c)
	return c
}

// process returns the response of the API, before any effects on the response.
func (s *Server) process(c *call, body []byte, bodyErr error) *response {
	key, failure := s.admit(c, body, bodyErr)
	if failure != nil {
		return c.refuse(failure)
	}
	if key != "" {
		return s.executeOnce(c, key, func() *response { return s.perform(c) })
	}
	return s.perform(c)
}

// admit checks the version and the route, then the API key and its permissions,
// then the form of the body. It sets the account and the parameters of the call
// and returns the idempotency key.
func (s *Server) admit(c *call, body []byte, bodyErr error) (key string, failure *apiError) {
	if failure := c.readVersion(); failure != nil {
		return "", failure
	}
	if strings.Contains(c.path, "%00") {
		return "", invalidRequest("", "", "Invalid request: "+errNUL.Error())
	}
	if c.route.handle == nil || !c.version.has(c.route) {
		return "", unrecognizedURL(c.method, c.path)
	}
	live, failure := s.authenticate(c)
	if failure != nil {
		return "", failure
	}
	account, failure := s.actingAccount(c.request)
	if failure != nil {
		return "", failure
	}
	c.account = s.accountFor(account, live)
	if failure := s.permit(c); failure != nil {
		return "", failure
	}
	if failure := checkBody(c.request, body, bodyErr); failure != nil {
		return "", failure
	}
	if c.params, failure = parseParams(c.request.URL.RawQuery, string(body)); failure != nil {
		return "", failure
	}
	return idempotencyKey(c.request)
}

// perform checks the parameters and then runs the handler.
func (s *Server) perform(c *call) *response {
	if resp := c.earlyResponse(Effect.handlerHook); resp != nil {
		return resp
	}
	renamed := c.version.readParams(c.route, c.params)
	result, failure := s.handle(c)
	if failure != nil {
		failure.Param = cmp.Or(renamed[failure.Param], failure.Param)
		s.hintAtOtherMode(c, failure)
		return c.refuse(failure)
	}
	return c.respond(http.StatusOK, render(result))
}

func (s *Server) handle(c *call) (any, *apiError) {
	failure := c.route.params.check("", c.params)
	if failure != nil {
		return nil, failure
	}
	if c.expand, failure = expansions(c.route, c.params); failure != nil {
		return nil, failure
	}
	return s.run(c)
}

// run calls the handler under the account's lock. It also reads the clock under
// the lock. Otherwise a list could have a Date older than an object in it, and
// a new object could get a created timestamp below that of an object listed
// already.
func (s *Server) run(c *call) (any, *apiError) {
	if c.method == http.MethodGet {
		c.account.mu.RLock()
		defer c.account.mu.RUnlock()
	} else {
		c.account.mu.Lock()
		defer c.account.mu.Unlock()
	}
	c.time = s.now()
	c.narrow(s.cursorAndCreated)
	handle := c.route.handle
	if c.method != http.MethodGet {
		handle = func(c *call) (any, *apiError) { return c.recording(c.route.handle) }
	}
	result, failure := handle(c)
	if failure != nil {
		return nil, failure.shape(c)
	}
	return c.shape(result), nil
}

// shape expands objects, hides the timestamps of undated objects and converts
// the result to the API version of the call. Most calls need none of these. Events
// keep the version of their own.
func (c *call) shape(result any) any {
	if strings.HasPrefix(c.route.pattern, eventsPath) {
		return result
	}
	if len(c.expand) == 0 && c.version.current() && len(c.account.undated) == 0 {
		return result
	}
	shaped := newTree(result)
	for _, path := range c.expand {
		c.account.expand(shaped, respondedKind(c.route), path)
	}
	c.account.embedAll(shaped, c.version)
	c.account.undate(shaped)
	c.version.rewrite(c.account.prices.get, shaped)
	return shaped
}

// respond makes a response with the headers that all responses have.
func (c *call) respond(status int, body []byte) *response {
	header := http.Header{
		"Content-Type": {"application/json"},
		"Date":         {c.time.UTC().Format(http.TimeFormat)},
		"Request-Id":   {c.requestID},
		headerVersion:  {string(c.version)},
	}
	if key := c.request.Header.Get("Idempotency-Key"); key != "" {
		header.Set("Idempotency-Key", key)
	}
	return &response{status: status, header: header, body: body}
}

func (c *call) refuse(failure *apiError) *response {
	return c.respond(failure.status, render(failure.envelope(c)))
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
