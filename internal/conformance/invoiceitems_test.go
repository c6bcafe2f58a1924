package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func invoiceItemOperations() []operation {
	return []operation{
		{
			name:     "InvoiceItems.Create",
			params:   invoiceItemCreate(),
			required: []string{"Amount", "Currency", "Customer"}, // Customer is not required in older versions
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.InvoiceItemCreateParams) error {
				return got(c.InvoiceItems.Create(ctx, p))
			}),
		},
		{
			name: "InvoiceItems.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				item, err := c.InvoiceItems.Get(ctx, "ii_123")
				return is("ii_123", item, err, func() string { return item.ID })
			},
		},
		{
			name:   "InvoiceItems.Update",
			params: invoiceItemUpdate(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.InvoiceItemUpdateParams) error {
				return got(c.InvoiceItems.Update(ctx, "ii_123", p))
			}),
		},
		{
			name: "InvoiceItems.Delete",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				item, err := c.InvoiceItems.Delete(ctx, "ii_123")
				return is("ii_123", item, err, func() string { return deleted(item.ID, item.Deleted) })
			},
		},
		{
			name:   "InvoiceItems.List",
			params: invoiceItemList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.InvoiceItemListParams) error {
				return some(c.InvoiceItems.List(ctx, p))
			}),
		},
		{
			name:   "InvoiceItems.Page",
			params: invoiceItemList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.InvoiceItemListParams) error {
				return filled(c.InvoiceItems.Page(ctx, p))
			}),
		},
	}
}

func invoiceItemCreate() stripekit.InvoiceItemCreateParams {
	return stripekit.InvoiceItemCreateParams{
		Amount:            new(int64(-100)),
		Currency:          new("usd"),
		Customer:          new("cus_123"),
		CustomerAccount:   new("acct_123"),
		Description:       new("a description"),
		Discountable:      new(false),
		Discounts:         []stripekit.DiscountParams{{Coupon: new("coupon"), Discount: new("di_123"), PromotionCode: new("promo_123")}},
		Invoice:           new("in_123"),
		Metadata:          stripekit.Metadata{"order": "6735"},
		Period:            &stripekit.Period{Start: 1700000000, End: 1700000001},
		PriceData:         priceData(),
		Pricing:           &stripekit.InvoiceItemPricingParams{Price: new("price_123")},
		Quantity:          new(int64(2)),
		QuantityDecimal:   new("2.5"),
		Subscription:      new("sub_123"),
		TaxBehavior:       new("exclusive"),
		TaxCode:           new("txcd_123"),
		TaxRates:          []string{"txr_1", "txr_2"},
		UnitAmountDecimal: new("10.5"),
		Extra:             stripekit.Extra{"expand": []string{"customer"}},
	}
}

func priceData() *stripekit.PriceDataParams {
	return &stripekit.PriceDataParams{
		Currency: "usd", Product: "prod_123", TaxBehavior: new("inclusive"), UnitAmount: new(int64(10)), UnitAmountDecimal: new("10.5"),
	}
}

func invoiceItemUpdate() stripekit.InvoiceItemUpdateParams {
	from := invoiceItemCreate()
	return stripekit.InvoiceItemUpdateParams{
		Amount:            from.Amount,
		Description:       from.Description,
		Discountable:      from.Discountable,
		Discounts:         from.Discounts,
		Metadata:          from.Metadata,
		Period:            from.Period,
		PriceData:         from.PriceData,
		Pricing:           from.Pricing,
		Quantity:          from.Quantity,
		QuantityDecimal:   from.QuantityDecimal,
		TaxBehavior:       from.TaxBehavior,
		TaxCode:           from.TaxCode,
		TaxRates:          from.TaxRates,
		UnitAmountDecimal: from.UnitAmountDecimal,
		Extra:             from.Extra,
	}
}

func invoiceItemList() stripekit.InvoiceItemListParams {
	return stripekit.InvoiceItemListParams{
		ListParams:      listParams(),
		Customer:        new("cus_123"),
		CustomerAccount: new("acct_123"),
		Invoice:         new("in_123"),
		Pending:         new(false),
		Extra:           stripekit.Extra{"expand": []string{"data.customer"}},
	}
}
