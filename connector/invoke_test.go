package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

// TestInvokeSendsWhatTheInputSays compares the form that a request has with the input.
// The requests fail, because the objects do not exist.
func TestInvokeSendsWhatTheInputSays(t *testing.T) {
	for name, c := range map[string]struct{ action, input, want string }{
		"null is not sent":                      {"customers.update", `{"id": "cus_1", "name": null, "email": "a@b.c", "shipping": null, "balance": null}`, "email=a@b.c"},
		"an empty string unsets":                {"customers.update", `{"id": "cus_1", "name": ""}`, "name="},
		"zero and false are sent":               {"invoice_items.update", `{"id": "ii_1", "amount": 0, "discountable": false}`, "amount=0&discountable=false"},
		"an empty object unsets":                {"customers.update", `{"id": "cus_1", "address": {}}`, "address="},
		"an empty list unsets":                  {"products.update", `{"id": "prod_1", "images": []}`, "images="},
		"empty metadata removes all keys":       {"customers.update", `{"id": "cus_1", "metadata": {}}`, "metadata="},
		"an empty value removes a key":          {"customers.update", `{"id": "cus_1", "metadata": {"a": "", "b": "2", "c": null}}`, "metadata[a]=&metadata[b]=2"},
		"metadata of nulls removes nothing":     {"customers.update", `{"id": "cus_1", "metadata": {"a": null}, "name": "x"}`, "name=x"},
		"an object of nulls unsets nothing":     {"customers.update", `{"id": "cus_1", "address": {"line1": null}, "name": "x"}`, "name=x"},
		"a part of an address is unset":         {"customers.update", `{"id": "cus_1", "address": {"line1": "x", "line2": ""}}`, "address[line1]=x&address[line2]="},
		"only a part of an address is unset":    {"customers.update", `{"id": "cus_1", "address": {"line2": ""}}`, "address[line2]="},
		"nested parts":                          {"charges.update", `{"id": "ch_1", "shipping": {"name": "A", "address": {"line1": "x", "city": ""}}}`, "shipping[name]=A&shipping[address][line1]=x&shipping[address][city]="},
		"lists of objects":                      {"invoice_items.update", `{"id": "ii_1", "discounts": [{"coupon": "a"}, {"coupon": "b"}]}`, "discounts[0][coupon]=a&discounts[1][coupon]=b"},
		"a map of objects":                      {"products.create", `{"name": "x", "default_price_data": {"currency": "usd", "unit_amount": 1, "currency_options": {"eur": {"unit_amount": 2}}}}`, "name=x&default_price_data[currency]=usd&default_price_data[unit_amount]=1&default_price_data[currency_options][eur][unit_amount]=2"},
		"further parameters":                    {"customers.update", `{"id": "cus_1", "extra": {"a[b]": "x", "c": {"d": [1, 2.50, true]}, "e": null, "f": "", "g": {"h": null}}}`, "a[b]=x&c[d][0]=1&c[d][1]=2.50&c[d][2]=true&f="},
		"an unknown part of a known object":     {"charges.update", `{"id": "ch_1", "extra": {"shipping[address][planet]": "Mars", "fraud_details[x][y]": 1}}`, "shipping[address][planet]=Mars&fraud_details[x][y]=1"},
		"an escaped pair is one character":      {"customers.update", `{"id": "cus_1", "name": "\\ud800 \ud83d\ude00"}`, "name=\\ud800 😀"},
		"further parameters and an unset part":  {"customers.update", `{"id": "cus_1", "extra": {"a": "x"}, "address": {"city": ""}}`, "a=x&address[city]="},
		"a large integer keeps its digits":      {"customers.update", `{"id": "cus_1", "balance": -9223372036854775808}`, "balance=-9223372036854775808"},
		"expand is named as in the object":      {"customers.update", `{"id": "cus_1", "name": "x", "expand": ["default_source"]}`, "name=x&expand[0]=default_source"},
		"a list has the filters and the page":   {"charges.list", `{"limit": 3, "starting_after": "ch_1", "created": {"gte": 5}, "customer": "cus_1", "expand": ["customer"]}`, "limit=3&starting_after=ch_1&created[gte]=5&customer=cus_1&expand[0]=data.customer"},
		"a search has the query and the page":   {"charges.search", `{"query": "amount>1", "page": "p2", "expand": ["customer"]}`, "limit=100&query=amount>1&page=p2&expand[0]=data.customer"},
		"filters of times":                      {"orders.list", `{"status_transitions": {"paid": {"lt": 9}}, "ids": ["or_1"]}`, "status_transitions[paid][lt]=9&ids[0]=or_1"},
		"no input":                              {"charges.list", ``, ""},
		"null as the input":                     {"charges.list", `null`, ""},
		"a number with a fraction":              {"products.update", `{"id": "prod_1", "package_dimensions": {"height": 1.5, "length": 2, "weight": 3e0, "width": 0.1}}`, "package_dimensions[height]=1.5&package_dimensions[length]=2&package_dimensions[weight]=3&package_dimensions[width]=0.1"},
		"an escaped character is what it means": {"customers.update", `{"id": "cus_1", "na\u006de": "\u00e4"}`, "name=ä"},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			_, err := connector.Invoke(t.Context(), client, c.action, []byte(c.input))
			if err != nil {
				require.True(t, errors.As(err, new(*stripekit.Error)), "refused before it was sent: %v", err)
			}
			requests := server.Requests()
			require.Len(t, requests, 1)
			sent := requests[0].Form
			if requests[0].Method == "GET" {
				sent = requests[0].Query
			}
			want, err := url.ParseQuery(strings.NewReplacer(">", "%3E", "+", "%2B").Replace(c.want))
			require.NoError(t, err)
			require.Equal(t, len(want), len(sent), "%v", sent)
			require.Equal(t, want, url.Values(sent))
			requireFits(t, action(t, c.action).Input, []byte(map[bool]string{true: "{}", false: c.input}[c.input == "" || c.input == "null"]))
		})
	}
}

// wrongByte returns the offset in an error of encoding/json for a wrong byte after some
// right ones. With GOEXPERIMENT=jsonv2 it does not count the wrong one.
func wrongByte(right int64) string {
	var syntax *json.SyntaxError
	errors.As(json.Unmarshal([]byte("x"), new(any)), &syntax)
	return strconv.FormatInt(right+syntax.Offset, 10)
}

func TestInvokeRefusesWrongInputWithItsPath(t *testing.T) {
	for name, c := range map[string]struct{ action, input, param, reason string }{
		"an unknown field":                          {"charges.create", `{"amont": 1}`, "amont", "is unknown"},
		"an unknown field in an object":             {"charges.create", `{"shipping": {"address": {"street": "x"}}}`, "shipping[address][street]", "is unknown"},
		"an unknown field in a list":                {"orders.create", `{"items": [{"parent": "sku_1"}, {"sku": "x"}]}`, "items[1][sku]", "is unknown"},
		"the Go name of a field":                    {"charges.create", `{"Amount": 1}`, "Amount", "is unknown"},
		"a text for an integer":                     {"charges.create", `{"amount": "5"}`, "amount", "must be an integer, and is a string"},
		"a fraction for an integer":                 {"charges.create", `{"amount": 5.5}`, "amount", "must be an integer, written without a fraction and an exponent"},
		"an exponent for an integer":                {"charges.create", `{"amount": 5e2}`, "amount", "must be an integer, written without a fraction and an exponent"},
		"too large an integer":                      {"charges.create", `{"amount": 9223372036854775808}`, "amount", "is too large an integer"},
		"too large a number":                        {"products.update", `{"id": "p", "package_dimensions": {"height": 1e999}}`, "package_dimensions[height]", "is too large a number"},
		"a number for a text":                       {"charges.create", `{"currency": 5}`, "currency", "must be a string, and is a number"},
		"a text for a boolean":                      {"charges.create", `{"capture": "true"}`, "capture", "must be a boolean, and is a string"},
		"a text for an object":                      {"charges.create", `{"shipping": "x"}`, "shipping", "must be an object, and is a string"},
		"an object for a list":                      {"orders.create", `{"items": {}}`, "items", "must be an array, and is an object"},
		"a list for a map":                          {"orders.create", `{"metadata": []}`, "metadata", "must be an object, and is an array"},
		"a number in metadata":                      {"orders.create", `{"metadata": {"n": 5}}`, "metadata[n]", "must be a string, and is a number"},
		"a field twice":                             {"charges.create", `{"amount": 1, "amount": 2}`, "amount", "is there twice"},
		"a key of metadata twice":                   {"charges.create", `{"metadata": {"a": "1", "\u0061": "2"}}`, "metadata[a]", "is there twice"},
		"a zero that would be lost":                 {"charges.list", `{"created": {"gt": 0}}`, "created[gt]", "must not be 0"},
		"a false that would be lost":                {"products.create", `{"default_price_data": {"custom_unit_amount": {"enabled": false}}}`, "default_price_data[custom_unit_amount][enabled]", "must be true"},
		"an empty text that is needed":              {"charges.create", `{"currency": ""}`, "currency", "must not be empty"},
		"an empty id":                               {"charges.get", `{"id": ""}`, "id", "must not be empty"},
		"an empty cursor":                           {"charges.list", `{"starting_after": ""}`, "starting_after", "must not be empty"},
		"an empty object in a list":                 {"orders.create", `{"items": [{}]}`, "items[0]", "must not be empty"},
		"null in a list":                            {"products.create", `{"images": ["a", null]}`, "images[1]", "must not be empty"},
		"an empty object in a map":                  {"products.create", `{"default_price_data": {"currency_options": {"eur": {}}}}`, "default_price_data[currency_options][eur]", "must not be empty"},
		"an empty inner object":                     {"charges.update", `{"id": "ch_1", "shipping": {"name": "x", "address": {}}}`, "shipping[address]", "must not be empty"},
		"a known field in extra":                    {"charges.create", `{"extra": {"amount": 1}}`, "extra[amount]", "is a field of the input itself: set it there"},
		"extra that is no object":                   {"charges.create", `{"extra": 1}`, "extra", "must be an object, and is a number"},
		"a strange name in extra":                   {"charges.create", `{"extra": {"a&b=": 1}}`, "extra[a&b=]", "must be the name of a parameter, such as level3[merchant_reference]"},
		"null in a list in extra":                   {"charges.create", `{"extra": {"a": [1, null]}}`, "extra[a][1]", "must not be empty"},
		"a list":                                    {"charges.create", `[]`, "input", "must be an object, and is an array"},
		"no JSON":                                   {"charges.create", `{"amount": sk_live_x}`, "input", "is not valid JSON, at byte " + wrongByte(11)},
		"two values":                                {"charges.create", `{} {}`, "input", "is not valid JSON, at byte " + wrongByte(3)},
		"no UTF-8":                                  {"charges.create", "{\"currency\": \"\xff\"}", "input", "is not valid UTF-8"},
		"nested without an end":                     {"charges.create", `{"extra":` + strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100) + `}`, "extra" + strings.Repeat("[a]", 31), "is nested too deeply"},
		"half of a surrogate pair":                  {"customers.update", `{"id": "cus_1", "name": "\\ \ud83d\ude00 \ud800"}`, "input", "has an escape that is half of a surrogate pair"},
		"the other half":                            {"customers.update", `{"id": "cus_1", "metadata": {"\uDC00\ud800": "x"}}`, "input", "has an escape that is half of a surrogate pair"},
		"too long a name":                           {"charges.create", `{"extra": {"` + strings.Repeat("a", 200) + `": 1}}`, "extra[" + strings.Repeat("a", 194) + "…", "is too long a name"},
		"an empty currency":                         {"products.create", `{"default_price_data": {"currency_options": {"": {"unit_amount": 1}}}}`, "default_price_data[currency_options][]", "must have a name of 1 to 40 characters without brackets"},
		"an object of nulls that is to have fields": {"charges.update", `{"id": "ch_1", "shipping": {"name": null}}`, "shipping[name]", "is required"},

		// The limits of fields.
		"too small an amount":             {"charges.create", `{"amount": 0}`, "amount", "must be positive"},
		"too large a page":                {"charges.list", `{"limit": 101}`, "limit", "must be 1 to 100"},
		"too many elements":               {"events.list", `{"types": [` + strings.Repeat(`"a", `, 20) + `"a"]}`, "types", "has more than 20"},
		"an empty idempotency key":        {"charges.capture", `{"id": "ch_1", "idempotency_key": ""}`, "idempotency_key", "must not be empty"},
		"a bad idempotency key":           {"charges.capture", `{"id": "ch_1", "idempotency_key": "ö"}`, "idempotency_key", "must be 1 to 255 printable ASCII characters"},
		"a bad key that has no effect":    {"products.delete", `{"id": "prod_1", "idempotency_key": "ö"}`, "idempotency_key", "must be 1 to 255 printable ASCII characters"},
		"a value that is not in the list": {"customers.create", `{"tax_exempt": "some"}`, "tax_exempt", "must be one of none, exempt, reverse"},
		"a report that does not exist":    {"charges.update", `{"id": "ch_1", "fraud_details": {"user_report": "odd"}}`, "fraud_details[user_report]", "must be one of safe, fraudulent"},
		"a wrong value in a list":         {"orders.create", `{"currency": "usd", "items": [{"type": "gift"}]}`, "items[0][type]", "must be one of sku, tax, shipping, discount"},
		"an empty filter":                 {"charges.list", `{"customer": ""}`, "customer", "must not be empty"},
		"an empty list as a filter":       {"orders.list", `{"ids": []}`, "ids", "must not be empty"},
		"an empty range as a filter":      {"orders.list", `{"status_transitions": {"paid": {}}}`, "status_transitions[paid]", "must not be empty"},
		"two filters that exclude":        {"events.list", `{"types": ["charge.failed"], "type": "charge.*"}`, "types", "does not go together with type"},

		// The required fields of objects.
		"shipping with an empty part":       {"customers.create", `{"shipping": {"phone": ""}}`, "shipping[name]", "is required"},
		"shipping with an empty city":       {"customers.create", `{"shipping": {"name": "x", "address": {"city": ""}}}`, "shipping[address][line1]", "is required"},
		"a part of a period":                {"invoice_items.create", `{"customer": "cus_1", "period": {"start": 5}}`, "period[end]", "is required"},
		"a part of the size":                {"products.create", `{"name": "x", "package_dimensions": {"height": 1}}`, "package_dimensions[length]", "is required"},
		"a part of an element":              {"customers.create", `{"invoice_settings": {"custom_fields": [{"name": "x"}]}}`, "invoice_settings[custom_fields][0][value]", "is required"},
		"a part of a price in one currency": {"products.create", `{"name": "x", "default_price_data": {"currency": "usd", "unit_amount": 1, "currency_options": {"eur": {"tiers": [{"unit_amount": 1}]}}}}`, "default_price_data[currency_options][eur][tiers][0][up_to]", "is required"},

		// The names in extra.
		"a list in extra that is a field":   {"customers.update", `{"id": "cus_1", "extra": {"name[]": "x"}}`, "extra[name[]]", "is a field of the input itself: set it there"},
		"a part of a known object in extra": {"customers.update", `{"id": "cus_1", "address": {"city": ""}, "extra": {"address[city]": "Rome"}}`, "extra[address[city]]", "is a field of the input itself: set it there"},
		"a known object in extra":           {"customers.update", `{"id": "cus_1", "extra": {"address": {"planet": "Mars"}}}`, "extra[address]", "is a field of the input itself: set it there"},
		"a list of a known object in extra": {"customers.update", `{"id": "cus_1", "extra": {"address[]": "x"}}`, "extra[address[]]", "is a field of the input itself: set it there"},
		"a key of metadata in extra":        {"customers.update", `{"id": "cus_1", "extra": {"metadata[a]": "1"}}`, "extra[metadata[a]]", "is a field of the input itself: set it there"},
		"an element of a known list":        {"orders.create", `{"currency": "usd", "extra": {"items[0][color]": "red"}}`, "extra[items[0][color]]", "is a field of the input itself: set it there"},
		"the same parameter twice in extra": {"customers.update", `{"id": "cus_1", "extra": {"a[b]": 1, "a": {"b": 2}}}`, "extra[a[b]]", "is there twice"},
		"fields to expand, in extra":        {"charges.list", `{"extra": {"expand[]": "data.customer"}}`, "extra[expand[]]", "is a field of the input itself: set it there"},

		// The checks of the library.
		"a required parameter is missing": {"charges.create", `{"currency": "usd"}`, "amount", "is required and must be positive"},
		"one of two is missing":           {"charges.create", `{"amount": 1, "currency": "usd"}`, "source", "source or customer is required"},
		"a nested one is missing":         {"charges.create", `{"amount": 1, "currency": "usd", "source": "tok_visa", "shipping": {"name": "x", "phone": "1", "address": {"city": "Rome"}}}`, "shipping[address][line1]", "is required"},
		"an id that leads elsewhere":      {"charges.get", `{"id": "../customers"}`, "id", "contains a character that an id cannot have"},
		"no query":                        {"charges.search", `{}`, "query", "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			_, err := connector.Invoke(t.Context(), client, c.action, []byte(c.input))
			refused := new(stripekit.ParamError)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, stripekit.ParamError{Param: c.param, Reason: c.reason}, *refused)
			require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
			require.NotContains(t, err.Error(), "sk_live", "the input may be secret")
			require.Empty(t, server.Requests())
		})
	}
}

// TestExampleOfExtraIsAccepted takes the parameter that descriptions and refusals name.
func TestExampleOfExtraIsAccepted(t *testing.T) {
	for _, a := range connector.Actions() {
		if !strings.Contains(string(a.Input), "level3[merchant_reference]") {
			continue
		}
		client, server := stripekittest.NewClient(t)
		input := decoded(t, []byte(minimal(a.Name)))
		input["extra"] = map[string]any{"level3[merchant_reference]": "x"}
		text, err := json.Marshal(input)
		require.NoError(t, err)
		_, err = connector.Invoke(t.Context(), client, a.Name, text)
		require.False(t, errors.As(err, new(*stripekit.ParamError)), "%s: %v", a.Name, err)
		require.Len(t, server.Requests(), 1)
	}
}

// TestInvokeNeedsMemoryInProportionToTheInput has inputs in which a long name has many
// elements: if the name were copied for each, four times the input would need sixteen
// times the memory.
func TestInvokeNeedsMemoryInProportionToTheInput(t *testing.T) {
	zeros := func(n int) string { return "[" + strings.Repeat("0,", n) + "0]" }
	for name, c := range map[string]struct {
		action string
		input  func(n int) string
	}{
		"a long name in extra": {"customers.update", func(n int) string {
			return `{"id": "cus_1", "extra": {"` + strings.Repeat("a", 2*n) + `": ` + zeros(n) + `}}`
		}},
		"a long unknown name": {"customers.update", func(n int) string {
			return `{"id": "cus_1", "` + strings.Repeat("a", 2*n) + `": ` + zeros(n) + `}`
		}},
		"long names below each other": {"customers.update", func(n int) string {
			return `{"id": "cus_1", "extra": ` + strings.Repeat(`{"`+strings.Repeat("a", n/10)+`": `, 20) + zeros(n) + strings.Repeat("}", 20) + `}`
		}},
		"names that are sent": {"customers.update", func(n int) string {
			return `{"id": "cus_1", "extra": {"` + strings.Repeat("a", 150) + `": ` + zeros(n) + `}}`
		}},
		"a long currency": {"products.create", func(n int) string {
			tiers := strings.Repeat(`{"up_to": "1"},`, n/8) + `{"up_to": "inf"}`
			return `{"name": "x", "default_price_data": {"currency": "usd", "unit_amount": 1, "currency_options": {"` + strings.Repeat("e", 2*n) + `": {"tiers": [` + tiers + `]}}}}`
		}},
	} {
		t.Run(name, func(t *testing.T) {
			small, large := allocated(t, c.action, c.input(2_000)), allocated(t, c.action, c.input(8_000))
			require.Less(t, large, 8*small)
			require.Less(t, large, 2000*len(c.input(8_000)))
		})
	}
}

// allocated returns how many bytes an action allocates, at the least.
func allocated(t *testing.T, action, input string) int {
	t.Helper()
	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: new(recorder)}), stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	least := math.MaxInt
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := connector.Invoke(t.Context(), client, action, []byte(input))
		runtime.ReadMemStats(&after)
		if err != nil {
			require.ErrorAs(t, err, new(*stripekit.ParamError))
		}
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}

func TestInvokeKeepsTheErrorsOfTheService(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	_, err := connector.Invoke(t.Context(), client, "charges.create",
		[]byte(`{"amount": 100, "currency": "usd", "source": "tok_chargeDeclined", "idempotency_key": "k1"}`))
	require.ErrorIs(t, err, stripekit.ErrCardDeclined)
	failure := new(stripekit.Error)
	require.ErrorAs(t, err, &failure)
	require.NotEmpty(t, failure.ChargeID)
	require.Equal(t, "k1", failure.IdempotencyKey)

	_, err = connector.Invoke(t.Context(), client, "charges.get", []byte(`{"id": "ch_none"}`))
	require.ErrorIs(t, err, stripekit.ErrNotFound)
}

func TestInvokeCarriesOutAWriteOnceForAnIdempotencyKey(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	const input = `{"amount": 100, "currency": "usd", "source": "tok_visa", "idempotency_key": "order-1"}`
	first := invoke(t, client, "charges.create", input)
	require.Equal(t, first["id"], invoke(t, client, "charges.create", input)["id"])
	require.Len(t, invoke(t, client, "charges.list", `{}`)["data"], 1)
}

