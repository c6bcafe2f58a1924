package listing

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
)

// Order is the order in which Windows hand objects on. Within a second with more
// objects than fit into the Buffer there is none.
type Order uint8

const (
	OldestFirst Order = iota
	NewestFirst
	AnyOrder
)

// Config is what Windows are made of.
type Config struct {
	Order     Order
	Low, High int64 // Low <= created < High; 0 is no bound
	// Lanes is how many requests may be under way, at least 1.
	Lanes int
	// Buffer is how many objects are held at the most, a full page for each
	// request under way: at least 4 * PageSize.
	Buffer int
	// Reused is set if an id can be that of an object which was deleted, and so a
	// cursor can have moved up the list.
	Reused bool
}

// Windows read a range of created seconds by several requests at once, and hand
// its objects on in order, each once.
//
// What is read are blocks, between which there are gaps. A block grows at both
// ends, by cursors; that never costs more than the list has pages. Where a gap is
// worth it, a probe begins a new block within: a page by filters, before a second
// that is guessed. What a gap costs is that its last page is not full, and that a
// guess may miss; so they are made within an allowance, a share of the pages read
// so far, whatever the list is like.
//
// Windows make no requests. They are not safe for concurrent use.
type Windows struct {
	c      Config
	seed   maphash.Seed
	blocks []*block // the oldest first; the range begins with the first and ends with the last
	loose  []*Run   // to hand on in any order
	probes []*Request
	flying int
	held   int
	search search

	answered int // requests
	searched int // of them, for the oldest object
	closed   int // gaps
	taken    int // objects
	idle     int // answers since one told something
}

// Request is a request to be made.
type Request struct {
	Query  Query
	edge   *edge // that moves by it; nil for a probe
	search bool
	done   bool
}

// Run is what is new on a page: the objects From up to To. It is handed on once
// it is Ready.
type Run struct {
	From, To int
	Value    any // of the caller
	ready    bool
	low      int64 // the created seconds that it spans
	high     int64
}

// block is a part of the list without gaps.
type block struct {
	bottom, top *edge
	runs        []*Run // not handed on, the oldest first
	marks       []mark
	read        int     // objects of the gap above it
	expected    float64 // objects there when the gap was made
}

// edge is an end of a block. Of the seconds beyond it on the block's side
// everything is read; of its own, the objects in ids.
type edge struct {
	block   *block // nil once the edge has met another
	up      bool
	second  int64
	ids     map[uint64]struct{}
	cursors []string // objects of the block, the outermost last; none: it has to be found by filters
	busy    bool
	quiet   int64          // for how many seconds nothing follows, if that is long; of a top only
	lost    int            // cursors in a row
	known   map[string]int // cursors behind pages of known objects, since the edge moved
}

// maxIdle is how many answers in a row may tell nothing, and maxStalls how often an
// edge may come to the same known object.
const (
	maxIdle   = 50
	maxStalls = 5
)

var errRepeats = fmt.Errorf("%w: pages repeat earlier ones", ErrPage)

// NewWindows makes Windows.
func NewWindows(c Config) *Windows {
	w := &Windows{c: c, seed: maphash.MakeSeed()}
	if c.High == 0 {
		c.High = NoBound
	}
	low, high := &block{}, &block{}
	low.top = &edge{block: low, up: true, second: c.Low}
	high.bottom = &edge{block: high, second: c.High - 1}
	w.blocks = []*block{low, high}
	w.search = search{high: c.High}
	w.c.High = c.High
	if c.Low >= c.High {
		w.join(0)
	}
	return w
}

// NoBound is a second behind all others.
const NoBound = 1 << 40

// SetLanes changes how many requests may be under way.
func (w *Windows) SetLanes(n int) { w.c.Lanes = n }

// SetBuffer changes how many objects are held at the most.
func (w *Windows) SetBuffer(n int) { w.c.Buffer = n }

// Next is what to request now; false if there is nothing: since as many are
// under way as may be, since there is no room, or since everything was read.
func (w *Windows) Next() (*Request, bool) {
	if w.flying >= w.c.Lanes || w.room() < PageSize || w.complete() {
		return nil, false
	}
	r := w.plan()
	if r == nil {
		return nil, false
	}
	r.Query.Limit = PageSize
	w.flying++
	if r.edge != nil {
		r.edge.busy = true
	} else {
		w.probes = append(w.probes, r)
	}
	return r, true
}

// room is for how many objects there is room.
func (w *Windows) room() int { return w.c.Buffer - w.held - w.flying*PageSize }

func (w *Windows) complete() bool { return len(w.blocks) == 1 }

// Done reports whether everything was read and handed on.
func (w *Windows) Done() bool { return w.complete() && w.held == 0 && w.flying == 0 }

// Drop is told in place of Read where the request has no answer. It may come
// again.
func (w *Windows) Drop(r *Request) {
	if r.done {
		return
	}
	r.done = true
	w.flying--
	if r.edge != nil {
		r.edge.busy = false
	}
	w.probes = slices.DeleteFunc(w.probes, func(p *Request) bool { return p == r })
}

