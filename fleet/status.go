package fleet

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxGone is how many workers that are gone are remembered.
	maxGone = 10
	// reportAge is how much older than its worker's sample a report may be.
	reportAge = 25 * time.Second
)

// status is what a worker knows of itself and of the others. Its mutex is the innermost
// one.
type status struct {
	worker string
	shards int
	ttl    time.Duration

	mu       sync.Mutex
	started  time.Time
	counts   counts            // of this worker
	own      sample            // the last one of this worker
	noticed  []flowStatus      // with it: its flows that are not all right
	peers    map[string]*peer  // by the id of the session
	gone     []*peer           // whose sessions have ended
	owners   []string          // the sessions that have claimed the shards
	reports  map[string]report // by the worker
	observed time.Time         // when something was observed last
	complete bool              // all records were observed
	history  history
}

// peer is a worker as its session shows it.
type peer struct {
	id, name string
	started  time.Time // when its process called Run, by its clock
	seen     time.Time // when its record was observed last
	sample   sample    // the last one; the zero value before
}

// payload is the value of a session.
type payload struct {
	Started time.Time `json:"started"`
	Leaving bool      `json:"leaving,omitempty"` // the worker drains its shards and ends
	Sample  *sample   `json:"sample,omitempty"`
}

func (s *status) init(cfg Config, now time.Time) {
	s.worker, s.shards, s.ttl, s.started = cfg.Worker, cfg.Shards, cfg.TTL, now.UTC().Round(0)
	s.peers, s.owners, s.reports = map[string]*peer{}, make([]string, cfg.Shards), map[string]report{}
}

// payload returns the value for the session.
func (s *status) payload(leaving bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := payload{Started: s.started, Leaving: leaving}
	if !s.own.At.IsZero() {
		p.Sample = &s.own
	}
	value, _ := json.Marshal(p) // it never fails
	return value
}

// sampled notes a sample of this worker, and the state of the fleet.
func (s *status) sampled(own sample, noticed []flowStatus, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.noticed = own, noticed
	var g gauges
	for _, p := range s.live(now) {
		g.Failing += p.sample.Failing
		g.Parked += p.sample.Parked
		g.Lagging += p.sample.Lagging
	}
	s.history.note(g, now)
}

// observeSession notes the record of a session, and reports whether its worker leaves.
func (s *status) observeSession(id string, value []byte) (leaving bool) {
	var sent payload
	if value != nil && json.Unmarshal(value, &sent) != nil {
		sent = payload{} // of another version: a worker without a sample
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.observed = now
	p := s.peers[id]
	switch {
	case value == nil && p == nil:
		return false
	case value == nil:
		delete(s.peers, id)
		s.gone = append(s.gone, p)
		s.gone = slices.Delete(s.gone, 0, max(0, len(s.gone)-maxGone))
		return false
	case p == nil:
		name, _, _ := strings.Cut(id, ".")
		p = &peer{id: id, name: name, started: sent.Started}
		p.sample = s.lastSample(name, sent.Started)
		s.gone = slices.DeleteFunc(s.gone, func(o *peer) bool { return o.name == name })
		s.peers[id] = p
	}
	p.seen = now
	if sent.Sample == nil || sent.Sample.At.Equal(p.sample.At) || len(sent.Sample.Lags) != len(lagBounds)+1 {
		return sent.Leaving
	}
	counted, took := sent.Sample.since(p.sample)
	s.history.add(counted, took, now)
	p.sample = *sent.Sample
	return sent.Leaving
}

// lastSample returns the last sample of a process that has begun another session.
func (s *status) lastSample(name string, started time.Time) sample {
	for _, p := range append(slices.Collect(maps.Values(s.peers)), s.gone...) {
		if p.name == name && p.started.Equal(started) {
			return p.sample
		}
	}
	return sample{}
}

// since returns what was counted since an earlier sample of the same process, and how
// long that took. Samples between them may not have been observed. If there was none, it
// is what was counted since the worker's sample before.
func (s *sample) since(before sample) (counts, time.Duration) {
	if took := s.At.Sub(before.At); !before.At.IsZero() && took > 0 && s.Total.Requests >= before.Total.Requests {
		return s.Total.since(before.Total), took
	}
	return s.New, time.Duration(s.Seconds * float64(time.Second))
}

func (s *status) observeClaim(shard int, owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed = time.Now()
	if shard >= 0 && shard < len(s.owners) {
		s.owners[shard] = owner
	}
}

func (s *status) observeReport(worker string, value []byte) {
	var r report
	removed := value == nil || json.Unmarshal(value, &r) != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed = time.Now()
	if removed {
		delete(s.reports, worker)
		return
	}
	s.reports[worker] = r
}

// observeAll notes that all records were observed.
func (s *status) observeAll(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed, s.complete = now, true
}

// live returns the workers that live, sorted by name. A session that was not renewed for
// long has ended while nothing was observed. A worker that was started again is there
// once, while the session of its earlier process lasts. The caller holds mu.
func (s *status) live(now time.Time) []peer {
	byName := map[string]*peer{}
	for _, p := range s.peers {
		if now.Sub(p.seen) > 2*s.ttl {
			continue
		}
		if other := byName[p.name]; other == nil || cmp.Or(p.started.Compare(other.started), p.seen.Compare(other.seen)) > 0 {
			byName[p.name] = p
		}
	}
	live := make([]peer, 0, len(byName))
	for _, p := range byName {
		live = append(live, *p)
	}
	slices.SortFunc(live, func(a, b peer) int { return cmp.Compare(a.name, b.name) })
	return live
}

// holders returns the names of the workers that have claimed each shard; "" for none
// that lives. The caller holds mu.
func (s *status) holders(live []peer) []string {
	names := map[string]string{}
	for _, p := range live {
		names[p.id] = p.name
	}
	holders := make([]string, len(s.owners))
	for shard, id := range s.owners {
		holders[shard] = names[id]
	}
	return holders
}

// reported returns the report of a worker. ok is false if it does not tell which flows
// are not all right: it has not arrived, or is too old.
func (s *status) reported(p *peer) (r report, ok bool) {
	switch r = s.reports[p.name]; {
	case p.sample.At.IsZero():
		return report{}, false
	case p.sample.Noticed == 0:
		return report{}, true
	case p.sample.At.Sub(r.At) > reportAge:
		return report{}, false
	}
	return r, r.More == 0
}
