package stripetest

import (
	"fmt"
	"strings"
	"time"
)

// authorizationLife is the time after which an uncaptured charge expires.
const authorizationLife = 7 * 24 * time.Hour

type charge struct {
	ID                            string            `json:"id"`
	Object                        string            `json:"object"`
	Amount                        int64             `json:"amount"` // smallest currency unit
	AmountCaptured                int64             `json:"amount_captured"`
	AmountRefunded                int64             `json:"amount_refunded"`
	Application                   null              `json:"application"`
	ApplicationFee                null              `json:"application_fee"`
	ApplicationFeeAmount          *int64            `json:"application_fee_amount"`
	BalanceTransaction            *string           `json:"balance_transaction"`
	BillingDetails                billingDetails    `json:"billing_details"`
	CalculatedStatementDescriptor *string           `json:"calculated_statement_descriptor"`
	Captured                      bool              `json:"captured"`
	Created                       int64             `json:"created"` // seconds
	Currency                      string            `json:"currency"`
	Customer                      *string           `json:"customer"`
	Description                   *string           `json:"description"`
	Disputed                      bool              `json:"disputed"`
	FailureBalanceTransaction     null              `json:"failure_balance_transaction"`
	FailureCode                   *string           `json:"failure_code"`
	FailureMessage                *string           `json:"failure_message"`
	FraudDetails                  fraudDetails      `json:"fraud_details"`
	Livemode                      bool              `json:"livemode"`
	Metadata                      map[string]string `json:"metadata"`
	OnBehalfOf                    *string           `json:"on_behalf_of"`
	Order                         *string           `json:"order,omitempty"`
	Outcome                       *outcome          `json:"outcome"`
	Paid                          bool              `json:"paid"`
	PaymentIntent                 *string           `json:"payment_intent"`
	PaymentMethod                 string            `json:"payment_method"`
	PaymentMethodDetails          *paymentDetails   `json:"payment_method_details"`
	RadarOptions                  *radarOptions     `json:"radar_options,omitempty"`
	ReceiptEmail                  *string           `json:"receipt_email"`
	ReceiptNumber                 null              `json:"receipt_number"`
	ReceiptURL                    *string           `json:"receipt_url"`
	Refunded                      bool              `json:"refunded"`
	Review                        *string           `json:"review"`
	Shipping                      *chargeShipping   `json:"shipping"`
	Source                        *card             `json:"source"`
	SourceTransfer                null              `json:"source_transfer"`
	StatementDescriptor           *string           `json:"statement_descriptor"`
	StatementDescriptorSuffix     *string           `json:"statement_descriptor_suffix"`
	Status                        string            `json:"status"` // succeeded or failed
	TransferData                  *transferData     `json:"transfer_data"`
	TransferGroup                 *string           `json:"transfer_group"`

	expired bool   // it was not captured within authorizationLife
	token   string // of its test card, if it has no source
}

type fraudDetails struct {
	UserReport string `json:"user_report,omitempty"`
}

type billingDetails struct {
	Address address `json:"address"`
	Email   *string `json:"email"`
	Name    *string `json:"name"`
	Phone   *string `json:"phone"`
	TaxID   *string `json:"tax_id"`
}

type radarOptions struct {
	Session *string `json:"session"`
}

type chargeShipping struct {
	Address        *address `json:"address"`
	Carrier        *string  `json:"carrier"`
	Name           *string  `json:"name"`
	Phone          *string  `json:"phone"`
	TrackingNumber *string  `json:"tracking_number"`
}

type transferData struct {
	Amount      *int64 `json:"amount"`
	Destination string `json:"destination"`
}

func chargeFields() fields {
	return fields{
		"amount":                      integer,
		"application_fee_amount":      integer,
		"capture":                     boolean,
		"currency":                    currency,
		"customer":                    filled(upTo(500)),
		"description":                 upTo(maxDescription),
		"expand":                      list(text),
		"metadata":                    metadata,
		"on_behalf_of":                nonEmpty,
		"radar_options":               hash(fields{"session": text}),
		"receipt_email":               email(maxText),
		"shipping":                    hash(chargeShippingFields()),
		"source":                      nonEmpty,
		"statement_descriptor":        statementDescriptor,
		"statement_descriptor_suffix": statementDescriptor,
		"transfer_data":               hash(fields{"amount": integer, "description": text, "destination": nonEmpty}),
		"transfer_group":              text,
	}
}

func chargeUpdateFields() fields {
	return fields{
		"customer":       nonEmpty,
		"description":    upTo(maxDescription),
		"expand":         list(text),
		"fraud_details":  requiring(fields{"user_report": oneOf("", "fraudulent", "safe")}, "user_report"),
		"metadata":       metadata,
		"receipt_email":  email(maxText),
		"shipping":       hash(chargeShippingFields()),
		"transfer_group": text,
	}
}

func captureFields() fields {
	return fields{
		"amount":                      atLeast(1),
		"application_fee_amount":      integer,
		"expand":                      list(text),
		"receipt_email":               email(maxText),
		"statement_descriptor":        statementDescriptor,
		"statement_descriptor_suffix": statementDescriptor,
		"transfer_data":               hash(fields{"amount": integer}),
		"transfer_group":              text,
	}
}

func chargeShippingFields() fields {
	address := addressFields()
	address["line1"] = nonEmpty
	return fields{
		"address":         hash(address),
		"carrier":         text,
		"name":            nonEmpty,
		"phone":           text,
		"tracking_number": text,
	}
}

func chargeFilters() fields {
	return fields{"customer": nonEmpty, "payment_intent": nonEmpty, "transfer_group": nonEmpty}
}

func newCharges(delay func(string) time.Duration) *collection[charge] {
	return newCollection("charge", delay, map[string]func(*charge) string{
		"customer":       func(ch *charge) string { return deref(ch.Customer) },
		"payment_intent": func(ch *charge) string { return deref(ch.PaymentIntent) },
		"transfer_group": func(ch *charge) string { return deref(ch.TransferGroup) },
		"uncaptured":     (*charge).uncaptured, // not a parameter; expireCharges uses it
	})
}

// uncaptured returns "true" if the charge can still be captured, and ""
// otherwise.
func (ch *charge) uncaptured() string {
	if ch.Status == "succeeded" && !ch.Captured && !ch.Refunded {
		return "true"
	}
	return ""
}

func createCharge(c *call) (any, *apiError) {
	if failure := checkCharge(c.params); failure != nil {
		return nil, failure
	}
	card, failure := c.account.paymentCard(c, c.params.string("customer"), c.params.string("source"))
	if failure != nil {
		return nil, failure
	}
	created := newCharge(c, card)
	if failure := c.account.addCharge(created, c.params.boolean("capture", true)); failure != nil {
		return nil, failure
	}
	return created, nil
}

// addCharge stores the charge. A declined charge is stored as failed. A dispute
// or a review that follows the response is in the stored charge, but not in the
// response.
func (a *account) addCharge(ch *charge, capture bool) *apiError {
	test := ch.behaviour()
	if test.decline != nil {
		ch.fail(test.decline)
		a.charges.add(ch.ID, ch.Created, ch)
		return test.decline.refusal(ch.ID)
	}
	ch.succeed(capture)
	a.charges.add(ch.ID, ch.Created, ch)
	a.disputeOrReview(ch)
	return nil
}

// behaviour returns what becomes of the charge and of its refunds.
func (ch *charge) behaviour() testCard {
	if ch.Source != nil {
		return ch.Source.behaviour()
	}
	return testCards[ch.token]
}

// disputeOrReview stores the dispute or the review that a charge gets soon after it
// has succeeded.
func (a *account) disputeOrReview(ch *charge) {
	test := ch.behaviour()
	if !test.disputed && !test.reviewed {
		return
	}
	stored := *ch
	stored.Disputed = test.disputed
	if test.reviewed {
		stored.Review = new(newID("prv_1", 23))
	}
	a.charges.replace(ch.ID, &stored)
}

func checkCharge(params *value) *apiError {
	if failure := required(params, "amount", "currency"); failure != nil {
		return failure
	}
	if failure := checkMoney(params.integer("amount", 0), params.string("currency")); failure != nil {
		return failure
	}
	if failure := checkChargeShipping(params); failure != nil {
		return failure
	}
	if params.has("transfer_data") {
		if failure := required(params, "transfer_data[destination]"); failure != nil {
			return failure
		}
	}
	if !params.has("source") && !params.has("customer") {
		return invalidRequest(codeMissing, "", "Must provide source or customer.")
	}
	return nil
}

func checkChargeShipping(params *value) *apiError {
	if !params.has("shipping") {
		return nil
	}
	return required(params, "shipping[name]", "shipping[address][line1]")
}

// paymentCard returns the card to charge: that of the token, or the default
// source of the customer.
func (a *account) paymentCard(c *call, customer, source string) (*card, *apiError) {
	if customer != "" {
		return a.customerCard(customer, source)
	}
	return a.spend(c, source, "source")
}

