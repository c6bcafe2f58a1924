package conformance_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// The stories use stripe-go. Each ends with our client reading the same.

func TestStripeGoStoryOfMoneyThatComesAndGoes(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	customer, err := f.theirs.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Email: new("jenny@example.com"), Source: new("tok_visa")})
	require.NoError(t, err)

	_, err = f.theirs.V1Charges.Create(ctx, &stripe.ChargeCreateParams{
		Amount: new(int64(1000)), Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: new("tok_chargeDeclined")},
	})
	_, declined := theirFailure(t, err)
	require.Equal(t, http.StatusPaymentRequired, declined.HTTPStatusCode)

	f.second.Add(60)
	charge, err := f.theirs.V1Charges.Create(ctx, &stripe.ChargeCreateParams{
		Amount: new(int64(1000)), Currency: new("usd"), Customer: &customer.ID, Capture: new(false),
	})
	require.NoError(t, err)
	require.False(t, charge.Captured)
	charge, err = f.theirs.V1Charges.Capture(ctx, charge.ID, &stripe.ChargeCaptureParams{Amount: new(int64(700))})
	require.NoError(t, err)
	require.Equal(t, []int64{1000, 700, 300}, []int64{charge.Amount, charge.AmountCaptured, charge.AmountRefunded})
	_, err = f.theirs.V1Charges.Capture(ctx, charge.ID, nil)
	again, _ := theirFailure(t, err)
	require.Equal(t, "charge_already_captured", again.Code)

	f.second.Add(60)
	refund, err := f.theirs.V1Refunds.Create(ctx, &stripe.RefundCreateParams{
		Charge: &charge.ID, Amount: new(int64(200)), Reason: new("requested_by_customer"), Metadata: map[string]string{"order": "6735"},
	})
	require.NoError(t, err)
	rest, err := f.theirs.V1Refunds.Create(ctx, &stripe.RefundCreateParams{Charge: &charge.ID})
	require.NoError(t, err)
	require.Equal(t, int64(500), rest.Amount)
	charge, err = f.theirs.V1Charges.Retrieve(ctx, charge.ID, nil)
	require.NoError(t, err)
	require.True(t, charge.Refunded)

	read, err := f.ours.Customers.Get(ctx, customer.ID)
	requireSame(t, ourCustomer(customer), read, err)
	paid, err := f.ours.Charges.Get(ctx, charge.ID)
	requireSame(t, ourCharge(charge), paid, err)
	given, err := f.ours.Refunds.Get(ctx, refund.ID)
	requireSame(t, ourRefund(refund), given, err)
	failed, err := f.theirs.V1Charges.Retrieve(ctx, declined.ChargeID, nil)
	require.NoError(t, err)
	requireSameList(t, []*stripekit.Charge{ourCharge(charge), ourCharge(failed)}, f.ours.Charges.List(ctx, stripekit.ChargeListParams{}))
	refunds := theirList(t, f.theirs.V1Refunds.List(ctx, &stripe.RefundListParams{Charge: &charge.ID}).All(ctx), ourRefund)
	require.Len(t, refunds, 3, "the capture's own and two")
	requireSameList(t, refunds, f.ours.Refunds.List(ctx, stripekit.RefundListParams{Charge: &charge.ID}))
}

