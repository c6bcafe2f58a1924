package stripetest

import (
	"fmt"
	"slices"
)

// intentConfirmFields are the parameters of a confirmation.
func intentConfirmFields() fields {
	return intentUpdateFields().only(
		"capture_method", "expand", "payment_method", "payment_method_data", "payment_method_options", "payment_method_types",
		"receipt_email", "setup_future_usage", "shipping",
	).with(fields{
		"error_on_requires_action": boolean,
		"off_session":              offSession,
		"return_url":               text,
		"use_stripe_sdk":           boolean,
	})
}

// offSession accepts a boolean or what it was in former versions.
func offSession(name string, v *value) *apiError {
	if v.text == "one_off" || v.text == "recurring" {
		return nil
	}
	return boolean(name, v)
}

// confirmIntent charges the payment method, or asks for an authentication. A
// payment intent that requires an action can be confirmed again: then the
// authentication begins anew.
func confirmIntent(c *call) (any, *apiError) {
	old, failure := c.account.paymentIntents.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := old.checkConfirmable(); failure != nil {
		return nil, failure
	}
	if failure := checkIntentShipping(c.params); failure != nil {
		return nil, failure
	}
	changed := *old
	changed.set(c.params)
	method, failure := c.account.chosenMethod(c, &changed, true)
	if failure != nil {
		if failure.PaymentIntent != nil {
			failure.PaymentIntent = old // a refused request changes nothing
		}
		return nil, failure
	}
	return c.account.attempt(c, changed, method)
}

// checkConfirmable has the text of public reports for an intent that has succeeded.
// That for the other statuses is one that reports quote in part.
func (p *paymentIntent) checkConfirmable() *apiError {
	switch p.Status {
	case needsMethod, needsConfirmation, needsAction:
		return nil
	case intentSucceeded:
		return p.refuse(codeUnexpectedState, "", "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.")
	}
	return p.refuse(codeUnexpectedState, "", fmt.Sprintf("You cannot confirm this PaymentIntent because it has a status of %s. "+
		"Only a PaymentIntent with one of the following statuses may be confirmed: "+
		"requires_payment_method, requires_confirmation, requires_action.", p.Status))
}

// chosenMethod returns the payment method that the parameters name or describe, and
// otherwise that of the intent or the customer's default source if the intent is to
// be confirmed. It is nil if there is none and none is needed. It is stored later,
// so that a refused request changes nothing.
func (a *account) chosenMethod(c *call, p *paymentIntent, confirming bool) (*paymentMethod, *apiError) {
	if confirming {
		if failure := p.checkReturnURL(c.params); failure != nil {
			return nil, failure
		}
	}
	if sent := c.params.hash("payment_method_data"); sent != nil && !c.params.has("payment_method") {
		if failure := sentType(sent); failure != nil {
			return nil, failure
		}
		return a.newPaymentMethod(c, sent, "payment_method_data")
	}
	id := c.params.string("payment_method")
	if id == "" && confirming {
		id = a.methodToConfirm(p)
	}
	switch {
	case id == "" && confirming:
		return nil, p.refuseWithoutMethod()
	case id == "":
		return nil, nil
	}
	method, failure := a.usableMethod(c, id, p)
	if failure != nil {
		return nil, failure
	}
	return method, p.checkOwner(method)
}

func sentType(sent *value) *apiError {
	if !sent.has("type") {
		return missingParam("payment_method_data[type]")
	}
	return nil
}

// methodToConfirm returns the payment method of the intent, or the default source of
// its customer, or "".
func (a *account) methodToConfirm(p *paymentIntent) string {
	if p.PaymentMethod != nil {
		return *p.PaymentMethod
	}
	if owner, ok := a.customers.get(deref(p.Customer)); ok {
		return deref(owner.DefaultSource)
	}
	return ""
}

// usableMethod returns the payment method with this id, which may be a card that is
// a source of the intent's customer.
func (a *account) usableMethod(c *call, id string, p *paymentIntent) (*paymentMethod, *apiError) {
	if owner, ok := a.customers.get(deref(p.Customer)); ok {
		if card := owner.card(id); card != nil {
			return cardMethod(card), nil
		}
	}
	return a.findPaymentMethod(c, id)
}

