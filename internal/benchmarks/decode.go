package main

import (
	"context"
	stdjson "encoding/json"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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
func decodeClient(l layout) func(options) (pair, error) {
	return func(options) (pair, error) {
		s, err := onePage(l)
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		ours, err := ourClient(noNetwork, s)
		if err != nil {
			return pair{}, err
		}
		theirs := theirClient(noNetwork, s)
		floor := plain{&http.Client{Transport: s}, noNetwork}
		var buffer into

		ourPage := func() (*stripekit.Page[stripekit.Charge], error) {
			return ours.Charges.Page(ctx, stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: pageSize}})
		}
		theirPage := func() ([]*stripe.Charge, error) {
			list := theirs.V1Charges.List(ctx, &stripe.ChargeListParams{ListParams: stripe.ListParams{Limit: new(int64(pageSize))}})
			return list.Data(), list.Err()
		}
		return pair{
			ours: side{
				run:  func(n int) error { return repeat(n, func() error { _, err := ourPage(); return err }) },
				work: func() ([]string, error) { return ourIDs(ourPage()) },
			},
			theirs: side{
				run:  func(n int) error { return repeat(n, func() error { _, err := theirPage(); return err }) },
				work: func() ([]string, error) { return theirIDs(theirPage()) },
			},
			floor: side{run: func(n int) error {
				return repeat(n, func() error {
					_, err := floor.copy(ctx, &buffer, http.MethodGet, "/v1/charges?limit=100", nil)
					return err
				})
			}},
			want: ids(0, pageSize),
		}, nil
	}
}

// decodeBare measures only the decoding of a page, by the JSON packages that
// the libraries use.
func decodeBare(l layout) func(options) (pair, error) {
	return func(options) (pair, error) {
		s, err := onePage(l)
		if err != nil {
			return pair{}, err
		}
		body := s(nil).body
		lenient := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
		ourPage := func() (*stripekit.Page[stripekit.Charge], error) {
			page := new(stripekit.Page[stripekit.Charge])
			return page, json.Unmarshal(body, page, lenient)
		}
		theirPage := func() ([]*stripe.Charge, error) {
			page := new(stripe.ChargeList)
			err := stdjson.Unmarshal(body, page)
			return page.Data, err
		}
		buffer := make([]byte, len(body))
		return pair{
			ours: side{
				run:  func(n int) error { return repeat(n, func() error { _, err := ourPage(); return err }) },
				work: func() ([]string, error) { return ourIDs(ourPage()) },
			},
			theirs: side{
				run:  func(n int) error { return repeat(n, func() error { _, err := theirPage(); return err }) },
				work: func() ([]string, error) { return theirIDs(theirPage()) },
			},
			floor: side{run: func(n int) error { return repeat(n, func() error { copy(buffer, body); return nil }) }},
			want:  ids(0, pageSize),
		}, nil
	}
}

// ourIDs returns the ids of the charges on a page that were read in full.
func ourIDs(page *stripekit.Page[stripekit.Charge], err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range page.Data {
		if c.PaymentMethodDetails.Card.Last4 == "4242" && c.Metadata["channel"] == "web" && c.Status == "succeeded" {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

func theirIDs(page []*stripe.Charge, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range page {
		if c.PaymentMethodDetails.Card.Last4 == "4242" && c.Metadata["channel"] == "web" && c.Status == stripe.ChargeStatusSucceeded {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}
