package stripesql

import (
	"errors"
	"io"
	"slices"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
)

// The maximum sizes in bytes of what a query keeps, so as not to request it
// again: the objects of scans, and single objects.
const (
	maxScans   = 32 << 20
	maxObjects = 32 << 20
)

// memo holds what a query has read and may need again. Only the goroutine that
// runs the statement uses it.
type memo struct {
	scans      map[string]*scan
	scanBytes  int
	objects    map[objectKey]*object // nil: there is no such object
	order      []objectKey           // the keys of objects, in the order they were added
	objectSize int                   // bytes of objects
	rowIDs     map[objectKey]int64   // assigned by rowID
}

type objectKey struct{ account, table, id string }

func (o *object) key(t *table) objectKey { return objectKey{o.account.name, t.name, o.id} }

func newMemo() *memo {
	return &memo{scans: map[string]*scan{}, objects: map[objectKey]*object{}, rowIDs: map[objectKey]int64{}}
}

// rowID returns the number of an object, and assigns one at the first call.
func (m *memo) rowID(key objectKey) int64 {
	number, known := m.rowIDs[key]
	if !known {
		number = int64(len(m.rowIDs)) + 1
		m.rowIDs[key] = number
	}
	return number
}

// scanOverhead is the approximate size of a scan without its objects, in bytes.
const scanOverhead = 1000

// objectOverhead and valueOverhead are the approximate sizes of an object without its
// JSON and its values, and of a value without its text, in bytes.
const objectOverhead, valueOverhead = 200, 32

// put adds an object, or nil if the object does not exist, unless it is known. It removes
// the oldest objects if there are too many bytes.
func (m *memo) put(key objectKey, o *object) {
	if _, known := m.objects[key]; known {
		return
	}
	m.order = append(m.order, key)
	m.objects[key] = o
	m.objectSize += o.size()
	for m.objectSize > maxObjects && len(m.order) > 1 {
		m.objectSize -= m.objects[m.order[0]].size()
		delete(m.objects, m.order[0])
		m.order = m.order[1:]
	}
}

func (o *object) size() int {
	if o == nil {
		return objectOverhead
	}
	size := objectOverhead + len(o.raw) + valueOverhead*len(o.values)
	for _, value := range o.values {
		if text, ok := value.(string); ok {
			size += len(text)
		}
	}
	return size
}

// scan holds what a feed has returned so far. Several cursors may read it, each
// at its own pace.
type scan struct {
	query  *query
	spec   *spec
	feed   feed
	pages  [][]*object // nil for a page that was dropped
	bytes  int
	done   bool
	kept   bool      // the memo has the scan, so more cursors may attach
	cursor []*cursor // the attached cursors
}

// scan returns the scan that a spec describes: a known one, or a new one.
func (q *query) scan(s *spec) *scan {
	key := s.key()
	if known := q.memo.scans[key]; known != nil {
		return known
	}
	made := &scan{query: q, spec: s, feed: q.newFeed(s), bytes: scanOverhead}
	if made.kept = q.memo.scanBytes+scanOverhead <= maxScans; made.kept {
		q.memo.scans[key] = made
		q.memo.scanBytes += scanOverhead
	}
	return made
}

// knows reports whether the first objects that a spec describes were read.
func (q *query) knows(s *spec) bool {
	if s.how == byID {
		return !slices.ContainsFunc(s.accounts, func(a *account) bool {
			_, known := q.memo.objects[objectKey{a.name, s.table.name, s.id}]
			return !known
		})
	}
	return q.memo.scans[s.key()] != nil
}

// page returns the page at a place, and reads it if needed. After the last page
// it returns io.EOF.
func (s *scan) page(place int) ([]*object, error) {
	for place >= len(s.pages) {
		if s.done {
			return nil, io.EOF
		}
		objects, err := s.feed.next()
		if err == io.EOF {
			s.done, s.feed = true, nil
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			continue
		}
		if err := s.query.keep(s.spec, objects); err != nil {
			return nil, err
		}
		if s.kept {
			if err := s.query.compact(s.spec.table, objects...); err != nil {
				return nil, err
			}
		}
		s.pages = append(s.pages, objects)
		s.grow(objects)
	}
	return s.pages[place], nil
}

// compact makes objects that are kept small: it reads the columns that the statement needs.
func (q *query) compact(t *table, objects ...*object) error {
	for _, o := range objects {
		if err := t.compact(o, q.columns[t.name]); err != nil {
			return err
		}
	}
	return nil
}

