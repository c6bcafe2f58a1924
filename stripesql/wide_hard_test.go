package stripesql_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// Some lists of Stripe have no filter by created. Only a long one shows it.
func TestListWithoutAFilterByCreated(t *testing.T) {
	for _, query := range []string{
		"SELECT count(*), count(DISTINCT id) FROM things",
		"SELECT count(*), count(DISTINCT id) FROM things WHERE customer = 'cus_1'",
		"SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM things WHERE customer = 'cus_1' ORDER BY created DESC)",
		"SELECT count(*), count(DISTINCT id) FROM things WHERE +created <= '2026-01-01'",
	} {
		synctest.Test(t, func(t *testing.T) {
			l := unchanging(5000)
			l.refuses, l.slowest = true, time.Second
			got := mustRun(t, l.open(t), query)
			require.Equal(t, []string{"5000|5000"}, got.rows, query)
			require.LessOrEqual(t, got.stats.Calls, 50+3, query)
		})
	}
	l := unchanging(5000)
	l.refuses = true
	lines, _ := explanation(t, l.open(t), "SELECT count(*) FROM things WHERE customer = 'cus_1'")
	require.Regexp(t, "^ESTIMATE about .* at least 1 ", lines[len(lines)-1])
	got, err := run(t.Context(), l.open(t), "SELECT count(*) FROM things WHERE created <= '2026-01-01'")
	require.ErrorContains(t, err, "Received unknown parameter: created")
	require.Equal(t, 1, got.stats.Calls)
}

// Nor can such a list be read on if all objects before the next page are gone.
func TestListWithoutAFilterByCreatedWhoseCursorsAreLost(t *testing.T) {
	l := unchanging(5000)
	l.refuses = true
	for _, c := range l.charges[:3000] {
		c.vanishes = 20
	}
	got, err := run(t.Context(), l.open(t), "SELECT count(*) FROM things")
	require.ErrorContains(t, err, "Received unknown parameter: created")
	require.Less(t, got.stats.Calls, 60)
}

// A filter by created leaves out objects without a time, so pages that begin at such a
// filter would not have them.
func TestObjectsWithoutATimeAreNotInAFilterByCreated(t *testing.T) {
	for _, query := range []string{
		"SELECT count(*), count(DISTINCT id), count(created) FROM charges",
		"SELECT count(*), count(DISTINCT id), count(created) FROM charges WHERE customer = 'cus_1'",
		"SELECT count(*), count(DISTINCT id), count(created) FROM (SELECT * FROM charges WHERE customer = 'cus_1' ORDER BY created DESC)",
	} {
		l := unchanging(5000)
		for i := 500; i < len(l.charges); i += 10 {
			l.charges[i].created = 0
		}
		got := mustRun(t, l.open(t), query)
		require.Equal(t, []string{"5000|5000|4550"}, got.rows, query)
		require.Equal(t, 50, got.stats.Calls)
	}
}

// A customer who does not exist has no charges. But one who had some, and is no longer
// known, would have only a part of them.
func TestFilterThatIsMissingInTheMiddleOfAList(t *testing.T) {
	const missing = `{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer","message":"No such customer"}}`
	for _, query := range []string{
		"SELECT count(*) FROM charges WHERE customer = 'cus_1'",
		"SELECT count(*) FROM (SELECT id FROM charges WHERE customer = 'cus_1' ORDER BY created DESC)",
		"SELECT count(*) FROM (SELECT id FROM charges WHERE customer = 'cus_1' LIMIT 4000)",
	} {
		for request, rows := range map[int][]string{1: {"0"}, 2: nil, 5: nil, 20: nil, 40: nil} {
			l := unchanging(5000)
			l.failures = map[int]string{request: missing}
			got, err := run(t.Context(), l.open(t), query)
			require.Equal(t, rows, got.rows, query)
			if rows == nil {
				require.ErrorIs(t, err, stripekit.ErrNotFound, query)
			}
		}
	}
}

// What a query may have under way at once is for all of its scans together.
func TestScansShareTheConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := unchanging(10_000)
		l.slowest = time.Second
		mustRun(t, l.open(t, stripesql.WithConcurrency(5)), `SELECT count(*) FROM (
			SELECT id, created FROM charges WHERE customer = 'cus_1' UNION ALL
			SELECT id, created FROM charges WHERE status = 'succeeded' ORDER BY created DESC)`)
		require.Equal(t, 5, l.most)
	})
}

// With the latency, the requests that a scan makes at once change, and how far it may be
// ahead. The pages that it is ahead when the latency falls must not hold up those before them.
func TestLongScanInOrderWhoseLatencyChanges(t *testing.T) {
	for name, delay := range map[string]func(call int) time.Duration{
		"falls":         func(call int) time.Duration { return time.Duration(max(0, 700-call)) * 5 * time.Millisecond },
		"falls at once": func(call int) time.Duration { return time.Duration(max(0, 1-call/700)) * 2 * time.Second },
		"to and fro":    func(call int) time.Duration { return time.Duration(call/150%2) * 3 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := nightlyBatches()
				list.add(45_000, 0, time.Minute)
				list.delay = delay(0)
				list.onPage = func([]int) { list.delay = delay(list.calls) }
				got := mustRun(t, list.openAt(t, stripekit.RateLimit{Endpoint: 100}, stripesql.WithMaxCalls(1500)), "SELECT id FROM charges ORDER BY created DESC")
				require.Len(t, got.rows, len(list.created))
			})
		})
	}
}
