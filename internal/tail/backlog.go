package tail

import "github.com/stripekit/stripekit/internal/listing"

// backlog splits a span that is too large for one reading into windows, the
// oldest first. A window should have a few pages, so its width is estimated
// from what was just read. The zero value is no backlog.
type backlog struct {
	width int64 // of the next window, in seconds; 0: the next reading has no end
	empty bool  // the last window had no objects

	top, rest int64 // the oldest second of the newest pages, and how many seconds below it fit into one reading with them
	bound     int64 // the oldest second read of a window that was too full: the span below it is too large
	full      int64 // a second with more objects than a reading may have
}

// next returns the end of the window that begins at a second. It returns 0 if
// everything from that second on fits into one reading.
func (b *backlog) next(from int64) (hi int64) {
	switch {
	case b.width == 0:
		return 0
	case from == b.full:
		return from + 1
	case from < b.full:
		return min(from+b.width, b.full)
	case b.top-from <= b.rest:
		b.width = 0
		return 0
	}
	return from + b.width
}

// tooFull returns the width of the window that replaces a reading which would
// have too many pages. The reading has reached the second oldest.
func (b *backlog) tooFull(r *reading, oldest int64) int64 {
	span := r.newest - oldest + 1
	width := span * windowPages / int64(r.pages)
	if b.empty || r.kind != head {
		// What was read does not predict what is older. Nearly all objects of a
		// sweep are known already, and may be one burst after days of silence.
		width = max(width, (oldest-r.lo)/2)
	}
	return b.set(r, oldest, span, min(width, (oldest-r.lo)/2))
}

// overfull returns the width of the window that replaces a reading of which
// only is known that it has more than a page.
func (b *backlog) overfull(r *reading, end int64) int64 {
	return b.set(r, end, 0, (end-r.lo)/2)
}

func (b *backlog) set(r *reading, oldest, span, width int64) int64 {
	width = max(1, width)
	if r.kind == head {
		if r.hi == 0 {
			b.top, b.rest = oldest, span*int64(maxPages-r.pages)/int64(r.pages)
		}
		b.width, b.bound = width, oldest
	}
	return width
}

// fullSecond returns the width of the window that replaces a reading which has
// reached a second with too many objects for one reading.
func (b *backlog) fullSecond(r *reading) int64 {
	width := max(1, r.second-r.lo)
	if r.kind == head {
		b.width, b.full = width, r.second
	}
	return width
}

// done sets the width of the next window after a window was read.
func (b *backlog) done(r *reading) {
	width, aim := r.hi-r.lo, int64(windowPages*listing.PageSize)
	if !r.ordered {
		aim = listing.PageSize / 2
	}
	listed := max(int64(r.listed), 1)
	b.empty = r.listed == 0
	switch {
	case b.empty:
		width *= 16
	case listed*4 <= aim:
		width *= 4
	case listed >= aim*4:
		width /= 4
	default:
		width = width * aim / listed
	}
	if b.empty && b.bound > r.hi {
		width = min(width, (b.bound-r.hi)/2)
	}
	b.width = max(1, width)
}
