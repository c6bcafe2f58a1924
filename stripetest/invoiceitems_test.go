package stripetest_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestInvoiceItemHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`amount currency customer customer_account date description discountable discounts id invoice livemode
		metadata net_amount object parent period pricing proration quantity quantity_decimal tax_rates test_clock`)
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	r := a.do("POST", "/v1/invoiceitems", "amount=1000&currency=USD&customer="+a.create("/v1/customers", "test_clock=clock_1"))
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "ii_1\w{23}",\n  "object": "invoiceitem",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/invoiceitems/"+r.body["id"].(string))))
	for field, value := range map[string]any{
		"amount": 1000.0, "net_amount": 1000.0, "currency": "usd", "date": 1700000000.0, "quantity": 1.0, "quantity_decimal": "1", "test_clock": "clock_1",
		"discountable": true, "discounts": []any{}, "tax_rates": []any{}, "parent": nil, "invoice": nil, "proration": false,
		"period":  map[string]any{"start": 1700000000.0, "end": 1700000000.0},
		"pricing": map[string]any{"type": "price_details", "unit_amount_decimal": "1000"},
	} {
		require.Equal(t, value, r.body[field], field)
	}
}

func TestInvoiceItemReturnsItsParameters(t *testing.T) {
	a := memory(t)
	invoice := a.create("/v1/invoices", "customer="+a.create("/v1/customers", ""))
	got := a.post("/v1/invoiceitems", url.Values{
		"customer_account": {"acct_1"}, "amount": {"-5"}, "currency": {"eur"}, "description": {"D"}, "discounts[0][discount]": {"di_x"},
		"discounts[1][coupon]": {"c"}, "invoice": {invoice}, "metadata[a]": {"1"}, "period[start]": {"1"}, "period[end]": {"2"},
		"quantity": {"3"}, "subscription": {"sub_1"}, "tax_behavior": {"exclusive"}, "tax_code": {"txcd_1"}, "tax_rates[]": {"txr_1"},
	}.Encode())
	for field, value := range map[string]any{
		"customer": nil, "customer_account": "acct_1", "amount": -5.0, "currency": "eur", "description": "D", "discountable": false, "invoice": invoice,
		"metadata": map[string]any{"a": "1"}, "period": map[string]any{"start": 1.0, "end": 2.0}, "quantity": 3.0, "quantity_decimal": "3",
		"parent":    map[string]any{"type": "subscription_details", "subscription_details": map[string]any{"subscription": "sub_1"}},
		"tax_rates": []any{map[string]any{"id": "txr_1", "object": "tax_rate"}},
	} {
		require.Equal(t, value, got[field], field)
	}
	discounts := got["discounts"].([]any)
	require.Len(t, discounts, 2)
	require.Equal(t, "di_x", discounts[0])
}

func TestInvoiceItemCostsItsPriceTimesItsQuantity(t *testing.T) {
	a := memory(t)
	product := a.post("/v1/products", "name=P&default_price_data[currency]=eur&default_price_data[unit_amount_decimal]=12.5")
	price := product["default_price"].(string)
	made := "price_data[currency]=eur&price_data[product]=" + product["id"].(string)
	tests := map[string]struct {
		form     string
		amount   float64
		currency string
		unit     string
	}{
		"amount":             {"amount=100&currency=usd", 100, "usd", "100"},
		"amount, quantity":   {"amount=100&currency=usd&quantity=3", 100, "usd", "100"},
		"known price":        {"pricing[price]=" + price + "&quantity=3", 38, "eur", "12.5"},
		"new price":          {made + "&price_data[unit_amount]=7&quantity=2", 14, "eur", "7"},
		"new decimal price":  {made + "&price_data[unit_amount_decimal]=0.5", 1, "eur", "0.5"},
		"unit amount":        {"unit_amount_decimal=-0.5&currency=usd", -1, "usd", "-0.5"},
		"part of a quantity": {"unit_amount_decimal=10&quantity_decimal=2.25&currency=usd", 23, "usd", "10"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := a.post("/v1/invoiceitems", "customer_account=acct_1&"+test.form)
			require.Equal(t, test.amount, got["amount"])
			require.Equal(t, test.amount, got["net_amount"])
			require.Equal(t, test.currency, got["currency"])
			pricing := got["pricing"].(map[string]any)
			require.Equal(t, test.unit, pricing["unit_amount_decimal"])
			if details, _ := pricing["price_details"].(map[string]any); strings.Contains(name, "new") {
				require.Equal(t, product["id"], details["product"])
			}
		})
	}
}

