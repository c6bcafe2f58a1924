package stripesql_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// chargesOnly returns a shop that has only charges. seed calls its argument to
// store them.
func chargesOnly(t testing.TB, seed func(seed func(count int, first time.Time, every time.Duration))) *smallShop {
	server := stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(0),
		stripetest.WithClock(func() time.Time { return shopOpened.AddDate(0, 6, 0) }))
	t.Cleanup(server.Close)
	amount := 100
	seed(func(count int, first time.Time, every time.Duration) {
		amount += 100
		server.Seed("/v1/charges", stripetest.Seeding{Count: count, First: first, Every: every, Params: url.Values{
			"amount": {strconv.Itoa(amount)}, "currency": {"usd"}, "source": {"tok_visa"},
		}})
	})
	requests := &replay{server: server}
	client, err := stripekit.New("sk_test_charges", stripekit.WithHTTPClient(&http.Client{Transport: requests}),
		stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	return &smallShop{client: client, requests: requests}
}

// unevenCharges seeds 11,900 charges that are spread unevenly: several in each
// second of some hours, sometimes 250 in one second, few for weeks before, none
// for a month, and some years before the rest.
func unevenCharges(seed func(count int, first time.Time, every time.Duration)) {
	seed(50, shopOpened.AddDate(-4, 0, 0), time.Hour)
	seed(3000, shopOpened.AddDate(0, -2, 0), 7*time.Minute)
	seed(4000, shopOpened, 3*time.Second)
	seed(3500, shopOpened.Add(time.Hour), time.Second/2)
	for i := range 5 {
		seed(250, shopOpened.Add(time.Duration(i)*30*time.Minute), 0)
	}
	seed(100, shopOpened.AddDate(0, 0, 1), time.Hour)
}

// crowdedCharges seeds 21,500 charges, one to four in each second of some
// hours. So there are charges on both sides of every end of a window.
func crowdedCharges(seed func(count int, first time.Time, every time.Duration)) {
	seed(9000, shopOpened, time.Second)
	seed(4500, shopOpened, 2*time.Second)
	seed(8000, shopOpened.Add(time.Second/2), 1100*time.Millisecond)
}

// Windows are read in parallel, and meet within seconds with many objects.
func TestParallelScansEqualPlainSQLite(t *testing.T) {
	if raceDetector {
		t.Skip("slow under the race detector, which TestParallelScanCostsLittleMore is for")
	}
	always := []string{
		`SELECT id, created, amount FROM charges`,
		`SELECT id, created FROM charges ORDER BY created DESC, id`,
		`SELECT amount, count(*), min(created), max(created), count(DISTINCT id) FROM charges GROUP BY amount`,
		`SELECT id FROM charges WHERE created >= '2021-01-01' AND created < '2026-01-01T02:30:01'`,
	}
	t.Run("uneven", func(t *testing.T) {
		testScans(t, chargesOnly(t, unevenCharges), append(always,
			`SELECT id, created FROM charges ORDER BY created DESC, id DESC LIMIT 9000 OFFSET 200`,
			`SELECT id FROM charges WHERE created >= '2025-11-20' AND created <= '2026-01-01T01:10:00'`,
			`SELECT id FROM charges WHERE created >= '2021-01-01' AND amount <> 300 ORDER BY created DESC, id`,
			`SELECT count(*) FROM charges WHERE created < '2026-01-01T01:10:00Z' OR created > '2026-01-01T02:00:01Z'`,
			`SELECT id FROM charges ORDER BY created, id`,
		))
	})
	t.Run("crowded", func(t *testing.T) { testScans(t, chargesOnly(t, crowdedCharges), always) })
}

func testScans(t *testing.T, shop *smallShop, queries []string) {
	plain := newPlain(t, shop.client, []plainTable{{"charges", "/v1/charges", columnsOf("text: id\n time: created\n int: amount")}})
	readers := []int{2, 8}
	if os.Getenv("STRIPEKIT_QUERIES") == "" {
		queries, readers = queries[:2], readers[1:]
	}
	for _, query := range queries {
		for _, readers := range readers {
			t.Run(fmt.Sprint(query, " by ", readers), func(t *testing.T) {
				db := openShop(t, shop, stripesql.WithConcurrency(readers))
				ordered := trap{query: query}.ordered()
				for _, known := range []string{"for the first time", "again"} { // the first time, nothing is known of the account
					require.NoError(t, agree(t.Context(), shop, db, plain, ordered, query), known)
				}
			})
		}
	}
}

// Reading in parallel makes a few more calls than there are pages. The test
// logs the time that it saves.
func TestParallelScanCostsLittleMore(t *testing.T) {
	counts := map[string]int{"uneven": 11_900, "crowded": 21_500}
	if raceDetector {
		delete(counts, "crowded")
	}
	most := map[int]int{1: 0, 8: 40}
	if raceDetector {
		delete(most, 1)
	}
	for readers, more := range most {
		for name, charges := range map[string]func(func(int, time.Time, time.Duration)){"uneven": unevenCharges, "crowded": crowdedCharges} {
			if counts[name] == 0 {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				shop := chargesOnly(t, charges)
				shop.requests.delay = 100 * time.Millisecond
				db := openShop(t, shop, stripesql.WithConcurrency(readers))
				var stats stripesql.Stats
				got, err := ask(stripesql.WithStats(t.Context(), &stats), db, `SELECT count(*) FROM charges`)
				require.NoError(t, err)
				least := pages(counts[name])
				require.Equal(t, [][]string{{strconv.Itoa(counts[name])}}, got.rows)
				require.LessOrEqual(t, stats.Calls, least+more)
				t.Logf("%s, %d readers: %d calls for %d pages in %v", name, readers, stats.Calls, least, stats.Duration)
			})
		}
	}
}
