package stripetest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

const (
	intentsPath = "/v1/payment_intents"
	cardIntent  = "amount=2000&currency=usd&payment_method_types[]=card"
)

// intent creates a payment intent by card with additional parameters.
func (a *api) intent(more string) map[string]any {
	a.t.Helper()
	return a.post(intentsPath, cardIntent+"&"+more)
}

func (a *api) intentID(more string) string {
	a.t.Helper()
	return a.intent(more)["id"].(string)
}

func (a *api) statusOf(intent string) any {
	a.t.Helper()
	return a.get(intentsPath + "/" + intent)["status"]
}

func TestNewPaymentIntentHasItsParameters(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	customer := a.create("/v1/customers", "")
	method := a.method("tok_visa")
	got := a.intent("customer=" + customer + "&payment_method=" + method + "&capture_method=manual&confirmation_method=manual&setup_future_usage=on_session" +
		"&description=d&metadata[a]=b&receipt_email=jo@example.com&statement_descriptor=SHOP&statement_descriptor_suffix=ORDER&transfer_group=g" +
		"&shipping[name]=Jo&shipping[address][line1]=Weg+1&application_fee_amount=10&on_behalf_of=acct_1&transfer_data[destination]=acct_1" +
		"&payment_method_options[card][request_three_d_secure]=any")
	require.Regexp(t, "^pi_3", got["id"])
	require.Regexp(t, "^"+got["id"].(string)+"_secret_[0-9A-Za-z]{25}$", got["client_secret"])
	for field, want := range map[string]any{
		"object": "payment_intent", "amount": 2000.0, "amount_capturable": 0.0, "amount_received": 0.0, "currency": "usd", "customer": customer,
		"payment_method": method, "capture_method": "manual", "confirmation_method": "manual", "setup_future_usage": "on_session", "description": "d",
		"metadata": map[string]any{"a": "b"}, "receipt_email": "jo@example.com", "statement_descriptor": "SHOP", "statement_descriptor_suffix": "ORDER",
		"transfer_group": "g", "application_fee_amount": 10.0, "on_behalf_of": "acct_1", "status": "requires_confirmation", "created": 1700000000.0,
		"livemode": false, "latest_charge": nil, "last_payment_error": nil, "next_action": nil, "canceled_at": nil,
		"payment_method_types": []any{"card"}, "automatic_payment_methods": nil,
	} {
		require.Equal(t, want, got[field], field)
	}
	require.Equal(t, "Jo", got["shipping"].(map[string]any)["name"])
	require.Equal(t, "any", got["payment_method_options"].(map[string]any)["card"].(map[string]any)["request_three_d_secure"])
	require.Equal(t, got, a.get(intentsPath+"/"+got["id"].(string)))
}

func TestPaymentIntentHasTheDefaultsOfItsVersion(t *testing.T) {
	for version, want := range map[string][2]any{
		"2019-09-09":        {"automatic", nil},
		"2023-08-15":        {"automatic", nil},
		"2023-08-16":        {"automatic", map[string]any{"allow_redirects": "always", "enabled": true}},
		"2024-04-10":        {"automatic_async", map[string]any{"allow_redirects": "always", "enabled": true}},
		"2026-08-26.dahlia": {"automatic_async", map[string]any{"allow_redirects": "always", "enabled": true}},
	} {
		got := memory(t).with("Stripe-Version", version).post(intentsPath, "amount=2000&currency=usd")
		require.Equal(t, want, [2]any{got["capture_method"], got["automatic_payment_methods"]}, version)
	}
}

