package stripetest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestSeedUsesTheChosenIDs(t *testing.T) {
	a := memory(t)
	charge := a.server.Seed("/v1/charges", stripetest.Seeding{})[0]
	for path, params := range map[string]url.Values{
		"/v1/charges": nil, "/v1/customers": {"source": {"tok_visa"}}, "/v1/orders": nil, "/v1/invoiceitems": nil,
		"/v1/products": {"name": {"Mug"}, "default_price_data[currency]": {"usd"}, "default_price_data[unit_amount]": {"100"}},
		"/v1/refunds":  {"charge": {charge}, "amount": {"100"}},
	} {
		t.Run(path, func(t *testing.T) {
			a := a.with("Stripe-Version", "2020-08-27")
			ids := []string{"a_1", "b/ü 2", "c_3"}
			require.Equal(t, ids, a.server.Seed(path, stripetest.Seeding{IDs: ids, First: time.Unix(100, 0), Every: time.Second, Params: params}))
			for _, id := range ids {
				got := a.get(path + "/" + url.PathEscape(id))
				require.Equal(t, id, got["id"])
			}
			listed, _ := a.page(path, url.Values{"created[lte]": {"200"}})
			require.Equal(t, []string{"c_3", "b/ü 2", "a_1"}, listed)
		})
	}

	require.Equal(t, []string{"c_3", "b/ü 2", "a_1"}, ids(a.refundsOf(charge)))
	require.Equal(t, 100.0, a.get("/v1/charges/" + charge)["amount_refunded"], "a copy changes no other object")
	product := a.get("/v1/products/a_1?expand[]=default_price")
	require.Equal(t, "a_1", product["default_price"].(map[string]any)["product"])
}

func TestSeededCustomersHaveTheirOwnCards(t *testing.T) {
	a := memory(t)
	params := url.Values{"source": {"tok_visa"}}
	ids := append(a.server.Seed("/v1/customers", stripetest.Seeding{Count: 2, Params: params}),
		a.server.Seed("/v1/customers", stripetest.Seeding{IDs: []string{"cus_x", "cus_y"}, Params: params})...)
	cards := map[any]bool{}
	for _, id := range ids {
		cards[a.get("/v1/customers/" + id)["default_source"]] = true
		charged := a.post("/v1/charges", "amount=1000&currency=usd&customer="+id)
		require.Equal(t, id, charged["customer"])
		require.Equal(t, id, charged["source"].(map[string]any)["customer"])
	}
	require.Len(t, cards, len(ids))
}

func TestSeedErrorsNamePathAndField(t *testing.T) {
	tests := map[string]struct {
		path    string
		seeding stripetest.Seeding
		want    string
	}{
		"parameter":   {"/v1/charges", stripetest.Seeding{Params: url.Values{"amount": {"x"}}}, "seed /v1/charges: amount: Invalid integer: x"},
		"no resource": {"/v1/nothing", stripetest.Seeding{}, "seed /v1/nothing: nothing is created at this path"},
		"an action":   {"/v1/charges/ch_x/capture", stripetest.Seeding{}, "seed /v1/charges/ch_x/capture: nothing is created at this path"},
		"id twice":    {"/v1/charges", stripetest.Seeding{IDs: []string{"a", "a"}}, `seed /v1/charges: the id "a" is in use`},
		"id in use":   {"/v1/customers", stripetest.Seeding{IDs: []string{"cus_1"}}, `seed /v1/customers: the id "cus_1" is in use`},
		"a route":     {"/v1/charges", stripetest.Seeding{IDs: []string{"search"}}, `the id "search" is in use`},
		"empty id":    {"/v1/charges", stripetest.Seeding{IDs: []string{""}}, `the id "" is empty`},
		"long id":     {"/v1/charges", stripetest.Seeding{IDs: []string{strings.Repeat("x", 256)}}, "too long"},
		"control":     {"/v1/charges", stripetest.Seeding{IDs: []string{"a\x00"}}, "not printable"},
		"no ids":      {"/v1/charges", stripetest.Seeding{IDs: []string{}}, "0 ids are given for 0 objects"},
		"too few ids": {"/v1/charges", stripetest.Seeding{IDs: []string{"a"}, Count: 2}, "1 ids are given for 2 objects"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			a.server.Seed("/v1/customers", stripetest.Seeding{IDs: []string{"cus_1"}})
			defer func() { require.Contains(t, recover(), test.want) }()
			a.server.Seed(test.path, test.seeding)
		})
	}
}
