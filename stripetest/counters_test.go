package stripetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestRequestsAreCountedByRouteAndSecond(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	require.Empty(t, a.server.Counts())
	for range 3 {
		a.do("GET", "/v1/charges/ch_1", "")
	}
	c.now = time.Unix(102, 5e8)
	a.do("GET", "/v1/charges/ch_2", "")
	a.as("").do("POST", "/v1/customers", "")
	a.do("GET", "/v1/x", "")
	c.now = time.Unix(100, 0)
	a.do("GET", "/v1/charges", "")

	want := map[string]int{"GET /v1/charges/{id}": 4, "POST /v1/customers": 1, "GET /v1/charges": 1, stripetest.Unrecognized: 1}
	require.Empty(t, cmp.Diff(want, a.server.Counts()))
	require.Equal(t, 4, a.server.Count("GET /v1/charges/{id}"))
	require.Zero(t, a.server.Count("GET /v1/refunds"))
	seconds := []stripetest.SecondCount{
		{Second: time.Unix(100, 0), Total: 4, Routes: map[string]int{"GET /v1/charges/{id}": 3, "GET /v1/charges": 1}},
		{Second: time.Unix(102, 0), Total: 3, Routes: map[string]int{"GET /v1/charges/{id}": 1, "POST /v1/customers": 1, stripetest.Unrecognized: 1}},
	}
	got := a.server.CountsPerSecond()
	require.Empty(t, cmp.Diff(seconds, got), "a clock that went backwards finds its second")

	a.server.Counts()["GET /v1/charges"] = 9
	got[0].Routes["GET /v1/charges/{id}"] = 9
	require.Equal(t, 1, a.server.Count("GET /v1/charges"))
	require.Equal(t, 3, a.server.CountsPerSecond()[0].Routes["GET /v1/charges/{id}"], "CountsPerSecond must return a copy")

	a.charge("source=tok_visa")
	a.server.Reset()
	require.Empty(t, a.server.Counts())
	require.Empty(t, a.server.CountsPerSecond())
	require.Empty(t, a.server.Requests())
	ids, _ := a.page("/v1/charges", nil)
	require.Len(t, ids, 1, "Reset keeps the data")
}

func TestLogAndSecondsAreBounded(t *testing.T) {
	c := at(0)
	a := memory(t, stripetest.WithClock(c.read), stripetest.WithRequestLog(3))
	const seconds = 8000
	for i := range seconds {
		c.now = time.Unix(int64(i), 0)
		a.do("GET", fmt.Sprintf("/v1/charges/ch_%d", i), "")
	}
	var paths []string
	for _, r := range a.server.Requests() {
		paths = append(paths, r.Path)
	}
	require.Equal(t, []string{"/v1/charges/ch_7997", "/v1/charges/ch_7998", "/v1/charges/ch_7999"}, paths)
	require.Equal(t, seconds, a.server.Count("GET /v1/charges/{id}"))
	kept := a.server.CountsPerSecond()
	require.Len(t, kept, 3600)
	require.Equal(t, int64(seconds-1), kept[len(kept)-1].Second.Unix())

	silent := memory(t, stripetest.WithRequestLog(0))
	silent.get("/v1/account")
	require.Empty(t, silent.server.Requests())
	require.Equal(t, 1, silent.server.Count("GET /v1/account"))
}
