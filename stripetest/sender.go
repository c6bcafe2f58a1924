package stripetest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	attemptTimeout = 20 * time.Second       // the documentation does not say how long Stripe waits
	shortestPause  = 100 * time.Millisecond // between two looks at a clock that may be stopped
	maxResponse    = 64 << 10               // bytes of a response that are read, so that its connection is used again
)

// WithWebhookClient makes the server send events to the webhook endpoints that are
// created through the API, with this client. Without this option, endpoints can be
// created, and nothing is sent. The server sends to whatever URL an endpoint has:
// the client's transport is the place to limit that. The transport must end a
// request whose context ends, since [Server.Close] waits for requests in progress.
//
// A payload is signed as Stripe does, in the header Stripe-Signature, with the
// secret that the response of the endpoint's creation has, and with the server's
// time. A response with a status from 200 to 299 within 20 seconds is success, and
// redirects are not followed. The documentation says that Stripe retries three
// times over a few hours in test mode, and for up to three days in live mode. Here
// the waits are 10 minutes, 1 hour and 3 hours in test mode, and from 1 to 32 hours,
// each twice as long as the one before, in live mode, by the server's clock.
// [Server.Advance] lets retries be due. An endpoint gets one event after another; a
// retry does not hold up the events after it.
//
// With [InMemory], this option starts a goroutine, which Close ends.
func WithWebhookClient(client *http.Client) Option {
	return func(s *Server) {
		own := *client
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		s.webhooks = &sender{server: s, client: &own, wake: make(chan struct{}, 1), busy: make(map[receiver]bool)}
	}
}

// sender sends events to webhook endpoints. Its goroutine looks for endpoints that
// a delivery is due for, and starts a worker for each.
type sender struct {
	server *Server
	client *http.Client
	wake   chan struct{}
	stop   context.CancelFunc
	ended  sync.WaitGroup // the goroutine and its workers

	mu   sync.Mutex
	busy map[receiver]bool // endpoints that have a worker
}

// receiver is an endpoint of an account.
type receiver struct {
	account  *account
	endpoint string
}

// wakeWebhooks makes the sender look for deliveries that are due.
func (s *Server) wakeWebhooks() {
	if s.webhooks == nil {
		return
	}
	select {
	case s.webhooks.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (w *sender) start() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.ended.Go(func() { w.run(ctx) })
}

// close ends the requests in progress and waits until nothing runs any more.
func (w *sender) close() {
	w.stop()
	w.ended.Wait()
}

// run starts workers until the context ends. Between two looks it waits for news,
// or until the next delivery is due if the server's clock runs as fast as the real
// one.
func (w *sender) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
		if wait, pending := w.startWorkers(ctx); pending {
			timer.Reset(max(wait, shortestPause))
		}
	}
}

// startWorkers starts a worker for each endpoint that a delivery is due for. It
// returns the time until the next one is due.
func (w *sender) startWorkers(ctx context.Context) (wait time.Duration, pending bool) {
	now := w.server.now()
	for _, a := range w.server.allAccounts() {
		for id, due := range a.nextDue() {
			switch until := due.Sub(now); {
			case until <= 0:
				w.startWorker(ctx, receiver{a, id})
			case !pending || until < wait:
				wait, pending = until, true
			}
		}
	}
	return wait, pending
}

func (s *Server) allAccounts() []*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		all = append(all, a)
	}
	return all
}

// nextDue returns when the next delivery to each endpoint is due.
func (a *account) nextDue() map[string]time.Time {
	a.mu.RLock()
	defer a.mu.RUnlock()
	due := make(map[string]time.Time)
	for e := range a.endpoints.all.ascend(everything) {
		if next := a.nextDelivery(e.id); next != nil {
			due[e.id] = time.Unix(next.Due, 0)
		}
	}
	return due
}

// startWorker starts a worker unless the endpoint has one. A worker that ends wakes
// the sender after it is no longer busy: so a delivery that was queued meanwhile, and
// for which no worker was started, is seen.
func (w *sender) startWorker(ctx context.Context, to receiver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[to] {
		return
	}
	w.busy[to] = true
	w.ended.Go(func() {
		for w.deliverNext(ctx, to) {
		}
		w.mu.Lock()
		delete(w.busy, to)
		w.mu.Unlock()
		w.server.wakeWebhooks()
	})
}

// deliverNext makes the next attempt that is due for an endpoint. It returns false
// if there is none.
func (w *sender) deliverNext(ctx context.Context, to receiver) bool {
	d, secret, due := w.next(to)
	if !due || ctx.Err() != nil {
		return false
	}
	status, err := w.send(ctx, d, secret)
	if ctx.Err() != nil {
		return false // the server was closed, which is no failure of the endpoint
	}
	d.Attempts++
	d.Status, d.Error = status, ""
	if err != nil {
		d.Error = err.Error()
	}
	to.account.mu.Lock()
	defer to.account.mu.Unlock()
	to.account.settle(d, w.server.now())
	return true
}

// next returns a copy of the next delivery that is due, with the endpoint's URL and
// secret. Nothing is due for an account whose data was removed.
func (w *sender) next(to receiver) (d webhook, secret string, due bool) {
	if !w.server.hasAccount(to.account) {
		return d, "", false
	}
	to.account.mu.RLock()
	defer to.account.mu.RUnlock()
	found, ok := to.account.endpoints.get(to.endpoint)
	next := to.account.nextDelivery(to.endpoint)
	if !ok || next == nil || next.Due > w.server.now().Unix() {
		return d, "", false
	}
	d = *next
	d.URL = found.URL
	return d, found.signingSecret, true
}

func (s *Server) hasAccount(a *account) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[tenant{a.profile.ID, a.live}] == a
}

// send makes one attempt. The error says why the endpoint has not received the
// event. It does not have the URL, which may have a password.
func (w *sender) send(ctx context.Context, d webhook, secret string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, strings.NewReader(d.Payload))
	if err != nil {
		return 0, errors.New("the URL of the endpoint is not possible")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", signature(w.server.now(), d.Payload, secret))
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxResponse)) // its status is what counts
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("the endpoint responded with status %d", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

// signature returns the value of the header Stripe-Signature.
func signature(at time.Time, payload, secret string) string {
	second := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, second+"."+payload) // never returns an error
	return "t=" + second + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
