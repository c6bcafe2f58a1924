package stripesql_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// smallShop has a few hundred objects with the hard cases for queries: many in
// one second, empty fields, deleted customers, emails used twice.
type smallShop struct {
	client   *stripekit.Client
	requests *replay // the transport of the client

	customers, charges, products, refunds, invoiceItems, orders []string // ids, oldest first
}

// payers is how many of the customers, the first ones, are referred to by other
// objects. Some of them are deleted.
const payers = 24

// shopOpened is when the oldest object of a small shop was created. All objects
// were created within four days.
var shopOpened = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newSmallShop returns a shop with the same objects each time, except for their
// ids.
func newSmallShop(t testing.TB) *smallShop {
	server := stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(100),
		stripetest.WithClock(func() time.Time { return shopOpened.AddDate(0, 0, 5) }))
	t.Cleanup(server.Close)
	requests := &replay{server: server}
	client, err := stripekit.New("sk_test_shop", stripekit.WithHTTPClient(&http.Client{Transport: requests}),
		stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	shop := &smallShop{client: client, requests: requests}
	random := rand.New(rand.NewPCG(1, 2))
	shop.seedCustomers(random)
	shop.seedCharges(random)
	shop.seedRefunds(random)
	shop.seedProducts(random)
	shop.seedInvoiceItems(random)
	shop.seedOrders(t, random)
	for i := 3; i < len(shop.customers); i += 10 {
		_, err := client.Customers.Delete(t.Context(), shop.customers[i])
		require.NoError(t, err)
	}
	return shop
}

// replay is a transport that counts requests. It keeps responses until
// something changes, which saves most of the time of a short query.
type replay struct {
	server  *stripetest.Server
	delay   time.Duration // of each response
	forgets bool          // keep no responses, because they would be too large

	mu        sync.Mutex
	count     int
	responses map[string]replayed // responses to GET requests, kept until another kind of request is sent
}

type replayed struct {
	status int
	header http.Header
	body   []byte
}

func (r *replay) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(r.delay):
	case <-req.Context().Done():
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if r.forgets {
		r.mu.Lock()
		r.count++
		r.mu.Unlock()
		return r.server.RoundTrip(req)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	key := req.Header.Get("Stripe-Version") + req.URL.String()
	known, found := r.responses[key]
	if !found {
		resp, err := r.server.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		known = replayed{resp.StatusCode, resp.Header, body}
		if req.Method != http.MethodGet || r.responses == nil {
			r.responses = map[string]replayed{}
		}
		if req.Method == http.MethodGet {
			r.responses[key] = known
		}
	}
	return &http.Response{
		StatusCode: known.status, Header: known.header.Clone(), Body: io.NopCloser(bytes.NewReader(known.body)),
		ContentLength: int64(len(known.body)), ProtoMajor: 1, ProtoMinor: 1, Request: req,
	}, nil
}

// total returns how many requests were made.
func (r *replay) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// seed creates count objects at path. Several of them share a second.
func (s *smallShop) seed(path string, random *rand.Rand, count int, params func(i int) url.Values) []string {
	var ids []string
	for len(ids) < count {
		ids = append(ids, s.requests.server.Seed(path, stripetest.Seeding{
			Count:  min(1+random.IntN(4), count-len(ids)),
			First:  shopOpened.Add(time.Duration(random.IntN(4*24)) * time.Hour),
			Params: params(len(ids)),
		})...)
	}
	return ids
}

// with sets a parameter, except in one of n cases, at random.
func with(random *rand.Rand, params url.Values, n int, name, value string) {
	if random.IntN(n) != 0 {
		params.Set(name, value)
	}
}

func (s *smallShop) seedCustomers(random *rand.Rand) {
	s.customers = s.seed("/v1/customers", random, 120, func(i int) url.Values {
		p := url.Values{"source": {"tok_visa"}, "balance": {strconv.Itoa(random.IntN(3) * 100)}}
		if random.IntN(8) == 0 {
			p.Set("source", "tok_chargeCustomerFail")
		}
		with(random, p, 5, "email", fmt.Sprintf("c%d@example.com", random.IntN(40)))
		with(random, p, 4, "name", []string{"Ann", "ann", "Bob", "O'Hara", "Zoë", "50% \"off\""}[random.IntN(6)])
		with(random, p, 3, "description", "number "+strconv.Itoa(i))
		with(random, p, 2, "metadata[tier]", []string{"gold", "silver"}[random.IntN(2)])
		if random.IntN(3) == 0 {
			p.Set("address[city]", []string{"Paris", "Rome"}[random.IntN(2)])
			p.Set("address[country]", "FR")
		}
		return p
	})
}

