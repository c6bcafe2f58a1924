package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func customerOperations() []operation {
	return []operation{
		{
			name:   "Customers.Create",
			params: customerCreate(),
			never:  []string{"Shipping.Carrier", "Shipping.TrackingNumber"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.CustomerCreateParams) error {
				return got(c.Customers.Create(ctx, p))
			}),
		},
		{
			name: "Customers.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				customer, err := c.Customers.Get(ctx, "cus_123")
				return is("cus_123", customer, err, func() string { return customer.ID })
			},
		},
		{
			name:   "Customers.Update",
			params: customerUpdate(),
			never:  []string{"Shipping.Carrier", "Shipping.TrackingNumber"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.CustomerUpdateParams) error {
				return got(c.Customers.Update(ctx, "cus_123", p))
			}),
		},
		{
			name: "Customers.Delete",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				customer, err := c.Customers.Delete(ctx, "cus_123")
				return is("cus_123", customer, err, func() string { return deleted(customer.ID, customer.Deleted) })
			},
		},
		{
			name:   "Customers.List",
			params: customerList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.CustomerListParams) error {
				return some(c.Customers.List(ctx, p))
			}),
		},
		{
			name:   "Customers.Page",
			params: customerList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.CustomerListParams) error {
				return filled(c.Customers.Page(ctx, p))
			}),
		},
		{
			name: "Customers.Search",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return some(c.Customers.Search(ctx, `email:"jenny@example.com"`))
			},
		},
		{
			name: "Customers.SearchPage",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return filled(c.Customers.SearchPage(ctx, `email:"jenny@example.com"`, ""))
			},
		},
	}
}

func customerCreate() stripekit.CustomerCreateParams {
	shipping := &stripekit.Shipping{Name: "Jenny", Phone: "+49", Address: address()}
	return stripekit.CustomerCreateParams{
		Address:        new(address()),
		Balance:        new(int64(-100)),
		BusinessName:   new("a business"),
		CashBalance:    &stripekit.CashBalanceParams{Settings: stripekit.CashBalanceSettingsParams{ReconciliationMode: "manual"}},
		Description:    new("a description"),
		Email:          new("jenny@example.com"),
		IndividualName: new("Jenny"),
		InvoicePrefix:  new("PREFIX"),
		InvoiceSettings: &stripekit.InvoiceSettingsParams{
			CustomFields:         []stripekit.InvoiceCustomFieldParams{{Name: "order", Value: "6735"}, {Name: "shop", Value: "1"}},
			DefaultPaymentMethod: new("pm_123"),
			Footer:               new("a footer"),
			RenderingOptions: &stripekit.InvoiceRenderOptionsParams{
				AmountTaxDisplay: new("exclude_tax"), Template: new("inrtem_123"),
			},
		},
		Metadata:            stripekit.Metadata{"order": "6735"},
		Name:                new("Jenny Rosen"),
		NextInvoiceSequence: new(int64(3)),
		PaymentMethod:       new("pm_123"),
		Phone:               new("+49"),
		PreferredLocales:    []string{"en", "de"},
		Shipping:            shipping,
		Source:              new("tok_visa"),
		Tax:                 &stripekit.CustomerTaxParams{IPAddress: new("203.0.113.1"), ValidateLocation: new("immediately")},
		TaxExempt:           new("none"),
		TaxIDData:           []stripekit.TaxIDDataParams{{Type: "eu_vat", Value: "DE123456789"}},
		TestClock:           new("clock_123"),
		Extra:               stripekit.Extra{"expand": []string{"default_source"}},
	}
}

func customerUpdate() stripekit.CustomerUpdateParams {
	from := customerCreate()
	return stripekit.CustomerUpdateParams{
		Address:             from.Address,
		Balance:             from.Balance,
		BusinessName:        from.BusinessName,
		CashBalance:         from.CashBalance,
		DefaultSource:       new("card_123"),
		Description:         from.Description,
		Email:               from.Email,
		IndividualName:      from.IndividualName,
		InvoicePrefix:       from.InvoicePrefix,
		InvoiceSettings:     from.InvoiceSettings,
		Metadata:            from.Metadata,
		Name:                from.Name,
		NextInvoiceSequence: from.NextInvoiceSequence,
		Phone:               from.Phone,
		PreferredLocales:    from.PreferredLocales,
		Shipping:            from.Shipping,
		Source:              from.Source,
		Tax:                 &stripekit.CustomerTaxParams{IPAddress: new("203.0.113.1"), ValidateLocation: new("auto")},
		TaxExempt:           from.TaxExempt,
		Extra:               from.Extra,
	}
}

func customerList() stripekit.CustomerListParams {
	return stripekit.CustomerListParams{
		ListParams: listParams(),
		Email:      new("jenny@example.com"),
		TestClock:  new("clock_123"),
		Extra:      stripekit.Extra{"expand": []string{"data.default_source"}},
	}
}
