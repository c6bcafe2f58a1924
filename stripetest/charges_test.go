package stripetest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestChargeHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`amount amount_captured amount_refunded application application_fee application_fee_amount
		balance_transaction billing_details calculated_statement_descriptor captured created currency customer description
		disputed failure_balance_transaction failure_code failure_message fraud_details id livemode metadata object
		on_behalf_of outcome paid payment_intent payment_method payment_method_details receipt_email receipt_number
		receipt_url refunded review shipping source source_transfer statement_descriptor
		statement_descriptor_suffix status transfer_data transfer_group`)
	a := memory(t)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "ch_3\w{22}",\n  "object": "charge",\n`, r.raw)
}

func TestChargeIsStoredAsItWasReturned(t *testing.T) {
	a := memory(t)
	created := a.post("/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	require.Empty(t, cmp.Diff(created, a.get("/v1/charges/"+created["id"].(string))))
}

func TestChargeReturnsItsParameters(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	form := url.Values{
		"amount": {"2000"}, "currency": {"EUR"}, "source": {"tok_visa"}, "capture": {"true"},
		"application_fee_amount": {"5"}, "description": {"<b> & ü"}, "metadata[a]": {"1"}, "metadata[b]": {""},
		"on_behalf_of": {"acct_1"}, "radar_options[session]": {"rse_1"}, "receipt_email": {"a@b.c"},
		"shipping[name]": {"Jo"}, "shipping[address][line1]": {"1 Rd"}, "shipping[carrier]": {"UPS"},
		"statement_descriptor": {"SHOP"}, "statement_descriptor_suffix": {"X"},
		"transfer_data[destination]": {"acct_2"}, "transfer_data[amount]": {"7"}, "transfer_group": {"g"},
		"expand[]": {"customer"},
	}
	got := a.post("/v1/charges", form.Encode())
	want := map[string]any{
		"amount": 2000.0, "amount_captured": 2000.0, "currency": "eur", "captured": true, "paid": true, "status": "succeeded",
		"application_fee_amount": 5.0, "description": "<b> & ü", "metadata": map[string]any{"a": "1"},
		"on_behalf_of": "acct_1", "radar_options": map[string]any{"session": "rse_1"}, "receipt_email": "a@b.c",
		"shipping": map[string]any{
			"name": "Jo", "carrier": "UPS", "phone": nil, "tracking_number": nil,
			"address": map[string]any{"line1": "1 Rd", "line2": nil, "city": nil, "country": nil, "postal_code": nil, "state": nil},
		},
		"statement_descriptor": "SHOP", "calculated_statement_descriptor": "SHOP", "statement_descriptor_suffix": "X",
		"transfer_data": map[string]any{"amount": 7.0, "destination": "acct_2"}, "transfer_group": "g",
		"created": 1700000000.0, "livemode": false, "customer": nil, "failure_code": nil,
	}
	for field, value := range want {
		require.Empty(t, cmp.Diff(value, got[field]), field)
	}
}

func TestChargeWithoutCaptureIsNotCaptured(t *testing.T) {
	got := memory(t).post("/v1/charges", "amount=1000&currency=usd&source=tok_visa&capture=false")
	require.Equal(t, false, got["captured"])
	require.Equal(t, "succeeded", got["status"])
	require.Equal(t, 0.0, got["amount_captured"])
	require.Nil(t, got["balance_transaction"])
}

func TestChargeShowsTheCardOfItsToken(t *testing.T) {
	tests := map[string]struct{ brand, last4, risk string }{
		"tok_visa":              {"visa", "4242", "normal"},
		"tok_mastercard":        {"mastercard", "4444", "normal"},
		"tok_amex":              {"amex", "0005", "normal"},
		"tok_createDispute":     {"visa", "0259", "normal"},
		"tok_riskLevelElevated": {"visa", "9235", "elevated"},
	}
	clock := &clock{now: time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)}
	for token, test := range tests {
		t.Run(token, func(t *testing.T) {
			got := memory(t, stripetest.WithClock(clock.read)).post("/v1/charges", "amount=1000&currency=usd&source="+token)
			details := got["payment_method_details"].(map[string]any)
			require.Equal(t, "card", details["type"])
			card := details["card"].(map[string]any)
			require.Equal(t, test.brand, card["brand"])
			require.Equal(t, test.last4, card["last4"])
			require.Equal(t, 3.0, card["exp_month"])
			require.Equal(t, 2027.0, card["exp_year"])
			outcome := got["outcome"].(map[string]any)
			require.Equal(t, test.risk, outcome["risk_level"])
			require.Equal(t, "authorized", outcome["type"])
			require.Equal(t, got["payment_method"], got["source"].(map[string]any)["id"])
			require.Contains(t, got["billing_details"], "address")
		})
	}
}

func TestDeclinedChargeIsStored(t *testing.T) {
	tests := map[string]struct{ code, reason, param, message string }{
		"tok_chargeDeclined":                  {"card_declined", "generic_decline", "", "Your card was declined."},
		"tok_chargeDeclinedInsufficientFunds": {"card_declined", "insufficient_funds", "", "Your card has insufficient funds."},
		"tok_chargeDeclinedFraudulent":        {"card_declined", "fraudulent", "", "Your card was declined."},
		"tok_chargeDeclinedIncorrectCvc":      {"incorrect_cvc", "incorrect_cvc", "cvc", "Your card's security code is incorrect."},
		"tok_chargeDeclinedExpiredCard":       {"expired_card", "expired_card", "exp_month", "Your card has expired."},
		"tok_chargeDeclinedProcessingError":   {"processing_error", "processing_error", "", "An error occurred while processing your card. Try again in a little bit."},
		"tok_chargeCustomerFail":              {"card_declined", "generic_decline", "", "Your card was declined."},
	}
	for token, test := range tests {
		t.Run(token, func(t *testing.T) {
			a := memory(t)
			r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source="+token)
			require.Equal(t, http.StatusPaymentRequired, r.status)
			ids, _ := a.page("/v1/charges", nil)
			require.Len(t, ids, 1)
			want := map[string]any{
				"type": "card_error", "code": test.code, "decline_code": test.reason, "message": test.message, "charge": ids[0],
				"doc_url": "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(test.code, "_", "-"),
			}
			if test.param != "" {
				want["param"] = test.param
			}
			failure := r.failure()
			require.Contains(t, failure["request_log_url"], r.header.Get("Request-Id"))
			delete(failure, "request_log_url")
			require.Empty(t, cmp.Diff(want, failure))

			stored := a.get("/v1/charges/" + ids[0])
			require.Equal(t, "failed", stored["status"])
			require.Equal(t, false, stored["paid"])
			require.Equal(t, false, stored["captured"])
			require.Equal(t, test.code, stored["failure_code"])
			require.Equal(t, test.message, stored["failure_message"])
			outcome := stored["outcome"].(map[string]any)
			if token == "tok_chargeDeclinedFraudulent" {
				require.Equal(t, []any{"highest_risk_level", "blocked", "not_sent_to_network", "highest"},
					[]any{outcome["reason"], outcome["type"], outcome["network_status"], outcome["risk_level"]})
			} else {
				require.Equal(t, test.reason, outcome["reason"])
			}
		})
	}
}

func TestChargeOfCustomerUsesItsSource(t *testing.T) {
	a := memory(t)
	payer := a.post("/v1/customers", "source=tok_mastercard")
	id, source := payer["id"].(string), payer["default_source"].(string)

	for _, more := range []string{"customer=" + id, "customer=" + id + "&source=" + source} {
		got := a.get("/v1/charges/" + a.charge(more))
		require.Equal(t, id, got["customer"])
		require.Equal(t, source, got["payment_method"])
		require.Equal(t, "4444", got["source"].(map[string]any)["last4"])
	}
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa&customer="+id)
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "missing", r.failure()["code"])
}

func TestChargeOfCustomerWithoutSourceIsRefused(t *testing.T) {
	a := memory(t)
	id := a.post("/v1/customers", "email=a@b.c")["id"].(string)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&customer="+id)
	require.Equal(t, http.StatusPaymentRequired, r.status)
	require.Equal(t, "card_error", r.failure()["type"])
	require.Equal(t, "missing", r.failure()["code"])
	require.Equal(t, "card", r.failure()["param"])
	require.Equal(t, "Cannot charge a customer that has no active card", r.failure()["message"])
	ids, _ := a.page("/v1/charges", nil)
	require.Empty(t, ids, "no charge is attempted")
}

func TestChargeIsUpdated(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	id := a.charge("source=tok_visa&metadata[a]=1&metadata[b]=2&description=old&receipt_email=a@b.c")
	before := a.get("/v1/charges/" + id)
	got := a.post("/v1/charges/"+id, "metadata[a]=&metadata[c]=3&description=new&receipt_email=&transfer_group=g&customer="+customer+
		"&fraud_details[user_report]=safe&shipping[name]=Jo&shipping[address][line1]=1+Rd")
	want := maps.Clone(before)
	maps.Copy(want, map[string]any{
		"metadata": map[string]any{"b": "2", "c": "3"}, "description": "new", "receipt_email": nil, "transfer_group": "g",
		"customer": customer, "fraud_details": map[string]any{"user_report": "safe"},
		"shipping": map[string]any{
			"name": "Jo", "carrier": nil, "phone": nil, "tracking_number": nil,
			"address": map[string]any{"line1": "1 Rd", "line2": nil, "city": nil, "country": nil, "postal_code": nil, "state": nil},
		},
	})
	require.Empty(t, cmp.Diff(want, got))
	require.Empty(t, cmp.Diff(got, a.get("/v1/charges/"+id)))
	for _, filter := range []string{"customer", "transfer_group"} {
		listed, _ := a.page("/v1/charges", url.Values{filter: {got[filter].(string)}})
		require.Equal(t, []string{id}, listed, filter)
	}
	require.Empty(t, cmp.Diff(got, a.post("/v1/charges/"+id, "")))
}

func TestChargeUpdateIsRefused(t *testing.T) {
	tests := map[string]refusal{
		"of no charge":          {path: "/v1/charges/ch_x", status: 404, code: "resource_missing", param: "id", message: "No such charge: 'ch_x'"},
		"another customer":      {form: "customer=cus_x", param: "customer", message: "Charge OBJ already has a customer."},
		"another group":         {form: "transfer_group=other", param: "transfer_group", message: "Charge OBJ already has a transfer_group."},
		"report of nothing":     {form: "fraud_details[user_report]=maybe", param: "fraud_details[user_report]", message: "Invalid fraud_details[user_report]"},
		"shipping without name": {form: "shipping[address][line1]=a", code: "parameter_missing", param: "shipping[name]", message: "Missing required param: shipping[name]."},
		"its amount":            {form: "amount=5", code: "parameter_unknown", param: "amount", message: "Received unknown parameter: amount"},
		"too much metadata":     {form: strings.ReplaceAll(manyMetadata(50), "[k", "[other"), param: "metadata", message: "Metadata can have up to 50 keys"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			customer := a.create("/v1/customers", "source=tok_visa")
			id := a.charge("transfer_group=g&metadata[a]=b&customer=" + customer)
			before := a.get("/v1/charges/" + id)
			test.method = "POST"
			if test.path == "" {
				test.path, test.status = "/v1/charges/OBJ", 400
			}
			test.refuse(t, a, id)
			require.Empty(t, cmp.Diff(before, a.get("/v1/charges/"+id)))
		})
	}
}

func TestChargeIsCaptured(t *testing.T) {
	tests := map[string]struct {
		form               string
		captured, refunded float64
	}{
		"all of it":  {"", 1000, 0},
		"its amount": {"amount=1000", 1000, 0},
		"a part":     {"amount=400", 400, 600},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			id := a.charge("source=tok_visa&capture=false&transfer_data[destination]=acct_1")
			got := a.post("/v1/charges/"+id+"/capture", test.form+"&application_fee_amount=7&receipt_email=a@b.c&statement_descriptor=SHOP"+
				"&statement_descriptor_suffix=X&transfer_data[amount]=9&transfer_group=g")
			for field, want := range map[string]any{
				"amount": 1000.0, "amount_captured": test.captured, "amount_refunded": test.refunded, "captured": true, "refunded": false,
				"application_fee_amount": 7.0, "receipt_email": "a@b.c", "statement_descriptor": "SHOP", "statement_descriptor_suffix": "X",
				"calculated_statement_descriptor": "SHOP", "transfer_group": "g",
				"transfer_data": map[string]any{"amount": 9.0, "destination": "acct_1"},
			} {
				require.Equal(t, want, got[field], field)
			}
			require.Regexp(t, `^txn_3`, got["balance_transaction"])
			require.Empty(t, cmp.Diff(got, a.get("/v1/charges/"+id)))
			for _, refund := range a.refundsOf(id)["data"].([]any) {
				require.Equal(t, test.refunded, refund.(map[string]any)["amount"])
			}
			refusal{"POST", "/v1/charges/OBJ/capture", "", 400, "charge_already_captured", "", "Charge OBJ has already been captured."}.refuse(t, a, id)
			require.Equal(t, test.captured, a.post("/v1/refunds", "charge="+id)["amount"])
			require.Equal(t, true, a.get("/v1/charges/" + id)["refunded"])
		})
	}
}

func TestCaptureIsRefused(t *testing.T) {
	tests := map[string]refusal{
		"more than the amount": {form: "amount=1001", code: "amount_too_large", param: "amount", message: "Amount must be no more than $10.00"},
		"nothing":              {form: "amount=0", code: "parameter_invalid_integer", param: "amount", message: "This value must be "},
		"transfer to nobody":   {form: "transfer_data[amount]=5", param: "transfer_data", message: "Charge OBJ has no transfer_data."},
		"unknown parameter":    {form: "capture=true", code: "parameter_unknown", param: "capture", message: "Received unknown parameter: capture"},
		"no charge":            {path: "/v1/charges/ch_x/capture", status: 404, code: "resource_missing", param: "id", message: "No such charge: 'ch_x'"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			id := a.charge("source=tok_visa&capture=false")
			test.method = "POST"
			if test.path == "" {
				test.path, test.status = "/v1/charges/OBJ/capture", 400
			}
			test.refuse(t, a, id)
			require.Equal(t, false, a.get("/v1/charges/" + id)["captured"])
		})
	}
}

func TestFailedChargeCannotBeCaptured(t *testing.T) {
	a := memory(t)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&capture=false&source=tok_chargeDeclined")
	refusal{"POST", "/v1/charges/OBJ/capture", "", 400, "", "", "Charge OBJ cannot be captured because it failed."}.refuse(t, a, r.failure()["charge"].(string))
}

func TestUncapturedChargeExpiresAfterSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := memory(t)
		start := time.Now().Unix()
		id := a.charge("source=tok_visa&capture=false")
		captured := a.charge("source=tok_visa&capture=false")
		<-time.After(7*24*time.Hour - time.Second)
		a.post("/v1/charges/"+captured+"/capture", "")
		require.Equal(t, false, a.get("/v1/charges/" + id)["refunded"])

		<-time.After(time.Second)
		got := a.get("/v1/charges/" + id)
		require.Equal(t, true, got["refunded"])
		require.Equal(t, 1000.0, got["amount_refunded"])
		require.Equal(t, false, got["captured"])
		refund := a.refundsOf(id)["data"].([]any)[0].(map[string]any)
		require.Equal(t, "expired_uncaptured_charge", refund["reason"])
		require.Equal(t, float64(start+7*24*3600), refund["created"])
		listed, _ := a.page("/v1/refunds", nil)
		require.Equal(t, []string{refund["id"].(string)}, listed)
		require.Equal(t, false, a.get("/v1/charges/" + captured)["refunded"])
		refusal{"POST", "/v1/charges/OBJ/capture", "", 400, "charge_expired_for_capture", "", "Charge OBJ "}.refuse(t, a, id)
	})
}

func TestChargeExpiresBeforeItIsListedOrCaptured(t *testing.T) {
	for name, ask := range map[string]func(*api, string) bool{
		"listed":   func(a *api, _ string) bool { listed, _ := a.page("/v1/refunds", nil); return len(listed) == 1 },
		"captured": func(a *api, id string) bool { return a.do("POST", "/v1/charges/"+id+"/capture", "").status == 400 },
		"refunded": func(a *api, id string) bool { return a.do("POST", "/v1/refunds", "charge="+id).status == 400 },
	} {
		c := at(1000)
		a := memory(t, stripetest.WithClock(c.read))
		id := a.charge("source=tok_visa&capture=false")
		c.now = time.Unix(1000+30*24*3600, 0)
		require.True(t, ask(a, id), name)
	}
}

func TestChargeIsDisputedOrReviewedSoonAfter(t *testing.T) {
	a := memory(t)
	disputed := a.post("/v1/charges", "amount=1000&currency=usd&source=tok_createDispute")
	require.Equal(t, false, disputed["disputed"])
	require.Equal(t, true, a.get("/v1/charges/" + disputed["id"].(string))["disputed"])
	reviewed := a.post("/v1/charges", "amount=1000&currency=usd&source=tok_riskLevelElevated")
	require.Nil(t, reviewed["review"])
	require.Regexp(t, `^prv_`, a.get("/v1/charges/" + reviewed["id"].(string))["review"])
}

func TestChargeOfADeletedCustomerIsRefused(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/customers", "source=tok_visa")
	charge := a.charge("customer=" + id)
	a.del("/v1/customers/" + id)
	refusal{"POST", "/v1/charges", "amount=1000&currency=usd&customer=OBJ", 400, "resource_missing", "customer", "No such customer: 'OBJ'"}.refuse(t, a, id)
	require.Equal(t, id, a.get("/v1/charges/" + charge)["customer"])
	require.Equal(t, 1000.0, a.post("/v1/refunds", "charge="+charge)["amount"])
}