// customerCard returns the customer's card with the id of the source, or the
// default one. It refuses any other source: a token must be attached before it
// is charged with a customer.
func (a *account) customerCard(id, source string) (*card, *apiError) {
	customer, ok := a.customers.get(id)
	if !ok {
		return nil, noSuch("customer", id, "customer")
	}
	if chosen := customer.card(source); source != "" && chosen != nil {
		return chosen, nil
	}
	if source != "" {
		return nil, invalidRequest("missing", "source", fmt.Sprintf("Customer %s does not have a linked source with ID %s.", id, source))
	}
	if card := customer.defaultCard(); card != nil {
		return card, nil
	}
	return nil, noActiveCard()
}

// newCharge makes the charge that the parameters describe.
func newCharge(c *call, card *card) *charge {
	p := c.params
	ch := blankCharge(c, card, p.integer("amount", 0), strings.ToLower(p.string("currency")))
	ch.ApplicationFeeAmount = p.optionalInteger("application_fee_amount")
	ch.CalculatedStatementDescriptor = p.optional("statement_descriptor")
	ch.Description = p.optional("description")
	ch.Metadata = newMetadata(p)
	ch.OnBehalfOf = p.optional("on_behalf_of")
	ch.RadarOptions = newRadarOptions(p.hash("radar_options"))
	ch.ReceiptEmail = p.optional("receipt_email")
	ch.Shipping = newChargeShipping(p.hash("shipping"))
	ch.StatementDescriptor = p.optional("statement_descriptor")
	ch.StatementDescriptorSuffix = p.optional("statement_descriptor_suffix")
	ch.TransferData = newTransferData(p.hash("transfer_data"))
	ch.TransferGroup = p.optional("transfer_group")
	return ch
}

// blankCharge makes a charge that has neither succeeded nor failed yet.
func blankCharge(c *call, card *card, amount int64, currency string) *charge {
	id := newID("ch_3", 22)
	return &charge{
		ID:                   id,
		Object:               "charge",
		Amount:               amount,
		Created:              c.time.Unix(),
		Currency:             currency,
		Customer:             card.Customer,
		Livemode:             c.account.live,
		Metadata:             map[string]string{},
		Outcome:              newOutcome(card.behaviour()),
		PaymentMethod:        card.ID,
		PaymentMethodDetails: newPaymentDetails(card, amount),
		Source:               card,
	}
}

func (ch *charge) succeed(capture bool) {
	ch.Status, ch.Paid = "succeeded", true
	ch.ReceiptURL = new("https://pay.stripe.test/receipts/" + ch.ID)
	if capture {
		ch.capture(ch.Amount)
	}
}

func (ch *charge) capture(amount int64) {
	ch.Captured, ch.AmountCaptured = true, amount
	ch.BalanceTransaction = new(newID("txn_3", 22))
}

func (ch *charge) fail(d *decline) {
	ch.Status = "failed"
	ch.FailureCode, ch.FailureMessage = &d.code, &d.message
}

func updateCharge(c *call) (any, *apiError) {
	ch, failure := c.account.charges.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := c.account.checkChargeUpdate(ch, c.params); failure != nil {
		return nil, failure
	}
	changed := *ch
	if changed.Metadata, failure = mergeMetadata(c.params, ch.Metadata); failure != nil {
		return nil, failure
	}
	c.params.setText(&changed.Customer, "customer")
	c.params.setText(&changed.Description, "description")
	c.params.setText(&changed.ReceiptEmail, "receipt_email")
	c.params.setText(&changed.TransferGroup, "transfer_group")
	setHash(&changed.Shipping, c.params, "shipping", newChargeShipping)
	if report := c.params.hash("fraud_details"); report != nil {
		changed.FraudDetails.UserReport = report.string("user_report")
	}
	c.account.charges.replace(ch.ID, &changed)
	return &changed, nil
}

// checkChargeUpdate refuses to change a customer or transfer group that is set.
func (a *account) checkChargeUpdate(ch *charge, params *value) *apiError {
	if failure := checkChargeShipping(params); failure != nil {
		return failure
	}
	if id := params.string("customer"); id != "" && id != deref(ch.Customer) {
		if ch.Customer != nil {
			return invalidRequest("", "customer", fmt.Sprintf("Charge %s already has a customer.", ch.ID))
		}
		if _, ok := a.customers.get(id); !ok {
			return noSuch("customer", id, "customer")
		}
	}
	if params.has("transfer_group") && ch.TransferGroup != nil && params.string("transfer_group") != *ch.TransferGroup {
		return invalidRequest("", "transfer_group", fmt.Sprintf("Charge %s already has a transfer_group.", ch.ID))
	}
	return nil
}

