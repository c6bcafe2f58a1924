package stores_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// TestSQLEngineWatchSeesTransactionsThatCommitLate has transactions that begin before a
// Watch, in its first reading, or between its polls, and are committed after later ones
// were observed.
func TestSQLEngineWatchSeesTransactionsThatCommitLate(t *testing.T) {
	t.Parallel()
	engine, db := openEngineDB(t, servers.PostgreSQL(t))
	const late = 5
	var open []*sql.Tx
	begin := func(i int) {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.Exec("INSERT INTO "+engineTable+" VALUES ($1, 1, 'new', NULL, 0, pg_current_xact_id())", fmt.Sprint("new/", i))
		require.NoError(t, err)
		_, err = tx.Exec("UPDATE "+engineTable+" SET value = 'late', revision = revision + 1, change = pg_current_xact_id() WHERE record_key = $1",
			fmt.Sprint("old/", i))
		require.NoError(t, err)
		open = append(open, tx)
	}
	for i := range late {
		put(t, engine, fmt.Sprint("old/", i), "early", 0, 0)
	}
	begin(0)
	put(t, engine, "before", "value", 0, 0)
	w := watchEngine(t, engine)
	w.sees("before", "value")
	for i := 1; i < late; i++ {
		begin(i)
		key := fmt.Sprint("between/", i)
		put(t, engine, key, "value", 0, 0)
		w.sees(key, "value")
	}
	for i := range late {
		w.sees(fmt.Sprint("old/", i), "early")
	}
	for i := late - 1; i >= 0; i-- {
		require.NoError(t, open[i].Commit())
		require.Len(t, w.sees(fmt.Sprint("new/", i), "new"), 1)
		require.Len(t, w.sees(fmt.Sprint("old/", i), "late"), 2)
	}
}

// TestSQLEngineWatchObservesEachRevisionOnceUnderLoad also has Watches start while
// records change.
func TestSQLEngineWatchObservesEachRevisionOnceUnderLoad(t *testing.T) {
	const writers, changes, watches = 8, 150, 6
	for name, settings := range map[string]string{"read committed": "", "serializable": " default_transaction_isolation=serializable"} {
		t.Run(name, func(t *testing.T) {
			database := servers.PostgreSQL(t)
			database.DSN += settings
			engine := openEngine(t, database)
			var all sync.WaitGroup
			for n := range writers {
				all.Go(func() {
					revision := uint64(0)
					for i := range changes {
						next, err := engine.Put(t.Context(), fmt.Sprint("key/", n), fmt.Appendf(nil, "%d", i), revision, time.Hour)
						if err != nil {
							t.Error(err)
							return
						}
						revision = next
					}
				})
			}
			var started []*engineWatch
			for range watches {
				started = append(started, watchEngine(t, engine))
			}
			all.Wait()
			for _, w := range started {
				for n := range writers {
					last := uint64(0)
					for _, o := range w.sees(fmt.Sprint("key/", n), fmt.Sprint(changes-1)) {
						require.Greater(t, o.revision, last)
						last = o.revision
					}
				}
				require.Equal(t, 1, w.complete)
			}
		})
	}
}

// TestSQLEngineWatchSurvivesARestoreIntoAnotherCluster: the transactions of the
// restored rows are still to come there.
func TestSQLEngineWatchSurvivesARestoreIntoAnotherCluster(t *testing.T) {
	engine, db := openEngineDB(t, servers.PostgreSQL(t))
	first := put(t, engine, "first", "1", 0, 0)
	execSQL(t, db, "UPDATE "+engineTable+" SET change = '4000000000000'")
	w := watchEngine(t, engine)
	for i := range 3 {
		key := fmt.Sprint("later/", i)
		put(t, engine, key, "2", 0, 0)
		require.Len(t, w.sees(key, "2"), 1)
	}
	require.Equal(t, []observation{{"1", first}}, w.sees("first", "1"))
	put(t, engine, "first", "3", first, 0)
	require.Len(t, w.sees("first", "3"), 2)
}

// TestSQLEngineWatchReturnsWhenTheDatabaseFails has the connection end, by the server.
func TestSQLEngineWatchReturnsWhenTheDatabaseFails(t *testing.T) {
	t.Parallel()
	database := servers.PostgreSQL(t)
	engine, db := openEngineDB(t, database)
	w := watchEngine(t, engine)
	execSQL(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	require.ErrorContains(t, w.ends(), "sqlstore: watching records: ")

	// Locks that are not free stall it.
	w = watchEngine(t, engine)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("LOCK TABLE " + engineTable)
	require.NoError(t, err)
	require.ErrorContains(t, w.ends(), "has not answered")
	require.NoError(t, tx.Rollback())

	w = watchEngine(t, engine)
	w.cancel()
	require.ErrorIs(t, w.ends(), context.Canceled)

	db.SetMaxOpenConns(1)
	watchEngine(t, engine)
	require.ErrorContains(t, engine.Watch(t.Context(), func(string, []byte, uint64) {}), "deadline", "there is no connection for it")
}

// TestSQLEngineWatchRemovesWhatExpires has no other caller remove it. Of two records
// one is renewed in time.
func TestSQLEngineWatchRemovesWhatExpires(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, servers.PostgreSQL(t))
	watches := []*engineWatch{watchEngine(t, engine), watchEngine(t, engine)}
	const ttl = 4 * time.Second
	revision := put(t, engine, "session/renewed", "x", 0, ttl)
	revision = put(t, engine, "session/renewed", "x", revision, time.Hour)
	before := time.Now()
	gone := put(t, engine, "session/gone", "x", 0, ttl)
	for _, w := range watches {
		seen := w.sees("session/gone", "<nil>")
		require.Len(t, seen, 2)
		require.Greater(t, seen[1].revision, gone)
		require.GreaterOrEqual(t, time.Since(before), ttl)
		w.sees("session/renewed", "x")
	}
	put(t, engine, "session/renewed", "x", revision, time.Second)
	for _, w := range watches {
		seen := w.sees("session/renewed", "<nil>")
		for _, o := range seen[:len(seen)-1] {
			require.Equal(t, "x", o.value)
		}
	}
}
