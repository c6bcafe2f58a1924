package stripesql_test

import (
	"context"
	"errors"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

func TestQueryNeedsFewCalls(t *testing.T) {
	server := newServer(t)
	ann, bob := seedCustomer(server, "ann@example.com"), seedCustomer(server, "bob@example.com")
	charges := seedCharges(server, 300, "customer", ann)
	seedCharges(server, 5, "customer", bob, "amount", "700")
	refund := server.Seed("/v1/refunds", stripetest.Seeding{Count: 3, First: newYear, Params: url.Values{"charge": {charges[0]}, "amount": {"10"}}})
	products := server.Seed("/v1/products", stripetest.Seeding{Count: 150, First: newYear})
	db := openDB(t, server)
	quoted := "'" + strings.Join(products, "','") + "'"

	for name, test := range map[string]struct {
		query string
		want  string
		calls int
	}{
		"by id":                         {"SELECT amount FROM charges WHERE id = '" + charges[7] + "'", "1000", 1},
		"by an id that is none":         {"SELECT count(*) FROM charges WHERE id = '../customers'", "0", 0},
		"by an id that does not exist":  {"SELECT count(*) FROM charges WHERE id = 'ch_none'", "0", 1},
		"by NULL":                       {"SELECT count(*) FROM charges WHERE id = NULL", "0", 0},
		"by an endpoint's name":         {"SELECT count(*) FROM charges WHERE id = 'search'", "0", 0},
		"the latest":                    {"SELECT created FROM charges ORDER BY created DESC LIMIT 1", "2026-01-01T04:59:00Z", 1},
		"the latest, by id":             {"SELECT created FROM charges ORDER BY created DESC, id LIMIT 1", "2026-01-01T04:59:00Z", 1},
		"the latest with an offset":     {"SELECT created FROM charges ORDER BY created DESC LIMIT 1 OFFSET 98", "2026-01-01T03:21:00Z", 1},
		"nothing of it":                 {"SELECT count(*) FROM (SELECT * FROM charges LIMIT 0)", "0", 0},
		"max of created":                {"SELECT max(created) FROM charges", "2026-01-01T04:59:00Z", 1},
		"one customer's":                {"SELECT count(*), sum(amount) FROM charges WHERE customer = '" + bob + "'", "5|3500", 1},
		"two customers'":                {"SELECT count(*) FROM charges WHERE customer IN ('" + bob + "', 'cus_none')", "5", 2},
		"an hour":                       {"SELECT count(*) FROM charges WHERE created >= '2026-01-01 01:00' AND created < '2026-01-01 02:00'", "60", 1},
		"an hour in seconds":            {"SELECT count(*) FROM charges WHERE created_unix BETWEEN 1767229200 AND 1767232799", "60", 1},
		"two bounds that exclude":       {"SELECT count(*) FROM charges WHERE created > '2027' AND created < '2026'", "0", 0},
		"hours behind a cursor":         {"SELECT count(*) FROM charges WHERE created >= '2026-01-01 01:00' AND created < '2026-01-01 04:00'", "180", 2},
		"email, then charges":           {"SELECT count(*) FROM customers c JOIN charges ON charges.customer = c.id WHERE c.email = 'bob@example.com'", "5", 2},
		"charges and their customers":   {"SELECT c.email, count(*) FROM charges JOIN customers c ON c.id = charges.customer GROUP BY 1 ORDER BY 1 LIMIT 1", "ann@example.com|300", 4},
		"refunds, charges, customers":   {"SELECT r.id, email FROM refunds r JOIN charges h ON h.id = r.charge JOIN customers c ON c.id = h.customer ORDER BY r.id = '" + refund[0] + "' DESC LIMIT 1", refund[0] + "|ann@example.com", 1},
		"products by their ids":         {"SELECT count(*) FROM products WHERE id IN (" + quoted + ")", "150", 2},
		"one table twice":               {"SELECT count(*) FROM charges a, charges b WHERE a.id = b.id", "305", 4},
		"an inner table without a key":  {"SELECT count(*) FROM products a, customers b WHERE b.name IS NULL", "300", 3},
		"the same customer looked up":   {"SELECT (SELECT count(*) FROM customers WHERE id = charges.customer) FROM charges WHERE customer = '" + bob + "' LIMIT 1", "1", 1},
		"a value that is not text":      {"SELECT count(*) FROM customers WHERE email = 5", "0", 1},
		"another collation":             {"SELECT count(*) FROM customers WHERE email = 'ANN@example.com' COLLATE nocase", "1", 1},
		"metadata":                      {"SELECT metadata FROM customers WHERE email = 'ann@example.com'", "{}", 1},
		"booleans":                      {"SELECT count(*) FROM products WHERE active = 1", "150", 2},
		"pending items":                 {"SELECT count(*) FROM invoice_items WHERE invoice IS NULL", "0", 1},
		"the other pending items":       {"SELECT count(*) FROM invoice_items WHERE invoice IS NOT NULL", "0", 1},
		"an order's upstream id":        {"SELECT count(*) FROM orders WHERE upstream_id IN ('a', 'b')", "0", 1},
		"when an order was paid":        {"SELECT count(*) FROM orders WHERE status_transitions_paid > '2026-01-01'", "0", 1},
		"a table that is not ours":      {"SELECT count(*) FROM json_each('[1,2]')", "2", 0},
		"an empty filter is not a list": {"SELECT count(*) FROM customers WHERE email = ''", "0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			server.Reset()
			got := mustRun(t, db, test.query)
			require.Equal(t, []string{test.want}, got.rows)
			require.Equal(t, test.calls, got.stats.Calls)
			require.Len(t, server.Requests(), test.calls)
		})
	}
}

