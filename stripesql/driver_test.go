package stripesql_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit/stripesql"
)

func TestOnlyStatementsThatReadAreLetThrough(t *testing.T) {
	db := openDB(t, newServer(t))
	for _, statement := range []string{
		"ATTACH ':memory:' AS other", "DETACH main", "PRAGMA user_version", "PRAGMA temp_store = file", "SELECT * FROM pragma_table_list",
		"CREATE TABLE t(x)", "CREATE TEMP TABLE t(x)", "CREATE VIEW v AS SELECT 1", "CREATE TEMP VIEW v AS SELECT 1", "CREATE INDEX i ON charges(id)",
		"CREATE TRIGGER t AFTER INSERT ON charges BEGIN SELECT 1; END", "CREATE VIRTUAL TABLE t USING charges", "DROP TABLE charges",
		"INSERT INTO charges(id) VALUES ('x')", "UPDATE charges SET id = 'x'", "DELETE FROM charges", "REPLACE INTO charges(id) VALUES ('x')",
		"BEGIN", "COMMIT", "SAVEPOINT s", "REINDEX", "VACUUM", "VACUUM INTO 'out.db'", "ANALYZE", "ALTER TABLE charges RENAME TO c",
		"SELECT load_extension('x')", "SELECT writefile('x', 'y')",
	} {
		_, err := run(t.Context(), db, statement)
		require.ErrorContains(t, err, "stripesql: ", statement)
		_, err = db.ExecContext(t.Context(), statement)
		require.Error(t, err, statement)
	}
	for _, statement := range []string{
		"SELECT 1", "VALUES (1)", "WITH a AS (SELECT 1) SELECT * FROM a", "EXPLAIN SELECT 1", "EXPLAIN QUERY PLAN SELECT 1", "/* x */ SELECT 1; -- y",
		"SELECT json_extract('{\"a\":1}', '$.a')", "SELECT value FROM json_each('[1]')", "SELECT upper('x'), date('now')",
	} {
		mustRun(t, db, statement)
	}
}

func TestOneStatementAtATime(t *testing.T) {
	db := openDB(t, newServer(t))
	for statement, want := range map[string]string{
		"SELECT 1; SELECT 2":     "one statement at a time",
		"SELECT 1; DROP TABLE x": "one statement at a time",
		"":                       "the statement is empty",
		"SELECT '" + strings.Repeat("x", 1_000_000) + "'": "longer than 900000 bytes",
		"-- nothing":                 "the statement is empty",
		"SELEC 1":                    "syntax error",
		"SELECT * FROM topups":       "no such table: topups",
		"SELECT colour FROM charges": "no such column: colour",
	} {
		_, err := run(t.Context(), db, statement)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "stripesql: ")
	}
	_, err := db.Begin()
	require.ErrorContains(t, err, "no transactions")
	_, err = db.Exec("SELECT 1")
	require.ErrorContains(t, err, "use Query")
}

func TestParameters(t *testing.T) {
	db := openDB(t, newServer(t))
	at := time.Date(2026, 1, 1, 1, 0, 0, 5e8, time.FixedZone("", 3600))
	got := mustRun(t, db, "SELECT ?, ?, ?, ?, ?, typeof(?), ?", 1, "a", nil, 1.5, true, []byte("x"), at)
	require.Equal(t, []string{"1|a|NULL|1.5|1|blob|2026-01-01T00:00:00.5Z"}, got.rows)
	got = mustRun(t, db, "SELECT :a, @b, $c, :a", sql.Named("a", 1), sql.Named("b", 2), sql.Named("c", 3))
	require.Equal(t, []string{"1|2|3|1"}, got.rows)
	_, err := run(t.Context(), db, "SELECT ?", 1, 2)
	require.Error(t, err)

	stmt, err := db.PrepareContext(t.Context(), "SELECT ? + 1")
	require.NoError(t, err)
	defer stmt.Close()
	for i := range 3 {
		var sum int
		require.NoError(t, stmt.QueryRow(i).Scan(&sum))
		require.Equal(t, i+1, sum)
	}
}

func TestColumnTypes(t *testing.T) {
	server := newServer(t)
	rows, err := openDB(t, server).Query("SELECT charges.id, charges.created, amount, package_dimensions_width, 1 FROM charges, products LIMIT 0")
	require.NoError(t, err)
	defer rows.Close()
	types, err := rows.ColumnTypes()
	require.NoError(t, err)
	for i, want := range []string{"TEXT", "TIMESTAMP", "INTEGER", "REAL", ""} {
		require.Equal(t, want, types[i].DatabaseTypeName())
	}
	require.False(t, rows.Next())
	require.NoError(t, rows.Err())
	require.Empty(t, server.Requests())
}

