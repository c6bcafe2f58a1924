package stripetest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestServerRefusesAsStripeDoes(t *testing.T) {
	const visa = "amount=1000&currency=usd&source=tok_visa"
	tests := map[string]struct {
		method, path, form string
		status             int
		code, param        string
		message            string // the beginning of the message
	}{
		"unknown id":             {"GET", "/v1/customers/cus_x", "", 404, "resource_missing", "id", "No such customer: 'cus_x'"},
		"escaped path in id":     {"GET", "/v1/customers/..%2Fcharges", "", 404, "resource_missing", "id", "No such customer: '../charges'"},
		"missing amount":         {"POST", "/v1/charges", "currency=usd&source=tok_visa", 400, "parameter_missing", "amount", "Missing required param: amount."},
		"missing currency":       {"POST", "/v1/charges", "amount=1000&source=tok_visa", 400, "parameter_missing", "currency", "Missing required param: currency."},
		"no source, no customer": {"POST", "/v1/charges", "amount=1000&currency=usd", 400, "parameter_missing", "", "Must provide source or customer."},
		"unknown parameter":      {"POST", "/v1/charges", visa + "&x=1", 400, "parameter_unknown", "x", "Received unknown parameter: x"},
		"unknown before missing": {"POST", "/v1/charges", "x=1", 400, "parameter_unknown", "x", "Received unknown parameter: x"},
		"unknown within a hash":  {"POST", "/v1/charges", visa + "&shipping[x]=1", 400, "parameter_unknown", "shipping[x]", "Received unknown parameter: shipping[x]"},
		"unknown in a list":      {"GET", "/v1/charges?email=a", "", 400, "parameter_unknown", "email", "Received unknown parameter: email"},
		"unknown bound":          {"GET", "/v1/charges?created[eq]=1", "", 400, "parameter_unknown", "created[eq]", "Received unknown parameter: created[eq]"},
		"malformed name":         {"POST", "/v1/charges", visa + "&a[b=1", 400, "parameter_unknown", "a[b", "Received unknown parameter: a[b"},
		"bad integer":            {"POST", "/v1/charges", "amount=abc&currency=usd&source=tok_visa", 400, "parameter_invalid_integer", "amount", "Invalid integer: abc"},
		"integer out of range":   {"GET", "/v1/charges?limit=99999999999999999999", "", 400, "parameter_invalid_integer", "limit", "Invalid integer: 99999999999999999999"},
		"bad created":            {"GET", "/v1/charges?created[gt]=now", "", 400, "parameter_invalid_integer", "created[gt]", "Invalid integer: now"},
		"empty amount":           {"POST", "/v1/charges", "amount=&currency=usd", 400, "parameter_invalid_empty", "amount", "You passed an empty string for 'amount'. "},
		"empty cursor":           {"GET", "/v1/charges?starting_after=", "", 400, "parameter_invalid_empty", "starting_after", "You passed an empty string for 'starting_after'. "},
		"empty hash":             {"POST", "/v1/charges", visa + "&shipping=", 400, "parameter_invalid_empty", "shipping", "You passed an empty string for 'shipping'. "},
		"bad boolean":            {"POST", "/v1/charges", visa + "&capture=maybe", 400, "", "capture", "Invalid boolean: maybe"},
		"hash for a string":      {"POST", "/v1/charges", visa + "&description[a]=b", 400, "", "description", "Invalid string: description"},
		"string for a hash":      {"POST", "/v1/charges", visa + "&shipping=home", 400, "", "shipping", "Invalid object"},
		"string for metadata":    {"POST", "/v1/charges", visa + "&metadata=a", 400, "", "metadata", "Invalid object"},
		"string for a list":      {"POST", "/v1/customers", "preferred_locales=en", 400, "", "preferred_locales", "Invalid array"},
		"hash for a list":        {"POST", "/v1/customers", "preferred_locales[a]=en", 400, "", "preferred_locales", "Invalid array"},
		"not among the choices":  {"POST", "/v1/customers", "tax_exempt=maybe", 400, "", "tax_exempt", "Invalid tax_exempt: must be one of "},
		"value and hash":         {"POST", "/v1/charges", visa + "&metadata=&metadata[a]=b", 400, "", "", "Invalid request: metadata is given both "},
		"bad escape":             {"POST", "/v1/charges", visa + "&description=%zz", 400, "", "", "Invalid request: "},
		"not UTF-8":              {"POST", "/v1/charges", visa + "&description=%ff", 400, "", "", "Invalid request: "},
		"nested too deep":        {"POST", "/v1/charges", "a" + strings.Repeat("[a]", 16) + "=1", 400, "", "", "Invalid request: "},
		"body too large":         {"POST", "/v1/charges", visa + "&description=" + strings.Repeat("a", 1<<20), 400, "", "", "The request body is larger than 1048576 bytes."},
		"unknown route":          {"GET", "/v1/x", "", 404, "", "", "Unrecognized request URL (GET: /v1/x). "},
		"unknown method":         {"DELETE", "/v1/charges/ch_x", "", 404, "", "", "Unrecognized request URL (DELETE: /v1/charges/ch_x). "},
		"empty id":               {"GET", "/v1/charges/", "", 404, "", "", "Unrecognized request URL (GET: /v1/charges/). "},
		"unknown older cursor":   {"GET", "/v1/customers?starting_after=cus_x", "", 400, "resource_missing", "starting_after", "No such customer: 'cus_x'"},
		"unknown newer cursor":   {"GET", "/v1/charges?ending_before=ch_x", "", 400, "resource_missing", "ending_before", "No such charge: 'ch_x'"},
		"both cursors":           {"GET", "/v1/charges?starting_after=ch_x&ending_before=ch_x", "", 400, "", "", "Received both starting_after and ending_before parameters. Please pass in only one."},
		"amount too small":       {"POST", "/v1/charges", "amount=49&currency=usd&source=tok_visa", 400, "amount_too_small", "amount", "Amount must be at least $0.50 usd"},
		"amount too large":       {"POST", "/v1/charges", "amount=100000000&currency=usd&source=tok_visa", 400, "amount_too_large", "amount", "Amount must be no more than $999,999.99"},
		"bad currency":           {"POST", "/v1/charges", "amount=1000&currency=us1&source=tok_visa", 400, "", "currency", "Invalid currency: us1. "},
		"shipping without name":  {"POST", "/v1/charges", visa + "&shipping[address][line1]=a", 400, "parameter_missing", "shipping[name]", "Missing required param: shipping[name]."},
		"shipping without line1": {"POST", "/v1/charges", visa + "&shipping[name]=a&shipping[address][city]=b", 400, "parameter_missing", "shipping[address][line1]", "Missing required param: shipping[address][line1]."},
		"transfer to nobody":     {"POST", "/v1/charges", visa + "&transfer_data[amount]=5", 400, "parameter_missing", "transfer_data[destination]", "Missing required param: transfer_data[destination]."},
		"unknown customer":       {"POST", "/v1/charges", "amount=1000&currency=usd&customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"},
		"unknown token":          {"POST", "/v1/charges", "amount=1000&currency=usd&source=tok_x", 400, "resource_missing", "source", "No such token: 'tok_x'"},
		"unknown token to keep":  {"POST", "/v1/customers", "source=tok_x", 400, "resource_missing", "source", "No such token: 'tok_x'"},
		"customer's shipping":    {"POST", "/v1/customers", "shipping[name]=a", 400, "parameter_missing", "shipping[address]", "Missing required param: shipping[address]."},
		"metadata key":           {"POST", "/v1/customers", "metadata[" + strings.Repeat("k", 41) + "]=v", 400, "", "metadata", "Invalid key: " + strings.Repeat("k", 41) + " must be a string under 40 characters"},
		"metadata value":         {"POST", "/v1/customers", "metadata[k]=" + strings.Repeat("v", 501), 400, "", "metadata", "Invalid val: vv"},
		"metadata count":         {"POST", "/v1/customers", manyMetadata(51), 400, "", "metadata", "Metadata can have up to 50 keys"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			r := a.do(test.method, test.path, test.form)
			require.Equal(t, test.status, r.status, r.raw)
			want := map[string]any{"type": "invalid_request_error"}
			if test.code != "" {
				want["code"] = test.code
				want["doc_url"] = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(test.code, "_", "-")
			}
			if test.param != "" {
				want["param"] = test.param
			}
			got := r.failure()
			message, _ := got["message"].(string)
			require.True(t, strings.HasPrefix(message, test.message), "message is %q", message)
			delete(got, "message")
			delete(got, "request_log_url")
			require.Empty(t, cmp.Diff(want, got))
			require.Regexp(t, `^req_\w{14}$`, r.header.Get("Request-Id"))

			charges, _ := a.page("/v1/charges", nil)
			require.Empty(t, charges, "a refused request must store nothing")
			customers, _ := a.page("/v1/customers", nil)
			require.Empty(t, customers, "a refused request must store nothing")
		})
	}
}

