package stripetest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

const visa = "amount=1000&currency=usd&source=tok_visa"

func TestReplayIsTheFirstResponseByteForByte(t *testing.T) {
	tests := map[string]struct {
		path, form string
		status     int
		fault      []stripetest.Effect
	}{
		"success":        {"/v1/charges", visa, 200, nil},
		"decline":        {"/v1/charges", "amount=1000&currency=usd&source=tok_chargeDeclined", 402, nil},
		"unknown object": {"/v1/charges/ch_x/capture", "", 404, nil},
		"internal error": {"/v1/charges", visa, 500, []stripetest.Effect{stripetest.InternalError()}},
	}
	for name, test := range tests {
		overBoth(t, name, func(t *testing.T, a *api) {
			a.server.Fault("POST", stripetest.First(1), test.fault...)
			keyed := a.with("Idempotency-Key", "key-1")
			first := keyed.with("Stripe-Version", "2020-08-27").do("POST", test.path, test.form)
			require.Equal(t, test.status, first.status, first.raw)
			require.NotContains(t, first.header, "Idempotent-Replayed")

			again := keyed.do("POST", test.path, test.form)
			require.Equal(t, test.status, again.status)
			require.Equal(t, first.raw, again.raw)
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			require.Equal(t, first.header.Get("Request-Id"), again.header.Get("Original-Request"))
			require.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))
			require.Equal(t, "2020-08-27", again.header.Get("Stripe-Version"), "the body is in the first version")
			charges, _ := a.page("/v1/charges", nil)
			require.LessOrEqual(t, len(charges), 1)
		})
	}
}

func TestReplayIgnoresTheOrderOfParameters(t *testing.T) {
	a := memory(t).with("Idempotency-Key", "k")
	first := a.do("POST", "/v1/customers", "email=a@b.c&metadata[x]=1&metadata[y]=2")
	again := a.do("POST", "/v1/customers", "metadata[y]=2&metadata[x]=1&email=a@b.c")
	require.Equal(t, first.raw, again.raw)
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	tests := map[string]struct{ path, form string }{
		"other value":     {"/v1/customers", "email=b@b.c"},
		"other name":      {"/v1/customers", "name=a@b.c"},
		"one more":        {"/v1/customers", "email=a@b.c&name=a"},
		"none":            {"/v1/customers", ""},
		"other path":      {"/v1/products", "email=a@b.c"},
		"in the query":    {"/v1/customers?name=a", "email=a@b.c"},
		"hash for a text": {"/v1/customers", "email[a]=b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t).with("Idempotency-Key", "k")
			a.post("/v1/customers", "email=a@b.c")
			r := a.do("POST", test.path, test.form)
			require.Equal(t, http.StatusBadRequest, r.status)
			require.Equal(t, "idempotency_error", r.failure()["type"])
			require.Contains(t, r.failure()["message"], "same parameters")
			require.Contains(t, r.failure()["message"], "'k'")
		})
	}
}

func TestKeysAreOfOneAccountAndMode(t *testing.T) {
	a := memory(t).with("Idempotency-Key", "k")
	for _, other := range []*api{a, a.as("sk_live_1"), a.with("Stripe-Account", "acct_x")} {
		r := other.do("POST", "/v1/customers", "")
		require.NotContains(t, r.header, "Idempotent-Replayed")
	}
	require.Contains(t, a.as("rk_test_2").do("POST", "/v1/customers", "").header, "Idempotent-Replayed", "another key of the account")
}

func TestKeysCountForPostAlone(t *testing.T) {
	a := memory(t)
	id := a.post("/v1/customers", "")["id"].(string)
	keyed := a.with("Idempotency-Key", "k")
	keyed.get("/v1/customers/" + id)
	require.Equal(t, http.StatusOK, keyed.do("DELETE", "/v1/customers/"+id, "").status)
	require.Equal(t, http.StatusNotFound, keyed.do("DELETE", "/v1/customers/"+id, "").status)
	require.NotContains(t, keyed.do("POST", "/v1/customers", "").header, "Idempotent-Replayed")
}

func TestLongKeyIsRefused(t *testing.T) {
	a := memory(t)
	require.Equal(t, http.StatusOK, a.with("Idempotency-Key", strings.Repeat("k", 255)).do("POST", "/v1/customers", "").status)
	r := a.with("Idempotency-Key", strings.Repeat("k", 256)).do("POST", "/v1/customers", "")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Contains(t, r.failure()["message"], "255")
}

