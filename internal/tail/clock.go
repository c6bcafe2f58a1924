package tail

import (
	"fmt"
	"time"
)

const (
	// tolerance is how far two readings of one clock may be apart, in seconds:
	// cut-off fractions, and what an answer takes.
	tolerance = 60
	// proofs is how many readings in a row must agree before they are believed
	// against those before.
	proofs = 3
)

// clock is the service's clock, known by the Date of its answers. A single Date
// can be wrong: a proxy's, a cache's, one machine's among many. Taken for true,
// one from tomorrow would move the floor over all that happens until then. So a
// reading counts once another agrees with it, by the monotonic clock of this
// machine, whose own time of day plays no part; and one that does not fit
// changes nothing until there are more like it.
type clock struct {
	base   time.Time // of the monotonic clock
	offset int64     // the service's second at base
	agreed int       // readings that agree with offset, up to proofs
	rival  int64     // another offset
	votes  int       // readings in a row that agree with rival
}

// read takes a reading: the service's second at a moment of the monotonic clock.
func (c *clock) read(second int64, at time.Time) {
	if c.agreed == 0 {
		c.base, c.offset, c.agreed = at, second, 1
		return
	}
	offset := second - c.since(at)
	switch {
	case near(offset, c.offset):
		c.offset, c.votes = offset, 0
		c.agreed = min(c.agreed+1, proofs)
		return
	case c.votes > 0 && near(offset, c.rival):
		c.votes++
	default:
		c.rival, c.votes = offset, 1
	}
	// What only one reading stands for gives way to two that agree.
	if c.votes >= min(proofs, c.agreed+1) {
		c.offset, c.agreed, c.votes = c.rival, c.votes, 0
	}
}

// sure tells whether more than one reading stands for the time.
func (c *clock) sure() bool { return c.agreed > 1 }

// at is the service's second at a moment, or an earlier one while readings
// contradict each other.
func (c *clock) at(t time.Time) int64 {
	offset := c.offset
	if c.votes > 0 {
		offset = min(offset, c.rival)
	}
	return offset + c.since(t)
}

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
