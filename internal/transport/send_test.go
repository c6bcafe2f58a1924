package transport

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestRequestOnTheWire(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	always := map[string]string{"Authorization": "Basic c2tfdGVzdF81MWFiY2RlZmdoaWprbG1ub3BxcnN0dXY6", "User-Agent": "test", "Stripe-Version": "v"}
	for name, test := range map[string]struct {
		req    *Request
		url    string
		header map[string]string
		body   string
	}{
		"get":       {&Request{Method: "GET", Path: "/v1/charges", Version: "v"}, "/v1/charges", nil, ""},
		"query":     {&Request{Method: "GET", Path: "/v1/charges", Version: "v", Params: []byte("limit=3&created[gt]=5")}, "/v1/charges?limit=3&created[gt]=5", nil, ""},
		"delete":    {&Request{Method: "DELETE", Path: "/v1/customers/cus_1", Version: "v", Params: []byte("a=b")}, "/v1/customers/cus_1?a=b", nil, ""},
		"account":   {&Request{Method: "GET", Path: "/v1/charges", Version: "v", Account: "acct_1"}, "/v1/charges", map[string]string{"Stripe-Account": "acct_1"}, ""},
		"post":      {post("/v1/charges", "amount=1"), "/v1/charges", map[string]string{"Content-Type": form, "Idempotency-Key": "idem_1"}, "amount=1"},
		"empty":     {post("/v1/charges/ch_1/capture", ""), "/v1/charges/ch_1/capture", map[string]string{"Content-Type": form, "Idempotency-Key": "idem_1"}, ""},
		"escaped":   {get("/v1/products/a%20%2B%C3%A9"), "/v1/products/a%20%2B%C3%A9", nil, ""},
		"many auth": {get("/v1/account"), "/v1/account", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			network := roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r
				if r.Body != nil {
					var err error
					body, err = io.ReadAll(r.Body)
					require.NoError(t, err)
				}
				return reply(200, "{}"), nil
			})
			_, err := chain(network).Do(t.Context(), test.req)
			require.NoError(t, err)
			require.Equal(t, test.req.Method, got.Method)
			require.Equal(t, "https://api.stripe.test"+test.url, got.URL.String())
			require.Equal(t, test.body, string(body))
			require.Equal(t, int64(len(test.body)), got.ContentLength)
			want := http.Header{}
			for _, header := range []map[string]string{always, test.header} {
				for k, v := range header {
					want.Set(k, v)
				}
			}
			require.Empty(t, cmp.Diff(want, got.Header))
		})
	}
}

func TestPostBodyCanBeReadAgain(t *testing.T) {
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		for range 2 {
			again, err := r.GetBody()
			require.NoError(t, err)
			body, err := io.ReadAll(again)
			require.NoError(t, err)
			require.Equal(t, "amount=1", string(body))
		}
		return reply(200, "{}"), nil
	})
	_, err := chain(network).Do(t.Context(), post("/v1/charges", "amount=1"))
	require.NoError(t, err)
}

func TestRequestsShareNoHeaders(t *testing.T) {
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		require.Empty(t, r.Header.Get("Cookie"))
		r.Header.Set("Cookie", "a=b")
		r.Header.Set("Authorization", "changed on the way")
		return reply(200, "{}"), nil
	})
	tr := chain(network)
	for range 2 {
		_, err := tr.Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer stranger.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, method := range []string{"GET", "POST"} {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				http.Redirect(w, r, stranger.URL, status)
			}))
			// The caller's own client would follow redirects.
			client := &http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			tr := chain(nil, func(cfg *Config) { cfg.Pool, cfg.BaseURL = NewPool(client), server.URL })
			resp, err := tr.Do(t.Context(), &Request{Method: method, Path: "/v1/charges"})
			require.NoError(t, err)
			require.Equal(t, status, resp.Status)
			require.Equal(t, int32(1), asked.Load())
			require.NotNil(t, client.CheckRedirect, "the caller's client is left as it was")
			client.CloseIdleConnections()
			server.Close()
		}
	}
	require.Zero(t, strangers.Load())
}

