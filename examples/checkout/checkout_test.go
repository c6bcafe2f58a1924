package checkout_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/examples/checkout"
	"github.com/stripekit/stripekit/stripekittest"
)

func TestPayTellsOfADeclinedCard(t *testing.T) {
	client, _ := stripekittest.NewClient(t)

	message, err := checkout.Pay(t.Context(), client, "tok_chargeDeclined", 2000)
	require.NoError(t, err)
	require.Equal(t, "Your card was declined.", message)

	charges, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{})
	require.NoError(t, err)
	require.Equal(t, stripekit.ChargeFailed, charges.Data[0].Status)
}

func TestPayThanksForTheMoney(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	message, err := checkout.Pay(t.Context(), client, "tok_visa", 2000)
	require.NoError(t, err)
	require.Equal(t, "Thank you.", message)

	_, err = checkout.Pay(t.Context(), client, "tok_visa", 0)
	require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
}
