package stripetest

import (
	"cmp"
	"time"
)

// tenant identifies a separate set of data: an account in one mode.
type tenant struct {
	account string
	live    bool
}

type accountObject struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	BusinessType     *string           `json:"business_type"`
	Capabilities     capabilities      `json:"capabilities"`
	ChargesEnabled   bool              `json:"charges_enabled"`
	Country          string            `json:"country"`
	Created          int64             `json:"created"` // seconds
	DefaultCurrency  string            `json:"default_currency"`
	DetailsSubmitted bool              `json:"details_submitted"`
	Email            string            `json:"email"`
	Metadata         map[string]string `json:"metadata"`
	PayoutsEnabled   bool              `json:"payouts_enabled"`
	Settings         accountSettings   `json:"settings"`
	Type             string            `json:"type"`
}

type capabilities struct {
	CardPayments string `json:"card_payments"`
	Transfers    string `json:"transfers"`
}

type accountSettings struct {
	Dashboard dashboardSettings `json:"dashboard"`
}

type dashboardSettings struct {
	DisplayName string `json:"display_name"`
	Timezone    string `json:"timezone"`
}

// accountFor returns the data for a Stripe-Account header in one mode, and
// creates it empty if there is none. An empty header means the account of the
// keys that have no other.
func (s *Server) accountFor(header string, live bool) *account {
	a := s.tenantAccount(tenant{cmp.Or(header, s.sharedAccount()), live})
	a.expireDue(s.now)
	return a
}

func (s *Server) tenantAccount(key tenant) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[key] == nil {
		s.accounts[key] = s.newAccount(newProfile(key.account, s.started.Unix()), key.live)
	}
	return s.accounts[key]
}

// expireDue refunds the charges whose authorization has expired, and removes old
// events. It runs before each request, so that no request sees what should have
// expired. It reads the clock under the lock, so that the events of expired charges
// are not older than those that were listed before.
func (a *account) expireDue(now func() time.Time) {
	at := now()
	a.mu.RLock()
	due := a.expiredCharge(at) != nil || a.hasOldEvents(at)
	a.mu.RUnlock()
	if !due {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at = now()
	a.automatically(at, func() { a.expireCharges(at) })
	a.dropOldEvents(at)
}

func newProfile(id string, created int64) *accountObject {
	return &accountObject{
		ID:               id,
		Object:           "account",
		Capabilities:     capabilities{CardPayments: "active", Transfers: "active"},
		ChargesEnabled:   true,
		Country:          "US",
		Created:          created,
		DefaultCurrency:  "usd",
		DetailsSubmitted: true,
		Email:            "owner@stripe.test",
		Metadata:         map[string]string{},
		PayoutsEnabled:   true,
		Settings:         accountSettings{dashboardSettings{DisplayName: "Stripe test", Timezone: "Etc/UTC"}},
		Type:             "standard",
	}
}

func retrieveAccount(c *call) (any, *apiError) {
	return c.account.profile, nil
}
