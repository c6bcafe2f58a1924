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

// maxBody is the maximum size of a request body, in bytes.
const maxBody = 1 << 20

// A connection is closed whose client is slower than this, so that it holds nothing
// of the server.
const (
	headerTimeout   = 10 * time.Second // to send the header of a request
	bodyTimeout     = time.Minute      // to send its body
	responseTimeout = time.Minute      // to read the response
)

var (
	errBodyTooLarge = errors.New("body too large")
	errClosed       = fmt.Errorf("stripetest: %w", http.ErrServerClosed)
	errNoURL        = errors.New("stripetest: request without URL")
)

// ServeHTTP handles one request of the Stripe API. Unlike RoundTrip and Client
// it still works after Close. It panics with [http.ErrAbortHandler] if the
// client is gone, or if a [Fault] breaks a connection that cannot be hijacked. It
// closes the connection of a client that needs more than a minute to send the body
// or to read the response, unless the [http.Server] has a ReadTimeout or a WriteTimeout
// of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		own = new(http.Server)
	}
	if own.WriteTimeout == 0 {
		w = deadlineWriter{w}
	}
	if r.ContentLength != 0 && own.ReadTimeout == 0 { // without a body it would limit the time of a delayed response
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	if s.controls(r) {
		s.serveControl(w, r)
		return
	}
	body, err := readBody(r.Body)
	resp := s.serve(r, body, err)
	if resp.err == nil {
		resp.err = sleep(r.Context(), resp.delivery.wait)
	}
	if resp.err != nil {
		panic(http.ErrAbortHandler)
	}
	control := http.NewResponseController(w)
	if sent, ok := resp.sent(); ok {
		maps.Copy(w.Header(), resp.fullHeader())
		w.WriteHeader(resp.status)
		_, _ = w.Write(sent) // if the client is gone, only its response is lost
		if resp.delivery.ending != intact {
			_ = control.Flush() // unflushed bytes are lost with the connection
		}
	}
	if resp.delivery.ending != intact {
		breakConnection(control, resp.delivery.ending)
	}
}

// deadlineWriter gives the client some time to read what is written. The time begins
// with the response, which may be late.
type deadlineWriter struct{ http.ResponseWriter }

func (w deadlineWriter) Write(part []byte) (int, error) {
	// Where deadlines are not supported there is none.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(responseTimeout))
	return w.ResponseWriter.Write(part)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func breakConnection(control *http.ResponseController, how ending) {
	conn, _, err := control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && how == resetting {
		_ = tcp.SetLinger(0) // on an error the connection is closed instead of reset
	}
	_ = conn.Close()
}

// RoundTrip handles one request without a socket and without a goroutine. It
// returns the context's error if the context ends before the response is ready,
// and an error that wraps [http.ErrServerClosed] after Close.
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
	if s.controls(r) {
		return s.controlInMemory(r.Clone(r.Context()))
	}
	body, err := readBody(r.Body)
	if err != nil && !errors.Is(err, errBodyTooLarge) {
		return nil, fmt.Errorf("stripetest: read request body: %w", err)
	}
	resp := s.serve(r, body, err)
	if resp.err == nil {
		resp.err = sleep(r.Context(), resp.delivery.wait)
	}
	if resp.err != nil {
		return nil, resp.err
	}
	return resp.httpResponse(r)
}

// httpResponse converts the response to what a transport returns to its client.
func (resp *response) httpResponse(r *http.Request) (*http.Response, error) {
	sent, ok := resp.sent()
	if !ok {
		return nil, resp.delivery.ending.err(io.EOF)
	}
	var body io.Reader = bytes.NewReader(sent)
	if len(sent) < len(resp.body) {
		body = io.MultiReader(body, failing{resp.delivery.ending.err(io.ErrUnexpectedEOF)})
	}
	if r.Method == http.MethodHead {
		body = http.NoBody
	}
	return &http.Response{
		Status:        strconv.Itoa(resp.status) + " " + http.StatusText(resp.status),
		StatusCode:    resp.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        resp.fullHeader(),
		Body:          io.NopCloser(body),
		ContentLength: int64(len(resp.body)),
		Request:       r,
	}, nil
}

func (resp *response) fullHeader() http.Header {
	header := resp.header.Clone()
	header.Set("Content-Length", strconv.Itoa(len(resp.body)))
	return header
}

// sent returns the part of the body that reaches the client. It returns false
// if not even the status line does.
func (resp *response) sent() (body []byte, ok bool) {
	if resp.delivery.ending == intact || resp.delivery.at == AfterResponse {
		return resp.body, true
	}
	if resp.delivery.at == InResponse {
		return resp.body[:len(resp.body)/2], true
	}
	return nil, false
}

// err returns the error of the client's transport for a connection that ended
// this way. The argument is its error for a closed connection.
func (e ending) err(closed error) error {
	if e == resetting {
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return closed
}

// failing is a body whose Read fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// sleep waits for d, and returns the context's error if it ends earlier.
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

// dialer always connects to address, so that a test with a wrong base URL does
// not reach the network. Once the server is closed it refuses, since another
// process may listen on the port by then.
func (s *Server) dialer(address string) func(context.Context, string, string) (net.Conn, error) {
	var dialer net.Dialer
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		if s.closed.Load() {
			return nil, errClosed
		}
		return dialer.DialContext(ctx, network, address)
	}
}
