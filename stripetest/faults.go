package stripetest

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault modifies how the server handles some requests of a route.
// [Server.Fault] creates it.
type Fault struct {
	server       *Server
	method, path string // empty: any
	calls        Calls
	effects      []Effect
	number       int        // 1 for the first fault of the server
	sent         faultState // as the control plane got it

	seen, struck int // requests that matched, requests affected; guarded by the server's mu
}

// Fault applies effects to the selected requests of a route, from now on:
//
//	server.Fault("GET /v1/charges", stripetest.Nth(2), stripetest.Respond(503, "busy"))
//	server.Fault("POST /v1/charges", stripetest.First(1), stripetest.Drop(stripetest.BeforeResponse))
//	server.Fault("", stripetest.Every(), stripetest.Delay(time.Second))
//
// A route is a method, a space and a path. If the method or the path is left
// out, the route matches any. The path is a pattern of the API, such as
// /v1/charges/{id}, or a literal path, such as /v1/charges/ch_123. A literal
// path need not be one of the API. Requests are numbered over all accounts and
// both modes.
//
// If several faults apply to a request, all of their effects apply, in the
// order in which the faults were created. If several effects respond in place
// of the API, the first one wins; InternalError comes after the others.
//
// Over a real connection one request of the client can count as several: if a
// reused connection is closed without a response, the Transport of net/http
// repeats a GET, and a POST with an idempotency key. In memory nothing is
// repeated.
func (s *Server) Fault(route string, calls Calls, effects ...Effect) *Fault {
	return s.addFault(faultState{Route: route}, calls, effects)
}

func (s *Server) addFault(sent faultState, calls Calls, effects []Effect) *Fault {
	f := &Fault{server: s, calls: calls, effects: effects, sent: sent}
	f.method, f.path = splitRoute(sent.Route)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.madeFaults++
	f.number = s.madeFaults
	s.faults = append(s.faults, f)
	return f
}

// Remove ends the fault. Removing it again does nothing.
func (f *Fault) Remove() {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.server.faults = slices.DeleteFunc(f.server.faults, func(other *Fault) bool { return other == f })
}

// Struck returns the number of requests that the fault was applied to.
func (f *Fault) Struck() int {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	return f.struck
}

// RemoveFaults ends all faults.
func (s *Server) RemoveFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func splitRoute(route string) (method, path string) {
	if before, after, ok := strings.Cut(route, " "); ok {
		return before, after
	}
	if strings.HasPrefix(route, "/") {
		return "", route
	}
	return route, ""
}

// strike counts a request for the faults of its route and returns the effects
// of the faults that apply to it.
func (s *Server) strike(c *call) []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	var effects []Effect
	for _, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		if f.seen++; f.calls.include(f.seen) {
			f.struck++
			effects = append(effects, f.effects...)
		}
	}
	return effects
}

func (f *Fault) matches(c *call) bool {
	return (f.method == "" || f.method == c.method) &&
		(f.path == "" || f.path == c.route.pattern || f.path == c.path)
}

// Calls selects requests of a fault's route by their number. The first request
// after the fault was created has number 1. The zero value is [Every].
type Calls struct{ first, last int }

// Every selects all requests.
func Every() Calls { return Calls{} }

// First selects the first n requests.
func First(n int) Calls { return Calls{1, n} }

// Nth selects request number n only.
func Nth(n int) Calls { return Calls{n, n} }

// From selects request number n and all later ones.
func From(n int) Calls { return Calls{n, math.MaxInt} }

func (calls Calls) include(n int) bool {
	return calls == Calls{} || n >= calls.first && n <= calls.last
}

// Effect is what a [Fault] does to a request. The functions that return an
// Effect say whether the request is still executed. Only an executed request
// creates or changes objects.
type Effect struct {
	onEntry    func(*call) *response // before the API; a response ends the request
	onHandler  func(*call) *response // within the API, once the idempotency key is claimed
	onResponse func(*call, *response)
}

func (e Effect) entryHook() func(*call) *response   { return e.onEntry }
func (e Effect) handlerHook() func(*call) *response { return e.onHandler }

// earlyResponse returns the response of the first effect whose hook returns
// one, or nil.
func (c *call) earlyResponse(hook func(Effect) func(*call) *response) *response {
	for _, effect := range c.faults {
		if run := hook(effect); run != nil {
			if resp := run(c); resp != nil {
				return resp
			}
		}
	}
	return nil
}

// Do calls f before the request is executed. f can use the server, for example
// to create or delete an object between two pages.
func Do(f func()) Effect {
	return Effect{onEntry: func(*call) *response {
		f()
		return nil
	}}
}

// Delay waits for d before the request is executed. Its idempotency key is in
// use meanwhile. If the client gives up during the wait, the request is not
// executed. A replayed response is not delayed.
func Delay(d time.Duration) Effect {
	return Effect{onHandler: func(c *call) *response {
		if err := sleep(c.request.Context(), d); err != nil {
			return &response{err: err}
		}
		return nil
	}}
}

// DelayResponse waits for d after the request is executed, before the response
// is sent. If the client gives up during the wait, it loses only the response.
func DelayResponse(d time.Duration) Effect {
	return Effect{onResponse: func(_ *call, resp *response) { resp.delivery.wait += d }}
}

// Respond sends this response in place of the API's, as a proxy in front of the
// API can. The request is not executed, and the response is not stored under an
// idempotency key. The Content-Type is that of the API unless [SetHeader]
// changes it.
func Respond(status int, body string) Effect {
	return Effect{onEntry: func(c *call) *response { return c.respond(status, []byte(body)) }}
}

