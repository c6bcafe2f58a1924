package stripetest_test

import (
	"encoding/json"
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

func TestCustomerReturnsItsParameters(t *testing.T) {
	form := url.Values{
		"address[city]": {"Rome"}, "balance": {"-5"}, "business_name": {"B"}, "cash_balance[settings][reconciliation_mode]": {"manual"},
		"description": {""}, "email": {"a@b.c"}, "individual_name": {"I"}, "invoice_prefix": {"PRE"},
		"invoice_settings[footer]": {"F"}, "invoice_settings[custom_fields][0][name]": {"n"}, "invoice_settings[custom_fields][0][value]": {"v"},
		"invoice_settings[rendering_options][template]": {"t"},
		"metadata": {""}, "name": {"N"}, "next_invoice_sequence": {"9"}, "payment_method": {"pm_card_visa"}, "phone": {"1"},
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

func TestCustomerIsUpdated(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/customers", url.Values{
		"address[city]": {"Rome"}, "address[line1]": {"1 Rd"}, "balance": {"5"}, "description": {"old"}, "email": {"old@b.c"},
		"metadata[a]": {"1"}, "metadata[b]": {"2"}, "name": {"Old"}, "phone": {"1"}, "invoice_settings[footer]": {"F"},
		"preferred_locales[]": {"en"}, "shipping[name]": {"S"}, "shipping[address][line1]": {"1"}, "tax_exempt": {"exempt"},
		"source": {"tok_visa"},
	}.Encode())
	before := a.get("/v1/customers/" + id)
	tests := []struct{ name, form, field, want string }{
		{"one key", "metadata[a]=9", "metadata", `{"a":"9","b":"2"}`},
		{"one key unset", "metadata[a]=", "metadata", `{"b":"2"}`},
		{"all keys", "metadata=", "metadata", `{}`},
		{"text", "description=new", "description", `"new"`},
		{"text unset", "description=", "description", `null`},
		{"email unset", "email=", "email", `null`},
		{"address", "address[city]=Bonn", "address", `{"city":"Bonn","country":null,"line1":null,"line2":null,"postal_code":null,"state":null}`},
		{"address unset", "address=", "address", `null`},
		{"balance", "balance=-3", "balance", `-3`},
		{"locales", "preferred_locales[]=fr", "preferred_locales", `["fr"]`},
		{"locales unset", "preferred_locales=", "preferred_locales", `[]`},
		{"shipping unset", "shipping=", "shipping", `null`},
		{"tax unset", "tax_exempt=", "tax_exempt", `"none"`},
		{"settings", "invoice_settings[default_payment_method]=pm_1", "invoice_settings", `{"custom_fields":null,"default_payment_method":"pm_1","footer":"F","rendering_options":null}`},
		{"sequence", "next_invoice_sequence=7", "next_invoice_sequence", `7`},
		{"prefix", "invoice_prefix=P", "invoice_prefix", `"P"`},
		{"its own source", "default_source=" + before["default_source"].(string), "default_source", `"` + before["default_source"].(string) + `"`},
		{"no field", "tax[validate_location]=auto&cash_balance[settings][reconciliation_mode]=manual", "name", `"Old"`},
	}
	last := before
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := a.post("/v1/customers/"+id, test.form)
			field, err := json.Marshal(got[test.field])
			require.NoError(t, err)
			require.JSONEq(t, test.want, string(field))
			require.Empty(t, cmp.Diff(got, a.get("/v1/customers/"+id)))
			last[test.field] = got[test.field]
			require.Empty(t, cmp.Diff(last, got), "nothing else changes")
			last = got
		})
	}
}

func TestCustomerUpdateReplacesTheCard(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/customers", "source=tok_visa")
	old := a.get("/v1/customers/" + id)["default_source"]
	changed := a.post("/v1/customers/"+id, "source=tok_amex")
	require.NotEqual(t, old, changed["default_source"])
	charge := a.get("/v1/charges/" + a.charge("customer="+id))
	require.Equal(t, changed["default_source"], charge["payment_method"])
	require.Equal(t, "0005", charge["source"].(map[string]any)["last4"])
}

