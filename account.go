package stripekit

import (
	"context"
	"errors"
	"net/http"
	"sync"
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

// owner is the id of the account that a key belongs to, once it is known.
type owner struct {
	mu    sync.Mutex
	known bool
	id    string
}

// accountID is the account that the client acts for. It is empty where the key
// may not know.
func (c *Client) accountID(ctx context.Context) (string, error) {
	if c.account != "" {
		return c.account, nil
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if c.owner.known {
		return c.owner.id, nil
	}
	account, err := c.Check(ctx)
	switch {
	case err == nil:
		c.owner.id = account.ID
	case !errors.Is(err, ErrPermission):
		return "", err
	}
	c.owner.known = true
	return c.owner.id, nil
}