func TestCreatedComparesInAllForms(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 90)
	db := openDB(t, server)
	cet := time.FixedZone("CET", 3600)
	for _, value := range []any{
		"2026-01-01T01:00:00Z", "2026-01-01 01:00:00", "2026-01-01 01:00", "2026-01-01T02:00:00+01:00", "2026-01-01T01:00:00.000Z",
		newYear.Add(time.Hour), newYear.Add(time.Hour).In(cet),
	} {
		for query, want := range map[string]string{
			"SELECT count(*) FROM charges WHERE created < ?":  "60",
			"SELECT count(*) FROM charges WHERE created <= ?": "61",
			"SELECT count(*) FROM charges WHERE created = ?":  "1",
			"SELECT count(*) FROM charges WHERE created > ?":  "29",
			"SELECT count(*) FROM charges WHERE created >= ?": "30",
			"SELECT count(*) FROM charges WHERE created <> ?": "89",
			// Here no condition is sent.
			"SELECT count(*) FROM charges WHERE created < ? OR amount < 0": "60",
		} {
			require.Equal(t, []string{want}, mustRun(t, db, query, value).rows, "%s %v", query, value)
		}
	}
	var created time.Time
	require.NoError(t, db.QueryRow("SELECT created FROM charges ORDER BY created LIMIT 1").Scan(&created))
	require.Equal(t, newYear, created)
	require.Equal(t, []string{"text|integer|1767225600"}, mustRun(t, db, "SELECT typeof(created), typeof(created_unix), created_unix FROM charges ORDER BY created LIMIT 1").rows)
}

func TestListsNeverCombineCursorAndCreated(t *testing.T) {
	server := newServer(t, stripetest.WithCursorAndCreated(stripetest.EmptyPage))
	seedCharges(server, 2500)
	db := openDB(t, server)
	mustRun(t, db, "SELECT count(*) FROM charges WHERE created >= '2026-01-01 10:00'")
	for _, r := range server.Requests() {
		if r.Query.Has("starting_after") {
			require.NotContains(t, r.Query.Encode(), "created")
		}
	}
	require.Equal(t, []string{"1900"}, mustRun(t, db, "SELECT count(*) FROM charges WHERE created >= '2026-01-01 10:00'").rows)
}

