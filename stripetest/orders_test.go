package stripetest_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// ordersVersion is the newest API version that has orders.
const ordersVersion = "2020-08-27"

// twoShirts costs 3500: 3000 for two units of sku_1 and 500 for shipping.
const twoShirts = "currency=usd&items[0][parent]=sku_1&items[0][quantity]=2&items[1][type]=shipping&items[1][amount]=500"

// shop returns a client of a new server, with an API version that has orders.
func shop(t testing.TB, opts ...stripetest.Option) *api {
	return memory(t, opts...).with("Stripe-Version", ordersVersion)
}

// paidOrder creates and pays an order for twoShirts and returns its id.
func (a *api) paidOrder() string {
	a.t.Helper()
	id := a.create("/v1/orders", twoShirts)
	a.post("/v1/orders/"+id+"/pay", "source=tok_visa")
	return id
}

func TestOrderHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`amount amount_returned application application_fee charge created currency customer email id items livemode
		metadata object returns selected_shipping_method shipping shipping_methods status status_transitions updated`)
	a := shop(t)
	r := a.do("POST", "/v1/orders", "currency=usd")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "or_1\w{23}",\n  "object": "order",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/orders/"+r.body["id"].(string))))
}

func TestOrderReturnsItsParameters(t *testing.T) {
	a := shop(t, stripetest.WithClock(at(1700000000).read))
	customer := a.create("/v1/customers", "")
	got := a.post("/v1/orders", twoShirts+"&"+url.Values{
		"coupon": {"TEN"}, "customer": {customer}, "email": {"a@b.c"}, "metadata[a]": {"1"},
		"items[2][type]": {"discount"}, "items[2][amount]": {"-100"}, "items[2][description]": {"Off"}, "items[2][currency]": {"USD"},
		"shipping[name]": {"Jo"}, "shipping[address][line1]": {"1 Rd"}, "shipping[phone]": {"1"},
	}.Encode())
	item := func(kind string, amount float64, quantity, parent, description any) map[string]any {
		return map[string]any{
			"object": "order_item", "amount": amount, "currency": "usd", "description": description, "parent": parent, "quantity": quantity, "type": kind,
		}
	}
	for field, want := range map[string]any{
		"amount": 3400.0, "currency": "usd", "customer": customer, "email": "a@b.c", "metadata": map[string]any{"a": "1"}, "external_coupon_code": "TEN",
		"status": "created", "created": 1700000000.0, "updated": 1700000000.0, "charge": nil, "amount_returned": nil,
		"items": []any{item("sku", 3000, 2.0, "sku_1", "sku_1"), item("shipping", 500, nil, nil, "shipping"), item("discount", -100, nil, nil, "Off")},
		"shipping": map[string]any{
			"name": "Jo", "phone": "1", "carrier": nil, "tracking_number": nil,
			"address": map[string]any{"line1": "1 Rd", "line2": nil, "city": nil, "country": nil, "postal_code": nil, "state": nil},
		},
		"returns":            map[string]any{"object": "list", "data": []any{}, "has_more": false, "url": "/v1/order_returns?order=" + got["id"].(string)},
		"status_transitions": map[string]any{"canceled": nil, "fulfiled": nil, "paid": nil, "returned": nil},
	} {
		require.Empty(t, cmp.Diff(want, got[field]), field)
	}
}

