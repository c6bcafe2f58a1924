package stripesql_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

func TestOpenMaterializedComparesAndScansTimes(t *testing.T) {
	c := newCopying(t)
	c.seed(20)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"charges"}})
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	defer db.Close()
	var newest, again time.Time
	require.NoError(t, db.QueryRow("SELECT max(created) FROM charges").Scan(&newest))
	require.NoError(t, db.QueryRow("SELECT created FROM charges ORDER BY created DESC LIMIT 1").Scan(&again))
	require.Equal(t, newest, again)
	require.WithinDuration(t, c.server.Now(), newest, 2*time.Hour)
	zone := time.FixedZone("", 5*3600)
	var n int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM charges WHERE created = ?", newest.In(zone)).Scan(&n))
	require.Equal(t, 1, n)
	require.NoError(t, db.QueryRow("SELECT count(*) FROM charges WHERE created < ?", newest.In(zone).Format(time.RFC3339)).Scan(&n))
	require.Equal(t, 19, n)
}

func TestOpenMaterializedUsesTheIndexes(t *testing.T) {
	c := newCopying(t)
	c.seed(5)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"charges", "customers"}})
	for query, want := range map[string]string{
		"SELECT id FROM charges WHERE created >= '2026-01-01'":     "SEARCH main.charges USING INDEX charges_created (created>?)",
		"SELECT id FROM charges ORDER BY created DESC LIMIT 1":     "SCAN main.charges USING INDEX charges_created",
		"SELECT id FROM charges WHERE created_unix > 5":            "SEARCH main.charges USING INDEX charges_created_unix (created_unix>?)",
		"SELECT amount FROM charges WHERE customer = 'cus_1'":      "SEARCH main.charges USING INDEX charges_customer (customer=?)",
		"SELECT amount FROM charges WHERE id = 'ch_1'":             "SEARCH main.charges USING INDEX sqlite_autoindex_charges_1 (id=?)",
		"SELECT name FROM customers WHERE email = 'a@example.com'": "SEARCH main.customers USING INDEX customers_email (email=?)",
	} {
		rows := c.rows("EXPLAIN QUERY PLAN " + query)
		require.Contains(t, rows[0], want, query)
		require.Contains(t, rows[len(rows)-1], "ESTIMATE about 0 calls", query)
	}
}

func TestOpenMaterializedOnlyReads(t *testing.T) {
	c := newCopying(t)
	c.seed(2)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"charges"}})
	before, err := os.ReadFile(c.file)
	require.NoError(t, err)
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	for _, text := range []string{
		"DELETE FROM main.charges", "UPDATE charges SET amount = 1", "DROP TABLE main.charges", "CREATE TABLE x (y)", "PRAGMA journal_mode = delete",
		"ATTACH 'other.db' AS other", "INSERT INTO main.charges (id) VALUES ('ch_1')", "VACUUM", "DROP VIEW charges", "DELETE FROM stripekit_file",
	} {
		_, err := db.Query(text)
		require.Error(t, err, text)
	}
	require.NoError(t, db.Close())
	after, err := os.ReadFile(c.file)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestOpenMaterializedEndsWhatNeedsTooMuchMemory(t *testing.T) {
	c := newCopying(t)
	c.seed(50)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"charges"}})
	db, err := stripesql.OpenMaterialized(c.file, stripesql.WithMaxMemory(4<<20))
	require.NoError(t, err)
	defer db.Close()
	_, err = ask(t.Context(), db, "SELECT a.*, b.* FROM charges a, charges b, charges c, charges d ORDER BY random()")
	require.ErrorIs(t, err, stripesql.ErrMemory)
	require.Equal(t, []string{"50"}, mustRun(t, db, "SELECT count(*) FROM charges").rows)
	_, err = stripesql.OpenMaterialized(c.file, stripesql.WithMaxMemory(1))
	require.ErrorContains(t, err, "WithMaxMemory")
}

func TestOpenMaterializedSeesEachCommit(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(5)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	c.mustRun(cfg)
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	defer db.Close()
	c.remove(customers[0])
	rows, err := db.Query("SELECT id FROM customers")
	require.NoError(t, err)
	require.True(t, rows.Next())
	c.mustRun(cfg) // while the statement reads
	n := 1
	for rows.Next() {
		n++
	}
	require.NoError(t, rows.Err())
	require.Equal(t, 5, n, "as it was when the statement began")
	require.Equal(t, []string{"4"}, mustRun(t, db, "SELECT count(*) FROM customers").rows)
}

func TestOpenMaterializedDoesNotCreateAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.db")
	_, err := stripesql.OpenMaterialized(file)
	require.Error(t, err)
	require.NoFileExists(t, file)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = stripesql.OpenMaterialized(file)
	require.ErrorContains(t, err, "not a file of Materialize")
}

// The database stays open while Materialize adds a table and a column.
func TestOpenMaterializedSeesNewTablesAndColumns(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(3)
	c.rename(customers[0], "Ann")
	buyers := func(columns ...stripesql.Column) []stripesql.Option {
		return []stripesql.Option{stripesql.WithTable("buyers", "/v1/customers", columns...)}
	}
	email, name := stripesql.Column{Name: "email"}, stripesql.Column{Name: "name"}
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"buyers"}, Options: buyers(email)})
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	defer db.Close()
	require.Equal(t, []string{"3"}, mustRun(t, db, "SELECT count(email) FROM buyers").rows)

	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"buyers", "charges"}, Options: buyers(email, name)})
	require.Equal(t, []string{"3"}, mustRun(t, db, "SELECT count(*) FROM charges").rows)
	require.Equal(t, []string{"Ann"}, mustRun(t, db, "SELECT name FROM buyers WHERE name IS NOT NULL").rows)
	require.Equal(t, []string{"0"}, mustRun(t, db, "SELECT count(*) FROM charges WHERE created > strftime('%Y-%m-%d %H:%M:%S', created)").rows, "it compares as a time")
	_, err = run(t.Context(), db, "PRAGMA schema_version")
	require.ErrorContains(t, err, "only statements that read")
}

func TestOpenMaterializedReadsTheFileThatThereIs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed there")
	}
	c := newCopying(t)
	customers := c.seed(3)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	c.mustRun(cfg)
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	defer db.Close()
	require.Equal(t, []string{"3"}, mustRun(t, db, "SELECT count(*) FROM customers").rows)
	require.NoError(t, os.Remove(c.file))
	c.remove(customers[0])
	c.mustRun(cfg)
	require.Equal(t, []string{"2"}, mustRun(t, db, "SELECT count(*) FROM customers").rows)
	require.NoError(t, os.Remove(c.file))
	_, err = run(t.Context(), db, "SELECT count(*) FROM customers")
	require.ErrorContains(t, err, "unable to open database file")
}

// Another program closes the file as its last user, which locks it for a moment, while
// it is opened.
func TestOpenMaterializedWaitsForAnotherProgram(t *testing.T) {
	c := newCopying(t)
	c.seed(3)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers"}})
	other, err := sqlite3.Open(c.file)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, other.Exec("PRAGMA locking_mode = exclusive; BEGIN IMMEDIATE"))
	released := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { released <- other.Close() })
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(t, err)
	defer db.Close()
	require.Equal(t, []string{"3"}, mustRun(t, db, "SELECT count(*) FROM customers").rows)
	require.NoError(t, <-released)
}
