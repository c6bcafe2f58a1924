package stripesql

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/stripekit/stripekit/internal/listing"
)

// feed reads the objects of a scan. next returns some objects at a time, which
// may be none, and io.EOF at the end.
type feed interface {
	next() ([]*object, error)
}

// newFeed returns the feed of a scan that objects can match.
func (q *query) newFeed(s *spec) feed {
	switch {
	case len(s.accounts) > 1:
		return q.newUnion(s)
	case s.how == byIDs:
		return &idsFeed{query: q, spec: *s}
	case s.how == search:
		return &searchFeed{query: q, spec: s, used: listing.Cursors{}}
	}
	var f feed
	if !s.short && !s.table.disordered {
		f = newWideFeed(q, s)
	} else {
		f = newListFeed(q, s)
	}
	if s.order != "" {
		f = &ordered{feed: f, by: s.order}
	}
	return f
}

// idsFeed reads objects by their ids, with as many ids per call as the service
// allows.
type idsFeed struct {
	query *query
	spec  spec
}

func (f *idsFeed) next() ([]*object, error) {
	if len(f.spec.ids) == 0 {
		return nil, io.EOF
	}
	p, err := f.query.page(&f.spec, f.spec.request())
	if err != nil {
		return nil, err
	}
	f.spec.ids = f.spec.ids[min(len(f.spec.ids), maxPage):]
	f.query.report(len(p.objects), 0)
	return p.objects, nil
}

// searchFeed reads the results of a search.
type searchFeed struct {
	query *query
	spec  *spec
	token string
	used  listing.Cursors
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
	p, err := f.query.page(f.spec, r)
	if err != nil {
		return nil, err
	}
	if p.more {
		if err := f.used.Add(p.next); err != nil || p.next == "" {
			return nil, fmt.Errorf("stripesql: %s: has_more without a new next_page: %w", r, cmp.Or(err, listing.ErrPage))
		}
	}
	f.token, f.done = p.next, !p.more
	f.query.report(len(p.objects), 0)
	return p.objects, nil
}

// ordered is a feed that puts the objects of another feed in order. Objects
// without a time come last, as NULLs do. Objects of one second are sorted by id
// if the order includes the id.
type ordered struct {
	feed   feed
	by     order
	second []*object // objects read whose second may not be complete
	last   []*object // objects without a time
	newest int64     // time of the last dated object read, if begun is set
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

// wholeSeconds returns how many of the objects read belong to complete seconds:
// all but those of the second that was read last.
func (f *ordered) wholeSeconds() int {
	for i, o := range slices.Backward(f.second) {
		if o.created != f.newest {
			return i + 1
		}
	}
	return 0
}

// sort sorts the objects of each second by id, if the order includes the id.
func (f *ordered) sort(objects []*object) {
	if f.by == newestFirst {
		return
	}
	slices.SortStableFunc(objects, f.by.compare)
}
