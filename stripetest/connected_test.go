package stripetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestUnknownConnectedAccountIsRefused(t *testing.T) {
	only := stripetest.WithConnectedAccounts("acct_1", "acct_2")
	own := memory(t).get("/v1/account")["id"].(string)
	for name, test := range map[string]struct {
		account string
		opts    []stripetest.Option
		refused bool
	}{
		"any":                 {account: "acct_x"},
		"listed":              {account: "acct_2", opts: []stripetest.Option{only}},
		"not listed":          {account: "acct_x", opts: []stripetest.Option{only}, refused: true},
		"another's own":       {account: own, opts: []stripetest.Option{only}, refused: true},
		"no account id":       {account: "garbage", refused: true},
		"prefix only":         {account: "acct_", refused: true},
		"with odd characters": {account: "acct_1/x", refused: true},
		"of another object":   {account: "cus_1", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := memory(t, test.opts...)
			r := a.with("Stripe-Account", test.account).do("POST", "/v1/customers", "")
			if !test.refused {
				require.Equal(t, http.StatusOK, r.status, r.raw)
				return
			}
			require.Equal(t, http.StatusForbidden, r.status)
			require.Equal(t, "account_invalid", r.failure()["code"])
			require.Equal(t, "invalid_request_error", r.failure()["type"])
			require.Equal(t, "The provided key 'sk_test_****1234' does not have access to account '"+test.account+"' (or that account does not exist). "+
				"Application access may have been revoked.", r.failure()["message"])
		})
	}
	a := memory(t, only)
	id := a.get("/v1/account")["id"].(string)
	require.Equal(t, id, a.with("Stripe-Account", id).get("/v1/account")["id"], "its own account needs no list")
}
