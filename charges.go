package stripekit

import (
	"context"
	"iter"
)

// Charge is one movement of money from a card or another source. Amounts are in
// the smallest unit of the currency (cents for usd, yen for jpy).
type Charge struct {
	ID                        string                     `json:"id"`
	Amount                    int64                      `json:"amount"`
	AmountCaptured            int64                      `json:"amount_captured"`
	AmountRefunded            int64                      `json:"amount_refunded"`
	ApplicationFeeAmount      int64                      `json:"application_fee_amount"`
	BalanceTransaction        Ref[BalanceTransaction]    `json:"balance_transaction"`
	BillingDetails            BillingDetails             `json:"billing_details"`
	Captured                  bool                       `json:"captured"`
	Created                   UnixTime                   `json:"created"`
	Currency                  string                     `json:"currency"` // three letters, lower case
	Customer                  Ref[Customer]              `json:"customer"`
	Description               string                     `json:"description"`
	Disputed                  bool                       `json:"disputed"` // since 2020; Dispute before
	Dispute                   Ref[ObjectID]              `json:"dispute"`
	FailureCode               string                     `json:"failure_code"`
	FailureMessage            string                     `json:"failure_message"`
	FraudDetails              FraudDetails               `json:"fraud_details"`
	Invoice                   Ref[ObjectID]              `json:"invoice"` // until 2025-03-31
	Livemode                  bool                       `json:"livemode"`
	Metadata                  Metadata                   `json:"metadata"`
	OnBehalfOf                Ref[Account]               `json:"on_behalf_of"`
	Order                     Ref[Order]                 `json:"order"` // legacy
	Outcome                   ChargeOutcome              `json:"outcome"`
	Paid                      bool                       `json:"paid"` // or, with Captured false, authorized
	PaymentIntent             Ref[ObjectID]              `json:"payment_intent"`
	PaymentMethod             string                     `json:"payment_method"`
	PaymentMethodDetails      ChargePaymentMethodDetails `json:"payment_method_details"`
	ReceiptEmail              string                     `json:"receipt_email"`
	ReceiptNumber             string                     `json:"receipt_number"` // empty until a receipt was sent
	ReceiptURL                string                     `json:"receipt_url"`
	Refunded                  bool                       `json:"refunded"` // in full
	Shipping                  *Shipping                  `json:"shipping"`
	StatementDescriptor       string                     `json:"statement_descriptor"`
	StatementDescriptorSuffix string                     `json:"statement_descriptor_suffix"`
	Status                    ChargeStatus               `json:"status"`
	TransferGroup             string                     `json:"transfer_group"`
}

func (c *Charge) at() UnixTime { return c.Created }

// ChargeStatus is the state of a charge.
type ChargeStatus string

// The states of a charge.
const (
	ChargeSucceeded ChargeStatus = "succeeded" // paid, or authorized if Captured is false
	ChargePending   ChargeStatus = "pending"   // a bank debit that is not settled yet
	ChargeFailed    ChargeStatus = "failed"
)

// BalanceTransaction is what a charge or refund did to the account's balance.
type BalanceTransaction struct {
	ID          string   `json:"id"`
	Amount      int64    `json:"amount"` // gross, in the smallest unit of Currency
	AvailableOn UnixTime `json:"available_on"`
	Created     UnixTime `json:"created"`
	Currency    string   `json:"currency"`
	Fee         int64    `json:"fee"`
	Net         int64    `json:"net"`
	Status      string   `json:"status"`
	Type        string   `json:"type"`
}

// BillingDetails is who pays.
type BillingDetails struct {
	Address Address `json:"address"`
	Email   string  `json:"email"`
	Name    string  `json:"name"`
	Phone   string  `json:"phone"`
}

// ChargeOutcome is why a payment went through or did not.
type ChargeOutcome struct {
	NetworkStatus string `json:"network_status"` // "approved_by_network", "declined_by_network", "not_sent_to_network", "reversed_after_approval"
	Reason        string `json:"reason"`
	RiskLevel     string `json:"risk_level"` // "normal", "elevated", "highest", …
	SellerMessage string `json:"seller_message"`
	Type          string `json:"type"` // "authorized", "manual_review", "issuer_declined", "blocked", "invalid"
}

// ChargePaymentMethodDetails is what paid. Card is nil for another Type.
type ChargePaymentMethodDetails struct {
	Type string      `json:"type"` // "card", "sepa_debit", …
	Card *ChargeCard `json:"card"`
}

