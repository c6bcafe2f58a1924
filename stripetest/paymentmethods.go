package stripetest

import (
	"cmp"
	"strings"
	"time"
)

// methodName is the name of a payment method in Stripe's error messages.
const methodName = "PaymentMethod"

// paymentMethod is a card that pays payment intents. The texts of its errors are
// those of public reports, unless a comment says otherwise.
type paymentMethod struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	AllowRedisplay  string            `json:"allow_redisplay"`
	BillingDetails  billingDetails    `json:"billing_details"`
	Card            methodCard        `json:"card"`
	Created         int64             `json:"created"` // seconds
	Customer        *string           `json:"customer"`
	CustomerAccount null              `json:"customer_account"`
	Livemode        bool              `json:"livemode"`
	Metadata        map[string]string `json:"metadata"`
	Type            string            `json:"type"`

	token string // of its test card
	spent bool   // it was charged without a customer, or detached: it cannot be used again
	setUp bool   // a payment has authorized later ones without the customer
}

type methodCard struct {
	Brand             string       `json:"brand"`
	Checks            cardChecks   `json:"checks"`
	Country           string       `json:"country"`
	DisplayBrand      string       `json:"display_brand"`
	ExpMonth          int          `json:"exp_month"`
	ExpYear           int          `json:"exp_year"`
	Fingerprint       string       `json:"fingerprint"`
	Funding           string       `json:"funding"`
	GeneratedFrom     null         `json:"generated_from"`
	Last4             string       `json:"last4"`
	Networks          cardNetworks `json:"networks"`
	RegulatedStatus   string       `json:"regulated_status"`
	ThreeDSecureUsage secureUsage  `json:"three_d_secure_usage"`
	Wallet            null         `json:"wallet"`
}

type cardNetworks struct {
	Available []string `json:"available"`
	Preferred null     `json:"preferred"`
}

type secureUsage struct {
	Supported bool `json:"supported"`
}

func paymentMethodFields() fields {
	return fields{
		"allow_redisplay": allowRedisplay,
		"billing_details": hash(billingFields()),
		"card":            hash(methodCardFields()),
		"expand":          list(text),
		"metadata":        metadata,
		"type":            oneOf("card"),
	}
}

func methodCardFields() fields {
	return fields{"cvc": text, "exp_month": integer, "exp_year": integer, "number": text, "token": text}
}

func paymentMethodUpdateFields() fields {
	return paymentMethodFields().without("type").with(fields{
		"card": hash(fields{"exp_month": integer, "exp_year": integer}),
	})
}

func paymentMethodListFields() fields {
	return listFields(fields{
		"allow_redisplay": allowRedisplay, "customer": nonEmpty, "customer_account": nonEmpty, "type": nonEmpty,
	}).without("created")
}

func billingFields() fields {
	return fields{"address": orEmpty(hash(addressFields())), "email": email(maxText), "name": text, "phone": text, "tax_id": text}
}

func allowRedisplay(name string, v *value) *apiError {
	return oneOf("always", "limited", "unspecified")(name, v)
}

func newPaymentMethods(delay func(string) time.Duration) *collection[paymentMethod] {
	methods := newCollection("payment_method", delay, map[string]func(*paymentMethod) string{
		"allow_redisplay":  func(m *paymentMethod) string { return m.AllowRedisplay },
		"customer":         func(m *paymentMethod) string { return deref(m.Customer) },
		"customer_account": func(*paymentMethod) string { return "" },
		"type":             func(m *paymentMethod) string { return m.Type },
	})
	methods.param = "payment_method"
	return methods
}

// paymentMethodEvents returns the types of the events of a changed payment method.
// A new one makes none.
func paymentMethodEvents(before, after *paymentMethod) []string {
	switch {
	case before == nil || after == nil:
		return nil
	case before.Customer == nil && after.Customer != nil:
		return []string{"payment_method.attached"}
	case before.Customer != nil && after.Customer == nil:
		return []string{"payment_method.detached"}
	}
	return []string{"payment_method.updated"}
}

func createPaymentMethod(c *call) (any, *apiError) {
	if failure := required(c.params, "type"); failure != nil {
		return nil, failure
	}
	made, failure := c.account.newPaymentMethod(c, c.params, "")
	if failure != nil {
		return nil, failure
	}
	c.account.paymentMethods.add(made.ID, made.Created, made)
	return made, nil
}

// newPaymentMethod makes the payment method that parameters describe, with a card
// number or a token. The prefix is that of the parameters' names in errors.
func (a *account) newPaymentMethod(c *call, params *value, prefix string) (*paymentMethod, *apiError) {
	sent := params.hash("card")
	if sent == nil {
		return nil, missingParam(nested(prefix, "card"))
	}
	card, failure := a.sentCard(c, sent, prefix)
	if failure != nil {
		return nil, failure
	}
	made := cardMethod(card)
	made.ID, made.Created, made.Livemode = newID("pm_1", 23), c.time.Unix(), a.live
	made.Metadata = newMetadata(params)
	made.set(params)
	return made, nil
}

