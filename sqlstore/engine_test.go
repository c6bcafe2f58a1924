package sqlstore

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewEngineRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		db    *sql.DB
		table string
		want  string
	}{
		"no database":             {nil, "fleet", "the database is nil"},
		"no table":                {new(sql.DB), "", "the name of a table is not valid"},
		"an injection":            {new(sql.DB), "a; DROP TABLE b", "the name of a table is not valid"},
		"a name that is too long": {new(sql.DB), strings.Repeat("a", maxEngineTable+1), "too long"},
	} {
		_, err := NewEngine(tc.db, WithTable(tc.table))
		require.ErrorContains(t, err, tc.want, name)
	}
	engine, err := NewEngine(new(sql.DB), WithTable("app."+strings.Repeat("a", maxEngineTable)))
	require.NoError(t, err)
	require.Contains(t, engine.Schema()[0], "CREATE TABLE IF NOT EXISTS app.aaa")
	require.Contains(t, engine.Schema()[1], "CREATE INDEX IF NOT EXISTS aaa", "an index has no schema of its own")
}

func TestEngineRefusesKeysAndTTLs(t *testing.T) {
	engine, err := NewEngine(new(sql.DB)) // it is not reached
	require.NoError(t, err)
	for _, key := range []string{
		"", "/a", "a/", ".a", "a-", "a b", "a\n", "é", "a\x00b", "a\xff", strings.Repeat("k", maxRecordKey+1),
	} {
		_, _, err := engine.Get(t.Context(), key)
		require.ErrorContains(t, err, "is not a key", key)
		_, err = engine.Put(t.Context(), key, nil, 0, 0)
		require.ErrorContains(t, err, "is not a key", key)
		require.ErrorContains(t, engine.Delete(t.Context(), key, 0), "is not a key", key)
	}
	for _, key := range []string{"a", "0", "a-_./b", strings.Repeat("k", maxRecordKey)} {
		require.NoError(t, checkRecordKey(key), key)
	}
	_, err = engine.Put(t.Context(), "key", nil, 0, -time.Second)
	require.ErrorContains(t, err, "is negative")
}

func TestRevisionsThatAreTooLargeBelongToNoRecord(t *testing.T) {
	for _, revision := range []uint64{math.MaxInt64, 1 << 63, math.MaxUint64} {
		require.Equal(t, int64(math.MaxInt64), sqlRevision(revision))
	}
	require.Equal(t, int64(7), sqlRevision(7))
}

func TestWatchRefusesAStateThatDoesNotFollow(t *testing.T) {
	last := serverState{server: 1000, now: 5_000_000, snapshot: "90:100:", xmax: 100, running: "{}"}
	for name, tc := range map[string]struct {
		change func(s *serverState)
		want   string // of the error
	}{
		"nothing has changed":     {func(*serverState) {}, ""},
		"some transactions later": {func(s *serverState) { s.snapshot = "90:130:90,120" }, ""},
		"a second later":          {func(s *serverState) { s.now += 1_000_000 }, ""},
		"the clock has gone back": {func(s *serverState) { s.now = 0 }, ""},
		"a standby":               {func(s *serverState) { s.standby = true }, "standby"},
		"another server":          {func(s *serverState) { s.server++ }, "another one has taken over"},
		"fewer transactions":      {func(s *serverState) { s.snapshot = "90:99:" }, "gone back"},
		"an hour later":           {func(s *serverState) { s.now += 3_600_000_000 }, "interrupted for so long"},
		"no snapshot":             {func(s *serverState) { s.snapshot = "100" }, "not a snapshot"},
		"no number":               {func(s *serverState) { s.snapshot = "90:x:" }, "not a snapshot"},
	} {
		w := &watch{last: last}
		s := last
		tc.change(&s)
		err := w.advance(s)
		if tc.want != "" {
			require.ErrorContains(t, err, tc.want, name)
			require.Equal(t, last, w.last, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, s.now, w.last.now, name)
	}
	var w watch
	require.NoError(t, w.advance(serverState{snapshot: "90:130:90,120", now: 1 << 60}), "nothing comes before the first")
	require.Equal(t, "{90,120}", w.last.running)
	require.Equal(t, "130", w.xmax())
}

func TestAttemptLogKnowsTheAttemptsOfOneRevision(t *testing.T) {
	var log attemptLog
	first := log.take("key", 5)
	require.True(t, first.include(first.next()), "a driver may send it twice")
	log.add("key", first)
	second := log.take("key", 5)
	require.True(t, second.include(first.next()))
	require.NotEqual(t, first.next(), second.next())
	atTheSameTime := log.take("key", 5)
	require.False(t, atTheSameTime.include(first.next()))
	log.add("key", second)
	third := log.take("key", 5)
	require.True(t, third.include(first.next()))
	require.True(t, third.include(second.next()))
	log.add("key", third)
	require.False(t, log.take("key", 6).include(first.next()), "it is another revision")
	require.False(t, log.take("other", 5).include(first.next()), "it is another key")

	for i := range maxAttempts + 100 {
		key := fmt.Sprint(i)
		log.add(key, log.take(key, 0))
	}
	require.Len(t, log.byKey, maxAttempts)
}
