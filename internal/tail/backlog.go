package tail

import "github.com/stripekit/stripekit/internal/listing"

// backlog cuts what is too much for one reading into windows, the oldest first.
// How wide they should be is known from what was just read: a window aims at a
// few pages. Its zero value is no backlog.
type backlog struct {
	width int64 // of the next window; 0 is without an end
	empty bool  // the last window was

	top, rest int64 // the oldest second of the newest pages, and how many seconds before it fit with them
	bound     int64 // the oldest second read of a window that was too full: what stands before it is too much
	full      int64 // a second that is more than a reading may have
}

// next is the end of the window that begins at a second; 0 for none: what is
// left fits into one reading.
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

// tooFull is the width of a window in place of a reading that would have too
// many pages, and has come down to a second.
func (b *backlog) tooFull(r *reading, oldest int64) int64 {
	span := r.newest - oldest + 1
	width := span * windowPages / int64(r.pages)
	if b.empty || r.kind != head {
		// What was seen is no measure of what is before it: of a sweep, nearly
		// all is known, and can be one burst behind days without anything.
		width = max(width, (oldest-r.lo)/2)
	}
	return b.set(r, oldest, span, min(width, (oldest-r.lo)/2))
}

// overfull is the same for a reading of which nothing is known but that it is
// more than a page.
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

// fullSecond is the same for a reading that has come to a second which is too
// much alone.
func (b *backlog) fullSecond(r *reading) int64 {
	width := max(1, r.second-r.lo)
	if r.kind == head {
		b.width, b.full = width, r.second
	}
	return width
}

// done sets the width of the window behind one that was read.
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
