package stripekit

import (
	"context"
	"iter"
)

// Charge is one payment by a card or another source. Amounts are in the smallest
// unit of the currency (cents for usd, yen for jpy).
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
	Disputed                  bool                       `json:"disputed"` // in versions since 2020; Dispute in older ones
	Dispute                   Ref[ObjectID]              `json:"dispute"`
	FailureCode               string                     `json:"failure_code"`
	FailureMessage            string                     `json:"failure_message"`
	FraudDetails              FraudDetails               `json:"fraud_details"`
	Invoice                   Ref[ObjectID]              `json:"invoice"` // in versions until 2025-03-31
	Livemode                  bool                       `json:"livemode"`
	Metadata                  Metadata                   `json:"metadata"`
	OnBehalfOf                Ref[Account]               `json:"on_behalf_of"`
	Order                     Ref[Order]                 `json:"order"` // legacy
	Outcome                   ChargeOutcome              `json:"outcome"`
	Paid                      bool                       `json:"paid"` // true also if the charge is only authorized: then Captured is false
	PaymentIntent             Ref[ObjectID]              `json:"payment_intent"`
	PaymentMethod             string                     `json:"payment_method"`
	PaymentMethodDetails      ChargePaymentMethodDetails `json:"payment_method_details"`
	ReceiptEmail              string                     `json:"receipt_email"`
	ReceiptNumber             string                     `json:"receipt_number"` // empty until a receipt is sent
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

// BalanceTransaction is a change of the account's balance by a charge or a refund.
type BalanceTransaction struct {
	ID          string   `json:"id"`
	Amount      int64    `json:"amount"` // gross, in the smallest unit of Currency
	AvailableOn UnixTime `json:"available_on"`
	Created     UnixTime `json:"created"`
	Currency    string   `json:"currency"`
	Fee         int64    `json:"fee"` // in the smallest unit of Currency
	Net         int64    `json:"net"` // Amount minus Fee
	Status      string   `json:"status"`
	Type        string   `json:"type"`
}

// BillingDetails identifies the payer.
type BillingDetails struct {
	Address Address `json:"address"`
	Email   string  `json:"email"`
	Name    string  `json:"name"`
	Phone   string  `json:"phone"`
}

// ChargeOutcome is why a payment succeeded or failed.
type ChargeOutcome struct {
	NetworkStatus string `json:"network_status"` // "approved_by_network", "declined_by_network", "not_sent_to_network", "reversed_after_approval"
	Reason        string `json:"reason"`
	RiskLevel     string `json:"risk_level"` // "normal", "elevated", "highest", …
	SellerMessage string `json:"seller_message"`
	Type          string `json:"type"` // "authorized", "manual_review", "issuer_declined", "blocked", "invalid"
}

// ChargePaymentMethodDetails is the payment method of a charge.
type ChargePaymentMethodDetails struct {
	Type string      `json:"type"` // "card", "sepa_debit", …
	Card *ChargeCard `json:"card"` // nil unless Type is "card"
}

// ChargeCard is the card of a charge.
type ChargeCard struct {
	Brand    string `json:"brand"` // "visa", "mastercard", "amex", …
	Country  string `json:"country"`
	ExpMonth int    `json:"exp_month"`
	ExpYear  int    `json:"exp_year"`
	Funding  string `json:"funding"`
	Last4    string `json:"last4"`
}

// FraudDetails are the reports of Stripe and of the account on whether a charge is
// fraudulent.
type FraudDetails struct {
	StripeReport string `json:"stripe_report"` // "fraudulent", or empty
	UserReport   string `json:"user_report"`   // "safe", "fraudulent", or empty
}

// ChargeCreateParams are the parameters of a new charge. Amount, Currency and
// one of Source and Customer are required.
type ChargeCreateParams struct {
	Amount                    int64                     `form:"amount"`   // in the smallest currency unit
	Currency                  string                    `form:"currency"` // three letters, lower case
	ApplicationFeeAmount      *int64                    `form:"application_fee_amount"`
	Capture                   *bool                     `form:"capture"`  // nil is true; false only authorizes
	Customer                  *string                   `form:"customer"` // if Source is nil, the default source of the customer is charged
	Description               *string                   `form:"description"`
	Metadata                  Metadata                  `form:"metadata"`
	OnBehalfOf                *string                   `form:"on_behalf_of"`
	RadarOptions              *RadarOptionsParams       `form:"radar_options"`
	ReceiptEmail              *string                   `form:"receipt_email"`
	Shipping                  *Shipping                 `form:"shipping"`
	Source                    *string                   `form:"source"`                      // a token (tok_…), source or card
	StatementDescriptor       *string                   `form:"statement_descriptor"`        // for sources other than cards, up to 22 characters
	StatementDescriptorSuffix *string                   `form:"statement_descriptor_suffix"` // for cards, up to 22 characters with the account's prefix
	TransferData              *ChargeTransferDataParams `form:"transfer_data"`
	TransferGroup             *string                   `form:"transfer_group"`
	Extra                     Extra                     `form:"*"`
}

// RadarOptionsParams identifies the Radar session of the buyer's browser.
type RadarOptionsParams struct {
	Session string `form:"session"` // "rse_…"
}

