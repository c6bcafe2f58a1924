package fleet

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// listQuery selects connections.
type listQuery struct {
	Q     string // a part of the name; in any case of letters
	State State  // a condition, or inTrouble, or "" for all
	After string // the name after which the list begins
	Limit int
	Worst bool // the worst first, instead of sorted by name; After has no meaning
}

// inTrouble selects the connections that are worse than unknown.
const inTrouble State = "trouble"

// listing is connections: the JSON of api/connections.
type listing struct {
	Connections []connectionStatus `json:"connections"`
	Matches     int                `json:"matches"` // how many have the name and the state
	// States are how many have the name, by state, those of all states.
	States map[State]int `json:"states"`
	// Next is for the parameter after: there are more connections.
	Next string `json:"next,omitempty"`
}

// connectionStatus is a connection. Its state is that of its worst flow.
type connectionStatus struct {
	Name    string       `json:"name"`
	State   State        `json:"state"`
	Worker  string       `json:"worker,omitempty"`
	Shard   int          `json:"shard"`
	Error   string       `json:"error,omitempty"`
	Lag     *float64     `json:"lag_seconds,omitempty"` // the largest; nil if none is known
	Unacked int          `json:"unacknowledged"`
	GivenUp uint64       `json:"given_up"`
	Exact   bool         `json:"exact"` // it is as of now, not as of its worker's last report
	Flows   []flowReport `json:"flows"`
}

// addFlow adds a flow.
func (c *connectionStatus) addFlow(fl flowReport) {
	fl.Connection = ""
	c.Flows = append(c.Flows, fl)
	if c.State == "" || rank(fl.State) < rank(c.State) {
		c.State, c.Error = fl.State, fl.Error
	}
	if fl.Lag != nil && (c.Lag == nil || *fl.Lag > *c.Lag) {
		c.Lag = fl.Lag
	}
	c.Unacked += fl.Unacked
	c.GivenUp += fl.GivenUp
}

// standing is what this process knows of the connections of a worker.
type standing struct {
	worker  string // "" if no worker holds the shard
	own     bool
	trouble map[string]*connectionStatus
	others  State // of the connections without trouble
}

func (s *standing) add(fl flowReport) {
	c := s.trouble[fl.Connection]
	if c == nil {
		c = &connectionStatus{Name: fl.Connection}
		s.trouble[fl.Connection] = c
	}
	c.addFlow(fl)
}

// standings returns the standing of the holder of each shard.
func (s *status) standings(now time.Time) []*standing {
	s.mu.Lock()
	live := s.live(now)
	holders := s.holders(live)
	noticed := s.noticed
	byName := map[string]*standing{"": {others: unowned}}
	for i := range live {
		p := &live[i]
		st := &standing{worker: p.name, own: p.name == s.worker, trouble: map[string]*connectionStatus{}, others: Polling}
		byName[p.name] = st
		if st.own {
			continue
		}
		r, complete := s.reported(p)
		if !complete {
			st.others = unknown
		}
		for _, fl := range r.Flows {
			st.add(fl)
		}
	}
	s.mu.Unlock()
	if own := byName[s.worker]; own != nil {
		for i := range noticed {
			fl := &noticed[i]
			// The error is not needed: what is listed is looked at again.
			own.add(flowReport{Connection: fl.connection, State: fl.condition(), Lag: lagSeconds(fl.lag), GivenUp: fl.givenUp})
		}
	}
	all := make([]*standing, len(holders))
	for shard, name := range holders {
		all[shard] = byName[name]
	}
	return all
}

// candidate is a connection that may be listed.
type candidate struct {
	shard, i int // its place in the names
	name     string
	rank     int // of its state
	lag      float64
}