func TestPaymentIntentsHaveTheirChargesInOldVersions(t *testing.T) {
	a := memory(t)
	intent := a.intentID("confirm=true&payment_method=pm_card_visa")
	a.post("/v1/refunds", "amount=5&payment_intent="+intent)
	for version, old := range map[string]bool{"2020-08-27": true, "2022-08-01": true, "2022-11-15": false, "2026-08-26.dahlia": false} {
		got := a.with("Stripe-Version", version).get(intentsPath + "/" + intent)
		list, has := got["charges"].(map[string]any)
		require.Equal(t, old, has, version)
		if old {
			charge := list["data"].([]any)[0].(map[string]any)
			require.Equal(t, got["latest_charge"], charge["id"])
			require.Len(t, charge["refunds"].(map[string]any)["data"], 1)
			require.Equal(t, "/v1/charges?payment_intent="+intent, list["url"])
		}
	}
	declined := a.with("Stripe-Version", "2020-08-27").do("POST", intentsPath, cardIntent+"&confirm=true&payment_method=pm_card_chargeDeclined")
	shown := declined.failure()["payment_intent"].(map[string]any)
	require.Len(t, shown["charges"].(map[string]any)["data"], 1, "the one in an error has them too")
	require.Contains(t, shown, "invoice")
}

func TestPaymentIntentIsRefused(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	other, theirs := a.attached("pm_card_visa")
	for name, want := range map[string]refusal{
		"no amount":           {"POST", intentsPath, "currency=usd", 400, "parameter_missing", "amount", "Missing required param: amount."},
		"no currency":         {"POST", intentsPath, "amount=2000", 400, "parameter_missing", "currency", "Missing required param: currency."},
		"nothing":             {"POST", intentsPath, "amount=0&currency=usd", 400, "parameter_invalid_integer", "amount", "The amount must be greater than or equal to the minimum"},
		"too little":          {"POST", intentsPath, "amount=49&currency=usd", 400, "amount_too_small", "amount", "Amount must be at least $0.50 usd"},
		"too much":            {"POST", intentsPath, "amount=100000000&currency=usd", 400, "amount_too_large", "amount", "Amount must be no more than $999,999.99"},
		"unknown customer":    {"POST", intentsPath, cardIntent + "&customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"},
		"unknown method":      {"POST", intentsPath, cardIntent + "&payment_method=pm_x", 400, "resource_missing", "payment_method", "No such PaymentMethod: 'pm_x'"},
		"both sorts of types": {"POST", intentsPath, cardIntent + "&automatic_payment_methods[enabled]=true", 400, "", "payment_method_types", "You may only specify one of these parameters"},
		"no method":           {"POST", intentsPath, cardIntent + "&confirm=true", 400, "payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it's missing a payment method. You can either"},
		"no method of theirs": {"POST", intentsPath, cardIntent + "&confirm=true&customer=" + customer, 400, "payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it's missing a payment method. To confirm the PaymentIntent with " + customer},
		"no return_url":       {"POST", intentsPath, "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa", 400, "", "", "This PaymentIntent is configured to accept payment methods enabled in your Dashboard."},
		"another's method":    {"POST", intentsPath, cardIntent + "&confirm=true&customer=" + customer + "&payment_method=" + theirs, 400, "", "payment_method", "The PaymentMethod " + theirs + " does not belong to the Customer you supplied " + customer},
		"someone's method":    {"POST", intentsPath, cardIntent + "&payment_method=" + theirs, 400, "parameter_missing", "source", "The `payment_method` parameter supplied " + theirs + " belongs to the Customer " + other},
		"data without type":   {"POST", intentsPath, cardIntent + "&payment_method_data[card][token]=tok_visa", 400, "parameter_missing", "payment_method_data[type]", "Missing required param"},
		"data without card":   {"POST", intentsPath, cardIntent + "&payment_method_data[type]=card", 400, "parameter_missing", "payment_method_data[card]", "Missing required param"},
		"return_url alone":    {"POST", intentsPath, cardIntent + "&return_url=https://example.com", 400, "", "return_url", "The parameter return_url can only be used with confirm=true."},
		"other capture":       {"POST", intentsPath, cardIntent + "&capture_method=later", 400, "", "capture_method", "Invalid capture_method"},
		"shipping alone":      {"POST", intentsPath, cardIntent + "&shipping[phone]=1", 400, "parameter_missing", "shipping[name]", "Missing required param"},
		"unknown parameter":   {"POST", intentsPath, cardIntent + "&source=tok_visa", 400, "parameter_unknown", "source", "Received unknown parameter: source"},
		"no account":          {"POST", intentsPath, cardIntent + "&transfer_data[amount]=5", 400, "parameter_missing", "transfer_data[destination]", "Missing required param"},
		"unknown":             {"GET", intentsPath + "/pi_x", "", 404, "resource_missing", "intent", "No such payment_intent: 'pi_x'"},
	} {
		t.Run(name, func(t *testing.T) {
			want.refuse(t, a, "")
			require.NotContains(t, a.do(want.method, want.path, want.form).failure(), "payment_intent", "there is none")
		})
	}
	ids, _ := a.page(intentsPath, url.Values{})
	require.Empty(t, ids, "a refused request stores nothing")
	methods, _ := a.page("/v1/payment_methods", url.Values{})
	require.Equal(t, []string{theirs}, methods)
}

