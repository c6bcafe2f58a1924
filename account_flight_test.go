package stripekit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// accountService is a service with /v1/account alone.
type accountService struct {
	respond func(*http.Request) (*http.Response, error)

	requests atomic.Int32
	canceled atomic.Int32 // requests with a context that ended
}

// RoundTrip counts the requests and those that are cancelled.
func (s *accountService) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests.Add(1)
	resp, err := s.respond(r)
	if r.Context().Err() != nil {
		s.canceled.Add(1)
	}
	return resp, err
}

func (s *accountService) client(t *testing.T, opts ...Option) *Client {
	t.Helper()
	c, err := New("sk_test_flight", append([]Option{WithHTTPClient(&http.Client{Transport: s}), WithMaxRetries(0)}, opts...)...)
	require.NoError(t, err)
	return c
}

// hangs responds to no request before its context ends.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// after responds after d.
func after(d time.Duration, status int, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return jsonResponse(status, body), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

const (
	goodAccount   = `{"id":"acct_1"}`
	brokenAccount = `{"error":{"type":"api_error","message":"broken"}}`
)

// caller is one of several concurrent callers of identity.
type caller struct {
	cancel context.CancelFunc
	done   chan struct{}

	id    string
	err   error
	ended time.Time
}

// callers starts n callers one after the other, so that the first of them is
// the one that starts the request.
func callers(t *testing.T, c *Client, n int) []*caller {
	all := make([]*caller, n)
	for i := range all {
		ctx, cancel := context.WithCancel(t.Context())
		one := &caller{cancel: cancel, done: make(chan struct{})}
		all[i] = one
		go func() {
			defer close(one.done)
			one.id, _, one.err = c.identity(ctx)
			one.ended = time.Now()
		}()
		synctest.Wait()
	}
	t.Cleanup(func() {
		for _, one := range all {
			one.cancel()
		}
	})
	return all
}

func TestIdentityCallerIsCancelledAtOnceWhileTheRequestHangs(t *testing.T) {
	for _, which := range []int{0, 7, 19} {
		synctest.Test(t, func(t *testing.T) {
			s := &accountService{respond: hangs}
			all := callers(t, s.client(t), 20)
			<-time.After(5 * time.Second)
			start := time.Now()
			all[which].cancel()
			<-all[which].done
			require.Zero(t, time.Since(start))
			require.ErrorIs(t, all[which].err, context.Canceled)
			require.EqualError(t, all[which].err, "stripe: GET /v1/account: context canceled")
			require.Equal(t, passes, endsPoller(all[which].err, false))

			synctest.Wait()
			for i, one := range all {
				if i != which {
					require.True(t, one.ended.IsZero(), "caller %d still waits", i)
				}
			}
			require.EqualValues(t, 1, s.requests.Load())
			require.Zero(t, s.canceled.Load())
		})
	}
}

func TestIdentityCallersShareOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: after(time.Second, 500, brokenAccount)}
		c := s.client(t)
		start := time.Now()
		all := callers(t, c, 20)
		for _, one := range all {
			<-one.done
			require.Equal(t, time.Second, one.ended.Sub(start), "none waits for a request of its own")
			require.ErrorIs(t, one.err, ErrAPI)
			require.Same(t, all[0].err, one.err)
		}
		require.EqualValues(t, 1, s.requests.Load())

		<-time.After(failureMemory - 1)
		_, _, err := c.identity(t.Context())
		require.Same(t, all[0].err, err, "it failed a moment ago")
		require.EqualValues(t, 1, s.requests.Load())

		<-time.After(time.Nanosecond)
		_, _, err = c.identity(t.Context())
		require.ErrorIs(t, err, ErrAPI)
		require.NotSame(t, all[0].err, err)
		require.EqualValues(t, 2, s.requests.Load())
	})
}

func TestIdentityIsRequestedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: after(time.Second, 200, goodAccount)}
		c := s.client(t)
		for _, one := range callers(t, c, 20) {
			<-one.done
			require.NoError(t, one.err)
			require.Equal(t, "acct_1", one.id)
		}
		<-time.After(24 * time.Hour)
		id, identity, err := c.identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, "acct_1", id)
		require.Same(t, c.current.Load().identity, identity)
		require.EqualValues(t, 1, s.requests.Load())

		id, connected, err := c.WithAccount("acct_2").identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, "acct_2", id)
		require.Same(t, identity, connected)
	})
}

func TestIdentityOutlivesTheCallerThatRequestedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: after(time.Second, 200, goodAccount)}
		all := callers(t, s.client(t), 20)
		all[0].cancel()
		<-all[0].done
		require.ErrorIs(t, all[0].err, context.Canceled)
		for _, one := range all[1:] {
			<-one.done
			require.NoError(t, one.err)
			require.Equal(t, "acct_1", one.id)
		}
		require.EqualValues(t, 1, s.requests.Load())
	})
}