func TestInvoiceItemIsUpdated(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/invoiceitems", "customer_account=acct_1&unit_amount_decimal=10&quantity=2&currency=usd&metadata[a]=1&description=D&tax_rates[]=txr_1")
	want := a.get("/v1/invoiceitems/" + id)
	for _, step := range []struct {
		form string
		want map[string]any
	}{
		{"quantity=3", map[string]any{"quantity": 3.0, "quantity_decimal": "3", "amount": 30.0, "net_amount": 30.0}},
		{"description=&tax_rates=&metadata[b]=2&discountable=false", map[string]any{
			"description": nil, "tax_rates": []any{}, "metadata": map[string]any{"a": "1", "b": "2"}, "discountable": false,
		}},
		{"amount=7", map[string]any{"amount": 7.0, "net_amount": 7.0, "pricing": map[string]any{"type": "price_details", "unit_amount_decimal": "7"}}},
		{"period[start]=5&period[end]=6", map[string]any{"period": map[string]any{"start": 5.0, "end": 6.0}}},
	} {
		got := a.post("/v1/invoiceitems/"+id, step.form)
		maps.Copy(want, step.want)
		require.Empty(t, cmp.Diff(want, got), step.form)
		require.Empty(t, cmp.Diff(got, a.get("/v1/invoiceitems/"+id)))
	}
}

func TestInvoiceItemsAreListedByTheirFilters(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	made := []string{
		a.server.SeedInvoiceItem(100, "customer="+customer),
		a.server.SeedInvoiceItem(200, "customer="+customer+"&invoice=in_1"),
		a.server.SeedInvoiceItem(150, "customer_account=acct_1"),
	}
	tests := map[string]struct {
		query string
		want  []int
	}{
		"all, by date": {"", []int{1, 2, 0}},
		"customer":     {"customer=" + customer, []int{1, 0}},
		"account":      {"customer_account=acct_1", []int{2}},
		"invoice":      {"invoice=in_1", []int{1}},
		"pending":      {"pending=true", []int{2, 0}},
		"not pending":  {"pending=false", []int{1}},
		"both":         {"pending=true&customer=" + customer, []int{0}},
		"created":      {"created[gte]=150", []int{1, 2}},
		"created, at":  {"created=100", []int{0}},
		"cursor":       {"starting_after=" + made[2], []int{0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			require.NoError(t, err)
			want := []string{}
			for _, i := range test.want {
				want = append(want, made[i])
			}
			got, _ := a.page("/v1/invoiceitems", query)
			require.Equal(t, want, got)
		})
	}
}

