package stripekit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// batches is a CheckpointStore that stores the rows before the checkpoint that covers them.
type batches struct {
	stripekit.CheckpointStore
	rows  []string
	write func(rows []string) error // into a database
}

func (b *batches) flush() error {
	err := b.write(b.rows)
	b.rows = nil
	return err
}

// Save is called by the Backfill between two objects, and not concurrently with the loop.
func (b *batches) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if err := b.flush(); err != nil {
		return 0, err
	}
	return b.CheckpointStore.Save(ctx, key, data, revision)
}

// A loop that stores many objects at a time stores those that it holds before each
// checkpoint, so that a crash loses none.
func ExampleBackfill_batches() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/customers", stripetest.Seeding{
		Count: 250, First: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Every: time.Hour,
	})

	stored := 0
	b := &batches{CheckpointStore: new(stripekit.MemoryStore), write: func(rows []string) error {
		stored += len(rows)
		return nil
	}}
	for customer, err := range stripekit.Backfill(context.Background(), client.Customers, stripekit.BackfillConfig{Checkpoints: b}) {
		if err != nil {
			panic(err)
		}
		if b.rows = append(b.rows, customer.ID); len(b.rows) == 100 {
			if err := b.flush(); err != nil {
				panic(err)
			}
		}
	}
	if err := b.flush(); err != nil {
		panic(err)
	}
	fmt.Println(stored, "stored")
	// Output: 250 stored
}
