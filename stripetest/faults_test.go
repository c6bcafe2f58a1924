package stripetest_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// overBoth runs a test with a listening server and with an in-memory one.
func overBoth(t *testing.T, name string, test func(*testing.T, *api), opts ...stripetest.Option) {
	t.Helper()
	t.Run(strings.TrimSpace(name+" over the network"), func(t *testing.T) {
		server := stripetest.New(opts...)
		t.Cleanup(server.Close)
		test(t, &api{t: t, server: server, key: testKey})
	})
	t.Run(strings.TrimSpace(name+" in memory"), func(t *testing.T) {
		test(t, memory(t, opts...))
	})
}

// try sends a request that may fail.
func (a *api) try(ctx context.Context, method, path, form string) (string, *http.Response, error) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, a.server.URL+path, strings.NewReader(form))
	require.NoError(a.t, err)
	maps.Copy(req.Header, a.header)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(a.key, "")
	resp, err := a.server.Client().Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return string(raw), resp, err
}

func TestFaultStrikesTheCallsItNames(t *testing.T) {
	const other = "other"
	tests := map[string]struct {
		route string
		calls stripetest.Calls
		want  string // for five requests GET /v1/charges/ch_x: x for each that the fault applies to
		apart bool   // the fault applies to GET /v1/customers/cus_x
	}{
		"every":           {"GET /v1/charges/{id}", stripetest.Every(), "xxxxx", false},
		"zero value":      {"GET /v1/charges/{id}", stripetest.Calls{}, "xxxxx", false},
		"first":           {"GET /v1/charges/{id}", stripetest.First(2), "xx...", false},
		"nth":             {"GET /v1/charges/{id}", stripetest.Nth(3), "..x..", false},
		"from":            {"GET /v1/charges/{id}", stripetest.From(4), "...xx", false},
		"none":            {"GET /v1/charges/{id}", stripetest.First(0), ".....", false},
		"literal path":    {"GET /v1/charges/ch_x", stripetest.First(1), "x....", false},
		"path alone":      {"/v1/charges/{id}", stripetest.First(1), "x....", false},
		"method alone":    {"GET", stripetest.Every(), "xxxxx", true},
		"all":             {"", stripetest.Every(), "xxxxx", true},
		"other method":    {"POST /v1/charges/{id}", stripetest.Every(), ".....", false},
		"other path":      {"GET /v1/customers/{id}", stripetest.Every(), ".....", true},
		"other literal":   {"GET /v1/charges/ch_y", stripetest.Every(), ".....", false},
		"not the search":  {"GET /v1/charges/search", stripetest.Every(), ".....", false},
		"not the listing": {"GET /v1/charges", stripetest.Every(), ".....", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			f := a.server.Fault(test.route, test.calls, stripetest.Respond(503, other))
			got := ""
			for range 5 {
				mark := "."
				if raw, _, err := a.try(t.Context(), "GET", "/v1/charges/ch_x", ""); err == nil && raw == other {
					mark = "x"
				}
				got += mark
			}
			require.Equal(t, test.want, got)
			require.Equal(t, strings.Count(got, "x"), f.Struck())
			raw, _, err := a.try(t.Context(), "GET", "/v1/customers/cus_x", "")
			require.NoError(t, err)
			require.Equal(t, test.apart, raw == other)
		})
	}
}

func TestFaultCanStandForAnEndpointThatIsNotThere(t *testing.T) {
	a := memory(t)
	a.server.Fault("GET /v1/balance", stripetest.Every(), stripetest.Respond(200, `{"object":"balance"}`))
	require.Equal(t, "balance", a.get("/v1/balance")["object"])
}

func TestRemovedFaultsStrikeNoMore(t *testing.T) {
	a := memory(t)
	one := a.server.Fault("", stripetest.Every(), stripetest.SetHeader("X-One", "1"))
	a.server.Fault("", stripetest.Every(), stripetest.SetHeader("X-Two", "2"))
	both := a.do("GET", "/v1/account", "").header
	require.Equal(t, "1", both.Get("X-One"))
	require.Equal(t, "2", both.Get("X-Two"))
	one.Remove()
	one.Remove()
	require.NotContains(t, a.do("GET", "/v1/account", "").header, "X-One")
	a.server.RemoveFaults()
	require.NotContains(t, a.do("GET", "/v1/account", "").header, "X-Two")
}