func TestOneConnectionServesAllAttempts(t *testing.T) {
	var connections, requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		w.Header().Set("Stripe-Should-Retry", "false")
		w.WriteHeader([]int{200, 404, 500, 307, 429, 402}[n%6])
		if n%2 == 0 {
			w.(http.Flusher).Flush() // chunked: no Content-Length
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	network := new(http.Transport)
	defer network.CloseIdleConnections()
	tr := chain(network, func(cfg *Config) { cfg.BaseURL = server.URL })
	for range 24 {
		resp, err := tr.Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
		require.Len(t, resp.Body, 100_000)
		resp.Release()
	}
	require.Equal(t, int32(24), requests.Load())
	require.Equal(t, int32(1), connections.Load())
}

// watchedBody records whether it was read to its end and closed.
type watchedBody struct {
	io.Reader
	ended, closed bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

func (b *watchedBody) Close() error {
	b.closed = true
	return nil
}

func TestBodiesOfAllAttemptsAreReadAndClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies []*watchedBody
		network := roundTrip(func(*http.Request) (*http.Response, error) {
			body := &watchedBody{Reader: strings.NewReader("{}")}
			bodies = append(bodies, body)
			resp := reply(503, "{}")
			resp.Body = body
			return resp, nil
		})
		_, err := chain(network).Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
		require.Len(t, bodies, 4)
		for _, body := range bodies {
			require.True(t, body.ended)
			require.True(t, body.closed)
		}
	})
}

func TestBodiesWithoutEndAreCutOff(t *testing.T) {
	const limit = 1 << 20
	zeros := make([]byte, 64<<10)
	for name, handler := range map[string]http.HandlerFunc{
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 10 * limit / len(zeros) {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		},
		"announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(limit+1))
			w.WriteHeader(200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				handler(w, r)
			}))
			defer server.Close()
			network := new(http.Transport)
			defer network.CloseIdleConnections()
			tr := chain(network, func(cfg *Config) { cfg.BaseURL, cfg.MaxBody = server.URL, limit })
			_, err := tr.Do(t.Context(), get("/v1/charges"))
			require.ErrorIs(t, err, ErrTooLarge)
			require.Equal(t, int32(1), asked.Load())
		})
	}
}

func TestContentLengthMayLie(t *testing.T) {
	for name, test := range map[string]struct {
		response string
		body     string
		err      error
	}{
		"true":           {"Content-Length: 2\r\n\r\n{}", "{}", nil},
		"too short":      {"Connection: close\r\nContent-Length: 2\r\n\r\n{}and more", "{}", nil},
		"too long":       {"Content-Length: 9\r\n\r\n{}", "", io.ErrUnexpectedEOF},
		"far too long":   {"Content-Length: 1000000\r\n\r\n{}", "", io.ErrUnexpectedEOF},
		"beyond bound":   {"Content-Length: 9999999999999\r\n\r\n{}", "", ErrTooLarge},
		"absent":         {"Connection: close\r\n\r\n{}", "{}", nil},
		"torn chunk":     {"Transfer-Encoding: chunked\r\n\r\nff\r\n{}", "", io.ErrUnexpectedEOF},
		"torn in chunks": {"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := wire(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+test.response) })
				resp, err := chain(network, plainHTTP, noRetries).Do(t.Context(), get("/v1/charges"))
				if test.err != nil {
					require.ErrorIs(t, err, test.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, test.body, string(resp.Body))
			})
		})
	}
}

func TestErrorsQuoteNeitherParametersNorKeys(t *testing.T) {
	const secretProxy = "proxyPassw0rd"
	const params = "email=jenny%40example.com&limit=3"
	quoted := "https://api.stripe.test/v1/customers?" + params
	inner := &url.Error{Op: "Get", URL: quoted, Err: errors.New("no route")}
	for name, test := range map[string]struct {
		network http.RoundTripper
		text    string
	}{
		"plain":   {broken(errors.New("no route")), "no route"},
		"nested":  {broken(fmt.Errorf("the client inside: %w", inner)), "no route"},
		"quoting": {broken(fmt.Errorf("cannot reach %s", quoted)), "cannot reach https://api.stripe.test/v1/customers?****"},
		"key":     {broken(errors.New("bad header Basic c2tfdGVzdF81MWFiY2RlZmdoaWprbG1ub3BxcnN0dXY6")), "bad header Basic ****"},
		"echo": {wire(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "GET /v1/customers?"+params+" HTTP/1.1\r\nAuthorization: Basic c2tfdGVzdF81MWFiY2RlZmdoaWprbG1ub3BxcnN0dXY6\r\n\r\n")
		}), ""},
		"echo of a header": {wire(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nBasic c2tfdGVzdF81MWFiY2RlZmdoaWprbG1ub3BxcnN0dXY6 no colon\r\n\r\n")
		}), ""},
		"proxy gone": {&http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("u", secretProxy), Host: "proxy.test:3128"}),
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
			},
		}, "proxyconnect tcp: dial tcp: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen error
			tr := chain(test.network, noRetries, plainHTTP, func(cfg *Config) {
				cfg.Observe = func(_ context.Context, a Attempt) { seen = a.Err }
			})
			req := get("/v1/customers")
			req.Params = []byte(params)
			_, err := tr.Do(t.Context(), req)
			require.Error(t, err)
			require.Equal(t, err.Error(), seen.Error())
			if test.text != "" {
				require.EqualError(t, err, test.text)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, secret := range []string{"jenny", testKey, "F81MWFiY2Rl", secretProxy} {
					require.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), secret)
				}
			}
		})
	}
}