func manyMetadata(n int) string {
	var form strings.Builder
	for i := range n {
		form.WriteString("&metadata[k" + strings.Repeat("x", i%30) + string(rune('a'+i/30)) + "]=v")
	}
	return form.String()
}

func TestServerRefusesOtherContentTypes(t *testing.T) {
	r := memory(t).with("Content-Type", "application/json").do("POST", "/v1/customers", `{"email":"a"}`)
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Contains(t, r.failure()["message"], "application/x-www-form-urlencoded")
}

func TestServerRefusesKeys(t *testing.T) {
	own := []stripetest.Option{stripetest.WithKeys("sk_test_ours00001111"), stripetest.WithKeys("my_live_key")}
	tests := map[string]struct {
		key     string
		opts    []stripetest.Option
		message string // empty: accepted
	}{
		"test":                {key: "sk_test_123"},
		"live":                {key: "sk_live_123"},
		"restricted":          {key: "rk_test_123"},
		"restricted, live":    {key: "rk_live_123"},
		"none":                {key: "", message: "You did not provide an API key. "},
		"unknown prefix":      {key: "nonsense", message: "Invalid API Key provided: ****ense"},
		"prefix only":         {key: "sk_test_", message: "Invalid API Key provided: sk_test_****"},
		"odd characters":      {key: "sk_test_51abc def1234", message: "Invalid API Key provided: sk_test_****1234"},
		"short":               {key: "sk_test_12 34", message: "Invalid API Key provided: sk_test_****"},
		"named":               {key: "sk_test_ours00001111", opts: own},
		"named as well":       {key: "my_live_key", opts: own},
		"not named":           {key: "sk_test_other0001234", opts: own, message: "Invalid API Key provided: sk_test_****1234"},
		"unknown publishable": {key: "pk_test_51abcdef1234", opts: own, message: "Invalid API Key provided: pk_test_****1234"},
		"none named":          {key: testKey, opts: []stripetest.Option{stripetest.WithKeys()}, message: "Invalid API Key provided: sk_test_****1234"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := memory(t, test.opts...).as(test.key).do("GET", "/v1/account", "")
			if test.message == "" {
				require.Equal(t, http.StatusOK, r.status, r.raw)
				return
			}
			require.Equal(t, http.StatusUnauthorized, r.status)
			require.Equal(t, "invalid_request_error", r.failure()["type"])
			message := r.failure()["message"].(string)
			require.True(t, strings.HasPrefix(message, test.message), "message is %q", message)
			require.NotContains(t, r.failure(), "request_log_url")
		})
	}
}

