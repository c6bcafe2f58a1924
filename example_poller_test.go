package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// On SIGTERM the handler that is under way finishes its work, and Run returns nil.
func ExamplePoller_Run_shutdown() {
	client, server := newExampleClient()
	defer server.Close()
	server.Seed("/v1/charges", stripetest.Seeding{})
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Millisecond, // the default is 15 s
		From:  stripekit.FromBeginning,
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err = poller.Run(ctx, func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stop() // in place of a SIGTERM
		fmt.Println("booking", e.Object.Amount, e.Object.Currency)
		return ctx.Err() // nil
	})
	fmt.Println(err)
	// Output:
	// booking 1000 usd
	// <nil>
}

// A health check does not go by LastPoll alone: while a backlog is read, no poll ends.
func ExamplePoller_Status() {
	client, server := newExampleClient()
	defer server.Close()
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Every: time.Millisecond})
	if err != nil {
		panic(err)
	}
	health := func() error {
		status := poller.Status()
		switch {
		case poller.Err() != nil:
			return poller.Err() // it has ended
		case status.Failures >= 3:
			return status.LastError
		case status.OldestUnacked > 10*time.Minute:
			return fmt.Errorf("an event has waited for %s (last error: %v)", status.OldestUnacked, status.HandlerErr)
		}
		return status.SaveErr
	}
	ended := make(chan error)
	err = poller.Handle(context.Background(), func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil },
		func(err error) { ended <- err })
	if err != nil {
		panic(err)
	}
	fmt.Println(health())

	server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(401, `{"error": {"type": "invalid_request_error"}}`))
	<-ended
	fmt.Println(errors.Is(health(), stripekit.ErrAuthentication))
	// Output:
	// <nil>
	// true
}

// A copy is filled by a Backfill, and then follows the changes, without a gap between the
// two. Both keep their position in the store, so the program may be stopped at any time.
func ExampleBackfill_thenChanges() {
	client, server := newExampleClient()
	defer server.Close()
	ids := server.Seed("/v1/customers", stripetest.Seeding{Count: 3})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := new(stripekit.MemoryStore)
	contacts := map[string]string{}

	// The Poller is started first. From then on its checkpoint says where the changes
	// begin: earlier than now, by Overlap, since a list shows some objects late.
	poller, err := stripekit.NewPoller(client.Customers.Changes(), stripekit.PollConfig{
		Checkpoints: store, Every: time.Millisecond,
		From: stripekit.FromTime(time.Now().Add(-10 * time.Minute)),
	})
	if err != nil {
		panic(err)
	}
	filled, ended := make(chan struct{}), make(chan error)
	err = poller.Handle(ctx, func(ctx context.Context, e stripekit.Event[stripekit.Change[stripekit.Customer]]) error {
		select {
		case <-filled: // else the Backfill could overwrite what is newer
		case <-ctx.Done():
			return ctx.Err()
		}
		// The event may be older than the copy, so the customer is read as it is now.
		customer, err := client.Customers.Get(ctx, e.Object.Object.ID)
		if err != nil {
			return err
		}
		if contacts[customer.ID] = customer.Email; customer.Deleted {
			delete(contacts, customer.ID)
			cancel() // the example ends
		}
		return nil
	}, func(err error) { ended <- err })
	if err != nil {
		panic(err)
	}
	for customer, err := range stripekit.Backfill(ctx, client.Customers, stripekit.BackfillConfig{Checkpoints: store}) {
		if err != nil {
			panic(err)
		}
		contacts[customer.ID] = customer.Email
	}
	fmt.Println(len(contacts), "contacts")
	close(filled)

	must(client.Customers.Update(ctx, ids[0], stripekit.CustomerUpdateParams{Email: new("ann@example.com")}))
	must(client.Customers.Delete(ctx, ids[1]))
	fmt.Println(<-ended)
	fmt.Println(len(contacts), "contacts")
	// Output:
	// 3 contacts
	// <nil>
	// 2 contacts
}
