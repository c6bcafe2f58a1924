package stripetest_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestVersionMustBeWellFormed(t *testing.T) {
	tests := map[string]bool{
		"2017-08-15": true, "2020-08-27": true, "2022-11-15": true, "2025-03-31.basil": true, "2026-08-26.dahlia": true,
		"latest": false, "2020-8-27": false, "2020-13-01": false, "2021-02-29": false, "2020-08-27.": false,
		"2020-08-27.Basil": false, "20200827": false,
	}
	for sent, ok := range tests {
		t.Run(sent, func(t *testing.T) {
			r := memory(t).with("Stripe-Version", sent).do("GET", "/v1/account", "")
			if ok {
				require.Equal(t, http.StatusOK, r.status, r.raw)
				return
			}
			require.Equal(t, http.StatusBadRequest, r.status)
			require.Equal(t, "invalid_request_error", r.failure()["type"])
			require.Contains(t, r.failure()["message"], sent)
			require.Equal(t, "2026-08-26.dahlia", r.header.Get("Stripe-Version"))
		})
	}
}

func TestCustomerHasTheBalanceOfItsVersion(t *testing.T) {
	a := memory(t)
	old, last := a.with("Stripe-Version", "2019-09-09"), a.with("Stripe-Version", "2019-10-17")
	created := old.post("/v1/customers", "account_balance=-500&source=tok_visa")
	id := created["id"].(string)
	require.Equal(t, -500.0, created["account_balance"])
	require.NotContains(t, created, "balance")
	for _, later := range []*api{a, last} {
		got := later.get("/v1/customers/" + id)
		require.Equal(t, -500.0, got["balance"])
		require.NotContains(t, got, "account_balance")
	}
	old.post("/v1/customers/"+id, "account_balance=7")
	require.Equal(t, 7.0, a.get("/v1/customers/" + id)["balance"])

	listed := old.do("GET", "/v1/customers", "")
	require.Equal(t, 7.0, listed.at(t, "data.0.account_balance"))
	charge := old.post("/v1/charges", "amount=1000&currency=usd&expand[]=customer&customer="+id)
	require.Equal(t, 7.0, charge["customer"].(map[string]any)["account_balance"], "what is expanded too")

	for name, test := range map[string]struct {
		api  *api
		form string
		code string
	}{
		"new name, old version": {old, "balance=1", ""},
		"old name, new version": {last, "account_balance=1", "parameter_unknown"},
		"both":                  {old, "balance=1&account_balance=1", "parameter_unknown"},
		"no integer":            {old, "account_balance=x", "parameter_invalid_integer"},
	} {
		r := test.api.do("POST", "/v1/customers", test.form)
		if test.code == "" {
			require.Equal(t, http.StatusOK, r.status, name)
			continue
		}
		require.Equal(t, test.code, r.failure()["code"], name)
		require.Equal(t, "account_balance", r.failure()["param"], name)
	}
}

func TestChargeHasAnInvoiceBeforeBasil(t *testing.T) {
	a := memory(t)
	id := a.charge("source=tok_visa")
	for version, want := range map[string][2]bool{ // invoice, order
		"2019-09-09": {true, true}, "2020-08-27": {true, true}, "2022-11-15": {true, false},
		"2025-02-24.acacia": {true, false}, "2025-03-31.basil": {false, false}, "2026-08-26.dahlia": {false, false},
	} {
		got := a.with("Stripe-Version", version).get("/v1/charges/" + id)
		_, invoice := got["invoice"]
		_, order := got["order"]
		require.Equal(t, want, [2]bool{invoice, order}, version)
		require.Nil(t, got["invoice"])
	}
}

func TestInvoiceItemHasThePriceOfItsVersion(t *testing.T) {
	a := memory(t)
	old := a.with("Stripe-Version", "2020-08-27")
	customer := a.post("/v1/customers", "")["id"].(string)
	product := a.post("/v1/products", "name=Tea")["id"].(string)
	item := a.post("/v1/invoiceitems", "customer="+customer+"&quantity=2&subscription=sub_1"+
		"&price_data[currency]=usd&price_data[unit_amount]=250&price_data[product]="+product)
	require.NotContains(t, item, "created")
	require.Contains(t, item, "date")

	got := old.get("/v1/invoiceitems/" + item["id"].(string))
	price, _ := got["price"].(map[string]any)
	require.Equal(t, product, price["product"])
	require.Equal(t, "250", price["unit_amount_decimal"])
	for field, want := range map[string]any{
		"amount": 500.0, "plan": nil, "quantity": 2.0, "subscription": "sub_1", "unit_amount": 250.0, "unit_amount_decimal": "250", "date": item["date"],
	} {
		require.Empty(t, cmp.Diff(want, got[field]), field)
	}
	for _, field := range []string{"created", "pricing", "parent", "net_amount", "quantity_decimal"} {
		require.NotContains(t, got, field)
	}
	for _, field := range []string{"plan", "price", "subscription", "unit_amount"} {
		require.NotContains(t, item, field)
	}

	byAmount := old.post("/v1/invoiceitems", "currency=usd&unit_amount=70&quantity=3&customer="+customer)
	require.Equal(t, 210.0, byAmount["amount"])
	require.Equal(t, 70.0, byAmount["unit_amount"])
	require.Nil(t, byAmount["price"])
	byPrice := old.post("/v1/invoiceitems", "currency=usd&customer="+customer+"&price="+price["id"].(string))
	require.Equal(t, 250.0, byPrice["amount"])
	current := a.do("POST", "/v1/invoiceitems", "currency=usd&customer="+customer+"&price="+price["id"].(string))
	require.Equal(t, "parameter_unknown", current.failure()["code"])
}