func TestTiesAreBrokenWithinTheSecond(t *testing.T) {
	server := newServer(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 90, First: newYear, Every: time.Second / 30})
	server.Seed("/v1/charges", stripetest.Seeding{Count: 250, First: newYear.Add(5 * time.Second)})
	db := openDB(t, server)
	for _, order := range []string{"created DESC, id", "created DESC, id DESC", "created_unix DESC, id ASC", "created DESC, created_unix, id"} {
		got := mustRun(t, db, "SELECT created, id FROM charges ORDER BY "+order)
		want := mustRun(t, db, "SELECT created, id FROM charges ORDER BY +"+order)
		require.Equal(t, want.rows, got.rows, order)
		require.Equal(t, 4, got.stats.Calls)
	}
	require.Equal(t, 3, mustRun(t, db, "SELECT id FROM charges ORDER BY created DESC, id LIMIT 10").stats.Calls, "250 share the second")
	require.Equal(t, 1, mustRun(t, db, "SELECT id FROM charges ORDER BY created DESC LIMIT 10").stats.Calls)
}

func TestObjectsWithoutATimeComeLast(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 150)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 2, First: newYear.Add(time.Hour), Undated: true})
	db := openDB(t, server)
	got := mustRun(t, db, "SELECT created FROM charges ORDER BY created DESC")
	require.Len(t, got.rows, 152)
	require.Equal(t, []string{"NULL", "NULL"}, got.rows[150:])
	require.Equal(t, []string{"150"}, mustRun(t, db, "SELECT count(*) FROM charges WHERE created > '2026'").rows)
	require.Equal(t, []string{"2"}, mustRun(t, db, "SELECT count(*) FROM charges WHERE created IS NULL").rows)
}

func TestDeletedCustomersHaveNoRow(t *testing.T) {
	server := newServer(t)
	ann := seedCustomer(server, "ann@example.com")
	seedCharges(server, 3, "customer", ann)
	_, err := clientOf(t, server).Customers.Delete(t.Context(), ann)
	require.NoError(t, err)
	db := openDB(t, server)
	require.Empty(t, mustRun(t, db, "SELECT id FROM customers WHERE id = ?", ann).rows)
	require.Empty(t, mustRun(t, db, "SELECT email FROM charges JOIN customers ON customers.id = customer").rows)
	got := mustRun(t, db, "SELECT email FROM charges LEFT JOIN customers ON customers.id = customer")
	require.Equal(t, []string{"NULL", "NULL", "NULL"}, got.rows)
	require.Equal(t, 1, got.stats.Calls, "expanded")
}

func TestMissingObjectsAreAskedForOnce(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server)
	got := mustRun(t, db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 9) SELECT count(*) FROM n LEFT JOIN charges ON charges.id = 'ch_' || (i % 3)")
	require.Equal(t, []string{"9"}, got.rows)
	require.Equal(t, 3, got.stats.Calls)
}

func TestBudgetHoldsForEveryPlan(t *testing.T) {
	server := newServer(t)
	ann := seedCustomer(server, "ann@example.com")
	seedCharges(server, 700, "customer", ann)
	queries := map[string]int{
		"SELECT count(*) FROM charges":                                                                 7,
		"SELECT count(*) FROM charges WHERE created >= '2026-01-01 05:01'":                             4,
		"SELECT count(*) FROM charges WHERE id IN ('ch_1', 'ch_2', 'ch_3')":                            3,
		"SELECT count(*) FROM charges a JOIN refunds r ON r.charge = a.id AND a.amount = r.amount":     1,
		"SELECT count(*) FROM (SELECT id FROM charges UNION ALL SELECT id FROM products)":              8,
		"SELECT count(*) FROM charges WHERE customer = '" + ann + "' AND created > '2026-01-01 08:00'": 3,
	}
	for query, calls := range queries {
		for budget := 1; budget <= calls; budget++ {
			db := openDB(t, server, stripesql.WithMaxCalls(budget))
			server.Reset()
			got, err := run(t.Context(), db, query)
			require.LessOrEqual(t, len(server.Requests()), budget, query)
			if budget == calls {
				require.NoError(t, err, query)
				continue
			}
			spent, ok := errors.AsType[*stripesql.BudgetError](err)
			require.True(t, ok, "%s: %v", query, err)
			require.Equal(t, budget, spent.MaxCalls)
			require.Equal(t, budget, got.stats.Calls)
			require.Regexp(t, `^GET /v1/(charges|products)`, spent.Next)
			require.ErrorContains(t, err, spent.Next)
		}
	}
}

