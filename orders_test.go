package stripekit_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

const sentItem = "items[0][description]=d&items[0][parent]=sku_1&items[0][quantity]=2&items[0][type]=sku"

func TestOrdersSendEveryParameter(t *testing.T) {
	create := full(t, stripekit.OrderCreateParams{
		Currency: "usd", Coupon: new("c10"), Customer: new("cus_1"), Email: new("a@b.c"), Items: []stripekit.OrderItemParams{
			{Amount: new(int64(7)), Currency: new("usd"), Description: new("d"), Parent: new("sku_1"), Quantity: new(int64(2)), Type: new("sku")},
		},
		Metadata: stripekit.Metadata{"k": "v"}, Shipping: &someShipping, Extra: stripekit.Extra{"x": 1},
	})
	update := full(t, stripekit.OrderUpdateParams{
		Coupon: new("c10"), Metadata: stripekit.Metadata{"k": "v"}, SelectedShippingMethod: new("ship_1"),
		Shipping: &stripekit.OrderTrackingParams{Carrier: "DHL", TrackingNumber: "T1"}, Status: new("fulfilled"), Extra: stripekit.Extra{"x": 1},
	})
	pay := full(t, stripekit.OrderPayParams{
		ApplicationFee: new(int64(3)), Customer: new("cus_1"), Email: new("a@b.c"), Metadata: stripekit.Metadata{"k": "v"}, Source: new("tok_visa"),
		Extra: stripekit.Extra{"x": 1},
	})
	back := full(t, stripekit.OrderReturnParams{Items: []stripekit.OrderReturnItemParams{
		{Amount: new(int64(7)), Description: new("d"), Parent: new("sku_1"), Quantity: new(int64(2)), Type: new("sku")},
	}, Extra: stripekit.Extra{"x": 1}})

	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Create(ctx, create)) },
			sentRequest{"POST", "/v1/orders", "currency=usd&coupon=c10&customer=cus_1&email=a@b.c&items[0][amount]=7&items[0][currency]=usd&" + sentItem +
				"&metadata[k]=v&" + sentShipping + "&x=1"},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Get(ctx, "or_1")) },
			sentRequest{"GET", "/v1/orders/or_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Orders.Update(ctx, "or_1", update))
			},
			sentRequest{"POST", "/v1/orders/or_1", "coupon=c10&metadata[k]=v&selected_shipping_method=ship_1&shipping[carrier]=DHL" +
				"&shipping[tracking_number]=T1&status=fulfilled&x=1"},
		},
		"pay": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Pay(ctx, "or_1", pay)) },
			sentRequest{"POST", "/v1/orders/or_1/pay", "application_fee=3&customer=cus_1&email=a@b.c&metadata[k]=v&source=tok_visa&x=1"},
		},
		"return": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Return(ctx, "or_1", back)) },
			sentRequest{"POST", "/v1/orders/or_1/returns", "items[0][amount]=7&" + sentItem + "&x=1"},
		},
		"return of all": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Orders.Return(ctx, "or_1", stripekit.OrderReturnParams{}))
			},
			sentRequest{"POST", "/v1/orders/or_1/returns", ""},
		},
	})
}

func TestOrderListsSendEveryFilter(t *testing.T) {
	filter := full(t, stripekit.OrderListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Customer: new("cus_1"), IDs: []string{"or_1"}, Status: new("paid"), StatusTransitions: &stripekit.OrderStatusTransitionsParams{Canceled: &someCreated, Fulfilled: &someCreated, Paid: &someCreated, Returned: &someCreated}, UpstreamIDs: []string{"a", "b"}, Extra: stripekit.Extra{"x": 1}})
	returns := full(t, stripekit.OrderReturnListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Order: new("or_1"), Extra: stripekit.Extra{"x": 1}})
	transitions := ""
	for _, status := range []string{"canceled", "fulfilled", "paid", "returned"} {
		in := "&status_transitions[" + status + "]"
		transitions += in + "[gt]=1" + in + "[gte]=2" + in + "[lt]=3" + in + "[lte]=4"
	}
	sentFilter := sentCreated + "&customer=cus_1&ids[0]=or_1&status=paid" + transitions + "&upstream_ids[0]=a&upstream_ids[1]=b&x=1"
	const sentReturns = sentCreated + "&order=or_1&x=1"

	requireOperations(t, map[string]operation{
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Orders.List(ctx, filter)) },
			sentRequest{"GET", "/v1/orders", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/orders", sentFilter},
		},
		"returns": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Orders.Returns(ctx, returns)) },
			sentRequest{"GET", "/v1/order_returns", sentReturns + "&limit=100"},
		},
		"page of returns": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.ReturnsPage(ctx, returns)) },
			sentRequest{"GET", "/v1/order_returns", sentReturns},
		},
	})
}

