package conformance_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// The tests below use stripe-go's clients of payment intents and payment methods.

func cardPayment(method string) *stripe.PaymentIntentCreateParams {
	return &stripe.PaymentIntentCreateParams{
		Amount: new(int64(2000)), Currency: new("usd"), PaymentMethod: &method, PaymentMethodTypes: []*string{new("card")},
	}
}

func TestStripeGoConfirmsCapturesAndRefundsAPaymentIntent(t *testing.T) {
	f := newFake(t)
	customer, err := f.theirs.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Email: new("jenny@example.com")})
	require.NoError(t, err)
	method, err := f.theirs.V1PaymentMethods.Attach(t.Context(), "pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: &customer.ID})
	require.NoError(t, err)
	require.Equal(t, []any{customer.ID, stripe.PaymentMethodCardBrandVisa, "4242"}, []any{method.Customer.ID, method.Card.Brand, method.Card.Last4})

	params := cardPayment(method.ID)
	params.Customer, params.CaptureMethod, params.Metadata = &customer.ID, new("manual"), map[string]string{"order": "6735"}
	created, err := f.theirs.V1PaymentIntents.Create(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, created.Status)
	held, err := f.theirs.V1PaymentIntents.Confirm(t.Context(), created.ID, nil)
	require.NoError(t, err)
	require.Equal(t, []any{stripe.PaymentIntentStatusRequiresCapture, int64(2000)}, []any{held.Status, held.AmountCapturable})
	captured, err := f.theirs.V1PaymentIntents.Capture(t.Context(), created.ID, &stripe.PaymentIntentCaptureParams{AmountToCapture: new(int64(1500))})
	require.NoError(t, err)
	require.Equal(t, []any{stripe.PaymentIntentStatusSucceeded, int64(1500)}, []any{captured.Status, captured.AmountReceived})
	refund, err := f.theirs.V1Refunds.Create(t.Context(), &stripe.RefundCreateParams{PaymentIntent: &created.ID})
	require.NoError(t, err)
	require.Equal(t, []any{int64(1500), captured.LatestCharge.ID}, []any{refund.Amount, refund.Charge.ID})

	charge, err := f.ours.Charges.Get(t.Context(), captured.LatestCharge.ID)
	require.NoError(t, err)
	require.Equal(t, []any{created.ID, int64(1500), int64(2000), "6735"}, []any{charge.PaymentIntent.ID, charge.AmountCaptured, charge.AmountRefunded, charge.Metadata["order"]})
	listed := 0
	for intent, err := range f.theirs.V1PaymentIntents.List(t.Context(), &stripe.PaymentIntentListParams{Customer: &customer.ID}).All(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, created.ID, intent.ID)
		listed++
	}
	require.Equal(t, 1, listed)
	_, err = f.theirs.V1PaymentMethods.Detach(t.Context(), method.ID, nil)
	require.NoError(t, err)
}

func TestStripeGoSeesADeclinedPaymentIntent(t *testing.T) {
	f := newFake(t)
	params := cardPayment("pm_card_visa_chargeDeclinedInsufficientFunds")
	params.Confirm = new(true)
	_, err := f.theirs.V1PaymentIntents.Create(t.Context(), params)
	got, declined := theirFailure(t, err)
	require.Equal(t, failure{402, "card_error", "card_declined", "insufficient_funds", "", "Your card has insufficient funds."}, got)
	require.Equal(t, []any{stripe.PaymentIntentStatusRequiresPaymentMethod, declined.ChargeID, "9995"},
		[]any{declined.PaymentIntent.Status, declined.PaymentIntent.LatestCharge.ID, declined.PaymentMethod.Card.Last4})
	require.Equal(t, stripe.ErrorCodeCardDeclined, declined.PaymentIntent.LastPaymentError.Code)
	charge, err := f.ours.Charges.Get(t.Context(), declined.ChargeID)
	require.NoError(t, err)
	require.Equal(t, []any{stripekit.ChargeFailed, declined.PaymentIntent.ID}, []any{charge.Status, charge.PaymentIntent.ID})

	paid, err := f.theirs.V1PaymentIntents.Confirm(t.Context(), declined.PaymentIntent.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: new("pm_card_visa")})
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusSucceeded, paid.Status)
	_, err = f.theirs.V1PaymentIntents.Cancel(t.Context(), paid.ID, nil)
	got, refused := theirFailure(t, err)
	require.Equal(t, []any{400, "payment_intent_unexpected_state", paid.ID}, []any{got.Status, got.Code, refused.PaymentIntent.ID})
}

func TestStripeGoSeesA3DSecurePaymentIntent(t *testing.T) {
	server := stripetest.New()
	t.Cleanup(server.Close)
	client := stripe.NewClient(mock.Key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: new(server.URL), HTTPClient: server.Client(), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	for passes, want := range map[bool]stripe.PaymentIntentStatus{true: stripe.PaymentIntentStatusSucceeded, false: stripe.PaymentIntentStatusRequiresPaymentMethod} {
		params := cardPayment("pm_card_threeDSecure2Required")
		params.Confirm, params.ReturnURL = new(true), new("https://example.com/back")
		waiting, err := client.V1PaymentIntents.Create(t.Context(), params)
		require.NoError(t, err)
		require.Equal(t, []any{stripe.PaymentIntentStatusRequiresAction, "https://example.com/back"}, []any{waiting.Status, waiting.NextAction.RedirectToURL.ReturnURL})
		require.Nil(t, waiting.LatestCharge)
		require.NoError(t, server.Authenticate(waiting.ID, passes))
		got, err := client.V1PaymentIntents.Retrieve(t.Context(), waiting.ID, nil)
		require.NoError(t, err)
		require.Equal(t, want, got.Status)
		if !passes {
			require.Equal(t, stripe.ErrorCodePaymentIntentAuthenticationFailure, got.LastPaymentError.Code)
		}
	}
}
