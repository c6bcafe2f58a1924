package stripetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// maxBody is the most bytes of a request body that are accepted.
const maxBody = 1 << 20

var (
	errBodyTooLarge = errors.New("body too large")
	errClosed       = fmt.Errorf("stripetest: %w", http.ErrServerClosed)
	errNoURL        = errors.New("stripetest: request without URL")
)

// ServeHTTP answers one request of the Stripe API. Unlike RoundTrip and
// Client it goes on working after Close.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r.Body)
	answer := s.serve(r, body, err)
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // a client that has gone misses only its answer
}

// RoundTrip answers one request without a socket and without a goroutine. It
// returns the context's error if the context is already done, and
// [http.ErrServerClosed], wrapped, after Close.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if r.URL == nil {
		return nil, errNoURL
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, errClosed
	}
	body, err := readBody(r.Body)
	if err != nil && !errors.Is(err, errBodyTooLarge) {
		return nil, fmt.Errorf("stripetest: read request body: %w", err)
	}
	return s.serve(r, body, err).response(r), nil
}

// response is the answer as a transport hands it to the client.
func (a *answer) response(r *http.Request) *http.Response {
	body := a.body
	if r.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(a.body)),
		Request:       r,
	}
}

func readBody(body io.Reader) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	read, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(read) > maxBody {
		return nil, errBodyTooLarge
	}
	return read, nil
}

// dialer connects to address whatever it is asked for, so that a test with a
// wrong base URL does not reach the network. Once the server is closed it
// refuses, because the port may be somebody else's by then.
func (s *Server) dialer(address string) func(context.Context, string, string) (net.Conn, error) {
	var dialer net.Dialer
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		if s.closed.Load() {
			return nil, errClosed
		}
		return dialer.DialContext(ctx, network, address)
	}
}