func TestIncompleteOrderIsRefusedBeforeARequest(t *testing.T) {
	create := func(p stripekit.OrderCreateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Create(ctx, p)) }
	}
	update := func(p stripekit.OrderUpdateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.Orders.Update(ctx, "or_1", p)) }
	}
	requireParamErrors(t, map[string]refusal{
		"no currency":            {"currency", create(stripekit.OrderCreateParams{Customer: new("cus_1")})},
		"26 items":               {"items", create(stripekit.OrderCreateParams{Currency: "usd", Items: make([]stripekit.OrderItemParams, 26)})},
		"shipping to nobody":     {"shipping[name]", create(stripekit.OrderCreateParams{Currency: "usd", Shipping: &stripekit.Shipping{Phone: "5"}})},
		"shipping to nowhere":    {"shipping[address][line1]", create(stripekit.OrderCreateParams{Currency: "usd", Shipping: &stripekit.Shipping{Name: "Ann"}})},
		"tracking of no carrier": {"shipping[carrier]", update(stripekit.OrderUpdateParams{Shipping: &stripekit.OrderTrackingParams{TrackingNumber: "T1"}})},
		"carrier, no tracking":   {"shipping[tracking_number]", update(stripekit.OrderUpdateParams{Shipping: &stripekit.OrderTrackingParams{Carrier: "DHL"}})},
		"return of 26 items": {"items", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Orders.Return(ctx, "or_1", stripekit.OrderReturnParams{Items: make([]stripekit.OrderReturnItemParams, 26)}))
		}},
	})
	_, client := newTape(t)
	_, err := client.Orders.Create(t.Context(), stripekit.OrderCreateParams{Currency: "usd", Items: make([]stripekit.OrderItemParams, 25)})
	require.NoError(t, err)
}

func TestOrdersPinTheLastVersionThatHasThem(t *testing.T) {
	tests := map[string]struct {
		options []stripekit.Option
		orders  string
		rest    string
	}{
		"by default":     {nil, stripekit.OrdersAPIVersion, stripekit.APIVersion},
		"WithAPIVersion": {[]stripekit.Option{stripekit.WithAPIVersion("2019-09-09")}, "2019-09-09", "2019-09-09"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tp, c := newTape(t, tt.options...)
			ctx := t.Context()
			version := func(err error) string {
				require.NoError(t, err)
				return tp.header.Get("Stripe-Version")
			}
			require.Equal(t, tt.orders, version(done(c.Orders.Get(ctx, "or_1"))))
			require.Equal(t, tt.orders, version(done(c.Orders.Create(ctx, stripekit.OrderCreateParams{Currency: "usd"}))))
			require.Equal(t, tt.orders, version(drained(c.Orders.List(ctx, stripekit.OrderListParams{}))))
			require.Equal(t, tt.orders, version(done(c.Orders.Return(ctx, "or_1", stripekit.OrderReturnParams{}))))
			require.Equal(t, tt.orders, version(drained(c.Orders.Returns(ctx, stripekit.OrderReturnListParams{}))))
			require.Equal(t, tt.rest, version(done(c.Products.Get(ctx, "prod_1"))))
			require.Equal(t, tt.rest, version(done(c.Refunds.Get(ctx, "re_1"))))
			require.Equal(t, tt.rest, version(done(c.InvoiceItems.Get(ctx, "ii_1"))))
		})
	}
}

