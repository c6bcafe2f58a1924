package stripekit_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestChargesSendEveryParameter(t *testing.T) {
	create := full(t, stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", ApplicationFeeAmount: new(int64(1)), Capture: new(false), Customer: new("cus_1"),
		Description: new("d"), Metadata: stripekit.Metadata{"k": "v"}, OnBehalfOf: new("acct_1"),
		RadarOptions: &stripekit.RadarOptionsParams{Session: "rse_1"}, ReceiptEmail: new("a@b.c"), Shipping: &someShipping, Source: new("tok_visa"),
		StatementDescriptor: new("SD"), StatementDescriptorSuffix: new("SUF"),
		TransferData:  &stripekit.ChargeTransferDataParams{Amount: new(int64(5)), Description: new("td"), Destination: "acct_2"},
		TransferGroup: new("g"), Extra: stripekit.Extra{"level3": "x"},
	})
	update := full(t, stripekit.ChargeUpdateParams{
		Customer: new("cus_1"), Description: new("d"), FraudDetails: &stripekit.FraudDetailsParams{UserReport: new("safe")},
		Metadata: stripekit.Metadata{"k": "v"}, ReceiptEmail: new("a@b.c"), Shipping: &someShipping, TransferGroup: new("g"),
		Extra: stripekit.Extra{"x": 1},
	})
	capture := full(t, stripekit.ChargeCaptureParams{
		Amount: new(int64(1500)), ApplicationFeeAmount: new(int64(1)), ReceiptEmail: new("a@b.c"), StatementDescriptor: new("SD"),
		StatementDescriptorSuffix: new("SUF"), TransferData: &stripekit.ChargeCaptureTransferDataParams{Amount: new(int64(5))},
		TransferGroup: new("g"), Extra: stripekit.Extra{"x": 1},
	})
	filter := full(t, stripekit.ChargeListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Customer: new("cus_1"), PaymentIntent: new("pi_1"), TransferGroup: new("g"), Extra: stripekit.Extra{"x": 1}})
	const sentFilter = sentCreated + "&customer=cus_1&payment_intent=pi_1&transfer_group=g&x=1"

	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Charges.Create(ctx, create)) },
			sentRequest{"POST", "/v1/charges", "amount=2000&currency=usd&application_fee_amount=1&capture=false&customer=cus_1&description=d" +
				"&metadata[k]=v&on_behalf_of=acct_1&radar_options[session]=rse_1&receipt_email=a@b.c&" + sentShipping +
				"&source=tok_visa&statement_descriptor=SD&statement_descriptor_suffix=SUF&transfer_data[amount]=5&transfer_data[description]=td" +
				"&transfer_data[destination]=acct_2&transfer_group=g&level3=x"},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Charges.Get(ctx, "ch_1")) },
			sentRequest{"GET", "/v1/charges/ch_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Update(ctx, "ch_1", update))
			},
			sentRequest{"POST", "/v1/charges/ch_1", "customer=cus_1&description=d&fraud_details[user_report]=safe&metadata[k]=v&receipt_email=a@b.c&" +
				sentShipping + "&transfer_group=g&x=1"},
		},
		"capture": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Capture(ctx, "ch_1", capture))
			},
			sentRequest{"POST", "/v1/charges/ch_1/capture", "amount=1500&application_fee_amount=1&receipt_email=a@b.c&statement_descriptor=SD" +
				"&statement_descriptor_suffix=SUF&transfer_data[amount]=5&transfer_group=g&x=1"},
		},
		"capture of all": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Capture(ctx, "ch_1", stripekit.ChargeCaptureParams{}))
			},
			sentRequest{"POST", "/v1/charges/ch_1/capture", ""},
		},
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Charges.List(ctx, filter)) },
			sentRequest{"GET", "/v1/charges", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Charges.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/charges", sentFilter},
		},
		"search": {
			func(ctx context.Context, c *stripekit.Client) error {
				return drained(c.Charges.Search(ctx, `amount>999 AND status:"failed"`))
			},
			sentRequest{"GET", "/v1/charges/search", `query=amount>999 AND status:"failed"&limit=100`},
		},
	})
}

