package stripekit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// sentinels are all kinds of errors, by the word that the tests use.
var sentinels = map[string]error{
	"authentication": stripekit.ErrAuthentication,
	"permission":     stripekit.ErrPermission,
	"not found":      stripekit.ErrNotFound,
	"declined":       stripekit.ErrCardDeclined,
	"invalid":        stripekit.ErrInvalidRequest,
	"idempotency":    stripekit.ErrIdempotency,
	"rate":           stripekit.ErrRateLimited,
	"conflict":       stripekit.ErrConflict,
	"api":            stripekit.ErrAPI,
	"unknown":        stripekit.ErrOutcomeUnknown,
}

// requireKinds compares an error with every sentinel.
func requireKinds(t *testing.T, err error, kinds ...string) {
	t.Helper()
	want := map[string]bool{}
	for _, kind := range kinds {
		require.Contains(t, sentinels, kind)
		want[kind] = true
	}
	for kind, sentinel := range sentinels {
		require.Equal(t, want[kind], errors.Is(err, sentinel), "errors.Is(%v, %s)", err, kind)
	}
}

func TestErrorKinds(t *testing.T) {
	const invalid = `"type":"invalid_request_error"`
	for name, test := range map[string]struct {
		status int
		body   string // of the error
		kinds  []string
	}{
		"no key":              {401, invalid + `,"message":"You did not provide an API key."`, []string{"authentication"}},
		"bad key":             {401, invalid + `,"message":"Invalid API Key provided: sk_test_****1234"`, []string{"authentication"}},
		"expired key":         {401, invalid + `,"code":"api_key_expired"`, []string{"authentication"}},
		"no permission":       {403, invalid + `,"message":"The provided key 'rk_test_***' does not have …"`, []string{"permission"}},
		"no such object":      {404, invalid + `,"code":"resource_missing","param":"id"`, []string{"not found"}},
		"no such cursor":      {400, invalid + `,"code":"resource_missing","param":"starting_after"`, []string{"invalid", "not found"}},
		"missing parameter":   {400, invalid + `,"code":"parameter_missing","param":"amount"`, []string{"invalid"}},
		"unknown parameter":   {400, invalid + `,"code":"parameter_unknown"`, []string{"invalid"}},
		"bad integer":         {400, invalid + `,"code":"parameter_invalid_integer"`, []string{"invalid"}},
		"empty":               {400, invalid + `,"code":"parameter_invalid_empty"`, []string{"invalid"}},
		"unknown route":       {404, invalid + `,"message":"Unrecognized request URL (GET: /v1/x)."`, []string{"not found"}},
		"declined":            {402, `"type":"card_error","code":"card_declined","decline_code":"generic_decline","charge":"ch_1"`, []string{"declined"}},
		"rate limited":        {429, `"type":"rate_limit_error","code":"rate_limit"`, []string{"rate"}},
		"object lock":         {429, invalid + `,"code":"lock_timeout"`, []string{"rate", "conflict"}},
		"key in flight":       {409, `"type":"idempotency_error","code":"idempotency_key_in_use"`, []string{"conflict", "idempotency"}},
		"key in flight, code": {409, invalid + `,"code":"idempotency_key_in_use"`, []string{"conflict", "idempotency"}},
		"key of others":       {400, `"type":"idempotency_error","message":"Keys for idempotent requests …"`, []string{"invalid", "idempotency"}},
		"conflict":            {409, invalid, []string{"conflict"}},
		"refunded":            {400, invalid + `,"code":"charge_already_refunded"`, []string{"invalid"}},
		"broken":              {500, `"type":"api_error"`, []string{"api"}},
		"overloaded":          {503, `"type":"api_error"`, []string{"api"}},
		"the type lies":       {500, `"type":"card_error","code":"card_declined"`, []string{"api"}},
		"another 4xx":         {418, invalid, []string{"invalid"}},
		"redirect":            {302, invalid, []string{"api"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(test.status, `{"error":{`+test.body+`}}`)
			_, err := clientOver(t, n, stripekit.WithMaxRetries(0)).Charges.Get(t.Context(), "ch_1")
			requireKinds(t, err, test.kinds...)
			requireKinds(t, fmt.Errorf("wrapped: %w", err), test.kinds...)
			var e *stripekit.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.status, e.HTTPStatus)
			require.NoError(t, errors.Unwrap(err))
		})
	}
}

