package stripemcp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

func query(t *testing.T, statement string) string {
	t.Helper()
	return fmt.Sprintf(`{"query": %q}`, statement)
}

func TestSQLReturnsColumnsRowsAndCalls(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{
		Count: 250, First: time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC),
		Params: map[string][]string{"amount": {"700"}, "currency": {"usd"}, "source": {"tok_visa"}},
	})
	session := connect(t, client, stripemcp.Options{})
	require.Equal(t, map[string]any{
		"columns": []any{"count(*)", "sum(amount)", "max(created)"}, "rows": []any{[]any{250.0, 175000.0, "2026-01-31T15:04:05Z"}}, "calls": 3.0,
	}, output(t, session, "sql", query(t, "SELECT count(*), sum(amount), max(created) FROM charges")))
	require.Equal(t, 3, server.Count("GET /v1/charges"))
	require.Equal(t, map[string]any{"columns": []any{"id"}, "rows": []any{}, "calls": 1.0},
		output(t, session, "sql", query(t, "SELECT id FROM refunds")))
}

func TestSQLReturnsEveryTypeAsJSON(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	result := call(t, connect(t, client, stripemcp.Options{}), "sql",
		query(t, `SELECT NULL AS a, 1 AS b, 0.5 AS c, 'a<b' AS d, x'00ff' AS e, 9e999 AS f, -9e999 AS g, CAST(x'ff' AS TEXT) AS h, '[1]' AS i`))
	require.Equal(t, `{"columns":["a","b","c","d","e","f","g","h","i"],"rows":[[null,1,0.5,"a<b","AP8=","+Inf","-Inf","\ufffd","[1]"]],"calls":0}`,
		strings.ReplaceAll(textOf(t, result), "\ufffd", `\ufffd`), "encoding/json escapes U+FFFD, and encoding/json/v2 does not")
}

func TestSQLKeepsToItsBudget(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 1000, Every: time.Second})
	session := connect(t, client, stripemcp.Options{MaxCalls: 5})
	for calls, input := range map[int]string{
		5: `{"query": "SELECT count(*) FROM charges"}`,
		2: `{"query": "SELECT count(*) FROM charges", "max_calls": 2}`,
	} {
		before := len(server.Requests())
		text := failure(t, session, "sql", input)
		require.Contains(t, text, fmt.Sprint(calls), text)
		require.Contains(t, text, "GET /v1/charges?", "the request that was not made")
		require.Equal(t, calls, len(server.Requests())-before)
	}
	for _, refused := range []string{"6", "0", "-1", `"5"`, "1.5"} {
		text := failure(t, session, "sql", `{"query": "SELECT 1", "max_calls": `+refused+`}`)
		require.Contains(t, text, "max_calls")
	}
}

func TestSQLOnlyReads(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{})
	session := connect(t, client, stripemcp.Options{Write: true})
	for _, statement := range []string{
		"DELETE FROM charges", "UPDATE charges SET amount = 1", "INSERT INTO charges (id) VALUES ('x')", "DROP TABLE charges",
		"CREATE TABLE t (x)", "CREATE TEMP TABLE t AS SELECT 1", "ATTACH '/etc/passwd' AS other", "PRAGMA temp_store = file", "PRAGMA user_version",
		"VACUUM INTO '/tmp/copy'", "BEGIN", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT 1; DELETE FROM charges",
		"", "SELEC 1", "SELECT * FROM topups",
	} {
		require.NotEmpty(t, failure(t, session, "sql", query(t, statement)), statement)
	}
	require.Empty(t, server.Requests())
}

func TestSQLExplains(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 50})
	session := connect(t, client, stripemcp.Options{})
	plan := fmt.Sprint(output(t, session, "sql", query(t, "EXPLAIN QUERY PLAN SELECT id FROM charges WHERE customer = 'cus_1' AND amount > 5"))["rows"])
	require.Contains(t, plan, "customer=cus_1")
	require.Contains(t, plan, "amount")
}

func TestSQLIsBoundedInRowsAndBytes(t *testing.T) {
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, printf('%.*c', 90, 'x') FROM n" // without an end
	const text = "There are more rows. Aggregate, select fewer columns, or continue with a condition on created, or with LIMIT and OFFSET."
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 1000, Every: time.Second})

	t.Run("rows", func(t *testing.T) {
		got := output(t, connect(t, client, stripemcp.Options{MaxRows: 7}), "sql", query(t, numbers))
		require.Len(t, got["rows"], 7)
		require.Equal(t, text, got["truncated"])
	})
	t.Run("as many rows as allowed", func(t *testing.T) {
		got := output(t, connect(t, client, stripemcp.Options{MaxRows: 7}), "sql", query(t, numbers+" LIMIT 7"))
		require.Len(t, got["rows"], 7)
		require.NotContains(t, got, "truncated")
	})
	t.Run("bytes", func(t *testing.T) {
		for limit := 1024; limit < 1300; limit += 7 {
			result := call(t, connect(t, client, stripemcp.Options{MaxBytes: limit}), "sql", query(t, numbers))
			require.LessOrEqual(t, len(textOf(t, result)), limit)
			require.Greater(t, len(textOf(t, result)), limit-110)
			require.Equal(t, text, result.StructuredContent.(map[string]any)["truncated"])
		}
	})
	t.Run("calls", func(t *testing.T) {
		server.Reset()
		got := output(t, connect(t, client, stripemcp.Options{MaxRows: 150}), "sql", query(t, "SELECT id FROM charges"))
		require.Len(t, got["rows"], 150)
		require.Equal(t, 2.0, got["calls"])
		require.Len(t, server.Requests(), 2, "no pages are read that have no room")
	})
	t.Run("a row that has no room", func(t *testing.T) {
		got := failure(t, connect(t, client, stripemcp.Options{MaxBytes: 1024}), "sql", query(t, "SELECT printf('%.*c', 2000, 'x')"))
		require.Equal(t, "stripe: a row has more bytes than a result may have: select fewer columns, or parts by substr", got)
	})
	t.Run("values that take much memory", func(t *testing.T) {
		session := connect(t, client, stripemcp.Options{})
		for _, statement := range []string{"SELECT length(hex(zeroblob(400000000)))", "SELECT count(*) FROM (SELECT DISTINCT zeroblob(10000) || i FROM (" + numbers + "))"} {
			require.Contains(t, failure(t, session, "sql", query(t, statement)), "stripesql: ")
		}
		output(t, session, "sql", query(t, "SELECT 1"))
	})
	t.Run("columns that have no room", func(t *testing.T) {
		statement := `SELECT 1 AS ` + strings.Repeat("x", 2000)
		require.Contains(t, failure(t, connect(t, client, stripemcp.Options{MaxBytes: 1024}), "sql", query(t, statement+" LIMIT 0")), "more bytes than a result may have")
		require.Contains(t, failure(t, connect(t, client, stripemcp.Options{MaxBytes: 1024}), "sql", query(t, statement)), "more bytes than a result may have")
	})
}

