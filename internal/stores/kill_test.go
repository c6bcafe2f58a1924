package stores_test

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // the driver sqlite3
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
)

// killDatabase is a kind of database.
type killDatabase struct {
	name    string
	dialect sqlstore.Dialect
	open    func(testing.TB) servers.Database
}

// killDatabases returns the databases of the tests: MariaDB too if STRIPEKIT_KILLS is
// set. It differs from the other two in statements alone.
func killDatabases() []killDatabase {
	databases := []killDatabase{
		{"sqlite", sqlstore.SQLite, sqliteFile},
		{"postgresql", sqlstore.PostgreSQL, servers.PostgreSQL},
	}
	if os.Getenv("STRIPEKIT_KILLS") != "" {
		databases = append(databases, killDatabase{"mariadb", sqlstore.MySQL, servers.MariaDB})
	}
	return databases
}

func onlyKills(int) {}

// TestRunTxWritesExactlyOnceThroughKills runs two processes with the same flow, and
// kills them at random moments.
func TestRunTxWritesExactlyOnceThroughKills(t *testing.T) {
	t.Parallel()
	for _, d := range killDatabases() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			k := newKillParent(t, d.dialect, d.open(t))
			n := kills()
			if d.dialect == sqlstore.MySQL {
				n /= 4
			}
			k.run(n, onlyKills)
			k.finish(100)
			twice, _ := k.check()
			require.Zero(t, twice)
			require.Positive(t, k.said[saysConflict])
			require.Greater(t, k.writers(), n/10)
		})
	}
}

// TestAckAfterCommitWritesTwiceThroughKills does the same with a handler that commits
// before the event is acknowledged. It shows that the tests here can see what is
// written twice.
func TestAckAfterCommitWritesTwiceThroughKills(t *testing.T) {
	t.Parallel()
	for _, d := range killDatabases()[:rounds(3)] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			k := newKillParent(t, d.dialect, d.open(t))
			k.prepare = func(job *killJob) { job.Batch = 0 }
			k.run(max(10, kills()/4), onlyKills)
			k.finish(0)
			twice, _ := k.check()
			require.Positive(t, twice)
		})
	}
}

// TestRunTxWritesExactlyOnceBesidePoison has customers that the handler refuses.
func TestRunTxWritesExactlyOnceBesidePoison(t *testing.T) {
	t.Parallel()
	for _, d := range killDatabases() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			k := newKillParent(t, d.dialect, d.open(t))
			k.poison = 20
			k.prepare = func(job *killJob) {
				job.Batch = killBatches[rand.N(len(killBatches))]
				// A third attempt is three seconds after the first one: few processes live so
				// long. Some give up at once, so that they are killed while they do.
				job.MaxAttempts = 1 + 2*rand.N(2)
			}
			k.run(max(4, kills()/4), onlyKills)
			k.job.MaxAttempts = 3
			k.finish(10)
			twice, _ := k.check()
			require.Zero(t, twice)
			require.NotEmpty(t, k.bad)
		})
	}
}

// TestRunTxWritesExactlyOnceThroughOutages kills the database too, and starts it
// again. No event may be given up, although each has one attempt.
func TestRunTxWritesExactlyOnceThroughOutages(t *testing.T) {
	t.Parallel()
	starts := map[sqlstore.Dialect]func(testing.TB) *servers.Server{
		sqlstore.PostgreSQL: servers.StartPostgreSQL, sqlstore.MySQL: servers.StartMariaDB,
	}
	for _, d := range killDatabases()[1:] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			server := starts[d.dialect](t)
			k := newKillParent(t, d.dialect, server.Database)
			k.job.MaxAttempts, k.job.Outages = 1, true
			k.prepare = func(job *killJob) { job.Batch = []int{1, 1, 10, 100}[rand.N(4)] }
			outages := 0
			k.run(max(4, kills()/4), func(i int) {
				if i%2 == 0 {
					return
				}
				k.createUntil(k.open, patience)
				k.createFor(rand.N(20 * time.Millisecond))
				server.Kill(t)
				k.createFor(rand.N(200 * time.Millisecond))
				server.Start(t)
				outages++
			})
			k.finish(100)
			twice, _ := k.check()
			require.Zero(t, twice)
			t.Logf("the database was killed %d times", outages)
		})
	}
}

// TestRunTxWritesExactlyOnceThroughBrokenConnections breaks connections to the
// database in place of a response. After a commit it is unknown whether it was carried
// out. No event may be given up, although each has one attempt.
func TestRunTxWritesExactlyOnceThroughBrokenConnections(t *testing.T) {
	t.Parallel()
	for _, d := range killDatabases()[1:] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			database := d.open(t)
			k := newKillParent(t, d.dialect, database)
			var cuts atomic.Int64
			k.job.Database = database.BehindProxy(t, func() bool {
				cut := rand.N(25) == 0
				if cut {
					cuts.Add(1)
				}
				return cut
			})
			k.job.MaxAttempts, k.job.Outages = 1, true
			k.prepare = func(job *killJob) { job.Batch = []int{1, 1, 10}[rand.N(3)] }
			k.run(max(4, kills()/4), onlyKills)
			k.finish(10)
			twice, _ := k.check()
			require.Zero(t, twice)
			t.Logf("%d connections were broken", cuts.Load())
			require.Positive(t, cuts.Load())
		})
	}
}
