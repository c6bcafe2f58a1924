package stripetest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// sent is a webhook that an endpoint has received.
type sent struct {
	header http.Header
	raw    string
	event  map[string]any
	at     time.Time
}

// hook is an endpoint. It is a transport in memory as well.
type hook struct {
	server *httptest.Server // nil in memory
	gate   chan struct{}    // the first response waits until it is closed; nil: it does not

	mu       sync.Mutex
	statuses []int // of the next responses; then 200
	received []sent
}

// newHook returns an endpoint that listens.
func newHook(t *testing.T) *hook {
	h := &hook{}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(h.take(r)) }))
	t.Cleanup(h.server.Close)
	return h
}

func (h *hook) take(r *http.Request) (status int) {
	raw, _ := io.ReadAll(r.Body)
	got := sent{header: r.Header, raw: string(raw), at: time.Now()}
	_ = json.Unmarshal(raw, &got.event)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received = append(h.received, got)
	if h.gate != nil && len(h.received) == 1 {
		h.mu.Unlock()
		<-h.gate
		h.mu.Lock()
	}
	if len(h.statuses) == 0 {
		return http.StatusOK
	}
	status, h.statuses = h.statuses[0], h.statuses[1:]
	return status
}

func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	status := h.take(r)
	if status == 0 {
		return nil, errors.New("no route")
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://other"}}, Body: http.NoBody, Request: r}, nil
}

func (h *hook) all() []sent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]sent{}, h.received...)
}

// inBubble runs a test with a server and an endpoint in memory, whose clock is that
// of the bubble.
func inBubble(t *testing.T, test func(t *testing.T, a *api, h *hook), opts ...stripetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hook{}
		test(t, memory(t, append(opts, stripetest.WithWebhookClient(&http.Client{Transport: h}))...), h)
	})
}

// settled waits until nothing more is sent at this time.
func (h *hook) settled() []sent {
	synctest.Wait()
	return h.all()
}

func (a *api) endpoint(more string) map[string]any {
	a.t.Helper()
	return a.post("/v1/webhook_endpoints", "url=http://localhost/hook&"+more)
}

func (a *api) pending() any {
	a.t.Helper()
	return a.get("/v1/events?limit=1")["data"].([]any)[0].(map[string]any)["pending_webhooks"]
}

var signatureForm = regexp.MustCompile(`^t=(\d+),v1=([0-9a-f]{64})$`)

// requireSigned checks a signature by the documentation of webhooks.
func requireSigned(t *testing.T, got sent, secret string) (second string) {
	t.Helper()
	parts := signatureForm.FindStringSubmatch(got.header.Get("Stripe-Signature"))
	require.NotNil(t, parts, got.header)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(parts[1] + "." + got.raw))
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), parts[2])
	return parts[1]
}

func TestEventsAreSentSigned(t *testing.T) {
	h := newHook(t)
	a := memory(t, stripetest.WithClock(at(1700000000).read), stripetest.WithWebhookClient(h.server.Client()))
	made := a.post("/v1/webhook_endpoints", "url="+h.server.URL+"/hook&enabled_events[]=*")
	a.with("Idempotency-Key", "k").charge("source=tok_visa&description=<%26>")
	a.awaitDelivered(1)
	got := h.all()
	require.Len(t, got, 1)
	require.Equal(t, "1700000000", requireSigned(t, got[0], made["secret"].(string)))
	require.Equal(t, "application/json; charset=utf-8", got[0].header.Get("Content-Type"))
	event := a.everything("/v1/events")[0]
	require.Equal(t, 0.0, event["pending_webhooks"], "it is delivered")
	event["pending_webhooks"] = 1.0
	require.Empty(t, cmp.Diff(event, got[0].event), "but when it was sent it was not")
	require.Contains(t, got[0].raw, "<&>")
}

// soon is a time after which something that must happen has not happened.
const soon = 2 * time.Minute

// awaitDelivered waits until n deliveries are no longer pending.
func (a *api) awaitDelivered(n int) {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		done := 0
		for _, d := range a.server.WebhookDeliveries() {
			if d.State != "pending" {
				done++
			}
		}
		return done >= n
	}, soon, time.Millisecond)
}

func TestEndpointsReceiveTheirTypesOfEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		a.endpoint("enabled_events[]=refund.created&enabled_events[]=charge.succeeded")
		id := a.charge("source=tok_visa")
		a.post("/v1/refunds", "charge="+id)
		a.as("sk_live_1").charge("source=tok_visa")
		a.with("Stripe-Account", "acct_other").charge("source=tok_visa")
		a.do("POST", "/v1/charges", "amount=1&currency=usd&source=tok_visa")
		types := []any{}
		for _, got := range h.settled() {
			types = append(types, got.event["type"])
		}
		require.Equal(t, []any{"charge.succeeded", "refund.created"}, types, "in their order; not those of other types, modes or accounts")
	})
}

func TestFailedWebhooksAreSentAgain(t *testing.T) {
	for name, statuses := range map[string][]int{
		"server error": {500, 404, 503}, "redirect": {302, 301, 307}, "no response": {0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, a *api, h *hook) {
				h.statuses = statuses
				secret := a.endpoint("enabled_events[]=*")["secret"].(string)
				start := time.Now()
				a.charge("source=tok_visa")
				waits := []time.Duration{0, 10 * time.Minute, 70 * time.Minute, 250 * time.Minute}
				for i, wait := range waits {
					<-time.After(time.Until(start.Add(wait - time.Second)))
					require.Len(t, h.settled(), max(i, min(1, 1-i)), "not before %s", wait)
					require.Equal(t, 1.0, a.pending())
					if i == len(waits)-1 {
						break
					}
					<-time.After(2 * time.Second)
					require.Len(t, h.settled(), i+1)
				}
				<-time.After(2 * time.Second)
				got := h.settled()
				require.Len(t, got, 4)
				require.Equal(t, 0.0, a.pending(), "the fourth attempt has succeeded")
				for _, attempt := range got {
					require.Equal(t, got[0].raw, attempt.raw, "all attempts have the same payload")
					require.Equal(t, fmt.Sprint(attempt.at.Unix()), requireSigned(t, attempt, secret), "and the time of the attempt")
				}
				deliveries := a.server.WebhookDeliveries()
				require.Equal(t, "succeeded", deliveries[0].State)
				require.Equal(t, 4, deliveries[0].Attempts)
				<-time.After(100 * time.Hour)
				require.Len(t, h.settled(), 4)
			})
		})
	}
}

func TestWebhooksAreGivenUpAfterTheLastRetry(t *testing.T) {
	for key, attempts := range map[string]int{testKey: 4, "sk_live_1": 7} {
		inBubble(t, func(t *testing.T, a *api, h *hook) {
			h.statuses = []int{500, 500, 500, 500, 500, 500, 500, 500}
			a = a.as(key)
			a.post("/v1/webhook_endpoints", "url=https://user:pass@a.b&enabled_events[]=*")
			start := time.Now()
			a.charge("source=tok_visa")
			<-time.After(1000 * time.Hour)
			got := h.settled()
			require.Len(t, got, attempts)
			previous := time.Duration(0)
			for i := range got[1:] {
				wait := got[i+1].at.Sub(got[i].at)
				require.Greater(t, wait, previous, "the waits grow")
				previous = wait
			}
			require.Less(t, got[attempts-1].at.Sub(start), 72*time.Hour)
			deliveries := a.server.WebhookDeliveries()
			require.Len(t, deliveries, 1)
			require.Equal(t, "failed", deliveries[0].State)
			require.Equal(t, "the endpoint responded with status 500", deliveries[0].Error)
		})
	}
}

func TestServerClockMakesRetriesDue(t *testing.T) {
	h := newHook(t)
	h.statuses = []int{500, 500}
	clock := at(1700000000)
	a := memory(t, stripetest.WithClock(clock.read), stripetest.WithWebhookClient(h.server.Client()), stripetest.WithControl())
	a.post("/v1/webhook_endpoints", "url="+h.server.URL+"&enabled_events[]=*")
	a.charge("source=tok_visa")
	await := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool {
			d := a.server.WebhookDeliveries()
			return len(d) == 1 && d[0].Attempts == n
		}, soon, time.Millisecond)
	}
	await(1)
	a.server.Advance(10 * time.Minute)
	await(2)
	require.Equal(t, 200, a.control("POST clock", `{"advance": "1h"}`).status)
	await(3)
	require.Len(t, h.all(), 3)
}

