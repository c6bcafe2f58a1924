package shops_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

func TestAKeyIsThatOfItsAccount(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Minute, Accounts: 100})
	for _, header := range []string{
		"Bearer sk_test_shop42", "bearer  sk_test_shop42 ",
		"Basic c2tfdGVzdF9zaG9wNDI6", "basic c2tfdGVzdF9zaG9wNDI6", // sk_test_shop42:
	} {
		r := request(t, 0, "/v1/account")
		r.Header.Set("Authorization", header)
		got := send(t, stripe, r)
		require.Equal(t, 200, got.status, header)
		require.Equal(t, "acct_shop42", got.ID)
		require.Equal(t, "account", got.Object)
		require.Equal(t, shops.AccountID(42), got.ID)
	}
}

func TestAnUnknownKeyIsRefused(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Minute, Accounts: 100, Requested: func(account int, _ string, _ time.Time) {
		t.Error("requested with the key of account ", account)
	}})
	for header, message := range map[string]string{
		"":                              "You did not provide an API key.",
		"Digest sk_test_shop1":          "You did not provide an API key.",
		"Basic !":                       "You did not provide an API key.",
		"Bearer sk_test_shop100":        "Invalid API Key provided: sk_test_****",
		"Bearer sk_test_shop":           "Invalid API Key provided: sk_test_****",
		"Bearer sk_test_shop01":         "Invalid API Key provided: sk_test_****",
		"Bearer sk_test_shop-1":         "Invalid API Key provided: sk_test_****",
		"Bearer sk_live_shop1":          "Invalid API Key provided: sk_live_****",
		"Bearer sk_live_4eC39HqLyjWDar": "Invalid API Key provided: sk_live_****WDar",
		"Bearer secret":                 "Invalid API Key provided: ****",
	} {
		r := request(t, 0, "/v1/charges")
		r.Header.Set("Authorization", header)
		got := send(t, stripe, r)
		require.Equal(t, 401, got.status, header)
		require.Equal(t, "invalid_request_error", got.Error.Type)
		require.Contains(t, got.Error.Message, message)
	}
}

func TestWrongRequestsAreRefusedAsStripeDoes(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Minute, Start: time.Now().Add(-time.Hour)})
	for target, want := range map[string]response{
		"/v1/charge":                            {status: 404},
		"/v1/charges/":                          {status: 404},
		"/v1/charges/ch_1_1":                    {status: 404},
		"/":                                     {status: 404},
		"/v1/charges?starting_after=ch_1_x":     refused("resource_missing", "starting_after", "No such charge: 'ch_1_x'"),
		"/v1/customers?ending_before=cus_2_1":   refused("resource_missing", "ending_before", "No such customer: 'cus_2_1'"),
		"/v1/charges?starting_after=cus_1_1":    refused("resource_missing", "starting_after", "No such charge: 'cus_1_1'"),
		"/v1/charges?starting_after=ch_1_99999": refused("resource_missing", "starting_after", "No such charge: 'ch_1_99999'"),
		"/v1/charges?starting_after=ch_1_9223372036854775807":    refused("resource_missing", "starting_after", "No such charge: 'ch_1_9223372036854775807'"),
		"/v1/charges?starting_after=ch_1_1&ending_before=ch_1_2": refused("", "", "Received both"),
		"/v1/charges?starting_after=":                            refused("parameter_invalid_empty", "starting_after", "You passed an empty string"),
		"/v1/charges?limit=":                                     refused("parameter_invalid_empty", "limit", "You passed an empty string"),
		"/v1/charges?limit=ten":                                  refused("parameter_invalid_integer", "limit", "Invalid integer: ten"),
		"/v1/charges?created[gte]=1.5":                           refused("parameter_invalid_integer", "created[gte]", "Invalid integer: 1.5"),
		"/v1/charges?created%5Blt%5D=x":                          refused("parameter_invalid_integer", "created[lt]", "Invalid integer: x"),
		"/v1/charges?created[ge]=1":                              refused("parameter_unknown", "created[ge]", "Received unknown parameter"),
		"/v1/charges?customer=cus_1_1":                           refused("parameter_unknown", "customer", "Received unknown parameter"),
		"/v1/charges?limit=%zz":                                  refused("", "", "Invalid query string"),
		"/v1/customers?limit=5&page=2":                           refused("parameter_unknown", "page", "Received unknown parameter"),
	} {
		r := request(t, 1, "/")
		path, query, _ := strings.Cut(target, "?")
		r.URL.Path, r.URL.RawQuery = path, query
		got := send(t, stripe, r)
		require.Equal(t, want.status, got.status, "%s: %s", target, got.body)
		require.Equal(t, "invalid_request_error", got.Error.Type)
		if want.status == 404 {
			require.Equal(t, "Unrecognized request URL (GET: "+path+").", got.Error.Message)
			continue
		}
		require.Equal(t, want.Error.Code, got.Error.Code, target)
		require.Equal(t, want.Error.Param, got.Error.Param, target)
		require.Contains(t, got.Error.Message, want.Error.Message)
	}
}