func TestOrderDecodesInEveryVersion(t *testing.T) {
	read := func(c *stripekit.Client) (*stripekit.Order, error) { return c.Orders.Get(t.Context(), "or_1") }
	shipping := stripekit.OrderShippingMethod{ID: "ship_1", Amount: 5, Currency: "usd", Description: "d"}
	shipping.DeliveryEstimate.Type = "range"
	shipping.DeliveryEstimate.Earliest, shipping.DeliveryEstimate.Latest = "2019-01-01", "2019-01-03"
	var reached stripekit.Order
	reached.StatusTransitions.Fulfilled, reached.StatusTransitions.Paid, reached.StatusTransitions.Returned = 3, 4, 5
	tests := map[string]struct {
		response string
		want     stripekit.Order
	}{
		"returned": {
			`{"id":"or_1","object":"order","amount":1500,"amount_returned":1500,"application":"ca_1","application_fee":7,"charge":"ch_1","created":1,
			"currency":"usd","customer":"cus_1","email":"a@b.c","external_coupon_code":"c10","items":[
			{"object":"order_item","amount":1500,"currency":"usd","description":"T-shirt","parent":{"id":"sku_1","object":"sku"},"quantity":2,"type":"sku"},
			{"object":"order_item","amount":0,"currency":"usd","description":"Taxes","parent":null,"quantity":null,"type":"tax"}],
			"livemode":true,"metadata":{"k":"v"},"returns":{"object":"list","data":[{"id":"orret_1","object":"order_return","amount":1500,"created":2,
			"currency":"usd","items":[{"amount":1500,"parent":"sku_1","type":"sku"}],"livemode":true,"order":"or_1","refund":"re_1"}],
			"has_more":false,"total_count":1,"url":"/v1/order_returns?order=or_1"},"selected_shipping_method":"ship_1",
			"shipping":{"name":"Ann","phone":"55","address":{"line1":"1 Way","line2":null},"carrier":"DHL","tracking_number":null},
			"shipping_methods":[{"id":"ship_1","amount":5,"currency":"usd","delivery_estimate":{"type":"range","earliest":"2019-01-01","latest":"2019-01-03"},
			"description":"d"}],"status":"returned","status_transitions":{"canceled":null,"fulfiled":3,"paid":4,"returned":5},"updated":6,"upstream_id":"u1"}`,
			stripekit.Order{
				ID: "or_1", Amount: 1500, AmountReturned: 1500, Application: "ca_1", ApplicationFee: 7, Charge: stripekit.Ref[stripekit.Charge]{ID: "ch_1"},
				Created: 1, Currency: "usd", Customer: stripekit.Ref[stripekit.Customer]{ID: "cus_1"}, Email: "a@b.c", ExternalCouponCode: "c10",
				Items: []stripekit.OrderItem{
					{
						Amount: 1500, Currency: "usd", Description: "T-shirt", Quantity: 2, Type: "sku",
						Parent: stripekit.Ref[stripekit.ObjectID]{ID: "sku_1", Object: &stripekit.ObjectID{ID: "sku_1"}},
					},
					{Currency: "usd", Description: "Taxes", Type: "tax"},
				},
				Livemode: true, Metadata: stripekit.Metadata{"k": "v"},
				Returns: &stripekit.Page[stripekit.OrderReturn]{URL: "/v1/order_returns?order=or_1", Data: []*stripekit.OrderReturn{{
					ID: "orret_1", Amount: 1500, Created: 2, Currency: "usd", Livemode: true,
					Items: []stripekit.OrderItem{{Amount: 1500, Parent: stripekit.Ref[stripekit.ObjectID]{ID: "sku_1"}, Type: "sku"}},
					Order: stripekit.Ref[stripekit.Order]{ID: "or_1"}, Refund: stripekit.Ref[stripekit.Refund]{ID: "re_1"},
				}}},
				SelectedShippingMethod: "ship_1",
				Shipping:               &stripekit.Shipping{Name: "Ann", Phone: "55", Address: stripekit.Address{Line1: "1 Way"}, Carrier: "DHL"},
				ShippingMethods:        []stripekit.OrderShippingMethod{shipping},
				Status:                 "returned", StatusTransitions: reached.StatusTransitions, Updated: 6, UpstreamID: "u1",
			},
		},
		"new, all null": {
			`{"id":"or_1","amount":1500,"amount_returned":null,"application":null,"application_fee":null,"charge":null,"customer":null,"email":null,
			"items":[],"metadata":null,"returns":null,"selected_shipping_method":null,"shipping":null,"shipping_methods":null,"status":"created",
			"status_transitions":null,"updated":null}`,
			stripekit.Order{ID: "or_1", Amount: 1500, Items: []stripekit.OrderItem{}, Status: "created"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { requireDecodes(t, tt.response, tt.want, read) })
	}
}
