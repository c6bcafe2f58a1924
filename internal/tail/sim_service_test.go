package tail

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

const day = 24 * 60 * 60

// object is an object that the simulated service has, had, or will show.
type object struct {
	id      string
	created int64  // in seconds; the list is ordered and filtered by it
	rank    uint64 // order within a second
	visible int64  // in milliseconds; lists show the object from then on
	deleted bool

	// The state of the oracle.
	life  int  // the life in which it was delivered last, 0 for never
	acked bool // its acknowledgement is in the current snapshot, or later
}

// service is a model of one of Stripe's lists. It is written from what is known
// about the API, independently of how a Tail reads.
type service struct {
	rand    *rand.Rand
	now     int64     // in milliseconds
	objects []*object // by created second, then rank; the oldest first
	byID    map[string]*object
	undated bool // the objects on a page have no created second

	traffic  traffic
	overlap  int64 // in seconds
	requests int
	created  int
	late     int
	deleted  int
	newestID string // the last object of the last page, the most likely cursor
}

// traffic says how objects are created and deleted.
type traffic struct {
	rate     float64 // objects per second
	limit    int     // maximum objects of a single advance
	left     int     // maximum objects that are still to be created
	burst    float64 // chance that an advance has a second with many objects
	bursts   int     // maximum number of such seconds
	burstMax int
	nightly  int     // objects at midnight
	nights   int     // maximum number of such nights
	late     float64 // share that becomes visible late
	outage   float64 // chance that all objects of an advance become visible together
	tooLate  float64 // share that becomes visible later than promised
	future   float64 // share whose created is in the future
	gone     float64 // share that is deleted at some time
	reuse    float64 // share that has the id of a deleted object
}

func (s *service) second() int64 { return s.now / 1000 }

func compareObjects(a, b *object) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.rank, b.rank))
}

// index returns where an object of the second and rank is, or would be.
func (s *service) index(second int64, rank uint64) int {
	at, _ := slices.BinarySearchFunc(s.objects, &object{created: second, rank: rank}, compareObjects)
	return at
}

// count returns the number of objects created in the seconds from a to b,
// inclusive.
func (s *service) count(a, b int64) int {
	return max(0, s.index(b+1, 0)-s.index(a, 0))
}

// add creates an object.
func (s *service) add(created, visible int64) *object {
	s.created++
	o := &object{
		id:      "o" + strconv.FormatUint(uint64(s.rand.Uint32()), 36) + "_" + strconv.Itoa(s.created),
		created: created, visible: visible, rank: s.rand.Uint64(),
	}
	if s.rand.Float64() < s.traffic.reuse {
		s.reuseID(o)
	}
	s.byID[o.id] = o
	s.objects = slices.Insert(s.objects, s.index(o.created, o.rank), o)
	return o
}

// reuseID gives o the id of a deleted object that was created earlier. It does
// nothing in an undated list, which cannot show the difference.
func (s *service) reuseID(o *object) {
	if s.undated || len(s.objects) == 0 {
		return
	}
	for range 10 {
		old := s.objects[len(s.objects)-1-s.rand.IntN(min(len(s.objects), 50))]
		if old.deleted && old.created < o.created && s.byID[old.id] == old {
			o.id = old.id
			return
		}
	}
}

// list responds to a query. It returns false if the list does not have the
// cursor.
func (s *service) list(t require.TestingT, q listing.Query) (heads []listing.Head, hasMore, ok bool) {
	s.requests++
	require.False(t, q.After != "" && (q.GTE != 0 || q.LT != 0), "a cursor with a filter: %+v", q)
	require.True(t, q.Limit >= 1 && q.Limit <= 100, "limit: %+v", q)
	require.True(t, q.GTE >= 0 && q.LT >= 0, "bounds: %+v", q)
	require.False(t, q.Before != "" && (q.After != "" || q.GTE != 0 || q.LT != 0), "a cursor with something else: %+v", q)
	require.False(t, q.GTE > 0 && q.LT > 0 && q.GTE >= q.LT, "an empty range: %+v", q)
	at := len(s.objects)
	switch {
	case q.After != "" || q.Before != "":
		o := s.byID[q.After+q.Before]
		if o == nil || o.deleted || o.visible > s.now {
			return nil, false, false
		}
		at = s.index(o.created, o.rank)
		if q.Before != "" {
			heads, hasMore = s.above(at, q.Limit)
			return heads, hasMore, true
		}
	case q.LT != 0:
		at = s.index(q.LT, 0)
	}
	for at--; at >= 0 && s.objects[at].created >= q.GTE; at-- {
		o := s.objects[at]
		if o.deleted || o.visible > s.now {
			continue
		}
		if len(heads) == q.Limit {
			hasMore = true
			break
		}
		heads = append(heads, s.head(o))
	}
	if len(heads) > 0 {
		s.newestID = heads[len(heads)-1].ID
	}
	return heads, hasMore, true
}

func (s *service) head(o *object) listing.Head {
	if s.undated {
		return listing.Head{ID: o.id}
	}
	return listing.Head{ID: o.id, Created: o.created}
}

