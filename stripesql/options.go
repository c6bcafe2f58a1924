package stripesql

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The defaults of the options.
const (
	defaultMaxCalls    = 1000
	defaultConcurrency = 8
)

// Option configures a Connector.
type Option func(*options) error

type options struct {
	maxCalls    int
	search      bool
	concurrency int
}

func defaultOptions() options {
	return options{maxCalls: defaultMaxCalls, concurrency: defaultConcurrency}
}

// WithMaxCalls sets the budget of a query: how many API calls it may make. The
// query that would need one more ends with a *BudgetError instead. The default
// is 1000. There is always a budget: n must be positive.
func WithMaxCalls(n int) Option {
	return func(o *options) error {
		if n <= 0 {
			return errors.New("WithMaxCalls: must be positive")
		}
		o.maxCalls = n
		return nil
	}
}

// WithSearch lets queries be answered by the search API where that saves calls:
// conditions on a charge's status, say, which lists cannot filter by. What it
// finds is behind by up to a minute, in trouble by an hour: a query then misses
// the newest objects. It is off by default.
func WithSearch() Option {
	return func(o *options) error {
		o.search = true
		return nil
	}
}

// WithConcurrency sets how many calls a query may have under way at once for a
// list that is longer than 10 pages; the default is 8. The rate limits are the
// client's own.
func WithConcurrency(n int) Option {
	return func(o *options) error {
		if n <= 0 {
			return errors.New("WithConcurrency: must be positive")
		}
		o.concurrency = n
		return nil
	}
}

// Stats is what one query did.
type Stats struct {
	Calls    int           // API calls; what the client repeats by itself is not another one
	Rows     int           // objects read from the API, expanded ones not counted
	Duration time.Duration // from the start of the query to the closing of its rows
}

// Progress is how far a query has come.
type Progress struct {
	Calls    int
	MaxCalls int // the budget
	Rows     int // objects read from the API
	// Share is how much of the scan has been read, from 0 to 1; 0 where it
	// cannot be known. For a scan of a whole table that is from its 32nd page on,
	// when it makes up to some 20 calls to know how many objects there are; not
	// without WithProgress, and not if EXPLAIN QUERY PLAN has measured the table.
	Share float64
}

// BudgetError is the end of a query that needs more calls than it may make. All
// calls of the budget have been made by then, and not one more.
type BudgetError struct {
	MaxCalls int
	Next     string // the request that was not made, such as "GET /v1/charges?limit=100"
}

// Error names the budget and the request.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("stripesql: the query needs more than its %d API calls: next is %s", e.MaxCalls, e.Next)
}

type statsKey struct{}

type progressKey struct{}

// WithStats has s filled in when the rows of a query with the returned context
// are closed, and when the query fails. A context is for one query at a time.
func WithStats(ctx context.Context, s *Stats) context.Context {
	return context.WithValue(ctx, statsKey{}, s)
}

// WithProgress has f called after each API call of a query with the returned
// context, never twice at once. It must not block.
func WithProgress(ctx context.Context, f func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}
