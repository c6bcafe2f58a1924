package stripesql_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// changingList is a server with a single list, which changes with each request. Unlike
// that of a bareList, it has filters, and its filter by created leaves out the charges
// without a time.
type changingList struct {
	charges  []*listed // in the order of the list
	slowest  time.Duration
	faults   float64        // the share of requests that fail, and succeed when repeated
	refuses  bool           // there is no filter by created
	failures map[int]string // bodies of 400 responses, by the number of the request

	mu       sync.Mutex
	random   *rand.Rand
	requests int
	underWay int
	most     int // requests under way at once
}

// listed is a charge of a changingList. It is there from one request on and up to another,
// and belongs to cus_1 up to a third.
type listed struct {
	id                        string
	created                   int64 // 0 for none
	status                    string
	appears, vanishes, leaves int // the numbers of requests
}

func (c *listed) isThere(request int) bool { return c.appears <= request && request < c.vanishes }

func (c *listed) fits(query url.Values, request int) bool {
	low, high := int64(number(query.Get("created[gte]"), 0)), int64(number(query.Get("created[lt]"), math.MaxInt))
	switch {
	case !c.isThere(request), query.Has("status") && query.Get("status") != c.status, query.Has("customer") && query.Get("customer") != c.customer(request):
		return false
	case c.created == 0:
		return low == 0 && high == math.MaxInt
	}
	return low <= c.created && c.created < high
}

func (c *listed) customer(request int) string {
	if request < c.leaves {
		return "cus_1"
	}
	return "cus_2"
}

func (c *listed) json(request int) string {
	created := "null"
	if c.created > 0 {
		created = fmt.Sprint(c.created)
	}
	return fmt.Sprintf(`{"id":%q,"created":%s,"customer":%q,"status":%q}`, c.id, created, c.customer(request), c.status)
}

func (l *changingList) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.requests++
	l.underWay++
	l.most = max(l.most, l.underWay)
	status, body := l.respond(r.URL.Query())
	fault, delay := l.random.Float64(), time.Duration(l.random.Int64N(int64(l.slowest)+1))
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.underWay--
	}()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	content := io.Reader(strings.NewReader(body))
	switch {
	case fault > l.faults:
	case fault < l.faults/3:
		status, content = 429, strings.NewReader(`{"error":{"type":"rate_limit_error"}}`)
	case fault < l.faults/2:
		status, content = 500, strings.NewReader(`{"error":{"type":"api_error"}}`)
	default:
		content = io.MultiReader(strings.NewReader(body[:len(body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Request: r, Body: io.NopCloser(content), ContentLength: -1}, nil
}

// respond returns the response to a query. The caller holds the lock.
func (l *changingList) respond(query url.Values) (status int, body string) {
	if failure, fails := l.failures[l.requests]; fails {
		return 400, failure
	}
	if l.refuses && (query.Has("created[gte]") || query.Has("created[lt]")) {
		return 400, `{"error":{"type":"invalid_request_error","code":"parameter_unknown","param":"created","message":"Received unknown parameter: created"}}`
	}
	after, before := query.Get("starting_after"), query.Get("ending_before")
	at := slices.IndexFunc(l.charges, func(c *listed) bool { return c.id == cmp.Or(after, before) && c.isThere(l.requests) })
	if after+before != "" && at < 0 {
		param := "starting_after"
		if before != "" {
			param = "ending_before"
		}
		return 400, fmt.Sprintf(`{"error":{"type":"invalid_request_error","code":"resource_missing","param":%q}}`, param)
	}
	step := 1
	if before != "" {
		step = -1
	}
	var page []string
	limit := number(query.Get("limit"), 10)
	for i := at + step; i >= 0 && i < len(l.charges) && len(page) <= limit; i += step {
		if l.charges[i].fits(query, l.requests) {
			page = append(page, l.charges[i].json(l.requests))
		}
	}
	more := len(page) > limit
	page = page[:min(limit, len(page))]
	if before != "" {
		slices.Reverse(page)
	}
	return 200, fmt.Sprintf(`{"data":[%s],"has_more":%v}`, strings.Join(page, ","), more)
}

// things is a table for a changingList.
var things = stripesql.WithTable("things", "/v1/things", stripesql.Column{Name: "customer", Filter: "customer"}, stripesql.Column{Name: "status", Filter: "status"})

// open opens the list as a database. Its queries repeat requests.
func (l *changingList) open(t *testing.T, opts ...stripesql.Option) *sql.DB {
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL("https://stripe.test"), stripekit.WithMaxRetries(20),
		stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client, append(opts, things)...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// unchanging returns a list of charges of cus_1, one a minute.
func unchanging(charges int) *changingList {
	l := &changingList{random: rand.New(rand.NewPCG(1, 1))}
	for i := range charges {
		l.charges = append(l.charges, &listed{
			id: fmt.Sprintf("ch_%d", i), created: newYear.Unix() - 60*int64(i), status: "succeeded",
			vanishes: math.MaxInt, leaves: math.MaxInt,
		})
	}
	return l
}
