package stripesql_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// histories runs n random histories, each with its own seed. STRIPEKIT_HISTORIES sets their
// number; STRIPEKIT_HISTORY runs a single one, by its seed.
func histories(t *testing.T, n int, run func(t *testing.T, seed uint64)) {
	t.Helper()
	first, err := rand.Uint64N(1e9), error(nil)
	if text := os.Getenv("STRIPEKIT_HISTORIES"); text != "" {
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("STRIPEKIT_HISTORY"); text != "" {
		first, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		n = 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		require.True(t, t.Run(fmt.Sprint(seed), func(t *testing.T) { run(t, seed) }), "STRIPEKIT_HISTORY=%d", seed)
	}
}

// TestWideHistories asks queries of lists that change while they are read, with requests
// that fail.
func TestWideHistories(t *testing.T) {
	n := 100
	if raceDetector {
		n = 15
	}
	histories(t, n, func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { newWideHistory(seed).run(t) })
	})
}

// wideHistory is a query of a list that changes, with what it may do.
type wideHistory struct {
	*changingList
	table, customer, status string // the last two are filters, "" for none
	low, high               int64  // bounds of created, 0 and MaxInt64 for none
	order                   string
	limit                   int // MaxInt for none
	budget, concurrency     int
	stop                    int  // rows after which the rows are closed, MaxInt for none
	cancel                  bool // they are not closed, but their context is cancelled
}

func newWideHistory(seed uint64) *wideHistory {
	r := rand.New(rand.NewPCG(seed, 0))
	h := &wideHistory{
		changingList: &changingList{random: r, slowest: time.Duration(r.IntN(300)) * time.Millisecond},
		table:        "charges", high: math.MaxInt64, limit: math.MaxInt, budget: 3000, concurrency: 1 + r.IntN(16), stop: math.MaxInt,
	}
	h.fill()
	h.change()
	once := func(n int, f func()) {
		if r.IntN(n) == 0 {
			f()
		}
	}
	anySecond := func() int64 { return max(h.charges[r.IntN(len(h.charges))].created, 1) }
	once(3, func() { h.faults = 0.2 * r.Float64() })
	h.customer = [...]string{"cus_1", "cus_1", "cus_1", ""}[r.IntN(4)]
	h.status = [...]string{"failed", "", ""}[r.IntN(3)]
	h.order = [...]string{"", "created DESC", "created_unix DESC, id"}[r.IntN(3)]
	once(2, func() { h.low = anySecond() })
	once(3, func() { h.high = anySecond() })
	once(6, func() { h.limit = 1 + r.IntN(3000) })
	once(6, func() { h.budget = 1 + r.IntN(40) })
	once(6, func() { h.stop, h.cancel = 1+r.IntN(3000), r.IntN(2) == 0 })
	once(8, func() { h.failures = map[int]string{1 + r.IntN(40): `{"error":{"type":"invalid_request_error"}}`} })
	once(8, func() { h.table, h.refuses, h.low, h.high = "things", true, 0, math.MaxInt64 })
	return h
}

// fill adds charges: regular ones, bursts, a single second, ever rarer ones, or a pause.
func (h *wideHistory) fill() {
	r := h.random
	second := [...]int64{newYear.Unix(), newYear.AddDate(200, 0, 0).Unix(), 100}[r.IntN(3)]
	shape, n := r.IntN(5), 1+r.IntN(4500)
	for i := range n {
		switch {
		case shape == 0:
			second += r.Int64N(100)
		case shape == 1 && r.IntN(600) == 0:
			second += 86400 * r.Int64N(30)
		case shape == 2 && i == n-50:
			second += 10
		case shape == 3:
			second += int64(math.Exp(12 * r.Float64()))
		case shape == 4 && r.IntN(10) == 0:
			second += r.Int64N(3)
		case shape == 4 && i == n/3:
			second += 400 * 86400
		}
		c := &listed{id: fmt.Sprintf("ch_%x_%d", r.Uint32(), i), created: second, status: "succeeded", vanishes: math.MaxInt, leaves: math.MaxInt}
		if r.IntN(3) == 0 {
			c.status = "failed"
		}
		if r.IntN(5) == 0 {
			c.leaves = 0
		}
		h.charges = append(h.charges, c)
	}
	slices.Reverse(h.charges)
}

// change has some charges appear, vanish and change their customer while the list is read.
func (h *wideHistory) change() {
	r, pages := h.random, len(h.charges)/100+2
	changes, undated := r.IntN(3), r.IntN(6) == 0
	for i, c := range h.charges {
		if changes > 0 && r.IntN(20*changes) == 0 {
			switch r.IntN(4) {
			case 0:
				c.vanishes = r.IntN(pages)
			case 1:
				c.appears = r.IntN(pages)
			case 2:
				c.leaves = r.IntN(pages)
			case 3:
				c.appears = r.IntN(pages)
				c.vanishes = c.appears + r.IntN(pages)
			}
		}
		if undated && (i < 50 || r.IntN(30) == 0) {
			c.created = 0
		}
	}
}

