package stripetest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestCustomerHasSeveralSources(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	path := "/v1/customers/" + customer + "/sources"
	first := a.post(path, "source=tok_visa&metadata[a]=b")
	require.Equal(t, customer, first["customer"])
	require.Equal(t, map[string]any{"a": "b"}, first["metadata"])
	second := a.create(path, "source=tok_mastercard")
	require.Equal(t, first["id"], a.get("/v1/customers/" + customer)["default_source"], "the first stays the default")
	listed, more := a.page(path, url.Values{"limit": {"1"}, "object": {"card"}})
	require.Equal(t, []string{second}, listed)
	require.True(t, more)
	listed, _ = a.page(path, url.Values{"starting_after": {second}})
	require.Equal(t, []string{first["id"].(string)}, listed)
	require.Empty(t, cmp.Diff(first, a.get(path+"/"+first["id"].(string))))

	charged := func(more string) any {
		return a.get("/v1/charges/" + a.charge("customer="+customer+more))["payment_method"]
	}
	require.Equal(t, first["id"], charged(""))
	require.Equal(t, second, charged("&source="+second))
	a.post("/v1/customers/"+customer, "default_source="+second)
	require.Equal(t, second, charged(""))

	require.Equal(t, map[string]any{"id": second, "object": "card", "deleted": true}, a.del(path+"/"+second))
	require.Equal(t, first["id"], charged(""), "the newest of the others becomes the default")
	a.del(path + "/" + first["id"].(string))
	require.Nil(t, a.get("/v1/customers/" + customer)["default_source"])
	require.Equal(t, http.StatusPaymentRequired, a.do("POST", "/v1/charges", "amount=1000&currency=usd&customer="+customer).status)
}

func TestCustomersNewSourceReplacesTheDefault(t *testing.T) {
	a := memory(t)
	customer := a.post("/v1/customers", "source=tok_visa")
	id, old := customer["id"].(string), customer["default_source"].(string)
	other := a.create("/v1/customers/"+id+"/sources", "source=tok_amex")
	updated := a.post("/v1/customers/"+id, "source=tok_mastercard")
	made := updated["default_source"].(string)
	listed, _ := a.page("/v1/customers/"+id+"/sources", nil)
	require.Equal(t, []string{made, other}, listed)
	require.NotContains(t, listed, old)
}

func TestSourceIsUpdated(t *testing.T) {
	clock := at(1700000000)
	a := memory(t, stripetest.WithClock(clock.read))
	customer := a.post("/v1/customers", "source=tok_visa")
	path := "/v1/customers/" + customer["id"].(string) + "/sources/" + customer["default_source"].(string)
	got := a.post(path, "name=Jo&exp_month=12&exp_year=2040&address_zip=1&metadata[a]=b")
	require.Equal(t, []any{"Jo", 12.0, 2040.0, "1", map[string]any{"a": "b"}}, []any{got["name"], got["exp_month"], got["exp_year"], got["address_zip"], got["metadata"]})
	require.Empty(t, cmp.Diff(got, a.get(path)))
	require.Equal(t, http.StatusPaymentRequired, a.do("POST", path, "exp_month=0").status)
	clock.now = time.Unix(4e9, 0)
	require.Equal(t, "Mo", a.post(path, "name=Mo")["name"], "a card that has expired")
}

func TestSourceIsRefused(t *testing.T) {
	for name, test := range map[string]refusal{
		"of no customer":         {path: "/v1/customers/cus_x/sources", form: "source=tok_visa", status: 404, code: "resource_missing", param: "id", message: "No such customer: 'cus_x'"},
		"without token":          {path: "/v1/customers/OBJ/sources", status: 400, code: "parameter_missing", param: "source", message: "Missing required param: source."},
		"of an unknown token":    {path: "/v1/customers/OBJ/sources", form: "source=tok_x", status: 400, code: "resource_missing", param: "source", message: "No such token: 'tok_x'"},
		"that declines":          {path: "/v1/customers/OBJ/sources", form: "source=tok_chargeDeclined", status: 402, code: "card_declined", message: "Your card was declined."},
		"that is unknown":        {method: "GET", path: "/v1/customers/OBJ/sources/card_x", status: 404, code: "resource_missing", param: "id", message: "No such source: 'card_x'"},
		"that is unknown, gone":  {method: "DELETE", path: "/v1/customers/OBJ/sources/card_x", status: 404, code: "resource_missing", param: "id", message: "No such source: 'card_x'"},
		"that is not of a token": {path: "/v1/customers/OBJ", form: "default_source=card_x", status: 400, code: "resource_missing", param: "default_source", message: "No such source: 'card_x'"},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			if test.method == "" {
				test.method = "POST"
			}
			customer := a.create("/v1/customers", "")
			test.refuse(t, a, customer)
			listed, _ := a.page("/v1/customers/"+customer+"/sources", nil)
			require.Empty(t, listed)
		})
	}
}

func TestRefundIsReachedThroughItsCharge(t *testing.T) {
	a := memory(t)
	charge, other := a.charge("source=tok_visa"), a.charge("source=tok_visa")
	refund := a.create("/v1/refunds", "amount=300&charge="+charge)
	path := "/v1/charges/" + charge + "/refunds/" + refund
	require.Equal(t, map[string]any{"a": "b"}, a.post(path, "metadata[a]=b")["metadata"])
	require.Empty(t, cmp.Diff(a.get("/v1/refunds/"+refund), a.get(path)))
	require.Equal(t, charge, a.get(path + "?expand[]=charge")["charge"].(map[string]any)["id"])
	refusal{"GET", "/v1/charges/" + other + "/refunds/" + refund, "", 404, "resource_missing", "id", "No such refund: '" + refund + "'"}.refuse(t, a, "")
	refusal{"GET", "/v1/charges/ch_x/refunds/" + refund, "", 404, "resource_missing", "id", "No such charge: 'ch_x'"}.refuse(t, a, "")
}
