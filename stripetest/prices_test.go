package stripetest_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestPriceReturnsItsParameters(t *testing.T) {
	a := memory(t)
	product := a.create("/v1/products", "name=Tea")
	got := a.post("/v1/prices", "currency=USD&unit_amount=250&nickname=N&lookup_key=tea&metadata[a]=b&tax_behavior=inclusive"+
		"&recurring[interval]=month&recurring[interval_count]=2&product="+product)
	require.Regexp(t, "^price_1", got["id"])
	for field, want := range map[string]any{
		"object": "price", "active": true, "billing_scheme": "per_unit", "currency": "usd", "livemode": false, "lookup_key": "tea",
		"metadata": map[string]any{"a": "b"}, "nickname": "N", "product": product, "tax_behavior": "inclusive", "type": "recurring",
		"recurring": map[string]any{
			"interval": "month", "interval_count": 2.0, "usage_type": "licensed", "meter": nil, "trial_period_days": nil,
		},
		"unit_amount": 250.0, "unit_amount_decimal": "250", "custom_unit_amount": nil,
	} {
		require.Empty(t, cmp.Diff(want, got[field]), field)
	}
	id := got["id"].(string)
	require.Empty(t, cmp.Diff(got, a.get("/v1/prices/"+id)))
	require.Equal(t, "Tea", a.get("/v1/prices/" + id + "?expand[]=product")["product"].(map[string]any)["name"])

	changed := a.post("/v1/prices/"+id, "active=false&nickname=&metadata[a]=")
	require.Equal(t, []any{false, nil, map[string]any{}}, []any{changed["active"], changed["nickname"], changed["metadata"]})
	refusal{"POST", "/v1/prices/" + id, "unit_amount=5", 400, "parameter_unknown", "unit_amount", "Received unknown parameter: unit_amount"}.refuse(t, a, "")
}

func TestDefaultPriceIsAPriceWithAllItsData(t *testing.T) {
	a := memory(t)
	product := a.post("/v1/products", "name=Tea&default_price_data[currency]=usd&default_price_data[unit_amount]=250"+
		"&default_price_data[recurring][interval]=month&default_price_data[recurring][interval_count]=3&default_price_data[metadata][k]=v")
	got := a.get("/v1/prices/" + product["default_price"].(string))
	require.Equal(t, product["id"], got["product"])
	require.Equal(t, "recurring", got["type"])
	require.Equal(t, 3.0, got["recurring"].(map[string]any)["interval_count"])
	require.Equal(t, map[string]any{"k": "v"}, got["metadata"])
	expanded := a.get("/v1/products/" + product["id"].(string) + "?expand[]=default_price")
	require.Empty(t, cmp.Diff(any(got), expanded["default_price"]))

	custom := a.post("/v1/products", "name=Gift&default_price_data[currency]=usd&default_price_data[custom_unit_amount][enabled]=true&default_price_data[custom_unit_amount][minimum]=100")
	got = a.get("/v1/prices/" + custom["default_price"].(string))
	require.Equal(t, map[string]any{"minimum": 100.0, "maximum": nil, "preset": nil}, got["custom_unit_amount"])
	require.Nil(t, got["unit_amount"])
	require.Nil(t, got["unit_amount_decimal"])
}

func TestPricesAreListedByTheirFilters(t *testing.T) {
	a := memory(t)
	product := a.create("/v1/products", "name=Tea")
	first := a.create("/v1/prices", "currency=usd&unit_amount=1&lookup_key=a&product="+product)
	second := a.create("/v1/prices", "currency=eur&unit_amount_decimal=0.5&lookup_key=b&active=false&recurring[interval]=day&product_data[name]=Milk")
	for query, want := range map[string][]string{
		"": {second, first}, "active=true": {first}, "currency=eur": {second}, "product=" + product: {first}, "type=recurring": {second},
		"lookup_keys[]=a&lookup_keys[]=x": {first},
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		listed, _ := a.page("/v1/prices", values)
		require.Equal(t, want, listed, query)
	}
	milk := a.get("/v1/prices/" + second + "?expand[]=product")["product"].(map[string]any)
	require.Equal(t, "Milk", milk["name"])
}