func (h *wideHistory) query() string {
	where := []string{"true"}
	if h.customer != "" {
		where = append(where, "customer = 'cus_1'")
	}
	if h.status != "" {
		where = append(where, "status = 'failed'")
	}
	if h.low > 0 {
		where = append(where, fmt.Sprint("created_unix >= ", h.low))
	}
	if h.high < math.MaxInt64 {
		where = append(where, fmt.Sprint("created_unix < ", h.high))
	}
	text := "SELECT id, customer FROM " + h.table + " WHERE " + strings.Join(where, " AND ")
	if h.order != "" {
		text += " ORDER BY " + h.order
	}
	if h.limit < math.MaxInt {
		text += fmt.Sprint(" LIMIT ", h.limit)
	}
	return text
}

// wants reports whether a charge is in the result if it is there.
func (h *wideHistory) wants(c *listed) bool {
	bounded := h.low > 0 || h.high < math.MaxInt64
	return (h.status == "" || c.status == h.status) && (!bounded || c.created >= max(h.low, 1) && c.created < h.high)
}

func (h *wideHistory) run(t *testing.T) {
	db := h.open(t, stripesql.WithConcurrency(h.concurrency), stripesql.WithMaxCalls(h.budget))
	t.Logf("%d charges, budget %d, concurrency %d, stop after %d: %s", len(h.charges), h.budget, h.concurrency, h.stop, h.query())
	var stats stripesql.Stats
	ctx, cancel := context.WithCancel(stripesql.WithStats(t.Context(), &stats))
	defer cancel()
	rows, err := db.QueryContext(ctx, h.query())
	require.NoError(t, err)
	var ids []string
	for len(ids) < h.stop && rows.Next() {
		var id, customer string
		require.NoError(t, rows.Scan(&id, &customer))
		require.True(t, h.customer == "" || h.customer == customer)
		ids = append(ids, id)
	}
	stopped := len(ids) == h.stop
	if stopped && h.cancel {
		cancel()
		for rows.Next() {
			stopped = false // it was ready before
		}
	}
	err = rows.Err()
	require.NoError(t, rows.Close())
	require.Zero(t, h.underWay, "requests under way after the rows were closed")
	made := h.requests
	<-time.After(time.Hour)
	require.Equal(t, made, h.requests, "requests after the rows were closed")
	require.LessOrEqual(t, h.most, h.concurrency, "requests at once")
	require.LessOrEqual(t, stats.Calls, h.budget)
	h.requireRows(t, ids)
	switch over, isOver := errors.AsType[*stripesql.BudgetError](err); {
	case stopped:
		require.LessOrEqual(t, stats.Calls, h.mostCalls())
	case isOver:
		require.Equal(t, h.budget, stats.Calls)
		require.Equal(t, h.budget, over.MaxCalls)
	case err != nil && h.failures != nil:
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	default:
		require.NoError(t, err)
		require.LessOrEqual(t, stats.Calls, h.mostCalls())
		if h.limit == math.MaxInt {
			h.requireAll(t, ids, math.MinInt64)
		}
	}
}

// requireRows checks the ids of a result, which may be a part of it: they are of charges that
// it wants, in order, each once.
func (h *wideHistory) requireRows(t *testing.T, ids []string) {
	require.LessOrEqual(t, len(ids), h.limit)
	places, seen := map[string]int{}, map[string]bool{}
	for i, c := range h.charges {
		places[c.id] = i
	}
	last := (*listed)(nil)
	for _, id := range ids {
		c := h.charges[places[id]]
		require.Equal(t, id, c.id)
		require.True(t, h.wants(c), id)
		require.False(t, seen[id], "%s comes twice", id)
		seen[id] = true
		if last != nil && h.order != "" {
			require.GreaterOrEqual(t, last.created, c.created, id)
			require.True(t, last.created > c.created || last.id < c.id || h.order == "created DESC", id)
		}
		last = c
	}
	if last != nil && h.order != "" {
		h.requireAll(t, ids, last.created)
	}
}

// requireAll checks that all charges after a second that were there all the time are among
// ids.
func (h *wideHistory) requireAll(t *testing.T, ids []string, after int64) {
	slices.Sort(ids)
	for i, c := range h.charges {
		if !h.wants(c) || c.created <= after || c.appears > 1 || c.vanishes <= h.requests || h.customer != "" && c.leaves <= h.requests {
			continue
		}
		_, found := slices.BinarySearch(ids, c.id)
		require.True(t, found, "charge %d, of second %d, is missing", i, c.created)
	}
}

// mostCalls is how many calls a scan of the list may make.
func (h *wideHistory) mostCalls() int {
	inside := 0
	for _, c := range h.charges {
		if h.low <= c.created && c.created < h.high && (h.customer == "" || c.leaves > 0) {
			inside++
		}
	}
	return int(1.08*float64(pages(inside))) + 2*33 + 2*h.concurrency
}
