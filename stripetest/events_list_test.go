package stripetest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

const days30 = 30 * 24 * time.Hour

// variedEvents makes events of several types, one in each second, and returns their
// ids by type, oldest first.
func variedEvents(a *api, clock *clock) map[string][]string {
	second := func() { clock.now = clock.now.Add(time.Second) }
	for range 2 {
		customer := a.create("/v1/customers", "")
		second()
		a.post("/v1/customers/"+customer, "name=N")
		second()
		charge := a.charge("source=tok_visa")
		second()
		refund := a.create("/v1/refunds", "charge="+charge)
		second()
		a.post("/v1/refunds/"+refund, "metadata[a]=b")
		second()
	}
	ids := make(map[string][]string)
	for _, event := range a.eventsSince(0) {
		name := event["type"].(string)
		ids[name] = append(ids[name], event["id"].(string))
	}
	return ids
}

func TestEventsAreListedByType(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read))
	ids := variedEvents(a, clock)
	for name, c := range map[string]struct {
		query url.Values
		want  []string
	}{
		"one":                 {url.Values{"type": {"charge.succeeded"}}, []string{"charge.succeeded"}},
		"unknown":             {url.Values{"type": {"charge.created"}}, nil},
		"group":               {url.Values{"type": {"charge.*"}}, []string{"charge.succeeded", "charge.refunded", "charge.refund.updated"}},
		"group in a group":    {url.Values{"type": {"charge.refund.*"}}, []string{"charge.refund.updated"}},
		"all":                 {url.Values{"type": {"*"}}, []string{"customer.created", "customer.updated", "charge.succeeded", "charge.refunded", "refund.created", "refund.updated", "charge.refund.updated"}},
		"star in front":       {url.Values{"type": {"*.created"}}, []string{"customer.created", "refund.created"}},
		"star between":        {url.Values{"type": {"c*er.*ted"}}, []string{"customer.created", "customer.updated"}},
		"not a whole word":    {url.Values{"type": {"charge"}}, nil},
		"empty group":         {url.Values{"type": {"order.*"}}, nil},
		"several":             {url.Values{"types[]": {"refund.created", "customer.updated", "sku.created"}}, []string{"refund.created", "customer.updated"}},
		"several, by numbers": {url.Values{"types[0]": {"refund.created"}, "types[1]": {"charge.refunded"}}, []string{"refund.created", "charge.refunded"}},
		"no stars in several": {url.Values{"types[]": {"charge.*"}}, nil},
		"none":                {nil, []string{"customer.created", "customer.updated", "charge.succeeded", "charge.refunded", "refund.created", "refund.updated", "charge.refund.updated"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := []string{}
			for _, kind := range c.want {
				require.NotEmpty(t, ids[kind], kind)
				want = append(want, ids[kind]...)
			}
			query := url.Values{"limit": {"100"}}
			maps.Copy(query, c.query)
			got, _ := a.page("/v1/events", query)
			require.ElementsMatch(t, want, got)
			require.Empty(t, cmp.Diff(a.paged(c.query), got), "page by page it is the same, in the same order")
		})
	}
}

// paged reads a list of events two by two.
func (a *api) paged(filter url.Values) []string {
	a.t.Helper()
	all, query := []string{}, url.Values{"limit": {"2"}}
	maps.Copy(query, filter)
	for more := true; more; {
		var page []string
		page, more = a.page("/v1/events", query)
		if all = append(all, page...); more {
			query.Set("starting_after", all[len(all)-1])
		}
	}
	return all
}

func TestEventsAreListedNewestFirst(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1000).read)) // all are of one second
	var charges []string
	for range 5 {
		charges = append(charges, a.charge("source=tok_visa&capture=false"))
	}
	a.post("/v1/charges/"+charges[0]+"/capture", "")
	events := a.everything("/v1/events")
	require.Equal(t, []string{"charge.updated", "charge.captured", "charge.succeeded"}, typesOf(events)[:3], "in the order of their creation")
	got := []string{}
	for _, event := range events[2:] {
		got = append(got, dataOf(event)["id"].(string))
	}
	slices.Reverse(got)
	require.Equal(t, charges, got)

	ids, _ := a.page("/v1/events", nil)
	above, more := a.page("/v1/events", url.Values{"ending_before": {ids[4]}, "limit": {"2"}})
	require.Equal(t, ids[2:4], above)
	require.True(t, more)
	total := a.get("/v1/events?limit=1&expand[]=total_count&type=charge.succeeded")
	require.Equal(t, 5.0, total["total_count"])
}

func TestEventsAreListedByTime(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read))
	variedEvents(a, clock)
	got := a.get("/v1/events?created[gte]=1003&created[lt]=1005")["data"].([]any)
	require.Len(t, got, 4)
	for _, event := range got {
		require.Contains(t, []any{1003.0, 1004.0}, event.(map[string]any)["created"])
	}
	require.Len(t, a.get("/v1/events?created=1003")["data"], 2)
}