func TestInvoiceItemIsDeletedUnlessItsInvoiceIsFinal(t *testing.T) {
	a := memory(t)
	pending := a.create("/v1/invoiceitems", "customer_account=acct_1&amount=5&currency=usd")
	customer := a.create("/v1/customers", "")
	invoices := []string{a.create("/v1/invoices", "customer="+customer), a.create("/v1/invoices", "customer="+customer)}
	draft := a.create("/v1/invoiceitems", "customer="+customer+"&amount=5&currency=usd&invoice="+invoices[0])
	final := a.create("/v1/invoiceitems", "customer="+customer+"&amount=5&currency=usd&invoice="+invoices[1])
	require.Equal(t, "open", a.post("/v1/invoices/"+invoices[1]+"/finalize", "")["status"])
	for _, id := range []string{pending, draft} {
		require.Equal(t, map[string]any{"id": id, "object": "invoiceitem", "deleted": true}, a.del("/v1/invoiceitems/"+id))
		for _, method := range []string{"GET", "POST", "DELETE"} {
			refusal{method, "/v1/invoiceitems/OBJ", "", 404, "resource_missing", "invoiceitem", "No such invoiceitem: 'OBJ'"}.refuse(t, a, id)
		}
	}
	for _, method := range []string{"POST", "DELETE"} {
		refusal{method, "/v1/invoiceitems/OBJ", "", 400, "", "", "Invoice " + invoices[1] + " is finalized"}.refuse(t, a, final)
	}
	refusal{"POST", "/v1/invoiceitems", "customer_account=acct_1&amount=5&currency=usd&invoice=OBJ", 400, "", "", "Invoice OBJ is finalized"}.refuse(t, a, invoices[1])
	listed, _ := a.page("/v1/invoiceitems", nil)
	require.Equal(t, []string{final}, listed)
}

func TestInvoiceItemIsRefused(t *testing.T) {
	tests := map[string]refusal{
		"of nobody":             {form: "amount=5&currency=usd", code: "parameter_missing", param: "customer", message: "Missing required param: customer."},
		"of an unknown one":     {form: "amount=5&currency=usd&customer=cus_x", code: "resource_missing", param: "customer", message: "No such customer: 'cus_x'"},
		"without amount":        {form: "currency=usd&customer=OBJ", code: "parameter_missing", param: "amount", message: "Missing required param: amount."},
		"without currency":      {form: "amount=5&customer=OBJ", code: "parameter_missing", param: "currency", message: "Missing required param: currency."},
		"with two amounts":      {form: "amount=5&unit_amount_decimal=5&currency=usd&customer=OBJ", message: "You may only specify one of these parameters: amount, "},
		"with two quantities":   {form: "amount=5&quantity=1&quantity_decimal=1&currency=usd&customer=OBJ", param: "quantity", message: "You may only specify one of these parameters: quantity, "},
		"with half a period":    {form: "amount=5&currency=usd&customer=OBJ&period[start]=1", code: "parameter_missing", param: "period[end]", message: "Missing required param: period[end]."},
		"of no product":         {form: "customer=OBJ&price_data[currency]=usd&price_data[product]=prod_x&price_data[unit_amount]=5", code: "resource_missing", param: "price_data[product]", message: "No such product: 'prod_x'"},
		"of no invoice":         {form: "amount=5&currency=usd&customer=OBJ&invoice=in_x", code: "resource_missing", param: "invoice", message: "No such invoice: 'in_x'"},
		"of no price":           {form: "customer=OBJ&currency=usd&pricing[price]=price_x", code: "resource_missing", param: "pricing[price]", message: "No such price: 'price_x'"},
		"of less than none":     {form: "amount=5&currency=usd&customer=OBJ&quantity=-1", code: "parameter_invalid_integer", param: "quantity", message: "This value must be greater than or equal to 0."},
		"of an odd unit amount": {form: "unit_amount_decimal=1e9&currency=usd&customer=OBJ", param: "unit_amount_decimal", message: "Invalid decimal: 1e9"},
		"of too much":           {form: "unit_amount_decimal=99999999999&quantity=99999999999&currency=usd&customer=OBJ", code: "amount_too_large", param: "amount", message: "Amount must be no more than "},
		"with a bad currency":   {form: "amount=5&currency=dollars&customer=OBJ", param: "currency", message: "Invalid currency: dollars"},
		"with created":          {form: "amount=5&currency=usd&customer=OBJ&created=5", code: "parameter_unknown", param: "created", message: "Received unknown parameter: created"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			test.method, test.path, test.status = "POST", "/v1/invoiceitems", 400
			test.refuse(t, a, a.create("/v1/customers", ""))
			listed, _ := a.page("/v1/invoiceitems", nil)
			require.Empty(t, listed)
		})
	}
}
