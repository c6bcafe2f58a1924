package stripetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// filled returns a server that has objects of all kinds, in many states.
func filled(t testing.TB) *api {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	jenny := a.post("/v1/customers", "name=Jenny+<%26>&source=tok_visa&metadata[a]=b&invoice_settings[custom_fields][0][name]=x&invoice_settings[custom_fields][0][value]=y")["id"].(string)
	fail := a.post("/v1/customers", "source=tok_chargeCustomerFail&address[city]=Ulm&preferred_locales[]=de")["id"].(string)
	gone := a.post("/v1/customers", "")["id"].(string)
	a.do("DELETE", "/v1/customers/"+gone, "")
	charge := a.charge("customer=" + jenny + "&description=%E2%98%83&shipping[name]=J&shipping[address][line1]=x&transfer_data[destination]=acct_1")
	a.post("/v1/refunds", "charge="+charge+"&amount=100&metadata[x]=<b>")
	a.do("POST", "/v1/charges", "amount=1000&currency=usd&customer="+fail)
	a.charge("source=tok_createDispute")
	a.charge("source=tok_visa&capture=false&description=held")
	product := a.post("/v1/products", "name=Mug&default_price_data[currency]=eur&default_price_data[unit_amount]=900&package_dimensions[height]=1.5&package_dimensions[length]=1&package_dimensions[weight]=1&package_dimensions[width]=1&shippable=true")
	a.post("/v1/invoiceitems", "customer="+jenny+"&amount=-500&currency=usd")
	a.post("/v1/invoiceitems", "customer="+jenny+"&pricing[price]="+product["default_price"].(string)+"&quantity=2")
	a.server.FinalizeInvoice("in_1")
	a.post("/v1/webhook_endpoints", "url=https://example.com&enabled_events[]=*&metadata[a]=b")
	old := a.with("Stripe-Version", "2020-08-27")
	old.post("/v1/orders", "currency=usd")
	old.post("/v1/skus", "currency=usd&price=5&inventory[type]=infinite&attributes[size]=M&product="+product["id"].(string))
	a.post("/v1/tokens", "card[number]=4242424242424242&card[exp_month]=7&card[exp_year]=2030")
	a.post("/v1/customers/"+jenny+"/sources", "source=tok_avsFail")
	order := old.post("/v1/orders", "currency=usd&items[0][type]=sku&items[0][parent]=sku_1&items[0][quantity]=3&shipping[name]=J&shipping[address][line1]=x")["id"].(string)
	old.post("/v1/orders/"+order+"/pay", "source=tok_visa")
	old.post("/v1/orders/"+order+"/returns", "items[0][parent]=sku_1&items[0][quantity]=1")
	a.server.Seed("/v1/charges", stripetest.Seeding{Count: 3, First: time.Unix(1600000000, 0), Undated: true})
	a.server.Seed("/v1/customers", stripetest.Seeding{IDs: []string{"cus_chosen", "cus_second"}})
	a.as("sk_live_1").charge("source=tok_amex")
	a.with("Stripe-Account", "acct_x").charge("source=tok_visa")
	a.with("Idempotency-Key", "k").charge("source=tok_visa")
	a.with("Idempotency-Key", "declined").do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_chargeDeclined")
	return a
}

// shown returns what the server responds to reading requests, by request.
func shown(t testing.TB, a *api) map[string]string {
	t.Helper()
	responses := map[string]string{}
	for _, key := range []string{testKey, "sk_live_1"} {
		for _, account := range []string{"", "acct_x"} {
			for _, version := range []string{"2026-08-26.dahlia", "2020-08-27", "2017-08-15"} {
				a := a.as(key).with("Stripe-Version", version)
				if account != "" {
					a = a.with("Stripe-Account", account)
				}
				get := func(path string) {
					r := a.do("GET", path, "")
					require.Contains(t, []int{200, 404}, r.status, r.raw)
					if r.status == 200 {
						responses[fmt.Sprintf("%s %s %s %s", key, account, version, path)] = r.raw
					}
				}
				for _, path := range []string{"charges", "customers", "products", "refunds", "invoiceitems", "orders", "order_returns", "prices", "skus", "events", "webhook_endpoints"} {
					get("/v1/" + path + "?limit=100")
					var list struct{ Data []struct{ ID string } }
					_ = json.Unmarshal([]byte(responses[fmt.Sprintf("%s %s %s /v1/%s?limit=100", key, account, version, path)]), &list)
					for _, object := range list.Data {
						get("/v1/" + path + "/" + object.ID)
					}
				}
				get("/v1/account")
				get("/v1/charges?limit=2&expand[]=data.customer.default_source&expand[]=data.balance_transaction")
				get("/v1/products?expand[]=data.default_price")
				get("/v1/charges/search?limit=1&query=" + url.QueryEscape(`currency:"usd"`))
				get("/v1/customers/search?limit=1&query=" + url.QueryEscape(`created>0`)) // next_page has the number of an object
			}
		}
	}
	return responses
}

