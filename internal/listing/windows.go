package listing

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
)

// Order is the order in which Windows delivers objects. Within a second that has
// more objects than the Buffer holds, there is no order.
type Order uint8

const (
	OldestFirst Order = iota
	NewestFirst
	AnyOrder
)

// Config holds the settings of Windows.
type Config struct {
	Order     Order
	Low, High int64 // Low <= created < High, in Unix seconds; 0 is no bound
	// Lanes is the maximum number of requests under way, at least 1.
	Lanes int
	// Buffer is the maximum number of objects held in memory, counting a full
	// page for each request under way. It is at least 4 * PageSize.
	Buffer int
	// Reused is set if the id of a deleted object can be used for a new one. A
	// cursor can then move up the list.
	Reused bool
}

// Windows reads a range of created seconds with several requests at once, and
// delivers its objects in order, each once.
//
// The parts that were read are blocks, and between them are gaps. A block grows
// at both ends, by cursors; that alone never costs more requests than the list
// has pages. Where a gap is large enough, a probe starts a new block inside it:
// the probe requests a page by filters, before a second that is guessed. A gap
// costs requests, because its last page is not full and because a guess may
// miss. So gaps are limited to a share of the pages read so far, whatever the
// list is like.
//
// Windows makes no requests. It is not safe for concurrent use.
type Windows struct {
	c        Config
	seed     maphash.Seed
	blocks   []*block // the oldest first; the first starts at Low, the last ends at High
	loose    []*Run   // runs not delivered, if there is no order
	probes   []*Request
	inFlight int // requests under way
	held     int // objects read and not delivered
	search   search

	responses int // responses read
	searched  int // responses to requests of the search
	closed    int // gaps closed
	read      int // new objects read
	idle      int // responses since the last that brought progress
}

// Request is a request that the caller has to make.
type Request struct {
	Query  Query
	edge   *edge // the edge that the response moves; nil for a probe
	search bool
	done   bool
}

// Run is a range of new objects on a page: From, inclusive, to To, exclusive.
// It can be delivered once Ready was called with it.
type Run struct {
	From, To int
	Value    any // for the caller's use
	ready    bool
	low      int64 // created second of its oldest object
	high     int64 // created second of its newest object
}

// block is a part of the list without gaps.
type block struct {
	bottom, top *edge
	runs        []*Run // not delivered, the oldest first
	marks       []mark
	read        int     // objects read of the gap above the block
	expected    float64 // estimate for that gap when it was made
}

// edge is an end of a block. On the block's side of its second, everything was
// read; within its second, the objects in ids were read.
type edge struct {
	block   *block // nil once the edge has met another
	up      bool
	second  int64
	ids     map[uint64]struct{}
	cursors []string // ids of the block's objects, the outermost last; if empty, read by filters
	busy    bool
	quiet   int64          // seconds above the block without objects, 0 unless that is long; top edges only
	lost    int            // cursors lost in a row
	known   map[string]int // how often each cursor ended a page of known objects, since the edge moved
}

// maxIdle is how many responses in a row may bring no progress, and maxStalls
// how often an edge may reach the same known object.
const (
	maxIdle   = 50
	maxStalls = 5
)

var errRepeats = fmt.Errorf("%w: pages repeat earlier ones", ErrPage)

// NewWindows returns Windows that have read nothing.
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

// NoBound is a second later than all others.
const NoBound = 1 << 40

// SetLanes changes the maximum number of requests under way.
func (w *Windows) SetLanes(n int) { w.c.Lanes = n }

// SetBuffer changes the maximum number of objects held.
func (w *Windows) SetBuffer(n int) { w.c.Buffer = n }

// Next returns the request to make now. It returns false if all lanes are busy,
// the buffer is full, or there is nothing left to request for now.
func (w *Windows) Next() (*Request, bool) {
	if w.inFlight >= w.c.Lanes || w.room() < PageSize || w.complete() {
		return nil, false
	}
	r := w.plan()
	if r == nil {
		return nil, false
	}
	r.Query.Limit = PageSize
	w.inFlight++
	if r.edge != nil {
		r.edge.busy = true
	} else {
		w.probes = append(w.probes, r)
	}
	return r, true
}

// room returns how many more objects the buffer has room for.
func (w *Windows) room() int { return w.c.Buffer - w.held - w.inFlight*PageSize }

func (w *Windows) complete() bool { return len(w.blocks) == 1 }

// Done reports whether everything was read and delivered.
func (w *Windows) Done() bool { return w.complete() && w.held == 0 && w.inFlight == 0 }

// Drop is called instead of Read for a request that got no response. Next may
// return the same query again.
func (w *Windows) Drop(r *Request) {
	if r.done {
		return
	}
	r.done = true
	w.inFlight--
	if r.edge != nil {
		r.edge.busy = false
	}
	w.probes = slices.DeleteFunc(w.probes, func(p *Request) bool { return p == r })
}

// Lost is called instead of Read if the object that the query's cursor names
// was deleted.
func (w *Windows) Lost(r *Request) {
	w.Drop(r)
	if r.edge != nil {
		r.edge.lose()
	}
}

// lose gives up cursors, twice as many with each call in a row: objects may
// have been deleted one by one or many at once.
func (e *edge) lose() {
	e.cursors = e.cursors[:max(len(e.cursors)-1<<min(e.lost, 10), 0)]
	e.lost++
}

// Read processes the response to a request. The Run is the part of the page
// that is new, nil if nothing is. After an error, Next may return the same
// query again.
func (w *Windows) Read(r *Request, heads []Head, more bool) (*Run, error) {
	w.Drop(r)
	if err := check(r.Query, heads, more); err != nil {
		return nil, err
	}
	w.responses++
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
		return nil, nil // the edge has met another in the meantime
	case r.edge.up:
		return w.readUp(r.edge, p)
	default:
		return w.readDown(r.edge, p)
	}
}

// newRun returns a Run of the objects from up to to, nil if there are none.
func (w *Windows) newRun(heads []Head, from, to int) *Run {
	if from == to {
		return nil
	}
	w.idle = 0
	w.held += to - from
	w.read += to - from
	return &Run{From: from, To: to, low: heads[to-1].Created, high: heads[from].Created}
}

// queue queues a run for delivery in any order if there is no order to keep.
func (w *Windows) queue(run *Run) *Run {
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

// Unread returns the seconds that were not completely delivered, as ascending
// spans that do not overlap.
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

// Low returns the second before which everything was delivered. It is meant for
// the order OldestFirst.
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

// Union sorts spans, drops empty ones, and merges those that overlap or touch.
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

// Newest returns the created second of the newest object of the range when the
// reading began, 0 if it is not known.
func (w *Windows) Newest() int64 { return w.search.newest }

// Held returns how many objects were read and not delivered.
func (w *Windows) Held() int { return w.held }

// Ready marks a Run as ready for delivery.
func (w *Windows) Ready(r *Run) { r.ready = true }

// Pop removes and returns the next Run in order, false if it is not ready. In
// the order OldestFirst, its objects are to be read from To down to From.
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

// next returns where the next Run is, nil if that is not known. If a gap lies
// within a single second and the buffer is full, the block behind the gap does
// not wait for it.
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
