package stripekit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// A loop that stores many objects at a time stores those that it holds before each
// checkpoint, so that a crash loses none.
func ExampleBackfill_batches() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/customers", stripetest.Seeding{
		Count: 250, First: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Every: time.Hour,
	})

	table := map[string]string{} // in a database
	var batch []*stripekit.Customer
	store := func(context.Context) error {
		for _, customer := range batch {
			table[customer.ID] = customer.Email // an object may come again
		}
		batch = nil
		return nil
	}
	ctx := context.Background()
	for customer, err := range stripekit.Backfill(ctx, client.Customers, stripekit.BackfillConfig{
		Checkpoints: new(stripekit.MemoryStore), BeforeSave: store,
	}) {
		if err != nil {
			panic(err)
		}
		if batch = append(batch, customer); len(batch) == 100 {
			if err := store(ctx); err != nil {
				panic(err)
			}
		}
	}
	fmt.Println(len(table), "stored,", len(batch), "left") // BeforeSave has stored the rest
	// Output: 250 stored, 0 left
}
