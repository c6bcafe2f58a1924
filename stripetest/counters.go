package stripetest

import (
	"maps"
	"slices"
	"time"
)

// maxSeconds is the number of seconds for which counts are kept. A second
// without requests is not one of them.
const maxSeconds = 3600

// Unrecognized is the route under which [Server.Counts] has the requests that
// match no route of the API.
const Unrecognized = "unrecognized"

// SecondCount is the number of requests that arrived in one second of the
// server's clock.
type SecondCount struct {
	Second time.Time      // the start of the second
	Total  int            // requests of all routes
	Routes map[string]int // requests by route, as in [Server.Counts]
}

// counts holds the numbers of requests.
type counts struct {
	routes  map[string]int
	seconds []SecondCount // by time of their first request
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

// second returns the count of a second, a new one if there is none. After the
// clock was set back, it finds the count made earlier.
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

// routeName returns the route under which a request is counted.
func (c *call) routeName() string {
	if c.route.pattern == "" {
		return Unrecognized
	}
	return c.route.method + " " + c.route.pattern
}

// Count returns the number of requests of a route over all accounts. The route
// is a method and a pattern: "GET /v1/charges/{id}". Refused requests count
// too.
func (s *Server) Count(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.routes[route]
}

// Counts returns the number of requests by route. It has no entry for a route
// without requests. The result is a copy.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.routes == nil {
		return map[string]int{}
	}
	return maps.Clone(s.counts.routes)
}

// CountsPerSecond returns the counts of the last 3,600 seconds that had
// requests, in the order of their first requests. The result is a copy.
func (s *Server) CountsPerSecond() []SecondCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	seconds := slices.Clone(s.counts.seconds[max(len(s.counts.seconds)-maxSeconds, 0):])
	for i := range seconds {
		seconds[i].Routes = maps.Clone(seconds[i].Routes)
	}
	return seconds
}

// Reset forgets all recorded requests and counts. Objects, stored responses and
// faults stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.counts = nil, counts{}
}
