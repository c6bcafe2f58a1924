package stripekit

import (
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
)

const (
	// unlimitedLanes is how many requests read a list side by side where the
	// client has no rate limit; else it is between minLanes and maxLanes.
	unlimitedLanes = 16
	minLanes       = 4
	maxLanes       = 64

	// bufferTime is for how long the rate limit allows pages of a buffer, which is
	// between minBuffer and maxBuffer objects.
	bufferTime = 4 * time.Second
	minBuffer  = 16_000
	maxBuffer  = 40_000
)

// lanes is how many requests read a list side by side: as many as the rate limit
// allows in the time that one takes, and some for the time between two.
type lanes struct {
	rate  float64 // requests a second; 0 is no limit
	given bool    // n does not change

	mu      sync.Mutex
	latency time.Duration
	n       int
}

// newLanes makes lanes of a number; 0 is to be found.
func newLanes(c *Client, n int) *lanes {
	l := &lanes{rate: c.current.Load().transport.Rate(), given: n > 0, n: n}
	switch {
	case l.given:
	case l.rate > 0:
		l.n = minLanes
	default:
		l.n = unlimitedLanes
	}
	return l
}

func (l *lanes) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// buffer is how many objects are held so that the requests side by side find
// enough to read.
func (l *lanes) buffer() int {
	return min(max(int(l.rate*bufferTime.Seconds())*listing.PageSize, minBuffer), maxBuffer)
}

// answered takes notice of how long a request took, and reports whether the number
// has changed.
func (l *lanes) answered(latency time.Duration) (n int, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given || l.rate == 0 {
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