// list returns the connections that q selects.
func (w *worker) list(q listQuery, now time.Time) *listing {
	standings, names := w.status.standings(now), w.connectionNames()
	l := &listing{Connections: []connectionStatus{}, States: map[State]int{}}
	best := selection{limit: q.Limit + 1, worst: q.Worst}
	match := newMatcher(q.Q)
	selected, found := make([]bool, len(conditions)), make([]int, len(conditions))
	for i, condition := range conditions {
		selected[i] = q.State.selects(condition)
	}
	for shard, inShard := range names {
		st := standings[shard]
		others := rank(st.others)
		for i := range inShard.len() {
			c := candidate{shard: shard, i: i, name: inShard.name(i), rank: others}
			if !match.matches(c.name) {
				continue
			}
			if len(st.trouble) > 0 {
				st.assess(&c)
			}
			found[c.rank]++
			if selected[c.rank] && (q.Worst || c.name > q.After) {
				best.add(c)
			}
		}
	}
	for i, n := range found {
		l.States[conditions[i]] = n
		if selected[i] {
			l.Matches += n
		}
	}
	chosen := best.sorted()
	if len(chosen) > q.Limit {
		chosen = chosen[:q.Limit]
		if !q.Worst {
			l.Next = chosen[q.Limit-1].name
		}
	}
	for _, c := range chosen {
		d, ok := w.describe(c, names[c.shard].keys[c.i], standings[c.shard], now)
		if ok && q.State.selects(d.State) {
			l.Connections = append(l.Connections, d)
		}
	}
	return l
}

// assess fills in what is known of the trouble of a connection.
func (s *standing) assess(c *candidate) {
	if known := s.trouble[c.name]; known != nil {
		c.rank = rank(known.State)
		if known.Lag != nil {
			c.lag = *known.Lag
		}
	}
}

func (s State) selects(condition State) bool {
	return s == "" || s == condition || s == inTrouble && rank(condition) < rank(unknown)
}

// describe returns the state of a connection in detail, or false if it was removed.
func (w *worker) describe(c candidate, key string, st *standing, now time.Time) (connectionStatus, bool) {
	d := connectionStatus{Name: c.name, Shard: c.shard, Worker: st.worker, Exact: st.own, Flows: []flowReport{}}
	w.mu.Lock()
	value := w.directory.byShard[c.shard][key].value
	w.mu.Unlock()
	if value == nil {
		return d, false
	}
	if st.own {
		for _, fl := range w.exact(c.shard, key, now) {
			d.addFlow(fl.report())
		}
		d.State = cmp.Or(d.State, Starting) // the shard does not have it yet
		return d, true
	}
	var spec Spec
	_ = json.Unmarshal(value, &spec) // a record that cannot be read has no triggers
	for _, t := range spec.Triggers {
		d.addFlow(st.flow(d.Name, t.Name))
	}
	d.State = cmp.Or(d.State, st.others)
	return d, true
}

// flow returns the flow of a trigger.
func (s *standing) flow(connection, trigger string) flowReport {
	if known := s.trouble[connection]; known != nil {
		for _, fl := range known.Flows {
			if fl.Trigger == trigger {
				return fl
			}
		}
	}
	return flowReport{Trigger: trigger, State: s.others}
}

// exact returns the flows of a connection that this worker runs.
func (w *worker) exact(shard int, key string, now time.Time) (all []flowStatus) {
	w.mu.Lock()
	s := w.shards[shard]
	w.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	c := s.byKey[key]
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	for _, fl := range c.flows {
		st, _ := fl.status(now)
		all = append(all, st)
	}
	return all
}

// selection keeps the first candidates of a list.
type selection struct {
	limit int
	worst bool
	kept  []candidate // not sorted
	full  bool
	last  candidate // the worst of limit candidates, if full
}

func (s *selection) compare(a, b *candidate) int {
	if s.worst {
		if c := cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.lag, a.lag)); c != 0 {
			return c
		}
	}
	return strings.Compare(a.name, b.name)
}

func (s *selection) add(c candidate) {
	if s.full && s.compare(&c, &s.last) >= 0 {
		return
	}
	s.kept = append(s.kept, c)
	if len(s.kept) >= 4*s.limit {
		s.sorted()
	}
}

// sorted returns the first candidates, sorted.
func (s *selection) sorted() []candidate {
	slices.SortFunc(s.kept, func(a, b candidate) int { return s.compare(&a, &b) })
	if len(s.kept) >= s.limit {
		s.kept = s.kept[:s.limit]
		s.full, s.last = true, s.kept[s.limit-1]
	}
	return s.kept
}
