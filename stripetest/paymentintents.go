package stripetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// API versions in which payment intents changed, by Stripe's changelog of the API.
const (
	automaticMethods version = "2023-08-16" // automatic_payment_methods are the default
	asyncCapture     version = "2024-04-10" // capture_method is automatic_async by default
)

// Statuses of a payment intent. A card is charged at once, so that none is
// processing.
const (
	needsMethod       = "requires_payment_method"
	needsConfirmation = "requires_confirmation"
	needsAction       = "requires_action"
	needsCapture      = "requires_capture"
	intentSucceeded   = "succeeded"
	intentCanceled    = "canceled"
)

const codeUnexpectedState = "payment_intent_unexpected_state"

// paymentIntent is a payment by card, from its plan to its charge. Its statuses and
// the arrows between them are those of Stripe's documentation. The texts of its
// errors are those of public reports, and of recordings that others have published,
// unless a comment says otherwise.
type paymentIntent struct {
	ID                                string            `json:"id"`
	Object                            string            `json:"object"`
	AllowedPaymentMethodTypes         null              `json:"allowed_payment_method_types"`
	Amount                            int64             `json:"amount"` // smallest currency unit
	AmountCapturable                  int64             `json:"amount_capturable"`
	AmountDetails                     amountDetails     `json:"amount_details"`
	AmountReceived                    int64             `json:"amount_received"`
	Application                       null              `json:"application"`
	ApplicationFeeAmount              *int64            `json:"application_fee_amount"`
	AutomaticPaymentMethods           *automaticMethod  `json:"automatic_payment_methods"`
	CanceledAt                        *int64            `json:"canceled_at"` // seconds
	CancellationReason                *string           `json:"cancellation_reason"`
	CaptureMethod                     string            `json:"capture_method"`
	ClientSecret                      string            `json:"client_secret"`
	ConfirmationMethod                string            `json:"confirmation_method"`
	Created                           int64             `json:"created"` // seconds
	Currency                          string            `json:"currency"`
	Customer                          *string           `json:"customer"`
	CustomerAccount                   null              `json:"customer_account"`
	Description                       *string           `json:"description"`
	ExcludedPaymentMethodTypes        null              `json:"excluded_payment_method_types"`
	LastPaymentError                  *paymentError     `json:"last_payment_error"`
	LatestCharge                      *string           `json:"latest_charge"`
	Livemode                          bool              `json:"livemode"`
	Metadata                          map[string]string `json:"metadata"`
	NextAction                        *nextAction       `json:"next_action"`
	OnBehalfOf                        *string           `json:"on_behalf_of"`
	PaymentMethod                     *string           `json:"payment_method"`
	PaymentMethodConfigurationDetails null              `json:"payment_method_configuration_details"`
	PaymentMethodOptions              methodOptions     `json:"payment_method_options"`
	PaymentMethodTypes                []string          `json:"payment_method_types"`
	Processing                        null              `json:"processing"`
	ReceiptEmail                      *string           `json:"receipt_email"`
	Review                            null              `json:"review"`
	SetupFutureUsage                  *string           `json:"setup_future_usage"`
	Shipping                          *chargeShipping   `json:"shipping"`
	Source                            null              `json:"source"`
	StatementDescriptor               *string           `json:"statement_descriptor"`
	StatementDescriptorSuffix         *string           `json:"statement_descriptor_suffix"`
	Status                            string            `json:"status"`
	TransferData                      *intentTransfer   `json:"transfer_data"`
	TransferGroup                     *string           `json:"transfer_group"`

	authenticated string // the payment method that the customer has authenticated, with manual confirmation
}

// intentTransfer is transferData without an amount that is null.
type intentTransfer struct {
	Amount      *int64 `json:"amount,omitempty"`
	Destination string `json:"destination"`
}

type amountDetails struct {
	Tip struct{} `json:"tip"`
}

type automaticMethod struct {
	AllowRedirects string `json:"allow_redirects"`
	Enabled        bool   `json:"enabled"`
}

type methodOptions struct {
	Card cardOptions `json:"card"`
}

type cardOptions struct {
	Installments        null   `json:"installments"`
	MandateOptions      null   `json:"mandate_options"`
	Network             null   `json:"network"`
	RequestThreeDSecure string `json:"request_three_d_secure"`
}

