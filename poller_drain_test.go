package stripekit_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// Backlogs that are drained while requests fail, pages are wrong, or many Pollers
// drain at the same time.

// backlog returns the created seconds of n objects, counted from listStart, with a
// constant interval between them. The newest object is one hour old.
func backlog(n int, interval time.Duration) []int64 {
	newest := time.Now().Add(-time.Hour).Unix() - listStart
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = newest - int64(n-1-i)*int64(interval/time.Second)
	}
	return seconds
}

func (l *fakeList) poller(cfg stripekit.PollConfig, opts ...stripekit.Option) *stripekit.Poller[payoutObject] {
	l.t.Helper()
	p, err := stripekit.NewPoller(l.source(opts...), cfg)
	require.NoError(l.t, err)
	return p
}

// replaceBodies makes the list respond with the bodies that a function returns. If
// the function returns an empty body, the response is not replaced. It is called
// with mu held.
func (l *fakeList) replaceBodies(body func(page []entry, more bool) string) {
	l.interfere(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/v1/payouts" {
			return nil, nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		page, more, _ := l.page(r.URL.Query())
		if b := body(page, more); b != "" {
			return response(r, 200, b), nil
		}
		return nil, nil
	})
}

// acknowledge receives n events and acknowledges each. It returns the longest wait
// for an event.
func acknowledge[T any](t *testing.T, events <-chan stripekit.Event[T], n int) (longest time.Duration) {
	t.Helper()
	for range n {
		began := time.Now()
		e, ok := receive(events, 10*time.Minute)
		require.True(t, ok)
		longest = max(longest, time.Since(began))
		e.Ack()
	}
	return longest
}

// unavailable is a response with an error of the service, and a Retry-After unless
// that is empty.
func unavailable(r *http.Request, retryAfter string) *http.Response {
	resp := response(r, 503, `{"error":{"type":"api_error","message":"down"}}`)
	if retryAfter != "" {
		resp.Header.Set("Retry-After", retryAfter)
	}
	return resp
}

func TestPollerDrainDeliversNothingTwiceAfterAPageOutOfOrder(t *testing.T) {
	for _, nth := range []int{3, 40, 80} {
		t.Run(fmt.Sprint("page ", nth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(t)
				l.latency = 100 * time.Millisecond
				want := l.add(backlog(20_000, time.Minute)...)
				pages := 0
				l.replaceBodies(func(page []entry, more bool) string {
					if len(page) < 2 {
						return ""
					}
					if pages++; pages != nth {
						return ""
					}
					page = slices.Clone(page)
					page[0], page[1] = page[1], page[0]
					return l.body(page, more)
				})
				events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
				got := collectOf(events, 10*time.Minute)
				stop()
				require.Greater(t, pages, nth)
				requireDeliveredOnce(t, want, got)
			})
		})
	}
}

// One of the newest objects has no created. A slow reader has received little when
// the Poller finds it.
func TestPollerDrainDeliversNothingTwiceAfterAnUndatedObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		want := l.add(backlog(30_000, time.Minute)...)
		undated := l.entries[1500]
		dated := fmt.Sprintf(`"id":"%s","object":"payout","created":%d`, undated.id, undated.created)
		l.replaceBodies(func(page []entry, more bool) string {
			if !slices.Contains(page, undated) {
				return ""
			}
			body := l.body(page, more)
			require.Contains(t, body, dated)
			return strings.Replace(body, dated, fmt.Sprintf(`"id":"%s","object":"payout","created":null`, undated.id), 1)
		})
		events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		var got []string
		for e, ok := receive(events, 10*time.Minute); ok; e, ok = receive(events, 10*time.Minute) {
			e.Ack()
			if got = append(got, e.ID); len(got)%100 == 0 {
				pass(50 * time.Millisecond)
			}
		}
		requireDeliveredOnce(t, want, got)
	})
}

// failWhenBusy has a function respond to all requests from the moment on at which
// eight requests are under way.
func (l *fakeList) failWhenBusy(respond func(*http.Request) (*http.Response, error)) {
	var failing atomic.Bool
	l.interfere(func(r *http.Request) (*http.Response, error) {
		if l.requestsUnderWay() >= 8 {
			failing.Store(true)
		}
		if !failing.Load() {
			return nil, nil
		}
		return respond(r)
	})
}

