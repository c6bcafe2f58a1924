package stripesql

import (
	"sync"
	"time"
)

// densityAge is how long measured densities are used.
const densityAge = 10 * time.Minute

// densities holds what was measured of how many objects the tables have, and
// when they were created. It costs API calls, so it is measured only for
// EXPLAIN QUERY PLAN and for the progress of long scans. All connections of a
// connector share it.
type densities struct {
	mu      sync.Mutex
	samples map[sampleKey]*sample
	surveys map[string]*survey // by table
}

type sampleKey struct {
	table string
	high  int64 // the second that the sample ends before
}

func newDensities() *densities {
	return &densities{samples: map[sampleKey]*sample{}, surveys: map[string]*survey{}}
}

// sample is the page of a table right before a second.
type sample struct {
	taken   time.Time
	objects []*object // those with a time
	more    bool
}

// newest returns the time of the newest object. The sample must not be empty.
func (s *sample) newest() int64 { return s.objects[0].created }

// oldest returns the time of the oldest object. The sample must not be empty.
func (s *sample) oldest() int64 { return s.objects[len(s.objects)-1].created }

// rate returns the objects per second. The sample must not be empty.
func (s *sample) rate() float64 {
	return float64(max(len(s.objects)-1, 1)) / float64(max(s.newest()-s.oldest(), 1))
}