// Lost is told in place of Read where the object of the query's cursor is not
// there any more.
func (w *Windows) Lost(r *Request) {
	w.Drop(r)
	if r.edge != nil {
		r.edge.lose()
	}
}

// lose gives up cursors: one after the other, and soon many at once, since objects
// are deleted in both ways.
func (e *edge) lose() {
	e.cursors = e.cursors[:max(len(e.cursors)-1<<min(e.lost, 10), 0)]
	e.lost++
}

// Read takes the answer to a request. The Run is what of it is new, nil if
// nothing is. After an error the request may come again.
func (w *Windows) Read(r *Request, heads []Head, more bool) (*Run, error) {
	w.Drop(r)
	if err := check(r.Query, heads, more); err != nil {
		return nil, err
	}
	w.answered++
	if r.search {
		w.searched++
	}
	if w.search.newest == 0 && len(heads) > 0 {
		w.search.newest = heads[0].Created
	}
	if w.idle++; w.idle > maxIdle {
		return nil, errRepeats
	}
	p := page{heads: heads, more: more, query: r.Query}
	switch {
	case w.complete():
		return nil, nil
	case r.edge == nil:
		return w.readProbe(r, p), nil
	case r.edge.block == nil:
		return nil, nil // met meanwhile
	case r.edge.up:
		return w.readUp(r.edge, p)
	default:
		return w.readDown(r.edge, p)
	}
}

// take makes a Run of what is new on a page.
func (w *Windows) take(heads []Head, from, to int) *Run {
	if from == to {
		return nil
	}
	w.idle = 0
	w.held += to - from
	w.taken += to - from
	return &Run{From: from, To: to, low: heads[to-1].Created, high: heads[from].Created}
}

// keep has a run handed on where there is no order to keep.
func (w *Windows) keep(run *Run) *Run {
	if w.c.Order != AnyOrder {
		return run
	}
	for _, b := range w.blocks {
		b.runs = nil
	}
	if run != nil {
		w.loose = append(w.loose, run)
	}
	return run
}

// Span is a range of created seconds: Low <= created < High.
type Span struct{ Low, High int64 }

// Unread is what was not handed on: in order, without overlaps, to the second.
func (w *Windows) Unread() []Span {
	var spans []Span
	add := func(low, high int64) { spans = append(spans, Span{low, min(high+1, w.c.High)}) }
	for i, b := range w.blocks {
		if i > 0 {
			add(w.blocks[i-1].top.second, b.bottom.second)
		}
		for _, run := range b.runs {
			add(run.low, run.high)
		}
	}
	for _, run := range w.loose {
		add(run.low, run.high)
	}
	return Union(spans)
}

// Low is the second before which everything was handed on, if the oldest objects
// come first.
func (w *Windows) Low() int64 {
	first := w.blocks[0]
	switch {
	case len(first.runs) > 0:
		return first.runs[0].low
	case w.complete():
		return w.c.High
	}
	return first.top.second
}

// Union sorts spans, and makes one of those that overlap or touch.
func Union(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Low, b.Low) })
	var union []Span
	for _, s := range spans {
		if s.Low >= s.High {
			continue
		}
		if n := len(union); n > 0 && s.Low <= union[n-1].High {
			union[n-1].High = max(union[n-1].High, s.High)
		} else {
			union = append(union, s)
		}
	}
	return union
}

// Newest is the created second of the newest object of the range when the reading
// began, 0 if it is not known.
func (w *Windows) Newest() int64 { return w.search.newest }

// Held is how many objects were read and not handed on.
func (w *Windows) Held() int { return w.held }

// Ready lets a Run be handed on.
func (w *Windows) Ready(r *Run) { r.ready = true }

// Pop is the next Run that can be handed on. If the oldest objects come first,
// they are from its To down to its From.
func (w *Windows) Pop() (*Run, bool) {
	runs, i := w.next()
	if runs == nil || !(*runs)[i].ready {
		return nil, false
	}
	run := (*runs)[i]
	*runs = slices.Delete(*runs, i, i+1)
	w.held -= run.To - run.From
	return run, true
}

// next is the Run that comes next, as far as that is known: where a gap is all in
// one second, and no room is left, the block behind it does not wait.
func (w *Windows) next() (runs *[]*Run, i int) {
	last, full := len(w.blocks)-1, w.room() < 2*PageSize
	switch {
	case w.c.Order == AnyOrder:
		i = slices.IndexFunc(w.loose, func(r *Run) bool { return r.ready })
		if i >= 0 {
			return &w.loose, i
		}
	case w.c.Order == OldestFirst:
		first := w.blocks[0]
		if len(first.runs) > 0 {
			return &first.runs, 0
		}
		if last > 0 && full {
			if b := w.blocks[1]; len(b.runs) > 0 && b.runs[0].high <= first.top.second {
				return &b.runs, 0
			}
		}
	default:
		first := w.blocks[last]
		if len(first.runs) > 0 {
			return &first.runs, len(first.runs) - 1
		}
		if last > 0 && full {
			if b := w.blocks[last-1]; len(b.runs) > 0 && b.runs[len(b.runs)-1].low >= first.bottom.second {
				return &b.runs, len(b.runs) - 1
			}
		}
	}
	return nil, 0
}