func TestKeyIsForgottenAfterADay(t *testing.T) {
	c := at(1_000_000)
	a := memory(t, stripetest.WithClock(c.read)).with("Idempotency-Key", "k")
	first := a.do("POST", "/v1/customers", "")
	c.now = c.now.Add(24*time.Hour - time.Second)
	require.Equal(t, first.raw, a.do("POST", "/v1/customers", "").raw)
	c.now = c.now.Add(time.Second)
	second := a.do("POST", "/v1/customers", "email=b@b.c")
	require.Equal(t, http.StatusOK, second.status)
	require.NotEqual(t, first.raw, second.raw)
	require.Equal(t, second.raw, a.do("POST", "/v1/customers", "email=b@b.c").raw)
}

func TestResponsesThatAreNotStored(t *testing.T) {
	limited := stripetest.RateLimit(stripetest.GlobalRate)
	tests := map[string]struct {
		key    string
		form   string
		fault  []stripetest.Effect
		status int
	}{
		"401":            {"sk_test_", "", nil, 401},
		"403":            {"rk_test_none", "", nil, 403},
		"429":            {testKey, "", []stripetest.Effect{limited}, 429},
		"a proxy's 503":  {testKey, "", []stripetest.Effect{stripetest.Respond(503, "{}")}, 503},
		"bad parameters": {testKey, "x=1", nil, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t, stripetest.WithPermissions("rk_test_none")).with("Idempotency-Key", "k")
			a.server.Fault("", stripetest.First(1), test.fault...)
			require.Equal(t, test.status, a.as(test.key).do("POST", "/v1/customers", test.form).status)
			r := a.do("POST", "/v1/customers", "email=a@b.c")
			require.Equal(t, http.StatusOK, r.status, r.raw)
			require.NotContains(t, r.header, "Idempotent-Replayed")
		})
	}
}

func TestBadRequestsAreStoredOnDemand(t *testing.T) {
	a := memory(t, stripetest.WithStoredBadRequests()).with("Idempotency-Key", "k")
	first := a.do("POST", "/v1/customers", "x=1")
	again := a.do("POST", "/v1/customers", "x=1")
	require.Equal(t, http.StatusBadRequest, again.status)
	require.Equal(t, first.raw, again.raw)
	require.Contains(t, again.header, "Idempotent-Replayed")
}

func TestKeyInFlightIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := memory(t).with("Idempotency-Key", "k")
		a.server.Fault("POST", stripetest.First(1), stripetest.Delay(time.Minute))
		var first reply
		var wg sync.WaitGroup
		wg.Go(func() { first = a.do("POST", "/v1/customers", "") })
		synctest.Wait()

		r := a.do("POST", "/v1/customers", "")
		require.Equal(t, http.StatusConflict, r.status)
		require.Equal(t, "idempotency_key_in_use", r.failure()["code"])
		other := a.do("POST", "/v1/customers", "email=a@b.c")
		require.Equal(t, http.StatusBadRequest, other.status, "other parameters count before the key is free")
		require.Equal(t, http.StatusOK, a.with("Idempotency-Key", "l").do("POST", "/v1/customers", "").status)

		wg.Wait()
		require.Equal(t, http.StatusOK, first.status)
		require.Equal(t, first.raw, a.do("POST", "/v1/customers", "").raw)
	})
}

func TestSixtyFourPostsWithOneKeyMakeOneCharge(t *testing.T) {
	overBoth(t, "", func(t *testing.T, a *api) {
		keyed := a.with("Idempotency-Key", "k")
		replies := make([]reply, 64)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() { replies[i] = keyed.do("POST", "/v1/charges", visa) })
		}
		wg.Wait()
		ids, _ := a.page("/v1/charges", nil)
		require.Len(t, ids, 1)
		performed := 0
		for _, r := range replies {
			if r.status == http.StatusConflict {
				continue
			}
			require.Equal(t, http.StatusOK, r.status)
			require.Equal(t, ids[0], r.body["id"])
			if r.header.Get("Idempotent-Replayed") == "" {
				performed++
			}
		}
		require.Equal(t, 1, performed)
	})
}
