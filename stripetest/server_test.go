package stripetest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestServerRespondsOverTheNetwork(t *testing.T) {
	server := stripetest.New(stripetest.WithClock(at(1700000000).read))
	defer server.Close()
	a := &api{t: t, server: server, key: testKey}
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, server.URL)
	id := a.charge("source=tok_visa")

	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/charges/"+id, nil)
	require.NoError(t, err)
	req.SetBasicAuth(testKey, "")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	r := read(t, resp)
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, id, r.body["id"])
	require.Equal(t, "Tue, 14 Nov 2023 22:13:20 GMT", r.header.Get("Date"))
	require.Equal(t, int64(len(r.raw)), resp.ContentLength)
}

func TestClientReachesTheServerWhateverTheHost(t *testing.T) {
	for name, opts := range map[string][]stripetest.Option{"network": nil, "memory": {stripetest.InMemory()}} {
		for _, host := range []string{"http://stripe.invalid", "https://api.stripe.com"} {
			t.Run(name+"/"+host, func(t *testing.T) {
				server := stripetest.New(opts...)
				defer server.Close()
				req, err := http.NewRequestWithContext(t.Context(), "GET", host+"/v1/account", nil)
				require.NoError(t, err)
				req.SetBasicAuth(testKey, "")
				resp, err := server.Client().Do(req)
				require.NoError(t, err)
				require.Equal(t, "account", read(t, resp).body["object"])
			})
		}
	}
}

func TestClientFailsAfterClose(t *testing.T) {
	for name, opts := range map[string][]stripetest.Option{"network": nil, "memory": {stripetest.InMemory()}} {
		t.Run(name, func(t *testing.T) {
			server := stripetest.New(opts...)
			a := &api{t: t, server: server, key: testKey}
			a.get("/v1/account")
			client := server.Client()
			server.Close()
			server.Close()
			_, err := client.Get(server.URL + "/v1/account")
			require.ErrorIs(t, err, http.ErrServerClosed)
			require.Len(t, server.Requests(), 1)
		})
	}
}

func TestServerIsAHandler(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/v1/account", nil)
	r.SetBasicAuth(testKey, "")
	server.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `"object": "account"`)
}

func TestHandlerDoesNotActOnHalfABody(t *testing.T) {
	a := memory(t)
	body := io.MultiReader(strings.NewReader("email=a@b.c"), failingReader{})
	r := httptest.NewRequest("POST", "/v1/customers", body)
	r.SetBasicAuth(testKey, "")
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	ids, _ := a.page("/v1/customers", nil)
	require.Empty(t, ids)
}

type failingReader struct{}

var errBroken = errors.New("broken")

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }

// closeCounter is a body that counts calls of Close.
type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}

func TestRoundTripKeepsTheTransportContract(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx    context.Context
		body   io.Reader
		closed bool
		want   error
	}{
		"responds":     {ctx: t.Context(), body: strings.NewReader("email=a@b.c")},
		"done context": {ctx: done, body: strings.NewReader("email=a@b.c"), want: context.Canceled},
		"broken body":  {ctx: t.Context(), body: failingReader{}, want: errBroken},
		"closed":       {ctx: t.Context(), body: strings.NewReader("email=a@b.c"), closed: true, want: http.ErrServerClosed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := stripetest.New(stripetest.InMemory())
			if test.closed {
				server.Close()
			}
			body := &closeCounter{Reader: test.body}
			req, err := http.NewRequestWithContext(test.ctx, "POST", server.URL+"/v1/customers", body)
			require.NoError(t, err)
			req.SetBasicAuth(testKey, "")
			resp, err := server.RoundTrip(req)
			require.Equal(t, 1, body.closed)
			require.ErrorIs(t, err, test.want)
			if test.want != nil {
				require.Nil(t, resp)
				require.Empty(t, server.Requests())
				return
			}
			r := read(t, resp)
			require.Same(t, req, resp.Request)
			require.Equal(t, "200 OK", resp.Status)
			require.Equal(t, "application/json", r.header.Get("Content-Type"))
			require.Equal(t, int64(len(r.raw)), resp.ContentLength)
		})
	}
}

