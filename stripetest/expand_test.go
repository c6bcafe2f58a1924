package stripetest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// at returns the value at a path such as data.0.customer in the body.
func (r reply) at(t *testing.T, path string) any {
	t.Helper()
	var node any = r.body
	for name := range strings.SplitSeq(path, ".") {
		if list, ok := node.([]any); ok {
			require.Equal(t, "0", name)
			require.NotEmpty(t, list, path)
			node = list[0]
			continue
		}
		object, ok := node.(map[string]any)
		require.True(t, ok, "%s: %v", path, node)
		node = object[name]
	}
	return node
}

func TestExpandPutsObjectsInThePlaceOfIDs(t *testing.T) {
	a := memory(t)
	legacy := a.with("Stripe-Version", "2020-08-27")
	payer := a.post("/v1/customers", "source=tok_visa&name=Jo")
	customer, card := payer["id"].(string), payer["default_source"].(string)
	charge := a.post("/v1/charges", "amount=1000&currency=usd&customer="+customer)
	paid := charge["id"].(string)
	refund := a.post("/v1/refunds", "amount=300&charge="+paid)["id"].(string)
	item := a.post("/v1/invoiceitems", "amount=5&currency=usd&customer="+customer)["id"].(string)
	order := legacy.post("/v1/orders", "currency=usd&items[][type]=sku&items[][parent]=sku_1&items[][amount]=700&customer="+customer)["id"].(string)
	legacy.post("/v1/orders/"+order+"/pay", "customer="+customer)
	returned := legacy.post("/v1/orders/"+order+"/returns", "")["id"].(string)
	priced := a.post("/v1/products", "name=Tea&default_price_data[currency]=usd&default_price_data[unit_amount]=250")["id"].(string)

	tests := []struct {
		path, expand, at string
		want             any
	}{
		{"/v1/charges/" + paid, "customer", "customer.name", "Jo"},
		{"/v1/charges/" + paid, "customer.default_source", "customer.default_source.id", card},
		{"/v1/charges/" + paid, "balance_transaction", "balance_transaction.amount", 1000.0},
		{"/v1/charges/" + paid, "balance_transaction", "balance_transaction.source", paid},
		{"/v1/charges/" + paid, "balance_transaction", "balance_transaction.object", "balance_transaction"},
		{"/v1/charges/" + paid, "refunds.data.charge", "refunds.data.0.charge.id", paid},
		{"/v1/charges/" + paid, "review", "review", nil},
		{"/v1/charges/" + paid, "refunds", "refunds.data.0.id", refund},
		{"/v1/customers/" + customer, "sources", "sources.data.0.id", card},
		{"/v1/customers/" + customer, "sources.data.customer", "sources.data.0.customer.name", "Jo"},
		{"/v1/customers/" + customer, "subscriptions", "subscriptions.url", "/v1/customers/" + customer + "/subscriptions"},
		{"/v1/customers/" + customer, "tax_ids", "tax_ids.object", "list"},
		{"/v1/customers?", "data.sources", "data.0.sources.data.0.last4", "4242"},
		{"/v1/charges?limit=1&", "total_count", "total_count", 2.0},
		{"/v1/charges?created[gt]=99999999999&", "total_count", "total_count", 0.0},
		{"/v1/charges?customer=cus_x&", "total_count", "total_count", 0.0},
		{"/v1/charges?limit=1&starting_after=" + paid + "&", "total_count", "total_count", 2.0},
		{"/v1/charges/search?limit=1&query=amount>0&", "total_count", "total_count", 2.0},
		{"/v1/charges?customer=" + customer + "&limit=1&", "data.customer", "data.0.customer.name", "Jo"},
		{"/v1/charges?limit=1&", "data.customer.default_source", "data.0.customer.default_source.id", card},
		{"/v1/charges/search?query=amount:1000&", "data.customer", "data.0.customer.name", "Jo"},
		{"/v1/customers/" + customer, "default_source", "default_source.last4", "4242"},
		{"/v1/customers/" + customer, "default_source.customer", "default_source.customer.name", "Jo"},
		{"/v1/refunds/" + refund, "charge", "charge.amount", 1000.0},
		{"/v1/refunds/" + refund, "charge.customer", "charge.customer.name", "Jo"},
		{"/v1/refunds?", "data.charge.customer.default_source", "data.0.charge.customer.default_source.id", card},
		{"/v1/charges/" + paid + "/refunds?", "data.charge", "data.0.charge.id", paid},
		{"/v1/refunds/" + refund, "balance_transaction", "balance_transaction.amount", -300.0},
		{"/v1/invoiceitems/" + item, "customer", "customer.name", "Jo"},
		{"/v1/invoiceitems?", "data.customer", "data.0.customer.name", "Jo"},
		{"/v1/orders/" + order, "customer", "customer.name", "Jo"},
		{"/v1/orders/" + order, "charge.order", "charge.order.id", order},
		{"/v1/order_returns/" + returned, "order", "order.id", order},
		{"/v1/order_returns/" + returned, "refund", "refund.amount", 700.0},
		{"/v1/products/" + priced, "default_price", "default_price.unit_amount_decimal", "250"},
		{"/v1/products/" + priced, "default_price.product", "default_price.product.name", "Tea"},
	}
	for _, test := range tests {
		t.Run(test.path+" "+test.expand, func(t *testing.T) {
			separator := "?"
			if strings.Contains(test.path, "?") {
				separator = ""
			}
			r := legacy.do("GET", test.path+separator+"expand[]="+test.expand, "")
			require.Equal(t, http.StatusOK, r.status, r.raw)
			require.Equal(t, test.want, r.at(t, test.at))
		})
	}
}