// Programs delete what is not found.
func TestPageOfAProxyIsNoMissingObject(t *testing.T) {
	for _, body := range []string{"<html>no such page</html>", "", "{}", `{"error":"not found"}`, `{"error":{}}`, `{"error":{"message":"no route"}}`} {
		_, err := clientOver(t, replies(404, body), stripekit.WithMaxRetries(0)).Charges.Get(t.Context(), "ch_1")
		requireKinds(t, err, "api")
	}
}

func TestErrorHoldsWhatTheServiceSays(t *testing.T) {
	body := `{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","param":"source",
		"message":"Your card has insufficient funds.","doc_url":"https://stripe.com/docs/x","request_log_url":"https://dashboard.stripe.com/x",
		"charge":"ch_1","payment_intent":{"id":"pi_1"},"advice":["a"]}}`
	_, err := clientOver(t, replies(402, body, "Request-Id", "req_1", "Retry-After", "7")).Charges.Create(t.Context(),
		stripekit.ChargeCreateParams{Amount: 5, Currency: "usd", Source: new("tok_x")}, stripekit.WithIdempotencyKey("order 17"))
	var e *stripekit.Error
	require.ErrorAs(t, err, &e)
	want := &stripekit.Error{
		Method: "POST", Path: "/v1/charges", HTTPStatus: 402, Type: "card_error", Code: "card_declined",
		DeclineCode: "insufficient_funds", Param: "source", Message: "Your card has insufficient funds.",
		DocURL: "https://stripe.com/docs/x", RequestLogURL: "https://dashboard.stripe.com/x",
		RequestID: "req_1", ChargeID: "ch_1", IdempotencyKey: "order 17", Attempts: 1,
		RetryAfter: 7 * time.Second,
	}
	require.Empty(t, cmp.Diff(want, e, cmpopts.IgnoreUnexported(stripekit.Error{})))
	require.EqualError(t, err, "stripe: POST /v1/charges: 402 (card_declined) (insufficient_funds) Your card has insufficient funds. [req_1]")

	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "err", err)
	_, attrs, _ := strings.Cut(strings.TrimSpace(out.String()), "msg=m ")
	require.Equal(t, `err.method=POST err.path=/v1/charges err.type=card_error err.code=card_declined `+
		`err.decline_code=insufficient_funds err.param=source err.message="Your card has insufficient funds." `+
		`err.request_id=req_1 err.charge=ch_1 err.idempotency_key="order 17" err.status=402 err.attempts=1 err.retry_after=7s`, attrs)
}

func TestErrorTellsHowLongToWait(t *testing.T) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	for name, test := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"nothing":               {nil, 0},
		"seconds":               {[]string{"Retry-After", "3600"}, time.Hour},
		"none":                  {[]string{"Retry-After", "0"}, 0},
		"negative":              {[]string{"Retry-After", "-5"}, 0},
		"garbage":               {[]string{"Retry-After", "soon"}, 0},
		"a date":                {[]string{"Retry-After", "Mon, 02 Jan 2006 15:05:35 GMT", "Date", date}, 90 * time.Second},
		"a date that has been":  {[]string{"Retry-After", "Mon, 02 Jan 2006 15:04:00 GMT", "Date", date}, 0},
		"a date without a Date": {[]string{"Retry-After", date}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(429, `{"error":{"type":"rate_limit_error","code":"rate_limit"}}`, test.header...)
			_, err := clientOver(t, n, stripekit.WithMaxRetries(0)).Charges.Get(t.Context(), "ch_1")
			var e *stripekit.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.want, e.RetryAfter)
		})
	}
}

