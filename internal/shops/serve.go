package shops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// errBroken is the error of RoundTrip for a NetworkError.
var errBroken = fmt.Errorf("shops: the connection was broken: %w", io.ErrUnexpectedEOF)

// RoundTrip responds to a request of the API. It starts no goroutine. It returns an
// error if the context of the request ends before the response, and if Config.Fail
// returns NetworkError or an impossible status.
func (s *Stripe) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if r.URL == nil {
		return nil, errors.New("shops: the request has no URL")
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	account, refused := s.authenticate(r)
	if refused != nil {
		return s.complete(new(response), r, account, now, nil, refused), nil
	}
	if s.cfg.Requested != nil {
		s.cfg.Requested(account, r.URL.Path, now)
	}
	if s.cfg.Latency == nil {
		return s.respond(r, account, now)
	}
	half := s.cfg.Latency(account, now) / 2
	if err := sleep(r.Context(), half); err != nil {
		return nil, err
	}
	resp, err := s.respond(r, account, time.Now())
	if waitErr := sleep(r.Context(), half); waitErr != nil {
		return nil, waitErr
	}
	return resp, err
}

// ServeHTTP responds as RoundTrip does. Without a response it panics with
// http.ErrAbortHandler, which closes the connection.
func (s *Stripe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // if the client is gone, only its response is lost
}

// respond returns the response to a request that arrived now.
func (s *Stripe) respond(r *http.Request, account int, now time.Time) (*http.Response, error) {
	failed, err := s.fault(account, now)
	if err != nil {
		return nil, err
	}
	resp := new(response)
	if failed != nil {
		return s.complete(resp, r, account, now, nil, failed), nil
	}
	body, refused := s.content(resp, r, account, now)
	return s.complete(resp, r, account, now, body, refused), nil
}

// fault returns the failure that the Config demands, nil if there is none.
func (s *Stripe) fault(account int, now time.Time) (*refusal, error) {
	if s.cfg.Fail != nil {
		switch status := s.cfg.Fail(account, now); {
		case status == 0:
		case status == NetworkError:
			return nil, errBroken
		case status < 400 || status > 599:
			return nil, fmt.Errorf("shops: Config.Fail returned the status %d", status)
		default:
			return s.failure(status), nil
		}
	}
	if s.cfg.Revoked != nil && s.cfg.Revoked(account) {
		return revokedKey(account), nil
	}
	return nil, nil
}

// content returns the body of a response, in a buffer of resp.
func (s *Stripe) content(resp *response, r *http.Request, account int, now time.Time) ([]byte, *refusal) {
	if connected := first(r.Header["Stripe-Account"]); connected != "" && connected != AccountID(account) {
		return nil, noAccess(account, connected)
	}
	list := Charges
	switch {
	case r.Method != http.MethodGet:
		return nil, unrecognized(r)
	case r.URL.Path == "/v1/account":
		return appendAccount(resp.small[:0], account), nil
	case r.URL.Path == Charges.path():
	case r.URL.Path == Customers.path():
		list = Customers
	default:
		return nil, unrecognized(r)
	}
	q, refused := parseQuery(r.URL.RawQuery)
	if refused != nil {
		return nil, refused
	}
	f := s.flow(account, list)
	return f.content(resp, q, now.UnixNano())
}

// response is an http.Response with what it refers to, in one allocation.
type response struct {
	http.Response
	reader body
	values [4]string // of the header
	small  [256]byte // a body without objects
}

// body is the body of a response. It cannot be read after Close.
type body struct {
	bytes.Reader
	pool   *sync.Pool
	pooled *[]byte // goes back to the pool; nil if there is nothing to give back
}

func (b *body) Close() error {
	b.Reset(nil)
	if b.pooled != nil {
		b.pool.Put(b.pooled)
		b.pooled = nil
	}
	return nil
}

// buffer returns an empty buffer for a number of bytes: small, or a pooled one, which
// the body gives back when it is closed.
func (resp *response) buffer(pool *sync.Pool, size int) []byte {
	if size <= len(resp.small) {
		return resp.small[:0]
	}
	pooled, _ := pool.Get().(*[]byte)
	if pooled == nil {
		pooled = new([]byte)
	}
	*pooled = slices.Grow((*pooled)[:0], size)
	resp.reader.pool, resp.reader.pooled = pool, pooled
	return *pooled
}

// complete fills in a response with a body, or with a refusal.
func (s *Stripe) complete(resp *response, r *http.Request, account int, now time.Time, content []byte, refused *refusal) *http.Response {
	status, line := http.StatusOK, "200 OK"
	if refused != nil {
		content, status = refused.body(), refused.status
		line = strconv.Itoa(status) + " " + http.StatusText(status)
	}
	resp.reader.Reset(content)
	resp.Response = http.Response{
		Status: line, StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header(resp, r, account, now), Body: &resp.reader, ContentLength: int64(len(content)), Request: r,
	}
	if refused != nil && refused.retryAfter != "" {
		resp.Header["Retry-After"] = []string{refused.retryAfter}
	}
	return &resp.Response
}

// header returns the header of a response. The values are slices of resp.values.
func (s *Stripe) header(resp *response, r *http.Request, account int, now time.Time) http.Header {
	var buf [64]byte
	text := now.UTC().AppendFormat(buf[:0], http.TimeFormat)
	date := len(text)
	text = append(text, "req_"...)
	text = strconv.AppendUint(text, mix(s.cfg.Seed+uint64(account)*golden+uint64(now.UnixNano())), 36)
	both := string(text)

	v := &resp.values
	v[0], v[1], v[2] = both[:date], both[date:], "application/json"
	header := make(http.Header, len(v))
	header["Date"], header["Request-Id"], header["Content-Type"] = v[0:1:1], v[1:2:2], v[2:3:3]
	if v[3] = first(r.Header["Stripe-Version"]); v[3] != "" {
		header["Stripe-Version"] = v[3:4:4]
	}
	return header
}

// first returns the first value of a header. Unlike Header.Get it does not spell the
// name of the header.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// sleep waits for d, and returns the error of the context if it ends earlier.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
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
