package stripetest

import (
	"sync"
	"time"
)

// clock is the clock of [WithClock], as [Server.SetTime] and [Server.Advance]
// have moved it.
type clock struct {
	base func() time.Time

	mu      sync.Mutex // guards the fields below
	offset  time.Duration
	stopped bool
	at      time.Time // the time while it is stopped
}

func (c *clock) now() time.Time {
	base := c.base()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from(base)
}

// from returns the time at a time of the base clock. The caller holds the mutex.
func (c *clock) from(base time.Time) time.Time {
	if c.stopped {
		return c.at
	}
	return base.Add(c.offset)
}

// move changes the time to the one that a function returns for it, and whether
// the clock is stopped.
func (c *clock) move(to func(now time.Time) time.Time, stopped bool) {
	base := c.base()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := to(c.from(base))
	c.at, c.stopped, c.offset = at, stopped, at.Sub(base)
}

func (c *clock) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// restore makes the time that of the base clock again.
func (c *clock) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.stopped = 0, false
}

// Now returns the server's time.
func (s *Server) Now() time.Time { return s.now() }

// SetTime sets the server's clock. It runs on from there, as fast as the clock of
// [WithClock] does. It may be set back. Objects that exist keep their created
// timestamps.
func (s *Server) SetTime(to time.Time) {
	s.clock.move(func(time.Time) time.Time { return to }, s.clock.isStopped())
	s.wakeWebhooks()
}

// Advance moves the server's clock forward, or back if d is negative. What
// depends on the time follows with the next request: authorizations expire after
// seven days, idempotency keys after 24 hours, and events after 30 days. Webhooks
// that become due are sent. Nothing waits, and the delays of faults do not become
// shorter.
func (s *Server) Advance(d time.Duration) {
	s.clock.move(func(now time.Time) time.Time { return now.Add(d) }, s.clock.isStopped())
	s.wakeWebhooks()
}
