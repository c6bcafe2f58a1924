package main

import (
	"context"
	stdjson "encoding/json"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// noNetwork is the URL of rows without a network.
const noNetwork = "https://api.stripe.com"

// onePage returns a service that responds to every request with the same page
// of 100 charges.
func onePage(l layout) (service, error) {
	m, err := newMold(l)
	if err != nil {
		return nil, err
	}
	page := m.page(nil, 0, pageSize, false, func(number int) int64 { return 1780000000 + int64(number) })
	date := time.Unix(1780000200, 0)
	return func(*http.Request) response { return response{body: page, date: date} }, nil
}

// decodeClient measures the clients reading a page without a network.
func decodeClient(l layout) func() (pair, error) {
	return func() (pair, error) {
		s, err := onePage(l)
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		client, err := ourClient(noNetwork, s)
		if err != nil {
			return pair{}, err
		}
		ours := func() ([]*stripekit.Charge, error) {
			page, err := client.Charges.Page(ctx, stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: pageSize}})
			if err != nil {
				return nil, err
			}
			return page.Data, nil
		}
		their := theirClient(noNetwork, s)
		theirs := func() ([]*stripe.Charge, error) {
			list := their.V1Charges.List(ctx, theirPageParams())
			return list.Data(), list.Err()
		}
		bare := newPlain(noNetwork, s)
		return pair{
			ours:   decodes(ours, ourSummary),
			theirs: decodes(theirs, theirSummary),
			floor: side{run: func(n int) error {
				return repeat(n, func() error { return bare.get(ctx, nil, "/v1/charges?limit=100") })
			}},
			want: summaries(0, pageSize),
		}, nil
	}
}

// decodeByClient compares stripe-go's decoding of a page's bytes with what its client
// does. The client parses the page two more times: in the method UnmarshalJSON of the
// response, and to keep the bytes of each object beside it.
func decodeByClient() (pair, error) {
	bare, err := decodeBare(decodePage(standard, theirSummary), decodePage(standard, theirSummary))()
	if err != nil {
		return pair{}, err
	}
	client, err := decodeClient(indented)()
	bare.theirs = client.theirs
	return bare, err
}

func theirPageParams() *stripe.ChargeListParams {
	return &stripe.ChargeListParams{ListParams: stripe.ListParams{Limit: new(int64(pageSize))}}
}

// decodes returns a side that decodes a page.
func decodes[C any](operation func() ([]*C, error), summary func(*C) string) side {
	return side{
		run: discarding(operation),
		work: func() (all []string, err error) {
			charges, err := operation()
			for _, c := range charges {
				all = append(all, summary(c))
			}
			return all, err
		},
	}
}

// bareCharge is stripe-go's charge without its method UnmarshalJSON, so that a page
// is parsed once. stripe-go parses it twice: first to find where each charge ends,
// and then each charge.
type bareCharge stripe.Charge

// The decoders of a page that the rows of decoding compare, by JSON package.
var (
	module   = func(b []byte, v any) error { return json.Unmarshal(b, v, lenient) }
	standard = stdjson.Unmarshal
)

// decodePage returns a side that decodes a page into a slice of C, by one of the
// JSON packages.
func decodePage[C any](unmarshal func([]byte, any) error, summary func(*C) string) func(body []byte) side {
	return func(body []byte) side {
		return decodes(func() ([]*C, error) {
			page := new(struct {
				Data    []*C   `json:"data"`
				HasMore bool   `json:"has_more"`
				URL     string `json:"url"`
			})
			err := unmarshal(body, page)
			return page.Data, err
		}, summary)
	}
}

func bareSummary(c *bareCharge) string { return theirSummary((*stripe.Charge)(c)) }

// decodeBare compares two ways to decode the bytes of an indented page, without a
// client.
func decodeBare(ours, theirs func(body []byte) side) func() (pair, error) {
	return func() (pair, error) {
		s, err := onePage(indented)
		if err != nil {
			return pair{}, err
		}
		body := s(nil).body
		return pair{ours: ours(body), theirs: theirs(body), want: summaries(0, pageSize)}, nil
	}
}

func ourSummary(c *stripekit.Charge) string {
	return summary(c.ID, c.BillingDetails.Email, c.BillingDetails.Address.City, c.Outcome.SellerMessage,
		c.PaymentMethodDetails.Card.Last4, c.Customer.ID, c.StatementDescriptorSuffix)
}

func theirSummary(c *stripe.Charge) string {
	return summary(c.ID, c.BillingDetails.Email, c.BillingDetails.Address.City, c.Outcome.SellerMessage,
		c.PaymentMethodDetails.Card.Last4, c.Customer.ID, c.StatementDescriptorSuffix)
}
