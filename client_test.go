package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const goodKey = "sk_test_51abcdefghijklmnopqrstuv"

// network is an http.RoundTripper made of a function. It records the requests.
type network struct {
	respond func(*http.Request) (*http.Response, error)

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	n.requests, n.bodies = append(n.requests, r), append(n.bodies, string(body))
	n.mu.Unlock()
	return n.respond(r)
}

// last returns the last request.
func (n *network) last() *http.Request { return n.requests[len(n.requests)-1] }

// reply is a response; header alternates names and values.
func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// replies returns the same response to every request.
func replies(status int, body string, header ...string) *network {
	return &network{respond: func(*http.Request) (*http.Response, error) { return reply(status, body, header...), nil }}
}

// inTurn responds with one function after the other, and then always with the last.
func inTurn(steps ...*network) *network {
	n := new(network)
	n.respond = func(r *http.Request) (*http.Response, error) {
		return steps[min(len(n.requests), len(steps))-1].respond(r)
	}
	return n
}

// fails makes every request fail.
func fails(err error) *network {
	return &network{respond: func(*http.Request) (*http.Response, error) { return nil, err }}
}

// clientOver makes a client without rate limits over a network.
func clientOver(t testing.TB, n http.RoundTripper, opts ...stripekit.Option) *stripekit.Client {
	t.Helper()
	opts = append([]stripekit.Option{
		stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithRateLimit(stripekit.RateLimit{}),
	}, opts...)
	c, err := stripekit.New(goodKey, opts...)
	require.NoError(t, err)
	return c
}

// clientOf makes a client of a fake server.
func clientOf(t testing.TB, server *stripetest.Server, opts ...stripekit.Option) *stripekit.Client {
	t.Helper()
	return clientOver(t, server, append([]stripekit.Option{stripekit.WithBaseURL(server.URL)}, opts...)...)
}

func TestNewTakesSecretAndRestrictedKeysOnly(t *testing.T) {
	for key, mode := range map[string]stripekit.Mode{
		"sk_test_123": stripekit.ModeTest, "rk_test_123": stripekit.ModeTest, "sk_live_123": stripekit.ModeLive, "rk_live_123": stripekit.ModeLive,
		"sk_test_4eC39HqLyjWDarjtT1zdp7dc": stripekit.ModeTest,
	} {
		c, err := stripekit.New(key)
		require.NoError(t, err)
		require.Equal(t, mode, c.Mode())
	}
	for _, key := range []string{
		"", " ", "sk", "sk_", "sk_test", "sk_test_", "sk_live_", "rk_test_", "rk_live_", "sk_prod_123", "SK_TEST_123", "xsk_test_123",
		"pk_test_123", "pk_live_123", "ak_test_123", "whsec_123", "Bearer sk_test_123",
		" sk_test_123", "sk_test_123 ", "sk_test_1 23", "sk_test_123\n", "sk_test_\r\nX: y", "sk_test_\x00", "sk_test_\x7f", "sk_test_1\t",
		"sk_test_schlüssel", "sk_test_１２３", "sk_test_\xff", "sk_test_12\u200b3", "sk_test_123:", "sk_test_12:3",
	} {
		c, err := stripekit.New(key)
		require.Nil(t, c, "%q", key)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest, "%q", key)
		var pe *stripekit.ParamError
		require.ErrorAs(t, err, &pe)
		require.Equal(t, "api key", pe.Param)
		if len(key) > len("sk_test_") {
			require.NotContains(t, err.Error(), strings.TrimSpace(key), "a message does not quote the key")
		}
	}
	_, err := stripekit.New("pk_test_123")
	require.ErrorContains(t, err, "publishable")
}

func TestWithAccountActsForTheConnectedAccount(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	c := clientOf(t, server)
	connected := c.WithAccount("acct_1Connected")
	ctx := t.Context()

	made, err := connected.Customers.Create(ctx, stripekit.CustomerCreateParams{})
	require.NoError(t, err)
	_, err = connected.Customers.Get(ctx, made.ID)
	require.NoError(t, err)
	_, err = c.Customers.Get(ctx, made.ID)
	require.ErrorIs(t, err, stripekit.ErrNotFound, "the key's own account is another")
	_, err = connected.WithAccount("").Customers.Get(ctx, made.ID)
	require.ErrorIs(t, err, stripekit.ErrNotFound)
	result, err := connected.Check(ctx)
	require.NoError(t, err)
	require.Equal(t, "acct_1Connected", result.Account.ID)

	var headers []string
	for _, r := range server.Requests() {
		headers = append(headers, r.Header.Get("Stripe-Account"))
	}
	require.Equal(t, []string{"acct_1Connected", "acct_1Connected", "", "", "acct_1Connected"}, headers)
	require.Equal(t, c.Mode(), connected.Mode())
}

