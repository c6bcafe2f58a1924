package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pollers polls accounts by many callers, until the context ends.
type pollers struct {
	tr      *Transport
	every   time.Duration // between two polls of a caller
	callers int
	all     sync.WaitGroup

	mu      sync.Mutex
	since   time.Time
	longest time.Duration // that a poll took which has begun after since
}

// poll starts callers of an account. The first polls are spread over the time every.
// After a failure a caller waits like a Poller.
func (p *pollers) poll(ctx context.Context, account string, callers int) {
	for range callers {
		wait := p.every * time.Duration(p.callers*7919%1000) / 1000
		p.callers++
		p.all.Go(func() {
			failures := 0
			for sleep(ctx, wait) == nil {
				began := time.Now()
				if _, err := p.tr.Do(ctx, poll("/v1/charges", account)); err != nil {
					wait = min(time.Second<<failures, time.Minute)
					failures = min(failures+1, 6)
				} else {
					wait, failures = p.every, 0
				}
				p.took(began)
			}
		})
	}
}

func (p *pollers) took(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if began.After(p.since) {
		p.longest = max(p.longest, time.Since(began))
	}
}

// measureAnew forgets the polls that have begun before.
func (p *pollers) measureAnew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since, p.longest = time.Now(), 0
}

// hanging returns the network, but for accounts with a prefix, to which it does not
// respond while hangs is set.
func (s *service) hanging(prefix string, hangs *atomic.Bool) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if hangs.Load() && strings.HasPrefix(r.Header.Get("Stripe-Account"), prefix) {
			return silent(r)
		}
		return s.RoundTrip(r)
	}
}

// TestAccountsThatHangHoldUpNoOther has a hundred callers for each of some accounts, to
// which the service does not respond for some minutes, and one for each of a hundred
// others. Accounts that had many polls under way hold up the others until those time out.
func TestAccountsThatHangHoldUpNoOther(t *testing.T) {
	for name, tt := range map[string]struct {
		accounts       int
		every, latency time.Duration
		settles        time.Duration
	}{
		"quiet before": {6, 15 * time.Second, 100 * time.Millisecond, 0},
		"many":         {40, 15 * time.Second, 100 * time.Millisecond, 0},
		"busy before":  {6, 100 * time.Millisecond, time.Second, 81 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, hangs := &service{latency: tt.latency}, new(atomic.Bool)
				tr := chain(s.hanging("hangs_", hangs), noRetries, func(cfg *Config) { cfg.Timeout = 80 * time.Second })
				some, others := pollers{tr: tr, every: tt.every}, pollers{tr: tr, every: 15 * time.Second}
				ctx, end := context.WithCancel(t.Context())
				for i := range tt.accounts {
					some.poll(ctx, fmt.Sprint("hangs_", i), 100)
				}
				ctx, endOthers := context.WithCancel(t.Context())
				for i := range 100 {
					others.poll(ctx, fmt.Sprint("acct_", i), 1)
				}
				<-time.After(20 * time.Second)
				hangs.Store(true)
				<-time.After(tt.settles)
				others.measureAnew()
				<-time.After(4 * time.Minute)
				endOthers()
				others.all.Wait()
				require.LessOrEqual(t, others.longest, 2*s.latency)
				hangs.Store(false)
				<-time.After(90 * time.Second) // those under way time out
				some.measureAnew()
				<-time.After(10 * time.Second)
				end()
				some.all.Wait()
				// If the bounds did not grow again, it would be 9.9 s where accounts are busy.
				require.LessOrEqual(t, some.longest, 6*s.latency, "once the service responds")
			})
		})
	}
}

func TestPollsOfAnAccountThatHangsBecomeFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		tr := chain(s, noRetries, func(cfg *Config) { cfg.Timeout = 80 * time.Second })
		_, end := polls(t, tr, 500, func(int) *Request { return poll("/v1/charges", "acct_1") })
		defer end()
		<-time.After(450 * time.Millisecond)
		require.EqualValues(t, maxAccountPolls, s.underWay.Load(), "4, 8, 16, 32, 64")
		s.hangs.Store(true)
		for _, want := range []int{64, 32, 16, 8, 4, 2, 1, 1} {
			<-time.After(80 * time.Second)
			require.EqualValues(t, want, s.underWay.Load())
		}
	})
}
