package stripetest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestCustomerHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`address balance created currency default_source delinquent description discount email id
		invoice_prefix invoice_settings livemode metadata name next_invoice_sequence object phone preferred_locales
		shipping tax_exempt test_clock`)
	a := memory(t)
	r := a.do("POST", "/v1/customers", "")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "cus_\w{14}",\n  "object": "customer",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/customers/"+r.body["id"].(string))))
}

func TestCustomerAnswersItsParameters(t *testing.T) {
	form := url.Values{
		"address[city]": {"Rome"}, "balance": {"-5"}, "business_name": {"B"}, "cash_balance[settings][reconciliation_mode]": {"manual"},
		"description": {""}, "email": {"a@b.c"}, "individual_name": {"I"}, "invoice_prefix": {"PRE"},
		"invoice_settings[footer]": {"F"}, "invoice_settings[custom_fields][0][name]": {"n"}, "invoice_settings[custom_fields][0][value]": {"v"},
		"invoice_settings[rendering_options][template]": {"t"},
		"metadata": {""}, "name": {"N"}, "next_invoice_sequence": {"9"}, "payment_method": {"pm_1"}, "phone": {"1"},
		"preferred_locales[10]": {"fr"}, "preferred_locales[9]": {"en"}, "shipping[name]": {"S"}, "shipping[address][line1]": {"1 Rd"},
		"tax[ip_address]": {"::1"}, "tax_exempt": {"reverse"}, "tax_id_data[0][type]": {"eu_vat"}, "tax_id_data[0][value]": {"DE1"},
		"test_clock": {"clock_1"}, "expand[]": {"sources"},
	}
	got := memory(t).post("/v1/customers", form.Encode())
	want := map[string]any{
		"address": map[string]any{"city": "Rome", "country": nil, "line1": nil, "line2": nil, "postal_code": nil, "state": nil},
		"balance": -5.0, "business_name": "B", "description": nil, "email": "a@b.c", "individual_name": "I", "invoice_prefix": "PRE",
		"invoice_settings": map[string]any{
			"custom_fields": []any{map[string]any{"name": "n", "value": "v"}}, "default_payment_method": nil, "footer": "F",
			"rendering_options": map[string]any{"amount_tax_display": nil, "template": "t"},
		},
		"metadata": map[string]any{}, "name": "N", "next_invoice_sequence": 9.0, "phone": "1",
		"preferred_locales": []any{"en", "fr"},
		"shipping": map[string]any{
			"name": "S", "phone": nil,
			"address": map[string]any{"city": nil, "country": nil, "line1": "1 Rd", "line2": nil, "postal_code": nil, "state": nil},
		},
		"tax_exempt": "reverse", "test_clock": "clock_1", "default_source": nil,
	}
	for field, value := range want {
		require.Empty(t, cmp.Diff(value, got[field]), field)
	}
}

func TestCustomerWithDecliningSourceIsRefused(t *testing.T) {
	a := memory(t)
	r := a.do("POST", "/v1/customers", "source=tok_chargeDeclined")
	require.Equal(t, http.StatusPaymentRequired, r.status)
	require.Equal(t, "generic_decline", r.failure()["decline_code"])
	require.NotContains(t, r.failure(), "charge")
	ids, _ := a.page("/v1/customers", nil)
	require.Empty(t, ids)
}

func TestCustomerFailTokenAttachesThenDeclines(t *testing.T) {
	a := memory(t)
	id := a.post("/v1/customers", "source=tok_chargeCustomerFail")["id"].(string)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&customer="+id)
	require.Equal(t, http.StatusPaymentRequired, r.status)
	require.Equal(t, id, a.get("/v1/charges/" + r.failure()["charge"].(string))["customer"])
}
