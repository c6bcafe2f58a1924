package stripetest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tokens are those of Stripe's documentation of testing.
func TestTestTokensHaveTheirCards(t *testing.T) {
	tests := map[string]struct{ brand, network, last4, funding, country string }{
		"tok_visa":                     {"Visa", "visa", "4242", "credit", "US"},
		"tok_visa_debit":               {"Visa", "visa", "5556", "debit", "US"},
		"tok_mastercard_debit":         {"MasterCard", "mastercard", "8210", "debit", "US"},
		"tok_mastercard_prepaid":       {"MasterCard", "mastercard", "5100", "prepaid", "US"},
		"tok_amex":                     {"American Express", "amex", "0005", "credit", "US"},
		"tok_discover":                 {"Discover", "discover", "9424", "credit", "US"},
		"tok_diners":                   {"Diners Club", "diners", "0004", "credit", "US"},
		"tok_jcb":                      {"JCB", "jcb", "0000", "credit", "JP"},
		"tok_unionpay":                 {"UnionPay", "unionpay", "0005", "credit", "CN"},
		"tok_es":                       {"Visa", "visa", "0007", "credit", "ES"},
		"tok_gb_debit":                 {"Visa", "visa", "0005", "debit", "GB"},
		"tok_bypassPending":            {"Visa", "visa", "0077", "credit", "US"},
		"tok_createIssuerFraudRecord":  {"Visa", "visa", "5423", "credit", "US"},
		"tok_threeDSecureOptional":     {"Visa", "visa", "3055", "credit", "US"},
		"tok_cvcCheckFailElevatedRisk": {"Visa", "visa", "7872", "credit", "US"},
	}
	a := memory(t)
	for token, test := range tests {
		charge := a.post("/v1/charges", "amount=1000&currency=usd&source="+token)
		source := charge["source"].(map[string]any)
		card := charge["payment_method_details"].(map[string]any)["card"].(map[string]any)
		require.Equal(t, []any{test.brand, test.last4, test.funding, test.country}, []any{source["brand"], source["last4"], source["funding"], source["country"]}, token)
		require.Equal(t, []any{test.network, test.network, test.last4, test.funding, test.country},
			[]any{card["brand"], card["network"], card["last4"], card["funding"], card["country"]}, token)
	}
}

func TestTestTokensDecline(t *testing.T) {
	for token, want := range map[string][2]string{ // code, decline code
		"tok_visa_chargeDeclined":                      {"card_declined", "generic_decline"},
		"tok_visa_chargeDeclinedInsufficientFunds":     {"card_declined", "insufficient_funds"},
		"tok_visa_chargeDeclinedLostCard":              {"card_declined", "lost_card"},
		"tok_visa_chargeDeclinedStolenCard":            {"card_declined", "stolen_card"},
		"tok_visa_chargeDeclinedVelocityLimitExceeded": {"card_declined", "card_velocity_exceeded"},
		"tok_visa_chargeDeclinedFraudulent":            {"card_declined", "fraudulent"},
		"tok_visa_chargeDeclinedIncorrectCvc":          {"incorrect_cvc", "incorrect_cvc"},
		"tok_radarBlock":                               {"card_declined", "fraudulent"},
		"tok_riskLevelHighest":                         {"card_declined", "fraudulent"},
		"tok_threeDSecureRequired":                     {"card_declined", "authentication_required"},
	} {
		a := memory(t)
		r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source="+token)
		require.Equal(t, http.StatusPaymentRequired, r.status, token)
		require.Equal(t, want, [2]string{r.failure()["code"].(string), r.failure()["decline_code"].(string)}, token)
		require.Equal(t, "failed", a.get("/v1/charges/" + r.failure()["charge"].(string))["status"])
	}
	a := memory(t)
	for _, unknown := range []string{"tok_visa_charge", "tok_visa_chargeNothing", "tok_", "tok_visa_tok_visa", "visa"} {
		refusal{"POST", "/v1/charges", "amount=1000&currency=usd&source=" + unknown, 400, "resource_missing", "source", "No such token: '" + unknown + "'"}.refuse(t, a, "")
	}
}

func TestTestTokensFailTheirChecks(t *testing.T) {
	for token, want := range map[string][3]any{ // line1, zip, cvc
		"tok_visa": {nil, nil, "pass"}, "tok_avsFail": {"fail", "fail", "pass"}, "tok_avsLine1Fail": {"fail", nil, "pass"},
		"tok_avsZipFail": {nil, "fail", "pass"}, "tok_avsUnchecked": {"unavailable", "unavailable", "pass"}, "tok_cvcCheckFail": {nil, nil, "fail"},
	} {
		charge := memory(t).post("/v1/charges", "amount=1000&currency=usd&source="+token)
		source := charge["source"].(map[string]any)
		require.Equal(t, want, [3]any{source["address_line1_check"], source["address_zip_check"], source["cvc_check"]}, token)
		checks := charge["payment_method_details"].(map[string]any)["card"].(map[string]any)["checks"].(map[string]any)
		require.Equal(t, want, [3]any{checks["address_line1_check"], checks["address_postal_code_check"], checks["cvc_check"]}, token)
	}
}

