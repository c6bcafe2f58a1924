package stripesql

import (
	"cmp"
	"math"
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

// gap is a window between two stretches, of which nothing is known.
type gap struct {
	window
	newer, older *stretch // nil at the ends of time
	objects      guess    // how many there may be
}

// gaps returns the gaps within a window, the newest first.
func (d *density) gaps(w window) []gap {
	var gaps []gap
	of := d.character()
	high, newer := int64(endOfStamps), (*stretch)(nil)
	add := func(low int64, older *stretch) {
		g := gap{window: w.and(window{low, high}), newer: newer, older: older}
		if !g.empty() {
			g.objects = g.guess(of)
			gaps = append(gaps, g)
		}
	}
	for i := range d.seen {
		s := &d.seen[i]
		add(s.high, s)
		high, newer = s.low, s
	}
	add(0, nil)
	return gaps
}

// character is what the stretches of a list say of it together.
type character struct {
	bursts bool    // there are pauses between its objects
	rate   float64 // objects per second
}

// character returns what is known of a list, but for the time before its oldest object
// and that after its newest.
func (d *density) character() (c character) {
	objects, seconds, stretches, pauses := 0, int64(0), 0, 0
	for i, s := range d.seen {
		if s.objects == 0 && (i == 0 || i >= len(d.seen)-1 || d.seen[i+1].objects == 0) {
			continue
		}
		objects, seconds, stretches = objects+s.objects, seconds+s.seconds(), stretches+1
		if s.uneven || s.dense > uneven*s.rate() {
			pauses++
		}
	}
	return character{bursts: 4*pauses > stretches, rate: float64(objects) / float64(max(seconds, 1))}
}

// guess estimates how many objects a gap has.
func (g gap) guess(of character) guess {
	length := float64(g.seconds())
	switch {
	case g.newer == nil && g.older == nil:
		return guess{0, 0, math.Inf(1)}
	case g.newer == nil || g.older == nil:
		known := cmp.Or(g.newer, g.older)
		return guess{0, known.rate() * float64(known.seconds()), math.Inf(1)}
	}
	a, b := g.newer, g.older
	least, most := min(a.rate(), b.rate()), max(a.rate(), b.rate(), a.dense, b.dense)
	likely := float64(a.objects+b.objects) / float64(a.seconds()+b.seconds())
	if of.bursts {
		likely = min(likely, of.rate)
	}
	switch {
	case a.objects*b.objects == 0:
		return guess{0, (a.rate() + b.rate()) / 2 * length, most * length}
	case of.bursts || most > uneven*least:
		return guess{0, min(likely*length+a.further(length), most*length), most * length}
	}
	return guess{least * length, likely * length, most * length}
}

// uneven is how many times denser than another a part of a list is, if it may have
// pauses as well.
const uneven = 4

// further estimates how many objects there are before the oldest of a stretch, as dense
// as those, if a burst may be of any length.
func (s *stretch) further(length float64) float64 {
	return float64(s.objects) * math.Log(1+length*s.dense/float64(s.objects))
}

// count estimates how many objects a window has. It takes the errors of gaps as
// independent.
func (d *density) count(w window) guess {
	total, below, above := 0.0, 0.0, 0.0
	for _, s := range d.seen {
		part := s.and(w)
		if part.empty() {
			continue
		}
		total += float64(s.objects) * float64(part.seconds()) / float64(s.seconds())
		if s.open && s.seconds() == 1 {
			above = math.Inf(1) // a second with more than a page: only reading it tells how many
		}
	}
	certain := total
	for _, g := range d.gaps(w) {
		n := g.objects
		total += n.likely
		below += (n.likely - n.least) * (n.likely - n.least)
		above += (n.most - n.likely) * (n.most - n.likely)
	}
	if d.character().bursts && above > 0 {
		return guess{certain, total, math.Inf(1)}
	}
	return guess{max(total-math.Sqrt(below), certain), total, total + math.Sqrt(above)}
}

// probe returns the second before which the next page would tell most of a window,
// false if enough is known.
func (d *density) probe(w window) (before int64, ok bool) {
	gaps := d.gaps(w)
	if len(gaps) == 0 {
		return 0, false
	}
	newest := d.newest()
	if last := gaps[len(gaps)-1]; last.older != nil && last.older.objects == 0 && last.seconds()-1 > (newest-last.low)/probeShare {
		return last.middle(), true // the beginning of the list
	}
	if d.count(w).sure() {
		return 0, false
	}
	widest := slices.MaxFunc(gaps, func(a, b gap) int {
		return cmp.Compare(a.objects.most-a.objects.least, b.objects.most-b.objects.least)
	})
	switch {
	case widest.newer == nil:
		return widest.high, true
	case widest.older == nil && w.low == 0: // go back by larger and larger steps
		return max(newest-probeFactor*max(newest-widest.high+1, 1), 1), true
	case widest.older == nil:
		return w.low, true
	}
	return widest.middle(), true
}

// newest returns when the newest object was created, 0 if none is known.
func (d *density) newest() int64 {
	i := slices.IndexFunc(d.seen, func(s stretch) bool { return s.objects > 0 })
	if i < 0 {
		return 0
	}
	return d.seen[i].high - 1
}

func (g gap) middle() int64 { return g.low + g.seconds()/2 }

// probeFactor is how many times farther back each probe for the oldest object goes.
const probeFactor = 4

// probeShare is the share of the time of a list in which its beginning is found.
const probeShare = 16

// maxProbes is how many pages of a table the estimates of a statement may take.
const maxProbes = 18

// estimate estimates how many objects a window of a table has in some accounts.
func (q *query) estimate(accounts []*account, t *table, w window) (sum guess, err error) {
	for _, a := range accounts {
		n, err := q.measure(a, t, w)
		if err != nil {
			return guess{}, err
		}
		sum = sum.plus(n)
	}
	return sum, nil
}

// measure estimates how many objects a window of a table has in one account. It probes the
// table unless enough is known.
func (q *query) measure(a *account, t *table, w window) (guess, error) {
	d, key := a.density, objectKey{account: a.name, table: t.name}
	for ; q.probes[key] < maxProbes; q.probes[key]++ {
		before, ok := d.now(t).probe(w)
		if !ok {
			break
		}
		switch _, err := q.sample(a, t, before); {
		case refusesCreated(err):
			q.probes[key] = maxProbes
		case err != nil:
			return guess{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.table(t)
	known.measured = time.Now()
	return known.count(w), nil
}

// isMeasured reports whether a table was measured from its beginning. What scans have read
// does not count: the way to read a join would depend on the statements before it.
func (d *density) isMeasured() bool { return d.oldest() > 0 && time.Since(d.measured) < densityAge }

// oldest returns when the oldest object of a table was created, or a second shortly
// before it; 0 if that is unknown.
func (d *density) oldest() int64 {
	if n := len(d.seen); n > 0 && d.seen[n-1].low == 0 && d.seen[n-1].objects == 0 {
		return d.seen[n-1].high
	}
	return 0
}

// rows estimates how many objects a table has.
func (d *density) rows(t *table) float64 {
	if d.isMeasured() {
		return max(d.count(everything()).likely, 1)
	}
	return float64(t.rows)
}

// share estimates the share of a table's objects that is in a window.
func (d *density) share(t *table, w window) float64 {
	if w.empty() {
		return 0
	}
	if d.isMeasured() {
		return min(1, d.count(w).likely/d.rows(t))
	}
	low, high := w.bounded()
	switch {
	case low && high:
		const lifetime = 3 * 365 * 24 * 3600 // of an account, in seconds
		return min(1, float64(w.seconds())/lifetime)
	case low || high:
		return 1.0 / 3
	}
	return 1
}

type sampleKey struct {
	table string
	high  int64 // the second that the sample ends before
}

// sample is the page of a table right before a second.
type sample struct {
	taken   time.Time
	objects []*object
}

// maxSamples is how many samples are kept. A sample takes about 200 kB.
const maxSamples = 32

// sample returns the objects on the page of a table right before the second high. It makes
// a call unless the page was sampled recently.
func (q *query) sample(a *account, t *table, high int64) ([]*object, error) {
	d, key := a.density, sampleKey{t.name, high}
	d.mu.Lock()
	known := d.samples[key]
	d.mu.Unlock()
	if time.Since(known.taken) < densityAge {
		return known.objects, nil
	}
	s := &spec{accounts: []*account{a}, table: t, how: byList, filters: t.constant(), window: window{0, high}}
	p, err := q.page(s, s.request())
	if err != nil {
		return nil, err
	}
	q.report(len(p.objects), 0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.samples) >= maxSamples {
		clear(d.samples)
	}
	d.samples[key] = sample{taken: time.Now(), objects: p.objects}
	return p.objects, nil
}