func TestWithAccountRefusesWhatCannotBeInAHeader(t *testing.T) {
	n := replies(200, "{}")
	for _, id := range []string{"acct_1\r\nX: y", "acct 1", "acct_ü", "\x00"} {
		_, err := clientOver(t, n).WithAccount(id).Check(t.Context())
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	}
	require.Empty(t, n.requests)
}

func TestClientTellsItsRateLimits(t *testing.T) {
	given := stripekit.RateLimit{Total: 7, Endpoint: 5, Search: 3}
	for want, opts := range map[stripekit.RateLimit][]stripekit.Option{
		{Total: 25, Endpoint: 25, Search: 20}: nil,
		given:                                 {stripekit.WithRateLimit(given)},
		{}:                                    {stripekit.WithBaseURL("https://stripe.test")},
	} {
		c, err := stripekit.New("sk_test_123", opts...)
		require.NoError(t, err)
		require.Equal(t, want, c.RateLimit())
		require.Equal(t, want, c.WithAccount("acct_1").RateLimit())
	}
}

func TestCopiesOfAClientShareTheirRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOver(t, replies(200, "{}"), stripekit.WithRateLimit(stripekit.RateLimit{Total: 1}))
		start := time.Now()
		for _, copied := range []*stripekit.Client{c, c.WithAccount("acct_1"), c.WithAccount("acct_2").WithAccount("acct_3")} {
			_, err := copied.Check(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestCopiesOfAClientShareThePauseAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := inTurn(replies(429, `{"error":{"type":"invalid_request_error"}}`, "Retry-After", "9"), replies(200, "{}"))
		c := clientOver(t, n, stripekit.WithMaxRetries(0))
		_, err := c.Check(t.Context())
		require.ErrorIs(t, err, stripekit.ErrRateLimited)
		start := time.Now()
		_, err = c.WithAccount("acct_1").Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, 9*time.Second, time.Since(start))
	})
}

func TestCheckReportsTheAccountOfTheKey(t *testing.T) {
	server := stripetest.New(stripetest.InMemory(), stripetest.WithKeys("sk_live_1", goodKey))
	for key, mode := range map[string]stripekit.Mode{"sk_live_1": stripekit.ModeLive, goodKey: stripekit.ModeTest} {
		c, err := stripekit.New(key, stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL))
		require.NoError(t, err)
		result, err := c.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, mode, result.Mode)
		require.Equal(t, stripekit.APIVersion, result.APIVersion)
		require.Regexp(t, "^acct_1", result.Account.ID)
		require.Equal(t, mode, result.Account.Mode)
		require.Equal(t, "US", result.Account.Country)
		require.True(t, result.Account.ChargesEnabled)
	}
	c, err := stripekit.New("sk_test_revoked12345", stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	result, err := c.Check(t.Context())
	require.Nil(t, result)
	require.ErrorIs(t, err, stripekit.ErrAuthentication)
	failed, ok := errors.AsType[*stripekit.CheckError](err)
	require.True(t, ok)
	require.Equal(t, stripekit.StepKey, failed.Step)
	require.Empty(t, failed.Connection)
	require.EqualError(t, err, "stripe: key: the service refuses the key: Invalid API Key provided: sk_test_****2345 (401)")
}

func TestCheckTakesARestrictedKeyThatMayNotReadItsAccount(t *testing.T) {
	const refused = `{"error":{"type":"invalid_request_error","message":"The provided key 'rk_test_***' does not have the required permissions for this endpoint on account 'acct_1'. Having the 'x' permission would allow this request to continue."}}`
	for key, want := range map[string]*stripekit.Account{
		"rk_test_1": {ID: "acct_1", Mode: stripekit.ModeTest},
		"sk_test_1": nil, // a secret key always has the permission, so the 403 has another reason
	} {
		c, err := stripekit.New(key, stripekit.WithHTTPClient(&http.Client{Transport: replies(403, refused)}))
		require.NoError(t, err)
		result, err := c.Check(t.Context())
		if want == nil {
			require.ErrorIs(t, err, stripekit.ErrPermission)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, result.Account)
	}
}

