package stripetest_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// control returns an in-memory server with a control plane, and a function that
// requires success of a request of it.
func control(t *testing.T, opts ...stripetest.Option) (*api, func(request, body string) map[string]any) {
	t.Helper()
	a := memory(t, append(opts, stripetest.WithControl(), stripetest.WithClock(at(1700000000).read))...)
	return a, func(request, body string) map[string]any {
		t.Helper()
		r := a.control(request, body)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		return r.body
	}
}

func (a *api) control(request, body string) reply {
	a.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	json := a.as("").with("Content-Type", "application/json")
	return json.do(method, "/_stripetest/"+path, body)
}

func TestControlIsOffUnlessAskedFor(t *testing.T) {
	a := memory(t)
	r := a.control("POST reset", "")
	require.Equal(t, 404, r.status)
	require.Contains(t, r.failure()["message"], "Unrecognized request URL (POST: /_stripetest/reset)")
}

func TestControlServesThisMachineAlone(t *testing.T) {
	tests := map[string]struct {
		from, host string
		header     http.Header
		anywhere   int
		want       int
	}{
		"loopback":      {"127.0.0.1:5", "127.0.0.1:12111", nil, 200, 200},
		"name":          {"127.0.0.1:5", "localhost:12111", nil, 200, 200},
		"loopback v6":   {"[::1]:5", "[::1]:12111", nil, 200, 200},
		"mapped v4":     {"[::ffff:127.0.0.1]:5", "stripe.localhost", nil, 200, 200},
		"network":       {"192.0.2.1:5", "localhost", nil, 200, 403},
		"rebound name":  {"127.0.0.1:5", "evil.example", nil, 200, 403},
		"proxy":         {"127.0.0.1:5", "localhost", http.Header{"X-Forwarded-For": {"192.0.2.1"}}, 200, 403},
		"web page":      {"127.0.0.1:5", "localhost", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, 403},
		"older browser": {"127.0.0.1:5", "localhost", http.Header{"Origin": {"https://evil.example"}}, 403, 403},
		"no address":    {"@", "localhost", nil, 200, 403},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for want, option := range map[*int]stripetest.Option{&test.want: stripetest.WithControl(), &test.anywhere: stripetest.WithControlFromAnywhere()} {
				server := stripetest.New(stripetest.InMemory(), option)
				r := httptest.NewRequest("POST", "/_stripetest/reset", nil)
				r.RemoteAddr, r.Host = test.from, test.host
				maps.Copy(r.Header, test.header)
				w := httptest.NewRecorder()
				server.ServeHTTP(w, r)
				require.Equal(t, *want, w.Code, w.Body.String())
			}
		})
	}
}

func TestControlOverTheNetwork(t *testing.T) {
	server := stripetest.New(stripetest.WithControl())
	defer server.Close()
	a := &api{t: t, server: server, key: testKey}
	id := a.charge("source=tok_visa")
	dump := a.control("GET state", "")
	require.Equal(t, 200, dump.status)
	a.control("POST reset", "")
	require.Equal(t, 404, a.do("GET", "/v1/charges/"+id, "").status)
	require.Equal(t, 200, a.control("POST state", dump.raw).status)
	require.Equal(t, id, a.get("/v1/charges/" + id)["id"])
}

func TestControlSeeds(t *testing.T) {
	a, post := control(t, stripetest.WithAccountPerKey())
	got := post("POST seed", `[
		{"path": "/v1/customers", "key": "sk_test_1", "ids": ["cus_a", "cus_b"], "first": "2023-01-01T00:00:00Z", "every": "24h",
		 "params": {"source": "tok_visa", "preferred_locales": ["de", "en"], "balance": 500, "metadata": {"a": "b"}}},
		{"path": "/v1/charges", "key": "sk_live_1", "count": 3, "first": 1700000000, "every": 60, "params": {"amount": 700, "currency": "eur", "source": "tok_visa", "capture": false}},
		{"path": "/v1/charges", "account": "acct_x", "undated": true}]`)
	require.Len(t, got["seeded"], 3)
	one := a.as("sk_test_1")
	customer := one.get("/v1/customers/cus_b")
	require.Equal(t, []any{1672617600.0, 500.0, []any{"de", "en"}}, []any{customer["created"], customer["balance"], customer["preferred_locales"]})
	one.post("/v1/charges", "amount=1000&currency=usd&customer=cus_b")
	charges := a.as("sk_live_1").get("/v1/charges")["data"].([]any)
	require.Len(t, charges, 3)
	require.Equal(t, 1700000120.0, charges[0].(map[string]any)["created"])
	require.Equal(t, false, charges[0].(map[string]any)["captured"])
	require.Nil(t, a.with("Stripe-Account", "acct_x").get("/v1/charges")["data"].([]any)[0].(map[string]any)["created"])
	require.Len(t, post("POST seed", `{"path": "/v1/products"}`)["seeded"], 1)
}

