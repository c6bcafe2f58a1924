package sqlstore_test

import (
	"context"
	"database/sql"
	"log"
	"os"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// bookCharges writes each new charge into the table payments, exactly once.
func bookCharges(ctx context.Context, client *stripekit.Client, store *sqlstore.Store) error {
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Checkpoints: store})
	if err != nil {
		return err
	}
	return sqlstore.RunTx(ctx, poller, 100, insert)
}

// insert is called in the transaction that stores the checkpoint, too.
func insert(ctx context.Context, tx *sql.Tx, charges []stripekit.Event[stripekit.Charge]) error {
	for _, e := range charges {
		_, err := tx.ExecContext(ctx, "INSERT INTO payments (charge, amount) VALUES ($1, $2)", e.ID, e.Object.Amount)
		if err != nil {
			return err
		}
	}
	return nil
}

// The program also imports a driver, here github.com/jackc/pgx/v5/stdlib.
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
	log.Fatal(bookCharges(ctx, client, store))
}