// sample returns the page of a table right before the second high. It makes a
// call unless the page was sampled recently.
func (q *query) sample(t *table, high int64) (*sample, error) {
	d, key := q.source.density, sampleKey{t.name, high}
	d.mu.Lock()
	known := d.samples[key]
	d.mu.Unlock()
	if known != nil && time.Since(known.taken) < densityAge {
		return known, nil
	}
	s := &spec{table: t, how: byList, window: window{0, high}}
	p, err := q.page(t, s.request())
	if err != nil {
		return nil, err
	}
	q.report(len(p.objects), 0)
	made := &sample{taken: time.Now(), more: p.more}
	for _, o := range p.objects {
		if o.dated {
			made.objects = append(made.objects, o)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.samples) >= maxSamples {
		clear(d.samples)
	}
	d.samples[key] = made
	return made, nil
}

// maxSamples is how many samples are kept. A sample takes about 200 kB.
const maxSamples = 32

// survey is an estimate of how the objects of a whole table are spread over
// time.
type survey struct {
	taken time.Time
	// points are the rates at some times, the newest first. Between two points
	// the rate is taken to change evenly.
	points []point
	total  float64 // estimated number of objects
}

type point struct {
	at   int64
	rate float64 // objects per second
}

// newest returns when the newest object of the survey was created. A few
// objects may be newer.
func (s *survey) newest() int64 { return s.points[0].at }

// oldest returns when the oldest object of the survey was created. A few
// objects may be older.
func (s *survey) oldest() int64 { return s.points[len(s.points)-1].at }

// count estimates how many objects a window has.
func (s *survey) count(w window) float64 {
	sum := 0.0
	for i := 1; i < len(s.points); i++ {
		newer, older := s.points[i-1], s.points[i]
		high, low := min(newer.at, w.high), max(older.at, w.low)
		if high > low {
			rate := func(at int64) float64 {
				return older.rate + (newer.rate-older.rate)*float64(at-older.at)/float64(newer.at-older.at)
			}
			sum += (rate(high) + rate(low)) / 2 * float64(high-low)
		}
	}
	return sum
}

// surveyOf returns the survey of a table, nil if there is none or it is too
// old.
func (d *densities) surveyOf(t *table) *survey {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.surveys[t.name]; s != nil && time.Since(s.taken) < densityAge {
		return s
	}
	return nil
}

// surveyor makes a survey. It goes back in time by larger and larger steps
// until there is nothing older. Then it bisects the last step to find the
// oldest object.
type surveyor struct {
	query *query
	table *table
	made  survey
	empty int64 // no object was created before this second
	ended bool  // the oldest object was seen
}

// The steps of a surveyor.
const (
	surveyFactor = 4 // how many times farther back each step goes
	surveyBisect = 4 // the maximum number of bisections
)

// survey measures a table. The number of calls grows with the logarithm of its
// size: 12 for a million objects. It returns nil if the table is empty.
func (q *query) survey(t *table) (*survey, error) {
	if known := q.source.density.surveyOf(t); known != nil {
		return known, nil
	}
	head, err := q.sample(t, endOfStamps)
	if err != nil || len(head.objects) == 0 {
		return nil, err
	}
	s := &surveyor{query: q, table: t}
	s.add(head)
	if err := s.goBack(); err != nil {
		return nil, err
	}
	if err := s.lookCloser(); err != nil {
		return nil, err
	}
	s.made.taken = time.Now()
	s.made.total = s.made.count(everything()) + 1
	d := q.source.density
	d.mu.Lock()
	defer d.mu.Unlock()
	d.surveys[t.name] = &s.made
	return &s.made, nil
}

// add adds a sample to the survey. It must be older than all before it.
func (s *surveyor) add(found *sample) {
	rate := found.rate()
	s.made.points = append(s.made.points, point{found.newest(), rate}, point{found.oldest(), rate})
	s.ended = !found.more
}

// visit samples the table before a second.
func (s *surveyor) visit(high int64) (*sample, error) {
	found, err := s.query.sample(s.table, high)
	if err != nil || len(found.objects) == 0 {
		return nil, err
	}
	if older := high - found.newest(); float64(older)*found.rate() > 2 && s.made.oldest() > high {
		// There is nothing between high and the newest object before it.
		s.made.points = append(s.made.points, point{high, 0}, point{found.newest(), 0})
	}
	s.add(found)
	return found, nil
}

func (s *surveyor) goBack() error {
	newest := s.made.newest()
	step := max(newest-s.made.oldest(), 1)
	for !s.ended {
		step = max(step*surveyFactor, newest-s.made.oldest())
		if step >= newest {
			return nil // beyond 1970
		}
		found, err := s.visit(newest - step)
		if err != nil {
			return err
		}
		if found == nil {
			s.empty = newest - step
			return nil
		}
	}
	return nil
}

func (s *surveyor) lookCloser() error {
	for range surveyBisect {
		if s.ended {
			return nil
		}
		middle := s.empty + (s.made.oldest()-s.empty)/2
		found, err := s.visit(middle)
		if err != nil {
			return err
		}
		if found == nil {
			s.empty = middle
		}
	}
	return nil
}

// rows estimates how many objects a table has.
func (d *densities) rows(t *table) float64 {
	if s := d.surveyOf(t); s != nil {
		return s.total
	}
	return float64(t.rows)
}

// share estimates the share of a table's objects that is in a window.
func (d *densities) share(t *table, w window) float64 {
	if w.empty() {
		return 0
	}
	if s := d.surveyOf(t); s != nil {
		return min(1, s.count(w)/s.total)
	}
	low, high := w.bounded()
	switch {
	case low && high:
		const lifetime = 3 * 365 * 24 * 3600 // of an account, in seconds
		return min(1, float64(w.high-w.low)/lifetime)
	case low || high:
		return 1.0 / 3
	}
	return 1
}

// oldest returns when the oldest object of a table was created, 0 if unknown.
func (d *densities) oldest(t *table) int64 {
	if s := d.surveyOf(t); s != nil {
		return s.oldest()
	}
	return 0
}

// estimate estimates how many objects a window of a table has. It may make
// calls.
func (q *query) estimate(t *table, w window) (float64, error) {
	if w.empty() {
		return 0, nil
	}
	if s := q.source.density.surveyOf(t); s != nil {
		return s.count(w), nil
	}
	high, err := q.sample(t, w.high)
	if err != nil || len(high.objects) == 0 {
		return 0, err
	}
	inside := 0.0
	for _, o := range high.objects {
		if o.created >= w.low {
			inside++
		}
	}
	if !high.more || high.oldest() < w.low {
		return inside, nil
	}
	if low, _ := w.bounded(); low {
		other, err := q.sample(t, w.low)
		if err != nil {
			return 0, err
		}
		if len(other.objects) > 0 {
			return inside + (high.rate()+other.rate())/2*float64(high.oldest()-w.low), nil
		}
	}
	s, err := q.survey(t)
	if err != nil || s == nil {
		return 0, err
	}
	return s.count(w), nil
}
