package stripetest

import (
	"fmt"
	"time"
)

type refund struct {
	ID                     string             `json:"id"`
	Object                 string             `json:"object"`
	Amount                 int64              `json:"amount"` // smallest currency unit
	BalanceTransaction     *string            `json:"balance_transaction"`
	Charge                 string             `json:"charge"`
	Created                int64              `json:"created"` // seconds
	Currency               string             `json:"currency"`
	Customer               null               `json:"customer"`
	CustomerAccount        null               `json:"customer_account"`
	DestinationDetails     destinationDetails `json:"destination_details"`
	FailureReason          *string            `json:"failure_reason,omitempty"`
	InstructionsEmail      *string            `json:"instructions_email,omitempty"`
	Metadata               map[string]string  `json:"metadata"`
	PaymentIntent          *string            `json:"payment_intent"`
	PaymentMethod          null               `json:"payment_method"`
	Reason                 *string            `json:"reason"`
	ReceiptNumber          null               `json:"receipt_number"`
	SourceTransferReversal null               `json:"source_transfer_reversal"`
	Status                 string             `json:"status"`
	TransferReversal       null               `json:"transfer_reversal"`
}

type destinationDetails struct {
	Card cardReversal `json:"card"`
	Type string       `json:"type"`
}

type cardReversal struct {
	Type string `json:"type"`
}

func refundFields() fields {
	return fields{
		"amount":                 atLeast(1),
		"charge":                 nonEmpty,
		"currency":               currency,
		"customer":               nonEmpty,
		"expand":                 list(text),
		"instructions_email":     email(maxText),
		"metadata":               metadata,
		"origin":                 oneOf("customer_balance"),
		"payment_intent":         nonEmpty,
		"reason":                 oneOf("duplicate", "fraudulent", "requested_by_customer"),
		"refund_application_fee": boolean,
		"reverse_transfer":       boolean,
	}
}

func refundFilters() fields {
	return fields{"charge": nonEmpty, "payment_intent": nonEmpty}
}

func newRefunds(delay func(string) time.Duration) *collection[refund] {
	return newCollection("refund", delay, map[string]func(*refund) string{
		"charge":         func(r *refund) string { return r.Charge },
		"payment_intent": func(r *refund) string { return deref(r.PaymentIntent) },
	})
}

// createRefund refunds all that is left of a charge, or a part of it.
func createRefund(c *call) (any, *apiError) {
	c.account.expireCharges(c.time)
	ch, failure := refundedCharge(c)
	if failure != nil {
		return nil, failure
	}
	amount := c.params.integer("amount", ch.unrefunded())
	if failure := ch.checkRefund(amount); failure != nil {
		return nil, failure
	}
	created := newRefund(ch, amount, c.time.Unix())
	created.InstructionsEmail = c.params.optional("instructions_email")
	created.Metadata = newMetadata(c.params)
	created.Reason = c.params.optional("reason")
	status := ch.behaviour().refund
	if !ch.Captured {
		status = "" // no money moves
	}
	shown := c.account.settleRefund(ch, created, status)
	c.account.releaseIntent(ch, created.Created, "")
	return shown, nil
}

// settleRefund stores a refund of a charge and returns what the response shows.
// Soon after the response, the refund gets the status that the test card has for
// it: a pending refund succeeds, and one that has succeeded fails. A failed refund
// does not count in its charge.
func (a *account) settleRefund(ch *charge, r *refund, status string) *refund {
	shown := *r
	if status == "pending" {
		shown.Status = "pending"
	}
	a.addRefund(ch, &shown)
	switch status {
	case "pending":
		a.replaceRefund(r, 0)
	case "failed":
		stored := *r
		stored.Status, stored.FailureReason = "failed", new("unknown")
		a.replaceRefund(&stored, -r.Amount)
	}
	return &shown
}

