package stripetest_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestSKUHasAPriceThatItsOrdersCost(t *testing.T) {
	a := memory(t).with("Stripe-Version", "2020-08-27")
	product := a.create("/v1/products", "name=Shirt&type=good")
	sku := a.post("/v1/skus", "currency=usd&price=1250&inventory[type]=finite&inventory[quantity]=5&attributes[size]=M&metadata[a]=b&product="+product)
	for field, want := range map[string]any{
		"object": "sku", "active": true, "attributes": map[string]any{"size": "M"}, "currency": "usd", "image": nil,
		"inventory": map[string]any{"type": "finite", "quantity": 5.0, "value": nil}, "metadata": map[string]any{"a": "b"}, "price": 1250.0, "product": product,
	} {
		require.Empty(t, cmp.Diff(want, sku[field]), field)
	}
	id := sku["id"].(string)
	order := a.post("/v1/orders", "currency=usd&items[0][type]=sku&items[0][parent]="+id+"&items[0][quantity]=2&expand[]=items.parent")
	require.Equal(t, 2500.0, order["amount"])
	item := order["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{2500.0, "Shirt"}, []any{item["amount"], item["description"]})
	require.Empty(t, cmp.Diff(any(a.get("/v1/skus/"+id)), item["parent"]))
	r := a.do("POST", "/v1/orders", "currency=eur&items[0][type]=sku&items[0][parent]="+id)
	require.Equal(t, "items[0][currency]", r.failure()["param"])

	require.Equal(t, 900.0, a.post("/v1/skus/"+id, "price=900&inventory[quantity]=0")["price"])
	require.Equal(t, "Shirt", a.get("/v1/skus/" + id + "?expand[]=product")["product"].(map[string]any)["name"])
	refusal{"DELETE", "/v1/products/" + product, "", 400, "", "", "This product cannot be deleted"}.refuse(t, a, "")
	require.Equal(t, map[string]any{"id": id, "object": "sku", "deleted": true}, a.del("/v1/skus/"+id))
	a.del("/v1/products/" + product)
}

func TestSKUsAreListedByTheirFilters(t *testing.T) {
	a := memory(t).with("Stripe-Version", "2019-09-09")
	product := a.create("/v1/products", "name=Shirt&type=good")
	form := "currency=usd&price=1&product=" + product + "&id="
	a.create("/v1/skus", form+"empty&inventory[type]=finite&inventory[quantity]=0")
	a.create("/v1/skus", form+"gone&inventory[type]=bucket&inventory[value]=out_of_stock&active=false")
	a.create("/v1/skus", form+"endless&inventory[type]=infinite")
	for query, want := range map[string][]string{
		"": {"endless", "gone", "empty"}, "active=false": {"gone"}, "in_stock=true": {"endless"}, "in_stock=false": {"gone", "empty"},
		"ids[]=empty&ids[]=x": {"empty"}, "product=prod_x": {},
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		listed, _ := a.page("/v1/skus", values)
		require.Equal(t, want, listed, query)
	}
}

func TestSKUIsRefused(t *testing.T) {
	a := memory(t)
	old := a.with("Stripe-Version", "2020-08-27")
	product := a.create("/v1/products", "name=Shirt")
	for name, test := range map[string]refusal{
		"without price":     {form: "currency=usd&inventory[type]=infinite&product=OBJ", code: "parameter_missing", param: "price", message: "Missing required param: price."},
		"of no product":     {form: "currency=usd&price=1&inventory[type]=infinite&product=prod_x", code: "resource_missing", param: "product", message: "No such product: 'prod_x'"},
		"in odd inventory":  {form: "currency=usd&price=1&inventory[type]=some&product=OBJ", param: "inventory[type]", message: "Invalid inventory[type]: must be one of "},
		"in another's name": {form: "currency=usd&price=1&inventory[type]=infinite&product=OBJ&id=taken", code: "resource_already_exists", message: "SKU already exists."},
	} {
		t.Run(name, func(t *testing.T) {
			old.do("POST", "/v1/skus", "currency=usd&price=1&inventory[type]=infinite&id=taken&product="+product)
			test.method, test.path, test.status = "POST", "/v1/skus", 400
			test.refuse(t, old, product)
		})
	}
	require.Equal(t, 404, a.do("GET", "/v1/skus", "").status, "later versions have no SKUs")
}