// TestSQLTablesAreAllTables compares the list with what the tool sql has.
func TestSQLTablesAreAllTables(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{})
	tables := output(t, session, "sql_tables", "")
	for _, table := range stripesql.Tables() {
		columns := output(t, session, "sql", query(t, "SELECT * FROM "+table+" LIMIT 0"))["columns"].([]any)
		listed := tables[table].([]any)
		require.Len(t, listed, len(columns))
		for i, column := range listed {
			name, typ, _ := strings.Cut(column.(string), " ")
			require.Equal(t, columns[i], name)
			require.Contains(t, []string{"TEXT", "INTEGER", "REAL", "TIMESTAMP"}, typ)
		}
	}
	require.Len(t, tables, len(stripesql.Tables()))
	require.Empty(t, server.Requests())
}

// A fifth statement waits for one of four.
func TestStatementsWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, fake := stripekittest.NewClient(t)
		session := connect(t, client, stripemcp.Options{Timeout: time.Second})
		arrived, release := make(chan struct{}, 5), make(chan struct{})
		fake.Fault("", stripetest.First(4), stripetest.Do(func() { arrived <- struct{}{}; <-release }))
		var running sync.WaitGroup
		defer running.Wait()
		defer close(release)
		for range 4 {
			running.Go(func() {
				_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "sql", Arguments: json.RawMessage(query(t, "SELECT count(*) FROM charges"))})
			})
		}
		for range 4 {
			<-arrived
		}
		result := call(t, session, "sql", query(t, "SELECT 1"))
		require.True(t, result.IsError)
		require.Contains(t, textOf(t, result), "while other statements run")
	})
}

// SQLite ends no function in the middle.
func TestStatementInALongFunctionIsAnsweredAtTheTimeout(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{Timeout: 500 * time.Millisecond})
	result := call(t, session, "sql", query(t, "SELECT instr(hex(zeroblob(300000)), hex(zeroblob(150000)) || '1')"))
	require.True(t, result.IsError)
	require.Contains(t, textOf(t, result), "make it read or compute less")
	for result.IsError { // a slow machine needs more than one try
		result = call(t, session, "sql", query(t, "SELECT 1"))
		require.NotContains(t, textOf(t, result), "while other statements run", "another has room")
	}
}

func TestArgumentsOfSQLAreChecked(t *testing.T) {
	client, fake := stripekittest.NewClient(t)
	var log bytes.Buffer
	session := connect(t, client, stripemcp.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxBytes: 2000})
	for input, want := range map[string]string{
		`{"query": {"x": "` + strings.Repeat("x", 10_000) + `"}}`: "the arguments must be",
		`{"` + strings.Repeat("x", 10_000) + `": 1}`:              "the arguments must be",
		`{}`:              "query: is required",
		`{"query": null}`: "query: is required",
		`{"query": "SELECT 1", "QUERY": "SELECT 2"}`: "the arguments must be",
		`{"query": "SELECT 1", "query": "SELECT 2"}`: "the arguments must be",
		`[]`:                                    "the arguments must be",
		`"query"`:                               "the arguments must be",
		`{"query": "SELECT 1", "max_calls": 0}`: "max_calls: must be 1 to 100",
		`{"query": "SELECT 1", "max_calls": 101}`: "max_calls: must be 1 to 100",
		`{"query": "SELECT 1", "max_calls": 1.5}`: "the arguments must be",
	} {
		result := call(t, session, "sql", input)
		require.True(t, result.IsError)
		require.Contains(t, textOf(t, result), want)
		require.LessOrEqual(t, len(textOf(t, result)), 2000)
	}
	require.Equal(t, 11, strings.Count(log.String(), "tool=sql"))
	require.False(t, call(t, session, "sql", `{"query": "SELECT 1", "max_calls": null}`).IsError)
	require.Empty(t, fake.Requests())
}

// A row that is too wide is refused before it is written as JSON.
func TestWideRowsCostLittle(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{})
	const wide = "SELECT randomblob(4000000), randomblob(4000000), randomblob(4000000), randomblob(4000000)"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result := call(t, session, "sql", query(t, wide))
	runtime.ReadMemStats(&after)
	require.True(t, result.IsError)
	require.Contains(t, textOf(t, result), "more bytes than a result may have")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))
}
