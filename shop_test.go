package stripekit_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// shop is a fake Stripe server in memory, a client of it, and a hook between the
// two. All of it runs in a synctest bubble.
type shop struct {
	t      *testing.T
	server *stripetest.Server
	key    string // of its account
	client *stripekit.Client
	behind time.Duration // the Date of each response is so much behind

	mu     sync.Mutex
	before func(*http.Request) (*http.Response, error) // sees every request first
	lists  int                                         // list requests so far
}

func newShop(t *testing.T, opts ...stripetest.Option) *shop {
	s := &shop{t: t, server: stripetest.New(append(opts, stripetest.InMemory())...), key: "sk_test_shop"}
	t.Cleanup(s.server.Close)
	s.client = s.newClient()
	return s
}

func (s *shop) newClient() *stripekit.Client {
	client, err := stripekit.New(s.key, stripekit.WithBaseURL(s.server.URL),
		stripekit.WithHTTPClient(&http.Client{Transport: s}), stripekit.WithMaxRetries(0))
	require.NoError(s.t, err)
	return client
}

// RoundTrip counts the lists and lets the test interfere.
func (s *shop) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	before := s.before
	if r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "/account") {
		s.lists++
	}
	s.mu.Unlock()
	if before != nil && r.Method == http.MethodGet {
		if resp, err := before(r); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := s.server.RoundTrip(r)
	if err == nil && s.behind > 0 {
		resp.Header.Set("Date", time.Now().Add(-s.behind).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

func (s *shop) interfere(before func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *shop) listRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists
}

// sell makes n customers now, and returns their ids in order.
func (s *shop) sell(n int) []string {
	s.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		c, err := s.client.Customers.Create(s.t.Context(), stripekit.CustomerCreateParams{Name: new(fmt.Sprint("customer ", i))})
		require.NoError(s.t, err)
		ids[i] = c.ID
	}
	return ids
}

func (s *shop) poller(cfg stripekit.PollConfig) *stripekit.Poller[stripekit.Customer] {
	s.t.Helper()
	p, err := stripekit.NewPoller(s.newClient().Customers, cfg)
	require.NoError(s.t, err)
	return p
}

// watch starts a Poller, and waits until it knows where it begins. It returns a
// function that ends the Poller and waits for the end.
func (s *shop) watch(p *stripekit.Poller[stripekit.Customer]) (events <-chan stripekit.Event[stripekit.Customer], stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	events, err := p.Start(ctx)
	require.NoError(s.t, err)
	synctest.Wait()
	return events, func() {
		synctest.Wait() // an event that is sent when the context ends may arrive
		cancel()
		for range events {
			s.t.Error("an event after the end")
		}
	}
}

// collect acknowledges events until there is none for a time, and returns their ids.
func collect(events <-chan stripekit.Event[stripekit.Customer], wait time.Duration) (ids []string) {
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return ids
			}
			e.Ack()
			ids = append(ids, e.ID)
		case <-time.After(wait):
			return ids
		}
	}
}

func response(r *http.Request, status int, body string) *http.Response {
	rec := &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(body)),
		Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}, Body: http.NoBody,
	}
	rec.Body = readCloser{strings.NewReader(body)}
	return rec
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }
