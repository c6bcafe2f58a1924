package stripekit_test

import (
	stdjson "encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
)

// The types that a client decodes in one pass, decoded in two: their method
// UnmarshalJSON gets a value that the decoder has scanned, and parses it.

type (
	twoPassCustomer    stripekit.Customer
	twoPassProduct     stripekit.Product
	twoPassInvoiceItem stripekit.InvoiceItem
	twoPassEventData   stripekit.AccountEventData
	twoPassEvent       struct {
		ID              string                        `json:"id"`
		Account         string                        `json:"account"`
		APIVersion      string                        `json:"api_version"`
		Created         stripekit.UnixTime            `json:"created"`
		Data            twoPassEventData              `json:"data"`
		Livemode        bool                          `json:"livemode"`
		PendingWebhooks int64                         `json:"pending_webhooks"`
		Request         stripekit.AccountEventRequest `json:"request"`
		Type            string                        `json:"type"`
	}
)

func (c *twoPassCustomer) UnmarshalJSON(b []byte) error {
	type Plain stripekit.Customer
	former := struct {
		*Plain
		AccountBalance *int64 `json:"account_balance"`
	}{Plain: (*Plain)(c)}
	if err := json.Unmarshal(b, &former, listing.Lenient); err != nil {
		return err
	}
	if former.AccountBalance != nil {
		c.Balance = *former.AccountBalance
	}
	return nil
}

func (p *twoPassProduct) UnmarshalJSON(b []byte) error {
	type Plain stripekit.Product
	former := struct {
		*Plain
		Features []stripekit.MarketingFeature `json:"features"`
	}{Plain: (*Plain)(p)}
	if err := json.Unmarshal(b, &former, listing.Lenient); err != nil {
		return err
	}
	if former.Features != nil {
		p.MarketingFeatures = former.Features
	}
	return nil
}

func (i *twoPassInvoiceItem) UnmarshalJSON(b []byte) error {
	type plain stripekit.InvoiceItem
	if err := json.Unmarshal(b, (*plain)(i), listing.Lenient); err != nil {
		return err
	}
	if i.Parent != nil {
		details := i.Parent.SubscriptionDetails
		if i.Subscription == (stripekit.Ref[stripekit.ObjectID]{}) {
			i.Subscription = details.Subscription
		}
		if i.SubscriptionItem == "" {
			i.SubscriptionItem = details.SubscriptionItem
		}
	}
	if i.Pricing != nil {
		if i.Price == (stripekit.Ref[stripekit.Price]{}) {
			i.Price = i.Pricing.PriceDetails.Price
		}
		if i.UnitAmountDecimal == "" {
			i.UnitAmountDecimal = i.Pricing.UnitAmountDecimal
		}
	}
	if whole, err := strconv.ParseInt(i.UnitAmountDecimal, 10, 64); err == nil {
		i.UnitAmount = whole
	}
	return nil
}

func (d *twoPassEventData) UnmarshalJSON(b []byte) error {
	type plain stripekit.AccountEventData
	*d = twoPassEventData{}
	if err := json.Unmarshal(b, (*plain)(d), listing.Lenient); err != nil {
		return err
	}
	if previous := string(d.PreviousAttributes); previous == "null" || previous == "{}" {
		d.PreviousAttributes = nil
	}
	return nil
}

// inOnePass has the types that a client decodes in one pass, and how to decode them in
// two.
var inOnePass = []struct {
	name   string
	object func() any
	twice  func(body []byte) (object any, err error)
}{
	{"customer", newObject[stripekit.Customer], twice(ownCustomer)},
	{"product", newObject[stripekit.Product], twice(ownProduct)},
	{"invoice item", newObject[stripekit.InvoiceItem], twice(ownInvoiceItem)},
	{"event", newObject[stripekit.AccountEvent], twice(ownEvent)},
	{"page of customers", newObject[stripekit.Page[stripekit.Customer]], twice(ownPage(ownCustomer))},
	{"page of products", newObject[stripekit.Page[stripekit.Product]], twice(ownPage(ownProduct))},
	{"page of invoice items", newObject[stripekit.Page[stripekit.InvoiceItem]], twice(ownPage(ownInvoiceItem))},
	{"page of events", newObject[stripekit.Page[stripekit.AccountEvent]], twice(ownPage(ownEvent))},
}

func newObject[T any]() any { return new(T) }

func twice[T, U any](own func(*T) *U) func([]byte) (any, error) {
	return func(body []byte) (any, error) {
		object := new(T)
		err := json.Unmarshal(body, object, listing.Lenient)
		return own(object), err
	}
}

func ownCustomer(c *twoPassCustomer) *stripekit.Customer { return (*stripekit.Customer)(c) }

func ownProduct(p *twoPassProduct) *stripekit.Product { return (*stripekit.Product)(p) }

func ownInvoiceItem(i *twoPassInvoiceItem) *stripekit.InvoiceItem { return (*stripekit.InvoiceItem)(i) }

func ownEvent(e *twoPassEvent) *stripekit.AccountEvent {
	if e == nil {
		return nil
	}
	return &stripekit.AccountEvent{
		ID: e.ID, Account: e.Account, APIVersion: e.APIVersion, Created: e.Created, Data: stripekit.AccountEventData(e.Data),
		Livemode: e.Livemode, PendingWebhooks: e.PendingWebhooks, Request: e.Request, Type: e.Type,
	}
}

func ownPage[T, U any](own func(*T) *U) func(*stripekit.Page[T]) *stripekit.Page[U] {
	return func(p *stripekit.Page[T]) *stripekit.Page[U] {
		out := &stripekit.Page[U]{HasMore: p.HasMore, URL: p.URL, NextPage: p.NextPage}
		if p.Data != nil {
			out.Data = []*U{}
		}
		for _, object := range p.Data {
			out.Data = append(out.Data, own(object))
		}
		return out
	}
}

// requireOnePassEqualsTwo decodes a body into each type by a client, in two passes, and
// by encoding/json if the type has a method. It returns the types that the body fits.
func requireOnePassEqualsTwo(t *testing.T, body []byte) (held []string) {
	t.Helper()
	for _, decoded := range inOnePass {
		want, wantErr := decoded.twice(body)
		got := decoded.object()
		err := clientOver(t, replies(http.StatusOK, string(body))).Call(t.Context(), "GET", "/v1/x", nil, got)
		require.Equal(t, wantErr == nil, err == nil, "%s: %v, and %v\n%s", decoded.name, wantErr, err, body)
		std, stdErr := decoded.object(), wantErr
		_, hasMethod := std.(stdjson.Unmarshaler)
		if hasMethod {
			stdErr = stdjson.Unmarshal(body, std)
		}
		require.Equal(t, wantErr == nil, stdErr == nil, "%s: %v, and by encoding/json %v\n%s", decoded.name, wantErr, stdErr, body)
		if err != nil {
			require.ErrorIs(t, err, stripekit.ErrAPI)
			continue
		}
		held = append(held, decoded.name)
		require.Empty(t, cmp.Diff(want, got), "%s\n%s", decoded.name, body)
		if hasMethod {
			require.Empty(t, cmp.Diff(want, std), "%s by encoding/json\n%s", decoded.name, body)
		}
	}
	return held
}

// members has values for members by name. Random members replace each %s.
var members = map[string][]string{
	"id": {`"cus_1"`, `"\ud800"`, "\"\xff\""}, "created": {"7", "1e400"}, "metadata": {`{"a":"b","a":"c"}`, "{}"}, "object": {`"customer"`, "{%s}", "[{%s}]"},
	"balance": {"5", "-5", "1.5"}, "account_balance": {"6", "0"}, "name": {`"x"`}, "default_source": {`"card_1"`, "{%s}"}, "address": {`{"city":"Paris"}`, "{}"},
	"discount": {"{%s}"}, "coupon": {`"c"`, "{%s}"}, "source": {"{%s}"}, "customer": {`"cus_2"`, "{%s}"}, "deleted": {"true", "false"},
	"marketing_features": {`[{"name":"a"}]`, "[]"}, "features": {`[{"name":"b"},{}]`, "[]", "[null]"}, "images": {`["u"]`, "[]"},
	"parent": {"{%s}"}, "subscription_details": {"{%s}"}, "subscription": {`"sub_1"`, "{%s}"}, "subscription_item": {`"si_1"`},
	"pricing": {"{%s}"}, "price_details": {"{%s}"}, "price": {`"price_1"`, "{%s}"}, "product": {`"prod_1"`, "{%s}"},
	"unit_amount": {"8"}, "unit_amount_decimal": {`"9"`, `"9.5"`, `""`}, "discounts": {`["di_1",{%s}]`}, "period": {`{"start":1}`},
	"data": {"{%s}", "[{%s},{%s}]", "[]", "[null]"}, "previous_attributes": {"{%s}", "{ }"}, "request": {`"req_1"`, "{%s}"}, "type": {`"customer.updated"`},
	"has_more": {"true"}, "url": {`"/v1/x"`}, "unknown": {"[[{}]]", "-0"},
}

var memberNames = slices.Sorted(maps.Keys(members))

// randomMembers returns some members of an object. One in twenty values is of any
// type, and one is null.
func randomMembers(r *rand.Rand, depth int) string {
	out := make([]string, r.IntN(7))
	for i := range out {
		name := memberNames[r.IntN(len(memberNames))]
		values := members[name]
		switch r.IntN(20) {
		case 0:
			values = []string{"null"}
		case 1:
			values = []string{"7", `"x"`, "[]", "{%s}", "true", "[null,{}]"}
		}
		value := values[r.IntN(len(values))]
		for strings.Contains(value, "%s") {
			inner := ""
			if depth < 4 {
				inner = randomMembers(r, depth+1)
			}
			value = strings.Replace(value, "%s", inner, 1)
		}
		out[i] = strconv.Quote(name) + ":" + value
	}
	return strings.Join(out, ",")
}

