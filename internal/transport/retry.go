package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 8 * time.Second
	// MaxRetryAfter is the longest Retry-After that is waited for. If the
	// service asks for more, there is no retry: the caller gets the response
	// and decides.
	MaxRetryAfter = time.Minute
)

// retrier retries attempts that failed in a way that may pass.
type retrier struct {
	max    int
	random func() float64
	logger *slog.Logger
}

func (r *retrier) around(next step) step {
	return func(ctx context.Context, req *Request) (*Response, error) {
		sent := false
		for attempt := 1; ; attempt++ {
			req.attempt = attempt
			resp, err := next(ctx, req)
			sent = sent || mayHaveActed(resp, err)
			wait, again := r.next(ctx, attempt, resp, err)
			if !again {
				return finish(resp, err, attempt, sent)
			}
			r.log(ctx, req, attempt, wait, resp, err)
			last, id := lastFailure(resp, err), requestID(resp)
			if resp != nil {
				resp.Release()
			}
			if err := sleep(ctx, wait); err != nil {
				err = fmt.Errorf("%w while waiting to retry after: %v", err, last)
				return nil, &Error{Err: err, RequestID: id, Attempts: attempt, MayHaveExecuted: sent}
			}
		}
	}
}

// next returns whether another attempt follows, and after what wait.
func (r *retrier) next(ctx context.Context, attempt int, resp *Response, err error) (time.Duration, bool) {
	if attempt > r.max || ctx.Err() != nil || !retryable(resp, err) {
		return 0, false
	}
	wait := r.backoff(attempt)
	if resp != nil {
		wait = max(wait, RetryAfter(resp.Header))
	}
	return wait, wait <= MaxRetryAfter
}

// backoff returns the wait after an attempt. It doubles from half a second to
// eight seconds, less up to a quarter at random. Callers that failed together
// then do not retry together.
func (r *retrier) backoff(attempt int) time.Duration {
	d := firstBackoff << min(attempt-1, 10)
	d = min(d, maxBackoff)
	return d - time.Duration(r.random()*float64(d/4))
}

func (r *retrier) log(ctx context.Context, req *Request, attempt int, wait time.Duration, resp *Response, err error) {
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("path", req.Path), slog.Int("attempt", attempt),
		slog.Duration("wait", wait), slog.String("cause", lastFailure(resp, err).Error()),
	}
	if id := requestID(resp); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	r.logger.LogAttrs(ctx, slog.LevelWarn, "stripe request failed, will retry", attrs...)
}

// retryable reports whether a failure may pass. The header Stripe-Should-Retry
// takes precedence over the status.
func retryable(resp *Response, err error) bool {
	if err != nil {
		return !permanent(err)
	}
	if resp.Status < 400 {
		return false
	}
	switch resp.Header.Get("Stripe-Should-Retry") {
	case "true":
		return true
	case "false":
		return false
	}
	return resp.Cut || resp.Status == http.StatusConflict || resp.Status == http.StatusTooManyRequests || resp.Status >= 500
}

// permanent reports whether a retry is useless: the request was not sent, the
// response was too large, or the certificate is invalid.
func permanent(err error) bool {
	var cert *tls.CertificateVerificationError
	var te *Error
	return errors.Is(err, ErrTooLarge) || errors.As(err, &cert) || !errors.As(err, &te) || !te.tried
}

// neverReached reports whether the request did not reach the service, because
// no connection was made.
func neverReached(err error) bool {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return true
	}
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect")
}

// mayHaveActed reports whether the service may have executed a failed attempt:
// there was no response, or one that leaves the outcome open.
func mayHaveActed(resp *Response, err error) bool {
	if err != nil {
		var te *Error
		return errors.As(err, &te) && te.tried && !neverReached(err)
	}
	return resp.Status == http.StatusConflict || resp.Status >= 500
}

func finish(resp *Response, err error, attempts int, sent bool) (*Response, error) {
	if err == nil {
		resp.Attempts, resp.MayHaveExecuted = attempts, sent
		return resp, nil
	}
	var te *Error
	if errors.As(err, &te) {
		err = te.Err
		if !te.tried {
			attempts--
		}
	}
	return nil, &Error{Err: err, Attempts: attempts, MayHaveExecuted: sent}
}

func lastFailure(resp *Response, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("status %d", resp.Status)
}

func requestID(resp *Response) string {
	if resp == nil {
		return ""
	}
	return RequestID(resp.Header)
}

// RequestID returns the Request-Id of a response, empty if there is none.
func RequestID(h http.Header) string { return Quote(h.Get("Request-Id")) }

// RetryAfter returns the wait of a Retry-After header in seconds or as a date.
// A date is compared to the service's own clock, the Date header. The wait is 0
// if there is no valid header.
func RetryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	// On ErrRange, ParseInt returns the nearest int64, which is good enough
	// here.
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