// grow counts the new objects and keeps the memo within its bounds. A scan that
// is too long is removed from the memo, and its pages are dropped once all
// cursors have read them.
func (s *scan) grow(objects []*object) {
	if s.kept {
		added := 0
		for i := range objects {
			added += objects[i].size()
		}
		s.bytes += added
		s.query.memo.scanBytes += added
		if s.query.memo.scanBytes <= maxScans {
			return
		}
		s.kept = false
		s.query.memo.scanBytes -= s.bytes
		delete(s.query.memo.scans, s.spec.key())
	}
	behind := len(s.pages) - 1
	for _, c := range s.cursor {
		behind = min(behind, c.place)
	}
	for i := behind - 1; i >= 0 && s.pages[i] != nil; i-- {
		s.pages[i] = nil
	}
}

func (s *scan) attach(c *cursor) { s.cursor = append(s.cursor, c) }

func (s *scan) detach(c *cursor) {
	s.cursor = slices.DeleteFunc(s.cursor, func(other *cursor) bool { return other == c })
}

// reference is a field of the objects of a table that can be expanded, and the table that
// it refers to.
type reference struct{ from, field, to string }

// references returns all references. A table comes after those that it refers to.
func references() []reference {
	return []reference{
		{"charges", "customer", "customers"},
		{"invoice_items", "customer", "customers"},
		{"orders", "charge", "charges"},
		{"orders", "customer", "customers"},
		{"refunds", "charge", "charges"},
	}
}

// keep adds objects to the memo that the statement may look up by their ids:
// the objects of a list, and the objects expanded in them.
func (q *query) keep(s *spec, objects []*object) error {
	for _, o := range objects {
		if len(s.expand) > 0 {
			if err := q.keepWithin(s.table, o); err != nil {
				return err
			}
		}
		if q.lookups[s.table.name] {
			if err := q.remember(s.table, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// remember adds an object to the memo, with the columns that the statement reads.
func (q *query) remember(t *table, o *object) error {
	if err := q.compact(t, o); err != nil {
		return err
	}
	q.memo.put(o.key(t), o.ifThere())
	return nil
}

func (q *query) keepWithin(t *table, o *object) error {
	var fields map[string]json.Value
	if err := json.Unmarshal(o.raw, &fields, listing.Lenient); err != nil {
		return err
	}
	for _, r := range references() {
		raw := fields[r.field]
		if r.from != t.name || raw.Kind() != '{' {
			continue
		}
		other := q.source.tables[r.to]
		inner, err := other.newObject(o.account, raw)
		if err != nil {
			return err
		}
		if _, known := q.memo.objects[inner.key(other)]; known {
			continue
		}
		if err := q.keepWithin(other, inner); err != nil {
			return err
		}
		if err := q.remember(other, inner); err != nil {
			return err
		}
	}
	return nil
}

// ifThere returns nil if the object was deleted, because lists leave it out
// too.
func (o *object) ifThere() *object {
	if o.deleted {
		return nil
	}
	return o
}

// objects returns the objects with the id of a spec, at most one of each account.
func (q *query) objects(s *spec) (objects []*object, err error) {
	found, unknown := make([]*object, len(s.accounts)), []int(nil)
	for i, a := range s.accounts {
		known, ok := q.memo.objects[objectKey{a.name, s.table.name, s.id}]
		if found[i] = known; !ok {
			unknown = append(unknown, i)
		}
	}
	err = q.sideBySide(len(unknown), func(n int) (err error) {
		i := unknown[n]
		found[i], err = q.get(s.accounts[i], s)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, i := range unknown {
		if err := q.rememberOne(s, s.accounts[i], found[i]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(found, func(o *object) bool { return o == nil || o.deleted }), nil
}

// get requests the object with the id of a spec, nil if there is none.
func (q *query) get(a *account, s *spec) (*object, error) {
	var raw json.Value
	err := q.call(a, s.request(), &raw)
	failure, responded := errors.AsType[*stripekit.Error](err)
	switch {
	case responded && errors.Is(failure, stripekit.ErrNotFound):
		q.report(0, 0)
		return nil, nil
	case err != nil:
		return nil, err
	}
	o, err := s.table.newObject(a, raw)
	if err == nil {
		q.report(1, 0)
	}
	return o, err
}

// rememberOne adds an object that was requested by its id, or nil, to the memo.
func (q *query) rememberOne(s *spec, a *account, o *object) error {
	if o == nil {
		q.memo.put(objectKey{a.name, s.table.name, s.id}, nil)
		return nil
	}
	if len(s.expand) > 0 {
		if err := q.keepWithin(s.table, o); err != nil {
			return err
		}
	}
	return q.remember(s.table, o)
}
