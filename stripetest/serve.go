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

const headerVersion = "Stripe-Version"

// call is one request on its way through a handler.
type call struct {
	server    *Server
	request   *http.Request
	requestID string
	method    string
	path      string // as it was sent, escaped
	route     route  // its zero value if there is none
	id        string // what {id} in the route's pattern stood for
	version   version
	params    *value
	expand    [][]string // the paths to be expanded
	account   *account   // nil until the key is accepted
	time      time.Time  // when it came; once it is handled, when that was
	faults    []Effect   // what is to go wrong with it
}

// answer is a response before it is put on a wire or handed over in memory.
type answer struct {
	status int
	header http.Header // without Content-Length
	body   []byte
	fate   fate
	err    error // there is no answer: the client has gone
}

func (a *answer) clone() *answer {
	return &answer{status: a.status, header: a.header.Clone(), body: a.body}
}

// serve answers a request and records it. It records before it returns, so
// that whoever has the response finds the request in Requests.
func (s *Server) serve(r *http.Request, body []byte, bodyErr error) *answer {
	c := s.newCall(r)
	a := c.early(Effect.atDoor)
	if a == nil {
		a = s.answer(c, body, bodyErr)
	}
	for _, effect := range c.faults {
		if effect.after != nil && a.err == nil {
			effect.after(c, a)
		}
	}
	s.record(c, body, a)
	return a
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{
		server:    s,
		request:   r,
		requestID: newID("req_", 14),
		method:    cmp.Or(r.Method, http.MethodGet),
		path:      r.URL.EscapedPath(),
		version:   defaultVersion,
		time:      s.now(),
	}
	c.route, c.id, _ = s.match(c.method, c.path)
	c.faults = s.strike(c)
	return c
}

// answer is what the API has to say if nothing is in its way.
func (s *Server) answer(c *call, body []byte, bodyErr error) *answer {
	key, failure := s.admit(c, body, bodyErr)
	if failure != nil {
		return c.refuse(failure)
	}
	if key != "" {
		return s.once(c, key, func() *answer { return s.perform(c) })
	}
	return s.perform(c)
}

// admit finds out who asks for what, and with which idempotency key. It checks
// the route first, then the API key, then the parameters' form.
func (s *Server) admit(c *call, body []byte, bodyErr error) (key string, failure *apiError) {
	if failure := c.readVersion(); failure != nil {
		return "", failure
	}
	if c.route.handle == nil || !c.version.has(c.route) {
		return "", unrecognizedURL(c.method, c.path)
	}
	live, failure := s.authenticate(c.request)
	if failure != nil {
		return "", failure
	}
	c.account = s.accountFor(c.request.Header.Get("Stripe-Account"), live)
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

// perform checks the parameters, and only then runs the handler.
func (s *Server) perform(c *call) *answer {
	if a := c.early(Effect.atHandler); a != nil {
		return a
	}
	renamed := c.version.readParams(c.route, c.params)
	result, failure := s.handle(c)
	if failure != nil {
		failure.Param = cmp.Or(renamed[failure.Param], failure.Param)
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

// run calls the handler under the account's lock. The clock is read under it
// too: were it read before, a list could be answered with a Date older than
// what it holds, and a new object could appear below one listed already.
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
	result, failure := c.route.handle(c)
	if failure != nil {
		return nil, failure
	}
	return c.shape(result), nil
}

// shape expands what was asked for and writes the result as the call's version
// of the API did. Most calls want neither.
func (c *call) shape(result any) any {
	if len(c.expand) == 0 && c.version.current() && len(c.account.undated) == 0 {
		return result
	}
	shaped := newTree(result)
	for _, path := range c.expand {
		c.account.expand(shaped, answeredKind(c.route), path)
	}
	c.account.undate(shaped)
	c.version.rewrite(shaped)
	return shaped
}

// respond makes an answer with the headers that every answer has.
func (c *call) respond(status int, body []byte) *answer {
	header := http.Header{
		"Content-Type": {"application/json"},
		"Date":         {c.time.UTC().Format(http.TimeFormat)},
		"Request-Id":   {c.requestID},
		headerVersion:  {string(c.version)},
	}
	if key := c.request.Header.Get("Idempotency-Key"); key != "" {
		header.Set("Idempotency-Key", key)
	}
	return &answer{status: status, header: header, body: body}
}

func (c *call) refuse(failure *apiError) *answer {
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