func TestServerRefusesPublishableKeys(t *testing.T) {
	for key, opts := range map[string][]stripetest.Option{
		"pk_test_51abcdef1234": nil,
		"pk_live_51abcdef1234": {stripetest.WithKeys("pk_live_51abcdef1234")},
	} {
		for _, request := range [][2]string{{"GET", "/v1/customers"}, {"POST", "/v1/charges"}} {
			r := memory(t, opts...).as(key).do(request[0], request[1], "")
			require.Equal(t, http.StatusForbidden, r.status, key)
			failure := r.failure()
			require.Equal(t, "invalid_request_error", failure["type"])
			require.Equal(t, "secret_key_required", failure["code"])
			require.Contains(t, failure["message"], "This API call cannot be made with a publishable API key. Please use a secret API key.")
			require.NotContains(t, r.raw, key)
		}
	}
}

func TestServerRefusesNULBytes(t *testing.T) {
	a := memory(t)
	for name, request := range map[string][3]string{
		"value": {"POST", "/v1/customers", "name=a%00b"},
		"key":   {"POST", "/v1/customers", "metadata[a%00]=b"},
		"query": {"GET", "/v1/customers?email=%00", ""},
		"path":  {"GET", "/v1/customers/cus_%00", ""},
	} {
		r := a.do(request[0], request[1], request[2])
		require.Equal(t, http.StatusBadRequest, r.status, name)
		require.Equal(t, "invalid_request_error", r.failure()["type"], name)
		require.Contains(t, r.failure()["message"], "NUL", name)
	}
	ids, _ := a.page("/v1/customers", nil)
	require.Empty(t, ids)
}

func TestServerAcceptsBearerTokens(t *testing.T) {
	a := memory(t).as("")
	require.Equal(t, http.StatusOK, a.with("Authorization", "Bearer "+testKey).do("GET", "/v1/account", "").status)
	require.Equal(t, http.StatusUnauthorized, a.with("Authorization", "Digest "+testKey).do("GET", "/v1/account", "").status)
}

func TestMissingObjectOfTheOtherModeIsNamed(t *testing.T) {
	a := memory(t)
	live := a.as("sk_live_1")
	customer, charge := live.create("/v1/customers", ""), live.charge("source=tok_visa")
	const hint = "; a similar object exists in live mode, but a test mode key was used to make this request."
	refusal{"GET", "/v1/customers/OBJ", "", 404, "resource_missing", "id", "No such customer: 'OBJ'" + hint}.refuse(t, a, customer)
	refusal{"POST", "/v1/refunds", "charge=OBJ", 400, "resource_missing", "charge", "No such charge: 'OBJ'" + hint}.refuse(t, a, charge)
	test := a.create("/v1/customers", "")
	r := live.do("GET", "/v1/customers/"+test, "")
	require.Contains(t, r.failure()["message"], "exists in test mode, but a live mode key was used")
	live.del("/v1/customers/" + customer)
	require.Equal(t, "No such customer: '"+customer+"'", a.do("GET", "/v1/customers/"+customer, "").failure()["message"])
	require.Equal(t, "No such customer: 'cus_x'", a.do("GET", "/v1/customers/cus_x", "").failure()["message"])
}
