package redpanda_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// once is an input of one message.
const once = "input:\n  generate:\n    count: 1\n    interval: 1ms\n    mapping: 'root = {}'\n"

// processing is a pipeline of all charges with the processor stripe. lines are lines of
// the processor.
func processing(server *stripetest.Server, lines ...string) string {
	return fromBeginning(server) + "pipeline:\n  threads: 1\n  processors:\n    - stripe:\n" +
		indented(8, append([]string{"api_key: " + key, "base_url: " + server.URL, "max_retries: 0"}, lines...)) + toConsumer
}

// writing is a pipeline of all charges with the output stripe.
func writing(server *stripetest.Server, lines ...string) string {
	return fromBeginning(server) + "output:\n  stripe:\n" +
		indented(4, append([]string{"api_key: " + key, "base_url: " + server.URL, "max_retries: 0"}, lines...))
}

func indented(n int, lines []string) string {
	margin := strings.Repeat(" ", n)
	return margin + strings.Join(lines, "\n"+margin) + "\n"
}

func TestProcessorReplacesTheMessageAndKeepsItsMetadata(t *testing.T) {
	server, ids := newServer(t, 2)
	messages := make(chan received)
	run(t, processing(server, "action: refunds.create", "input: 'root = {\"charge\": this.id, \"amount\": 7}'",
		"idempotency_key: 'root = @stripe_id + \"-refund\"'"), into(messages))
	for _, id := range ids {
		m := next(t, messages)
		require.NoError(t, m.failure)
		require.Equal(t, "refund", m.body["object"])
		require.Equal(t, id, m.body["charge"])
		require.EqualValues(t, 7, m.body["amount"])
		require.Equal(t, id, m.id)
	}
	var keys []string
	for _, r := range server.Requests() {
		if r.Method == http.MethodPost {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
		}
	}
	require.Equal(t, []string{ids[0] + "-refund", ids[1] + "-refund"}, keys)
}

func TestProcessorTakesTheMessageAsInput(t *testing.T) {
	server, ids := newServer(t, 1)
	messages := make(chan received)
	yaml := strings.Replace(processing(server, "action: charges.get"), "    - stripe:", "    - mapping: 'root.id = this.id'\n    - stripe:", 1)
	run(t, yaml, into(messages))
	m := next(t, messages)
	require.NoError(t, m.failure)
	require.Equal(t, ids[0], m.body["id"])
	require.EqualValues(t, 1, server.Count("GET /v1/charges/{id}"))
}

func TestProcessorMarksTheMessageThatFails(t *testing.T) {
	tests := map[string]struct {
		lines []string
		want  string
	}{
		"refused by Stripe":           {[]string{"action: refunds.create", "input: 'root = {\"charge\": this.id, \"amount\": 501}'"}, "amount"},
		"unknown field":               {[]string{"action: charges.update", "input: 'root = {\"id\": this.id, \"descripton\": \"x\"}'"}, "descripton: is unknown"},
		"no object":                   {[]string{"action: charges.update", "input: 'root = [ this.id ]'", "idempotency_key: 'root = \"k\"'"}, "must be an object"},
		"mapping fails":               {[]string{"action: charges.update", "input: 'root.id = this.id.number()'"}, "input: failed"},
		"mapping deletes the message": {[]string{"action: charges.update", "input: 'root = deleted()'"}, "input: the mapping deletes the message"},
		"empty key":                   {[]string{"action: charges.update", "input: 'root.id = this.id'", "idempotency_key: 'root = @nothing.or(\"\")'"}, "idempotency_key: is empty"},
		"key without a value":         {[]string{"action: charges.update", "input: 'root.id = this.id'", "idempotency_key: 'root = @nothing'"}, "idempotency_key: the mapping does not make a text"},
		"key of a missing value":      {[]string{"action: charges.update", "input: 'root.id = this.id'", "idempotency_key: 'root = @nothing + \"-x\"'"}, "idempotency_key: "},
		"two keys":                    {[]string{"action: charges.update", "input: 'root = {\"id\": this.id, \"idempotency_key\": \"a\"}'", "idempotency_key: 'root = \"b\"'"}, "idempotency_key: is there twice"},
		"impossible key":              {[]string{"action: charges.update", "input: 'root.id = this.id'", "idempotency_key: 'root = \"ö\"'"}, "must be 1 to 255 printable ASCII characters"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server, ids := newServer(t, 1)
			messages := make(chan received)
			p := run(t, processing(server, test.lines...), into(messages))
			m := next(t, messages)
			require.ErrorContains(t, m.failure, test.want)
			require.NotContains(t, m.failure.Error(), key)
			require.Equal(t, ids[0], m.body["id"], "the message stays as it was")
			p.stop()
		})
	}
}