func refused(code, param, message string) response {
	r := response{status: 400}
	r.Error.Code, r.Error.Param, r.Error.Message = code, param, message
	return r
}

func TestOtherMethodsAndOtherAccountsAreRefused(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Minute})
	r := request(t, 1, "/v1/charges")
	closed := &closing{}
	r.Method, r.Body = http.MethodPost, closed
	got := send(t, stripe, r)
	require.Equal(t, 404, got.status)
	require.Contains(t, got.Error.Message, "POST: /v1/charges")
	require.True(t, closed.closed, "a RoundTripper must close the body")

	r = request(t, 1, "/v1/charges")
	r.Header.Set("Stripe-Account", shops.AccountID(2))
	got = send(t, stripe, r)
	require.Equal(t, 403, got.status)
	require.Equal(t, "account_invalid", got.Error.Code)

	r.Header.Set("Stripe-Account", shops.AccountID(1))
	require.Equal(t, 200, send(t, stripe, r).status)
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestAResponseHasTheHeadersOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := newStripe(t, shops.Config{Period: time.Minute})
		pass(90*time.Second + time.Second/2)
		r := request(t, 1, "/v1/charges?expand[]=data.customer&expand%5B0%5D=x&&limit=100")
		r.Header.Set("Stripe-Version", "2020-08-27")
		got := send(t, stripe, r)
		require.Equal(t, 200, got.status)
		require.Equal(t, "list", got.Object)
		require.Equal(t, "/v1/charges", got.URL)
		require.Equal(t, "Sat, 01 Jan 2000 00:01:30 GMT", got.header.Get("Date"))
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Equal(t, "2020-08-27", got.header.Get("Stripe-Version"))
		require.Regexp(t, "^req_[0-9a-z]{8,}$", got.header.Get("Request-Id"))
		pass(1)
		again := get(t, stripe, 1, "/v1/charge")
		require.Equal(t, "Sat, 01 Jan 2000 00:01:30 GMT", again.header.Get("Date"))
		require.NotEqual(t, got.header.Get("Request-Id"), again.header.Get("Request-Id"))
	})
}

func TestFailAndRevokedDecideTheResponse(t *testing.T) {
	status, revoked := 0, false
	stripe := newStripe(t, shops.Config{
		Period: time.Minute, RetryAfter: 1500 * time.Millisecond,
		Fail:    func(int, time.Time) int { return status },
		Revoked: func(account int) bool { return revoked && account == 1 },
	})
	for code, want := range map[int]struct{ kind, code, retryAfter string }{
		429: {"invalid_request_error", "rate_limit", "2"},
		500: {"api_error", "", ""},
		503: {"api_error", "", "2"},
		403: {"invalid_request_error", "", ""},
	} {
		status = code
		got := get(t, stripe, 1, "/v1/account")
		require.Equal(t, code, got.status)
		require.Equal(t, want.kind, got.Error.Type)
		require.Equal(t, want.code, got.Error.Code)
		require.Equal(t, want.retryAfter, got.header.Get("Retry-After"))
	}
	status = shops.NetworkError
	_, err := stripe.RoundTrip(request(t, 1, "/v1/charges"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	status = 200
	_, err = stripe.RoundTrip(request(t, 1, "/v1/charges"))
	require.ErrorContains(t, err, "Config.Fail returned the status 200")

	status, revoked = 0, true
	got := get(t, stripe, 1, "/v1/charges")
	require.Equal(t, 401, got.status)
	require.Equal(t, "api_key_expired", got.Error.Code)
	require.Equal(t, "Expired API Key provided: sk_test_****", got.Error.Message)
	require.Equal(t, 200, get(t, stripe, 2, "/v1/charges").status)
}

func TestRequestedSeesEveryRequestOfAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type seen struct {
			account int
			path    string
			at      time.Time
		}
		var all []seen
		stripe := newStripe(t, shops.Config{
			Period:    time.Minute,
			Fail:      func(account int, _ time.Time) int { return map[int]int{2: 500}[account] },
			Latency:   func(int, time.Time) time.Duration { return 4 * time.Second },
			Requested: func(account int, path string, at time.Time) { all = append(all, seen{account, path, at.UTC()}) },
		})
		get(t, stripe, 1, "/v1/charges?limit=1")
		get(t, stripe, 2, "/v1/nothing")
		require.Equal(t, []seen{{1, "/v1/charges", start}, {2, "/v1/nothing", start.Add(4 * time.Second)}}, all)
	})
}