func TestRateLimitSaysWhy(t *testing.T) {
	for _, reason := range []stripetest.RateLimitReason{
		"global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", "resource-specific",
	} {
		a := memory(t)
		a.server.Fault("", stripetest.Every(), stripetest.RateLimit(reason))
		r := a.do("GET", "/v1/charges", "")
		require.Equal(t, http.StatusTooManyRequests, r.status)
		require.Equal(t, "rate_limit", r.failure()["code"])
		require.Equal(t, string(reason), r.header.Get("Stripe-Rate-Limited-Reason"))
		require.NotContains(t, r.header, "Retry-After")
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	tests := map[string]struct {
		effect stripetest.Effect
		want   string
	}{
		"seconds":    {stripetest.RetryAfter(3 * time.Second), "3"},
		"rounded up": {stripetest.RetryAfter(2500 * time.Millisecond), "3"},
		"none":       {stripetest.RetryAfter(0), "0"},
		"date":       {stripetest.RetryAfterDate(20 * time.Second), "Tue, 14 Nov 2023 22:13:40 GMT"},
		"nonsense":   {stripetest.SetHeader("Retry-After", "soon"), "soon"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t, stripetest.WithClock(at(1700000000).read))
			a.server.Fault("", stripetest.Every(), stripetest.RateLimit(stripetest.EndpointRate), test.effect)
			require.Equal(t, test.want, a.do("GET", "/v1/charges", "").header.Get("Retry-After"))
		})
	}
}

func TestLockTimeoutHasNoReason(t *testing.T) {
	a := memory(t)
	a.server.Fault("POST /v1/charges", stripetest.First(1), stripetest.LockTimeout())
	r := a.do("POST", "/v1/charges", visa)
	require.Equal(t, http.StatusTooManyRequests, r.status)
	require.Equal(t, "lock_timeout", r.failure()["code"])
	require.NotContains(t, r.header, "Stripe-Rate-Limited-Reason")
	ids, _ := a.page("/v1/charges", nil)
	require.Empty(t, ids)
}

func TestFaultsBeforeAndAfterTheCharge(t *testing.T) {
	tests := map[string]struct {
		effect  stripetest.Effect
		err     error // of the request or of reading its body
		status  int   // if there is a response
		raw     string
		charged bool
		logged  int // the recorded status
	}{
		"respond":            {stripetest.Respond(502, "<html>"), nil, 502, "<html>", false, 502},
		"replace":            {stripetest.Replace(504, "late"), nil, 504, "late", true, 504},
		"closed before":      {stripetest.Drop(stripetest.BeforeCall), io.EOF, 0, "", false, 0},
		"closed after":       {stripetest.Drop(stripetest.BeforeResponse), io.EOF, 0, "", true, 0},
		"closed in the body": {stripetest.Drop(stripetest.InResponse), io.ErrUnexpectedEOF, 200, "", true, 200},
		"reset before":       {stripetest.Reset(stripetest.BeforeCall), syscall.ECONNRESET, 0, "", false, 0},
		"reset after":        {stripetest.Reset(stripetest.BeforeResponse), syscall.ECONNRESET, 0, "", true, 0},
		"reset in the body":  {stripetest.Reset(stripetest.InResponse), syscall.ECONNRESET, 0, "", true, 200},
		"truncated":          {stripetest.Truncate(10), nil, 200, "{\n  \"id\": ", true, 200},
		"truncated to none":  {stripetest.Truncate(-1), nil, 200, "", true, 200},
	}
	for name, test := range tests {
		overBoth(t, name, func(t *testing.T, a *api) {
			a.server.Fault("POST /v1/charges", stripetest.First(1), test.effect)
			raw, resp, err := a.try(t.Context(), "POST", "/v1/charges", visa)
			require.ErrorIs(t, err, test.err)
			if err == nil {
				require.Equal(t, test.raw, raw)
			}
			if test.status != 0 {
				require.Equal(t, test.status, resp.StatusCode)
			}
			require.Equal(t, test.logged, a.server.Requests()[0].Status)
			ids, _ := a.page("/v1/charges", nil)
			require.Equal(t, test.charged, len(ids) == 1)
		})
	}
}

func TestDropAfterTheResponseLosesNothing(t *testing.T) {
	overBoth(t, "", func(t *testing.T, a *api) {
		a.server.Fault("", stripetest.Every(), stripetest.Drop(stripetest.AfterResponse))
		for range 3 {
			require.Equal(t, "account", a.get("/v1/account")["object"])
		}
	})
}

func TestLostResponseIsReplayed(t *testing.T) {
	lost := map[string]stripetest.Effect{
		"connection": stripetest.Reset(stripetest.BeforeResponse),
		"body":       stripetest.Drop(stripetest.InResponse),
		"proxy":      stripetest.Replace(502, "bad gateway"),
		"garbled":    stripetest.Garble(),
		"truncated":  stripetest.Truncate(3),
	}
	for name, effect := range lost {
		overBoth(t, name, func(t *testing.T, a *api) {
			a.server.Fault("POST /v1/charges", stripetest.First(1), effect)
			keyed := a.with("Idempotency-Key", "k")
			_, _, _ = keyed.try(t.Context(), "POST", "/v1/charges", visa)
			r := keyed.do("POST", "/v1/charges", visa)
			require.Equal(t, http.StatusOK, r.status)
			require.Equal(t, "true", r.header.Get("Idempotent-Replayed"))
			ids, _ := a.page("/v1/charges", nil)
			require.Equal(t, []string{r.body["id"].(string)}, ids)
		})
	}
}

