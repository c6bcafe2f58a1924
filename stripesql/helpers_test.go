package stripesql_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// newYear is the time of the first of most objects that tests seed.
var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newServer(t *testing.T, opts ...stripetest.Option) *stripetest.Server {
	t.Helper()
	server := stripetest.New(append(opts, stripetest.InMemory())...)
	t.Cleanup(server.Close)
	return server
}

func clientOf(t *testing.T, server *stripetest.Server) *stripekit.Client {
	t.Helper()
	client, err := stripekit.New("sk_test_123",
		stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL), stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	return client
}

func openDB(t *testing.T, server *stripetest.Server, opts ...stripesql.Option) *sql.DB {
	t.Helper()
	connector, err := stripesql.Connector(clientOf(t, server), opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// result holds the rows of a query, as text, and what the query did.
type result struct {
	rows  []string
	stats stripesql.Stats
}

// run runs a query to its end, or until it fails.
func run(ctx context.Context, db *sql.DB, query string, args ...any) (result, error) {
	var r result
	rows, err := db.QueryContext(stripesql.WithStats(ctx, &r.stats), query, args...)
	if err != nil {
		return r, err
	}
	columns, err := rows.Columns()
	if err != nil {
		return r, err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			return r, err
		}
		line := ""
		for i, value := range values {
			if i > 0 {
				line += "|"
			}
			switch value := (*value.(*any)).(type) {
			case nil:
				line += "NULL"
			case time.Time:
				line += value.Format(time.RFC3339)
			default:
				line += fmt.Sprint(value)
			}
		}
		r.rows = append(r.rows, line)
	}
	// The stats are set once the rows are closed.
	err = rows.Err()
	if closed := rows.Close(); err == nil {
		err = closed
	}
	return r, err
}

// mustRun runs a query that must succeed.
func mustRun(t *testing.T, db *sql.DB, query string, args ...any) result {
	t.Helper()
	r, err := run(t.Context(), db, query, args...)
	require.NoError(t, err, query)
	return r
}

// seedCharges seeds charges, one every minute from newYear on.
func seedCharges(server *stripetest.Server, n int, params ...string) []string {
	form := url.Values{"amount": {"1000"}, "currency": {"usd"}, "source": {"tok_visa"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	if form.Has("customer") {
		form.Del("source")
	}
	return server.Seed("/v1/charges", stripetest.Seeding{Count: n, First: newYear, Every: time.Minute, Params: form})
}

func seedCustomer(server *stripetest.Server, email string) string {
	return server.Seed("/v1/customers", stripetest.Seeding{First: newYear, Params: url.Values{
		"email": {email}, "source": {"tok_visa"},
	}})[0]
}
