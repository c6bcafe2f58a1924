package stripesql_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// many returns 18,350 charges at irregular times: three series with different
// rates, a period without charges, and many charges within a second.
func many() *bareList {
	l := new(bareList)
	for i, every := range []time.Duration{97 * time.Second, 31 * time.Second, 7 * time.Minute} {
		l.add(5000, time.Duration(i)*40*time.Hour, every)
	}
	l.add(3000, 59*24*time.Hour, time.Minute)
	l.add(350, 50*time.Hour, 0)
	return l
}

const (
	manyCharges = 18_350
	manyPages   = 184
)

const countAll = "SELECT count(*), count(DISTINCT id) FROM charges"

func TestLongScanReadsEachObjectOnce(t *testing.T) {
	list := many()
	want := []string{fmt.Sprintf("%d|%[1]d", manyCharges)}
	for _, concurrency := range []int{1, 2, 8} {
		db := list.open(t, stripesql.WithConcurrency(concurrency))
		cold := mustRun(t, db, countAll)
		require.Equal(t, want, cold.rows)
		warm := mustRun(t, db, countAll)
		require.Equal(t, want, warm.rows)
		require.LessOrEqual(t, warm.stats.Calls, list.most(concurrency))
		require.LessOrEqual(t, cold.stats.Calls, list.most(concurrency))
		if concurrency == 1 {
			require.Equal(t, manyPages, cold.stats.Calls)
		}
	}
}

func TestLongScanIsInOrder(t *testing.T) {
	list := many()
	db := list.open(t)
	for _, order := range []string{"created DESC, id", "created DESC"} {
		got := mustRun(t, db, "SELECT created, id FROM charges ORDER BY "+order)
		require.Len(t, got.rows, manyCharges)
		for i := 1; i < len(got.rows); i++ {
			a, b := got.rows[i-1], got.rows[i]
			require.GreaterOrEqual(t, a[:20], b[:20])
			if a[:20] == b[:20] && order != "created DESC" {
				require.Less(t, a, b)
			}
		}
		require.LessOrEqual(t, got.stats.Calls, list.most(8))
	}
}

func TestLongScanOfBoundsIsWhole(t *testing.T) {
	list := many()
	db, plain := list.open(t), list.open(t, stripesql.WithConcurrency(1))
	for _, where := range []string{
		"created >= '2026-01-01 00:00:31'",
		"created < '2026-03-02' AND created > '2025-06-01'",
	} {
		query := "SELECT count(*), min(created), max(created), count(DISTINCT id) FROM charges WHERE " + where
		require.Equal(t, mustRun(t, plain, query).rows, mustRun(t, db, query).rows, where)
	}
}

// The calls of a scan do not depend on how the list is spread over time.
func TestLongScanCostsLittleMoreThanItsPages(t *testing.T) {
	for name, list := range map[string]*bareList{
		"like clockwork": clockwork(), "nightly batches": nightlyBatches(), "an old import": oldImport(), "irregular": many(),
		"one second": {created: slices.Repeat([]int64{newYear.Unix()}, 5000)},
	} {
		for _, query := range []string{countAll, "SELECT id FROM charges ORDER BY created DESC"} {
			for _, concurrency := range []int{1, 3, 8} {
				if raceDetector && (concurrency != 8 || len(list.created) > manyCharges) {
					continue // it is slow, and the other cases cover the same races
				}
				got := mustRun(t, list.open(t, stripesql.WithConcurrency(concurrency)), query)
				t.Logf("%s, %s, by %d: %d calls for %d pages", name, query, concurrency, got.stats.Calls, pages(len(list.created)))
				require.LessOrEqual(t, got.stats.Calls, list.most(concurrency), name)
				if query != countAll {
					require.Len(t, got.rows, len(list.created), name)
				} else {
					require.Equal(t, []string{fmt.Sprintf("%d|%[1]d", len(list.created))}, got.rows, name)
				}
			}
		}
	}
}

