package fleet

import (
	"time"
)

// overview is the fleet as a process has observed it: the JSON of api/overview.
type overview struct {
	Running  bool      `json:"running"` // the process runs the fleet
	At       time.Time `json:"at"`
	Worker   string    `json:"worker"`   // the process
	Since    time.Time `json:"since"`    // when the process has begun to observe
	Complete bool      `json:"complete"` // it has observed all records once
	// Observed is how long ago the process has observed a record. It is less than the
	// TTL while the engine can be reached.
	Observed float64 `json:"observed_seconds_ago"`
	Stale    bool    `json:"stale"` // it is not

	Shards      shardCounts      `json:"shards"`
	Connections connectionCounts `json:"connections"`
	Flows       flowCounts       `json:"flows"`
	Lags        []lagCount       `json:"lags"`
	MaxLag      float64          `json:"max_lag_seconds"`
	Unacked     int              `json:"unacknowledged"`
	Events      float64          `json:"events_per_second"`
	Requests    float64          `json:"requests_per_second"`
	LastHour    hourCounts       `json:"last_hour"`
	Workers     []workerStatus   `json:"workers"`
	History     []point          `json:"history"`
}

type shardCounts struct {
	Total   int `json:"total"`
	Unowned int `json:"unowned"` // no worker that lives holds them
}

type connectionCounts struct {
	Total   int `json:"total"`
	Run     int `json:"run"`     // by the workers, as of their last samples
	Unowned int `json:"unowned"` // in shards that no worker holds
}

// flowCounts has each flow that a worker runs once, by its condition.
type flowCounts struct {
	Total    int `json:"total"`
	Starting int `json:"starting"`
	Polling  int `json:"polling"`
	Failing  int `json:"failing"`
	Parked   int `json:"parked"`
	Lagging  int `json:"lagging"`
	GaveUp   int `json:"gave_up"`
}

func (c *flowCounts) add(s *sample) {
	c.Total += s.Flows
	c.Starting += s.Starting
	c.Failing += s.Failing
	c.Parked += s.Parked
	c.Lagging += s.Lagging
	c.GaveUp += s.GaveUp
	c.Polling = c.Total - c.Starting - c.Failing - c.Parked - c.Lagging - c.GaveUp
}

// lagCount is a bucket of the histogram.
type lagCount struct {
	UpTo  *float64 `json:"up_to_seconds"` // nil for the last one
	Flows int      `json:"flows"`
}

// hourCounts is what the process has observed within the last hour.
type hourCounts struct {
	Events   float64 `json:"events"`
	Requests float64 `json:"requests"`
	Late     float64 `json:"late"`
	GivenUp  float64 `json:"given_up"`
}

// workerStatus is a worker, or one whose session has ended within the last hour.
type workerStatus struct {
	Name        string    `json:"name"`
	State       string    `json:"state"`
	Heartbeat   float64   `json:"heartbeat_seconds_ago"` // when it was observed
	Started     time.Time `json:"started,omitzero"`
	Shards      int       `json:"shards"` // that it has claimed
	Connections int       `json:"connections"`
	Flows       int       `json:"flows"`
	Starting    int       `json:"starting"`
	Failing     int       `json:"failing"`
	Parked      int       `json:"parked"`
	Lagging     int       `json:"lagging"`
	GaveUp      int       `json:"gave_up"`
	MaxLag      float64   `json:"max_lag_seconds"`
	Events      float64   `json:"events_per_second"`
	Requests    float64   `json:"requests_per_second"`
	Unreported  int       `json:"unreported"` // flows that are not all right, and not in its report
}

// The states of a worker.
const (
	workerAlive  = "alive"
	workerSilent = "silent" // it has missed heartbeats
	workerGone   = "gone"   // its session has ended
)

// overview returns what the worker knows of the fleet.
func (w *worker) overview(now time.Time) *overview {
	w.mu.Lock()
	byShard := make([]int, len(w.directory.byShard))
	for shard, records := range w.directory.byShard {
		byShard[shard] = len(records)
	}
	w.mu.Unlock()

	s := &w.status
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &overview{
		Running: true, At: now.UTC(), Worker: s.worker, Since: s.started, Complete: s.complete,
		Observed: secondsSince(s.observed, now), Stale: now.Sub(s.observed) > s.ttl,
		LastHour: hourCounts(s.history.sum(now)), History: s.history.points(s.started, now),
		Workers: []workerStatus{},
	}
	live := s.live(now)
	claimed := map[string]int{}
	o.Shards.Total = s.shards
	for shard, name := range s.holders(live) {
		o.Connections.Total += byShard[shard]
		if name == "" {
			o.Shards.Unowned++
			o.Connections.Unowned += byShard[shard]
		}
		claimed[name]++
	}
	o.addWorkers(s, live, claimed, now)
	return o
}

// addWorkers adds the workers, and what they have counted.
func (o *overview) addWorkers(s *status, live []peer, claimed map[string]int, now time.Time) {
	lags := make([]int, len(lagBounds)+1)
	for i := range live {
		p := &live[i]
		ws := newWorkerStatus(p, now)
		ws.Shards = claimed[p.name]
		if now.Sub(p.seen) > s.ttl/2 {
			ws.State = workerSilent
		}
		if r, ok := s.reported(p); !ok {
			ws.Unreported = max(p.sample.Noticed-len(r.Flows), 0)
		}
		o.Workers = append(o.Workers, ws)
		o.Connections.Run += p.sample.Connections
		o.Flows.add(&p.sample)
		o.Unacked += p.sample.Unacked
		o.MaxLag = max(o.MaxLag, ws.MaxLag)
		o.Events += ws.Events
		o.Requests += ws.Requests
		for bucket, n := range p.sample.Lags {
			lags[bucket] += n
		}
	}
	for _, p := range s.gone {
		if now.Sub(p.seen) < historyTime {
			ws := newWorkerStatus(p, now)
			o.Workers = append(o.Workers, workerStatus{
				Name: ws.Name, State: workerGone, Started: ws.Started, Heartbeat: ws.Heartbeat,
			})
		}
	}
	for bucket, n := range lags {
		next := lagCount{Flows: n}
		if bucket < len(lagBounds) {
			next.UpTo = new(lagBounds[bucket].Seconds())
		}
		o.Lags = append(o.Lags, next)
	}
}

func newWorkerStatus(p *peer, now time.Time) workerStatus {
	ws := workerStatus{
		Name: p.name, State: workerAlive, Heartbeat: secondsSince(p.seen, now), Started: p.started,
		Connections: p.sample.Connections, Flows: p.sample.Flows,
		Starting: p.sample.Starting, Failing: p.sample.Failing, Parked: p.sample.Parked,
		Lagging: p.sample.Lagging, GaveUp: p.sample.GaveUp, MaxLag: float64(p.sample.MaxLag) / 1000,
	}
	if p.sample.Seconds > 0 {
		ws.Events = float64(p.sample.New.Events) / p.sample.Seconds
		ws.Requests = float64(p.sample.New.Requests) / p.sample.Seconds
	}
	return ws
}

func secondsSince(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(max(now.Sub(t), 0).Milliseconds()) / 1000
}
