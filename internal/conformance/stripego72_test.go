package conformance_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	stripe72 "github.com/stripe/stripe-go/v72"

	"github.com/stripekit/stripekit/stripetest"
)

// The tests below use stripe-go v72. Its API version is of 2020. Its
// orders are in orders_story_test.go.

func TestStripeGo72ChargesAndRefunds(t *testing.T) {
	f := newLegacyFake(t)
	customer, err := f.theirs.Customers.New(&stripe72.CustomerParams{
		Email: new("jenny@example.com"), Source: &stripe72.SourceParams{Token: new("tok_visa")},
	})
	require.NoError(t, err)
	require.Equal(t, int64(0), customer.Balance)
	require.Regexp(t, "^card_", customer.DefaultSource.ID)

	held, err := f.theirs.Charges.New(&stripe72.ChargeParams{
		Amount: new(int64(2000)), Currency: new("usd"), Customer: &customer.ID, Capture: new(false),
	})
	require.NoError(t, err)
	require.Empty(t, held.Refunds.Data, "charges of this version have their refunds")
	captured, err := f.theirs.Charges.Capture(held.ID, &stripe72.CaptureParams{Amount: new(int64(1500))})
	require.NoError(t, err)
	require.Equal(t, []int64{1500, 500}, []int64{captured.AmountCaptured, captured.AmountRefunded})
	refund, err := f.theirs.Refunds.New(&stripe72.RefundParams{Charge: &held.ID, Amount: new(int64(700))})
	require.NoError(t, err)

	params := &stripe72.ChargeParams{}
	params.AddExpand("customer")
	params.AddExpand("balance_transaction")
	got, err := f.theirs.Charges.Get(held.ID, params)
	require.NoError(t, err)
	require.Equal(t, "jenny@example.com", got.Customer.Email)
	require.Equal(t, int64(1200), got.AmountRefunded)
	require.Len(t, got.Refunds.Data, 2)
	require.Equal(t, refund.ID, got.Refunds.Data[0].ID)
	require.Equal(t, "4242", got.PaymentMethodDetails.Card.Last4)

	updated, err := f.theirs.Refunds.Update(refund.ID, &stripe72.RefundParams{Params: stripe72.Params{Metadata: map[string]string{"a": "b"}}})
	require.NoError(t, err)
	require.Equal(t, "b", updated.Metadata["a"])
}

func TestStripeGo72ListsAndSearches(t *testing.T) {
	f := newLegacyFake(t)
	var want []string
	for i := range 25 {
		product, err := f.theirs.Products.New(&stripe72.ProductParams{Name: new("Mug"), Active: new(i%2 == 0)})
		require.NoError(t, err)
		want = append([]string{product.ID}, want...)
		f.second.Add(1)
	}
	params := &stripe72.ProductListParams{}
	params.Limit = new(int64(4))
	var got []string
	pages := f.theirs.Products.List(params)
	for pages.Next() {
		got = append(got, pages.Product().ID)
	}
	require.NoError(t, pages.Err())
	require.Equal(t, want, got)

	search := &stripe72.ProductSearchParams{}
	search.Query, search.Limit = "active:'false' AND name~'mug'", new(int64(5))
	found := f.theirs.Products.Search(search)
	n := 0
	for found.Next() {
		n++
	}
	require.NoError(t, found.Err())
	require.Equal(t, 12, n)
}

func TestStripeGo72InvoiceItemsHaveAPrice(t *testing.T) {
	f := newLegacyFake(t)
	customer, err := f.theirs.Customers.New(nil)
	require.NoError(t, err)
	product, err := f.theirs.Products.New(&stripe72.ProductParams{Name: new("Mug")})
	require.NoError(t, err)
	item, err := f.theirs.InvoiceItems.New(&stripe72.InvoiceItemParams{
		Customer: &customer.ID, Quantity: new(int64(3)),
		PriceData: &stripe72.InvoiceItemPriceDataParams{Currency: new("usd"), Product: &product.ID, UnitAmount: new(int64(250))},
	})
	require.NoError(t, err)
	require.Equal(t, int64(750), item.Amount)
	require.Equal(t, product.ID, item.Price.Product.ID)
	require.Equal(t, int64(250), item.UnitAmount)
	deleted, err := f.theirs.InvoiceItems.Del(item.ID, nil)
	require.NoError(t, err)
	require.True(t, deleted.Deleted)
}

func TestStripeGo72SeesErrors(t *testing.T) {
	f := newLegacyFake(t)
	_, err := f.theirs.Charges.New(&stripe72.ChargeParams{
		Amount: new(int64(2000)), Currency: new("usd"), Source: &stripe72.SourceParams{Token: new("tok_chargeDeclinedInsufficientFunds")},
	})
	var declined *stripe72.Error
	require.ErrorAs(t, err, &declined)
	require.Equal(t, []any{402, stripe72.ErrorTypeCard, stripe72.ErrorCodeCardDeclined, stripe72.DeclineCodeInsufficientFunds},
		[]any{declined.HTTPStatusCode, declined.Type, declined.Code, declined.DeclineCode})

	_, err = f.theirs.Charges.Get("ch_missing", nil)
	var missing *stripe72.Error
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []any{404, stripe72.ErrorCodeResourceMissing, "id"}, []any{missing.HTTPStatusCode, missing.Code, missing.Param})
	require.Regexp(t, "^req_", missing.RequestID)
}

func TestStripeGo72RepeatsALostResponseOnce(t *testing.T) {
	server := stripetest.New()
	defer server.Close()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	backend := stripe72.GetBackendWithConfig(stripe72.APIBackend, &stripe72.BackendConfig{
		URL: new(server.URL), HTTPClient: &http.Client{Transport: transport}, MaxNetworkRetries: new(int64(2)),
		LeveledLogger: &stripe72.LeveledLogger{Level: stripe72.LevelNull},
	})
	fault := server.Fault("POST /v1/customers", stripetest.First(1), stripetest.Replace(502, "bad gateway"))
	params := &stripe72.CustomerParams{Name: new("Jenny")}
	customer := &stripe72.Customer{}
	require.NoError(t, backend.Call(http.MethodPost, "/v1/customers", "sk_test_123", params, customer))
	require.Equal(t, 1, fault.Struck())
	require.Equal(t, 2, server.Count("POST /v1/customers"))
	list := &stripe72.CustomerList{}
	require.NoError(t, backend.Call(http.MethodGet, "/v1/customers", "sk_test_123", nil, list))
	require.Len(t, list.Data, 1)
	require.Equal(t, customer.ID, list.Data[0].ID)
}
