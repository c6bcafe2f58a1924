package transport

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// traffic is a network that records when each path was requested.
type traffic struct {
	mu   sync.Mutex
	sent map[string][]time.Time
}

func (tr *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.sent[r.URL.Path] = append(tr.sent[r.URL.Path], time.Now())
	return reply(200, "{}"), nil
}

func (tr *traffic) of(paths ...string) []time.Time {
	var all []time.Time
	for _, path := range paths {
		all = append(all, tr.sent[path]...)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// busiest returns the maximum number of requests in any one second.
func busiest(times []time.Time) int {
	most, from := 0, 0
	for i, at := range times {
		for !times[from].Add(time.Second).After(at) {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func TestCallersTogetherStayWithinTheLimits(t *testing.T) {
	charges := []string{"/v1/charges", "/v1/charges/ch_1"}
	many := []string{"/v1/charges", "/v1/customers", "/v1/products", "/v1/refunds", "/v1/orders", "/v1/payouts"}
	searches := []string{"/v1/charges/search", "/v1/customers/search"}
	for name, test := range map[string]struct {
		limits Limits
		paths  []string
		within map[string]int // "" is all paths
		least  int            // minimum number of requests in a minute
	}{
		"total":       {Limits{Total: 25}, many, map[string]int{"": 25}, 1490},
		"endpoint":    {Limits{Endpoint: 25}, charges, map[string]int{"": 25}, 1490},
		"search":      {Limits{Search: 20}, searches, map[string]int{"": 20}, 1190},
		"slow":        {Limits{Total: 0.5}, many, map[string]int{"": 1}, 30},
		"test key":    {Limits{Total: 25, Endpoint: 25, Search: 20}, append(searches, many...), map[string]int{"": 25, "/v1/charges": 25}, 1490},
		"live key":    {Limits{Total: 100, Endpoint: 25, Search: 20}, many, map[string]int{"": 100, "/v1/charges": 25, "/v1/refunds": 25}, 5900},
		"live search": {Limits{Total: 100, Endpoint: 25, Search: 20}, searches, map[string]int{"": 20}, 1190},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &traffic{sent: map[string][]time.Time{}}
				tr := chain(network, func(cfg *Config) { cfg.Limits = test.limits })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var callers sync.WaitGroup
				for i := range 10 * len(test.paths) {
					callers.Go(func() {
						for range 10_000 {
							if ctx.Err() != nil {
								return
							}
							if resp, err := tr.Do(ctx, get(test.paths[i%len(test.paths)])); err == nil {
								resp.Release()
							}
						}
					})
				}
				callers.Wait()
				for path, limit := range test.within {
					paths := []string{path}
					if path == "" {
						paths = test.paths
					}
					require.LessOrEqual(t, busiest(network.of(paths...)), limit, "in a second, of %q", path)
				}
				require.GreaterOrEqual(t, len(network.of(test.paths...)), test.least)
			})
		})
	}
}

func TestNoLimitIsNoWait(t *testing.T) {
	for _, limits := range []Limits{{}, {Total: math.Inf(1), Endpoint: math.Inf(1), Search: math.Inf(1)}} {
		synctest.Test(t, func(t *testing.T) {
			tr, start := chain(response(200), func(cfg *Config) { cfg.Limits = limits }), time.Now()
			for range 1000 {
				_, err := tr.Do(t.Context(), get("/v1/charges/search"))
				require.NoError(t, err)
			}
			require.Zero(t, time.Since(start))
		})
	}
}

func TestCallersWhoGaveUpHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := chain(response(200), func(cfg *Config) { cfg.Limits = Limits{Total: 10, Endpoint: 10} })
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() { _, _ = tr.Do(ctx, get("/v1/charges")) })
		}
		synctest.Wait()
		cancel()
		callers.Wait()
		start := time.Now()
		_, err := tr.Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(start), 100*time.Millisecond)
	})
}

func TestBusyEndpointHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := chain(response(200), func(cfg *Config) { cfg.Limits = Limits{Total: 100, Endpoint: 1} })
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() { _, _ = tr.Do(ctx, get("/v1/charges")) })
		}
		synctest.Wait()
		start := time.Now()
		_, err := tr.Do(t.Context(), get("/v1/customers"))
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(start), 20*time.Millisecond)
		cancel()
		callers.Wait()
	})
}

// waits sends requests concurrently, and returns how long each waited.
func waits(t *testing.T, tr *Transport, requests ...*Request) []time.Duration {
	t.Helper()
	start := time.Now()
	out := make([]time.Duration, len(requests))
	var callers sync.WaitGroup
	for i, req := range requests {
		callers.Go(func() {
			_, _ = tr.Do(t.Context(), req)
			out[i] = time.Since(start)
		})
	}
	callers.Wait()
	return out
}

