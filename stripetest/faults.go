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

// Fault is something that goes wrong with calls of a route; [Server.Fault]
// makes it.
type Fault struct {
	server       *Server
	method, path string // empty for any
	calls        Calls
	effects      []Effect

	seen, struck int // guarded by the server's mu
}

// Fault makes calls of a route go wrong from now on:
//
//	server.Fault("GET /v1/charges", stripetest.Nth(2), stripetest.Respond(503, "busy"))
//	server.Fault("POST /v1/charges", stripetest.First(1), stripetest.Drop(stripetest.BeforeAnswer))
//	server.Fault("", stripetest.Every(), stripetest.Delay(time.Second))
//
// A route is a method, a space and a path; either part may be left out, which
// means any. The path is a pattern of the API, such as /v1/charges/{id}, or one
// literal path, such as /v1/charges/ch_123 or one that this server does not
// know. Calls of every account and mode count.
//
// Where several faults strike a call, all of their effects apply, in the order
// the faults were made; the first effect that answers in place of the API wins.
//
// net/http's Transport repeats a GET, and a POST with an idempotency key, by
// itself if a connection that it had used before is closed without an answer:
// over a real connection such a drop can take several calls. In memory every
// drop is seen by the client.
func (s *Server) Fault(route string, calls Calls, effects ...Effect) *Fault {
	f := &Fault{server: s, calls: calls, effects: effects}
	f.method, f.path = splitRoute(route)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return f
}

// Remove ends the fault. Removing it again does nothing.
func (f *Fault) Remove() {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.server.faults = slices.DeleteFunc(f.server.faults, func(other *Fault) bool { return other == f })
}

// Struck counts the calls that the fault has been applied to.
func (f *Fault) Struck() int {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	return f.struck
}

// RemoveFaults ends every fault.
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

// strike counts a call for the faults of its route and returns the effects of
// those whose turn it is.
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

// Calls selects calls of a fault's route by their number, which is 1 for the
// first call after the fault was made. The zero value is [Every].
type Calls struct{ first, last int }

// Every selects all calls.
func Every() Calls { return Calls{} }

// First selects the first n calls.
func First(n int) Calls { return Calls{1, n} }

// Nth selects call number n alone.
func Nth(n int) Calls { return Calls{n, n} }

// From selects call number n and all later ones.
func From(n int) Calls { return Calls{n, math.MaxInt} }

func (calls Calls) include(n int) bool {
	return calls == Calls{} || n >= calls.first && n <= calls.last
}

// Effect is what a [Fault] does to a call. The functions that return one say
// whether the call is handled all the same: whether, say, the charge is made.
type Effect struct {
	door    func(*call) *answer // before the API: an answer ends the call
	handler func(*call) *answer // within it, when the idempotency key is held
	after   func(*call, *answer)
}

func (e Effect) atDoor() func(*call) *answer    { return e.door }
func (e Effect) atHandler() func(*call) *answer { return e.handler }

// early is the answer of the first effect that gives one there, nil for none.
func (c *call) early(at func(Effect) func(*call) *answer) *answer {
	for _, effect := range c.faults {
		if before := at(effect); before != nil {
			if a := before(c); a != nil {
				return a
			}
		}
	}
	return nil
}

// Do calls f before the call is handled, for what happens behind a client's
// back: an object created or deleted between two pages. f may use the server.
func Do(f func()) Effect {
	return Effect{door: func(*call) *answer {
		f()
		return nil
	}}
}

// Delay holds the call up before it is handled, with its idempotency key in
// flight. It is not handled if the client goes away meanwhile. A stored answer
// is not delayed.
func Delay(d time.Duration) Effect {
	return Effect{handler: func(c *call) *answer {
		if err := sleep(c.request.Context(), d); err != nil {
			return &answer{err: err}
		}
		return nil
	}}
}

// DelayAnswer holds the answer up after the call was handled. A client that
// goes away meanwhile loses the answer and no more.
func DelayAnswer(d time.Duration) Effect {
	return Effect{after: func(_ *call, a *answer) { a.fate.wait += d }}
}

// Respond answers in place of the API, as a proxy in front of it does: the
// call is not handled, and no idempotency key remembers it. The content type
// is that of the API unless [SetHeader] changes it.
func Respond(status int, body string) Effect {
	return Effect{door: func(c *call) *answer { return c.respond(status, []byte(body)) }}
}

// Replace handles the call and then answers with something else, as a proxy
// does that gave up waiting.
func Replace(status int, body string) Effect {
	return Effect{after: func(_ *call, a *answer) { a.status, a.body = status, []byte(body) }}
}

// InternalError is a 500 from the API itself: the call is not handled, and the
// answer is stored under its idempotency key, if it has one, and replayed.
func InternalError() Effect {
	return Effect{handler: func(c *call) *answer { return c.refuse(internalError()) }}
}