func TestFailedProcessorLeadsToAnotherDelivery(t *testing.T) {
	server, ids := newServer(t, 2)
	server.Fault("POST /v1/refunds", stripetest.First(2), stripetest.Respond(http.StatusServiceUnavailable, ""))
	messages := make(chan received)
	yaml := processing(server, "action: refunds.create", "input: 'root.charge = this.id'", "idempotency_key: 'root = @stripe_id'")
	yaml = strings.Replace(yaml, toConsumer, "output:\n  reject_errored:\n    consume: {}\n", 1)
	run(t, yaml, into(messages))
	for range ids {
		m := next(t, messages)
		require.NoError(t, m.failure)
		require.EqualValues(t, 2, m.meta["stripe_attempt"])
	}
}

func TestOutputRejectsAMessageUntilItsActionSucceeds(t *testing.T) {
	server, ids := newServer(t, 3)
	server.Fault("POST /v1/refunds", stripetest.First(4), stripetest.Drop(stripetest.BeforeResponse))
	p := run(t, writing(server, "action: refunds.create", "input: 'root = {\"charge\": this.id, \"amount\": 7}'",
		"idempotency_key: 'root = @stripe_id + \"-refund\"'"), nil)
	p.logs.await(t, "Successfully wrote", len(ids))
	p.stop()
	require.Equal(t, len(ids)+4, server.Count("POST /v1/refunds"))
	require.Equal(t, map[string]int{ids[0]: 7, ids[1]: 7, ids[2]: 7}, refunded(t, server), "carried out once, although the responses were lost")
	requireNoneLeft(t)
}

// refunded returns the amounts that were refunded of all charges.
func refunded(t *testing.T, server *stripetest.Server) map[string]int {
	t.Helper()
	amounts := map[string]int{}
	for charge := range charges(t, server) {
		amounts[charge.ID] = int(charge.AmountRefunded)
	}
	return amounts
}

func TestComponentsWithTheSameSettingsShareAClient(t *testing.T) {
	server, _ := newServer(t, 3)
	var connections atomic.Int64
	front := httptest.NewUnstartedServer(server)
	front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	front.Start()
	t.Cleanup(front.Close)
	for _, test := range []struct {
		line     string
		want     int64
		accounts []string
	}{
		{"account: acct_1", 1, []string{"", "acct_1", "", "acct_1", "", "acct_1"}},
		{"timeout: 70s", 2, []string{"", "", "", "", "", ""}},
	} {
		connections.Store(0)
		server.Reset()
		messages := make(chan received)
		step := "    - stripe:\n" + indented(8, []string{"api_key: " + key, "base_url: " + front.URL, "action: charges.list", "input: 'root = {}'"})
		yaml := strings.Replace(once, "count: 1", "count: 3", 1) +
			"pipeline:\n  threads: 1\n  processors:\n" + step + step + indented(8, []string{test.line}) + toConsumer
		p := run(t, yaml, into(messages))
		for range 3 {
			require.NoError(t, next(t, messages).failure)
		}
		p.stop()
		require.Equal(t, test.want, connections.Load(), test.line)
		require.Equal(t, test.accounts, accounts(server))
	}
}