func TestServerEchoesHeaders(t *testing.T) {
	a := memory(t)
	plain := a.do("GET", "/v1/account", "")
	require.Equal(t, "2026-08-26.dahlia", plain.header.Get("Stripe-Version"))
	require.NotContains(t, plain.header, "Idempotency-Key")

	r := a.with("Stripe-Version", "2020-08-27").with("Idempotency-Key", "key-1").do("POST", "/v1/customers", "")
	require.Equal(t, "2020-08-27", r.header.Get("Stripe-Version"))
	require.Equal(t, "key-1", r.header.Get("Idempotency-Key"))
	require.NotEqual(t, plain.header.Get("Request-Id"), r.header.Get("Request-Id"))
}

func TestAccountsAndModesAreSeparate(t *testing.T) {
	a := memory(t)
	live, connected := a.as("sk_live_1"), a.with("Stripe-Account", "acct_other")
	id := a.charge("source=tok_visa")
	liveID := live.charge("source=tok_visa")
	connectedID := connected.charge("source=tok_visa")

	for _, test := range []struct {
		api  *api
		id   string
		live bool
	}{{a, id, false}, {a.as("rk_test_1"), id, false}, {live, liveID, true}, {connected, connectedID, false}} {
		ids, _ := test.api.page("/v1/charges", nil)
		require.Equal(t, []string{test.id}, ids)
		require.Equal(t, test.live, test.api.get("/v1/charges/" + test.id)["livemode"])
	}
	own := a.get("/v1/account")
	require.Regexp(t, `^acct_1\w{15}$`, own["id"])
	require.Equal(t, own, a.get("/v1/account"))
	require.Equal(t, own["id"], live.get("/v1/account")["id"])
	require.Equal(t, "acct_other", connected.get("/v1/account")["id"])
	named, _ := a.with("Stripe-Account", own["id"].(string)).page("/v1/charges", nil)
	require.Equal(t, []string{id}, named)
	for field, want := range map[string]any{
		"object": "account", "type": "standard", "country": "US", "default_currency": "usd",
		"charges_enabled": true, "details_submitted": true, "payouts_enabled": true,
	} {
		require.Equal(t, want, own[field], field)
	}
}

func TestRequestsAreRecordedWithoutTheKey(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	r := a.with("Stripe-Account", "acct_x").do("POST", "/v1/customers?expand[]=test_clock", "email=a@b.c")
	a.as("").do("GET", "/v1/x", "")

	got := a.server.Requests()
	require.Len(t, got, 2)
	want := stripetest.Request{
		Method: "POST", Path: "/v1/customers",
		Query:  url.Values{"expand[]": {"test_clock"}},
		Form:   url.Values{"email": {"a@b.c"}},
		Header: http.Header{"Stripe-Account": {"acct_x"}, "Content-Type": {"application/x-www-form-urlencoded"}},
		Status: 200, RequestID: r.header.Get("Request-Id"), Time: time.Unix(1700000000, 0),
	}
	require.Empty(t, cmp.Diff(want, got[0]))
	require.Equal(t, 404, got[1].Status)

	got[0].Form.Set("email", "changed")
	got[0].Header.Set("Stripe-Account", "changed")
	require.Empty(t, cmp.Diff(want, a.server.Requests()[0]), "Requests must return a copy")
}

func TestInMemoryServerKeepsABubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := memory(t)
		start := time.Now()
		first := a.charge("source=tok_visa")
		<-time.After(90 * time.Minute)
		second := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa")

		require.Equal(t, float64(start.Unix()), a.get("/v1/charges/" + first)["created"])
		require.Equal(t, float64(start.Unix()+5400), second.body["created"])
		require.Equal(t, start.Add(90*time.Minute).UTC().Format(http.TimeFormat), second.header.Get("Date"))
		synctest.Wait()
	})
}

func TestServerIsSafeForConcurrentUse(t *testing.T) {
	const workers, each = 32, 10
	a := memory(t)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				id := a.charge("source=tok_visa")
				if got := a.get("/v1/charges/" + id)["id"]; got != id {
					t.Errorf("the response for charge %s has %s", id, got)
				}
				a.page("/v1/charges", url.Values{"starting_after": {id}})
				a.server.Requests()
			}
		})
	}
	wg.Wait()
	require.Len(t, a.server.Requests(), 3*workers*each)

	seen := make(map[string]bool)
	query := url.Values{"limit": {"100"}}
	for more := true; more; {
		var ids []string
		ids, more = a.page("/v1/charges", query)
		for _, id := range ids {
			require.False(t, seen[id], "%s is listed twice", id)
			seen[id] = true
		}
		query.Set("starting_after", ids[len(ids)-1])
	}
	require.Len(t, seen, workers*each)
}
