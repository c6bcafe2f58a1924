package stripetest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
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
		receipt_url refunded refunds review shipping source source_transfer statement_descriptor
		statement_descriptor_suffix status transfer_data transfer_group`)
	a := memory(t)
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "ch_3\w{22}",\n  "object": "charge",\n`, r.raw)
}

func TestChargeIsStoredAsItWasAnswered(t *testing.T) {
	a := memory(t)
	created := a.post("/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	require.Empty(t, cmp.Diff(created, a.get("/v1/charges/"+created["id"].(string))))
}

func TestChargeAnswersItsParameters(t *testing.T) {
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
			require.Equal(t, test.reason, stored["outcome"].(map[string]any)["reason"])
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
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, "missing", r.failure()["code"])
	require.Equal(t, "Cannot charge a customer that has no active card", r.failure()["message"])
}