func TestErrorOfANetworkFailure(t *testing.T) {
	n := fails(io.ErrUnexpectedEOF)
	_, err := clientOver(t, n, stripekit.WithMaxRetries(0)).Customers.Create(t.Context(),
		stripekit.CustomerCreateParams{Email: new("jenny@example.com")}, stripekit.WithIdempotencyKey("k"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualError(t, err, "stripe: POST /v1/customers: unexpected EOF (outcome unknown, idempotency key k)")
	requireKinds(t, err, "unknown")

	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "err", err)
	require.Contains(t, out.String(), `err.idempotency_key=k err.status=0 err.attempts=1 err.cause="unexpected EOF" err.outcome_unknown=true`)
}

func TestErrorOfACancelledRetryNamesTheLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := clientOver(t, replies(503, "", "Request-Id", "req_1")).Charges.Get(ctx, "ch_1")
		require.EqualError(t, err, "stripe: GET /v1/charges/ch_1: context deadline exceeded while waiting to retry after: status 503 [req_1]")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestErrorWithABrokenBodyIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		broken  stripetest.Calls
		message string
		decline string
	}{
		"once":   {stripetest.First(1), "Your card was declined.", "generic_decline"},
		"always": {stripetest.Every(), "Payment Required (the body was cut off)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := stripetest.New(stripetest.InMemory())
				defer server.Close()
				server.Fault("POST /v1/charges", test.broken, stripetest.Drop(stripetest.InResponse))
				_, err := clientOf(t, server, stripekit.WithMaxRetries(1)).Charges.Create(t.Context(),
					stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_chargeDeclined")})
				requireKinds(t, err, "declined")
				var e *stripekit.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.message, e.Message)
				require.Equal(t, test.decline, e.DeclineCode)
				require.Equal(t, 2, e.Attempts)
				require.Equal(t, 2, server.Count("POST /v1/charges"))
			})
		})
	}
}

func TestErrorsOfBodiesThatAreNotStripes(t *testing.T) {
	for name, test := range map[string]struct {
		kind, body string
		message    string
	}{
		"empty":         {"", "", "Bad Gateway (empty body)"},
		"blank":         {"text/plain", " \n\t ", "Bad Gateway (empty body)"},
		"html":          {"text/html; charset=utf-8", "<html>\n <b>no\tupstream</b>", `Bad Gateway (a body of text/html that is not an API error: "<html> <b>no upstream</b>")`},
		"no type":       {"", "gone", `Bad Gateway (a body of unknown type that is not an API error: "gone")`},
		"null":          {"application/json", "null", `Bad Gateway (a body of application/json that is not an API error: "null")`},
		"array":         {"application/json", "[]", `Bad Gateway (a body of application/json that is not an API error: "[]")`},
		"other JSON":    {"application/json", `{"ok":false}`, `Bad Gateway (a body of application/json that is not an API error: "{\"ok\":false}")`},
		"null error":    {"application/json", `{"error":null}`, `Bad Gateway (a body of application/json that is not an API error: "{\"error\":null}")`},
		"text error":    {"application/json", `{"error":"no"}`, `Bad Gateway (a body of application/json that is not an API error: "{\"error\":\"no\"}")`},
		"truncated":     {"application/json", `{"error":{"type":"api_er`, `Bad Gateway (a body of application/json that is not an API error: "{\"error\":{\"type\":\"api_er")`},
		"trailing":      {"application/json", `{"error":{"code":"x"}}}`, `Bad Gateway (a body of application/json that is not an API error: "{\"error\":{\"code\":\"x\"}}}")`},
		"bytes":         {"text/plain", "a\xff\xfe\x00b", `Bad Gateway (a body of text/plain that is not an API error: "a\x00b")`},
		"long":          {"text/plain", strings.Repeat("é", 4000), `Bad Gateway (a body of text/plain that is not an API error: "` + strings.Repeat("é", 100) + `")`},
		"code alone":    {"application/json", `{"error":{"code":"lock_timeout"}}`, ""},
		"other shapes":  {"application/json", `{"error":{"type":"api_error","message":"m","charge":{"id":"ch_1"},"param":null,"code":7,"doc_url":[]}}`, "m"},
		"twice, latin1": {"application/json", "{\"error\":{\"message\":\"a\",\"message\":\"caf\xe9\"}}", "caf\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(502, test.body, "Content-Type", test.kind, "Request-Id", "req_1")
			_, err := clientOver(t, n, stripekit.WithMaxRetries(0)).Charges.Get(t.Context(), "ch_1")
			var e *stripekit.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.message, e.Message)
			require.Equal(t, 502, e.HTTPStatus)
			require.Equal(t, "req_1", e.RequestID)
			requireKinds(t, err, append([]string{"api"}, map[string][]string{"code alone": {"conflict"}}[name]...)...)
		})
	}
}

func TestSuccessThatCannotBeReadIsAnAPIError(t *testing.T) {
	for _, body := range []string{"", "<html>", `{"id":`, `{"amount":"many"}`, "[]"} {
		c := clientOver(t, replies(200, body, "Request-Id", "req_1"))
		_, err := c.Charges.Get(t.Context(), "ch_1")
		requireKinds(t, err, "api")
		require.ErrorContains(t, err, "stripe: GET /v1/charges/ch_1: 200 reading the response: ")
		var e *stripekit.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "req_1", e.RequestID)
		_, err = c.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 5, Currency: "usd", Source: new("tok_x")})
		requireKinds(t, err, "api", "unknown")
	}
}

