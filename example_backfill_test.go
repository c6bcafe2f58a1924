package stripekit_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func ExampleBackfill() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/charges", stripetest.Seeding{
		Count: 5000, First: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Every: time.Hour,
	})

	total := int64(0)
	for charge, err := range stripekit.Backfill(context.Background(), client.Charges, stripekit.BackfillConfig{}) {
		if err != nil {
			panic(err)
		}
		total += charge.Amount // the oldest charge first
	}
	fmt.Println(total)
	// Output: 5000000
}

func ExampleBackfill_month() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/charges", stripetest.Seeding{
		Count: 5000, First: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Every: time.Hour,
	})

	march := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	charges := 0
	for charge, err := range stripekit.Backfill(context.Background(), client.Charges, stripekit.BackfillConfig{
		From: march, To: march.AddDate(0, 1, 0), // March alone
		AnyOrder: true,
	}) {
		if err != nil {
			panic(err)
		}
		if charge.Created.Time().Month() == time.March {
			charges++
		}
	}
	fmt.Println(charges)
	// Output: 744
}

// A Backfill with a checkpoint continues where an earlier one ended, even in
// another process.
func ExampleBackfill_resume() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/customers", stripetest.Seeding{
		Count: 250, First: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Every: time.Hour,
	})
	dir, err := os.MkdirTemp("", "backfill")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	copied := 0
	copyUntil := func(enough int) {
		store, err := stripekit.NewFileStore(dir)
		if err != nil {
			panic(err)
		}
		for _, err := range stripekit.Backfill(context.Background(), client.Customers, stripekit.BackfillConfig{
			Checkpoints: store,
			Progress: func(p stripekit.BackfillProgress) { // every second, and at the end
				fmt.Println(p.Done, "done")
			},
		}) {
			if err != nil {
				panic(err)
			}
			if copied == enough {
				return // this object is yielded again
			}
			copied++
		}
	}
	copyUntil(100) // and the process ends
	copyUntil(1_000_000)
	fmt.Println(copied, "copied")
	// Output:
	// 100 done
	// 250 done
	// 250 copied
}
