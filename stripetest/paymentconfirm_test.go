package stripetest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// chargeOf returns the latest charge of a payment intent.
func (a *api) chargeOf(intent string) map[string]any {
	a.t.Helper()
	return a.get(intentsPath + "/" + intent + "?expand[]=latest_charge")["latest_charge"].(map[string]any)
}

func TestConfirmedPaymentIntentIsCharged(t *testing.T) {
	a := memory(t)
	customer, method := a.attached("pm_card_mastercard")
	intent := a.intentID("customer=" + customer + "&payment_method=" + method + "&description=d&metadata[a]=b&receipt_email=jo@example.com" +
		"&statement_descriptor_suffix=ORDER&transfer_group=g&shipping[name]=Jo&shipping[address][line1]=Weg+1")
	got := a.post(intentsPath+"/"+intent+"/confirm", "")
	require.Equal(t, []any{"succeeded", 2000.0, 0.0, method}, []any{got["status"], got["amount_received"], got["amount_capturable"], got["payment_method"]})
	charge := a.get("/v1/charges/" + got["latest_charge"].(string))
	for field, want := range map[string]any{
		"amount": 2000.0, "amount_captured": 2000.0, "captured": true, "paid": true, "status": "succeeded", "payment_intent": intent,
		"payment_method": method, "customer": customer, "source": nil, "description": "d", "metadata": map[string]any{"a": "b"},
		"receipt_email": "jo@example.com", "statement_descriptor_suffix": "ORDER", "transfer_group": "g",
	} {
		require.Equal(t, want, charge[field], field)
	}
	require.Regexp(t, "^txn_", charge["balance_transaction"])
	card := charge["payment_method_details"].(map[string]any)["card"].(map[string]any)
	require.Equal(t, []any{"mastercard", 2000.0}, []any{card["brand"], card["amount_authorized"]})
	for _, filter := range []url.Values{{"payment_intent": {intent}}, {"customer": {customer}}, {"transfer_group": {"g"}}} {
		ids, _ := a.page("/v1/charges", filter)
		require.Equal(t, []string{charge["id"].(string)}, ids)
	}
}

func TestPaymentMethodOfAPaymentIntentCanBeAnyOfThem(t *testing.T) {
	a := memory(t)
	owner := a.post("/v1/customers", "source=tok_amex")
	customer, card := owner["id"].(string), owner["default_source"].(string)
	for name, test := range map[string]struct{ form, last4 string }{
		"test name":      {"payment_method=pm_card_visa", "4242"},
		"method":         {"payment_method=" + a.method("tok_visa_debit"), "5556"},
		"data":           {"payment_method_data[type]=card&payment_method_data[card][token]=tok_jcb", "0000"},
		"number":         {"payment_method_data[type]=card&payment_method_data[card][number]=6011000990139424&payment_method_data[card][exp_month]=1&payment_method_data[card][exp_year]=2050", "9424"},
		"card":           {"customer=" + customer + "&payment_method=" + card, "0005"},
		"default source": {"customer=" + customer, "0005"},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.intent("confirm=true&" + test.form)
			require.Equal(t, "succeeded", got["status"])
			charge := a.get("/v1/charges/" + got["latest_charge"].(string))
			require.Equal(t, test.last4, charge["payment_method_details"].(map[string]any)["card"].(map[string]any)["last4"])
			require.Equal(t, got["payment_method"], charge["payment_method"])
		})
	}
	require.Equal(t, "succeeded", a.intent("confirm=true&customer=" + customer)["status"], "a card of a customer can be used again")
	methods, _ := a.page("/v1/payment_methods", url.Values{})
	require.Len(t, methods, 4)
	require.NotContains(t, methods, card, "and is a source alone")
}

