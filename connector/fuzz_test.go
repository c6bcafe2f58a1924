package connector_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
)

// recorder is an HTTP client that keeps the last request and returns an object.
type recorder struct {
	request *http.Request
	form    string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.request, r.form = req, req.URL.RawQuery
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.form = string(body)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(`{"id": "x_1", "data": []}`)),
	}, nil
}

var fuzzed = []string{
	"customers.update", "charges.create", "charges.update", "products.create", "orders.create", "orders.list", "invoice_items.create", "refunds.create",
}

// FuzzInvoke gives any input to some actions. Either it is refused before a request is
// made, or the request has exactly what the input says.
func FuzzInvoke(f *testing.F) {
	for i, input := range []string{
		`{"id": "cus_1", "name": "", "address": {"line1": "x", "line2": ""}, "metadata": {"a": "", "b": null, "é]": "1"}}`,
		`{"amount": 5, "currency": "usd", "source": "tok_visa", "shipping": {"name": "n", "address": {"line1": "l"}}, "extra": {"a[b]": [1, "2", {"c": {}}], "d": {"e": null}}}`,
		`{"id": "ch_1", "fraud_details": {"user_report": ""}, "shipping": {}, "metadata": {}}`,
		`{"name": "x", "images": [], "package_dimensions": {"height": 1e-7, "length": 2, "weight": 3, "width": 1e21}, "default_price_data": {"currency": "eur", "unit_amount": 0, "currency_options": {"usd": {"tiers": [{"up_to": "inf", "unit_amount": 3}]}}}}`,
		`{"currency": "usd", "items": [{"parent": "sku", "quantity": 1}], "idempotency_key": "k", "expand": ["customer"]}`,
		`{"limit": 5, "created": {"gt": 1}, "status_transitions": {"paid": {"lte": 7}}, "ids": ["a"], "starting_after": "or_1"}`,
		`{"customer": "c", "period": {"start": 1, "end": 2}, "discountable": false, "discounts": []}`,
		`{"charge": "ch_1", "amount": 1e2, "extra": {"a": "\ud800", "b": 1.50}}`,
		`{"id": "cus_1", "shipping": {"phone": ""}, "tax_exempt": "", "cash_balance": {"settings": null}, "tax": {"validate_location": "x"}}`,
		`{"amount": 0, "currency": "usd", "source": "tok_visa", "idempotency_key": "", "extra": {"shipping[name]": "x", "amount[]": 5, "expand[]": "customer"}}`,
		`{"id": "ch_1", "shipping": {"name": null}, "fraud_details": {"user_report": "x"}, "extra": {"shipping[x]": 1, "a[b]": 1, "a": {"b": 2}}}`,
		`{"name": "x", "default_price_data": {"currency": "usd", "currency_options": {"": {"unit_amount": 1}}, "custom_unit_amount": {"maximum": 1}}}`,
		`{"currency": "usd", "items": [{"type": "x"}, {"amount": null}], "metadata": {"a[b]": "1", "": null}}`,
		`{"limit": 101, "customer": "", "ids": [], "created": {"gt": 0}, "status_transitions": {"paid": {}}}`,
		`{"customer": "c", "period": {"start": null}, "price_data": {"currency": ""}, "extra": {"` + strings.Repeat("a", 300) + `": [0, 0]}}`,
	} {
		f.Add(i, []byte(input))
	}
	f.Fuzz(func(t *testing.T, which int, input []byte) {
		name := fuzzed[((which%len(fuzzed))+len(fuzzed))%len(fuzzed)]
		sent := new(recorder)
		client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: sent}), stripekit.WithMaxRetries(0))
		require.NoError(t, err)
		output, err := connector.Invoke(t.Context(), client, name, input)
		if err != nil {
			require.Nil(t, sent.request, "%v", err)
			require.True(t, errors.As(err, new(*stripekit.ParamError)), "%v", err)
			return
		}
		require.True(t, json.Valid(output))
		if len(bytes.TrimSpace(input)) > 0 && string(bytes.TrimSpace(input)) != "null" {
			requireFits(t, action(t, name).Input, input)
		}
		got, err := url.ParseQuery(sent.form)
		require.NoError(t, err)
		require.Equal(t, wanted(t, name, input), pairs(got), "%s", input)
	})
}

// wanted returns what must be sent, by the simplest reading of the input.
func wanted(t *testing.T, name string, input []byte) []string {
	t.Helper()
	root := map[string]any{}
	if len(bytes.TrimSpace(input)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(input))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&root))
	}
	extra, _ := root["extra"].(map[string]any)
	for _, inPlace := range []string{"extra", "idempotency_key"} {
		delete(root, inPlace)
	}
	if !strings.HasSuffix(name, ".list") && !strings.HasSuffix(name, ".create") {
		delete(root, "id") // it is in the path
	}
	if expand, ok := root["expand"].([]any); ok && strings.HasSuffix(name, ".list") {
		for i, field := range expand {
			expand[i] = "data." + strings.TrimPrefix(field.(string), "data.")
		}
	}
	if expand, ok := root["expand"].([]any); ok && len(expand) == 0 {
		delete(root, "expand") // nothing to unset
	}
	values := url.Values{}
	for key, value := range root {
		flatten(values, key, value)
	}
	for key, value := range extra {
		flatten(values, key, value)
	}
	return pairs(values)
}

// flatten adds the parameters of a value.
func flatten(values url.Values, key string, value any) {
	switch value := value.(type) {
	case nil:
	case map[string]any:
		for name, v := range value {
			flatten(values, key+"["+name+"]", v)
		}
		if len(value) == 0 {
			values.Add(key, "")
		}
	case []any:
		if len(value) == 0 {
			values.Add(key, "")
		}
		for i, v := range value {
			flatten(values, key+"["+strconv.Itoa(i)+"]", v)
		}
	default:
		values.Add(key, fmt.Sprint(value))
	}
}

// pairs returns parameters in order. Numbers that are equal are written alike.
func pairs(values url.Values) []string {
	all := []string{}
	for key, some := range values {
		for _, value := range some {
			_, notWhole := strconv.ParseInt(value, 10, 64)
			if n, err := strconv.ParseFloat(value, 64); err == nil && notWhole != nil {
				value = strconv.FormatFloat(n, 'f', -1, 64)
			}
			all = append(all, key+"="+value)
		}
	}
	slices.Sort(all)
	return all
}