func TestControlMakesFaults(t *testing.T) {
	a, post := control(t)
	fault := post("POST faults", `{"route": "GET /v1/charges", "first": 1, "effects": [{"rate_limit": "global-rate"}, {"retry_after": "3s"}, {"set_header": {"name": "X", "value": "y"}}]}`)
	r := a.do("GET", "/v1/charges", "")
	require.Equal(t, []any{429, "3", "y"}, []any{r.status, r.header.Get("Retry-After"), r.header.Get("X")})
	require.Equal(t, 200, a.do("GET", "/v1/charges", "").status)
	listed := post("GET faults", "")["faults"].([]any)[0].(map[string]any)
	require.Equal(t, 1.0, listed["struck"])
	fault["struck"] = 1.0
	require.Equal(t, fault, listed)

	second := post("POST faults", `{"route": "/v1/refunds", "effects": [{"respond": {"status": 503, "body": {"busy": true}}}]}`)
	require.Equal(t, true, a.do("GET", "/v1/refunds", "").body["busy"])
	require.Equal(t, 2.0, second["id"])
	post("DELETE faults/2", "")
	require.Equal(t, 200, a.do("GET", "/v1/refunds", "").status)
	require.Equal(t, 404, a.control("DELETE faults/2", "").status)
	post("DELETE faults", "")
	require.Empty(t, post("GET faults", "")["faults"])
}

// TestControlHasEveryEffect requires that each effect makes another response, or
// another outcome, than none.
func TestControlHasEveryEffect(t *testing.T) {
	for effect, want := range map[string]string{
		`{"respond": {"status": 502, "body": "bad"}}`: "502 bad",
		`{"replace": {"status": 504}}`:                "504 ",
		`{"internal_error": true}`:                    "500 ",
		`{"rate_limit": "endpoint-rate"}`:             "429 ",
		`{"lock_timeout": true}`:                      "429 ",
		`{"retry_after": 1.5}`:                        "Retry-After:[2]",
		`{"retry_after_date": "10s"}`:                 "Retry-After:[Tue, 14 Nov 2023 22:13:30 GMT]",
		`{"date_offset": "-10s"}`:                     "Date:[Tue, 14 Nov 2023 22:13:10 GMT]",
		`{"has_more": true}`:                          `"has_more": true`,
		`{"truncate": 5}`:                             "200 {\n  \" ",
		`{"garble": true}`:                            "200 \xff",
		`{"drop": "before_call"}`:                     "EOF",
		`{"reset": "before_response"}`:                "connection reset",
		`{"delay": "1ns"}`:                            "200 ",
		`{"delay_response": 0.000001}`:                "200 ",
	} {
		a, post := control(t)
		post("POST faults", `{"effects": [`+effect+`]}`)
		raw, resp, err := a.try(t.Context(), "GET", "/v1/charges", "")
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(resp.StatusCode, " ", raw, " ", resp.Header)
		}
		require.Contains(t, got, want, effect)
	}
}

