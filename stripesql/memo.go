package stripesql

import (
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/listing"
)

// The most bytes of objects that a query keeps to not ask for them again: of
// scans, and of single objects.
const (
	maxScans   = 32 << 20
	maxObjects = 32 << 20
)

// memo is what a query has read and may need again. It is used by the goroutine
// that runs the statement alone.
type memo struct {
	scans      map[string]*scan
	scanBytes  int
	objects    map[objectKey]*object // nil: there is no such object
	order      []objectKey           // the oldest first
	objectSize int
	rowIDs     map[objectKey]int64 // of the objects that SQLite asked it of
}

type objectKey struct{ table, id string }

func newMemo() *memo {
	return &memo{scans: map[string]*scan{}, objects: map[objectKey]*object{}, rowIDs: map[objectKey]int64{}}
}

// rowID numbers the objects that it is asked about.
func (m *memo) rowID(t *table, id string) int64 {
	key := objectKey{t.name, id}
	number, known := m.rowIDs[key]
	if !known {
		number = int64(len(m.rowIDs)) + 1
		m.rowIDs[key] = number
	}
	return number
}

// scanOverhead is about what a scan takes beside its objects.
const scanOverhead = 1000

// objectOverhead is about what an object takes beside its text.
const objectOverhead = 200

// put keeps an object, or that there is none. The oldest ones make room.
func (m *memo) put(key objectKey, o *object) {
	if old, known := m.objects[key]; known {
		m.objectSize -= old.size()
	} else {
		m.order = append(m.order, key)
	}
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
	return objectOverhead + len(o.raw)
}

// scan is what a feed has handed out so far. Several cursors may read it, at
// their own pace; who comes behind the others finds it all here.
type scan struct {
	query  *query
	spec   *spec
	feed   feed
	pages  [][]*object
	bytes  int
	done   bool
	kept   bool // in the memo, so that more cursors may come
	cursor []*cursor
	visits int // how often a cursor has come
}

// scan is the scan that a spec describes: a known one, or a new one.
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

// page is the page at a place, read if it was not yet; io.EOF behind the last.
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
		s.pages = append(s.pages, objects)
		s.grow(objects)
	}
	return s.pages[place], nil
}

// grow sees that the memo stays within its bounds: a scan that is too long for
// it is forgotten, but for what its cursors have not read.
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

func (s *scan) attach(c *cursor) {
	s.cursor = append(s.cursor, c)
	s.visits++
}

func (s *scan) detach(c *cursor) {
	s.cursor = slices.DeleteFunc(s.cursor, func(other *cursor) bool { return other == c })
}

// references are the fields whose objects can be had along with those that
// name them, by table, and the tables they are in.
func references(table string) map[string]string {
	switch table {
	case "charges", "invoice_items":
		return map[string]string{"customer": "customers"}
	case "refunds":
		return map[string]string{"charge": "charges"}
	case "orders":
		return map[string]string{"charge": "charges", "customer": "customers"}
	}
	return nil
}

// keep puts objects into the memo that the statement may look up by their ids:
// those of a list, and those that came along with them.
func (q *query) keep(s *spec, objects []*object) error {
	for _, o := range objects {
		if q.lookups[s.table.name] {
			q.memo.put(objectKey{s.table.name, o.id}, o)
		}
		if len(s.expand) > 0 {
			if err := q.keepWithin(s.table, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *query) keepWithin(t *table, o *object) error {
	var fields map[string]jsontext.Value
	if err := json.Unmarshal(o.raw, &fields, listing.Lenient); err != nil {
		return err
	}
	for field, name := range references(t.name) {
		raw := fields[field]
		if raw.Kind() != '{' {
			continue
		}
		other := q.source.tables[name]
		inner, err := other.newObject(raw)
		if err != nil {
			return err
		}
		q.memo.put(objectKey{name, inner.id}, inner.ifThere())
		if err := q.keepWithin(other, inner); err != nil {
			return err
		}
	}
	return nil
}

// ifThere is nil for an object that was deleted: lists do not have it either.
func (o *object) ifThere() *object {
	if o.deleted {
		return nil
	}
	return o
}

// object reads one object, nil if there is none.
func (q *query) object(s *spec) (*object, error) {
	key := objectKey{s.table.name, s.id}
	if known, ok := q.memo.objects[key]; ok {
		return known, nil
	}
	var raw jsontext.Value
	r := s.request()
	err := q.call(r, &raw)
	failure, answered := errors.AsType[*stripekit.Error](err)
	switch {
	case answered && errors.Is(failure, stripekit.ErrNotFound):
		q.report(0, 0)
		q.memo.put(key, nil)
		return nil, nil
	case err != nil:
		return nil, err
	}
	o, err := s.table.newObject(raw)
	if err != nil {
		return nil, err
	}
	q.report(1, 0)
	if len(s.expand) > 0 {
		if err := q.keepWithin(s.table, o); err != nil {
			return nil, err
		}
	}
	q.memo.put(key, o.ifThere())
	return o.ifThere(), nil
}
