package conformance_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	stripe72 "github.com/stripe/stripe-go/v72"
	"github.com/stripe/stripe-go/v72/client"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// legacyFake is a stripetest server with two clients: ours, and the last
// stripe-go that has orders.
type legacyFake struct {
	theirs *client.API
	ours   *stripekit.Client
	second *atomic.Int64
}

func newLegacyFake(t *testing.T) *legacyFake {
	t.Helper()
	require.Equal(t, stripekit.OrdersAPIVersion, stripe72.APIVersion)
	second := new(atomic.Int64)
	second.Store(1700000000)
	server := stripetest.New(stripetest.WithClock(func() time.Time { return time.Unix(second.Load(), 0) }))
	t.Cleanup(server.Close)

	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	backend := stripe72.GetBackendWithConfig(stripe72.APIBackend, &stripe72.BackendConfig{
		URL:               new(server.URL),
		HTTPClient:        &http.Client{Transport: transport},
		MaxNetworkRetries: new(int64(0)),
		LeveledLogger:     &stripe72.LeveledLogger{Level: stripe72.LevelNull},
	})
	theirs := client.New(mock.Key, &stripe72.Backends{API: backend, Connect: backend, Uploads: backend})
	ours, _ := newClient(t, mock.Key, server.URL)
	return &legacyFake{theirs: theirs, ours: ours, second: second}
}

// create creates an order of two SKUs, with shipping and tax: 2 × 1500 + 500 +
// 250.
func (f *legacyFake) create(t *testing.T, customer string) *stripe72.Order {
	t.Helper()
	params := &stripe72.OrderParams{
		Currency: new("usd"),
		Customer: &customer,
		Email:    new("jenny@example.com"),
		Items: []*stripe72.OrderItemParams{
			{Type: new("sku"), Parent: new("sku_123"), Quantity: new(int64(2)), Amount: new(int64(3000)), Description: new("a book")},
			{Type: new("shipping"), Amount: new(int64(500))},
			{Type: new("tax"), Amount: new(int64(250)), Currency: new("usd")},
		},
		Shipping: &stripe72.ShippingParams{
			Name: new("Jenny"), Phone: new("+49"),
			Address: &stripe72.AddressParams{City: new("Berlin"), Country: new("DE"), Line1: new("Weg 1"), PostalCode: new("10115")},
		},
	}
	params.AddMetadata("order", "6735")
	order, err := f.theirs.Orders.New(params)
	require.NoError(t, err)
	return order
}

func (f *legacyFake) customer(t *testing.T) string {
	t.Helper()
	params := &stripe72.CustomerParams{Name: new("Jenny")}
	require.NoError(t, params.SetSource("tok_visa"))
	customer, err := f.theirs.Customers.New(params)
	require.NoError(t, err)
	return customer.ID
}

// requireSameOrder checks that both clients read the same order, and returns
// it.
func (f *legacyFake) requireSameOrder(t *testing.T, id string) *stripekit.Order {
	t.Helper()
	theirs, err := f.theirs.Orders.Get(id, nil)
	require.NoError(t, err)
	ours, err := f.ours.Orders.Get(t.Context(), id)
	requireSame(t, ourOrder(theirs), withoutFulfilled(ours), err)
	return ours
}

func TestOldStripeGoStoryOfAnOrder(t *testing.T) {
	f := newLegacyFake(t)
	ctx := t.Context()
	created := f.create(t, f.customer(t))
	require.Equal(t, int64(3750), created.Amount)
	order := f.requireSameOrder(t, created.ID)
	require.Empty(t, cmp.Diff(ourOrder(created), order))
	require.Equal(t, "created", order.Status)

	f.second.Add(60)
	paid, err := f.theirs.Orders.Pay(created.ID, &stripe72.OrderPayParams{})
	require.NoError(t, err)
	order = f.requireSameOrder(t, created.ID)
	require.Empty(t, cmp.Diff(ourOrder(paid), order))
	require.Equal(t, stripekit.UnixTime(1700000060), order.StatusTransitions.Paid)
	charge, err := f.ours.Charges.Get(ctx, order.Charge.ID)
	require.NoError(t, err)
	require.Equal(t, int64(3750), charge.Amount)
	require.Equal(t, order.Customer.ID, charge.Customer.ID)

	f.second.Add(60)
	_, err = f.theirs.Orders.Update(created.ID, &stripe72.OrderUpdateParams{
		Status:   new("fulfilled"),
		Shipping: &stripe72.OrderUpdateShippingParams{Carrier: new("DHL"), TrackingNumber: new("1")},
	})
	require.NoError(t, err)
	order = f.requireSameOrder(t, created.ID)
	require.Equal(t, stripekit.UnixTime(1700000120), order.StatusTransitions.Fulfilled)
	require.Equal(t, "DHL", order.Shipping.Carrier)

	f.second.Add(60)
	one, err := f.theirs.Orders.Return(created.ID, &stripe72.OrderReturnParams{
		Items: []*stripe72.OrderItemParams{{Type: new("sku"), Parent: new("sku_123"), Quantity: new(int64(1))}},
	})
	require.NoError(t, err)
	require.Equal(t, int64(1500), one.Amount)
	require.Equal(t, "fulfilled", f.requireSameOrder(t, created.ID).Status)
	rest, err := f.theirs.Orders.Return(created.ID, &stripe72.OrderReturnParams{})
	require.NoError(t, err)
	require.Equal(t, int64(2250), rest.Amount)
	order = f.requireSameOrder(t, created.ID)
	require.Equal(t, "returned", order.Status)
	require.Equal(t, int64(3750), order.AmountReturned)
	require.Len(t, order.Returns.Data, 2)

	requireSameList(t, []*stripekit.OrderReturn{ourOrderReturn(rest), ourOrderReturn(one)},
		f.ours.Orders.Returns(ctx, stripekit.OrderReturnListParams{Order: &created.ID}))
	refund, err := f.ours.Refunds.Get(ctx, rest.Refund.ID)
	require.NoError(t, err)
	require.Equal(t, rest.Amount, refund.Amount)
	charge, err = f.ours.Charges.Get(ctx, order.Charge.ID)
	require.NoError(t, err)
	require.True(t, charge.Refunded)
}