func TestRefundChangesAsItsTestTokenSays(t *testing.T) {
	for token, want := range map[string]struct {
		first, later string
		refunded     float64
	}{
		"tok_visa": {"succeeded", "succeeded", 400}, "tok_pendingRefund": {"pending", "succeeded", 400}, "tok_refundFail": {"succeeded", "failed", 0},
	} {
		a := memory(t)
		charge := a.charge("source=" + token)
		refund := a.post("/v1/refunds", "amount=400&charge="+charge)
		require.Equal(t, want.first, refund["status"], token)
		later := a.get("/v1/refunds/" + refund["id"].(string))
		require.Equal(t, want.later, later["status"], token)
		require.Equal(t, want.later == "failed", later["failure_reason"] != nil, token)
		require.Equal(t, want.refunded, a.get("/v1/charges/" + charge)["amount_refunded"], token)
	}
}

const cardForm = "card[number]=4242+4242+4242+4242&card[exp_month]=7&card[exp_year]=2030&card[cvc]=123"

func TestTokenOfACardIsChargedOnce(t *testing.T) {
	a := memory(t)
	token := a.as("pk_test_123").post("/v1/tokens", cardForm+"&card[name]=Jo&card[address_line1]=1+Rd&card[address_zip]=12345")
	require.Regexp(t, "^tok_1", token["id"])
	require.Equal(t, []any{"token", "card", false, false}, []any{token["object"], token["type"], token["used"], token["livemode"]})
	card := token["card"].(map[string]any)
	require.Equal(t, []any{"4242", 7.0, 2030.0, "Jo", "pass", "pass", nil}, []any{
		card["last4"], card["exp_month"], card["exp_year"], card["name"], card["address_line1_check"], card["address_zip_check"], card["customer"],
	})
	id := token["id"].(string)
	charge := a.get("/v1/charges/" + a.charge("source="+id))
	require.Equal(t, card, charge["source"])
	require.Equal(t, true, a.get("/v1/tokens/" + id)["used"])
	for _, path := range []string{"/v1/charges", "/v1/customers"} {
		form := "source=OBJ"
		if path == "/v1/charges" {
			form += "&amount=1000&currency=usd"
		}
		refusal{"POST", path, form, 400, "token_already_used", "", "You cannot use a Stripe token more than once: OBJ."}.refuse(t, a, id)
	}
	refusal{"GET", "/v1/tokens/tok_x", "", 404, "resource_missing", "id", "No such token: 'tok_x'"}.refuse(t, a, "")
}

func TestTokenOfATestNumberBehavesAsItsTestToken(t *testing.T) {
	a := memory(t)
	token := a.create("/v1/tokens", strings.Replace(cardForm, "4242+4242+4242+4242", "4000000000009995", 1))
	r := a.do("POST", "/v1/charges", "amount=1000&currency=usd&source="+token)
	require.Equal(t, "insufficient_funds", r.failure()["decline_code"])
}

func TestTokenOfAnImpossibleCardIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		old, now            string
		status              int
		code, param, reason string
	}{
		"wrong digit":   {"number]=4242", "number]=4243", 402, "incorrect_number", "number", ""},
		"short":         {"4242+4242+4242+4242", "4242", 402, "incorrect_number", "number", ""},
		"real card":     {"4242+4242+4242+4242", "4539578763621486", 402, "card_declined", "", "test_mode_live_card"},
		"month":         {"exp_month]=7", "exp_month]=13", 402, "invalid_expiry_month", "exp_month", ""},
		"year":          {"exp_year]=2030", "exp_year]=2001", 402, "invalid_expiry_year", "exp_year", ""},
		"cvc":           {"cvc]=123", "cvc]=12x", 402, "invalid_cvc", "cvc", ""},
		"no month":      {"card[exp_month]=7&", "", 400, "parameter_missing", "card[exp_month]", ""},
		"no card":       {cardForm, "", 400, "parameter_missing", "card", ""},
		"unknown field": {"cvc]", "cvv]", 400, "parameter_unknown", "card[cvv]", ""},
	} {
		r := memory(t).do("POST", "/v1/tokens", strings.Replace(cardForm, test.old, test.now, 1))
		require.Equal(t, test.status, r.status, "%s: %s", name, r.raw)
		text := func(field string) string { text, _ := r.failure()[field].(string); return text }
		require.Equal(t, []string{test.code, test.param, test.reason}, []string{text("code"), text("param"), text("decline_code")}, name)
	}
}
