// Command stripego reads a charge and a list with stripe-go.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stripe/stripe-go/v85"
)

func main() {
	ctx := context.Background()
	client := stripe.NewClient(os.Getenv("STRIPE_KEY"))
	charge, err := client.V1Charges.Retrieve(ctx, "ch_1", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(charge.ID)
	for charge, err := range client.V1Charges.List(ctx, &stripe.ChargeListParams{}).All(ctx) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(charge.ID)
	}
}
