package shops_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/shops"
)

// TestAPollerDeliversEveryObjectOnce runs Pollers for hours of a synctest bubble,
// with late objects, bursts over several pages, outages and latency.
func TestAPollerDeliversEveryObjectOnce(t *testing.T) {
	for name, cfg := range map[string]shops.Config{
		"quiet":  {Period: 5 * time.Minute},
		"late":   {Period: 20 * time.Second, LateShare: 0.3, LateMax: 90 * time.Second},
		"bursts": {Period: 10 * time.Second, Burst: 250, BurstShare: 0.5, LateShare: 0.1, LateMax: 20 * time.Second},
		"trouble": {
			Period: 15 * time.Second, Burst: 6, BurstShare: 0.3, LateShare: 0.2, LateMax: 30 * time.Second,
			RetryAfter: 2 * time.Second, Fail: outages,
			Latency: func(account int, at time.Time) time.Duration {
				return time.Duration(at.UnixNano()/int64(time.Millisecond)*int64(7+account)%3000) * time.Millisecond
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				cfg.Seed, cfg.Start, cfg.Until = 3, began.Add(-6*time.Hour), began.Add(3*time.Hour)
				stripe := newStripe(t, cfg)
				deliveries := newDeliveries()
				ctx, cancel := context.WithCancel(t.Context())
				var wait sync.WaitGroup
				for account := range 3 {
					client := newClient(t, stripe, account)
					from := stripekit.FromTime(began)
					if account == 0 {
						from = stripekit.FromBeginning // a backlog of hours
					}
					watch(ctx, t, &wait, client.Charges, from, deliveries.charge)
					watch(ctx, t, &wait, client.Customers, from, deliveries.customer)
				}
				pass(3*time.Hour + 30*time.Minute)
				cancel()
				wait.Wait()

				want := newDeliveries()
				for account := range 3 {
					from := began
					if account == 0 {
						from = cfg.Start
					}
					for _, list := range []shops.List{shops.Charges, shops.Customers} {
						for o := range stripe.Objects(account, list, from, cfg.Until) {
							want.count(o.ID(), o.Created, o.Amount, o.Currency, o.Status)
						}
					}
				}
				require.Equal(t, want.times, deliveries.times)
				require.Greater(t, len(want.times), 200)
			})
		})
	}
}

// outages fails in one of ten minutes, in each way that there is.
func outages(account int, at time.Time) int {
	minute := at.Unix()/60 + int64(account)
	if minute%10 != 7 {
		return 0
	}
	return []int{429, 500, shops.NetworkError}[minute/10%3]
}

func newClient(t *testing.T, stripe *shops.Stripe, account int) *stripekit.Client {
	t.Helper()
	client, err := stripekit.New(shops.Key(account), stripekit.WithHTTPClient(&http.Client{Transport: stripe}))
	require.NoError(t, err)
	return client
}

func watch[T any](ctx context.Context, t *testing.T, wait *sync.WaitGroup, src stripekit.Source[T], from stripekit.Start, handle func(*T)) {
	t.Helper()
	p, err := stripekit.NewPoller(src, stripekit.PollConfig{From: from})
	require.NoError(t, err)
	events, err := p.Start(ctx)
	require.NoError(t, err)
	wait.Go(func() {
		for e := range events {
			require.NoError(t, e.DecodeErr)
			handle(e.Object)
			e.Ack()
		}
	})
}

// deliveries counts objects by all of their values.
type deliveries struct {
	mu    sync.Mutex
	times map[string]int
}

func newDeliveries() *deliveries { return &deliveries{times: map[string]int{}} }

func (d *deliveries) count(id string, created time.Time, amount int64, currency, status string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.times[fmt.Sprint(id, created.Unix(), amount, currency, status)]++
}

func (d *deliveries) charge(c *stripekit.Charge) {
	d.count(c.ID, c.Created.Time(), c.Amount, c.Currency, string(c.Status))
}

func (d *deliveries) customer(c *stripekit.Customer) {
	d.count(c.ID, c.Created.Time(), c.Balance, c.Currency, "")
}

// TestAPollerOfARevokedKeyEnds uses a client without a Connection.
func TestAPollerOfARevokedKeyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		stripe := newStripe(t, shops.Config{Period: time.Minute, Revoked: func(account int) bool {
			return account == 1 && time.Since(began) > time.Hour
		}})
		p, err := stripekit.NewPoller(newClient(t, stripe, 1).Charges, stripekit.PollConfig{})
		require.NoError(t, err)
		events, err := p.Start(t.Context())
		require.NoError(t, err)
		for e := range events {
			e.Ack()
		}
		require.ErrorIs(t, p.Err(), stripekit.ErrAuthentication)
		require.InDelta(t, time.Hour, time.Since(began), float64(time.Minute))
	})
}

// TestObjectsDecode lists the objects with a client, through several pages.
func TestObjectsDecode(t *testing.T) {
	cfg := lively
	cfg.Start, cfg.Until = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	stripe := newStripe(t, cfg)
	client := newClient(t, stripe, 42)
	account, err := client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, shops.AccountID(42), account.Account.ID)
	require.Equal(t, "Shop 42", account.Account.BusinessProfile.Name)

	states, n := map[stripekit.ChargeStatus]int{}, stripe.Count(42, shops.Charges, cfg.Until)
	for charge, err := range client.Charges.List(t.Context(), stripekit.ChargeListParams{}) {
		require.NoError(t, err)
		n--
		want, ok := stripe.Object(42, shops.Charges, n)
		require.True(t, ok)
		paid, captured := want.Status != "failed", want.Amount
		if !paid {
			captured = 0
		}
		require.Equal(t, &stripekit.Charge{
			ID: want.ID(), Amount: want.Amount, AmountCaptured: captured, Captured: paid, Paid: paid,
			Created: stripekit.UnixTime(want.Created.Unix()), Currency: want.Currency,
			Metadata: stripekit.Metadata{}, Status: stripekit.ChargeStatus(want.Status),
		}, charge)
		states[charge.Status]++
	}
	require.Zero(t, n)
	require.Len(t, states, 3)

	customer, err := client.Customers.Page(t.Context(), stripekit.CustomerListParams{})
	require.NoError(t, err)
	last, ok := stripe.Object(42, shops.Customers, stripe.Count(42, shops.Customers, cfg.Until)-1)
	require.True(t, ok)
	require.Equal(t, &stripekit.Customer{
		ID: last.ID(), Balance: last.Amount, Created: stripekit.UnixTime(last.Created.Unix()), Currency: last.Currency,
		Email: fmt.Sprintf("buyer%d@shop42.example", last.K), Metadata: stripekit.Metadata{},
	}, customer.Data[0])
}