func dumped(t testing.TB, server *stripetest.Server) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, server.Dump(&out))
	return out.String()
}

func TestLoadedServerRespondsWithTheSameBytes(t *testing.T) {
	a := filled(t)
	dump := dumped(t, a.server)
	b := memory(t)
	b.charge("source=tok_visa")
	require.NoError(t, b.server.Load(strings.NewReader(dump)))
	want := shown(t, a)
	require.Greater(t, len(want), 100)
	require.Empty(t, cmp.Diff(want, shown(t, b)))
	require.WithinDuration(t, time.Unix(1700000000, 0), b.server.Now(), time.Minute, "the clock is that of the dump")

	c := memory(t, stripetest.WithClock(at(1).read))
	require.NoError(t, c.server.Load(strings.NewReader(dump)))
	require.Empty(t, cmp.Diff(dump, dumped(t, c.server)), "a dump of what was loaded is the same")

	replayed := b.with("Idempotency-Key", "k").do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	require.Equal(t, "true", replayed.header.Get("Idempotent-Replayed"))
	require.Equal(t, 402, b.with("Idempotency-Key", "declined").do("POST", "/v1/charges", "amount=1000&currency=usd&source=tok_chargeDeclined").status)
	reused := b.with("Idempotency-Key", "k").do("POST", "/v1/charges", "amount=1&currency=usd&source=tok_visa")
	require.Equal(t, "idempotency_error", reused.failure()["type"])
}

// TestLoadedObjectsLiveOn needs what responses do not show: the tokens of cards,
// what is left of an order, expired charges, deleted ids and the order of lists.
func TestLoadedObjectsLiveOn(t *testing.T) {
	a := filled(t)
	b := memory(t, stripetest.WithClock(at(1700000000).read))
	require.NoError(t, b.server.Load(strings.NewReader(dumped(t, a.server))))
	find := func(path, field string, want any) map[string]any {
		t.Helper()
		for _, object := range b.with("Stripe-Version", "2020-08-27").get(path + "?limit=100")["data"].([]any) {
			if got := object.(map[string]any); cmp.Equal(got[field], want) {
				return got
			}
		}
		require.Fail(t, "no object", "%s with %s %v", path, field, want)
		return nil
	}
	fail := find("/v1/customers", "preferred_locales", []any{"de"})["id"].(string)
	require.Equal(t, 402, b.do("POST", "/v1/charges", "amount=1000&currency=usd&customer="+fail).status, "the token of the card")
	jenny := find("/v1/customers", "name", "Jenny <&>")["id"].(string)
	b.charge("customer=" + jenny)
	order := find("/v1/orders", "status", "paid")["id"].(string)
	rest := b.with("Stripe-Version", "2020-08-27").post("/v1/orders/"+order+"/returns", "")
	require.Equal(t, 2.0, rest["items"].([]any)[0].(map[string]any)["quantity"], "what is left of the order")
	held := find("/v1/charges", "description", "held")
	b.server.Advance(8 * 24 * time.Hour)
	require.Equal(t, true, b.get("/v1/charges/" + held["id"].(string))["refunded"])
	b.post("/v1/invoiceitems", "customer="+jenny+"&amount=500&currency=usd")
	require.Equal(t, 400, b.do("POST", "/v1/invoiceitems", "customer="+jenny+"&amount=5&currency=usd&invoice=in_1").status, "the finalized invoice")
	for i := range 3 {
		b.charge(fmt.Sprintf("source=tok_visa&description=%d", i))
	}
	newest := b.get("/v1/charges?limit=3")["data"].([]any)
	require.Equal(t, "2", newest[0].(map[string]any)["description"])
}

