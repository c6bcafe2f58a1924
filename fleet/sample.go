package fleet

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stripekit/stripekit"
)

const (
	// sampleEvery is the time between two samples.
	sampleEvery = 10 * time.Second
	// lagNoticed is the lag from which on a flow is lagging.
	lagNoticed = time.Minute
	// noLag is the lag of a flow without a Poller: it is not known.
	noLag = time.Duration(-1)
)

// lagBounds are the upper bounds of the buckets of sample.Lags. The last bucket has no
// bound.
var lagBounds = []time.Duration{0, time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, time.Hour}

// The conditions of a flow or a connection on the status page, beside its states.
const (
	lagging State = "lagging" // it polls, but its lag is lagNoticed or more
	gaveUp  State = "gave_up" // it polls, and events were given up
	unowned State = "unowned" // no worker holds its shard
	unknown State = "unknown" // its worker has not reported it, or not completely
)

// conditions are all conditions, the worst first.
var conditions = []State{Parked, Failing, lagging, gaveUp, unowned, unknown, Starting, Polling}

// sample is what a worker counts every 10 s. The counters begin when it starts.
type sample struct {
	At          time.Time `json:"at"`          // by the worker's clock
	Shards      int       `json:"shards"`      // that it runs
	Connections int       `json:"connections"` // in its shards
	Flows       int       `json:"flows"`       // triggers of those connections
	Starting    int       `json:"starting"`
	Failing     int       `json:"failing"`
	Parked      int       `json:"parked"`
	Lagging     int       `json:"lagging"`
	GaveUp      int       `json:"gave_up"` // flows in the state gave_up
	Noticed     int       `json:"noticed"` // flows that its report is about
	Unacked     int       `json:"unacknowledged"`
	Lags        []int     `json:"lags"`    // flows by lag; see lagBounds
	MaxLag      int64     `json:"max_lag"` // the largest lag, in ms
	Seconds     float64   `json:"seconds"` // since the sample before; 0 in the first one
	Total       counts    `json:"total"`
	New         counts    `json:"new"` // since the sample before
}

// counts are the counters of a Poller or a worker.
type counts struct {
	Events   uint64 `json:"events"` // delivered
	Requests uint64 `json:"requests"`
	Late     uint64 `json:"late"` // events found after newer ones
	GivenUp  uint64 `json:"given_up"`
}

func (c *counts) add(o counts) {
	c.Events += o.Events
	c.Requests += o.Requests
	c.Late += o.Late
	c.GivenUp += o.GivenUp
}

// since returns the difference to an earlier value.
func (c counts) since(o counts) counts {
	return counts{c.Events - o.Events, c.Requests - o.Requests, c.Late - o.Late, c.GivenUp - o.GivenUp}
}

// flowStatus is the state of a flow of this worker.
type flowStatus struct {
	connection, trigger string
	state               State
	err                 error
	lag                 time.Duration // see poll; noLag without a Poller
	unacked             int
	givenUp             uint64
}

// condition returns the state as the status page shows it.
func (s *flowStatus) condition() State {
	switch {
	case s.state != Polling:
		return s.state
	case s.lag >= lagNoticed:
		return lagging
	case s.givenUp > 0:
		return gaveUp
	}
	return Polling
}

// poll fills in what the Poller says. The lag is the age of the oldest event that is not
// acknowledged, or how long a poll is overdue.
func (s *flowStatus) poll(p *stripekit.PollStatus, began, now time.Time, every time.Duration) {
	since := began
	if p.LastPoll.After(began) {
		since = p.LastPoll
	}
	s.lag = max(p.Lag, now.Sub(since)-2*cmp.Or(every, 15*time.Second), 0)
	s.unacked, s.givenUp = p.Unacked, p.GivenUp
	s.state = Polling
	for _, err := range []error{p.LastError, p.HandlerErr, p.SaveErr} {
		if err != nil {
			s.state, s.err = Failing, err
			return
		}
	}
}

// status returns the present state of a flow, and whether the service refuses its key.
func (fl *flow) status(now time.Time) (s flowStatus, refused bool) {
	fl.mu.Lock()
	p, phase, err, began := fl.poller, fl.phase, fl.err, fl.began
	fl.mu.Unlock()
	s = flowStatus{connection: fl.conn.spec.Name, trigger: fl.trigger.Name, state: Starting, lag: noLag}
	if p != nil {
		polls := p.Status()
		fl.count(polls)
		s.poll(&polls, began, now, fl.trigger.Every)
		return s, errors.Is(polls.LastError, stripekit.ErrAuthentication)
	}
	switch phase {
	case waiting:
		s.state = Failing
	case parked:
		s.state = Parked
	}
	s.err = err
	return s, false
}

// count adds what a Poller has counted since the last call.
func (fl *flow) count(p stripekit.PollStatus) {
	s := &fl.conn.shard.worker.status
	now := counts{p.Delivered, p.Requests, p.Late, p.GivenUp}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.add(now.since(fl.counted))
	fl.counted = now
}

// sweep takes a sample regularly, and reports what is not all right.
func (w *worker) sweep() {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	var before sample
	var revision uint64 // of the report
	for {
		sample, noticed := w.sample(before)
		w.status.sampled(sample, noticed, time.Now())
		before = sample
		revision = w.report(sample.At, noticed, revision)
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			return
		}
	}
}

// sample looks at all flows. It returns those that are not all right, the worst first,
// and asks for the keys anew that the service refuses.
func (w *worker) sample(before sample) (sample, []flowStatus) {
	now := time.Now()
	s := sample{At: now.UTC().Round(0), Lags: make([]int, len(lagBounds)+1)}
	var noticed []flowStatus
	w.eachConnection(func(c *connection) {
		s.Connections++
		for _, fl := range c.flows {
			st, refused := fl.status(now)
			if refused {
				c.renewKey(now)
			}
			s.add(&st)
			if st.condition() != Polling {
				noticed = append(noticed, st)
			}
		}
	})
	w.mu.Lock()
	s.Shards = len(w.shards)
	w.mu.Unlock()
	w.status.mu.Lock()
	s.Total = w.status.counts
	w.status.mu.Unlock()
	s.Noticed = len(noticed)
	if !before.At.IsZero() {
		s.Seconds, s.New = now.Sub(before.At).Seconds(), s.Total.since(before.Total)
	}
	sortByTrouble(noticed)
	return s, noticed
}

// sortByTrouble sorts flows, the worst first.
func sortByTrouble(all []flowStatus) {
	slices.SortFunc(all, func(a, b flowStatus) int {
		return cmp.Or(cmp.Compare(rank(a.condition()), rank(b.condition())), cmp.Compare(b.lag, a.lag),
			strings.Compare(a.connection, b.connection), strings.Compare(a.trigger, b.trigger))
	})
}

// rank returns how bad a condition is: 0 is the worst. A newer version may report others.
func rank(condition State) int {
	if i := slices.Index(conditions, condition); i >= 0 {
		return i
	}
	return slices.Index(conditions, unknown)
}

func (s *sample) add(st *flowStatus) {
	s.Flows++
	s.Unacked += st.unacked
	switch st.condition() {
	case Starting:
		s.Starting++
	case Failing:
		s.Failing++
	case Parked:
		s.Parked++
	case lagging:
		s.Lagging++
	case gaveUp:
		s.GaveUp++
	}
	if st.lag == noLag {
		return
	}
	bucket, _ := slices.BinarySearch(lagBounds, st.lag)
	s.Lags[bucket]++
	s.MaxLag = max(s.MaxLag, st.lag.Milliseconds())
}

func (w *worker) eachConnection(f func(*connection)) {
	w.mu.Lock()
	shards := slices.Collect(maps.Values(w.shards))
	w.mu.Unlock()
	for _, s := range shards {
		for _, c := range s.all() {
			f(c)
		}
	}
}
