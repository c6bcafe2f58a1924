package conformance_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// received is a webhook as an endpoint has it.
type received struct {
	body      []byte
	signature string
}

// TestStripeGoVerifiesWebhooks creates the endpoint, receives the event, verifies it
// and reads it again with Stripe's own library.
func TestStripeGoVerifiesWebhooks(t *testing.T) {
	hooks := make(chan received, 1)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		hooks <- received{body, r.Header.Get("Stripe-Signature")}
	}))
	t.Cleanup(endpoint.Close)
	server := stripetest.New(stripetest.WithWebhookClient(endpoint.Client()))
	t.Cleanup(server.Close)
	theirs := stripe.NewClient(mock.Key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: new(server.URL), HTTPClient: server.Client(), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	made, err := theirs.V1WebhookEndpoints.Create(t.Context(), &stripe.WebhookEndpointCreateParams{
		URL: new(endpoint.URL), EnabledEvents: []*string{new("charge.updated")}, APIVersion: new(stripe.APIVersion),
	})
	require.NoError(t, err)
	charge, err := theirs.V1Charges.Create(t.Context(), &stripe.ChargeCreateParams{
		Amount: new(int64(1000)), Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: new("tok_visa")},
	})
	require.NoError(t, err)
	_, err = theirs.V1Charges.Update(t.Context(), charge.ID, &stripe.ChargeUpdateParams{Description: new("ä & <b>")})
	require.NoError(t, err)

	var got received
	select {
	case got = <-hooks:
	case <-time.After(30 * time.Second):
		require.Fail(t, "no webhook was received")
	}
	event, err := webhook.ConstructEvent(got.body, got.signature, made.Secret)
	require.NoError(t, err)
	require.Equal(t, stripe.EventTypeChargeUpdated, event.Type)
	require.Equal(t, charge.ID, event.Data.Object["id"])
	require.Equal(t, "ä & <b>", event.Data.Object["description"])
	require.Equal(t, map[string]any{"description": nil}, event.Data.PreviousAttributes)
	require.EqualValues(t, 1, event.PendingWebhooks)

	again, err := theirs.V1Events.Retrieve(t.Context(), event.ID, nil)
	require.NoError(t, err)
	require.Equal(t, event.Created, again.Created)
	require.Equal(t, event.Request, again.Request)
	require.Equal(t, event.Data.Object, again.Data.Object)

	_, err = webhook.ConstructEvent([]byte(strings.Replace(string(got.body), charge.ID, "ch_other", 1)), got.signature, made.Secret)
	require.ErrorIs(t, err, webhook.ErrNoValidSignature)
	_, err = webhook.ConstructEvent(got.body, got.signature, "whsec_other")
	require.ErrorIs(t, err, webhook.ErrNoValidSignature)
}

// TestStripeGoListsEvents reads the events by type, page by page.
func TestStripeGoListsEvents(t *testing.T) {
	f := newFake(t)
	for range 3 {
		charge, err := f.theirs.V1Charges.Create(t.Context(), &stripe.ChargeCreateParams{
			Amount: new(int64(1000)), Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: new("tok_visa")},
		})
		require.NoError(t, err)
		_, err = f.theirs.V1Refunds.Create(t.Context(), &stripe.RefundCreateParams{Charge: new(charge.ID)})
		require.NoError(t, err)
	}
	for name, c := range map[string]struct {
		params stripe.EventListParams
		want   map[stripe.EventType]int
	}{
		"group": {stripe.EventListParams{Type: new("charge.*")}, map[stripe.EventType]int{stripe.EventTypeChargeSucceeded: 3, stripe.EventTypeChargeRefunded: 3}},
		"types": {stripe.EventListParams{Types: []*string{new("refund.created")}}, map[stripe.EventType]int{stripe.EventTypeRefundCreated: 3}},
		"time":  {stripe.EventListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: f.second.Load()}}, map[stripe.EventType]int{}},
	} {
		c.params.Limit = new(int64(2))
		got := map[stripe.EventType]int{}
		for event, err := range f.theirs.V1Events.List(t.Context(), &c.params).All(t.Context()) {
			require.NoError(t, err)
			got[event.Type]++
		}
		require.Equal(t, c.want, got, name)
	}
}
