package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const (
	// shopKey is a key that the fake Stripe of the simulated shop accepts.
	shopKey = "sk_test_shop"
	// oldCustomers and oldCharges are how many the shop has when it opens.
	oldCustomers = 2000
	oldCharges   = 3000
	// maxLate is how late an object or an event of the shop may appear in the lists.
	maxLate = 2 * time.Second
)

// shop is a simulated shop on a fake Stripe.
type shop struct {
	client    *stripekit.Client
	customers []string // not deleted
	charges   []string
	open      []string         // authorized charges
	paid      map[string]int64 // what can be refunded of each charge
	actions   int
}

// newShop returns a shop and its server. As at Stripe, a tenth of the objects and events
// appear in the lists only some time after they were created, and so in another order.
func newShop() (*shop, *stripetest.Server, error) {
	server := stripetest.New(stripetest.WithVisibility(func(string) time.Duration {
		if rand.IntN(10) > 0 {
			return 0
		}
		return rand.N(maxLate)
	}))
	client, err := stripekit.New(shopKey, stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	s := &shop{client: client, paid: map[string]int64{}}
	opened := time.Now().AddDate(-1, 0, 0)
	s.customers = server.Seed("/v1/customers", stripetest.Seeding{Count: oldCustomers, First: opened, Every: 4 * time.Hour})
	s.charges = server.Seed("/v1/charges", stripetest.Seeding{
		Count: oldCharges, First: opened, Every: 150 * time.Minute,
		Params: url.Values{"amount": {"2000"}, "currency": {"eur"}, "source": {"tok_visa"}},
	})
	for _, id := range s.charges {
		s.paid[id] = 2000
	}
	return s, server, nil
}

// sell changes something about 25 times a second until ctx ends.
func (s *shop) sell(ctx context.Context) error {
	actions := []func(context.Context) error{
		s.createCustomer, s.updateCustomer, s.updateCustomer, s.deleteCustomer,
		s.charge, s.charge, s.updateCharge, s.capture, s.refund,
	}
	for {
		if err := actions[rand.IntN(len(actions))](context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("the shop: %w", err)
		}
		s.actions++
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(80 * time.Millisecond)):
		}
	}
}

func (s *shop) createCustomer(ctx context.Context) error {
	customer, err := s.client.Customers.Create(ctx, stripekit.CustomerCreateParams{Email: new(address()), Source: new("tok_visa")})
	if err != nil {
		return err
	}
	s.customers = append(s.customers, customer.ID)
	return nil
}

func address() string { return fmt.Sprintf("customer%d@example.com", rand.IntN(1e9)) }

// updateCustomer changes a customer twice, which is often within one second.
func (s *shop) updateCustomer(ctx context.Context) error {
	id := pick(s.customers)
	for range 2 {
		if _, err := s.client.Customers.Update(ctx, id, stripekit.CustomerUpdateParams{
			Email: new(address()), Balance: new(rand.Int64N(1000)), Metadata: stripekit.Metadata{"visits": fmt.Sprint(rand.IntN(100))},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) deleteCustomer(ctx context.Context) error {
	var id string
	s.customers, id = take(s.customers)
	_, err := s.client.Customers.Delete(ctx, id)
	return err
}

// charge charges a card. A few cards are declined, and some charges are not captured.
func (s *shop) charge(ctx context.Context) error {
	capture := rand.IntN(3) > 0
	charge, err := s.client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 300 + rand.Int64N(20000), Currency: pick([]string{"usd", "eur", "jpy"}), Capture: &capture,
		Source: new(pick([]string{"tok_visa", "tok_mastercard", "tok_amex", "tok_chargeDeclined"})),
	})
	if e, ok := errors.AsType[*stripekit.Error](err); ok && errors.Is(err, stripekit.ErrCardDeclined) {
		s.charges = append(s.charges, e.ChargeID)
		return nil
	}
	if err != nil {
		return err
	}
	s.charges = append(s.charges, charge.ID)
	if capture {
		s.paid[charge.ID] = charge.Amount
	} else {
		s.open = append(s.open, charge.ID)
	}
	return nil
}

func (s *shop) updateCharge(ctx context.Context) error {
	_, err := s.client.Charges.Update(ctx, pick(s.charges), stripekit.ChargeUpdateParams{
		Description: new(fmt.Sprint("parcel ", rand.IntN(1e9))),
	})
	return err
}

// capture captures an authorized charge, which makes two events.
func (s *shop) capture(ctx context.Context) error {
	if len(s.open) == 0 {
		return s.charge(ctx)
	}
	var id string
	s.open, id = take(s.open)
	charge, err := s.client.Charges.Capture(ctx, id, stripekit.ChargeCaptureParams{})
	if err == nil {
		s.paid[id] = charge.Amount
	}
	return err
}

// refund pays a part of a charge back, or all of the rest.
func (s *shop) refund(ctx context.Context) error {
	id := pick(s.charges)
	left := s.paid[id]
	if left == 0 {
		return s.charge(ctx)
	}
	amount := min(left, 1+rand.Int64N(2*left))
	s.paid[id] -= amount
	_, err := s.client.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: &id, Amount: &amount})
	return err
}

func pick(from []string) string { return from[rand.IntN(len(from))] }

// take removes a random element.
func take(from []string) (rest []string, taken string) {
	i, last := rand.IntN(len(from)), len(from)-1
	taken = from[i]
	from[i] = from[last]
	return from[:last], taken
}
