package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func refundOperations() []operation {
	return []operation{
		{
			name:     "Refunds.Create",
			params:   refundCreate(),
			required: []string{"Charge"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.RefundCreateParams) error {
				return got(c.Refunds.Create(ctx, p))
			}),
		},
		{
			name: "Refunds.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				refund, err := c.Refunds.Get(ctx, "re_123")
				return is("re_123", refund, err, func() string { return refund.ID })
			},
		},
		{
			name:   "Refunds.Update",
			params: refundUpdate(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.RefundUpdateParams) error {
				return got(c.Refunds.Update(ctx, "re_123", p))
			}),
		},
		{
			name: "Refunds.Cancel",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				refund, err := c.Refunds.Cancel(ctx, "re_123")
				return is("re_123", refund, err, func() string { return refund.ID })
			},
		},
		{
			name:   "Refunds.List",
			params: refundList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.RefundListParams) error {
				return some(c.Refunds.List(ctx, p))
			}),
		},
		{
			name:   "Refunds.Page",
			params: refundList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.RefundListParams) error {
				return filled(c.Refunds.Page(ctx, p))
			}),
		},
	}
}

func refundCreate() stripekit.RefundCreateParams {
	return stripekit.RefundCreateParams{
		Amount:               new(int64(500)),
		Charge:               new("ch_123"),
		Currency:             new("usd"),
		Customer:             new("cus_123"),
		InstructionsEmail:    new("jenny@example.com"),
		Metadata:             stripekit.Metadata{"order": "6735"},
		Origin:               new("customer_balance"),
		PaymentIntent:        new("pi_123"),
		Reason:               new("requested_by_customer"),
		RefundApplicationFee: new(false),
		ReverseTransfer:      new(true),
		Extra:                stripekit.Extra{"expand": []string{"charge"}},
	}
}

func refundUpdate() stripekit.RefundUpdateParams {
	return stripekit.RefundUpdateParams{
		Metadata: stripekit.Metadata{"order": "6735"},
		Extra:    stripekit.Extra{"expand": []string{"charge"}},
	}
}

func refundList() stripekit.RefundListParams {
	return stripekit.RefundListParams{
		ListParams:    listParams(),
		Charge:        new("ch_123"),
		PaymentIntent: new("pi_123"),
		Extra:         stripekit.Extra{"expand": []string{"data.charge"}},
	}
}
