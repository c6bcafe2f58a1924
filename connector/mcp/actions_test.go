package stripemcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

func TestWriteToolsAreMissingWithoutWrite(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{})
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{
		Name: "charges_create", Arguments: json.RawMessage(`{"amount": 100, "currency": "usd", "source": "tok_visa"}`),
	})
	require.ErrorContains(t, err, `unknown tool "charges_create"`)
	require.Empty(t, server.Requests())
}

func TestWriteToolsWriteOnceForAnIdempotencyKey(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{Write: true})
	const create = `{"amount": 2000, "currency": "usd", "source": "tok_visa", "metadata": {"order": "1"}, "idempotency_key": "order-1"}`
	charge := output(t, session, "charges_create", create)
	require.Equal(t, "succeeded", charge["status"])
	require.Equal(t, charge["id"], output(t, session, "charges_create", create)["id"])
	refund := output(t, session, "refunds_create", fmt.Sprintf(`{"charge": %q, "amount": 500}`, charge["id"]))
	require.EqualValues(t, 500, refund["amount"])
	require.EqualValues(t, 500, output(t, session, "charges_get", fmt.Sprintf(`{"id": %q}`, charge["id"]))["amount_refunded"])
	require.Len(t, output(t, session, "charges_list", "")["data"], 1)
	require.Equal(t, 2, server.Count("POST /v1/charges"))
}

func TestReadOnlyClientRefusesWrites(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	client, err := stripekit.Connection{
		Name: "shop", APIKey: stripekit.NewSecret("sk_test_1"), Access: stripekit.ReadOnly, BaseURL: server.URL,
	}.Open(stripekit.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	session := connect(t, client, stripemcp.Options{Write: true})
	require.Contains(t, failure(t, session, "customers_create", `{}`), "read-only, refuses writes")
	require.Empty(t, server.Requests())
}

func TestFailuresAreResultsThatSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		tool, input string
		effect      []stripetest.Effect
		want        []string
	}{
		"a field of another type": {
			tool: "charges_create", input: `{"amount": "5"}`,
			want: []string{"stripe: amount: must be an integer, and is a string"},
		},
		"an unknown field": {
			tool: "charges_create", input: `{"shipping": {"address": {"street": "x"}}}`,
			want: []string{"stripe: shipping[address][street]: is unknown"},
		},
		"a field twice": {
			tool: "charges_list", input: `{"limit": 1, "limit": 2}`,
			want: []string{"stripe: limit: is there twice"},
		},
		"an array of arguments": {
			tool: "charges_list", input: `[]`,
			want: []string{"stripe: input: must be an object, and is an array"},
		},
		"a missing object": {
			tool: "charges_get", input: `{"id": "ch_none"}`,
			want: []string{"GET /v1/charges/ch_none: 404 (resource_missing)", "[req_", "The parameter is id."},
		},
		"a declined card": {
			tool: "charges_create", input: `{"amount": 500, "currency": "usd", "source": "tok_chargeDeclined"}`,
			want: []string{"402 (card_declined) (generic_decline)", "[req_", "Stripe keeps the failed charge as ch_"},
		},
		"the page of a proxy": {
			tool: "charges_list", input: `{}`,
			effect: []stripetest.Effect{stripetest.SetHeader("Content-Type", "text/html"), stripetest.Respond(502, "<html><h1>Bad Gateway</h1></html>")},
			want:   []string{"502 Bad Gateway (a body of text/html that is not an API error", "<h1>Bad Gateway</h1>"},
		},
		"a page of a proxy that claims success": {
			tool: "charges_list", input: `{}`,
			effect: []stripetest.Effect{stripetest.Respond(200, "<html>Log in</html>")},
			want:   []string{"reading the response"},
		},
		"too many calls": {
			tool: "charges_list", input: `{}`,
			effect: []stripetest.Effect{stripetest.SetHeader("Retry-After", "90"), stripetest.Respond(429, `{"error": {"message": "slow down"}}`)},
			want:   []string{"429", "slow down", "Stripe asks to wait for 1m30s before the next call."},
		},
		"a write that may have been carried out": {
			tool: "charges_create", input: `{"amount": 500, "currency": "usd", "source": "tok_visa", "idempotency_key": "order-7"}`,
			effect: []stripetest.Effect{stripetest.Drop(stripetest.BeforeResponse)},
			want:   []string{"outcome unknown", "Repeat it with the same arguments and the idempotency_key order-7: it is then carried out once at most."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := stripekittest.NewClient(t, stripekit.WithMaxRetries(0))
			server.Fault("", stripetest.Every(), c.effect...)
			session := connect(t, client, stripemcp.Options{Write: true})
			text := failure(t, session, c.tool, c.input)
			for _, want := range c.want {
				require.Contains(t, text, want)
			}
		})
	}
}

