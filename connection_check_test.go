package stripekit_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestTestTellsWhoseConnectionItIs(t *testing.T) {
	n := &network{respond: func(*http.Request) (*http.Response, error) {
		pass(70 * time.Millisecond)
		return reply(200, `{"id":"acct_1","business_profile":{"name":"Shop"}}`, "Stripe-Version", "2020-08-27"), nil
	}}
	for name, set := range map[string]func(*stripekit.Connection){
		"plain":      func(*stripekit.Connection) {},
		"disabled":   func(c *stripekit.Connection) { c.Disabled = true },
		"write-only": func(c *stripekit.Connection) { c.Access = stripekit.WriteOnly },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cs := connectionsOver(n)
				c := connection("shop")
				set(&c)
				require.NoError(t, cs.Add(c))
				got, err := cs.Check(t.Context(), "shop")
				require.NoError(t, err)
				want := &stripekit.CheckResult{
					Account: &stripekit.Account{ID: "acct_1", Mode: stripekit.ModeTest},
					Mode:    stripekit.ModeTest, APIVersion: "2020-08-27", Duration: 70 * time.Millisecond,
				}
				want.Account.BusinessProfile.Name = "Shop"
				require.Empty(t, cmp.Diff(want, got))
			})
		})
	}
}

func TestTestTakesARestrictedKeyThatMayNotReadItsAccount(t *testing.T) {
	const message = `The provided key 'rk_test_***' does not have the required permissions for this endpoint%s. Having the 'rak_x' permission would allow this request to continue.`
	for on, want := range map[string]*stripekit.Account{
		" on account 'acct_1'": {ID: "acct_1", Mode: stripekit.ModeTest},
		"":                     nil,
	} {
		n := replies(403, `{"error":{"type":"invalid_request_error","message":"`+fmt.Sprintf(message, on)+`"}}`, "Stripe-Version", "v")
		cs := connectionsOver(n)
		c := connection("shop")
		c.APIKey = stripekit.NewSecret("rk_test_0123456789abcdef")
		require.NoError(t, cs.Add(c))
		got, err := cs.Check(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, want, got.Account)
		require.Equal(t, stripekit.ModeTest, got.Mode)
		require.Equal(t, "v", got.APIVersion)
	}
}

func TestTestNamesTheStepThatFailed(t *testing.T) {
	answers := func(status int, body string) http.RoundTripper { return replies(status, body) }
	for name, test := range map[string]struct {
		network http.RoundTripper
		step    stripekit.CheckStep
		reason  string
	}{
		"bad key": {
			answers(401, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_****stuv"}}`),
			stripekit.StepKey, "the service refuses the key: Invalid API Key provided: sk_test_****stuv (401)",
		},
		"no permission": {
			answers(403, `{"error":{"type":"invalid_request_error","message":"No."}}`),
			stripekit.StepPermission, "the key is good, but may not do this: No. (403)",
		},
		"limited": {answers(429, `{"error":{"message":"Too many."}}`), stripekit.StepService, "the service gives no good response: Too many. (429)"},
		"broken":  {answers(500, `{"error":{"message":"Oh."}}`), stripekit.StepService, "the service gives no good response: Oh. (500)"},
		"a page": {
			answers(200, "<html>"), stripekit.StepService,
			"the service gives no good response: reading the response: jsontext: invalid character '<' at start of value",
		},
		"dropped": {fails(io.ErrUnexpectedEOF), stripekit.StepService, "the service gives no good response: unexpected EOF"},
		"no name": {
			fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "api.stripe.com", Err: "no such host", IsNotFound: true}}),
			stripekit.StepNameResolution, "there is no address for api.stripe.com: dial tcp: lookup api.stripe.com: no such host",
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &counted{network: test.network}
			cs := connectionsOver(n)
			require.NoError(t, cs.Add(connection("shop")))
			_, err := cs.Check(t.Context(), "shop")
			require.EqualError(t, err, fmt.Sprintf(`stripe: connection "shop": %s: %s`, test.step, test.reason))
			var e *stripekit.CheckError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "shop", e.Connection)
			require.Equal(t, test.step, e.Step)
			require.Equal(t, 1, n.requests, "a test does not retry")
			var cause *stripekit.Error
			require.ErrorAs(t, err, &cause)
		})
	}
}

type counted struct {
	network  http.RoundTripper
	requests int
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests++
	return c.network.RoundTrip(r)
}

func TestTestEndsWithItsContextAndItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		cs := connectionsOver(silent)
		c := connection("shop")
		c.Timeout = 5 * time.Second
		require.NoError(t, cs.Add(c))
		start := time.Now()
		_, err := cs.Check(t.Context(), "shop")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = cs.Check(ctx, "shop")
		require.ErrorIs(t, err, context.Canceled)
		require.Contains(t, err.Error(), string(stripekit.StepService))
	})
}

func TestTestCountsTowardsTheRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: replies(200, `{"id":"acct_1"}`)}))
		require.NoError(t, cs.Add(connection("shop")))
		start := time.Now()
		for range 51 {
			_, err := cs.Check(t.Context(), "shop")
			require.NoError(t, err)
		}
		require.Equal(t, 2*time.Second, time.Since(start).Round(time.Millisecond))
	})
}

func TestCheckResultOfAHostileServiceHasNoKeyAndIsJSON(t *testing.T) {
	cs := connectionsOver(replies(200, `{"id":"acct_1"}`, "Stripe-Version", "\xff "+goodKey))
	got, err := opened(t, cs, connection("shop")).Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, "\uFFFD sk_test_****", got.APIVersion)
	_, err = got.MarshalJSON()
	require.NoError(t, err)
}

func TestCheckResultAsJSONAndInLogs(t *testing.T) {
	account := &stripekit.Account{ID: "acct_1", Country: "DE", Mode: stripekit.ModeTest}
	text := func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }
	for _, shown := range []struct {
		result    stripekit.CheckResult
		json, log string
	}{
		{
			stripekit.CheckResult{Account: account, Mode: stripekit.ModeTest, APIVersion: "2020-08-27", Duration: 70*time.Millisecond + 1},
			`{"account":{"id":"acct_1","business_profile":{"name":"","url":""},"business_name":"","charges_enabled":false,"country":"DE",` +
				`"created":0,"default_currency":"","details_submitted":false,"email":"","payouts_enabled":false,"type":""},` +
				`"mode":"test","api_version":"2020-08-27","duration_seconds":0.07}`,
			"msg=m s.mode=test s.api_version=2020-08-27 s.duration_seconds=0.07 s.account=acct_1\n",
		},
		{
			stripekit.CheckResult{Mode: stripekit.ModeLive, APIVersion: "v", Duration: 2 * time.Second},
			`{"mode":"live","api_version":"v","duration_seconds":2}`,
			"msg=m s.mode=live s.api_version=v s.duration_seconds=2\n",
		},
	} {
		requireJSON(t, shown.json, shown.result)
		require.Equal(t, shown.log, logged(shown.result, text))
		require.Equal(t, shown.log, logged(&shown.result, text))
	}
	requireJSON(t, `{"connection":"shop","step":"TLS","reason":"no"}`, stripekit.CheckError{Connection: "shop", Step: stripekit.StepTLS, Reason: "no"})
	requireJSON(t, `{"step":"key","reason":"no"}`, stripekit.CheckError{Step: stripekit.StepKey, Reason: "no"})
}
