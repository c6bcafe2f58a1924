package stripetest_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// method creates a payment method of a test token and returns its id.
func (a *api) method(token string) string {
	a.t.Helper()
	return a.create("/v1/payment_methods", "type=card&card[token]="+token)
}

// attached returns a new customer with a payment method, and that method.
func (a *api) attached(method string) (customer, attached string) {
	a.t.Helper()
	customer = a.create("/v1/customers", "")
	return customer, a.create("/v1/payment_methods/"+method+"/attach", "customer="+customer)
}

func TestPaymentMethodIsOfACardNumberOrAToken(t *testing.T) {
	a := memory(t)
	for name, form := range map[string]string{
		"number": "card[number]=5555555555554444&card[exp_month]=7&card[exp_year]=2050&card[cvc]=123",
		"token":  "card[token]=tok_mastercard",
		"stored": "card[token]=" + a.create("/v1/tokens", strings.Replace(cardForm, "4242+4242+4242+4242", "5555555555554444", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			got := a.post("/v1/payment_methods", "type=card&"+form+"&billing_details[name]=Jo&billing_details[email]=jo@example.com"+
				"&billing_details[address][line1]=Weg+1&metadata[a]=b&allow_redisplay=always")
			require.Regexp(t, "^pm_1", got["id"])
			require.Equal(t, []any{"payment_method", "card", "always", nil, map[string]any{"a": "b"}, false},
				[]any{got["object"], got["type"], got["allow_redisplay"], got["customer"], got["metadata"], got["livemode"]})
			card := got["card"].(map[string]any)
			require.Equal(t, []any{"mastercard", "4444", "credit"}, []any{card["brand"], card["last4"], card["funding"]})
			billing := got["billing_details"].(map[string]any)
			require.Equal(t, []any{"Jo", "jo@example.com", "Weg 1"}, []any{billing["name"], billing["email"], billing["address"].(map[string]any)["line1"]})
			require.Equal(t, got, a.get("/v1/payment_methods/"+got["id"].(string)))
		})
	}
}

func TestPaymentMethodIsRefused(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	free := a.method("tok_visa")
	_, taken := a.attached("pm_card_visa")
	detached := a.create("/v1/payment_methods/"+taken+"/detach", "")
	_, taken = a.attached("pm_card_visa")
	for name, want := range map[string]refusal{
		"no type":             {"POST", "/v1/payment_methods", "card[token]=tok_visa", 400, "parameter_missing", "type", "Missing required param: type."},
		"no card":             {"POST", "/v1/payment_methods", "type=card", 400, "parameter_missing", "card", "Missing required param: card."},
		"other type":          {"POST", "/v1/payment_methods", "type=sepa_debit", 400, "", "type", "Invalid type"},
		"unknown token":       {"POST", "/v1/payment_methods", "type=card&card[token]=tok_x", 400, "resource_missing", "card[token]", "No such token: 'tok_x'"},
		"no month":            {"POST", "/v1/payment_methods", "type=card&card[number]=4242424242424242&card[exp_year]=2050", 400, "parameter_missing", "card[exp_month]", "Missing required param"},
		"wrong digit":         {"POST", "/v1/payment_methods", "type=card&card[number]=4242424242424241&card[exp_month]=1&card[exp_year]=2050", 402, "incorrect_number", "number", "Your card number is incorrect."},
		"unknown":             {"GET", "/v1/payment_methods/pm_x", "", 404, "resource_missing", "payment_method", "No such PaymentMethod: 'pm_x'"},
		"unknown test name":   {"GET", "/v1/payment_methods/pm_card_x", "", 404, "resource_missing", "payment_method", "No such PaymentMethod: 'pm_card_x'"},
		"attach unknown":      {"POST", "/v1/payment_methods/pm_x/attach", "customer=" + customer, 404, "resource_missing", "payment_method", "No such PaymentMethod: 'pm_x'"},
		"attach to nobody":    {"POST", "/v1/payment_methods/" + free + "/attach", "", 400, "parameter_missing", "customer", "Missing required param: customer."},
		"attach to a missing": {"POST", "/v1/payment_methods/" + free + "/attach", "customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"},
		"attach twice":        {"POST", "/v1/payment_methods/" + taken + "/attach", "customer=" + customer, 400, "", "", "The payment method you provided has already been attached to a customer."},
		"attach a detached":   {"POST", "/v1/payment_methods/" + detached + "/attach", "customer=" + customer, 400, "", "", "The provided PaymentMethod was previously used"},
		"attach a declined":   {"POST", "/v1/payment_methods/pm_card_chargeDeclined/attach", "customer=" + customer, 402, "card_declined", "", "Your card was declined."},
		"detach":              {"POST", "/v1/payment_methods/" + free + "/detach", "", 400, "", "", "The payment method you provided is not attached to a customer so detachment is impossible."},
		"update":              {"POST", "/v1/payment_methods/" + free, "metadata[a]=b", 400, "", "", "You must save this PaymentMethod to a customer before you can update it."},
		"of another customer": {"GET", "/v1/customers/" + customer + "/payment_methods/" + taken, "", 404, "resource_missing", "payment_method", "No such PaymentMethod"},
		"of no customer":      {"GET", "/v1/customers/cus_x/payment_methods", "", 404, "resource_missing", "id", "No such customer: 'cus_x'"},
		"customer with it":    {"POST", "/v1/customers", "payment_method=" + taken, 400, "", "", "The payment method you provided has already been attached"},
		"past month":          {"POST", "/v1/payment_methods/" + taken, "card[exp_year]=2001", 402, "invalid_expiry_year", "exp_year", "Your card's expiration year"},
	} {
		t.Run(name, func(t *testing.T) { want.refuse(t, a, "") })
	}
}

