package stripetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestEachKeyCanHaveItsOwnAccount(t *testing.T) {
	a := memory(t, stripetest.WithAccountPerKey(), stripetest.WithAccountKeys("acct_shop", "sk_test_shop", "rk_test_shop", "sk_live_shop"))
	one, two, shop := a.as("sk_test_one"), a.as("sk_test_two"), a.as("sk_test_shop")
	ids := map[*api]string{}
	for _, key := range []*api{one, two, shop} {
		ids[key] = key.charge("source=tok_visa")
		require.Equal(t, a.server.AccountOf(key.key), key.get("/v1/account")["id"])
	}
	for key, id := range ids {
		listed, _ := key.page("/v1/charges", nil)
		require.Equal(t, []string{id}, listed)
	}
	require.Equal(t, ids[shop], a.as("rk_test_shop").get("/v1/charges/" + ids[shop])["id"])
	require.Equal(t, "acct_shop", a.as("sk_live_shop").get("/v1/account")["id"])
	require.Equal(t, 404, a.as("sk_live_shop").do("GET", "/v1/charges/"+ids[shop], "").status, "modes stay apart")
	require.Equal(t, ids[one], two.with("Stripe-Account", a.server.AccountOf("sk_test_one")).get("/v1/charges/" + ids[one])["id"])
	require.Regexp(t, `^acct_1\w{15}$`, a.server.AccountOf("sk_test_one"))
	require.Equal(t, a.server.AccountOf("sk_test_one"), stripetest.New(stripetest.InMemory(), stripetest.WithAccountPerKey()).AccountOf("sk_test_one"))
	require.NotContains(t, memory(t).server.AccountOf("sk_test_one"), "one")
}

func TestClearRemovesTheDataAlone(t *testing.T) {
	a := memory(t)
	connected := a.with("Stripe-Account", "acct_x")
	a.with("Idempotency-Key", "k").post("/v1/customers", "name=Jenny")
	connected.charge("source=tok_visa")

	a.server.Clear("acct_x")
	require.Empty(t, connected.get("/v1/charges")["data"])
	require.Len(t, a.get("/v1/customers")["data"], 1)

	fault := a.server.Fault("GET /v1/refunds", stripetest.Every())
	account := a.get("/v1/account")["id"]
	a.server.Clear()
	require.Empty(t, a.get("/v1/customers")["data"])
	require.Empty(t, a.with("Idempotency-Key", "k").do("POST", "/v1/customers", "name=Other").header.Get("Idempotent-Replayed"))
	a.get("/v1/refunds")
	require.Equal(t, 1, fault.Struck())
	require.Equal(t, account, a.get("/v1/account")["id"])
	require.Equal(t, 2, a.server.Count("POST /v1/customers"))
}

func TestClockIsSetAndAdvanced(t *testing.T) {
	c := at(1700000000)
	a := memory(t, stripetest.WithClock(c.read))
	id := a.charge("source=tok_visa&capture=false")
	a.server.Advance(8 * 24 * time.Hour)
	require.Equal(t, time.Unix(1700000000+8*86400, 0), a.server.Now())
	require.Equal(t, true, a.get("/v1/charges/" + id)["refunded"], "the authorization has expired")

	a.server.SetTime(time.Unix(2000000000, 0))
	c.now = c.now.Add(time.Minute)
	require.Equal(t, time.Unix(2000000060, 0), a.server.Now(), "the clock runs on")
	r := a.do("POST", "/v1/charges", visa)
	require.Equal(t, float64(2000000060), r.body["created"])
	require.Equal(t, "Wed, 18 May 2033 03:34:20 GMT", r.header.Get("Date"))
	a.server.Advance(-time.Minute)
	require.Equal(t, time.Unix(2000000000, 0), a.server.Now())
}

func TestDefaultVersionIsOfRequestsWithoutOne(t *testing.T) {
	a := memory(t, stripetest.WithDefaultVersion("2019-09-09"))
	r := a.do("POST", "/v1/customers", "account_balance=5")
	require.Equal(t, "2019-09-09", r.header.Get("Stripe-Version"))
	require.Equal(t, 5.0, r.body["account_balance"])
	require.Equal(t, 5.0, a.with("Stripe-Version", "2026-08-26.dahlia").get("/v1/customers/" + r.body["id"].(string))["balance"])
	for _, version := range []string{"", "2020", "2020-13-01", "2020-08-27.x y", "2025-03-31.BASIL"} {
		require.Panics(t, func() { stripetest.New(stripetest.InMemory(), stripetest.WithDefaultVersion(version)) }, version)
	}
}
