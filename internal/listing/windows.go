package listing

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
)

// Order is the order in which Windows hand objects on. Within one second there
// is none.
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
	gap         gap // above it
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

// page is an answer.
type page struct {
	heads []Head
	more  bool
	query Query
}

func check(q Query, heads []Head, more bool) error {
	if more && len(heads) == 0 {
		return fmt.Errorf("%w: has_more on a page without objects", ErrPage)
	}
	if len(heads) > PageSize {
		return fmt.Errorf("%w: a page of %d objects", ErrPage, len(heads))
	}
	on := make(map[string]struct{}, len(heads))
	for i, h := range heads {
		on[h.ID] = struct{}{}
		switch {
		case h.ID == "":
			return fmt.Errorf("%w: an object without an id", ErrPage)
		case h.Created <= 0:
			return fmt.Errorf("%w: object %s", ErrUndated, h.ID)
		case i > 0 && h.Created > heads[i-1].Created:
			return fmt.Errorf("%w: object %s is newer than the one before it", ErrPage, h.ID)
		case h.Created < q.GTE || q.LT > 0 && h.Created >= q.LT:
			return fmt.Errorf("%w: object %s does not match the filter", ErrPage, h.ID)
		}
	}
	if len(on) < len(heads) {
		return fmt.Errorf("%w: an object stands twice on a page", ErrPage)
	}
	return nil
}

// ErrUndated is about an object that does not tell when it was created.
var ErrUndated = fmt.Errorf("%w: there are objects without a created second", ErrPage)

// has reports whether an object is on the block's side of the edge.
func (w *Windows) has(e *edge, h Head) bool {
	if h.Created == e.second {
		_, known := e.ids[w.hash(h)]
		return known
	}
	return (h.Created < e.second) == e.up
}

func (w *Windows) hash(h Head) uint64 { return maphash.String(w.seed, h.ID) }

// between are the objects of a page that are new: behind the last one that the
// block above has, and before the first one that the block below has. What stands
// between those that a block has appeared when it was read already.
func (w *Windows) between(heads []Head, above, below *edge) (from, to int) {
	for from = len(heads); from > 0 && !w.has(above, heads[from-1]); from-- {
	}
	for to = from; to < len(heads) && !w.has(below, heads[to]); to++ {
	}
	return from, to
}

// readDown grows a block by the page below it.
func (w *Windows) readDown(e *edge, p page) (*Run, error) {
	above := w.index(e.block)
	below := w.blocks[above-1]
	from, to := w.between(p.heads, e, below.top)
	met := to < len(p.heads) || !p.more && (len(p.heads) == 0 || p.query.After == "" || below.top.ids == nil && above == 1)
	switch {
	case from < to || met:
	case w.c.Reused && p.heads[0].Created > e.second:
		e.lose() // it has moved up
		return nil, nil
	default:
		return nil, w.stall(e, p.heads)
	}
	run := w.take(p.heads, from, to)
	if run != nil {
		e.block.runs = slices.Insert(e.block.runs, 0, run)
		e.block.marks = slices.Insert(e.block.marks, 0, marksOf(p.heads[from:to])...)
		below.gap.read += run.To - run.From
		w.move(e, p.heads[from:to])
	}
	if met {
		w.join(above - 1)
	}
	return w.keep(run), nil
}

// readUp grows a block by the page above it. That has_more speaks of the newer
// side is not documented: it counts where the page is not full.
func (w *Windows) readUp(e *edge, p page) (*Run, error) {
	below := w.index(e.block)
	above := w.blocks[below+1]
	from, to := w.between(p.heads, above.bottom, e)
	if w.c.Reused && to == len(p.heads) {
		e.lose() // the page does not begin where the block ends
		return nil, nil
	}
	met := from > 0 || !p.more && (len(p.heads) == 0 || len(p.heads) < PageSize && above.bottom.ids == nil && below == len(w.blocks)-2)
	if from == to && !met {
		return nil, w.stall(e, p.heads)
	}
	run := w.take(p.heads, from, to)
	if run != nil {
		e.block.runs = append(e.block.runs, run)
		e.block.marks = append(e.block.marks, marksOf(p.heads[from:to])...)
		e.block.gap.read += run.To - run.From
		w.move(e, p.heads[from:to])
	}
	if met {
		w.join(below)
	}
	return w.keep(run), nil
}

// stall goes on behind a page of known objects: that of a cursor before the
// outermost one, or of a second with more than a page that is requested again by
// filters.
func (w *Windows) stall(e *edge, heads []Head) error {
	w.idle = 0
	e.cursors, e.lost = cursors(heads, e.up), 0
	if e.known == nil {
		e.known = map[string]int{}
	}
	outermost := e.cursors[len(e.cursors)-1]
	if e.known[outermost]++; e.known[outermost] > maxStalls {
		return errRepeats
	}
	return nil
}