func TestOrdersAreGoneFromLaterVersions(t *testing.T) {
	a := memory(t)
	for version, status := range map[string]int{
		"2017-08-15": 200, "2020-08-27": 200, "2020-08-28": 404, "2022-11-15": 404, "2026-08-26.dahlia": 404,
	} {
		versioned := a.with("Stripe-Version", version)
		for _, path := range []string{"/v1/orders", "/v1/order_returns"} {
			r := versioned.do("GET", path, "")
			require.Equal(t, status, r.status, version)
			if status == http.StatusNotFound {
				require.Contains(t, r.failure()["message"], "Unrecognized request URL (GET: "+path+").")
			}
		}
	}
}

// The deleted object is the same in every version: id, object and deleted, as
// in the descriptions of 2017-08-15 to now.
func TestDeletedInvoiceItemIsTheSameInEveryVersion(t *testing.T) {
	a := memory(t)
	for _, version := range []string{"2017-08-15", "2019-09-09", "2020-08-27", "2025-02-24.acacia", "2026-08-26.dahlia"} {
		id := a.create("/v1/invoiceitems", "customer_account=acct_1&amount=5&currency=usd")
		got := a.with("Stripe-Version", version).del("/v1/invoiceitems/" + id)
		require.Empty(t, cmp.Diff(map[string]any{"id": id, "object": "invoiceitem", "deleted": true}, got), version)
	}
}

// charge.refunds is embedded before 2022-11-15, and the lists of a customer
// before 2020-08-27; later they must be expanded.
func TestListsAreEmbeddedInOldVersionsOnly(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "source=tok_visa&tax_id_data[0][type]=eu_vat&tax_id_data[0][value]=DE1")
	charge := a.charge("customer=" + customer)
	refund := a.create("/v1/refunds", "amount=300&charge="+charge)
	source := a.get("/v1/customers/" + customer)["default_source"]
	for version, want := range map[string][2]bool{ // refunds, lists of the customer
		"2017-08-15": {true, true}, "2019-09-09": {true, true}, "2020-08-27": {true, false}, "2022-08-01": {true, false},
		"2022-11-15": {false, false}, "2025-02-24.acacia": {false, false}, "2026-08-26.dahlia": {false, false},
	} {
		versioned := a.with("Stripe-Version", version)
		for path, expand := range map[string]string{
			"/v1/charges/" + charge: "?expand[]=refunds&expand[]=customer.sources&expand[]=customer.tax_ids", "/v1/charges": "?expand[]=data.refunds&expand[]=data.customer.sources&expand[]=data.customer.tax_ids",
		} {
			at := ""
			if path == "/v1/charges" {
				at = "data.0."
			}
			plain, expanded := versioned.do("GET", path, ""), versioned.do("GET", path+expand, "")
			if want[0] {
				require.Equal(t, refund, plain.at(t, at+"refunds.data.0.id"), version)
			} else {
				require.NotContains(t, plain.raw, `"refunds"`, version)
			}
			require.Equal(t, refund, expanded.at(t, at+"refunds.data.0.id"), version)
			require.Equal(t, "/v1/charges/"+charge+"/refunds", expanded.at(t, at+"refunds.url"))
			require.Equal(t, source, expanded.at(t, at+"customer.sources.data.0.id"), version)
			require.Equal(t, "DE1", expanded.at(t, at+"customer.tax_ids.data.0.value"), version)
		}
		owner := versioned.get("/v1/customers/" + customer)
		_, subscriptions := owner["subscriptions"]
		require.Equal(t, want[1], subscriptions, version)
		if want[1] {
			require.Equal(t, []string{source.(string)}, ids(owner["sources"].(map[string]any)), version)
			require.Len(t, ids(owner["tax_ids"].(map[string]any)), 1)
		} else {
			require.NotContains(t, owner, "sources", version)
		}
	}
	a.del("/v1/customers/" + customer)
	deleted := a.with("Stripe-Version", "2017-08-15").get("/v1/charges/" + charge + "?expand[]=customer")["customer"]
	require.Equal(t, map[string]any{"id": customer, "object": "customer", "deleted": true}, deleted)
}
