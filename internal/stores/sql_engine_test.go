package stores_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/fleet/fleettest"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
)

var _ fleet.Engine = (*sqlstore.Engine)(nil)

func TestSQLEnginePassesTestEngine(t *testing.T) {
	t.Parallel()
	isolations := map[string]string{"serializable": " default_transaction_isolation=serializable"}
	if rounds(2) > 1 {
		isolations["read committed"] = "" // other tests have it, too
	}
	for name, settings := range isolations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := servers.PostgreSQL(t)
			database.DSN += settings
			var tables atomic.Int64
			fleettest.TestEngine(t, func(t *testing.T) func() fleet.Engine {
				table := fmt.Sprintf("fleet_%d", tables.Add(1))
				return func() fleet.Engine { return openEngine(t, database, sqlstore.WithTable(table)) }
			})
		})
	}
}

func TestSQLEngineMigrateMayRunInManyProcessesAtOnce(t *testing.T) {
	database := servers.PostgreSQL(t)
	db := database.Open(t)
	engine, err := sqlstore.NewEngine(db)
	require.NoError(t, err)
	_, _, err = engine.Get(t.Context(), "key")
	require.ErrorContains(t, err, "does not exist", "NewEngine does not create the table")
	errs := make([]error, 20)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = engine.Migrate(t.Context()) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	revision := put(t, engine, "key", "value", 0, 0)
	require.NoError(t, engine.Migrate(t.Context()))
	requireRecord(t, engine, "key", "value", revision)
	var indexes int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM pg_indexes WHERE tablename = $1", engineTable).Scan(&indexes))
	require.Equal(t, 2, indexes)
}

func TestSQLEngineMigrateRefusesATableWithOtherColumns(t *testing.T) {
	db := servers.PostgreSQL(t).Open(t)
	execSQL(t, db, "CREATE TABLE "+engineTable+" (name text)")
	engine, err := sqlstore.NewEngine(db)
	require.NoError(t, err)
	require.ErrorContains(t, engine.Migrate(t.Context()), "sqlstore: ")
}

func TestSQLEngineSchemaCreatesTheTableOfMigrate(t *testing.T) {
	db := servers.PostgreSQL(t).Open(t)
	execSQL(t, db, "CREATE SCHEMA apart")
	engine, err := sqlstore.NewEngine(db, sqlstore.WithTable("apart.another_name"))
	require.NoError(t, err)
	for range 2 {
		for _, statement := range engine.Schema() {
			execSQL(t, db, statement)
		}
	}
	put(t, engine, "key", "value", 0, 0)
	require.NoError(t, engine.Migrate(t.Context()))
}

// TestSQLEngineRemovalIsFinalEvenIfTheClockGoesBack has somebody learn that a record
// has expired, in each way. Then the record is changed so that it would not have
// expired, which is what a clock that goes back means.
func TestSQLEngineRemovalIsFinalEvenIfTheClockGoesBack(t *testing.T) {
	engine, db := openEngineDB(t, servers.PostgreSQL(t))
	for name, learn := range map[string]func(key string, revision uint64){
		"get":      func(key string, _ uint64) { requireRecord(t, engine, key, "", 0) },
		"conflict": func(key string, revision uint64) { requireConflict(t, engine, key, revision) },
		"delete": func(key string, revision uint64) {
			require.NoError(t, engine.Delete(t.Context(), key, revision))
		},
		"delete.of.another": func(key string, revision uint64) {
			require.NoError(t, engine.Delete(t.Context(), key, revision+1))
		},
		"watch": func(key string, _ uint64) { watchEngine(t, engine) },
	} {
		key := "session/" + name
		revision := put(t, engine, key, "x", 0, time.Hour)
		execSQL(t, db, "UPDATE "+engineTable+" SET expires_at = clock_timestamp() - interval '1 second' WHERE record_key = $1", key)
		learn(key, revision)
		execSQL(t, db, "UPDATE "+engineTable+" SET expires_at = clock_timestamp() + interval '1 hour' WHERE record_key = $1", key)
		requireRecord(t, engine, key, "", 0)
		requireConflict(t, engine, key, revision)
		var removal uint64
		require.NoError(t, db.QueryRow("SELECT revision FROM "+engineTable+" WHERE record_key = $1", key).Scan(&removal))
		require.Greater(t, removal, revision)
		requireConflict(t, engine, key, removal) // it is the revision of no record
		require.Greater(t, put(t, engine, key, "new", 0, 0), removal)
	}
}

// TestSQLEngineRevisionsGrowAfterTheTombstoneIsDeleted also has the tombstone deleted,
// by a Watch.
func TestSQLEngineRevisionsGrowAfterTheTombstoneIsDeleted(t *testing.T) {
	engine, db := openEngineDB(t, servers.PostgreSQL(t))
	revision := uint64(0)
	for range 3 {
		for range 20 {
			revision = put(t, engine, "key", "value", revision, 0)
		}
		kept := put(t, engine, "kept", "value", 0, time.Hour)
		require.NoError(t, engine.Delete(t.Context(), "key", revision))
		require.NoError(t, engine.Delete(t.Context(), "kept", kept))
		execSQL(t, db, "UPDATE "+engineTable+" SET expires_at = clock_timestamp() WHERE record_key = 'key'")
		w := watchEngine(t, engine)
		require.Eventually(t, func() bool {
			var keys string
			require.NoError(t, db.QueryRow("SELECT string_agg(record_key, ' ') FROM "+engineTable).Scan(&keys))
			return keys == "kept"
		}, soon, 5*time.Millisecond)
		w.cancel()
		last := revision
		revision = put(t, engine, "key", "value", 0, 0)
		require.Greater(t, revision, last)
		revision = put(t, engine, "key", "value", revision, 0)
	}
}
