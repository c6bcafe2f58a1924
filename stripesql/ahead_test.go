package stripesql_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// bareList is a server of nothing but GET /v1/charges, quick enough for many
// thousands of them. A charge is its id and when it was created.
type bareList struct {
	created []int64 // the newest first
	undated int64   // those that this divides do not show it; 0 for none
	padding string

	mu    sync.Mutex
	calls int
	fails int // the number of the call that fails, 0 for none
}

func (l *bareList) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.calls++
	fails := l.calls == l.fails
	l.mu.Unlock()
	query := r.URL.Query()
	cursor := query.Get("starting_after")
	if fails || cursor != "" && (query.Has("created[gte]") || query.Has("created[lt]")) {
		return l.answer(r, 500, "{}"), nil
	}
	first := 0
	if cursor != "" {
		first = number(strings.TrimPrefix(cursor, "ch_"), 0) + 1
	}
	low, high, limit := number(query.Get("created[gte]"), 0), number(query.Get("created[lt]"), math.MaxInt), number(query.Get("limit"), 10)
	first = max(first, sort.Search(len(l.created), func(i int) bool { return l.created[i] < int64(high) }))
	last := sort.Search(len(l.created), func(i int) bool { return l.created[i] < int64(low) })
	var page []string
	for i := first; i < min(last, first+limit); i++ {
		created := strconv.FormatInt(l.created[i], 10)
		if l.undated > 0 && l.created[i]%l.undated == 0 {
			created = "null"
		}
		page = append(page, fmt.Sprintf(`{"id":"ch_%d","created":%s,"description":%q}`, i, created, l.padding))
	}
	return l.answer(r, 200, fmt.Sprintf(`{"data":[%s],"has_more":%v}`, strings.Join(page, ","), last > first+limit)), nil
}

func (l *bareList) answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func number(text string, otherwise int) int {
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// add adds charges, the first at a time after newYear.
func (l *bareList) add(count int, first, every time.Duration) {
	for i := range count {
		l.created = append(l.created, newYear.Add(first+time.Duration(i)*every).Unix())
	}
	slices.SortFunc(l.created, func(a, b int64) int { return cmp.Compare(b, a) })
}

func (l *bareList) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

func (l *bareList) open(t *testing.T, opts ...stripesql.Option) *sql.DB {
	t.Helper()
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL("https://stripe.test"),
		stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// many is 18,350 charges at irregular times: three series of different speeds,
// a time in which there is nothing, and many within a second.
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
		// Windows meet within a page, and where nothing is known it
		// has to be looked for.
		require.LessOrEqual(t, warm.stats.Calls, manyPages+concurrency+1)
		require.LessOrEqual(t, cold.stats.Calls, manyPages+concurrency+12)
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
		require.Less(t, got.stats.Calls, manyPages*11/10+12, "windows are small where they wait for one another")
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

func TestLikeClockworkNoCallIsWasted(t *testing.T) {
	list := new(bareList)
	list.add(20_000, 0, time.Minute)
	db := list.open(t)
	cold := mustRun(t, db, countAll)
	require.Equal(t, []string{"20000|20000"}, cold.rows)
	require.LessOrEqual(t, cold.stats.Calls, 200+12)
	warm := mustRun(t, db, countAll)
	require.Equal(t, []string{"20000|20000"}, warm.rows)
	require.Equal(t, 200, warm.stats.Calls)
	month := mustRun(t, list.open(t), "SELECT count(*) FROM charges WHERE created >= '2026-01-03' AND created < '2026-01-12'")
	require.Equal(t, []string{"12960"}, month.rows)
	require.Equal(t, 130, month.stats.Calls)
}

// What was like clockwork where it was measured need not be so everywhere.
func TestClockThatStops(t *testing.T) {
	list := new(bareList)
	list.add(20_000, 0, time.Minute)
	db := list.open(t)
	mustRun(t, db, "EXPLAIN QUERY PLAN "+countAll)
	list.add(1, 15*24*time.Hour, 0)
	list.add(700, 100*time.Hour, time.Second)
	got := mustRun(t, db, countAll)
	require.Equal(t, []string{"20701|20701"}, got.rows)
	require.LessOrEqual(t, got.stats.Calls, 207+10)
}

func TestScanThatStopsEarlyHasReadLittleAhead(t *testing.T) {
	list := many()
	db := list.open(t)
	mustRun(t, db, countAll)
	for _, rows := range []int{50, 1000, 4000} {
		before := list.count()
		result, err := db.QueryContext(t.Context(), "SELECT id FROM charges")
		require.NoError(t, err)
		for range rows {
			require.True(t, result.Next())
		}
		require.NoError(t, result.Close())
		used := (rows + 99) / 100
		require.LessOrEqual(t, list.count()-before, used+min(1+used/4, 8)+1)
	}
}

func TestLongScanKeepsToTheBudget(t *testing.T) {
	list := many()
	for _, budget := range []int{1, 10, 11, 35, 90} {
		db := list.open(t, stripesql.WithMaxCalls(budget))
		before := list.count()
		got, err := run(t.Context(), db, countAll)
		_, ok := errors.AsType[*stripesql.BudgetError](err)
		require.True(t, ok, err)
		require.Equal(t, budget, list.count()-before)
		require.Equal(t, budget, got.stats.Calls)
	}
}

func TestErrorInAWindowEndsTheScan(t *testing.T) {
	for _, call := range []int{1, 10, 15, 60} {
		list := many()
		list.fails = call
		_, err := run(t.Context(), list.open(t), countAll)
		require.ErrorIs(t, err, stripekit.ErrAPI, call)
	}
}

// A goroutine that outlived its query would be found by synctest.
func TestCancelEndsAllWindows(t *testing.T) {
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

func TestObjectsWithoutATimeAreInOneWindow(t *testing.T) {
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

func TestMemoIsBounded(t *testing.T) {
	list := &bareList{padding: strings.Repeat("x", 20_000)}
	list.add(2000, 0, time.Minute)
	db := list.open(t)
	// 40 MB do not stay: the second loop reads them anew. What fits does.
	got := mustRun(t, db, "SELECT count(*) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created >= '2026-01-01'")
	require.Equal(t, []string{"4000"}, got.rows)
	require.Equal(t, 40, got.stats.Calls)
	got = mustRun(t, db, "SELECT count(*) FROM (SELECT 1 UNION ALL SELECT 2) CROSS JOIN charges WHERE created < '2026-01-01 10:00'")
	require.Equal(t, []string{"1200"}, got.rows)
	require.Equal(t, 6, got.stats.Calls)
}
