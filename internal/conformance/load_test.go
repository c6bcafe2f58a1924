package conformance_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// loadCharges is how many charges the fake has in BenchmarkLoad. stripe-mock has no
// state: its lists have one object.
const loadCharges = 100_000

// BenchmarkLoad reports how many requests each server responds to in a second, over
// HTTP. There are as many clients as cores, in the same process.
func BenchmarkLoad(b *testing.B) {
	fake := stripetest.New()
	b.Cleanup(fake.Close)
	ids := seedCharges(fake)
	stripeMock, err := mock.Start(mock.Description{})
	require.NoError(b, err)
	b.Cleanup(stripeMock.Close)

	const create = "amount=1000&currency=usd&source=tok_visa"
	search := "/v1/charges/search?query=" + url.QueryEscape(`metadata["order"]:"none"`)
	for _, load := range []struct{ name, method, path, form string }{
		{"get", http.MethodGet, "/v1/charges/" + ids[loadCharges/2], ""},
		{"list of 10", http.MethodGet, "/v1/charges?limit=10", ""},
		{"list of 100", http.MethodGet, "/v1/charges?limit=100", ""},
		{"search without a match", http.MethodGet, search, ""},
		{"create", http.MethodPost, "/v1/charges", create},
	} {
		for name, base := range map[string]string{"stripetest": fake.URL, "stripe-mock": stripeMock.URL} {
			b.Run(load.name+"/"+name, func(b *testing.B) {
				defer discardOutput(b)()
				b.RunParallel(func(pb *testing.PB) {
					client := &http.Client{Transport: &http.Transport{}}
					defer client.CloseIdleConnections()
					for pb.Next() {
						request(b, client, load.method, base+load.path, load.form)
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			})
		}
	}
}

// discardOutput discards what stripe-mock prints about each request. The result
// ends that.
func discardOutput(b *testing.B) (restore func()) {
	discard, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(b, err)
	stdout := os.Stdout
	os.Stdout = discard
	return func() {
		os.Stdout = stdout
		require.NoError(b, discard.Close())
	}
}

func request(b *testing.B, client *http.Client, method, url, form string) {
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(form))
	require.NoError(b, err)
	req.SetBasicAuth(mock.Key, "")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, resp.StatusCode)
}

// BenchmarkLoadMemory reports the memory that 100,000 charges take, each with an amount
// and metadata of its own.
func BenchmarkLoadMemory(b *testing.B) {
	for b.Loop() {
		fake := stripetest.New(stripetest.InMemory())
		before := heap()
		seedCharges(fake)
		b.ReportMetric(float64(heap()-before)/1e6, "MB")
		runtime.KeepAlive(fake)
	}
}

// seedCharges stores charges that are all different.
func seedCharges(fake *stripetest.Server) (ids []string) {
	for i := range loadCharges {
		ids = append(ids, fake.Seed("/v1/charges", stripetest.Seeding{
			First: time.Unix(1_700_000_000+int64(i), 0),
			Params: url.Values{
				"amount": {fmt.Sprint(1000 + i)}, "currency": {"usd"}, "source": {"tok_visa"}, "metadata[order]": {fmt.Sprint(i)},
			},
		})...)
	}
	return ids
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
