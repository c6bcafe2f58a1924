// Command stripekit reads a charge and a list with stripekit.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stripekit/stripekit"
)

func main() {
	ctx := context.Background()
	client, err := stripekit.New(os.Getenv("STRIPE_KEY"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	charge, err := client.Charges.Get(ctx, "ch_1")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(charge.ID)
	for charge, err := range client.Charges.List(ctx, stripekit.ChargeListParams{}) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(charge.ID)
	}
}