// refusal returns the error of a pipeline that must not run.
func refusal(t *testing.T, stream *service.Stream) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := stream.Run(ctx)
	if ctx.Err() != nil {
		require.NoError(t, stream.StopWithin(soon))
	}
	return err
}

// accounts returns the connected accounts that requests were made for.
func accounts(server *stripetest.Server) (all []string) {
	for _, r := range server.Requests() {
		all = append(all, r.Header.Get("Stripe-Account"))
	}
	return all
}

func TestBadConfigurationIsRefused(t *testing.T) {
	server, _ := newServer(t, 0)
	input := func(lines ...string) string {
		return "input:\n  stripe:\n" + indented(4, append([]string{"base_url: " + server.URL}, lines...)) + toConsumer
	}
	good := "api_key: " + key
	tests := map[string]struct{ yaml, want string }{
		"trigger":                {input(good, "trigger: charges.never"), "there is no trigger named charges.never"},
		"no trigger":             {input(good), "field trigger is required"},
		"field":                  {input(good, "trigger: charges.new", "trgger: x"), "field trgger not recognised"},
		"field of config":        {input(good, "trigger: charges.new", "config:", "  evry: 1s"), "field evry not recognised"},
		"field of another one":   {input(good, "trigger: charges.changed", "config:", "  expand: [ customer ]"), "expand: is unknown"},
		"field of filter":        {input(good, "trigger: charges.new", "config:", "  filter:", "    custmer: x"), "filter[custmer]: is unknown"},
		"value of filter":        {input(good, "trigger: charges.new", "config:", "  filter:", "    customer: [ 1 ]"), "filter[customer]: must be a string"},
		"time":                   {input(good, "trigger: charges.new", "config:", "  every: often"), "lint errors: (7,1) every: must be a time such as 15s, and at least 100ms"},
		"time without a unit":    {input(good, "trigger: charges.new", "config:", "  overlap: 15"), "lint errors: (7,1) overlap: must be a time such as 15s, and at least 1s"},
		"short time":             {input(good, "trigger: charges.new", "config:", "  every: 99ms"), "lint errors: (7,1) every: must be a time such as 15s, and at least 100ms"},
		"number":                 {input(good, "trigger: charges.new", "config:", "  max_attempts: -1"), "lint errors: (7,1) max_attempts: must be at least 1"},
		"no messages":            {input(good, "trigger: charges.new", "config:", "  max_unacked: 0"), "lint errors: (7,1) max_unacked: must be at least 1"},
		"start":                  {input(good, "trigger: charges.new", "config:", "  from: monday"), "lint errors: (7,1) from: monday is not valid: where to begin without a checkpoint: now, beginning, or a time"},
		"no delay":               {input(good, "trigger: charges.new", "nack_delay: 0s"), "lint errors: (6,1) nack_delay: must be a time such as 15s, and at least 10ms"},
		"two checkpoints":        {input(good, "trigger: charges.new", "checkpoint:", "  file:", "    directory: x", "  nats:", "    url: y"), "must have exactly one of file, sql and nats"},
		"checkpoint of nothing":  {input(good, "trigger: charges.new", "checkpoint: {}"), "must have exactly one of file, sql and nats"},
		"kind of database":       {input(good, "trigger: charges.new", "checkpoint:", "  sql:", "    driver: oracle", "    dsn: x"), "value oracle is not a valid option"},
		"driver that is missing": {input(good, "trigger: charges.new", "checkpoint:", "  sql:", "    driver: mysql", "    dsn: x"), "driver: this program has none for mysql"},
		"credentials":            {input(good, "trigger: charges.new", "checkpoint:", "  nats:", "    url: y", "    credentials_file: '-----BEGIN NATS USER JWT----- hidden'"), "credentials_file: must be the name of a file"},
		"DSN for a table":        {input(good, "trigger: charges.new", "checkpoint:", "  sql:", "    driver: sqlite", "    dsn: x", "    table: postgres://u:hidden@h/d"), "table"},
		"table":                  {input(good, "trigger: charges.new", "checkpoint:", "  sql:", "    driver: sqlite", "    dsn: x", "    table: a-b"), "table"},
		"key":                    {input("api_key: pk_test_1", "trigger: charges.new"), "publishable"},
		"base URL":               {input(good, "trigger: charges.new", "proxy: ftp://u:hidden@h"), "WithProxy: the scheme must be"},
		"account":                {input(good, "trigger: charges.new", "rate_limit:", "  total: -1"), "WithRateLimit"},
		"action":                 {processing(server, "action: charges.destroy"), "there is no action named charges.destroy"},
		"action of an output":    {writing(server, "action: charges.list"), "there is no action that writes named charges.list"},
		"key of a read":          {processing(server, "action: charges.get", "idempotency_key: 'root = \"x\"'"), "idempotency_key: is for actions that write, and charges.get reads"},
		"mapping":                {processing(server, "action: charges.get", "input: 'root = ('"), "input"},
		"interpolation":          {processing(server, "action: charges.update", "idempotency_key: '${! ( }'"), "expected query"},
		"query":                  {"input:\n  stripe_sql:\n" + indented(4, []string{good, "base_url: " + server.URL, "query: SELECT wrong FROM charges"}) + toConsumer, "no such column: wrong"},
		"budget":                 {"input:\n  stripe_sql:\n" + indented(4, []string{good, "base_url: " + server.URL, "query: SELECT 1", "max_calls: 0"}) + toConsumer, "WithMaxCalls: must be positive"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// The engine does not end an input if a later component is refused.
			yaml := strings.Replace(test.yaml, fromBeginning(server), once, 1)
			stream, logs, err := build(t, yaml, into(nil))
			if err == nil {
				err = refusal(t, stream)
			}
			require.ErrorContains(t, err, test.want)
			for _, secret := range []string{key, "hidden"} {
				require.NotContains(t, err.Error()+logs.String(), secret)
			}
		})
	}
	require.Empty(t, server.Requests(), "nothing is requested")
	requireNoneLeft(t)
}

