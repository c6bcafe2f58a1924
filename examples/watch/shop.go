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

// shop creates customers and charges on a fake Stripe.
type shop struct {
	client  *stripekit.Client
	created []string // the ids of all customers and charges
}

var (
	names = []string{"Ada Brandt", "Bo Lindqvist", "Chloé Martin", "Dario Russo", "Emi Tanaka", "Femi Adeyemi"}
	goods = []string{"coffee beans", "a teapot", "a grinder", "two mugs", "a gift card"}
	cards = []string{"tok_visa", "tok_visa", "tok_mastercard", "tok_amex", "tok_chargeDeclined", "tok_chargeDeclinedInsufficientFunds"}
)

func openShop(server *stripetest.Server) (*shop, error) {
	client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	return &shop{client: client}, err
}

// sell serves one customer after another until ctx ends, about four a second.
func (s *shop) sell(ctx context.Context) error {
	for {
		if err := s.serve(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(500 * time.Millisecond)):
		}
	}
}

// serve creates a customer and a charge, which may be declined.
func (s *shop) serve(ctx context.Context) error {
	name := pick(names)
	customer, err := s.client.Customers.Create(ctx, stripekit.CustomerCreateParams{
		Name:  &name,
		Email: new(fmt.Sprintf("customer%d@example.com", len(s.created))),
	})
	if err != nil {
		return err
	}
	s.created = append(s.created, customer.ID)

	charge, err := s.client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 300 + rand.Int64N(20000), Currency: pick([]string{"usd", "eur", "jpy"}),
		Source: new(pick(cards)), Description: new(pick(goods) + " for " + name),
	})
	var refused *stripekit.Error
	switch {
	case err == nil:
		s.created = append(s.created, charge.ID)
	case errors.Is(err, stripekit.ErrCardDeclined) && errors.As(err, &refused):
		s.created = append(s.created, refused.ChargeID) // Stripe keeps the failed charge
	default:
		return err
	}
	return nil
}

func pick(from []string) string { return from[rand.IntN(len(from))] }
