package transport

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are requests a second; 0 is no limit.
type Limits struct {
	Total    float64 // of all requests
	Endpoint float64 // of one endpoint: everything below /v1/charges, say
	Search   float64 // of all searches together
}

// firstPause is how long an endpoint rests after a 429 that does not say how
// long; it doubles while they go on. One among many requests costs little: at 25
// requests a second, of which one in twenty is refused, a pause of half a second
// would take more than half of the time.
const firstPause = 50 * time.Millisecond

// maxPolls is how many pollers of one endpoint fetch at a time, as many as
// connections are kept open. Ten thousand of them before a service that hangs
// are ten thousand timers, and not as many connections.
const maxPolls = 64

// limiter keeps all callers below the limits, and holds back every caller of an
// endpoint that answered 429, not only the one who was told.
type limiter struct {
	limits Limits
	total  *gate
	search *gate

	mu        sync.Mutex
	endpoints map[string]*endpoint
}

type endpoint struct {
	gate  *gate
	polls chan struct{} // an element for each poller that fetches

	mu      sync.Mutex
	until   time.Time // paused until then
	refused int       // pauses in a row
}

func newLimiter(l Limits) *limiter {
	return &limiter{
		limits: l, total: newGate(l.Total), search: newGate(l.Search),
		endpoints: map[string]*endpoint{},
	}
}

func (l *limiter) around(next step) step {
	return func(ctx context.Context, req *Request) (*Response, error) {
		e := l.endpoint(req.Path)
		if req.Poll {
			select {
			case e.polls <- struct{}{}:
				defer func() { <-e.polls }()
			case <-ctx.Done():
				return nil, &Error{Err: ctx.Err()}
			}
		}
		if err := l.wait(ctx, e, req.Path); err != nil {
			return nil, &Error{Err: err}
		}
		if req.Passed != nil {
			req.Passed()
		}
		sent := time.Now()
		resp, err := next(ctx, req)
		if err == nil {
			e.heard(resp, sent)
		}
		return resp, err
	}
}

func (l *limiter) endpoint(path string) *endpoint {
	name := endpointOf(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoints[name]
	if e == nil {
		e = &endpoint{gate: newGate(l.limits.Endpoint), polls: make(chan struct{}, maxPolls)}
		l.endpoints[strings.Clone(name)] = e
	}
	return e
}

// endpointOf is a path up to its second segment: /v1/charges.
func endpointOf(path string) string {
	slashes := 0
	for i := range len(path) {
		if path[i] == '/' {
			slashes++
		}
		if slashes == 3 {
			return path[:i]
		}
	}
	return path
}

func (l *limiter) wait(ctx context.Context, e *endpoint, path string) error {
	gates := [3]*gate{e.gate, nil, l.total}
	if strings.HasSuffix(path, "/search") {
		gates[1] = l.search
	}
	for {
		if err := sleep(ctx, e.pause()); err != nil {
			return fmt.Errorf("%w while the endpoint rests after a 429", err)
		}
		passed, err := pass(ctx, gates[:], e)
		if err != nil {
			return fmt.Errorf("%w while waiting for the rate limit", err)
		}
		if passed {
			return nil
		}
	}
}

// pass waits at one gate after the other, holding each until it is through the
// last: so it is counted at all of them when it leaves, not when it came. It
// does not pass, and is not counted, if a 429 came in while it waited.
func pass(ctx context.Context, gates []*gate, e *endpoint) (passed bool, err error) {
	for _, g := range gates {
		if g == nil {
			continue
		}
		if err := g.enter(ctx); err != nil {
			return false, err
		}
		defer g.leave()
	}
	if e.pause() > 0 {
		return false, nil
	}
	now := time.Now()
	for _, g := range gates {
		if g != nil {
			g.rate.AllowN(now, 1)
		}
	}
	return true, nil
}

// gate is one limit. Callers stand in line, and only the first of them looks at
// the rate: who gives up leaves nothing behind. Reservations of a thousand
// callers that were cancelled would hold up the next one for a minute.
type gate struct {
	rate *rate.Limiter
	turn chan struct{} // of one element, there while a caller is at the gate
}

// newGate makes a gate without bursts: with them, a second could hold its full
// number and a burst besides.
func newGate(perSecond float64) *gate {
	if perSecond <= 0 || math.IsInf(perSecond, 1) {
		return nil
	}
	return &gate{rate: rate.NewLimiter(rate.Limit(perSecond), 1), turn: make(chan struct{}, 1)}
}

// enter waits for the caller's turn and then for the rate.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := sleep(ctx, g.delay(time.Now())); err != nil {
		g.leave()
		return err
	}
	return nil
}

func (g *gate) leave() { <-g.turn }

// delay is how long the rate has the caller at the gate wait.
func (g *gate) delay(now time.Time) time.Duration {
	r := g.rate.ReserveN(now, 1)
	defer r.CancelAt(now)
	return r.DelayFrom(now)
}

func (e *endpoint) pause() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until.IsZero() {
		return 0
	}
	return time.Until(e.until)
}

// heard takes note of the answer to a request of the moment sent. A 429 starts
// a pause, or lengthens it; it is over when its time is. Requests that were
// under way when it started have answers too: a success among them does not end
// it, and more 429s are the same refusal, not one after another.
//
// A lock_timeout is a 429 too, but it is about one object: it comes without the
// reason header, and starts no pause.
func (e *endpoint) heard(resp *Response, sent time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := !sent.Before(e.until)
	if resp.Status != http.StatusTooManyRequests {
		if news {
			e.refused = 0
		}
		return
	}
	pause := min(RetryAfter(resp.Header), MaxRetryAfter)
	if pause == 0 && resp.Header.Get("Stripe-Rate-Limited-Reason") == "" {
		return
	}
	if news {
		pause = max(pause, min(firstPause<<min(e.refused, 10), maxBackoff))
		e.refused++
	}
	if until := time.Now().Add(pause); until.After(e.until) {
		e.until = until
	}
}
