package stripekit_test

import (
	"context"
	"testing"

	"github.com/stripekit/stripekit"
)

func TestRefundsSendEveryParameter(t *testing.T) {
	create := full(t, stripekit.RefundCreateParams{
		Amount: new(int64(5)), Charge: new("ch_1"), Currency: new("usd"), Customer: new("cus_1"), InstructionsEmail: new("a@b.c"),
		Metadata: stripekit.Metadata{"k": "v"}, Origin: new("customer_balance"), PaymentIntent: new("pi_1"), Reason: new("duplicate"),
		RefundApplicationFee: new(true), ReverseTransfer: new(false), Extra: stripekit.Extra{"x": 1},
	})
	update := full(t, stripekit.RefundUpdateParams{Metadata: stripekit.Metadata{"k": "v"}, Extra: stripekit.Extra{"x": 1}})
	filter := full(t, stripekit.RefundListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Charge: new("ch_1"), PaymentIntent: new("pi_1"), Extra: stripekit.Extra{"x": 1}})
	const sentFilter = sentCreated + "&charge=ch_1&payment_intent=pi_1&x=1"

	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Refunds.Create(ctx, create)) },
			sentRequest{"POST", "/v1/refunds", "amount=5&charge=ch_1&currency=usd&customer=cus_1&instructions_email=a@b.c&metadata[k]=v" +
				"&origin=customer_balance&payment_intent=pi_1&reason=duplicate&refund_application_fee=true&reverse_transfer=false&x=1"},
		},
		"create for a payment intent": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Create(ctx, stripekit.RefundCreateParams{PaymentIntent: new("pi_1")}))
			},
			sentRequest{"POST", "/v1/refunds", "payment_intent=pi_1"},
		},
		"create out of a balance": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Create(ctx, stripekit.RefundCreateParams{
					Amount: new(int64(5)), Currency: new("usd"), Customer: new("cus_1"), Origin: new("customer_balance"),
				}))
			},
			sentRequest{"POST", "/v1/refunds", "amount=5&currency=usd&customer=cus_1&origin=customer_balance"},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Refunds.Get(ctx, "re_1")) },
			sentRequest{"GET", "/v1/refunds/re_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Update(ctx, "re_1", update))
			},
			sentRequest{"POST", "/v1/refunds/re_1", "metadata[k]=v&x=1"},
		},
		"cancel": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Refunds.Cancel(ctx, "re_1", stripekit.WithExpand("charge")))
			},
			sentRequest{"POST", "/v1/refunds/re_1/cancel", "expand[0]=charge"},
		},
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Refunds.List(ctx, filter)) },
			sentRequest{"GET", "/v1/refunds", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Refunds.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/refunds", sentFilter},
		},
	})
}

func TestRefundOfNothingIsRefusedBeforeARequest(t *testing.T) {
	create := func(p stripekit.RefundCreateParams) func(context.Context, *stripekit.Client) error {
		return func(ctx context.Context, c *stripekit.Client) error { return done(c.Refunds.Create(ctx, p)) }
	}
	requireParamErrors(t, map[string]refusal{
		"nothing":          {"charge", create(stripekit.RefundCreateParams{Amount: new(int64(5))})},
		"empty ids":        {"charge", create(stripekit.RefundCreateParams{Charge: new(""), PaymentIntent: new("")})},
		"a customer alone": {"charge", create(stripekit.RefundCreateParams{Customer: new("cus_1")})},
	})
}

func TestRefundDecodesInEveryVersion(t *testing.T) {
	read := func(c *stripekit.Client) (*stripekit.Refund, error) { return c.Refunds.Get(t.Context(), "re_1") }
	tests := map[string]struct {
		response string
		want     stripekit.Refund
	}{
		"2026": {
			`{"id":"re_1","object":"refund","amount":100,"balance_transaction":"txn_1","charge":{"id":"ch_1","object":"charge","amount":300,
			"customer":{"id":"cus_1","deleted":true}},"created":5,"currency":"usd","destination_details":{"type":"card","card":{"type":"refund"}},
			"metadata":{},"payment_intent":{"id":"pi_1","object":"payment_intent"},"reason":"duplicate","receipt_number":null,
			"failure_reason":"unknown","status":"failed"}`,
			stripekit.Refund{
				ID: "re_1", Amount: 100, BalanceTransaction: stripekit.Ref[stripekit.BalanceTransaction]{ID: "txn_1"}, Created: 5, Currency: "usd",
				Charge: stripekit.Ref[stripekit.Charge]{ID: "ch_1", Object: &stripekit.Charge{
					ID: "ch_1", Amount: 300,
					Customer: stripekit.Ref[stripekit.Customer]{ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1", Deleted: true}},
				}},
				FailureReason: "unknown", Metadata: stripekit.Metadata{}, Reason: "duplicate", Status: "failed",
				PaymentIntent: stripekit.Ref[stripekit.ObjectID]{ID: "pi_1", Object: &stripekit.ObjectID{ID: "pi_1"}},
			},
		},
		"2017": {
			`{"id":"re_1","amount":100,"balance_transaction":null,"charge":"ch_1","created":5,"currency":"usd","metadata":null,"reason":null,
			"receipt_number":"1234","status":"succeeded"}`,
			stripekit.Refund{
				ID: "re_1", Amount: 100, Charge: stripekit.Ref[stripekit.Charge]{ID: "ch_1"}, Created: 5, Currency: "usd", ReceiptNumber: "1234",
				Status: "succeeded",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { requireDecodes(t, tt.response, tt.want, read) })
	}
}
