package listing

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// object is an object that the simulated service has or had.
type object struct {
	id      string
	created int64  // in seconds; the list is ordered and filtered by it
	rank    uint64 // order within a second
	serial  int    // index in server.all

	heir *object // the object that has got its id after it was deleted

	// The state of the oracle.
	stays   bool // it existed before the reading and was not deleted since
	gone    bool // it was deleted
	offered bool // it was in a Run that Read returned
	popped  bool // it was in a Run that Pop returned
}

// entry is one object on a page. A hostile server changes the head.
type entry struct {
	head   Head
	object *object
}

// response is the response to a query. lost is set if the list does not have
// the cursor.
type response struct {
	entries []entry
	more    bool
	lost    bool
}

func (p *response) heads() []Head {
	heads := make([]Head, len(p.entries))
	for i, e := range p.entries {
		heads[i] = e.head
	}
	return heads
}

// lister responds to queries.
type lister interface {
	list(t require.TestingT, q Query) *response
}

// server is a model of one of Stripe's lists. It is written from what is known
// about the API, independently of how Windows read.
type server struct {
	rand    *rand.Rand
	objects []*object // the objects in the list, the newest first
	all     []*object // all objects, by serial
	now     int64     // newest created second so far

	moreBefore int // what has_more means on a page before a cursor
}

// The possible meanings of has_more on such a page, which are not documented.
// On a page without objects it is always false.
const (
	moreNewer = iota
	moreOlder
	moreNever
	moreAlways
)

// newServer returns a list of objects with the given created seconds.
func newServer(r *rand.Rand, seconds []int64) *server {
	s := &server{rand: r, objects: make([]*object, len(seconds)), now: 1}
	slab := make([]object, len(seconds))
	for i, second := range seconds {
		slab[i] = object{id: objectID(i), created: second, rank: r.Uint64(), serial: i, stays: true}
		s.objects[i] = &slab[i]
		s.now = max(s.now, second)
	}
	s.all = slices.Clone(s.objects)
	slices.SortFunc(s.objects, newestFirst)
	return s
}

func newestFirst(a, b *object) int {
	return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.rank, a.rank))
}

// IDs are not ordered by time. Multiplication by an odd number scrambles them.
// It can be undone, which saves a map of a million strings.
const scramble, unscramble = 2654435761, 244002641

func objectID(serial int) string {
	return "ch_" + strconv.FormatUint(uint64(uint32(serial)*scramble), 36)
}

// byID returns the object that has or had an id, or nil.
func (s *server) byID(id string) *object {
	n, err := strconv.ParseUint(strings.TrimPrefix(id, "ch_"), 36, 32)
	serial := int(uint32(n) * unscramble)
	if err != nil || serial >= len(s.all) || s.all[serial].id != id {
		return nil
	}
	o := s.all[serial]
	for o.heir != nil {
		o = o.heir
	}
	return o
}

// index returns where an object is in the list, or would be.
func (s *server) index(o *object) int {
	at, _ := slices.BinarySearchFunc(s.objects, o, newestFirst)
	return at
}

// below returns the index of the first object that was created before the
// second.
func (s *server) below(second int64) int {
	at, _ := slices.BinarySearchFunc(s.objects, second, func(o *object, second int64) int {
		if o.created >= second {
			return -1
		}
		return 1
	})
	return at
}

// count returns the number of objects in the list with low <= created < high.
func (s *server) count(low, high int64) int {
	n := len(s.objects)
	if low != 0 {
		n = s.below(low)
	}
	if high != 0 {
		n -= s.below(high)
	}
	return max(n, 0)
}

// list responds to a query, after checking that the service allows the
// combination of parameters.
func (s *server) list(t require.TestingT, q Query) *response {
	checkQuery(t, q)
	from, to := 0, len(s.objects)
	switch {
	case q.After != "" || q.Before != "":
		o := s.byID(cmp.Or(q.After, q.Before))
		if o == nil || o.gone {
			return &response{lost: true}
		}
		if at := s.index(o); q.Before != "" {
			from = max(0, at-q.Limit)
			return s.page(from, at, s.hasMoreBefore(from, at))
		}
		from = s.index(o) + 1
	default:
		if q.LT != 0 {
			from = s.below(q.LT)
		}
		if q.GTE != 0 {
			to = max(from, s.below(q.GTE))
		}
	}
	end := min(to, from+q.Limit)
	return s.page(from, end, end < to)
}