func TestIdentityRequestIsCancelledWhenTheLastCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: hangs}
		c := s.client(t)
		all := callers(t, c, 20)
		start := time.Now()
		for _, one := range all {
			require.Zero(t, s.canceled.Load(), "somebody still waits")
			one.cancel()
			<-one.done
			synctest.Wait()
		}
		require.EqualValues(t, 1, s.canceled.Load())
		require.Zero(t, time.Since(start))

		// The next caller must not share the failure of the cancelled request.
		s.respond = after(0, 200, goodAccount)
		id, _, err := c.identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, "acct_1", id)
	})
}

func TestIdentityOfACancelledCallerMakesNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: hangs}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := s.client(t).identity(ctx)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Zero(t, s.requests.Load())
	})
}

func TestIdentityRequestEndsByTheTimeoutOfTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: hangs}
		start := time.Now()
		_, _, err := s.client(t, WithTimeout(3*time.Second)).identity(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

// Callers that begin and end at any moment leave no goroutine, and each gets the
// result or its own cancellation. The race detector checks it.
func TestIdentityCallersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		s := &accountService{respond: func(r *http.Request) (*http.Response, error) {
			if down.Load() {
				return after(7*time.Millisecond, 503, brokenAccount)(r)
			}
			return after(7*time.Millisecond, 200, goodAccount)(r)
		}}
		c := s.client(t, WithRateLimit(RateLimit{}))
		var all sync.WaitGroup
		for worker := range 20 {
			all.Go(func() {
				for round := range 40 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(worker*round%11)*time.Millisecond)
					id, _, err := c.identity(ctx)
					switch {
					case err == nil:
						require.Equal(t, "acct_1", id)
					case !errors.Is(err, context.DeadlineExceeded):
						require.ErrorIs(t, err, ErrAPI)
					}
					cancel()
					<-time.After(time.Duration((worker+round)%13) * time.Millisecond)
				}
			})
		}
		<-time.After(100 * time.Millisecond)
		down.Store(false)
		all.Wait()
		<-time.After(failureMemory)
		id, _, err := c.identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, "acct_1", id)
	})
}

func TestIdentityOfAnImpossibleAccountIsPermanent(t *testing.T) {
	for _, body := range []string{`{}`, `{"id":""}`, `{"id":"cus_1"}`, `{"id":"acct"}`, `{"id":" acct_1"}`, `{"id":null}`} {
		t.Run(body, func(t *testing.T) {
			s := &accountService{respond: after(0, 200, body)}
			id, _, err := s.client(t).identity(t.Context())
			require.Empty(t, id)
			require.EqualError(t, err, `stripe: GET /v1/account: 200 reading the response: the account's id does not begin with "acct_", or has a key in it`)
			require.ErrorIs(t, err, ErrAPI)
			require.NotErrorIs(t, err, ErrCheckpointInvalid)
			require.Equal(t, ends, endsPoller(err, true))
		})
	}
}

func TestIdentityOfAKeyThatMayNotReadItsAccount(t *testing.T) {
	const refusal = `{"error":{"type":"invalid_request_error","message":"The provided key 'rk_test_***' does not have the required permissions for this endpoint%s."}}`
	for name, test := range map[string]struct {
		body string
		id   string
		fail bool
	}{
		"account named":   {body: fmt.Sprintf(refusal, " on account 'acct_1'. Having x"), id: "acct_1"},
		"account unnamed": {body: fmt.Sprintf(refusal, "")},
		"page of a proxy": {body: "<html>forbidden", fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &accountService{respond: after(0, 403, test.body)}
			id, _, err := s.client(t).identity(t.Context())
			require.Equal(t, test.id, id)
			require.Equal(t, test.fail, err != nil)
			require.Equal(t, passes, endsPoller(err, false))
		})
	}
}

// A connection with a proxy that hangs is updated to another proxy. Callers after
// the update do not wait for the old request, and the success of either request
// holds for the key.
func TestIdentityIsRequestedAnewWithTheSettingsOfAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &accountService{respond: after(time.Minute, 200, goodAccount)}
		connections := NewConnections(WithMaxRetries(0), WithHTTPClient(&http.Client{Transport: s}))
		connection := Connection{Name: "shop", APIKey: NewSecret("sk_test_flight")}
		require.NoError(t, connections.Add(connection))
		c, err := connections.Open("shop")
		require.NoError(t, err)
		old := callers(t, c, 1)[0]

		connection.Timeout = 2 * time.Second
		require.NoError(t, connections.Update(connection))
		_, _, err = c.identity(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 2, s.requests.Load())

		connection.Disabled = true
		require.NoError(t, connections.Update(connection))
		_, _, err = c.identity(t.Context())
		require.ErrorIs(t, err, ErrDisabled, "the failure of other settings is not shared")
		require.Equal(t, ends, endsPoller(err, true))

		<-old.done
		require.NoError(t, old.err)
		connection.Disabled = false
		require.NoError(t, connections.Update(connection))
		id, _, err := c.identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, "acct_1", id)
		require.EqualValues(t, 2, s.requests.Load())
	})
}
