package stripesql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

func TestOnlyStatementsThatReadAreLetThrough(t *testing.T) {
	db := openDB(t, newServer(t))
	for _, statement := range []string{
		"ATTACH ':memory:' AS other", "DETACH main", "PRAGMA user_version", "PRAGMA temp_store = file", "SELECT * FROM pragma_user_version",
		"PRAGMA writable_schema = ON", "PRAGMA foreign_keys", "PRAGMA journal_mode", "PRAGMA optimize", "PRAGMA query_only = 0", "PRAGMA schema_version = 1",
		"DELETE FROM sqlite_schema", "UPDATE sqlite_master SET sql = ''", "INSERT INTO sqlite_schema VALUES ('table', 't', 't', 0, 'x')",
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
		"PRAGMA table_info(charges)", "PRAGMA main.table_xinfo('charges')", "pragma TABLE_LIST", "PRAGMA index_list(charges)", "PRAGMA index_info(x)", "PRAGMA index_xinfo(x)",
		"PRAGMA foreign_key_list(charges)", "PRAGMA database_list", "SELECT * FROM pragma_table_list", "SELECT * FROM sqlite_master", "SELECT * FROM sqlite_schema",
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
	_, err := db.Exec("SELECT 1")
	require.ErrorContains(t, err, "use Query")
}

// Tools begin a transaction for everything they do.
func TestTransactionIsAPlaceForQueries(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 3)
	db := openDB(t, server)
	for _, opts := range []*sql.TxOptions{nil, {}, {ReadOnly: true}} {
		for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := db.BeginTx(t.Context(), opts)
			require.NoError(t, err)
			var count int
			require.NoError(t, tx.QueryRow("SELECT count(*) FROM charges").Scan(&count))
			require.Equal(t, 3, count)
			_, err = tx.Exec("CREATE TABLE t(x)")
			require.ErrorContains(t, err, "only statements that read")
			require.NoError(t, end(tx))
		}
	}
	for _, level := range []sql.IsolationLevel{sql.LevelReadUncommitted, sql.LevelSnapshot, sql.LevelSerializable} {
		_, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level, ReadOnly: true})
		require.EqualError(t, err, "stripesql: there is no isolation level "+level.String()+": a transaction does not isolate")
	}
}

func TestPingIsOneRequest(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server, stripesql.WithMaxCalls(1))
	require.NoError(t, db.PingContext(t.Context()))
	requests := server.Requests()
	require.Len(t, requests, 1)
	require.Equal(t, "/v1/account", requests[0].Path)
	require.Equal(t, 1, mustRun(t, db, "SELECT count(*) FROM charges").stats.Calls)
}

func TestPingReturnsTheErrorOfTheClient(t *testing.T) {
	server := newServer(t)
	const key = "sk_test_51SecretSecret"
	client, err := stripekit.New(key, stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer db.Close()
	server.Fault("GET /v1/account", stripetest.Every(), stripetest.Respond(http.StatusUnauthorized, "Invalid API Key provided"))
	err = db.PingContext(t.Context())
	failure, ok := errors.AsType[*stripekit.CheckError](err)
	require.True(t, ok, err)
	require.Equal(t, stripekit.StepKey, failure.Step)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "Secret")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.PingContext(ctx), context.Canceled)
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
	for i, want := range []any{sql.NullString{}, sql.NullTime{}, sql.NullInt64{}, sql.NullFloat64{}} {
		require.Equal(t, reflect.TypeOf(want), types[i].ScanType())
	}
	require.Equal(t, reflect.TypeFor[any](), types[4].ScanType())
	require.False(t, rows.Next())
	require.NoError(t, rows.Err())
	require.Empty(t, server.Requests())
}

// An id is never NULL in its table, but in the result of a join, an aggregate, a
// subquery or a UNION it may be.
func TestNullableIsSaidWhereItIsKnown(t *testing.T) {
	db := openDB(t, newServer(t))
	const yes, no, unknown = "yes", "no", "unknown"
	for query, want := range map[string]string{
		"SELECT id FROM charges": no,
		"SELECT x.id AS y FROM charges x WHERE amount > 5 ORDER BY 1":               no,
		"SELECT DISTINCT id FROM charges ORDER BY created DESC LIMIT 10":            no,
		"SELECT amount FROM charges":                                                yes,
		"SELECT raw FROM charges":                                                   yes,
		"SELECT id || '' FROM charges":                                              unknown,
		"SELECT NULL":                                                               unknown,
		"SELECT c.id FROM charges LEFT JOIN customers c ON c.id = charges.customer": unknown,
		"SELECT c.id FROM customers c RIGHT JOIN charges ON c.id = customer":        unknown,
		"SELECT id, count(*) FROM charges":                                          unknown,
		"SELECT (SELECT id FROM charges)":                                           unknown,
		"SELECT (SELECT id FROM charges WHERE 0) FROM customers":                    unknown,
		"SELECT id FROM charges UNION ALL SELECT NULL":                              unknown,
		"SELECT id FROM (SELECT id, max(amount) FROM charges)":                      unknown,
	} {
		rows, err := db.Query(query)
		require.NoError(t, err, query)
		types, err := rows.ColumnTypes()
		require.NoError(t, err, query)
		got := unknown
		if nullable, ok := types[0].Nullable(); ok && nullable {
			got = yes
		} else if ok {
			got = no
			require.Equal(t, reflect.TypeFor[string](), types[0].ScanType(), query)
		}
		require.Equal(t, want, got, query)
		require.NoError(t, rows.Close())
	}
}

// A program may make its variables from the types of the columns, and scan each row
// into them.
func TestScanTypesHoldEveryValue(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 3)
	seedCustomer(server, "a@example.com")
	server.Seed("/v1/products", stripetest.Seeding{Params: url.Values{"name": {"Tea"}}})
	db := openDB(t, server)
	for _, table := range []string{"charges", "customers", "products"} {
		rows, err := db.Query("SELECT *, raw, 1 + 1, NULL, max(created) OVER () FROM " + table)
		require.NoError(t, err)
		types, err := rows.ColumnTypes()
		require.NoError(t, err)
		into := make([]any, len(types))
		for i, column := range types {
			into[i] = reflect.New(column.ScanType()).Interface()
		}
		require.True(t, rows.Next())
		require.NoError(t, rows.Scan(into...))
		require.NoError(t, rows.Err(), table)
		require.NoError(t, rows.Close())
	}
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
