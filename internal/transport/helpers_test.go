package transport

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const testKey = "sk_test_51abcdefghijklmnopqrstuv"

// roundTrip is a network that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sequence responds to each request with the next function, and with the last
// of them from then on.
func sequence(steps ...roundTrip) roundTrip {
	var n atomic.Int64
	return func(r *http.Request) (*http.Response, error) {
		return steps[min(int(n.Add(1)), len(steps))-1](r)
	}
}

// response returns a network with the same response to every request. header
// alternates names and values.
func response(status int, header ...string) roundTrip {
	return func(*http.Request) (*http.Response, error) { return reply(status, "{}", header...), nil }
}

func broken(err error) roundTrip {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// silent is a network that never responds.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

// chain returns a Transport over a network, with three retries and no jitter.
func chain(network http.RoundTripper, changes ...func(*Config)) *Transport {
	cfg := Config{
		Pool: NewPool(&http.Client{Transport: network}), BaseURL: "https://api.stripe.test", Key: testKey, UserAgent: "test",
		MaxRetries: 3, MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler),
		RandomFloat: func() float64 { return 0 },
	}
	for _, change := range changes {
		change(&cfg)
	}
	return New(cfg)
}

func get(path string) *Request { return &Request{Method: "GET", Path: path, Version: "v"} }

func post(path, params string) *Request {
	return &Request{Method: "POST", Path: path, Params: []byte(params), Version: "v", IdempotencyKey: "idem_1"}
}

// moments records when the requests pass, as the time since it was called.
func moments(network roundTrip) (roundTrip, *[]time.Duration) {
	start, times := time.Now(), new([]time.Duration)
	return func(r *http.Request) (*http.Response, error) {
		*times = append(*times, time.Since(start))
		return network(r)
	}, times
}

// wire returns a net/http transport whose connections are pipes. serve gets the
// other end, after the head of one request was read. It needs no socket, so it
// works in a synctest bubble.
func wire(t *testing.T, serve func(conn net.Conn)) *http.Transport {
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			r, err := http.ReadRequest(bufio.NewReader(server))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			serve(server)
		}()
		return client, nil
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func plainHTTP(cfg *Config) { cfg.BaseURL = "http://api.stripe.test" }

func noRetries(cfg *Config) { cfg.MaxRetries = 0 }
