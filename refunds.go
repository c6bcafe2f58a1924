package stripekit

import (
	"context"
	"iter"
)

// Refund is money of a charge that goes back to who paid. Amounts are in the
// smallest unit of the currency. A refund itself does not tell whether it is
// live: it has no livemode.
type Refund struct {
	ID                        string                  `json:"id"`
	Amount                    int64                   `json:"amount"`
	BalanceTransaction        Ref[BalanceTransaction] `json:"balance_transaction"`
	Charge                    Ref[Charge]             `json:"charge"`
	Created                   UnixTime                `json:"created"`
	Currency                  string                  `json:"currency"`
	Customer                  Ref[Customer]           `json:"customer"`
	Description               string                  `json:"description"`                 // of what is no card
	FailureBalanceTransaction Ref[BalanceTransaction] `json:"failure_balance_transaction"` // what a failed refund put back
	FailureReason             string                  `json:"failure_reason"`              // "lost_or_stolen_card", "expired_or_canceled_card", "unknown", …
	InstructionsEmail         string                  `json:"instructions_email"`
	Metadata                  Metadata                `json:"metadata"`
	PaymentIntent             Ref[ObjectID]           `json:"payment_intent"`
	PendingReason             string                  `json:"pending_reason"` // "processing", "insufficient_funds" or "charge_pending"
	Reason                    string                  `json:"reason"`         // as in RefundCreateParams, or "expired_uncaptured_charge"
	ReceiptNumber             string                  `json:"receipt_number"`
	Status                    string                  `json:"status"` // "pending", "requires_action", "succeeded", "failed" or "canceled"
}

func (r *Refund) at() UnixTime { return r.Created }

// RefundCreateParams are the parameters of a new refund. One of Charge and
// PaymentIntent is required, but for a refund out of a customer's balance,
// which takes Amount, Currency, Customer and Origin.
type RefundCreateParams struct {
	Amount               *int64   `form:"amount"` // in the smallest currency unit; nil is all that is left
	Charge               *string  `form:"charge"`
	Currency             *string  `form:"currency"`
	Customer             *string  `form:"customer"` // whose balance is refunded from
	InstructionsEmail    *string  `form:"instructions_email"`
	Metadata             Metadata `form:"metadata"`
	Origin               *string  `form:"origin"` // "customer_balance"
	PaymentIntent        *string  `form:"payment_intent"`
	Reason               *string  `form:"reason"`                 // "duplicate", "fraudulent" (blocks card and email) or "requested_by_customer"
	RefundApplicationFee *bool    `form:"refund_application_fee"` // nil is false
	ReverseTransfer      *bool    `form:"reverse_transfer"`       // nil is false
	Extra                Extra    `form:"*"`
}

func (p *RefundCreateParams) check() error {
	if blank(p.Charge) && blank(p.PaymentIntent) && blank(p.Origin) && !p.Extra.has("charge", "payment_intent", "origin") {
		return &ParamError{Param: "charge", Reason: "charge or payment_intent is required"}
	}
	return p.Metadata.check()
}

// RefundUpdateParams change a refund: its metadata is all that can be changed.
type RefundUpdateParams struct {
	Metadata Metadata `form:"metadata"`
	Extra    Extra    `form:"*"`
}

func (p *RefundUpdateParams) check() error { return p.Metadata.check() }

// RefundListParams filter a list of refunds.
type RefundListParams struct {
	ListParams
	Charge        *string `form:"charge"`
	PaymentIntent *string `form:"payment_intent"`
	Extra         Extra   `form:"*"`
}

// RefundsService creates, reads, changes and cancels refunds. Stripe neither
// deletes nor searches them.
type RefundsService service

const refundsPath = "/v1/refunds"

// Create refunds a charge, in full or in part. More than is left of it, and a
// charge that is fully refunded (Code charge_already_refunded), is an
// ErrInvalidRequest.
func (s *RefundsService) Create(ctx context.Context, p RefundCreateParams, opts ...CallOption) (*Refund, error) {
	return create[Refund](ctx, s.client, refundsPath, &p, opts)
}

// Get reads a refund.
func (s *RefundsService) Get(ctx context.Context, id string, opts ...CallOption) (*Refund, error) {
	return get[Refund](ctx, s.client, refundsPath, id, opts)
}

// Update changes a refund's metadata.
func (s *RefundsService) Update(ctx context.Context, id string, p RefundUpdateParams, opts ...CallOption) (*Refund, error) {
	return update[Refund](ctx, s.client, refundsPath, id, &p, opts)
}

// Cancel stops a refund whose Status is "requires_action"; another is an
// ErrInvalidRequest. Refunds to cards are never in that state.
func (s *RefundsService) Cancel(ctx context.Context, id string, opts ...CallOption) (*Refund, error) {
	return postAction[Refund](ctx, s.client, refundsPath, id, "cancel", noParams{}, opts)
}

// List iterates over all refunds that p allows, newest first. It requests the
// next page ahead, the second once half of the first is taken.
func (s *RefundsService) List(ctx context.Context, p RefundListParams, opts ...CallOption) iter.Seq2[*Refund, error] {
	return list[Refund](ctx, s.client, refundsPath, p.ListParams, p, opts)
}

// Page reads one page of refunds.
func (s *RefundsService) Page(ctx context.Context, p RefundListParams, opts ...CallOption) (*Page[Refund], error) {
	return page[Refund](ctx, s.client, refundsPath, p.ListParams, p, opts)
}

// Where returns a Source of the refunds that match p, for a Poller that
// delivers no others. The filter is part of what a checkpoint belongs to: with
// another filter, or none, a Poller has another checkpoint. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller pages and reads
// by time itself.
//
// Of the options, WithExpand is allowed. It names fields as in a refund, such
// as "charge", and does not change the checkpoint. WithIdempotencyKey and
// CaptureResponse are refused.
func (s *RefundsService) Where(p RefundListParams, opts ...CallOption) Source[Refund] {
	return where(s.source(), p.ListParams, p, opts)
}
