package connector_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripekittest"
)

// TestEveryActionFitsItsSchemas carries out each action. The helper invoke compares
// input and output with the schemas.
func TestEveryActionFitsItsSchemas(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	done := map[string]bool{}
	do := func(name, input string, args ...any) map[string]any {
		t.Helper()
		done[name] = true
		return invoke(t, client, name, fmt.Sprintf(input, args...))
	}

	customer := do("customers.create", `{"name": "Ada", "email": "a@b.c", "source": "tok_visa", "balance": -100, "tax_exempt": "none",
		"address": {"line1": "1 Way", "city": "Rome"}, "preferred_locales": ["it", "en"], "metadata": {"k": "v"},
		"tax_id_data": [{"type": "eu_vat", "value": "IT12345678901"}],
		"invoice_settings": {"custom_fields": [{"name": "a", "value": "b"}], "footer": "f"}}`)["id"]
	do("customers.get", `{"id": %q}`, customer)
	require.Equal(t, "Ida", do("customers.update", `{"id": %q, "name": "Ida", "tax_exempt": ""}`, customer)["name"])
	do("customers.list", `{"limit": 3, "email": "a@b.c", "created": {"gte": 1}}`)
	do("customers.search", `{"query": "email:\"a@b.c\""}`)

	charge := do("charges.create", `{"amount": 2000, "currency": "usd", "customer": %q, "capture": false, "description": "d",
		"shipping": {"name": "Ada", "phone": null, "address": {"line1": "1 Way", "line2": ""}}, "metadata": {"k": "v"}, "expand": ["customer"]}`, customer)
	require.Equal(t, "Ida", charge["customer"].(map[string]any)["name"])
	do("charges.capture", `{"id": %q, "amount": 1500}`, charge["id"])
	do("charges.get", `{"id": %q, "expand": ["balance_transaction", "customer"]}`, charge["id"])
	do("charges.update", `{"id": %q, "description": "", "fraud_details": {"user_report": "safe"}}`, charge["id"])
	do("charges.list", `{"customer": %q, "limit": 100, "expand": ["customer"]}`, customer)
	do("charges.search", `{"query": "amount>1", "page": null}`)

	refund := do("refunds.create", `{"charge": %q, "amount": 100, "reason": "duplicate"}`, charge["id"])["id"]
	do("refunds.get", `{"id": %q, "expand": ["charge"]}`, refund)
	do("refunds.update", `{"id": %q, "metadata": {"a": "b"}}`, refund)
	do("refunds.list", `{"charge": %q}`, charge["id"])

	product := do("products.create", `{"name": "Tea", "images": ["https://a.b/c.png"], "shippable": true, "marketing_features": [{"name": "hot"}],
		"package_dimensions": {"height": 1, "length": 2.5, "weight": 3, "width": 4}}`)["id"]
	do("products.get", `{"id": %q}`, product)
	do("products.update", `{"id": %q, "active": false, "images": [], "package_dimensions": {}}`, product)
	do("products.list", `{"active": false}`)
	do("products.search", `{"query": "active:\"false\""}`)
	do("products.delete", `{"id": %q}`, product)

	item := do("invoice_items.create", `{"customer": %q, "amount": 700, "currency": "usd", "period": {"start": 1700000000, "end": 1700000001}}`, customer)["id"]
	do("invoice_items.get", `{"id": %q}`, item)
	do("invoice_items.update", `{"id": %q, "amount": -5, "discountable": false}`, item)
	do("invoice_items.list", `{"pending": true}`)
	do("invoice_items.delete", `{"id": %q, "idempotency_key": "k"}`, item)

	order := do("orders.create", `{"currency": "usd", "email": "a@b.c", "items": [{"type": "sku", "parent": "sku_tea", "amount": 500, "quantity": 2}]}`)["id"]
	do("orders.get", `{"id": %q}`, order)
	do("orders.update", `{"id": %q, "metadata": {"a": "b"}}`, order)
	do("orders.pay", `{"id": %q, "source": "tok_visa"}`, order)
	do("orders.return", `{"id": %q, "items": null}`, order)
	do("orders.list", `{"status": "canceled"}`)
	do("order_returns.list", `{"order": %q}`, order)

	event := do("events.list", `{"limit": 100, "type": "charge.*"}`)["data"].([]any)[0].(map[string]any)["id"]
	do("events.get", `{"id": %q}`, event)
	do("customers.delete", `{"id": %q}`, customer)

	// A refund to a card cannot be canceled, so the response is recorded.
	text, err := os.ReadFile("../testdata/fixtures/2026-08-26.dahlia/refund.json")
	require.NoError(t, err)
	client = stripekittest.Replay(t, fstest.MapFS{"c.http": {Data: append([]byte("POST /v1/refunds/re_1/cancel\n\n"), text...)}})
	do("refunds.cancel", `{"id": "re_1", "expand": null}`)

	for _, a := range connector.Actions() {
		require.True(t, done[a.Name], "%s was not tried", a.Name)
	}
}

