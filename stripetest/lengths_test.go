package stripetest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The maxima are the maxLength of Stripe's descriptions of the API.
// TestTextsAreRefusedAsLongAsInStripesDescription, in internal/conformance,
// compares all of them.
func TestTextsHaveAMaximumLength(t *testing.T) {
	for name, test := range map[string]struct {
		path, form, param string
		most              int
	}{
		"description of a charge": {"/v1/charges", visa + "&description=", "description", 40000},
		"carrier":                 {"/v1/charges", visa + "&shipping[name]=a&shipping[address][line1]=b&shipping[carrier]=", "shipping[carrier]", 5000},
		"name of a customer":      {"/v1/customers", "name=", "name", 256},
		"phone":                   {"/v1/customers", "phone=", "phone", 20},
		"custom field":            {"/v1/customers", "invoice_settings[custom_fields][0][value]=b&invoice_settings[custom_fields][0][name]=", "invoice_settings[custom_fields][0][name]", 40},
		"unit label":              {"/v1/products", "name=P&unit_label=", "unit_label", 12},
		"name of a product":       {"/v1/products", "name=", "name", 5000},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			a.post(test.path, test.form+strings.Repeat("ä", test.most))
			long := strings.Repeat("ä", test.most+1)
			r := a.do("POST", test.path, test.form+long)
			require.Equal(t, http.StatusBadRequest, r.status)
			require.Equal(t, test.param, r.failure()["param"])
			message := r.failure()["message"].(string)
			require.True(t, strings.HasPrefix(message, "Invalid string: ää"), message)
			require.Contains(t, message, "; must be at most ")
			require.Less(t, len(message), 150, "the text is abridged")
		})
	}
}

func TestStatementDescriptorHasAMaximumLength(t *testing.T) {
	const text = "1 year period with auto renew"
	for _, param := range []string{"statement_descriptor", "statement_descriptor_suffix"} {
		form := visa + "&" + param + "=" + url.QueryEscape(text)
		message := "The statement descriptor must be at most 22 characters. " + text + " is 29 characters long."
		refusal{"POST", "/v1/charges", form, 400, "", param, message}.refuse(t, memory(t), "")
	}
	require.Equal(t, strings.Repeat("a", 22), memory(t).post("/v1/charges", visa+"&statement_descriptor="+strings.Repeat("a", 22))["statement_descriptor"])
}

func TestEmailAddressesAreChecked(t *testing.T) {
	a := memory(t)
	charge := a.charge("source=tok_visa")
	for param, path := range map[string]string{"email": "/v1/customers", "receipt_email": "/v1/charges/" + charge} {
		for address, ok := range map[string]bool{
			"jenny@example.com": true, "a+b@c.d.e": true, "ü@example.com": true, "": true,
			"x": false, "x@com": false, "x@.example.com": false, " x@example.com": false, "x@example.com ": false, "x＠example.com": false,
			"@example.com": false, "x@y@example.com": false, "x@example..com": false, "x@example.": false, "a b@example.com": false,
		} {
			form := url.Values{param: {address}}.Encode()
			if ok {
				a.post(path, form)
				continue
			}
			refusal{"POST", path, form, 400, "email_invalid", param, "Invalid email address: " + address}.refuse(t, a, "")
		}
	}
	listed, _ := a.page("/v1/customers", url.Values{"email": {"x"}})
	require.Empty(t, listed, "a filter is not checked")
}
