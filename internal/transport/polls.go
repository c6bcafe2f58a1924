package transport

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// minPolls and maxPolls bound how many polls of one endpoint may be under way
	// over a Pool. Ten thousand pollers are then ten thousand timers if the service
	// hangs, and not as many network connections.
	minPolls = 256
	maxPolls = 1024
	// accountPolls bounds those of one client for one account, so that an account
	// with many pollers holds up no other.
	accountPolls = 64
)

// Pool is what clients of the same service share: the network connections, and the
// bound of the polls that use them at a time.
type Pool struct {
	HTTP *http.Client

	mu    sync.Mutex
	lines map[string]*line // by endpoint
}

// NewPool returns a Pool over an HTTP client.
func NewPool(client *http.Client) *Pool { return &Pool{HTTP: client, lines: map[string]*line{}} }

func (p *Pool) line(endpoint string) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[endpoint]
	if l == nil {
		l = &line{bound: minPolls}
		p.lines[strings.Clone(endpoint)] = l
	}
	return l
}

// line bounds how many polls are under way. The others wait, first come, first
// served. The bound follows the latency: while polls wait, each response lets one
// more poll be under way, so that slow responses do not limit how many polls a second
// are made. So does the response to each poll that was under way when another had to
// wait, since a client with a rate has one poll wait for all. A poll without a
// response halves the bound, once for all that were under way together. So a service
// that recovers gets more polls step by step.
type line struct {
	mu       sync.Mutex
	bound    int
	underWay int
	waiting  list.List // of chan struct{}, which is closed to let a poll go
	full     time.Time // when a poll had to wait last
	halved   time.Time // when the bound was halved last
}

// enter waits until a poll may be under way.
func (l *line) enter(ctx context.Context) error {
	l.mu.Lock()
	if l.underWay < l.bound { // then none waits
		l.underWay++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	place := l.waiting.PushBack(turn)
	l.full = time.Now()
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // the turn came at the same time
		l.underWay--
		l.admit()
	default:
		l.waiting.Remove(place)
	}
	return fmt.Errorf("%w while waiting for other polls", ctx.Err())
}

// leave ends a poll that was sent at a time.
func (l *line) leave(sent time.Time, result outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay--
	switch {
	case result == responded && (l.waiting.Len() > 0 || !sent.After(l.full)):
		l.bound = min(l.bound+1, maxPolls)
	case result == failed && sent.After(l.halved):
		l.bound, l.halved = max(l.bound/2, minPolls), time.Now()
	}
	l.admit()
}

func (l *line) admit() {
	for l.underWay < l.bound && l.waiting.Len() > 0 {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
		l.underWay++
	}
}

// accounts bounds how many polls of one endpoint a client has under way for each
// account. The others of the account wait, first come, first served.
type accounts struct {
	mu       sync.Mutex
	underWay map[string]int
	waiting  map[string][]chan struct{} // closed to let a poll go
}

func newAccounts() *accounts {
	return &accounts{underWay: map[string]int{}, waiting: map[string][]chan struct{}{}}
}

// enter waits until a poll for an account may be under way.
func (a *accounts) enter(ctx context.Context, id string) error {
	a.mu.Lock()
	if a.underWay[id] < accountPolls {
		a.underWay[id]++
		a.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	a.waiting[id] = append(a.waiting[id], turn)
	a.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.waiting[id], turn); i >= 0 {
		a.setWaiting(id, slices.Delete(a.waiting[id], i, i+1))
	} else { // the turn came at the same time
		a.end(id)
	}
	return fmt.Errorf("%w while waiting for other polls of the account", ctx.Err())
}

func (a *accounts) leave(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(id)
}

// end ends a poll that is under way. The caller holds mu.
func (a *accounts) end(id string) {
	if turns := a.waiting[id]; len(turns) > 0 {
		close(turns[0])
		a.setWaiting(id, turns[1:])
		return
	}
	if a.underWay[id]--; a.underWay[id] == 0 {
		delete(a.underWay, id)
	}
}

func (a *accounts) setWaiting(id string, turns []chan struct{}) {
	if len(turns) == 0 {
		delete(a.waiting, id)
		return
	}
	a.waiting[id] = turns
}

// outcome is how a poll ended.
type outcome uint8

const (
	responded outcome = iota // with a response of any status
	failed                   // without a whole response
	cancelled                // by the caller
)

func outcomeOf(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return responded
	case ctx.Err() != nil:
		return cancelled
	default:
		return failed
	}
}