func TestSlowRetryDoesNotHoldUpLaterEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		h.statuses = []int{500}
		a.endpoint("enabled_events[]=*")
		first := a.charge("source=tok_visa")
		require.Len(t, h.settled(), 1)
		second := a.charge("source=tok_visa")
		require.Len(t, h.settled(), 2)
		<-time.After(11 * time.Minute)
		got := h.settled()
		require.Len(t, got, 3)
		for i, want := range []string{first, second, first} {
			require.Equal(t, want, dataOf(got[i].event)["id"])
		}
	})
}

func TestDisabledAndDeletedEndpointsReceiveNothingMore(t *testing.T) {
	for name, end := range map[string]func(a *api, id string){
		"the endpoint was disabled": func(a *api, id string) { a.post("/v1/webhook_endpoints/"+id, "disabled=true") },
		"the endpoint was deleted":  func(a *api, id string) { a.do("DELETE", "/v1/webhook_endpoints/"+id, "") },
	} {
		inBubble(t, func(t *testing.T, a *api, h *hook) {
			h.statuses = []int{500}
			id := a.endpoint("enabled_events[]=*")["id"].(string)
			a.charge("source=tok_visa")
			require.Len(t, h.settled(), 1)
			end(a, id)
			a.charge("source=tok_visa")
			require.Equal(t, 0.0, a.pending())
			<-time.After(100 * time.Hour)
			require.Len(t, h.settled(), 1)
			deliveries := a.server.WebhookDeliveries()
			require.Len(t, deliveries, 1)
			require.Equal(t, "failed", deliveries[0].State)
			require.Equal(t, name, deliveries[0].Error)
		})
	}
}

func TestWebhooksHaveTheVersionOfTheirEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		a.endpoint("enabled_events[]=customer.updated")
		a.endpoint("enabled_events[]=customer.updated&api_version=2019-09-09")
		id := a.create("/v1/customers", "balance=5")
		a.post("/v1/customers/"+id, "balance=6")
		versions := map[any]any{}
		for _, got := range h.settled() {
			versions[got.event["api_version"]] = []any{dataOf(got.event)["balance"], dataOf(got.event)["account_balance"], previousOf(got.event)}
		}
		require.Equal(t, map[any]any{
			"2026-08-26.dahlia": []any{6.0, nil, map[string]any{"balance": 5.0}},
			"2019-09-09":        []any{nil, 6.0, map[string]any{"account_balance": 5.0}},
		}, versions)
	})
}

func TestDeliverySuccessFiltersEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		a.endpoint("enabled_events[]=charge.succeeded")
		good := a.charge("source=tok_visa")
		h.settled()
		h.statuses = []int{500}
		bad := a.charge("source=tok_visa")
		h.settled()
		customer := a.create("/v1/customers", "")
		for query, want := range map[string][]string{"true": {customer, good}, "false": {bad}} {
			ids := []string{}
			for _, event := range a.get("/v1/events?delivery_success=" + query)["data"].([]any) {
				ids = append(ids, dataOf(event.(map[string]any))["id"].(string))
			}
			require.Equal(t, want, ids, query)
		}
	})
}

func TestPendingWebhooksSurviveDumpAndLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		h.statuses = []int{500}
		secret := a.endpoint("enabled_events[]=*")["secret"].(string)
		a.charge("source=tok_visa")
		require.Len(t, h.settled(), 1)
		dump := dumped(t, a.server)
		a.server.Close()

		other := &hook{}
		b := memory(t, stripetest.WithWebhookClient(&http.Client{Transport: other}))
		require.NoError(t, b.server.Load(strings.NewReader(dump)))
		require.Empty(t, other.settled())
		<-time.After(11 * time.Minute)
		got := other.settled()
		require.Len(t, got, 1)
		require.Equal(t, h.all()[0].raw, got[0].raw)
		requireSigned(t, got[0], secret)
		require.Equal(t, 0.0, b.pending())
	})
}

