package fleet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFleetOnAClockThatIsSkewed has a PostgreSQL server whose clock is an hour ahead, and
// runs faster or slower than that of the workers, by almost as much as the protocol
// allows. A worker that is cut off must have stopped when the server lets others take
// over. The clock of a NATS server cannot be changed: Go does not ask the C library for
// the time. The simulation of package lease has clocks of all kinds.
func TestFleetOnAClockThatIsSkewed(t *testing.T) {
	if kills() == 0 {
		t.Skip("it takes a minute: set STRIPEKIT_KILLS")
	}
	for name, rate := range map[string]float64{"fast": 1.08, "slow": 0.9} {
		t.Run(name, func(t *testing.T) {
			skewPostgreSQL(t, time.Hour, rate)
			w := newWorld(t, "postgresql", 1)
			began, before := time.Now(), w.databaseTime()
			require.InDelta(t, time.Hour.Minutes(), before.Sub(began).Minutes(), 5)
			aWorkerIsCutOff(toServer, toClient)(w)
			require.InDelta(t, rate, w.databaseTime().Sub(before).Seconds()/time.Since(began).Seconds(), 0.02, "the rate")
			w.finish()
		})
	}
}

// skewPostgreSQL makes the servers that are started until the end of the test have
// another clock, by libfaketime.
func skewPostgreSQL(t *testing.T, ahead time.Duration, rate float64) {
	t.Helper()
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
	libraries, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	switch required := os.Getenv("STRIPEKIT_REQUIRE_SERVERS") == "1"; {
	case len(programs) == 0 && required:
		t.Fatal("PostgreSQL is not where the packages of Debian have it")
	case len(programs) == 0:
		t.Skip("PostgreSQL is not where the packages of Debian have it")
	case len(libraries) == 0 && required:
		t.Fatal("libfaketime is not installed (Debian and Ubuntu: faketime)")
	case len(libraries) == 0:
		t.Skip("libfaketime is not installed (Debian and Ubuntu: faketime)")
	}
	bin := programs[len(programs)-1]
	dir, err := os.MkdirTemp("/tmp", "stripekit") // the user of the server can read it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(bin, "initdb"), filepath.Join(dir, "initdb")))
	script := fmt.Sprintf("#!/bin/sh\nLD_PRELOAD=%s FAKETIME='+%.0fs x%.2f' exec %s \"$@\"\n",
		libraries[0], ahead.Seconds(), rate, filepath.Join(bin, "postgres"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "postgres"), []byte(script), 0o755))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// databaseTime returns the time of the database.
func (w *world) databaseTime() (now time.Time) {
	w.t.Helper()
	s, err := w.site.place().open(w.t.Context())
	require.NoError(w.t, err)
	defer s.close()
	require.NoError(w.t, s.db.QueryRowContext(w.t.Context(), "SELECT clock_timestamp()").Scan(&now))
	return now
}