func TestDeclinedPaymentKeepsTheFailedCharge(t *testing.T) {
	for name, want := range map[string]struct{ code, reason, param, message string }{
		"pm_card_visa_chargeDeclined":                  {"card_declined", "generic_decline", "", "Your card was declined."},
		"pm_card_visa_chargeDeclinedInsufficientFunds": {"card_declined", "insufficient_funds", "", "Your card has insufficient funds."},
		"pm_card_chargeDeclinedExpiredCard":            {"expired_card", "expired_card", "exp_month", "Your card has expired."},
		"pm_card_chargeDeclinedIncorrectCvc":           {"incorrect_cvc", "incorrect_cvc", "cvc", "Your card's security code is incorrect."},
		"pm_card_chargeDeclinedFraudulent":             {"card_declined", "fraudulent", "", "Your card was declined."},
		"pm_card_chargeCustomerFail":                   {"card_declined", "generic_decline", "", "Your card was declined."},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			r := a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method="+name)
			require.Equal(t, http.StatusPaymentRequired, r.status)
			failure := r.failure()
			text := func(object map[string]any, field string) string { text, _ := object[field].(string); return text }
			require.Equal(t, []string{"card_error", want.code, want.reason, want.param, want.message},
				[]string{text(failure, "type"), text(failure, "code"), text(failure, "decline_code"), text(failure, "param"), text(failure, "message")})
			intent := failure["payment_intent"].(map[string]any)
			require.Equal(t, []any{"requires_payment_method", nil, failure["charge"]}, []any{intent["status"], intent["payment_method"], intent["latest_charge"]})
			last := intent["last_payment_error"].(map[string]any)
			require.Equal(t, []any{want.code, want.reason, want.message, failure["charge"], "card_error"},
				[]any{last["code"], last["decline_code"], last["message"], last["charge"], last["type"]})
			require.Equal(t, failure["payment_method"], last["payment_method"])
			require.Equal(t, intent, a.get(intentsPath+"/"+intent["id"].(string)))
			charge := a.get("/v1/charges/" + failure["charge"].(string))
			require.Equal(t, []any{"failed", false, want.code, intent["id"], nil},
				[]any{charge["status"], charge["paid"], charge["failure_code"], charge["payment_intent"], charge["balance_transaction"]})
			refusal{"POST", "/v1/refunds", "payment_intent=OBJ", 400, "", "", "This PaymentIntent (OBJ) does not have a successful charge to refund."}.refuse(t, a, intent["id"].(string))

			paid := a.post(intentsPath+"/"+intent["id"].(string)+"/confirm", "payment_method=pm_card_visa")
			require.Equal(t, []any{"succeeded", nil}, []any{paid["status"], paid["last_payment_error"]})
			require.NotEqual(t, failure["charge"], paid["latest_charge"])
			charges, _ := a.page("/v1/charges", url.Values{"payment_intent": {intent["id"].(string)}})
			require.Equal(t, []string{paid["latest_charge"].(string), failure["charge"].(string)}, charges)
		})
	}
}

func TestRefusedConfirmationChangesNothing(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	_, theirs := a.attached("pm_card_visa")
	plain := a.intentID("customer=" + customer)
	redirecting := a.create(intentsPath, "amount=2000&currency=usd")
	for name, want := range map[string]refusal{
		"no method":        {"POST", plain, "receipt_email=jo@example.com", 400, "payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it's missing a payment method."},
		"another's method": {"POST", plain, "receipt_email=jo@example.com&payment_method=" + theirs, 400, "", "payment_method", "The PaymentMethod " + theirs + " does not belong"},
		"unknown method":   {"POST", plain, "setup_future_usage=off_session&payment_method=pm_x", 400, "resource_missing", "payment_method", "No such PaymentMethod: 'pm_x'"},
		"shipping alone":   {"POST", plain, "payment_method=pm_card_visa&shipping[phone]=1", 400, "parameter_missing", "shipping[name]", "Missing required param"},
		"no return_url":    {"POST", redirecting, "payment_method=pm_card_visa", 400, "", "", "This PaymentIntent is configured to accept payment methods enabled in your Dashboard."},
		"unknown":          {"POST", "pi_x", "", 404, "resource_missing", "intent", "No such payment_intent: 'pi_x'"},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := a.page("/v1/payment_methods", url.Values{})
			var shown any
			if want.path != "pi_x" {
				shown = a.get(intentsPath + "/" + want.path)
			}
			want.path = intentsPath + "/" + want.path + "/confirm"
			want.refuse(t, a, "")
			if shown != nil {
				require.Equal(t, shown, a.get(want.path[:len(want.path)-len("/confirm")]))
				if inError := a.do("POST", want.path, want.form).failure()["payment_intent"]; inError != nil {
					require.Equal(t, shown, inError)
				}
			}
			after, _ := a.page("/v1/payment_methods", url.Values{})
			require.Equal(t, before, after)
		})
	}
	require.Equal(t, "succeeded", a.post(intentsPath+"/"+redirecting+"/confirm", "payment_method=pm_card_visa&return_url=https://example.com")["status"])
	never := a.create(intentsPath, "amount=2000&currency=usd&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never")
	require.Equal(t, "succeeded", a.post(intentsPath+"/"+never+"/confirm", "payment_method=pm_card_visa")["status"])
}