// All requests under way fail at the same time. That counts as one failure.
func TestPollerDrainContinuesSoonAfterABriefOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		sold := l.add(backlog(30_000, time.Minute)...)
		var mu sync.Mutex
		var began time.Time
		failed := 0
		l.failWhenBusy(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if failed == 0 {
				began = time.Now()
			}
			if time.Since(began) > 500*time.Millisecond {
				return nil, nil
			}
			failed++
			return unavailable(r, ""), nil
		})
		events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Every: time.Second}))
		defer stop()
		require.Less(t, acknowledge(t, events, len(sold)), 6*time.Second)
		mu.Lock()
		defer mu.Unlock()
		require.GreaterOrEqual(t, failed, 8)
	})
}

func TestPollerDrainWaitsForTheLongestRetryAfterOfItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		l.add(backlog(30_000, time.Minute)...)
		retryAfter := []string{"10", "300", "20", ""}
		var mu sync.Mutex
		var failed []time.Time
		l.failWhenBusy(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			n := len(failed)
			failed = append(failed, time.Now())
			return unavailable(r, retryAfter[min(n, len(retryAfter)-1)]), nil
		})
		events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		collectOf(events, 10*time.Minute)
		mu.Lock()
		defer mu.Unlock()
		next := slices.IndexFunc(failed, func(at time.Time) bool { return at.Sub(failed[0]) > time.Second })
		require.GreaterOrEqual(t, next, 8, "requests under way at the same time")
		require.GreaterOrEqual(t, failed[next].Sub(failed[1]), 300*time.Second)
	})
}

func TestPollerDrainDeliversWhatItHasReadDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		l.add(backlog(30_000, time.Minute)...)
		events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
		defer stop()
		acknowledge(t, events, 1000)
		pass(time.Minute) // the buffer becomes full
		l.interfere(func(r *http.Request) (*http.Response, error) { return unavailable(r, "3600"), nil })
		began, delivered := time.Now(), 0
		for e, ok := receive(events, 30*time.Minute); ok; e, ok = receive(events, 30*time.Minute) {
			e.Ack()
			delivered++
			pass(10 * time.Millisecond)
		}
		require.Greater(t, delivered, 10_000)
		require.Less(t, time.Since(began), time.Hour, "before the next request")
	})
}

// The Dates are an hour ahead until the first request of a drain, which begins at
// the wrong second for that reason. Nothing has been delivered before.
func TestPollerDrainFromNowLosesNothingIfItsStartIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.add(time.Now().Unix() - listStart - 3600)
		var down, draining atomic.Bool
		l.interfere(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/v1/payouts" {
				return nil, nil
			}
			if down.Load() {
				return nil, errors.New("no route to host")
			}
			resp := l.list(r)
			if !draining.Load() {
				resp.Header.Set("Date", httpDate(time.Now().Add(time.Hour)))
			}
			if len(l.ids()) > 1 && strings.Contains(r.URL.RawQuery, "created") {
				draining.Store(true)
			}
			return resp, nil
		})
		began := time.Now()
		events, stop := started(t, l.poller(stripekit.PollConfig{}))
		defer stop()
		require.Empty(t, collectOf(events, time.Second))
		down.Store(true)
		pass(3 * time.Hour)
		var seconds []int64
		for at := began.Add(2 * time.Second); at.Before(time.Now()); at = at.Add(time.Second) {
			seconds = append(seconds, at.Unix()-listStart)
		}
		sold := l.add(seconds...)
		down.Store(false)
		requireDeliveredOnce(t, sold, collectOf(events, 20*time.Minute))
		require.True(t, draining.Load())
	})
}

// The rate limit is so low that some request waits for it at any time.
func TestPollerDrainStatusTellsOfItsWaitForTheRateLimit(t *testing.T) {
	for name, nthFails := range map[string]int64{"no request fails": 1 << 40, "every third is retried by the client": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(t)
				l.latency = 300 * time.Millisecond
				l.add(backlog(50_000, time.Minute)...)
				var requests atomic.Int64
				l.interfere(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == "/v1/payouts" && requests.Add(1)%nthFails == 0 {
						return unavailable(r, ""), nil
					}
					return nil, nil
				})
				p := l.poller(stripekit.PollConfig{From: stripekit.FromBeginning},
					stripekit.WithMaxRetries(3), stripekit.WithRateLimit(stripekit.RateLimit{Total: 0.2}))
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- p.Run(ctx, func(context.Context, stripekit.Event[payoutObject]) error { return nil })
				}()
				pass(5 * time.Minute)
				none, longest := 0, time.Duration(0)
				for range 300 {
					pass(time.Second)
					waiting := p.Status().Waiting
					if waiting == 0 {
						none++
					}
					longest = max(longest, waiting)
				}
				require.Less(t, none, 30, "times of 300")
				require.Greater(t, longest, 12*time.Second)
				require.Less(t, longest, 40*time.Second)
				cancel()
				require.NoError(t, <-ended)
				require.Zero(t, p.Status().Waiting)
			})
		})
	}
}

