package stripesql_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// seedSales seeds customers. The first hundred have n charges each, one a minute, of
// the hours of a day.
func seedSales(server *stripetest.Server, customers, n int) {
	ids := server.Seed("/v1/customers", stripetest.Seeding{Count: customers, First: newYear, Every: time.Minute, Params: url.Values{"source": {"tok_visa"}}})
	for i, id := range ids[:100] {
		server.Seed("/v1/charges", stripetest.Seeding{Count: n, First: newYear.Add(time.Duration(i) * time.Hour), Every: time.Minute, Params: url.Values{
			"amount": {"1000"}, "currency": {"usd"}, "customer": {id},
		}})
	}
}

// A list of 20 pages is read at once, in place of 2000 lookups.
func TestManyLookupsAreOneList(t *testing.T) {
	server := newServer(t)
	seedSales(server, 2000, 20)
	db := openDB(t, server)
	for query, want := range map[string]string{
		"SELECT count(*), count(h.id) FROM customers c LEFT JOIN charges h ON h.customer = c.id":                                                                  "3900|2000",
		"SELECT count(*) FROM customers c WHERE NOT EXISTS (SELECT 1 FROM charges h WHERE h.customer = c.id)":                                                     "1900",
		"SELECT sum((SELECT count(*) FROM charges h WHERE h.customer = c.id)) FROM customers c":                                                                   "2000",
		"SELECT count(*) FROM customers c WHERE (SELECT strftime('%M', h.created) FROM charges h WHERE h.customer = c.id ORDER BY h.created DESC LIMIT 1) = '19'": "100",
		"SELECT sum((SELECT count(*) FROM charges h WHERE h.customer = c.id AND h.created >= '2026-01-03')) FROM customers c":                                     "1040",
	} {
		lines, _ := explanation(t, db, query)
		got := mustRun(t, db, query)
		require.Equal(t, []string{want}, got.rows, query)
		require.LessOrEqual(t, got.stats.Calls, 85, query)
		t.Log(got.stats.Calls, lines[len(lines)-1], query)
	}
}

func TestLookupsInAListThatIsTooLongGoOn(t *testing.T) {
	server := newServer(t)
	seedSales(server, 600, 300)
	for _, few := range []int{1, 20} {
		db := openDB(t, server, stripesql.WithMaxCalls(5000), stripesql.WithFewLookups(few))
		got := mustRun(t, db, "SELECT count(*), sum((SELECT count(*) FROM charges h WHERE h.customer = c.id)) FROM customers c")
		require.Equal(t, []string{"600|30000"}, got.rows)
		require.Greater(t, got.stats.Calls, 600)
		require.LessOrEqual(t, got.stats.Calls, 6+600+100*2+200)
	}
}

// A list of 190 pages takes more than the memory for what is read, but for the columns
// that the statement needs.
func TestLookupsInALongList(t *testing.T) {
	server := newServer(t)
	seedSales(server, 1500, 190)
	db := openDB(t, server)
	got := mustRun(t, db, "SELECT count(*), sum((SELECT sum(h.amount) FROM charges h WHERE h.customer = c.id)) FROM customers c")
	require.Equal(t, []string{"1500|19000000"}, got.rows)
	require.LessOrEqual(t, got.stats.Calls, 15+20+190+190+100)
}

// However many lookups there are, no more pages of the list are read than lookups
// beyond the first 20.
func TestFewLookupsCostLittle(t *testing.T) {
	server := newServer(t)
	seedSales(server, 300, 150)
	db := openDB(t, server)
	for _, n := range []int{20, 21, 30, 60} {
		query := fmt.Sprintf("SELECT c.id, (SELECT count(*) FROM charges h WHERE h.customer = c.id) FROM customers c ORDER BY c.created DESC LIMIT %d", n)
		got := mustRun(t, db, query)
		require.Equal(t, 1+n+max(n-21, 0), got.stats.Calls, n)
	}
}

// An IN is read one value after the other, so that its budget is what it was.
func TestINLooksUpEachValue(t *testing.T) {
	server := newServer(t)
	ids := seedCharges(server, 3000)
	db := openDB(t, server, stripesql.WithMaxCalls(60))
	got := mustRun(t, db, "SELECT count(*) FROM charges WHERE id IN ('"+strings.Join(ids[:60], "','")+"')")
	require.Equal(t, []string{"60"}, got.rows)
	require.Equal(t, 60, got.stats.Calls)
}