func TestOrderIsPaid(t *testing.T) {
	c := at(100)
	a := shop(t, stripetest.WithClock(c.read))
	customer := a.create("/v1/customers", "source=tok_amex")
	card := a.get("/v1/customers/" + customer)["default_source"].(string)
	tests := map[string]struct{ order, pay, customer, last4 string }{
		"with a token":             {"", "source=tok_visa", "", "4242"},
		"by a customer":            {"", "customer=" + customer, customer, "0005"},
		"by a customer's card":     {"", "customer=" + customer + "&source=" + card, customer, "0005"},
		"by its customer":          {"customer=" + customer, "", customer, "0005"},
		"with another's token too": {"customer=" + customer, "source=tok_visa", customer, "4242"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.now = time.Unix(100, 0)
			id := a.create("/v1/orders", twoShirts+"&"+test.order)
			c.now = time.Unix(200, 0)
			got := a.post("/v1/orders/"+id+"/pay", test.pay+"&email=a@b.c&application_fee=9&metadata[a]=1")
			require.Equal(t, "paid", got["status"])
			require.Equal(t, 200.0, got["updated"])
			require.Equal(t, map[string]any{"canceled": nil, "fulfiled": nil, "paid": 200.0, "returned": nil}, got["status_transitions"])
			require.Equal(t, map[string]any{"a": "1"}, got["metadata"])
			require.Equal(t, "a@b.c", got["email"])
			if test.customer != "" {
				require.Equal(t, test.customer, got["customer"])
			}
			ch := a.get("/v1/charges/" + got["charge"].(string))
			for field, want := range map[string]any{"amount": 3500.0, "currency": "usd", "order": id, "captured": true, "application_fee_amount": 9.0} {
				require.Equal(t, want, ch[field], field)
			}
			require.Equal(t, test.last4, ch["source"].(map[string]any)["last4"])
			require.Empty(t, cmp.Diff(got, a.get("/v1/orders/"+id)))
			refusal{"POST", "/v1/orders/OBJ/pay", "source=tok_visa", 400, "", "", "Order OBJ cannot be paid because its status is paid."}.refuse(t, a, id)
		})
	}
}

func TestOrderThatCostsNothingIsPaidWithoutACharge(t *testing.T) {
	a := shop(t)
	id := a.create("/v1/orders", "currency=usd&items[0][amount]=0")
	got := a.post("/v1/orders/"+id+"/pay", "source=tok_visa")
	require.Equal(t, "paid", got["status"])
	require.Nil(t, got["charge"])
	require.Nil(t, a.post("/v1/orders/"+id+"/returns", "")["refund"])
}

func TestDeclinedOrderStaysUnpaid(t *testing.T) {
	a := shop(t)
	id := a.create("/v1/orders", twoShirts)
	before := a.get("/v1/orders/" + id)
	r := a.do("POST", "/v1/orders/"+id+"/pay", "metadata[a]=1&source=tok_chargeDeclinedInsufficientFunds")
	require.Equal(t, 402, r.status)
	require.Equal(t, "insufficient_funds", r.failure()["decline_code"])
	require.Empty(t, cmp.Diff(before, a.get("/v1/orders/"+id)))
	ch := a.get("/v1/charges/" + r.failure()["charge"].(string))
	require.Equal(t, "failed", ch["status"])
	require.Equal(t, id, ch["order"])
	a.post("/v1/orders/"+id+"/pay", "source=tok_visa")
}

func TestOrderStatusMovesForward(t *testing.T) {
	tests := map[string]struct {
		path    []string
		refused []string
	}{
		"created":   {nil, []string{"fulfilled", "returned"}},
		"paid":      {[]string{"paid"}, []string{"created", "returned"}},
		"canceled":  {[]string{"canceled"}, []string{"created", "paid", "fulfilled", "returned"}},
		"fulfilled": {[]string{"paid", "fulfilled"}, []string{"created", "paid", "canceled"}},
		"returned":  {[]string{"paid", "fulfilled", "returned"}, []string{"created", "paid", "fulfilled", "canceled"}},
		"gave up":   {[]string{"paid", "canceled"}, []string{"created", "paid", "fulfilled", "returned"}},
	}
	field := map[string]string{"paid": "paid", "fulfilled": "fulfiled", "canceled": "canceled", "returned": "returned"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := at(100)
			a := shop(t, stripetest.WithClock(c.read))
			id := a.create("/v1/orders", twoShirts)
			status := "created"
			for _, status = range test.path {
				c.now = c.now.Add(time.Second)
				got := a.post("/v1/orders/"+id, "status="+status)
				require.Equal(t, status, got["status"])
				require.Equal(t, float64(c.now.Unix()), got["status_transitions"].(map[string]any)[field[status]])
			}
			for _, to := range test.refused {
				refusal{"POST", "/v1/orders/OBJ", "metadata[a]=b&status=" + to, 400, "", "status", "The status of order OBJ cannot change from " + status + " to " + to}.refuse(t, a, id)
			}
			before := a.get("/v1/orders/" + id)
			require.Empty(t, cmp.Diff(before, a.post("/v1/orders/"+id, "status="+status)))
		})
	}
}

