package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func orderOperations() []operation {
	return []operation{
		{
			name:     "Orders.Create",
			params:   orderCreate(),
			required: []string{"Currency"},
			never:    []string{"Shipping.Carrier", "Shipping.TrackingNumber"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderCreateParams) error {
				return got(c.Orders.Create(ctx, p))
			}),
		},
		{
			name: "Orders.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				order, err := c.Orders.Get(ctx, "or_123")
				return is("or_123", order, err, func() string { return order.ID })
			},
		},
		{
			name:   "Orders.Update",
			params: orderUpdate(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderUpdateParams) error {
				return got(c.Orders.Update(ctx, "or_123", p))
			}),
		},
		{
			name:   "Orders.Pay",
			params: orderPay(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderPayParams) error {
				return got(c.Orders.Pay(ctx, "or_123", p))
			}),
		},
		{
			name:   "Orders.Return",
			params: orderReturn(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderReturnParams) error {
				return got(c.Orders.Return(ctx, "or_123", p))
			}),
		},
		{
			name:   "Orders.List",
			params: orderList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderListParams) error {
				return some(c.Orders.List(ctx, p))
			}),
		},
		{
			name:   "Orders.Page",
			params: orderList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderListParams) error {
				return filled(c.Orders.Page(ctx, p))
			}),
		},
		{
			name:   "Orders.Returns",
			params: orderReturnList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderReturnListParams) error {
				return some(c.Orders.Returns(ctx, p))
			}),
		},
		{
			name:   "Orders.ReturnsPage",
			params: orderReturnList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.OrderReturnListParams) error {
				return filled(c.Orders.ReturnsPage(ctx, p))
			}),
		},
	}
}

func orderCreate() stripekit.OrderCreateParams {
	return stripekit.OrderCreateParams{
		Currency: "usd",
		Coupon:   new("coupon"),
		Customer: new("cus_123"),
		Email:    new("jenny@example.com"),
		Items: []stripekit.OrderItemParams{
			{
				Amount: new(int64(1500)), Currency: new("usd"), Description: new("a line"),
				Parent: new("sku_123"), Quantity: new(int64(2)), Type: new("sku"),
			},
			{Amount: new(int64(100)), Type: new("tax")},
		},
		Metadata: stripekit.Metadata{"order": "6735"},
		Shipping: &stripekit.Shipping{Name: "Jenny", Phone: "+49", Address: address()},
		Extra:    stripekit.Extra{"expand": []string{"charge"}},
	}
}

func orderUpdate() stripekit.OrderUpdateParams {
	return stripekit.OrderUpdateParams{
		Coupon:                 new("coupon"),
		Metadata:               stripekit.Metadata{"order": "6735"},
		SelectedShippingMethod: new("ship_123"),
		Shipping:               &stripekit.OrderTrackingParams{Carrier: "DHL", TrackingNumber: "1"},
		Status:                 new("fulfilled"),
		Extra:                  stripekit.Extra{"expand": []string{"charge"}},
	}
}

func orderPay() stripekit.OrderPayParams {
	return stripekit.OrderPayParams{
		ApplicationFee: new(int64(10)),
		Customer:       new("cus_123"),
		Email:          new("jenny@example.com"),
		Metadata:       stripekit.Metadata{"order": "6735"},
		Source:         new("tok_visa"),
		Extra:          stripekit.Extra{"expand": []string{"charge"}},
	}
}

func orderReturn() stripekit.OrderReturnParams {
	return stripekit.OrderReturnParams{
		Items: []stripekit.OrderReturnItemParams{
			{
				Amount: new(int64(1500)), Description: new("a line"), Parent: new("sku_123"),
				Quantity: new(int64(1)), Type: new("sku"),
			},
			{Amount: new(int64(100)), Type: new("tax")},
		},
		Extra: stripekit.Extra{"expand": []string{"refund"}},
	}
}

func orderList() stripekit.OrderListParams {
	return stripekit.OrderListParams{
		ListParams: listParams(),
		Customer:   new("cus_123"),
		IDs:        []string{"or_1", "or_2"},
		Status:     new("paid"),
		StatusTransitions: &stripekit.OrderStatusTransitionsParams{
			Canceled: created(), Fulfilled: created(), Paid: created(), Returned: created(),
		},
		UpstreamIDs: []string{"up_1", "up_2"},
		Extra:       stripekit.Extra{"expand": []string{"data.charge"}},
	}
}

func orderReturnList() stripekit.OrderReturnListParams {
	return stripekit.OrderReturnListParams{
		ListParams: listParams(),
		Order:      new("or_123"),
		Extra:      stripekit.Extra{"expand": []string{"data.refund"}},
	}
}
