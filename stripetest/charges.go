package stripetest

import (
	"fmt"
	"strings"
)

const (
	minAmount = 50 // smallest currency unit, of any currency
	maxAmount = 99999999
)

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
	FraudDetails                  struct{}          `json:"fraud_details"`
	Livemode                      bool              `json:"livemode"`
	Metadata                      map[string]string `json:"metadata"`
	OnBehalfOf                    *string           `json:"on_behalf_of"`
	Outcome                       outcome           `json:"outcome"`
	Paid                          bool              `json:"paid"`
	PaymentIntent                 null              `json:"payment_intent"`
	PaymentMethod                 string            `json:"payment_method"`
	PaymentMethodDetails          paymentMethod     `json:"payment_method_details"`
	RadarOptions                  *radarOptions     `json:"radar_options,omitempty"`
	ReceiptEmail                  *string           `json:"receipt_email"`
	ReceiptNumber                 null              `json:"receipt_number"`
	ReceiptURL                    *string           `json:"receipt_url"`
	Refunded                      bool              `json:"refunded"`
	Refunds                       listObject        `json:"refunds"`
	Review                        null              `json:"review"`
	Shipping                      *chargeShipping   `json:"shipping"`
	Source                        *card             `json:"source"`
	SourceTransfer                null              `json:"source_transfer"`
	StatementDescriptor           *string           `json:"statement_descriptor"`
	StatementDescriptorSuffix     *string           `json:"statement_descriptor_suffix"`
	Status                        string            `json:"status"` // succeeded or failed
	TransferData                  *transferData     `json:"transfer_data"`
	TransferGroup                 *string           `json:"transfer_group"`
}

type billingDetails struct {
	Address address `json:"address"`
	Email   null    `json:"email"`
	Name    null    `json:"name"`
	Phone   null    `json:"phone"`
	TaxID   null    `json:"tax_id"`
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
		"currency":                    filled,
		"customer":                    filled,
		"description":                 text,
		"expand":                      list(text),
		"metadata":                    metadata,
		"on_behalf_of":                filled,
		"radar_options":               hash(fields{"session": text}),
		"receipt_email":               text,
		"shipping":                    hash(chargeShippingFields()),
		"source":                      filled,
		"statement_descriptor":        text,
		"statement_descriptor_suffix": text,
		"transfer_data":               hash(fields{"amount": integer, "description": text, "destination": filled}),
		"transfer_group":              text,
	}
}

func chargeShippingFields() fields {
	address := addressFields()
	address["line1"] = filled
	return fields{
		"address":         hash(address),
		"carrier":         text,
		"name":            filled,
		"phone":           text,
		"tracking_number": text,
	}
}

func chargeFilters() fields {
	return fields{"customer": filled, "payment_intent": filled, "transfer_group": filled}
}

func newCharges() *collection[charge] {
	return newCollection("charge", map[string]func(*charge) string{
		"customer":       func(ch *charge) string { return deref(ch.Customer) },
		"payment_intent": func(*charge) string { return "" }, // no charge here has one
		"transfer_group": func(ch *charge) string { return deref(ch.TransferGroup) },
	})
}

// createCharge stores the charge whether the card is declined or not: a
// decline is a charge that failed.
func createCharge(c *call) (any, *apiError) {
	if failure := checkCharge(c.params); failure != nil {
		return nil, failure
	}
	card, failure := paymentCard(c)
	if failure != nil {
		return nil, failure
	}
	created := newCharge(c, card)
	decline := card.token.decline
	if decline == nil {
		created.succeed(c.params.boolean("capture", true))
	} else {
		created.fail(decline)
	}
	c.account.charges.add(created.ID, created.Created, created)
	if decline != nil {
		return nil, decline.refusal(created.ID)
	}
	return created, nil
}