func TestPaymentMethodIsAttachedUpdatedAndDetached(t *testing.T) {
	a := memory(t)
	customer, method := a.attached(a.method("tok_avsFail"))
	got := a.get("/v1/payment_methods/" + method)
	require.Equal(t, customer, got["customer"])
	require.Equal(t, map[string]any{"address_line1_check": "fail", "address_postal_code_check": "fail", "cvc_check": "pass"}, got["card"].(map[string]any)["checks"])

	updated := a.post("/v1/payment_methods/"+method, "billing_details[phone]=1&billing_details[address]=&metadata[a]=b&card[exp_month]=3&card[exp_year]=2051")
	require.Equal(t, []any{"1", nil}, []any{updated["billing_details"].(map[string]any)["phone"], updated["billing_details"].(map[string]any)["name"]})
	require.Equal(t, []any{3.0, 2051.0}, []any{updated["card"].(map[string]any)["exp_month"], updated["card"].(map[string]any)["exp_year"]})
	require.Equal(t, updated, a.get("/v1/payment_methods/"+method))
	require.Equal(t, updated, a.get("/v1/customers/"+customer+"/payment_methods/"+method))

	require.Nil(t, a.post("/v1/payment_methods/"+method+"/detach", "")["customer"])
	require.Equal(t, []string{"payment_method.attached", "payment_method.updated", "payment_method.detached"}, typesOf(a.eventsSince(1)))
}

func TestPaymentMethodsAreListedByCustomerAndType(t *testing.T) {
	a := memory(t)
	customer, first := a.attached("pm_card_visa")
	second := a.create("/v1/payment_methods/pm_card_amex/attach", "customer="+customer)
	a.attached("pm_card_visa")
	for path, query := range map[string]url.Values{
		"/v1/payment_methods":                            {"customer": {customer}, "type": {"card"}},
		"/v1/customers/" + customer + "/payment_methods": {"type": {"card"}},
	} {
		ids, more := a.page(path, query)
		require.Equal(t, []string{second, first}, ids, path)
		require.False(t, more)
		query.Set("type", "sepa_debit")
		ids, _ = a.page(path, query)
		require.Empty(t, ids, path)
		ids, more = a.page(path, url.Values{"customer": query["customer"], "limit": {"1"}})
		require.Equal(t, []string{second}, ids)
		require.True(t, more)
	}
	created := a.create("/v1/customers", "payment_method=pm_card_visa")
	ids, _ := a.page("/v1/customers/"+created+"/payment_methods", url.Values{})
	require.Len(t, ids, 1)
}

func TestTestNameIsANewPaymentMethodAtEachUse(t *testing.T) {
	a := memory(t)
	_, first := a.attached("pm_card_visa")
	_, second := a.attached("pm_card_visa")
	require.NotEqual(t, first, second)
	shown := a.get("/v1/payment_methods/pm_card_visa_chargeDeclined")
	require.Equal(t, []any{"pm_card_visa_chargeDeclined", "0002"}, []any{shown["id"], shown["card"].(map[string]any)["last4"]})
	ids, _ := a.page("/v1/payment_methods", url.Values{})
	require.ElementsMatch(t, []string{first, second}, ids, "what is shown is not stored")
}