func TestKeysAreMaskedInResultsErrorsAndLogs(t *testing.T) {
	const key = "sk_test_MARKEDSECRET0123456789"
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	client, err := stripekit.New(key, stripekit.WithHTTPClient(server.Client()), stripekit.WithMaxRetries(0), stripekit.WithLogger(logger))
	require.NoError(t, err)
	session := connect(t, client, stripemcp.Options{Logger: logger})

	server.Fault("GET /v1/charges/{id}", stripetest.Every(), stripetest.Respond(200, `{"id": "ch_1", "object": "charge", "created": 1, "description": "`+key+`"}`))
	require.Equal(t, "sk_test_****", output(t, session, "charges_get", `{"id": "ch_1"}`)["description"])
	rows := output(t, session, "sql", `{"query": "SELECT description FROM charges WHERE id = 'ch_1'"}`)["rows"]
	require.Equal(t, []any{[]any{"sk_test_****"}}, rows)

	server.Fault("GET /v1/charges/{id}", stripetest.Every(), stripetest.Respond(200, `{"id": "ch_1", "description": "sk\u005ftest\u005fMARKEDSECRET", "source": {"client_secret": "src_client_secret_MARKED"}}`))
	require.NotContains(t, fmt.Sprint(output(t, session, "charges_get", `{"id": "ch_1"}`)), "MARKED")

	for _, effect := range []stripetest.Effect{
		stripetest.Respond(401, `{"error": {"type": "invalid_request_error", "message": "Bad key `+key+`", "param": "`+key+`"}}`),
		stripetest.Respond(502, "You sent "+key),
		stripetest.Respond(200, key),
		stripetest.SetHeader("Request-Id", key),
	} {
		fault := server.Fault("GET /v1/customers/{id}", stripetest.Every(), effect)
		require.NotContains(t, failure(t, session, "customers_get", `{"id": "cus_1"}`), "MARKED")
		fault.Remove()
	}
	require.Contains(t, failure(t, session, "sql", `{"query": "SELECT `+key+` FROM charges"}`), "no such column: sk_test_****")
	require.Contains(t, logged.String(), "tool=customers_get")
	require.Contains(t, logged.String(), "no such column: sk_test_****")
	require.NotContains(t, logged.String(), "MARKED")
}

// TestLogHasNoArguments has a customer's address in the arguments of a call.
func TestLogHasNoArguments(t *testing.T) {
	var logged bytes.Buffer
	client, _ := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{Write: true, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	output(t, session, "customers_create", `{"email": "ada@example.com"}`)
	output(t, session, "sql", `{"query": "SELECT id FROM customers WHERE email = 'ada@example.com'"}`)
	require.Contains(t, logged.String(), "tool=customers_create duration=")
	require.Contains(t, logged.String(), "tool=sql duration=")
	require.NotContains(t, logged.String(), "ada@example.com")
}

// hanging is the transport of a client whose requests have no response.
type hanging struct {
	begun chan struct{} // receives a value for each request
	ended chan error    // receives why a request was given up
}

func (h hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	h.begun <- struct{}{}
	<-req.Context().Done()
	h.ended <- req.Context().Err()
	return nil, req.Context().Err()
}

func newHanging(t *testing.T) (hanging, *stripekit.Client) {
	t.Helper()
	h := hanging{begun: make(chan struct{}, 1), ended: make(chan error, 1)}
	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: h}), stripekit.WithTimeout(0))
	require.NoError(t, err)
	return h, client
}

