package stores_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripekittest"
)

// openSQL opens a database with a pool of its own, and a store in a table of it.
func openSQL(t *testing.T, driver, dsn string, dialect sqlstore.Dialect, table string) stripekit.CheckpointStore {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	store, err := sqlstore.New(db, dialect, sqlstore.WithTable(table))
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func TestSQLStorePassesTestStoreWithSQLite(t *testing.T) {
	t.Parallel()
	stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
		// synchronous(full) is not the default of this driver with WAL.
		dsn := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "checkpoints.db")) +
			"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
		return func() stripekit.CheckpointStore { return openSQL(t, "sqlite3", dsn, sqlstore.SQLite, "checkpoints") }
	})
}

func TestSQLStorePassesTestStoreWithServers(t *testing.T) {
	t.Parallel()
	for dialect, server := range map[sqlstore.Dialect]func(testing.TB) servers.Database{
		sqlstore.PostgreSQL: servers.PostgreSQL, sqlstore.MySQL: servers.MariaDB,
	} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			database, tables := server(t), 0
			stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
				tables++
				table := fmt.Sprintf("checkpoints_%d", tables)
				return func() stripekit.CheckpointStore {
					return openSQL(t, database.Driver, database.DSN, dialect, table)
				}
			})
		})
	}
}