func fullCustomer(t *testing.T) (stripekit.CustomerCreateParams, stripekit.CustomerUpdateParams) {
	settings := &stripekit.InvoiceSettingsParams{
		CustomFields: []stripekit.InvoiceCustomFieldParams{{Name: "PO", Value: "7"}}, DefaultPaymentMethod: new("pm_1"), Footer: new("f"),
		RenderingOptions: &stripekit.InvoiceRenderOptionsParams{AmountTaxDisplay: new("exclude_tax"), Template: new("inrtem_1")},
	}
	cash := &stripekit.CashBalanceParams{Settings: stripekit.CashBalanceSettingsParams{ReconciliationMode: "manual"}}
	tax := &stripekit.CustomerTaxParams{IPAddress: new("1.2.3.4"), ValidateLocation: new("deferred")}
	create := full(t, stripekit.CustomerCreateParams{
		Address: &someAddress, Balance: new(int64(-5)), BusinessName: new("bn"), CashBalance: cash, Description: new("d"), Email: new("a@b.c"),
		IndividualName: new("in"), InvoicePrefix: new("ABC"), InvoiceSettings: settings, Metadata: stripekit.Metadata{"k": "v"}, Name: new("Ann"),
		NextInvoiceSequence: new(int64(2)), PaymentMethod: new("pm_1"), Phone: new("66"), PreferredLocales: []string{"de"}, Shipping: &someShipping,
		Source: new("tok_visa"), Tax: tax, TaxExempt: new("none"), TaxIDData: []stripekit.TaxIDDataParams{{Type: "eu_vat", Value: "DE1"}},
		TestClock: new("clock_1"), Extra: stripekit.Extra{"x": 1},
	})
	update := full(t, stripekit.CustomerUpdateParams{
		Address: create.Address, Balance: create.Balance, BusinessName: create.BusinessName, CashBalance: cash, DefaultSource: new("card_1"),
		Description: create.Description, Email: create.Email, IndividualName: create.IndividualName, InvoicePrefix: create.InvoicePrefix,
		InvoiceSettings: settings, Metadata: create.Metadata, Name: create.Name, NextInvoiceSequence: create.NextInvoiceSequence, Phone: create.Phone,
		PreferredLocales: create.PreferredLocales, Shipping: create.Shipping, Source: create.Source, Tax: tax, TaxExempt: create.TaxExempt,
		Extra: create.Extra,
	})
	return create, update
}

func TestCustomersSendEveryParameter(t *testing.T) {
	create, update := fullCustomer(t)
	filter := full(t, stripekit.CustomerListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Email: new("a@b.c"), TestClock: new("clock_1"), Extra: stripekit.Extra{"x": 1}})
	const (
		head     = sentAddress + "&balance=-5&business_name=bn&cash_balance[settings][reconciliation_mode]=manual"
		settings = "invoice_settings[custom_fields][0][name]=PO&invoice_settings[custom_fields][0][value]=7&invoice_settings[default_payment_method]=pm_1" +
			"&invoice_settings[footer]=f&invoice_settings[rendering_options][amount_tax_display]=exclude_tax&invoice_settings[rendering_options][template]=inrtem_1"
		names      = "description=d&email=a@b.c&individual_name=in&invoice_prefix=ABC&" + settings + "&metadata[k]=v&name=Ann&next_invoice_sequence=2"
		tail       = "phone=66&preferred_locales[0]=de&" + sentShipping + "&source=tok_visa&tax[ip_address]=1.2.3.4&tax[validate_location]=deferred&tax_exempt=none"
		sentFilter = sentCreated + "&email=a@b.c&test_clock=clock_1&x=1"
	)
	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Customers.Create(ctx, create)) },
			sentRequest{"POST", "/v1/customers", head + "&" + names + "&payment_method=pm_1&" + tail +
				"&tax_id_data[0][type]=eu_vat&tax_id_data[0][value]=DE1&test_clock=clock_1&x=1"},
		},
		"create of nothing in particular": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Customers.Create(ctx, stripekit.CustomerCreateParams{}))
			},
			sentRequest{"POST", "/v1/customers", ""},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Customers.Get(ctx, "cus_1")) },
			sentRequest{"GET", "/v1/customers/cus_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Customers.Update(ctx, "cus_1", update))
			},
			sentRequest{"POST", "/v1/customers/cus_1", head + "&default_source=card_1&" + names + "&" + tail + "&x=1"},
		},
		"delete": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Customers.Delete(ctx, "cus_1")) },
			sentRequest{"DELETE", "/v1/customers/cus_1", ""},
		},
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Customers.List(ctx, filter)) },
			sentRequest{"GET", "/v1/customers", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Customers.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/customers", sentFilter},
		},
		"search": {
			func(ctx context.Context, c *stripekit.Client) error {
				return drained(c.Customers.Search(ctx, `email:"a@b.c"`))
			},
			sentRequest{"GET", "/v1/customers/search", `query=email:"a@b.c"&limit=100`},
		},
	})
}

