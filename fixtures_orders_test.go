package stripekit_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

// recordedInvoiceItem is the invoice item in the fixtures of a version.
func recordedInvoiceItem(version string) *stripekit.InvoiceItem {
	item := &stripekit.InvoiceItem{
		Amount:       1000,
		Currency:     "usd",
		Date:         1234567890,
		Description:  "My First Invoice Item (created for API docs)",
		Discountable: true,
		Metadata:     stripekit.Metadata{},
		Quantity:     1,
	}
	item.Customer.ID = recordedCustomer(version).ID
	switch version {
	case "2017-08-15": // before quantities and unit amounts
		item.ID = "ii_1B2a1d2eZvKYlo2C5qKkQmsz"
		item.Amount = 2500
		item.Description = "One-time setup fee"
		item.Invoice.ID = "in_1BHo7E2eZvKYlo2C2Bfb6bdY"
		item.Period = stripekit.Period{Start: 1505544217, End: 1505544217}
		item.Quantity = 0
	case "2019-09-09":
		item.ID = "ii_1FFSmVLnOvDBaStmfQPQo8CR"
		item.Period = stripekit.Period{Start: 1567719979, End: 1567719979}
		item.UnitAmount, item.UnitAmountDecimal = 1000, "1000"
	case "2020-08-27":
		item.ID = "ii_1KgBfXIm8RH2RWoAS4uyUkn7"
		item.Discounts = []stripekit.Ref[stripekit.Discount]{}
		item.Period = stripekit.Period{Start: 1647970735, End: 1647970735}
		item.Price = stripekit.Ref[stripekit.Price]{ID: "price_1Kg9WrIm8RH2RWoAf1WMLqye", Object: &stripekit.Price{
			ID:                "price_1Kg9WrIm8RH2RWoAf1WMLqye",
			Active:            true,
			Created:           1647962509,
			Currency:          "usd",
			Metadata:          stripekit.Metadata{},
			Product:           stripekit.Ref[stripekit.Product]{ID: "prod_LMtJIMcMSaaJq3"},
			TaxBehavior:       "unspecified",
			Type:              "one_time",
			UnitAmount:        1000,
			UnitAmountDecimal: "1000",
		}}
		item.UnitAmount, item.UnitAmountDecimal = 1000, "1000"
	case stripekit.APIVersion: // stripe-mock makes up a part of it
		subscription := stripekit.Ref[stripekit.ObjectID]{ID: "subscription"}
		item.ID = "ii_1Pgc6sB7WZ01zgkWrG16hkdl"
		item.Discounts = []stripekit.Ref[stripekit.Discount]{}
		item.NetAmount = 708769478
		item.Parent = &stripekit.InvoiceItemParent{Type: "subscription_details"}
		item.Parent.SubscriptionDetails.Subscription = subscription
		item.Period = stripekit.Period{Start: 1721954054, End: 1721954054}
		item.Pricing = &stripekit.InvoiceItemPricing{Type: "price_details"}
		item.QuantityDecimal = "174352450"
		item.Subscription = subscription
	}
	return item
}

func createdInvoiceItem(version, id string) *stripekit.InvoiceItem {
	item := recordedInvoiceItem(version)
	item.ID = id
	item.Amount = 1000
	return item
}

func invoiceItemRecordings() map[string]recording {
	return map[string]recording{
		"invoiceitem": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/invoiceitems/ii_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.InvoiceItems.Get(ctx, "ii_1") },
			want:     itself(recordedInvoiceItem),
		},
		"invoiceitem_created": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/invoiceitems", params: "customer=cus_1&amount=1000&currency=usd"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{
					Customer: new("cus_1"), Amount: new(int64(1000)), Currency: new("usd"),
				})
			},
			want: drawn(createdInvoiceItem),
		},
		"invoiceitems_page": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/invoiceitems"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.InvoiceItems.Page(ctx, stripekit.InvoiceItemListParams{})
			},
			want: onPage(recordedInvoiceItem),
		},
	}
}

