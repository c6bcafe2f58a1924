package stripetest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestSeedFillsEveryResource(t *testing.T) {
	a := memory(t).with("Stripe-Version", "2020-08-27")
	charge := a.charge("source=tok_visa")
	paths := map[string]url.Values{
		"/v1/charges": nil, "/v1/customers": nil, "/v1/products": nil, "/v1/invoiceitems": nil, "/v1/orders": nil,
		"/v1/refunds": {"charge": {charge}},
	}
	for path, params := range paths {
		t.Run(path, func(t *testing.T) {
			first := time.Unix(5000, 9e8)
			ids := a.server.Seed(path, stripetest.Seeding{Count: 25, First: first, Every: 30 * time.Second, Params: params})
			require.Len(t, ids, 25)
			listed, more := a.page(path, url.Values{"limit": {"25"}, "created[lte]": {"9000"}})
			require.False(t, more)
			for i, id := range ids {
				require.Equal(t, id, listed[len(listed)-1-i])
				require.Len(t, id, len(ids[0]))
				got := a.get(path + "/" + id)
				created, ok := got["created"]
				if !ok {
					created = got["date"]
				}
				require.Equal(t, float64(first.Add(time.Duration(i)*30*time.Second).Unix()), created)
			}
		})
	}
	require.Len(t, a.server.Requests(), 1+6*26, "seeding is not recorded")
}

func TestSeedTakesTheParametersOfARequest(t *testing.T) {
	a := memory(t)
	connected := a.as("sk_live_1").with("Stripe-Account", "acct_x")
	ids := a.server.Seed("/v1/charges", stripetest.Seeding{
		Params:  url.Values{"amount": {"700"}, "currency": {"eur"}, "source": {"tok_chargeDeclined"}, "metadata[k]": {"v"}},
		Account: "acct_x", Live: true, Count: 2,
	})
	for _, id := range ids {
		got := connected.get("/v1/charges/" + id)
		require.Equal(t, 700.0, got["amount"])
		require.Equal(t, "failed", got["status"])
		require.Equal(t, map[string]any{"k": "v"}, got["metadata"])
		require.Equal(t, "/v1/charges/"+id+"/refunds", connected.refundsOf(id)["url"])
	}
	own, _ := a.page("/v1/charges", nil)
	require.Empty(t, own)
}

func TestSeedBackdatesOneObject(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1_000_000).read))
	now := a.server.Seed("/v1/invoiceitems", stripetest.Seeding{})
	old := a.server.Seed("/v1/invoiceitems", stripetest.Seeding{First: time.Unix(400, 0)})
	require.Equal(t, 400.0, a.get("/v1/invoiceitems/" + old[0])["date"])
	require.Equal(t, 1e6, a.get("/v1/invoiceitems/" + now[0])["date"])
	ids, _ := a.page("/v1/invoiceitems", nil)
	require.Equal(t, append(now, old...), ids)
}

func TestUndatedObjectsShowNull(t *testing.T) {
	a := memory(t)
	for path, field := range map[string]string{"/v1/charges": "created", "/v1/invoiceitems": "date"} {
		dated := a.server.Seed(path, stripetest.Seeding{First: time.Unix(100, 0)})
		undated := a.server.Seed(path, stripetest.Seeding{First: time.Unix(200, 0), Undated: true})
		got := a.do("GET", path, "")
		require.Contains(t, got.raw, `"`+field+`": null`)
		require.Contains(t, got.raw, `"`+field+`": 100`)
		ids, _ := a.page(path, nil)
		require.Equal(t, append(undated, dated...), ids)
	}
}

func TestSeedPanicsWhereTheAPIWouldRefuse(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	for path, params := range map[string]url.Values{
		"/v1/charges":            {"amount": {"1"}, "currency": {"usd"}, "source": {"tok_visa"}},
		"/v1/customers":          {"x": {"1"}},
		"/v1/refunds":            nil,
		"/v1/x":                  nil,
		"/v1/products":           {"name": {"\xff"}},
		"/v1/orders/or_x/return": nil,
	} {
		require.Panics(t, func() { server.Seed(path, stripetest.Seeding{Params: params}) }, path)
	}
}

func TestSeededObjectsAreObjectsLikeOthers(t *testing.T) {
	a := memory(t)
	ids := a.server.Seed("/v1/charges", stripetest.Seeding{Count: 3})
	before := a.get("/v1/charges/" + ids[1])
	a.post("/v1/charges/"+ids[0], "description=changed&metadata[a]=b")
	a.post("/v1/refunds", "charge="+ids[2])
	require.Empty(t, cmp.Diff(before, a.get("/v1/charges/"+ids[1])))
	require.Equal(t, true, a.get("/v1/charges/" + ids[2])["refunded"])
}

func BenchmarkSeed(b *testing.B) {
	for b.Loop() {
		stripetest.New(stripetest.InMemory()).Seed("/v1/charges", stripetest.Seeding{Count: 100_000, Every: time.Second})
	}
}