func TestOrderIsUpdated(t *testing.T) {
	a := shop(t)
	id := a.create("/v1/orders", twoShirts+"&shipping[name]=Jo&shipping[address][line1]=1+Rd&metadata[a]=1")
	got := a.post("/v1/orders/"+id, "shipping[carrier]=UPS&shipping[tracking_number]=1Z&selected_shipping_method=ship_1&metadata=&coupon=TEN")
	shipping := got["shipping"].(map[string]any)
	require.Equal(t, "UPS", shipping["carrier"])
	require.Equal(t, "1Z", shipping["tracking_number"])
	require.Equal(t, "Jo", shipping["name"])
	require.Equal(t, "ship_1", got["selected_shipping_method"])
	require.Equal(t, "TEN", got["external_coupon_code"])
	require.Empty(t, got["metadata"])
	require.Empty(t, cmp.Diff(got, a.get("/v1/orders/"+id)))
}

func TestOrderReturnHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`amount created currency id items livemode object order refund`)
	a := shop(t)
	id := a.paidOrder()
	r := a.do("POST", "/v1/orders/"+id+"/returns", "")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "orret_1\w{23}",\n  "object": "order_return",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/order_returns/"+r.body["id"].(string))))
	require.Equal(t, id, r.body["order"])
	require.Equal(t, 3500.0, r.body["amount"])
}

func TestOrderIsReturned(t *testing.T) {
	const sku = "items[0][type]=sku&items[0][parent]=sku_1"
	tests := map[string]struct {
		fulfilled bool
		returns   []string
		amounts   []float64
		status    string
	}{
		"at once":                {false, []string{""}, []float64{3500}, "canceled"},
		"at once, empty list":    {false, []string{"items="}, []float64{3500}, "canceled"},
		"once fulfilled":         {true, []string{""}, []float64{3500}, "returned"},
		"in part":                {false, []string{sku + "&items[0][quantity]=1"}, []float64{1500}, "paid"},
		"in part, fulfilled":     {true, []string{sku}, []float64{3000}, "fulfilled"},
		"in parts, then no more": {true, []string{sku + "&items[0][quantity]=1", "items[0][type]=shipping", ""}, []float64{1500, 500, 1500}, "returned"},
		"two items":              {false, []string{sku + "&items[1][type]=shipping"}, []float64{3500}, "canceled"},
		"an amount of an item":   {false, []string{"items[0][type]=shipping&items[0][amount]=200", "items[0][type]=shipping", sku}, []float64{200, 300, 3000}, "canceled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := shop(t)
			id := a.paidOrder()
			if test.fulfilled {
				a.post("/v1/orders/"+id, "status=fulfilled")
			}
			sum, want := 0.0, []string{}
			for i, form := range test.returns {
				returned := a.post("/v1/orders/"+id+"/returns", form)
				require.Equal(t, test.amounts[i], returned["amount"])
				sum += test.amounts[i]
				want = append([]string{returned["id"].(string)}, want...)
				refund := a.get("/v1/refunds/" + returned["refund"].(string))
				require.Equal(t, test.amounts[i], refund["amount"])
			}
			got := a.get("/v1/orders/" + id)
			require.Equal(t, test.status, got["status"])
			require.Equal(t, sum, got["amount_returned"])
			require.Equal(t, want, ids(got["returns"].(map[string]any)))
			require.Equal(t, sum, a.get("/v1/charges/" + got["charge"].(string))["amount_refunded"])
			listed, _ := a.page("/v1/order_returns", url.Values{"order": {id}})
			require.Equal(t, want, listed)
		})
	}
}

