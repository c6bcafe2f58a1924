package stripetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// BenchmarkRequests measures requests among 100,000 charges, without a network.
func BenchmarkRequests(b *testing.B) {
	const search = "/v1/charges/search?query="
	server := stripetest.New(stripetest.InMemory())
	b.Cleanup(server.Close)
	ids := server.Seed("/v1/charges", stripetest.Seeding{Count: 100_000, First: time.Unix(1_700_000_000, 0), Every: time.Second})
	for _, bench := range []struct{ name, method, path, form string }{
		{"get", "GET", "/v1/charges/" + ids[50_000], ""},
		{"list of 10", "GET", "/v1/charges?limit=10", ""},
		{"list of 100", "GET", "/v1/charges?limit=100", ""},
		{"list of 100 deep", "GET", "/v1/charges?limit=100&starting_after=" + ids[50_000], ""},
		{"list of 100 in 2020-08-27", "GET", "/v1/charges?limit=100", ""},
		{"list of 100 expanded", "GET", "/v1/charges?limit=100&expand[]=data.balance_transaction", ""},
		{"search", "GET", search + url.QueryEscape(`status:"succeeded"`), ""},
		{"search without a match", "GET", search + url.QueryEscape(`metadata["order"]:"none"`), ""},
		{"search of a status without a match", "GET", search + url.QueryEscape(`status:"failed"`), ""},
		{"search of amounts without a match", "GET", search + url.QueryEscape(`amount>1000 AND -currency:"usd"`), ""},
		{"create", "POST", "/v1/charges", "amount=1000&currency=usd&source=tok_visa"},
		{"update", "POST", "/v1/charges/" + ids[7], "metadata[a]=b"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				req := httptest.NewRequestWithContext(b.Context(), bench.method, bench.path, strings.NewReader(bench.form))
				req.SetBasicAuth(testKey, "")
				if strings.HasSuffix(bench.name, "2020-08-27") {
					req.Header.Set("Stripe-Version", "2020-08-27")
				}
				if bench.form != "" {
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				w := httptest.NewRecorder()
				server.ServeHTTP(w, req)
				require.Equal(b, http.StatusOK, w.Code)
			}
		})
	}
}

// BenchmarkChargeMemory reports the bytes that a charge takes.
func BenchmarkChargeMemory(b *testing.B) {
	const charges = 100_000
	for name, fill := range map[string]func(*api){
		"seeded together": func(a *api) { a.server.Seed("/v1/charges", stripetest.Seeding{Count: charges}) },
		"seeded one by one": func(a *api) {
			for i := range charges {
				a.server.Seed("/v1/charges", stripetest.Seeding{Params: url.Values{
					"amount": {fmt.Sprint(1000 + i)}, "currency": {"usd"}, "source": {"tok_visa"}, "metadata[order]": {fmt.Sprint(i)},
				}})
			}
		},
		"created": func(a *api) {
			for i := range charges {
				a.do("POST", "/v1/charges", fmt.Sprintf("amount=%d&currency=usd&source=tok_visa&metadata[order]=%d", 1000+i, i))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a := memory(b)
				before := heap()
				fill(a)
				b.ReportMetric(float64(heap()-before)/charges, "B/charge")
				runtime.KeepAlive(a)
			}
		})
	}
}

// heap returns the bytes of all objects that are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
