package stripesql_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// longList returns a server with 5,000 charges, one a minute, and its database.
func longList(t testing.TB, opts ...stripesql.Option) (*stripetest.Server, *sql.DB) {
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 5000, First: bigOpened, Every: time.Minute})
	return server, openServer(t, server, nil, opts...)
}

func openServer(t testing.TB, server *stripetest.Server, client []stripekit.Option, opts ...stripesql.Option) *sql.DB {
	client = append([]stripekit.Option{
		stripekit.WithHTTPClient(server.Client()), stripekit.WithRateLimit(stripekit.RateLimit{}), stripekit.WithMaxRetries(0),
	}, client...)
	c, err := stripekit.New("sk_test_long", client...)
	require.NoError(t, err)
	connector, err := stripesql.Connector(c, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// A query with too small a budget makes all calls of its budget and no more,
// and its error names the next request.
func TestBudgetIsNeverExceeded(t *testing.T) {
	shop := newSmallShop(t)
	server, _ := longList(t)
	requests := &replay{server: server}
	client := []stripekit.Option{stripekit.WithHTTPClient(&http.Client{Transport: requests})}
	for name, query := range map[string]string{
		"a scan":                    `SELECT count(*) FROM charges`,
		"an ordered scan":           `SELECT id FROM charges ORDER BY created DESC`,
		"a span":                    `SELECT sum(amount) FROM charges WHERE created >= '2024-02-29T01:00' AND created < '2024-03-03T10:00'`,
		"two scans":                 `SELECT count(*) FROM charges a, charges b WHERE a.amount = b.amount + 1`,
		"a scan that comes to none": `SELECT id FROM charges WHERE status = 'odd' ORDER BY created DESC LIMIT 1`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, budget := range budgets() {
				requireBudget(t, requests, openServer(t, server, client, stripesql.WithMaxCalls(budget)), budget, query)
			}
		})
	}
	// These need fewer calls than some of the budgets.
	for name, query := range map[string]string{
		"a list a customer": `SELECT b.id, a.id FROM customers b LEFT JOIN charges a ON a.customer = b.id`,
		"many ids":          `SELECT count(*) FROM charges WHERE id IN ('` + strings.Join(shop.charges[:60], "', '") + `')`,
		"many customers":    `SELECT count(*) FROM charges WHERE customer IN ('` + strings.Join(shop.customers[:50], "', '") + `')`,
		"a list in a loop":  `SELECT a.id, b.id FROM customers b JOIN charges a ON a.receipt_email = b.email`,
	} {
		t.Run(name, func(t *testing.T) {
			db := openShop(t, shop)
			var whole stripesql.Stats
			_, err := ask(stripesql.WithStats(t.Context(), &whole), db, query)
			require.NoError(t, err)
			for _, budget := range budgets() {
				db := openShop(t, shop, stripesql.WithMaxCalls(budget))
				if budget >= whole.Calls {
					_, err := ask(t.Context(), db, query)
					require.NoError(t, err, "the budget is enough")
					continue
				}
				requireBudget(t, shop.requests, db, budget, query)
			}
		})
	}
}

// budgets returns 1 to 40, or some of them if tests are slow.
func budgets() []int {
	switch {
	case raceDetector:
		return []int{2, 40}
	case testing.Short():
		return []int{1, 2, 3, 7, 20, 21, 40}
	}
	var all []int
	for budget := range 40 {
		all = append(all, budget+1)
	}
	return all
}

func requireBudget(t *testing.T, requests *replay, db *sql.DB, budget int, query string) {
	before := requests.total()
	var stats stripesql.Stats
	_, err := ask(stripesql.WithStats(t.Context(), &stats), db, query)
	over, ok := errors.AsType[*stripesql.BudgetError](err)
	require.True(t, ok, "with %d calls: %v", budget, err)
	require.Equal(t, budget, over.MaxCalls)
	require.True(t, strings.HasPrefix(over.Next, "GET /v1/"), over.Next)
	require.Contains(t, err.Error(), over.Next)
	require.Equal(t, budget, requests.total()-before, "requests")
	require.Equal(t, budget, stats.Calls)
}

