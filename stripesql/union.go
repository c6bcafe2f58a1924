package stripesql

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"
)

// union is a feed of the objects of several accounts. In an order, it merges their feeds.
// Without one, it reads some of them side by side, or one after the other if few rows are
// needed.
type union struct {
	query  *query
	by     order
	lanes  int // how many feeds are read side by side
	open   []*part
	sorted bool // the feeds are in the order of their first objects
}

// part is the feed of one account, with the objects that were not returned yet.
type part struct {
	feed
	objects []*object
}

// newUnion returns the feed of a scan of several accounts.
func (q *query) newUnion(s *spec) feed {
	u := &union{query: q, by: s.order, lanes: q.source.atOnce()}
	switch {
	case s.order != "":
		u.lanes = len(s.accounts)
	case s.short:
		u.lanes = 1
	}
	for _, a := range s.accounts {
		one := *s
		one.accounts, one.beside = []*account{a}, len(s.accounts)
		u.open = append(u.open, &part{feed: q.newFeed(&one)})
	}
	return u
}

func (u *union) next() ([]*object, error) {
	if err := u.fill(); err != nil {
		return nil, err
	}
	if len(u.open) == 0 {
		return nil, io.EOF
	}
	if u.by != "" {
		return u.merge(), nil
	}
	var objects []*object
	for _, p := range u.open {
		objects = append(objects, p.objects...)
		p.objects = nil
	}
	return objects, nil
}

// fill reads objects of those feeds that are read side by side and have none left. Feeds that
// have ended are dropped.
func (u *union) fill() error {
	var empty []*part
	for _, p := range u.open[:min(u.lanes, len(u.open))] {
		if len(p.objects) == 0 {
			empty = append(empty, p)
		}
	}
	err := u.query.sideBySide(len(empty), func(i int) error { return empty[i].fill() })
	u.open = slices.DeleteFunc(u.open, func(p *part) bool { return p.feed == nil && len(p.objects) == 0 })
	return err
}

// sideBySide calls f with the numbers below n, as many at once as the query may make
// calls. An error ends the query, and with it the calls under way, and is returned.
func (q *query) sideBySide(n int, f func(i int) error) error {
	if n == 1 {
		return f(0)
	}
	lanes := make(chan struct{}, q.source.atOnce())
	var running sync.WaitGroup
	for i := range n {
		lanes <- struct{}{}
		if q.failure() != nil {
			break
		}
		running.Go(func() {
			if err := f(i); err != nil {
				_ = q.fail(err) // the first one counts
				q.cancel()
			}
			<-lanes
		})
	}
	running.Wait()
	return q.failure()
}

func (p *part) fill() error {
	for p.feed != nil && len(p.objects) == 0 {
		objects, err := p.next()
		switch {
		case err == io.EOF:
			p.feed = nil
		case err != nil:
			return err
		}
		p.objects = objects
	}
	return nil
}

// merge returns objects in order, until a feed has none left. Each has some. Only the first
// may be out of its place, because objects of it were returned or read.
func (u *union) merge() (objects []*object) {
	if !u.sorted {
		slices.SortStableFunc(u.open, u.byFirst)
		u.sorted = true
	}
	for {
		first, others := u.open[0], u.open[1:]
		place, _ := slices.BinarySearchFunc(others, first, u.byFirst)
		copy(u.open, others[:place])
		u.open[place] = first

		first = u.open[0]
		objects = append(objects, first.objects[0])
		if first.objects = first.objects[1:]; len(first.objects) == 0 {
			return objects
		}
	}
}

// byFirst compares two parts by their first objects.
func (u *union) byFirst(a, b *part) int { return u.by.compare(a.objects[0], b.objects[0]) }

// compare compares two objects by their places in the order. Objects without a time come
// last, as NULLs do.
func (o order) compare(a, b *object) int {
	byID := strings.Compare(a.id, b.id)
	switch o {
	case newestFirst:
		byID = 0
	case newestFirstByIDDesc:
		byID = -byID
	}
	undated := func(o *object) int { return int(flag(!o.dated)) }
	return cmp.Or(cmp.Compare(undated(a), undated(b)), cmp.Compare(b.created, a.created), byID)
}