func checkCharge(params *value) *apiError {
	if failure := required(params, "amount", "currency"); failure != nil {
		return failure
	}
	if failure := checkMoney(params.integer("amount", 0), params.string("currency")); failure != nil {
		return failure
	}
	if params.has("shipping") {
		if failure := required(params, "shipping[name]", "shipping[address][line1]"); failure != nil {
			return failure
		}
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

func checkMoney(amount int64, currency string) *apiError {
	if len(currency) != 3 || strings.ContainsFunc(currency, notLetter) {
		return invalidRequest("", "currency", "Invalid currency: "+currency)
	}
	if amount < minAmount {
		return invalidRequest("amount_too_small", "amount", fmt.Sprintf("Amount must be at least %d (%s, smallest unit)", minAmount, currency))
	}
	if amount > maxAmount {
		return invalidRequest("amount_too_large", "amount", fmt.Sprintf("Amount must be no more than %d (%s, smallest unit)", maxAmount, currency))
	}
	return nil
}

func notLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// paymentCard is the card that the charge is made to: the token's, or the one
// that the customer has.
func paymentCard(c *call) (*card, *apiError) {
	source := c.params.string("source")
	if c.params.has("customer") {
		return customerCard(c, c.params.string("customer"), source)
	}
	token, ok := lookupToken(source)
	if !ok {
		return nil, noSuch("token", source, "source")
	}
	return newCard(c, token, nil), nil
}

// customerCard allows as source nothing but the customer's own card: a token
// must be attached before it can be charged together with a customer.
func customerCard(c *call, id, source string) (*card, *apiError) {
	customer, ok := c.account.customers.get(id)
	if !ok {
		return nil, noSuch("customer", id, "customer")
	}
	if source != "" && (customer.card == nil || customer.card.ID != source) {
		return nil, invalidRequest("missing", "source", fmt.Sprintf("Customer %s does not have a linked source with ID %s.", id, source))
	}
	if customer.card == nil {
		return nil, invalidRequest("missing", "", "Cannot charge a customer that has no active card")
	}
	return customer.card, nil
}

// newCharge is a charge that has neither succeeded nor failed yet.
func newCharge(c *call, card *card) *charge {
	p, id := c.params, newID("ch_3", 22)
	amount := p.integer("amount", 0)
	return &charge{
		ID:                            id,
		Object:                        "charge",
		Amount:                        amount,
		ApplicationFeeAmount:          p.optionalInteger("application_fee_amount"),
		CalculatedStatementDescriptor: p.optional("statement_descriptor"),
		Created:                       c.time.Unix(),
		Currency:                      strings.ToLower(p.string("currency")),
		Customer:                      card.Customer,
		Description:                   p.optional("description"),
		Livemode:                      c.account.live,
		Metadata:                      newMetadata(p),
		OnBehalfOf:                    p.optional("on_behalf_of"),
		Outcome:                       newOutcome(card.token),
		PaymentMethod:                 card.ID,
		PaymentMethodDetails:          newPaymentMethod(card, amount),
		RadarOptions:                  newRadarOptions(p.hash("radar_options")),
		ReceiptEmail:                  p.optional("receipt_email"),
		Refunds:                       listObject{Object: "list", Data: []struct{}{}, URL: "/v1/charges/" + id + "/refunds"},
		Shipping:                      newChargeShipping(p.hash("shipping")),
		Source:                        card,
		StatementDescriptor:           p.optional("statement_descriptor"),
		StatementDescriptorSuffix:     p.optional("statement_descriptor_suffix"),
		TransferData:                  newTransferData(p.hash("transfer_data")),
		TransferGroup:                 p.optional("transfer_group"),
	}
}

func (ch *charge) succeed(capture bool) {
	ch.Status, ch.Paid = "succeeded", true
	ch.ReceiptURL = new("https://pay.stripe.test/receipts/" + ch.ID)
	if capture {
		ch.Captured, ch.AmountCaptured = true, ch.Amount
		ch.BalanceTransaction = new(newID("txn_3", 22))
	}
}

func (ch *charge) fail(d *decline) {
	ch.Status = "failed"
	ch.FailureCode, ch.FailureMessage = &d.code, &d.message
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