func TestDataSourceNames(t *testing.T) {
	server := newServer(t)
	client := clientOf(t, server)
	seedCharges(server, 500)
	require.NoError(t, stripesql.Register("dsn-shop", client, stripesql.WithMaxCalls(2)))
	defer stripesql.Unregister("dsn-shop")
	for name, want := range map[string]string{
		"stripe://dsn-shop":                           "more than its 2 API calls",
		"stripe://dsn-shop?max_calls=3":               "more than its 3 API calls",
		"stripe://dsn-shop/?max_calls=100&search=1":   "",
		"stripe://dsn-shop?max_calls=9&concurrency=1": "",
		"stripe://dsn-shop?max_calls=0":               "must be positive",
		"stripe://dsn-shop?max_calls=x":               "max_calls must be one number",
		"stripe://dsn-shop?max_calls=1&max_calls=2":   "max_calls must be one number",
		"stripe://dsn-shop?concurrency=-1":            "must be positive",
		"stripe://dsn-shop?search=2":                  "search must be 0 or 1",
		"stripe://dsn-shop?colour=1":                  `no parameter "colour"`,
		"stripe://other":                              `no client is registered as "other"`,
		"stripe://":                                   "data source name must be",
		"dsn-shop":                                    "data source name must be",
		"stripe://dsn-shop/path":                      "data source name must be",
		"stripe:dsn-shop":                             "data source name must be",
		"stripe://user:pass@dsn-shop":                 "data source name must be",
	} {
		db, err := sql.Open("stripe", name)
		if err == nil {
			_, err = run(t.Context(), db, "SELECT count(*) FROM charges")
			require.NoError(t, db.Close())
		}
		if want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, want, name)
	}
}

func TestKeyNeverStandsInADataSourceName(t *testing.T) {
	const key = "sk_test_51SecretSecret"
	for _, name := range []string{
		"stripe://" + key, "stripe://" + key + "@shop", "stripe://shop?key=" + key, key, "stripe://shop#" + key, "stripe://rk_live_51SecretSecret", "%zz" + key,
	} {
		require.NoError(t, stripesql.Register("key-shop", clientOf(t, newServer(t))))
		db, err := sql.Open("stripe", name)
		stripesql.Unregister("key-shop")
		require.Nil(t, db)
		require.ErrorContains(t, err, "an API key has no place in it")
		require.NotContains(t, err.Error(), "Secret")
	}
	err := stripesql.Register(key, clientOf(t, newServer(t)))
	require.ErrorContains(t, err, "API key")
	require.NotContains(t, err.Error(), "Secret")
}

func TestRegister(t *testing.T) {
	client := clientOf(t, newServer(t))
	for _, name := range []string{"", "a/b", "a:b", "a b", "a?b", "a@b"} {
		require.ErrorContains(t, stripesql.Register(name, client), "name")
	}
	require.ErrorContains(t, stripesql.Register("nil-shop", nil), "client is nil")
	require.ErrorContains(t, stripesql.Register("bad-shop", client, stripesql.WithMaxCalls(0)), "WithMaxCalls: must be positive")
	require.NoError(t, stripesql.Register("twice", client))
	require.ErrorContains(t, stripesql.Register("twice", client), "taken")
	stripesql.Unregister("twice")
	require.NoError(t, stripesql.Register("twice", client))
	stripesql.Unregister("twice")
	stripesql.Unregister("twice")
}

func TestOptionsAreChecked(t *testing.T) {
	client := clientOf(t, newServer(t))
	for _, opt := range []stripesql.Option{stripesql.WithMaxCalls(0), stripesql.WithMaxCalls(-1), stripesql.WithConcurrency(0)} {
		_, err := stripesql.Connector(client, opt)
		require.ErrorContains(t, err, "must be positive")
	}
	_, err := stripesql.Connector(nil)
	require.Error(t, err)
}

func TestConnectorHasADriver(t *testing.T) {
	connector, err := stripesql.Connector(clientOf(t, newServer(t)))
	require.NoError(t, err)
	_, err = connector.Driver().Open("stripe://nobody")
	require.ErrorContains(t, err, `no client is registered as "nobody"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = connector.Connect(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
