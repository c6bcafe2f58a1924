package stores_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
)

// engineTable is the table of an engine without options.
const engineTable = "stripekit_fleet"

// openEngine opens a database with a pool of its own, and an engine in it.
func openEngine(t testing.TB, database servers.Database, opts ...sqlstore.Option) *sqlstore.Engine {
	t.Helper()
	engine, _ := openEngineDB(t, database, opts...)
	return engine
}

func openEngineDB(t testing.TB, database servers.Database, opts ...sqlstore.Option) (*sqlstore.Engine, *sql.DB) {
	t.Helper()
	db := database.Open(t)
	db.SetMaxOpenConns(40) // each Watch holds one
	db.SetMaxIdleConns(40)
	engine, err := sqlstore.NewEngine(db, opts...)
	require.NoError(t, err)
	require.NoError(t, engine.Migrate(t.Context()))
	return engine, db
}

// execSQL executes a statement as another program would.
func execSQL(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

// dataFolder returns the folder of a server's data. The name of its socket's folder is
// the host.
func dataFolder(t testing.TB, s *servers.Server) string {
	t.Helper()
	_, rest, ok := strings.Cut(s.DSN, "host=")
	require.True(t, ok)
	return filepath.Join(strings.Fields(rest)[0], "data")
}

// put is Put, and must succeed.
func put(t testing.TB, e *sqlstore.Engine, key, value string, revision uint64, ttl time.Duration) uint64 {
	t.Helper()
	next, err := e.Put(t.Context(), key, []byte(value), revision, ttl)
	require.NoError(t, err)
	require.Greater(t, next, revision)
	return next
}

// requireRecord checks what is stored. An empty value is that of no record.
func requireRecord(t testing.TB, e *sqlstore.Engine, key, value string, revision uint64) {
	t.Helper()
	stored, storedRevision, err := e.Get(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, value, string(stored))
	require.Equal(t, revision, storedRevision)
}

func requireConflict(t testing.TB, e *sqlstore.Engine, key string, revision uint64) {
	t.Helper()
	_, err := e.Put(t.Context(), key, []byte("conflict"), revision, time.Hour)
	require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
}

// observation is a call of observe.
type observation struct {
	value    string // "<nil>" for a removal
	revision uint64
}

// engineWatch is a Watch that is under way.
type engineWatch struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
	err    error         // of Watch, after done is closed

	mu       sync.Mutex
	complete int // how often observe was called with an empty key
	seen     map[string][]observation
}

// watchEngine starts a Watch, and waits until it has observed what is stored.
func watchEngine(t testing.TB, e *sqlstore.Engine) *engineWatch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &engineWatch{t: t, cancel: cancel, done: make(chan struct{}), seen: map[string][]observation{}}
	go func() {
		defer close(w.done)
		w.err = e.Watch(ctx, w.observe)
	}()
	t.Cleanup(func() {
		cancel()
		<-w.done
	})
	w.eventually("it is complete", func() bool { return w.complete > 0 })
	return w
}

func (w *engineWatch) observe(key string, value []byte, revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key == "" {
		w.complete++
		return
	}
	o := observation{value: string(value), revision: revision}
	if value == nil {
		o.value = "<nil>"
	}
	w.seen[key] = append(w.seen[key], o)
}

// eventually waits for a condition on what was observed, or for the end of Watch.
func (w *engineWatch) eventually(what string, condition func() bool) {
	w.t.Helper()
	met := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return condition()
	}
	require.Eventually(w.t, func() bool {
		select {
		case <-w.done:
			return true
		default:
			return met()
		}
	}, soon, 5*time.Millisecond, what)
	if !met() {
		require.FailNow(w.t, "Watch has returned", "before %s: %v", what, w.err)
	}
}

// sees waits until a value is the last one of a key, and returns all of that key.
func (w *engineWatch) sees(key, value string) []observation {
	w.t.Helper()
	var all []observation
	w.eventually(key+" is "+value, func() bool {
		all = w.seen[key]
		return len(all) > 0 && all[len(all)-1].value == value
	})
	return all
}

// ends waits until Watch returns.
func (w *engineWatch) ends() error {
	w.t.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(soon):
		require.FailNow(w.t, "Watch has not returned")
		return nil
	}
}