func TestCheckDoesNotRetry(t *testing.T) {
	n := replies(500, "{}")
	_, err := clientOver(t, n).Check(t.Context())
	require.ErrorIs(t, err, stripekit.ErrAPI)
	require.Len(t, n.requests, 1)
}

func TestCallReachesAnyEndpoint(t *testing.T) {
	type params struct {
		Amount int64   `form:"amount"`
		Name   *string `form:"name"`
	}
	for name, test := range map[string]struct {
		method string
		params any
		query  string
		body   string
	}{
		"nil":        {"GET", nil, "", ""},
		"struct":     {"POST", params{Amount: 5, Name: new("")}, "", "amount=5&name="},
		"pointer":    {"POST", &params{Amount: 5}, "", "amount=5"},
		"map":        {"POST", map[string]any{"b": map[string]string{"c": "d&e"}, "a": 1}, "", "a=1&b[c]=d%26e"},
		"query":      {"GET", map[string]string{"a": "b c"}, "a=b+c", ""},
		"delete":     {"DELETE", map[string]string{"a": "b"}, "a=b", ""},
		"url.Values": {"POST", url.Values{"a": {"1"}, "expand[]": {"x", "y"}}, "", "a=1&expand%5B%5D=x&expand%5B%5D=y"},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(200, `{"id":"po_1","amount":7}`)
			var out struct {
				ID     string `json:"id"`
				Amount int64  `json:"amount"`
			}
			require.NoError(t, clientOver(t, n).Call(t.Context(), test.method, "/v1/payouts", test.params, &out))
			require.Equal(t, "po_1", out.ID)
			require.Equal(t, int64(7), out.Amount)
			require.Equal(t, test.method, n.last().Method)
			require.Equal(t, "https://api.stripe.com/v1/payouts", strings.TrimSuffix(n.last().URL.String(), "?"+test.query))
			require.Equal(t, test.query, n.last().URL.RawQuery)
			require.Equal(t, test.body, n.bodies[0])
			require.Equal(t, test.method == "POST", n.last().Header.Get("Idempotency-Key") != "")
		})
	}
}

func TestCallWithoutOutIgnoresTheResponse(t *testing.T) {
	for _, body := range []string{"", "{}", "not JSON"} {
		require.NoError(t, clientOver(t, replies(200, body)).Call(t.Context(), "GET", "/v1/payouts", nil, nil))
	}
}

func TestCallRefusesWhatItCouldNotSendOrRead(t *testing.T) {
	type embedding struct {
		stripekit.ListParams
		Type string `form:"type"`
	}
	n := replies(200, "{}")
	c := clientOver(t, n)
	for name, test := range map[string]struct {
		params, out any
		message     string
	}{
		"JSON tags": {struct {
			Amount int `json:"amount"`
		}{2000}, nil, "stripe: params: field Amount of struct { Amount int \"json:\\\"amount\\\"\" } has no form tag"},
		"embedded":  {&embedding{}, nil, "stripe: params: field ListParams of stripekit_test.embedding has no form tag"},
		"time":      {map[string]any{"trial_end": time.Unix(1, 0)}, nil, `stripe: POST /v1/subscriptions: form: type cannot be encoded: no field of time.Time at "trial_end" has a form tag`},
		"value":     {nil, stripekit.Charge{}, "stripe: out: must be a pointer that is not nil, and is a stripekit.Charge"},
		"typed nil": {nil, (*stripekit.Charge)(nil), "stripe: out: must be a pointer that is not nil, and is a *stripekit.Charge"},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, c.Call(t.Context(), "POST", "/v1/subscriptions", test.params, test.out), test.message)
		})
	}
	require.Empty(t, n.requests)
}

