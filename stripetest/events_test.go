package stripetest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// eventsSince returns the events that are newer than the first n, oldest first.
func (a *api) eventsSince(n int) []map[string]any {
	a.t.Helper()
	all := a.everything("/v1/events")
	slices.Reverse(all)
	return all[n:]
}

func typesOf(events []map[string]any) []string {
	types := []string{}
	for _, event := range events {
		types = append(types, event["type"].(string))
	}
	return types
}

func dataOf(event map[string]any) map[string]any {
	return event["data"].(map[string]any)["object"].(map[string]any)
}

func previousOf(event map[string]any) any {
	return event["data"].(map[string]any)["previous_attributes"]
}

// eventCase is a request with the types of the events that it makes, oldest first.
// Its path and its form have the id of the object as OBJ.
type eventCase struct {
	name         string
	before       func(a *api) string // makes the object
	method, path string
	form         string
	want         []string
}

func (c eventCase) run(t *testing.T, opts ...stripetest.Option) {
	t.Helper()
	clock := at(1000)
	a := memory(t, append(opts, stripetest.WithClock(clock.read))...).with("Stripe-Version", ordersVersion)
	id := ""
	if c.before != nil {
		id = c.before(a)
	}
	n := len(a.everything("/v1/events"))
	clock.now = clock.now.Add(1e9)
	r := a.do(c.method, strings.ReplaceAll(c.path, "OBJ", id), strings.ReplaceAll(c.form, "OBJ", id))
	require.Contains(t, []int{200, 402}, r.status, r.raw)
	require.Equal(t, c.want, typesOf(a.eventsSince(n)))
}

func made(path, form string) func(*api) string {
	return func(a *api) string { return a.create(path, form) }
}

func TestEachChangeMakesItsEvents(t *testing.T) {
	for _, c := range slices.Concat(chargeEventCases(), customerEventCases(), billEventCases()) {
		t.Run(c.name, func(t *testing.T) {
			c.run(t)
			t.Run("in an old default version", func(t *testing.T) {
				c.run(t, stripetest.WithDefaultVersion("2017-08-15"))
			})
		})
	}
}