// TestRecordedObjectsFitTheirSchemas compares the responses of stripe-mock, of every
// version that is recorded, with the schemas.
func TestRecordedObjectsFitTheirSchemas(t *testing.T) {
	objects := map[string]string{
		"charge": "charges", "customer": "customers", "product": "products", "refund": "refunds", "order": "orders",
		"order_return": "order_returns", "invoiceitem": "invoice_items", "event": "events",
	}
	paths, err := filepath.Glob("../testdata/fixtures/*/*.json")
	require.NoError(t, err)
	seen := map[string]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "_page")
		if base, found := strings.CutSuffix(kind, "s_search"); found {
			requireFits(t, action(t, objects[base]+".search").Output, text)
			continue
		}
		if base, found := strings.CutSuffix(kind, "s"); found && strings.HasSuffix(path, "_page.json") {
			requireFits(t, action(t, objects[base]+".list").Output, text)
			continue
		}
		object, known := objects[fmt.Sprint(decoded(t, text)["object"])]
		if strings.HasPrefix(kind, "error_") || kind == "account" || kind == "customer_deleted" && !known {
			continue
		}
		require.True(t, known, path)
		requireFits(t, objectNamed(t, object).Schema, text)
		seen[object]++
	}
	for _, object := range objects {
		if object != "events" { // none is recorded
			require.NotZero(t, seen[object], object)
		}
	}
}

