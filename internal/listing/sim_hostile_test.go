package listing

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// lie is a kind of wrong response.
type lie struct {
	name string
	tell func(h *hostile, q Query, p *response) *response
}

var lies = []lie{
	{"more where there is none", func(_ *hostile, _ Query, p *response) *response { p.more = true; return p }},
	{"no more where there is", func(_ *hostile, _ Query, p *response) *response { p.more = false; return p }},
	{"the page before", func(h *hostile, _ Query, p *response) *response { return h.earlier(p, len(h.given)-1) }},
	{"an earlier page", func(h *hostile, _ Query, p *response) *response { return h.earlier(p, h.rand.IntN(len(h.given)+1)) }},
	{"any order", (*hostile).shuffled},
	{"the oldest first", (*hostile).reversed},
	{"an object that is higher than the one before", (*hostile).swapped},
	{"no id", (*hostile).withoutID},
	{"no created", (*hostile).withoutCreated},
	{"created in the year 9999", (*hostile).farAhead},
	{"more objects than a page", (*hostile).tooMany},
	{"an object twice on a page", (*hostile).doubled},
	{"the end of a page again", (*hostile).endAgain},
	{"an empty page with more", func(*hostile, Query, *response) *response { return &response{more: true} }},
	{"endless pages", (*hostile).endless},
	{"endless pages in one second", (*hostile).endlessSecond},
	{"the filter ignored", (*hostile).unfiltered},
	{"the cursor ignored", (*hostile).uncursored},
	{"the cursor lost", func(_ *hostile, q Query, p *response) *response {
		if q.After+q.Before != "" {
			return &response{lost: true}
		}
		return p
	}},
	{"the cursor on the page", (*hostile).withCursor},
}

// hostile is a server that lies.
type hostile struct {
	*server
	t       require.TestingT
	lies    []lie
	share   float64 // share of the responses that are lies
	given   []*response
	altered map[Head]*object
	made    int // objects made for endless pages
	told    int
}

// madeMost is how many objects endless pages are made of; then they repeat.
const madeMost = 5000

func (h *hostile) list(t require.TestingT, q Query) *response {
	p := h.server.list(t, q)
	if h.rand.Float64() < h.share {
		h.told++
		p = oneOf(h.rand, h.lies...).tell(h, q, p)
	}
	h.given = append(h.given, p)
	return p
}

// copied returns a copy of a page, so that both can be used.
func (p *response) copied() *response {
	return &response{entries: slices.Clone(p.entries), more: p.more, lost: p.lost}
}

func (h *hostile) earlier(p *response, i int) *response {
	if i < 0 || i >= len(h.given) {
		return p
	}
	return h.given[i].copied()
}

func (h *hostile) shuffled(_ Query, p *response) *response {
	h.rand.Shuffle(len(p.entries), func(i, j int) { p.entries[i], p.entries[j] = p.entries[j], p.entries[i] })
	return p
}

func (h *hostile) reversed(_ Query, p *response) *response {
	slices.Reverse(p.entries)
	return p
}

func (h *hostile) swapped(_ Query, p *response) *response {
	if n := len(p.entries); n > 1 {
		i := h.rand.IntN(n - 1)
		p.entries[i], p.entries[i+1] = p.entries[i+1], p.entries[i]
	}
	return p
}

// alter changes a head. With another id or second it is another object to a
// reader that does not remember all ids.
func (h *hostile) alter(e *entry, change func(*Head)) {
	change(&e.head)
	o := h.altered[e.head]
	if o == nil {
		o = &object{id: e.head.ID, created: e.head.Created, serial: e.object.serial}
		h.altered[e.head] = o
	}
	e.object = o
}

func (h *hostile) withoutID(_ Query, p *response) *response {
	if n := len(p.entries); n > 0 {
		h.alter(&p.entries[oneOf(h.rand, 0, n-1, h.rand.IntN(n))], func(head *Head) { head.ID = "" })
	}
	return p
}

func (h *hostile) withoutCreated(_ Query, p *response) *response {
	all := h.rand.IntN(2) == 0
	for i := range p.entries {
		if all || i == 0 {
			h.alter(&p.entries[i], func(head *Head) { head.Created = 0 })
		}
	}
	return p
}

func (h *hostile) farAhead(_ Query, p *response) *response {
	if len(p.entries) > 0 {
		h.alter(&p.entries[0], func(head *Head) { head.Created = 253402300799 })
	}
	return p
}

