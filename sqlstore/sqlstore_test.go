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

// sqlState is an error as the drivers for PostgreSQL return it.
type sqlState string

func (s sqlState) Error() string    { return "refused" }
func (s sqlState) SQLState() string { return string(s) }

func TestDisturbedKnowsTheErrorsOfDrivers(t *testing.T) {
	for _, tc := range []struct {
		dialect Dialect
		err     error
		want    bool
	}{
		{SQLite, errors.New("sqlite3: database is locked"), true},          // ncruces/go-sqlite3
		{SQLite, errors.New("database is locked"), true},                   // mattn/go-sqlite3
		{SQLite, errors.New("database is locked (5) (SQLITE_BUSY)"), true}, // modernc.org/sqlite
		{SQLite, errors.New("database table is locked: customers"), true},  // a shared cache
		{SQLite, errors.New("sqlite3: constraint failed: UNIQUE constraint"), false},
		{PostgreSQL, sqlState("40001"), true},  // serialization failure
		{PostgreSQL, sqlState("40P01"), true},  // deadlock
		{PostgreSQL, sqlState("55P03"), true},  // lock not available
		{PostgreSQL, sqlState("23505"), false}, // unique violation
		{PostgreSQL, sqlState("25P02"), false}, // an earlier error was ignored
		{PostgreSQL, errors.New("database is locked"), false},
		{MySQL, errors.New("Error 1213 (40001): Deadlock found when trying"), true},
		{MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), true},
		{MySQL, errors.New("Error 1020 (HY000): Record has changed since last"), true},
		{MySQL, errors.New("Error 1062 (23000): Duplicate entry '1213 (' for"), false},
	} {
		err := fmt.Errorf("adding: %w", tc.err)
		require.Equal(t, tc.want, tc.dialect.disturbed(err), "%s: %v", tc.dialect, err)
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
		"another dialect":     {db, "oracle", "checkpoints", `"oracle" is not a dialect`},
		"no dialect":          {db, "", "checkpoints", `"" is not a dialect`},
		"no table":            {db, SQLite, "", "not a valid name"},
		"an injection":        {db, SQLite, "a; DROP TABLE b", "not a valid name"},
		"a quoted name":       {db, PostgreSQL, `"a"`, "not a valid name"},
		"two schemas":         {db, PostgreSQL, "a.b.c", "not a valid name"},
		"a digit first":       {db, MySQL, "1a", "not a valid name"},
		"a name that is long": {db, MySQL, strings.Repeat("a", 64), "not a valid name"},
	} {
		_, err := New(tc.db, tc.dialect, WithTable(tc.table))
		require.ErrorContains(t, err, tc.want, name)
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
