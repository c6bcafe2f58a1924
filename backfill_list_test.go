package stripekit_test

import (
	"cmp"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// fakeList is a service with one list, /v1/payouts, of small objects. It responds
// like the real service, and fails the test on a request for which the real service
// is reported to return a wrong response.
type fakeList struct {
	t *testing.T

	latency time.Duration
	undated bool // objects have a field date, and no field created
	account string

	mu       sync.Mutex
	entries  []entry // the newest first
	byID     map[string]entry
	gone     map[string]bool
	before   func(*http.Request) (*http.Response, error) // sees every request first
	during   func(url.Values)                            // changes the list before a page is made
	changing sync.Mutex                                  // is held while during runs
	requests int                                         // for pages
	served   int                                         // objects
	underWay int
	most     int // requests under way
}

// entry is an object. Within a second, the one that was made last is the newest.
type entry struct {
	id      string
	created int64
	number  int
}

// payoutObject is the type of the objects.
type payoutObject struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Date    int64  `json:"date"`
}

const listStart = 1_700_000_000

func newFakeList(t *testing.T, seconds ...int64) *fakeList {
	l := &fakeList{t: t, account: "acct_fake", byID: map[string]entry{}, gone: map[string]bool{}}
	l.add(seconds...)
	return l
}

// add makes objects with these created seconds, from listStart on, and returns
// their ids.
func (l *fakeList) add(seconds ...int64) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, second := range seconds {
		e := entry{fmt.Sprintf("po_%06d", len(l.byID)*7919%1_000_003), listStart + second, len(l.byID)}
		l.byID[e.id] = e
		l.entries = append(l.entries, e)
		ids = append(ids, e.id)
	}
	slices.SortFunc(l.entries, newestFirst)
	return ids
}

func newestFirst(a, b entry) int {
	return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.number, a.number))
}

func (l *fakeList) remove(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.gone[id] = true
	}
	l.entries = slices.DeleteFunc(l.entries, func(e entry) bool { return l.gone[e.id] })
}

// ids returns the ids of all objects in the list, the oldest first.
func (l *fakeList) ids() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range slices.Backward(l.entries) {
		ids = append(ids, e.id)
	}
	return ids
}

// between returns the ids of the objects of these seconds.
func (l *fakeList) between(from, to int64) (ids []string) {
	for _, id := range l.ids() {
		if second := l.second(id); from <= second && second < to {
			ids = append(ids, id)
		}
	}
	return ids
}

// second returns the created second of an object, counted from listStart.
func (l *fakeList) second(id string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id].created - listStart
}

// interfere sets a function that receives every request first, and may respond to it.
func (l *fakeList) interfere(before func(*http.Request) (*http.Response, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = before
}

func (l *fakeList) listRequests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

func (l *fakeList) requestsUnderWay() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.underWay
}