// ChargeTransferDataParams transfers the money to a connected account.
type ChargeTransferDataParams struct {
	Amount      *int64  `form:"amount"` // in the smallest currency unit; nil is the whole charge
	Description *string `form:"description"`
	Destination string  `form:"destination"` // the connected account; required
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

// ChargeUpdateParams change a charge. Nil fields stay as they are.
type ChargeUpdateParams struct {
	Customer      *string             `form:"customer"` // only if the charge has none
	Description   *string             `form:"description"`
	FraudDetails  *FraudDetailsParams `form:"fraud_details"`
	Metadata      Metadata            `form:"metadata"`
	ReceiptEmail  *string             `form:"receipt_email"` // the receipt is sent again to a new address
	Shipping      *Shipping           `form:"shipping"`
	TransferGroup *string             `form:"transfer_group"` // only if the charge has none
	Extra         Extra               `form:"*"`
}

// FraudDetailsParams reports to Stripe whether a charge is fraudulent.
type FraudDetailsParams struct {
	UserReport *string `form:"user_report"` // "safe", "fraudulent", or "" to withdraw the report
}

func (p *ChargeUpdateParams) check() error {
	return firstError(p.Shipping.check(p.Extra), p.Metadata.check())
}

// ChargeCaptureParams are the parameters of a capture. None is required.
type ChargeCaptureParams struct {
	Amount                    *int64                           `form:"amount"` // in the smallest currency unit; nil is all; the rest is released
	ApplicationFeeAmount      *int64                           `form:"application_fee_amount"`
	ReceiptEmail              *string                          `form:"receipt_email"`
	StatementDescriptor       *string                          `form:"statement_descriptor"`
	StatementDescriptorSuffix *string                          `form:"statement_descriptor_suffix"`
	TransferData              *ChargeCaptureTransferDataParams `form:"transfer_data"`
	TransferGroup             *string                          `form:"transfer_group"`
	Extra                     Extra                            `form:"*"`
}

// ChargeCaptureTransferDataParams changes the amount that is transferred to the
// connected account of the charge.
type ChargeCaptureTransferDataParams struct {
	Amount *int64 `form:"amount"` // in the smallest currency unit
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

// ChargesService creates, reads, changes and captures charges. A charge cannot be
// deleted, but it can be refunded by a RefundsService.
type ChargesService service

const chargesPath = "/v1/charges"

// Create charges a source or a customer. A declined card is an ErrCardDeclined.
// Stripe keeps the failed charge: Error.ChargeID is its id.
func (s *ChargesService) Create(ctx context.Context, p ChargeCreateParams, opts ...CallOption) (*Charge, error) {
	return create[Charge](ctx, s.client, chargesPath, &p, opts)
}

// Get reads a charge.
func (s *ChargesService) Get(ctx context.Context, id string, opts ...CallOption) (*Charge, error) {
	return get[Charge](ctx, s.client, chargesPath, id, opts)
}

// Update changes a charge.
func (s *ChargesService) Update(ctx context.Context, id string, p ChargeUpdateParams, opts ...CallOption) (*Charge, error) {
	return update[Charge](ctx, s.client, chargesPath, id, &p, opts)
}

// Capture captures a charge that was created with Capture false. This is possible
// once, and by default within 7 days: later the charge is refunded and the call
// fails. A charge of a payment intent must be captured by the payment intent.
func (s *ChargesService) Capture(ctx context.Context, id string, p ChargeCaptureParams, opts ...CallOption) (*Charge, error) {
	return postAction[Charge](ctx, s.client, chargesPath, id, "capture", &p, opts)
}

// List iterates over all charges that match p, newest first. List requests the
// next page ahead, but the second page only when half of the first has been
// yielded.
func (s *ChargesService) List(ctx context.Context, p ChargeListParams, opts ...CallOption) iter.Seq2[*Charge, error] {
	return list[Charge](ctx, s.client, chargesPath, p.ListParams, p, opts)
}

// Page reads one page of charges that match p.
func (s *ChargesService) Page(ctx context.Context, p ChargeListParams, opts ...CallOption) (*Page[Charge], error) {
	return page[Charge](ctx, s.client, chargesPath, p.ListParams, p, opts)
}

func (s *ChargesService) source() source[Charge] {
	return source[Charge]{client: s.client, path: chargesPath, timeField: "created"}
}

// Changes returns a Source of the charges that were created or updated, by the events
// of the account, which Stripe keeps for 30 days. A Poller that may have missed some
// because they were older ends with ErrGap.
func (s *ChargesService) Changes() Source[Change[Charge]] {
	return changes[Charge](s.client, chargesPath)
}

// Where returns a Source of the charges that match p, for a Poller or a
// Backfill. Different filters have different checkpoints. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller sets these parameters
// itself. A charge that matches only after a later change, such as of
// TransferGroup, may not be delivered.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in a charge, such as "balance_transaction", and does not change the
// checkpoint.
func (s *ChargesService) Where(p ChargeListParams, opts ...CallOption) Source[Charge] {
	return where(s.source(), p.ListParams, p, opts)
}

// Search iterates over all charges that a query finds, such as `amount>999 AND
// metadata["order_id"]:"6735"`. A query can use amount, created, currency,
// customer, disputed, metadata, refunded, status and more. Changes appear in the
// results within a minute, or within an hour at worst. Search requests the next
// page ahead, but the second page only when half of the first has been yielded.
// An empty query is a ParamError.
func (s *ChargesService) Search(ctx context.Context, query string, opts ...CallOption) iter.Seq2[*Charge, error] {
	return search[Charge](ctx, s.client, chargesPath, query, opts)
}

// SearchPage reads one page of up to 100 charges that a query finds. cursor is
// the NextPage of the previous page, or empty for the first page.
func (s *ChargesService) SearchPage(ctx context.Context, query, cursor string, opts ...CallOption) (*Page[Charge], error) {
	return searchPage[Charge](ctx, s.client, chargesPath, query, cursor, opts)
}