// move moves an edge over the objects that are read behind it.
func (w *Windows) move(e *edge, heads []Head) {
	outer := heads[len(heads)-1].Created
	if e.up {
		outer = heads[0].Created
	}
	if e.second != outer || e.ids == nil {
		e.second, e.ids = outer, map[uint64]struct{}{}
	}
	for _, h := range heads {
		if h.Created == outer {
			e.ids[w.hash(h)] = struct{}{}
		}
	}
	e.cursors, e.quiet, e.lost, e.known = cursors(heads, e.up), 0, 0, nil
	e.block.share()
}

// share makes what the block has of a second known at both ends, where they are in
// the same one.
func (b *block) share() {
	if b.bottom != nil && b.top != nil {
		share(b.bottom, b.top)
	}
}

func share(a, b *edge) {
	if a.second != b.second || a.ids == nil || b.ids == nil {
		return
	}
	if len(a.ids) < len(b.ids) {
		a, b = b, a
	}
	maps.Copy(a.ids, b.ids)
	b.ids = a.ids
}

// cursors are the ids of objects, the one that is the outermost last.
func cursors(heads []Head, up bool) []string {
	ids := make([]string, len(heads))
	for i, h := range heads {
		ids[i] = h.ID
	}
	if up {
		slices.Reverse(ids)
	}
	return ids
}

// readProbe puts a page into the gap that it was requested for, by filters alone:
// everything before its LT is known from the page's first object down to its last,
// and down to its GTE if there is no more.
func (w *Windows) readProbe(r *Request, p page) *Run {
	i := w.gapBefore(p.query.LT)
	below, above := w.blocks[i], w.blocks[i+1]
	sealed := cmp.Or(p.query.LT, NoBound)
	if below.top.second >= sealed {
		return nil // read meanwhile
	}
	from, to := w.between(p.heads, above.bottom, below.top)
	metBelow := to < len(p.heads) || !p.more && p.query.GTE <= below.top.second
	metAbove := sealed > above.bottom.second
	if r.search && !w.search.found(w, p, metBelow) {
		return nil
	}
	if from == to {
		if metBelow {
			w.seal(i, sealed)
		}
		return nil
	}
	run := w.take(p.heads, from, to)
	made := &block{runs: []*Run{run}, marks: marksOf(p.heads[from:to])}
	made.bottom, made.top = &edge{block: made}, &edge{block: made, up: true}
	w.move(made.bottom, p.heads[from:to])
	w.move(made.top, p.heads[from:to])
	if sealed < NoBound {
		made.top.second, made.top.ids = sealed, nil
		made.top.quiet = made.quietBefore(sealed)
	}
	w.blocks = slices.Insert(w.blocks, i+1, made)
	below.gap, made.gap = w.divide(below, made, above)
	if metAbove {
		w.join(i + 1)
	}
	if metBelow {
		w.join(i)
	}
	return w.keep(run)
}

// seal takes notice that there is nothing in a gap before a second.
func (w *Windows) seal(i int, second int64) {
	w.idle = 0
	below, above := w.blocks[i], w.blocks[i+1]
	if second > above.bottom.second {
		w.join(i)
		return
	}
	below.top.second, below.top.ids = second, nil
	if below.top.quiet = 0; len(below.marks) > 0 {
		below.top.quiet = max(below.quietBefore(second), 1)
	}
}

// join closes the gap above a block.
func (w *Windows) join(i int) {
	w.idle = 0
	w.closed++
	below, above := w.blocks[i], w.blocks[i+1]
	below.top.block, above.bottom.block = nil, nil
	// What either block has of a second is not to be forgotten with an edge in it.
	if below.bottom != nil {
		share(below.bottom, above.bottom)
	}
	if above.top != nil {
		share(above.top, below.top)
	}
	below.runs = append(below.runs, above.runs...)
	below.marks = append(below.marks, above.marks...)
	below.gap = above.gap
	if below.top = above.top; below.top != nil {
		below.top.block = below
	}
	w.blocks = slices.Delete(w.blocks, i+1, i+2)
	w.trim(below)
}

func (w *Windows) index(b *block) int { return slices.Index(w.blocks, b) }

// gapBefore is the gap that ends at a second, or that the second is in.
func (w *Windows) gapBefore(second int64) int {
	if second == 0 {
		return len(w.blocks) - 2
	}
	i := 0
	for i < len(w.blocks)-2 && w.blocks[i+1].bottom.second < second-1 {
		i++
	}
	return i
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
// one second, the block behind it need not wait.
func (w *Windows) next() (runs *[]*Run, i int) {
	last := len(w.blocks) - 1
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
		if last > 0 {
			if b := w.blocks[1]; len(b.runs) > 0 && b.runs[0].high <= first.top.second {
				return &b.runs, 0
			}
		}
	default:
		first := w.blocks[last]
		if len(first.runs) > 0 {
			return &first.runs, len(first.runs) - 1
		}
		if last > 0 {
			if b := w.blocks[last-1]; len(b.runs) > 0 && b.runs[len(b.runs)-1].low >= first.bottom.second {
				return &b.runs, len(b.runs) - 1
			}
		}
	}
	return nil, 0
}