// sentCard returns the card of a number or a token. The real service takes numbers
// from servers of accounts that it has allowed to send them.
func (a *account) sentCard(c *call, sent *value, prefix string) (*card, *apiError) {
	name := nested(prefix, "card")
	if token := sent.string("token"); token != "" {
		return a.spend(c, token, nested(name, "token"))
	}
	for _, needed := range []string{"number", "exp_month", "exp_year"} {
		if !sent.has(needed) {
			return nil, missingParam(nested(name, needed))
		}
	}
	token, failure := checkCard(c, sent)
	if failure != nil {
		return nil, failure
	}
	made := newCard(c, token)
	made.setHolder(sent)
	return made, nil
}

// cardMethod returns a card as a payment method, with the card's id and customer.
// The checks of a card are made when it is attached or charged.
func cardMethod(card *card) *paymentMethod {
	network := cmp.Or(card.behaviour().network, "visa")
	return &paymentMethod{
		ID:             card.ID,
		Object:         "payment_method",
		AllowRedisplay: "unspecified",
		BillingDetails: billingDetails{
			Address: address{
				City: card.AddressCity, Country: card.AddressCountry, Line1: card.AddressLine1, Line2: card.AddressLine2,
				PostalCode: card.AddressZip, State: card.AddressState,
			},
			Name: card.Name,
		},
		Card: methodCard{
			Brand:             network,
			Checks:            cardChecks{CVCCheck: "unchecked"},
			Country:           card.Country,
			DisplayBrand:      network,
			ExpMonth:          card.ExpMonth,
			ExpYear:           card.ExpYear,
			Fingerprint:       card.Fingerprint,
			Funding:           card.Funding,
			Last4:             card.Last4,
			Networks:          cardNetworks{Available: []string{network}},
			RegulatedStatus:   card.RegulatedStatus,
			ThreeDSecureUsage: secureUsage{true},
		},
		Customer: card.Customer,
		Metadata: card.Metadata,
		Type:     "card",
		token:    card.token,
	}
}

// asCard returns what a charge needs of the card.
func (m *paymentMethod) asCard() *card {
	checks := m.checks()
	return &card{
		ID:                m.ID,
		AddressLine1Check: checks.AddressLine1Check,
		AddressZipCheck:   checks.AddressPostalCodeCheck,
		Country:           m.Card.Country,
		Customer:          m.Customer,
		CVCCheck:          checks.CVCCheck,
		ExpMonth:          m.Card.ExpMonth,
		ExpYear:           m.Card.ExpYear,
		Fingerprint:       m.Card.Fingerprint,
		Funding:           m.Card.Funding,
		Last4:             m.Card.Last4,
		RegulatedStatus:   m.Card.RegulatedStatus,
		token:             m.token,
	}
}

// checks returns the results of the checks of the card and of the address that is
// known.
func (m *paymentMethod) checks() cardChecks {
	made := testCards[m.token].checks
	made.CVCCheck = cmp.Or(made.CVCCheck, "pass")
	if m.BillingDetails.Address.Line1 != nil && made.AddressLine1Check == nil {
		made.AddressLine1Check = new("pass")
	}
	if m.BillingDetails.Address.PostalCode != nil && made.AddressPostalCodeCheck == nil {
		made.AddressPostalCodeCheck = new("pass")
	}
	return made
}

// set changes the fields whose parameters were sent.
func (m *paymentMethod) set(params *value) {
	m.AllowRedisplay = cmp.Or(params.string("allow_redisplay"), m.AllowRedisplay)
	sent := params.hash("billing_details")
	if sent == nil {
		return
	}
	details := &m.BillingDetails
	if sent.has("address") {
		details.Address = address{}
		if given := newAddress(sent.hash("address")); given != nil {
			details.Address = *given
		}
	}
	sent.setText(&details.Email, "email")
	sent.setText(&details.Name, "name")
	sent.setText(&details.Phone, "phone")
	sent.setText(&details.TaxID, "tax_id")
}

// testMethod returns a new payment method for a name such as pm_card_visa, which
// stands for the test card of tok_visa, or nil.
func (a *account) testMethod(c *call, name string) *paymentMethod {
	rest, ok := strings.CutPrefix(name, "pm_card_")
	token, found := findTestCard("tok_" + rest)
	if !ok || !found {
		return nil
	}
	made := cardMethod(newCard(c, token))
	made.ID, made.Created, made.Livemode = newID("pm_1", 23), c.time.Unix(), a.live
	return made
}

// findPaymentMethod returns the payment method with this id or test name.
func (a *account) findPaymentMethod(c *call, id string) (*paymentMethod, *apiError) {
	if found, ok := a.paymentMethods.get(id); ok {
		return found, nil
	}
	if made := a.testMethod(c, id); made != nil {
		return made, nil
	}
	return nil, noSuch(methodName, id, "payment_method")
}