func TestStripeGoStoryOfManyPages(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	for n := range 7 {
		_, err := f.theirs.V1Products.Create(ctx, &stripe.ProductCreateParams{Name: new(fmt.Sprintf("product %d", n))})
		require.NoError(t, err)
		f.second.Add(int64(n % 2)) // some objects share a second
	}
	all := theirList(t, f.theirs.V1Products.List(ctx, nil).All(ctx), ourProduct)
	require.Len(t, all, 7)
	require.Equal(t, "product 6", all[0].Name)

	for _, limit := range []int{1, 2, 3, 7} {
		size := stripe.ListParams{Limit: new(int64(limit))}
		down := theirList(t, f.theirs.V1Products.List(ctx, &stripe.ProductListParams{ListParams: size}).All(ctx), ourProduct)
		require.Empty(t, cmp.Diff(all, down))
		requireSameList(t, down, f.ours.Products.List(ctx, stripekit.ProductListParams{ListParams: stripekit.ListParams{Limit: limit}}))

		size.EndingBefore = &all[6].ID
		up := theirList(t, f.theirs.V1Products.List(ctx, &stripe.ProductListParams{ListParams: size}).All(ctx), ourProduct)
		require.Len(t, up, 6)
		require.Equal(t, "product 1", up[0].Name, "upward is oldest first")
		requireSameList(t, up, f.ours.Products.List(ctx, stripekit.ProductListParams{ListParams: stripekit.ListParams{Limit: limit, EndingBefore: all[6].ID}}))
	}
}

func TestStripeGoStoryOfASearch(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	for n := range 10 {
		_, err := f.theirs.V1Charges.Create(ctx, &stripe.ChargeCreateParams{
			Amount: new(int64(1000 + n)), Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: new("tok_visa")},
			Metadata: map[string]string{"shop": []string{"a", "b"}[n%2]},
		})
		require.NoError(t, err)
	}
	query := `metadata["shop"]:"b" AND amount>1001`
	params := &stripe.ChargeSearchParams{SearchParams: stripe.SearchParams{Query: query, Limit: new(int64(3))}}
	search := f.theirs.V1Charges.Search(ctx, params)
	require.NoError(t, search.Err())
	require.Len(t, search.Data(), 3, "so that there is a second page")
	require.True(t, search.Meta().HasMore)
	found := theirList(t, search.All(ctx), ourCharge)
	amounts := make([]int64, len(found))
	for i, charge := range found {
		amounts[i] = charge.Amount
	}
	require.Equal(t, []int64{1009, 1007, 1005, 1003}, amounts)
	requireSameList(t, found, f.ours.Charges.Search(ctx, query))

	_, ours := collect(f.ours.Charges.Search(ctx, `nonsense:"1"`))
	params = &stripe.ChargeSearchParams{SearchParams: stripe.SearchParams{Query: `nonsense:"1"`}}
	want, _ := theirFailure(t, f.theirs.V1Charges.Search(ctx, params).Err())
	require.Equal(t, []any{400, "query"}, []any{want.Status, want.Param})
	require.Contains(t, want.Message, "nonsense")
	got, _ := ourFailure(t, ours)
	require.Empty(t, cmp.Diff(want, got))
}

func TestStripeGoStoryOfExpansion(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	customer, err := f.theirs.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Name: new("Jenny"), Source: new("tok_visa")})
	require.NoError(t, err)
	charge, err := f.theirs.V1Charges.Create(ctx, &stripe.ChargeCreateParams{Amount: new(int64(1000)), Currency: new("usd"), Customer: &customer.ID})
	require.NoError(t, err)
	require.Empty(t, charge.Customer.Name, "an id only")
	refund, err := f.theirs.V1Refunds.Create(ctx, &stripe.RefundCreateParams{Charge: &charge.ID, Amount: new(int64(100))})
	require.NoError(t, err)

	t.Run("nested", func(t *testing.T) {
		params := &stripe.RefundRetrieveParams{}
		params.AddExpand("charge.customer.default_source")
		params.AddExpand("charge.balance_transaction")
		expanded, err := f.theirs.V1Refunds.Retrieve(ctx, refund.ID, params)
		require.NoError(t, err)
		require.Equal(t, "4242", expanded.Charge.Customer.DefaultSource.Card.Last4)

		ours, err := f.ours.Refunds.Get(ctx, refund.ID, stripekit.WithExpand("charge.customer.default_source", "charge.balance_transaction"))
		require.NoError(t, err)
		require.NotNil(t, ours.Charge.Object.Customer.Object)
		require.Empty(t, cmp.Diff(ourCustomer(expanded.Charge.Customer), withoutCard(ours.Charge.Object.Customer.Object)))
		require.NotNil(t, ours.Charge.Object.BalanceTransaction.Object)
		require.Empty(t, cmp.Diff(ourBalance(expanded.Charge.BalanceTransaction), ours.Charge.Object.BalanceTransaction.Object))
	})
	t.Run("in a list", func(t *testing.T) {
		params := &stripe.ChargeListParams{}
		params.AddExpand("data.customer")
		list := f.theirs.V1Charges.List(ctx, params)
		require.NoError(t, list.Err())
		require.Len(t, list.Data(), 1)
		page, err := f.ours.Charges.Page(ctx, stripekit.ChargeListParams{}, stripekit.WithExpand("data.customer"))
		require.NoError(t, err)
		require.Len(t, page.Data, 1)
		require.Equal(t, "Jenny", list.Data()[0].Customer.Name)
		require.Empty(t, cmp.Diff(ourCustomer(list.Data()[0].Customer), page.Data[0].Customer.Object))
	})
	t.Run("of what cannot be", func(t *testing.T) {
		params := &stripe.ChargeRetrieveParams{}
		params.AddExpand("amount")
		_, theirs := f.theirs.V1Charges.Retrieve(ctx, charge.ID, params)
		_, ours := f.ours.Charges.Get(ctx, charge.ID, stripekit.WithExpand("amount"))
		requireSameFailure(t, failure{400, "invalid_request_error", "", "", "expand", "This property cannot be expanded (amount)."}, theirs, ours)
	})
}

