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

// sender is the last step: one HTTP request, one whole answer.
type sender struct {
	client  *http.Client
	base    string
	header  http.Header // shared by all requests: read only
	timeout time.Duration
	maxBody int64
	observe func(context.Context, Attempt)
}

func newSender(cfg Config) *sender {
	client := *cfg.HTTP
	// A redirect is answered as it is, never followed: the request carries the
	// key, and Stripe redirects nothing.
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
	if resp != nil {
		resp.clock(start)
	}
	if s.observe != nil {
		a := Attempt{Method: req.Method, Path: req.Path, Number: req.attempt, Duration: time.Since(start), Err: err}
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
	// Of a refusal the status and the headers are enough: without its body it
	// is an answer all the same.
	return resp, nil
}

func (s *sender) httpRequest(ctx context.Context, req *Request) (*http.Request, error) {
	target := s.base + req.Path
	var body io.Reader
	if req.Method == http.MethodPost {
		body = bytes.NewReader(req.Params)
	} else if len(req.Params) > 0 {
		target += "?" + string(req.Params)
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

// errTimeout is the end of one attempt's time, which the retry step may follow
// with another, as opposed to the end of the caller's own context. Like the
// timeout of an http.Client, it is a context.DeadlineExceeded to errors.Is.
var errTimeout = fmt.Errorf("no whole answer within the client's timeout: %w", context.DeadlineExceeded)

// cause is why an attempt failed. It tells the attempt's timeout from the
// caller's, and takes off every *url.Error, whose URL repeats what the caller's
// own message says, with parameters that may be personal data.
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

// withoutSecrets puts a text in the place of an error that quotes the request:
// of an answer that is not HTTP, net/http quotes a line, and a server that only
// echoes makes that the request's own.
func withoutSecrets(req *Request, err error) error {
	text := Mask(err.Error())
	if len(req.Params) > 0 {
		text = strings.ReplaceAll(text, string(req.Params), "****")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// clock reads the service's clock off an answer to a request of the moment
// start. The Date header cuts off the part of a second, and the service wrote it
// before the answer was here, so that the time it took and a part of a second
// are what ServerTimeAtSend can be off, always towards the past.
func (r *Response) clock(start time.Time) {
	r.SentAt = start
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return
	}
	r.Date, r.ServerTimeAtSend = date, date.Add(-time.Since(start)).Truncate(time.Second)
}
