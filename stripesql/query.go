package stripesql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/transport"
)

// query is one execution of a statement: its budget, what it has read, and the
// error that ended it.
type query struct {
	ctx      context.Context
	cancel   context.CancelFunc
	source   *source
	accounts []*account
	memo     *memo
	expand   map[string][]string   // the fields to expand, by table
	lookups  map[string]bool       // the tables that are read by id
	columns  map[string]projection // the columns that the statement reads, by table

	repeated map[string]*lookups // by table, plan and values
	listed   int                 // bytes of the objects of all lists that lookups have read

	running  sync.WaitGroup // the concurrent calls of wide scans
	lanes    chan struct{}  // holds a value for each call under way
	started  time.Time
	stats    *Stats
	progress func(Progress)

	mu     sync.Mutex
	calls  int
	spent  map[*account]int  // calls
	probes map[objectKey]int // by account and table
	rows   int
	share  float64
	err    error // the first failure; SQLite keeps only its text
}

// source is the state that all connections of a connector share.
type source struct {
	accounts *accounts
	file     string // of Materialize, which has the tables; "" for the account's own
	options
	tables map[string]*table
	schema string // the statements that set up the schema of a connection
}

func newQuery(ctx context.Context, s *source) *query {
	q := &query{
		source: s, accounts: s.accounts.now(), memo: newMemo(), repeated: map[string]*lookups{}, spent: map[*account]int{}, probes: map[objectKey]int{},
		lanes: make(chan struct{}, s.atOnce()), started: time.Now(),
	}
	q.ctx, q.cancel = context.WithCancel(ctx)
	q.stats, _ = ctx.Value(statsKey{}).(*Stats)
	q.progress, _ = ctx.Value(progressKey{}).(func(Progress))
	return q
}

// close cancels the calls that are still under way, and fills in the stats.
func (q *query) close() {
	q.cancel()
	q.running.Wait()
	if q.stats != nil {
		*q.stats = Stats{Calls: q.calls, Rows: q.rows, Duration: time.Since(q.started)}
	}
}

// fail keeps the first error of the query, and returns it.
func (q *query) fail(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	return err
}

// failure returns the first error of the query, nil if there was none.
func (q *query) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// request is a GET request. The names of its parameters are as sent, such as
// "created[gte]".
type request struct {
	path   string
	params map[string]string
	list   listing.Query // the page of a list, without its filters; zero for another request
}

// String returns the request in a readable form, without escapes and secrets.
func (r request) String() string {
	var b strings.Builder
	b.WriteString("GET " + r.path)
	for i, name := range slices.SortedFunc(maps.Keys(r.params), byImportance) {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		b.WriteString(separator + unnumbered(name) + "=" + r.params[name])
	}
	return transport.Mask(b.String())
}

// unnumbered returns the name of a parameter without an index: "ids[]" for
// "ids[3]".
func unnumbered(name string) string {
	list, place, _ := strings.Cut(name, "[")
	if _, err := strconv.Atoi(strings.TrimSuffix(place, "]")); err == nil {
		return list + "[]"
	}
	return name
}

// byImportance sorts the names of parameters. Those that every page has come
// last.
func byImportance(a, b string) int {
	rank := func(name string) string {
		switch {
		case strings.HasPrefix(name, "expand["):
			return "2" + name
		case name == "limit":
			return "1"
		default:
			return "0" + name
		}
	}
	return strings.Compare(rank(a), rank(b))
}

// spend takes a call from the budget of an account, or returns a *BudgetError.
func (q *query) spend(a *account, next request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.spent[a] >= q.source.maxCalls {
		return &BudgetError{MaxCalls: q.source.maxCalls, Next: next.String(), Connection: a.name}
	}
	q.spent[a]++
	q.calls++
	return nil
}

// call makes a request within the budget, once fewer than the concurrency are under way.
func (q *query) call(a *account, r request, out any, opts ...stripekit.CallOption) error {
	select {
	case q.lanes <- struct{}{}:
		defer func() { <-q.lanes }()
	case <-q.ctx.Done():
	}
	if err := q.ctx.Err(); err != nil {
		return err
	}
	if err := q.spend(a, r); err != nil {
		return err
	}
	return a.get(q.ctx, r, out, opts...)
}

// report counts the objects of a response and reports the progress.
func (q *query) report(rows int, share float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows += rows
	if len(q.accounts) == 1 { // else each would tell of its own
		q.share = max(q.share, share)
	}
	if q.progress != nil {
		q.progress(Progress{Calls: q.calls, MaxCalls: q.source.maxCalls * len(q.accounts), Rows: q.rows, Share: q.share})
	}
}

// page is a page of a list or of a search, newest first.
type page struct {
	objects []*object
	more    bool
	next    string // the cursor for the next page of a search
	took    time.Duration
}

// page requests and parses a page.
func (q *query) page(s *spec, r request) (page, error) {
	var response stripekit.Response
	if err := q.call(s.account(), r, nil, stripekit.CaptureResponse(&response)); err != nil {
		return page{}, err
	}
	p, err := s.table.readPage(s.account(), response.Body)
	if err != nil {
		return page{}, fmt.Errorf("stripesql: %s: %w", r, err)
	}
	p.took = response.Duration
	if s.bare() {
		s.account().density.learn(s.table, r.list, p)
	}
	return p, nil
}

// readPage parses the page in a response.
func (t *table) readPage(a *account, body json.Value) (page, error) {
	scanned, err := listing.Scan(body, t.timeField)
	if err == nil {
		err = scanned.Check()
	}
	if err != nil {
		return page{}, err
	}
	p := page{objects: make([]*object, len(scanned.Heads)), more: scanned.HasMore, next: scanned.NextPage}
	made := make([]object, len(scanned.Heads))
	for i, head := range scanned.Heads {
		at := scanned.Times[i]
		made[i] = object{raw: scanned.Raw[i], account: a, id: head.ID, created: at, dated: at != 0}
		p.objects[i] = &made[i]
	}
	return p, nil
}