func TestEmptyParametersAreSentToUnset(t *testing.T) {
	requireOperations(t, map[string]operation{
		"charge": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Update(ctx, "ch_1", stripekit.ChargeUpdateParams{
					Description: new(""), FraudDetails: &stripekit.FraudDetailsParams{UserReport: new("")},
					Metadata: stripekit.Metadata{"gone": ""}, Shipping: &stripekit.Shipping{},
				}))
			},
			sentRequest{"POST", "/v1/charges/ch_1", "description=&fraud_details[user_report]=&metadata[gone]=&shipping="},
		},
		"customer": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Customers.Update(ctx, "cus_1", stripekit.CustomerUpdateParams{
					Address: &stripekit.Address{}, Email: new(""), InvoiceSettings: &stripekit.InvoiceSettingsParams{CustomFields: []stripekit.InvoiceCustomFieldParams{}},
					Metadata: stripekit.Metadata{}, PreferredLocales: []string{}, Shipping: &stripekit.Shipping{},
				}))
			},
			sentRequest{"POST", "/v1/customers/cus_1", "address=&email=&invoice_settings[custom_fields]=&metadata=&preferred_locales=&shipping="},
		},
		"product": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Products.Update(ctx, "prod_1", stripekit.ProductUpdateParams{
					Description: new(""), Images: []string{}, MarketingFeatures: []stripekit.MarketingFeature{}, Metadata: stripekit.Metadata{},
					PackageDimensions: &stripekit.PackageDimensions{}, URL: new(""),
				}))
			},
			sentRequest{"POST", "/v1/products/prod_1", "description=&images=&marketing_features=&metadata=&package_dimensions=&url="},
		},
		"refund": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Update(ctx, "re_1", stripekit.RefundUpdateParams{Metadata: stripekit.Metadata{}}))
			},
			sentRequest{"POST", "/v1/refunds/re_1", "metadata="},
		},
		"order": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Orders.Update(ctx, "or_1", stripekit.OrderUpdateParams{
					Coupon: new(""), Metadata: stripekit.Metadata{}, Shipping: &stripekit.OrderTrackingParams{},
				}))
			},
			sentRequest{"POST", "/v1/orders/or_1", "coupon=&metadata=&shipping="},
		},
		"invoice item": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.InvoiceItems.Update(ctx, "ii_1", stripekit.InvoiceItemUpdateParams{
					Discounts: []stripekit.DiscountParams{}, Metadata: stripekit.Metadata{}, TaxCode: new(""), TaxRates: []string{},
				}))
			},
			sentRequest{"POST", "/v1/invoiceitems/ii_1", "discounts=&metadata=&tax_code=&tax_rates="},
		},
	})
}

func TestIncompleteChargeIsRefusedBeforeARequest(t *testing.T) {
	create := func(p stripekit.ChargeCreateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.Charges.Create(ctx, p)) }
	}
	visa := new("tok_visa")
	requireParamErrors(t, map[string]refusal{
		"no amount":       {"amount", create(stripekit.ChargeCreateParams{Currency: "usd", Source: visa})},
		"negative amount": {"amount", create(stripekit.ChargeCreateParams{Amount: -1, Currency: "usd", Source: visa})},
		"no currency":     {"currency", create(stripekit.ChargeCreateParams{Amount: 50, Source: visa})},
		"nobody to pay":   {"source", create(stripekit.ChargeCreateParams{Amount: 50, Currency: "usd"})},
		"empty payers":    {"source", create(stripekit.ChargeCreateParams{Amount: 50, Currency: "usd", Source: new(""), Customer: new("")})},
		"extra names somebody else": {"source", create(stripekit.ChargeCreateParams{
			Amount: 50, Currency: "usd", Extra: stripekit.Extra{"sources": "x", "card": "", "customer": nil},
		})},
		"shipping without a name": {"shipping[name]", create(stripekit.ChargeCreateParams{
			Amount: 50, Currency: "usd", Source: visa, Shipping: &stripekit.Shipping{Address: someAddress},
		})},
		"shipping without a street": {"shipping[address][line1]", create(stripekit.ChargeCreateParams{
			Amount: 50, Currency: "usd", Source: visa, Shipping: &stripekit.Shipping{Name: "Ann", Phone: "5"},
		})},
		"update of half a shipping": {"shipping[name]", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Charges.Update(ctx, "ch_1", stripekit.ChargeUpdateParams{Shipping: &stripekit.Shipping{Phone: "5"}}))
		}},
		"customer's half a shipping": {"shipping[address][line1]", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Customers.Create(ctx, stripekit.CustomerCreateParams{Shipping: &stripekit.Shipping{Name: "Ann"}}))
		}},
		"customer's half a shipping in an update": {"shipping[name]", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Customers.Update(ctx, "cus_1", stripekit.CustomerUpdateParams{Shipping: &stripekit.Shipping{Address: someAddress}}))
		}},
	})
}