// withoutCard returns a customer whose default source is an id.
func withoutCard(c *stripekit.Customer) *stripekit.Customer {
	plain := *c
	plain.DefaultSource.Object = nil
	return &plain
}

func ourBalance(b *stripe.BalanceTransaction) *stripekit.BalanceTransaction {
	return &stripekit.BalanceTransaction{
		ID:          b.ID,
		Amount:      b.Amount,
		AvailableOn: stripekit.UnixTime(b.AvailableOn),
		Created:     stripekit.UnixTime(b.Created),
		Currency:    string(b.Currency),
		Fee:         b.Fee,
		Net:         b.Net,
		Status:      string(b.Status),
		Type:        string(b.Type),
	}
}

func TestStripeGoStoryOfOneKeyTwice(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	create := func(amount int64) (*stripe.Charge, error) {
		params := &stripe.ChargeCreateParams{
			Amount: &amount, Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: new("tok_visa")},
		}
		params.IdempotencyKey = new("a key")
		return f.theirs.V1Charges.Create(ctx, params)
	}
	first, err := create(1000)
	require.NoError(t, err)
	require.Empty(t, first.LastResponse.Header.Get("Idempotent-Replayed"))
	second, err := create(1000)
	require.NoError(t, err)
	require.Equal(t, "true", second.LastResponse.Header.Get("Idempotent-Replayed"))
	require.Equal(t, first.LastResponse.RawJSON, second.LastResponse.RawJSON)
	require.NotEqual(t, first.LastResponse.RequestID, second.LastResponse.RequestID)

	_, theirs := create(2000)
	_, ours := f.ours.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 3000, Currency: "usd", Source: new("tok_visa"),
	}, stripekit.WithIdempotencyKey("a key"))
	want, _ := theirFailure(t, theirs)
	require.Equal(t, 400, want.Status)
	require.Equal(t, "idempotency_error", want.Type)
	requireSameFailure(t, want, theirs, ours)
	require.ErrorIs(t, ours, stripekit.ErrIdempotency)

	var response stripekit.Response
	replayed, err := f.ours.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 1000, Currency: "usd", Source: new("tok_visa"),
	}, stripekit.WithIdempotencyKey("a key"), stripekit.CaptureResponse(&response))
	requireSame(t, ourCharge(first), replayed, err)
	require.True(t, response.IdempotentReplayed, "another client with the same parameters")
	requireSameList(t, []*stripekit.Charge{ourCharge(first)}, f.ours.Charges.List(ctx, stripekit.ChargeListParams{}))
}

