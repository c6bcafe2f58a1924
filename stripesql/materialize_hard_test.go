package stripesql_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The objects that an interrupted reading would continue from are deleted meanwhile.
func TestMaterializeGivesUpAReadingWhoseObjectsAreGone(t *testing.T) {
	cfg := stripesql.MaterializeConfig{Tables: []string{"invoice_items"}}
	for interrupted := 1; interrupted < 9; interrupted++ {
		for _, refresh := range []bool{false, true} {
			c := newCopying(t)
			customers := c.seed(3)
			var items []string
			for range 3 {
				item, err := c.client.InvoiceItems.Create(t.Context(), stripekit.InvoiceItemCreateParams{Customer: &customers[0], Amount: new(int64(5)), Currency: new("eur")})
				require.NoError(t, err)
				items = append(items, item.ID)
			}
			if refresh {
				require.NoError(t, c.run(t.Context(), cfg))
			}
			c.server.Advance(time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			requests := 0
			c.onRequest = func(*http.Request) error {
				if requests++; requests == interrupted {
					cancel()
				}
				return nil
			}
			_ = c.run(ctx, cfg) // it may be at its end already
			cancel()
			c.onRequest = nil
			for _, id := range items {
				_, err := c.client.InvoiceItems.Delete(t.Context(), id)
				require.NoError(t, err)
			}
			require.NoError(t, c.run(t.Context(), cfg), "interrupted at request %d", interrupted)
			c.server.Advance(time.Hour)
			require.NoError(t, c.run(t.Context(), cfg))
		}
	}
}

// A reading of a list without events is interrupted, and its objects have changed when it
// is completed.
func TestMaterializeReadsAContinuedListAgain(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	for i := range 1500 {
		l.add("/v1/balance_transactions", map[string]any{"id": fmt.Sprint("txn_", i), "object": "balance_transaction", "status": "pending", "available_on": newYear.Unix() + 86400})
	}
	l.objects["/v1/events"] = []map[string]any{}
	l.now += 60
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := stripesql.MaterializeConfig{Tables: []string{"balance_transactions"}}
	var pages atomic.Int64
	until := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/v1/balance_transactions" {
			if pages.Add(1) == 14 {
				cancel()
			}
		}
		return l.RoundTrip(r)
	})
	require.Error(t, materializeBy(ctx, t, until, file, cfg))
	l.now += 10 * 86400
	for _, o := range l.objects["/v1/balance_transactions"] {
		o["status"] = "available"
	}
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"1500|0"}, query(t, file, "SELECT count(*), sum(status = 'pending') FROM balance_transactions"))
}

func TestMaterializeKeepsEventsThatStripeHasForgotten(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	l.add("/v1/payouts", map[string]any{"id": "po_1", "object": "payout"})
	cfg := stripesql.MaterializeConfig{Tables: []string{"events"}}
	require.NoError(t, l.materialize(t, file, cfg))
	l.now += 40 * 24 * 3600
	l.objects["/v1/events"] = []map[string]any{}
	l.add("/v1/payouts", map[string]any{"id": "po_2", "object": "payout"})
	require.NoError(t, l.materialize(t, file, cfg))
	cfg.Raw = true // the list is read anew, for the column
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"po_1", "po_2"}, query(t, file, "SELECT object_id FROM events ORDER BY 1"))
}

func TestMaterializeInAFolderOfAnyName(t *testing.T) {
	for _, name := range []string{"R&D", "a&mode=ro", "a&vfs=memdb", "a+b", "a b", "100%", "a#b"} {
		l, folder := newMadeUp(), filepath.Join(t.TempDir(), name)
		l.add("/v1/customers", map[string]any{"id": "cus_1", "object": "customer"})
		require.NoError(t, os.Mkdir(folder, 0o700))
		file := filepath.Join(folder, "s.db")
		require.NoError(t, l.materialize(t, file, stripesql.MaterializeConfig{Tables: []string{"customers"}}), name)
		require.Equal(t, []string{"cus_1"}, query(t, file, "SELECT id FROM customers"), name)
	}
}

func TestMaterializeFollowsObjectsWithOddIDs(t *testing.T) {
	for _, id := range []string{"10%off", "A&B", "a=b", "x#1", "a?b", "quo'te\"", "a b", "é"} {
		l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
		coupon := map[string]any{"id": id, "object": "coupon", "name": "a"}
		l.add("/v1/coupons", coupon)
		l.now += 3600
		cfg := stripesql.MaterializeConfig{
			Tables:  []string{"coupons"},
			Options: []stripesql.Option{stripesql.WithTable("coupons", "/v1/coupons", stripesql.Column{Name: "name"})},
		}
		require.NoError(t, l.materialize(t, file, cfg))
		coupon["name"] = "b"
		l.tell(coupon)
		l.now += 60
		require.NoError(t, l.materialize(t, file, cfg))
		require.Equal(t, []string{"b"}, query(t, file, "SELECT name FROM coupons"), id)
	}
}