// captureCharge captures all or part of the amount and refunds the rest.
func captureCharge(c *call) (any, *apiError) {
	c.account.expireCharges(c.time)
	ch, failure := c.account.charges.find(c.id)
	if failure != nil {
		return nil, failure
	}
	amount := c.params.integer("amount", ch.Amount)
	if failure := ch.checkCapture(amount, c.params); failure != nil {
		return nil, failure
	}
	return c.account.captureAmount(c, ch, amount), nil
}

// captureAmount captures an amount, changes what the parameters change, and
// refunds the rest.
func (a *account) captureAmount(c *call, ch *charge, amount int64) *charge {
	changed := *ch
	changed.capture(amount)
	if fee := c.params.optionalInteger("application_fee_amount"); fee != nil {
		changed.ApplicationFeeAmount = fee
	}
	if part := c.params.hash("transfer_data"); part != nil {
		changed.TransferData = &transferData{Amount: part.optionalInteger("amount"), Destination: ch.TransferData.Destination}
	}
	c.params.setText(&changed.ReceiptEmail, "receipt_email")
	c.params.setText(&changed.StatementDescriptor, "statement_descriptor")
	c.params.setText(&changed.CalculatedStatementDescriptor, "statement_descriptor")
	c.params.setText(&changed.StatementDescriptorSuffix, "statement_descriptor_suffix")
	c.params.setText(&changed.TransferGroup, "transfer_group")
	a.charges.replace(ch.ID, &changed)
	if rest := ch.Amount - amount; rest > 0 {
		return a.addRefund(&changed, newRefund(&changed, rest, c.time.Unix()))
	}
	return &changed
}

func (ch *charge) checkCapture(amount int64, params *value) *apiError {
	switch {
	case ch.PaymentIntent != nil: // as Stripe's description of the API asks for; the text is assumed
		return invalidRequest("", "", fmt.Sprintf("Charge %s was created by PaymentIntent %s. Capture the PaymentIntent instead.", ch.ID, *ch.PaymentIntent))
	case ch.expired:
		return invalidRequest("charge_expired_for_capture", "", fmt.Sprintf("Charge %s has expired and can no longer be captured.", ch.ID))
	case ch.Captured:
		return invalidRequest("charge_already_captured", "", fmt.Sprintf("Charge %s has already been captured.", ch.ID))
	case ch.Refunded:
		return invalidRequest("charge_already_refunded", "", fmt.Sprintf("Charge %s has already been refunded.", ch.ID))
	case ch.Status != "succeeded":
		return invalidRequest("", "", fmt.Sprintf("Charge %s cannot be captured because it %s.", ch.ID, ch.Status))
	case amount > ch.Amount:
		return tooLarge(ch.Amount, ch.Currency)
	case params.has("transfer_data") && ch.TransferData == nil:
		return invalidRequest("", "transfer_data", fmt.Sprintf("Charge %s has no transfer_data.", ch.ID))
	}
	return nil
}

// expiredCharge returns the oldest uncaptured charge that has expired, or nil.
func (a *account) expiredCharge(now time.Time) *charge {
	deadline := now.Add(-authorizationLife).Unix()
	for e := range a.charges.grouped("uncaptured", "true").ascend(everything.until(endOf(deadline))) {
		return e.read()
	}
	return nil
}

// expireCharges refunds the charges that were not captured in time. Each refund
// has the second in which its charge expired as its created timestamp.
func (a *account) expireCharges(now time.Time) {
	if a.journal.recorder != nil {
		a.automatically(now, func() { a.refundExpired(now) })
		return
	}
	a.refundExpired(now) // no events while an object is seeded
}

func (a *account) refundExpired(now time.Time) {
	for ch := a.expiredCharge(now); ch != nil; ch = a.expiredCharge(now) {
		expired := *ch
		expired.expired = true
		r := newRefund(&expired, ch.unrefunded(), ch.Created+int64(authorizationLife/time.Second))
		r.Reason = new("expired_uncaptured_charge")
		a.addRefund(&expired, r)
		a.releaseIntent(&expired, r.Created, "automatic")
	}
}

func newRadarOptions(params *value) *radarOptions {
	if params == nil {
		return nil
	}
	return &radarOptions{Session: params.optional("session")}
}

func newChargeShipping(params *value) *chargeShipping {
	if params == nil {
		return nil
	}
	return &chargeShipping{
		Address:        newAddress(params.hash("address")),
		Carrier:        params.optional("carrier"),
		Name:           params.optional("name"),
		Phone:          params.optional("phone"),
		TrackingNumber: params.optional("tracking_number"),
	}
}

func newTransferData(params *value) *transferData {
	if params == nil {
		return nil
	}
	return &transferData{Amount: params.optionalInteger("amount"), Destination: params.string("destination")}
}