// TestUnlintedConfigurationIsRefused: a user may switch the linter off.
func TestUnlintedConfigurationIsRefused(t *testing.T) {
	server, _ := newServer(t, 0)
	for yaml, want := range map[string]string{
		fromBeginning(server, "      max_attempts: -1") + toConsumer:                                                    "max_attempts: must be positive",
		fromBeginning(server, "      overlap: often") + toConsumer:                                                      "overlap: is not a time",
		strings.Replace(fromBeginning(server), "from: beginning", "from: monday", 1) + toConsumer:                       "from: must be",
		strings.Replace(fromBeginning(server), "nack_delay: 50ms", "nack_delay: 0s", 1) + toConsumer:                    "nack_delay: must be at least 10ms",
		writing(server, "action: charges.list"):                                                                         "there is no action that writes named charges.list",
		strings.Replace(fromBeginning(server), "charges.new", "charges.never", 1) + toConsumer:                          "the catalog has no such name: charges.never",
		fromBeginning(server, checkpointIn(t.TempDir()), "      nats:", "        url: x") + toConsumer:                  "checkpoint: must have exactly one",
		fromBeginning(server, "    checkpoint:", "      sql:", "        driver: oracle", "        dsn: x") + toConsumer: "driver: must be sqlite, postgres or mysql",
	} {
		yaml = strings.Replace(yaml, fromBeginning(server)+"output", once+"output", 1)
		stream, _, err := build(t, yaml, into(nil), (*service.StreamBuilder).DisableLinting)
		require.NoError(t, err)
		require.ErrorContains(t, refusal(t, stream), want)
	}
	requireNoneLeft(t)
}

func ExampleRegister() {
	builder := service.NewStreamBuilder()
	err := builder.SetYAML(`
input:
  stripe:
    api_key: sk_test_123
    trigger: charges.newest
output:
  drop: {}
`)
	fmt.Println(err)
	// Output:
	// lint errors: (5,1) there is no trigger named charges.newest
}
