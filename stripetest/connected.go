package stripetest

import (
	"fmt"
	"net/http"
	"strings"
)

// WithConnectedAccounts makes the server accept these accounts in a
// Stripe-Account header and no others, except those that its keys belong to. If
// it is used more than once, the accounts add up. Without this option the server
// accepts any well-formed id: acct_ and letters or digits.
func WithConnectedAccounts(accounts ...string) Option {
	return func(s *Server) {
		if s.connected == nil {
			s.connected = make(map[string]bool)
		}
		for _, account := range accounts {
			s.connected[account] = true
		}
	}
}

// actingAccount returns the account that a request is for: that of the
// Stripe-Account header, or that of its key.
func (s *Server) actingAccount(r *http.Request) (string, *apiError) {
	key := apiKey(r)
	named, own := r.Header.Get("Stripe-Account"), s.AccountOf(key)
	switch {
	case named == "" || named == own:
		return own, nil
	case s.connected[named]:
		return named, nil
	case s.connected != nil || !isAccountID(named):
		return "", noAccess(key, named)
	}
	return named, nil
}

func isAccountID(text string) bool {
	rest, ok := strings.CutPrefix(text, "acct_")
	return ok && rest != "" && !strings.ContainsFunc(rest, notInKey)
}

// noAccess is the error for an account that the key cannot act for. Public
// reports agree on the status, the code and the text.
func noAccess(key, account string) *apiError {
	return &apiError{
		status: http.StatusForbidden,
		Type:   typeInvalidRequest,
		Code:   "account_invalid",
		Message: fmt.Sprintf("The provided key '%s' does not have access to account '%s' (or that account does not exist). "+
			"Application access may have been revoked.", maskKey(key), account),
	}
}
