package stripetest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// The cards are those of Stripe's documentation of testing.
func TestTestCardsAskForAuthentication(t *testing.T) {
	const absent = "&off_session=true"
	for name, test := range map[string]struct {
		method, form string
		status       string // of the intent after its confirmation
		code         string // of a refusal
		after        string // the status after the authentication
	}{
		"required":                     {"pm_card_threeDSecure2Required", "", "requires_action", "", "succeeded"},
		"required, held":               {"pm_card_threeDSecureRequired", "&capture_method=manual", "requires_action", "", "requires_capture"},
		"required, manual":             {"pm_card_threeDSecure2Required", "&confirmation_method=manual", "requires_action", "", "requires_confirmation"},
		"required, declined":           {"pm_card_threeDSecureRequiredChargeDeclined", "", "requires_action", "", "requires_payment_method"},
		"required, without funds":      {"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "", "requires_action", "", "requires_payment_method"},
		"required, absent":             {"pm_card_threeDSecure2Required", absent, "requires_payment_method", "authentication_required", ""},
		"required, not handled":        {"pm_card_threeDSecure2Required", "&error_on_requires_action=true", "requires_payment_method", "authentication_required", ""},
		"always, absent":               {"pm_card_authenticationRequired", absent, "requires_payment_method", "authentication_required", ""},
		"not set up":                   {"pm_card_authenticationRequiredOnSetup", "", "requires_action", "", "succeeded"},
		"not set up, absent":           {"pm_card_authenticationRequiredOnSetup", absent, "requires_payment_method", "authentication_required", ""},
		"set up before, present":       {"pm_card_authenticationRequiredSetupForOffSession", "", "requires_action", "", "succeeded"},
		"set up before, absent":        {"pm_card_authenticationRequiredSetupForOffSession", absent, "succeeded", "", ""},
		"set up before, recurring":     {"pm_card_authenticationRequiredSetupForOffSession", "&off_session=recurring", "succeeded", "", ""},
		"optional":                     {"pm_card_threeDSecureOptional", "", "succeeded", "", ""},
		"optional, asked for":          {"pm_card_threeDSecureOptional", "&payment_method_options[card][request_three_d_secure]=any", "requires_action", "", "succeeded"},
		"not supported":                {"pm_card_amex_threeDSecureNotSupported", "&payment_method_options[card][request_three_d_secure]=any", "succeeded", "", ""},
		"present, not off the session": {"pm_card_threeDSecure2Required", "&off_session=false", "requires_action", "", "succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			r := a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method="+test.method+test.form)
			intent := r.body
			if test.code != "" {
				require.Equal(t, []any{http.StatusPaymentRequired, test.code, test.code}, []any{r.status, r.failure()["code"], r.failure()["decline_code"]}, r.raw)
				require.NotContains(t, r.failure(), "charge")
				intent = r.failure()["payment_intent"].(map[string]any)
				require.Nil(t, intent["latest_charge"])
			}
			require.Equal(t, test.status, intent["status"], r.raw)
			id := intent["id"].(string)
			if test.after == "" {
				require.ErrorContains(t, a.server.Authenticate(id, true), "has the status "+test.status)
				return
			}
			require.Equal(t, []any{"use_stripe_sdk", nil}, []any{intent["next_action"].(map[string]any)["type"], intent["latest_charge"]})
			require.NoError(t, a.server.Authenticate(id, true))
			after := a.get(intentsPath + "/" + id)
			require.Equal(t, []any{test.after, nil}, []any{after["status"], after["next_action"]})
		})
	}
}

func TestFailedAuthenticationNeedsAnotherPaymentMethod(t *testing.T) {
	a := memory(t)
	waiting := a.intent("confirm=true&payment_method=pm_card_threeDSecure2Required&return_url=https://example.com/back")
	id := waiting["id"].(string)
	redirect := waiting["next_action"].(map[string]any)["redirect_to_url"].(map[string]any)
	require.Equal(t, []any{"https://example.com/back", "https://hooks.stripe.test/3d_secure/" + id}, []any{redirect["return_url"], redirect["url"]})
	n := len(a.everything("/v1/events"))
	require.NoError(t, a.server.Authenticate(id, false))
	got := a.get(intentsPath + "/" + id)
	require.Equal(t, []any{"requires_payment_method", nil, nil, nil}, []any{got["status"], got["payment_method"], got["next_action"], got["latest_charge"]})
	last := got["last_payment_error"].(map[string]any)
	require.Equal(t, []any{"payment_intent_authentication_failure", "invalid_request_error", waiting["payment_method"]},
		[]any{last["code"], last["type"], last["payment_method"].(map[string]any)["id"]})
	events := a.eventsSince(n)
	require.Equal(t, []string{"payment_intent.payment_failed"}, typesOf(events))
	require.Nil(t, events[0]["request"].(map[string]any)["id"], "no request of the account did it")
	require.Equal(t, "succeeded", a.post(intentsPath+"/"+id+"/confirm", "payment_method=pm_card_visa")["status"])
}