func TestControlMovesTheClock(t *testing.T) {
	a, post := control(t)
	require.Equal(t, map[string]any{"time": "2023-11-14T22:13:20Z", "unix": 1700000000.0, "stopped": false}, post("GET clock", ""))
	require.Equal(t, 1700086400.0, post("POST clock", `{"advance": "24h"}`)["unix"])
	require.Equal(t, "2026-01-01T00:01:00Z", post("POST clock", `{"set": "2026-01-01T00:00:00Z", "advance": 60, "stopped": true}`)["time"])
	require.Equal(t, 1767225660.0, a.post("/v1/customers", "")["created"])
	post("POST reset", "")
	require.Equal(t, 1700000000.0, post("GET clock", "")["unix"])

	b := memory(t, stripetest.WithControl())
	b.control("POST clock", `{"stopped": true}`)
	first := b.server.Now()
	require.Equal(t, first, b.server.Now(), "the clock is stopped")
	b.server.Advance(time.Hour)
	require.Equal(t, first.Add(time.Hour), b.server.Now())
	b.control("POST clock", `{"stopped": false}`)
	require.WithinRange(t, b.server.Now(), first.Add(time.Hour), first.Add(2*time.Hour))
}

func TestControlShowsRequestsCountsVersionAndAccounts(t *testing.T) {
	a, post := control(t)
	a.as("sk_live_secret123").post("/v1/customers", "metadata[a]=b")
	a.get("/v1/charges?limit=1")
	a.get("/v1/charges?limit=2")
	raw := a.control("GET requests", "").raw
	require.NotContains(t, raw, "secret123")
	all := post("GET requests", "")["requests"].([]any)
	require.Len(t, all, 3)
	first := all[0].(map[string]any)
	require.Equal(t, []any{"POST", "/v1/customers", 200.0, map[string]any{"metadata[a]": []any{"b"}}},
		[]any{first["method"], first["path"], first["status"], first["form"]})
	last := post("GET requests?method=GET&path=/v1/charges&limit=1", "")["requests"].([]any)
	require.Len(t, last, 1)
	require.Equal(t, map[string]any{"limit": []any{"2"}}, last[0].(map[string]any)["query"])
	require.Equal(t, map[string]any{"total": 3.0, "routes": map[string]any{"POST /v1/customers": 1.0, "GET /v1/charges": 2.0}}, post("GET counts", ""))
	post("DELETE requests", "")
	require.Empty(t, post("GET requests", "")["requests"])

	require.Equal(t, "2020-08-27", post("POST version", `{"default_version": "2020-08-27"}`)["default_version"])
	require.Equal(t, "2020-08-27", a.do("GET", "/v1/account", "").header.Get("Stripe-Version"))
	require.Equal(t, "2020-08-27", post("GET version", "")["default_version"])

	own := a.server.AccountOf("sk_live_1")
	require.Equal(t, map[string]any{"id": own, "live": true}, post("GET accounts?key=sk_live_1", ""))
	require.Equal(t, []any{map[string]any{"id": own, "live": false}, map[string]any{"id": own, "live": true}}, post("GET accounts", "")["accounts"])
	post("POST reset", `{"keys": ["sk_test_1"]}`)
	require.Empty(t, post("GET accounts", "")["accounts"])
}

func TestControlIsNeitherRecordedNorFaulty(t *testing.T) {
	a, post := control(t)
	a.server.Fault("", stripetest.Every(), stripetest.Respond(500, "no"))
	post("GET clock", "")
	require.Empty(t, a.server.Requests())
	require.Empty(t, a.server.Counts())
}