func TestExpandKeepsTheRest(t *testing.T) {
	a := memory(t)
	customer := a.post("/v1/customers", "source=tok_visa&description=<%26>")
	charge := a.charge("customer=" + customer["id"].(string))
	plain := a.do("GET", "/v1/charges/"+charge, "")
	expanded := a.do("GET", "/v1/charges/"+charge+"?expand[]=customer&expand[]=balance_transaction&expand[]=customer", "")
	require.Equal(t, customer, expanded.body["customer"])
	require.Contains(t, expanded.raw, `"description": "<&>"`)
	require.True(t, strings.HasPrefix(expanded.raw, "{\n  \"id\": \"ch_"), "id is first")
	plain.body["customer"], expanded.body["customer"] = nil, nil
	plain.body["balance_transaction"], expanded.body["balance_transaction"] = nil, nil
	require.Equal(t, plain.body, expanded.body)

	again := a.do("GET", "/v1/charges/"+charge, "")
	require.Equal(t, plain.raw, again.raw, "what is stored does not change")
}

func TestExpandShowsDeletedCustomers(t *testing.T) {
	a := memory(t)
	customer := a.post("/v1/customers", "source=tok_visa")["id"].(string)
	charge := a.charge("customer=" + customer)
	a.do("DELETE", "/v1/customers/"+customer, "")
	got := a.get("/v1/charges/" + charge + "?expand[]=customer.default_source")
	require.Equal(t, map[string]any{"id": customer, "object": "customer", "deleted": true}, got["customer"])
}

func TestExpandRefusesOtherProperties(t *testing.T) {
	tests := map[string]struct{ method, path, form, message string }{
		"unknown":            {"POST", "/v1/charges", visa + "&expand[]=x", "This property cannot be expanded (x)."},
		"no id":              {"POST", "/v1/charges", visa + "&expand[]=amount", "This property cannot be expanded (amount)."},
		"empty":              {"POST", "/v1/charges", visa + "&expand[]=", "This property cannot be expanded ()."},
		"unknown below":      {"GET", "/v1/charges/ch_x?expand[]=customer.x", "", "This property cannot be expanded (customer.x)."},
		"list, no data":      {"GET", "/v1/charges?expand[]=customer", "", "This property cannot be expanded (customer)."},
		"object, data":       {"GET", "/v1/charges/ch_x?expand[]=data.customer", "", "This property cannot be expanded (data.customer)."},
		"count of an object": {"GET", "/v1/charges/ch_x?expand[]=total_count", "", "This property cannot be expanded (total_count)."},
		"list, no objects":   {"GET", "/v1/customers?expand[]=data.x", "", "This property cannot be expanded (data.x)."},
		"too deep":           {"GET", "/v1/refunds?expand[]=data.charge.customer.default_source.customer", "", "You cannot expand more than 4 levels"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			r := a.do(test.method, test.path, test.form)
			require.Equal(t, http.StatusBadRequest, r.status)
			require.Contains(t, r.failure()["message"], test.message)
			ids, _ := a.page("/v1/charges", url.Values{})
			require.Empty(t, ids, "a refused request must store nothing")
		})
	}
}
