package stripetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// challenge is what a test card asks of its customer: an authentication by 3D
// Secure. A charge without a payment intent cannot ask for it, and is declined.
type challenge struct {
	optional bool     // only if request_three_d_secure asks for it
	absent   bool     // not if the customer is absent (off_session)
	setUp    bool     // not if the customer is absent and a payment has set the method up
	decline  *decline // of the charge that follows; nil: it succeeds
}

// challenges has the test cards that ask for an authentication, by their tokens. The
// behaviour is that of Stripe's documentation of testing, as far as it is remembered.
var challenges = map[string]challenge{
	"tok_authenticationRequired":                                {},
	"tok_authenticationRequiredOnSetup":                         {setUp: true},
	"tok_authenticationRequiredSetupForOffSession":              {absent: true},
	"tok_authenticationRequiredChargeDeclinedInsufficientFunds": {decline: insufficientFunds},
	"tok_threeDSecure2Required":                                 {},
	"tok_threeDSecureRequired":                                  {},
	"tok_threeDSecureRequiredChargeDeclined":                    {decline: genericDecline},
	"tok_threeDSecureOptional":                                  {optional: true},
}

// notAuthenticated is the decline of a payment whose customer is absent. Recordings
// that others have published show it without a charge.
var notAuthenticated = &decline{
	code: "authentication_required", reason: "authentication_required",
	message: "Your card was declined. This transaction requires authentication.",
}

// decline returns the decline of the method's charges, or nil.
func (m *paymentMethod) decline() *decline {
	if asked, ok := challenges[m.token]; ok {
		return asked.decline
	}
	return testCards[m.token].decline
}

// needsAuthentication reports whether the customer must authenticate the payment.
func (p *paymentIntent) needsAuthentication(m *paymentMethod, absent bool) bool {
	asked, ok := challenges[m.token]
	switch {
	case !ok || p.authenticated == m.ID:
		return false
	case asked.optional:
		return p.PaymentMethodOptions.Card.RequestThreeDSecure != "automatic"
	case absent:
		return !asked.absent && (!asked.setUp || !m.setUp)
	}
	return true
}

// nextAction is what the customer must do. With a URL to return to, that is to visit
// another one.
type nextAction struct {
	RedirectToURL *redirection `json:"redirect_to_url,omitempty"`
	Type          string       `json:"type"`
	UseStripeSDK  *sdkAction   `json:"use_stripe_sdk,omitempty"`
}

type redirection struct {
	ReturnURL string `json:"return_url"`
	URL       string `json:"url"`
}

// sdkAction is what Stripe's libraries for browsers and apps read. The real service
// has more in it.
type sdkAction struct {
	Type string `json:"type"`
}

func newNextAction(p *paymentIntent, params *value) *nextAction {
	if to := params.string("return_url"); to != "" && !params.boolean("use_stripe_sdk", false) {
		return &nextAction{Type: "redirect_to_url", RedirectToURL: &redirection{to, "https://hooks.stripe.test/3d_secure/" + p.ID}}
	}
	return &nextAction{Type: "use_stripe_sdk", UseStripeSDK: &sdkAction{"three_d_secure_redirect"}}
}

// Authenticate does what the customer of a payment intent with the status
// requires_action does in a browser: it passes the authentication, or fails it.
//
// If it is passed, the payment method is charged, which its test card may decline.
// With confirmation_method manual the status becomes requires_confirmation instead:
// the next confirmation charges. If it is failed, the status becomes
// requires_payment_method, and last_payment_error says why. The error names an
// intent that does not exist in any account, and one with another status.
func (s *Server) Authenticate(paymentIntent string, passed bool) error {
	if _, err := s.authenticatePayment(paymentIntent, passed); err != nil {
		return fmt.Errorf("stripetest: %w", err)
	}
	return nil
}

// authenticatePayment is Authenticate, and returns the status that follows.
func (s *Server) authenticatePayment(id string, passed bool) (status string, err error) {
	s.mu.Lock()
	accounts := slices.Collect(maps.Values(s.accounts))
	s.mu.Unlock()
	for _, a := range accounts {
		a.expireDue(s.now)
		if status, found, err := s.authenticateIn(a, id, passed); found {
			return status, err
		}
	}
	return "", fmt.Errorf("authenticate: there is no payment intent %q: %w", id, errNotThere)
}

func (s *Server) authenticateIn(a *account, id string, passed bool) (status string, found bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, found := a.paymentIntents.get(id)
	if !found {
		return "", false, nil
	}
	if p.Status != needsAction {
		return "", true, fmt.Errorf("authenticate: payment intent %s has the status %s, and not %s", id, p.Status, needsAction)
	}
	c := &call{server: s, method: http.MethodPost, account: a, time: s.now(), params: newValue(), version: defaultVersion}
	method, failure := a.usableMethod(c, deref(p.PaymentMethod), p)
	if failure != nil {
		return "", true, fmt.Errorf("authenticate: payment intent %s: %s", id, failure.Message)
	}
	a.automatically(c.time, func() { a.authenticated(c, *p, method, passed) })
	p, _ = a.paymentIntents.get(id)
	return p.Status, true, nil
}

// authenticated stores what follows from an authentication. The text is that of
// public reports (stripe-android).
func (a *account) authenticated(c *call, p paymentIntent, m *paymentMethod, passed bool) {
	switch {
	case !passed:
		a.failPayment(&p, m, invalidRequest("payment_intent_authentication_failure", "", "The provided PaymentMethod has failed authentication. "+
			"You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."))
	case p.ConfirmationMethod == "manual":
		p.Status, p.NextAction, p.authenticated = needsConfirmation, nil, m.ID
		a.paymentIntents.replace(p.ID, &p)
	default:
		_, _ = a.pay(c, p, m) // a decline is in the intent
	}
}

// authenticationState is the JSON of an authentication.
type authenticationState struct {
	PaymentIntent string `json:"payment_intent"`
	Fails         bool   `json:"fails"`
}

func (s *Server) controlAuthenticate(r *http.Request) (any, error) {
	var sent authenticationState
	if err := readControl(r, &sent); err != nil {
		return nil, err
	}
	status, err := s.authenticatePayment(sent.PaymentIntent, !sent.Fails)
	if err != nil {
		return nil, err
	}
	return map[string]string{"payment_intent": sent.PaymentIntent, "status": status}, nil
}
