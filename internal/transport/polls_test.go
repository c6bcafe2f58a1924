package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func poll(path, account string) *Request {
	return &Request{Method: "GET", Path: path, Version: "v", Account: account, Poll: true}
}

// service is a network that responds after a latency, and counts the requests under
// way. While it hangs, it does not respond.
type service struct {
	latency  time.Duration
	hangs    atomic.Bool
	underWay atomic.Int64
	most     atomic.Int64
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	now := s.underWay.Add(1)
	defer s.underWay.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); {
		most = s.most.Load()
	}
	if s.hangs.Load() {
		return silent(r)
	}
	select {
	case <-time.After(s.latency):
		return reply(200, "{}"), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// polls starts polls, and returns a function that waits for their end.
func polls(t *testing.T, tr *Transport, n int, request func(i int) *Request) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() { _, _ = tr.Do(ctx, request(i)) })
	}
	synctest.Wait()
	return ctx, func() { cancel(); callers.Wait() }
}

func TestAccountWithManyPollersHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		s.hangs.Store(true)
		tr := chain(s, noRetries)
		_, end := polls(t, tr, 200, func(int) *Request { return poll("/v1/charges", "acct_1") })
		defer end()
		require.EqualValues(t, firstAccountPolls, s.underWay.Load())
		s.hangs.Store(false)
		for _, req := range []*Request{poll("/v1/charges", "acct_2"), poll("/v1/customers", "acct_1"), get("/v1/charges")} {
			_, err := tr.Do(t.Context(), req)
			require.NoError(t, err, "%s of %s", req.Path, req.Account)
		}
	})
}

func TestManyAccountsArePolledAtTheServicesLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		tr := chain(s)
		start := time.Now()
		var callers sync.WaitGroup
		for i := range 4_000 {
			callers.Go(func() {
				_, err := tr.Do(t.Context(), poll("/v1/charges", fmt.Sprint("acct_", i)))
				require.NoError(t, err)
			})
		}
		callers.Wait()
		require.EqualValues(t, maxPolls, s.most.Load())
		// 256, 512 and four times up to 1,024 at a time
		require.Equal(t, 600*time.Millisecond, time.Since(start))
	})
}

func TestAccountWithManyPollersIsPolledAtTheServicesLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		tr := chain(s)
		start := time.Now()
		var callers sync.WaitGroup
		for range 4_000 {
			callers.Go(func() {
				_, err := tr.Do(t.Context(), poll("/v1/charges", "acct_1"))
				require.NoError(t, err)
			})
		}
		callers.Wait()
		require.EqualValues(t, maxAccountPolls, s.most.Load())
		// 4, 8, 16, 32 and 62 times up to 64 at a time
		require.Equal(t, 6600*time.Millisecond, time.Since(start))
	})
}

func TestHangingServiceGetsFewPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		tr := chain(s, noRetries, func(cfg *Config) { cfg.Timeout = 80 * time.Second })
		each := func(i int) *Request { return poll("/v1/charges", fmt.Sprint("acct_", i)) }
		_, end := polls(t, tr, 4_000, each)
		<-time.After(350 * time.Millisecond)
		require.EqualValues(t, maxPolls, s.underWay.Load())
		end() // which is no failure of the service

		s.hangs.Store(true)
		_, end = polls(t, tr, 4_000, each)
		require.EqualValues(t, maxPolls, s.underWay.Load())
		<-time.After(81 * time.Second)
		require.EqualValues(t, maxPolls/2, s.underWay.Load(), "once for all that were under way")
		<-time.After(4 * 80 * time.Second)
		require.EqualValues(t, minPolls, s.underWay.Load())
		end()
	})
}

func TestQuietServiceThatHangsGetsFewPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		tr := chain(s)
		for range 1_000 {
			_, err := tr.Do(t.Context(), poll("/v1/charges", ""))
			require.NoError(t, err)
		}
		s.hangs.Store(true)
		_, end := polls(t, tr, 4_000, func(i int) *Request { return poll("/v1/charges", fmt.Sprint("acct_", i)) })
		defer end()
		require.EqualValues(t, minPolls, s.underWay.Load())
	})
}

