// Charge charges 20 dollars to a Stripe test card.
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
	charge, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(charge.ID, charge.Status)
}