func TestPaymentMethodWithoutACustomerIsUsedOnce(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	for name, test := range map[string]struct {
		token, form string
		again       int
	}{
		"charged":           {"tok_visa", "", 400},
		"declined":          {"tok_chargeCustomerFail", "", 400},
		"with a customer":   {"tok_visa", "&customer=" + customer, 400},
		"for future usage":  {"tok_visa", "&setup_future_usage=on_session&customer=" + customer, 200},
		"declined for that": {"tok_chargeCustomerFail", "&setup_future_usage=on_session&customer=" + customer, 400},
	} {
		t.Run(name, func(t *testing.T) {
			method := a.method(test.token)
			form := cardIntent + "&confirm=true&payment_method=" + method + test.form
			a.do("POST", intentsPath, form)
			attached := a.get("/v1/payment_methods/" + method)["customer"]
			require.Equal(t, test.again == 200, attached == customer)
			r := a.do("POST", intentsPath, form)
			require.Equal(t, test.again, r.status)
			if test.again == 400 {
				require.Contains(t, r.failure()["message"], "It may not be used again.")
				require.NotContains(t, r.failure(), "code")
			}
		})
	}
}

func TestHeldPaymentIsCapturedOnce(t *testing.T) {
	for amount, form := range map[float64]string{2000: "", 1500: "amount_to_capture=1500&final_capture=true&metadata[a]=b&statement_descriptor_suffix=X"} {
		a := memory(t)
		held := a.intent("confirm=true&capture_method=manual&payment_method=pm_card_visa")
		intent := held["id"].(string)
		require.Equal(t, []any{"requires_capture", 2000.0, 0.0}, []any{held["status"], held["amount_capturable"], held["amount_received"]})
		charge := a.chargeOf(intent)
		require.Equal(t, []any{false, "succeeded", nil, 0.0}, []any{charge["captured"], charge["status"], charge["balance_transaction"], charge["amount_captured"]})

		got := a.post(intentsPath+"/"+intent+"/capture", form)
		require.Equal(t, []any{"succeeded", 0.0, amount, held["latest_charge"]}, []any{got["status"], got["amount_capturable"], got["amount_received"], got["latest_charge"]})
		charge = a.chargeOf(intent)
		require.Equal(t, []any{true, amount, 2000 - amount, false}, []any{charge["captured"], charge["amount_captured"], charge["amount_refunded"], charge["refunded"]})
		require.Regexp(t, "^txn_", charge["balance_transaction"])
		if form != "" {
			require.Equal(t, map[string]any{"a": "b"}, got["metadata"])
			require.Equal(t, []any{"X", "X"}, []any{got["statement_descriptor_suffix"], charge["statement_descriptor_suffix"]})
		}
		refusal{"POST", intentsPath + "/" + intent + "/capture", "", 400, "payment_intent_unexpected_state", "", "This PaymentIntent could not be captured because it has already been captured."}.refuse(t, a, "")
	}
}