// checkReturnURL refuses to confirm without a URL to return to, if the payment
// methods are those of the account's settings: a new account of Stripe has some that
// redirect.
func (p *paymentIntent) checkReturnURL(params *value) *apiError {
	if p.AutomaticPaymentMethods == nil || p.AutomaticPaymentMethods.AllowRedirects == "never" || params.has("return_url") {
		return nil
	}
	return p.refuse("", "", "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "+
		"Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. "+
		"If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "+
		"`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.")
}

func (p *paymentIntent) refuseWithoutMethod() *apiError {
	message := "You cannot confirm this PaymentIntent because it's missing a payment method. "
	if p.Customer != nil {
		message += fmt.Sprintf("To confirm the PaymentIntent with %s, specify a payment method attached to this customer along with the customer ID.", *p.Customer)
	} else {
		message += "You can either update the PaymentIntent with a payment method and then confirm it again, " +
			"or confirm it again directly with a payment method or ConfirmationToken."
	}
	return p.refuse(codeUnexpectedState, "", message)
}

// checkOwner refuses a payment method of another customer, and one that cannot be
// used again.
func (p *paymentIntent) checkOwner(m *paymentMethod) *apiError {
	switch {
	case m.spent:
		return spentMethod()
	case m.Customer == nil || deref(m.Customer) == deref(p.Customer):
		return nil
	case p.Customer == nil:
		return p.refuse(codeMissing, "source", fmt.Sprintf("The `payment_method` parameter supplied %s belongs to the Customer %s. "+
			"Please include the Customer in the `customer` parameter on the PaymentIntent.", m.ID, *m.Customer))
	}
	return p.refuse("", "payment_method", fmt.Sprintf("The PaymentMethod %s does not belong to the Customer you supplied %s. "+
		"Please use this PaymentMethod with the Customer that it belongs to instead.", m.ID, *p.Customer))
}

// attempt charges the payment method, or asks the customer to authenticate. It
// stores the intent in either case, and a declined charge too.
func (a *account) attempt(c *call, p paymentIntent, m *paymentMethod) (any, *apiError) {
	a.keep(m)
	p.PaymentMethod, p.NextAction, p.LastPaymentError = &m.ID, nil, nil
	absent := c.params.has("off_session") && c.params.string("off_session") != "false"
	switch needed := p.needsAuthentication(m, absent); {
	case needed && (absent || c.params.boolean("error_on_requires_action", false)):
		return nil, a.failPayment(&p, m, notAuthenticated.refusal(""))
	case needed:
		p.Status, p.NextAction, p.authenticated = needsAction, newNextAction(&p, c.params), ""
		a.paymentIntents.replace(p.ID, &p)
		return &p, nil
	}
	paid, failure := a.pay(c, p, m)
	if failure != nil {
		return nil, failure
	}
	return paid, nil
}

// pay charges the payment method. The events come in the order of Stripe: that of
// the charge, and then that of the intent.
func (a *account) pay(c *call, p paymentIntent, m *paymentMethod) (*paymentIntent, *apiError) {
	decline := m.decline()
	m = a.useMethod(&p, m, decline == nil)
	ch := newIntentCharge(c, &p, m, decline)
	p.LatestCharge, p.NextAction, p.authenticated = &ch.ID, nil, ""
	if decline != nil {
		ch.fail(decline)
		a.charges.add(ch.ID, ch.Created, ch)
		return nil, a.failPayment(&p, m, decline.refusal(ch.ID))
	}
	ch.succeed(p.CaptureMethod != "manual")
	transaction := ch.BalanceTransaction
	if p.CaptureMethod == "automatic_async" {
		ch.BalanceTransaction = nil
	}
	a.charges.add(ch.ID, ch.Created, ch)
	a.disputeOrReview(ch)
	if p.CaptureMethod == "manual" {
		p.Status, p.AmountCapturable = needsCapture, p.Amount
	} else {
		p.Status, p.AmountReceived = intentSucceeded, p.Amount
	}
	a.paymentIntents.replace(p.ID, &p)
	a.settleTransaction(ch.ID, transaction)
	return &p, nil
}

// settleTransaction gives a charge its balance transaction, soon after the response
// if the capture is asynchronous.
func (a *account) settleTransaction(id string, transaction *string) {
	stored, ok := a.charges.get(id)
	if !ok || transaction == nil || stored.BalanceTransaction != nil {
		return
	}
	settled := *stored
	settled.BalanceTransaction = transaction
	a.charges.replace(id, &settled)
}

