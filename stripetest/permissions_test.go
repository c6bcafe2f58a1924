package stripetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestRestrictedKeyMayDoWhatItsPermissionsSay(t *testing.T) {
	tests := map[string]struct {
		permissions  []string
		method, path string
		missing      string // the permission that the error names; empty: allowed
	}{
		"read":              {[]string{"charge_read"}, "GET", "/v1/charges", ""},
		"read one":          {[]string{"charge_read"}, "GET", "/v1/charges/ch_x", ""},
		"search":            {[]string{"customer_read"}, "GET", "/v1/customers/search?query=name:null", ""},
		"write":             {[]string{"customer_write"}, "POST", "/v1/customers", ""},
		"write reads":       {[]string{"customer_write"}, "GET", "/v1/customers", ""},
		"one of two":        {[]string{"charge_read", "product_read"}, "GET", "/v1/products", ""},
		"refunds":           {[]string{"charge_read"}, "GET", "/v1/refunds", ""},
		"returns":           {[]string{"order_read"}, "GET", "/v1/order_returns", ""},
		"nothing":           {nil, "GET", "/v1/charges", "rak_charge_read"},
		"read for write":    {[]string{"charge_read"}, "POST", "/v1/charges", "rak_charge_write"},
		"write for capture": {[]string{"charge_read"}, "POST", "/v1/charges/ch_x/capture", "rak_charge_write"},
		"write for delete":  {[]string{"customer_read"}, "DELETE", "/v1/customers/cus_x", "rak_customer_write"},
		"other resource":    {[]string{"charge_write"}, "GET", "/v1/invoiceitems", "rak_invoiceitem_read"},
		"account":           {[]string{"charge_write"}, "GET", "/v1/account", "rak_account_read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t, stripetest.WithPermissions("rk_test_secret1234", test.permissions...))
			a = a.with("Stripe-Account", "acct_1").with("Stripe-Version", "2020-08-27")
			r := a.as("rk_test_secret1234").do(test.method, test.path, "")
			if test.missing == "" {
				require.NotEqual(t, http.StatusForbidden, r.status, r.raw)
				return
			}
			require.Equal(t, http.StatusForbidden, r.status, r.raw)
			require.NotContains(t, r.failure(), "code")
			require.Equal(t, "The provided key 'rk_test_***' does not have the required permissions for this endpoint on account 'acct_1'. "+
				"Having the '"+test.missing+"' permission would allow this request to continue.", r.failure()["message"])
			require.NotEqual(t, http.StatusForbidden, a.as("rk_test_other").do(test.method, test.path, "").status)
		})
	}
}

func TestExpiredKeyIsRefused(t *testing.T) {
	a := memory(t, stripetest.WithExpiredKeys("sk_test_51abcdef9876"), stripetest.WithKeys(testKey, "sk_test_51abcdef9876"))
	r := a.as("sk_test_51abcdef9876").do("GET", "/v1/account", "")
	require.Equal(t, http.StatusUnauthorized, r.status)
	require.Equal(t, "api_key_expired", r.failure()["code"])
	require.Contains(t, r.failure()["message"], "sk_test_****9876")
	require.NotContains(t, r.raw, "abcdef")
	require.Equal(t, http.StatusOK, a.do("GET", "/v1/account", "").status)
}

func TestKeyCanExpireDuringATest(t *testing.T) {
	a := memory(t)
	statuses := func() (all []int) {
		for _, key := range []string{"sk_test_old", "rk_test_old", "sk_test_new"} {
			all = append(all, a.as(key).do("GET", "/v1/account", "").status)
		}
		return all
	}
	require.Equal(t, []int{200, 200, 200}, statuses())
	a.server.ExpireKeys("sk_test_old", "rk_test_old")
	require.Equal(t, []int{401, 401, 200}, statuses())
	require.Equal(t, "api_key_expired", a.as("sk_test_old").do("GET", "/v1/account", "").failure()["code"])
}