func TestCaptureOfAPaymentIntentIsRefused(t *testing.T) {
	a := memory(t)
	held := a.intent("confirm=true&capture_method=manual&payment_method=pm_card_visa")
	path := intentsPath + "/" + held["id"].(string)
	for name, want := range map[string]refusal{
		"too much":      {"POST", path + "/capture", "amount_to_capture=2001", 400, "amount_too_large", "", "The payment could not be captured because the requested capture amount is greater"},
		"less than 0":   {"POST", path + "/capture", "amount_to_capture=-1", 400, "", "amount_to_capture", "Invalid non-negative integer"},
		"nothing":       {"POST", path + "/capture", "amount_to_capture=0", 400, "parameter_invalid_integer", "amount", "This value must be greater than or equal to 1."},
		"more to come":  {"POST", path + "/capture", "final_capture=false", 400, "", "final_capture", "This PaymentIntent can be captured only once"},
		"transfer":      {"POST", path + "/capture", "transfer_data[amount]=5", 400, "", "transfer_data", "PaymentIntent " + held["id"].(string) + " has no transfer_data."},
		"by its charge": {"POST", "/v1/charges/" + held["latest_charge"].(string) + "/capture", "", 400, "", "", "Charge " + held["latest_charge"].(string) + " was created by PaymentIntent " + held["id"].(string)},
		"not confirmed": {"POST", intentsPath + "/" + a.intentID("payment_method=pm_card_visa") + "/capture", "", 400, "payment_intent_unexpected_state", "", "This PaymentIntent could not be captured because it has a status of requires_confirmation. Only a PaymentIntent with one of the following statuses may be captured: requires_capture."},
		"unknown":       {"POST", intentsPath + "/pi_x/capture", "", 404, "resource_missing", "intent", "No such payment_intent: 'pi_x'"},
	} {
		t.Run(name, func(t *testing.T) {
			want.refuse(t, a, "")
			require.Equal(t, held, a.get(path))
		})
	}
}

// statuses has a payment intent with each status, with the parameters that make it.
var statuses = map[string]string{
	"requires_payment_method": "",
	"requires_confirmation":   "payment_method=pm_card_visa",
	"requires_action":         "confirm=true&payment_method=pm_card_threeDSecure2Required",
	"requires_capture":        "confirm=true&capture_method=manual&payment_method=pm_card_visa",
	"succeeded":               "confirm=true&payment_method=pm_card_visa",
	"canceled":                "",
}

func TestPaymentIntentIsConfirmedCapturedAndCanceledByItsStatus(t *testing.T) {
	for status, form := range statuses {
		t.Run(status, func(t *testing.T) {
			for action, want := range map[string]struct{ statuses, message string }{
				"confirm": {"requires_payment_method requires_confirmation requires_action", "You cannot confirm this PaymentIntent because it has "},
				"capture": {"requires_capture", "This PaymentIntent could not be captured because it has "},
				"cancel":  {"requires_payment_method requires_confirmation requires_action requires_capture", "You cannot cancel this PaymentIntent because it has a status of " + status + "."},
			} {
				a := memory(t)
				id := a.intentID(form)
				if status == "canceled" {
					a.post(intentsPath+"/"+id+"/cancel", "")
				}
				require.Equal(t, status, a.statusOf(id))
				params := ""
				if action == "confirm" {
					params = "payment_method=pm_card_visa"
				}
				r := a.do("POST", intentsPath+"/"+id+"/"+action, params)
				if allowed := slices.Contains(strings.Fields(want.statuses), status); allowed {
					require.Equal(t, http.StatusOK, r.status, "%s: %s", action, r.raw)
					continue
				}
				require.Equal(t, []any{400, "payment_intent_unexpected_state"}, []any{r.status, r.failure()["code"]}, action)
				require.Contains(t, r.failure()["message"], want.message)
				require.Equal(t, a.get(intentsPath+"/"+id), r.failure()["payment_intent"])
			}
		})
	}
}

