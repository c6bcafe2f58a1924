package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// stateError is an error as the drivers for PostgreSQL return it.
type stateError string

func (s stateError) Error() string    { return "refused" }
func (s stateError) SQLState() string { return string(s) }

func TestErrorsOfDriversAreKnown(t *testing.T) {
	type kind struct{ disturbed, interrupted bool }
	other, disturbed, interrupted := kind{}, kind{disturbed: true}, kind{interrupted: true}
	for _, tc := range []struct {
		dialect Dialect
		err     error
		want    kind
	}{
		{SQLite, errors.New("sqlite3: database is locked"), disturbed},            // ncruces/go-sqlite3
		{SQLite, errors.New("database is locked"), disturbed},                     // mattn/go-sqlite3
		{SQLite, errors.New("database is locked (5) (SQLITE_BUSY)"), disturbed},   // modernc.org/sqlite
		{SQLite, errors.New("database table is locked: customers"), disturbed},    // a shared cache
		{SQLite, errors.New("sqlite3: database or disk is full"), interrupted},    // SQLITE_FULL
		{SQLite, errors.New("disk I/O error"), interrupted},                       // SQLITE_IOERR
		{SQLite, errors.New("attempt to write a readonly database"), interrupted}, // SQLITE_READONLY
		{SQLite, errors.New("sqlite3: constraint failed: UNIQUE"), other},
		{PostgreSQL, stateError("40001"), disturbed},   // serialization failure
		{PostgreSQL, stateError("40P01"), disturbed},   // deadlock
		{PostgreSQL, stateError("55P03"), disturbed},   // lock not available
		{PostgreSQL, stateError("53100"), interrupted}, // disk full
		{PostgreSQL, stateError("57014"), interrupted}, // cancelled, or statement_timeout
		{PostgreSQL, stateError("25006"), interrupted}, // read-only
		{PostgreSQL, stateError("23505"), other},       // unique violation
		{PostgreSQL, stateError("25P02"), other},       // an earlier error was ignored
		{PostgreSQL, errors.New("database is locked"), other},
		{MySQL, errors.New("Error 1213 (40001): Deadlock found when trying"), disturbed},
		{MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), disturbed},
		{MySQL, errors.New("Error 1020 (HY000): Record has changed since last"), disturbed},
		{MySQL, errors.New("Error 1290 (HY000): running with the --read-only option"), interrupted},
		{MySQL, errors.New("Error 1317 (70100): Query execution was interrupted"), interrupted},
		{MySQL, errors.New("Error 1969 (70100): max_statement_time exceeded"), interrupted},
		{MySQL, errors.New("Error 1062 (23000): Duplicate entry '1213 (' for key"), other},
	} {
		err := fmt.Errorf("adding: %w", tc.err)
		require.Equal(t, tc.want, kind{tc.dialect.disturbed(err), tc.dialect.interrupted(err)}, "%s: %v", tc.dialect, err)
	}
}

func TestNewRefuses(t *testing.T) {
	db := new(sql.DB)
	for name, tc := range map[string]struct {
		db      *sql.DB
		dialect Dialect
		table   string
		want    string
	}{
		"no database":         {nil, SQLite, "checkpoints", "the database is nil"},
		"another dialect":     {db, "oracle", "checkpoints", "the dialect must be"},
		"no dialect":          {db, "", "checkpoints", "the dialect must be"},
		"no table":            {db, SQLite, "", "the name of a table is not valid"},
		"an injection":        {db, SQLite, "a; DROP TABLE b", "the name of a table is not valid"},
		"a quoted name":       {db, PostgreSQL, `"a"`, "the name of a table is not valid"},
		"two schemas":         {db, PostgreSQL, "a.b.c", "the name of a table is not valid"},
		"a digit first":       {db, MySQL, "1a", "the name of a table is not valid"},
		"a data source name":  {db, MySQL, "user:MARKED@tcp(host)/db", "the name of a table is not valid"},
		"another place of it": {db, "user:MARKED@tcp(host)/db", "checkpoints", "the dialect must be"},
		"a name that is long": {db, MySQL, strings.Repeat("a", 64), "the name of a table is not valid"},
	} {
		_, err := New(tc.db, tc.dialect, WithTable(tc.table))
		require.ErrorContains(t, err, tc.want, name)
		require.NotContains(t, err.Error(), "MARKED", name)
	}
	store, err := New(db, PostgreSQL, WithTable("app.checkpoints_2"))
	require.NoError(t, err)
	require.Contains(t, store.Schema()[0], "CREATE TABLE IF NOT EXISTS app.checkpoints_2 (")
}

func TestKeysThatADatabaseWouldChangeAreRefused(t *testing.T) {
	store, err := New(new(sql.DB), SQLite) // it is not reached
	require.NoError(t, err)
	for _, key := range []string{"", "a\x00b", "a\xff", strings.Repeat("k", maxKey+1)} {
		_, _, err := store.Load(t.Context(), key)
		require.ErrorContains(t, err, "sqlstore: the key")
		_, err = store.Save(t.Context(), key, nil, 0)
		require.ErrorContains(t, err, "sqlstore: the key")
		require.Less(t, len(err.Error()), 200)
		require.ErrorContains(t, store.Delete(t.Context(), key), "sqlstore: the key")
	}
	// A revision that no Store has returned.
	for _, revision := range []uint64{1<<63 - 1, 1 << 63, 1<<64 - 1} {
		_, err = store.Save(t.Context(), "key", nil, revision)
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	}
}
