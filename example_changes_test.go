package stripekit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
)

// A Poller of changes delivers what was created, updated and deleted.
func ExampleCustomersService_Changes() {
	client, server := newExampleClient()
	defer server.Close()
	poller, err := stripekit.NewPoller(client.Customers.Changes(), stripekit.PollConfig{
		Every: 10 * time.Millisecond, // as in no account
		From:  stripekit.FromTime(time.Now()),
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := poller.Start(ctx)
	if err != nil {
		panic(err)
	}

	customer, err := client.Customers.Create(ctx, stripekit.CustomerCreateParams{Email: new("ann@example.com")})
	if err != nil {
		panic(err)
	}
	if _, err = client.Customers.Update(ctx, customer.ID, stripekit.CustomerUpdateParams{Email: new("ann@example.org")}); err != nil {
		panic(err)
	}
	if _, err = client.Customers.Delete(ctx, customer.ID); err != nil {
		panic(err)
	}

	for e := range events {
		change := e.Object
		var before stripekit.Customer // with the fields that were changed
		if change.Previous != nil {
			if err := json.Unmarshal(change.Previous, &before); err != nil {
				panic(err)
			}
		}
		fmt.Printf("%s %s, before %q\n", change.Type, change.Object.Email, before.Email)
		e.Ack()
		if change.Type == stripekit.Deleted {
			cancel()
		}
	}
	if errors.Is(poller.Err(), stripekit.ErrGap) {
		fmt.Println("events are missing: delete the checkpoint, start again, and read all customers by a Backfill")
	}
	// Output:
	// created ann@example.com, before ""
	// updated ann@example.org, before "ann@example.com"
	// deleted ann@example.org, before ""
}
