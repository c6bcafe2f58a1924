package stripekit_test

import (
	"context"
	"testing"

	"github.com/stripekit/stripekit"
)

func fullInvoiceItem(t *testing.T) (stripekit.InvoiceItemCreateParams, stripekit.InvoiceItemUpdateParams) {
	create := full(t, stripekit.InvoiceItemCreateParams{
		Amount: new(int64(-5)), Currency: new("usd"), Customer: new("cus_1"), CustomerAccount: new("acct_1"), Description: new("d"),
		Discountable: new(false), Discounts: []stripekit.DiscountParams{{Coupon: new("c10"), Discount: new("di_1"), PromotionCode: new("promo_1")}},
		Invoice: new("in_1"), Metadata: stripekit.Metadata{"k": "v"}, Period: &stripekit.Period{Start: 1, End: 2},
		PriceData: &stripekit.PriceDataParams{
			Currency: "usd", Product: "prod_1", TaxBehavior: new("inclusive"), UnitAmount: new(int64(3)), UnitAmountDecimal: new("3.5"),
		},
		Pricing: &stripekit.InvoiceItemPricingParams{Price: new("price_1")}, Quantity: new(int64(0)), QuantityDecimal: new("1.5"),
		Subscription: new("sub_1"), TaxBehavior: new("exclusive"), TaxCode: new("txcd_1"), TaxRates: []string{"txr_1"},
		UnitAmountDecimal: new("4.5"), Extra: stripekit.Extra{"unit_amount": 4},
	})
	update := full(t, stripekit.InvoiceItemUpdateParams{
		Amount: create.Amount, Description: create.Description, Discountable: create.Discountable, Discounts: create.Discounts,
		Metadata: create.Metadata, Period: create.Period, PriceData: create.PriceData, Pricing: create.Pricing, Quantity: create.Quantity,
		QuantityDecimal: create.QuantityDecimal, TaxBehavior: create.TaxBehavior, TaxCode: create.TaxCode, TaxRates: create.TaxRates,
		UnitAmountDecimal: create.UnitAmountDecimal, Extra: create.Extra,
	})
	return create, update
}

func TestInvoiceItemsSendEveryParameter(t *testing.T) {
	create, update := fullInvoiceItem(t)
	filter := full(t, stripekit.InvoiceItemListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Customer: new("cus_1"), CustomerAccount: new("acct_1"), Invoice: new("in_1"), Pending: new(false), Extra: stripekit.Extra{"x": 1}})
	const (
		discounts = "description=d&discountable=false&discounts[0][coupon]=c10&discounts[0][discount]=di_1&discounts[0][promotion_code]=promo_1"
		pricing   = "metadata[k]=v&period[start]=1&period[end]=2&price_data[currency]=usd&price_data[product]=prod_1&price_data[tax_behavior]=inclusive" +
			"&price_data[unit_amount]=3&price_data[unit_amount_decimal]=3.5&pricing[price]=price_1&quantity=0&quantity_decimal=1.5"
		tax        = "tax_behavior=exclusive&tax_code=txcd_1&tax_rates[0]=txr_1&unit_amount_decimal=4.5&unit_amount=4"
		sentFilter = sentCreated + "&customer=cus_1&customer_account=acct_1&invoice=in_1&pending=false&x=1"
	)
	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.InvoiceItems.Create(ctx, create)) },
			sentRequest{"POST", "/v1/invoiceitems", "amount=-5&currency=usd&customer=cus_1&customer_account=acct_1&" + discounts + "&invoice=in_1&" +
				pricing + "&subscription=sub_1&" + tax},
		},
		"create for an account": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{CustomerAccount: new("acct_1")}))
			},
			sentRequest{"POST", "/v1/invoiceitems", "customer_account=acct_1"},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.InvoiceItems.Get(ctx, "ii_1")) },
			sentRequest{"GET", "/v1/invoiceitems/ii_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.InvoiceItems.Update(ctx, "ii_1", update))
			},
			sentRequest{"POST", "/v1/invoiceitems/ii_1", "amount=-5&" + discounts + "&" + pricing + "&" + tax},
		},
		"delete": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.InvoiceItems.Delete(ctx, "ii_1")) },
			sentRequest{"DELETE", "/v1/invoiceitems/ii_1", ""},
		},
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.InvoiceItems.List(ctx, filter)) },
			sentRequest{"GET", "/v1/invoiceitems", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.InvoiceItems.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/invoiceitems", sentFilter},
		},
	})
}

func TestInvoiceItemOfNobodyIsRefusedBeforeARequest(t *testing.T) {
	create := func(p stripekit.InvoiceItemCreateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.InvoiceItems.Create(ctx, p)) }
	}
	requireParamErrors(t, map[string]refusal{
		"nobody":    {"customer", create(stripekit.InvoiceItemCreateParams{Amount: new(int64(5)), Currency: new("usd")})},
		"empty ids": {"customer", create(stripekit.InvoiceItemCreateParams{Customer: new(""), CustomerAccount: new("")})},
	})
}

