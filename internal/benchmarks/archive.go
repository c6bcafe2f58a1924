package main

import (
	"fmt"
	"math"
	"net/http"
	"sort"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// density is how the charges of an archive are distributed over time.
type density struct {
	name    string
	goals   map[int]float64         // the share of the allowance to reach, by requests per second; nil is no goal
	created func(count int) []int64 // the second of each charge, the oldest first
	part    int                     // the archive has 1/part of the usual charges; 0 is 1
}

// title is the title of Backfill on such an archive.
func (d density) title() string { return "Backfill, " + d.name }

const (
	day  = 24 * 60 * 60
	year = 365 * day
	// epoch is the second in which the first charge of an archive was created.
	epoch = 1_200_000_000
)

var (
	evenGoals   = map[int]float64{25: 0.95, 100: 0.88}
	unevenGoals = map[int]float64{25: 0.95, 100: 0.80}
)

var densities = []density{
	{name: "steady", goals: evenGoals, created: steady},
	{name: "clockwork", goals: evenGoals, created: func(count int) []int64 {
		return seconds(count, func(i int) float64 { return 60 * float64(i) })
	}},
	{name: "nightly batches of 100", goals: unevenGoals, created: nightly(100, 10)},
	{name: "nightly batches of 1,000", goals: unevenGoals, created: nightly(1_000, 60)},
	{name: "nightly batches of 20,000", goals: unevenGoals, created: nightly(20_000, 1_800)},
	{name: "one import of three minutes", goals: unevenGoals, created: func(count int) []int64 {
		return seconds(count, func(i int) float64 { return 180 * float64(i) / float64(count) })
	}},
	{name: "growth, double every four months", goals: unevenGoals, created: func(count int) []int64 {
		return seconds(count, func(i int) float64 { return year / 3 * math.Log2(float64(i+1)) })
	}},
	{name: "two months, 14 empty years, two months", goals: unevenGoals, created: func(count int) []int64 {
		return seconds(count, func(i int) float64 {
			at := 120 * day * float64(i) / float64(count)
			if 2*i >= count {
				at += 14 * year
			}
			return at
		})
	}},
	{name: "bursts of up to 1,000 in a second", goals: unevenGoals, created: bursts},
	{name: "everything in one second", part: 4, created: func(count int) []int64 {
		return seconds(count, func(int) float64 { return 0 })
	}},
}

// seconds returns the created seconds of an archive, given as times after
// epoch.
func seconds(count int, after func(i int) float64) []int64 {
	created := make([]int64, count)
	for i := range created {
		created[i] = epoch + int64(after(i))
	}
	return created
}

// steady returns an average of one charge a minute, at random times.
func steady(count int) []int64 {
	at := 0.0
	return seconds(count, func(i int) float64 {
		at += 60 * wait(i)
		return at
	})
}

func nightly(batch int, span float64) func(int) []int64 {
	return func(count int) []int64 {
		return seconds(count, func(i int) float64 {
			return float64(i/batch*day) + span*float64(i%batch)/float64(batch)
		})
	}
}

// bursts returns random times, with a burst at every 500th.
func bursts(count int) []int64 {
	at, left, second := 0.0, 0, 0
	return seconds(count, func(int) float64 {
		if left > 0 {
			left--
			return at
		}
		at += 20 * wait(second)
		if second++; second%500 == 0 {
			left = int(1_000 * uniform(second))
		}
		return at
	})
}

// uniform returns a pseudo-random number from 0 to 1, always the same for the
// same i.
func uniform(i int) float64 {
	return float64(random(i, 0)>>11) / (1 << 53)
}

// wait returns a random waiting time with a mean of 1.
func wait(i int) float64 { return -math.Log(1 - uniform(i)) }

// archive is an account with many charges and no new ones. Each request takes
// the latency, and is refused if it is above the rate. Any number of requests
// are served at once.
type archive struct {
	mold     *mold
	created  []int64
	latency  time.Duration
	limit    *rate.Limiter
	failures []failure

	lists    atomic.Int64 // requests
	attempts atomic.Int64 // requests, account requests included
	refused  atomic.Int64 // above the rate
}

// failure is an error response that a share of the requests gets instead of a
// page.
type failure struct {
	share  float64
	status int
	code   string
	reason string // of a rate limit
}

var (
	tooMany       = failure{status: http.StatusTooManyRequests, code: "rate_limit", reason: "global-rate"}
	lockTimeout   = failure{status: http.StatusTooManyRequests, code: "lock_timeout"}
	internalError = failure{status: http.StatusInternalServerError, code: "api_error"}
)

func (f failure) write(w http.ResponseWriter) {
	if f.reason != "" {
		w.Header().Set("Stripe-Rate-Limited-Reason", f.reason)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	fmt.Fprintf(w, `{"error":{"type":"api_error","code":%q,"message":"It is the archive that says no."}}`, f.code)
}

// newArchive returns an archive. A share of the requests gets the failures.
func newArchive(created []int64, s site, failures ...failure) (*archive, error) {
	m, err := newMold(compact)
	if err != nil {
		return nil, err
	}
	return &archive{
		mold: m, created: created, latency: s.latency, failures: failures,
		// Requests that were sent one after another can arrive together.
		limit: rate.NewLimiter(rate.Limit(s.rate), max(2, s.rate/5)),
	}, nil
}

// ServeHTTP serves a request.
func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	failed := a.refuse()
	select {
	case <-time.After(a.latency):
	case <-r.Context().Done():
		return
	}
	if failed != nil {
		failed.write(w)
		return
	}
	service(func(r *http.Request) response {
		if isAccount(r) {
			return response{body: account, date: time.Now()}
		}
		a.lists.Add(1)
		low, high, more := requested(r, len(a.created), a.from)
		return a.mold.list(low, high, more, func(number int) int64 { return a.created[number] }, time.Now())
	}).ServeHTTP(w, r)
}

// refuse returns the failure of the next request, nil if it succeeds.
func (a *archive) refuse() *failure {
	if !a.limit.Allow() {
		a.refused.Add(1)
		return &tooMany
	}
	chance := uniform(int(a.attempts.Add(1)))
	for i := range a.failures {
		if chance < a.failures[i].share {
			return &a.failures[i]
		}
		chance -= a.failures[i].share
	}
	return nil
}

// from returns the number of the first charge created in second or later.
func (a *archive) from(second int64) int {
	return sort.Search(len(a.created), func(number int) bool { return a.created[number] >= second })
}

// order is the order in which charges are read. Within a second, any order is
// right.
type order int

const (
	newestFirst order = iota - 1
	anyOrder
	oldestFirst
)

// census checks that an archive is read completely, each charge once, in order.
type census struct {
	archive *archive
	order   order
	seen    []bool
	count   int
	last    int64
}

func (c *census) found(id string, created int64) error {
	number, err := numberOf(id)
	switch {
	case err != nil || number < 0 || number >= len(c.seen) || created != c.archive.created[number]:
		return fmt.Errorf("there is no charge %s of %d", id, created)
	case c.seen[number]:
		return fmt.Errorf("charge %s came twice", id)
	case c.count > 0 && int64(c.order)*(created-c.last) < 0:
		return fmt.Errorf("charge %s of %d came after one of %d", id, created, c.last)
	}
	c.seen[number], c.last = true, created
	c.count++
	return nil
}

func (c *census) complete() error {
	if c.count != len(c.seen) {
		return fmt.Errorf("%d of %d charges were read", c.count, len(c.seen))
	}
	return nil
}