func TestDecodingInOnePassEqualsTwoPasses(t *testing.T) {
	counts := map[string]int{}
	const bodies = 3000
	for seed := range uint64(bodies) {
		r := rand.New(rand.NewPCG(seed, 0))
		body := []byte("{" + randomMembers(r, 0) + "}")
		if r.IntN(2) == 0 {
			body = []byte(`{"data":[{` + randomMembers(r, 1) + "},{" + randomMembers(r, 1) + `}],"has_more":false}`)
		}
		switch r.IntN(20) {
		case 0:
			body = body[:r.IntN(len(body))]
		case 1:
			body[r.IntN(len(body))] = `{}[]",:0n `[r.IntN(10)]
		case 2:
			body = append(body, " \n"...)
		}
		for _, name := range requireOnePassEqualsTwo(t, body) {
			counts[name]++
		}
	}
	t.Log("bodies held:", counts)
	for _, decoded := range inOnePass {
		require.Greater(t, counts[decoded.name], bodies/10, decoded.name)
		require.Less(t, counts[decoded.name], bodies*19/20, decoded.name)
	}
}

var oddBodies = []string{
	"", " ", "null", " null ", "{}", "[]", "7", `"x"`, "{", "{}{}", "\xff", `{"id":"\ud800","name":"\xff"}`,
	`{"balance":5,"account_balance":6}`, `{"account_balance":6,"balance":5}`, `{"account_balance":null,"balance":5}`, `{"account_balance":6,"account_balance":null}`,
	`{"marketing_features":[{"name":"a"}],"features":[{"name":"b"}]}`, `{"features":[],"marketing_features":[{"name":"a"}]}`, `{"features":null}`,
	`{"price":"p","pricing":{"price_details":{"price":"q"},"unit_amount_decimal":"7"}}`, `{"pricing":null,"parent":null}`, `{"unit_amount":1,"unit_amount_decimal":"1.5"}`,
	`{"discount":{"coupon":null,"source":{"coupon":{"id":"c"}}},"discount":{"id":"di"}}`, `{"discount":null}`, `{"discount":7}`,
	`{"data":{"object":{"id":"cus_1"},"previous_attributes":{}}}`, `{"data":{"previous_attributes":null}}`, `{"data":null}`, `{"data":{"object":{}},"data":{}}`,
	`{"data":[null,{"balance":1},{"account_balance":2}],"data":[{}]}`, `{"data":[{"id":"a"},7]}`, `{"data":[{"id":"a"}`, `{"data":[{"id":"a",}]}`,
	`{"metadata":` + strings.Repeat(`{"a":`, 500) + "7" + strings.Repeat("}", 501), strings.Repeat("[", 20_000), `{"x":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}",
}

func TestDecodingInOnePassOfOddBodies(t *testing.T) {
	for _, body := range oddBodies {
		requireOnePassEqualsTwo(t, []byte(body))
	}
}

func FuzzDecodingInOnePassEqualsTwoPasses(f *testing.F) {
	for _, body := range oddBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { requireOnePassEqualsTwo(t, body) })
}

// BenchmarkDecodePage decodes pages of 100 objects as a client does, and in two passes.
func BenchmarkDecodePage(b *testing.B) {
	for _, version := range []string{"2019-09-09", "2026-08-26.dahlia"} {
		fixture := func(name string) string {
			object, err := os.ReadFile("testdata/fixtures/" + version + "/" + name + ".json")
			require.NoError(b, err)
			return string(object)
		}
		benchmarkPage(b, "customers/"+version, fixture("customer"), ownCustomer)
		benchmarkPage(b, "products/"+version, fixture("product"), ownProduct)
		benchmarkPage(b, "invoice items/"+version, fixture("invoiceitem"), ownInvoiceItem)
		benchmarkPage(b, "events/"+version, `{"id":"evt_1","data":{"object":`+fixture("customer")+"}}", ownEvent)
		benchmarkPage(b, "charges/"+version, fixture("charge"), func(c *stripekit.Charge) *stripekit.Charge { return c })
	}
}

func benchmarkPage[T, U any](b *testing.B, name, object string, _ func(*T) *U) {
	page := `{"data":[` + object + strings.Repeat(","+object, 99) + "]}"
	client := clientOver(b, replies(http.StatusOK, page))
	for _, way := range []struct {
		name string
		page func() any
	}{{"client", newObject[stripekit.Page[U]]}, {"two passes", newObject[stripekit.Page[T]]}} {
		b.Run(name+"/"+way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, client.Call(b.Context(), "GET", "/v1/x", nil, way.page()))
			}
		})
	}
}
