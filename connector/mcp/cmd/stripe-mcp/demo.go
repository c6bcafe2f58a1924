package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const demoKey = "sk_test_demo"

// openDemo returns a fake Stripe in this process, with the data of a shop that has been
// open for 30 days.
func openDemo(ctx context.Context) (*stripetest.Server, error) {
	server := stripetest.New(stripetest.InMemory())
	opened := time.Now().Add(-30 * 24 * time.Hour)
	for i, name := range []string{"Coffee beans", "Teapot", "Grinder"} {
		server.Seed("/v1/products", stripetest.Seeding{First: opened, IDs: []string{fmt.Sprintf("prod_demo%d", i)}, Params: url.Values{"name": {name}}})
	}
	for i, name := range []string{"Ada Brandt", "Bo Lindqvist", "Chloé Martin", "Dario Russo", "Emi Tanaka"} {
		joined := opened.Add(time.Duration(i) * 24 * time.Hour)
		customer := fmt.Sprintf("cus_demo%d", i)
		seed := func(path string, count int, params url.Values) []string {
			params["customer"], params["currency"] = []string{customer}, []string{"usd"}
			return server.Seed(path, stripetest.Seeding{Count: count, First: joined, Every: 8 * time.Hour, Params: params})
		}
		server.Seed("/v1/customers", stripetest.Seeding{First: joined, IDs: []string{customer}, Params: url.Values{
			"name": {name}, "email": {fmt.Sprintf("customer%d@example.com", i)}, "source": {"tok_visa"},
		}})
		charges := seed("/v1/charges", 20+10*i, url.Values{"amount": {fmt.Sprint(500 * (i + 1))}, "description": {"Coffee beans"}})
		seed("/v1/invoiceitems", 1, url.Values{"amount": {"900"}, "description": {"Subscription"}})
		seed("/v1/orders", 1, url.Values{})
		server.Seed("/v1/refunds", stripetest.Seeding{First: joined, Params: url.Values{"charge": charges[:1]}})
	}
	return server, sell(ctx, server)
}

// sell makes a sale by the API, because what is seeded has no events.
func sell(ctx context.Context, server *stripetest.Server) error {
	client, err := stripekit.New(demoKey, stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		return err
	}
	_, err = client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 1200, Currency: "usd", Source: new("tok_visa"), Description: new("Teapot")})
	return err
}
