package stripekit_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// recordedCustomer is the customer in the fixtures of a version.
func recordedCustomer(version string) *stripekit.Customer {
	customer := &stripekit.Customer{
		Created:  1234567890,
		Currency: "usd",
		Metadata: stripekit.Metadata{},
	}
	if version != "2017-08-15" {
		customer.TaxExempt = "none"
	}
	switch version {
	case "2017-08-15":
		customer.ID = "cus_BPRjIOgTsY2CRb"
	case "2019-09-09":
		customer.ID = "cus_FkyjGoYtujgra7"
		customer.InvoicePrefix = "BCAB5A7"
	case "2020-08-27":
		customer.ID = "cus_LMtJYAWqFc3qIQ"
		customer.InvoicePrefix = "A17BDE1"
	case stripekit.APIVersion:
		customer.ID = "cus_QXg1o8vcGmoR32"
		customer.Address = &stripekit.Address{}
		customer.Discount = &stripekit.Discount{ID: "obj_123", Start: 109757538}
		customer.Discount.Source.Type = "coupon"
		customer.InvoicePrefix = "7FE1103"
		customer.Shipping = &stripekit.Shipping{}
	}
	return customer
}

func TestCustomersGetDecodesADeletedCustomer(t *testing.T) {
	for _, version := range fixtureVersions[1:] { // stripe-mock has no deleted customer in the first
		t.Run(version, func(t *testing.T) {
			exchange := served{method: "GET", path: "/v1/customers/cus_1", version: version, fixture: "customer_deleted"}
			client := gockClient(t, pin(version), exchange)
			customer, err := client.Customers.Get(t.Context(), "cus_1")
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&stripekit.Customer{ID: fixtureID(t, exchange), Deleted: true}, customer))
		})
	}
}

func TestCustomersPageSendsItsFilters(t *testing.T) {
	for name, test := range map[string]struct {
		params stripekit.CustomerListParams
		query  string
	}{
		"none":           {},
		"limit":          {stripekit.CustomerListParams{ListParams: stripekit.ListParams{Limit: 1}}, "limit=1"},
		"starting after": {stripekit.CustomerListParams{ListParams: stripekit.ListParams{StartingAfter: "cus_1"}}, "starting_after=cus_1"},
		"ending before":  {stripekit.CustomerListParams{ListParams: stripekit.ListParams{EndingBefore: "cus_1"}}, "ending_before=cus_1"},
		"created":        {stripekit.CustomerListParams{ListParams: stripekit.ListParams{Created: &stripekit.CreatedRange{GTE: 5}}}, "created[gte]=5"},
		"email":          {stripekit.CustomerListParams{Email: new("a+b@c.d")}, "email=a%2Bb%40c.d"},
		"test clock":     {stripekit.CustomerListParams{TestClock: new("clock_1")}, "test_clock=clock_1"},
		"extra":          {stripekit.CustomerListParams{Extra: stripekit.Extra{"expand[]": "data.sources"}}, "expand[]=data.sources"},
	} {
		t.Run(name, func(t *testing.T) {
			client := gockClient(t, nil, served{method: "GET", path: "/v1/customers", params: test.query, fixture: "customers_page"})
			_, err := client.Customers.Page(t.Context(), test.params)
			require.NoError(t, err)
		})
	}
}

func TestCustomersListYieldsThePage(t *testing.T) {
	client := gockClient(t, nil, served{
		method: "GET", path: "/v1/customers", params: "email=a%40b.c&limit=100", fixture: "customers_page",
	})
	var customers []*stripekit.Customer
	for customer, err := range client.Customers.List(t.Context(), stripekit.CustomerListParams{Email: new("a@b.c")}) {
		require.NoError(t, err)
		customers = append(customers, customer)
	}
	require.Empty(t, cmp.Diff([]*stripekit.Customer{recordedCustomer(stripekit.APIVersion)}, customers))
}

