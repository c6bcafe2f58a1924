package stores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripekittest"
)

// onEachDatabase calls test with a new database of each kind. settings are added to
// the data source names.
func onEachDatabase(t *testing.T, settings map[sqlstore.Dialect]string, test func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB)) {
	for dialect, dsn := range map[sqlstore.Dialect]func(t *testing.T) (driver, dsn string){
		sqlstore.SQLite: func(t *testing.T) (string, string) { return "sqlite3", sqliteDSN(t) },
		sqlstore.PostgreSQL: func(t *testing.T) (string, string) {
			d := servers.PostgreSQL(t)
			return d.Driver, d.DSN
		},
		sqlstore.MySQL: func(t *testing.T) (string, string) {
			d := servers.MariaDB(t)
			return d.Driver, d.DSN
		},
	} {
		t.Run(string(dialect), func(t *testing.T) {
			driver, name := dsn(t)
			db, err := sql.Open(driver, name+settings[dialect])
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			test(t, dialect, db)
		})
	}
}

func TestMigrateMayRunInManyProcessesAtOnce(t *testing.T) {
	onEachDatabase(t, nil, func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
		store, err := sqlstore.New(db, dialect)
		require.NoError(t, err)
		_, _, err = store.Load(t.Context(), "key")
		require.Error(t, err, "New does not create the table")
		errs := make([]error, 20)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = store.Migrate(t.Context()) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))

		revision, err := store.Save(t.Context(), "key", []byte("data"), 0)
		require.NoError(t, err)
		require.NoError(t, store.Migrate(t.Context()))
		data, again, err := store.Load(t.Context(), "key")
		require.NoError(t, err)
		require.Equal(t, revision, again)
		require.Equal(t, "data", string(data))
	})
}

func TestMigrateRefusesATableWithOtherColumns(t *testing.T) {
	onEachDatabase(t, nil, func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
		_, err := db.Exec("CREATE TABLE stripekit_checkpoints (name VARCHAR(10))")
		require.NoError(t, err)
		store, err := sqlstore.New(db, dialect)
		require.NoError(t, err)
		require.ErrorContains(t, store.Migrate(t.Context()), "sqlstore: ")
	})
}

func TestSchemaCreatesTheTableOfMigrate(t *testing.T) {
	onEachDatabase(t, nil, func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
		store, err := sqlstore.New(db, dialect, sqlstore.WithTable("another_name"))
		require.NoError(t, err)
		for range 2 {
			for _, statement := range store.Schema() {
				require.Contains(t, statement, "another_name")
				_, err := db.Exec(statement)
				require.NoError(t, err)
			}
		}
		_, err = store.Save(t.Context(), "key", nil, 0)
		require.NoError(t, err)
		require.NoError(t, store.Migrate(t.Context()))
		for e, err := range store.List(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, "key", e.Key)
		}
	})
}

