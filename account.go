package stripekit

import (
	"context"
	"net/http"
)

// Account is whose key it is.
type Account struct {
	ID              string   `json:"id"` // "acct_…"
	BusinessProfile struct { // what customers see
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"business_profile"`
	BusinessName     string   `json:"business_name"` // in old versions, in place of BusinessProfile
	ChargesEnabled   bool     `json:"charges_enabled"`
	Country          string   `json:"country"` // two letters
	Created          UnixTime `json:"created"`
	DefaultCurrency  string   `json:"default_currency"`
	DetailsSubmitted bool     `json:"details_submitted"`
	Email            string   `json:"email"`
	PayoutsEnabled   bool     `json:"payouts_enabled"`
	Type             string   `json:"type"`

	// Mode is Test or Live, as the key says.
	Mode Mode `json:"-"`
}

// Check asks the service whether the key is good and whose it is: the "test
// connection" of a connector. A restricted key that may not read its account
// fails with ErrPermission: it is good all the same.
func (c *Client) Check(ctx context.Context) (*Account, error) {
	out := new(Account)
	if err := c.call(ctx, http.MethodGet, "/v1/account", nil, out, nil); err != nil {
		return nil, err
	}
	out.Mode = c.mode
	return out, nil
}