// Two spans of time are two lists.
func TestLookupsInSeveralLists(t *testing.T) {
	server := newServer(t)
	seedSales(server, 1000, 10)
	db := openDB(t, server)
	got := mustRun(t, db, `SELECT sum((SELECT count(*) FROM charges h WHERE h.customer = c.id AND h.created >= ?1)),
		sum((SELECT count(*) FROM charges h WHERE h.customer = c.id AND h.created >= ?2)) FROM customers c`, "2026-01-02", "2026-01-03")
	require.Equal(t, []string{"760|520"}, got.rows)
	require.LessOrEqual(t, got.stats.Calls, 10+2*(20+2*10))
}

// What the loops differ in besides is looked up each time.
func TestLookupsThatDifferInMore(t *testing.T) {
	server := newServer(t)
	seedSales(server, 300, 5)
	db := openDB(t, server, stripesql.WithFewLookups(1))
	got := mustRun(t, db, "SELECT sum((SELECT count(*) FROM charges h WHERE h.customer = c.id AND h.created > c.created)) FROM customers c")
	want := mustRun(t, db, "SELECT sum(h.created > c.created) FROM customers c JOIN (SELECT customer, created FROM charges ORDER BY amount) h ON h.customer = c.id")
	require.Equal(t, want.rows, got.rows)
}

// Texts that look like other filters are other lists.
func TestFiltersAreNotMistakenForOthers(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 1, "transfer_group", "G")
	db := openDB(t, server)
	got := mustRun(t, db, "SELECT (SELECT count(*) FROM charges WHERE transfer_group = 'G payment_intent:P'), (SELECT count(*) FROM charges WHERE transfer_group = 'G' AND payment_intent IS NULL)")
	require.Equal(t, []string{"0|1"}, got.rows)
}

// EXPLAIN promises a list only where the statement reads one.
func TestExplainOfLookups(t *testing.T) {
	server := newServer(t)
	seedSales(server, 600, 20)
	db := openDB(t, server)
	for _, query := range []string{
		"SELECT count(*) FROM customers c LEFT JOIN charges h ON h.customer = c.id",
		"SELECT count(*) FROM customers c LEFT JOIN charges h ON h.customer = c.id AND h.created >= c.created",
		"SELECT c.id, (SELECT group_concat(x) FROM (SELECT h.id x FROM charges h WHERE h.customer = c.id ORDER BY h.created DESC LIMIT 2)) FROM customers c",
		"SELECT c.id, (SELECT group_concat(x) FROM (SELECT h.id x FROM charges h WHERE h.customer = c.id AND h.created > c.created ORDER BY h.created DESC LIMIT 2)) FROM customers c",
	} {
		lines, _ := explanation(t, db, query)
		var estimate int
		_, err := fmt.Sscanf(lines[len(lines)-1], "ESTIMATE about %d calls", &estimate)
		require.NoError(t, err)
		calls := mustRun(t, db, query).stats.Calls
		require.InEpsilon(t, calls, estimate, 0.3, query)
	}
}

// The memory for all lists of a statement is one: with a list of some 10 MB for each
// of 8 spans, the later ones are looked up.
func TestLookupsInManyLongListsKeepToTheirMemory(t *testing.T) {
	server := newServer(t)
	seedSales(server, 400, 60)
	db := openDB(t, server, stripesql.WithMaxCalls(5000), stripesql.WithFewLookups(1))
	sums := make([]string, 8)
	for i := range sums {
		sums[i] = fmt.Sprintf("sum((SELECT count(h.raw) FROM charges h WHERE h.customer = c.id AND h.created >= '2025-01-0%d'))", i+1)
	}
	got := mustRun(t, db, "SELECT "+strings.Join(sums, ", ")+" FROM customers c")
	require.Equal(t, []string{strings.TrimSuffix(strings.Repeat("6000|", 8), "|")}, got.rows)
	require.Greater(t, got.stats.Calls, 1500, "8 lists would take 1000")
}