func TestRefusalSlowsAllCallersOfTheEndpointAndNoneOfAnother(t *testing.T) {
	const reason = "Stripe-Rate-Limited-Reason"
	for name, test := range map[string]struct {
		refusal roundTrip
		pause   time.Duration
	}{
		"reason":                 {response(429, reason, "endpoint-rate"), 50 * time.Millisecond},
		"reason and Retry-After": {response(429, reason, "global-rate", "Retry-After", "7"), 7 * time.Second},
		"Retry-After":            {response(429, "Retry-After", "7"), 7 * time.Second},
		"very long Retry-After":  {response(429, "Retry-After", "86400"), time.Minute},
		"lock timeout":           {response(429), 0},
		"hostile Retry-After":    {response(429, "Retry-After", "-9"), 0},
		"garbage Retry-After":    {response(429, "Retry-After", "soon"), 0},
		"overload":               {response(503, "Retry-After", "7"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := chain(sequence(test.refusal, response(200)), noRetries)
				_, err := tr.Do(t.Context(), get("/v1/charges"))
				require.NoError(t, err)
				got := waits(t, tr, get("/v1/charges"), get("/v1/charges/ch_1"), post("/v1/charges", ""), get("/v1/customers"), get("/v2/charges/x"))
				require.Equal(t, []time.Duration{test.pause, test.pause, test.pause, 0, 0}, got)
				require.Equal(t, []time.Duration{0}, waits(t, tr, get("/v1/charges")))
			})
		})
	}
}

func TestRefusalStopsCallersAlreadyInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		sent := map[string][]time.Duration{}
		network := roundTrip(func(r *http.Request) (*http.Response, error) {
			path := r.URL.Path
			mu.Lock()
			sent[path] = append(sent[path], time.Since(start))
			refuse := path == "/v1/charges" && len(sent[path]) == 1
			mu.Unlock()
			if refuse {
				<-time.After(50 * time.Millisecond) // in the meantime the others queue up
				return reply(429, "{}", "Retry-After", "5"), nil
			}
			return reply(200, "{}"), nil
		})
		tr := chain(network, noRetries, func(cfg *Config) { cfg.Limits = Limits{Total: 10, Endpoint: 10} })
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() { _, _ = tr.Do(t.Context(), get("/v1/charges")) })
		}
		synctest.Wait()
		for range 20 {
			callers.Go(func() { _, _ = tr.Do(t.Context(), get("/v1/customers")) })
		}
		callers.Wait()
		require.Len(t, sent["/v1/charges"], 10)
		require.GreaterOrEqual(t, sent["/v1/charges"][1], 5*time.Second)
		require.Equal(t, 2*time.Second, sent["/v1/customers"][19], "the pause of one endpoint takes nothing from another's rate")
	})
}

func TestPauseDoublesWhileRefusalsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := response(429, "Stripe-Rate-Limited-Reason", "endpoint-rate")
		steps := slices.Repeat([]roundTrip{refusal}, 10)
		network, times := moments(sequence(append(steps, response(200), refusal, response(200))...))
		tr := chain(network, noRetries)
		for range 13 {
			_, err := tr.Do(t.Context(), get("/v1/charges"))
			require.NoError(t, err)
		}
		var gaps []float64
		for i := range 12 {
			gaps = append(gaps, ((*times)[i+1] - (*times)[i]).Seconds())
		}
		require.Equal(t, []float64{0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8, 8, 0, 0.05}, gaps)
	})
}

// TestResponsesUnderWayDoNotChangeAPause sends ten requests at once. The first
// response is a 429, and the other responses come later.
func TestResponsesUnderWayDoNotChangeAPause(t *testing.T) {
	for _, status := range []int{200, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				n := 0
				network := roundTrip(func(*http.Request) (*http.Response, error) {
					mu.Lock()
					n++
					turn := n
					mu.Unlock()
					<-time.After(time.Duration(turn) * time.Millisecond)
					switch {
					case turn == 1 || turn <= 10 && status == 429:
						return reply(429, "{}", "Stripe-Rate-Limited-Reason", "endpoint-concurrency"), nil
					default:
						return reply(200, "{}"), nil
					}
				})
				tr := chain(network, noRetries)
				start := time.Now()
				var callers sync.WaitGroup
				for range 10 {
					callers.Go(func() { _, _ = tr.Do(t.Context(), get("/v1/charges")) })
				}
				callers.Wait()
				_, err := tr.Do(t.Context(), get("/v1/charges"))
				require.NoError(t, err)
				require.Equal(t, 62*time.Millisecond, time.Since(start), "1 to the refusal, 50 of pause, 11 to the response")
			})
		})
	}
}

func TestEndpointIsTheFirstSegmentAfterTheVersion(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/charges": "/v1/charges", "/v1/charges/ch_1/capture": "/v1/charges", "/v1/charges/search": "/v1/charges",
		"/v2/core/events": "/v2/core", "/v2/billing/meters": "/v2/billing", "/v1/": "/v1/", "": "",
	} {
		require.Equal(t, want, endpointOf(path))
	}
}
