package shops_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// polls returns the requests of a fleet: one for each account.
func polls(t testing.TB, target func(account int) string) []*http.Request {
	requests := make([]*http.Request, 1024)
	for account := range requests {
		requests[account] = request(t, account, target(account))
	}
	return requests
}

func drain(t testing.TB, stripe *shops.Stripe, r *http.Request, buf []byte) (size int64) {
	resp, err := stripe.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
	if err != io.EOF || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	return resp.ContentLength
}

// ofAFleet has a charge in ten minutes, on average, with bursts and late ones.
func ofAFleet() shops.Config {
	return shops.Config{
		Accounts: 100_000, Start: time.Now().Add(-24 * time.Hour), Period: 10 * time.Minute,
		Burst: 4, BurstShare: 0.1, LateShare: 0.1, LateMax: 5 * time.Second,
	}
}

// BenchmarkPoll measures the requests of a fleet without the reading of the
// responses by a client.
func BenchmarkPoll(b *testing.B) {
	stripe := newStripe(b, ofAFleet())
	since := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(-d).Unix()) }
	for _, bench := range []struct {
		name   string
		target func(account int) string
	}{
		{"nothing new", func(int) string {
			return "/v1/charges?limit=100&created[gte]=" + fmt.Sprint(time.Now().Add(time.Hour).Unix())
		}},
		{"the objects of 11 minutes", func(int) string { return "/v1/charges?limit=100&created[gte]=" + since(11*time.Minute) }},
		{"a page of 100", func(int) string { return "/v1/charges?limit=100" }},
		{"a page of 100 upward", func(account int) string {
			return fmt.Sprintf("/v1/charges?limit=100&ending_before=ch_%d_1", account)
		}},
		{"the account", func(int) string { return "/v1/account" }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			requests, buf := polls(b, bench.target), make([]byte, 64<<10)
			var size int64
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				size += drain(b, stripe, requests[i%len(requests)], buf)
			}
			b.ReportMetric(float64(size)/float64(b.N), "bytes/response")
		})
	}
}

func BenchmarkCount(b *testing.B) {
	stripe, now := newStripe(b, ofAFleet()), time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		stripe.Count(i%100_000, shops.Charges, now)
	}
}

// TestAPollAllocatesLittle counts the allocations of a poll that finds nothing, and
// of one that finds a page.
func TestAPollAllocatesLittle(t *testing.T) {
	stripe, buf := newStripe(t, ofAFleet()), make([]byte, 64<<10)
	for target, limit := range map[string]float64{
		"/v1/charges?limit=100&created[gte]=" + fmt.Sprint(time.Now().Add(time.Hour).Unix()): 6,
		"/v1/charges?limit=100": 7,
	} {
		r := request(t, 1, target)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { drain(t, stripe, r, buf) }), limit, target)
	}
}