func TestMalformedURLIsNotQuoted(t *testing.T) {
	req := get("/v1/customers")
	req.Params = []byte("email=jenny\x7f")
	_, err := chain(response(200)).Do(t.Context(), req)
	require.ErrorContains(t, err, "invalid control character")
	require.NotContains(t, err.Error(), "jenny")
	var te *Error
	require.ErrorAs(t, err, &te)
	require.False(t, te.MayHaveExecuted)
}

func TestObserverSeesEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		slow := func(*http.Request) (*http.Response, error) {
			<-time.After(2 * time.Second)
			return reply(200, "{}", "Request-Id", "req_2"), nil
		}
		type key struct{}
		var seen []Attempt
		tr := chain(sequence(response(503, "Request-Id", "req_1"), broken(gone), slow), func(cfg *Config) {
			cfg.Observe = func(ctx context.Context, a Attempt) {
				require.Equal(t, "value", ctx.Value(key{}))
				seen = append(seen, a)
			}
		})
		_, err := tr.Do(context.WithValue(t.Context(), key{}, "value"), get("/v1/charges"))
		require.NoError(t, err)
		require.Len(t, seen, 3)
		for i, want := range []Attempt{
			{Method: "GET", Path: "/v1/charges", Number: 1, Status: 503, Header: http.Header{"Request-Id": {"req_1"}}},
			{Method: "GET", Path: "/v1/charges", Number: 2},
			{Method: "GET", Path: "/v1/charges", Number: 3, Status: 200, Duration: 2 * time.Second, Header: http.Header{"Request-Id": {"req_2"}}},
		} {
			if i == 1 {
				require.ErrorIs(t, seen[i].Err, gone)
				seen[i].Err = nil
			}
			require.Equal(t, want, seen[i])
		}
	})
}

func TestAskedIsNeverLaterThanTheAsking(t *testing.T) {
	for name, test := range map[string]struct {
		date string
		took time.Duration
		want string // a time of day; empty if there is none
	}{
		"at once":          {"Tue, 14 Nov 2023 22:13:20 GMT", 0, "22:13:20"},
		"part of a second": {"Tue, 14 Nov 2023 22:13:20 GMT", time.Millisecond, "22:13:19"},
		"slow":             {"Tue, 14 Nov 2023 22:13:20 GMT", 2500 * time.Millisecond, "22:13:17"},
		"no date":          {"", time.Second, ""},
		"garbage":          {"yesterday", time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := roundTrip(func(*http.Request) (*http.Response, error) {
					<-time.After(test.took)
					return reply(200, "{}", "Date", test.date), nil
				})
				resp, err := chain(network).Do(t.Context(), get("/v1/charges"))
				require.NoError(t, err)
				if test.want == "" {
					require.True(t, resp.ServerTimeAtSend.IsZero())
					return
				}
				require.Equal(t, "2023-11-14T"+test.want+"Z", resp.ServerTimeAtSend.Format(time.RFC3339))
			})
		})
	}
}

func TestAskedCountsTheLastAttemptAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, err := chain(sequence(response(503), response(200, "Date", "Tue, 14 Nov 2023 22:13:20 GMT"))).Do(t.Context(), get("/v1/charges"))
		require.NoError(t, err)
		require.Equal(t, "22:13:20", resp.ServerTimeAtSend.Format(time.TimeOnly))
	})
}
