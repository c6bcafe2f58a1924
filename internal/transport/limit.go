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

// Limits holds rate limits in requests per second; 0 is no limit.
type Limits struct {
	Total    float64 // for all requests
	Endpoint float64 // for each endpoint, such as everything below /v1/charges
	Search   float64 // for all searches together
}

// List returns how many requests per second the limits allow for one list; 0 is no limit.
func (l Limits) List() float64 {
	if l.Total > 0 && l.Endpoint > 0 {
		return min(l.Total, l.Endpoint)
	}
	return max(l.Total, l.Endpoint)
}

// firstPause is how long requests to an endpoint pause after a 429 without a
// Retry-After. It doubles with each further 429. It is short, because a single
// 429 among many requests must cost little: at 25 requests per second, one in
// twenty of them refused, a pause of half a second would take more than half of
// the time.
const firstPause = 50 * time.Millisecond

// limiter keeps all callers below the limits. After a 429 it pauses every
// caller of the endpoint, not only the one that received it.
type limiter struct {
	limits Limits
	total  *gate
	search *gate

	mu        sync.Mutex
	endpoints map[string]*endpoint
}

type endpoint struct {
	gate  *gate
	polls *accounts
	// admitting holds one value while a poll waits for the rate and then for the
	// polls of the pool; nil if there is no rate.
	admitting chan struct{}

	mu      sync.Mutex
	until   time.Time // end of the pause
	refused int       // pauses in a row
}

func newLimiter(l Limits) *limiter {
	return &limiter{
		limits: l, total: newGate(l.Total), search: newGate(l.Search),
		endpoints: map[string]*endpoint{},
	}
}

// around lets a request wait for the rate. A poll waits first for the other polls of
// its account, and last for all polls of the pool. In this order, a client that
// has used up its rate holds up no other client.
func (l *limiter) around(pool *Pool, next step) step {
	return func(ctx context.Context, req *Request) (*Response, error) {
		e := l.endpoint(req.Path)
		if req.Waits != nil {
			req.Waits(true)
		}
		if !req.Poll {
			if err := l.wait(ctx, e, req.Path); err != nil {
				return nil, &Error{Err: err}
			}
			return e.send(ctx, req, next)
		}
		if err := e.polls.enter(ctx, req.Account); err != nil {
			return nil, &Error{Err: err}
		}
		entered, result := time.Now(), cancelled
		defer func() { e.polls.leave(req.Account, entered, result) }()
		line := pool.line(endpointOf(req.Path))
		if err := l.admit(ctx, e, line, req.Path); err != nil {
			return nil, &Error{Err: err}
		}
		sent := time.Now()
		defer func() { line.leave(sent, result) }()
		resp, err := e.send(ctx, req, next)
		result = outcomeOf(ctx, err)
		return resp, err
	}
}

// admit lets a poll wait for the rate and then in the line. With a rate, it admits
// one poll of the endpoint at a time. Otherwise polls that pass at the rate while a
// service hangs would all be sent in the moment that it recovers. So in a second
// after a wait in the line, an endpoint gets at most one poll more than its limit.
// A poll that meets a pause after its wait in the line waits again.
func (l *limiter) admit(ctx context.Context, e *endpoint, line *line, path string) error {
	if e.admitting != nil {
		select {
		case e.admitting <- struct{}{}:
			defer func() { <-e.admitting }()
		case <-ctx.Done():
			return fmt.Errorf("%w while waiting for the rate limit", ctx.Err())
		}
	}
	for {
		if err := l.wait(ctx, e, path); err != nil {
			return err
		}
		if err := line.enter(ctx); err != nil {
			return err
		}
		if e.pause() <= 0 {
			return nil
		}
		line.leave(time.Now(), cancelled)
	}
}

// send makes a request that has passed the limits.
func (e *endpoint) send(ctx context.Context, req *Request, next step) (*Response, error) {
	if req.Waits != nil {
		req.Waits(false)
	}
	sent := time.Now()
	resp, err := next(ctx, req)
	if err == nil {
		e.observe(resp, sent)
	}
	return resp, err
}

func (l *limiter) endpoint(path string) *endpoint {
	name := endpointOf(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoints[name]
	if e == nil {
		e = &endpoint{gate: newGate(l.limits.Endpoint), polls: newAccounts()}
		if e.gate != nil || l.total != nil {
			e.admitting = make(chan struct{}, 1)
		}
		l.endpoints[strings.Clone(name)] = e
	}
	return e
}

// endpointOf returns the first two segments of a path, such as /v1/charges.
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
	var search *gate
	if strings.HasSuffix(path, "/search") {
		search = l.search
	}
	gates := make([]*gate, 0, 3)
	for _, g := range []*gate{e.gate, search, l.total} {
		if g != nil {
			gates = append(gates, g)
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := sleep(ctx, e.pause()); err != nil {
			return fmt.Errorf("%w while the endpoint rests after a 429", err)
		}
		passed, err := pass(ctx, gates, e)
		if err != nil {
			return fmt.Errorf("%w while waiting for the rate limit", err)
		}
		if passed {
			return nil
		}
	}
}

// pass waits at one gate after the other, and holds each until it has passed
// the last. So all gates count the request when it leaves, not when it arrived.
// If a 429 was received during the wait, pass returns false and no gate counts
// it.
func pass(ctx context.Context, gates []*gate, e *endpoint) (passed bool, err error) {
	held := 0
	defer func() {
		for _, g := range gates[:held] {
			g.leave()
		}
	}()
	for _, g := range gates {
		if err := g.enter(ctx); err != nil {
			return false, err
		}
		held++
	}
	if e.pause() > 0 {
		return false, nil
	}
	now := time.Now()
	for _, g := range gates {
		g.rate.AllowN(now, 1)
	}
	return true, nil
}

// gate is one limit. Callers queue up, and only the first of them waits for the
// rate, so a caller that gives up leaves nothing behind. If each caller
// reserved its time, a thousand cancelled reservations would delay the next
// caller by a minute.
type gate struct {
	rate *rate.Limiter
	slot chan struct{} // holds one value while a caller is at the gate
}

// newGate returns a gate without bursts, nil if there is no limit. With bursts,
// a second could have a burst in addition to its full number of requests.
func newGate(perSecond float64) *gate {
	if perSecond <= 0 || math.IsInf(perSecond, 1) {
		return nil
	}
	return &gate{rate: rate.NewLimiter(rate.Limit(perSecond), 1), slot: make(chan struct{}, 1)}
}

// enter waits for the slot and then for the rate.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := sleep(ctx, g.delay(time.Now())); err != nil {
		g.leave()
		return err
	}
	return nil
}

func (g *gate) leave() { <-g.slot }

// delay returns how long the caller at the gate has to wait for the rate.
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

// observe processes the response to a request that was sent at the moment sent.
// A 429 starts a pause or extends it. The responses to requests that were sent
// before the end of the pause neither shorten nor escalate it: a success does
// not end it, and further 429s count as the same refusal.
//
// A lock_timeout is a 429 too, but it concerns one object. It has no reason
// header, and starts no pause.
func (e *endpoint) observe(resp *Response, sent time.Time) {
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