// RoundTrip responds to a request after the latency.
func (l *fakeList) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.underWay++
	l.most = max(l.most, l.underWay)
	before, during := l.before, l.during
	if r.URL.Path == "/v1/payouts" {
		l.requests++
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.underWay--
	}()
	if l.latency > 0 {
		select {
		case <-time.After(l.latency):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if before != nil {
		if resp, err := before(r); resp != nil || err != nil {
			return resp, err
		}
	}
	switch r.URL.Path {
	case "/v1/account":
		return response(r, 200, `{"id":"`+l.account+`"}`), nil
	case "/v1/payouts":
		if during != nil {
			l.changing.Lock()
			during(r.URL.Query())
			l.changing.Unlock()
		}
		return l.list(r), nil
	}
	return response(r, 404, `{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}`), nil
}

func (l *fakeList) list(r *http.Request) *http.Response {
	l.mu.Lock()
	defer l.mu.Unlock()
	page, more, lost := l.page(r.URL.Query())
	if lost != "" {
		return response(r, 400, fmt.Sprintf(`{"error":{"type":"invalid_request_error","code":"resource_missing","param":%q,"message":"No such payout"}}`, lost))
	}
	l.served += len(page)
	return response(r, 200, l.body(page, more))
}

// page responds to a query; lost is a cursor that names no object.
func (l *fakeList) page(q url.Values) (page []entry, more bool, lost string) {
	l.checkQuery(q)
	limit, _ := strconv.Atoi(cmp.Or(q.Get("limit"), "10"))
	for _, cursor := range []string{"starting_after", "ending_before"} {
		id := q.Get(cursor)
		if id == "" {
			continue
		}
		e, known := l.byID[id]
		if !known || l.gone[id] {
			return nil, false, cursor
		}
		at, _ := slices.BinarySearchFunc(l.entries, e, newestFirst)
		if cursor == "ending_before" {
			from := max(0, at-limit)
			return l.entries[from:at], from > 0, ""
		}
		to := min(at+1+limit, len(l.entries))
		return l.entries[at+1 : to], to < len(l.entries), ""
	}
	from, end := 0, len(l.entries)
	if lt, err := strconv.ParseInt(q.Get("created[lt]"), 10, 64); err == nil {
		from = l.below(lt)
	}
	if gte, err := strconv.ParseInt(q.Get("created[gte]"), 10, 64); err == nil {
		end = max(l.below(gte), from)
	}
	to := min(from+limit, end)
	return l.entries[from:to], to < end, ""
}

// below returns the index of the first object older than the second.
func (l *fakeList) below(second int64) int {
	at, _ := slices.BinarySearchFunc(l.entries, second, func(e entry, second int64) int {
		if e.created >= second {
			return -1
		}
		return 1
	})
	return at
}

func (l *fakeList) checkQuery(q url.Values) {
	known := map[string]bool{"limit": true, "starting_after": true, "ending_before": true, "created[gte]": true, "created[lt]": true}
	cursors, bounds := 0, 0
	for name := range q {
		switch {
		case !known[name]:
			l.t.Errorf("parameter %s", name)
		case strings.HasPrefix(name, "created"):
			bounds++
		case name != "limit":
			cursors++
		}
	}
	if cursors > 1 || cursors > 0 && bounds > 0 {
		l.t.Errorf("a cursor beside a cursor or a filter: %v", q)
	}
}

func (l *fakeList) body(page []entry, more bool) string {
	var body strings.Builder
	body.WriteString(`{"object":"list","url":"/v1/payouts","data":[`)
	field := "created"
	if l.undated {
		field = "date"
	}
	for i, e := range page {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"%s","object":"payout","%s":%d}`, e.id, field, e.created)
	}
	fmt.Fprintf(&body, `],"has_more":%t}`, more)
	return body.String()
}

func (l *fakeList) client(opts ...stripekit.Option) *stripekit.Client {
	l.t.Helper()
	client, err := stripekit.New("sk_test_fake", append([]stripekit.Option{
		stripekit.WithBaseURL("https://stripe.test"), stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithMaxRetries(0),
	}, opts...)...)
	require.NoError(l.t, err)
	return client
}

func (l *fakeList) source(opts ...stripekit.Option) stripekit.Source[payoutObject] {
	l.t.Helper()
	return payoutsOf[payoutObject](l.t, l.client(opts...))
}

func payoutsOf[T any](t *testing.T, client *stripekit.Client) stripekit.Source[T] {
	t.Helper()
	source, err := stripekit.NewSource[T](client, "/v1/payouts", "")
	require.NoError(t, err)
	return source
}

func (l *fakeList) backfill(cfg stripekit.BackfillConfig) iter.Seq2[*payoutObject, error] {
	l.t.Helper()
	return stripekit.Backfill(l.t.Context(), l.source(), cfg)
}

// taken returns what an iteration yields, and the error that it ends with.
func taken(all iter.Seq2[*payoutObject, error]) (ids []string, err error) {
	for object, err := range all {
		if err != nil {
			return ids, err
		}
		ids = append(ids, object.ID)
	}
	return ids, nil
}

// firstOf returns the first objects of a loop that is then left.
func firstOf(n int, all iter.Seq2[*payoutObject, error]) (ids []string, err error) {
	for object, err := range all {
		if err != nil {
			return ids, err
		}
		if len(ids) == n {
			return ids, nil
		}
		ids = append(ids, object.ID)
	}
	return ids, nil
}

func (l *fakeList) requireOldestFirst(got []string) {
	l.t.Helper()
	last := int64(0)
	for i, id := range got {
		second := l.second(id)
		require.GreaterOrEqual(l.t, second, last, "object %d of %d is older than the one before", i, len(got))
		last = second
	}
}

// requireAll requires that a loop has yielded the ids in want: each once, the
// oldest first.
func (l *fakeList) requireAll(want, got []string) {
	l.t.Helper()
	requireDeliveredOnce(l.t, want, got)
	l.requireOldestFirst(got)
}

// steady returns the seconds of n objects at equal intervals.
func steady(n int, every float64) []int64 {
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = int64(float64(i) * every)
	}
	return seconds
}

// bubble runs a test in fake time, and fails it if a Backfill leaves a goroutine.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		synctest.Wait()
		requireNoReader(t)
	})
}

// requireNoReader fails the test if a goroutine of a Backfill is left.
func requireNoReader(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		require.NotContains(t, stack, "internal/listing.", "a goroutine is left")
	}
}
