package stripekittest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
)

func ExampleNewClient() {
	t := new(testing.T) // in a test: that of func TestCheckout(t *testing.T)
	client, server := stripekittest.NewClient(t)

	charge, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(charge.Status, server.Count("POST /v1/charges"))
	// Output: succeeded 1
}

func ExampleReplay() {
	t := new(testing.T) // in a test: that of func TestCheckout(t *testing.T)
	// In a test more often: os.DirFS("testdata/checkout"), with a file for each.
	client := stripekittest.Replay(t, fstest.MapFS{
		"declined.http": {Data: []byte(`POST /v1/charges?source=tok_chargeDeclined
402

{"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}}
`)},
		"paid.http": {Data: []byte(`POST /v1/charges

{"id": "ch_1", "object": "charge", "amount": 2000, "status": "succeeded"}
`)},
	})

	for _, source := range []string{"tok_chargeDeclined", "tok_visa"} {
		charge, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
			Amount: 2000, Currency: "usd", Source: &source,
		})
		if errors.Is(err, stripekit.ErrCardDeclined) {
			fmt.Println("declined")
			continue
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(charge.ID, charge.Status)
	}
	// Output:
	// declined
	// ch_1 succeeded
}

// ship is the code under test: a consumer of a Poller's channel.
func ship(charges <-chan stripekit.Event[stripekit.Charge]) {
	for e := range charges {
		switch {
		case e.Object.Currency != "usd":
			e.Term(errors.New("sold in dollars only"))
		case e.Object.Status == "pending":
			e.Nack(time.Minute)
		default:
			e.Ack()
		}
	}
}

func ExampleNewEvent() {
	paid, paidReceipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_1", Currency: "usd", Status: "succeeded"})
	pending, pendingReceipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_2", Currency: "usd", Status: "pending"})
	foreign, foreignReceipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_3", Currency: "eur"})

	charges := make(chan stripekit.Event[stripekit.Charge], 3)
	charges <- paid
	charges <- pending
	charges <- foreign
	close(charges)
	ship(charges)

	fmt.Println(paidReceipt.Acked())
	fmt.Println(pendingReceipt.Nacked())
	fmt.Println(foreignReceipt.Terminated())
	// Output:
	// true
	// 1m0s true
	// sold in dollars only true
}