func TestLoadRefusesWithAReason(t *testing.T) {
	a := filled(t)
	good := dumped(t, a.server)
	replace := func(old, with string) string {
		require.True(t, strings.Contains(good, old), "the dump has %s", old) // it is too long to be shown
		return strings.Replace(good, old, with, 1)
	}
	for name, test := range map[string]struct{ dump, want string }{
		"empty":            {"", "this is not JSON: EOF"},
		"no JSON":          {"<html>", "this is not JSON"},
		"cut off":          {good[:len(good)/2], "this is not JSON"},
		"more":             {good + "{}", "something follows"},
		"other JSON":       {`[{"path":"/v1/charges"}]`, "no dump of a stripetest server"},
		"later format":     {replace(`"stripetest_state":1`, `"stripetest_state":2`), "the dump has format 2, and this server reads format 1"},
		"unknown top":      {replace(`"default_version"`, `"x":1,"default_version"`), `unknown field "x"`},
		"version":          {replace(`"default_version":"2026-08-26.dahlia"`, `"default_version":"new"`), `default_version: "new" is no API version`},
		"time":             {replace(`"time":"2023`, `"time":"9999`), "time: 9999"},
		"unknown data":     {replace(`"customers":`, `"clients":`), "clients: there is no such data"},
		"unknown field":    {replace(`"amount":1000`, `"amont":1000`), "amont: no such field"},
		"wrong type":       {replace(`"amount":1000`, `"amount":"many"`), "amount: a string was found where a number is expected"},
		"too large":        {replace(`"amount":1000`, `"amount":1e30`), "amount: the number 1e30 is not possible"},
		"null":             {replace(`"amount":1000`, `"amount":null`), "amount: null is not possible"},
		"no metadata":      {replace(`"metadata":{}`, `"metadata":null`), "metadata: it is missing"},
		"id of another":    {replace(`"id":"cus_chosen"`, `"id":"cus_other"`), "its id is another one"},
		"id twice":         {strings.ReplaceAll(good, "cus_second", "cus_chosen"), "its id is missing or in use"},
		"number twice":     {replace(`"number":2`, `"number":1`), "its number is not possible"},
		"account twice":    {replace(`"id":"acct_x"`, `"id":"`+a.server.AccountOf("")+`"`), "is there twice"},
		"status of replay": {replace(`"status":402`, `"status":7`), "responses: 1: its key, request or status is not possible"},
		"deep":             {replace(`"returns":{"object":"list","data":[]`, `"returns":{"object":"list","data":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)), "nested too deep"},
	} {
		t.Run(name, func(t *testing.T) {
			b := memory(t, stripetest.WithClock(at(1700000000).read))
			require.NoError(t, b.server.Load(strings.NewReader(good)))
			err := b.server.Load(strings.NewReader(test.dump))
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "stripetest: load: ")
			require.Less(t, len(err.Error()), 300)
			require.Equal(t, good, dumped(t, b.server), "nothing is changed")
		})
	}
}

// The numbers of objects may have gaps of any size, which take no memory.
func TestLoadOfHugeNumbers(t *testing.T) {
	a := memory(t)
	id := a.charge("source=tok_visa&description=far")
	changed := dumped(t, a.server)
	for _, number := range []string{`"number":1`, `"added":1`} {
		require.Contains(t, changed, number)
		changed = strings.ReplaceAll(changed, number, number+"0000000000000")
	}
	b := memory(t)
	require.NoError(t, b.server.Load(strings.NewReader(changed)))
	found := b.get("/v1/charges/search?query=" + url.QueryEscape("status:'succeeded'"))["data"].([]any)
	require.Len(t, found, 1)
	require.Equal(t, id, found[0].(map[string]any)["id"])
}

func TestDumpEndsWithItsWriter(t *testing.T) {
	require.ErrorIs(t, filled(t).server.Dump(brokenWriter{}), io.ErrClosedPipe)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
