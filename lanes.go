package stripekit

import (
	"sync"
	"time"
)

const (
	// unlimitedLanes is how many requests read a list side by side where the
	// client has no rate limit; else it is between minLanes and maxLanes.
	unlimitedLanes = 16
	minLanes       = 4
	maxLanes       = 64
)

// lanes is how many requests read a list side by side: as many as the rate limit
// allows in the time that one takes, and some for the time between two.
type lanes struct {
	rate float64 // requests a second; 0: n is given

	mu      sync.Mutex
	latency time.Duration
	n       int
}

// newLanes makes lanes of a number; 0 is to be found.
func newLanes(c *Client, n int) *lanes {
	l := &lanes{n: n}
	if n > 0 {
		return l
	}
	if l.rate = c.current.Load().transport.Rate(); l.rate > 0 {
		l.n = minLanes
	} else {
		l.n = unlimitedLanes
	}
	return l
}

func (l *lanes) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// answered takes notice of how long a request took, and reports whether the number
// has changed.
func (l *lanes) answered(latency time.Duration) (n int, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return l.n, false
	}
	if l.latency == 0 {
		l.latency = latency
	}
	l.latency += (latency - l.latency) / 16
	n = int(min(max(1.25*l.rate*l.latency.Seconds()+3, minLanes), maxLanes))
	changed = n != l.n
	l.n = n
	return n, changed
}
