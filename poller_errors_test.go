package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

const refusedBody = `{"error":{"type":"invalid_request_error","message":"no"}}`

// listFailure is a response that is not a list.
type listFailure struct {
	status      int
	shouldRetry string // the header Stripe-Should-Retry; none if empty
	body        string
}

// failLists makes every list fail.
func (s *shop) failLists(f listFailure) {
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/account") {
			return nil, nil
		}
		resp := response(r, f.status, f.body)
		if f.shouldRetry != "" {
			resp.Header.Set("Stripe-Should-Retry", f.shouldRetry)
		}
		return resp, nil
	})
}

func TestPollerOutlastsWhatMayPass(t *testing.T) {
	for _, f := range []listFailure{
		{400, "true", refusedBody},
		{403, "true", refusedBody},
		{404, "true", refusedBody},
		{401, "true", refusedBody},
		{408, "", refusedBody},
		{409, "", refusedBody},
		{424, "", refusedBody},
		{425, "", refusedBody},
		{429, "", refusedBody},
		{429, "false", refusedBody},
		{500, "", refusedBody},
		{500, "false", refusedBody},
		{503, "", "busy"},
		{400, "", "<html>of a proxy</html>"},
		{401, "", "<html>of a proxy</html>"},
		{404, "", `{"message":"no such route"}`},
		{200, "", "<html>please log in</html>"},
		{302, "", ""},
	} {
		t.Run(fmt.Sprintf("%d, should retry %q, %.12s", f.status, f.shouldRetry, f.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				p := s.poller(stripekit.PollConfig{})
				events, stop := s.watch(p)
				defer stop()
				s.failLists(f)
				sold := s.sell(3)
				require.Empty(t, collect(events, time.Hour))
				require.NoError(t, p.Err())
				require.Error(t, p.Status().LastError)
				require.InDelta(t, 70, p.Status().Failures, 15, "about one a minute")
				s.interfere(nil)
				require.Equal(t, sold, collect(events, 2*time.Minute))
				require.NoError(t, p.Status().LastError)
			})
		})
	}
}

func TestPollerEndsAtOnceByWhatDoesNotPass(t *testing.T) {
	for _, tt := range []struct {
		listFailure
		want error
	}{
		{listFailure{400, "", refusedBody}, stripekit.ErrInvalidRequest},
		{listFailure{401, "", refusedBody}, stripekit.ErrAuthentication},
		{listFailure{401, "false", refusedBody}, stripekit.ErrAuthentication},
		{listFailure{403, "", refusedBody}, stripekit.ErrPermission},
		{listFailure{404, "", refusedBody}, stripekit.ErrNotFound},
		{listFailure{408, "false", refusedBody}, stripekit.ErrInvalidRequest},
		{listFailure{424, "false", refusedBody}, stripekit.ErrInvalidRequest},
		{listFailure{425, "false", refusedBody}, stripekit.ErrInvalidRequest},
	} {
		t.Run(fmt.Sprintf("%d, should retry %q", tt.status, tt.shouldRetry), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				p := s.poller(stripekit.PollConfig{})
				events, _ := s.watch(p)
				s.failLists(tt.listFailure)
				before := s.listRequests()
				pass(30 * time.Second)
				_, open := receive(events, time.Minute)
				require.False(t, open)
				require.ErrorIs(t, p.Err(), tt.want)
				require.Equal(t, 1, s.listRequests()-before, "one request says it")
			})
		})
	}
}

// keyShop is a shop that a Poller on a Connection reads from. It refuses every key
// but the good one.
type keyShop struct {
	*shop
	good        atomic.Value // string
	connections *stripekit.Connections
	connection  stripekit.Connection
	poller      *stripekit.Poller[stripekit.Customer]
	events      <-chan stripekit.Event[stripekit.Customer]
}

