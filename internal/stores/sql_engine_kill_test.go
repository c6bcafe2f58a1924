package stores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
)

// TestSQLEngineSurvivesKillsOfTheServer has writers put through kills, and repeat the
// Puts that failed. Each Watch ends soon, and another one observes the rest.
func TestSQLEngineSurvivesKillsOfTheServer(t *testing.T) {
	t.Parallel()
	const writers, kills = 6, 3
	server := servers.StartPostgreSQL(t)
	engine, db := openEngineDB(t, server.Database)
	stop := make(chan struct{})
	var mu sync.Mutex
	last := map[string]uint64{}
	var all sync.WaitGroup
	for n := range writers {
		key := fmt.Sprint("claim/", n)
		all.Go(func() {
			revision := uint64(0)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				next, err := engine.Put(t.Context(), key, fmt.Appendf(nil, "%d", i), revision, 0)
				if errors.Is(err, stripekit.ErrCheckpointConflict) {
					t.Errorf("%s: there is no other writer: %v", key, err)
					return
				}
				if err == nil {
					revision = next
					mu.Lock()
					last[key] = next
					mu.Unlock()
				}
			}
		})
	}
	for range kills {
		w := watchEngine(t, engine)
		w.eventually("changes", func() bool { return len(w.seen["claim/0"]) > 1 })
		server.Kill(t)
		require.ErrorContains(t, w.ends(), "sqlstore: watching records: ")
		server.Start(t)
	}
	w := watchEngine(t, engine)
	close(stop)
	all.Wait()
	for key, revision := range last {
		w.eventually(key, func() bool { s := w.seen[key]; return s[len(s)-1].revision == revision })
	}
	require.Len(t, last, writers)
	require.NoError(t, db.PingContext(t.Context()))
}

// TestSQLEngineIsDurableThoughCommitsAreNot kills a server that writes its log every
// ten seconds, after commits that would not wait for it.
func TestSQLEngineIsDurableThoughCommitsAreNot(t *testing.T) {
	t.Parallel()
	server := servers.StartPostgreSQL(t)
	engine, db := openEngineDB(t, server.Database)
	execSQL(t, db, "ALTER SYSTEM SET wal_writer_delay = '10s'")
	execSQL(t, db, "ALTER SYSTEM SET synchronous_commit = off")
	execSQL(t, db, "SELECT pg_reload_conf()")
	execSQL(t, db, "CREATE TABLE numbers (n integer)")
	kept := 0
	for i := range 3 {
		require.Eventually(t, func() bool {
			var setting string
			require.NoError(t, db.QueryRow("SHOW synchronous_commit").Scan(&setting))
			return setting == "off"
		}, soon, 10*time.Millisecond)
		key := fmt.Sprint("claim/", i)
		revision := put(t, engine, key, "first", 0, 0)
		if i > 0 {
			revision = put(t, engine, key, "second", revision, 0)
		}
		if i > 1 {
			require.NoError(t, engine.Delete(t.Context(), key, revision))
		}
		execSQL(t, db, "INSERT INTO numbers VALUES (1)")
		server.Kill(t)
		server.Start(t)
		requireEventuallyUp(t, db)
		switch i {
		case 0:
			requireRecord(t, engine, key, "first", revision)
		case 1:
			requireRecord(t, engine, key, "second", revision)
		default:
			requireRecord(t, engine, key, "", 0)
		}
		require.NoError(t, db.QueryRow("SELECT count(*) FROM numbers").Scan(&kept))
	}
	// Another process of the server may have written the log by chance, now and then.
	require.Less(t, kept, 3, "commits that do not wait survive, so the test shows nothing")
}

// TestSQLEngineRefusesAStandby starts the server again as a standby, and then promotes it.
func TestSQLEngineRefusesAStandby(t *testing.T) {
	t.Parallel()
	server := servers.StartPostgreSQL(t)
	engine, db := openEngineDB(t, server.Database)
	revision := put(t, engine, "key", "value", 0, 0)
	server.Kill(t)
	require.NoError(t, os.WriteFile(filepath.Join(dataFolder(t, server), "standby.signal"), nil, 0o644))
	server.Start(t)
	requireEventuallyUp(t, db)
	_, _, err := engine.Get(t.Context(), "key")
	require.ErrorContains(t, err, "standby")
	_, err = engine.Put(t.Context(), "key", []byte("new"), revision, 0)
	require.ErrorContains(t, err, "read-only")
	require.NotErrorIs(t, err, stripekit.ErrCheckpointConflict)
	require.Error(t, engine.Delete(t.Context(), "key", revision))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = engine.Watch(ctx, func(string, []byte, uint64) { t.Error("it has observed something") })
	require.ErrorContains(t, err, "sqlstore: watching records: ")

	execSQL(t, db, "SELECT pg_promote()")
	requireRecord(t, engine, "key", "value", revision)
	w := watchEngine(t, engine)
	put(t, engine, "key", "new", revision, 0)
	w.sees("key", "new")
}

// TestSQLEngineAfterAFailoverToAReplicaThatWasBehind loses Puts that were stored. Their
// revisions are not used again.
func TestSQLEngineAfterAFailoverToAReplicaThatWasBehind(t *testing.T) {
	t.Parallel()
	server := servers.StartPostgreSQL(t)
	engine, db := openEngineDB(t, server.Database)
	kept := put(t, engine, "claim/1", "kept", 0, 0)
	server.Kill(t)
	data := dataFolder(t, server)
	require.NoError(t, exec.Command("cp", "-a", data, data+".replica").Run())
	server.Start(t)
	requireEventuallyUp(t, db)
	lost := put(t, engine, "claim/1", "lost", kept, 0)
	w := watchEngine(t, engine)
	server.Kill(t)
	require.Error(t, w.ends())
	require.NoError(t, os.RemoveAll(data))
	require.NoError(t, os.Rename(data+".replica", data))
	server.Start(t)
	requireEventuallyUp(t, db)

	requireRecord(t, engine, "claim/1", "kept", kept)
	requireConflict(t, engine, "claim/1", lost)
	other := openEngine(t, server.Database)
	next := put(t, other, "claim/1", "other", kept, 0)
	require.NotEqual(t, lost, next)
	requireConflict(t, engine, "claim/1", lost)
	require.ErrorIs(t, engine.Delete(t.Context(), "claim/1", lost), stripekit.ErrCheckpointConflict)
}

// requireEventuallyUp waits until no connection of the pool is one to the server before.
func requireEventuallyUp(t *testing.T, db *sql.DB) {
	t.Helper()
	require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, soon, 10*time.Millisecond)
}
