package stripesql_test

import (
	"database/sql"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

var estimate = regexp.MustCompile(`^'ESTIMATE about (\d+) calls?(?:, [^()]*)? \(\d+ allowed\)'$`)

// explained returns the number of calls that EXPLAIN QUERY PLAN expects a query
// to make, and the number that it made itself.
func explained(t testing.TB, db *sql.DB, query string, args ...any) (expected, probes int) {
	var stats stripesql.Stats
	plan, err := ask(stripesql.WithStats(t.Context(), &stats), db, "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err)
	require.Equal(t, []string{"id", "parent", "notused", "detail"}, plan.columns)
	for _, row := range plan.rows {
		t.Log(row[3])
		if found := estimate.FindStringSubmatch(row[3]); found != nil {
			expected, err = strconv.Atoi(found[1])
			require.NoError(t, err)
		}
	}
	require.NotZero(t, expected, plan.rows)
	return expected, stats.Calls
}