// recordedOrder is the order in the fixtures of a version. Its return belongs to
// another order, except in the first version.
func recordedOrder(version string) *stripekit.Order {
	order := &stripekit.Order{
		Amount:   1500,
		Created:  1234567890,
		Currency: "usd",
		Items:    recordedOrderItems(version),
		Metadata: stripekit.Metadata{},
		Shipping: &stripekit.Shipping{
			Name:    "Jenny Rosen",
			Address: stripekit.Address{City: "San Francisco", Country: "US", Line1: "1234 Fake Street", PostalCode: "94102"},
		},
		Status:  "created",
		Updated: 1234567890,
	}
	switch version {
	case "2017-08-15":
		order.ID = "or_1B2a0s2eZvKYlo2C9CUh8JwG"
		order.AmountReturned = 1500
		order.Charge.ID = "ch_1BHo6a2eZvKYlo2CWENtmO3E"
		order.Email = "anthony.anderson@example.com"
		order.SelectedShippingMethod = "ship_free-shipping"
		order.Shipping.Name = "Jacob Taylor"
		order.Shipping.Address.Line1, order.Shipping.Address.PostalCode = "1234 Main Street", "94111"
		order.ShippingMethods = []stripekit.OrderShippingMethod{
			{ID: "ship_free-shipping", Currency: "usd", Description: "Free shipping"},
		}
		order.Status = "canceled"
		order.StatusTransitions.Canceled, order.StatusTransitions.Paid = 1509173265, 1509173261
	case "2019-09-09":
		order.ID = "or_1FFSmVLnOvDBaStmBTsF3xW0"
		order.Items[0].Parent.ID = "sk_1FFSmNLnOvDBaStmfTeLmD4y"
	case "2020-08-27":
		order.ID = "or_1KgBfdIm8RH2RWoAFz8lCpIX"
		order.Shipping.Address.State = "CA"
	}
	order.Returns = &stripekit.Page[stripekit.OrderReturn]{
		Data: []*stripekit.OrderReturn{recordedOrderReturn(version)},
		URL:  "/v1/order_returns?order=" + order.ID,
	}
	return order
}

func recordedOrderReturn(version string) *stripekit.OrderReturn {
	back := &stripekit.OrderReturn{
		Amount:   1500,
		Created:  1234567890,
		Currency: "usd",
		Items:    recordedOrderItems(version),
	}
	switch version {
	case "2017-08-15": // before it had its refund
		back.ID = "orret_1B2a132eZvKYlo2CQw5Cp2zS"
		back.Order.ID = "or_1B2a0s2eZvKYlo2C9CUh8JwG"
	case "2019-09-09":
		back.ID = "orret_1FFSmVLnOvDBaStmapY6spsk"
		back.Order.ID = "or_1FFSmVLnOvDBaStmpamE569v"
		back.Refund.ID = "re_1FFSmVLnOvDBaStmLe9aRsQz"
	case "2020-08-27":
		back.ID = "orret_1KgBfdIm8RH2RWoAidmYVsx0"
		back.Order.ID = "or_1KgBfdIm8RH2RWoA8nFobxNE"
		back.Refund.ID = "re_1KgBfdIm8RH2RWoA5OnukDnt"
	}
	return back
}

// recordedOrderItems are the lines of the order and of a return.
func recordedOrderItems(version string) []stripekit.OrderItem {
	goods := stripekit.OrderItem{Amount: 1500, Currency: "usd", Description: "T-shirt", Quantity: 1, Type: "sku"}
	switch version {
	case "2017-08-15":
		goods.Parent.ID = "sku_BPOovVRNhXMshq"
		taxes := stripekit.OrderItem{Currency: "usd", Description: "Taxes (included)", Type: "tax"}
		shipping := stripekit.OrderItem{Currency: "usd", Description: "Free shipping", Type: "shipping"}
		shipping.Parent.ID = "ship_free-shipping"
		return []stripekit.OrderItem{goods, taxes, shipping}
	case "2019-09-09": // where the quantity is null
		goods.Description, goods.Quantity = "Gold Special", 0
		goods.Parent.ID = "sk_1FFSmVLnOvDBaStmNAybhGJX"
	case "2020-08-27":
		goods.Parent.ID = "sk_1KgBfdIm8RH2RWoAbVYxJE35"
	}
	return []stripekit.OrderItem{goods}
}