func newKeyShop(t *testing.T) *keyShop {
	s := &keyShop{shop: newShop(t)}
	s.good.Store("sk_test_1")
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if key, _, _ := r.BasicAuth(); key != s.good.Load() {
			return response(r, 401, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`), nil
		}
		return nil, nil
	})
	s.connections = stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: s.shop}), stripekit.WithMaxRetries(0))
	s.connection = stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret("sk_test_1"), BaseURL: s.server.URL}
	require.NoError(t, s.connections.Add(s.connection))
	client, err := s.connections.Open("shop")
	require.NoError(t, err)
	s.poller, err = stripekit.NewPoller(client.Customers, stripekit.PollConfig{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s.events, err = s.poller.Start(ctx)
	require.NoError(t, err)
	pass(time.Minute)
	return s
}

func TestPollerWaitsForTheNextKeyOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newKeyShop(t)
		s.good.Store("sk_test_2") // rolled at the service first
		sold := s.sell(2)
		pass(20 * time.Second)
		require.NoError(t, s.poller.Err())
		require.ErrorIs(t, s.poller.Status().LastError, stripekit.ErrAuthentication)
		s.connection.APIKey = stripekit.NewSecret("sk_test_2")
		require.NoError(t, s.connections.Update(s.connection))
		require.Equal(t, sold, collect(s.events, time.Minute))
		require.NoError(t, s.poller.Status().LastError)
	})
}

func TestPollerEndsIfNoKeyComesInAQuarterOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newKeyShop(t)
		for range 3 { // a key that works in between begins the time anew
			s.good.Store("sk_test_2")
			pass(13 * time.Minute)
			require.NoError(t, s.poller.Err())
			s.good.Store("sk_test_1")
			pass(2 * time.Minute)
			require.NoError(t, s.poller.Status().LastError)
		}
		s.good.Store("sk_test_2")
		refused := time.Now()
		_, open := receive(s.events, time.Hour)
		require.False(t, open)
		require.ErrorIs(t, s.poller.Err(), stripekit.ErrAuthentication)
		require.InDelta(t, 15.6, time.Since(refused).Minutes(), 0.7)
	})
}

func TestPollerEndsByACheckpointThatItsStoreCallsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := new(hookedStore)
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		events, _ := s.watch(p)
		pass(time.Minute)
		saves := 0
		store.hook(func(context.Context, func() (uint64, error)) (uint64, error) {
			saves++
			return 0, fmt.Errorf("row 5: %w", stripekit.ErrCheckpointInvalid)
		})
		s.sell(1)
		collect(events, time.Minute)
		_, open := receive(events, time.Minute)
		require.False(t, open)
		require.ErrorIs(t, p.Err(), stripekit.ErrCheckpointInvalid)
		require.Equal(t, 1, saves)
	})
}

func TestPollerEndsByAnImpossibleAccountID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		asked := 0
		s.interfere(func(r *http.Request) (*http.Response, error) {
			asked++
			return response(r, 200, `{"id":"not-an-account"}`), nil
		})
		p := s.poller(stripekit.PollConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorContains(t, p.Run(ctx, nil), "acct_")
		require.Equal(t, 1, asked)
	})
}

func TestPollerThatPollsHourlyRetriesWithinSeconds(t *testing.T) {
	for name, fail := range map[string]func(r *http.Request) (*http.Response, error){
		"a 500": func(r *http.Request) (*http.Response, error) {
			return response(r, 500, `{"error":{"type":"api_error","message":"down"}}`), nil
		},
		"no network": func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				p := s.poller(stripekit.PollConfig{Every: time.Hour})
				events, stop := s.watch(p)
				defer stop()
				pass(90 * time.Minute)
				sold := s.sell(1)
				var downSince time.Time
				s.interfere(func(r *http.Request) (*http.Response, error) {
					if downSince.IsZero() {
						downSince = time.Now()
					}
					if time.Since(downSince) < 10*time.Second {
						return fail(r)
					}
					return nil, nil
				})
				e, ok := receive(events, 3*time.Hour)
				require.True(t, ok)
				e.Ack()
				require.Equal(t, sold[0], e.ID)
				require.Less(t, time.Since(downSince), 20*time.Second)

				before := s.listRequests()
				pass(5 * time.Hour)
				require.InDelta(t, 5, s.listRequests()-before, 1, "and hourly again")
			})
		})
	}
}

func TestPollerWaitsForRetryAfter(t *testing.T) {
	for _, retries := range []int{0, 2} { // of the client
		for status, body := range map[int]string{429: `{"error":{"type":"rate_limit_error","message":"slow down"}}`, 503: "busy"} {
			t.Run(fmt.Sprintf("%d with %d retries", status, retries), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newShop(t)
					client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(s.server.URL),
						stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithMaxRetries(retries))
					require.NoError(t, err)
					p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{})
					require.NoError(t, err)
					events, stop := s.watch(p)
					defer stop()
					pass(time.Minute)
					s.interfere(func(r *http.Request) (*http.Response, error) {
						resp := response(r, status, body)
						resp.Header.Set("Retry-After", "600")
						return resp, nil
					})
					sold := s.sell(1)
					before := s.listRequests()
					require.Empty(t, collect(events, 10*time.Minute))
					require.Equal(t, 1, s.listRequests()-before)
					s.interfere(nil)
					require.Equal(t, sold, collect(events, time.Minute))
				})
			})
		}
	}
}