func TestClearEndsWebhooks(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		h.statuses = []int{500}
		a.endpoint("enabled_events[]=*")
		a.charge("source=tok_visa")
		require.Len(t, h.settled(), 1)
		a.server.Clear()
		<-time.After(100 * time.Hour)
		require.Len(t, h.settled(), 1)
		require.Empty(t, a.server.WebhookDeliveries())
	})
}

func TestClearEndsTheWebhooksOfABusyEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		h.gate = make(chan struct{})
		a.endpoint("enabled_events[]=*")
		for range 3 {
			a.charge("source=tok_visa")
		}
		require.Len(t, h.settled(), 1)
		a.server.Clear()
		close(h.gate)
		require.Len(t, h.settled(), 1)
	})
}

// blocking is a transport whose requests end with their context only.
type blocking struct {
	started, ended chan struct{}
}

func (b blocking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.started <- struct{}{}
	<-r.Context().Done()
	b.ended <- struct{}{}
	return nil, r.Context().Err()
}

// TestCloseEndsWebhooks: if a goroutine were left, synctest would fail the test.
func TestCloseEndsWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blocking{make(chan struct{}, 1), make(chan struct{}, 1)}
		a := memory(t, stripetest.WithWebhookClient(&http.Client{Transport: b}))
		a.endpoint("enabled_events[]=*")
		a.charge("source=tok_visa")
		<-b.started
		a.server.Close()
		require.Len(t, b.ended, 1)
		deliveries := a.server.WebhookDeliveries()
		require.Equal(t, 0, deliveries[0].Attempts, "that is no failure of the endpoint")
		a.server.Close()
	})
}

func TestAttemptsEndAfterATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blocking{make(chan struct{}, 1), make(chan struct{}, 1)}
		a := memory(t, stripetest.WithWebhookClient(&http.Client{Transport: b}))
		a.endpoint("enabled_events[]=*")
		start := time.Now()
		a.charge("source=tok_visa")
		<-b.started
		<-b.ended
		require.Equal(t, 20*time.Second, time.Since(start))
		synctest.Wait()
		deliveries := a.server.WebhookDeliveries()
		require.Equal(t, 1, deliveries[0].Attempts)
		require.Equal(t, context.DeadlineExceeded.Error(), deliveries[0].Error)
	})
}

func TestControlShowsWebhookDeliveries(t *testing.T) {
	inBubble(t, func(t *testing.T, a *api, h *hook) {
		h.statuses = []int{200, 500}
		id := a.endpoint("enabled_events[]=*")["id"].(string)
		a.charge("source=tok_visa")
		a.charge("source=tok_visa")
		h.settled()
		for query, n := range map[string]int{"": 2, "?state=pending": 1, "?state=succeeded": 1, "?state=failed": 0, "?endpoint=" + id: 2, "?endpoint=we_x": 0} {
			require.Len(t, a.control("GET webhooks"+query, "").body["deliveries"], n, query)
		}
		failed := a.control("GET webhooks?state=pending", "").body["deliveries"].([]any)[0].(map[string]any)
		require.Equal(t, 500.0, failed["status"])
		require.Equal(t, "charge.succeeded", failed["type"])
		require.Equal(t, time.Now().Add(10*time.Minute).Truncate(time.Second).UTC().Format(time.RFC3339), failed["next_attempt"])
		require.Equal(t, 400, a.control("GET webhooks?state=lost", "").status)
	}, stripetest.WithControl())
}

func TestManyWebhooksAreSentFromManyRequests(t *testing.T) {
	h := newHook(t)
	a := memory(t, stripetest.WithWebhookClient(h.server.Client()))
	for range 3 {
		a.post("/v1/webhook_endpoints", "url="+h.server.URL+"&enabled_events[]=charge.succeeded")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				a.charge("source=tok_visa")
			}
		})
	}
	wg.Wait()
	a.awaitDelivered(300)
	times := make(map[any]int)
	for _, got := range h.all() {
		times[got.event["id"]]++
	}
	require.Len(t, times, 100)
	for id, n := range times {
		require.Equal(t, 3, n, id)
	}
	for _, event := range a.everything("/v1/events") {
		require.Equal(t, 0.0, event["pending_webhooks"])
	}
}
