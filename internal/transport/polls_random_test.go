package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEveryPlaceIsFreeAfterRandomPolls lets clients of one pool make polls and other
// requests of few accounts. They end in every way, at random times. If a place is not
// given back, polls that have no deadline wait for ever, and the bubble fails the test.
func TestEveryPlaceIsFreeAfterRandomPolls(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newRush(seed).run(t) })
		})
	}
}

var rushPaths = []string{"/v1/charges", "/v1/charges/search", "/v1/customers"}

// rush is what many callers do at the same time.
type rush struct {
	pool    *Pool
	clients []*Transport

	mu     sync.Mutex
	random *rand.Rand
	ended  map[string]int // how many requests, by how the service ended them
}

func newRush(seed uint64) *rush {
	r := &rush{random: rand.New(rand.NewPCG(seed, 1)), ended: map[string]int{}}
	r.pool = NewPool(&http.Client{Transport: r})
	for _, path := range rushPaths { // lines with few places
		r.pool.lines[endpointOf(path)] = &line{bound: 3, least: 2, most: 8}
	}
	for range 3 {
		r.clients = append(r.clients, chain(nil, r.config))
	}
	return r
}

func (r *rush) config(cfg *Config) {
	limits := []float64{0, 0, 20, 100}
	cfg.Pool, cfg.Timeout, cfg.MaxRetries = r.pool, 2*time.Second, r.intN(3)
	cfg.Limits = Limits{Total: limits[r.intN(4)], Endpoint: limits[r.intN(4)], Search: limits[r.intN(4)]}
}

func (r *rush) intN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

// moment returns a time of few, so that many things happen together.
func (r *rush) moment() time.Duration { return time.Duration(r.intN(20)) * 50 * time.Millisecond }

// RoundTrip ends a request in any way that a network, a proxy or a RoundTripper can.
func (r *rush) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := sleep(req.Context(), r.moment()); err != nil {
		return nil, err
	}
	ways := []string{"200", "200", "200", "200", "429", "Retry-After", "500", "no network", "no response", "panic", "Goexit"}
	way := ways[r.intN(len(ways))]
	r.mu.Lock()
	r.ended[way]++
	r.mu.Unlock()
	switch way {
	case "429":
		return reply(429, "{}", "Stripe-Rate-Limited-Reason", "endpoint-rate"), nil
	case "Retry-After":
		return reply(429, "{}", "Retry-After", fmt.Sprint(1+r.intN(3))), nil
	case "500":
		return reply(500, "{}"), nil
	case "no network":
		return nil, errors.New("no route to host")
	case "no response":
		return silent(req)
	case "panic":
		panic("a RoundTripper panics")
	case "Goexit":
		runtime.Goexit()
	}
	return reply(200, "{}"), nil
}

// call makes a request, with or without a deadline.
func (r *rush) call(ctx context.Context) {
	defer func() { _ = recover() }()
	if err := sleep(ctx, 4*r.moment()); err != nil {
		return
	}
	tr := r.clients[r.intN(len(r.clients))]
	if r.intN(4) == 0 {
		tr = tr.Renew(Config{Pool: r.pool, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler), BaseURL: "https://api.stripe.test"})
	}
	if r.intN(2) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 4*r.moment())
		defer cancel()
	}
	req := poll(rushPaths[r.intN(len(rushPaths))], fmt.Sprint("acct_", r.intN(3)))
	req.Poll = r.intN(8) > 0
	_, _ = tr.Do(ctx, req)
}

func (r *rush) run(t *testing.T) {
	var callers sync.WaitGroup
	for range 400 {
		callers.Go(func() { r.call(t.Context()) })
	}
	callers.Wait()
	require.Len(t, r.ended, 8, "ways to end")
	for endpoint, l := range r.pool.lines {
		require.Zero(t, l.underWay, endpoint)
		require.Zero(t, l.waiting.Len(), endpoint)
	}
	for _, client := range r.clients {
		requireFree(t, client.limiter.total, client.limiter.search)
		for name, e := range client.limiter.endpoints {
			requireFree(t, e.gate)
			require.Empty(t, e.polls.lines, name)
			require.Empty(t, e.admitting, name)
		}
	}
}

func requireFree(t *testing.T, gates ...*gate) {
	t.Helper()
	for _, g := range gates {
		if g != nil {
			require.Empty(t, g.slot)
		}
	}
}
