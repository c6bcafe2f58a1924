package stripesql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

const sortsAMillion = "SELECT a.id, b.id FROM charges a, charges b ORDER BY a.amount, b.id"

func TestStatementWithoutEnoughMemoryFails(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 1000)
	db := openDB(t, server, stripesql.WithMaxMemory(8<<20))
	for range 3 {
		_, err := run(t.Context(), db, sortsAMillion)
		require.ErrorIs(t, err, stripesql.ErrMemory)
		require.Equal(t, []string{"1000"}, mustRun(t, db, "SELECT count(*) FROM charges").rows)
	}
}

// On a connection that the caller holds, nothing runs afterwards. What is still open
// there can be closed.
func TestConnectionWithoutEnoughMemoryIsGivenUp(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 1000)
	db := openDB(t, server, stripesql.WithMaxMemory(8<<20))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	prepared, err := conn.PrepareContext(t.Context(), "SELECT 1")
	require.NoError(t, err)
	half, err := conn.QueryContext(t.Context(), "SELECT id FROM charges")
	require.NoError(t, err)
	require.True(t, half.Next())

	rows, err := conn.QueryContext(t.Context(), sortsAMillion)
	require.NoError(t, err)
	require.False(t, rows.Next())
	require.ErrorIs(t, rows.Err(), stripesql.ErrMemory)
	require.NoError(t, rows.Close())

	for half.Next() { // what database/sql has read already
	}
	require.ErrorIs(t, half.Err(), driver.ErrBadConn)
	require.NoError(t, half.Close())
	_, err = conn.QueryContext(t.Context(), "SELECT 1")
	require.ErrorIs(t, err, driver.ErrBadConn)
	require.NoError(t, prepared.Close())
	require.NoError(t, errors.Join(ignore(conn.Close(), sql.ErrConnDone)))
	require.Equal(t, []string{"1000"}, mustRun(t, db, "SELECT count(*) FROM charges").rows)
}

// ignore returns err, or nil if it is the other error.
func ignore(err, other error) error {
	if errors.Is(err, other) {
		return nil
	}
	return err
}

// sortsMuch sorts 90,000 rows of 200 bytes.
const sortsMuch = "SELECT a.id || b.id FROM charges a, charges b ORDER BY a.amount, b.id, hex(zeroblob(75)) LIMIT 1 OFFSET 89999"

func TestTempFilesHoldWhatMemoryDoesNot(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 300)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("SQLITE_TMPDIR", dir)
	db := openDB(t, server, stripesql.WithMaxMemory(8<<20), stripesql.WithTempFiles())
	var b string
	require.NoError(t, db.QueryRow(sortsMuch).Scan(&b))
	require.NotEmpty(t, b)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Without WithTempFiles nothing is written: there is no directory to write to.
func TestNothingIsWrittenWithoutTempFiles(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 300)
	nowhere := t.TempDir() + "/none"
	t.Setenv("TMPDIR", nowhere)
	t.Setenv("SQLITE_TMPDIR", nowhere)
	for _, files := range []bool{false, true} {
		opts := []stripesql.Option{stripesql.WithMaxMemory(256 << 20)}
		if files {
			opts = append(opts, stripesql.WithTempFiles())
		}
		got, err := run(t.Context(), openDB(t, server, opts...), sortsMuch)
		if files {
			require.Error(t, err, "a large sort is written to a file")
			continue
		}
		require.NoError(t, err)
		require.Len(t, got.rows, 1)
	}
}

func TestMemoryIsChecked(t *testing.T) {
	client := clientOf(t, newServer(t))
	for _, n := range []int{-1, 0, 1<<20 - 1, 1 << 40} {
		_, err := stripesql.Connector(client, stripesql.WithMaxMemory(n))
		require.ErrorContains(t, err, "WithMaxMemory")
	}
	connector, err := stripesql.Connector(client, stripesql.WithMaxMemory(1<<20))
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer db.Close()
	require.Equal(t, []string{"1"}, mustRun(t, db, "SELECT 1").rows)
}

