package stripetest_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// arrows has the statuses that a payment intent can have after each, but for its own.
var arrows = map[string][]string{
	"requires_payment_method": {"requires_confirmation", "requires_action", "requires_capture", "succeeded", "canceled"},
	"requires_confirmation":   {"requires_payment_method", "requires_action", "requires_capture", "succeeded", "canceled"},
	"requires_action":         {"requires_payment_method", "requires_confirmation", "requires_capture", "succeeded", "canceled"},
	"requires_capture":        {"succeeded", "canceled"},
}

// TestPaymentIntentsInRandomHistories does anything with a few payment intents, in any
// order. Each request is refused, or moves its intent along an arrow, and the amounts
// of the intents, charges and refunds always agree.
func TestPaymentIntentsInRandomHistories(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := newPaymentHistory(t, seed)
			for range 60 {
				h.check(h.step(), seen)
			}
			for _, id := range h.ids {
				h.check(id, seen)
			}
		})
	}
	for from, all := range arrows {
		for _, to := range all {
			require.Contains(t, seen, from+" to "+to)
		}
	}
}

type paymentHistory struct {
	*api
	random   *rand.Rand
	clock    *clock
	customer string
	ids      []string          // of the intents
	statuses map[string]string // of the intents, by id
}

func newPaymentHistory(t *testing.T, seed uint64) *paymentHistory {
	clock := at(1700000000)
	h := &paymentHistory{api: memory(t, stripetest.WithClock(clock.read)), clock: clock, random: rand.New(rand.NewPCG(seed, 0)), statuses: map[string]string{}}
	h.customer = h.create("/v1/customers", "source=tok_visa")
	return h
}

func (h *paymentHistory) one(of ...string) string { return of[h.random.IntN(len(of))] }

// step makes an intent, or does something with one of them, and returns its id.
func (h *paymentHistory) step() string {
	methods := []string{
		"pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_threeDSecure2Required",
		"pm_card_threeDSecureRequiredChargeDeclined", "pm_card_refundFail", "pm_card_createDispute",
	}
	if len(h.ids) == 0 || len(h.ids) < 12 && h.random.IntN(4) == 0 {
		form := cardIntent + "&capture_method=" + h.one("automatic", "automatic_async", "manual", "manual") + "&confirmation_method=" + h.one("automatic", "manual") +
			h.one("", "&customer="+h.customer) + h.one("", "&confirm=true&payment_method="+h.one(methods...))
		r := h.do("POST", intentsPath, form)
		object := r.body
		if r.status == 402 {
			object = r.failure()["payment_intent"].(map[string]any)
		}
		require.NotEqual(h.t, 400, r.status, r.raw)
		id := object["id"].(string)
		h.ids, h.statuses[id] = append(h.ids, id), object["status"].(string)
		return id
	}
	id := h.one(h.ids...)
	h.change(id, methods)
	return id
}

// change does something with an intent.
func (h *paymentHistory) change(id string, methods []string) {
	path := intentsPath + "/" + id
	switch h.random.IntN(9) {
	case 0:
		h.do("POST", path, h.one("amount="+fmt.Sprint(100+h.random.IntN(5000)), "description=d", "payment_method="+h.one(methods...), "setup_future_usage=off_session"))
	case 1, 2:
		h.do("POST", path+"/confirm", h.one("", "payment_method="+h.one(methods...))+h.one("", "&off_session=true"))
	case 3, 4:
		h.do("POST", path+"/capture", h.one("", "amount_to_capture="+fmt.Sprint(h.random.IntN(4000))))
	case 5:
		if h.random.IntN(3) == 0 {
			h.do("POST", path+"/cancel", "")
		}
	case 6:
		h.do("POST", "/v1/refunds", "payment_intent="+id+h.one("", "&amount="+fmt.Sprint(1+h.random.IntN(1500))))
	case 7:
		_ = h.server.Authenticate(id, h.random.IntN(3) > 0) // only one that requires it
	case 8:
		h.clock.now = h.clock.now.Add(time.Duration(h.random.IntN(30)) * time.Hour)
	}
}

// check adds the arrow that an intent has used since the last check.
func (h *paymentHistory) check(id string, seen map[string]bool) {
	h.t.Helper()
	got := h.get(intentsPath + "/" + id)
	before, status := h.statuses[id], got["status"].(string)
	if status != before {
		require.Contains(h.t, arrows[before], status, "%s was %s", id, before)
		h.statuses[id], seen[before+" to "+status] = status, true
	}
	h.checkIntent(got)
}

func (h *paymentHistory) checkIntent(p map[string]any) {
	h.t.Helper()
	paid := map[string]any(nil)
	charges := h.get("/v1/charges?limit=100&payment_intent=" + p["id"].(string))["data"].([]any)
	for _, element := range charges {
		charge := element.(map[string]any)
		if charge["status"] == "succeeded" {
			require.Nil(h.t, paid, "two charges have succeeded")
			paid = charge
		}
		h.checkCharge(charge)
	}
	if len(charges) == 0 {
		require.Nil(h.t, p["latest_charge"])
	} else {
		require.Equal(h.t, charges[0].(map[string]any)["id"], p["latest_charge"])
	}
	status := p["status"]
	require.Equal(h.t, status == "requires_capture", p["amount_capturable"] != 0.0)
	require.Equal(h.t, status == "succeeded", p["amount_received"] != 0.0)
	require.Equal(h.t, status == "requires_action", p["next_action"] != nil)
	require.Equal(h.t, status == "canceled", p["canceled_at"] != nil)
	require.LessOrEqual(h.t, p["amount_received"], p["amount"])
	switch status {
	case "requires_capture", "succeeded":
		require.Equal(h.t, []any{p["amount"], p["amount_received"], status == "succeeded"}, []any{paid["amount"], paid["amount_captured"], paid["captured"]})
	case "canceled":
		require.True(h.t, paid == nil || paid["refunded"] == true && paid["captured"] == false)
	default:
		require.Nil(h.t, paid, "a charge has succeeded, and the status is %s", status)
	}
}

// checkCharge requires that a charge agrees with its refunds and its balance
// transaction.
func (h *paymentHistory) checkCharge(charge map[string]any) {
	h.t.Helper()
	refunded := 0.0
	for _, element := range h.refundsOf(charge["id"].(string))["data"].([]any) {
		if refund := element.(map[string]any); refund["status"] == "succeeded" {
			refunded += refund["amount"].(float64)
		}
	}
	require.Equal(h.t, refunded, charge["amount_refunded"])
	require.LessOrEqual(h.t, refunded, charge["amount"])
	require.Equal(h.t, charge["captured"], charge["balance_transaction"] != nil)
	ids, _ := h.page("/v1/charges", url.Values{"payment_intent": {charge["payment_intent"].(string)}})
	require.Contains(h.t, ids, charge["id"])
}
