// Follow prints every new charge of an account. After a restart it continues
// where it was.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/stripekit/stripekit"
)

func main() {
	client, err := stripekit.New(os.Getenv("STRIPE_API_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := stripekit.NewFileStore("checkpoints")
	if err != nil {
		log.Fatal(err)
	}
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Checkpoints: store})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(poller.Run(context.Background(), func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		fmt.Println(e.ID, e.Object.Amount, e.Object.Currency, e.Object.Status)
		return nil // acknowledged: it does not come again
	}))
}
