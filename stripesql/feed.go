package stripesql

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stripekit/stripekit"
)

// feed hands out the objects of a scan, some at a time; io.EOF at their end.
type feed interface {
	next() ([]*object, error)
}

// newFeed is the feed of a scan.
func (q *query) newFeed(s *spec) feed {
	switch {
	case s.none:
		return empty{}
	case s.how == byIDs:
		return &idsFeed{query: q, spec: *s}
	case s.how == search:
		return &searchFeed{query: q, spec: s}
	}
	list := &listFeed{query: q, spec: s, request: s.request(), window: s.window, oldest: q.source.density.oldest(s.table)}
	var f feed = list
	if len(s.filters) == 0 && !s.short && !s.table.disordered {
		f = &wideFeed{list: list}
	}
	if s.order != "" {
		f = &ordered{feed: f, by: s.order}
	}
	return f
}

type empty struct{}

func (empty) next() ([]*object, error) { return nil, io.EOF }

// listFeed reads a list page by page.
type listFeed struct {
	query   *query
	spec    *spec
	window  window
	request request
	done    bool
	read    int
	began   int64                 // when the first object was created
	reached int64                 // when the last one was; 0 before that
	page    float64               // objects a second on the last page
	gap     int64                 // between any two of them, 0 if it is not always the same
	oldest  int64                 // where objects begin, as far as is known
	part    func(float64) float64 // the share of the whole that a share of this list makes; nil: the same
}

func (f *listFeed) next() ([]*object, error) {
	if f.done {
		return nil, io.EOF
	}
	p, err := f.query.page(f.spec.table, f.request)
	if f.spec.isMissing(err) {
		err, p = nil, page{}
	}
	if err != nil {
		return nil, err
	}
	inside := f.inside(p.objects)
	if f.done = !p.more || f.passed(p.objects, inside); !f.done {
		last := p.objects[len(p.objects)-1].id
		if f.request.params["starting_after"] == last {
			return nil, fmt.Errorf("stripesql: %s: the page repeats its cursor", f.request)
		}
		f.request = f.spec.after(last)
	}
	f.move(p.objects)
	return inside, nil
}

// inside are the objects of a page that the window allows. Behind a cursor the
// service does not see to it.
func (f *listFeed) inside(objects []*object) []*object {
	return slices.DeleteFunc(slices.Clone(objects), func(o *object) bool {
		return o.dated && (o.created < f.window.low || o.created >= f.window.high)
	})
}

// passed tells whether a page has left the window behind. An invoice item can
// be dated back: there only a page that is all older says so.
func (f *listFeed) passed(objects, inside []*object) bool {
	if f.spec.table.disordered && len(inside) > 0 {
		return false
	}
	last := objects[len(objects)-1]
	return last.dated && last.created < f.window.low
}

// move keeps account of where the list has come to.
func (f *listFeed) move(objects []*object) {
	before := f.reached
	for _, o := range objects {
		switch gap := f.reached - o.created; {
		case !o.dated:
			continue
		case f.read == 0:
			f.began = o.created
		case f.read == 1:
			f.gap = gap
		case gap != f.gap:
			f.gap = 0
		}
		f.reached = o.created
		f.read++
	}
	f.page = float64(len(objects)) / float64(max(before-f.reached, 1))
	share := f.shareRead()
	if f.part != nil {
		share = f.part(share)
	}
	f.query.report(len(objects), share)
}

// rate is how many objects a second the list has had so far.
func (f *listFeed) rate() float64 { return float64(f.read) / float64(max(f.began-f.reached, 1)) }

// shareRead is how much of the time has been read.
func (f *listFeed) shareRead() float64 {
	oldest := max(f.window.low, f.oldest)
	switch {
	case f.done:
		return 1
	case oldest == 0 || f.began <= oldest:
		return 0
	}
	return min(1, float64(f.began-f.reached)/float64(f.began-oldest))
}

// isMissing tells whether a list could not be filtered since what it is
// filtered by does not exist, so that nothing is in it.
func (s *spec) isMissing(err error) bool {
	failure, ok := errors.AsType[*stripekit.Error](err)
	if !ok || failure.Code != "resource_missing" || failure.Param == "" {
		return false
	}
	for name := range s.filters {
		if name == failure.Param || strings.HasPrefix(name, failure.Param+"[") {
			return true
		}
	}
	return false
}

// idsFeed reads objects by their ids, as many a call as the service allows.
type idsFeed struct {
	query *query
	spec  spec
}

func (f *idsFeed) next() ([]*object, error) {
	if len(f.spec.ids) == 0 {
		return nil, io.EOF
	}
	p, err := f.query.page(f.spec.table, f.spec.request())
	if err != nil {
		return nil, err
	}
	f.spec.ids = f.spec.ids[min(len(f.spec.ids), maxPage):]
	f.query.report(len(p.objects), 0)
	return p.objects, nil
}

// searchFeed reads what a search finds.
type searchFeed struct {
	query *query
	spec  *spec
	token string
	done  bool
}

func (f *searchFeed) next() ([]*object, error) {
	if f.done {
		return nil, io.EOF
	}
	r := f.spec.request()
	if f.token != "" {
		r.params["page"] = f.token
	}
	p, err := f.query.page(f.spec.table, r)
	if err != nil {
		return nil, err
	}
	if p.more && (p.next == "" || p.next == f.token) {
		return nil, fmt.Errorf("stripesql: %s: has_more without a new next_page", r)
	}
	f.token, f.done = p.next, !p.more
	f.query.report(len(p.objects), 0)
	return p.objects, nil
}

// ordered sees to the order of a list: objects without a time come last, as
// NULLs do, and those of one second by their id if that is asked for.
type ordered struct {
	feed   feed
	by     order
	second []*object // read, but there may be more of the same second
	last   []*object // without a time
	newest int64
	begun  bool
	done   bool
}

func (f *ordered) next() ([]*object, error) {
	if f.done {
		return nil, io.EOF
	}
	objects, err := f.feed.next()
	if err == io.EOF {
		f.done = true
		f.sort(f.second)
		f.sort(f.last)
		return append(f.second, f.last...), nil
	}
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		switch {
		case !o.dated:
			f.last = append(f.last, o)
			continue
		case f.begun && o.created > f.newest:
			return nil, fmt.Errorf("stripesql: the list is not in the order of %s (%s): write ORDER BY +%[1]s to have it sorted here", createdColumn, o.id)
		}
		f.newest, f.begun = o.created, true
		f.second = append(f.second, o)
	}
	whole := len(f.second)
	if f.by != newestFirst {
		whole = f.wholeSeconds()
	}
	out := slices.Clone(f.second[:whole])
	f.second = slices.Delete(f.second, 0, whole)
	f.sort(out)
	return out, nil
}

// wholeSeconds is how many of the objects read belong to a second before that
// of the last one.
func (f *ordered) wholeSeconds() int {
	for i, o := range slices.Backward(f.second) {
		if o.created != f.newest {
			return i + 1
		}
	}
	return 0
}

// sort puts the objects of each second in order.
func (f *ordered) sort(objects []*object) {
	if f.by == newestFirst {
		return
	}
	slices.SortStableFunc(objects, func(a, b *object) int {
		byID := strings.Compare(a.id, b.id)
		if f.by == newestFirstByIDDesc {
			byID = -byID
		}
		return cmp.Or(cmp.Compare(b.created, a.created), byID)
	})
}