func TestInvokeObeysTheAccessOfTheConnection(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	for _, a := range connector.Actions() {
		for access, refusal := range map[stripekit.Access]error{
			stripekit.ReadOnly:  map[connector.Access]error{connector.Write: stripekit.ErrReadOnly}[a.Access],
			stripekit.WriteOnly: map[connector.Access]error{connector.Read: stripekit.ErrWriteOnly}[a.Access],
		} {
			client, err := stripekit.Connection{
				Name: "shop", APIKey: stripekit.NewSecret("sk_test_1"), Access: access, BaseURL: server.URL,
			}.Open(stripekit.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			before := len(server.Requests())
			_, err = connector.Invoke(t.Context(), client, a.Name, []byte(minimal(a.Name)))
			if refusal != nil {
				require.ErrorIs(t, err, refusal, a.Name)
				require.Len(t, server.Requests(), before, a.Name)
				continue
			}
			require.NotErrorIs(t, err, stripekit.ErrReadOnly, a.Name)
			require.NotErrorIs(t, err, stripekit.ErrWriteOnly, a.Name)
			require.Greater(t, len(server.Requests()), before, a.Name)
		}
	}
}

// minimal returns an input of an action that the library sends.
func minimal(name string) string {
	switch object, verb, _ := strings.Cut(name, "."); {
	case verb == "list":
		return `{}`
	case verb == "search":
		return `{"query": "created>1"}`
	case verb != "create":
		return `{"id": "x_1"}`
	default:
		return map[string]string{
			"charges": `{"amount": 100, "currency": "usd", "source": "tok_visa"}`, "customers": `{}`, "products": `{"name": "x"}`,
			"refunds": `{"charge": "ch_1"}`, "orders": `{"currency": "usd"}`, "invoice_items": `{"customer": "cus_1"}`,
		}[object]
	}
}

func TestInvokeRefusesUnknownNamesAndNoClient(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	for _, name := range []string{"", "charges", "charges.new", "charges.Create", "payouts.create"} {
		_, err := connector.Invoke(t.Context(), client, name, nil)
		require.ErrorIs(t, err, connector.ErrUnknownName)
	}
	_, err := connector.Invoke(t.Context(), nil, "charges.list", nil)
	require.EqualError(t, err, "stripe: the client is nil")
}

func TestInvokeEndsOnCancel(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Do(cancel), stripetest.Delay(time.Hour))
	_, err := connector.Invoke(ctx, client, "charges.list", nil)
	require.ErrorIs(t, err, context.Canceled)
}
