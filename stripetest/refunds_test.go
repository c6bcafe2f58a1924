package stripetest_test

import (
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

func TestRefundHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`amount balance_transaction charge created currency customer customer_account destination_details
		id metadata object payment_intent payment_method reason receipt_number source_transfer_reversal status transfer_reversal`)
	a := memory(t)
	r := a.do("POST", "/v1/refunds", "charge="+a.charge("source=tok_visa"))
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "re_3\w{22}",\n  "object": "refund",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/refunds/"+r.body["id"].(string))))
}

func TestRefundReturnsItsParameters(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	charge := a.charge("source=tok_visa")
	form := url.Values{
		"charge": {charge}, "amount": {"300"}, "reason": {"requested_by_customer"}, "metadata[a]": {"1"},
		"instructions_email": {"a@b.c"}, "refund_application_fee": {"true"}, "reverse_transfer": {"false"},
		"currency": {"usd"}, "customer": {"cus_1"},
	}
	got := a.post("/v1/refunds", form.Encode())
	for field, value := range map[string]any{
		"amount": 300.0, "charge": charge, "reason": "requested_by_customer", "metadata": map[string]any{"a": "1"},
		"instructions_email": "a@b.c", "currency": "usd", "status": "succeeded", "created": 1700000000.0,
	} {
		require.Equal(t, value, got[field], field)
	}
}

func TestRefundsAddUpInTheirCharge(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa")
	var want []string
	for i, amount := range []string{"amount=300", "amount=200", ""} {
		refund := a.post("/v1/refunds", "charge="+charge+"&"+amount)
		want = append([]string{refund["id"].(string)}, want...)
		ch := a.get("/v1/charges/" + charge)
		require.Equal(t, []float64{300, 500, 1000}[i], ch["amount_refunded"])
		require.Equal(t, i == 2, ch["refunded"])
		require.Equal(t, true, ch["captured"])
		within := a.refundsOf(charge)
		require.Equal(t, "/v1/charges/"+charge+"/refunds", within["url"])
		require.Equal(t, want, ids(within))
	}
	listed, _ := a.page("/v1/refunds", url.Values{"charge": {charge}})
	require.Equal(t, want, listed)
	listed, more := a.page("/v1/charges/"+charge+"/refunds", url.Values{"limit": {"2"}})
	require.Equal(t, want[:2], listed)
	require.True(t, more)
}

func TestRefundByPaymentIntentIsOfItsNewestCharge(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	older := a.charge("source=tok_visa")
	c.now = time.Unix(200, 0)
	newer := a.charge("source=tok_visa")
	for _, charge := range []string{newer, older} {
		a.server.SetPaymentIntent(charge, "pi_1")
	}
	refund := a.post("/v1/refunds", "payment_intent=pi_1&amount=300")
	require.Equal(t, newer, refund["charge"])
	require.Equal(t, "pi_1", refund["payment_intent"])
	other := a.create("/v1/refunds", "payment_intent=pi_1&charge="+older)
	for path, want := range map[string][]string{"/v1/charges": {newer, older}, "/v1/refunds": {other, refund["id"].(string)}} {
		listed, _ := a.page(path, url.Values{"payment_intent": {"pi_1"}})
		require.Equal(t, want, listed)
	}
}

// ids returns the ids of a list within an object.
func ids(list map[string]any) []string {
	found := []string{}
	for _, object := range list["data"].([]any) {
		found = append(found, object.(map[string]any)["id"].(string))
	}
	return found
}

func TestChargeShowsItsTenNewestRefunds(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa")
	var newest []string
	for range 12 {
		newest = append([]string{a.create("/v1/charges/"+charge+"/refunds", "amount=10")}, newest...)
	}
	within := a.refundsOf(charge)
	require.Equal(t, newest[:10], ids(within))
	require.Equal(t, true, within["has_more"])
}

func TestRefundOfAnUncapturedChargeCancelsIt(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa&capture=false")
	refusal{"POST", "/v1/refunds", "amount=10&charge=OBJ", 400, "", "amount", "Charge OBJ is not captured"}.refuse(t, a, charge)
	refund := a.post("/v1/refunds", "charge="+charge)
	require.Equal(t, 1000.0, refund["amount"])
	require.Nil(t, refund["balance_transaction"])
	ch := a.get("/v1/charges/" + charge)
	require.Equal(t, true, ch["refunded"])
	require.Equal(t, false, ch["captured"])
	refusal{"POST", "/v1/charges/OBJ/capture", "", 400, "charge_already_refunded", "", "Charge OBJ "}.refuse(t, a, charge)
}