// TestALatencyIsHalfBeforeTheResponse has a response that is as old as half of the
// latency when it arrives.
func TestALatencyIsHalfBeforeTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		latency := 6 * time.Second
		stripe := newStripe(t, shops.Config{
			Period: 100 * time.Millisecond, Start: start.Add(-time.Minute),
			Latency: func(int, time.Time) time.Duration { return latency },
		})
		got := get(t, stripe, 1, "/v1/charges")
		require.Equal(t, latency, time.Since(start))
		require.Equal(t, "Sat, 01 Jan 2000 00:00:03 GMT", got.header.Get("Date"))
		newest := time.Unix(got.Data[0].Created, 0)
		require.WithinDuration(t, start.Add(2500*time.Millisecond), newest, time.Second)

		for _, after := range []time.Duration{0, time.Second, 4 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			began := time.Now()
			_, err := stripe.RoundTrip(request(t, 1, "/v1/charges").WithContext(ctx))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, after, time.Since(began))
			cancel()
		}
	})
}

func TestServeHTTPRespondsAsRoundTrip(t *testing.T) {
	broken := false
	stripe := newStripe(t, shops.Config{
		Start: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Minute), Period: time.Second,
		Fail: func(account int, _ time.Time) int {
			switch {
			case account == 2:
				return 503
			case broken:
				return shops.NetworkError
			}
			return 0
		},
		RetryAfter: time.Second,
	})
	server := httptest.NewServer(stripe)
	defer server.Close()
	for account, target := range []string{"/v1/account", "/v1/charges?limit=100", "/v1/charges", "/v1/nothing"} {
		r := request(t, account, target)
		want := send(t, stripe, r)
		r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		content, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want.status, resp.StatusCode)
		require.Equal(t, want.body, string(content))
		require.Equal(t, want.header.Get("Retry-After"), resp.Header.Get("Retry-After"))
		require.NotEmpty(t, resp.Header.Get("Date"))
	}
	broken = true
	r := request(t, 1, "/v1/charges")
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
	_, err := server.Client().Do(r)
	require.Error(t, err)
}

func TestACancelledRequestHasNoResponse(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := stripe.RoundTrip(request(t, 1, "/v1/charges").WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	_, err = stripe.RoundTrip(new(http.Request))
	require.ErrorContains(t, err, "no URL")
	require.False(t, errors.Is(err, context.Canceled))
}

// TestABodyIsOverWithClose closes a body twice. The two next responses must not
// share its buffer.
func TestABodyIsOverWithClose(t *testing.T) {
	stripe := newStripe(t, shops.Config{Period: time.Second, Start: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Minute)})
	open := func(account int) io.ReadCloser {
		resp, err := stripe.RoundTrip(request(t, account, "/v1/charges?limit=100"))
		require.NoError(t, err)
		return resp.Body
	}
	body := open(1)
	_, err := io.CopyN(io.Discard, body, 10)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	left, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, body.Close())

	second, third := open(2), open(3)
	for account, body := range map[int]io.ReadCloser{2: second, 3: third} {
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, get(t, stripe, account, "/v1/charges?limit=100").body, string(content))
	}
	require.NoError(t, second.Close())
	require.NoError(t, third.Close())
}

// FuzzQuery sends any query. The response is a page or a refusal.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"limit=100", "created[gte]=1&created%5Blt%5D=9223372036854775807", "created=-9223372036854775808",
		"starting_after=ch_1_5&limit=-1", "ending_before=ch_1_5", "created[gt]=9223372036854775807", "a=%zz&=&&expand[]=x",
	} {
		f.Add(seed)
	}
	stripe := newStripe(f, shops.Config{Period: time.Second, Start: time.Now().Add(-time.Hour)})
	f.Fuzz(func(t *testing.T, query string) {
		r := request(t, 1, "/v1/charges")
		r.URL.RawQuery = query
		resp, err := stripe.RoundTrip(r)
		require.NoError(t, err)
		content, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.True(t, json.Valid(content), "%s", content)
		require.Contains(t, []int{200, 400}, resp.StatusCode)
	})
}