func TestCancelledCallEndsItsRequest(t *testing.T) {
	for tool, input := range map[string]string{
		"charges_list": `{}`, "sql": `{"query": "SELECT count(*) FROM charges"}`,
	} {
		t.Run(tool, func(t *testing.T) {
			h, client := newHanging(t)
			session := connect(t, client, stripemcp.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(input)})
				done <- err
			}()
			<-h.begun
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
			require.ErrorIs(t, <-h.ended, context.Canceled)
			output(t, session, "sql_tables", "") // the session goes on
		})
	}
}

func TestCallsEndAtTheTimeout(t *testing.T) {
	for tool, input := range map[string]string{
		"charges_list":   `{}`,
		"charges_create": `{"amount": 500, "currency": "usd", "source": "tok_visa", "idempotency_key": "order-7"}`,
		"sql":            `{"query": "SELECT count(*) FROM charges"}`,
	} {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, client := newHanging(t)
				session := connect(t, client, stripemcp.Options{Write: true})
				began := time.Now()
				text := failure(t, session, tool, input)
				require.Equal(t, time.Minute, time.Since(began))
				require.Contains(t, text, "context deadline exceeded")
				require.ErrorIs(t, <-h.ended, context.DeadlineExceeded)
				require.Equal(t, tool == "charges_create", strings.Contains(text, "idempotency_key order-7"))
			})
		})
	}
}

func TestCallsOfManySessionsRunAtTheSameTime(t *testing.T) {
	client, fake := stripekittest.NewClient(t)
	charge := fake.Seed("/v1/charges", stripetest.Seeding{Count: 30})[0]
	server, err := stripemcp.NewServer(client, stripemcp.Options{})
	require.NoError(t, err)
	// Each request waits until as many as there are calls have come.
	// Of the statements, no more than four run at the same time.
	const calls = 20
	var arrived sync.WaitGroup
	arrived.Add(calls)
	fake.Fault("", stripetest.First(calls), stripetest.Do(func() { arrived.Done(); arrived.Wait() }))

	inputs := map[string]string{
		"charges_get": fmt.Sprintf(`{"id": %q}`, charge), "charges_list": `{"limit": 7}`, "sql": `{"query": "SELECT count(*) FROM charges"}`,
	}
	var running sync.WaitGroup
	results, errs := make(chan *mcp.CallToolResult, calls), make(chan error, calls)
	for range 2 {
		session := join(t, server)
		for tool, input := range inputs {
			n := 4
			if tool == "sql" {
				n = 2
			}
			for range n {
				running.Go(func() {
					result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(input)})
					results <- result
					errs <- err
				})
			}
		}
	}
	running.Wait()
	got := map[string]int{}
	for range calls {
		require.NoError(t, <-errs)
		content := (<-results).StructuredContent.(map[string]any)
		got[fmt.Sprintf("%v %v %v", content["id"], content["rows"], content["has_more"])]++
	}
	require.Equal(t, map[string]int{charge + " <nil> <nil>": 8, "<nil> [[30]] <nil>": 4, "<nil> <nil> true": 8}, got)
}

func TestNewServerRefusesWhatCannotWork(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	for want, o := range map[string]stripemcp.Options{
		"stripemcp: MaxBytes: must be at least 1024":        {MaxBytes: 1023},
		"stripemcp: MaxRows: must not be negative":          {MaxRows: -1},
		"stripemcp: MaxCalls: must not be negative":         {MaxCalls: -1},
		"stripemcp: Timeout: must not be negative":          {Timeout: -1},
		"stripemcp: Timeout: is 30ns: is the unit missing?": {Timeout: 30},
	} {
		_, err := stripemcp.NewServer(client, o)
		require.EqualError(t, err, want)
	}
	_, err := stripemcp.NewServer(nil, stripemcp.Options{})
	require.EqualError(t, err, "stripemcp: the client is nil")
}

func TestErrorsAreBounded(t *testing.T) {
	client, server := stripekittest.NewClient(t, stripekit.WithMaxRetries(0))
	session := connect(t, client, stripemcp.Options{MaxBytes: 2000})
	server.Fault("", stripetest.Every(), stripetest.Respond(400, `{"error": {"message": "`+strings.Repeat("é", 1<<20)+`"}}`))
	text := failure(t, session, "charges_list", `{}`)
	require.LessOrEqual(t, len(text), 2000)
	require.Greater(t, len(text), 1990)
	require.NotContains(t, text, "\uFFFD")
}
