package stripekit

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
	return c.check(ctx, c.current.Load())
}

func (c *Client) check(ctx context.Context, core *core, opts ...CallOption) (*Account, error) {
	out := new(Account)
	if err := c.call(ctx, http.MethodGet, "/v1/account", nil, out, append(opts, on(core))); err != nil {
		return nil, err
	}
	out.Mode = core.owner.mode
	return out, nil
}

// owner is whose a key is. One that is changed for another gets an owner of its
// own, so that they are told apart by their pointers.
type owner struct {
	mode Mode

	mu    sync.Mutex
	known bool
	id    string // empty where the key may not know
}

// identity is the account that the client acts for, empty where the key may not
// know, and whose key that was.
func (c *Client) identity(ctx context.Context) (id string, whose *owner, err error) {
	core := c.current.Load()
	whose = core.owner
	if c.account != "" {
		return c.account, whose, nil
	}
	whose.mu.Lock()
	defer whose.mu.Unlock()
	if whose.known {
		return whose.id, whose, nil
	}
	account, err := c.check(ctx, core)
	switch {
	case err == nil:
		whose.id = account.ID
	case errors.Is(err, ErrPermission):
		whose.id = accountNamed(err)
	default:
		return "", whose, err
	}
	whose.known = true
	return whose.id, whose, nil
}

// accountNamed is the account that a refusal for lack of a permission names:
// "… the required permissions for this endpoint on account 'acct_…'. Having …".
func accountNamed(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return ""
	}
	_, rest, _ := strings.Cut(e.Message, "on account '")
	id, _, found := strings.Cut(rest, "'")
	if !found || !strings.HasPrefix(id, "acct_") {
		return ""
	}
	return id
}
