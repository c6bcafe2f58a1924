package stripesql

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/listing"
)

// listFeed reads a list one page after another.
type listFeed struct {
	query   *query
	spec    *spec
	request request
	used    listing.Cursors
	trail   trail
	began   int64 // when the newest object read was created
	done    bool
}

func newListFeed(q *query, s *spec) *listFeed {
	return &listFeed{query: q, spec: s, request: s.request(), used: listing.Cursors{}}
}

func (f *listFeed) next() ([]*object, error) {
	if f.done {
		return nil, io.EOF
	}
	p, err := f.query.page(f.spec, f.request)
	switch {
	case f.request.cursorLost(err):
		f.query.report(0, 0)
		return nil, f.goBack(err)
	case f.spec.isMissing(err) && f.trail.known == nil:
		p = page{}
	case err != nil:
		return nil, err
	}
	inside := f.spec.inside(p.objects)
	if f.done = !p.more || f.passed(p.objects); !f.done {
		if err := f.moveTo(p.objects[len(p.objects)-1].id); err != nil {
			return nil, err
		}
	}
	for _, o := range inside {
		f.began = max(f.began, o.created)
	}
	fresh := f.trail.add(inside)
	f.query.report(len(p.objects), f.share())
	return fresh, nil
}

// share returns how much of the time span has been read, from 0 to 1. It is 0
// if the age of the oldest object is unknown.
func (f *listFeed) share() float64 {
	oldest := f.query.oldest(f.spec)
	switch {
	case f.done:
		return 1
	case oldest == 0 || f.began <= oldest:
		return 0
	}
	return min(1, float64(f.began-f.trail.reached)/float64(f.began-oldest))
}

// oldest estimates when the oldest object of a scan was created, 0 if unknown.
func (q *query) oldest(s *spec) int64 {
	return max(s.window.low, s.account().density.now(s.table).oldest())
}

// moveTo makes the page after an object the next to be requested.
func (f *listFeed) moveTo(id string) error {
	if err := f.used.Add(id); err != nil {
		return fmt.Errorf("stripesql: %s: %w", f.request, err)
	}
	f.request = f.spec.after(id)
	return nil
}

// goBack chooses the next request after a cursor was lost: a page that begins
// before the lost object. Objects that were read before are not returned again.
// A list in the order of created is filtered by it. In any other list, the
// cursor is an object before the deleted one, or the list is read again from
// its beginning.
func (f *listFeed) goBack(lost error) error {
	f.used = listing.Cursors{}
	f.trail.lost++
	switch id, ok := f.trail.cursor(); {
	case f.trail.lost > maxLost:
		return lost
	case !f.spec.table.disordered && f.trail.reached > 0:
		f.request = f.spec.before(f.trail.reached + 1)
	case ok:
		f.request = f.spec.after(id)
	case !f.trail.trimmed:
		f.request = f.spec.request()
	default:
		return lost
	}
	return nil
}

// maxLost is how many cursors in a row may be lost before the scan fails.
const maxLost = 10

// inside returns the objects of a page that are in the window. Requests with a
// cursor are made without the bounds of the window.
func (s *spec) inside(objects []*object) []*object {
	return slices.DeleteFunc(slices.Clone(objects), func(o *object) bool {
		return o.dated && !s.window.has(o.created)
	})
}

// passed reports whether a page goes beyond the lower end of the window. In the
// list of invoice items, which can be backdated, objects that are in the window may
// follow.
func (f *listFeed) passed(objects []*object) bool {
	if f.spec.table.disordered {
		return false
	}
	last := objects[len(objects)-1]
	return last.dated && last.created < f.spec.window.low
}

// isMissing reports whether a request failed because an object that the list is
// filtered by does not exist. Such a list is empty, unless a page of it was read: then the
// rest would be missing.
func (s *spec) isMissing(err error) bool {
	failure, ok := errors.AsType[*stripekit.Error](err)
	if !ok || failure.Code != missingCode || failure.Param == "" {
		return false
	}
	for name := range s.filters {
		if name == failure.Param || strings.HasPrefix(name, failure.Param+"[") {
			return true
		}
	}
	return false
}

// refusesCreated reports whether a request failed because the list has no filter by
// created.
func refusesCreated(err error) bool {
	failure, ok := errors.AsType[*stripekit.Error](err)
	return ok && failure.Code == "parameter_unknown" && failure.Param == createdColumn
}

// missingCode is the code of an error about an object that does not exist.
const missingCode = "resource_missing"

// cursorLost reports whether a request failed because the object that its
// cursor names does not exist any more.
func (r request) cursorLost(err error) bool {
	failure, ok := errors.AsType[*stripekit.Error](err)
	if !ok || failure.Code != missingCode {
		return false
	}
	for _, cursor := range []string{"starting_after", "ending_before"} {
		if r.params[cursor] != "" && (failure.Param == cursor || failure.Param == "") {
			return true
		}
	}
	return false
}

// trail remembers the last objects of a list. After a lost cursor, it gives the
// place to continue from, and the objects of the next pages that are known.
type trail struct {
	objects []listing.Head
	known   map[string]struct{} // the ids of objects
	reached int64               // when the last object with a time was created
	trimmed bool                // older objects were dropped
	lost    int                 // cursors lost in a row
}

// trailSize is the minimum number of objects that are remembered.
const trailSize = 10 * maxPage

// add adds objects, and returns those that are new.
func (t *trail) add(objects []*object) []*object {
	if t.known == nil {
		t.known = map[string]struct{}{}
	}
	fresh := slices.DeleteFunc(objects, func(o *object) bool {
		_, known := t.known[o.id]
		return known
	})
	for _, o := range fresh {
		t.objects = append(t.objects, listing.Head{ID: o.id, Created: o.created})
		t.known[o.id] = struct{}{}
		if o.dated {
			t.reached = o.created
		}
	}
	if len(fresh) > 0 {
		t.lost = 0
	}
	t.trim()
	return fresh
}

// trim drops the oldest objects, except those of the second that was reached.
func (t *trail) trim() {
	n := 0
	for n < len(t.objects)-trailSize && t.objects[n].Created != t.reached {
		delete(t.known, t.objects[n].ID)
		n++
	}
	t.objects, t.trimmed = t.objects[n:], t.trimmed || n > 0
}

// cursor returns an object before those that seem to be deleted. It skips twice
// as many objects after each loss in a row: they may have been deleted one by
// one or many at once.
func (t *trail) cursor() (id string, ok bool) {
	i := len(t.objects) - 1<<min(t.lost, 30)
	if i < 0 {
		return "", false
	}
	return t.objects[i].ID, true
}
