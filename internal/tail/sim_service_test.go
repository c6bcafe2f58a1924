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

// object is an object that the simulated service has, will show or had.
type object struct {
	id      string
	created int64  // in seconds, by which the list is ordered and filtered
	rank    uint64 // order within a second
	visible int64  // in milliseconds, from which on lists show it
	deleted bool

	// What the oracle knows of it.
	life  int  // in which it was delivered last, 0 for never
	acked bool // as the snapshot of the current life has it, or since
}

// service is a model of one of Stripe's lists. It is written from what is known
// about the API, without regard to how a Tail reads.
type service struct {
	rand    *rand.Rand
	now     int64     // in milliseconds
	objects []*object // by created second, then rank; the oldest first
	byID    map[string]*object
	undated bool // the objects on a page do not say when they were created

	traffic  traffic
	overlap  int64 // in seconds
	requests int
	created  int
	late     int
	deleted  int
	newestID string // last object of the last page, the likeliest cursor
}

// traffic is how objects come to be, and go.
type traffic struct {
	rate     float64 // objects a second
	limit    int     // objects of a single advance, at the most
	left     int     // objects to come, at the most
	burst    float64 // chance that an advance has a second with many objects
	bursts   int     // of these, at the most
	burstMax int
	nightly  int     // objects at midnight
	nights   int     // of these, at the most
	late     float64 // share that becomes visible late
	outage   float64 // chance that all objects of an advance become visible together
	tooLate  float64 // share that becomes visible later than is promised
	future   float64 // share with created in the future
	gone     float64 // share deleted some time
	reuse    float64 // share with the id of a deleted object
}

func (s *service) second() int64 { return s.now / 1000 }

func compareObjects(a, b *object) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.rank, b.rank))
}

// index is where an object of the second and rank stands, or would stand.
func (s *service) index(second int64, rank uint64) int {
	at, _ := slices.BinarySearchFunc(s.objects, &object{created: second, rank: rank}, compareObjects)
	return at
}

// count is the number of objects created in the seconds from a to b, ends included.
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

// reuseID gives o the id of a deleted object that was created earlier. An
// undated list has no way to show the difference, so it is not done there.
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

// list answers a query; false is a cursor that the list does not have.
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

// above is the page right above an object, newest first.
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

// advance lets time pass, and what happens in it happen.
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

// happen creates an object at a moment in milliseconds, which may be shown late.
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

// The ways in which the Date header is wrong.
const (
	datesRight   = iota
	datesSome    // are missing for some responses
	datesNone    // are missing
	datesSingle  // are wrong for single responses, by anything
	datesStretch // are wrong for stretches, by the same
	datesOff     // are all wrong by the same
	datesAny     // are all wrong by anything
	datesBehind  // are all behind by anything
)

// dates is what the Date header says.
type dates struct {
	rand   *rand.Rand
	kind   int
	offset int64 // of a stretch, in seconds
	left   int   // responses of the stretch
	good   int   // responses since the last wrong one
}

// offsets are by how much a Date is wrong, in seconds.
var offsets = []int64{1, 5, 61, 600, 3600, day, 30 * day, 3000 * day}

func (d *dates) anyOffset() int64 {
	o := offsets[d.rand.IntN(len(offsets))]
	if d.rand.IntN(2) == 0 {
		return -o
	}
	return o
}

// mostlyRight reports whether a majority of the Dates is there and right.
func (d *dates) mostlyRight() bool {
	return d.kind == datesRight || d.kind == datesSome || d.kind == datesSingle
}

// header is the Date of a response sent in the second; 0 if it is missing.
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