func TestParameterInExtraCountsAsGiven(t *testing.T) {
	requireOperations(t, map[string]operation{
		"a card for the source": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 50, Currency: "usd", Extra: stripekit.Extra{
					"card": map[string]any{"number": "4242"},
				}}))
			},
			sentRequest{"POST", "/v1/charges", "amount=50&currency=usd&card[number]=4242"},
		},
		"all of a charge, in parts": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Charges.Create(ctx, stripekit.ChargeCreateParams{Shipping: &stripekit.Shipping{Phone: "5"}, Extra: stripekit.Extra{
					"amount": 50, "currency": "usd", "card[number]": "4242", "shipping": map[string]string{"name": "Ann"}, "shipping[address][line1]": "1 Way",
				}}))
			},
			sentRequest{"POST", "/v1/charges", "shipping[phone]=5&amount=50&card[number]=4242&currency=usd&shipping[name]=Ann&shipping[address][line1]=1 Way"},
		},
		"a product's name": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Products.Create(ctx, stripekit.ProductCreateParams{Extra: stripekit.Extra{"name": "shirt"}}))
			},
			sentRequest{"POST", "/v1/products", "name=shirt"},
		},
		"a refund's charge": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Create(ctx, stripekit.RefundCreateParams{Extra: stripekit.Extra{"charge": "ch_1"}}))
			},
			sentRequest{"POST", "/v1/refunds", "charge=ch_1"},
		},
		"an order's currency and tracking": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Orders.Create(ctx, stripekit.OrderCreateParams{Extra: stripekit.Extra{"currency": "usd"}}))
			},
			sentRequest{"POST", "/v1/orders", "currency=usd"},
		},
		"an invoice item's customer": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{Extra: stripekit.Extra{"customer": "cus_1"}}))
			},
			sentRequest{"POST", "/v1/invoiceitems", "customer=cus_1"},
		},
	})
}

// writers are all calls that take metadata.
func writers(m stripekit.Metadata) map[string]func(context.Context, *stripekit.Client) error {
	return map[string]func(context.Context, *stripekit.Client) error{
		"charge create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 50, Currency: "usd", Source: new("tok_visa"), Metadata: m}))
		},
		"charge update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Charges.Update(ctx, "ch_1", stripekit.ChargeUpdateParams{Metadata: m}))
		},
		"customer create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Customers.Create(ctx, stripekit.CustomerCreateParams{Metadata: m}))
		},
		"customer update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Customers.Update(ctx, "cus_1", stripekit.CustomerUpdateParams{Metadata: m}))
		},
		"product create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Create(ctx, stripekit.ProductCreateParams{Name: "shirt", Metadata: m}))
		},
		"product update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Update(ctx, "prod_1", stripekit.ProductUpdateParams{Metadata: m}))
		},
		"refund create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: new("ch_1"), Metadata: m}))
		},
		"refund update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Refunds.Update(ctx, "re_1", stripekit.RefundUpdateParams{Metadata: m}))
		},
		"order create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Orders.Create(ctx, stripekit.OrderCreateParams{Currency: "usd", Metadata: m}))
		},
		"order update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Orders.Update(ctx, "or_1", stripekit.OrderUpdateParams{Metadata: m}))
		},
		"order pay": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Orders.Pay(ctx, "or_1", stripekit.OrderPayParams{Metadata: m}))
		},
		"invoice item create": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{Customer: new("cus_1"), Metadata: m}))
		},
		"invoice item update": func(ctx context.Context, c *stripekit.Client) error {
			return done(c.InvoiceItems.Update(ctx, "ii_1", stripekit.InvoiceItemUpdateParams{Metadata: m}))
		},
	}
}