func TestUpdatedPaymentIntentMustBeConfirmedAgain(t *testing.T) {
	a := memory(t)
	plain := a.intentID("")
	got := a.post(intentsPath+"/"+plain, "amount=3000&currency=eur&description=d&metadata[a]=b&application_fee_amount=5")
	require.Equal(t, []any{3000.0, "eur", "d", "requires_payment_method", 5.0}, []any{got["amount"], got["currency"], got["description"], got["status"], got["application_fee_amount"]})
	got = a.post(intentsPath+"/"+plain, "payment_method=pm_card_visa&metadata[a]=&application_fee_amount=")
	require.Equal(t, []any{"requires_confirmation", map[string]any{}, nil}, []any{got["status"], got["metadata"], got["application_fee_amount"]})

	waiting := a.intentID("confirm=true&payment_method=pm_card_threeDSecure2Required")
	require.Equal(t, "requires_action", a.post(intentsPath+"/"+waiting, "metadata[a]=b")["status"])
	got = a.post(intentsPath+"/"+waiting, "amount=2100")
	require.Equal(t, []any{"requires_confirmation", nil}, []any{got["status"], got["next_action"]})

	declined := a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method=pm_card_chargeDeclined").failure()["payment_intent"].(map[string]any)
	got = a.post(intentsPath+"/"+declined["id"].(string), "description=d")
	require.Equal(t, []any{"requires_payment_method", nil, declined["latest_charge"]}, []any{got["status"], got["last_payment_error"], got["latest_charge"]})

	paid := a.intentID("confirm=true&payment_method=pm_card_visa")
	require.Equal(t, "succeeded", a.post(intentsPath+"/"+paid, "metadata[a]=b&description=later")["status"])
	for param, value := range map[string]string{"amount": "9999", "currency": "eur", "payment_method": "pm_card_visa", "capture_method": "manual"} {
		r := a.do("POST", intentsPath+"/"+paid, param+"="+value)
		require.Equal(t, []any{400, "payment_intent_unexpected_state", param}, []any{r.status, r.failure()["code"], r.failure()["param"]}, r.raw)
		require.Equal(t, "This PaymentIntent's "+param+" could not be updated because it has a status of succeeded. You may only update the "+param+
			" of a PaymentIntent with one of the following statuses: requires_payment_method, requires_confirmation, requires_action.", r.failure()["message"])
		require.Equal(t, paid, r.failure()["payment_intent"].(map[string]any)["id"])
	}
}

func TestCustomerOfAPaymentIntentIsSetOnce(t *testing.T) {
	a := memory(t)
	customer, method := a.attached("pm_card_visa")
	intent := a.intentID("")
	require.Equal(t, customer, a.post(intentsPath+"/"+intent, "customer="+customer+"&payment_method="+method)["customer"])
	refusal{"POST", intentsPath + "/" + intent, "customer=" + a.create("/v1/customers", ""), 400, "", "customer", "You cannot modify `customer` on a PaymentIntent"}.refuse(t, a, "")
	refusal{"POST", intentsPath + "/" + intent, "customer=cus_x", 400, "", "customer", "You cannot modify `customer` on a PaymentIntent"}.refuse(t, a, "")
	refusal{"POST", intentsPath + "/" + a.intentID(""), "customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"}.refuse(t, a, "")
}

