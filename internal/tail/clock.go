package tail

import "time"

const (
	// tolerance is how far two readings of one clock may differ, in seconds,
	// and how far below its due place the floor is kept.
	tolerance = 60
	// maxVotes bounds how many contradictions it takes to believe another time.
	maxVotes = 3
)

// clock estimates the service's time from two sources, and trusts the lower of
// them.
//
// The Date of a response can be wrong: a proxy's, a cache's, one machine's among
// many. So Dates vote: one that agrees with the believed time, by the monotonic
// clock of this machine, adds a vote, and one that does not removes one, until
// another time is believed. The machine's own time of day plays no part.
//
// A majority of Dates can be wrong too. But an object that is listed was created
// before, so its created second, and what the monotonic clock counted since it
// was first seen, is a time that the service has reached.
type clock struct {
	base   time.Time // of the monotonic clock
	offset int64     // the believed second of the service at base
	votes  int       // for it
	last   int64     // the offset of the last Date
	before int64     // the offset believed before this one, which is not sure yet
	doubt  bool      // before is set
	proven bool      // two Dates have agreed on offset

	newest   int64     // the created second that the service reached first
	newestAt time.Time // when its object was seen; zero before the first
}

// vote counts a Date: the service's second at a moment of the monotonic clock.
func (c *clock) vote(second int64, at time.Time) {
	if c.votes == 0 {
		c.base, c.offset = at, second
	}
	c.last = second - c.since(at)
	if c.last-c.offset <= tolerance && c.offset-c.last <= tolerance {
		if c.offset = min(c.offset, c.last); c.proven {
			c.offset = c.last // of the first two, the earlier: the beginning is taken from them
		}
		c.votes = min(c.votes+1, maxVotes)
		c.doubt, c.proven = false, c.votes > 1
		return
	}
	if c.votes--; c.votes == 0 {
		// The machine has slept, or the Dates were wrong. Until it is clear
		// which, the earlier of the two times is believed: there is no gap
		// without a time, in which a backlog would be read for nothing.
		if c.proven {
			c.before, c.doubt = c.offset, true
		}
		c.offset, c.votes, c.proven = c.last, 1, false
	}
}

// known reports whether any Date was read, and sure whether two have agreed.
func (c *clock) known() bool { return c.votes > 0 }
func (c *clock) sure() bool  { return c.proven || c.doubt }

// at is the believed second at a moment, or an earlier one where the last Date
// says so.
func (c *clock) at(t time.Time) int64 {
	offset := min(c.offset, c.last)
	if c.doubt {
		offset = min(offset, c.before)
	}
	return offset + c.since(t)
}

func (c *clock) since(t time.Time) int64 { return seconds(t.Sub(c.base)) }

// observe counts the created second of an object in a response that was
// requested at a moment. One that is ahead of the Dates is not believed.
func (c *clock) observe(created int64, at time.Time) {
	if c.sure() && created > c.at(at)+tolerance {
		return
	}
	if c.newestAt.IsZero() || created > c.reached(at) {
		c.newest, c.newestAt = created, at
	}
}

// reached is a second that the service has reached, by the objects seen.
func (c *clock) reached(t time.Time) int64 { return c.newest + seconds(t.Sub(c.newestAt)) }

// safe is a second that the service has reached at t. undated says that the
// list has objects that do not tell when they were created. There is none while
// the Dates are unsure, nor for a list of which no object was seen: it could not
// be checked against anything.
func (c *clock) safe(t time.Time, undated bool) (second int64, ok bool) {
	switch {
	case !c.sure() || c.newestAt.IsZero() && !undated:
		return 0, false
	case c.newestAt.IsZero():
		return c.at(t), true
	}
	return min(c.at(t), c.reached(t)), true
}

// seconds is d in whole seconds, rounded down.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second < 0 {
		s--
	}
	return s
}