func TestErrorOfTheAPIOnAnyPage(t *testing.T) {
	for page, want := range map[int]int{1: 0, 2: 100, 3: 200} {
		server := newServer(t)
		seedCharges(server, 500)
		server.Fault("GET /v1/charges", stripetest.Nth(page), stripetest.Respond(500, "{}"))
		rows, err := openDB(t, server).QueryContext(t.Context(), "SELECT id FROM charges")
		require.NoError(t, err)
		read := 0
		for rows.Next() {
			read++
		}
		failure, ok := errors.AsType[*stripekit.Error](rows.Err())
		require.True(t, ok, rows.Err())
		require.ErrorIs(t, failure, stripekit.ErrAPI)
		require.Equal(t, 500, failure.HTTPStatus)
		require.Equal(t, want, read)
		require.NoError(t, rows.Close())
	}
}

func TestConnectionIsGoodAfterAnError(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 5)
	db := openDB(t, server)
	db.SetMaxOpenConns(1)
	fault := server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(403, "{}"))
	_, err := run(t.Context(), db, "SELECT count(*) FROM charges")
	require.ErrorIs(t, err, stripekit.ErrPermission)
	fault.Remove()
	require.Equal(t, []string{"5"}, mustRun(t, db, "SELECT count(*) FROM charges").rows)
}

func TestCancelBetweenRowsEndsAScan(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 1000)
	db := openDB(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := db.QueryContext(ctx, "SELECT id FROM charges")
	require.NoError(t, err)
	defer rows.Close()
	for range 150 {
		require.True(t, rows.Next())
	}
	cancel()
	for rows.Next() {
	}
	require.ErrorIs(t, rows.Err(), context.Canceled)
	require.Len(t, server.Requests(), 2)
}

func TestCancelEndsACall(t *testing.T) {
	server := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fault := server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Delay(time.Hour))
	go func() {
		for fault.Struck() == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	_, err := run(ctx, openDB(t, server), "SELECT count(*) FROM charges")
	require.ErrorIs(t, err, context.Canceled)
}

func TestCancelEndsWhatNeedsNoCall(t *testing.T) {
	db := openDB(t, newServer(t))
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := db.QueryContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i = 1 OR i < 0")
	require.NoError(t, err)
	defer rows.Close()
	require.True(t, rows.Next())
	cancel()
	require.False(t, rows.Next())
	require.ErrorIs(t, rows.Err(), context.Canceled)
}

