package main

import (
	"bytes"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"time"
)

// feed is a list of charges that is polled. The charges of the overlap are
// fewer than a page: as many as a Poller reads again with each poll of a quiet
// list. Each side has its own feed and requests one page at a time.
type feed struct {
	feedKind
	mold      *mold
	page      []byte
	low       int // the number of the oldest charge on the page
	newest    int // the number of the newest charge
	touched   int // the offset on the page of what changes with each response
	responses int // number of responses so far
	listed    int // number of charges in all responses so far
	due       int // number of additional charges in the next response
}

// feedKind describes a feed.
type feedKind struct {
	Grows   int   // number of new charges in each response
	Touches bool  // a charge changes with each response
	Start   int64 // the second of the first charge
}

const (
	// known is how many charges a Poller reads again in a poll of one page.
	known = 75
	// secondsApart is the time between two charges of a growing feed.
	secondsApart = 6
	// margin is how many seconds before its overlap a Poller reads.
	margin = 60
)

// startedNow returns the kind of a feed with charges of the last seconds.
func (k feedKind) startedNow() feedKind {
	k.Start = time.Now().Unix()
	if k.Grows == 0 {
		k.Start -= known + 2
	}
	return k
}

func (k feedKind) created(number int) int64 {
	if k.Grows > 0 {
		return k.Start + int64(number)*secondsApart
	}
	return k.Start + int64(number)
}

func (k feedKind) overlap() time.Duration {
	if k.Grows > 0 {
		return ((known-2)*secondsApart - margin) * time.Second
	}
	return 10 * time.Minute
}

// lag returns how far a Poller stays behind the clock of a growing feed. That
// clock jumps with each response, and the Poller believes a jump one response
// later.
func (k feedKind) lag() time.Duration { return time.Duration(k.Grows*secondsApart) * time.Second }

func newFeed(k feedKind) (*feed, error) {
	m, err := newMold(indented)
	if err != nil {
		return nil, err
	}
	f := &feed{feedKind: k, mold: m}
	f.setPage(0, known-1)
	return f, nil
}

// clock returns the time of the service. For a growing feed, it is the time of the
// newest charge. So each response is 12 s after the last, and for each new charge an
// old one leaves the overlap.
func (f *feed) clock() time.Time {
	if f.Grows > 0 {
		return time.Unix(f.created(f.newest), 0)
	}
	return time.Now()
}

// response responds to a list request by its filters.
func (f *feed) response(r *http.Request) response {
	switch r.URL.Path {
	case "/v1/account":
		return response{body: account, date: f.clock()}
	case "/new": // for a test
		f.due, _ = strconv.Atoi(r.URL.RawQuery)
		return response{date: f.clock()}
	case "/listed": // for a test
		return response{body: fmt.Appendf(nil, "[%d,%d]", f.listed, f.responses), date: f.clock()}
	}
	f.responses++
	newest := f.newest
	if f.responses > 1 {
		newest += f.Grows + f.due
		f.due = 0
	}
	low, high, more := requested(r, newest+1, func(second int64) int {
		return sort.Search(newest+1, func(number int) bool { return f.created(number) >= second })
	})
	if more || high != newest+1 {
		panic("a poll of a quiet list reads more than its newest page: " + r.URL.RawQuery)
	}
	if low != f.low || newest != f.newest {
		f.setPage(low, newest)
	}
	f.listed += high - low
	if f.Touches {
		copy(f.page[f.touched:], reference(f.responses))
	}
	return response{body: f.page, date: f.clock()}
}

// setPage makes a page of the charges from low to newest.
func (f *feed) setPage(low, newest int) {
	f.low, f.newest = low, newest
	f.page = f.mold.page(f.page[:0], low, newest+1, false, f.created)
	f.touched = bytes.Index(f.page, []byte("CR-"+reference((low+newest)/2))) + len("CR-")
}

// requested returns which of the charges from 0 to count, exclusive, a request
// lists: from low to high, exclusive. from returns the first charge created in
// a second or later.
func requested(r *http.Request, count int, from func(second int64) int) (low, high int, more bool) {
	query := r.URL.Query()
	limit := pageSize
	high = count
	for name, values := range query {
		second, _ := strconv.ParseInt(values[0], 10, 64)
		number, _ := numberOf(values[0])
		switch name {
		case "limit":
			limit = int(second)
		case "created[gte]":
			low = max(low, from(second))
		case "created[lt]":
			high = min(high, from(second))
		case "created[lte]":
			high = min(high, from(second+1))
		case "starting_after":
			high = min(high, number)
		case "ending_before":
			low = max(low, number+1)
		}
	}
	high = max(low, high)
	more = high-low > limit
	switch {
	case more && query.Has("ending_before"):
		high = low + limit
	case more:
		low = high - limit
	}
	return low, high, more
}