func chargeEventCases() []eventCase {
	charge := made("/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	held := made("/v1/charges", "amount=1000&currency=usd&source=tok_visa&capture=false")
	refund := func(a *api) string { return a.create("/v1/refunds", "charge="+charge(a)) }
	return []eventCase{
		{"charge", nil, "POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa", []string{"charge.succeeded"}},
		{"charge, declined", nil, "POST", "/v1/charges", "amount=1000&currency=usd&source=tok_chargeDeclined", []string{"charge.failed"}},
		{"charge, disputed later", nil, "POST", "/v1/charges", "amount=1000&currency=usd&source=tok_createDispute", []string{"charge.succeeded", "charge.updated"}},
		{"charge, changed", charge, "POST", "/v1/charges/OBJ", "description=D", []string{"charge.updated"}},
		{"charge, captured", held, "POST", "/v1/charges/OBJ/capture", "", []string{"charge.captured", "charge.updated"}},
		{"charge, captured in part", held, "POST", "/v1/charges/OBJ/capture", "amount=400", []string{"charge.captured", "charge.updated", "refund.created", "charge.refunded"}},
		{"refund", charge, "POST", "/v1/refunds", "charge=OBJ", []string{"refund.created", "charge.refunded"}},
		{"refund of a part", charge, "POST", "/v1/refunds", "charge=OBJ&amount=5", []string{"refund.created", "charge.refunded"}},
		{"refund through the charge", charge, "POST", "/v1/charges/OBJ/refunds", "", []string{"refund.created", "charge.refunded"}},
		{"refund, changed", refund, "POST", "/v1/refunds/OBJ", "metadata[a]=b", []string{"refund.updated", "charge.refund.updated"}},
		{"refund that fails", made("/v1/charges", "amount=1000&currency=usd&source=tok_refundFail"), "POST", "/v1/refunds", "charge=OBJ", []string{
			"refund.created", "charge.refunded", "refund.updated", "charge.refund.updated", "refund.failed", "charge.updated",
		}},
		{"refund that is pending", made("/v1/charges", "amount=1000&currency=usd&source=tok_pendingRefund"), "POST", "/v1/refunds", "charge=OBJ", []string{
			"refund.created", "charge.refunded", "refund.updated", "charge.refund.updated",
		}},
	}
}

func customerEventCases() []eventCase {
	customer := made("/v1/customers", "source=tok_visa")
	source := func(a *api) string {
		id := customer(a)
		return id + "/sources/" + a.get("/v1/customers/" + id)["default_source"].(string)
	}
	return []eventCase{
		{"customer", nil, "POST", "/v1/customers", "email=a@b.c", []string{"customer.created"}},
		{"customer with a card", nil, "POST", "/v1/customers", "source=tok_visa", []string{"customer.created", "customer.source.created"}},
		{"customer, changed", customer, "POST", "/v1/customers/OBJ", "name=N", []string{"customer.updated"}},
		{"customer, deleted", customer, "DELETE", "/v1/customers/OBJ", "", []string{"customer.deleted"}},
		{"customer, second card", customer, "POST", "/v1/customers/OBJ/sources", "source=tok_amex", []string{"customer.source.created"}},
		{"customer, other card", customer, "POST", "/v1/customers/OBJ", "source=tok_amex", []string{"customer.updated", "customer.source.created", "customer.source.deleted"}},
		{"card, changed", source, "POST", "/v1/customers/OBJ", "name=N", []string{"customer.source.updated"}},
		{"card, removed", source, "DELETE", "/v1/customers/OBJ", "", []string{"customer.updated", "customer.source.deleted"}},
	}
}

func billEventCases() []eventCase {
	customer := made("/v1/customers", "source=tok_visa")
	product := made("/v1/products", "name=P")
	order := made("/v1/orders", "currency=usd&items[0][type]=sku&items[0][parent]=s")
	item := func(a *api) string {
		return a.create("/v1/invoiceitems", "amount=5&currency=usd&customer="+customer(a))
	}
	price := func(a *api) string {
		return a.create("/v1/prices", "currency=usd&unit_amount=5&product="+product(a))
	}
	sku := func(a *api) string {
		return a.create("/v1/skus", "currency=usd&price=5&inventory[type]=infinite&product="+product(a))
	}
	return []eventCase{
		{"product", nil, "POST", "/v1/products", "name=P", []string{"product.created"}},
		{"product with a price", nil, "POST", "/v1/products", "name=P&default_price_data[currency]=usd&default_price_data[unit_amount]=5", []string{"price.created", "product.created"}},
		{"product, changed", product, "POST", "/v1/products/OBJ", "name=Q", []string{"product.updated"}},
		{"product, deleted", product, "DELETE", "/v1/products/OBJ", "", []string{"product.deleted"}},
		{"price", product, "POST", "/v1/prices", "currency=usd&unit_amount=5&product=OBJ", []string{"price.created"}},
		{"price, changed", price, "POST", "/v1/prices/OBJ", "nickname=N", []string{"price.updated"}},
		{"sku", product, "POST", "/v1/skus", "currency=usd&price=5&inventory[type]=infinite&product=OBJ", []string{"sku.created"}},
		{"sku, changed", sku, "POST", "/v1/skus/OBJ", "price=6", []string{"sku.updated"}},
		{"sku, deleted", sku, "DELETE", "/v1/skus/OBJ", "", []string{"sku.deleted"}},
		{"invoice item", customer, "POST", "/v1/invoiceitems", "amount=5&currency=usd&customer=OBJ", []string{"invoiceitem.created"}},
		{"invoice item, deleted", item, "DELETE", "/v1/invoiceitems/OBJ", "", []string{"invoiceitem.deleted"}},
		{"order", nil, "POST", "/v1/orders", "currency=usd", []string{"order.created"}},
		{"order, changed", order, "POST", "/v1/orders/OBJ", "metadata[a]=b", []string{"order.updated"}},
		{"order, paid", order, "POST", "/v1/orders/OBJ/pay", "source=tok_visa", []string{"charge.succeeded", "order.updated", "order.payment_succeeded"}},
		{"order, declined", order, "POST", "/v1/orders/OBJ/pay", "source=tok_chargeDeclined", []string{"charge.failed", "order.payment_failed"}},
		{"order, returned", func(a *api) string { return a.paidOrder() }, "POST", "/v1/orders/OBJ/returns", "", []string{"refund.created", "charge.refunded", "order_return.created", "order.updated"}},
	}
}

// TestInvoiceItemUpdatesAreEventsOfOldVersions: the newest description has no type
// invoiceitem.updated.
func TestInvoiceItemUpdatesAreEventsOfOldVersions(t *testing.T) {
	for version, want := range map[string][]string{"2020-08-27": {"invoiceitem.updated"}, "2026-08-26.dahlia": {}} {
		c := eventCase{"", func(a *api) string {
			return a.create("/v1/invoiceitems", "amount=5&currency=usd&customer="+a.create("/v1/customers", ""))
		}, "POST", "/v1/invoiceitems/OBJ", "description=D", want}
		c.run(t, stripetest.WithDefaultVersion(version))
	}
}

func TestChangesOfNothingMakeNoEvent(t *testing.T) {
	for _, c := range []eventCase{
		{"charge", made("/v1/charges", "amount=1000&currency=usd&source=tok_visa&description=D"), "POST", "/v1/charges/OBJ", "description=D", []string{}},
		{"customer", made("/v1/customers", "name=N"), "POST", "/v1/customers/OBJ", "", []string{}},
		{"product, but for the time of its update", made("/v1/products", "name=P"), "POST", "/v1/products/OBJ", "name=P", []string{}},
		{"refund", func(a *api) string { return a.create("/v1/refunds", "charge="+a.charge("source=tok_visa")) }, "POST", "/v1/refunds/OBJ", "", []string{}},
		{"order", made("/v1/orders", "currency=usd"), "POST", "/v1/orders/OBJ", "", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

func TestRefusedRequestsMakeNoEvent(t *testing.T) {
	a := memory(t)
	id := a.charge("source=tok_visa")
	customer := a.create("/v1/customers", "")
	product := a.create("/v1/products", "name=P")
	n := len(a.everything("/v1/events"))
	for path, form := range map[string]string{
		"/v1/charges":                    "amount=1&currency=usd&source=tok_visa",
		"/v1/charges/" + id:              "customer=cus_x",
		"/v1/refunds":                    "charge=" + id + "&amount=5000",
		"/v1/charges/" + id + "/capture": "",
		// The price is made before the amount is found to be too large.
		"/v1/invoiceitems": "customer=" + customer + "&quantity=999999999&price_data[currency]=usd&price_data[unit_amount]=99999999&price_data[product]=" + product,
	} {
		require.Equal(t, 400, a.do("POST", path, form).status, path)
	}
	a.server.Fault("POST /v1/charges", stripetest.First(1), stripetest.InternalError())
	require.Equal(t, 500, a.do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa").status)
	require.Empty(t, a.eventsSince(n))
}

func TestReplayedRequestsMakeNoSecondEvent(t *testing.T) {
	a := memory(t)
	for range 3 {
		a.with("Idempotency-Key", "k").charge("source=tok_visa")
	}
	events := a.everything("/v1/events")
	require.Equal(t, []string{"charge.succeeded"}, typesOf(events))
	request := events[0]["request"].(map[string]any)
	require.Equal(t, "k", request["idempotency_key"])
	require.Equal(t, a.server.Requests()[0].RequestID, request["id"])
}

// TestDeletionsHaveNoIdempotencyKey: the key of a request that is no POST is ignored.
func TestDeletionsHaveNoIdempotencyKey(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/customers", "")
	require.Equal(t, 200, a.with("Idempotency-Key", "k").do("DELETE", "/v1/customers/"+id, "").status)
	deleted := a.eventsSince(1)[0]
	require.Equal(t, "customer.deleted", deleted["type"])
	require.Equal(t, id, dataOf(deleted)["id"])
	require.Equal(t, "customer", dataOf(deleted)["object"], "it shows the whole customer")
	require.Nil(t, deleted["request"].(map[string]any)["idempotency_key"])
}

func TestSeedingMakesNoEvents(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read))
	a.server.Seed("/v1/customers", stripetest.Seeding{Count: 3})
	charges := a.server.Seed("/v1/charges", stripetest.Seeding{Count: 3})
	a.server.Seed("/v1/refunds", stripetest.Seeding{Params: url.Values{"charge": {charges[0]}}})
	a.server.Seed("/v1/charges", stripetest.Seeding{Params: url.Values{"amount": {"500"}, "currency": {"usd"}, "source": {"tok_chargeDeclined"}}})
	require.Empty(t, a.everything("/v1/events"))
	a.post("/v1/charges/"+charges[1], "description=D")
	require.Equal(t, []string{"charge.updated"}, typesOf(a.everything("/v1/events")), "a change of a seeded object does")
}

func TestExpiredChargesMakeEventsWithoutARequest(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read))
	id := a.charge("source=tok_visa&capture=false")
	clock.now = clock.now.Add(8 * 24 * 3600e9)
	require.Equal(t, 400, a.do("POST", "/v1/charges/"+id+"/capture", "").status)
	events := a.eventsSince(1)
	require.Equal(t, []string{"refund.created", "charge.expired"}, typesOf(events))
	for _, event := range events {
		require.Equal(t, map[string]any{"id": nil, "idempotency_key": nil}, event["request"])
		require.EqualValues(t, clock.now.Unix(), event["created"], "the time at which the server noticed it")
	}
	require.Equal(t, map[string]any{"amount_refunded": 0.0, "refunded": false}, previousOf(events[1]))
	require.Nil(t, a.with("Stripe-Version", "2017-04-06").get("/v1/events/" + events[1]["id"].(string))["request"])
}

func TestPreviousAttributesAreTheFormerValuesOfWhatChanged(t *testing.T) {
	for name, c := range map[string]struct {
		path, create, update string
		want                 map[string]any
	}{
		"text":                {"/v1/customers", "name=A&phone=1", "name=B&phone=1", map[string]any{"name": "A"}},
		"null before":         {"/v1/customers", "", "name=B", map[string]any{"name": nil}},
		"unset":               {"/v1/customers", "name=A", "name=", map[string]any{"name": "A"}},
		"metadata":            {"/v1/customers", "metadata[a]=1&metadata[b]=2&metadata[c]=3", "metadata[a]=9&metadata[b]=&metadata[d]=4", map[string]any{"metadata": map[string]any{"a": "1", "b": "2", "d": nil}}},
		"in an object":        {"/v1/customers", "address[city]=C&address[line1]=L", "address[city]=D&address[line1]=L", map[string]any{"address": map[string]any{"city": "C"}}},
		"new object":          {"/v1/customers", "", "address[city]=D", map[string]any{"address": nil}},
		"removed object":      {"/v1/customers", "shipping[name]=N&shipping[address][city]=C", "shipping=", map[string]any{"shipping": map[string]any{"name": "N", "phone": nil, "address": map[string]any{"city": "C", "country": nil, "line1": nil, "line2": nil, "postal_code": nil, "state": nil}}}},
		"list":                {"/v1/customers", "preferred_locales[0]=de&preferred_locales[1]=fr", "preferred_locales[0]=de", map[string]any{"preferred_locales": []any{"de", "fr"}}},
		"field that was not":  {"/v1/customers", "", "business_name=B", map[string]any{"business_name": nil}},
		"field no longer":     {"/v1/customers", "business_name=B", "business_name=", map[string]any{"business_name": "B"}},
		"time of the update":  {"/v1/products", "name=P", "name=Q", map[string]any{"name": "P", "updated": 1000.0}},
		"several, and number": {"/v1/customers", "balance=5", "balance=-7&email=a@b.c", map[string]any{"balance": 5.0, "email": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := at(1000)
			a := memory(t, stripetest.WithClock(clock.read))
			id := a.create(c.path, c.create)
			require.Nil(t, previousOf(a.eventsSince(0)[0]), "a new object has no former values")
			clock.now = clock.now.Add(1e9)
			a.post(c.path+"/"+id, c.update)
			events := a.eventsSince(1)
			require.Len(t, events, 1)
			require.Empty(t, cmp.Diff(any(c.want), previousOf(events[0])))
		})
	}
}

func TestPreviousAttributesHaveTheListsOfOldVersions(t *testing.T) {
	a := memory(t, stripetest.WithDefaultVersion("2019-09-09"))
	id := a.charge("source=tok_visa")
	a.post("/v1/refunds", "amount=100&charge="+id)
	a.post("/v1/refunds", "amount=300&charge="+id)
	events := a.eventsSince(0)
	require.Equal(t, []string{"charge.succeeded", "refund.created", "charge.refunded", "refund.created", "charge.refunded"}, typesOf(events))
	for i, want := range map[int][2]int{2: {0, 1}, 4: {1, 2}} {
		previous := previousOf(events[i]).(map[string]any)
		require.Len(t, previous["refunds"].(map[string]any)["data"], want[0])
		require.Len(t, dataOf(events[i])["refunds"].(map[string]any)["data"], want[1])
	}
	require.Equal(t, 100.0, previousOf(events[4]).(map[string]any)["amount_refunded"])
	require.Empty(t, dataOf(events[0])["refunds"].(map[string]any)["data"], "the first event has no later refund")
}

func TestDataOfEventsNeverChanges(t *testing.T) {
	for _, version := range []string{"2026-08-26.dahlia", "2022-08-01", "2020-08-27", "2017-08-15"} {
		t.Run(version, func(t *testing.T) {
			clock := at(1000)
			a := memory(t, stripetest.WithClock(clock.read), stripetest.WithDefaultVersion(version))
			want := make(map[string]any) // the object of the response, by the id of the event
			note := func(kind, object string, response map[string]any) {
				t.Helper()
				events := a.get("/v1/events?type=" + kind)["data"].([]any)
				newest := events[0].(map[string]any)
				require.Equal(t, object, dataOf(newest)["id"])
				require.Empty(t, cmp.Diff(response, dataOf(newest)), "it is the object as the response has it")
				require.Equal(t, version, newest["api_version"])
				want[newest["id"].(string)] = newest["data"]
			}
			ch := a.charge("source=tok_visa")
			note("charge.succeeded", ch, a.get("/v1/charges/"+ch))
			customer := a.create("/v1/customers", "source=tok_visa&balance=5&tax_id_data[0][type]=eu_vat&tax_id_data[0][value]=DE1")
			note("customer.created", customer, a.get("/v1/customers/"+customer))
			product := a.post("/v1/products", "name=P&default_price_data[currency]=usd&default_price_data[unit_amount]=5")
			note("product.created", product["id"].(string), product)
			item := a.post("/v1/invoiceitems", "customer="+customer+"&price_data[currency]=usd&price_data[unit_amount]=7&price_data[product]="+product["id"].(string))
			note("invoiceitem.created", item["id"].(string), item)
			a.post("/v1/refunds", "charge="+ch)
			note("charge.refunded", ch, a.get("/v1/charges/"+ch))

			a.post("/v1/charges/"+ch, "description=D")
			a.post("/v1/customers/"+customer+"/sources", "source=tok_amex")
			a.post("/v1/customers/"+customer, "name=N")
			a.do("DELETE", "/v1/invoiceitems/"+item["id"].(string), "")
			for _, price := range a.everything("/v1/prices") {
				a.post("/v1/prices/"+price["id"].(string), "nickname=N")
			}
			a.do("DELETE", "/v1/customers/"+customer, "")
			a.server.Advance(3600e9)
			for id, data := range want {
				for _, reader := range []string{"2026-08-26.dahlia", "2020-08-27", "2017-08-15", "2017-04-06"} {
					event := a.with("Stripe-Version", reader).get("/v1/events/" + id)
					require.Empty(t, cmp.Diff(data, event["data"]), "read in %s", reader)
					require.Equal(t, version, event["api_version"])
				}
			}
			require.Len(t, want, 5)
		})
	}
}

func TestEventsAreOfTheDefaultVersionAtTheirTime(t *testing.T) {
	a := memory(t, stripetest.WithControl(), stripetest.WithDefaultVersion("2020-08-27"))
	a.with("Stripe-Version", "2017-08-15").charge("source=tok_visa")
	require.Equal(t, 200, a.control("POST version", `{"default_version": "2025-03-31.basil"}`).status)
	a.charge("source=tok_visa")
	versions := []any{}
	for _, event := range a.eventsSince(0) {
		versions = append(versions, event["api_version"])
	}
	require.Equal(t, []any{"2020-08-27", "2025-03-31.basil"}, versions)
}

func TestEventShowsEachField(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	a.with("Idempotency-Key", "k").charge("source=tok_visa")
	for version, request := range map[string]any{
		"2026-08-26.dahlia": map[string]any{"id": a.server.Requests()[0].RequestID, "idempotency_key": "k"},
		"2017-05-25":        map[string]any{"id": a.server.Requests()[0].RequestID, "idempotency_key": "k"},
		"2017-04-06":        a.server.Requests()[0].RequestID,
	} {
		event := a.with("Stripe-Version", version).everything("/v1/events")[0]
		require.Regexp(t, `^evt_[0-9A-Za-z]{24}$`, event["id"])
		require.Equal(t, a.with("Stripe-Version", version).get("/v1/events/"+event["id"].(string)), event)
		delete(event, "id")
		charge := dataOf(event)["id"].(string)
		require.Empty(t, cmp.Diff(map[string]any{
			"object": "event", "api_version": "2026-08-26.dahlia", "created": 1700000000.0, "livemode": false, "pending_webhooks": 0.0,
			"request": request, "type": "charge.succeeded", "data": map[string]any{"object": a.get("/v1/charges/" + charge)},
		}, event))
	}
}

func TestEventsAreOfOneAccountAndMode(t *testing.T) {
	a := memory(t, stripetest.WithAccountKeys("acct_shop", testKey, "sk_live_1"), stripetest.WithAccountKeys("acct_own", "sk_test_own"))
	live, connected, own := a.as("sk_live_1"), a.with("Stripe-Account", "acct_own"), a.as("sk_test_own")
	for i, who := range []*api{a, live, connected} {
		for range i + 1 {
			who.charge("source=tok_visa")
		}
	}
	for name, c := range map[string]struct {
		reader  *api
		n       int
		live    bool
		account any
	}{
		"test":                 {a, 1, false, nil},
		"live":                 {live, 2, true, nil},
		"connected":            {connected, 3, false, "acct_own"},
		"by its own key":       {own, 3, false, nil},
		"own account, by name": {a.with("Stripe-Account", "acct_shop"), 1, false, nil},
	} {
		events := c.reader.everything("/v1/events")
		require.Len(t, events, c.n, name)
		require.Equal(t, c.live, events[0]["livemode"], name)
		require.Equal(t, c.account, events[0]["account"], name)
	}
	id := a.everything("/v1/events")[0]["id"].(string)
	for _, other := range []*api{live, connected} {
		failure := other.do("GET", "/v1/events/"+id, "")
		require.Equal(t, 404, failure.status, fmt.Sprint(failure.raw))
	}
}

func TestEventOfAnUndatedObjectShowsNoTime(t *testing.T) {
	a := memory(t)
	id := a.server.Seed("/v1/charges", stripetest.Seeding{Undated: true})[0]
	a.post("/v1/charges/"+id, "description=D")
	events := a.everything("/v1/events")
	require.Nil(t, dataOf(events[0])["created"])
	require.NotNil(t, events[0]["created"])
	require.Equal(t, map[string]any{"description": nil}, previousOf(events[0]))
}