// RateLimitReason is why a call was one too many: the
// Stripe-Rate-Limited-Reason header.
type RateLimitReason string

// The reasons that the API gives.
const (
	GlobalRate          RateLimitReason = "global-rate"
	EndpointRate        RateLimitReason = "endpoint-rate"
	GlobalConcurrency   RateLimitReason = "global-concurrency"
	EndpointConcurrency RateLimitReason = "endpoint-concurrency"
	ResourceSpecific    RateLimitReason = "resource-specific"
)

// RateLimit answers 429 with this reason. The call is not handled. There is no
// Retry-After unless [RetryAfter] or [RetryAfterDate] stands beside it.
func RateLimit(reason RateLimitReason) Effect {
	return Effect{door: func(c *call) *answer {
		a := c.refuse(rateLimited())
		a.header.Set("Stripe-Rate-Limited-Reason", string(reason))
		return a
	}}
}

// LockTimeout answers 429 with the code lock_timeout and without a reason: an
// object is in use by another call. The call is not handled.
func LockTimeout() Effect {
	return Effect{door: func(c *call) *answer { return c.refuse(lockTimeout()) }}
}

// RetryAfter adds a Retry-After header in seconds; d is rounded up.
func RetryAfter(d time.Duration) Effect {
	seconds := int64((d + time.Second - 1) / time.Second)
	return SetHeader("Retry-After", strconv.FormatInt(seconds, 10))
}

// RetryAfterDate adds a Retry-After header that is a date, d from now on the
// server's clock.
func RetryAfterDate(d time.Duration) Effect {
	return Effect{after: func(c *call, a *answer) {
		a.header.Set("Retry-After", c.time.Add(d).UTC().Format(http.TimeFormat))
	}}
}

// SetHeader sets a header of the answer, such as Stripe-Should-Retry, whoever
// gives the answer; an empty value removes it. Over a real connection a removed Date comes back: net/http adds
// its own.
func SetHeader(name, value string) Effect {
	return Effect{after: func(_ *call, a *answer) {
		if value == "" {
			a.header.Del(name)
		} else {
			a.header.Set(name, value)
		}
	}}
}

// DateOffset makes the Date header wrong by d. Created timestamps stay right.
func DateOffset(d time.Duration) Effect {
	return Effect{after: func(c *call, a *answer) {
		a.header.Set("Date", c.time.Add(d).UTC().Format(http.TimeFormat))
	}}
}

// HasMore makes the has_more of a list or search say this, true or not. The
// call is handled; an answer without has_more stays as it is.
func HasMore(more bool) Effect {
	return Effect{after: func(_ *call, a *answer) {
		var list struct {
			HasMore *bool `json:"has_more"`
		}
		if json.Unmarshal(a.body, &list) != nil || list.HasMore == nil {
			return
		}
		page := newTree(json.RawMessage(a.body)).(*tree)
		page.set("has_more", more)
		a.body = render(page)
	}}
}

// Truncate ends the body after n bytes. As far as HTTP can tell it is complete:
// what is wrong is the JSON in it. The call is handled.
func Truncate(n int) Effect {
	return Effect{after: func(_ *call, a *answer) { a.body = a.body[:min(max(n, 0), len(a.body))] }}
}

// Garble replaces every second byte of the body by one that is not JSON. The
// call is handled.
func Garble() Effect {
	return Effect{after: func(_ *call, a *answer) {
		a.body = bytes.Clone(a.body)
		for i := 0; i < len(a.body); i += 2 {
			a.body[i] = 0xff
		}
	}}
}

// Moment is when a connection breaks.
type Moment int

// The moments at which [Drop] and [Reset] break a connection.
const (
	BeforeCall   Moment = iota // the call is not handled
	BeforeAnswer               // it is handled, and nothing of the answer is sent
	InAnswer                   // half of the body is sent
	AfterAnswer                // all of it is sent
)

// Drop closes the connection. The client sees [io.EOF], or
// [io.ErrUnexpectedEOF] while it reads the body; after the answer it sees
// nothing, but cannot use the connection again.
func Drop(at Moment) Effect { return breaking(at, closing) }

// Reset resets the connection. The client sees [syscall.ECONNRESET], in the
// call or while it reads the body; after the answer it may see nothing. What
// was sent just before a reset can be lost on the way.
func Reset(at Moment) Effect { return breaking(at, resetting) }

func breaking(at Moment, how ending) Effect {
	if at == BeforeCall {
		return Effect{door: func(*call) *answer {
			return &answer{header: http.Header{}, fate: fate{ending: how, at: at}}
		}}
	}
	return Effect{after: func(_ *call, a *answer) { a.fate.ending, a.fate.at = how, at }}
}

// ending is how a connection ends.
type ending int

const (
	intact ending = iota
	closing
	resetting
)

// fate is what becomes of an answer on its way.
type fate struct {
	wait   time.Duration // before it is sent
	ending ending
	at     Moment
}
