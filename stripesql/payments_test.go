package stripesql_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestPaymentIntentsJoinTheirCharges(t *testing.T) {
	server := newServer(t)
	customer := seedCustomer(server, "jenny@example.com")
	start := time.Unix(1700000000, 0)
	for i, method := range []string{"pm_card_visa", "pm_card_chargeDeclinedInsufficientFunds", "pm_card_threeDSecure2Required"} {
		server.Seed("/v1/payment_intents", stripetest.Seeding{First: start.Add(time.Duration(i) * time.Hour), Params: url.Values{
			"amount": {"2000"}, "currency": {"usd"}, "customer": {customer}, "confirm": {"true"},
			"payment_method": {method}, "payment_method_types[]": {"card"},
		}})
	}
	server.Seed("/v1/payment_intents", stripetest.Seeding{First: start})
	db := openDB(t, server)

	got := mustRun(t, db, `SELECT p.status, p.amount_received, p.last_payment_error_decline_code, c.status
		FROM payment_intents p LEFT JOIN charges c ON c.id = p.latest_charge WHERE p.customer = ? ORDER BY p.created`, customer)
	require.Equal(t, []string{
		"succeeded|2000|NULL|succeeded",
		"requires_payment_method|0|insufficient_funds|failed",
		"requires_action|0|NULL|NULL",
	}, got.rows)
	got = mustRun(t, db, "SELECT p.id = c.payment_intent FROM charges c JOIN payment_intents p ON p.id = c.payment_intent WHERE c.status = 'failed'")
	require.Equal(t, []string{"1"}, got.rows)
}
