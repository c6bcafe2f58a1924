package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// world is an account and its mirror in a bubble of testing/synctest.
type world struct {
	t      *testing.T
	server *stripetest.Server
	client *stripekit.Client // of the account's owner
	path   string            // of the mirror
	delay  atomic.Int64      // how late a new object or event appears in lists
	// between is called with each request of the mirror, between its response and the
	// mirror. If it returns an error, the mirror gets no response. If between is nil, it
	// is not called.
	between func(*http.Request) error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "a mirror? #1.db")}
	w.server = stripetest.New(stripetest.InMemory(), stripetest.WithVisibility(func(string) time.Duration {
		return time.Duration(w.delay.Load())
	}))
	t.Cleanup(w.server.Close)
	w.client = w.newClient(w.server)
	return w
}

func (w *world) newClient(transport http.RoundTripper) *stripekit.Client {
	client, err := stripekit.New(shopKey, stripekit.WithHTTPClient(&http.Client{Transport: transport}), stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(w.t, err)
	return client
}

// RoundTrip is the network of the mirror.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.server.RoundTrip(r)
	if w.between != nil && err == nil {
		if err := w.between(r); err != nil {
			return nil, err
		}
	}
	return resp, err
}

var errNoNetwork = errors.New("no network")

// start starts the mirror. stop ends it, and returns its error.
func (w *world) start() (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	db := w.open()
	go func() { ended <- keep(ctx, w.newClient(w), db, stripekit.PollConfig{}) }()
	return func() error {
		cancel()
		return errors.Join(<-ended, db.Close())
	}
}

// run lets the mirror run for some time.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	stop := w.start()
	time.Sleep(d)
	require.NoError(w.t, stop())
}

func (w *world) open() *database {
	db, err := openDatabase(w.t.Context(), w.path)
	require.NoError(w.t, err)
	return db
}

// inspect calls check with the database.
func (w *world) inspect(check func(*database)) {
	w.t.Helper()
	db := w.open()
	defer func() { require.NoError(w.t, db.Close()) }()
	check(db)
}

// requireMirrored requires that the mirror has the given number of objects, and equals
// the account.
func (w *world) requireMirrored(customers, charges int) {
	w.t.Helper()
	w.inspect(func(db *database) {
		c, err := compare(w.t.Context(), w.client, db)
		require.NoError(w.t, err)
		require.Empty(w.t, c.differences)
		require.Equal(w.t, customers, c.customers, "customers")
		require.Equal(w.t, charges, c.charges, "charges")
	})
}

// requireRound requires that both lists are complete, and were read completely as often.
func (w *world) requireRound(want int) {
	w.t.Helper()
	w.inspect(func(db *database) {
		for _, name := range []string{"customers", "charges"} {
			round, complete, err := (&table{db, name}).round(w.t.Context(), stripekit.ModeTest)
			require.NoError(w.t, err)
			require.True(w.t, complete, name)
			require.Equal(w.t, want, round, name)
		}
	})
}

func (w *world) createCustomer() (id string) {
	customer, err := w.client.Customers.Create(w.t.Context(), stripekit.CustomerCreateParams{Email: new("new@example.com")})
	require.NoError(w.t, err)
	return customer.ID
}

func (w *world) rename(id, name string) {
	_, err := w.client.Customers.Update(w.t.Context(), id, stripekit.CustomerUpdateParams{Name: &name})
	require.NoError(w.t, err)
}

func (w *world) deleteCustomer(id string) {
	_, err := w.client.Customers.Delete(w.t.Context(), id)
	require.NoError(w.t, err)
}

// authorize makes a charge that is not captured.
func (w *world) authorize() (id string) {
	charge, err := w.client.Charges.Create(w.t.Context(), stripekit.ChargeCreateParams{
		Amount: 1200, Currency: "eur", Source: new("tok_visa"), Capture: new(false),
	})
	require.NoError(w.t, err)
	return charge.ID
}

func (w *world) capture(id string) {
	_, err := w.client.Charges.Capture(w.t.Context(), id, stripekit.ChargeCaptureParams{})
	require.NoError(w.t, err)
}

func (w *world) refund(charge string, amount int64) {
	_, err := w.client.Refunds.Create(w.t.Context(), stripekit.RefundCreateParams{Charge: &charge, Amount: &amount})
	require.NoError(w.t, err)
}
