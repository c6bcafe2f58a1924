package stripetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxBody is the most bytes of a request body that are accepted.
const maxBody = 1 << 20

var (
	errBodyTooLarge = errors.New("body too large")
	errClosed       = fmt.Errorf("stripetest: %w", http.ErrServerClosed)
	errNoURL        = errors.New("stripetest: request without URL")
)

// ServeHTTP answers one request of the Stripe API. Unlike RoundTrip and
// Client it goes on working after Close. It panics with [http.ErrAbortHandler]
// where a [Fault] breaks a connection that it cannot take over, and where the
// client has gone.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r.Body)
	a := s.serve(r, body, err)
	if a.err == nil {
		a.err = sleep(r.Context(), a.fate.wait)
	}
	if a.err != nil {
		panic(http.ErrAbortHandler)
	}
	control := http.NewResponseController(w)
	if sent, some := a.sent(); some {
		maps.Copy(w.Header(), a.fullHeader())
		w.WriteHeader(a.status)
		_, _ = w.Write(sent) // a client that has gone misses only its answer
		if a.fate.ending != intact {
			_ = control.Flush() // what cannot be flushed is lost with the connection
		}
	}
	if a.fate.ending != intact {
		breakConnection(control, a.fate.ending)
	}
}

func breakConnection(control *http.ResponseController, how ending) {
	conn, _, err := control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && how == resetting {
		_ = tcp.SetLinger(0) // at worst the connection is closed instead
	}
	_ = conn.Close() // it is to be gone, and is
}

// RoundTrip answers one request without a socket and without a goroutine. It
// returns the context's error if the context is done before the answer is
// there, and [http.ErrServerClosed], wrapped, after Close.
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
	a := s.serve(r, body, err)
	if a.err == nil {
		a.err = sleep(r.Context(), a.fate.wait)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.response(r)
}

// response is the answer as a transport hands it to the client.
func (a *answer) response(r *http.Request) (*http.Response, error) {
	sent, some := a.sent()
	if !some {
		return nil, a.fate.ending.err(io.EOF)
	}
	var body io.Reader = bytes.NewReader(sent)
	if len(sent) < len(a.body) {
		body = io.MultiReader(body, failing{a.fate.ending.err(io.ErrUnexpectedEOF)})
	}
	if r.Method == http.MethodHead {
		body = http.NoBody
	}
	return &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.fullHeader(),
		Body:          io.NopCloser(body),
		ContentLength: int64(len(a.body)),
		Request:       r,
	}, nil
}

func (a *answer) fullHeader() http.Header {
	header := a.header.Clone()
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	return header
}

// sent is the part of the body that reaches the client; some is false if not
// even the status line does.
func (a *answer) sent() (body []byte, some bool) {
	if a.fate.ending == intact || a.fate.at == AfterAnswer {
		return a.body, true
	}
	if a.fate.at == InAnswer {
		return a.body[:len(a.body)/2], true
	}
	return nil, false
}

// err is what the client's transport reports of a connection that ended so;
// closed is that of a connection that was closed.
func (e ending) err(closed error) error {
	if e == resetting {
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return closed
}

// failing is a body that cannot be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// sleep returns the context's error if it is done before d has passed.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
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
