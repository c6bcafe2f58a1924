package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// shop is a simulated shop on a fake Stripe. It writes down what it does.
type shop struct {
	client     *stripekit.Client
	record     map[string]sale // by the id of the charge or refund
	refundable []*stripekit.Charge
}

// sale is what the books must have for a charge or a refund.
type sale struct {
	kind, currency string
	amount         int64
}

// newShop returns a shop and its server. As at Stripe, a tenth of the objects appear
// in the lists only some time after they were created.
func newShop() (*shop, *stripetest.Server, error) {
	server := stripetest.New(stripetest.WithVisibility(func(string) time.Duration {
		if rand.IntN(10) > 0 {
			return 0
		}
		return rand.N(3 * time.Second)
	}))
	client, err := stripekit.New(shopKey, stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return &shop{client: client, record: map[string]sale{}}, server, nil
}

// sell sells and refunds until ctx ends, about a hundred times a second.
func (s *shop) sell(ctx context.Context) error {
	for {
		serve := s.charge
		if len(s.refundable) > 10 && rand.IntN(4) == 0 {
			serve = s.refund
		}
		if err := serve(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
}

// charge charges a card. A few cards are declined, and some charges are not captured.
func (s *shop) charge(ctx context.Context) error {
	capture := rand.IntN(12) > 0
	charge, err := s.client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 300 + rand.Int64N(20000), Currency: pick("usd", "eur", "jpy"), Capture: &capture,
		Source: new(pick("tok_visa", "tok_visa", "tok_mastercard", "tok_mastercard", "tok_amex", "tok_chargeDeclined")),
	})
	switch {
	case errors.Is(err, stripekit.ErrCardDeclined):
		return nil
	case err != nil:
		return err
	}
	sold := sale{kindCharge, charge.Currency, charge.Amount}
	if !capture {
		sold.kind = kindOpen
	}
	s.record[charge.ID] = sold
	s.refundable = append(s.refundable, charge)
	return nil
}

// refund pays a charge back, as a whole or in part, or releases an open charge.
func (s *shop) refund(ctx context.Context) error {
	i := rand.IntN(len(s.refundable))
	charge := s.refundable[i]
	s.refundable = append(s.refundable[:i], s.refundable[i+1:]...)
	params := stripekit.RefundCreateParams{Charge: &charge.ID}
	if charge.Captured && rand.IntN(2) == 0 {
		params.Amount = new(1 + rand.Int64N(charge.Amount))
	}
	refund, err := s.client.Refunds.Create(ctx, params)
	if err != nil {
		return err
	}
	returned := sale{kindRefund, refund.Currency, refund.Amount}
	if !charge.Captured {
		returned.kind = kindRelease
	}
	s.record[refund.ID] = returned
	return nil
}

func pick(from ...string) string { return from[rand.IntN(len(from))] }