// A scan makes as many requests at once as the rate limit needs at the latency of the
// service, unless WithConcurrency says how many.
func TestLongScanFollowsTheLatency(t *testing.T) {
	for _, query := range []string{"SELECT count(*) FROM charges", "SELECT id FROM charges ORDER BY created DESC"} {
		for _, test := range []struct {
			rate        float64
			latency     time.Duration
			opts        []stripesql.Option
			least, most int // requests under way at the peak; how soon it grows depends on the order of responses
		}{
			{25, 100 * time.Millisecond, nil, 2, 6},
			{25, time.Second, nil, 13, 34},
			{25, time.Second, []stripesql.Option{stripesql.WithConcurrency(5)}, 4, 5},
			{100, 2 * time.Second, nil, 17, 64},
			{0, time.Second, nil, 10, 16},
		} {
			synctest.Test(t, func(t *testing.T) {
				list := new(bareList)
				list.add(60_000, 0, time.Minute)
				list.delay = test.latency
				got := mustRun(t, list.openAt(t, stripekit.RateLimit{Endpoint: test.rate}, test.opts...), query)
				t.Logf("%v: %d at once, %d calls", test, list.peak, got.stats.Calls)
				require.GreaterOrEqual(t, list.peak, test.least, "%v", test)
				require.LessOrEqual(t, list.peak, test.most, "%v", test)
				require.LessOrEqual(t, got.stats.Calls, list.most(list.peak), "%v", test)
			})
		}
	}
}

// most returns how many calls a scan of the list may make.
func (l *bareList) most(concurrency int) int {
	least := pages(len(l.created))
	if concurrency == 1 {
		return least
	}
	return int(1.08*float64(least) + 2*math.Log2(float64(l.created[0])) + 2*float64(concurrency))
}

// clockwork returns 20,000 charges, one a minute.
func clockwork() *bareList {
	l := new(bareList)
	l.add(20_000, 0, time.Minute)
	return l
}

// nightlyBatches returns 60,000 charges, 600 within two minutes of each night.
func nightlyBatches() *bareList {
	l := new(bareList)
	for night := range time.Duration(100) {
		l.add(600, night*24*time.Hour, 200*time.Millisecond)
	}
	return l
}

// oldImport returns 13,000 charges within a minute, and 100 from two years
// later.
func oldImport() *bareList {
	l := new(bareList)
	l.add(13_000, 0, 5*time.Millisecond)
	l.add(100, 2*365*24*time.Hour, time.Hour)
	return l
}

// The survey of a list may be from another time.
func TestClockThatStops(t *testing.T) {
	list := clockwork()
	db := list.open(t)
	mustRun(t, db, "EXPLAIN QUERY PLAN "+countAll)
	list.add(1, 15*24*time.Hour, 0)
	list.add(700, 100*time.Hour, time.Second)
	got := mustRun(t, db, countAll)
	require.Equal(t, []string{"20701|20701"}, got.rows)
	require.LessOrEqual(t, got.stats.Calls, list.most(8))
}

// Each response takes 100 ms, and the client allows 25 requests per second.
func TestScanUsesTheRateLimit(t *testing.T) {
	if raceDetector {
		t.Skip("it measures, and TestLongScanReadsEachObjectOnce races as it does")
	}
	for _, query := range []string{countAll, "SELECT id FROM charges ORDER BY created DESC"} {
		synctest.Test(t, func(t *testing.T) {
			const charges, limit = 60_000, 25
			list := &bareList{delay: 100 * time.Millisecond}
			list.add(charges, 0, 37*time.Second)
			db := list.openAt(t, stripekit.RateLimit{Total: limit})
			began := time.Now()
			got := mustRun(t, db, query)
			rate := charges / time.Since(began).Seconds()
			t.Logf("%s: %d calls, %.0f objects a second", query, got.stats.Calls, rate)
			require.GreaterOrEqual(t, rate, 0.9*limit*100)
		})
	}
}