func orderRecordings() map[string]recording {
	versions := fixtureVersions[:3] // the last one has no orders
	return map[string]recording{
		"order": {
			versions: versions,
			request:  served{method: "GET", path: "/v1/orders/or_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Orders.Get(ctx, "or_1") },
			want:     itself(recordedOrder),
		},
		"orders_page": {
			versions: versions,
			request:  served{method: "GET", path: "/v1/orders"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Orders.Page(ctx, stripekit.OrderListParams{})
			},
			want: onPage(recordedOrder),
		},
		"order_return": {
			versions: versions,
			request:  served{method: "POST", path: "/v1/orders/or_1/returns"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Orders.Return(ctx, "or_1", stripekit.OrderReturnParams{})
			},
			want: itself(recordedOrderReturn),
		},
		"order_returns_page": {
			versions: versions,
			request:  served{method: "GET", path: "/v1/order_returns"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Orders.ReturnsPage(ctx, stripekit.OrderReturnListParams{})
			},
			want: onPage(recordedOrderReturn),
		},
	}
}

// recordedProduct is the product in the fixtures of a version.
func recordedProduct(version string) *stripekit.Product {
	product := &stripekit.Product{
		Active:      true,
		Created:     1234567890,
		Description: "Comfortable gray cotton t-shirt",
		Images:      []string{},
		Metadata:    stripekit.Metadata{},
		Name:        "T-shirt",
		Updated:     1234567890,
	}
	switch version {
	case "2017-08-15": // stripe-mock has fewer fields
		product.ID = "prod_AJ7gAXvktPRvvh"
		product.Active = false
		product.Attributes, product.DeactivateOn = []string{}, []string{}
		product.Description, product.Name = "", "Test"
	case "2019-09-09":
		product.ID = "prod_Fkyj0sbtIUP8Sw"
		product.Attributes, product.DeactivateOn = []string{}, []string{}
		product.Description, product.Name = "", "Gold Special"
		product.Type = "service"
	case "2020-08-27":
		product.ID = "prod_LMtJIMcMSaaJq3"
	case stripekit.APIVersion:
		product.ID = "prod_QXg1hqf4jFNsqG"
		product.DefaultPrice.ID = "price_1PgafmB7WZ01zgkW02Hf9z6c"
		product.MarketingFeatures = []stripekit.MarketingFeature{}
		product.PackageDimensions = &stripekit.PackageDimensions{Height: 1221029593, Length: 1106363674, Weight: 791592328, Width: 113126854}
	}
	return product
}

func createdProduct(version, id string) *stripekit.Product {
	product := recordedProduct(version)
	product.ID = id
	product.Name = "T-shirt"
	if version == "2019-09-09" {
		product.Type = "good"
	}
	return product
}

func productRecordings() map[string]recording {
	return map[string]recording{
		"product": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/products/prod_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Products.Get(ctx, "prod_1") },
			want:     itself(recordedProduct),
		},
		"product_created": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/products", params: "name=T-shirt"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Products.Create(ctx, stripekit.ProductCreateParams{Name: "T-shirt"})
			},
			want: drawn(createdProduct),
		},
		"products_page": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/products"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Products.Page(ctx, stripekit.ProductListParams{})
			},
			want: onPage(recordedProduct),
		},
		"products_search": {
			versions: fixtureVersions[3:],
			request:  served{method: "GET", path: "/v1/products/search", params: `query=active:"true"&limit=100`},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return everything(c.Products.Search(ctx, `active:"true"`))
			},
			want: foundAlone(recordedProduct),
		},
	}
}

// recordedRefund is the refund in the fixtures of a version.
func recordedRefund(version string) *stripekit.Refund {
	refund := &stripekit.Refund{
		Amount:   100,
		Created:  1234567890,
		Currency: "usd",
		Metadata: stripekit.Metadata{},
		Status:   "succeeded",
	}
	refund.Charge.ID = recordedCharge(version).ID
	switch version {
	case "2017-08-15":
		refund.ID = "re_1B2aHR2eZvKYlo2ClqiWjlI2"
		refund.Amount = 1000
		refund.BalanceTransaction.ID = "txn_1BHr1p2eZvKYlo2C0eMVwL9d"
		refund.Charge.ID = "ch_1B2aHQ2eZvKYlo2CeUg9DBV6"
	case "2019-09-09":
		refund.ID = "re_1FFSmULnOvDBaStmTE0ZzWst"
	case "2020-08-27":
		refund.ID = "re_1KgBfUIm8RH2RWoAoeler9od"
	case stripekit.APIVersion:
		refund.ID = "re_1Pgc72B7WZ01zgkWqPvrRrPE"
	}
	return refund
}

func createdRefund(version, id string) *stripekit.Refund {
	refund := recordedRefund(version)
	refund.ID = id
	refund.Amount = 500
	refund.Charge.ID = recordedCharge(version).ID
	return refund
}

func refundRecordings() map[string]recording {
	return map[string]recording{
		"refund": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/refunds/re_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Refunds.Get(ctx, "re_1") },
			want:     itself(recordedRefund),
		},
		"refund_created": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/refunds", params: "charge=ch_1&amount=500"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: new("ch_1"), Amount: new(int64(500))})
			},
			want: drawn(createdRefund),
		},
		"refunds_page": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/refunds"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Refunds.Page(ctx, stripekit.RefundListParams{})
			},
			want: onPage(recordedRefund),
		},
	}
}
