package stripesql_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// copying is an account, and a file that tables of it are copied into.
type copying struct {
	t      *testing.T
	server *stripetest.Server
	client *stripekit.Client // of the account's owner
	file   string
	// onRequest is called with each request of Materialize before it is sent, one call at a
	// time. If it returns an error, the request fails. If nil, it is not called.
	onRequest func(*http.Request) error
	calling   sync.Mutex   // held while onRequest is called
	requests  atomic.Int64 // of Materialize
}

func newCopying(t *testing.T, opts ...stripetest.Option) *copying {
	server := newServer(t, opts...)
	return &copying{t: t, server: server, client: clientOf(t, server), file: filepath.Join(t.TempDir(), "a file? #1.db")}
}

// RoundTrip is the network of Materialize.
func (c *copying) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	if c.onRequest != nil {
		c.calling.Lock()
		err := c.onRequest(r)
		c.calling.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return c.server.RoundTrip(r)
}

// run materializes, with a key of the account.
func (c *copying) run(ctx context.Context, cfg stripesql.MaterializeConfig) error {
	return c.runAs(ctx, "sk_test_123", cfg)
}

func (c *copying) runAs(ctx context.Context, key string, cfg stripesql.MaterializeConfig) error {
	client, err := stripekit.New(key, stripekit.WithHTTPClient(&http.Client{Transport: c}),
		stripekit.WithRateLimit(stripekit.RateLimit{}), stripekit.WithMaxRetries(0))
	require.NoError(c.t, err)
	return stripesql.Materialize(ctx, client, c.file, cfg)
}

// mustRun materializes, and returns the number of requests.
func (c *copying) mustRun(cfg stripesql.MaterializeConfig) int64 {
	c.t.Helper()
	before := c.requests.Load()
	require.NoError(c.t, c.run(c.t.Context(), cfg))
	return c.requests.Load() - before
}

// rows returns the rows of a query on the file.
func (c *copying) rows(query string) []string {
	c.t.Helper()
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(c.t, err)
	r, err := run(c.t.Context(), db, query)
	require.NoError(c.t, err, query)
	require.NoError(c.t, db.Close())
	return r.rows
}

// difference returns how the tables in the file differ from the account, "" if they are
// equal.
func (c *copying) difference() string {
	c.t.Helper()
	have := c.rows("SELECT name FROM stripekit_tables")
	tables := slices.DeleteFunc(plainTables(), func(p plainTable) bool { return !slices.Contains(have, p.name) })
	require.NotEmpty(c.t, tables)
	plain := newPlain(c.t, c.client, tables)
	db, err := stripesql.OpenMaterialized(c.file)
	require.NoError(c.t, err)
	defer db.Close()
	for _, table := range tables {
		var columns []string
		for _, column := range table.columns {
			columns = append(columns, `"`+column.name+`"`)
		}
		query := "SELECT " + strings.Join(columns, ", ") + " FROM " + table.name + " ORDER BY id"
		want, err := ask(c.t.Context(), plain, query)
		require.NoError(c.t, err)
		got, err := ask(c.t.Context(), db, query)
		require.NoError(c.t, err)
		if diff := cmp.Diff(want.rows, got.rows); diff != "" {
			return fmt.Sprintf("%s (-account +file):\n%.3000s", table.name, diff)
		}
	}
	return ""
}

// requireEqual requires that the file equals the account.
func (c *copying) requireEqual() {
	c.t.Helper()
	require.Empty(c.t, c.difference())
}

// seed seeds customers and as many charges, one a second from an hour ago on. The first 50
// customers have an email and a charge.
func (c *copying) seed(n int) (customers []string) {
	const own = 50
	first := c.server.Now().Add(-time.Hour)
	for i := range min(n, own) {
		at := first.Add(time.Duration(i) * time.Second)
		id := c.server.Seed("/v1/customers", stripetest.Seeding{First: at, Params: url.Values{"source": {"tok_visa"}, "email": {fmt.Sprint("c", i, "@example.com")}}})[0]
		c.server.Seed("/v1/charges", stripetest.Seeding{First: at, Params: url.Values{"customer": {id}, "amount": {"500"}, "currency": {"eur"}}})
		customers = append(customers, id)
	}
	if n <= own {
		return customers
	}
	rest := stripetest.Seeding{Count: n - own, First: first.Add(own * time.Second), Every: time.Second, Params: url.Values{"source": {"tok_visa"}}}
	customers = append(customers, c.server.Seed("/v1/customers", rest)...)
	rest.Params = url.Values{"source": {"tok_visa"}, "amount": {"500"}, "currency": {"eur"}}
	c.server.Seed("/v1/charges", rest)
	return customers
}

func (c *copying) rename(customer, name string) {
	_, err := c.client.Customers.Update(c.t.Context(), customer, stripekit.CustomerUpdateParams{Name: &name})
	require.NoError(c.t, err)
}

func (c *copying) remove(customer string) {
	_, err := c.client.Customers.Delete(c.t.Context(), customer)
	require.NoError(c.t, err)
}

func (c *copying) charge(customer string) (id string) {
	charge, err := c.client.Charges.Create(c.t.Context(), stripekit.ChargeCreateParams{Amount: 700, Currency: "eur", Customer: &customer})
	require.NoError(c.t, err)
	return charge.ID
}

func (c *copying) refund(charge string) {
	_, err := c.client.Refunds.Create(c.t.Context(), stripekit.RefundCreateParams{Charge: &charge, Amount: new(int64(100))})
	require.NoError(c.t, err)
}
