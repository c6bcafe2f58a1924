package listing

import (
	"math"
	"sync"
	"time"
)

const (
	// unlimitedLanes is how many requests read a list at the same time if the
	// client has no rate limit. With one it is between minLanes and maxLanes.
	unlimitedLanes = 16
	minLanes       = 4
	maxLanes       = 64

	// bufferTime is the time in which the rate limit allows enough requests to fill
	// the buffer, which is between minBuffer and maxBuffer objects.
	bufferTime = 4 * time.Second
	minBuffer  = 16_000
	maxBuffer  = 40_000
)

// Lanes computes how many requests read a list at the same time: as many as the
// rate limit allows in the duration of one request, and some more for the time
// between two requests.
type Lanes struct {
	rate  float64 // requests a second; 0 is no limit
	given bool    // the caller has set n, and it does not change

	mu      sync.Mutex
	latency time.Duration
	n       int
}

// NewLanes returns the lanes for a rate limit, in requests a second; 0 is no limit. If n
// is not 0, there are always n.
func NewLanes(rate float64, n int) *Lanes {
	rate = min(rate, math.MaxFloat64) // infinity times a latency of 0 is no number
	l := &Lanes{rate: rate, given: n > 0, n: n}
	switch {
	case l.given:
	case l.rate > 0:
		l.n = minLanes
	default:
		l.n = unlimitedLanes
	}
	return l
}

// Count returns the number of lanes.
func (l *Lanes) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// Buffer returns how many objects to hold so that all lanes are busy.
func (l *Lanes) Buffer() int {
	return int(min(max(l.rate*bufferTime.Seconds()*PageSize, minBuffer), maxBuffer))
}

// Observe records how long a request took. It returns the number of lanes, and
// reports whether it has changed.
func (l *Lanes) Observe(latency time.Duration) (n int, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given || l.rate == 0 {
		return l.n, false
	}
	if l.latency == 0 {
		l.latency = latency
	}
	l.latency += (latency - l.latency) / 16
	n = int(min(max(l.rate*l.latency.Seconds()*1.25+3, minLanes), maxLanes))
	changed = n != l.n
	l.n = n
	return n, changed
}
