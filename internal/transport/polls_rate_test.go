package transport

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPollsStayWithinTheLimitsAfterAHang has a client with polls of many accounts on a
// service that hangs, and then responds at once.
func TestPollsStayWithinTheLimitsAfterAHang(t *testing.T) {
	for name, limits := range map[string]Limits{
		"endpoint": {Endpoint: 25},
		"total":    {Total: 25},
		"both":     {Total: 25, Endpoint: 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, network := time.Now(), &traffic{sent: map[string][]time.Time{}}
				tr := chain(roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, err := network.RoundTrip(r)
					<-time.After(time.Minute - time.Since(start)) // none afterwards
					return resp, err
				}), func(cfg *Config) { cfg.Limits = limits })
				var callers sync.WaitGroup
				for i := range 2_000 {
					callers.Go(func() {
						_, err := tr.Do(t.Context(), poll("/v1/charges", fmt.Sprint("acct_", i)))
						require.NoError(t, err)
					})
				}
				callers.Wait()
				// The one that waited for the others may leave together with the next.
				require.LessOrEqual(t, busiest(network.of("/v1/charges")), 25+1)
			})
		})
	}
}

// TestRateDoesNotLimitPollsFurther has polls of many accounts on a client with a high
// rate, and a service that needs more of them under way than a line begins with.
func TestRateDoesNotLimitPollsFurther(t *testing.T) {
	for name, limits := range map[string]Limits{"endpoint": {Endpoint: 1000}, "total": {Total: 1000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, s := time.Now(), &service{latency: 500 * time.Millisecond}
				tr := chain(s, func(cfg *Config) { cfg.Limits = limits })
				var callers sync.WaitGroup
				for i := range 8_000 {
					callers.Go(func() {
						_, err := tr.Do(t.Context(), poll("/v1/charges", fmt.Sprint("acct_", i)))
						require.NoError(t, err)
					})
				}
				callers.Wait()
				require.Less(t, time.Since(start), 9*time.Second, "8 s by the rate")
			})
		})
	}
}

// TestPollsThatWaitForOthersHonourAPause has a service that responds with a 429 to all
// polls under way, while others wait for them.
func TestPollsThatWaitForOthersHonourAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, network := time.Now(), &traffic{sent: map[string][]time.Time{}}
		tr := chain(roundTrip(func(r *http.Request) (*http.Response, error) {
			_, _ = network.RoundTrip(r)
			if time.Since(start) < time.Second {
				<-time.After(time.Second)
				return reply(429, "{}", "Retry-After", "30"), nil
			}
			return reply(200, "{}"), nil
		}))
		var callers sync.WaitGroup
		for i := range 2_000 {
			callers.Go(func() {
				resp, err := tr.Do(t.Context(), poll("/v1/charges", fmt.Sprint("acct_", i)))
				require.NoError(t, err)
				require.Equal(t, 200, resp.Status)
			})
		}
		callers.Wait()
		sent := network.of("/v1/charges")
		require.Len(t, sent, minPolls+2_000)
		require.Equal(t, start, sent[minPolls-1])
		require.GreaterOrEqual(t, sent[minPolls].Sub(start), 30*time.Second)
	})
}
