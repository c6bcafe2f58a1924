package stripesql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/stripekit/stripekit/internal/transport"
)

// The defaults of the options.
const (
	defaultMaxCalls   = 1000
	defaultMaxMemory  = 128 << 20
	defaultFewLookups = 20
	defaultAtOnce     = 64
)

// leastMemory is the least WithMaxMemory: SQLite itself needs some.
const leastMemory = 1 << 20

// maxValueShare is the part of the memory that one value may take: SQLite holds a
// value several times while it computes with it, and the program once more.
const maxValueShare = 8

// Option configures a Connector.
type Option func(*options) error

type options struct {
	maxCalls    int
	search      bool
	concurrency int // 0 is as many calls as the rate limit needs
	maxMemory   int
	tempFiles   bool
	added       []*table
	fewLookups  int // how many calls lookups take before the whole list is read too
}

// atOnce returns how many calls a query may have under way at once for all accounts.
func (o options) atOnce() int { return cmp.Or(o.concurrency, defaultAtOnce) }

func defaultOptions() options {
	return options{
		maxCalls: defaultMaxCalls, maxMemory: defaultMaxMemory, fewLookups: defaultFewLookups,
	}
}

// WithMaxCalls sets the budget of a query: the maximum number of API calls that
// it may make. A query that needs more ends with a *BudgetError. The default is
// 1000. There is always a budget: n must be positive.
func WithMaxCalls(n int) Option {
	return func(o *options) error {
		if n <= 0 {
			return errors.New("WithMaxCalls: must be positive")
		}
		o.maxCalls = n
		return nil
	}
}

// WithSearch allows queries to use the search API if that saves calls: for
// example, for conditions on a charge's status, which lists cannot filter by.
// The results of a search lag behind by up to a minute, and during an outage by
// up to an hour: such a query misses the newest objects. It is off by default.
func WithSearch() Option {
	return func(o *options) error {
		o.search = true
		return nil
	}
}

// WithConcurrency sets how many calls a query may have under way at once, of all its
// lists and accounts together. A list is read by several from its 11th page on. The
// default is as many for a list as needed to use the rate limit of the client at the
// latency of the service, between 4 and 64, or 16 for a client without a rate limit; and
// 64 for all lists and accounts. n must be positive. The client's rate limits apply in
// addition.
func WithConcurrency(n int) Option {
	return func(o *options) error {
		if n <= 0 {
			return errors.New("WithConcurrency: must be positive")
		}
		o.concurrency = n
		return nil
	}
}

// ErrMemory is the error of a statement that needs more memory than WithMaxMemory
// allows. Its connection may be closed; the pool then opens another.
var ErrMemory = errors.New("stripesql: the statement needs more memory than WithMaxMemory allows; WithTempFiles lets it use files to sort and group")

// WithMaxMemory sets how many bytes SQLite may use on a connection to sort, group
// and join. A statement that needs more ends with ErrMemory. A single value may
// have an eighth of it. The default is 128 MiB, and n must be at least 1 MiB and less than
// 4 GiB. It does not include what a statement has read and may need again, which is about
// 96 MB at most.
func WithMaxMemory(n int) Option {
	return func(o *options) error {
		if n < leastMemory || int64(n) > math.MaxUint32 {
			return fmt.Errorf("WithMaxMemory: must be at least %d, and less than 4 GiB", leastMemory)
		}
		o.maxMemory = n
		return nil
	}
}

// WithTempFiles lets SQLite write what it sorts, groups and joins to temporary
// files, in the directory of os.TempDir, when it is large. So data of the account
// may be written to the disk. On Unix, the files have no name, and are gone with the
// process. By default, nothing is written.
func WithTempFiles() Option {
	return func(o *options) error {
		o.tempFiles = true
		return nil
	}
}

// Stats are the figures of one query.
type Stats struct {
	Calls    int           // API calls; the client's retries are not counted
	Rows     int           // objects read from the API, without expanded ones
	Duration time.Duration // from the start of the query to the closing of its rows
}

// Progress is the progress of a query.
type Progress struct {
	Calls    int
	MaxCalls int // the budget, of all accounts together
	Rows     int // objects read from the API
	// Share is how much of the scan has been read, from 0 to 1. It is 0 if that
	// is unknown. A scan of a whole table knows it from its 32nd page on. It
	// then makes up to about 20 calls to estimate how many objects there are,
	// unless EXPLAIN QUERY PLAN has measured the table. Without WithProgress, a
	// scan makes no such calls.
	Share float64
}

// BudgetError is the error of a query that needs more calls than its budget.
// The query has made all calls of the budget, and no more.
type BudgetError struct {
	MaxCalls int
	Next     string // the request that was not made, such as "GET /v1/charges?limit=100"
	// Connection is the name of the connection that the budget was for, "" unless the
	// database is of OpenAll.
	Connection string
}

// Error returns a message with the budget and the next request.
func (e *BudgetError) Error() string {
	of := ""
	if e.Connection != "" {
		of = fmt.Sprintf(" of connection %q", transport.Mask(e.Connection))
	}
	return fmt.Sprintf("stripesql: the query needs more than its %d API calls%s: next is %s", e.MaxCalls, of, e.Next)
}

type statsKey struct{}

type progressKey struct{}

// WithStats returns a context for a query. When the rows of the query are
// closed, or the query fails, s is filled in. Use the context for one query at
// a time.
func WithStats(ctx context.Context, s *Stats) context.Context {
	return context.WithValue(ctx, statsKey{}, s)
}

// WithProgress returns a context for a query. f is called after each API call
// of the query, never concurrently. It must not block.
func WithProgress(ctx context.Context, f func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}