func TestControlRefusesWithAReason(t *testing.T) {
	tests := map[string]struct {
		request, body string
		status        int
		want          string
	}{
		"no endpoint":       {"GET nothing", "", 404, "there is no GET /_stripetest/nothing"},
		"no method":         {"GET reset", "", 404, "there is no GET /_stripetest/reset"},
		"no JSON":           {"POST clock", "advance=5", 400, "invalid character"},
		"two values":        {"POST clock", `{} {}`, 400, "something follows the JSON"},
		"unknown field":     {"POST clock", `{"forward": 5}`, 400, `unknown field "forward"`},
		"duration":          {"POST clock", `{"advance": "1 day"}`, 400, `"1 day" is no duration such as "90s" or "36h"`},
		"huge duration":     {"POST clock", `{"advance": 1e300}`, 400, "is no number of seconds"},
		"far time":          {"POST clock", `{"set": 999999999999999}`, 400, "is not between 1970 and 9998"},
		"too far":           {"POST clock", `{"set": "9998-12-31T00:00:00Z", "advance": "48h"}`, 400, "is not between 1970 and 9998"},
		"no time":           {"POST clock", `{"set": "now"}`, 400, `"now" is no time such as`},
		"version":           {"POST version", `{"default_version": "new"}`, 400, "default_version: Invalid Stripe API version: new"},
		"limit":             {"GET requests?limit=x", "", 400, `limit: "x" is no number of requests`},
		"empty seed":        {"POST seed", `{}`, 400, "seeding 1 of 1: seed : nothing is created at this path"},
		"seed without body": {"POST seed", ``, 200, ""},
		"seed too many":     {"POST seed", `{"path": "/v1/charges", "count": 1000000000}`, 400, "count: it may be up to 1000000"},
		"seed refused":      {"POST seed", `[{"path": "/v1/charges"}, {"path": "/v1/charges", "params": {"amount": 5}}]`, 400, "seeding 2 of 2: seed /v1/charges: currency: Missing required param: currency."},
		"seed nested":       {"POST seed", `{"path": "/v1/charges", "params": ` + strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50) + `}`, 400, "nested too deep"},
		"seed params":       {"POST seed", `{"path": "/v1/charges", "params": "amount=5"}`, 400, "string was found where an object is expected"},
		"no effect":         {"POST faults", `{"route": "GET"}`, 400, "effects: there is none"},
		"empty effect":      {"POST faults", `{"effects": [{}]}`, 400, "effects: 0: it has 0 effects, and not one"},
		"two effects":       {"POST faults", `{"effects": [{"garble": true, "truncate": 3}]}`, 400, "effects: 0: it has 2 effects"},
		"two calls":         {"POST faults", `{"first": 1, "nth": 2, "effects": [{"garble": true}]}`, 400, "only one of first, nth and from"},
		"negative call":     {"POST faults", `{"first": -1, "effects": [{"garble": true}]}`, 400, "the first request has number 1"},
		"status":            {"POST faults", `{"effects": [{"respond": {"status": 7}}]}`, 400, "respond: status: it is not between 200 and 599"},
		"moment":            {"POST faults", `{"effects": [{"drop": "soon"}]}`, 400, "drop: it is one of"},
		"reason":            {"POST faults", `{"effects": [{"rate_limit": "mood"}]}`, 400, "rate_limit: it is one of"},
		"header":            {"POST faults", `{"effects": [{"set_header": {}}]}`, 400, "set_header: name: it is missing"},
		"delay":             {"POST faults", `{"effects": [{"delay": []}]}`, 400, "delay: [] is no number of seconds"},
		"fault id":          {"DELETE faults/x", "", 404, `fault "x": it does not exist`},
		"no dump":           {"POST state", "{}", 400, "load: this is no dump"},
		"too large":         {"POST clock", `{"advance": "` + strings.Repeat("1", 1<<20) + `"}`, 413, "too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, _ := control(t)
			r := a.control(test.request, test.body)
			require.Equal(t, test.status, r.status, r.raw)
			if test.want != "" {
				require.Contains(t, r.failure()["message"], test.want)
			}
			require.Empty(t, a.server.Requests())
		})
	}
}

// FuzzControl sends bodies to the endpoints that read one.
func FuzzControl(f *testing.F) {
	paths := []string{"seed", "faults", "clock", "version", "reset", "state"}
	for i, body := range []string{
		`{"path": "/v1/charges", "count": 2, "params": {"amount": 5, "x": [{"a": null}]}}`, `{"nth": 1, "effects": [{"respond": {"status": 200}}]}`,
		`{"set": 5, "advance": "1h"}`, `{"default_version": "2020-08-27"}`, `{"accounts": ["x"], "keys": [""]}`, `{"stripetest_state": 1}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, path uint8, body []byte) {
		if strings.Contains(string(body), "count") && path%6 == 0 {
			return // a million objects take seconds
		}
		a := memory(t, stripetest.WithControl())
		r, err := http.NewRequest("POST", a.server.URL+"/_stripetest/"+paths[int(path)%len(paths)], strings.NewReader(string(body)))
		require.NoError(t, err)
		resp, err := a.server.Client().Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.Contains(t, []int{200, 400}, resp.StatusCode)
		if path%6 != 1 { // a fault may break anything
			a.get("/v1/charges")
		}
	})
}
