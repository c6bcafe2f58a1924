package tail

import (
	"errors"
	"slices"

	"github.com/stripekit/stripekit/internal/listing"
)

// drain reads seconds that were older than the overlap when it began. No object of
// them can become visible any more, so they need not be read again.
type drain struct {
	low, high int64
	windows   *listing.Windows // nil until OpenDrain
}

// Drained is what is new on a page of a drain. Value is the caller's.
type Drained struct {
	Fresh []Fresh // the newest first; their Refs count from 0
	Value any
	keys  []Key // of Fresh
	run   *listing.Run
}

// planDrain begins a drain in place of a reading of what is new, if enough of that
// is old enough when the service's clock has reached a second. A drain of what
// has come of age since the last one would be followed by another, and so on: what
// is new would never be read.
func (t *Tail) planDrain(reached int64) bool {
	high := reached - t.overlap
	if t.undated || t.plain || high-t.position < t.overlap {
		return false
	}
	t.drain, t.backlog = &drain{low: t.marks[len(t.marks)-1], high: high}, backlog{}
	return true
}

// Draining reports whether there is a backlog to drain.
func (t *Tail) Draining() bool { return t.drain != nil }

// OpenDrain begins to read the backlog by so many requests at once, with so many
// objects in memory, if it has not begun.
func (t *Tail) OpenDrain(lanes, buffer int) {
	if d := t.drain; d != nil && d.windows == nil {
		d.windows = listing.NewWindows(listing.Config{Low: d.low, High: d.high, Lanes: lanes, Buffer: buffer, Reused: t.reused})
	}
}

// DrainLanes changes how many requests may be under way.
func (t *Tail) DrainLanes(n int) {
	if t.drain != nil && t.drain.windows != nil {
		t.drain.windows.SetLanes(n)
	}
}

// DrainNext is a request of the drain; false if there is none for now. Each is
// followed by DrainRead, DrainLost or DrainDrop, in any order.
func (t *Tail) DrainNext() (*listing.Request, bool) {
	if t.drain == nil {
		return nil, false
	}
	return t.drain.windows.Next()
}

// DrainRead takes the response to a request. What it returns, if it is not nil,
// is found by DrainFound after DrainReady. A list that cannot be drained is not:
// Next goes on with it where the drain has come to.
func (t *Tail) DrainRead(r *listing.Request, p Page) (*Drained, error) {
	t.observe(p)
	if t.drain == nil {
		return nil, nil
	}
	run, err := t.drain.windows.Read(r, p.Heads, p.HasMore)
	if errors.Is(err, listing.ErrPage) {
		t.plain, t.drain = true, nil
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

// DrainReady lets what DrainRead returned be found.
func (t *Tail) DrainReady(d *Drained) {
	if t.drain != nil {
		t.drain.windows.Ready(d.run)
	}
}

// DrainLost is told in place of DrainRead where the object of the query's cursor is
// not there any more.
func (t *Tail) DrainLost(r *listing.Request) {
	if t.drain != nil {
		t.drain.windows.Lost(r)
	}
}

// DrainDrop is told in place of DrainRead where there was no response.
func (t *Tail) DrainDrop(r *listing.Request) {
	if t.drain != nil {
		t.drain.windows.Drop(r)
	}
}

// GiveUpDrain ends a drain whose pages do not fit together. Next goes on where it
// has come to.
func (t *Tail) GiveUpDrain() { t.plain, t.drain = true, nil }

// DrainFound is what comes next of the new objects, the oldest first; false if it
// is not there yet. The objects are new: they are to be acknowledged as those of
// Read.
func (t *Tail) DrainFound() (d *Drained, found []Found, ok bool) {
	if t.drain == nil {
		return nil, nil, false
	}
	run, ok := t.drain.windows.Pop()
	if !ok {
		t.drained()
		return nil, nil, false
	}
	d = run.Value.(*Drained)
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

// drained moves the floor to where the drain has come, and ends it.
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