func (s *smallShop) seedCharges(random *rand.Rand) {
	s.charges = s.seed("/v1/charges", random, 260, func(int) url.Values {
		p := url.Values{
			"amount":   {strconv.Itoa(100 * (1 + random.IntN(9)))},
			"currency": {[]string{"usd", "eur"}[random.IntN(2)]},
		}
		if random.IntN(3) == 0 {
			p.Set("source", []string{"tok_visa", "tok_chargeDeclined", "tok_createDispute", "tok_mastercard"}[random.IntN(4)])
		} else {
			p.Set("customer", s.customers[random.IntN(payers)])
		}
		with(random, p, 2, "description", []string{"rent", "Rent", "re_nt", "food%", "O'Hara"}[random.IntN(5)])
		with(random, p, 2, "transfer_group", "group_"+strconv.Itoa(random.IntN(3)))
		with(random, p, 2, "metadata[order]", strconv.Itoa(random.IntN(20)))
		with(random, p, 2, "receipt_email", fmt.Sprintf("c%d@example.com", random.IntN(40)))
		if random.IntN(6) == 0 {
			p.Set("capture", "false")
		}
		if random.IntN(4) == 0 {
			p.Set("shipping[name]", "Ann")
			p.Set("shipping[address][line1]", "1 Main St")
			p.Set("shipping[address][city]", []string{"Paris", "Rome"}[random.IntN(2)])
		}
		return p
	})
}

// seedRefunds refunds some of the charges that can be refunded.
func (s *smallShop) seedRefunds(random *rand.Rand) {
	refundable := s.seed("/v1/charges", random, 40, func(int) url.Values {
		p := url.Values{"amount": {"900"}, "currency": {"usd"}}
		if random.IntN(3) == 0 {
			p.Set("source", "tok_visa")
			return p
		}
		p.Set("customer", s.goodCustomer(random))
		return p
	})
	s.charges = append(s.charges, refundable...)
	for len(s.refunds) < 110 {
		p := url.Values{"charge": {refundable[len(s.refunds)%len(refundable)]}, "amount": {strconv.Itoa(50 * (1 + random.IntN(4)))}}
		with(random, p, 3, "reason", []string{"duplicate", "fraudulent", "requested_by_customer"}[random.IntN(3)])
		s.refunds = append(s.refunds, s.requests.server.Seed("/v1/refunds", stripetest.Seeding{
			First: shopOpened.Add(time.Duration(random.IntN(4*24)) * time.Hour), Params: p,
		})...)
	}
}

// goodCustomer returns a customer whose card is not declined. It has a charge.
func (s *smallShop) goodCustomer(random *rand.Rand) string {
	return s.requests.server.Seed("/v1/customers", stripetest.Seeding{First: shopOpened, Params: url.Values{
		"source": {"tok_visa"}, "email": {fmt.Sprintf("good%d@example.com", random.IntN(20))},
	}})[0]
}

func (s *smallShop) seedProducts(random *rand.Rand) {
	s.products = s.seed("/v1/products", random, 130, func(i int) url.Values {
		p := url.Values{"name": {[]string{"Tea", "tea", "Green tea", "Mug"}[random.IntN(4)]}}
		with(random, p, 3, "active", strconv.FormatBool(random.IntN(3) > 0))
		with(random, p, 3, "shippable", strconv.FormatBool(random.IntN(2) > 0))
		with(random, p, 3, "url", fmt.Sprintf("https://example.com/%d", random.IntN(5)))
		with(random, p, 2, "description", "product "+strconv.Itoa(i))
		if random.IntN(3) == 0 {
			for _, side := range []string{"height", "length", "weight", "width"} {
				p.Set("package_dimensions["+side+"]", strconv.Itoa(1+random.IntN(4)))
			}
		}
		return p
	})
}

func (s *smallShop) seedInvoiceItems(random *rand.Rand) {
	s.invoiceItems = s.seed("/v1/invoiceitems", random, 70, func(int) url.Values {
		p := url.Values{"amount": {strconv.Itoa(100 * (random.IntN(7) - 2))}, "currency": {"usd"}}
		if random.IntN(4) == 0 {
			p.Set("customer_account", "acct_seeded")
		} else {
			p.Set("customer", s.customers[random.IntN(payers)])
		}
		with(random, p, 2, "description", "item")
		return p
	})
}

func (s *smallShop) seedOrders(t testing.TB, random *rand.Rand) {
	s.orders = s.seed("/v1/orders", random, 80, func(int) url.Values {
		p := url.Values{"currency": {"usd"}, "items[0][type]": {"sku"}, "items[0][parent]": {"sku_1"}, "items[0][amount]": {strconv.Itoa(100 * (1 + random.IntN(5)))}}
		with(random, p, 3, "customer", s.customers[random.IntN(payers)])
		with(random, p, 3, "email", fmt.Sprintf("c%d@example.com", random.IntN(40)))
		return p
	})
	for i, id := range s.orders {
		switch i % 4 {
		case 0:
			_, err := s.client.Orders.Pay(t.Context(), id, stripekit.OrderPayParams{Source: new("tok_visa")})
			require.NoError(t, err)
		case 1:
			_, err := s.client.Orders.Update(t.Context(), id, stripekit.OrderUpdateParams{Status: new("canceled")})
			require.NoError(t, err)
		}
	}
}
