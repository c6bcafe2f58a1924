package transport

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sender is the last step. It sends one HTTP request and reads its whole
// response.
type sender struct {
	client  *http.Client
	base    string
	header  http.Header // shared by all requests: read only
	timeout time.Duration
	maxBody int64
	observe func(context.Context, Attempt)
}

func newSender(cfg Config) *sender {
	client := *cfg.Pool.HTTP
	// A redirect is returned as the response and never followed, because the
	// request carries the key. Stripe does not redirect.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = 0
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.Key+":"))
	return &sender{
		client:  &client,
		base:    cfg.BaseURL,
		header:  http.Header{"Authorization": {auth}, "User-Agent": {cfg.UserAgent}},
		timeout: cfg.Timeout,
		maxBody: cfg.MaxBody,
		observe: cfg.Observe,
	}
}

func (s *sender) send(ctx context.Context, req *Request) (*Response, error) {
	start := time.Now()
	resp, err := s.exchange(ctx, req)
	took := time.Since(start)
	if resp != nil {
		resp.clock(start, took)
	}
	if s.observe != nil {
		a := Attempt{Method: req.Method, Path: req.Path, Number: req.attempt, Duration: took, Err: err}
		if resp != nil {
			a.Status, a.Header = resp.Status, resp.Header
		}
		s.observe(ctx, a)
	}
	return resp, err
}

func (s *sender) exchange(caller context.Context, req *Request) (*Response, error) {
	ctx := caller
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(caller, s.timeout, errTimeout)
		defer cancel()
	}
	hreq, err := s.httpRequest(ctx, req)
	if err != nil {
		return nil, &Error{Err: cause(ctx, req, err)}
	}
	hresp, err := s.client.Do(hreq)
	if err != nil {
		return nil, &Error{Err: cause(ctx, req, err), tried: true}
	}
	defer hresp.Body.Close()
	resp := &Response{Status: hresp.StatusCode, Header: hresp.Header}
	resp.buf, err = readBody(hresp.Body, hresp.ContentLength, s.maxBody)
	switch {
	case err == nil:
		resp.Body = resp.buf.b
	case hresp.StatusCode < 300 || caller.Err() != nil:
		return nil, &Error{Err: cause(ctx, req, err), tried: true}
	}
	// A response with an error status is usable without its body: the status
	// and the headers are enough. A retry may bring the body, too.
	resp.Cut = err != nil && !errors.Is(err, ErrTooLarge)
	return resp, nil
}

func (s *sender) httpRequest(ctx context.Context, req *Request) (*http.Request, error) {
	target := s.base + req.Path
	var body io.Reader
	if req.Method == http.MethodPost {
		body = bytes.NewReader(req.Params)
	} else if len(req.Params) > 0 {
		target = s.base + req.Path + "?" + string(req.Params)
	}
	hreq, err := http.NewRequestWithContext(ctx, req.Method, target, body)
	if err != nil {
		return nil, err
	}
	hreq.Header = s.headers(req)
	return hreq, nil
}

func (s *sender) headers(req *Request) http.Header {
	h := maps.Clone(s.header)
	h["Stripe-Version"] = []string{req.Version}
	if req.Account != "" {
		h["Stripe-Account"] = []string{req.Account}
	}
	if req.Method == http.MethodPost {
		h["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	}
	if req.IdempotencyKey != "" {
		h["Idempotency-Key"] = []string{req.IdempotencyKey}
	}
	return h
}

// errTimeout means that one attempt has timed out, and not the caller's
// context. The retry step may retry it. As for the timeout of an http.Client,
// errors.Is reports true for context.DeadlineExceeded.
var errTimeout = fmt.Errorf("no whole response within the client's timeout: %w", context.DeadlineExceeded)

// cause returns why an attempt failed. It distinguishes the timeout of the
// attempt from that of the caller. It removes every *url.Error, because the URL
// repeats the caller's own message, and its parameters may be personal data.
func cause(ctx context.Context, req *Request, err error) error {
	if context.Cause(ctx) == errTimeout {
		return errTimeout
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	return withoutSecrets(req, err)
}

// withoutSecrets replaces an error that quotes the request by a masked text.
// The error of net/http for a response that is not HTTP quotes a line of it. If
// the server only echoes, that line is part of the request.
func withoutSecrets(req *Request, err error) error {
	text := Quote(err.Error())
	if len(req.Params) > 0 {
		text = strings.ReplaceAll(text, string(req.Params), "****")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// clock sets the times of a response to a request that was sent at start and took so long. The
// Date header drops the fraction of a second, and was written before the
// response was complete. So ServerTimeAtSend can be too early, by up to the
// duration of the request plus about a second, but never too late.
func (r *Response) clock(start time.Time, took time.Duration) {
	r.SentAt, r.Duration = start, took
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return
	}
	r.Date, r.ServerTimeAtSend = date, date.Add(-took).Truncate(time.Second)
}
