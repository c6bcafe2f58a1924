package stripetest_test

import (
	"fmt"
	"maps"
	"net/url"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// burst creates n charges, three in each second from 100 on, and returns their
// ids, newest first.
func burst(a *api, c *clock, n int, more string) []string {
	a.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		c.now = time.Unix(100+int64(i/3), 0)
		ids[n-1-i] = a.charge("source=tok_visa&" + more)
	}
	return ids
}

func TestListPagesDownwards(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	want := burst(a, c, 11, "")

	var got []string
	query := url.Values{"limit": {"4"}}
	for page := 1; ; page++ {
		ids, more := a.page("/v1/charges", query)
		got = append(got, ids...)
		require.Equal(t, page < 3, more, "page %d", page)
		if !more {
			break
		}
		query.Set("starting_after", ids[len(ids)-1])
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestListPagesUpwards(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	want := burst(a, c, 12, "")

	got := []string{want[len(want)-1]}
	query := url.Values{"limit": {"4"}}
	for page := 1; ; page++ {
		query.Set("ending_before", got[0])
		ids, more := a.page("/v1/charges", query)
		got = append(slices.Clone(ids), got...)
		require.Equal(t, page < 3, more, "page %d", page)
		if !more {
			break
		}
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestListHasNoMoreWhenThePageIsExactlyFull(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	ids := burst(a, c, 4, "")
	for name, query := range map[string]url.Values{
		"from the top": {"limit": {"4"}},
		"downwards":    {"limit": {"3"}, "starting_after": {ids[0]}},
		"upwards":      {"limit": {"3"}, "ending_before": {ids[3]}},
	} {
		_, more := a.page("/v1/charges", query)
		require.False(t, more, name)
	}
	past, more := a.page("/v1/charges", url.Values{"starting_after": {ids[3]}})
	require.Empty(t, past)
	require.False(t, more)
}

func TestListClampsTheLimit(t *testing.T) {
	a := memory(t)
	a.server.SeedCharges(120, 10)
	for limit, want := range map[string]int{"": 10, "1": 1, "0": 1, "-3": 1, "100": 100, "101": 100} {
		query := url.Values{}
		if limit != "" {
			query.Set("limit", limit)
		}
		ids, more := a.page("/v1/charges", query)
		require.Len(t, ids, want, "limit %q", limit)
		require.True(t, more)
	}
}

func TestListFiltersByCreated(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	all := burst(a, c, 9, "") // three in each of the seconds 100, 101 and 102
	tests := map[string]struct {
		query string
		want  []string
	}{
		"exact":              {"created=101", all[3:6]},
		"exact, none":        {"created=99", []string{}},
		"gt":                 {"created[gt]=101", all[:3]},
		"gte":                {"created[gte]=101", all[:6]},
		"lt":                 {"created[lt]=101", all[6:]},
		"lte":                {"created[lte]=101", all[3:]},
		"range":              {"created[gte]=101&created[lt]=102", all[3:6]},
		"several lower ones": {"created[gt]=100&created[gte]=102", all[:3]},
		"several upper ones": {"created[lt]=101&created[lte]=102", all[6:]},
		"contradiction":      {"created[gt]=101&created[lt]=101", []string{}},
		"extremes":           {"created[gt]=-9223372036854775808&created[lt]=9223372036854775807", all},
		"beyond":             {"created[gt]=9223372036854775807", []string{}},
		"with older cursor":  {"created[gte]=101&starting_after=" + all[1], all[2:6]},
		"with newer cursor":  {"created[lte]=101&ending_before=" + all[7], all[3:7]},
		"cursor above":       {"created=100&ending_before=" + all[0], []string{}},
		"cursor below":       {"created=102&starting_after=" + all[8], []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			require.NoError(t, err)
			got, more := a.page("/v1/charges", query)
			require.Empty(t, cmp.Diff(test.want, got))
			require.False(t, more)
		})
	}
}

func TestListFiltersByField(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	jo := a.post("/v1/customers", "email=jo@b.c&source=tok_visa")["id"].(string)
	al := a.post("/v1/customers", "email=al@b.c&source=tok_visa&test_clock=clock_1")["id"].(string)
	first := a.charge("customer=" + jo + "&transfer_group=g")
	other := a.charge("customer=" + al + "&transfer_group=g")
	second := a.charge("customer=" + jo)
	third := a.charge("customer=" + jo + "&transfer_group=g")

	tests := map[string]struct {
		path, query string
		want        []string
	}{
		"customer":             {"/v1/charges", "customer=" + jo, []string{third, second, first}},
		"customer, none":       {"/v1/charges", "customer=cus_x", []string{}},
		"group":                {"/v1/charges", "transfer_group=g", []string{third, other, first}},
		"both":                 {"/v1/charges", "transfer_group=g&customer=" + jo, []string{third, first}},
		"both, upwards":        {"/v1/charges", "transfer_group=g&customer=" + jo + "&ending_before=" + first, []string{third}},
		"payment intent":       {"/v1/charges", "payment_intent=pi_x", []string{}},
		"cursor of another":    {"/v1/charges", "customer=" + jo + "&starting_after=" + other, []string{first}},
		"newer than another's": {"/v1/charges", "customer=" + jo + "&ending_before=" + other, []string{third, second}},
		"email":                {"/v1/customers", "email=jo@b.c", []string{jo}},
		"email, other case":    {"/v1/customers", "email=Jo@b.c", []string{}},
		"test clock":           {"/v1/customers", "test_clock=clock_1", []string{al}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			require.NoError(t, err)
			got, more := a.page(test.path, query)
			require.Empty(t, cmp.Diff(test.want, got))
			require.False(t, more)
		})
	}
}

func TestListSortsAfterTheClockWentBackwards(t *testing.T) {
	c := at(0)
	a := memory(t, stripetest.WithClock(c.read))
	ids := make(map[string]string)
	for i, second := range []int64{200, 100, 200, 150, 100} {
		c.now = time.Unix(second, 0)
		ids[fmt.Sprintf("%d#%d", second, i)] = a.charge("source=tok_visa")
	}
	want := []string{ids["200#2"], ids["200#0"], ids["150#3"], ids["100#4"], ids["100#1"]}
	got, _ := a.page("/v1/charges", nil)
	require.Empty(t, cmp.Diff(want, got))
	below, _ := a.page("/v1/charges", url.Values{"starting_after": {ids["150#3"]}})
	require.Empty(t, cmp.Diff(want[3:], below))
}

// BenchmarkPage requests the page that begins in the middle of n charges.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5, 1e6} {
		a := memory(b)
		ids := a.server.SeedCharges(n, 7)
		cursor := url.Values{"starting_after": {ids[n/2]}}
		second := fmt.Sprint(n / 2 / 7)
		for _, kind := range []struct{ name, parameter, value string }{
			{"plain", "limit", "10"},
			{"customer", "customer", "cus_1"},
			{"created", "created[lte]", second},
		} {
			query := maps.Clone(cursor)
			query.Set(kind.parameter, kind.value)
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				runtime.GC() // the garbage of seeding is not part of the cost of a page
				for b.Loop() {
					a.page("/v1/charges", query)
				}
			})
		}
	}
}
