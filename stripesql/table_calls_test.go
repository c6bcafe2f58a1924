package stripesql_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// question is a row of the table: a query, and how many calls it may make.
type question struct {
	name   string
	query  string
	args   []any
	limit  int
	search bool
	rows   int // of its response, which must not be trivial
	// elsewhere is what Steampipe's plugin needs according to its source, if
	// that is known.
	elsewhere string
}

// dayOf returns a condition for one of the shop's days, on the created of an
// alias.
func dayOf(alias string) string {
	return fmt.Sprintf(`%[1]screated >= '2024-03-03T00:00:00Z' AND %[1]screated < '2024-03-04T00:00:00Z'`, alias)
}

// span is a longer period of the shop.
type span struct {
	name, where string
	minutes     int
}

// span returns a month, or three days of a small shop.
func (s *bigShop) span() span {
	if len(s.charges) < 100_000 {
		return span{"three days", `created >= '2024-03-02T00:00:00Z' AND created < '2024-03-05T00:00:00Z'`, 3 * 24 * 60}
	}
	return span{"a month", `created >= '2024-03-01T00:00:00Z' AND created < '2024-04-01T00:00:00Z'`, 31 * 24 * 60}
}

// pages returns how many pages that many objects fill.
func pages(objects int) int { return (objects + 99) / 100 }

func (s *bigShop) questions() []question {
	span := s.span()
	whole := strconv.Itoa(pages(len(s.charges)))
	chosen := s.customers[7]
	product := make([]any, 150)
	for i := range product {
		product[i] = s.products[i+20]
	}
	return []question{
		{
			name: "charge by id", limit: 1, rows: 1,
			query: `SELECT id, amount, status, customer, created FROM charges WHERE id = ?`, args: []any{s.charges[len(s.charges)/3].id},
		},
		{
			name: "the latest 10 charges", limit: 1, rows: 10, elsewhere: whole,
			query: `SELECT id, amount, status, created FROM charges ORDER BY created DESC LIMIT 10`,
		},
		{
			name: "one customer's 20 charges", limit: 1, rows: 20,
			query: `SELECT id, amount, status, created FROM charges WHERE customer = ? ORDER BY created DESC, id`, args: []any{chosen.id},
		},
		{
			name: "sum of a day, status = 'succeeded'", limit: 15, rows: 1,
			query: `SELECT sum(amount), count(*) FROM charges WHERE ` + dayOf("") + ` AND status = 'succeeded'`,
		},
		{
			name: "the same joined to customers.email", limit: 15, rows: 137,
			query: `SELECT a.id, a.amount, b.email FROM charges a JOIN customers b ON b.id = a.customer WHERE ` + dayOf("a.") + ` AND a.status = 'succeeded'`,
		},
		{
			name: "customer by email, then the charges", limit: 2, rows: 20,
			query: `SELECT b.id, a.id, a.amount, a.created FROM customers b JOIN charges a ON a.customer = b.id WHERE b.email = ?`, args: []any{chosen.email},
		},
		{
			name: "150 products by id", limit: 2, rows: 150,
			query: `SELECT id, name, created FROM products WHERE id IN (?` + strings.Repeat(", ?", 149) + `)`, args: product,
		},
		{
			name: "a day's refunds ⋈ charges ⋈ customers", limit: 1, rows: 29,
			query: `SELECT a.id, a.amount, b.id, b.amount, c.email FROM refunds a JOIN charges b ON b.id = a.charge JOIN customers c ON c.id = b.customer WHERE ` + dayOf("a."),
		},
		{
			name: "the latest 10 failed charges", limit: 2, rows: 10, elsewhere: whole,
			query: `SELECT id, amount, customer, created FROM charges WHERE status = 'failed' ORDER BY created DESC LIMIT 10`,
		},
		{
			name: span.name + "'s failed charges", limit: pages(span.minutes)*108/100 + 16, rows: span.minutes / 20,
			query: `SELECT id, amount, created FROM charges WHERE status = 'failed' AND ` + span.where,
		},
		{
			name: "the same with search=1", limit: pages(span.minutes / 20), rows: span.minutes / 20, search: true, // 23 a month
			query: `SELECT id, amount, created FROM charges WHERE status = 'failed' AND ` + span.where,
		},
		{
			name: "max(created)", limit: 1, rows: 1, elsewhere: whole,
			query: `SELECT max(created) FROM charges`,
		},
		{
			name: "count and sum of everything", limit: pages(len(s.charges))*108/100 + 16, rows: 1,
			query: `SELECT count(*), sum(amount) FROM charges`,
		},
	}
}