func TestPaymentIntentsAreListedAndSearched(t *testing.T) {
	clock := at(1700000000)
	a := memory(t, stripetest.WithClock(clock.read))
	customer, method := a.attached("pm_card_visa")
	var ids []string
	for _, more := range []string{"metadata[order]=1", "confirm=true&payment_method=" + method + "&customer=" + customer, "customer=" + customer} {
		ids = append([]string{a.intentID(more)}, ids...)
		clock.now = clock.now.Add(time.Second)
	}
	got, more := a.page(intentsPath, url.Values{"limit": {"2"}})
	require.Equal(t, ids[:2], got)
	require.True(t, more)
	got, _ = a.page(intentsPath, url.Values{"starting_after": {ids[1]}})
	require.Equal(t, ids[2:], got)
	got, _ = a.page(intentsPath, url.Values{"customer": {customer}})
	require.Equal(t, ids[:2], got)
	got, _ = a.page(intentsPath, url.Values{"created[gte]": {"1700000001"}, "created[lt]": {"1700000002"}})
	require.Equal(t, ids[1:2], got)
	for query, want := range map[string][]string{
		"status:'succeeded'":                        ids[1:2],
		"customer:'" + customer + "' AND amount>0":  ids[:2],
		"metadata['order']:'1' AND currency:'usd'":  ids[2:],
		"created<1700000001 AND -status:'canceled'": ids[2:],
	} {
		var found []string
		for _, object := range a.get(intentsPath + "/search?query=" + url.QueryEscape(query))["data"].([]any) {
			found = append(found, object.(map[string]any)["id"].(string))
		}
		require.Equal(t, want, found, query)
	}
}

func TestPaymentIntentIsExpanded(t *testing.T) {
	a := memory(t)
	customer, method := a.attached("pm_card_visa")
	got := a.post(intentsPath, cardIntent+"&confirm=true&customer="+customer+"&payment_method="+method+
		"&expand[]=customer&expand[]=payment_method.customer&expand[]=latest_charge.balance_transaction")
	require.Equal(t, customer, got["customer"].(map[string]any)["id"])
	require.Equal(t, customer, got["payment_method"].(map[string]any)["customer"].(map[string]any)["id"])
	charge := got["latest_charge"].(map[string]any)
	require.Equal(t, 2000.0, charge["balance_transaction"].(map[string]any)["amount"])
	refund := a.post("/v1/refunds", "payment_intent="+got["id"].(string)+"&expand[]=payment_intent.latest_charge")
	require.Equal(t, charge["id"], refund["payment_intent"].(map[string]any)["latest_charge"].(map[string]any)["id"])
	old := a.with("Stripe-Version", "2020-08-27").get(intentsPath + "?expand[]=data.charges.data.balance_transaction")["data"].([]any)[0].(map[string]any)
	require.Equal(t, "txn_3", old["charges"].(map[string]any)["data"].([]any)[0].(map[string]any)["balance_transaction"].(map[string]any)["id"].(string)[:5])
}

func TestPaymentIntentIsMadeOnceForAnIdempotencyKey(t *testing.T) {
	for _, method := range []string{"pm_card_visa", "pm_card_chargeDeclined"} {
		a := memory(t).with("Idempotency-Key", "k")
		first := a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method="+method)
		second := a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method="+method)
		require.Equal(t, first.raw, second.raw)
		require.Equal(t, "true", second.header.Get("Idempotent-Replayed"))
		ids, _ := a.page(intentsPath, url.Values{})
		require.Len(t, ids, 1)
	}
}