// hostileQueries are queries that take as much as they can of memory, time, stack or
// text.
func hostileQueries() []string {
	many := func(text string, n int) string { return strings.Repeat(text, n) }
	pairs := " FROM charges a, charges b"
	queries := []string{
		"SELECT zeroblob(1e9)", "SELECT zeroblob(2147483647)", "SELECT randomblob(1e9)", "SELECT hex(zeroblob(5e6))",
		"SELECT printf('%1000000000d', 1)", "SELECT printf('%.*c', 100000000, 'x')", "SELECT printf('%5000000d', 1) || printf('%5000000d', 1)",
		"SELECT replace(hex(zeroblob(1e6)), '0', hex(zeroblob(1e6)))", "SELECT quote(zeroblob(5e6))", "SELECT char(" + many("65,", 50_000) + "65)",
		"SELECT trim(hex(zeroblob(4e6)), '0')", "SELECT substr(hex(zeroblob(4e6)), -1e9, 2e9)",
		"SELECT '" + many("x", 30<<20) + "'", "SELECT 1 /*" + many("*", 8<<20), "SELECT 1 --" + many("-", 8<<20), "SELECT '" + many("''", 1<<20) + "'",
		"SELECT " + many("(", 100_000) + "1" + many(")", 100_000), "SELECT " + many("1+", 100_000) + "1", "SELECT " + many("-", 99_999) + "1", "SELECT " + many("NOT ", 50_000) + "1",
		"SELECT " + many("id,", 100_000) + "id FROM charges", "SELECT * FROM charges" + many(",charges", 100), "SELECT 1" + many(" UNION ALL SELECT 1", 10_000),
		many("SELECT * FROM (", 2000) + "SELECT 1" + many(")", 2000), "SELECT CASE" + many(" WHEN 1 THEN 1", 50_000) + " END", "SELECT 1 IN (" + many("1,", 500_000) + "1)",
		"SELECT id FROM charges WHERE id LIKE '" + many("%a", 20_000) + "'", "SELECT hex(zeroblob(20000)) LIKE '" + many("%0", 50) + "1'", "SELECT hex(zeroblob(20000)) GLOB '" + many("*0", 50) + "1'",
		"SELECT id FROM charges WHERE id IN ('" + many("a','", 100_000) + "')", "SELECT id FROM charges WHERE " + many("id = 'a' OR ", 500) + "1",
		"SELECT json('" + many("[", 1_000_000) + "')", "SELECT json_extract('" + many(`{"a":`, 900) + "1" + many("}", 900) + "', '$" + many(".a", 900) + "')",
		"SELECT count(*) FROM json_each('[" + many("1,", 500_000) + "1]')", "SELECT count(*) FROM json_tree('" + many("[", 900) + many("]", 900) + "')",
		"SELECT max(a.id || b.id || hex(zeroblob(100000)))" + pairs, sortsAMillion, "SELECT count(*) FROM charges a, charges b, charges c, charges d",
		"SELECT group_concat(a.id || b.id)" + pairs, "SELECT json_group_array(a.id || b.id)" + pairs, "SELECT json_group_object(a.id || b.id, 1)" + pairs,
		"SELECT DISTINCT a.id || b.id" + pairs, "SELECT a.id || b.id, count(*)" + pairs + " GROUP BY 1", "SELECT count(DISTINCT a.id || b.id)" + pairs,
		"SELECT a.id || b.id" + pairs + " INTERSECT SELECT a.id || b.id" + pairs, "SELECT 1 WHERE 'x' IN (SELECT a.id || b.id" + pairs + ")",
		"SELECT sum(a.amount) OVER (ORDER BY b.id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)" + pairs, "SELECT row_number() OVER (PARTITION BY a.id || b.id)" + pairs,
		"SELECT * FROM charges a FULL JOIN charges b ON a.amount <> b.amount", "SELECT a.*, b.*" + pairs + " ORDER BY random()",
		"SELECT median(a.amount + b.amount)" + pairs, "SELECT " + many("percentile(a.amount, 10),", 500) + "1" + pairs, "SELECT median(a.amount) OVER (ORDER BY b.id)" + pairs,
	}
	for _, step := range []string{"x+1 FROM n", "x || x FROM n", "hex(zeroblob(length(x))) FROM n", "n.x || m.x FROM n, (SELECT 'a' x) m", "printf('%1000d', length(x)) || length(x) FROM n"} {
		for _, union := range []string{"UNION", "UNION ALL"} {
			queries = append(queries, "WITH RECURSIVE n(x) AS (SELECT 'a' "+union+" SELECT "+step+") SELECT count(*), max(x) FROM n")
		}
	}
	return queries
}

// Whatever a query does, the process lives, its memory is bounded, and the next query
// is right. With STRIPEKIT_QUERIES each query has more time.
func TestProcessSurvivesHostileQueries(t *testing.T) {
	patience := 10 * time.Millisecond
	if os.Getenv("STRIPEKIT_QUERIES") != "" {
		patience = 500 * time.Millisecond
	}
	server := newServer(t)
	seedCharges(server, 1000)
	for name, opts := range map[string][]stripesql.Option{
		"as it is":                     nil,
		"little memory":                {stripesql.WithMaxMemory(4 << 20)},
		"little memory, and the files": {stripesql.WithMaxMemory(4 << 20), stripesql.WithTempFiles()},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, server, opts...)
			failed, most := 0, 0
			for _, query := range hostileQueries() {
				peak := peakMemory(t)
				if drain(t.Context(), db, query, patience) != nil {
					failed++
				}
				most = max(most, peak())
				require.Equal(t, []string{"1000"}, mustRun(t, db, "SELECT count(*) FROM charges").rows, "after %.100s", query)
			}
			require.Greater(t, failed, 30)
			require.Less(t, most, 300<<20)
			t.Logf("%d MiB of memory at most", most>>20)
		})
	}
}

// peakMemory returns a function that returns the most resident memory of the process
// in bytes since then. On systems other than Linux it is not known, and 0.
func peakMemory(t *testing.T) func() int {
	runtime.GC()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Log("the memory is not measured:", err)
		return func() int { return 0 }
	}
	return func() int {
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		_, rest, found := strings.Cut(string(status), "VmHWM:")
		require.True(t, found)
		kib, err := strconv.Atoi(strings.Fields(rest)[0])
		require.NoError(t, err)
		return kib << 10
	}
}

// drain reads the rows of a query for a while, and drops them.
func drain(ctx context.Context, db *sql.DB, query string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}