func objectNamed(t *testing.T, name string) connector.Object {
	t.Helper()
	all := connector.Objects()
	i := slices.IndexFunc(all, func(o connector.Object) bool { return o.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return all[i]
}

// TestOutputSchemasRefuseOtherTypes replaces each field of an object by a value of a
// type that it cannot have.
func TestOutputSchemasRefuseOtherTypes(t *testing.T) {
	text, err := os.ReadFile("../testdata/fixtures/2026-08-26.dahlia/charge.json")
	require.NoError(t, err)
	schema := objectNamed(t, "charges").Schema
	var properties struct{ Properties map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(schema, &properties))
	require.Greater(t, len(properties.Properties), 30)
	for name := range properties.Properties {
		value := decoded(t, text)
		value[name] = []any{map[string]any{"id": 5}}
		wrong, err := json.Marshal(value)
		require.NoError(t, err)
		require.Error(t, fits(t, schema, wrong), name)
	}
	require.Error(t, fits(t, schema, []byte(`{}`)), "without an id")
}

// TestOutputSchemasRequireTheIdAlone has objects in which everything else is missing.
func TestOutputSchemasRequireTheIdAlone(t *testing.T) {
	for _, o := range connector.Objects() {
		requireNothingRequired(t, o.Name, decoded(t, o.Schema)["properties"])
		require.Equal(t, []any{"id"}, decoded(t, o.Schema)["required"], o.Name)
	}
	requireFits(t, objectNamed(t, "customers").Schema, []byte(`{"id": "cus_1", "shipping": {"address": {"city": "Rome"}}}`))
}

func requireNothingRequired(t *testing.T, path string, schema any) {
	t.Helper()
	switch schema := schema.(type) {
	case map[string]any:
		for name, value := range schema {
			if _, isList := value.([]any); isList {
				require.NotEqual(t, "required", name, path)
			}
			requireNothingRequired(t, path+"."+name, value)
		}
	case []any:
		for _, value := range schema {
			requireNothingRequired(t, path, value)
		}
	}
}

// TestInputSchemasRefuseWhatInvokeRefuses compares the two on wrong inputs.
func TestInputSchemasRefuseWhatInvokeRefuses(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	for name, inputs := range map[string][]string{
		"charges.create": {
			`{}`, `{"amount": 1}`, `{"currency": "usd"}`, `{"amount": 0, "currency": "usd"}`, `{"amount": "1", "currency": "usd"}`,
			`{"amount": 1.5, "currency": "usd"}`, `{"amount": 1, "currency": ""}`, `{"amount": 1, "currency": "usd", "amont": 1}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "shipping": {"name": "x"}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "shipping": {"name": "x", "address": {"line1": "y", "street": "z"}}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "shipping": {"name": "x", "address": {}}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "metadata": {"a": 1}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "transfer_data": {"amount": 1}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "extra": {"a&b": 1}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "expand": [""]}`,
			`{"amount": -1, "currency": "usd", "source": "tok_visa"}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "idempotency_key": ""}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "idempotency_key": "ö"}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "metadata": {"a[b]": "1"}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "metadata": {"a": "` + strings.Repeat("x", 501) + `"}}`,
			`{"amount": 1, "currency": "usd", "source": "tok_visa", "transfer_data": {"destination": null}}`,
		},
		"charges.get":    {`{}`, `{"id": ""}`, `{"id": 1}`, `{"id": "ch_1", "limit": 1}`},
		"charges.list":   {`{"limit": 101}`, `{"limit": 0}`, `{"limit": -1}`, `{"customer": ""}`, `{"created": {}}`, `{"starting_after": ""}`, `{"created": {"gte": "2026"}}`, `{"created": {"after": 1}}`},
		"charges.search": {`{}`, `{"query": ""}`, `{"query": "a", "limit": 1}`},
		"events.list":    {`{"types": []}`, `{"types": [` + strings.Repeat(`"a", `, 20) + `"a"]}`},
		"orders.create":  {`{"currency": "usd", "items": [{"type": "gift"}]}`, `{"currency": "usd", "items": [` + strings.Repeat(`{"amount": 1}, `, 25) + `{"amount": 1}]}`, `{"currency": "usd", "items": [{}]}`, `{"currency": "usd", "items": [{"quantity": "1"}]}`, `{"currency": "usd", "items": {}}`},
		"products.create": {
			`{"name": "x", "default_price_data": {"custom_unit_amount": {"enabled": false}, "currency": "usd"}}`, `{"name": "x", "images": [null]}`, `{"name": "x", "images": [` + strings.Repeat(`"a", `, 8) + `"a"]}`,
			`{"name": "x", "package_dimensions": {"height": 1}}`, `{"name": "x", "default_price_data": {"currency": "usd", "unit_amount": 1, "recurring": {"interval": null}}}`,
			`{"name": "x", "default_price_data": {"currency": "usd", "unit_amount": 1, "currency_options": {"": {"unit_amount": 1}}}}`,
		},
		"invoice_items.update": {`{"id": "ii_1", "price_data": {}}`},
		"customers.create":     {`{"tax_id_data": [{"type": "eu_vat"}]}`, `[]`, `{"tax_exempt": "some"}`, `{"shipping": {"carrier": ""}}`, `{"cash_balance": {"settings": null}}`},
	} {
		a := action(t, name)
		for _, input := range inputs {
			require.Error(t, fits(t, a.Input, []byte(input)), "%s: the schema allows %s", name, input)
			_, err := connector.Invoke(t.Context(), client, name, []byte(input))
			require.ErrorAs(t, err, new(*stripekit.ParamError), "%s %s", name, input)
		}
	}
	require.Empty(t, server.Requests())
}

// TestConfigSchemasRefuseWhatOpenRefuses compares the two on wrong configurations.
func TestConfigSchemasRefuseWhatOpenRefuses(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	for _, config := range []string{
		`{"every": 0}`, `{"every": 0.09}`, `{"every": "15"}`, `{"every": "-5s"}`, `{"every": "+5s"}`, `{"every": ".s"}`, `{"every": 1e10}`, `{"overlap": 0.5}`,
		`{"from": ""}`, `{"from": "yesterday"}`, `{"from": "2026-01-31"}`, `{"max_attempts": 0}`, `{"max_unacked": -1}`, `{"filter": {"customer": ""}}`, `{"filter": {"limit": 1}}`,
	} {
		require.Error(t, fits(t, trigger(t, "charges.new").Config, []byte(config)), "the schema allows %s", config)
		_, err := connector.Open(t.Context(), client, "charges.new", []byte(config), connector.Options{})
		require.ErrorAs(t, err, new(*stripekit.ParamError), config)
	}
}

// TestRequiredFieldsAreThoseThatAreRefused leaves out each required field of a valid
// input.
func TestRequiredFieldsAreThoseThatAreRefused(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	for _, a := range connector.Actions() {
		var schema struct{ Required []string }
		require.NoError(t, json.Unmarshal(a.Input, &schema))
		for _, name := range schema.Required {
			input := decoded(t, []byte(minimal(a.Name)))
			require.Contains(t, input, name, a.Name)
			delete(input, name)
			text, err := json.Marshal(input)
			require.NoError(t, err)
			_, err = connector.Invoke(t.Context(), client, a.Name, text)
			require.ErrorAs(t, err, new(*stripekit.ParamError), "%s without %s", a.Name, name)
		}
		requireFits(t, a.Input, []byte(minimal(a.Name)))
	}
}

// TestSchemasAreOfTheDraft resolves every schema, and requires what all have.
func TestSchemasAreOfTheDraft(t *testing.T) {
	check := func(name string, schema json.RawMessage) {
		resolved(t, schema)
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", decoded(t, schema)["$schema"], name)
		require.Equal(t, "object", decoded(t, schema)["type"], name)
		require.NotContains(t, string(schema), `"$ref"`, "all is in one place: %s", name)
	}
	for _, a := range connector.Actions() {
		check(a.Name, a.Input)
		check(a.Name, a.Output)
	}
	for _, tr := range connector.Triggers() {
		check(tr.Name, tr.Config)
		check(tr.Name, tr.Data)
	}
	for _, o := range connector.Objects() {
		check(o.Name, o.Schema)
	}
}
