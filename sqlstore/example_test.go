package sqlstore_test

import (
	"context"
	"database/sql"
	"log"
	"os"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// The charges of an account, each exactly once in a table of PostgreSQL. The program
// also imports the driver, github.com/jackc/pgx/v5/stdlib.
func ExampleRunTx() {
	ctx := context.Background()
	client, err := stripekit.New(os.Getenv("STRIPE_API_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.PostgreSQL)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Checkpoints: store})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(sqlstore.RunTx(ctx, poller, 100,
		func(ctx context.Context, tx *sql.Tx, events []stripekit.Event[stripekit.Charge]) error {
			for _, e := range events {
				_, err := tx.ExecContext(ctx, "INSERT INTO payments (charge, amount) VALUES ($1, $2)", e.ID, e.Object.Amount)
				if err != nil {
					return err
				}
			}
			return nil
		}))
}
