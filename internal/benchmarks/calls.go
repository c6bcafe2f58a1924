package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"
	theirform "github.com/stripe/stripe-go/v85/form"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/form"
)

// parallel calls once n times, from a number of goroutines.
func parallel(goroutines, n int, once func() error) error {
	if goroutines == 1 {
		return repeat(n, once)
	}
	var left atomic.Int64
	left.Store(int64(n))
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = once()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// loopback is a service on loopback for a row, and the clients for it.
type loopback struct {
	server *httptest.Server
	ours   *stripekit.Client
	theirs *stripe.Client
	plain  plain
	keep   atomic.Bool // keep forms in posted
	posted []string    // the pairs of the last form
}

// newLoopback starts a service that responds to a list request with an empty
// page, and to any other request with a charge.
func newLoopback() (*loopback, error) {
	m, err := newMold(indented)
	if err != nil {
		return nil, err
	}
	one := m.one(7, 1780000000)
	empty := m.page(nil, 0, 0, false, nil)
	lo := new(loopback)
	lo.server = httptest.NewServer(service(func(r *http.Request) response {
		body := one
		if r.Method == http.MethodGet && r.URL.Path == "/v1/charges" {
			body = empty
		}
		if lo.keep.Load() {
			lo.posted = pairs(r)
		}
		return response{body: body, date: time.Now()}
	}))
	if lo.ours, err = ourClient(lo.server.URL, nil); err != nil {
		return nil, err
	}
	lo.theirs = theirClient(lo.server.URL, nil)
	lo.plain = plain{&http.Client{Transport: likeOurs(nil)}, lo.server.URL}
	return lo, nil
}

func pairs(r *http.Request) []string {
	if err := r.ParseForm(); err != nil {
		return []string{err.Error()}
	}
	return sorted(r.PostForm)
}

// sorted returns the pairs of a form, in the order of their keys.
func sorted(values url.Values) (pairs []string) {
	for name, all := range values {
		for _, value := range all {
			pairs = append(pairs, name+"="+value)
		}
	}
	slices.Sort(pairs)
	return pairs
}

func gets(goroutines int) func(options) (pair, error) {
	return func(options) (pair, error) {
		lo, err := newLoopback()
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		id := chargeID(7)
		ours := func() error { _, err := lo.ours.Charges.Get(ctx, id); return err }
		theirs := func() error { _, err := lo.theirs.V1Charges.Retrieve(ctx, id, nil); return err }
		floor := func() error { return lo.plain.do(ctx, http.MethodGet, "/v1/charges/"+id, nil) }
		return pair{
			ours: side{
				run: func(n int) error { return parallel(goroutines, n, ours) },
				work: func() ([]string, error) {
					c, err := lo.ours.Charges.Get(ctx, id)
					if err != nil {
						return nil, err
					}
					return ourIDs(&stripekit.Page[stripekit.Charge]{Data: []*stripekit.Charge{c}}, nil)
				},
			},
			theirs: side{
				run: func(n int) error { return parallel(goroutines, n, theirs) },
				work: func() ([]string, error) {
					c, err := lo.theirs.V1Charges.Retrieve(ctx, id, nil)
					if err != nil {
						return nil, err
					}
					return theirIDs([]*stripe.Charge{c}, nil)
				},
			},
			floor: side{run: func(n int) error { return parallel(goroutines, n, floor) }},
			want:  []string{id},
			close: lo.server.Close,
		}, nil
	}
}

func emptyLists(goroutines int) func(options) (pair, error) {
	return func(options) (pair, error) {
		lo, err := newLoopback()
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		ours := func() (found []string, err error) {
			for c, err := range lo.ours.Charges.List(ctx, stripekit.ChargeListParams{}) {
				if err != nil {
					return nil, err
				}
				found = append(found, c.ID)
			}
			return found, nil
		}
		theirs := func() (found []string, err error) {
			list := lo.theirs.V1Charges.List(ctx, &stripe.ChargeListParams{ListParams: stripe.ListParams{Limit: new(int64(pageSize))}})
			for c, err := range list.All(ctx) {
				if err != nil {
					return nil, err
				}
				found = append(found, c.ID)
			}
			return found, nil
		}
		floor := func() error { return lo.plain.do(ctx, http.MethodGet, "/v1/charges?limit=100", nil) }
		return pair{
			ours: side{work: ours, run: func(n int) error {
				return parallel(goroutines, n, func() error { _, err := ours(); return err })
			}},
			theirs: side{work: theirs, run: func(n int) error {
				return parallel(goroutines, n, func() error { _, err := theirs(); return err })
			}},
			floor: side{run: func(n int) error { return parallel(goroutines, n, floor) }},
			close: lo.server.Close,
		}, nil
	}
}

// ourCharge returns the parameters that a shop sends for a new charge.
func ourCharge() stripekit.ChargeCreateParams {
	return stripekit.ChargeCreateParams{
		Amount: 12500, Currency: "usd", Customer: new("cus_NffrFeUfNV2Hib"), Capture: new(true),
		Description:               new("Order 1042 of the café in \"North Beach\", paid by card"),
		Metadata:                  stripekit.Metadata{"order_id": "1042", "customer_reference": "CR-00000000000042", "channel": "web"},
		ReceiptEmail:              new("jenny.rosen+1042@example.com"),
		StatementDescriptorSuffix: new("ORDER 1042"),
		Shipping: &stripekit.Shipping{
			Name: "Jenny Rosen", Phone: "+1 555 010 1042", Carrier: "DHL", TrackingNumber: "JD014600003",
			Address: stripekit.Address{City: "San Francisco", Country: "US", Line1: "1042 Townsend Street", PostalCode: "94103", State: "CA"},
		},
		TransferGroup: new("ORDER_1042"),
	}
}

// theirCharge returns the same parameters for stripe-go.
func theirCharge() *stripe.ChargeCreateParams {
	return &stripe.ChargeCreateParams{
		Amount: new(int64(12500)), Currency: new("usd"), Customer: new("cus_NffrFeUfNV2Hib"), Capture: new(true),
		Description:               new("Order 1042 of the café in \"North Beach\", paid by card"),
		Metadata:                  map[string]string{"order_id": "1042", "customer_reference": "CR-00000000000042", "channel": "web"},
		ReceiptEmail:              new("jenny.rosen+1042@example.com"),
		StatementDescriptorSuffix: new("ORDER 1042"),
		Shipping: &stripe.ShippingDetailsParams{
			Name: new("Jenny Rosen"), Phone: new("+1 555 010 1042"), Carrier: new("DHL"), TrackingNumber: new("JD014600003"),
			Address: &stripe.AddressParams{City: new("San Francisco"), Country: new("US"), Line1: new("1042 Townsend Street"), PostalCode: new("94103"), State: new("CA")},
		},
		TransferGroup: new("ORDER_1042"),
	}
}

func theirForm(params *stripe.ChargeCreateParams) string {
	values := new(theirform.Values)
	theirform.AppendTo(values, params)
	return values.Encode()
}

func creates(options) (pair, error) {
	lo, err := newLoopback()
	if err != nil {
		return pair{}, err
	}
	body := []byte(theirForm(theirCharge()))
	ctx := context.Background()
	ours := func() ([]string, error) {
		c, err := lo.ours.Charges.Create(ctx, ourCharge())
		if err != nil {
			return nil, err
		}
		return []string{c.ID}, nil
	}
	theirs := func() ([]string, error) {
		c, err := lo.theirs.V1Charges.Create(ctx, theirCharge())
		if err != nil {
			return nil, err
		}
		return []string{c.ID}, nil
	}
	floor := func() error {
		return lo.plain.do(ctx, http.MethodPost, "/v1/charges", bytes.NewReader(body),
			"Content-Type", "application/x-www-form-urlencoded", "Idempotency-Key", "LPC4W6MWAF3ZQTQ6XS2KFKN3CY")
	}
	// A test also checks the form that the service received.
	work := func(create func() ([]string, error)) func() ([]string, error) {
		return func() ([]string, error) {
			lo.keep.Store(true)
			defer lo.keep.Store(false)
			ids, err := create()
			return append(ids, lo.posted...), err
		}
	}
	run := func(create func() ([]string, error)) func(int) error {
		return func(n int) error {
			return repeat(n, func() error { _, err := create(); return err })
		}
	}
	return pair{
		ours:   side{work: work(ours), run: run(ours)},
		theirs: side{work: work(theirs), run: run(theirs)},
		floor:  side{run: func(n int) error { return repeat(n, floor) }},
		want:   append([]string{chargeID(7)}, createdPairs...),
		close:  lo.server.Close,
	}, nil
}

// createdPairs are the form pairs of ourCharge.
var createdPairs = []string{
	"amount=12500", "capture=true", "currency=usd", "customer=cus_NffrFeUfNV2Hib",
	"description=Order 1042 of the café in \"North Beach\", paid by card",
	"metadata[channel]=web", "metadata[customer_reference]=CR-00000000000042", "metadata[order_id]=1042",
	"receipt_email=jenny.rosen+1042@example.com",
	"shipping[address][city]=San Francisco", "shipping[address][country]=US", "shipping[address][line1]=1042 Townsend Street",
	"shipping[address][postal_code]=94103", "shipping[address][state]=CA", "shipping[carrier]=DHL", "shipping[name]=Jenny Rosen",
	"shipping[phone]=+1 555 010 1042", "shipping[tracking_number]=JD014600003",
	"statement_descriptor_suffix=ORDER 1042", "transfer_group=ORDER_1042",
}

// encodes measures only the encoding of a charge's parameters.
func encodes(options) (pair, error) {
	ours, theirs := ourCharge(), theirCharge()
	parsed := func(body string, err error) ([]string, error) {
		if err != nil {
			return nil, err
		}
		values, err := url.ParseQuery(body)
		return sorted(values), err
	}
	source, buffer := []byte(theirForm(theirs)), make([]byte, 4096)
	return pair{
		ours: side{
			run: func(n int) error {
				return repeat(n, func() error { _, err := form.Append(nil, &ours); return err })
			},
			work: func() ([]string, error) {
				body, err := form.Append(nil, &ours)
				return parsed(string(body), err)
			},
		},
		theirs: side{
			run:  func(n int) error { return repeat(n, func() error { theirForm(theirs); return nil }) },
			work: func() ([]string, error) { return parsed(theirForm(theirs), nil) },
		},
		floor: side{run: func(n int) error { return repeat(n, func() error { copy(buffer, source); return nil }) }},
		want:  createdPairs,
	}, nil
}
