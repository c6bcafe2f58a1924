package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func chargeOperations() []operation {
	return []operation{
		{
			name:     "Charges.Create",
			params:   chargeCreate(),
			required: []string{"Amount", "Currency", "Source"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ChargeCreateParams) error {
				return got(c.Charges.Create(ctx, p))
			}),
		},
		{
			name: "Charges.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				charge, err := c.Charges.Get(ctx, "ch_123")
				return is("ch_123", charge, err, func() string { return charge.ID })
			},
		},
		{
			name:   "Charges.Update",
			params: chargeUpdate(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ChargeUpdateParams) error {
				return got(c.Charges.Update(ctx, "ch_123", p))
			}),
		},
		{
			name:   "Charges.Capture",
			params: chargeCapture(),
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ChargeCaptureParams) error {
				return got(c.Charges.Capture(ctx, "ch_123", p))
			}),
		},
		{
			name:   "Charges.List",
			params: chargeList(),
			apart:  []string{"Created", "EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ChargeListParams) error {
				return some(c.Charges.List(ctx, p))
			}),
		},
		{
			name:   "Charges.Page",
			params: chargeList(),
			apart:  []string{"EndingBefore"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.ChargeListParams) error {
				return filled(c.Charges.Page(ctx, p))
			}),
		},
		{
			name: "Charges.Search",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return some(c.Charges.Search(ctx, `amount>999 AND metadata["order"]:"6735"`))
			},
		},
		{
			name: "Charges.SearchPage",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				return filled(c.Charges.SearchPage(ctx, `amount>999 AND metadata["order"]:"6735"`, ""))
			},
		},
	}
}

func chargeCreate() stripekit.ChargeCreateParams {
	return stripekit.ChargeCreateParams{
		Amount:               2000,
		Currency:             "usd",
		ApplicationFeeAmount: new(int64(100)),
		Capture:              new(false),
		Customer:             new("cus_123"),
		Description:          new("a description"),
		Metadata:             stripekit.Metadata{"order": "6735"},
		OnBehalfOf:           new("acct_123"),
		RadarOptions:         &stripekit.RadarOptionsParams{Session: "rse_123"},
		ReceiptEmail:         new("jenny@example.com"),
		Shipping: &stripekit.Shipping{
			Name: "Jenny", Phone: "+49", Address: address(), Carrier: "DHL", TrackingNumber: "1",
		},
		Source:                    new("tok_visa"),
		StatementDescriptor:       new("SHOP"),
		StatementDescriptorSuffix: new("ORDER"),
		TransferData: &stripekit.ChargeTransferDataParams{
			Amount: new(int64(10)), Description: new("a transfer"), Destination: "acct_123",
		},
		TransferGroup: new("group"),
		Extra:         stripekit.Extra{"expand": []string{"customer"}},
	}
}

func chargeUpdate() stripekit.ChargeUpdateParams {
	return stripekit.ChargeUpdateParams{
		Customer:      new("cus_123"),
		Description:   new("a description"),
		FraudDetails:  &stripekit.FraudDetailsParams{UserReport: new("safe")},
		Metadata:      stripekit.Metadata{"order": "6735"},
		ReceiptEmail:  new("jenny@example.com"),
		Shipping:      chargeCreate().Shipping,
		TransferGroup: new("group"),
		Extra:         stripekit.Extra{"expand": []string{"customer"}},
	}
}

func chargeCapture() stripekit.ChargeCaptureParams {
	return stripekit.ChargeCaptureParams{
		Amount:                    new(int64(1000)),
		ApplicationFeeAmount:      new(int64(100)),
		ReceiptEmail:              new("jenny@example.com"),
		StatementDescriptor:       new("SHOP"),
		StatementDescriptorSuffix: new("ORDER"),
		TransferData:              &stripekit.ChargeCaptureTransferDataParams{Amount: new(int64(10))},
		TransferGroup:             new("group"),
		Extra:                     stripekit.Extra{"expand": []string{"customer"}},
	}
}

func chargeList() stripekit.ChargeListParams {
	return stripekit.ChargeListParams{
		ListParams:    listParams(),
		Customer:      new("cus_123"),
		PaymentIntent: new("pi_123"),
		TransferGroup: new("group"),
		Extra:         stripekit.Extra{"expand": []string{"data.customer"}},
	}
}