func TestExtraRefusesATimeThatWouldUnsetTheParameter(t *testing.T) {
	n := replies(200, "{}")
	_, err := clientOver(t, n).Customers.Update(t.Context(), "cus_1", stripekit.CustomerUpdateParams{Extra: stripekit.Extra{"description": time.Unix(1, 0)}})
	require.ErrorContains(t, err, "time.Time")
	require.Empty(t, n.requests)
}

func TestCallRefusesPathsThatLeadElsewhere(t *testing.T) {
	n := replies(200, "{}")
	c := clientOver(t, n)
	for _, path := range []string{
		"", "/", "v1/charges", "/v1", "/v1charges", "/v3/charges", "//evil.com", "//evil.com/v1/charges", "https://evil.com/v1/charges",
		"@evil.com/v1/", ".evil.com/v1/", "/v1/../v3", "/v1/charges/..", "/v1/./charges", "/v1/%2e%2e/x", "/v1/.%2E/x", "/v1/a%2f..%2fb",
		"/v1/charges?limit=1", "/v1/charges?", "/v1/charges#x", "/v1/charges#", "/v1/%zz", "/v1/a\nb", "/v1/a\x00", "/v1/ \x7f",
	} {
		err := c.Call(t.Context(), "GET", path, nil, nil)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest, "%q", path)
	}
	for _, method := range []string{"", "get", "PUT", "PATCH", "HEAD", "GET /v1/x HTTP/1.1\r\n"} {
		require.ErrorIs(t, c.Call(t.Context(), method, "/v1/charges", nil, nil), stripekit.ErrInvalidRequest, "%q", method)
	}
	require.ErrorContains(t, c.Call(t.Context(), "POST", "/v1/charges", 5, nil), "cannot be encoded")
	require.Empty(t, n.requests)
	for _, path := range []string{"/v1/charges", "/v1/products/a%20b", "/v1/products/a..b", "/v1/products/%2540"} {
		require.NoError(t, c.Call(t.Context(), "GET", path, nil, nil), "%q", path)
		require.Equal(t, "https://api.stripe.com"+path, n.last().URL.String())
	}
}

func TestIDsLeadNowhereElse(t *testing.T) {
	n := replies(200, "{}")
	c := clientOver(t, n)
	for _, id := range []string{"", ".", "..", "../charges", "a/b", `a\b`, "a?b", "a#b", "a%2fb", "a&b=c", "a\nb", "a\x00", "\xff", strings.Repeat("a", 256)} {
		_, err := c.Customers.Get(t.Context(), id)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest, "%q", id)
	}
	require.Empty(t, n.requests)
	for id, path := range map[string]string{"cus_1": "cus_1", "my product": "my%20product", "é@+": "%C3%A9@+"} {
		_, err := c.Customers.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "/v1/customers/"+path, n.last().URL.EscapedPath())
	}
}

func TestRequestsArePinnedToAVersion(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/charges": stripekit.APIVersion, "/v1/payouts": stripekit.APIVersion,
		"/v1/orders": "2020-08-27", "/v1/orders/or_1/pay": "2020-08-27", "/v1/order_returns": "2020-08-27",
	} {
		n := replies(200, "{}")
		require.NoError(t, clientOver(t, n).Call(t.Context(), "GET", path, nil, nil))
		require.Equal(t, want, n.last().Header.Get("Stripe-Version"), path)

		require.NoError(t, clientOver(t, n, stripekit.WithAPIVersion("2017-08-15")).WithAccount("acct_1").Call(t.Context(), "GET", path, nil, nil))
		require.Equal(t, "2017-08-15", n.last().Header.Get("Stripe-Version"), path)
	}
}

func TestWithExpandAsksForObjects(t *testing.T) {
	n := replies(200, `{"id":"ch_1","customer":{"id":"cus_1","email":"a@b.c"}}`)
	c := clientOver(t, n)
	charge, err := c.Charges.Get(t.Context(), "ch_1", stripekit.WithExpand("customer", "invoice"), stripekit.WithExpand("order"))
	require.NoError(t, err)
	require.Equal(t, "a@b.c", charge.Customer.Object.Email)
	require.Equal(t, "expand[0]=customer&expand[1]=invoice&expand[2]=order", n.last().URL.RawQuery)
	_, err = c.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Name: new("A")}, stripekit.WithExpand("default_source"))
	require.NoError(t, err)
	require.Equal(t, "name=A&expand[0]=default_source", n.bodies[1])
	_, err = c.Charges.Get(t.Context(), "ch_1", stripekit.WithExpand("customer", ""))
	require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	require.Len(t, n.requests, 2)
}