// Each request takes a second, so that one after the other would take 100 seconds.
func TestFilteredListIsReadSideBySide(t *testing.T) {
	for _, query := range []string{
		"SELECT count(*), count(DISTINCT id) FROM charges WHERE customer = ?",
		"SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM charges WHERE customer = ? ORDER BY created DESC)",
	} {
		synctest.Test(t, func(t *testing.T) {
			server := stripetest.New(stripetest.InMemory())
			defer server.Close()
			ann, bob := seedCustomer(server, "ann@example.com"), seedCustomer(server, "bob@example.com")
			for i, customer := range []string{ann, bob} {
				server.Seed("/v1/charges", stripetest.Seeding{
					Count: 10_000, First: bigOpened.Add(time.Duration(i) * time.Second), Every: time.Minute,
					Params: url.Values{"customer": {customer}, "amount": {"500"}, "currency": {"usd"}},
				})
			}
			server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Delay(time.Second))
			db := openServer(t, server, nil)
			began := time.Now()
			got := mustRun(t, db, query, ann)
			require.Equal(t, []string{"10000|10000"}, got.rows)
			require.Less(t, time.Since(began), 60*time.Second, query)
			require.LessOrEqual(t, got.stats.Calls, 110)

			server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(400, `{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer"}}`))
			got = mustRun(t, db, query, "cus_none")
			require.Equal(t, []string{"0|0"}, got.rows)
			require.Equal(t, 1, got.stats.Calls)
		})
	}
}

// At first, a statement that needs few rows costs only their pages. Later it
// costs at most a quarter of them in addition, plus the 8 % that a whole scan
// may cost.
func TestScanThatStopsEarlyHasReadLittleAhead(t *testing.T) {
	list := clockwork()
	for _, query := range []string{"SELECT id FROM charges", "SELECT id FROM charges ORDER BY created DESC"} {
		for rows, ahead := range map[int]int{1: 0, 100: 0, 101: 0, 950: 0, 1000: 0, 1001: 3, 4000: 11 + 4, 12_000: 31 + 10} {
			before := list.count()
			result, err := list.open(t).QueryContext(t.Context(), query)
			require.NoError(t, err)
			for range rows {
				require.True(t, result.Next())
			}
			require.NoError(t, result.Close())
			require.LessOrEqual(t, list.count()-before, pages(rows)+ahead, "%s: %d rows", query, rows)
		}
	}
}

func TestLimitCostsThePagesOfItsRows(t *testing.T) {
	list := many()
	for query, calls := range map[string]int{
		"SELECT id FROM charges LIMIT 1":                          1,
		"SELECT id FROM charges ORDER BY created DESC LIMIT 1":    1,
		"SELECT id FROM charges LIMIT 500":                        5,
		"SELECT id FROM charges ORDER BY created DESC LIMIT 500":  5,
		"SELECT id FROM charges ORDER BY created DESC LIMIT 5000": 50,
		"SELECT EXISTS (SELECT 1 FROM charges)":                   1,
		"SELECT max(created) FROM charges":                        1,
	} {
		require.LessOrEqual(t, mustRun(t, list.open(t), query).stats.Calls, calls, query)
	}
}

// What was read within the budget is returned: everything if there is no order,
// else as far as it is next in order.
func TestLongScanKeepsToTheBudget(t *testing.T) {
	for _, budget := range []int{1, 10, 11, 12, 35, 90, 150} {
		for _, query := range []string{"SELECT id FROM charges", "SELECT id FROM charges ORDER BY created DESC"} {
			list, read := many(), map[int]bool{}
			list.onPage = func(page []int) {
				for _, place := range page {
					read[place] = true
				}
			}
			got, err := run(t.Context(), list.open(t, stripesql.WithMaxCalls(budget)), query)
			spent, ok := errors.AsType[*stripesql.BudgetError](err)
			require.True(t, ok, err)
			require.Regexp(t, `^GET /v1/charges\?.*limit=100$`, spent.Next)
			require.Equal(t, budget, list.count())
			require.Equal(t, budget, got.stats.Calls)
			if !strings.Contains(query, "ORDER") {
				require.Len(t, got.rows, len(read))
				require.Len(t, slices.Compact(slices.Sorted(slices.Values(got.rows))), len(read), "no row comes twice")
				continue
			}
			require.GreaterOrEqual(t, len(got.rows), 100*min(budget, 11))
			for i, id := range got.rows {
				require.Equal(t, i, place(id))
			}
		}
	}
}