func TestSearchOnlyWhereAskedFor(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 250)
	seedCharges(server, 5, "amount", "77", "description", `a "quoted" \ text`)
	server.Seed("/v1/products", stripetest.Seeding{First: newYear, Params: url.Values{"name": {`6" nail \ "x"`}}})
	server.Seed("/v1/products", stripetest.Seeding{First: newYear, Params: url.Values{"name": {`6" NAIL \ "x"`}}})
	plain, searching := openDB(t, server), openDB(t, server, stripesql.WithSearch())
	for query, test := range map[string]struct {
		want   string
		search string // the query of the search, "" for no search
	}{
		"SELECT count(*) FROM charges WHERE amount = 77":                                                    {"5", `amount:77`},
		"SELECT count(*) FROM charges WHERE amount < 100 AND amount > 5 AND currency = 'usd'":               {"5", `amount<100 AND currency:"usd"`},
		"SELECT count(*) FROM charges WHERE amount = 77 AND created > '2026-01-01 00:02'":                   {"2", `amount:77 AND created>=1767225721`},
		"SELECT count(*) FROM charges WHERE refunded = 1":                                                   {"0", `refunded:"true"`},
		`SELECT count(*) FROM products WHERE name = '6" nail \ "x"'`:                                        {"1", `name:"6\" nail \\ \"x\""`},
		"SELECT count(*) FROM products WHERE name = 'x' AND created > '2026-01-01'":                         {"0", `name:"x"`},
		"SELECT count(*) FROM charges WHERE description = 'x'":                                              {"0", ""},
		"SELECT count(*) FROM charges WHERE status = ''":                                                    {"0", ""},
		"SELECT count(*) FROM charges WHERE status = 5":                                                     {"0", ""},
		"SELECT count(*) FROM (SELECT id FROM charges WHERE amount = 77 ORDER BY created DESC LIMIT 1)":     {"1", ""},
		"SELECT count(*) FROM charges WHERE status LIKE 'succ%' AND amount = 77 COLLATE nocase":             {"5", `amount:77`},
		"SELECT count(*) FROM charges WHERE amount = 77 OR amount = 78":                                     {"5", `amount:77`},
		"SELECT count(*) FROM charges WHERE amount = NULL":                                                  {"0", "-"},
		"SELECT count(*) FROM charges WHERE status = 'succeeded' COLLATE nocase AND created < '2026-01-01'": {"0", ""},
	} {
		server.Reset()
		require.Equal(t, []string{test.want}, mustRun(t, plain, query).rows, query)
		for _, r := range server.Requests() {
			require.NotContains(t, r.Path, "search")
		}
		server.Reset()
		require.Equal(t, []string{test.want}, mustRun(t, searching, query).rows, query)
		switch requests := server.Requests(); test.search {
		case "-":
			require.Empty(t, requests, query)
		case "":
			require.NotContains(t, requests[0].Path, "search", query)
		default:
			require.Contains(t, requests[0].Path, "/search", query)
			require.Equal(t, test.search, requests[0].Query.Get("query"), query)
		}
	}
}

func TestStatsAndProgress(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 450)
	db := openDB(t, server, stripesql.WithMaxCalls(50))
	var seen []stripesql.Progress
	ctx := stripesql.WithProgress(t.Context(), func(p stripesql.Progress) { seen = append(seen, p) })
	got, err := run(ctx, db, "SELECT count(*) FROM charges WHERE created >= '2026-01-01'")
	require.NoError(t, err)
	require.Equal(t, 5, got.stats.Calls)
	require.Equal(t, 450, got.stats.Rows)
	require.Positive(t, got.stats.Duration)
	require.Len(t, seen, 5)
	for i, p := range seen {
		require.Equal(t, i+1, p.Calls)
		require.Equal(t, 50, p.MaxCalls)
		require.Equal(t, min((i+1)*100, 450), p.Rows)
		require.InDelta(t, float64(p.Rows)/450, p.Share, 0.01)
	}
}

func TestTwoResultsOnOneConnection(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 250)
	conn, err := openDB(t, server).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	var first, second stripesql.Stats
	a, err := conn.QueryContext(stripesql.WithStats(t.Context(), &first), "SELECT id FROM charges")
	require.NoError(t, err)
	b, err := conn.QueryContext(stripesql.WithStats(t.Context(), &second), "SELECT id FROM charges LIMIT 20")
	require.NoError(t, err)
	for b.Next() {
		require.True(t, a.Next())
	}
	require.NoError(t, b.Close())
	require.NoError(t, a.Close())
	require.Equal(t, 20, second.Rows)
	require.Equal(t, 100, first.Rows)
}