func TestCanceledPaymentIntentReleasesWhatItHeld(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	held := a.intentID("confirm=true&capture_method=manual&payment_method=pm_card_visa")
	got := a.post(intentsPath+"/"+held+"/cancel", "cancellation_reason=requested_by_customer")
	require.Equal(t, []any{"canceled", "requested_by_customer", 1700000000.0, 0.0, 0.0},
		[]any{got["status"], got["cancellation_reason"], got["canceled_at"], got["amount_capturable"], got["amount_received"]})
	charge := a.chargeOf(held)
	require.Equal(t, []any{"succeeded", false, true, 2000.0}, []any{charge["status"], charge["captured"], charge["refunded"], charge["amount_refunded"]})

	waiting := a.intentID("confirm=true&payment_method=pm_card_threeDSecure2Required")
	got = a.post(intentsPath+"/"+waiting+"/cancel", "")
	require.Equal(t, []any{"canceled", nil, nil, nil}, []any{got["status"], got["cancellation_reason"], got["next_action"], got["latest_charge"]})
	refusal{"POST", intentsPath + "/" + held + "/cancel", "cancellation_reason=expired", 400, "", "cancellation_reason", "Invalid cancellation_reason"}.refuse(t, a, "")
}

func TestRefundOfAPaymentIntentLeavesItAsItIs(t *testing.T) {
	a := memory(t)
	paid := a.intent("confirm=true&payment_method=pm_card_visa")
	intent := paid["id"].(string)
	refund := a.post("/v1/refunds", "payment_intent="+intent+"&amount=500")
	require.Equal(t, []any{paid["latest_charge"], intent, 500.0}, []any{refund["charge"], refund["payment_intent"], refund["amount"]})
	a.post("/v1/refunds", "charge="+paid["latest_charge"].(string))
	require.Equal(t, paid, a.get(intentsPath+"/"+intent))
	require.Equal(t, []any{2000.0, true}, []any{a.chargeOf(intent)["amount_refunded"], a.chargeOf(intent)["refunded"]})
	ids, _ := a.page("/v1/refunds", url.Values{"payment_intent": {intent}})
	require.Len(t, ids, 2)
	refusal{"POST", "/v1/refunds", "payment_intent=" + intent, 400, "charge_already_refunded", "", "Charge "}.refuse(t, a, "")
	refusal{"POST", "/v1/refunds", "payment_intent=pi_x", 400, "resource_missing", "payment_intent", "No such payment_intent: 'pi_x'"}.refuse(t, a, "")
	refusal{"POST", "/v1/refunds", "payment_intent=OBJ", 400, "", "", "This PaymentIntent (OBJ) does not have a successful charge to refund."}.refuse(t, a, a.intentID(""))
}

func TestReleasedChargeCancelsItsPaymentIntent(t *testing.T) {
	clock := at(1700000000)
	a := memory(t, stripetest.WithClock(clock.read))
	refunded := a.intentID("confirm=true&capture_method=manual&payment_method=pm_card_visa")
	a.post("/v1/refunds", "payment_intent="+refunded)
	expired := a.intentID("confirm=true&capture_method=manual&payment_method=pm_card_visa")
	clock.now = clock.now.Add(8 * 24 * time.Hour)
	for id, want := range map[string][2]any{refunded: {nil, 1700000000.0}, expired: {"automatic", 1700604800.0}} {
		got := a.get(intentsPath + "/" + id)
		require.Equal(t, []any{"canceled", want[0], want[1], 0.0}, []any{got["status"], got["cancellation_reason"], got["canceled_at"], got["amount_capturable"]})
		require.Equal(t, []any{true, false}, []any{a.chargeOf(id)["refunded"], a.chargeOf(id)["captured"]})
	}
	refusal{"POST", intentsPath + "/" + expired + "/capture", "", 400, "payment_intent_unexpected_state", "", "This PaymentIntent could not be captured because it has a status of canceled."}.refuse(t, a, "")
}