func TestListHasAllCheckpointsInOrderAndLetsTheLoopDelete(t *testing.T) {
	onEachDatabase(t, nil, func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
		db.SetMaxOpenConns(1) // a List that held a connection would hang
		store, err := sqlstore.New(db, dialect)
		require.NoError(t, err)
		require.NoError(t, store.Migrate(t.Context()))
		for range store.List(t.Context()) {
			require.Fail(t, "there is nothing")
		}
		const n = 1100
		start := time.Now()
		revisions := map[string]uint64{}
		tx, err := db.Begin()
		require.NoError(t, err)
		for i := range n {
			c := stripekit.Checkpoint{Key: fmt.Sprintf("key/%05d", i), Data: make([]byte, i)}
			revisions[c.Key], err = store.SaveTx(t.Context(), tx, c)
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())

		i := 0
		for e, err := range store.List(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("key/%05d", i), e.Key)
			require.Equal(t, i, e.Size)
			require.Equal(t, revisions[e.Key], e.Revision)
			require.WithinRange(t, e.Saved, start.Add(-time.Second), time.Now().Add(time.Second))
			if i++; i%100 == 0 {
				require.NoError(t, store.Delete(t.Context(), e.Key))
			}
		}
		require.Equal(t, n, i)
		left := 0
		for e, err := range store.List(t.Context()) {
			require.NoError(t, err)
			require.NotEqual(t, 99, e.Size%100, "it is deleted")
			if left++; left == n/2 {
				break
			}
		}
		require.Equal(t, n/2, left)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range store.List(ctx) {
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// TestRunTxRepeatsDeadlocksAndSerializationFailures has four Pollers whose handlers
// disturb each other in each way that the database knows. No event is given up for
// that, and the sum is right.
func TestRunTxRepeatsDeadlocksAndSerializationFailures(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[sqlstore.Dialect]string{
		"default": {
			sqlstore.PostgreSQL: " deadlock_timeout=10ms",
		},
		"serializable": {
			sqlstore.PostgreSQL: " deadlock_timeout=10ms default_transaction_isolation=serializable",
			sqlstore.MySQL:      "&tx_isolation=%27SERIALIZABLE%27",
			sqlstore.SQLite:     "&_txlock=immediate",
		},
		"the other of the two": {
			sqlstore.PostgreSQL: " deadlock_timeout=10ms default_transaction_isolation='repeatable read'",
			sqlstore.MySQL:      "&tx_isolation=%27READ-COMMITTED%27",
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachDatabase(t, settings, func(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
				testDisturbances(t, dialect, db)
			})
		})
	}
}

func testDisturbances(t *testing.T, dialect sqlstore.Dialect, db *sql.DB) {
	const pollers, customers, counters = 4, 40, 2
	store, err := sqlstore.New(db, dialect)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	_, err = db.Exec("CREATE TABLE counters (number INTEGER PRIMARY KEY, total INTEGER NOT NULL)")
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO counters (number, total) VALUES (0, 0), (1, 0)")
	require.NoError(t, err)
	client, _ := stripekittest.NewClient(t)
	for range customers {
		_, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
		require.NoError(t, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var disturbed atomic.Int64
	var all sync.WaitGroup
	for n := range pollers {
		p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{
			Name: fmt.Sprint(n), Checkpoints: store, From: stripekit.FromBeginning, Every: 5 * time.Millisecond, MaxAttempts: 1,
			OnGiveUp: func(_ context.Context, _ stripekit.Event[any], reason error) error {
				t.Errorf("an event was given up: %v", reason)
				return nil
			},
		})
		require.NoError(t, err)
		all.Go(func() {
			err := sqlstore.RunTx(ctx, p, 5, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
				for i := range counters {
					number := (i + n) % counters // half of the Pollers lock the counters in the other order
					add := fmt.Sprintf("UPDATE counters SET total = total + %d WHERE number = %d", len(events), number)
					if _, err := tx.ExecContext(ctx, add); err != nil {
						disturbed.Add(1)
						return fmt.Errorf("adding: %w", err)
					}
					<-time.After(2 * time.Millisecond) // with a counter locked, so that there are deadlocks
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	var low, high int
	totals := func() error { return db.QueryRow("SELECT min(total), max(total) FROM counters").Scan(&low, &high) }
	require.Eventually(t, func() bool {
		// The query, too, may be disturbed.
		return totals() == nil && low >= pollers*customers || t.Failed()
	}, soon, 10*time.Millisecond)
	cancel()
	all.Wait()
	require.NoError(t, totals())
	require.Equal(t, pollers*customers, low)
	require.Equal(t, pollers*customers, high)
	if dialect != sqlstore.SQLite {
		require.Positive(t, disturbed.Load(), "the test has no deadlock")
	}
}

// TestRunTxNoticesADeadlockThatItsHandlerIgnores has a handler that goes on after a
// deadlock. MySQL has rolled back the checkpoint by then.
func TestRunTxNoticesADeadlockThatItsHandlerIgnores(t *testing.T) {
	database := servers.MariaDB(t)
	db := database.Open(t)
	store, err := sqlstore.New(db, sqlstore.MySQL)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	_, err = db.Exec("CREATE TABLE counters (number INTEGER PRIMARY KEY, total INTEGER NOT NULL)")
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO counters (number, total) VALUES (0, 0), (1, 0)")
	require.NoError(t, err)
	client, _ := stripekittest.NewClient(t)
	customer, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
	require.NoError(t, err)

	p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{
		Checkpoints: store, From: stripekit.FromBeginning, Every: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	err = sqlstore.RunTx(ctx, p, 1, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
		require.Equal(t, customer.ID, events[0].ID)
		if calls++; calls == 2 {
			cancel() // it was redelivered
			return nil
		}
		require.ErrorContains(t, deadlock(ctx, t, db, tx), "1213")
		return nil // it is ignored
	})
	require.NoError(t, err)
	require.Equal(t, 2, calls)
}

// deadlock makes a deadlock of tx with another transaction, and returns its error.
func deadlock(ctx context.Context, t *testing.T, db *sql.DB, tx *sql.Tx) error {
	const add = "UPDATE counters SET total = total + 1 WHERE number = "
	other, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	// The transaction that has changed the fewest rows is the victim.
	for number := range 10 {
		_, err = other.ExecContext(ctx, "INSERT INTO counters (number, total) VALUES (?, 0)", number+2)
		require.NoError(t, err)
	}
	_, err = other.ExecContext(ctx, add+"0")
	require.NoError(t, err)
	_, err = tx.ExecContext(ctx, add+"1")
	require.NoError(t, err)
	blocked := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(ctx, add+"1")
		blocked <- errors.Join(err, other.Commit())
	}()
	_, err = tx.ExecContext(ctx, add+"0")
	require.NoError(t, <-blocked)
	return err
}
