package stripesql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stripekit/stripekit/internal/listing"
)

const (
	// rampPages is how many pages of a list are read one after another, each
	// when it is needed. A statement that needs no more makes no extra calls.
	rampPages = 10
	// aheadShare is the divisor of the pages used so far that limits how many
	// pages a scan may be ahead.
	aheadShare = 4
	// A scan in order may be maxAhead pages ahead, or aheadPerLane for each request
	// under way if that is more: 100 pages take about 40 MB, and those of 64 requests
	// 100 MB.
	maxAhead     = 100
	aheadPerLane = 4
	// measuredPages is the number of pages after which a scan measures the
	// table for its progress.
	measuredPages = 32
)

// wideFeed reads a list with several requests at once.
type wideFeed struct {
	query  *query
	spec   *spec
	lanes  *listing.Lanes
	reader *listing.Reader[*object]
	read   func() ([]*object, error)
	pages  int      // pages returned
	spread *density // how the objects are spread over time, when it was measured; nil before

	begun atomic.Bool // a page was read
	// undivided is set if no filter by created can divide the list: the list has no such
	// filter, or has objects without a time. Its pages are read one after another.
	undivided atomic.Bool

	mu       sync.Mutex
	newest   int64           // when the newest object was created
	fresh    []listing.Span  // spans of the pages that were read and not returned
	seen     map[string]bool // ids of objects without a time, which two pages may have
	undated  []*object       // objects without a time that were not returned
	refusals int             // requests with a filter by created that the list does not have
	failed   error           // the error of a request
}

func newWideFeed(q *query, s *spec) *wideFeed {
	f := &wideFeed{query: q, spec: s, lanes: s.account().lanes(q.source.concurrency), seen: map[string]bool{}}
	c := listing.Config{Order: listing.AnyOrder, Low: s.window.low, Lanes: 1, Buffer: maxAhead * maxPage}
	if _, bounded := s.window.bounded(); bounded {
		c.High = s.window.high
	}
	if s.order != "" {
		c.Order = listing.NewestFirst
	}
	f.reader = listing.NewReader(listing.NewWindows(c), f.fetch)
	f.read = f.reader.Pull(q.ctx, &q.running, f.pace)
	return f
}

// pace is the listing.Pace of the scan. In order, pages wait for those before
// them, so fewer requests are made at once: more would leave gaps that are too
// small to pay off.
func (f *wideFeed) pace(pages int) (lanes, ahead int) {
	if pages <= rampPages {
		return 1, 0
	}
	most := f.lanes.Count()
	held := max(maxAhead, aheadPerLane*most)
	if n := f.spec.beside; n > 1 { // what is allowed is for all accounts
		all := f.query.source.atOnce()
		most, held = min(most, max(1, all/n)), held/n
		if n > all {
			held = 0
		}
	}
	if f.undivided.Load() {
		most = 1
	}
	ahead = 1 + pages/aheadShare
	if f.spec.order == "" {
		lanes = min(ahead, most)
		return lanes, min(lanes, held)
	}
	return min(2+ahead/4, most), min(ahead, held)
}

func (f *wideFeed) next() ([]*object, error) {
	if f.pages == measuredPages {
		f.measure()
	}
	objects, err := f.read()
	if err == nil {
		f.pages++
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	undated := f.undated
	f.undated = nil
	switch {
	case err == io.EOF && len(undated) > 0:
		return undated, nil
	case errors.Is(err, listing.ErrPage) && f.failed == nil:
		return nil, fmt.Errorf("stripesql: GET %s: %w", f.spec.table.path, err)
	case err != nil:
		return nil, err
	}
	return append(undated, objects...), nil
}

// measure estimates how the objects of the table are spread over time, which the progress
// of a scan without a lower bound depends on. An error is ignored: the next request of the
// scan would fail too.
func (f *wideFeed) measure() {
	if low, _ := f.spec.window.bounded(); low || f.query.progress == nil || len(f.query.accounts) > 1 {
		return
	}
	if _, err := f.query.measure(f.spec.account(), f.spec.table, everything()); err != nil {
		return
	}
	spread := f.spec.account().density.now(f.spec.table)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spread = spread
}

// fetch reads a page for the Windows, which cannot handle a page of only
// objects without a time. After such a page, fetch reads the page beyond it as
// well.
func (f *wideFeed) fetch(_ context.Context, q listing.Query) (response listing.Response[*object], err error) {
	p, err := f.page(q)
	dated, used := f.keepUndated(p.objects), listing.Cursors{}
	for err == nil && p.more && len(dated) == 0 {
		cursor := p.objects[len(p.objects)-1].id
		beyond := listing.Query{Limit: q.Limit, After: cursor}
		if q.Before != "" {
			cursor = p.objects[0].id
			beyond = listing.Query{Limit: q.Limit, Before: cursor}
		}
		if err := used.Add(cursor); err != nil {
			return response, err
		}
		p, err = f.page(beyond)
		dated = f.keepUndated(p.objects)
	}
	if err != nil {
		return response, err
	}
	if n := slices.IndexFunc(dated, func(o *object) bool { return o.created < q.GTE }); n >= 0 {
		dated, p.more = dated[:n], false
	}
	return listing.Response[*object]{
		Heads: heads(dated), More: p.more,
		Objects: func(from, to int) []*object { return dated[from:to:to] },
	}, nil
}

// page requests one page of the list.
func (f *wideFeed) page(q listing.Query) (page, error) {
	r := f.spec.page(q)
	p, err := f.query.page(f.spec, r)
	switch {
	case r.cursorLost(err), f.refused(q, err):
		f.query.report(0, 0)
		return page{}, fmt.Errorf("%w: %w", listing.ErrLost, err)
	case f.spec.isMissing(err) && !f.begun.Load():
		p = page{}
	case err != nil:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.failed = err
		return page{}, err
	}
	f.begun.Store(true)
	f.lanes.Observe(p.took)
	f.query.report(len(p.objects), f.share(q, p))
	return p, nil
}

// refused reports whether a request failed because the list has no filter by created, and
// the scan can go on without that request. A few others may be under way.
func (f *wideFeed) refused(q listing.Query, err error) bool {
	if !refusesCreated(err) || f.spec.window != everything() || q.After+q.Before != "" {
		return false
	}
	f.undivided.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals++
	return f.refusals <= f.lanes.Count()
}

// keepUndated moves the objects without a time to f.undated, because they have
// no place in the order of the list. It returns the others.
func (f *wideFeed) keepUndated(objects []*object) (dated []*object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range objects {
		switch {
		case o.dated:
			dated = append(dated, o)
		case !f.seen[o.id]:
			f.undivided.Store(true)
			f.seen[o.id] = true
			f.undated = append(f.undated, o)
		}
	}
	return dated
}

// heads returns the heads of objects.
func heads(objects []*object) []listing.Head {
	heads := make([]listing.Head, len(objects))
	for i, o := range objects {
		heads[i] = listing.Head{ID: o.id, Created: o.created}
	}
	return heads
}
