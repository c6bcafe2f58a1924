package servers_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func TestServerKeepsWhatWasCommittedBeforeAKill(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *servers.Server{
		"postgresql": servers.StartPostgreSQL, "mariadb": servers.StartMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			db := s.Open(t)
			_, err := db.ExecContext(t.Context(), "CREATE TABLE numbers (n INTEGER NOT NULL)")
			require.NoError(t, err)
			for i := range 5 {
				_, err = db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO numbers VALUES (%d)", i))
				require.NoError(t, err)
				tx, err := db.BeginTx(t.Context(), nil)
				require.NoError(t, err)
				_, err = tx.ExecContext(t.Context(), "INSERT INTO numbers VALUES (100)")
				require.NoError(t, err)

				s.Kill(t)
				require.Error(t, tx.Commit())
				require.Error(t, db.PingContext(t.Context()))
				requireNoProcess(t, s.DSN)
				s.Start(t)

				var sum, count int
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT sum(n), count(*) FROM numbers").Scan(&sum, &count))
				require.Equal(t, []int{i * (i + 1) / 2, i + 1}, []int{sum, count})
			}
		})
	}
}

func TestSharedServerGivesEachTestAnEmptyDatabase(t *testing.T) {
	for name, database := range map[string]func(testing.TB) servers.Database{
		"postgresql": servers.PostgreSQL, "mariadb": servers.MariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			for range 3 {
				d := database(t)
				require.False(t, seen[d.DSN])
				seen[d.DSN] = true
				_, err := d.Open(t).ExecContext(t.Context(), "CREATE TABLE numbers (n INTEGER NOT NULL)")
				require.NoError(t, err)
			}
		})
	}
}

// requireNoProcess checks that no process runs in the folder of a server.
func requireNoProcess(t *testing.T, dsn string) {
	if runtime.GOOS != "linux" {
		return
	}
	_, dir, _ := strings.Cut(dsn, "stripekit")
	dir, _, _ = strings.Cut(strings.NewReplacer("/", " ").Replace(dir), " ")
	folders, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, folder := range folders {
		cwd, err := os.Readlink(folder)
		if err != nil || !strings.Contains(cwd, "stripekit"+dir) {
			continue // an error means that the process has ended
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(folder), "stat"))
		if err != nil {
			continue
		}
		require.Contains(t, string(bytes.TrimSpace(stat)), ") Z ", "a process of the server runs")
	}
}
