package stripesql_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEachParameterNeedsAValue(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server)
	for name, test := range map[string]struct {
		query string
		args  []any
		want  string
	}{
		"a misspelt name":            {"SELECT count(*) FROM charges WHERE customer = :customer", []any{sql.Named("custommer", "cus_1")}, "no parameter custommer"},
		"a name that has no value":   {"SELECT :a, :b", []any{sql.Named("a", 1)}, "no value for the parameter :b"},
		"a number that has no value": {"SELECT ?, :a", []any{sql.Named("a", 1)}, "no value for the parameter 1"},
		"too many":                   {"SELECT :a", []any{sql.Named("a", 1), 2}, "no parameter 2"},
		"too many for a number":      {"SELECT ?1", []any{1, 2}, "no parameter 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t.Context(), db, test.query, test.args...)
			require.ErrorContains(t, err, test.want)
		})
	}
	require.Empty(t, server.Requests())

	stmt, err := db.PrepareContext(t.Context(), "SELECT :a")
	require.NoError(t, err)
	defer stmt.Close()
	var got int
	require.NoError(t, stmt.QueryRow(sql.Named("a", 7)).Scan(&got))
	require.Equal(t, 7, got)
	require.Error(t, stmt.QueryRow(sql.Named("b", 7)).Scan(&got), "the value of an earlier query is not kept")
}

// Two results of one prepared statement are read in turns, on one connection.
func TestPreparedStatementRunsTwiceAtOnce(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 250)
	conn, err := openDB(t, server).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	stmt, err := conn.PrepareContext(t.Context(), "SELECT id FROM charges WHERE amount >= ?")
	require.NoError(t, err)
	defer stmt.Close()
	for range 2 {
		counts := [2]int{}
		results := [2]*sql.Rows{}
		for i := range results {
			results[i], err = stmt.QueryContext(t.Context(), i*2000)
			require.NoError(t, err)
		}
		for more := true; more; {
			more = false
			for i, rows := range results {
				if rows.Next() {
					more = true
					counts[i]++
				}
			}
		}
		for _, rows := range results {
			require.NoError(t, rows.Err())
			require.NoError(t, rows.Close())
		}
		require.Equal(t, [2]int{250, 0}, counts)
	}
}

func TestIDThatIsANumberIsNotAList(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 250)
	db := openDB(t, server)
	for _, query := range []string{"SELECT count(*) FROM charges WHERE id = 5", "SELECT count(*) FROM refunds WHERE id = x'35'"} {
		got := mustRun(t, db, query)
		require.Equal(t, []string{"0"}, got.rows)
		require.Zero(t, got.stats.Calls, query)
	}
}

// In SQLite, every number is less than every text.
func TestNumbersComparedToATimeAreSeconds(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 300)
	db := openDB(t, server)
	third := newYear.Add(200 * time.Minute).Unix()
	for name, test := range map[string]struct {
		where string
		args  []any
		want  string
		calls int
	}{
		"an integer":        {"created >= 1767237600", nil, "100", 1},
		"two bounds":        {"created BETWEEN 1767225600 AND 1767225660", nil, "2", 1},
		"a second":          {"created = 1767225600", nil, "1", 1},
		"digits":            {"created >= '1767237600'", nil, "100", 1},
		"a parameter":       {"created >= ?", []any{third}, "100", 1},
		"a fraction":        {"created >= 1767237600.5", nil, "99", 3},
		"an expression":     {"created >= 1767225600 + 200 * 60", nil, "100", 1},
		"a function":        {"created >= unixepoch('2026-01-01', '+200 minutes')", nil, "100", 1},
		"milliseconds":      {"created >= 1767237600000", nil, "0", 0},
		"the other side":    {"1767237600 <= created", nil, "100", 1},
		"before":            {"created < 1767237600", nil, "200", 2},
		"not sent":          {"(created >= 1767237600 OR amount < 0)", nil, "100", 3},
		"a year, not sent":  {"+created >= '2026'", nil, "300", 3},
		"another time":      {"created_unix >= 1767237600", nil, "100", 1},
		"in a list":         {"created IN (1767225600, 1767225660)", nil, "2", 3},
		"from its own text": {"created >= (SELECT max(created) FROM charges)", nil, "1", 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustRun(t, db, "SELECT count(*) FROM charges WHERE "+test.where, test.args...)
			require.Equal(t, []string{test.want}, got.rows)
			require.Equal(t, test.calls, got.stats.Calls)
		})
	}
}

func TestTimesOfExpressionsAreTimes(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 45*24*60+1, "amount", "100")
	db := openDB(t, server)
	var newest, first time.Time
	require.NoError(t, db.QueryRow("SELECT max(created), (SELECT coalesce(max(created), 0) FROM charges WHERE created < '2026-02-01') FROM charges").Scan(&newest, &first))
	require.Equal(t, newYear.AddDate(0, 0, 45), newest)
	require.Equal(t, "2026-01-31T23:59:00Z", first.Format(time.RFC3339))
	var text, other string
	require.NoError(t, db.QueryRow("SELECT max(created), datetime(max(created)) FROM charges").Scan(&text, &other))
	require.Equal(t, "2026-02-15T00:00:00Z", text)
	require.Equal(t, "2026-02-15 00:00:00", other)
}

func TestExplainAdvisesBoundsInPlaceOfFunctions(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 3)
	db := openDB(t, server)
	for query, want := range map[string]bool{
		"SELECT count(*) FROM charges WHERE date(created) = '2026-01-31'":                  true,
		"SELECT count(*) FROM charges c WHERE strftime('%Y-%m', c.created) IN ('2026-01')": true,
		"SELECT count(*) FROM charges WHERE unixepoch(created) > 5":                        true,
		"SELECT date(created), count(*) FROM charges GROUP BY 1":                           false,
		"SELECT count(*) FROM charges WHERE created >= date('2026-01-31')":                 false,
	} {
		lines, _ := explanation(t, db, query)
		hinted := false
		for _, line := range lines {
			hinted = hinted || line[:4] == "HINT"
		}
		require.Equal(t, want, hinted, query)
		require.Contains(t, lines[len(lines)-1], "ESTIMATE")
	}
}