func TestMetadataBeyondItsLimitsIsRefusedEverywhere(t *testing.T) {
	keys := func(n int) stripekit.Metadata {
		m := stripekit.Metadata{strings.Repeat("ü", 40): strings.Repeat("ü", 500)}
		for i := range n - 1 {
			m[strconv.Itoa(i)] = "v"
		}
		return m
	}
	for name, tt := range map[string]struct {
		metadata stripekit.Metadata
		param    string
	}{
		"too many keys":       {keys(51), "metadata"},
		"a long key":          {stripekit.Metadata{strings.Repeat("ü", 41): "v"}, "metadata"},
		"a long value":        {stripekit.Metadata{"k": strings.Repeat("ü", 501)}, "metadata[k]"},
		"brackets in a key":   {stripekit.Metadata{"a[b]": "v"}, "metadata"},
		"an empty key":        {stripekit.Metadata{"": "v"}, "metadata"},
		"all that is allowed": {keys(50), ""},
	} {
		for writer, call := range writers(tt.metadata) {
			if tt.param != "" {
				requireParamErrors(t, map[string]refusal{name + ": " + writer: {tt.param, call}})
				continue
			}
			_, client := newTape(t)
			require.NoError(t, call(t.Context(), client), writer)
		}
	}
	requireParamErrors(t, map[string]refusal{"in a default price": {"default_price_data[metadata]", func(ctx context.Context, c *stripekit.Client) error {
		return done(c.Products.Create(ctx, stripekit.ProductCreateParams{
			Name: "shirt", DefaultPriceData: &stripekit.DefaultPriceDataParams{
				Currency: "usd", UnitAmount: new(int64(5)), Metadata: stripekit.Metadata{"": "v"},
			},
		}))
	}}})
}

// TestIDCannotLeaveItsPath tests every call that takes an id.
func TestIDCannotLeaveItsPath(t *testing.T) {
	calls := map[string]func(context.Context, *stripekit.Client, string) error{
		"charge get": func(ctx context.Context, c *stripekit.Client, id string) error { return done(c.Charges.Get(ctx, id)) },
		"charge update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Charges.Update(ctx, id, stripekit.ChargeUpdateParams{}))
		},
		"charge capture": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Charges.Capture(ctx, id, stripekit.ChargeCaptureParams{}))
		},
		"customer get": func(ctx context.Context, c *stripekit.Client, id string) error { return done(c.Customers.Get(ctx, id)) },
		"customer update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Customers.Update(ctx, id, stripekit.CustomerUpdateParams{}))
		},
		"customer delete": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Customers.Delete(ctx, id))
		},
		"product get": func(ctx context.Context, c *stripekit.Client, id string) error { return done(c.Products.Get(ctx, id)) },
		"product update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Products.Update(ctx, id, stripekit.ProductUpdateParams{}))
		},
		"product delete": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Products.Delete(ctx, id))
		},
		"refund get": func(ctx context.Context, c *stripekit.Client, id string) error { return done(c.Refunds.Get(ctx, id)) },
		"refund update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Refunds.Update(ctx, id, stripekit.RefundUpdateParams{}))
		},
		"refund cancel": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Refunds.Cancel(ctx, id))
		},
		"order get": func(ctx context.Context, c *stripekit.Client, id string) error { return done(c.Orders.Get(ctx, id)) },
		"order update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Orders.Update(ctx, id, stripekit.OrderUpdateParams{}))
		},
		"order pay": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Orders.Pay(ctx, id, stripekit.OrderPayParams{}))
		},
		"order return": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.Orders.Return(ctx, id, stripekit.OrderReturnParams{}))
		},
		"invoice item get": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.InvoiceItems.Get(ctx, id))
		},
		"invoice item update": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.InvoiceItems.Update(ctx, id, stripekit.InvoiceItemUpdateParams{}))
		},
		"invoice item delete": func(ctx context.Context, c *stripekit.Client, id string) error {
			return done(c.InvoiceItems.Delete(ctx, id))
		},
	}
	for name, call := range calls {
		for _, id := range []string{"", "..", "../charges", "a/b", "a?b", "a#b", "a%2fb", "a\nb", strings.Repeat("i", 256)} {
			requireParamErrors(t, map[string]refusal{name: {"id", func(ctx context.Context, c *stripekit.Client) error { return call(ctx, c, id) }}})
		}
		tp, client := newTape(t)
		require.NoError(t, call(t.Context(), client, "my shirt: blue"))
		require.Contains(t, tp.sent[0].Path, "/my%20shirt:%20blue", name)
	}
}

