package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// pollTimes records when list requests were made.
type pollTimes struct {
	mu    sync.Mutex
	times []time.Time
}

func (c *pollTimes) record() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, time.Now())
}

// busiest returns how many requests were made in a time, and in the busiest second of
// it.
func (c *pollTimes) busiest(from, to time.Time) (all, second int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.times, time.Time.Compare)
	first := 0
	for i, at := range c.times {
		if at.Before(from) || !at.Before(to) {
			continue
		}
		for first < i && (c.times[first].Before(from) || at.Sub(c.times[first]) >= time.Second) {
			first++
		}
		all++
		second = max(second, i-first+1)
	}
	return all, second
}

// moments returns at how many different moments the requests of a time were made.
func (c *pollTimes) moments(from, to time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	moments := map[time.Time]bool{}
	for _, at := range c.times {
		if !at.Before(from) && at.Before(to) {
			moments[at] = true
		}
	}
	return len(moments)
}

// TestPollersDoNotPollInStep has ten thousand Pollers that start, or are disturbed, at
// the same time, and measures the spread of their polls afterwards.
func TestPollersDoNotPollInStep(t *testing.T) {
	disturbed, restored := 30*time.Second, 90*time.Second
	for name, test := range map[string]struct {
		from     stripekit.Start
		disturb  func(ctx context.Context, left time.Duration) error // of a request between the two times
		measured time.Duration
	}{
		"FromNow":  {stripekit.FromNow, nil, 30 * time.Second},
		"FromTime": {stripekit.FromTime(time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)), nil, 30 * time.Second},
		"an outage": {stripekit.FromNow, func(context.Context, time.Duration) error {
			return errors.New("connection refused")
		}, 3 * time.Minute},
		"a service that hangs": {stripekit.FromNow, func(ctx context.Context, _ time.Duration) error {
			<-ctx.Done()
			return ctx.Err()
		}, 3 * time.Minute},
		"a machine that stops": {stripekit.FromNow, func(_ context.Context, left time.Duration) error {
			pass(left)
			return nil
		}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var polls pollTimes
				end := pollTogether(t, test.from, func(r *http.Request) (*http.Response, error) {
					polls.record()
					if since := time.Since(start); test.disturb != nil && since >= disturbed && since < restored {
						if err := test.disturb(r.Context(), restored-since); err != nil {
							return nil, err
						}
					}
					return reply(200, `{"data":[],"has_more":false}`, "Date", time.Now().UTC().Format(http.TimeFormat)), nil
				})
				defer end()
				pass(test.measured + togetherEvery)
				from := start.Add(test.measured)
				all, second := polls.busiest(from, from.Add(togetherEvery))
				require.InDelta(t, together, all, together/100)
				require.LessOrEqual(t, float64(second), 1.2*float64(all)/togetherEvery.Seconds())
				moments := polls.moments(from, from.Add(togetherEvery))
				require.LessOrEqual(t, moments, int(togetherEvery.Seconds())*100, "each wakes the processor")
			})
		})
	}
}

// TestPollsDoNotDriftByTheirRounding has Pollers that keep a time that is no multiple
// of 10 ms.
func TestPollsDoNotDriftByTheirRounding(t *testing.T) {
	for _, every := range []time.Duration{999 * time.Millisecond, 1003 * time.Millisecond, 1_009_999 * time.Microsecond, 15_004 * time.Millisecond} {
		t.Run(every.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				_, stop := s.watch(s.poller(stripekit.PollConfig{Every: every}))
				var polls pollTimes
				pass(2 * every) // the second poll is due at a random time
				s.interfere(func(*http.Request) (*http.Response, error) {
					polls.record()
					return nil, nil
				})
				pass(1_000*every + every/2)
				stop()
				require.InDelta(t, 1_000, len(polls.times), 1)
				for i, at := range polls.times {
					exact := polls.times[0].Add(time.Duration(i) * every)
					require.InDelta(t, 0, at.Sub(exact), float64(10*time.Millisecond), "poll %d", i)
				}
			})
		})
	}
}

const (
	together      = 10_000
	togetherEvery = 15 * time.Second
)

// pollTogether starts Pollers at the same time. list responds to their list requests.
func pollTogether(t *testing.T, from stripekit.Start, list roundTrip) (end func()) {
	client, err := stripekit.New("sk_test_shop", stripekit.WithMaxRetries(0), stripekit.WithTimeout(10*time.Second),
		stripekit.WithRateLimit(stripekit.RateLimit{}),
		stripekit.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/account" {
				return reply(200, `{"id":"acct_1"}`), nil
			}
			return list(r)
		})}))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range together {
		each := client.WithAccount(fmt.Sprint("acct_", i))
		p, err := stripekit.NewPoller(each.Charges, stripekit.PollConfig{From: from, Every: togetherEvery})
		require.NoError(t, err)
		running.Add(1)
		ignore := func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil }
		require.NoError(t, p.Handle(ctx, ignore, func(error) { running.Done() }))
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// TestPollersOfBusyListsDoNotPollInStep has Pollers that stand still together, and find
// many pages of new objects afterwards.
func TestPollersOfBusyListsDoNotPollInStep(t *testing.T) {
	const pollers, objects = 100, 500
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(0))
		defer server.Close()
		start := time.Now()
		stopped, restored := start.Add(30*time.Second), start.Add(90*time.Second)
		var polls pollTimes
		client, err := stripekit.New("sk_test_shop", stripekit.WithRateLimit(stripekit.RateLimit{}),
			stripekit.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet && r.URL.Path == "/v1/customers" {
					polls.record()
					if now := time.Now(); !now.Before(stopped) && now.Before(restored) {
						pass(restored.Sub(now))
					}
				}
				return server.RoundTrip(r)
			})}))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range pollers {
			p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{Every: togetherEvery})
			require.NoError(t, err)
			running.Add(1)
			ignore := func(context.Context, stripekit.Event[stripekit.Customer]) error { return nil }
			require.NoError(t, p.Handle(ctx, ignore, func(error) { running.Done() }))
		}
		pass(60 * time.Second)
		for range objects {
			_, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
			require.NoError(t, err)
		}
		pass(3 * time.Minute)
		from := time.Now()
		pass(togetherEvery)
		all, second := polls.busiest(from, from.Add(togetherEvery))
		cancel()
		running.Wait()
		require.InDelta(t, pollers, all, pollers/20)
		require.LessOrEqual(t, float64(second), 4*float64(all)/togetherEvery.Seconds())
	})
}