func TestPriceIsRefused(t *testing.T) {
	for name, test := range map[string]refusal{
		"of no product":      {form: "currency=usd&unit_amount=1", code: "parameter_missing", param: "product", message: "Missing required param: product."},
		"of unknown product": {form: "currency=usd&unit_amount=1&product=prod_x", code: "resource_missing", param: "product", message: "No such product: 'prod_x'"},
		"of two products":    {form: "currency=usd&unit_amount=1&product=OBJ&product_data[name]=P", param: "product", message: "You may only specify one of these parameters: "},
		"without currency":   {form: "unit_amount=1&product=OBJ", code: "parameter_missing", param: "currency", message: "Missing required param: currency."},
		"without amount":     {form: "currency=usd&product=OBJ", message: "Exactly one of unit_amount, "},
		"below zero":         {form: "currency=usd&unit_amount=-1&product=OBJ", code: "parameter_invalid_integer", param: "unit_amount", message: "This value must be greater than or equal to 0."},
		"with tiers":         {form: "currency=usd&tiers_mode=volume&product=OBJ", code: "parameter_unknown", param: "tiers_mode", message: "Received unknown parameter: tiers_mode"},
		"with another's key": {form: "currency=usd&unit_amount=1&lookup_key=k&product_data[name]=P", param: "lookup_key", message: "A price (`price_"},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			product := a.create("/v1/products", "name=Tea")
			taken := a.create("/v1/prices", "currency=usd&unit_amount=1&lookup_key=k&product="+product)
			test.method, test.path, test.status = "POST", "/v1/prices", 400
			test.refuse(t, a, product)
			products, _ := a.page("/v1/products", nil)
			require.Len(t, products, 1)
			moved := a.create("/v1/prices", "currency=usd&unit_amount=1&lookup_key=k&transfer_lookup_key=true&product="+product)
			require.Nil(t, a.get("/v1/prices/" + taken)["lookup_key"])
			require.Equal(t, "k", a.post("/v1/prices/"+moved, "lookup_key=k")["lookup_key"])
		})
	}
}

func TestDefaultPriceMustBeOneOfTheProduct(t *testing.T) {
	a := memory(t)
	product, other := a.create("/v1/products", "name=Tea"), a.create("/v1/products", "name=Milk")
	own := a.create("/v1/prices", "currency=usd&unit_amount=1&product="+product)
	foreign := a.create("/v1/prices", "currency=usd&unit_amount=1&product="+other)
	path := "/v1/products/" + product
	refusal{"POST", path, "default_price=price_x", 400, "resource_missing", "default_price", "No such price: 'price_x'"}.refuse(t, a, "")
	refusal{"POST", path, "default_price=" + foreign, 400, "", "default_price", "The price " + foreign + " does not belong to "}.refuse(t, a, "")
	require.Equal(t, own, a.post(path, "default_price="+own)["default_price"])
	require.Nil(t, a.post(path, "default_price=")["default_price"])
}

func TestProductWithAPriceIsNotDeleted(t *testing.T) {
	const message = "This product cannot be deleted because it has one or more user-created prices."
	a := memory(t)
	free := a.create("/v1/products", "name=Tea")
	a.create("/v1/invoiceitems", "customer_account=acct_1&price_data[currency]=usd&price_data[unit_amount]=1&price_data[product]="+free)
	a.del("/v1/products/" + free)
	for _, id := range []string{
		a.create("/v1/products", "name=Tea&default_price_data[currency]=usd&default_price_data[unit_amount]=1"),
		a.get("/v1/prices/" + a.create("/v1/prices", "currency=usd&unit_amount=1&active=false&product_data[name]=Tea"))["product"].(string),
	} {
		refusal{"DELETE", "/v1/products/" + id, "", 400, "", "", message}.refuse(t, a, "")
		require.Equal(t, id, a.get("/v1/products/" + id)["id"])
	}
}

func TestInvoiceItemTakesOneTimePricesOnly(t *testing.T) {
	a := memory(t)
	once := a.create("/v1/prices", "currency=eur&unit_amount=70&product_data[name]=Tea")
	monthly := a.create("/v1/prices", "currency=eur&unit_amount=70&recurring[interval]=month&product_data[name]=Tea")
	item := a.post("/v1/invoiceitems", "customer_account=acct_1&quantity=3&pricing[price]="+once)
	require.Equal(t, []any{210.0, "eur"}, []any{item["amount"], item["currency"]})
	shown := a.with("Stripe-Version", "2020-08-27").get("/v1/invoiceitems/" + item["id"].(string))["price"]
	require.Empty(t, cmp.Diff(any(a.get("/v1/prices/"+once)), shown))
	refusal{"POST", "/v1/invoiceitems", "customer_account=acct_1&pricing[price]=" + monthly, 400, "", "pricing[price]", "The price specified is set to `type=recurring`"}.refuse(t, a, "")
}