func TestPaymentsMakeTheirEventsInTheOrderOfStripe(t *testing.T) {
	for name, test := range map[string]struct {
		form, action, params string // without an action the creation counts
		want                 []string
	}{
		"created": {want: []string{"payment_intent.created"}},
		"paid": {
			form: "confirm=true&payment_method=pm_card_visa&capture_method=automatic",
			want: []string{"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"},
		},
		"paid, captured later": {
			form: "confirm=true&payment_method=pm_card_visa",
			want: []string{"payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated"},
		},
		"held": {
			form: "confirm=true&payment_method=pm_card_visa&capture_method=manual",
			want: []string{"payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated"},
		},
		"declined": {
			form: "confirm=true&payment_method=pm_card_chargeDeclined",
			want: []string{"payment_intent.created", "charge.failed", "payment_intent.payment_failed"},
		},
		"declined without a charge": {
			form: "confirm=true&payment_method=pm_card_threeDSecure2Required&off_session=true",
			want: []string{"payment_intent.created", "payment_intent.payment_failed"},
		},
		"waiting": {
			form: "confirm=true&payment_method=pm_card_threeDSecure2Required",
			want: []string{"payment_intent.created", "payment_intent.requires_action"},
		},
		"confirmed": {
			form: "capture_method=automatic&payment_method=pm_card_visa", action: "/confirm",
			want: []string{"charge.succeeded", "payment_intent.succeeded"},
		},
		"captured": {
			form: statuses["requires_capture"], action: "/capture",
			want: []string{"charge.captured", "charge.updated", "payment_intent.succeeded"},
		},
		"captured in part": {
			form: statuses["requires_capture"], action: "/capture", params: "amount_to_capture=5",
			want: []string{"charge.captured", "charge.updated", "refund.created", "charge.refunded", "payment_intent.succeeded"},
		},
		"canceled":       {form: "", action: "/cancel", want: []string{"payment_intent.canceled"}},
		"canceled, held": {form: statuses["requires_capture"], action: "/cancel", want: []string{"refund.created", "charge.refunded", "payment_intent.canceled"}},
		"updated":        {action: "", form: "", params: "description=d", want: nil},
	} {
		for _, version := range []string{"2026-08-26.dahlia", "2020-08-27"} {
			t.Run(name+" in "+version, func(t *testing.T) {
				a := memory(t, stripetest.WithDefaultVersion(version))
				before := 0
				r := a.do("POST", intentsPath, cardIntent+"&capture_method=automatic_async&"+test.form)
				require.Contains(t, []int{200, 402}, r.status, r.raw)
				if test.action != "" || test.params != "" {
					before = len(a.everything("/v1/events"))
					a.post(intentsPath+"/"+r.body["id"].(string)+test.action, test.params)
				}
				require.Equal(t, append([]string{}, test.want...), typesOf(a.eventsSince(before)))
			})
		}
	}
}

func TestEventsOfAPaymentShowItsStates(t *testing.T) {
	a := memory(t)
	customer, _ := a.attached("pm_card_visa")
	n := len(a.everything("/v1/events"))
	got := a.intent("confirm=true&setup_future_usage=off_session&payment_method=pm_card_visa&customer=" + customer)
	events := a.eventsSince(n)
	require.Equal(t, []string{"payment_intent.created", "payment_method.attached", "charge.succeeded", "payment_intent.succeeded", "charge.updated"}, typesOf(events))
	require.Equal(t, []any{"requires_confirmation", nil}, []any{dataOf(events[0])["status"], dataOf(events[0])["latest_charge"]})
	require.Equal(t, []any{got["payment_method"], customer}, []any{dataOf(events[1])["id"], dataOf(events[1])["customer"]})
	require.Nil(t, dataOf(events[2])["balance_transaction"], "the capture is asynchronous")
	require.Equal(t, got, dataOf(events[3]))
	require.Equal(t, map[string]any{"balance_transaction": nil}, previousOf(events[4]))
}

func TestPermissionsCoverPaymentIntents(t *testing.T) {
	const key = "rk_test_reader"
	a := memory(t, stripetest.WithPermissions(key, "payment_intent_read", "payment_method_write")).as(key)
	a.page(intentsPath, url.Values{})
	a.method("tok_visa")
	require.Equal(t, http.StatusForbidden, a.do("POST", intentsPath, cardIntent).status)
}

func ExampleServer_Authenticate() {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()
	form := url.Values{
		"amount": {"2000"}, "currency": {"usd"}, "confirm": {"true"},
		"payment_method_types[]": {"card"}, "payment_method": {"pm_card_threeDSecure2Required"},
	}
	ids := server.Seed("/v1/payment_intents", stripetest.Seeding{Params: form})
	fmt.Println(server.Authenticate(ids[0], true))
	fmt.Println(server.Authenticate(ids[0], true) != nil)
	// Output:
	// <nil>
	// true
}
