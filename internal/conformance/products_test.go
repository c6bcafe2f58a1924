package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func productOperations() []operation {
	return []operation{
		{
			name:     "Products.Create",
			params:   productCreate(),
			required: []string{"Name"},
			former:   map[string]string{"Attributes": "2017-08-15", "Caption": "2017-08-15", "DeactivateOn": "2017-08-15", "Type": "2019-09-09"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ProductCreateParams) error {
				return got(c.Products.Create(ctx, p))
			}),
		},
		{
			name: "Products.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				product, err := c.Products.Get(ctx, "prod_123")
				return is("prod_123", product, err, func() string { return product.ID })
			},
		},
		{
			name:   "Products.Update",
			params: productUpdate(),
			former: map[string]string{"Attributes": "2017-08-15", "Caption": "2017-08-15", "DeactivateOn": "2017-08-15"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ProductUpdateParams) error {
				return got(c.Products.Update(ctx, "prod_123", p))
			}),
		},
		{
			name: "Products.Delete",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				product, err := c.Products.Delete(ctx, "prod_123")
				return is("prod_123", product, err, func() string { return deleted(product.ID, product.Deleted) })
			},
		},
		{
			name:   "Products.List",
			params: productList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ProductListParams) error {
				return some(c.Products.List(ctx, p))
			}),
		},
		{
			name:   "Products.Page",
			params: productList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ProductListParams) error {
				return filled(c.Products.Page(ctx, p))
			}),
		},
		{
			name: "Products.Search",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return some(c.Products.Search(ctx, `active:"true"`))
			},
		},
		{
			name: "Products.SearchPage",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return filled(c.Products.SearchPage(ctx, `active:"true"`, ""))
			},
		},
	}
}

func productCreate() stripekit.ProductCreateParams {
	return stripekit.ProductCreateParams{
		Name:                "T-shirt",
		Active:              new(false),
		Attributes:          []string{"size", "gender"},
		Caption:             new("a caption"),
		DeactivateOn:        []string{"ca_123"},
		DefaultPriceData:    defaultPrice(),
		Description:         new("a description"),
		ID:                  new("t-shirt"),
		Images:              []string{"https://example.com/1.png", "https://example.com/2.png"},
		MarketingFeatures:   []stripekit.MarketingFeature{{Name: "soft"}, {Name: "warm"}},
		Metadata:            stripekit.Metadata{"order": "6735"},
		PackageDimensions:   &stripekit.PackageDimensions{Height: 1.5, Length: 2, Weight: 3.25, Width: 4},
		Shippable:           new(true),
		StatementDescriptor: new("SHOP"),
		TaxCode:             new("txcd_123"),
		Type:                new("good"),
		UnitLabel:           new("piece"),
		URL:                 new("https://example.com"),
		Extra:               stripekit.Extra{"expand": []string{"default_price"}},
	}
}

func defaultPrice() *stripekit.DefaultPriceDataParams {
	custom := &stripekit.CustomUnitAmountParams{Enabled: true, Maximum: new(int64(900)), Minimum: new(int64(100)), Preset: new(int64(500))}
	return &stripekit.DefaultPriceDataParams{
		Currency: "usd",
		CurrencyOptions: map[string]stripekit.PriceCurrencyOptionParams{"eur": {
			CustomUnitAmount: custom,
			TaxBehavior:      new("inclusive"),
			Tiers: []stripekit.PriceTierParams{
				{
					UpTo: "10", FlatAmount: new(int64(1)), FlatAmountDecimal: new("1.5"),
					UnitAmount: new(int64(2)), UnitAmountDecimal: new("2.5"),
				},
				{UpTo: "inf", UnitAmount: new(int64(1))},
			},
			UnitAmount:        new(int64(1800)),
			UnitAmountDecimal: new("1800.5"),
		}},
		CustomUnitAmount:  custom,
		Metadata:          stripekit.Metadata{"order": "6735"},
		Recurring:         &stripekit.PriceRecurring{Interval: "month", IntervalCount: 2},
		TaxBehavior:       new("exclusive"),
		UnitAmount:        new(int64(2000)),
		UnitAmountDecimal: new("2000.5"),
	}
}

func productUpdate() stripekit.ProductUpdateParams {
	from := productCreate()
	return stripekit.ProductUpdateParams{
		Active:              from.Active,
		Attributes:          from.Attributes,
		Caption:             from.Caption,
		DeactivateOn:        from.DeactivateOn,
		DefaultPrice:        new("price_123"),
		Description:         from.Description,
		Images:              from.Images,
		MarketingFeatures:   from.MarketingFeatures,
		Metadata:            from.Metadata,
		Name:                new("T-shirt"),
		PackageDimensions:   from.PackageDimensions,
		Shippable:           from.Shippable,
		StatementDescriptor: from.StatementDescriptor,
		TaxCode:             from.TaxCode,
		UnitLabel:           from.UnitLabel,
		URL:                 from.URL,
		Extra:               from.Extra,
	}
}

func productList() stripekit.ProductListParams {
	return stripekit.ProductListParams{
		ListParams: listParams(),
		Active:     new(false),
		IDs:        []string{"prod_1", "prod_2"},
		Shippable:  new(true),
		URL:        new("https://example.com"),
		Extra:      stripekit.Extra{"expand": []string{"data.default_price"}},
	}
}