// above returns the page right above an object, newest first.
func (s *service) above(at, limit int) (heads []listing.Head, hasMore bool) {
	for _, o := range s.objects[at+1:] {
		if o.deleted || o.visible > s.now {
			continue
		}
		if len(heads) == limit {
			hasMore = true
			break
		}
		heads = append(heads, s.head(o))
	}
	slices.Reverse(heads)
	if len(heads) > 0 {
		s.newestID = heads[0].ID
	}
	return heads, hasMore
}

// advance advances the time, and creates and deletes the objects of that time.
func (s *service) advance(milliseconds int64) {
	from := s.now
	s.now += milliseconds
	if milliseconds <= 0 {
		return
	}
	expected := s.traffic.rate * float64(milliseconds) / 1000
	n := int(expected)
	if s.rand.Float64() < expected-float64(n) {
		n++
	}
	n = min(n, s.traffic.limit, s.traffic.left)
	s.traffic.left -= n
	outage := s.rand.Float64() < s.traffic.outage
	for range n {
		s.happen(from+s.rand.Int64N(milliseconds), outage)
	}
	if s.traffic.bursts > 0 && s.rand.Float64() < s.traffic.burst {
		s.traffic.bursts--
		at := from + s.rand.Int64N(milliseconds)
		for range s.rand.IntN(s.traffic.burstMax) {
			s.happen(at, outage)
		}
	}
	if midnight := s.now / 1000 / day * day * 1000; s.traffic.nights > 0 && midnight > from {
		s.traffic.nights--
		for range s.traffic.nightly {
			s.happen(midnight+s.rand.Int64N(5000), outage)
		}
	}
	s.remove(n)
}

// happen creates an object at a moment in milliseconds. It may become visible
// late.
func (s *service) happen(at int64, outage bool) {
	created := at / 1000
	if s.rand.Float64() < s.traffic.future {
		created += []int64{1, 5, 60, 600, day}[s.rand.IntN(5)]
	}
	visible, last := at, (created+s.overlap)*1000
	switch {
	case outage && s.now <= last:
		visible = s.now
	case s.rand.Float64() < s.traffic.tooLate:
		visible = last + 1 + s.rand.Int64N(last-at+100_000)
	case s.rand.Float64() < s.traffic.late:
		s.late++
		switch s.rand.IntN(4) {
		case 0:
			visible = last
		case 1:
			visible = min(last, at+s.rand.Int64N(5000))
		default:
			visible = at + s.rand.Int64N(max(1, last-at))
		}
	}
	s.add(created, max(at, visible))
}

// remove deletes some of the objects.
func (s *service) remove(created int) {
	if s.traffic.gone == 0 || len(s.objects) == 0 {
		return
	}
	for range created + 2 {
		if s.rand.Float64() < s.traffic.gone {
			s.delete(s.objects[len(s.objects)-1-s.rand.IntN(min(len(s.objects), 300))])
		}
	}
	if o := s.byID[s.newestID]; o != nil && s.rand.Float64() < s.traffic.gone {
		s.delete(o)
	}
}

func (s *service) delete(o *object) {
	if !o.deleted {
		o.deleted = true
		s.deleted++
	}
}

// The ways in which Date headers are wrong.
const (
	datesRight   = iota
	datesSome    // some responses have none
	datesNone    // no response has one
	datesSingle  // single responses have any wrong Date
	datesStretch // stretches of responses have the same offset
	datesOff     // all have the same offset
	datesAny     // all have any Date
	datesBehind  // all are behind by any time
)

// dates chooses the Date headers.
type dates struct {
	rand   *rand.Rand
	kind   int
	offset int64 // of the stretch, in seconds
	left   int   // responses left in the stretch
	good   int   // responses since the last wrong one
}

// offsets are the errors of wrong Dates, in seconds.
var offsets = []int64{1, 5, 61, 600, 3600, day, 30 * day, 3000 * day}

func (d *dates) anyOffset() int64 {
	o := offsets[d.rand.IntN(len(offsets))]
	if d.rand.IntN(2) == 0 {
		return -o
	}
	return o
}

// mostlyRight reports whether a majority of the responses has a right Date.
func (d *dates) mostlyRight() bool {
	return d.kind == datesRight || d.kind == datesSome || d.kind == datesSingle
}

// header returns the Date of a response sent in the second; 0 if it is missing.
func (d *dates) header(second int64) int64 {
	switch d.kind {
	case datesSome:
		if d.rand.IntN(3) == 0 {
			return 0
		}
	case datesNone:
		return 0
	case datesSingle:
		if d.good++; d.good > 4 && d.rand.IntN(8) == 0 {
			d.good = 0
			return second + d.anyOffset()
		}
	case datesStretch:
		if d.left--; d.left < 0 {
			d.left, d.offset = d.rand.IntN(40), 0
			if d.rand.IntN(2) == 0 {
				d.offset = d.anyOffset()
			}
		}
		return second + d.offset
	case datesOff:
		return second + d.offset
	case datesAny:
		return second + d.anyOffset()
	case datesBehind:
		return second - max(d.anyOffset(), 0)
	}
	return second
}