func TestCustomerUpdateIsRefused(t *testing.T) {
	tests := map[string]refusal{
		"no customer":         {path: "/v1/customers/cus_x", status: 404, code: "resource_missing", param: "id", message: "No such customer: 'cus_x'"},
		"a declining source":  {form: "email=new@b.c&source=tok_chargeDeclined", status: 402, code: "card_declined", message: "Your card was declined."},
		"an unknown source":   {form: "source=tok_x", status: 400, code: "resource_missing", param: "source", message: "No such token: 'tok_x'"},
		"another's source":    {form: "email=new@b.c&default_source=card_x", status: 400, code: "resource_missing", param: "default_source", message: "No such source: 'card_x'"},
		"only when created":   {form: "test_clock=clock_1", status: 400, code: "parameter_unknown", param: "test_clock", message: "Received unknown parameter: test_clock"},
		"payment method":      {form: "payment_method=pm_1", status: 400, code: "parameter_unknown", param: "payment_method", message: "Received unknown parameter: payment_method"},
		"shipping to nobody":  {form: "shipping[address][line1]=a", status: 400, code: "parameter_missing", param: "shipping[name]", message: "Missing required param: shipping[name]."},
		"balance cannot go":   {form: "balance=", status: 400, code: "parameter_invalid_empty", param: "balance", message: "You passed an empty string for 'balance'. "},
		"more keys than fit":  {form: strings.ReplaceAll(manyMetadata(50), "[k", "[other")[1:], status: 400, param: "metadata", message: "Metadata can have up to 50 keys"},
		"metadata key length": {form: "metadata[" + strings.Repeat("k", 41) + "]=v", status: 400, param: "metadata", message: "Invalid key: " + strings.Repeat("k", 41) + " must be a string under 40 characters"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			id := a.create("/v1/customers", "email=old@b.c&source=tok_visa&metadata[a]=b")
			before := a.get("/v1/customers/" + id)
			test.method = "POST"
			if test.path == "" {
				test.path = "/v1/customers/OBJ"
			}
			test.refuse(t, a, id)
			require.Empty(t, cmp.Diff(before, a.get("/v1/customers/"+id)))
		})
	}
}

func TestCustomerFilterFollowsTheEmail(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/customers", "email=old@b.c")
	a.post("/v1/customers/"+id, "email=new@b.c")
	for email, want := range map[string][]string{"old@b.c": {}, "new@b.c": {id}} {
		listed, _ := a.page("/v1/customers", url.Values{"email": {email}})
		require.Equal(t, want, listed, email)
	}
}

func TestCustomerIsDeleted(t *testing.T) {
	a := memory(t)
	below := a.create("/v1/customers", "")
	id := a.create("/v1/customers", "email=a@b.c")
	above := a.create("/v1/customers", "")
	gone := map[string]any{"id": id, "object": "customer", "deleted": true}

	require.Equal(t, gone, a.del("/v1/customers/"+id))
	require.Equal(t, gone, a.get("/v1/customers/"+id))
	listed, _ := a.page("/v1/customers", nil)
	require.Equal(t, []string{above, below}, listed)
	listed, _ = a.page("/v1/customers", url.Values{"email": {"a@b.c"}})
	require.Empty(t, listed)
	for name, test := range map[string]refusal{
		"older than it": {"GET", "/v1/customers?starting_after=OBJ", "", 400, "resource_missing", "starting_after", "No such customer: 'OBJ'"},
		"newer than it": {"GET", "/v1/customers?ending_before=OBJ", "", 400, "resource_missing", "ending_before", "No such customer: 'OBJ'"},
		"again":         {"DELETE", "/v1/customers/OBJ", "", 404, "resource_missing", "id", "No such customer: 'OBJ'"},
		"update":        {"POST", "/v1/customers/OBJ", "email=a@b.c", 404, "resource_missing", "id", "No such customer: 'OBJ'"},
	} {
		t.Run(name, func(t *testing.T) { test.refuse(t, a, id) })
	}
	refusal{"DELETE", "/v1/customers/OBJ", "", 404, "resource_missing", "id", "No such customer: 'OBJ'"}.refuse(t, a, "cus_x")
	refusal{"GET", "/v1/customers/OBJ", "", 404, "resource_missing", "id", "No such customer: 'OBJ'"}.refuse(t, a.as("sk_live_1"), id)
}