// hasMoreBefore returns has_more for the page of the objects between two
// indices.
func (s *server) hasMoreBefore(from, to int) bool {
	switch s.moreBefore {
	case moreNever:
		return false
	case moreOlder, moreAlways:
		return from < to
	}
	return from > 0
}

func checkQuery(t require.TestingT, q Query) {
	if q.After != "" && q.Before != "" {
		require.Fail(t, "both cursors", "%+v", q)
	}
	if (q.After != "" || q.Before != "") && (q.GTE != 0 || q.LT != 0) {
		require.Fail(t, "a cursor with a filter", "%+v", q)
	}
	if q.Limit < 1 || q.Limit > PageSize {
		require.Fail(t, "limit", "%+v", q)
	}
	if q.GTE < 0 || q.LT < 0 || q.LT != 0 && q.GTE >= q.LT {
		require.Fail(t, "bounds", "%+v", q)
	}
}

func (s *server) page(from, to int, more bool) *response {
	p := &response{entries: make([]entry, to-from), more: more}
	for i, o := range s.objects[from:to] {
		p.entries[i] = entry{Head{ID: o.id, Created: o.created}, o}
	}
	return p
}

// add creates an object during the reading.
func (s *server) add(created int64) *object {
	o := &object{id: objectID(len(s.all)), created: created, rank: s.rand.Uint64(), serial: len(s.all)}
	s.all = append(s.all, o)
	s.objects = slices.Insert(s.objects, s.index(o), o)
	s.now = max(s.now, created)
	return o
}

// replace deletes an object, and creates another of the same id.
func (s *server) replace(at int, created int64) {
	old := s.objects[at]
	s.remove(at, at+1)
	heir := s.add(created)
	heir.id, old.heir = old.id, heir
}

// remove deletes consecutive objects of the list.
func (s *server) remove(from, to int) {
	for _, o := range s.objects[from:to] {
		o.gone, o.stays = true, false
	}
	s.objects = slices.Delete(s.objects, from, to)
}

func TestServerRespondsAsTheServiceDoes(t *testing.T) {
	seconds := make([]int64, 0, 500)
	for i := range int64(500) {
		seconds = append(seconds, 1000+i/50) // ten seconds of fifty objects
	}
	s := newServer(rand.New(rand.NewPCG(1, 1)), seconds)
	require.Equal(t, s.objects[7], s.byID(s.objects[7].id))
	require.Nil(t, s.byID("ch_nothing"))
	require.Equal(t, 100, s.count(1003, 1005))
	for _, c := range []struct {
		name     string
		query    Query
		from, to int
		more     bool
	}{
		{"all", Query{Limit: 100}, 0, 100, true},
		{"a smaller limit", Query{Limit: 7}, 0, 7, true},
		{"a window", Query{Limit: 100, GTE: 1007, LT: 1009}, 50, 150, false},
		{"a window of more", Query{Limit: 100, GTE: 1006, LT: 1009}, 50, 150, true},
		{"without an end", Query{Limit: 100, GTE: 1009}, 0, 50, false},
		{"without a begin", Query{Limit: 100, LT: 1001}, 450, 500, false},
		{"nothing", Query{Limit: 100, LT: 1000}, 500, 500, false},
		{"after", Query{Limit: 100, After: s.objects[20].id}, 21, 121, true},
		{"after, the last page", Query{Limit: 100, After: s.objects[399].id}, 400, 500, false},
		{"after the oldest", Query{Limit: 100, After: s.objects[499].id}, 500, 500, false},
		{"before", Query{Limit: 100, Before: s.objects[250].id}, 150, 250, true},
		{"before, the first page", Query{Limit: 100, Before: s.objects[100].id}, 0, 100, false},
		{"before the newest", Query{Limit: 100, Before: s.objects[0].id}, 0, 0, false},
	} {
		p := s.list(t, c.query)
		want := s.page(c.from, c.to, c.more)
		require.Equal(t, want.heads(), p.heads(), c.name)
		require.Equal(t, want.more, p.more, c.name)
	}
	gone := s.objects[3].id
	s.remove(3, 4)
	require.True(t, s.list(t, Query{Limit: 100, After: gone}).lost)
	require.True(t, s.list(t, Query{Limit: 100, Before: gone}).lost)
	s.replace(10, 1009)
	require.Equal(t, 1009, int(s.byID(s.all[len(s.all)-1].id).created))
	late := s.add(1004)
	require.Equal(t, late, s.objects[s.index(late)])
	require.Equal(t, 51, s.count(1004, 1005))
}
