package stripekit_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestBackfillTellsItsProgressEverySecond(t *testing.T) {
	for _, each := range []time.Duration{time.Millisecond, 150 * time.Millisecond} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := int(40 * time.Second / each)
				l := newFakeList(t, steady(n, 600)...)
				l.latency = 100 * time.Millisecond
				var told []stripekit.BackfillProgress
				var at []time.Time
				start := time.Now()
				for _, err := range l.backfill(stripekit.BackfillConfig{MaxBuffered: 2000, Progress: func(p stripekit.BackfillProgress) {
					told, at = append(told, p), append(at, time.Now())
				}}) {
					require.NoError(t, err)
					pass(each)
				}
				require.InDelta(t, 40, len(told), 7, "about once a second")
				for i, p := range told {
					if i > 0 {
						require.GreaterOrEqual(t, p.Done, told[i-1].Done)
						require.GreaterOrEqual(t, p.Requests, told[i-1].Requests)
						require.Less(t, at[i].Sub(at[i-1]), 1500*time.Millisecond)
					}
					require.LessOrEqual(t, p.Done, n)
					if p.Total == 0 { // the list was read before there was an estimate
						require.Less(t, n, 2000)
						continue
					}
					if p.Done > n/10 && i < len(told)-1 {
						require.Greater(t, p.Total, n/2)
						require.Less(t, p.Total, n*2)
					}
					if p.Done > n/2 && i < len(told)-1 {
						require.InEpsilon(t, float64(time.Second)/float64(each), p.Rate, 0.5)
						left := start.Add(time.Duration(n) * each).Sub(at[i])
						require.Less(t, p.Remaining, 2*left+4*time.Second)
						require.Greater(t, p.Remaining, left/3-time.Second)
					}
				}
				last := told[len(told)-1]
				last.Rate = 0
				require.Equal(t, stripekit.BackfillProgress{Done: n, Total: n, Requests: l.listRequests()}, last)
			})
		})
	}
}

func TestBackfillTellsItsProgressAtItsEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		objects int
		leave   int
		want    stripekit.BackfillProgress
	}{
		"an empty list":   {0, 10, stripekit.BackfillProgress{Requests: 1}},
		"a short list":    {5, 10, stripekit.BackfillProgress{Done: 5, Total: 5, Requests: 1}},
		"it is left":      {5, 2, stripekit.BackfillProgress{Done: 2, Requests: 1}},
		"left at the end": {5, 4, stripekit.BackfillProgress{Done: 4, Requests: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(tt.objects, 60)...)
				var told []stripekit.BackfillProgress
				_, err := firstOf(tt.leave, l.backfill(stripekit.BackfillConfig{Progress: func(p stripekit.BackfillProgress) { told = append(told, p) }}))
				require.NoError(t, err)
				require.Len(t, told, 1)
				require.False(t, math.IsNaN(told[0].Rate) || math.IsInf(told[0].Rate, 0))
				tt.want.Requests = l.listRequests()
				told[0].Rate, told[0].Total, told[0].Remaining = 0, min(told[0].Total, tt.want.Total), 0
				require.Equal(t, tt.want, told[0])
			})
		})
	}
}

func TestBackfillCountsWhatWasDoneBeforeARestartAndEveryRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(2000, 60)...)
		fail, requests := 0, 0
		l.interfere(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/payouts" {
				requests++
				if fail++; fail%3 == 0 {
					return status(500, `{"error":{"type":"api_error"}}`)(r)
				}
			}
			return nil, nil
		})
		store := new(stripekit.MemoryStore)
		done := 0
		for range 4 {
			requests = 0
			var last stripekit.BackfillProgress
			cfg := stripekit.BackfillConfig{Checkpoints: store, Concurrency: 1, Progress: func(p stripekit.BackfillProgress) {
				require.GreaterOrEqual(t, p.Done, done)
				last = p
			}}
			source := l.source(stripekit.WithMaxRetries(2)) // retries count too
			_, err := firstOf(600, stripekit.Backfill(t.Context(), source, cfg))
			require.NoError(t, err)
			done = min(done+600, 2000)
			require.Equal(t, done, last.Done)
			require.Equal(t, requests, last.Requests)
		}
	})
}

// With a rate limit, as many requests are in flight as needed to use it.
func TestBackfillReachesTheRateLimit(t *testing.T) {
	for _, tt := range []struct {
		rate, latency float64
		objects       int
		share         float64
	}{
		{25, 0.1, 60_000, 0.90},
		{100, 0.1, 60_000, 0.75}, // finding the oldest object takes a second of seven
		{math.Inf(1), 0.1, 5_000, 0},
		{1e300, 0.1, 5_000, 0},
	} {
		t.Run(fmt.Sprintf("%g requests/s, %g s, %d objects", tt.rate, tt.latency, tt.objects), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(tt.objects, 3)...)
				l.latency = time.Duration(tt.latency * float64(time.Second))
				source := l.source(stripekit.WithRateLimit(stripekit.RateLimit{Total: tt.rate}))
				start := time.Now()
				got, err := taken(stripekit.Backfill(t.Context(), source, stripekit.BackfillConfig{}))
				require.NoError(t, err)
				l.requireAll(l.ids(), got)
				share := float64(len(got)) / time.Since(start).Seconds() / (tt.rate * 100)
				t.Logf("%.1f %% of the limit, %d requests for %d pages, %d under way", 100*share, l.listRequests(), tt.objects/100, l.most)
				require.GreaterOrEqual(t, share, tt.share)
				if tt.share == 0 {
					require.Greater(t, l.most, 12, "a limit that is none")
				}
			})
		})
	}
}