func TestIdempotencyKeysOfPosts(t *testing.T) {
	n := replies(200, `{"id":"cus_1"}`)
	c := clientOver(t, n)
	create := func(opts ...stripekit.CallOption) error {
		_, err := c.Customers.Create(t.Context(), stripekit.CustomerCreateParams{}, opts...)
		return err
	}
	for _, key := range []string{"k", "order 17/charge", strings.Repeat("k", 255)} {
		require.NoError(t, create(stripekit.WithIdempotencyKey(key)))
		require.Equal(t, key, n.last().Header.Get("Idempotency-Key"))
	}
	seen := map[string]bool{}
	for range 100 {
		require.NoError(t, create())
		key := n.last().Header.Get("Idempotency-Key")
		require.GreaterOrEqual(t, len(key), 26)
		seen[key] = true
	}
	require.Len(t, seen, 100, "each call has a key of its own")
	made := len(n.requests)
	for _, key := range []string{"", strings.Repeat("k", 256), "a\nb", "a\x00", "ü", "\x7f"} {
		require.ErrorIs(t, create(stripekit.WithIdempotencyKey(key)), stripekit.ErrInvalidRequest, "%q", key)
	}
	require.Len(t, n.requests, made)
	_, err := c.Customers.Get(t.Context(), "cus_1", stripekit.WithIdempotencyKey("k"))
	require.NoError(t, err)
	require.NotContains(t, n.last().Header, "Idempotency-Key")
}

func TestCaptureResponseTellsOfTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := inTurn(replies(503, ""), &network{respond: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(200, `{"id":"ch_1"}`, "Request-Id", "req_2", "Idempotent-Replayed", "true"), nil
		}})
		var got stripekit.Response
		_, err := clientOver(t, n).Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(&got))
		require.NoError(t, err)
		require.Equal(t, "application/json", got.Header.Get("Content-Type"))
		got.Header = nil
		require.Empty(t, cmp.Diff(stripekit.Response{Status: 200, RequestID: "req_2", IdempotentReplayed: true, Attempts: 2, Duration: time.Second, Body: []byte(`{"id":"ch_1"}`)}, got))
	})
}

func TestCaptureResponseTellsOfErrorsToo(t *testing.T) {
	got := stripekit.Response{Status: 1}
	_, err := clientOver(t, replies(402, `{"error":{"code":"card_declined"}}`, "Request-Id", "req_1")).
		Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(&got))
	require.ErrorIs(t, err, stripekit.ErrCardDeclined)
	require.Equal(t, 402, got.Status)
	require.Equal(t, "req_1", got.RequestID)
	require.False(t, got.IdempotentReplayed)

	got = stripekit.Response{Status: 1}
	c := clientOver(t, fails(io.ErrUnexpectedEOF), stripekit.WithMaxRetries(0))
	_, err = c.Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(&got))
	require.Error(t, err)
	require.Equal(t, stripekit.Response{Status: 1}, got, "no response, nothing to tell")
	_, err = c.Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(nil))
	require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
}

func TestCancelledContextMatchesItsError(t *testing.T) {
	for name, n := range map[string]*network{
		"at once": replies(200, "{}"),
		"waiting": {respond: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}},
		"retrying": replies(500, "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if name == "at once" {
					cancel()
				}
				time.AfterFunc(100*time.Millisecond, cancel)
				_, err := clientOver(t, n).Charges.Get(ctx, "ch_1")
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				var e *stripekit.Error
				require.ErrorAs(t, err, &e)
				require.Zero(t, e.HTTPStatus)
				require.Equal(t, name != "at once", e.Attempts == 1)
			})
		})
	}
}

func TestClientFormatsWithoutItsInside(t *testing.T) {
	c := clientOver(t, replies(200, "{}"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		require.Equal(t, "stripekit.Client{mode: test}", fmt.Sprintf(verb, c))
		require.Equal(t, "stripekit.Client{mode: test, account: acct_1}", fmt.Sprintf(verb, *c.WithAccount("acct_1")))
	}
}
