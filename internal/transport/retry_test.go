package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryDecision(t *testing.T) {
	statuses := map[int]bool{400: false, 402: false, 404: false, 409: true, 429: true, 500: true, 503: true}
	const never = -1
	after := map[string]time.Duration{
		"": 0, "0": 0, "2": 2 * time.Second, "60": time.Minute, "61": never, "999999999999": never,
		"1000000000000000000": never, "99999999999999999999999999": never,
		"-1": 0, "-99999999999999999999999999": 0, "1e18": 0, "1.5": 0, "soon": 0, "\x00": 0,
		"Tue, 14 Nov 2023 22:13:25 GMT": 5 * time.Second,
		"Tue, 14 Nov 2023 22:13:10 GMT": 0,
		"Tue, 14 Nov 2023 23:13:20 GMT": never,
		"Tue, 14 Nov 9999 22:13:20 GMT": never,
	}
	for status, retried := range statuses {
		for _, should := range []string{"", "true", "false", "maybe"} {
			for value, wait := range after {
				again := wait != never && (should == "true" || should != "false" && retried)
				t.Run(fmt.Sprintf("%d/%s/%q", status, should, value), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						first := response(status, "Stripe-Should-Retry", should, "Retry-After", value, "Date", "Tue, 14 Nov 2023 22:13:20 GMT")
						network, times := moments(sequence(first, response(200)))
						resp, err := chain(network).Do(t.Context(), get("/v1/charges"))
						require.NoError(t, err)
						if !again {
							require.Equal(t, status, resp.Status)
							require.Equal(t, []time.Duration{0}, *times)
							return
						}
						require.Equal(t, 200, resp.Status)
						require.Equal(t, []time.Duration{0, max(wait, firstBackoff)}, *times)
						require.Equal(t, 2, resp.Attempts)
					})
				})
			}
		}
	}
}

func TestRetryAfterDateCountsByTheServicesClock(t *testing.T) {
	header := http.Header{"Retry-After": {"Tue, 14 Nov 2023 22:13:25 GMT"}}
	require.Zero(t, RetryAfter(header), "without a Date there is no clock to read it by")
	header.Set("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
	require.Equal(t, 5*time.Second, RetryAfter(header))
}

func TestSuccessIsNeverRepeated(t *testing.T) {
	for _, status := range []int{200, 204, 302, 307} {
		network, times := moments(response(status, "Stripe-Should-Retry", "true"))
		resp, err := chain(network).Do(t.Context(), post("/v1/charges", "amount=1"))
		require.NoError(t, err)
		require.Equal(t, status, resp.Status)
		require.Len(t, *times, 1)
	}
}

func TestRetriesAreCounted(t *testing.T) {
	for _, retries := range []int{0, 1, 3} {
		for name, failure := range map[string]roundTrip{"status": response(503), "network": broken(io.ErrUnexpectedEOF)} {
			t.Run(fmt.Sprint(name, retries), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					network, times := moments(failure)
					resp, err := chain(network, func(cfg *Config) { cfg.MaxRetries = retries }).Do(t.Context(), get("/v1/charges"))
					require.Len(t, *times, retries+1)
					if name == "status" {
						require.NoError(t, err)
						require.Equal(t, retries+1, resp.Attempts)
						return
					}
					var te *Error
					require.ErrorAs(t, err, &te)
					require.Equal(t, retries+1, te.Attempts)
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				})
			})
		}
	}
}

func TestBackoffDoublesWithinItsJitter(t *testing.T) {
	for _, test := range []struct {
		random float64
		want   []time.Duration
	}{
		{0, []time.Duration{500, 1000, 2000, 4000, 8000, 8000, 8000}},
		{0.5, []time.Duration{437, 875, 1750, 3500, 7000, 7000, 7000}},
		{1, []time.Duration{375, 750, 1500, 3000, 6000, 6000, 6000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			network, times := moments(response(500))
			tr := chain(network, func(cfg *Config) {
				cfg.MaxRetries = len(test.want)
				cfg.RandomFloat = func() float64 { return test.random }
			})
			_, err := tr.Do(t.Context(), get("/v1/charges"))
			require.NoError(t, err)
			for i, want := range test.want {
				got := (*times)[i+1] - (*times)[i]
				require.Equal(t, want, got.Truncate(time.Millisecond)/time.Millisecond, "wait %d", i+1)
			}
		})
	}
}

func TestBackoffStaysBoundedForEver(t *testing.T) {
	r := &retrier{random: func() float64 { return 0 }}
	for _, attempt := range []int{5, 63, 64, 1 << 40} {
		require.Equal(t, maxBackoff, r.backoff(attempt))
	}
}

func TestRetriesSendTheSameRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		var headers []http.Header
		network := roundTrip(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			bodies, headers = append(bodies, string(body)), append(headers, r.Header)
			if len(bodies)%2 == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return reply(500, "{}"), nil
		})
		_, err := chain(network).Do(t.Context(), post("/v1/charges", "amount=1&currency=usd"))
		require.Error(t, err)
		require.Equal(t, []string{"amount=1&currency=usd", "amount=1&currency=usd", "amount=1&currency=usd", "amount=1&currency=usd"}, bodies)
		for _, h := range headers {
			require.Equal(t, headers[0], h)
			require.Equal(t, "idem_1", h.Get("Idempotency-Key"))
		}
	})
}

func TestAttemptTimeoutIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, times := moments(silent)
		tr := chain(network, func(cfg *Config) { cfg.Timeout, cfg.MaxRetries = 5*time.Second, 2 })
		_, err := tr.Do(t.Context(), get("/v1/charges"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the client's timeout")
		require.Equal(t, []time.Duration{0, 5500 * time.Millisecond, 11500 * time.Millisecond}, *times)
	})
}

func TestCallersDeadlineIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, times := moments(silent)
		tr := chain(network, func(cfg *Config) { cfg.Timeout = 5 * time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := tr.Do(ctx, get("/v1/charges"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "context deadline exceeded")
		require.Len(t, *times, 1)
	})
}

func TestSomeFailuresAreNotRetried(t *testing.T) {
	for name, failure := range map[string]struct {
		network roundTrip
		is      error
	}{
		"certificate": {broken(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}), nil},
		"too large":   {func(*http.Request) (*http.Response, error) { return reply(200, string(make([]byte, 2<<20))), nil }, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			network, times := moments(failure.network)
			_, err := chain(network).Do(t.Context(), get("/v1/charges"))
			require.Error(t, err)
			if failure.is != nil {
				require.ErrorIs(t, err, failure.is)
			}
			require.Len(t, *times, 1)
		})
	}
}

// TestCancelledContextEndsEveryWait lets a call wait in each possible place,
// cancels it after a second, and allows 50 ms.
func TestCancelledContextEndsEveryWait(t *testing.T) {
	limited := func(cfg *Config) { cfg.Limits.Endpoint = 0.01 }
	first := func(t *testing.T, tr *Transport) {
		_, err := tr.Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
	}
	for name, test := range map[string]struct {
		network func(t *testing.T) http.RoundTripper
		change  func(*Config)
		before  func(t *testing.T, tr *Transport)
	}{
		"backoff":     {network: func(*testing.T) http.RoundTripper { return response(503, "Retry-After", "30") }},
		"rate limit":  {network: func(*testing.T) http.RoundTripper { return response(200) }, change: limited, before: first},
		"total limit": {network: func(*testing.T) http.RoundTripper { return response(200) }, change: func(cfg *Config) { cfg.Limits.Total = 0.01 }, before: first},
		"line before the rate limit": {
			network: func(*testing.T) http.RoundTripper { return response(200) }, change: limited,
			before: func(t *testing.T, tr *Transport) {
				first(t, tr)
				go func() { _, _ = tr.Do(t.Context(), get("/v1/charges")) }()
				synctest.Wait()
			},
		},
		"pause after a 429": {
			network: func(*testing.T) http.RoundTripper { return response(429, "Retry-After", "50") }, change: noRetries, before: first,
		},
		"response": {network: func(*testing.T) http.RoundTripper { return roundTrip(silent) }},
		"head of a response": {
			network: func(t *testing.T) http.RoundTripper {
				return wire(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
			},
			change: plainHTTP,
		},
		"slow body": {
			network: func(t *testing.T) http.RoundTripper {
				return wire(t, func(conn net.Conn) {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
					_, _ = io.Copy(io.Discard, conn)
				})
			},
			change: plainHTTP,
		},
	} {
		for _, kind := range []error{context.Canceled, context.DeadlineExceeded} {
			t.Run(fmt.Sprint(name, "/", kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var changes []func(*Config)
					if test.change != nil {
						changes = append(changes, test.change)
					}
					tr := chain(test.network(t), changes...)
					if test.before != nil {
						test.before(t, tr)
					}
					ctx, cancel := context.WithCancel(t.Context())
					if kind == context.DeadlineExceeded {
						ctx, cancel = context.WithTimeout(t.Context(), time.Second)
					} else {
						time.AfterFunc(time.Second, cancel)
					}
					defer cancel()
					start := time.Now()
					_, err := tr.Do(ctx, get("/v1/charges"))
					require.ErrorIs(t, err, kind)
					require.GreaterOrEqual(t, time.Since(start), time.Second)
					require.LessOrEqual(t, time.Since(start), time.Second+50*time.Millisecond)
				})
			})
		}
	}
}

func TestCancelledContextMakesNoRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	network, times := moments(response(200))
	_, err := chain(network).Do(ctx, post("/v1/charges", ""))
	require.EqualError(t, err, "context canceled", "it waited for nothing")
	require.ErrorIs(t, err, context.Canceled)
	var te *Error
	require.ErrorAs(t, err, &te)
	require.False(t, te.MayHaveExecuted)
	require.Zero(t, te.Attempts)
	require.Empty(t, *times)
}

func TestCancelledBackoffTellsWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := chain(response(503, "Request-Id", "req_1")).Do(ctx, get("/v1/charges"))
		require.EqualError(t, err, "context deadline exceeded while waiting to retry after: status 503")
		var te *Error
		require.ErrorAs(t, err, &te)
		require.Equal(t, "req_1", te.RequestID)
	})
}

func TestSentTellsWhetherTheServiceMayHaveActed(t *testing.T) {
	refused := broken(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	reset := broken(&net.OpError{Op: "read", Err: syscall.ECONNRESET})
	cut := func(*http.Request) (*http.Response, error) {
		resp := reply(200, `{"id":`)
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, failing{io.ErrUnexpectedEOF}))
		return resp, nil
	}
	for name, test := range map[string]struct {
		network roundTrip
		sent    bool
	}{
		"refused":                   {refused, false},
		"proxy refused":             {broken(&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}), false},
		"socks proxy cannot":        {broken(&net.OpError{Op: "socks connect", Err: errors.New("host unreachable")}), false},
		"name not found":            {broken(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}), false},
		"certificate":               {broken(&tls.CertificateVerificationError{Err: errors.New("expired")}), false},
		"reset before the head":     {reset, true},
		"reset in the body":         {cut, true},
		"unknown":                   {broken(errors.New("something")), true},
		"too large":                 {func(*http.Request) (*http.Response, error) { return reply(200, string(make([]byte, 2<<20))), nil }, true},
		"refused, then reset":       {sequence(refused, reset), true},
		"reset, then refused":       {sequence(reset, refused), true},
		"500, then refused":         {sequence(response(500), refused), true},
		"409, then refused":         {sequence(response(409), refused), true},
		"429, then refused":         {sequence(response(429), refused), false},
		"402 to retry, and refused": {sequence(response(402, "Stripe-Should-Retry", "true"), refused), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := chain(test.network).Do(t.Context(), post("/v1/charges", ""))
				var te *Error
				require.ErrorAs(t, err, &te)
				require.Equal(t, test.sent, te.MayHaveExecuted)
			})
		})
	}
	for name, test := range map[string]struct {
		network roundTrip
		sent    bool
	}{
		"success":             {response(200), false},
		"declined":            {response(402), false},
		"500":                 {response(500), true},
		"409":                 {response(409), true},
		"429":                 {response(429), false},
		"reset, then 429":     {sequence(reset, response(429)), true},
		"refused, then 429":   {sequence(refused, response(429)), false},
		"500, then a refusal": {sequence(response(500), response(401)), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, err := chain(test.network).Do(t.Context(), post("/v1/charges", ""))
				require.NoError(t, err)
				require.Equal(t, test.sent, resp.MayHaveExecuted)
			})
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRefusedPortIsNotSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = chain(new(http.Transport), noRetries, func(cfg *Config) { cfg.BaseURL = "http://" + address }).Do(t.Context(), post("/v1/charges", ""))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var te *Error
	require.ErrorAs(t, err, &te)
	require.False(t, te.MayHaveExecuted)
}

func TestRetriesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		network := sequence(response(503, "Request-Id", "req_1"), broken(io.ErrUnexpectedEOF), response(200))
		req := get("/v1/customers")
		req.Params = []byte("email=a%40b.c")
		_, err := chain(network, func(cfg *Config) { cfg.Logger = logger }).Do(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, `level=WARN msg="stripe request failed, will retry" method=GET path=/v1/customers attempt=1 wait=500ms cause="status 503" request_id=req_1
level=WARN msg="stripe request failed, will retry" method=GET path=/v1/customers attempt=2 wait=1s cause="unexpected EOF"
`, out.String())
	})
}