func TestEventRequestsAreRefused(t *testing.T) {
	a := memory(t)
	a.charge("source=tok_visa")
	types := strings.Repeat("types[]=a.b&", 21)
	for _, r := range []refusal{
		{"GET", "/v1/events?type=a.b&types[]=c.d", "", 400, "", "types", "You may only specify one of these parameters: type, types."},
		{"GET", "/v1/events?" + types[:len(types)-1], "", 400, "", "types", "types can have at most 20 elements."},
		{"GET", "/v1/events?type=", "", 400, "parameter_invalid_empty", "type", "You passed an empty string for 'type'."},
		{"GET", "/v1/events?delivery_success=maybe", "", 400, "", "delivery_success", "Invalid boolean: maybe"},
		{"GET", "/v1/events?object=x", "", 400, "parameter_unknown", "object", "Received unknown parameter: object"},
		{"GET", "/v1/events?starting_after=evt_x", "", 400, "resource_missing", "starting_after", "No such event: 'evt_x'"},
		{"GET", "/v1/events/evt_x", "", 404, "resource_missing", "id", "No such event: 'evt_x'"},
	} {
		r.refuse(t, a, "")
	}
	require.Equal(t, 404, a.do("POST", "/v1/events", "").status)
	require.Len(t, a.get("/v1/events?" + types[:len(types)-len("types[]=a.b&")-1])["data"], 0, "20 are possible")
}

func TestEventsAreGoneAfter30Days(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read))
	a.charge("source=tok_visa")
	clock.now = clock.now.Add(time.Second)
	a.charge("source=tok_visa")
	ids, _ := a.page("/v1/events", nil)
	require.Len(t, ids, 2)

	clock.now = time.Unix(1000, 0).Add(days30 + time.Second - 1)
	kept, _ := a.page("/v1/events", nil)
	require.Equal(t, ids, kept, "30 days and almost a second are not over 30 days")
	a.get("/v1/events/" + ids[1])
	a.get("/v1/events?ending_before=" + ids[1])

	clock.now = clock.now.Add(1)
	require.Equal(t, 404, a.do("GET", "/v1/events/"+ids[1], "").status)
	kept, _ = a.page("/v1/events", nil)
	require.Equal(t, ids[:1], kept)
	require.Equal(t, 1.0, a.get("/v1/events?expand[]=total_count&type=charge.*")["total_count"])
	for _, cursor := range []string{"starting_after", "ending_before"} {
		refusal{"GET", "/v1/events?" + cursor + "=" + ids[1], "", 400, "resource_missing", cursor, "No such event: '" + ids[1] + "'"}.refuse(t, a, "")
	}
	require.Len(t, a.everything("/v1/charges"), 2, "the charges stay")
}

func TestEventsAppearLate(t *testing.T) {
	clock := at(1000)
	a := memory(t, stripetest.WithClock(clock.read), stripetest.WithVisibility(func(object string) time.Duration {
		if object == "event" {
			return time.Minute
		}
		return 0
	}))
	a.charge("source=tok_visa")
	ids, _ := a.page("/v1/events", nil)
	require.Empty(t, ids)
	require.Len(t, a.everything("/v1/charges"), 1)
	clock.now = clock.now.Add(time.Minute)
	ids, _ = a.page("/v1/events", nil)
	require.Len(t, ids, 1)
}

func TestEventRequestsMeetFaults(t *testing.T) {
	a := memory(t)
	a.charge("source=tok_visa")
	a.server.Fault("GET /v1/events", stripetest.First(1), stripetest.RateLimit(stripetest.GlobalRate))
	require.Equal(t, http.StatusTooManyRequests, a.do("GET", "/v1/events", "").status)
	require.Len(t, a.everything("/v1/events"), 1)
	require.Equal(t, 2, a.server.Count("GET /v1/events"))
}

func TestCursorsAndCreatedOfEvents(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1000).read), stripetest.WithCursorAndCreated(stripetest.LoseSecond))
	a.charge("source=tok_visa")
	a.charge("source=tok_visa")
	ids, _ := a.page("/v1/events", nil)
	lost, _ := a.page("/v1/events", url.Values{"starting_after": ids[:1], "created[gte]": {"1"}})
	require.Empty(t, lost)
}