// paymentError is the last_payment_error of a payment intent.
type paymentError struct {
	Charge            string         `json:"charge,omitempty"`
	Code              string         `json:"code,omitempty"`
	DeclineCode       string         `json:"decline_code,omitempty"`
	DocURL            string         `json:"doc_url,omitempty"`
	Message           string         `json:"message"`
	Param             string         `json:"param,omitempty"`
	PaymentMethod     *paymentMethod `json:"payment_method,omitempty"`
	PaymentMethodType string         `json:"payment_method_type,omitempty"`
	Type              string         `json:"type"`
}

func intentFields() fields {
	return intentUpdateFields().with(intentConfirmFields()).with(fields{
		"automatic_payment_methods": requiring(fields{"allow_redirects": oneOf("always", "never"), "enabled": boolean}, "enabled"),
		"confirm":                   boolean,
		"confirmation_method":       oneOf("automatic", "manual"),
		"on_behalf_of":              nonEmpty,
		"transfer_data":             hash(fields{"amount": integer, "description": text, "destination": nonEmpty}),
	})
}

func intentUpdateFields() fields {
	return fields{
		"amount":                      integer,
		"application_fee_amount":      orEmpty(integer),
		"capture_method":              oneOf("automatic", "automatic_async", "manual"),
		"currency":                    currency,
		"customer":                    nonEmpty,
		"description":                 upTo(1000),
		"expand":                      list(text),
		"metadata":                    metadata,
		"payment_method":              nonEmpty,
		"payment_method_data":         hash(paymentMethodFields().without("expand")),
		"payment_method_options":      hash(fields{"card": hash(fields{"request_three_d_secure": oneOf("any", "automatic", "challenge")})}),
		"payment_method_types":        list(oneOf("card", "link")),
		"receipt_email":               email(maxText),
		"setup_future_usage":          oneOf("", "off_session", "on_session"),
		"shipping":                    orEmpty(hash(chargeShippingFields())),
		"statement_descriptor":        statementDescriptor,
		"statement_descriptor_suffix": statementDescriptor,
		"transfer_data":               hash(fields{"amount": integer, "description": text}),
		"transfer_group":              text,
	}
}

func intentFilters() fields {
	return fields{"customer": nonEmpty, "customer_account": nonEmpty}
}

func newIntents(delay func(string) time.Duration) *collection[paymentIntent] {
	intents := newCollection("payment_intent", delay, map[string]func(*paymentIntent) string{
		"customer":         func(p *paymentIntent) string { return deref(p.Customer) },
		"customer_account": func(*paymentIntent) string { return "" },
	})
	intents.param = "intent"
	return intents
}

// intentEvents returns the types of the events of a changed payment intent. An
// update makes none.
func intentEvents(before, after *paymentIntent) []string {
	switch {
	case before == nil:
		return []string{"payment_intent.created"}
	case after == nil:
		return nil
	case after.LastPaymentError != nil && after.Status == needsMethod:
		return []string{"payment_intent.payment_failed"}
	case after.Status == before.Status:
		return nil
	}
	switch after.Status {
	case needsAction:
		return []string{"payment_intent.requires_action"}
	case needsCapture:
		return []string{"payment_intent.amount_capturable_updated"}
	case intentSucceeded, intentCanceled:
		return []string{"payment_intent." + after.Status}
	}
	return nil
}

// chargesOf returns the charges of a payment intent, the newest first. The versions
// that include them include the refunds of each, too.
func (a *account) chargesOf(intent string) *listObject {
	list := newest(a.charges, "payment_intent", intent, "/v1/charges?payment_intent="+intent)
	list.Data = newTree(list.Data)
	eachObject(list.Data, func(object *tree) {
		if object.text("object") == "charge" {
			object.set("refunds", newTree(a.refundsOf(object.text("id"))))
		}
	})
	return &list
}

// paidCharge returns the charge of a payment intent that has succeeded, or nil.
func (a *account) paidCharge(intent string) *charge {
	for e := range a.charges.grouped("payment_intent", intent).descend(everything) {
		if intent := e.read(); intent.Status == "succeeded" {
			return intent
		}
	}
	return nil
}

