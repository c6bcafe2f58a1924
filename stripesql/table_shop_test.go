package stripesql_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// bigShop has one charge a minute. Of each 200 charges in a row, 20 belong to
// customers, who have 20 charges each, and 10 have failed.
type bigShop struct {
	server   *stripetest.Server
	client   *stripekit.Client
	requests *replay // the transport of the client

	charges   []bigCharge
	customers []bigCustomer
	refunds   []bigRefund
	products  []string
}

type (
	bigCharge struct {
		id, customer, status string
		amount               int
	}
	bigCustomer struct {
		id, email string
	}
	bigRefund struct {
		id, charge string
		minute     int
	}
)

var bigOpened = time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)

// minute returns when a charge was created.
func (*bigShop) minute(n int) time.Time { return bigOpened.Add(time.Duration(n) * time.Minute) }

// end returns the first minute without a charge.
func (s *bigShop) end() time.Time { return s.minute(len(s.charges)) }

// newBigShop returns a shop with a number of charges, a multiple of 4,000, with
// 5 % as many customers, 2 % as many refunds, and 200 products.
func newBigShop(t testing.TB, charges int) *bigShop {
	s := &bigShop{charges: make([]bigCharge, charges)}
	s.server = stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(0),
		stripetest.WithClock(func() time.Time { return s.end().Add(time.Hour) }))
	t.Cleanup(s.server.Close)
	var err error
	s.requests = &replay{server: s.server, forgets: charges > smallCharges}
	s.client, err = stripekit.New("sk_test_big", stripekit.WithHTTPClient(&http.Client{Transport: s.requests}),
		stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	s.seedCustomers()
	s.seedCharges()
	s.seedRefunds()
	for i := range 200 {
		s.products = append(s.products, s.server.Seed("/v1/products", stripetest.Seeding{
			First: bigOpened.Add(time.Duration(i) * time.Hour), Params: url.Values{"name": {fmt.Sprint("Product ", i)}},
		})...)
	}
	return s
}

// payer returns the index of the customer of a charge, -1 for none.
func (s *bigShop) payer(minute int) int {
	if minute%10 != 3 {
		return -1
	}
	return minute / 10 % (len(s.charges) / 200)
}

// fails reports whether a charge has failed. Of each 200 charges, nine without
// a customer fail, and one of a customer whose card is declined.
func (*bigShop) fails(minute int) bool {
	return minute%200 == 93 || minute%20 == 7 && minute%200 != 87
}

// seedCustomers creates a customer for each 20 charges. The first fifth of them
// have charges and an email of their own.
func (s *bigShop) seedCustomers() {
	count, own := len(s.charges)/20, len(s.charges)/200
	for i := range own {
		source := "tok_visa"
		if s.fails(10*i + 3) {
			source = "tok_chargeCustomerFail"
		}
		email := fmt.Sprintf("c%d@example.com", i)
		id := s.server.Seed("/v1/customers", stripetest.Seeding{
			First: bigOpened.Add(time.Duration(i) * time.Minute), Params: url.Values{"email": {email}, "source": {source}},
		})[0]
		s.customers = append(s.customers, bigCustomer{id, email})
	}
	for _, id := range s.server.Seed("/v1/customers", stripetest.Seeding{Count: count - own, First: bigOpened, Every: 7 * time.Minute}) {
		s.customers = append(s.customers, bigCustomer{id: id})
	}
}

// seedCharges creates series of charges that differ only in their time: a
// series for each customer, and 900 without a customer.
func (s *bigShop) seedCharges() {
	own := len(s.charges) / 200
	for i := range own {
		s.seedSeries(10*i+3, len(s.charges)/20)
	}
	for minute := range 1000 {
		if s.payer(minute) < 0 {
			s.seedSeries(minute, 1000)
		}
	}
}

