package stripekit_test

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestBaseURLIsHTTPSOrLoopback(t *testing.T) {
	n := replies(200, "{}")
	for base, want := range map[string]string{
		"https://gateway.example":             "https://gateway.example/v1/account",
		"https://gateway.example/stripe/":     "https://gateway.example/stripe/v1/account",
		"HTTPS://gateway.example:8443":        "https://gateway.example:8443/v1/account",
		"http://127.0.0.1:12111":              "http://127.0.0.1:12111/v1/account",
		"http://127.8.9.10":                   "http://127.8.9.10/v1/account",
		"http://[::1]:12111/":                 "http://[::1]:12111/v1/account",
		"http://localhost:12111":              "http://localhost:12111/v1/account",
		"https://gateway.example/with%20room": "https://gateway.example/with%20room/v1/account",
	} {
		_, err := clientOver(t, n, stripekit.WithBaseURL(base)).Check(t.Context())
		require.NoError(t, err, base)
		require.Equal(t, want, n.last().URL.String())
	}
	for _, base := range []string{
		"", "/", "gateway.example", "https://", "https://:443", "https:gateway.example", "http://", "://x",
		"http://gateway.example", "HTTP://gateway.example", "http://10.0.0.1", "http://0.0.0.0", "http://[::]", "http://localhost.example",
		"http://127.0.0.1.example", "http://evil.example/127.0.0.1", "ftp://127.0.0.1", "file:///etc", "unix:///run/x",
		"https://user@gateway.example", "https://user:passw0rd@gateway.example", "http://localhost@evil.example", "https://@gateway.example",
		"https://gateway.example?x=y", "https://gateway.example/?", "https://gateway.example#x", "https://gateway.example/#", "https://gate\nway",
	} {
		_, err := stripekit.New(goodKey, stripekit.WithBaseURL(base))
		require.ErrorContains(t, err, "stripe: WithBaseURL: ", "%q", base)
		require.NotContains(t, err.Error(), "passw0rd")
	}
}

func TestOptionsRefuseWhatTheyCannotUse(t *testing.T) {
	for name, opt := range map[string]stripekit.Option{
		"WithHTTPClient": stripekit.WithHTTPClient(nil),
		"WithTimeout":    stripekit.WithTimeout(-1),
		"WithMaxRetries": stripekit.WithMaxRetries(-1),
		"WithLogger":     stripekit.WithLogger(nil),
		"WithObserver":   stripekit.WithObserver(nil),
	} {
		_, err := stripekit.New(goodKey, opt)
		require.ErrorContains(t, err, name)
	}
	for _, version := range []string{"", " ", "2020-08-27 ", "2020-08-27\r\nX: y", "ü"} {
		_, err := stripekit.New(goodKey, stripekit.WithAPIVersion(version))
		require.ErrorContains(t, err, "WithAPIVersion")
	}
	for _, limit := range []float64{-1, math.NaN(), math.Inf(-1)} {
		for _, limits := range []stripekit.RateLimit{{Total: limit}, {Endpoint: limit}, {Search: limit}} {
			_, err := stripekit.New(goodKey, stripekit.WithRateLimit(limits))
			require.ErrorContains(t, err, "WithRateLimit")
		}
	}
}

// callsInASecond returns how many calls a client makes in a second. One caller for
// each path makes up to a thousand calls.
func callsInASecond(t *testing.T, c *stripekit.Client, paths ...string) (calls int) {
	// A rate limiter may be early by the nanoseconds that it cuts off.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second-time.Microsecond)
	defer cancel()
	done := make(chan int)
	for _, path := range paths {
		go func() {
			made := 0
			for made < 1000 && c.Call(ctx, "GET", path, nil, nil) == nil {
				made++
			}
			done <- made
		}()
	}
	for range paths {
		calls += <-done
	}
	return calls
}

func TestDefaultRateLimitsAreStripesOwn(t *testing.T) {
	many := []string{"/v1/charges", "/v1/customers", "/v1/products", "/v1/refunds", "/v1/orders", "/v1/payouts"}
	const unlimited = 1000
	for name, test := range map[string]struct {
		key   string
		opts  []stripekit.Option
		paths []string
		want  int
	}{
		"test key":           {goodKey, nil, many, 25},
		"live key":           {"sk_live_123", nil, many, 100},
		"restricted live":    {"rk_live_123", nil, many, 100},
		"one endpoint, live": {"sk_live_123", nil, []string{"/v1/charges", "/v1/charges/ch_1"}, 25},
		"searches, live":     {"sk_live_123", nil, []string{"/v1/charges/search", "/v1/customers/search"}, 20},
		"named base URL":     {goodKey, []stripekit.Option{stripekit.WithBaseURL("https://api.stripe.com/")}, many, 25},
		"another base URL":   {goodKey, []stripekit.Option{stripekit.WithBaseURL("https://stripe.test")}, many[:1], unlimited},
		"off":                {goodKey, []stripekit.Option{stripekit.WithRateLimit(stripekit.RateLimit{})}, many[:1], unlimited},
		"set":                {goodKey, []stripekit.Option{stripekit.WithRateLimit(stripekit.RateLimit{Total: 7})}, many, 7},
		"set for another":    {goodKey, []stripekit.Option{stripekit.WithBaseURL("https://stripe.test"), stripekit.WithRateLimit(stripekit.RateLimit{Endpoint: 5})}, many, 30},
		"endless":            {goodKey, []stripekit.Option{stripekit.WithRateLimit(stripekit.RateLimit{Total: math.Inf(1)})}, many[:1], unlimited},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := append([]stripekit.Option{stripekit.WithHTTPClient(&http.Client{Transport: replies(200, "{}")})}, test.opts...)
				c, err := stripekit.New(test.key, opts...)
				require.NoError(t, err)
				require.Equal(t, test.want, callsInASecond(t, c, test.paths...))
			})
		})
	}
}

