package tail

import (
	"fmt"
	"time"
)

const (
	// tolerance is how far two readings of one clock may be apart, in seconds:
	// cut-off fractions, and what an answer takes.
	tolerance = 60
	// maxVotes bounds how many contradictions it takes to believe another time.
	maxVotes = 3
)

// clock is the service's clock, known by the Date of its answers. A single Date
// can be wrong: a proxy's, a cache's, one machine's among many. Taken for true,
// one from tomorrow would move the floor over all that happens until then. So
// readings vote: one that agrees with the believed time, by the monotonic clock
// of this machine, whose own time of day plays no part, adds a vote, and one
// that does not takes one away, until another time is believed.
type clock struct {
	base   time.Time // of the monotonic clock
	offset int64     // the believed second of the service at base
	votes  int       // for it
	last   int64     // the offset of the last reading
}

// read takes a reading: the service's second at a moment of the monotonic clock.
func (c *clock) read(second int64, at time.Time) {
	if c.votes == 0 {
		c.base, c.offset = at, second
	}
	c.last = second - c.since(at)
	if near(c.last, c.offset) {
		c.offset, c.votes = c.last, min(c.votes+1, maxVotes)
		return
	}
	if c.votes--; c.votes == 0 {
		c.offset, c.votes = c.last, 1
	}
}

// sure tells whether more than one reading stands for the time.
func (c *clock) sure() bool { return c.votes > 1 }

// at is the service's second at a moment, or an earlier one where the last
// reading says so.
func (c *clock) at(t time.Time) int64 { return min(c.offset, c.last) + c.since(t) }

func (c *clock) since(t time.Time) int64 { return int64(t.Sub(c.base) / time.Second) }

func near(a, b int64) bool { return a-b <= tolerance && b-a <= tolerance }

// maxStart is how many answers the clock is asked for at the start.
const maxStart = 5

// readStart waits until two answers agree on the second that it begins from.
func (t *Tail) readStart() ([]Found, error) {
	p := &t.pass
	if p.count++; !t.clock.sure() {
		if p.count == maxStart {
			return t.fail(fmt.Errorf("%w: the Dates of %d answers contradict each other", ErrAnswer, maxStart))
		}
		return nil, nil
	}
	t.floor, t.started = p.asked, true
	p.step = done
	return nil, nil
}
