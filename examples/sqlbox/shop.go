package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

var (
	names = []string{"Ada Brandt", "Bo Lindqvist", "Chloé Martin", "Dario Russo", "Emi Tanaka", "Femi Adeyemi", "Greta Olsen", "Hugo Keller"}
	goods = []string{"Coffee beans", "Teapot", "Grinder", "Two mugs", "Gift card", "Filter paper", "Kettle", "Milk jug"}
	cards = []string{"tok_visa", "tok_visa", "tok_visa", "tok_mastercard", "tok_mastercard", "tok_amex", declined}
)

const (
	day      = 24 * time.Hour
	declined = "tok_chargeCustomerFail"
)

// openShop returns a client for a fake Stripe in this process, with the data of
// a shop that has been selling for 90 days: 200 customers and about 4,000
// charges. The client keeps Stripe's default rate limits.
func openShop() (*stripekit.Client, error) {
	server := stripetest.New(stripetest.InMemory())
	random := rand.New(rand.NewPCG(7, 7))
	opened := time.Now().Add(-90 * day).Truncate(time.Hour)
	seed := func(path string, count int, first time.Time, every time.Duration, params url.Values) []string {
		return server.Seed(path, stripetest.Seeding{Count: count, First: first, Every: every, Params: params})
	}
	for i, name := range goods {
		seed("/v1/products", 1, opened.Add(time.Duration(i)*time.Minute), 0, url.Values{
			"name": {name}, "active": {strconv.FormatBool(i != 4)}, "shippable": {strconv.FormatBool(i != 4)},
		})
	}
	within := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	for i := range 200 {
		name, card := pick(random, names), pick(random, cards)
		first, _, _ := strings.Cut(strings.ToLower(name), " ")
		joined := opened.Add(within(80 * day))
		customer := seed("/v1/customers", 1, joined, 0, url.Values{
			"name": {name}, "email": {fmt.Sprintf("%s%d@example.com", first, i)}, "source": {card},
		})[0]
		for range 1 + random.IntN(4) {
			began, every := joined.Add(within(day)), day/2+within(day)
			charges := seed("/v1/charges", 1+min(random.IntN(15), int(time.Since(began)/every)), began, every, url.Values{
				"customer": {customer}, "amount": {strconv.Itoa(300 + 50*random.IntN(200))}, "currency": {"usd"},
				"description": {pick(random, goods)},
			})
			if card != declined && random.IntN(6) == 0 {
				seed("/v1/refunds", 1, began.Add(within(3*day)), 0, url.Values{"charge": charges[:1], "reason": {"requested_by_customer"}})
			}
		}
		if random.IntN(3) == 0 {
			seed("/v1/invoiceitems", 1, joined, 0, url.Values{"customer": {customer}, "amount": {"500"}, "currency": {"usd"}, "description": {"Subscription"}})
			seed("/v1/orders", 1, joined, 0, url.Values{"customer": {customer}, "currency": {"usd"}})
		}
	}
	return stripekit.New("sk_test_shop", stripekit.WithHTTPClient(server.Client()))
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }
