package stripetest

import "cmp"

// tenant says whose data a request is about.
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

// accountFor returns the data that a request with this Stripe-Account header
// is about, an empty account if it is the first. An empty header means the
// account that the keys belong to.
func (s *Server) accountFor(header string, live bool) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := tenant{cmp.Or(header, s.accountID), live}
	if s.accounts[key] == nil {
		s.accounts[key] = newAccount(newProfile(key.account, s.started.Unix()), live)
	}
	return s.accounts[key]
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