func (h *hostile) tooMany(_ Query, p *response) *response {
	if n := len(p.entries); n > 0 {
		at := h.server.index(p.entries[n-1].object) + 1
		p.entries = append(p.entries, h.server.page(at, min(at+h.rand.IntN(200), len(h.objects)), true).entries...)
	}
	return p
}

func (h *hostile) doubled(_ Query, p *response) *response {
	if n := len(p.entries); n > 1 {
		i := h.rand.IntN(n)
		p.entries[i] = p.entries[h.rand.IntN(n)]
	}
	return p
}

func (h *hostile) endAgain(_ Query, p *response) *response {
	if n := len(p.entries); n > 1 && n < PageSize {
		p.entries = append(p.entries, p.entries[n-1])
	}
	return p
}

// endless returns a full page for every query, of objects that repeat after
// some thousand.
func (h *hostile) endless(q Query, _ *response) *response {
	low, high := max(q.GTE, 1), q.LT
	if high == 0 {
		high = h.now + 1
	}
	if o := h.byID(q.After + q.Before); o != nil {
		low, high = max(1, o.created-1000), o.created+1
	}
	return h.fabricated(low, high)
}

// endlessSecond never leaves the newest second of the range that is requested.
func (h *hostile) endlessSecond(q Query, _ *response) *response {
	second := h.now
	if q.LT != 0 {
		second = q.LT - 1
	}
	if o := h.byID(q.After + q.Before); o != nil {
		second = o.created
	}
	return h.fabricated(second, second+1)
}

func (h *hostile) fabricated(low, high int64) *response {
	p := &response{more: true}
	for range PageSize {
		var o *object
		if h.made < madeMost {
			h.made++
			o = &object{id: objectID(len(h.all)), created: low + h.rand.Int64N(max(1, high-low)), serial: len(h.all), gone: true}
			h.all = append(h.all, o)
		} else {
			o = h.all[len(h.all)-1-h.rand.IntN(madeMost)]
		}
		p.entries = append(p.entries, entry{Head{ID: o.id, Created: o.created}, o})
	}
	slices.SortStableFunc(p.entries, func(a, b entry) int { return int(b.head.Created - a.head.Created) })
	return p
}

func (h *hostile) unfiltered(q Query, p *response) *response {
	if q.GTE != 0 || q.LT != 0 {
		return h.server.list(h.t, Query{Limit: q.Limit})
	}
	return p
}

func (h *hostile) uncursored(q Query, p *response) *response {
	if q.After+q.Before != "" {
		return h.server.list(h.t, Query{Limit: q.Limit})
	}
	return p
}

// withCursor puts the object of the cursor on the page too.
func (h *hostile) withCursor(q Query, p *response) *response {
	if o := h.byID(q.After + q.Before); o != nil {
		e := entry{Head{ID: o.id, Created: o.created}, o}
		if q.After != "" {
			p.entries = slices.Insert(p.entries, 0, e)
		} else {
			p.entries = append(p.entries, e)
		}
		if len(p.entries) > PageSize {
			p.entries = p.entries[:PageSize]
		}
	}
	return p
}

// newHostile returns a history whose server lies.
func newHostile(t require.TestingT, seed uint64) (*history, *hostile) {
	h := newHistory(t, seed)
	s := &hostile{server: h.server, t: t, altered: map[Head]*object{}}
	s.share = oneOf(h.rand, 0.01, 0.1, 0.5, 1)
	for range oneOf(h.rand, 1, 1, 1, 3) {
		s.lies = append(s.lies, oneOf(h.rand, lies...))
	}
	h.lister, h.lenient = s, true
	h.errors = oneOf(h.rand, 0, 0, 20)
	return h, s
}

// TestWindowsHistoriesOfAHostileServer reads lists of a server that lies. The
// reading ends or is refused, and no object is delivered twice.
func TestWindowsHistoriesOfAHostileServer(t *testing.T) {
	var sum totals
	refused := map[string]int{}
	histories(t, 1200, func(t seeded, only bool) {
		h, s := newHostile(t, t.seed)
		if only {
			h.trace = t.Logf
		}
		defer func() {
			if only || t.Failed() {
				for _, l := range s.lies {
					t.Logf("%s, share %v; %+v; %d objects, %d changes", l.name, s.share, h.config, h.atStart, h.changed)
				}
			}
		}()
		err := h.run()
		h.add(&sum)
		sum.nonsense += s.told
		if err != nil {
			sum.refused++
			refused[s.lies[0].name]++
		}
	})
	t.Logf("%+v; %v", sum, refused)
}
