package stripekit

import (
	"context"
	"iter"
)

// Refund is money of a charge that is paid back. Amounts are in the smallest unit
// of the currency. Unlike other objects it has no field livemode.
type Refund struct {
	ID                        string                  `json:"id"`
	Amount                    int64                   `json:"amount"`
	BalanceTransaction        Ref[BalanceTransaction] `json:"balance_transaction"`
	Charge                    Ref[Charge]             `json:"charge"`
	Created                   UnixTime                `json:"created"`
	Currency                  string                  `json:"currency"`
	Customer                  Ref[Customer]           `json:"customer"`
	Description               string                  `json:"description"`                 // only for sources other than cards
	FailureBalanceTransaction Ref[BalanceTransaction] `json:"failure_balance_transaction"` // reverses BalanceTransaction if the refund failed
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
// PaymentIntent is required. A refund from the balance of a customer requires
// Amount, Currency, Customer and Origin instead.
type RefundCreateParams struct {
	Amount               *int64   `form:"amount"` // in the smallest currency unit; nil is the unrefunded rest
	Charge               *string  `form:"charge"`
	Currency             *string  `form:"currency"`
	Customer             *string  `form:"customer"` // for a refund from the balance of this customer
	InstructionsEmail    *string  `form:"instructions_email"`
	Metadata             Metadata `form:"metadata"`
	Origin               *string  `form:"origin"` // "customer_balance"
	PaymentIntent        *string  `form:"payment_intent"`
	Reason               *string  `form:"reason"`                 // "duplicate", "fraudulent" (blocks the card and the email) or "requested_by_customer"
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

// RefundUpdateParams change a refund. Only its metadata can be changed.
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

// RefundsService creates, reads, changes and cancels refunds. Stripe cannot delete
// or search refunds.
type RefundsService service

const refundsPath = "/v1/refunds"

// Create refunds a charge, in full or in part. It returns an ErrInvalidRequest if the
// amount exceeds the unrefunded rest, or if the charge is fully refunded already
// (Code charge_already_refunded).
func (s *RefundsService) Create(ctx context.Context, p RefundCreateParams, opts ...CallOption) (*Refund, error) {
	return create[Refund](ctx, s.client, refundsPath, &p, opts)
}

// Get reads a refund.
func (s *RefundsService) Get(ctx context.Context, id string, opts ...CallOption) (*Refund, error) {
	return get[Refund](ctx, s.client, refundsPath, id, opts)
}

// Update changes the metadata of a refund.
func (s *RefundsService) Update(ctx context.Context, id string, p RefundUpdateParams, opts ...CallOption) (*Refund, error) {
	return update[Refund](ctx, s.client, refundsPath, id, &p, opts)
}

// Cancel cancels a refund with the Status "requires_action". For any other refund it
// returns an ErrInvalidRequest. Refunds to cards never have that status.
func (s *RefundsService) Cancel(ctx context.Context, id string, opts ...CallOption) (*Refund, error) {
	return postAction[Refund](ctx, s.client, refundsPath, id, "cancel", noParams{}, opts)
}

// List iterates over all refunds that match p, newest first. List requests the
// next page ahead, but the second page only when half of the first has been
// yielded.
func (s *RefundsService) List(ctx context.Context, p RefundListParams, opts ...CallOption) iter.Seq2[*Refund, error] {
	return list[Refund](ctx, s.client, refundsPath, p.ListParams, p, opts)
}

// Page reads one page of refunds that match p.
func (s *RefundsService) Page(ctx context.Context, p RefundListParams, opts ...CallOption) (*Page[Refund], error) {
	return page[Refund](ctx, s.client, refundsPath, p.ListParams, p, opts)
}

func (s *RefundsService) source() source[Refund] {
	return source[Refund]{client: s.client, path: refundsPath, timeField: "created"}
}

// Changes returns a Source of the refunds that were created or updated, by the events
// of the account, which Stripe keeps for 30 days. A Poller that may have missed some
// because they were older ends with ErrGap.
//
// In versions until 2020-08-27 a new refund has no event of its own (there is no
// refund.created): only its charge has, charge.refunded.
func (s *RefundsService) Changes() Source[Change[Refund]] {
	return changes[Refund](s.client, refundsPath)
}

// Where returns a Source of the refunds that match p, for a Poller or a
// Backfill. Different filters have different checkpoints. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller sets these parameters
// itself.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in a refund, such as "charge", and does not change the checkpoint.
func (s *RefundsService) Where(p RefundListParams, opts ...CallOption) Source[Refund] {
	return where(s.source(), p.ListParams, p, opts)
}