// Eight Pollers of a process drain by several requests at the same time. Another
// one does so once one of the eight has ended its drain.
func TestPollerDrainBecomesWideOnceAnotherHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pollers, objects = 12, 20_000
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		l.add(backlog(objects, time.Minute)...)
		began, took := time.Now(), make(chan time.Duration, pollers)
		for i := range pollers {
			events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Every: time.Second, Name: fmt.Sprint(i)}))
			defer stop()
			go func() {
				for range objects {
					e, ok := receive(events, 30*time.Minute)
					if !ok {
						t.Error("no event for half an hour")
						break
					}
					e.Ack()
				}
				took <- time.Since(began)
			}()
		}
		first, last := <-took, time.Duration(0)
		for range pollers - 1 {
			last = <-took
		}
		require.Less(t, last, first*5/2)
	})
}

// occupyDrains starts eight Pollers that drain a backlog and whose readers do not
// read.
func occupyDrains(t *testing.T) {
	t.Helper()
	l := newFakeList(t)
	l.add(backlog(2000, time.Minute)...)
	for i := range 8 {
		_, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: 1, Name: fmt.Sprint(i)}))
		t.Cleanup(stop)
	}
	pass(time.Minute)
}

// A Poller beyond the eight makes one request at a time, and holds few objects in
// memory.
func TestPollerDrainByOneRequestAtATimeReadsListsOfEveryKind(t *testing.T) {
	for name, seconds := range backfillLists() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				occupyDrains(t)
				l := newFakeList(t)
				l.latency = 50 * time.Millisecond
				if len(seconds) > 0 {
					end := time.Now().Add(-time.Hour).Unix() - listStart - slices.Max(seconds)
					for _, second := range seconds {
						l.add(end+second, end+second, end+second, end+second)
					}
				}
				events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning, MaxUnacked: 1}))
				pass(time.Minute)
				got := collectOf(events, 10*time.Minute)
				stop()
				requireDeliveredOnce(t, l.ids(), got)
				require.True(t, slices.IsSortedFunc(got, func(a, b string) int { return cmp.Compare(l.second(a), l.second(b)) }))
				require.Equal(t, 1, l.most, "requests at a time")
			})
		})
	}
}

// Two requests read the last gap of a backlog, one from each side. One of them fails
// after the other has read all of the gap. The Poller drains the next backlog by
// several requests nevertheless.
func TestPollerDrainsAgainAfterARedundantRequestHasFailed(t *testing.T) {
	for nth := int64(18); nth < 38; nth++ {
		t.Run(fmt.Sprint("request ", nth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(t)
				l.latency = 100 * time.Millisecond
				sold := l.add(backlog(3000, time.Minute)...)
				var requests atomic.Int64
				var down atomic.Bool
				l.interfere(func(r *http.Request) (*http.Response, error) {
					if down.Load() {
						return nil, errors.New("no route to host")
					}
					if r.URL.Path == "/v1/payouts" && requests.Add(1) == nth {
						pass(20 * time.Second)
						return unavailable(r, ""), nil
					}
					return nil, nil
				})
				events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
				defer stop()
				got := collectOf(events, 10*time.Minute)
				down.Store(true)
				pass(2 * time.Hour)
				sold = append(sold, l.add(backlog(3000, time.Second)...)...)
				l.mu.Lock()
				l.most = 0
				l.mu.Unlock()
				down.Store(false)
				requireDeliveredOnce(t, sold, append(got, collectOf(events, 10*time.Minute)...))
				l.mu.Lock()
				defer l.mu.Unlock()
				require.Greater(t, l.most, 1, "requests at the same time")
			})
		})
	}
}