func TestCustomersCreateSendsItsParameters(t *testing.T) {
	for name, test := range map[string]struct {
		params stripekit.CustomerCreateParams
		body   string
	}{
		"none":    {},
		"address": {stripekit.CustomerCreateParams{Address: &stripekit.Address{City: "c", Line1: "1"}}, "address[city]=c&address[line1]=1"},
		"texts": {stripekit.CustomerCreateParams{
			BusinessName: new("B"), Description: new("D"), Email: new("a@b.c"), IndividualName: new("I"), InvoicePrefix: new("P"),
			Name: new("N"), PaymentMethod: new("pm_1"), Phone: new("+49"), Source: new("tok_visa"), TaxExempt: new("none"), TestClock: new("clock_1"),
		}, "business_name=B&description=D&email=a%40b.c&individual_name=I&invoice_prefix=P&name=N&payment_method=pm_1&phone=%2B49&source=tok_visa&tax_exempt=none&test_clock=clock_1"},
		"numbers": {stripekit.CustomerCreateParams{Balance: new(int64(-5)), NextInvoiceSequence: new(int64(7))}, "balance=-5&next_invoice_sequence=7"},
		"zeros":   {stripekit.CustomerCreateParams{Balance: new(int64(0)), Description: new("")}, "balance=0&description="},
		"cash balance": {stripekit.CustomerCreateParams{
			CashBalance: &stripekit.CashBalanceParams{Settings: stripekit.CashBalanceSettingsParams{ReconciliationMode: "manual"}},
		}, "cash_balance[settings][reconciliation_mode]=manual"},
		"invoice settings": {stripekit.CustomerCreateParams{InvoiceSettings: &stripekit.InvoiceSettingsParams{
			CustomFields:         []stripekit.InvoiceCustomFieldParams{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}},
			DefaultPaymentMethod: new("pm_1"), Footer: new("F"),
			RenderingOptions: &stripekit.InvoiceRenderOptionsParams{AmountTaxDisplay: new("exclude_tax"), Template: new("T")},
		}}, "invoice_settings[custom_fields][0][name]=a&invoice_settings[custom_fields][0][value]=1&invoice_settings[custom_fields][1][name]=b" +
			"&invoice_settings[custom_fields][1][value]=2&invoice_settings[default_payment_method]=pm_1&invoice_settings[footer]=F" +
			"&invoice_settings[rendering_options][amount_tax_display]=exclude_tax&invoice_settings[rendering_options][template]=T"},
		"metadata": {stripekit.CustomerCreateParams{Metadata: stripekit.Metadata{"a": "1"}}, "metadata[a]=1"},
		"locales":  {stripekit.CustomerCreateParams{PreferredLocales: []string{"en", "de"}}, "preferred_locales[0]=en&preferred_locales[1]=de"},
		"phones": {stripekit.CustomerCreateParams{Phone: new("1"), Shipping: &stripekit.Shipping{
			Name: "N", Phone: "2", Address: stripekit.Address{Line1: "L"},
		}}, "phone=1&shipping[name]=N&shipping[phone]=2&shipping[address][line1]=L"},
		"tax":    {stripekit.CustomerCreateParams{Tax: &stripekit.CustomerTaxParams{IPAddress: new("I"), ValidateLocation: new("deferred")}}, "tax[ip_address]=I&tax[validate_location]=deferred"},
		"tax id": {stripekit.CustomerCreateParams{TaxIDData: []stripekit.TaxIDDataParams{{Type: "eu_vat", Value: "V"}}}, "tax_id_data[0][type]=eu_vat&tax_id_data[0][value]=V"},
		"unset": {stripekit.CustomerCreateParams{
			Address: &stripekit.Address{}, Metadata: stripekit.Metadata{}, Shipping: &stripekit.Shipping{}, TaxExempt: new(""),
		}, "address=&metadata=&shipping=&tax_exempt="},
		"extra": {stripekit.CustomerCreateParams{Extra: stripekit.Extra{"coupon": "C", "a": map[string]any{"b": true}}}, "a[b]=true&coupon=C"},
	} {
		t.Run(name, func(t *testing.T) {
			client := gockClient(t, nil, served{method: "POST", path: "/v1/customers", params: test.body, fixture: "customer_created"})
			_, err := client.Customers.Create(t.Context(), test.params)
			require.NoError(t, err)
		})
	}
}

func TestCustomersReturnAnUnknownURLAsNotFound(t *testing.T) {
	client := gockClient(t, nil, served{
		method: "GET", path: "/v1/customers/cus_1", status: http.StatusNotFound, fixture: "error_unrecognized_url",
	})
	customer, err := client.Customers.Get(t.Context(), "cus_1")
	require.Nil(t, customer)
	require.ErrorIs(t, err, stripekit.ErrNotFound)
	require.EqualError(t, err, "stripe: GET /v1/customers/cus_1: 404 Unrecognized request URL (GET: /v1/nonsense). [req_fixture]")
}

func TestCustomersCreateRefusesBeforeAnyRequest(t *testing.T) {
	client := noRequest(t)
	for name, test := range refusedShipping() {
		t.Run(name, func(t *testing.T) {
			_, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Shipping: &test.shipping})
			requireRefused(t, test.param, err)
		})
	}
	for name, test := range refusedMetadata() {
		t.Run(name, func(t *testing.T) {
			_, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Metadata: test.metadata})
			requireRefused(t, test.param, err)
		})
	}
}

func TestCustomersGetRefusesIDsThatLeadElsewhere(t *testing.T) {
	client := noRequest(t)
	for name, id := range refusedIDs() {
		t.Run(name, func(t *testing.T) {
			customer, err := client.Customers.Get(t.Context(), id)
			require.Nil(t, customer)
			requireRefused(t, "id", err)
		})
	}
}

func TestCustomersPageRefusesBeforeAnyRequest(t *testing.T) {
	client := noRequest(t)
	for name, test := range refusedPaging() {
		t.Run(name, func(t *testing.T) {
			page, err := client.Customers.Page(t.Context(), stripekit.CustomerListParams{ListParams: test.paging})
			require.Nil(t, page)
			requireRefused(t, test.param, err)

			yields := 0
			for customer, err := range client.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: test.paging}) {
				yields++
				require.Nil(t, customer)
				requireRefused(t, test.param, err)
			}
			require.Equal(t, 1, yields)
		})
	}
}