// TestNoReaderSeesAChangeWithoutItsEvent reads the events after the charges, and the
// charges after the events, while others make both.
func TestNoReaderSeesAChangeWithoutItsEvent(t *testing.T) {
	const writers, each = 4, 50
	a := memory(t)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range each {
				a.charge("source=tok_visa")
			}
		})
	}
	ended := make(chan struct{})
	go func() { writing.Wait(); close(ended) }()
	reads := 0
	for open := true; open; reads++ {
		select {
		case <-ended:
			open = false
		default:
		}
		charge := a.get("/v1/charges?limit=1")["data"].([]any)
		events := a.get("/v1/events?limit=100")["data"].([]any)
		if len(charge) == 1 && len(events) < 100 {
			require.True(t, slices.ContainsFunc(events, func(e any) bool {
				return dataOf(e.(map[string]any))["id"] == charge[0].(map[string]any)["id"]
			}), "the newest charge has an event")
		}
		for _, event := range events[:min(len(events), 1)] {
			a.get("/v1/charges/" + dataOf(event.(map[string]any))["id"].(string))
		}
	}
	require.Len(t, a.everything("/v1/events"), writers*each)
	require.Positive(t, reads)
}

func TestEventsSurviveDumpAndLoad(t *testing.T) {
	for _, version := range []string{"2026-08-26.dahlia", "2017-08-15"} {
		clock := at(1700000000)
		a := memory(t, stripetest.WithClock(clock.read), stripetest.WithDefaultVersion(version))
		variedEvents(a, clock)
		product := a.create("/v1/products", "name=P")
		customer := a.create("/v1/customers", "source=tok_visa&tax_id_data[0][type]=eu_vat&tax_id_data[0][value]=DE1")
		a.post("/v1/invoiceitems", "customer="+customer+"&price_data[currency]=usd&price_data[unit_amount]=7&price_data[product]="+product)
		charge := a.server.Seed("/v1/charges", stripetest.Seeding{Undated: true})[0]
		a.post("/v1/charges/"+charge, "description=D")

		b := memory(t, stripetest.WithClock(clock.read))
		require.NoError(t, b.server.Load(strings.NewReader(dumped(t, a.server))))
		want, got := a.do("GET", "/v1/events?limit=100", ""), b.do("GET", "/v1/events?limit=100", "")
		require.Len(t, want.body["data"], 20)
		require.Equal(t, want.raw, got.raw)
		require.Equal(t, dumped(t, a.server), dumped(t, b.server))
		b.charge("source=tok_visa")
		require.Equal(t, []string{"charge.succeeded"}, typesOf(b.eventsSince(20)))
	}
}

func TestClearRemovesEvents(t *testing.T) {
	a := memory(t, stripetest.WithControl())
	a.charge("source=tok_visa")
	require.Equal(t, 200, a.control("POST reset", "").status)
	require.Empty(t, a.everything("/v1/events"))
}

func TestLoadRefusesImpossibleEvents(t *testing.T) {
	a := memory(t)
	a.post("/v1/customers", "")
	good := dumped(t, a.server)
	for old, c := range map[string][2]string{
		`"Version":"2026-08-26.dahlia"`: {`"Version":"new"`, `its Version "new" is no API version`},
		`"Type":"customer.created",`:    {``, "its Cause or Type is missing"},
		`"Object":{`:                    {`"Object":[],"Contxt":{`, "no such field"},
	} {
		require.Contains(t, good, old)
		err := memory(t).server.Load(strings.NewReader(strings.Replace(good, old, c[0], 1)))
		require.ErrorContains(t, err, "events: objects: 0: object: ")
		require.ErrorContains(t, err, c[1])
	}
}

func TestEventsNeedAPermission(t *testing.T) {
	a := memory(t, stripetest.WithPermissions("rk_test_1", "charge_write"), stripetest.WithPermissions("rk_test_2", "event_read"))
	id := a.charge("source=tok_visa")
	r := a.as("rk_test_1").do("GET", "/v1/events", "")
	require.Equal(t, http.StatusForbidden, r.status)
	require.Contains(t, r.failure()["message"], "rak_event_read")
	events := a.as("rk_test_2").everything("/v1/events")
	require.Equal(t, id, dataOf(events[0])["id"])
	require.Equal(t, http.StatusForbidden, a.as("rk_test_2").do("GET", "/v1/webhook_endpoints", "").status)
}

func TestDumpHasTheObjectOfAnEventOnce(t *testing.T) {
	a := memory(t)
	id := a.charge("source=tok_visa")
	dump := dumped(t, a.server)
	require.Equal(t, 1, strings.Count(dump, `"amount_captured":1000`))
	reference := `{"stored":"charge","id":"` + id + `"}`
	require.Contains(t, dump, reference)
	for _, other := range []string{`{"stored":"charge","id":"ch_x"}`, `{"stored":"card","id":"` + id + `"}`, `{"stored":"customer","id":"` + id + `"}`} {
		err := memory(t).server.Load(strings.NewReader(strings.Replace(dump, reference, other, 1)))
		require.ErrorContains(t, err, "Object: there is no ", other)
	}
	a.post("/v1/charges/"+id, "description=D")
	require.Equal(t, 2, strings.Count(dumped(t, a.server), `"amount_captured":1000`), "the former state is in the event alone")
}