func TestOrdersAreListedByTheirFilters(t *testing.T) {
	c := at(100)
	a := shop(t, stripetest.WithClock(c.read))
	customer := a.create("/v1/customers", "")
	var made []string
	for i, more := range []string{"", "customer=" + customer, "", "customer=" + customer} {
		c.now = time.Unix(100+int64(i), 0)
		made = append(made, a.create("/v1/orders", twoShirts+"&"+more))
	}
	for i, status := range map[int]string{0: "canceled", 2: "paid", 3: "paid"} {
		c.now = time.Unix(200+int64(i), 0)
		a.post("/v1/orders/"+made[i], "status="+status)
	}
	c.now = time.Unix(300, 0)
	a.post("/v1/orders/"+made[3], "status=fulfilled")
	tests := map[string]struct {
		query string
		want  []int
	}{
		"all":            {"", []int{3, 2, 1, 0}},
		"customer":       {"customer=" + customer, []int{3, 1}},
		"status":         {"status=paid", []int{2}},
		"no such status": {"status=lost", []int{}},
		"created":        {"created[lt]=102", []int{1, 0}},
		"ids":            {"ids[]=" + made[1] + "&ids[]=" + made[3], []int{3, 1}},
		"ids and cursor": {"ids[]=" + made[1] + "&ids[]=" + made[3] + "&starting_after=" + made[2], []int{1}},
		"paid since":     {"status_transitions[paid][gte]=203", []int{3}},
		"paid at":        {"status_transitions[paid]=202", []int{2}},
		"paid ever":      {"status_transitions[paid][gt]=0", []int{3, 2}},
		"fulfilled":      {"status_transitions[fulfilled][lte]=300", []int{3}},
		"canceled":       {"status_transitions[canceled][lt]=201", []int{0}},
		"returned":       {"status_transitions[returned][gt]=0", []int{}},
		"both":           {"status_transitions[paid][gt]=0&status_transitions[fulfilled][gt]=300", []int{}},
		"upstream ids":   {"upstream_ids[]=x", []int{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			require.NoError(t, err)
			want := []string{}
			for _, i := range test.want {
				want = append(want, made[i])
			}
			got, _ := a.page("/v1/orders", query)
			require.Equal(t, want, got)
		})
	}
}

func TestOrderIsRefused(t *testing.T) {
	items := "currency=usd"
	for i := range 26 {
		items += fmt.Sprintf("&items[%d][parent]=sku", i)
	}
	const order, returns, pay = "/v1/orders/OBJ", "/v1/orders/OBJ/returns", "/v1/orders/OBJ/pay"
	tests := map[string]refusal{
		"without currency":      {"POST", "/v1/orders", "email=a@b.c", 400, "parameter_missing", "currency", "Missing required param: currency."},
		"of an unknown one":     {"POST", "/v1/orders", "currency=usd&customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"},
		"of 26 items":           {"POST", "/v1/orders", items, 400, "", "items", "items can have at most 25 elements."},
		"in two currencies":     {"POST", "/v1/orders", "currency=usd&items[0][currency]=eur", 400, "", "items[0][currency]", "The currency of every item must be "},
		"of a negative amount":  {"POST", "/v1/orders", "currency=usd&items[0][type]=discount&items[0][amount]=-5", 400, "", "items", "The amount of an order must not be negative."},
		"of too large an item":  {"POST", "/v1/orders", "currency=usd&items[0][amount]=9223372036854775807&items[1][amount]=9223372036854775807", 400, "amount_too_large", "amount", "Amount must be "},
		"of an odd type":        {"POST", "/v1/orders", "currency=usd&items[0][type]=gift", 400, "", "items[0][type]", "Invalid items[0][type]: must be one of "},
		"shipped to nobody":     {"POST", "/v1/orders", "currency=usd&shipping[address][line1]=a", 400, "parameter_missing", "shipping[name]", "Missing required param: shipping[name]."},
		"shipped nowhere":       {"POST", "/v1/orders", "currency=usd&shipping[name]=a", 400, "parameter_missing", "shipping[address]", "Missing required param: shipping[address]."},
		"unknown":               {"GET", "/v1/orders/or_x", "", 404, "resource_missing", "id", "No such order: 'or_x'"},
		"tracked by nobody":     {"POST", order, "shipping[tracking_number]=1", 400, "parameter_missing", "shipping[carrier]", "Missing required param: shipping[carrier]."},
		"to an odd status":      {"POST", order, "status=lost", 400, "", "status", "Invalid status: must be one of "},
		"for another customer":  {"POST", order, "customer=cus_x", 400, "parameter_unknown", "customer", "Received unknown parameter: customer"},
		"return before it paid": {"POST", returns, "", 400, "", "", "Order OBJ cannot be returned because its status is created, not paid or fulfilled."},
		"unknown return":        {"GET", "/v1/order_returns/orret_x", "", 404, "resource_missing", "id", "No such order_return: 'orret_x'"},
		"paid by nobody":        {"POST", pay, "", 400, "parameter_missing", "", "Must provide source or customer."},
		"paid with no token":    {"POST", pay, "source=tok_x", 400, "resource_missing", "source", "No such token: 'tok_x'"},
		"paid by an unknown":    {"POST", pay, "customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"},
		"deleted":               {"DELETE", order, "", 404, "", "", "Unrecognized request URL (DELETE: /v1/orders/OBJ). "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := shop(t)
			id := a.create("/v1/orders", twoShirts)
			before := a.get("/v1/orders/" + id)
			test.refuse(t, a, id)
			require.Empty(t, cmp.Diff(before, a.get("/v1/orders/"+id)))
			listed, _ := a.page("/v1/orders", nil)
			require.Equal(t, []string{id}, listed)
		})
	}
}

