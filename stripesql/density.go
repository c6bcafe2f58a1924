package stripesql

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/listing"
)

// densityAge is how long the densities that pages have shown are used.
const densityAge = 10 * time.Minute

// densities holds what the pages of lists without a filter have shown: how many
// objects there are, and when they were created. All connections of a connector share
// it.
type densities struct {
	of stripekit.Connection // zero for the client of a Connector

	mu      sync.Mutex
	tables  map[string]*density
	samples map[sampleKey]sample
}

func newDensities() *densities {
	return &densities{tables: map[string]*density{}, samples: map[sampleKey]sample{}}
}

// density is what is known of one list.
type density struct {
	seen     []stretch // the newest first; they have at most a second in common
	measured time.Time // when an estimate of a window was made
}

// stretch is a window of which all objects are known.
type stretch struct {
	window
	objects     int     // those of the first and the last second may not be complete
	dense       float64 // objects per second from the oldest to the newest of them
	uneven      bool    // some of the objects are much closer to each other than the rest
	first, last string  // the ids of the newest and the oldest object, "" if there is none
	open        bool    // there may be more objects in the first second
	taken       time.Time
}

// maxStretches is how many stretches of a table are remembered. Before there are more,
// neighbours become one.
const maxStretches = 2_000

// rate returns the objects per second.
func (s *stretch) rate() float64 { return float64(s.objects) / float64(s.seconds()) }

// table returns what is known of a table now. The caller holds the lock.
func (d *densities) table(t *table) *density {
	known := d.tables[t.name]
	if known == nil {
		known = &density{}
		d.tables[t.name] = known
	}
	since := time.Now().Add(-densityAge)
	known.seen = slices.DeleteFunc(known.seen, func(s stretch) bool { return s.taken.Before(since) })
	return known
}

// now returns a copy of what is known of a table now.
func (d *densities) now(t *table) *density {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := *d.table(t)
	known.seen = slices.Clone(known.seen)
	return &known
}

// learn adds a page of the list without a filter to what is known of a table.
func (d *densities) learn(t *table, q listing.Query, p page) {
	w, atCursor := windowOf(q), q.After+q.Before != ""
	if t.disordered && atCursor {
		return
	}
	objects := slices.DeleteFunc(slices.Clone(p.objects), func(o *object) bool { return !o.dated })
	if t.disordered {
		slices.SortFunc(objects, func(a, b *object) int { return cmp.Compare(b.created, a.created) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.table(t)
	if len(objects) == 0 {
		if !atCursor && !p.more {
			known.add(nil, w, false)
		}
		return
	}
	read, open := windowAround(objects), p.more || q.Before != ""
	switch next := known.beside(q); {
	case next != nil && q.After != "":
		read.high, next.open = max(read.high, next.low+1), false
	case next != nil:
		read.low, open = min(read.low, next.high-1), false
	case atCursor:
	case w.high == endOfStamps:
		known.add(nil, window{read.high, w.high}, false)
	default:
		read.high = w.high
	}
	if known.meet(objects) {
		open = false
	}
	known.add(objects, read, open)
	if !p.more && q.Before == "" {
		known.add(nil, window{w.low, objects[len(objects)-1].created}, false)
	}
}

// beside returns the stretch that the cursor of a page is of, nil if there is none.
func (d *density) beside(q listing.Query) *stretch {
	i := slices.IndexFunc(d.seen, func(s stretch) bool {
		return q.After != "" && s.last == q.After || q.Before != "" && s.first == q.Before
	})
	if i < 0 {
		return nil
	}
	return &d.seen[i]
}

// meet looks for stretches that share objects with a page, as where a second is read from
// both ends. It closes those that the page goes on behind, and reports whether one of them
// goes on behind the page.
func (d *density) meet(objects []*object) (goesOn bool) {
	page := windowAround(objects)
	on := func(id string) bool { return slices.ContainsFunc(objects, func(o *object) bool { return o.id == id }) }
	for i := range d.seen {
		s := &d.seen[i]
		if s.first == "" || s.and(page).empty() {
			continue
		}
		goesOn = goesOn || on(s.first) && !on(s.last)
		if on(s.last) && s.last != objects[len(objects)-1].id {
			s.open = false
		}
	}
	return goesOn
}

// add adds a stretch with the given objects, newest first. What it has in common with
// other stretches is known already.
func (d *density) add(objects []*object, of window, open bool) {
	made := stretch{window: of, open: open, taken: time.Now()}
	if n := len(objects); n > 0 {
		made.first, made.last = objects[0].id, objects[n-1].id
		made.dense = perSecond(objects)
		made.uneven = crowded(objects) > uneven*made.dense
	}
	if len(d.seen) >= maxStretches {
		d.join()
	}
	if len(d.seen) >= maxStretches || of.empty() {
		return
	}
	d.seen = slices.DeleteFunc(d.seen, func(s stretch) bool { return made.low < s.low && s.high < made.high })
	for i, s := range d.seen {
		switch {
		case s.first == made.first && s.last == made.last && made.first != "": // read twice, from other sides
			d.seen[i].low, d.seen[i].high, d.seen[i].open = min(s.low, made.low), max(s.high, made.high), s.open && made.open
			return
		case made.seconds() == 1: // of a second, a page may have any part
			if s.low < made.low && made.high < s.high {
				return
			}
		case s.low <= made.low && made.high <= s.high:
			return
		case s.low <= made.low && made.low < s.high-1:
			made.low, made.open = s.high-1, false
		case made.high <= s.high && s.low < made.high-1:
			made.high = s.low + 1
		}
	}
	for _, o := range objects {
		if made.has(o.created) {
			made.objects++
		}
	}
	at, _ := slices.BinarySearchFunc(d.seen, made, func(a, b stretch) int { return cmp.Or(cmp.Compare(b.high, a.high), cmp.Compare(b.low, a.low), 1) })
	d.seen = slices.Insert(d.seen, at, made)
}

// perSecond returns how many objects there are in a second, from the oldest to the newest.
func perSecond(objects []*object) float64 {
	n := len(objects)
	return float64(max(n-1, 1)) / float64(max(objects[0].created-objects[n-1].created, 1))
}

// crowded returns how many there are in a second where a quarter of them is closest.
func crowded(objects []*object) (most float64) {
	quarter := max(len(objects)/4, 2)
	for i := quarter; i <= len(objects); i++ {
		most = max(most, perSecond(objects[i-quarter:i]))
	}
	return most
}

// join makes one of every two stretches between which there is no gap.
func (d *density) join() {
	joined := d.seen[:0]
	for i := 0; i < len(d.seen); i++ {
		s := d.seen[i]
		if i+1 < len(d.seen) {
			if older := d.seen[i+1]; s.objects > 0 && older.objects > 0 && older.high >= s.low {
				s.low, s.last, s.open = older.low, older.last, older.open
				s.objects, s.dense, s.uneven = s.objects+older.objects, max(s.dense, older.dense), s.uneven || older.uneven
				i++
			}
		}
		joined = append(joined, s)
	}
	d.seen = joined
}