// Replace executes the request and then sends another status and body, as a
// proxy does after a timeout. The headers are those of the API.
func Replace(status int, body string) Effect {
	return Effect{onResponse: func(_ *call, resp *response) { resp.status, resp.body = status, []byte(body) }}
}

// InternalError makes the API respond with status 500. The request is not
// executed. If it has an idempotency key, the response is stored and replayed.
func InternalError() Effect {
	return Effect{onHandler: func(c *call) *response { return c.refuse(internalError()) }}
}

// RateLimitReason is the value of the Stripe-Rate-Limited-Reason header: the
// limit that a request exceeded.
type RateLimitReason string

// The limits that the API reports.
const (
	GlobalRate          RateLimitReason = "global-rate"
	EndpointRate        RateLimitReason = "endpoint-rate"
	GlobalConcurrency   RateLimitReason = "global-concurrency"
	EndpointConcurrency RateLimitReason = "endpoint-concurrency"
	ResourceSpecific    RateLimitReason = "resource-specific"
)

// RateLimit responds with status 429 and this reason. The request is not
// executed. There is no Retry-After header unless the fault also has
// [RetryAfter] or [RetryAfterDate].
func RateLimit(reason RateLimitReason) Effect {
	return Effect{onEntry: func(c *call) *response {
		resp := c.refuse(rateLimited())
		resp.header.Set("Stripe-Rate-Limited-Reason", string(reason))
		return resp
	}}
}

// LockTimeout responds with status 429, the code lock_timeout and no rate limit
// reason: another request is using the object. The request is not executed.
func LockTimeout() Effect {
	return Effect{onEntry: func(c *call) *response { return c.refuse(lockTimeout()) }}
}

// RetryAfter adds a Retry-After header in seconds. It rounds d up to a whole
// second.
func RetryAfter(d time.Duration) Effect {
	seconds := int64((d + time.Second - 1) / time.Second)
	return SetHeader("Retry-After", strconv.FormatInt(seconds, 10))
}

// RetryAfterDate adds a Retry-After header with a date: the server's time plus
// d.
func RetryAfterDate(d time.Duration) Effect {
	return Effect{onResponse: func(c *call, resp *response) {
		resp.header.Set("Retry-After", c.time.Add(d).UTC().Format(http.TimeFormat))
	}}
}

// SetHeader sets a header of the response, such as Stripe-Should-Retry. An
// empty value removes the header. It also changes the responses of other
// effects. Over a real connection Date cannot be removed: net/http adds its
// own.
func SetHeader(name, value string) Effect {
	return Effect{onResponse: func(_ *call, resp *response) {
		if value == "" {
			resp.header.Del(name)
		} else {
			resp.header.Set(name, value)
		}
	}}
}

// DateOffset adds d to the Date header. Created timestamps do not change.
func DateOffset(d time.Duration) Effect {
	return Effect{onResponse: func(c *call, resp *response) {
		resp.header.Set("Date", c.time.Add(d).UTC().Format(http.TimeFormat))
	}}
}

// HasMore sets has_more in the response of a list or search. The request is
// executed. A response without has_more does not change.
func HasMore(more bool) Effect {
	return Effect{onResponse: func(_ *call, resp *response) {
		var list struct {
			HasMore *bool `json:"has_more"`
		}
		if json.Unmarshal(resp.body, &list) != nil || list.HasMore == nil {
			return
		}
		page := newTree(json.RawMessage(resp.body)).(*tree)
		page.set("has_more", more)
		resp.body = render(page)
	}}
}

// Truncate cuts the body off after n bytes and sets Content-Length accordingly,
// so that the HTTP response is complete but its JSON is not. The request is
// executed.
func Truncate(n int) Effect {
	return Effect{onResponse: func(_ *call, resp *response) { resp.body = resp.body[:min(max(n, 0), len(resp.body))] }}
}

// Garble replaces every second byte of the body with one that is not valid
// JSON. The request is executed.
func Garble() Effect {
	return Effect{onResponse: func(_ *call, resp *response) {
		resp.body = bytes.Clone(resp.body)
		for i := 0; i < len(resp.body); i += 2 {
			resp.body[i] = 0xff
		}
	}}
}

// Moment is the time at which [Drop] or [Reset] breaks the connection.
type Moment int

// The times at which a connection can break.
const (
	BeforeCall     Moment = iota // the request is not executed
	BeforeResponse               // the request is executed, and nothing of the response is sent
	InResponse                   // half of the body is sent
	AfterResponse                // the whole body is sent
)

// Drop closes the connection. The client sees [io.EOF], or
// [io.ErrUnexpectedEOF] while it reads the body. After the response it sees no
// error, but cannot reuse the connection.
func Drop(at Moment) Effect { return breaking(at, closing) }

// Reset resets the connection. The client sees [syscall.ECONNRESET], from the
// call or while it reads the body. After the response it may see no error.
// Bytes that were sent just before the reset can be lost.
func Reset(at Moment) Effect { return breaking(at, resetting) }

func breaking(at Moment, how ending) Effect {
	if at == BeforeCall {
		return Effect{onEntry: func(*call) *response {
			return &response{header: http.Header{}, delivery: delivery{ending: how, at: at}}
		}}
	}
	return Effect{onResponse: func(_ *call, resp *response) { resp.delivery.ending, resp.delivery.at = how, at }}
}

// ending is how a connection ends.
type ending int

const (
	intact ending = iota
	closing
	resetting
)

// delivery is how a response is sent.
type delivery struct {
	wait   time.Duration // before the response is sent
	ending ending
	at     Moment
}
