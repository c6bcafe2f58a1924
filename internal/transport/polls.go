package transport

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
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
	// firstAccountPolls and maxAccountPolls bound those of one client for one account,
	// so that an account with many pollers holds up no other. The bound is low at first.
	// Otherwise the polls of four accounts that the service does not respond to would
	// take all places, each until it times out.
	firstAccountPolls = 4
	maxAccountPolls   = 64
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
		l = &line{bound: minPolls, least: minPolls, most: maxPolls}
		p.lines[strings.Clone(endpoint)] = l
	}
	return l
}

// line bounds how many polls are under way, either of an endpoint over a Pool or of an
// account. The others wait, first come, first served. The bound follows the latency:
// while polls wait, each response lets one more poll be under way, so that slow
// responses do not limit how many polls a second are made. So does the response to each
// poll that was under way when another had to wait, since a client with a rate has one
// poll wait for all. A poll without a response halves the bound, once for all that were
// under way together. So a service that recovers gets more polls step by step.
type line struct {
	least, most int // the limits of bound

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

// leave ends a poll that has entered at a time.
func (l *line) leave(entered time.Time, result outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay--
	switch {
	case result == responded && (l.waiting.Len() > 0 || !entered.After(l.full)):
		l.bound = min(l.bound+1, l.most)
	case result == failed && !entered.Before(l.halved):
		l.bound, l.halved = max(l.bound/2, l.least), time.Now()
	}
	l.admit()
}

func (l *line) admit() {
	for l.underWay < l.bound && l.waiting.Len() > 0 {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
		l.underWay++
	}
}

// accounts has the lines in which the polls of one client for one endpoint wait, one
// line for each account. A line ends with its last poll, so an account at rest takes no
// memory.
type accounts struct {
	mu    sync.Mutex
	lines map[string]*accountLine
}

type accountLine struct {
	line
	polls int // under way or waiting; accounts.mu guards it
}

func newAccounts() *accounts { return &accounts{lines: map[string]*accountLine{}} }

// enter waits until a poll of an account may be under way.
func (a *accounts) enter(ctx context.Context, id string) error {
	a.mu.Lock()
	l := a.lines[id]
	if l == nil {
		l = &accountLine{line: line{bound: firstAccountPolls, least: 1, most: maxAccountPolls}}
		a.lines[id] = l
	}
	l.polls++
	a.mu.Unlock()
	if err := l.enter(ctx); err != nil {
		a.end(id)
		return fmt.Errorf("%w of the account", err)
	}
	return nil
}

// leave ends a poll that has entered at a time.
func (a *accounts) leave(id string, entered time.Time, result outcome) {
	a.end(id).leave(entered, result)
}

// end counts a poll less, and returns the line that it was in.
func (a *accounts) end(id string) *accountLine {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lines[id]
	if l.polls--; l.polls == 0 {
		delete(a.lines, id)
	}
	return l
}

// outcome is how a poll ended.
type outcome uint8

const (
	responded outcome = iota // with a response of any status
	failed                   // without a whole response
	cancelled                // by the caller, or by a panic
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
