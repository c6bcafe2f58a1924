package conformance_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// TestResponsesFitTheDescriptionOfEachVersion compares the responses of
// stripetest with the schemas of Stripe's descriptions: of the newest version and
// of all older ones at hand. Unlike TestResponsesHaveTheShapeOfStripeMocks it
// needs no fixtures, and knows which keys may be left out.
func TestResponsesFitTheDescriptionOfEachVersion(t *testing.T) {
	unseen := maps.Clone(fitExceptions)
	eachDescription(t, func(t *testing.T, d specification) {
		server := stripetest.New(stripetest.InMemory(), stripetest.WithClock(func() time.Time { return time.Unix(1700000000, 0) }))
		t.Cleanup(server.Close)
		client := &plainClient{url: server.URL, client: server.Client(), version: d.version}
		ids := shapeWorld(t, client)
		compared := 0
		for _, r := range slices.Concat(shapeRequests(), legacyFits(), paymentFits(d.version), fits()) {
			r.path, r.params = ids.Replace(r.path), ids.Replace(r.params)
			if !d.has(r) {
				continue
			}
			compared++
			for _, difference := range d.fit(d.response(r), any(client.do(t, r)), "") {
				key := d.version + ": " + difference
				delete(unseen, difference)
				if fitExceptions[difference] == "" {
					t.Errorf("%s, in %s %s", key, r.verb, r.name)
				}
			}
		}
		t.Logf("compared the responses of %d requests", compared)
		require.Greater(t, compared, 30)
	})
	for difference := range unseen {
		t.Errorf("no longer a difference, so no exception: %s", difference)
	}
}

// fitExceptions are the intended differences, with their reasons.
var fitExceptions = map[string]string{
	"nothing at account.settings.branding":      "what Connect asks of an account: stripetest has the account of a key, which no call changes",
	"nothing at account.settings.card_payments": "as branding",
	"nothing at account.settings.payments":      "as branding",

	"nothing at tax_rate.active":       "stripetest has no tax rates: of one it knows the id",
	"nothing at tax_rate.created":      "as active",
	"nothing at tax_rate.display_name": "as active",
	"nothing at tax_rate.inclusive":    "as active",
	"nothing at tax_rate.livemode":     "as active",
	"nothing at tax_rate.metadata":     "as active",
	"nothing at tax_rate.percentage":   "as active",
}

// fits are requests besides those of shapeRequests.
func fits() []shapeRequest {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []shapeRequest{
		{"sources, created", post, "/v1/customers/{customer}/sources", "source=tok_avsFail"},
		{"sources", get, "/v1/customers/{customer}/sources", ""},
		{"customer, expanded lists", get, "/v1/customers/{customer}", "expand[]=sources&expand[]=subscriptions&expand[]=tax_ids"},
		{"charge, expanded refunds", get, "/v1/charges/{refunded charge}", "expand[]=refunds&expand[]=customer"},
		{"token", post, "/v1/tokens", "card[number]=4242424242424242&card[exp_month]=7&card[exp_year]=2030&card[cvc]=123"},
		{"price", post, "/v1/prices", "currency=usd&unit_amount=5&recurring[interval]=month&product={product}"},
		{"prices", get, "/v1/prices", "limit=3&expand[]=data.product"},
		{"refund of a charge", get, "/v1/charges/{refunded charge}/refunds/{refund}", ""},
		{"customer's deletion", del, "/v1/customers/{customer}", ""},
		{"events", get, "/v1/events", "limit=100"},
		{"webhook endpoint", post, "/v1/webhook_endpoints", "url=https://example.com&enabled_events[]=*"},
		{"webhook endpoints", get, "/v1/webhook_endpoints", ""},
	}
}

// paymentFits are the requests of payment intents and methods, for which the client
// has no services.
func paymentFits(version string) []shapeRequest {
	const get, post = http.MethodGet, http.MethodPost
	const intents, paid = "/v1/payment_intents", "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="
	requests := []shapeRequest{
		{"intent", post, intents, "amount=2000&currency=usd"},
		{"intent, with everything", post, intents, "amount=2000&currency=usd&customer={customer}&payment_method={method}&metadata[a]=b&description=d" +
			"&setup_future_usage=off_session&receipt_email=jenny@example.com&shipping[name]=Jenny&shipping[address][line1]=Weg+1&transfer_group=g" +
			"&transfer_data[destination]=acct_123&application_fee_amount=5&statement_descriptor_suffix=S&payment_method_options[card][request_three_d_secure]=any"},
		{"intent, paid", post, intents, paid + "pm_card_visa&expand[]=latest_charge&expand[]=payment_method"},
		{"intent, redirecting", post, intents, paid + "pm_card_threeDSecure2Required&return_url=https://example.com"},
		{"intent, updated", post, intents + "/{intent}", "description=d"},
		{"intent, captured", post, intents + "/{held intent}/capture", "amount_to_capture=500"},
		{"intent, canceled", post, intents + "/{waiting intent}/cancel", "cancellation_reason=abandoned"},
		{"intent, confirmed", post, intents + "/{intent}/confirm", "payment_method={method}&return_url=https://example.com"},
		{"intents", get, intents, "limit=100&expand[]=data.customer"},
		{"intents, searched", get, intents + "/search", "query=amount%3E999"},
		{"refund of an intent", post, "/v1/refunds", "payment_intent={paid intent}&amount=100"},
		{"method", post, "/v1/payment_methods", "type=card&card[token]=tok_visa&billing_details[name]=Jenny&metadata[a]=b"},
		{"method, updated", post, "/v1/payment_methods/{method}", "metadata[a]=b&billing_details[address][line1]=Weg+1"},
		{"methods", get, "/v1/payment_methods", "type=card&customer={customer}&limit=3"},
		{"methods of a customer", get, "/v1/customers/{customer}/payment_methods", "type=card"},
		{"method of a customer", get, "/v1/customers/{customer}/payment_methods/{method}", ""},
		{"method, detached", post, "/v1/payment_methods/{method}/detach", "expand[]=customer"},
	}
	if version >= stripekit.OrdersAPIVersion { // shapeWorld has it from then on
		requests = append(requests, shapeRequest{"intent, declined", get, intents + "/{declined intent}", ""})
	}
	return requests
}

func legacyFits() []shapeRequest {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []shapeRequest{
		{"sku", post, "/v1/skus", "id=fit&currency=usd&price=5&inventory[type]=finite&inventory[quantity]=3&product={product}"},
		{"skus", get, "/v1/skus", "limit=3"},
		{"sku, changed", post, "/v1/skus/fit", "active=false&image=i&inventory[value]=in_stock"},
		{"order of a sku", post, "/v1/orders", "currency=usd&items[0][type]=sku&items[0][parent]=fit&expand[]=items.parent"},
		{"sku's deletion", del, "/v1/skus/fit", ""},
	}
}