func TestGarbledBodyIsNotJSON(t *testing.T) {
	a := memory(t)
	a.server.Fault("", stripetest.First(1), stripetest.Garble())
	raw, resp, err := a.try(t.Context(), "GET", "/v1/account", "")
	require.NoError(t, err)
	require.Equal(t, int64(len(raw)), resp.ContentLength)
	require.Equal(t, byte(0xff), raw[0])
	require.Equal(t, "account", a.get("/v1/account")["object"])
}

func TestDelayHonoursTheContext(t *testing.T) {
	tests := map[string]struct {
		effect  stripetest.Effect
		charged bool
	}{
		"before": {stripetest.Delay(time.Hour), false},
		"after":  {stripetest.DelayResponse(time.Hour), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := memory(t)
				a.server.Fault("POST", stripetest.First(1), test.effect)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				keyed := a.with("Idempotency-Key", "k")
				_, _, err := keyed.try(ctx, "POST", "/v1/charges", visa)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, time.Minute, time.Since(start))

				ids, _ := a.page("/v1/charges", nil)
				require.Equal(t, test.charged, len(ids) == 1)
				r := keyed.do("POST", "/v1/charges", visa)
				require.Equal(t, http.StatusOK, r.status, "the key is free or has a response")
				require.Equal(t, test.charged, r.header.Get("Idempotent-Replayed") == "true")
			})
		})
	}
}

func TestDelayTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := memory(t)
		start := time.Now()
		a.server.Fault("", stripetest.Every(), stripetest.Delay(time.Second), stripetest.DelayResponse(2*time.Second))
		date := a.do("GET", "/v1/account", "").header.Get("Date")
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, start.Add(time.Second).UTC().Format(http.TimeFormat), date)
	})
}

func TestDelayEndsWhenTheClientGoesAway(t *testing.T) {
	for name, effect := range map[string]stripetest.Effect{"before": stripetest.Delay(time.Hour), "after": stripetest.DelayResponse(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			server := stripetest.New()
			a := &api{t: t, server: server, key: testKey}
			reached := make(chan struct{})
			server.Fault("", stripetest.First(1), stripetest.Do(func() { close(reached) }), effect)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				_, _, err := a.try(ctx, "GET", "/v1/account", "")
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error is %v", err)
				}
			})
			<-reached
			cancel()
			wg.Wait()
			server.Close()
		})
	}
}

func TestDoRunsBeforeTheCall(t *testing.T) {
	a := memory(t)
	ids := a.server.SeedCharges(3, 1)
	customer := a.post("/v1/customers", "")["id"].(string)
	a.server.Fault("GET /v1/customers", stripetest.First(1), stripetest.Do(func() {
		a.do("DELETE", "/v1/customers/"+customer, "")
	}))
	got, _ := a.page("/v1/customers", nil)
	require.Empty(t, got)
	r := a.do("GET", "/v1/customers?starting_after="+customer, "")
	require.Equal(t, "resource_missing", r.failure()["code"])
	charges, _ := a.page("/v1/charges", nil)
	require.Len(t, charges, len(ids))
}

func TestHasMoreLies(t *testing.T) {
	a := memory(t)
	a.server.SeedCharges(3, 1)
	honest := a.do("GET", "/v1/charges?limit=2", "")
	a.server.Fault("", stripetest.First(1), stripetest.HasMore(false))
	lie := a.do("GET", "/v1/charges?limit=2", "")
	require.Equal(t, strings.Replace(honest.raw, `"has_more": true`, `"has_more": false`, 1), lie.raw)
	a.server.Fault("", stripetest.First(1), stripetest.HasMore(true))
	require.Equal(t, true, a.get("/v1/charges")["has_more"])
	a.server.Fault("", stripetest.Every(), stripetest.HasMore(true))
	require.NotContains(t, a.get("/v1/account"), "has_more")
}

func TestDateCanBeWrongAndJump(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	a.server.Fault("", stripetest.Nth(2), stripetest.DateOffset(-time.Hour))
	a.server.Fault("", stripetest.Nth(3), stripetest.SetHeader("Date", ""))
	var got []string
	for range 4 {
		got = append(got, a.do("POST", "/v1/customers", "").header.Get("Date"))
	}
	right := "Tue, 14 Nov 2023 22:13:20 GMT"
	require.Empty(t, cmp.Diff([]string{right, "Tue, 14 Nov 2023 21:13:20 GMT", "", right}, got))
}

func TestFaultOnAHandlerWithoutAConnectionAborts(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	server.Fault("", stripetest.Every(), stripetest.Drop(stripetest.BeforeCall))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		server.ServeHTTP(noWriter{}, &http.Request{Method: "GET", URL: mustURL(t, "/v1/account"), Header: http.Header{}})
	})
}

// noWriter is a ResponseWriter that cannot be hijacked.
type noWriter struct{}

func (noWriter) Header() http.Header         { return http.Header{} }
func (noWriter) Write(p []byte) (int, error) { return len(p), nil }
func (noWriter) WriteHeader(int)             {}

func mustURL(t *testing.T, path string) *url.URL {
	parsed, err := url.Parse(path)
	require.NoError(t, err)
	return parsed
}