// pathMethod returns the payment method that the path names.
func pathMethod(c *call, id string) (*paymentMethod, *apiError) {
	found, failure := c.account.findPaymentMethod(c, id)
	if failure != nil {
		failure.status = 404
		return nil, failure
	}
	return found, nil
}

// keep stores a payment method that findPaymentMethod has made. A card that is a
// source of its customer is kept there.
func (a *account) keep(m *paymentMethod) {
	if _, known := a.paymentMethods.get(m.ID); !known && strings.HasPrefix(m.ID, "pm_") {
		a.paymentMethods.add(m.ID, m.Created, m)
	}
}

// retrievePaymentMethod shows a test name as the payment method that a use of it
// would make, with the name as its id. That is assumed.
func retrievePaymentMethod(c *call) (any, *apiError) {
	found, failure := pathMethod(c, c.id)
	if failure != nil {
		return nil, failure
	}
	shown := *found
	shown.ID = c.id
	return &shown, nil
}

// updatePaymentMethod has the refusal of public reports (omnipay-stripe).
func updatePaymentMethod(c *call) (any, *apiError) {
	old, failure := pathMethod(c, c.id)
	if failure != nil {
		return nil, failure
	}
	if old.Customer == nil {
		return nil, invalidRequest("", "", "You must save this PaymentMethod to a customer before you can update it.")
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if sent := c.params.hash("card"); sent != nil {
		changed.Card.ExpMonth = int(sent.integer("exp_month", int64(old.Card.ExpMonth)))
		changed.Card.ExpYear = int(sent.integer("exp_year", int64(old.Card.ExpYear)))
		if failure := checkExpiry(c, changed.Card.ExpMonth, changed.Card.ExpYear); failure != nil {
			return nil, failure
		}
	}
	changed.set(c.params)
	c.account.paymentMethods.replace(old.ID, &changed)
	return &changed, nil
}

func attachPaymentMethod(c *call) (any, *apiError) {
	if failure := required(c.params, "customer"); failure != nil {
		return nil, failure
	}
	owner := c.params.string("customer")
	if _, ok := c.account.customers.get(owner); !ok {
		return nil, noSuch("customer", owner, "customer")
	}
	method, failure := c.account.attachable(c, c.id)
	if failure != nil {
		if failure.missing.id == c.id {
			failure.status = 404
		}
		return nil, failure
	}
	return c.account.attachMethod(method, owner), nil
}

// attachable returns the payment method with this id, if it can be attached to a
// customer.
func (a *account) attachable(c *call, id string) (*paymentMethod, *apiError) {
	method, failure := a.findPaymentMethod(c, id)
	switch {
	case failure != nil:
		return nil, failure
	case method.Customer != nil:
		return nil, invalidRequest("", "", "The payment method you provided has already been attached to a customer.")
	case method.spent:
		return nil, spentMethod()
	}
	if test := testCards[method.token]; test.decline != nil && !test.attach {
		return nil, test.decline.refusal("")
	}
	return method, nil
}

// attachMethod attaches a payment method to a customer. It is stored if it is new.
func (a *account) attachMethod(m *paymentMethod, customer string) *paymentMethod {
	a.keep(m)
	changed := *m
	changed.Customer, changed.Card.Checks = &customer, m.checks()
	a.paymentMethods.replace(m.ID, &changed)
	return &changed
}

func detachPaymentMethod(c *call) (any, *apiError) {
	old, failure := pathMethod(c, c.id)
	if failure != nil {
		return nil, failure
	}
	if old.Customer == nil {
		return nil, invalidRequest("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
	}
	changed := *old
	changed.Customer, changed.spent = nil, true
	c.account.paymentMethods.replace(old.ID, &changed)
	return &changed, nil
}

func spentMethod() *apiError {
	return invalidRequest("", "", "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, "+
		"shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. "+
		"To use a PaymentMethod multiple times, you must attach it to a Customer first.")
}

func listCustomerPaymentMethods(c *call) (any, *apiError) {
	if _, failure := c.account.customers.find(c.id); failure != nil {
		return nil, failure
	}
	q := c.account.paymentMethods.newQuery(c.params, c.time)
	q.where["customer"] = c.id
	return listed(c, c.account.paymentMethods, q)
}

func retrieveCustomerPaymentMethod(c *call) (any, *apiError) {
	if _, failure := c.account.customers.find(c.id); failure != nil {
		return nil, failure
	}
	found, failure := pathMethod(c, c.innerID())
	if failure != nil {
		return nil, failure
	}
	if deref(found.Customer) != c.id {
		failure := noSuch(methodName, c.innerID(), "payment_method")
		failure.status = 404
		return nil, failure
	}
	return found, nil
}