// TestClientAtItsRateHoldsUpNoOtherOfThePool has a client with more polls than its
// rate allows.
func TestClientAtItsRateHoldsUpNoOtherOfThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{latency: 100 * time.Millisecond}
		pool := NewPool(&http.Client{Transport: s})
		slow := chain(nil, func(cfg *Config) { cfg.Pool, cfg.Limits = pool, Limits{Total: 1} })
		_, end := polls(t, slow, 4_000, func(i int) *Request { return poll("/v1/charges", fmt.Sprint("acct_", i)) })
		defer end()
		quick := chain(nil, func(cfg *Config) { cfg.Pool = pool })
		start := time.Now()
		_, err := quick.Do(t.Context(), poll("/v1/charges", ""))
		require.NoError(t, err)
		require.Equal(t, s.latency, time.Since(start))
	})
}

func TestPollPassesWhenItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		s.hangs.Store(true)
		tr := chain(s)
		_, end := polls(t, tr, minPolls, func(i int) *Request { return poll("/v1/charges", fmt.Sprint("acct_", i)) })
		var passed atomic.Bool
		_, stop := polls(t, tr, 1, func(int) *Request {
			req := poll("/v1/charges", "another")
			req.Waits = func(waits bool) { passed.Store(!waits) }
			return req
		})
		require.False(t, passed.Load())
		end()
		synctest.Wait()
		require.True(t, passed.Load())
		stop()
	})
}

func TestPollsWaitInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{bound: 1, least: 1, most: 1}
		require.NoError(t, l.enter(t.Context()))
		var order []int
		giveUp := make([]context.CancelFunc, 10)
		for i := range giveUp {
			var ctx context.Context
			ctx, giveUp[i] = context.WithCancel(t.Context())
			go func() {
				if l.enter(ctx) == nil {
					order = append(order, i)
					l.leave(time.Now(), responded)
				}
			}()
			synctest.Wait()
		}
		for _, i := range []int{0, 5, 9} {
			giveUp[i]()
		}
		synctest.Wait()
		l.leave(time.Now(), responded)
		synctest.Wait()
		require.Equal(t, []int{1, 2, 3, 4, 6, 7, 8}, order)
		for _, cancel := range giveUp {
			cancel()
		}
	})
}

func TestTurnOfAPollThatGivesUpGoesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{bound: 1, least: 1, most: 1}
		require.NoError(t, l.enter(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		first, next := make(chan error), make(chan error)
		go func() { first <- l.enter(ctx) }()
		synctest.Wait()
		go func() { next <- l.enter(t.Context()) }()
		synctest.Wait()
		l.mu.Lock()
		cancel() // the first no longer waits for its turn, but for mu
		l.underWay--
		l.admit()
		l.mu.Unlock()
		require.ErrorIs(t, <-first, context.Canceled)
		require.NoError(t, <-next)
		require.Equal(t, 1, l.underWay)
	})
}

// TestPollsThatGiveUpLeaveNothing ends polls at random times, some in the moment of
// their turn. They wait for those of their account, or for all.
func TestPollsThatGiveUpLeaveNothing(t *testing.T) {
	for _, of := range []int{5, 500} {
		t.Run(fmt.Sprint(of, " accounts"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pollsGiveUp(t, of) })
		})
	}
}

func pollsGiveUp(t *testing.T, of int) {
	pool := NewPool(&http.Client{Transport: &service{latency: 100 * time.Millisecond}})
	tr := chain(nil, noRetries, func(cfg *Config) { cfg.Pool = pool })
	var callers sync.WaitGroup
	var ended, cancelled atomic.Int64
	for range 5_000 {
		callers.Go(func() {
			wait := time.Duration(rand.N(20)) * 50 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			switch _, err := tr.Do(ctx, poll("/v1/charges", fmt.Sprint(rand.N(of)))); {
			case err == nil:
				ended.Add(1)
			case errors.Is(err, context.DeadlineExceeded):
				cancelled.Add(1)
			}
		})
	}
	callers.Wait()
	require.Positive(t, ended.Load())
	require.EqualValues(t, 5_000, ended.Load()+cancelled.Load())
	require.Zero(t, pool.line("/v1/charges").underWay)
	require.Zero(t, pool.line("/v1/charges").waiting.Len())
	require.Empty(t, tr.limiter.endpoint("/v1/charges").polls.lines)
}