// ChargeCard is the card that paid.
type ChargeCard struct {
	Brand    string `json:"brand"` // "visa", "mastercard", "amex", …
	Country  string `json:"country"`
	ExpMonth int    `json:"exp_month"`
	ExpYear  int    `json:"exp_year"`
	Funding  string `json:"funding"`
	Last4    string `json:"last4"`
}

// FraudDetails is what the account and Stripe think of a charge: "safe" or
// "fraudulent", or empty.
type FraudDetails struct {
	StripeReport string `json:"stripe_report"`
	UserReport   string `json:"user_report"`
}

// ChargeCreateParams are the parameters of a new charge. Amount, Currency and
// one of Source and Customer are required.
type ChargeCreateParams struct {
	Amount                    int64                     `form:"amount"`   // in the smallest currency unit
	Currency                  string                    `form:"currency"` // three letters, lower case
	ApplicationFeeAmount      *int64                    `form:"application_fee_amount"`
	Capture                   *bool                     `form:"capture"`  // nil captures at once; false only authorizes
	Customer                  *string                   `form:"customer"` // without Source, its default source pays
	Description               *string                   `form:"description"`
	Metadata                  Metadata                  `form:"metadata"`
	OnBehalfOf                *string                   `form:"on_behalf_of"`
	RadarOptions              *RadarOptionsParams       `form:"radar_options"`
	ReceiptEmail              *string                   `form:"receipt_email"`
	Shipping                  *Shipping                 `form:"shipping"`
	Source                    *string                   `form:"source"`                      // a token (tok_…), source or card
	StatementDescriptor       *string                   `form:"statement_descriptor"`        // of what is no card, up to 22 characters
	StatementDescriptorSuffix *string                   `form:"statement_descriptor_suffix"` // of a card, with the account's prefix up to 22 characters
	TransferData              *ChargeTransferDataParams `form:"transfer_data"`
	TransferGroup             *string                   `form:"transfer_group"`
	Extra                     Extra                     `form:"*"`
}

// RadarOptionsParams carries the Radar session of the buyer's browser.
type RadarOptionsParams struct {
	Session string `form:"session"`
}

// ChargeTransferDataParams sends the money on to a connected account.
type ChargeTransferDataParams struct {
	Amount      *int64  `form:"amount"` // nil is all of it
	Description *string `form:"description"`
	Destination string  `form:"destination"`
}

func (p *ChargeTransferDataParams) check(extra Extra) error {
	if p == nil {
		return nil
	}
	return required("transfer_data[destination]", p.Destination, extra)
}

func (p *ChargeCreateParams) check() error {
	switch {
	case p.Amount <= 0 && !p.Extra.has("amount"):
		return &ParamError{Param: "amount", Reason: "is required and must be positive"}
	case p.Currency == "" && !p.Extra.has("currency"):
		return &ParamError{Param: "currency", Reason: "is required"}
	case blank(p.Source) && blank(p.Customer) && !p.Extra.has("source", "customer", "card", "payment_method"):
		return &ParamError{Param: "source", Reason: "source or customer is required"}
	}
	return firstError(p.TransferData.check(p.Extra), p.Shipping.check(p.Extra), p.Metadata.check())
}

// ChargeUpdateParams change a charge; what is nil stays as it is.
type ChargeUpdateParams struct {
	Customer      *string             `form:"customer"` // only where the charge has none
	Description   *string             `form:"description"`
	FraudDetails  *FraudDetailsParams `form:"fraud_details"`
	Metadata      Metadata            `form:"metadata"`
	ReceiptEmail  *string             `form:"receipt_email"` // a new one gets the receipt once more
	Shipping      *Shipping           `form:"shipping"`
	TransferGroup *string             `form:"transfer_group"` // only where the charge has none
	Extra         Extra               `form:"*"`
}

// FraudDetailsParams tells Stripe what the account thinks of a charge.
type FraudDetailsParams struct {
	UserReport *string `form:"user_report"` // "safe", "fraudulent", or "" to take it back
}

func (p *ChargeUpdateParams) check() error {
	return firstError(p.Shipping.check(p.Extra), p.Metadata.check())
}

