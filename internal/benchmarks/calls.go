package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"
	theirform "github.com/stripe/stripe-go/v85/form"

	"github.com/stripekit/stripekit"
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
	server  *httptest.Server
	ours    *stripekit.Client
	theirs  *stripe.Client
	plain   plain
	charges [][]byte     // by number
	created atomic.Int64 // number of charges so far
	keep    atomic.Bool  // keep forms in posted
	posted  []string     // the pairs of the last form
}

// single is the number of charges of a loopback, which it returns one after the other. A
// JSON package that keeps the strings of its last responses must not find them again.
const single = 1000

// transports are the connections of stripe-go's client in a row over HTTP.
type transports bool

const (
	sameTransport  transports = false // the settings of stripekit, for both
	theirTransport transports = true  // stripe-go's default, with two idle connections
)

// newLoopback starts a service that responds to a list request with an empty
// page, to a request for a charge with that charge, and to a new charge with the next
// one.
func newLoopback(connections transports) (*loopback, error) {
	m, err := newMold(indented)
	if err != nil {
		return nil, err
	}
	empty := m.page(nil, 0, 0, false, nil)
	lo := new(loopback)
	for number := range single {
		lo.charges = append(lo.charges, m.one(number, 1780000000+int64(number)))
	}
	lo.server = httptest.NewServer(service(func(r *http.Request) response {
		body := empty
		switch id, one := strings.CutPrefix(r.URL.Path, "/v1/charges/"); {
		case r.Method == http.MethodPost:
			body = lo.charges[(lo.created.Add(1)-1)%single]
		case one:
			number, _ := numberOf(id)
			body = lo.charges[number]
		}
		if lo.keep.Load() {
			lo.posted = pairs(r)
		}
		return response{body: body, date: time.Now()}
	}))
	if lo.ours, err = ourClient(lo.server.URL, nil); err != nil {
		return nil, err
	}
	lo.theirs = theirClient(lo.server.URL, likeOurs(nil))
	if connections == theirTransport {
		lo.theirs = theirClient(lo.server.URL, nil)
	}
	lo.plain = newPlain(lo.server.URL, likeOurs(nil))
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

func gets(goroutines int, connections transports) func() (pair, error) {
	return func() (pair, error) {
		lo, err := newLoopback(connections)
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		ours := func(id string) (string, error) {
			c, err := lo.ours.Charges.Get(ctx, id)
			if err != nil {
				return "", err
			}
			return c.ID, nil
		}
		theirs := func(id string) (string, error) {
			c, err := lo.theirs.V1Charges.Retrieve(ctx, id, nil)
			if err != nil {
				return "", err
			}
			return c.ID, nil
		}
		floor := func(id string) (string, error) {
			c := new(stripekit.Charge)
			err := lo.plain.get(ctx, c, "/v1/charges/"+id)
			return c.ID, err
		}
		return pair{
			ours: calls(goroutines, inRotation(ours)), theirs: calls(goroutines, inRotation(theirs)), floor: calls(goroutines, inRotation(floor)),
			want: []string{chargeID(0)}, close: lo.server.Close,
		}, nil
	}
}

// inRotation returns an operation that gets one charge of a loopback after the other.
func inRotation(get func(id string) (string, error)) func() (string, error) {
	all := ids(0, single)
	slices.Reverse(all)
	var requests atomic.Int64
	return func() (string, error) {
		want := all[(requests.Add(1)-1)%single]
		id, err := get(want)
		if err == nil && id != want {
			err = fmt.Errorf("the response to the request for %s is %s", want, id)
		}
		return id, err
	}
}

// calls returns a side that calls once from a number of goroutines.
func calls(goroutines int, once func() (string, error)) side {
	return side{
		run: func(n int) error {
			return parallel(goroutines, n, func() error { _, err := once(); return err })
		},
		work: func() ([]string, error) {
			id, err := once()
			return []string{id}, err
		},
	}
}

func emptyLists(goroutines int) func() (pair, error) {
	return func() (pair, error) {
		lo, err := newLoopback(sameTransport)
		if err != nil {
			return pair{}, err
		}
		ctx := context.Background()
		ours := func() (last string, err error) {
			for c, err := range lo.ours.Charges.List(ctx, stripekit.ChargeListParams{}) {
				if err != nil {
					return "", err
				}
				last = c.ID
			}
			return last, nil
		}
		theirs := func() (last string, err error) {
			for c, err := range lo.theirs.V1Charges.List(ctx, theirPageParams()).All(ctx) {
				if err != nil {
					return "", err
				}
				last = c.ID
			}
			return last, nil
		}
		floor := func() (last string, err error) {
			page := new(stripekit.Page[stripekit.Charge])
			err = lo.plain.get(ctx, page, "/v1/charges?limit=100")
			for _, c := range page.Data {
				last = c.ID
			}
			return last, err
		}
		return pair{
			ours: calls(goroutines, ours), theirs: calls(goroutines, theirs), floor: calls(goroutines, floor),
			want: []string{""}, close: lo.server.Close,
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

func creates() (pair, error) {
	lo, err := newLoopback(sameTransport)
	if err != nil {
		return pair{}, err
	}
	body := []byte(theirForm(theirCharge()))
	ctx := context.Background()
	ours := func() (string, error) {
		c, err := lo.ours.Charges.Create(ctx, ourCharge())
		if err != nil {
			return "", err
		}
		return c.ID, nil
	}
	theirs := func() (string, error) {
		c, err := lo.theirs.V1Charges.Create(ctx, theirCharge())
		if err != nil {
			return "", err
		}
		return c.ID, nil
	}
	floor := func() (string, error) {
		c := new(stripekit.Charge)
		err := lo.plain.call(ctx, c, http.MethodPost, "/v1/charges", bytes.NewReader(body),
			"Content-Type", "application/x-www-form-urlencoded", "Idempotency-Key", "LPC4W6MWAF3ZQTQ6XS2KFKN3CY")
		return c.ID, err
	}
	// A test also checks the form that the service received.
	create := func(once func() (string, error)) side {
		s := calls(1, once)
		s.work = func() ([]string, error) {
			lo.created.Store(7)
			lo.keep.Store(true)
			defer lo.keep.Store(false)
			id, err := once()
			return append([]string{id}, lo.posted...), err
		}
		return s
	}
	return pair{
		ours: create(ours), theirs: create(theirs), floor: create(floor),
		want: append([]string{chargeID(7)}, createdPairs...), close: lo.server.Close,
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