func TestErrorOfTheAPIIsReached(t *testing.T) {
	for name, fault := range map[string]struct {
		call  int
		query string
		down  bool
	}{
		"on the first page":        {call: 1, query: `SELECT id FROM charges ORDER BY created DESC`},
		"on page 2":                {call: 2, query: `SELECT id FROM charges ORDER BY created DESC`},
		"on page 30 of a scan":     {call: 30, query: `SELECT count(*) FROM charges`},
		"within a subquery":        {call: 3, query: `SELECT (SELECT count(*) FROM charges), 1`},
		"under a LEFT JOIN":        {call: 2, query: `SELECT a.id FROM charges a LEFT JOIN charges b ON b.created = a.created ORDER BY a.created DESC`},
		"in EXISTS":                {call: 2, query: `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM charges WHERE status = 'odd')`},
		"of a server that is down": {call: 2, query: `SELECT count(*) FROM charges`, down: true},
	} {
		t.Run(name, func(t *testing.T) {
			server, db := longList(t)
			response := stripetest.Respond(403, `{"error":{"type":"invalid_request_error","message":"This key may not read charges."}}`)
			if fault.down {
				response = stripetest.Respond(503, "busy")
			}
			server.Fault("GET /v1/charges", stripetest.Nth(fault.call), response)
			_, err := ask(t.Context(), db, fault.query)
			apiErr, ok := errors.AsType[*stripekit.Error](err)
			require.True(t, ok, "%v", err)
			if fault.down {
				require.ErrorIs(t, err, stripekit.ErrAPI)
			} else {
				require.ErrorIs(t, err, stripekit.ErrPermission)
				require.Equal(t, 403, apiErr.HTTPStatus)
				require.Contains(t, err.Error(), "may not read charges")
			}
			require.NotContains(t, err.Error(), "sk_test_long")

			got, err := ask(t.Context(), db, `SELECT id FROM charges LIMIT 150`)
			require.NoError(t, err, "the connection is good for the next query")
			require.Len(t, got.rows, 150)
		})
	}
}

// The scan waits for a response when the query's context is cancelled.
func TestCancelEndsAScan(t *testing.T) {
	for name, query := range map[string]string{
		"a scan":          `SELECT count(*) FROM charges`,
		"an ordered scan": `SELECT id FROM charges ORDER BY created DESC`,
		"a cross join":    `SELECT count(*) FROM charges a, charges b WHERE a.amount = b.amount + 1`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, db := longList(t, stripesql.WithMaxCalls(100_000))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				server.Fault("GET /v1/charges", stripetest.From(20), stripetest.Delay(time.Hour))
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, err = ask(ctx, db, query)
				}()
				synctest.Wait() // until everything waits for the server
				cancel()
				<-done
				require.ErrorIs(t, err, context.Canceled)
				begun := total(server.Counts())
				require.Less(t, begun, 30, "requests")

				server.RemoveFaults()
				<-time.After(2 * time.Hour) // in the time of the bubble
				require.Equal(t, begun, total(server.Counts()), "requests after the end")
				_, err = ask(t.Context(), db, `SELECT id FROM charges LIMIT 1`)
				require.NoError(t, err, "the database is good for the next query")
			})
		})
	}
}

// No request is under way when the context is cancelled, because SQLite itself
// is busy.
func TestCancelBetweenRequests(t *testing.T) {
	server, db := longList(t, stripesql.WithMaxCalls(100_000))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	ctx = stripesql.WithProgress(ctx, func(p stripesql.Progress) {
		if calls = p.Calls; calls == 7 {
			cancel()
		}
	})
	_, err := ask(ctx, db, `SELECT count(*) FROM charges ORDER BY amount`)
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, total(server.Counts()), 7+8, "what was under way may end")
	require.GreaterOrEqual(t, calls, 7)
}

func TestCancelWhileSQLiteComputes(t *testing.T) {
	server, db := longList(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := db.QueryContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i = 1 OR i < 0`)
	require.NoError(t, err)
	defer rows.Close()
	require.True(t, rows.Next())
	go cancel()
	require.False(t, rows.Next(), "it would never end")
	require.ErrorIs(t, rows.Err(), context.Canceled)
	require.Zero(t, total(server.Counts()))
}

// A row is read after each page. Closing the rows makes no further request.
func TestClosingTheRowsEndsAScan(t *testing.T) {
	server, db := longList(t, stripesql.WithConcurrency(1))
	rows, err := db.QueryContext(t.Context(), `SELECT id FROM charges ORDER BY created DESC`)
	require.NoError(t, err)
	for range 150 {
		require.True(t, rows.Next())
	}
	require.NoError(t, rows.Close())
	require.LessOrEqual(t, total(server.Counts()), 4)
}

// A full scan is read in parallel, but no faster than the client's rate limit.
// Each call takes half a second.
func TestScanKeepsTheRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const charges, limit = 10_000, 10
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		server.Seed("/v1/charges", stripetest.Seeding{Count: charges, First: bigOpened, Every: time.Minute})
		server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Delay(500*time.Millisecond))
		db := openServer(t, server, []stripekit.Option{stripekit.WithRateLimit(stripekit.RateLimit{Total: limit})})
		began := time.Now()
		got, err := ask(t.Context(), db, `SELECT count(*) FROM charges`)
		took := time.Since(began)
		require.NoError(t, err)
		require.Equal(t, [][]string{{strconv.Itoa(charges)}}, got.rows)
		calls := total(server.Counts())
		require.LessOrEqual(t, calls, charges/100+12)
		require.Less(t, took, time.Duration(calls)*250*time.Millisecond, "one after the other it would be 500 ms a call")
		for _, second := range server.CountsPerSecond() {
			require.LessOrEqual(t, second.Total, limit+1)
		}
		t.Logf("%d calls in %v", calls, took)
	})
}

// A scan that is too short to be read in parallel is not measured first.
func TestShortScanCostsItsPages(t *testing.T) {
	server, db := longList(t)
	_, err := ask(t.Context(), db, `SELECT count(*) FROM charges`)
	require.NoError(t, err)
	require.LessOrEqual(t, total(server.Counts()), 54)
}

func TestProgressIsToldAfterEachCall(t *testing.T) {
	for name, scan := range map[string]struct {
		charges int
		query   string
		unknown bool // the progress is unknown
	}{
		"a span":       {3000, `SELECT count(*) FROM charges WHERE created >= '2024-02-29' AND created < '2024-03-20'`, false},
		"a long scan":  {10_000, `SELECT count(*) FROM charges`, false},
		"a short scan": {500, `SELECT count(*) FROM charges`, true},
	} {
		t.Run(name, func(t *testing.T) {
			if raceDetector && scan.charges > 5000 {
				t.Skip("slow under the race detector, and TestProgressOfALongScan is like it")
			}
			server := stripetest.New(stripetest.InMemory())
			defer server.Close()
			server.Seed("/v1/charges", stripetest.Seeding{Count: scan.charges, First: bigOpened, Every: time.Minute})
			db := openServer(t, server, nil, stripesql.WithMaxCalls(200))
			var told []stripesql.Progress
			ctx := stripesql.WithProgress(t.Context(), func(p stripesql.Progress) { told = append(told, p) })
			_, err := ask(ctx, db, scan.query)
			require.NoError(t, err)
			require.Len(t, told, total(server.Counts()))
			for i, p := range told {
				require.Equal(t, 200, p.MaxCalls)
				require.LessOrEqual(t, p.Share, 1.0)
				if i > 0 {
					require.GreaterOrEqual(t, p.Share, told[i-1].Share)
					require.GreaterOrEqual(t, p.Rows, told[i-1].Rows)
					require.GreaterOrEqual(t, p.Calls, told[i-1].Calls)
				}
			}
			last := told[len(told)-1]
			require.GreaterOrEqual(t, last.Rows, scan.charges)
			require.Equal(t, len(told), last.Calls)
			if !scan.unknown {
				require.InDelta(t, 1, last.Share, 0.02)
				require.InDelta(t, 0.5, told[len(told)/2].Share, 0.2)
			}
		})
	}
}

// BenchmarkCancel measures the longest time from cancelling the context of a
// scan to the end of the query.
func BenchmarkCancel(b *testing.B) {
	_, db := longList(b, stripesql.WithMaxCalls(100_000))
	longest := time.Duration(0)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var cancelled time.Time
		ctx = stripesql.WithProgress(ctx, func(p stripesql.Progress) {
			if p.Calls == 5 {
				cancelled = time.Now()
				cancel()
			}
		})
		_, err := ask(ctx, db, `SELECT count(*) FROM charges`)
		require.ErrorIs(b, err, context.Canceled)
		longest = max(longest, time.Since(cancelled))
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-at-most")
}