func TestNestedParametersAreCheckedBeforeARequest(t *testing.T) {
	charge := func(data stripekit.ChargeTransferDataParams, extra stripekit.Extra) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 5, Currency: "usd", Source: new("tok_visa"), TransferData: &data, Extra: extra}))
		}
	}
	customer := func(p stripekit.CustomerCreateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.Customers.Create(ctx, p)) }
	}
	customFields := func(fields ...stripekit.InvoiceCustomFieldParams) *stripekit.InvoiceSettingsParams {
		return &stripekit.InvoiceSettingsParams{CustomFields: fields}
	}
	item := func(data stripekit.PriceDataParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error {
			return done(c.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{Customer: new("cus_1"), PriceData: &data}))
		}
	}
	product := func(data stripekit.DefaultPriceDataParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Create(ctx, stripekit.ProductCreateParams{Name: "shirt", DefaultPriceData: &data}))
		}
	}
	requireParamErrors(t, map[string]refusal{
		"transfer to nobody":    {"transfer_data[destination]", charge(stripekit.ChargeTransferDataParams{Amount: new(int64(5))}, nil)},
		"tax id without a type": {"tax_id_data[1][type]", customer(stripekit.CustomerCreateParams{TaxIDData: []stripekit.TaxIDDataParams{{Type: "eu_vat", Value: "v"}, {Value: "v"}}})},
		"tax id without value":  {"tax_id_data[0][value]", customer(stripekit.CustomerCreateParams{TaxIDData: []stripekit.TaxIDDataParams{{Type: "eu_vat"}}})},
		"field without a name":  {"invoice_settings[custom_fields][0][name]", customer(stripekit.CustomerCreateParams{InvoiceSettings: customFields(stripekit.InvoiceCustomFieldParams{Value: "v"})})},
		"field without a value": {"invoice_settings[custom_fields][1][value]", func(ctx context.Context, c *stripekit.Client) error {
			fields := customFields(stripekit.InvoiceCustomFieldParams{Name: "n", Value: "v"}, stripekit.InvoiceCustomFieldParams{Name: "n"})
			return done(c.Customers.Update(ctx, "cus_1", stripekit.CustomerUpdateParams{InvoiceSettings: fields}))
		}},
		"price of no currency": {"price_data[currency]", item(stripekit.PriceDataParams{Product: "prod_1", UnitAmount: new(int64(5))})},
		"price of no product":  {"price_data[product]", item(stripekit.PriceDataParams{Currency: "usd", UnitAmount: new(int64(5))})},
		"price without amount": {"price_data[unit_amount]", item(stripekit.PriceDataParams{Currency: "usd", Product: "prod_1"})},
		"price in an update": {"price_data[product]", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.InvoiceItems.Update(ctx, "ii_1", stripekit.InvoiceItemUpdateParams{PriceData: &stripekit.PriceDataParams{Currency: "usd", UnitAmountDecimal: new("0.5")}}))
		}},
		"default price of no currency": {"default_price_data[currency]", product(stripekit.DefaultPriceDataParams{UnitAmount: new(int64(5))})},
		"default price without amount": {"default_price_data[unit_amount]", product(stripekit.DefaultPriceDataParams{Currency: "usd"})},
	})
	tp, client := newTape(t)
	require.NoError(t, charge(stripekit.ChargeTransferDataParams{}, stripekit.Extra{"transfer_data[destination]": "acct_1"})(t.Context(), client))
	require.NoError(t, product(stripekit.DefaultPriceDataParams{Currency: "usd", CustomUnitAmount: &stripekit.CustomUnitAmountParams{Enabled: true}})(t.Context(), client))
	require.Len(t, tp.sent, 2)
}
