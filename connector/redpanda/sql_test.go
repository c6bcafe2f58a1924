package redpanda_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// querying is a pipeline of the rows of a query.
func querying(server *stripetest.Server, query string, lines ...string) string {
	return "input:\n  stripe_sql:\n" + indented(4, append([]string{
		"api_key: " + key, "base_url: " + server.URL, "max_retries: 0", "query: " + query,
	}, lines...)) + toConsumer
}

func TestRowsAreObjectsInTheOrderOfTheirColumns(t *testing.T) {
	server, ids := newServer(t, 3)
	rows := make(chan string, 10)
	p := run(t, querying(server, "SELECT id, customer, amount, amount / 2.5 AS part, paid, created < '2100-01-01' AS past, created, 'a \"b\"' AS \"the text\" FROM charges WHERE amount = ? ORDER BY created",
		"args_mapping: 'root = [ 500 ]'"), func(_ context.Context, m *service.Message) error {
		text, err := m.AsBytes()
		rows <- string(text)
		return err
	})
	require.NoError(t, next(t, p.ended))
	require.Len(t, rows, len(ids))
	for _, id := range ids {
		require.Regexp(t, `^\{"id":"`+id+`","customer":null,"amount":500,"part":200,"paid":1,"past":1,"created":"[0-9-]{10}T[0-9:]{8}Z","the text":"a \\"b\\""\}$`, <-rows)
	}
	p.stop()
	requireNoneLeft(t)
}

func TestRowThatIsRejectedIsDeliveredAgain(t *testing.T) {
	server, ids := newServer(t, 3)
	var rejected atomic.Int64
	messages := make(chan received, 10)
	p := run(t, querying(server, "SELECT id FROM charges"), func(ctx context.Context, m *service.Message) error {
		if rejected.Add(1) < 3 {
			return errRefused
		}
		return into(messages)(ctx, m)
	})
	require.NoError(t, next(t, p.ended))
	var got []string
	for range ids {
		got = append(got, next(t, messages).body["id"].(string))
	}
	require.ElementsMatch(t, ids, got)
}

func TestColumnsOfOneNameAreRefused(t *testing.T) {
	server, _ := newServer(t, 3)
	p := run(t, querying(server, "SELECT id, amount AS id FROM charges"), into(nil))
	p.logs.await(t, "two columns are named id: name them by AS", 1)
}

// TestHalfAResultIsNotTakenForAWholeOne: the input does not end, and does not begin again.
func TestHalfAResultIsNotTakenForAWholeOne(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"budget": {"max_calls: 2", "needs more than"},
		"error":  {"max_calls: 100", "503"},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := newServer(t, 300)
			server.Fault("GET /v1/charges", stripetest.From(3), stripetest.Respond(http.StatusServiceUnavailable, ""))
			var count atomic.Int64
			p := run(t, querying(server, "SELECT id FROM charges", test.line), func(context.Context, *service.Message) error {
				count.Add(1)
				return nil
			})
			p.logs.await(t, "Failed to connect to stripe_sql", 1)
			require.Contains(t, p.logs.String(), test.want)
			p.stop()
			require.EqualValues(t, 200, count.Load())
			require.LessOrEqual(t, server.Count("GET /v1/charges"), 3)
			require.NotContains(t, p.logs.String()[:strings.Index(p.logs.String(), "Failed to connect")], "has ended")
		})
	}
	requireNoneLeft(t)
}

func TestStopEndsAQuery(t *testing.T) {
	server, _ := newServer(t, 300)
	reached, release := make(chan struct{}), make(chan struct{})
	server.Fault("GET /v1/charges", stripetest.Nth(2), stripetest.Do(func() {
		close(reached)
		<-release
	}))
	p := run(t, querying(server, "SELECT id FROM charges"), func(context.Context, *service.Message) error { return nil })
	next(t, reached)
	p.stop()
	requireNoneLeft(t)
	close(release)
}