// useMethod stores what a payment makes of its method. A successful one with
// setup_future_usage attaches it to the customer. One without a customer cannot be
// used again, whether the charge succeeds or not.
func (a *account) useMethod(p *paymentIntent, m *paymentMethod, succeeds bool) *paymentMethod {
	if _, stored := a.paymentMethods.get(m.ID); !stored {
		return m // it is a source of the customer
	}
	if succeeds && p.SetupFutureUsage != nil && p.Customer != nil && m.Customer == nil {
		m = a.attachMethod(m, *p.Customer)
	}
	used := *m
	used.spent = m.Customer == nil
	used.setUp = m.setUp || succeeds && deref(p.SetupFutureUsage) == "off_session"
	a.paymentMethods.replace(m.ID, &used)
	return &used
}

// failPayment stores a payment intent whose payment has failed, and returns the
// error with the intent and the payment method in it.
func (a *account) failPayment(p *paymentIntent, m *paymentMethod, failure *apiError) *apiError {
	p.Status, p.PaymentMethod, p.NextAction, p.authenticated = needsMethod, nil, nil, ""
	p.LastPaymentError = &paymentError{
		Charge:            failure.Charge,
		Code:              failure.Code,
		DeclineCode:       failure.DeclineCode,
		DocURL:            docURL(failure.Code),
		Message:           failure.Message,
		Param:             failure.Param,
		PaymentMethod:     m,
		PaymentMethodType: m.Type,
		Type:              failure.Type,
	}
	a.paymentIntents.replace(p.ID, p)
	failure.PaymentIntent, failure.PaymentMethod, failure.kept = p, m, true
	return failure
}

// newIntentCharge makes the charge of a payment intent, with the decline of its
// payment method.
func newIntentCharge(c *call, p *paymentIntent, m *paymentMethod, decline *decline) *charge {
	ch := blankCharge(c, m.asCard(), p.Amount, p.Currency)
	test := testCards[m.token]
	test.decline = decline
	ch.ApplicationFeeAmount = p.ApplicationFeeAmount
	ch.BillingDetails = m.BillingDetails
	ch.CalculatedStatementDescriptor = p.StatementDescriptor
	ch.Customer = p.Customer
	ch.Description = p.Description
	ch.Metadata = p.Metadata
	ch.OnBehalfOf = p.OnBehalfOf
	ch.Outcome = newOutcome(test)
	ch.PaymentIntent = &p.ID
	if decline == nil {
		ch.PaymentMethodDetails.Card.AmountAuthorized = &ch.Amount
	}
	ch.ReceiptEmail = p.ReceiptEmail
	ch.Shipping = p.Shipping
	ch.Source, ch.token = nil, m.token
	ch.StatementDescriptor = p.StatementDescriptor
	ch.StatementDescriptorSuffix = p.StatementDescriptorSuffix
	if p.TransferData != nil {
		ch.TransferData = new(transferData(*p.TransferData))
	}
	ch.TransferGroup = p.TransferGroup
	return ch
}

func intentCaptureFields() fields {
	return captureFields().without("amount", "receipt_email", "transfer_group").with(fields{
		"amount_to_capture": integer, "final_capture": boolean, "metadata": metadata,
	})
}

// captureIntent captures all or part of the amount, and refunds the rest.
func captureIntent(c *call) (any, *apiError) {
	c.account.expireCharges(c.time)
	old, failure := c.account.paymentIntents.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := old.checkCapture(c.params); failure != nil {
		return nil, failure
	}
	held, failure := c.account.charges.find(deref(old.LatestCharge))
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	amount := c.params.integer("amount_to_capture", old.AmountCapturable)
	c.account.captureAmount(c, held, amount)
	changed.set(c.params)
	changed.Status, changed.AmountCapturable, changed.AmountReceived = intentSucceeded, 0, amount
	c.account.paymentIntents.replace(old.ID, &changed)
	return &changed, nil
}