func TestStripeGoStoryOfDeletion(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	kept, err := f.theirs.V1Customers.Create(ctx, nil)
	require.NoError(t, err)
	customer, err := f.theirs.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Name: new("Jenny")})
	require.NoError(t, err)
	deleted, err := f.theirs.V1Customers.Delete(ctx, customer.ID, nil)
	require.NoError(t, err)
	require.True(t, deleted.Deleted)

	want := &stripekit.Customer{ID: customer.ID, Deleted: true}
	read, err := f.theirs.V1Customers.Retrieve(ctx, customer.ID, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, ourCustomer(read)))
	ours, err := f.ours.Customers.Get(ctx, customer.ID)
	requireSame(t, want, ours, err)
	_, theirs := f.theirs.V1Customers.Delete(ctx, customer.ID, nil)
	_, err = f.ours.Customers.Delete(ctx, customer.ID)
	requireSameFailure(t, missing("customer", "id", customer.ID), theirs, err)
	requireSameList(t, []*stripekit.Customer{ourCustomer(kept)}, f.ours.Customers.List(ctx, stripekit.CustomerListParams{}))

	product, err := f.theirs.V1Products.Create(ctx, &stripe.ProductCreateParams{Name: new("gold")})
	require.NoError(t, err)
	_, err = f.ours.Products.Delete(ctx, product.ID)
	require.NoError(t, err)
	_, theirs = f.theirs.V1Products.Retrieve(ctx, product.ID, nil)
	_, err = f.ours.Products.Get(ctx, product.ID)
	requireSameFailure(t, missing("product", "id", product.ID), theirs, err)
}

func missing(kind, param, id string) failure {
	return failure{404, "invalid_request_error", "resource_missing", "", param, fmt.Sprintf("No such %s: '%s'", kind, id)}
}

func TestStripeGoStoryOfAProduct(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	product, err := f.theirs.V1Products.Create(ctx, &stripe.ProductCreateParams{
		ID:                new("gold"),
		Name:              new("Gold"),
		DefaultPriceData:  &stripe.ProductCreateDefaultPriceDataParams{Currency: new("usd"), UnitAmount: new(int64(500))},
		Images:            []*string{new("https://example.com/1.png")},
		MarketingFeatures: []*stripe.ProductCreateMarketingFeatureParams{{Name: new("shines")}},
		Metadata:          map[string]string{"a": "1", "b": "2"},
		PackageDimensions: &stripe.ProductCreatePackageDimensionsParams{
			Height: new(1.5), Length: new(2.0), Weight: new(3.0), Width: new(4.0),
		},
		Shippable: new(true),
		URL:       new("https://example.com"),
	})
	require.NoError(t, err)
	read, err := f.ours.Products.Get(ctx, "gold")
	requireSame(t, ourProduct(product), read, err)
	require.NotEmpty(t, read.DefaultPrice.ID)

	f.second.Add(60)
	updated, err := f.theirs.V1Products.Update(ctx, "gold", &stripe.ProductUpdateParams{
		Active: new(false), Description: new("of the purest kind"), Metadata: map[string]string{"a": "", "c": "3"}, URL: new(""),
	})
	require.NoError(t, err)
	read, err = f.ours.Products.Get(ctx, "gold")
	requireSame(t, ourProduct(updated), read, err)

	want := ourProduct(product)
	want.Active, want.Description, want.URL = false, "of the purest kind", ""
	want.Metadata = stripekit.Metadata{"b": "2", "c": "3"}
	want.Updated += 60
	require.Empty(t, cmp.Diff(want, read), "and nothing else has changed")
	inactive := theirList(t, f.theirs.V1Products.List(ctx, &stripe.ProductListParams{Active: new(false)}).All(ctx), ourProduct)
	require.Len(t, inactive, 1)
	requireSameList(t, inactive, f.ours.Products.List(ctx, stripekit.ProductListParams{Active: new(false)}))
}

