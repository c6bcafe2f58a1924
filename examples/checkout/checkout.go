// Package checkout charges a card. Its test shows how a user of the library
// tests a declined card.
package checkout

import (
	"context"
	"errors"

	"github.com/stripekit/stripekit"
)

// Pay charges a card and returns a message for the buyer.
func Pay(ctx context.Context, client *stripekit.Client, card string, cents int64) (string, error) {
	_, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: cents, Currency: "usd", Source: &card,
	})
	switch {
	case errors.Is(err, stripekit.ErrCardDeclined):
		return "Your card was declined.", nil
	case err != nil:
		return "", err
	}
	return "Thank you.", nil
}