func TestParamErrorIsAnInvalidRequest(t *testing.T) {
	_, err := clientOver(t, replies(200, "{}")).Charges.Create(t.Context(), stripekit.ChargeCreateParams{})
	requireKinds(t, err, "invalid")
	require.EqualError(t, err, "stripe: amount: is required and must be positive")
}

// TestOutcomeOfAPost makes calls that fail in one or two attempts, and compares the
// OutcomeUnknown of their errors.
func TestOutcomeOfAPost(t *testing.T) {
	const stripes = `{"error":{"type":"invalid_request_error","message":"m"}}`
	says := func(status int) *network { return replies(status, stripes) }
	reset := fails(&net.OpError{Op: "read", Err: syscall.ECONNRESET})
	refused := fails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	page := func(status int) *network { return replies(status, "<html>", "Content-Type", "text/html") }
	for name, test := range map[string]struct {
		n       *network
		unknown bool
	}{
		"reset":                      {reset, true},
		"reset, then refused":        {inTurn(reset, refused), true},
		"refused":                    {refused, false},
		"500":                        {says(500), true},
		"503 of a proxy":             {page(503), true},
		"409":                        {says(409), true},
		"400":                        {says(400), false},
		"401":                        {says(401), false},
		"402":                        {says(402), false},
		"403":                        {says(403), false},
		"404":                        {says(404), false},
		"429":                        {says(429), false},
		"307":                        {says(307), false},
		"reset, then 402":            {inTurn(reset, says(402)), false},
		"500, then 400":              {inTurn(says(500), says(400)), false},
		"reset, then 400 of a proxy": {inTurn(reset, page(400)), true},
		"reset, then 401":            {inTurn(reset, says(401)), true},
		"500, then 403":              {inTurn(says(500), says(403)), true},
		"409, then 429":              {inTurn(says(409), says(429)), true},
		"refused, then 429":          {inTurn(refused, says(429)), false},
		"reset, then 307":            {inTurn(reset, says(307)), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOver(t, test.n, stripekit.WithMaxRetries(1))
				_, err := c.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
				var e *stripekit.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.unknown, e.OutcomeUnknown)
				require.Equal(t, test.unknown, errors.Is(err, stripekit.ErrOutcomeUnknown))
				require.NotEmpty(t, e.IdempotencyKey)
				for _, r := range test.n.requests {
					require.Equal(t, e.IdempotencyKey, r.Header.Get("Idempotency-Key"), "what a repeat needs")
				}
				require.Equal(t, test.unknown, strings.Contains(err.Error(), "outcome unknown, idempotency key "+e.IdempotencyKey))

				_, err = c.Customers.Get(t.Context(), "cus_1")
				require.ErrorAs(t, err, &e)
				require.NotErrorIs(t, err, stripekit.ErrOutcomeUnknown)
				require.Empty(t, e.IdempotencyKey)
			})
		})
	}
}

func TestOutcomeIsKnownWhereNothingWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := clientOver(t, replies(200, "{}")).Customers.Create(ctx, stripekit.CustomerCreateParams{})
	require.ErrorIs(t, err, context.Canceled)
	requireKinds(t, err)
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		"", "null", "{}", `{"error":{}}`, `{"error":{"type":"card_error","message":"m","charge":{"id":"ch_1"}}}`, `{"error":"x"}`,
		`{"error":{"message":"\ud800"}}`, "<html>", "\xff\xfe", `{"error":{"code":` + strings.Repeat("[", 200), "sk_test_1 Basic c2tfdGVzdF8x",
	} {
		f.Add(uint16(500), "application/json", []byte(body))
		f.Add(uint16(402), "text/html; x", []byte(body))
	}
	f.Fuzz(func(t *testing.T, status uint16, kind string, body []byte) {
		s := 300 + int(status)%300
		n := &network{respond: func(*http.Request) (*http.Response, error) {
			return reply(s, string(body), "Content-Type", kind, "Request-Id", kind), nil
		}}
		_, err := clientOver(t, n, stripekit.WithMaxRetries(0)).Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
		var e *stripekit.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, s, e.HTTPStatus)
		require.Contains(t, err.Error(), fmt.Sprint(s))
		require.Equal(t, slog.KindGroup, e.LogValue().Kind())
	})
}