func TestStripeGoStoryOfAnInvoiceItem(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	customer, err := f.theirs.V1Customers.Create(ctx, nil)
	require.NoError(t, err)
	product, err := f.theirs.V1Products.Create(ctx, &stripe.ProductCreateParams{Name: new("gold")})
	require.NoError(t, err)
	item, err := f.theirs.V1InvoiceItems.Create(ctx, &stripe.InvoiceItemCreateParams{
		Customer:     &customer.ID,
		Description:  new("a line"),
		Metadata:     map[string]string{"order": "6735"},
		Period:       &stripe.InvoiceItemCreatePeriodParams{Start: new(int64(1690000000)), End: new(int64(1695000000))},
		PriceData:    &stripe.InvoiceItemCreatePriceDataParams{Currency: new("usd"), Product: &product.ID, UnitAmountDecimal: new(250.5)},
		Quantity:     new(int64(2)),
		Subscription: new("sub_123"),
	})
	require.NoError(t, err)
	require.Equal(t, int64(501), item.Amount)
	read, err := f.ours.InvoiceItems.Get(ctx, item.ID)
	requireSame(t, ourInvoiceItem(item), read, err)
	require.Equal(t, product.ID, read.Pricing.PriceDetails.Product.ID)
	require.Equal(t, "sub_123", read.Subscription.ID)

	plain, err := f.theirs.V1InvoiceItems.Create(ctx, &stripe.InvoiceItemCreateParams{
		Customer: &customer.ID, Amount: new(int64(-300)), Currency: new("usd"),
	})
	require.NoError(t, err)
	item, err = f.theirs.V1InvoiceItems.Update(ctx, item.ID, &stripe.InvoiceItemUpdateParams{Quantity: new(int64(4)), Description: new("two more")})
	require.NoError(t, err)
	require.Equal(t, int64(1002), item.Amount)
	items := theirList(t, f.theirs.V1InvoiceItems.List(ctx, &stripe.InvoiceItemListParams{Customer: &customer.ID}).All(ctx), ourInvoiceItem)
	require.Empty(t, cmp.Diff([]*stripekit.InvoiceItem{ourInvoiceItem(plain), ourInvoiceItem(item)}, items))
	requireSameList(t, items, f.ours.InvoiceItems.List(ctx, stripekit.InvoiceItemListParams{Customer: &customer.ID}))

	gone, err := f.theirs.V1InvoiceItems.Delete(ctx, item.ID, nil)
	require.NoError(t, err)
	require.True(t, gone.Deleted)
	_, theirs := f.theirs.V1InvoiceItems.Retrieve(ctx, item.ID, nil)
	_, err = f.ours.InvoiceItems.Get(ctx, item.ID)
	requireSameFailure(t, missing("invoiceitem", "invoiceitem", item.ID), theirs, err)
	requireSameList(t, items[:1], f.ours.InvoiceItems.List(ctx, stripekit.InvoiceItemListParams{}))
}

// requireSame checks that our client has read the same as stripe-go.
func requireSame[T any](t *testing.T, want, got *T, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
}

func requireSameList[T any](t *testing.T, want []*T, list iter.Seq2[*T, error]) {
	t.Helper()
	got, err := collect(list)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
}

// endless is more objects than any story has.
const endless = 100

// collect reads a list up to its first error.
func collect[T any](list iter.Seq2[*T, error]) ([]*T, error) {
	var all []*T
	for object, err := range list {
		if err != nil {
			return all, err
		}
		if all = append(all, object); len(all) == endless {
			return all, errors.New("the list does not end")
		}
	}
	return all, nil
}

// theirList reads a list of stripe-go to its end, as the library's type.
func theirList[From, To any](t *testing.T, list stripe.Seq2[*From, error], as func(*From) *To) []*To {
	t.Helper()
	read, err := collect(iter.Seq2[*From, error](list))
	require.NoError(t, err)
	all := make([]*To, len(read))
	for i, object := range read {
		all[i] = as(object)
	}
	return all
}