func TestErrorOfAnyRequestEndsTheScan(t *testing.T) {
	for _, call := range []int{1, 10, 15, 60} {
		list := many()
		list.fails = call
		_, err := run(t.Context(), list.open(t), countAll)
		require.ErrorIs(t, err, stripekit.ErrAPI, call)
	}
}

// synctest would find a goroutine that outlives its query.
func TestCancelEndsAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := many()
		db := list.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx = stripesql.WithProgress(ctx, func(p stripesql.Progress) {
			if p.Calls >= 60 {
				cancel()
			}
		})
		got, err := run(ctx, db, countAll)
		require.ErrorIs(t, err, context.Canceled)
		require.GreaterOrEqual(t, got.stats.Calls, 60)
		require.Less(t, got.stats.Calls, 80)
		require.LessOrEqual(t, list.count(), got.stats.Calls)
	})
}

func TestObjectsWithoutATimeComeOnce(t *testing.T) {
	list := many()
	list.undated = 9
	db := list.open(t)
	dated := 0
	for _, created := range list.created {
		if created%9 != 0 {
			dated++
		}
	}
	want := []string{fmt.Sprintf("%d|%[1]d|%d", manyCharges, dated)}
	for range 2 {
		require.Equal(t, want, mustRun(t, db, "SELECT count(*), count(DISTINCT id), count(created) FROM charges").rows)
	}
	got := mustRun(t, db, "SELECT count(*), count(DISTINCT id), count(created) FROM (SELECT * FROM charges ORDER BY created DESC LIMIT -1 OFFSET 0)")
	require.Equal(t, want, got.rows)
}

func TestProgressOfALongScan(t *testing.T) {
	list := many()
	db := list.open(t)
	var seen []stripesql.Progress
	ctx := stripesql.WithProgress(t.Context(), func(p stripesql.Progress) { seen = append(seen, p) })
	got, err := run(ctx, db, countAll)
	require.NoError(t, err)
	require.Len(t, seen, got.stats.Calls)
	for i := 1; i < len(seen); i++ {
		require.GreaterOrEqual(t, seen[i].Share, seen[i-1].Share)
	}
	half := seen[len(seen)/2]
	require.InDelta(t, 0.5, half.Share, 0.4)
	require.InDelta(t, 1, seen[len(seen)-1].Share, 0.02)
}

// What a loop may need again is kept, up to 32 MB: of each object, the columns that the
// statement reads. Longer lists are read again.
func TestMemoKeepsTheColumnsThatAreRead(t *testing.T) {
	list := &bareList{padding: strings.Repeat("x", 20_000)}
	list.add(2000, 0, time.Minute)
	db := list.open(t)
	for query, calls := range map[string]int{
		"SELECT count(*) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created >= '2026-01-01'":                               20,
		"SELECT count(description) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created >= '2026-01-01'":                     40,
		"SELECT count(raw) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created >= '2026-01-01'":                             40,
		"SELECT count(raw) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created BETWEEN '2026-01-01' AND '2026-01-01 09:59'": 6,
	} {
		got := mustRun(t, db, query)
		require.Equal(t, calls, got.stats.Calls, query)
		if calls == 6 {
			require.Equal(t, []string{"1200"}, got.rows)
		} else {
			require.Equal(t, []string{"4000"}, got.rows)
		}
	}
}