func TestInvoiceItemDecodesAlikeInEveryVersion(t *testing.T) {
	read := func(c *stripekit.Client) (*stripekit.InvoiceItem, error) {
		return c.InvoiceItems.Get(t.Context(), "ii_1")
	}
	discount := &stripekit.Discount{ID: "di_2", Coupon: stripekit.Ref[stripekit.Coupon]{ID: "c20"}}
	discount.Source.Coupon.ID, discount.Source.Type = "c20", "coupon"
	parent := &stripekit.InvoiceItemParent{Type: "subscription_details"}
	parent.SubscriptionDetails.Subscription.ID = "sub_1"
	parent.SubscriptionDetails.SubscriptionItem = "si_1"
	pricing := &stripekit.InvoiceItemPricing{Type: "price_details", UnitAmountDecimal: "500"}
	pricing.PriceDetails.Price.ID, pricing.PriceDetails.Product.ID = "price_1", "prod_1"
	tests := map[string]struct {
		response string
		want     stripekit.InvoiceItem
	}{
		"2026": {
			`{"id":"ii_1","object":"invoiceitem","amount":1000,"currency":"usd","customer":"cus_1","customer_account":null,"date":5,"description":null,
			"discountable":true,"discounts":["di_1",{"id":"di_2","source":{"type":"coupon","coupon":"c20"}}],"invoice":null,"livemode":false,"metadata":{},"net_amount":900,
			"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1","subscription_item":"si_1"}},
			"period":{"start":1,"end":2},"pricing":{"type":"price_details","price_details":{"price":"price_1","product":"prod_1"},
			"unit_amount_decimal":"500"},"proration":true,"quantity":2,"quantity_decimal":"2","tax_rates":[],"test_clock":null}`,
			stripekit.InvoiceItem{
				ID: "ii_1", Amount: 1000, Currency: "usd", Customer: stripekit.Ref[stripekit.Customer]{ID: "cus_1"}, Date: 5, Discountable: true,
				Discounts: []stripekit.Ref[stripekit.Discount]{{ID: "di_1"}, {ID: "di_2", Object: discount}},
				Metadata:  stripekit.Metadata{}, NetAmount: 900,
				Parent: parent,
				Period: stripekit.Period{Start: 1, End: 2}, Pricing: pricing,
				Proration: true, Quantity: 2, QuantityDecimal: "2",
				// Fields that are elsewhere in the response:
				Price: stripekit.Ref[stripekit.Price]{ID: "price_1"}, Subscription: stripekit.Ref[stripekit.ObjectID]{ID: "sub_1"},
				SubscriptionItem: "si_1", UnitAmount: 500, UnitAmountDecimal: "500",
			},
		},
		"2020": {
			`{"id":"ii_1","amount":1000,"customer":{"id":"cus_1","account_balance":7},"date":5,"discounts":[{"id":"di_1","coupon":{"id":"c10"}}],
			"invoice":"in_1","plan":{"id":"price_1","object":"plan","amount":500,"product":"prod_1"},
			"price":{"id":"price_1","object":"price","unit_amount":500},"quantity":2,"subscription":"sub_1","unit_amount":500,"unit_amount_decimal":"500"}`,
			stripekit.InvoiceItem{
				ID: "ii_1", Amount: 1000, Date: 5, Invoice: stripekit.Ref[stripekit.ObjectID]{ID: "in_1"}, Quantity: 2,
				Customer: stripekit.Ref[stripekit.Customer]{ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1", Balance: 7}},
				Discounts: []stripekit.Ref[stripekit.Discount]{{ID: "di_1", Object: &stripekit.Discount{
					ID: "di_1", Coupon: stripekit.Ref[stripekit.Coupon]{ID: "c10", Object: &stripekit.Coupon{ID: "c10"}},
				}}},
				Plan: stripekit.Ref[stripekit.Plan]{ID: "price_1", Object: &stripekit.Plan{
					ID: "price_1", Amount: 500, Product: stripekit.Ref[stripekit.Product]{ID: "prod_1"},
				}},
				Price:        stripekit.Ref[stripekit.Price]{ID: "price_1", Object: &stripekit.Price{ID: "price_1", UnitAmount: 500}},
				Subscription: stripekit.Ref[stripekit.ObjectID]{ID: "sub_1"}, UnitAmount: 500, UnitAmountDecimal: "500",
			},
		},
		"2017": {
			`{"id":"ii_1","amount":-1000,"date":5,"description":"d","plan":"gold","proration":false,"quantity":null,"subscription":null,"unit_amount":500}`,
			stripekit.InvoiceItem{
				ID: "ii_1", Amount: -1000, Date: 5, Description: "d", Plan: stripekit.Ref[stripekit.Plan]{ID: "gold"}, UnitAmount: 500,
			},
		},
		"a part of a cent": {
			`{"id":"ii_1","pricing":{"unit_amount_decimal":"0.5"}}`,
			stripekit.InvoiceItem{
				ID: "ii_1", UnitAmountDecimal: "0.5", Pricing: &stripekit.InvoiceItemPricing{UnitAmountDecimal: "0.5"},
			},
		},
		"deleted": {
			`{"id":"ii_1","object":"invoiceitem","deleted":true}`,
			stripekit.InvoiceItem{ID: "ii_1", Deleted: true},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { requireDecodes(t, tt.response, tt.want, read) })
	}
}