// ChargeCaptureParams choose what is captured; none is required.
type ChargeCaptureParams struct {
	Amount                    *int64                           `form:"amount"` // nil is all; the rest of a smaller one is released
	ApplicationFeeAmount      *int64                           `form:"application_fee_amount"`
	ReceiptEmail              *string                          `form:"receipt_email"`
	StatementDescriptor       *string                          `form:"statement_descriptor"`
	StatementDescriptorSuffix *string                          `form:"statement_descriptor_suffix"`
	TransferData              *ChargeCaptureTransferDataParams `form:"transfer_data"`
	TransferGroup             *string                          `form:"transfer_group"`
	Extra                     Extra                            `form:"*"`
}

// ChargeCaptureTransferDataParams changes how much goes on to the connected
// account that the charge was created for.
type ChargeCaptureTransferDataParams struct {
	Amount *int64 `form:"amount"`
}

func (p *ChargeCaptureParams) check() error { return nil }

// ChargeListParams filter a list of charges.
type ChargeListParams struct {
	ListParams
	Customer      *string `form:"customer"`
	PaymentIntent *string `form:"payment_intent"`
	TransferGroup *string `form:"transfer_group"`
	Extra         Extra   `form:"*"`
}

// ChargesService creates, reads, changes and captures charges. What a charge
// moved is not deleted but refunded.
type ChargesService service

const chargesPath = "/v1/charges"

// Create charges a source or a customer. A declined card is an ErrCardDeclined
// whose ChargeID names the failed charge, which Stripe keeps.
func (s *ChargesService) Create(ctx context.Context, p ChargeCreateParams, opts ...CallOption) (*Charge, error) {
	return create[Charge](ctx, s.client, chargesPath, &p, opts)
}

// Get reads a charge.
func (s *ChargesService) Get(ctx context.Context, id string, opts ...CallOption) (*Charge, error) {
	return get[Charge](ctx, s.client, chargesPath, id, opts)
}

// Update changes what can still be changed of a charge.
func (s *ChargesService) Update(ctx context.Context, id string, p ChargeUpdateParams, opts ...CallOption) (*Charge, error) {
	return update[Charge](ctx, s.client, chargesPath, id, &p, opts)
}

// Capture takes the money of a charge that was created with Capture false, once
// and within 7 days by default: later the charge is refunded and the call
// fails. A charge of a payment intent is captured there, not here.
func (s *ChargesService) Capture(ctx context.Context, id string, p ChargeCaptureParams, opts ...CallOption) (*Charge, error) {
	return postAction[Charge](ctx, s.client, chargesPath, id, "capture", &p, opts)
}

// List iterates over all charges that p allows, newest first. It requests the
// next page ahead, the second once half of the first is taken.
func (s *ChargesService) List(ctx context.Context, p ChargeListParams, opts ...CallOption) iter.Seq2[*Charge, error] {
	return list[Charge](ctx, s.client, chargesPath, p.ListParams, p, opts)
}

// Page reads one page of charges.
func (s *ChargesService) Page(ctx context.Context, p ChargeListParams, opts ...CallOption) (*Page[Charge], error) {
	return page[Charge](ctx, s.client, chargesPath, p.ListParams, p, opts)
}

// Where returns a Source of the charges that match p, for a Poller that
// delivers no others. The filter is part of what a checkpoint belongs to: with
// another filter, or none, a Poller has another checkpoint. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller pages and reads
// by time itself. A charge that matches only after a later change, of its
// TransferGroup say, may not be delivered.
//
// Of the options, WithExpand is allowed. It names fields as in a charge, such
// as "balance_transaction", and does not change the checkpoint.
// WithIdempotencyKey and CaptureResponse are refused.
func (s *ChargesService) Where(p ChargeListParams, opts ...CallOption) Source[Charge] {
	return where(s.source(), p.ListParams, p, opts)
}

// Search iterates over all charges that a query finds, such as
// `amount>999 AND metadata["order_id"]:"6735"`, by amount, created, currency,
// customer, disputed, metadata, refunded, status and more. What it finds is
// behind by up to a minute, at worst by an hour. It requests the next page ahead,
// the second once half of the first is taken. An empty query is a ParamError.
func (s *ChargesService) Search(ctx context.Context, query string, opts ...CallOption) iter.Seq2[*Charge, error] {
	return search[Charge](ctx, s.client, chargesPath, query, opts)
}

// SearchPage reads one page of up to 100 charges that a query finds. cursor is
// the NextPage of the page before, and empty for the first page.
func (s *ChargesService) SearchPage(ctx context.Context, query, cursor string, opts ...CallOption) (*Page[Charge], error) {
	return searchPage[Charge](ctx, s.client, chargesPath, query, cursor, opts)
}