func TestConfirmingAgainDoesNotReplaceTheAuthentication(t *testing.T) {
	for _, method := range []string{"automatic", "manual"} {
		a := memory(t)
		id := a.intentID("confirm=true&payment_method=pm_card_threeDSecure2Required&confirmation_method=" + method)
		for range 2 {
			require.Equal(t, "requires_action", a.post(intentsPath+"/"+id+"/confirm", "")["status"], method)
		}
		require.NoError(t, a.server.Authenticate(id, true))
		if method == "automatic" {
			require.Equal(t, "succeeded", a.statusOf(id))
			continue
		}
		first := a.get(intentsPath + "/" + id)["payment_method"].(string)
		require.Equal(t, "requires_action", a.post(intentsPath+"/"+id+"/confirm", "payment_method=pm_card_threeDSecureRequired")["status"], "that is of another card")
		require.Equal(t, "requires_action", a.post(intentsPath+"/"+id+"/confirm", "payment_method="+first)["status"], "and is forgotten then")
		require.NoError(t, a.server.Authenticate(id, true))
		require.Equal(t, "succeeded", a.post(intentsPath+"/"+id+"/confirm", "")["status"])
	}
}

func TestCardThatWasSetUpPaysWithoutItsCustomer(t *testing.T) {
	a := memory(t)
	customer, method := a.attached("pm_card_authenticationRequiredOnSetup")
	form := "confirm=true&customer=" + customer + "&payment_method=" + method
	absent := func() int { return a.do("POST", intentsPath, cardIntent+"&off_session=true&"+form).status }
	require.Equal(t, http.StatusPaymentRequired, absent())
	onSession := a.intentID(form + "&setup_future_usage=on_session")
	require.NoError(t, a.server.Authenticate(onSession, true))
	require.Equal(t, http.StatusPaymentRequired, absent())
	offSession := a.intentID(form + "&setup_future_usage=off_session")
	require.NoError(t, a.server.Authenticate(offSession, true))
	require.Equal(t, http.StatusOK, absent())
}

func TestAuthenticateFindsTheIntentInItsAccount(t *testing.T) {
	a := memory(t)
	live := a.as("sk_live_1").with("Stripe-Account", "acct_x")
	id := live.intentID("confirm=true&payment_method=pm_card_threeDSecure2Required")
	require.NoError(t, a.server.Authenticate(id, true))
	require.Equal(t, "succeeded", live.statusOf(id))
	require.EqualError(t, a.server.Authenticate(id, true), "stripetest: authenticate: payment intent "+id+" has the status succeeded, and not requires_action")
	require.ErrorContains(t, a.server.Authenticate("pi_x", true), `stripetest: authenticate: there is no payment intent "pi_x"`)
}

func TestControlAuthenticates(t *testing.T) {
	a := memory(t, stripetest.WithControl())
	for body, want := range map[string]string{`{"payment_intent": "OBJ"}`: "succeeded", `{"payment_intent": "OBJ", "fails": true}`: "requires_payment_method"} {
		id := a.intentID("confirm=true&payment_method=pm_card_threeDSecure2Required")
		r := a.control("POST authenticate", strings.ReplaceAll(body, "OBJ", id))
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, map[string]any{"payment_intent": id, "status": want}, r.body)
		require.Equal(t, http.StatusBadRequest, a.control("POST authenticate", strings.ReplaceAll(body, "OBJ", id)).status, "it no longer waits")
	}
	require.Equal(t, http.StatusNotFound, a.control("POST authenticate", `{"payment_intent": "pi_x"}`).status)
	require.Equal(t, http.StatusBadRequest, a.control("POST authenticate", `{"intent": "pi_x"}`).status)
}