// checkCapture has the texts of public reports, but for that of final_capture, which
// is assumed: an account needs a permission to capture more than once.
func (p *paymentIntent) checkCapture(params *value) *apiError {
	amount := params.integer("amount_to_capture", p.AmountCapturable)
	switch {
	case p.Status == intentSucceeded:
		return p.refuse(codeUnexpectedState, "", "This PaymentIntent could not be captured because it has already been captured.")
	case p.Status != needsCapture:
		return p.refuse(codeUnexpectedState, "", fmt.Sprintf("This PaymentIntent could not be captured because it has a status of %s. "+
			"Only a PaymentIntent with one of the following statuses may be captured: requires_capture.", p.Status))
	case amount < 0:
		return p.refuse("", "amount_to_capture", "Invalid non-negative integer")
	case amount == 0:
		return p.refuse(codeInvalidInteger, "amount", "This value must be greater than or equal to 1.")
	case amount > p.AmountCapturable:
		return p.refuse("amount_too_large", "", "The payment could not be captured because the requested capture amount is greater than "+
			"the amount you can capture for this charge.")
	case !params.boolean("final_capture", true):
		return p.refuse("", "final_capture", "This PaymentIntent can be captured only once, so final_capture must be true.")
	case params.has("transfer_data") && p.TransferData == nil:
		return p.refuse("", "transfer_data", fmt.Sprintf("PaymentIntent %s has no transfer_data.", p.ID))
	}
	return nil
}

func intentCancelFields() fields {
	return fields{
		"cancellation_reason": oneOf("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
		"expand":              list(text),
	}
}

// cancelIntent cancels a payment intent that has not succeeded, and refunds what
// could have been captured. The statuses in the text are those that the service
// names, though some are none of the API.
func cancelIntent(c *call) (any, *apiError) {
	c.account.expireCharges(c.time)
	old, failure := c.account.paymentIntents.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if !slices.Contains([]string{needsMethod, needsCapture, needsConfirmation, needsAction}, old.Status) {
		return nil, old.refuse(codeUnexpectedState, "", fmt.Sprintf("You cannot cancel this PaymentIntent because it has a status of %s. "+
			"Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, "+
			"requires_reauthorization, requires_confirmation, requires_action, expired, processing.", old.Status))
	}
	if held, ok := c.account.charges.get(deref(old.LatestCharge)); ok && old.Status == needsCapture {
		c.account.addRefund(held, newRefund(held, held.unrefunded(), c.time.Unix()))
	}
	return c.account.cancelAt(old, c.time.Unix(), c.params.string("cancellation_reason")), nil
}

func (a *account) cancelAt(old *paymentIntent, second int64, reason string) *paymentIntent {
	canceled := *old
	canceled.Status, canceled.AmountCapturable, canceled.NextAction, canceled.authenticated = intentCanceled, 0, nil, ""
	canceled.CanceledAt, canceled.CancellationReason = &second, optionalText(reason)
	a.paymentIntents.replace(old.ID, &canceled)
	return &canceled
}

// releaseIntent cancels the payment intent of a charge that was refunded, or has
// expired, before it was captured.
func (a *account) releaseIntent(ch *charge, second int64, reason string) {
	if old, ok := a.paymentIntents.get(deref(ch.PaymentIntent)); ok && old.Status == needsCapture {
		a.cancelAt(old, second, reason)
	}
}

// shape gives the objects in an error the shape of the call's version.
func (e *apiError) shape(c *call) *apiError {
	for _, object := range []*any{&e.PaymentIntent, &e.PaymentMethod} {
		if *object != nil && !c.version.current() {
			shaped := newTree(*object)
			c.account.embedAll(shaped, c.version)
			c.version.rewrite(c.account.prices.get, shaped)
			*object = shaped
		}
	}
	return e
}

// copyIntents stores copies of a payment intent, each with a charge of its own if
// the intent has one.
func (a *account) copyIntents(id string, seeding Seeding) []string {
	original, _ := a.paymentIntents.get(id)
	ids := copyObjects(a.paymentIntents, id, seeding, func(p *paymentIntent, id string, second int64) {
		p.ID, p.Created, p.ClientSecret = id, second, id+"_secret_"+quickID("", 25)
		if latest, ok := a.charges.get(deref(original.LatestCharge)); ok {
			copied := *latest
			copied.ID, copied.Created, copied.PaymentIntent = quickID("ch_3", len(latest.ID)), second, &p.ID
			p.LatestCharge = &copied.ID
			a.charges.add(copied.ID, second, &copied)
		}
	})
	if original.LatestCharge != nil && ids[0] != id {
		a.charges.forget(*original.LatestCharge) // the first intent got a charge with its chosen id
	}
	return ids
}

// checkIntents refuses a loaded account with a payment intent that could not be
// captured, since its charge is missing.
func (a *account) checkIntents() error {
	for id, e := range a.paymentIntents.byID {
		intent := e.read()
		if _, ok := a.charges.get(deref(intent.LatestCharge)); !ok && intent.Status == needsCapture {
			return fmt.Errorf("paymentIntents: %s: its charge is missing", id)
		}
	}
	return nil
}