func TestSeededPaymentIntentsHaveTheirCharges(t *testing.T) {
	for name, ids := range map[string][]string{"random ids": nil, "chosen ids": {"pi_1", "pi_2", "pi_3"}} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			seeded := a.server.Seed(intentsPath, stripetest.Seeding{Count: 3, IDs: ids, First: time.Unix(1600000000, 0), Every: time.Hour})
			require.Len(t, seeded, 3)
			if ids != nil {
				require.Equal(t, ids, seeded)
			}
			charges, _ := a.page("/v1/charges", url.Values{})
			require.Len(t, charges, 3)
			for i, id := range seeded {
				got := a.get(intentsPath + "/" + id + "?expand[]=latest_charge")
				charge := got["latest_charge"].(map[string]any)
				require.Equal(t, []any{"succeeded", 1600000000.0 + 3600*float64(i), id}, []any{got["status"], got["created"], charge["payment_intent"]})
				require.Equal(t, got["created"], charge["created"])
				require.Equal(t, id+"_secret_", got["client_secret"].(string)[:len(id)+8])
				found, _ := a.page("/v1/charges", url.Values{"payment_intent": {id}})
				require.Equal(t, []string{charge["id"].(string)}, found)
				a.post("/v1/refunds", "payment_intent="+id)
			}
			require.Equal(t, []string{"refund.created", "charge.refunded"}, typesOf(a.eventsSince(4)))
		})
	}
	a := memory(t)
	declined := a.server.Seed(intentsPath, stripetest.Seeding{Params: url.Values{
		"amount": {"500"}, "currency": {"usd"}, "confirm": {"true"}, "payment_method": {"pm_card_chargeDeclined"}, "payment_method_types[]": {"card"},
	}})
	require.Equal(t, "requires_payment_method", a.statusOf(declined[0]))
	require.Equal(t, "card", a.get("/v1/payment_methods/" + a.server.Seed("/v1/payment_methods", stripetest.Seeding{Count: 2})[1])["type"])
}

func TestLoadedPaymentIntentsLiveOn(t *testing.T) {
	a := memory(t)
	customer, method := a.attached("pm_card_authenticationRequiredOnSetup")
	held := a.intentID("confirm=true&capture_method=manual&payment_method=pm_card_refundFail")
	waiting := a.intentID("confirm=true&confirmation_method=manual&payment_method=pm_card_threeDSecureRequiredChargeDeclined")
	require.NoError(t, a.server.Authenticate(waiting, true))
	a.do("POST", intentsPath, cardIntent+"&confirm=true&payment_method=pm_card_chargeDeclined")
	setUp := a.intentID("confirm=true&setup_future_usage=off_session&customer=" + customer + "&payment_method=" + method)
	require.NoError(t, a.server.Authenticate(setUp, true))

	b := memory(t)
	require.NoError(t, b.server.Load(strings.NewReader(dumped(t, a.server))))
	for _, path := range []string{intentsPath, "/v1/payment_methods", "/v1/charges", "/v1/events"} {
		require.Empty(t, cmp.Diff(a.get(path), b.get(path)), path)
	}
	b.post(intentsPath+"/"+held+"/capture", "")
	refund := b.create("/v1/refunds", "payment_intent="+held)
	require.Equal(t, "failed", b.get("/v1/refunds/" + refund)["status"], "the test card is known")
	require.Equal(t, http.StatusPaymentRequired, b.do("POST", intentsPath+"/"+waiting+"/confirm", "").status, "it was authenticated")
	require.Equal(t, "succeeded", b.intent("confirm=true&off_session=true&customer=" + customer + "&payment_method=" + method)["status"], "it was set up")
	b.server.Clear()
	ids, _ := b.page(intentsPath, url.Values{})
	require.Empty(t, ids)
}

func TestLoadRefusesAHeldPaymentIntentWithoutItsCharge(t *testing.T) {
	a := memory(t)
	held := a.intent("confirm=true&capture_method=manual&payment_method=pm_card_visa")
	dump := strings.ReplaceAll(dumped(t, a.server), `"latest_charge":"`+held["latest_charge"].(string), `"latest_charge":"ch_x`)
	require.ErrorContains(t, memory(t).server.Load(strings.NewReader(dump)), "paymentIntents: "+held["id"].(string)+": its charge is missing")
}
