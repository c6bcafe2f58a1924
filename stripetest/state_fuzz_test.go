package stripetest_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// FuzzLoad loads dumps in which a value was changed or removed. What is accepted
// must not make a later request panic.
func FuzzLoad(f *testing.F) {
	good := dumped(f, filled(f).server)
	values := []string{"", "null", "0", "-1", "9223372036854775807", `""`, `"x"`, "true", "{}", "[]", "[{}]", "[null]"}
	for i := range values {
		f.Add(uint16(97*i), uint8(i), []byte(nil))
	}
	f.Add(uint16(0), uint8(0), []byte(`{"stripetest_state":1,"time":"2026-01-01T00:00:00Z","default_version":"2020-08-27","account":"acct_1","started":0,"accounts":[]}`))
	f.Fuzz(func(t *testing.T, at uint16, with uint8, whole []byte) {
		dump := whole
		if len(whole) == 0 {
			dump = changed(t, good, int(at), values[int(with)%len(values)])
		}
		a := memory(t, stripetest.WithClock(func() time.Time { return time.Unix(1700000000, 0) }))
		if a.server.Load(bytes.NewReader(dump)) == nil {
			useAll(a.with("Stripe-Version", "2017-08-15"))
		}
	})
}

// changed replaces value number n of a JSON text, or removes it if the
// replacement is empty.
func changed(t *testing.T, text string, n int, with string) []byte {
	var root any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&root))
	var replacement any
	if with != "" {
		require.NoError(t, json.Unmarshal([]byte(with), &replacement))
	}
	var walk func(any)
	walk = func(node any) {
		object, isObject := node.(map[string]any)
		if elements, ok := node.([]any); ok {
			for _, element := range elements {
				walk(element)
			}
		}
		if !isObject {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			n--
			inner := object[name]
			if n == -1 && with == "" {
				delete(object, name)
			} else if n == -1 {
				object[name] = replacement
			} else {
				walk(inner)
			}
		}
	}
	walk(root)
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return out
}

// useAll sends each request that works on an object, for a few objects of each
// kind.
func useAll(a *api) {
	for path, requests := range map[string][]string{
		"/v1/charges":       {"/capture", "?metadata[a]=b&fraud_details[user_report]=safe", "/refunds?amount=1", "/refunds"},
		"/v1/customers":     {"?metadata[a]=b&source=tok_visa&shipping="},
		"/v1/products":      {"?metadata[a]=b&name=x&active=false"},
		"/v1/refunds":       {"?metadata[a]=b", "/cancel"},
		"/v1/invoiceitems":  {"?metadata[a]=b&quantity=3", "?unit_amount_decimal=2.5"},
		"/v1/orders":        {"/pay?source=tok_visa", "/returns?items[0][quantity]=1", "?metadata[a]=b&status=fulfilled", "/returns"},
		"/v1/order_returns": nil,
		"/v1/prices":        {"?metadata[a]=b&active=false"},
		"/v1/skus":          {"?metadata[a]=b&price=7"},
	} {
		list := a.do("GET", path+"?limit=4&created[gt]=-5", "")
		data, _ := list.body["data"].([]any)
		for _, object := range data {
			object, _ := object.(map[string]any)
			id, _ := object["id"].(string)
			at := path + "/" + url.PathEscape(id)
			a.do("GET", at, "")
			a.do("GET", path+"?starting_after="+url.QueryEscape(id), "")
			for _, request := range requests {
				a.do("POST", at+request, "")
			}
			a.do("DELETE", at, "")
		}
		a.do("GET", path+"/search?query="+url.QueryEscape(`created>5 metadata["a"]:"b"`), "")
	}
	a.do("GET", "/v1/charges?expand[]=data.customer.default_source&expand[]=data.balance_transaction", "")
	a.do("GET", "/v1/products?expand[]=data.default_price.product", "")
}