func TestRetriesAndTimeoutAreSettable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := &network{respond: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		for _, test := range []struct {
			opts     []stripekit.Option
			attempts int
			took     time.Duration // without the backoff
		}{
			{nil, 4, 320 * time.Second},
			{[]stripekit.Option{stripekit.WithTimeout(time.Second)}, 4, 4 * time.Second},
			{[]stripekit.Option{stripekit.WithMaxRetries(0)}, 1, 80 * time.Second},
			{[]stripekit.Option{stripekit.WithTimeout(time.Second), stripekit.WithMaxRetries(1)}, 2, 2 * time.Second},
		} {
			start := time.Now()
			_, err := clientOver(t, silent, test.opts...).Charges.Get(t.Context(), "ch_1")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var e *stripekit.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.attempts, e.Attempts)
			require.GreaterOrEqual(t, time.Since(start), test.took)
			require.LessOrEqual(t, time.Since(start), test.took+4*time.Second)
		}
	})
}

func TestHTTPClientIsUsedWithoutItsTimeoutAndRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{respond: func(r *http.Request) (*http.Response, error) {
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-time.After(10 * time.Second):
			}
			return reply(302, "", "Location", "https://evil.example/"), nil
		}}
		client := &http.Client{Transport: n, Timeout: time.Second}
		_, err := clientOver(t, nil, stripekit.WithHTTPClient(client)).Check(t.Context())
		require.ErrorIs(t, err, stripekit.ErrAPI)
		require.ErrorContains(t, err, "redirect")
		require.Len(t, n.requests, 1)
		require.Equal(t, time.Second, client.Timeout)
	})
}

func TestProxyIsUsed(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		_, _ = w.Write([]byte(`{"id":"acct_1"}`))
	}))
	defer proxy.Close()
	c, err := stripekit.New(goodKey, stripekit.WithBaseURL("http://127.0.0.1:9"),
		stripekit.WithProxy(strings.Replace(proxy.URL, "//", "//user:passw0rd@", 1)))
	require.NoError(t, err)
	result, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, "acct_1", result.Account.ID)
	require.Equal(t, "http://127.0.0.1:9/v1/account", asked.Load().RequestURI)
	require.Equal(t, "Basic dXNlcjpwYXNzdzByZA==", asked.Load().Header.Get("Proxy-Authorization"))
}

func TestProxyRules(t *testing.T) {
	for _, proxy := range []string{"http://p:3128", "https://u:pw@p", "socks5://p:1080", "socks5h://p"} {
		_, err := stripekit.New(goodKey, stripekit.WithProxy(proxy))
		require.NoError(t, err, proxy)
	}
	for _, proxy := range []string{"", "p:3128", "//p", "http://", "http://:3128", "ftp://p", "http://u:passw0rd%zz@p"} {
		_, err := stripekit.New(goodKey, stripekit.WithProxy(proxy))
		require.ErrorContains(t, err, "WithProxy", proxy)
		require.NotContains(t, err.Error(), "passw0rd")
	}
	ours, proxy := stripekit.WithHTTPClient(new(http.Client)), stripekit.WithProxy("http://u:passw0rd@p")
	for _, opts := range [][]stripekit.Option{
		{ours, proxy},
		{proxy, ours},
		{stripekit.WithBaseURL("http://localhost:1"), proxy},
		{proxy, stripekit.WithBaseURL("HTTP://127.0.0.1:1")},
	} {
		_, err := stripekit.New(goodKey, opts...)
		require.ErrorContains(t, err, "WithProxy")
		require.NotContains(t, err.Error(), "passw0rd")
	}
}

func TestObserverSeesEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []stripekit.Attempt
		n := inTurn(replies(500, "{}", "Request-Id", "req_1"), replies(200, `{"data":[]}`, "Request-Id", "req_2"))
		c := clientOver(t, n, stripekit.WithObserver(func(_ context.Context, a stripekit.Attempt) { seen = append(seen, a) }))
		_, err := c.Customers.Page(t.Context(), stripekit.CustomerListParams{Email: new("a@b.c")})
		require.NoError(t, err)
		require.Equal(t, []stripekit.Attempt{
			{Method: "GET", Path: "/v1/customers", Number: 1, Status: 500, RequestID: "req_1"},
			{Method: "GET", Path: "/v1/customers", Number: 2, Status: 200, RequestID: "req_2"},
		}, seen)
	})
}

func TestLoggerIsToldOfRetriesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := clientOver(t, inTurn(replies(200, "{}"), replies(500, "{}"), replies(200, "{}")), stripekit.WithLogger(logger))
		_, err := c.Charges.Get(t.Context(), "ch_1")
		require.NoError(t, err)
		require.Empty(t, out.String())
		_, err = c.Charges.Get(t.Context(), "ch_1")
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), "level=WARN")
	})
}
