package listing

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
)

// page is a response together with its query.
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

// ErrUndated is returned for a page with an object that has no created second.
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

// between returns the range of objects on a page that are new: after the last
// that the block above has, and before the first that the block below has. An
// object between those that a block has appeared after the block was read.
func (w *Windows) between(heads []Head, above, below *edge) (from, to int) {
	for from = len(heads); from > 0 && !w.has(above, heads[from-1]); from-- {
	}
	for to = from; to < len(heads) && !w.has(below, heads[to]); to++ {
	}
	return from, to
}

// readDown adds the page below a block to it.
func (w *Windows) readDown(e *edge, p page) (*Run, error) {
	above := w.index(e.block)
	below := w.blocks[above-1]
	from, to := w.between(p.heads, e, below.top)
	met := to < len(p.heads) || !p.more && (len(p.heads) == 0 || p.query.After == "" || below.top.ids == nil && above == 1)
	switch {
	case from < to || met:
	case w.c.Reused && p.heads[0].Created > e.second:
		e.lose() // the cursor has moved up
		return nil, nil
	default:
		return nil, w.stall(e, p.heads)
	}
	run := w.newRun(p.heads, from, to)
	if run != nil {
		e.block.runs = slices.Insert(e.block.runs, 0, run)
		e.block.marks = slices.Insert(e.block.marks, 0, marksOf(p.heads[from:to])...)
		below.read += run.To - run.From
		w.move(e, p.heads[from:to])
	}
	if met {
		w.join(above - 1)
	}
	return w.queue(run), nil
}

// readUp adds the page above a block to it. Whether has_more refers to newer
// objects is not documented, so has_more counts only if the page is not full.
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
	run := w.newRun(p.heads, from, to)
	if run != nil {
		e.block.runs = append(e.block.runs, run)
		e.block.marks = append(e.block.marks, marksOf(p.heads[from:to])...)
		e.block.read += run.To - run.From
		w.move(e, p.heads[from:to])
	}
	if met {
		w.join(below)
	}
	return w.queue(run), nil
}

// stall moves the cursors of an edge past a page of known objects. Such a page
// follows a cursor before the outermost one, or repeats, by filters, a second
// with more than a page.
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

// move moves an edge past the objects that were read beyond it.
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

// share gives both edges of the block the same ids if they are in the same
// second.
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

// cursors returns the ids of objects, the outermost last.
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

// readProbe adds a page that was requested by filters alone, as a new block.
// The block covers everything from the query's LT down to the last object on
// the page, or down to the query's GTE if there is no more.
func (w *Windows) readProbe(r *Request, p page) *Run {
	i := w.gapBefore(p.query.LT)
	below, above := w.blocks[i], w.blocks[i+1]
	sealed := cmp.Or(p.query.LT, NoBound)
	if below.top.second >= sealed {
		return nil // the span was read in the meantime
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
	run := w.newRun(p.heads, from, to)
	made := &block{runs: []*Run{run}, marks: marksOf(p.heads[from:to])}
	made.bottom, made.top = &edge{block: made}, &edge{block: made, up: true}
	w.move(made.bottom, p.heads[from:to])
	w.move(made.top, p.heads[from:to])
	if sealed < NoBound {
		made.top.second, made.top.ids = sealed, nil
		made.top.quiet = made.quietBefore(sealed)
	}
	w.blocks = slices.Insert(w.blocks, i+1, made)
	below.read, below.expected = 0, w.remaining(i)
	made.expected = w.remaining(i + 1)
	if metAbove {
		w.join(i + 1)
	}
	if metBelow {
		w.join(i)
	}
	return w.queue(run)
}

// seal records that a gap has no objects before a second.
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
	// The ids of a second must survive the edges that are removed.
	if below.bottom != nil {
		share(below.bottom, above.bottom)
	}
	if above.top != nil {
		share(above.top, below.top)
	}
	below.runs = append(below.runs, above.runs...)
	below.marks = append(below.marks, above.marks...)
	below.read, below.expected = above.read, above.expected
	if below.top = above.top; below.top != nil {
		below.top.block = below
	}
	w.blocks = slices.Delete(w.blocks, i+1, i+2)
	w.trim(below)
}

func (w *Windows) index(b *block) int { return slices.Index(w.blocks, b) }

// gapBefore returns the index of the gap that ends at a second or contains it.
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
