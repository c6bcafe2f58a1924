package stripetest

import (
	"maps"
	"slices"
	"time"
)

// maxSeconds is how many seconds with requests are kept.
const maxSeconds = 3600

// Unrecognized is the route under which requests that fit none are counted.
const Unrecognized = "unrecognized"

// SecondCount is how many requests came in one second of the server's clock.
type SecondCount struct {
	Second time.Time
	Total  int
	Routes map[string]int // by route, as in [Server.Counts]
}

// counts are of the requests dealt with.
type counts struct {
	routes  map[string]int
	seconds []SecondCount // in the order they began
}

func (n *counts) add(route string, at time.Time) {
	if n.routes == nil {
		n.routes = make(map[string]int)
	}
	n.routes[route]++
	second := n.second(at.Truncate(time.Second))
	second.Total++
	second.Routes[route]++
}

// second finds the count of a second, a new one if there is none. A clock that
// goes backwards finds the one it made earlier.
func (n *counts) second(at time.Time) *SecondCount {
	for i, known := range slices.Backward(n.seconds) {
		if known.Second.Equal(at) {
			return &n.seconds[i]
		}
		if known.Second.Before(at) {
			break
		}
	}
	if len(n.seconds) >= 2*maxSeconds {
		n.seconds = slices.Clone(n.seconds[len(n.seconds)-maxSeconds:])
	}
	n.seconds = append(n.seconds, SecondCount{Second: at, Routes: make(map[string]int)})
	return &n.seconds[len(n.seconds)-1]
}

// routeName is how a call is counted.
func (c *call) routeName() string {
	if c.route.pattern == "" {
		return Unrecognized
	}
	return c.route.method + " " + c.route.pattern
}

// Count returns how many requests a route has had, in all accounts, refused
// ones included: "GET /v1/charges/{id}".
func (s *Server) Count(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.routes[route]
}

// Counts returns how many requests each route has had. A route without any is
// not in it. The result is a copy.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.routes == nil {
		return map[string]int{}
	}
	return maps.Clone(s.counts.routes)
}

// CountsPerSecond returns the counts of the last seconds in which requests
// came, an hour's worth at most, in the order in which they began. The result
// is a copy.
func (s *Server) CountsPerSecond() []SecondCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	seconds := slices.Clone(s.counts.seconds[max(len(s.counts.seconds)-maxSeconds, 0):])
	for i := range seconds {
		seconds[i].Routes = maps.Clone(seconds[i].Routes)
	}
	return seconds
}

// Reset forgets the requests recorded and counted so far. Objects, stored
// answers and faults stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.counts = nil, counts{}
}