func TestReturnIsRefused(t *testing.T) {
	tests := map[string]struct{ before, form, param, message string }{
		"of something else":  {"", "items[0][parent]=sku_2", "items[0]", "Order OBJ has no such item left to return."},
		"of too many":        {"", "items[0][type]=sku&items[0][quantity]=3", "items[0][quantity]", "Only 2 of this item are left to return."},
		"of too much":        {"", "items[0][type]=shipping&items[0][amount]=501", "items[0][amount]", "Only $5.00 of this item are left to return."},
		"of less than none":  {"", "items[0][type]=shipping&items[0][amount]=-1", "items[0][amount]", "Only $5.00 of this item are left to return."},
		"of one twice":       {"", "items[0][type]=shipping&items[1][type]=shipping", "items[1]", "Order OBJ has no such item left to return."},
		"of what came back":  {"items[0][type]=shipping", "items[0][type]=shipping", "items[0]", "Order OBJ has no such item left to return."},
		"of fewer than left": {"items[0][type]=sku&items[0][quantity]=1", "items[0][type]=sku&items[0][quantity]=2", "items[0][quantity]", "Only 1 of this item are left to return."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := shop(t)
			id := a.paidOrder()
			if test.before != "" {
				a.post("/v1/orders/"+id+"/returns", test.before)
			}
			before := a.get("/v1/orders/" + id)
			refusal{"POST", "/v1/orders/OBJ/returns", test.form, 400, "", test.param, test.message}.refuse(t, a, id)
			require.Empty(t, cmp.Diff(before, a.get("/v1/orders/"+id)))
		})
	}
}

func TestReturnOfARefundedOrderIsRefused(t *testing.T) {
	a := shop(t)
	id := a.paidOrder()
	a.post("/v1/refunds", "amount=1&charge="+a.get("/v1/orders/" + id)["charge"].(string))
	refusal{"POST", "/v1/orders/OBJ/returns", "", 400, "", "amount", "Refund amount ($35.00) is greater than unrefunded amount on charge ($34.99)"}.refuse(t, a, id)
	require.Equal(t, "paid", a.get("/v1/orders/" + id)["status"])
	require.Equal(t, 500.0, a.post("/v1/orders/"+id+"/returns", "items[0][type]=shipping")["amount"])
}