func TestOldStripeGoStoryOfAnOrderThatIsCanceled(t *testing.T) {
	f := newLegacyFake(t)
	order := f.create(t, f.customer(t))
	declined := &stripe72.OrderPayParams{}
	require.NoError(t, declined.SetSource("tok_chargeDeclined"))
	_, err := f.theirs.Orders.Pay(order.ID, declined)
	var failed *stripe72.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, http.StatusPaymentRequired, failed.HTTPStatusCode)
	require.Equal(t, "created", f.requireSameOrder(t, order.ID).Status, "and can be paid still")

	_, err = f.theirs.Orders.Pay(order.ID, &stripe72.OrderPayParams{})
	require.NoError(t, err)
	all, err := f.theirs.Orders.Return(order.ID, &stripe72.OrderReturnParams{})
	require.NoError(t, err)
	require.Equal(t, order.Amount, all.Amount)
	require.Equal(t, "canceled", f.requireSameOrder(t, order.ID).Status)

	_, err = f.theirs.Orders.Return(order.ID, &stripe72.OrderReturnParams{})
	require.ErrorAs(t, err, &failed)
	require.Equal(t, http.StatusBadRequest, failed.HTTPStatusCode)
	_, err = f.ours.Orders.Return(t.Context(), order.ID, stripekit.OrderReturnParams{})
	ours, _ := ourFailure(t, err)
	require.Empty(t, cmp.Diff(failure{
		failed.HTTPStatusCode, string(failed.Type), string(failed.Code), string(failed.DeclineCode), failed.Param, failed.Msg,
	}, ours))
}

func TestOldStripeGoStoryOfManyOrders(t *testing.T) {
	f := newLegacyFake(t)
	customer := f.customer(t)
	var paid []string
	for n := range 7 {
		order := f.create(t, customer)
		if n%2 == 0 {
			_, err := f.theirs.Orders.Pay(order.ID, &stripe72.OrderPayParams{})
			require.NoError(t, err)
			_, err = f.theirs.Orders.Return(order.ID, &stripe72.OrderReturnParams{Items: []*stripe72.OrderItemParams{{Type: new("tax")}}})
			require.NoError(t, err)
			paid = append(paid, order.ID)
		}
		f.second.Add(int64(n % 3 / 2)) // some orders share a second
	}
	all := f.list(t, &stripe72.OrderListParams{})
	require.Len(t, all, 7)
	for _, limit := range []int{1, 2, 3, 7} {
		down := &stripe72.OrderListParams{}
		down.Limit = new(int64(limit))
		require.Empty(t, cmp.Diff(all, f.list(t, down)))
		requireSameList(t, all, f.ours.Orders.List(t.Context(), stripekit.OrderListParams{ListParams: stripekit.ListParams{Limit: limit}}))

		up := &stripe72.OrderListParams{}
		up.Limit, up.EndingBefore = new(int64(limit)), &all[6].ID
		newer := f.list(t, up)
		require.Len(t, newer, 6)
		require.Equal(t, all[5].ID, newer[0].ID, "upward is oldest first")
		requireSameList(t, newer, f.ours.Orders.List(t.Context(), stripekit.OrderListParams{ListParams: stripekit.ListParams{Limit: limit, EndingBefore: all[6].ID}}))

		returns := &stripe72.OrderReturnListParams{}
		returns.Limit = new(int64(limit))
		returned := f.listReturns(t, returns)
		require.Len(t, returned, len(paid))
		requireSameList(t, returned, f.ours.Orders.Returns(t.Context(), stripekit.OrderReturnListParams{ListParams: stripekit.ListParams{Limit: limit}}))
	}
	byStatus := f.list(t, &stripe72.OrderListParams{Status: new("paid"), Customer: &customer})
	require.Len(t, byStatus, len(paid))
	requireSameList(t, byStatus, f.ours.Orders.List(t.Context(), stripekit.OrderListParams{Status: new("paid"), Customer: &customer}))
}

func (f *legacyFake) list(t *testing.T, params *stripe72.OrderListParams) []*stripekit.Order {
	t.Helper()
	var all []*stripekit.Order
	list := f.theirs.Orders.List(params)
	for len(all) < endless && list.Next() {
		all = append(all, ourOrder(list.Order()))
	}
	require.NoError(t, list.Err())
	return all
}

func (f *legacyFake) listReturns(t *testing.T, params *stripe72.OrderReturnListParams) []*stripekit.OrderReturn {
	t.Helper()
	var all []*stripekit.OrderReturn
	list := f.theirs.OrderReturns.List(params)
	for len(all) < endless && list.Next() {
		all = append(all, ourOrderReturn(list.OrderReturn()))
	}
	require.NoError(t, list.Err())
	return all
}