func TestRefundIsRefused(t *testing.T) {
	tests := map[string]struct {
		charge string // additional parameters of the charge
		done   string // parameters of an earlier refund; empty: none
		refusal
	}{
		"over the amount":    {"", "", refusal{form: "charge=OBJ&amount=2000", param: "amount", message: "Refund amount ($20.00) is greater than unrefunded amount on charge ($10.00)"}},
		"over what is left":  {"", "amount=400", refusal{form: "charge=OBJ&amount=601", param: "amount", message: "Refund amount ($6.01) is greater than unrefunded amount on charge ($6.00)"}},
		"of nothing left":    {"", "amount=1000", refusal{form: "charge=OBJ", code: "charge_already_refunded", message: "Charge OBJ has already been refunded."}},
		"more than nothing":  {"", "amount=1000", refusal{form: "charge=OBJ&amount=1", code: "charge_already_refunded", message: "Charge OBJ has already been refunded."}},
		"of a dispute":       {"source=tok_createDispute", "", refusal{form: "charge=OBJ", code: "charge_disputed", message: "Charge OBJ "}},
		"of no charge":       {"", "", refusal{form: "charge=ch_x", code: "resource_missing", param: "charge", message: "No such charge: 'ch_x'"}},
		"of no intent":       {"", "", refusal{form: "payment_intent=pi_x", code: "resource_missing", param: "payment_intent", message: "No such payment_intent: 'pi_x'"}},
		"of another intent":  {"", "", refusal{form: "payment_intent=pi_x&charge=OBJ", param: "payment_intent", message: "Charge OBJ does not belong to payment intent pi_x."}},
		"of nothing":         {"", "", refusal{form: "amount=5", code: "parameter_missing", message: "One of the following params should be provided for this request: payment_intent or charge."}},
		"of no amount":       {"", "", refusal{form: "charge=OBJ&amount=0", code: "parameter_invalid_integer", param: "amount", message: "This value must be greater than or equal to 1."}},
		"bad amount":         {"", "", refusal{form: "charge=OBJ&amount=1.5", code: "parameter_invalid_integer", param: "amount", message: "Invalid integer: 1.5"}},
		"for another reason": {"", "", refusal{form: "charge=OBJ&reason=boredom", param: "reason", message: "Invalid reason: must be one of duplicate, "}},
		"unknown parameter":  {"", "", refusal{form: "charge=OBJ&status=failed", code: "parameter_unknown", param: "status", message: "Received unknown parameter: status"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			if test.charge == "" {
				test.charge = "source=tok_visa"
			}
			charge := a.charge(test.charge)
			refunds := 0
			if test.done != "" {
				a.post("/v1/refunds", "charge="+charge+"&"+test.done)
				refunds++
			}
			before := a.get("/v1/charges/" + charge)
			test.method, test.path, test.status = "POST", "/v1/refunds", 400
			test.refuse(t, a, charge)
			require.Empty(t, cmp.Diff(before, a.get("/v1/charges/"+charge)))
			listed, _ := a.page("/v1/refunds", nil)
			require.Len(t, listed, refunds)
		})
	}
}

func TestRefundOfAFailedChargeIsRefused(t *testing.T) {
	a := memory(t)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_chargeDeclined")
	refusal{"POST", "/v1/refunds", "charge=OBJ", 400, "charge_not_refundable", "", "Charge OBJ "}.refuse(t, a, r.failure()["charge"].(string))
}

func TestRefundMessageWritesTheCurrency(t *testing.T) {
	for currency, want := range map[string]string{"usd": "$20.05", "eur": "€20.05", "gbp": "£20.05", "jpy": "¥2,005", "krw": "2,005 KRW", "chf": "20.05 CHF"} {
		a := memory(t)
		charge := a.create("/v1/charges", "amount=1000&source=tok_visa&currency="+currency)
		r := a.do("POST", "/v1/refunds", "amount=2005&charge="+charge)
		require.Contains(t, r.failure()["message"], "Refund amount ("+want+") is")
	}
}

func TestRefundMetadataIsUpdatedInItsChargeToo(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa")
	refund := a.create("/v1/refunds", "metadata[a]=1&metadata[b]=2&charge="+charge)
	got := a.post("/v1/refunds/"+refund, "metadata[a]=&metadata[c]=3")
	want := map[string]any{"b": "2", "c": "3"}
	require.Equal(t, want, got["metadata"])
	require.Equal(t, got, a.get("/v1/refunds/"+refund))
	ch := a.get("/v1/charges/" + charge)
	require.Equal(t, got, a.refundsOf(charge)["data"].([]any)[0])
	require.Equal(t, 1000.0, ch["amount_refunded"])
}

func TestRefundIsCanceledWhileItRequiresAction(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa")
	refund := a.create("/v1/refunds", "charge="+charge)
	refusal{"POST", "/v1/refunds/OBJ/cancel", "", 400, "", "", "Refund OBJ cannot be canceled because its status is succeeded."}.refuse(t, a, refund)
	refusal{"POST", "/v1/refunds/OBJ/cancel", "", 404, "resource_missing", "id", "No such refund: 're_x'"}.refuse(t, a, "re_x")

	a.server.SetRefundStatus(refund, "requires_action")
	require.Equal(t, "canceled", a.post("/v1/refunds/"+refund+"/cancel", "")["status"])
	ch := a.get("/v1/charges/" + charge)
	require.Equal(t, 0.0, ch["amount_refunded"])
	require.Equal(t, false, ch["refunded"])
	refusal{"POST", "/v1/refunds/OBJ/cancel", "", 400, "", "", "Refund OBJ "}.refuse(t, a, refund)
	require.Equal(t, 1000.0, a.post("/v1/refunds", "charge="+charge)["amount"])
}