// refundedCharge returns the charge to refund: the one in the path, the one
// with the id in the parameters, or the one of the payment intent that has
// succeeded.
func refundedCharge(c *call) (*charge, *apiError) {
	if c.id != "" {
		return c.account.charges.find(c.id)
	}
	id, intent := c.params.string("charge"), c.params.string("payment_intent")
	if id == "" && intent == "" {
		return nil, invalidRequest(codeMissing, "", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	if id != "" {
		ch, ok := c.account.charges.get(id)
		if !ok {
			return nil, noSuch("charge", id, "charge")
		}
		if intent != "" && deref(ch.PaymentIntent) != intent {
			return nil, invalidRequest("", "payment_intent", fmt.Sprintf("Charge %s does not belong to payment intent %s.", id, intent))
		}
		return ch, nil
	}
	if ch := c.account.paidCharge(intent); ch != nil {
		return ch, nil
	}
	if _, ok := c.account.paymentIntents.get(intent); ok {
		return nil, invalidRequest("", "", fmt.Sprintf("This PaymentIntent (%s) does not have a successful charge to refund.", intent))
	}
	return nil, noSuch("payment_intent", intent, "payment_intent")
}

func (ch *charge) unrefunded() int64 { return ch.Amount - ch.AmountRefunded }

// checkRefund refuses to refund an uncaptured charge in part: it can only be
// released as a whole.
func (ch *charge) checkRefund(amount int64) *apiError {
	switch {
	case ch.Status != "succeeded":
		return invalidRequest("charge_not_refundable", "", fmt.Sprintf("Charge %s cannot be refunded because it %s.", ch.ID, ch.Status))
	case ch.Refunded:
		return invalidRequest("charge_already_refunded", "", fmt.Sprintf("Charge %s has already been refunded.", ch.ID))
	case ch.Disputed:
		return invalidRequest("charge_disputed", "", fmt.Sprintf("Charge %s has been charged back; cannot issue a refund.", ch.ID))
	case amount > ch.unrefunded():
		return invalidRequest("", "amount", fmt.Sprintf("Refund amount (%s) is greater than unrefunded amount on charge (%s)",
			formatMoney(amount, ch.Currency), formatMoney(ch.unrefunded(), ch.Currency)))
	case !ch.Captured && amount < ch.Amount:
		return invalidRequest("", "amount", fmt.Sprintf("Charge %s is not captured: it cannot be refunded in part. Capture a smaller amount instead.", ch.ID))
	}
	return nil
}

// newRefund makes a refund that has succeeded.
func newRefund(ch *charge, amount, created int64) *refund {
	r := &refund{
		ID:                 newID("re_3", 22),
		Object:             "refund",
		Amount:             amount,
		Charge:             ch.ID,
		Created:            created,
		Currency:           ch.Currency,
		DestinationDetails: destinationDetails{cardReversal{"refund"}, "card"},
		Metadata:           map[string]string{},
		PaymentIntent:      ch.PaymentIntent,
		Status:             "succeeded",
	}
	if ch.Captured {
		r.BalanceTransaction = new(newID("txn_3", 22))
	} else {
		r.DestinationDetails.Card.Type = "reversal"
	}
	return r
}

// addRefund stores a refund and the charge with the refund added, and returns
// that charge. The caller has checked the amount.
func (a *account) addRefund(ch *charge, r *refund) *charge {
	a.refunds.add(r.ID, r.Created, r)
	return a.refundsChanged(ch, r.Amount)
}

// refundsChanged stores a charge after one of its refunds was added or changed.
// The argument more is added to the refunded amount; it may be negative.
func (a *account) refundsChanged(ch *charge, more int64) *charge {
	changed := *ch
	changed.AmountRefunded += more
	changed.Refunded = changed.AmountRefunded == changed.Amount
	a.charges.replace(ch.ID, &changed)
	return &changed
}

func updateRefund(c *call) (any, *apiError) {
	r, failure := c.account.refunds.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *r
	if changed.Metadata, failure = mergeMetadata(c.params, r.Metadata); failure != nil {
		return nil, failure
	}
	c.account.replaceRefund(&changed, 0)
	return &changed, nil
}

// cancelRefund cancels a refund and subtracts it from the charge's refunded
// amount.
func cancelRefund(c *call) (any, *apiError) {
	r, failure := c.account.refunds.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if r.Status != "requires_action" {
		return nil, invalidRequest("", "", fmt.Sprintf("Refund %s cannot be canceled because its status is %s. "+
			"Only a refund with status requires_action can be canceled.", r.ID, r.Status))
	}
	changed := *r
	changed.Status = "canceled"
	c.account.replaceRefund(&changed, -r.Amount)
	return &changed, nil
}

// replaceRefund stores a changed refund and updates its charge.
func (a *account) replaceRefund(r *refund, more int64) {
	a.refunds.replace(r.ID, r)
	if ch, ok := a.charges.get(r.Charge); ok {
		a.refundsChanged(ch, more)
	}
}

// ofCharge returns a handler that calls another one with the refund at the end
// of the path, if it is one of the charge in the path.
func ofCharge(handle handler) handler {
	return func(c *call) (any, *apiError) {
		if _, failure := c.account.charges.find(c.id); failure != nil {
			return nil, failure
		}
		if r, ok := c.account.refunds.get(c.innerID()); !ok || r.Charge != c.id {
			return nil, notFound("refund", c.innerID())
		}
		inner := *c
		inner.id = c.innerID()
		return handle(&inner)
	}
}

func listRefundsOfCharge(c *call) (any, *apiError) {
	if _, failure := c.account.charges.find(c.id); failure != nil {
		return nil, failure
	}
	q := c.account.refunds.newQuery(c.params, c.time)
	q.where["charge"] = c.id
	return listed(c, c.account.refunds, q)
}
