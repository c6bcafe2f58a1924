package stripesql_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// bareList is a server with a single list, which is its response to every GET.
// It is fast enough for many thousands of charges. A charge has only an id, a
// created and the customer cus_1.
type bareList struct {
	created []int64 // the newest first
	undated int64   // charges whose number this divides have no created; 0 for none
	padding string

	mu         sync.Mutex
	delay      time.Duration // of each response
	calls      int
	underWay   int
	peak       int              // of underWay
	fails      int              // the number of the call that fails, 0 for none
	gone       map[int]bool     // the charges that were deleted, by their place
	onPage     func(page []int) // called with each page; it may delete charges, and change delay
	cursorless bool             // every cursor is unknown
	lost       int              // requests with an unknown cursor
}

func (l *bareList) RoundTrip(r *http.Request) (*http.Response, error) {
	delay := l.enter(1)
	defer l.enter(-1)
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	query := r.URL.Query()
	after, before := query.Get("starting_after"), query.Get("ending_before")
	filtered := query.Has("created[gte]") || query.Has("created[lt]")
	if l.calls == l.fails || (after != "" || before != "") && filtered {
		return l.response(r, 500, "{}"), nil
	}
	for name, cursor := range map[string]string{"starting_after": after, "ending_before": before} {
		if cursor != "" && (l.cursorless || l.gone[place(cursor)]) {
			l.lost++
			return l.response(r, 400, fmt.Sprintf(`{"error":{"type":"invalid_request_error","code":"resource_missing","param":%q}}`, name)), nil
		}
	}
	page, more := l.page(query)
	if l.onPage != nil {
		l.onPage(page)
	}
	objects := make([]string, len(page))
	for i, n := range page {
		created := strconv.FormatInt(l.created[n], 10)
		if l.undated > 0 && l.created[n]%l.undated == 0 {
			created = "null"
		}
		objects[i] = fmt.Sprintf(`{"id":"ch_%d","created":%s,"date":%[2]s,"customer":"cus_1","description":%[3]q}`, n, created, l.padding)
	}
	return l.response(r, 200, fmt.Sprintf(`{"data":[%s],"has_more":%v}`, strings.Join(objects, ","), more)), nil
}

// enter counts the requests under way. It returns how long a response takes.
func (l *bareList) enter(n int) (delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay += n
	l.peak = max(l.peak, l.underWay)
	return l.delay
}

// page returns the places of the charges that a query requests.
func (l *bareList) page(query url.Values) (page []int, more bool) {
	low, high, limit := number(query.Get("created[gte]"), 0), number(query.Get("created[lt]"), math.MaxInt), number(query.Get("limit"), 10)
	first := sort.Search(len(l.created), func(i int) bool { return l.created[i] < int64(high) })
	last := sort.Search(len(l.created), func(i int) bool { return l.created[i] < int64(low) })
	if before := query.Get("ending_before"); before != "" {
		for i := place(before) - 1; i >= 0; i-- {
			if l.gone[i] {
				continue
			}
			if len(page) == limit {
				return page, true
			}
			page = slices.Insert(page, 0, i)
		}
		return page, false
	}
	if after := query.Get("starting_after"); after != "" {
		first = place(after) + 1
	}
	for i := first; i < last; i++ {
		if l.gone[i] {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, i)
	}
	return page, false
}

// place returns the place of the charge with an id.
func place(id string) int { return number(strings.TrimPrefix(id, "ch_"), 0) }

func (l *bareList) response(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func number(text string, otherwise int) int {
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// add adds charges, the first of them at first after newYear.
func (l *bareList) add(count int, first, every time.Duration) {
	for i := range count {
		l.created = append(l.created, newYear.Add(first+time.Duration(i)*every).Unix())
	}
	slices.SortFunc(l.created, func(a, b int64) int { return cmp.Compare(b, a) })
}

func (l *bareList) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// open opens the list as a database. Its client has no rate limit.
func (l *bareList) open(t *testing.T, opts ...stripesql.Option) *sql.DB {
	t.Helper()
	return l.openAt(t, stripekit.RateLimit{}, opts...)
}

func (l *bareList) openAt(t *testing.T, limit stripekit.RateLimit, opts ...stripesql.Option) *sql.DB {
	t.Helper()
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL("https://stripe.test"),
		stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithMaxRetries(0), stripekit.WithRateLimit(limit))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