// smallCharges is enough for a scan to be read in parallel.
const smallCharges = 8_000

// bigCharges returns how many charges the table is based on.
func bigCharges() int {
	switch {
	case raceDetector || testing.Short():
		return smallCharges
	case os.Getenv("STRIPEKIT_QUERIES") == "":
		return 100_000
	}
	return 1_000_000
}

func TestTableOfCalls(t *testing.T) {
	shop := newBigShop(t, bigCharges())
	plain := shop.plain(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "query\tcalls\tat most\testimate\tprobes for it\tSteampipe\ttime\t")
	for _, q := range shop.questions() {
		t.Run(q.name, func(t *testing.T) {
			want, err := ask(t.Context(), plain, q.query, q.args...)
			require.NoError(t, err)
			require.Len(t, want.rows, q.rows)

			// At first nothing is known of the account. The query uses what
			// EXPLAIN measures.
			db := shop.open(t, q.search)
			before := shop.requests.total()
			estimate, probes := explained(t, db, q.query, q.args...)
			require.Equal(t, probes, shop.requests.total()-before, "calls of EXPLAIN by Stats")
			require.LessOrEqual(t, probes, 20)

			before = shop.requests.total()
			var stats stripesql.Stats
			got, err := ask(stripesql.WithStats(t.Context(), &stats), db, q.query, q.args...)
			require.NoError(t, err)
			calls := shop.requests.total() - before
			require.Equal(t, calls, stats.Calls, "calls by Stats")
			if !strings.Contains(q.query, "ORDER BY") {
				want, got = want.sorted(), got.sorted()
			}
			require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(response{})), "-plain +got")
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%v\t\n", q.name, calls, q.limit, estimate, probes, q.elsewhere, stats.Duration.Round(100*time.Microsecond))
			require.LessOrEqual(t, calls, q.limit)
			require.LessOrEqual(t, estimate, 2*calls, "estimate")
			require.GreaterOrEqual(t, 2*estimate, calls, "estimate")
		})
	}
	t.Run("with nothing known", func(t *testing.T) {
		if raceDetector {
			t.Skip("slow under the race detector, and no other calls than above")
		}
		small := shop
		if len(shop.charges) > smallCharges {
			small = newBigShop(t, smallCharges)
		}
		requireColdCalls(t, small)
	})
	require.NoError(t, w.Flush())
	t.Logf("%d charges, %d customers, %d refunds, %d products\n%s", len(shop.charges), len(shop.customers), len(shop.refunds), len(shop.products), table.String())
}

// requireColdCalls runs queries without an EXPLAIN before them. Their calls do
// not depend on what is known of the account.
func requireColdCalls(t *testing.T, shop *bigShop) {
	for _, q := range shop.questions() {
		before := shop.requests.total()
		_, err := ask(t.Context(), shop.open(t, q.search), q.query, q.args...)
		require.NoError(t, err)
		require.LessOrEqual(t, shop.requests.total()-before, q.limit, q.name)
	}
}

func (s *bigShop) open(t testing.TB, search bool) *sql.DB {
	opts := []stripesql.Option{stripesql.WithMaxCalls(20_000)}
	if search {
		opts = append(opts, stripesql.WithSearch())
	}
	connector, err := stripesql.Connector(s.client, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
