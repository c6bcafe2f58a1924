package tail

import (
	"errors"
	"slices"

	"github.com/stripekit/stripekit/internal/listing"
)

// drain reads seconds that were older than the overlap when it began. No
// further object can become visible in them, so they need not be read again.
type drain struct {
	low, high int64
	windows   *listing.Windows // nil until OpenDrain
}

// Drained holds the new objects on a page of a drain.
type Drained struct {
	Fresh []Fresh // the newest first; their Refs count from 0
	Value any     // for the caller's use
	keys  []Key   // of Fresh
	run   *listing.Run
}

// planDrain begins a drain instead of a reading of what is new, and reports
// whether it did. reached is the second that the service's clock has reached.
// The unread part of the span to drain must be at least as long as the overlap.
// Otherwise each drain could be followed by another small one, and what is new
// would never be read.
func (t *Tail) planDrain(reached int64) bool {
	high := reached - t.overlap
	if t.undated || t.plain || high-t.position < t.overlap {
		return false
	}
	t.drain, t.backlog = &drain{low: t.marks[len(t.marks)-1], high: high}, backlog{}
	return true
}

// Draining reports whether a backlog is being drained.
func (t *Tail) Draining() bool { return t.drain != nil }

// OpenDrain starts the drain unless it has started: lanes is the maximum number
// of requests under way, buffer the maximum number of objects in memory.
func (t *Tail) OpenDrain(lanes, buffer int) {
	if d := t.drain; d != nil && d.windows == nil {
		d.windows = listing.NewWindows(listing.Config{Low: d.low, High: d.high, Lanes: lanes, Buffer: buffer, Reused: t.reused})
	}
}

// DrainLanes changes the maximum number of requests under way.
func (t *Tail) DrainLanes(n int) {
	if t.drain != nil && t.drain.windows != nil {
		t.drain.windows.SetLanes(n)
	}
}

// WidenDrain changes the maximum number of requests under way, and of objects
// in memory.
func (t *Tail) WidenDrain(lanes, buffer int) {
	if t.drain != nil && t.drain.windows != nil {
		t.drain.windows.SetLanes(lanes)
		t.drain.windows.SetBuffer(buffer)
	}
}

// DrainNext returns the next request of the drain, false if there is none for
// now. For each request, the caller calls DrainRead, DrainLost or DrainDrop
// once, in any order of the requests.
func (t *Tail) DrainNext() (*listing.Request, bool) {
	if t.drain == nil {
		return nil, false
	}
	return t.drain.windows.Next()
}

// DrainRead processes the response to a request. If the result is not nil,
// DrainFound returns it once DrainReady was called with it. If the list proves
// unfit for a drain, the drain ends, and Next goes on where it has stopped.
func (t *Tail) DrainRead(r *listing.Request, p Page) (*Drained, error) {
	t.observe(p)
	if t.drain == nil {
		return nil, nil
	}
	run, err := t.drain.windows.Read(r, p.Heads, p.HasMore)
	if errors.Is(err, listing.ErrPage) {
		t.GiveUpDrain()
		return nil, nil
	}
	if err != nil || run == nil {
		t.drained()
		return nil, err
	}
	d := &Drained{run: run}
	for i := run.From; i < run.To; i++ {
		second := p.Heads[i].Created
		key := Key{From: second, Second: second, Hash: t.hash(p.Heads[i])}
		if !t.seen.has(second, key.Hash) {
			d.Fresh = append(d.Fresh, Fresh{Index: i, Ref: len(d.Fresh)})
			d.keys = append(d.keys, key)
		}
	}
	run.Value = d
	return d, nil
}

// DrainReady lets DrainFound return d.
func (t *Tail) DrainReady(d *Drained) {
	if t.drain != nil {
		t.drain.windows.Ready(d.run)
	}
}

// DrainLost is called instead of DrainRead if the object that the query's
// cursor names was deleted.
func (t *Tail) DrainLost(r *listing.Request) {
	if t.drain != nil {
		t.drain.windows.Lost(r)
	}
}

// DrainDrop is called instead of DrainRead if there was no response.
func (t *Tail) DrainDrop(r *listing.Request) {
	if t.drain != nil {
		t.drain.windows.Drop(r)
	}
}

// GiveUpDrain ends a drain whose pages contradict each other. Next goes on
// where the drain has stopped.
func (t *Tail) GiveUpDrain() {
	t.plain, t.drain, t.position = true, nil, max(t.position, t.marks[0])
}

// DrainFound returns the next new objects, the oldest first, false if they are
// not ready. They are to be acknowledged like those of Read.
func (t *Tail) DrainFound() (d *Drained, found []Found, ok bool) {
	if t.drain == nil {
		return nil, nil, false
	}
	run, ok := t.drain.windows.Pop()
	if !ok {
		if t.drain.windows.Done() {
			t.drained()
		}
		return nil, nil, false
	}
	d = run.Value.(*Drained)
	found = make([]Found, 0, len(d.keys))
	for i, key := range d.keys {
		found = append(found, Found{Ref: i, Key: key})
		t.newest = max(t.newest, key.Second)
	}
	slices.Reverse(found)
	t.fresh += len(found)
	t.seen.add(d.keys)
	t.drained()
	return d, found, true
}

// drained moves the floor up to where the drain has read, and ends the drain if
// it is done.
func (t *Tail) drained() {
	w := t.drain.windows
	low := w.Low()
	for k := range t.marks {
		t.marks[k] = max(t.marks[k], low)
	}
	t.low = t.seen.prune(t.marks[len(t.marks)-1], t.low)
	if w.Done() {
		t.position, t.drain = t.marks[0], nil
	}
}
