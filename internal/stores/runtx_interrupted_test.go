package stores_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripekittest"
)

// TestRunTxRepeatsWhatIsInterrupted has a server or its operator interrupt the
// transaction of an event that has one attempt.
func TestRunTxRepeatsWhatIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		dialect    sqlstore.Dialect
		statements []string
	}{
		{"connection terminated", sqlstore.PostgreSQL, []string{"SELECT pg_terminate_backend(pg_backend_pid())"}},
		{"statement cancelled", sqlstore.PostgreSQL, []string{"SELECT pg_cancel_backend(pg_backend_pid())"}},
		{"statement timeout", sqlstore.PostgreSQL, []string{"SET LOCAL statement_timeout = 20", "SELECT pg_sleep(30)"}},
		{"read-only", sqlstore.PostgreSQL, []string{"SET LOCAL transaction_read_only = on", "INSERT INTO customers VALUES ('x')"}},
		{"lock timeout", sqlstore.PostgreSQL, []string{"DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$"}},
		{"connection killed", sqlstore.MySQL, []string{"EXECUTE IMMEDIATE CONCAT('KILL CONNECTION ', CONNECTION_ID())", "DO 1"}},
		{"statement killed", sqlstore.MySQL, []string{"EXECUTE IMMEDIATE CONCAT('KILL QUERY ', CONNECTION_ID())"}},
		{"statement timeout", sqlstore.MySQL, []string{"SET STATEMENT max_statement_time = 0.02 FOR INSERT INTO customers SELECT SLEEP(30)"}},
		{"table full", sqlstore.MySQL, []string{"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114"}},
	} {
		t.Run(string(tc.dialect)+", "+tc.name, func(t *testing.T) {
			database := map[sqlstore.Dialect]func(testing.TB) servers.Database{
				sqlstore.PostgreSQL: servers.PostgreSQL, sqlstore.MySQL: servers.MariaDB,
			}[tc.dialect](t)
			db := database.Open(t)
			store, err := sqlstore.New(db, tc.dialect)
			require.NoError(t, err)
			require.NoError(t, store.Migrate(t.Context()))
			_, err = db.Exec("CREATE TABLE customers (id VARCHAR(64) NOT NULL)")
			require.NoError(t, err)
			client, _ := stripekittest.NewClient(t)
			customer, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
			require.NoError(t, err)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{
				Checkpoints: store, From: stripekit.FromBeginning, Every: 5 * time.Millisecond, MaxAttempts: 1,
				OnGiveUp: func(_ context.Context, _ stripekit.Event[any], reason error) error {
					t.Errorf("it was given up: %v", reason)
					cancel()
					return nil
				},
				// The event is acknowledged once its commit has returned.
				Observe: func(s stripekit.PollStatus) {
					if s.Delivered > 0 && s.Unacked == 0 {
						cancel()
					}
				},
			})
			require.NoError(t, err)
			calls := 0
			err = sqlstore.RunTx(ctx, p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
				insert := "INSERT INTO customers VALUES ('" + events[0].ID + "')"
				if _, err := tx.ExecContext(ctx, insert); err != nil {
					return err
				}
				if calls++; calls > 1 {
					return nil
				}
				for _, statement := range tc.statements {
					if _, err := tx.ExecContext(ctx, statement); err != nil {
						return err
					}
				}
				t.Error("nothing was interrupted")
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, 2, calls)
			require.Equal(t, []string{customer.ID}, queryIDs(t, db, "SELECT id FROM customers"))
		})
	}
}
