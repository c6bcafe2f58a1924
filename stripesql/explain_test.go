package stripesql_test

import (
	"database/sql"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// explanation returns the details of an EXPLAIN QUERY PLAN, and its calls.
func explanation(t *testing.T, db *sql.DB, query string, args ...any) (lines []string, calls int) {
	t.Helper()
	var stats stripesql.Stats
	rows, err := db.QueryContext(stripesql.WithStats(t.Context(), &stats), "/* why */ explain\nQuery PLAN "+query, args...)
	require.NoError(t, err, query)
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		lines = append(lines, detail)
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	return lines, stats.Calls
}

func TestExplainShowsTheRequests(t *testing.T) {
	server := newServer(t)
	ann := seedCustomer(server, "ann@example.com")
	seedCharges(server, 900, "customer", ann)
	server.Seed("/v1/products", stripetest.Seeding{Count: 5, First: newYear})
	db, searching := openDB(t, server), openDB(t, server, stripesql.WithSearch())
	for _, test := range []struct {
		db    *sql.DB
		query string
		args  []any
		want  []string
		calls int // calls that EXPLAIN QUERY PLAN makes itself
	}{
		{db, "SELECT 1", nil, []string{"SCAN CONSTANT ROW", "ESTIMATE about 0 calls (1000 allowed)"}, 0},
		{db, "SELECT * FROM charges WHERE id = ?", []any{"ch_1"}, []string{
			"SCAN charges: GET /v1/charges/ch_1, about 1 call", "ESTIMATE about 1 call (1000 allowed)",
		}, 0},
		{db, "SELECT * FROM charges WHERE id = 'no/id'", nil, []string{"SCAN charges: nothing, about 0 calls", "ESTIMATE about 0 calls (1000 allowed)"}, 0},
		{db, "SELECT id FROM charges ORDER BY created DESC LIMIT 10", nil, []string{
			"SCAN charges: GET /v1/charges?limit=10, about 1 call", "ESTIMATE about 1 call (1000 allowed)",
		}, 0},
		{db, "SELECT id FROM charges WHERE created >= ? AND amount > 5 AND description LIKE 'x%'", []any{newYear.Add(12 * time.Hour)}, []string{
			"SCAN charges: GET /v1/charges?created[gte]=1767268800&limit=100, locally amount > 5 AND description LIKE 'x%', about 2 calls",
			"ESTIMATE about 2 calls (1000 allowed)",
		}, 2},
		{db, "SELECT email FROM charges LEFT JOIN customers ON customers.id = customer ORDER BY charges.created DESC LIMIT 5", nil, []string{
			"SCAN charges: GET /v1/charges?limit=100&expand[]=data.customer, about 1 call",
			"SCAN customers: expanded with charges, else GET /v1/customers/{id}, about 0 calls LEFT-JOIN",
			"ESTIMATE about 1 call (1000 allowed)",
		}, 0},
		{db, "SELECT count(*) FROM customers c JOIN charges h ON h.customer = c.id WHERE c.email = 'ann@example.com'", nil, []string{
			"SCAN c: GET /v1/customers?email=ann@example.com&limit=100, about 1 call",
			"SCAN h: GET /v1/charges?customer=?&limit=100, about 1 call",
			"ESTIMATE about 2 calls (1000 allowed)",
		}, 0},
		{db, "SELECT max(created) FROM charges", nil, []string{"SEARCH charges: GET /v1/charges?limit=100, about 1 call", "ESTIMATE about 1 call (1000 allowed)"}, 0},
		{db, "SELECT count(*) FROM products WHERE id IN ('a', 'b')", nil, []string{"SCAN products: GET /v1/products?ids[]=…&limit=100, about 1 call", "ESTIMATE about 1 call (1000 allowed)"}, 0},
		{db, "SELECT count(*) FROM charges WHERE customer IN ('a, b', 'c', 'd')", nil, []string{
			"SCAN charges: GET /v1/charges?customer=?&limit=100, about 3 calls", "ESTIMATE about 3 calls (1000 allowed)",
		}, 0},
		{db, "SELECT count(*) FROM charges WHERE id IN ('ch_1', 'ch_2')", nil, []string{"SCAN charges: GET /v1/charges/{id}, about 2 calls", "ESTIMATE about 2 calls (1000 allowed)"}, 0},
		{searching, "SELECT count(*) FROM charges WHERE status = 'failed' AND created < '2026-01-01 06:00'", nil, []string{
			`SCAN charges: GET /v1/charges/search?query=status:"failed" AND created<1767247200&limit=100, about 1 call`,
			"ESTIMATE about 1 call (1000 allowed)",
		}, 10},
	} {
		lines, calls := explanation(t, test.db, test.query, test.args...)
		require.Equal(t, test.want, lines, test.query)
		require.LessOrEqual(t, calls, test.calls, test.query)
	}
	before := len(server.Requests())
	_, calls := explanation(t, db, "SELECT count(*) FROM charges WHERE created >= ?", newYear.Add(12*time.Hour))
	require.Zero(t, calls, "it has been measured")
	require.Len(t, server.Requests(), before)
}

func TestEstimateOfATableIsAboutRight(t *testing.T) {
	for _, opts := range [][]stripesql.Option{nil, {stripesql.WithConcurrency(1)}} {
		list := many()
		db := list.open(t, opts...)
		lines, calls := explanation(t, db, countAll)
		require.LessOrEqual(t, calls, 20)
		require.Regexp(t, `^ESTIMATE about (9\d|[12]\d\d|3[0-6]\d) calls(, .*)? \(1000 allowed\)$`, lines[len(lines)-1], "184, within a factor of 2")
	}
}

func TestExplainWithinASmallBudget(t *testing.T) {
	list := many()
	lines, calls := explanation(t, list.open(t, stripesql.WithMaxCalls(3)), countAll)
	require.Equal(t, 3, calls)
	require.Equal(t, 3, list.count())
	require.Equal(t, []string{"SCAN charges: GET /v1/charges?limit=100", "ESTIMATE unknown: to measure takes more than the 3 calls allowed"}, lines[len(lines)-2:])
}

func TestExplainOfAnInfiniteParameter(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 250)
	db := openDB(t, server)
	for _, number := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64} {
		for condition, want := range map[string]string{
			"created > ?":                        "SCAN charges: GET /v1/charges?created[gt]=?&limit=100, about 1 call",
			"created_unix <= ?":                  "SCAN charges: GET /v1/charges?created[lte]=?&limit=100, about 1 call",
			"amount = ?":                         "SCAN charges: GET /v1/charges?limit=100, locally amount = ?, about 3 calls",
			"id = ? AND description = 'it''s ?'": "SCAN charges: GET /v1/charges/{id}, locally description = 'it''s ?', about 1 call",
		} {
			lines, _ := explanation(t, db, "SELECT count(*) FROM charges WHERE "+condition, number)
			require.Equal(t, want, lines[0], "%s %v", condition, number)
		}
	}
	requireRows := func(want string, condition string, number float64) {
		require.Equal(t, []string{want}, mustRun(t, db, "SELECT count(*) FROM charges WHERE "+condition, number).rows, "%s %v", condition, number)
	}
	requireRows("0", "created_unix > ?", math.Inf(1))
	requireRows("250", "created_unix > ?", math.Inf(-1))
	requireRows("0", "created_unix > ?", math.NaN())
}
