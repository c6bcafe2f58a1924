package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const shopKey = "sk_test_shop"

// shop is a simulated shop on a fake Stripe. It remembers what the pipelines have to
// deliver.
type shop struct {
	server *stripetest.Server
	client *stripekit.Client

	paid                       []string // charges that can be refunded
	customers, refunds, failed []string
}

func openShop() (*shop, error) {
	server := stripetest.New()
	client, err := stripekit.New(shopKey, stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		server.Close()
		return nil, err
	}
	return &shop{server: server, client: client}, nil
}

// sell makes something about 20 times a second.
func (s *shop) sell(ctx context.Context, duration time.Duration) error {
	actions := []func(context.Context) error{s.customer, s.charge, s.charge, s.decline, s.refund}
	for end := time.Now().Add(duration); time.Now().Before(end); {
		if err := actions[rand.IntN(len(actions))](ctx); err != nil {
			return fmt.Errorf("the shop: %w", err)
		}
		if err := sleep(ctx, rand.N(100*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) customer(ctx context.Context) error {
	email := fmt.Sprintf("customer%d@example.com", len(s.customers))
	customer, err := s.client.Customers.Create(ctx, stripekit.CustomerCreateParams{Email: &email})
	if err == nil {
		s.customers = append(s.customers, customer.ID)
	}
	return err
}

func (s *shop) charge(ctx context.Context) error {
	charge, err := s.client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "eur", Source: new("tok_visa")})
	if err == nil {
		s.paid = append(s.paid, charge.ID)
	}
	return err
}

// decline makes a charge that fails.
func (s *shop) decline(ctx context.Context) error {
	_, err := s.client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "eur", Source: new("tok_chargeDeclined")})
	declined, ok := errors.AsType[*stripekit.Error](err)
	if !ok || !errors.Is(err, stripekit.ErrCardDeclined) {
		return fmt.Errorf("a charge that should be declined: %w", err)
	}
	s.failed = append(s.failed, declined.ChargeID)
	return nil
}

func (s *shop) refund(ctx context.Context) error {
	if len(s.paid) == 0 {
		return nil
	}
	last := len(s.paid) - 1
	refund, err := s.client.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: &s.paid[last]})
	if err == nil {
		s.paid, s.refunds = s.paid[:last], append(s.refunds, refund.ID)
	}
	return err
}