// createIntent stores nothing if it is refused. A declined payment is stored.
func createIntent(c *call) (any, *apiError) {
	if failure := c.account.checkIntent(c.params); failure != nil {
		return nil, failure
	}
	created := newIntent(c)
	confirmed := c.params.boolean("confirm", false)
	method, failure := c.account.chosenMethod(c, created, confirmed)
	if failure != nil {
		failure.PaymentIntent = nil // it does not exist
		return nil, failure
	}
	if method != nil {
		c.account.keep(method)
		created.PaymentMethod, created.Status = &method.ID, needsConfirmation
	}
	c.account.paymentIntents.add(created.ID, created.Created, created)
	if !confirmed {
		return created, nil
	}
	return c.account.attempt(c, *created, method)
}

func (a *account) checkIntent(params *value) *apiError {
	if failure := required(params, "amount", "currency"); failure != nil {
		return failure
	}
	if failure := checkIntentMoney(params.integer("amount", 0), params.string("currency")); failure != nil {
		return failure
	}
	if failure := checkIntentShipping(params); failure != nil {
		return failure
	}
	if params.has("transfer_data") {
		if failure := required(params, "transfer_data[destination]"); failure != nil {
			return failure
		}
	}
	if params.count("automatic_payment_methods", "payment_method_types") > 1 {
		return invalidRequest("", "payment_method_types", "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
	}
	if failure := checkConfirmation(params); failure != nil {
		return failure
	}
	return a.checkPayer(params)
}

// checkConfirmation refuses the parameters that Stripe's description allows with
// confirm=true only. The text is assumed.
func checkConfirmation(params *value) *apiError {
	if params.boolean("confirm", false) {
		return nil
	}
	for _, name := range []string{"error_on_requires_action", "off_session", "return_url"} {
		if params.has(name) {
			return invalidRequest("", name, "The parameter "+name+" can only be used with confirm=true.")
		}
	}
	return nil
}

func (a *account) checkPayer(params *value) *apiError {
	if id := params.string("customer"); id != "" {
		if _, ok := a.customers.get(id); !ok {
			return noSuch("customer", id, "customer")
		}
	}
	return nil
}

func checkIntentShipping(params *value) *apiError {
	if params.hash("shipping") == nil {
		return nil
	}
	return checkChargeShipping(params)
}

func checkIntentMoney(amount int64, currency string) *apiError {
	if amount < 1 {
		return invalidRequest(codeInvalidInteger, "amount", "The amount must be greater than or equal to the minimum charge amount allowed for your account "+
			"and the currency set (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).  If you want to save a Payment Method "+
			"for future use without an immediate payment, use a Setup Intent instead: https://docs.stripe.com/payments/setup-intents")
	}
	return checkMoney(amount, currency)
}

func newIntent(c *call) *paymentIntent {
	id := newID("pi_3", 22)
	created := &paymentIntent{
		ID:                   id,
		Object:               "payment_intent",
		CaptureMethod:        "automatic_async",
		ClientSecret:         id + "_secret_" + newID("", 25),
		ConfirmationMethod:   cmp.Or(c.params.string("confirmation_method"), "automatic"),
		Created:              c.time.Unix(),
		Livemode:             c.account.live,
		Metadata:             newMetadata(c.params),
		OnBehalfOf:           c.params.optional("on_behalf_of"),
		PaymentMethodOptions: methodOptions{cardOptions{RequestThreeDSecure: "automatic"}},
		PaymentMethodTypes:   []string{"card"},
		Status:               needsMethod,
	}
	if sent := newTransferData(c.params.hash("transfer_data")); sent != nil {
		created.TransferData = new(intentTransfer(*sent))
	}
	if c.version.before(asyncCapture) {
		created.CaptureMethod = "automatic"
	}
	created.AutomaticPaymentMethods = newAutomaticMethod(c)
	created.set(c.params)
	return created
}

// newAutomaticMethod returns the payment methods of the account's settings, or nil
// if the parameters or the version select others.
func newAutomaticMethod(c *call) *automaticMethod {
	if sent := c.params.hash("automatic_payment_methods"); sent != nil {
		if !sent.boolean("enabled", false) {
			return nil
		}
		return &automaticMethod{AllowRedirects: cmp.Or(sent.string("allow_redirects"), "always"), Enabled: true}
	}
	if c.params.has("payment_method_types") || c.version.before(automaticMethods) {
		return nil
	}
	return &automaticMethod{AllowRedirects: "always", Enabled: true}
}

// set changes the fields whose parameters were sent.
func (p *paymentIntent) set(params *value) {
	params.setInteger(&p.Amount, "amount")
	if params.has("application_fee_amount") {
		p.ApplicationFeeAmount = nil
		if params.string("application_fee_amount") != "" {
			p.ApplicationFeeAmount = params.optionalInteger("application_fee_amount")
		}
	}
	p.CaptureMethod = cmp.Or(params.string("capture_method"), p.CaptureMethod)
	p.Currency = cmp.Or(strings.ToLower(params.string("currency")), p.Currency)
	params.setText(&p.Customer, "customer")
	params.setText(&p.Description, "description")
	if options := params.hash("payment_method_options"); options != nil && options.hash("card") != nil {
		card := &p.PaymentMethodOptions.Card
		card.RequestThreeDSecure = cmp.Or(options.hash("card").string("request_three_d_secure"), card.RequestThreeDSecure)
	}
	if params.has("payment_method_types") {
		p.PaymentMethodTypes, p.AutomaticPaymentMethods = params.items("payment_method_types"), nil
	}
	params.setText(&p.ReceiptEmail, "receipt_email")
	params.setText(&p.SetupFutureUsage, "setup_future_usage")
	setHash(&p.Shipping, params, "shipping", newChargeShipping)
	params.setText(&p.StatementDescriptor, "statement_descriptor")
	params.setText(&p.StatementDescriptorSuffix, "statement_descriptor_suffix")
	params.setText(&p.TransferGroup, "transfer_group")
}

// refuse returns an error that shows the payment intent.
func (p *paymentIntent) refuse(code, param, message string) *apiError {
	failure := invalidRequest(code, param, message)
	failure.PaymentIntent = p
	return failure
}

// unpaidOnly are the parameters that can be updated until the payment is made. For
// amount and payment_method that is known, for the others it is assumed.
var unpaidOnly = []string{
	"amount", "application_fee_amount", "capture_method", "currency", "customer", "payment_method", "payment_method_data",
	"payment_method_types", "setup_future_usage", "transfer_data",
}

func updateIntent(c *call) (any, *apiError) {
	old, failure := c.account.paymentIntents.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := c.account.checkIntentUpdate(old, c.params); failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	changed.set(c.params)
	changed.LastPaymentError = nil // as Stripe's description of the field says
	if part := c.params.hash("transfer_data"); part != nil {
		changed.TransferData = &intentTransfer{part.optionalInteger("amount"), old.TransferData.Destination}
	}
	method, failure := c.account.chosenMethod(c, &changed, false)
	if failure != nil {
		failure.PaymentIntent = old
		return nil, failure
	}
	if method != nil {
		c.account.keep(method)
		changed.PaymentMethod = &method.ID
	}
	if method != nil || changed.Status == needsAction && changed.Amount != old.Amount {
		changed.Status, changed.NextAction, changed.authenticated = needsConfirmation, nil, ""
	}
	c.account.paymentIntents.replace(old.ID, &changed)
	return &changed, nil
}

// checkIntentUpdate refuses to change what a payment depends on once it is made. The
// text about a customer is assumed.
func (a *account) checkIntentUpdate(p *paymentIntent, params *value) *apiError {
	for _, name := range unpaidOnly {
		if params.has(name) && !slices.Contains([]string{needsMethod, needsConfirmation, needsAction}, p.Status) {
			return p.refuse(codeUnexpectedState, name, fmt.Sprintf("This PaymentIntent's %s could not be updated because it has a status of %s. "+
				"You may only update the %s of a PaymentIntent with one of the following statuses: "+
				"requires_payment_method, requires_confirmation, requires_action.", name, p.Status, name))
		}
	}
	if id := params.string("customer"); id != "" && p.Customer != nil && id != *p.Customer {
		return p.refuse("", "customer", "You cannot modify `customer` on a PaymentIntent once it already has been set. "+
			"To fulfill a payment with a different Customer, cancel this PaymentIntent and create a new one.")
	}
	if params.has("transfer_data") && p.TransferData == nil {
		return p.refuse("", "transfer_data", fmt.Sprintf("PaymentIntent %s has no transfer_data.", p.ID))
	}
	if failure := checkIntentShipping(params); failure != nil {
		return failure
	}
	if params.count("amount", "currency") > 0 {
		amount, unit := params.integer("amount", p.Amount), cmp.Or(params.string("currency"), p.Currency)
		if failure := checkIntentMoney(amount, unit); failure != nil {
			return failure
		}
	}
	return a.checkPayer(params)
}