// seedSeries creates the charge of a minute, and the same charge each period
// minutes.
func (s *bigShop) seedSeries(minute, period int) {
	charge := bigCharge{amount: 100 + minute*37%9000, status: "succeeded"}
	params := url.Values{"amount": {strconv.Itoa(charge.amount)}, "currency": {"usd"}}
	if payer := s.payer(minute); payer >= 0 {
		charge.customer = s.customers[payer].id
		params.Set("customer", charge.customer)
	} else {
		params.Set("source", "tok_visa")
	}
	if s.fails(minute) {
		charge.status = "failed"
		if charge.customer == "" {
			params.Set("source", "tok_chargeDeclined")
		}
	}
	ids := s.server.Seed("/v1/charges", stripetest.Seeding{
		Count: len(s.charges) / period, First: s.minute(minute), Every: time.Duration(period) * time.Minute, Params: params,
	})
	for i, id := range ids {
		charge.id = id
		s.charges[minute+i*period] = charge
	}
}

// seedRefunds creates a refund for each 50 charges, of a customer's charge.
func (s *bigShop) seedRefunds() {
	for minute := 3; minute < len(s.charges); minute += 50 {
		charge := s.charges[minute].id
		at := min(minute+37, len(s.charges)-1)
		id := s.server.Seed("/v1/refunds", stripetest.Seeding{
			First: s.minute(at), Params: url.Values{"charge": {charge}, "amount": {"50"}},
		})[0]
		s.refunds = append(s.refunds, bigRefund{id, charge, at})
	}
}

// plain returns the oracle with the columns that the table of calls uses,
// filled with what was seeded.
func (s *bigShop) plain(t testing.TB) *sql.DB {
	db := openPlain(t, "file:"+filepath.Join(t.TempDir(), "plain.db")+"?_pragma=journal_mode(off)&_pragma=synchronous(off)")
	tx, err := db.Begin()
	require.NoError(t, err)
	fill := func(table, columns string, count int, row func(i int) []any) {
		_, err := tx.Exec("CREATE TABLE " + table + " (id TEXT, created TEXT, created_unix INTEGER, " + columns + ")")
		require.NoError(t, err)
		values := len(row(0))
		marks := "(?"
		for range values - 1 {
			marks += ", ?"
		}
		insert, err := tx.Prepare("INSERT INTO " + table + " VALUES " + marks + ")")
		require.NoError(t, err)
		for i := range count {
			if _, err := insert.Exec(row(i)...); err != nil {
				require.NoError(t, err)
			}
		}
		require.NoError(t, insert.Close())
		for _, column := range []string{"id", "created"} {
			_, err := tx.Exec(fmt.Sprintf("CREATE INDEX %s_%s ON %[1]s (%[2]s)", table, column))
			require.NoError(t, err)
		}
	}
	at := func(minute int) (string, int64) {
		created := s.minute(minute)
		return created.Format("2006-01-02T15:04:05Z"), created.Unix()
	}
	fill("charges", "amount INTEGER, status TEXT, customer TEXT", len(s.charges), func(i int) []any {
		created, unix := at(i)
		ch := s.charges[i]
		return []any{ch.id, created, unix, ch.amount, ch.status, orNull(ch.customer)}
	})
	fill("customers", "email TEXT", len(s.customers), func(i int) []any {
		created, unix := at(i)
		return []any{s.customers[i].id, created, unix, orNull(s.customers[i].email)}
	})
	fill("refunds", "amount INTEGER, charge TEXT", len(s.refunds), func(i int) []any {
		created, unix := at(s.refunds[i].minute)
		return []any{s.refunds[i].id, created, unix, 50, s.refunds[i].charge}
	})
	fill("products", "name TEXT", len(s.products), func(i int) []any {
		created, unix := at(60 * i)
		return []any{s.products[i], created, unix, fmt.Sprint("Product ", i)}
	})
	require.NoError(t, tx.Commit())
	return db
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// total returns how many requests a server has counted.
func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}
