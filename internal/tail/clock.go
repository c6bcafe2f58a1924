package tail

import "time"

const (
	// tolerance is how far two readings of one clock may differ, in seconds. It
	// is also the margin by which the overlap is extended.
	tolerance = 60
	// maxVotes is the maximum number of contradictions that it takes to replace
	// the believed time.
	maxVotes = 3
)

// clock estimates the service's time from two sources, and trusts the lower of
// them.
//
// The Date of a response can be wrong: it can come from a proxy, a cache or one
// machine whose clock is off. So Dates vote. A Date that agrees with the
// believed time, by the monotonic clock of this machine, adds a vote. A Date
// that disagrees removes one. At zero votes, its time becomes the believed one.
// The machine's own time of day is not used.
//
// A majority of Dates can be wrong too. But an object that is listed has been
// created. Its created second, plus what the monotonic clock has counted since
// the object was first seen, is a time that the service has reached.
type clock struct {
	base   time.Time // a moment of the monotonic clock
	offset int64     // the believed second of the service at base
	votes  int       // for offset
	last   int64     // the offset by the last Date
	before int64     // the offset believed before, while offset is not proven
	doubt  bool      // before is set
	proven bool      // two Dates have agreed on offset

	newest   int64     // the created second that proves the latest time
	newestAt time.Time // when the object of newest was seen; zero if there is none
}

// vote counts a Date: the service's second at a moment of the monotonic clock.
func (c *clock) vote(second int64, at time.Time) {
	if c.votes == 0 {
		c.base, c.offset = at, second
	}
	c.last = second - c.since(at)
	if c.last-c.offset <= tolerance && c.offset-c.last <= tolerance {
		if c.offset = min(c.offset, c.last); c.proven {
			c.offset = c.last // of the first two Dates the earlier one counts: the beginning depends on it
		}
		c.votes = min(c.votes+1, maxVotes)
		c.doubt, c.proven = false, c.votes > 1
		return
	}
	if c.votes--; c.votes == 0 {
		// Either the machine was suspended, or the Dates were wrong. Until that
		// is clear, the earlier of the two times is believed. Without any time,
		// a backlog would be read in vain.
		if c.proven {
			c.before, c.doubt = c.offset, true
		}
		c.offset, c.votes, c.proven = c.last, 1, false
	}
}

// known reports whether any Date was read.
func (c *clock) known() bool { return c.votes > 0 }

// sure reports whether two Dates have agreed.
func (c *clock) sure() bool { return c.proven || c.doubt }

// at returns the believed second of the service at the moment t, or an earlier
// one if the last Date says so.
func (c *clock) at(t time.Time) int64 {
	offset := min(c.offset, c.last)
	if c.doubt {
		offset = min(offset, c.before)
	}
	return offset + c.since(t)
}

func (c *clock) since(t time.Time) int64 { return seconds(t.Sub(c.base)) }

// observe takes the created second of an object that was seen at the moment at.
// A created second that is ahead of the Dates is ignored.
func (c *clock) observe(created int64, at time.Time) {
	if c.sure() && created > c.at(at)+tolerance {
		return
	}
	if c.newestAt.IsZero() || created > c.reached(at) {
		c.newest, c.newestAt = created, at
	}
}

// reached returns a second that the service has reached at t, by the objects
// seen.
func (c *clock) reached(t time.Time) int64 { return c.newest + seconds(t.Sub(c.newestAt)) }

// safe returns a second that the service has reached at t. undated is set if
// the list has objects without a created second. ok is false while the Dates
// are unsure, and for a list without undated objects of which no object was
// seen yet: nothing could confirm its Dates.
func (c *clock) safe(t time.Time, undated bool) (second int64, ok bool) {
	switch {
	case !c.sure() || c.newestAt.IsZero() && !undated:
		return 0, false
	case c.newestAt.IsZero():
		return c.at(t), true
	}
	return min(c.at(t), c.reached(t)), true
}

// seconds returns d in whole seconds, rounded down.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second < 0 {
		s--
	}
	return s
}
