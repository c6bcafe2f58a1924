package stripesql

import (
	"cmp"
	"math"
	"strconv"

	"github.com/stripekit/stripekit/internal/listing"
)

// window is a span of time, from the second low, inclusive, to high, exclusive.
type window struct{ low, high int64 }

// everything returns the window that contains all times.
func everything() window { return window{0, endOfStamps} }

// windowOf returns the window that a page of a list is of.
func windowOf(q listing.Query) window { return window{q.GTE, cmp.Or(q.LT, endOfStamps)} }

// windowAround returns the smallest window that has some objects, the newest of which is
// the first.
func windowAround(objects []*object) window {
	return window{objects[len(objects)-1].created, objects[0].created + 1}
}

func (w window) seconds() int64 { return w.high - w.low }

func (w window) has(second int64) bool { return w.low <= second && second < w.high }

// and returns what w and another window have in common.
func (w window) and(other window) window {
	return window{max(w.low, other.low), min(w.high, other.high)}
}

func (w window) empty() bool { return w.low >= w.high }

// bounded reports whether w has a lower and an upper bound.
func (w window) bounded() (low, high bool) { return w.low > 0, w.high < endOfStamps }

// narrow removes from a window what a comparison with a time excludes. A value
// that is not compared as a time excludes nothing.
func (w *window) narrow(t *table, by term, value any) {
	low, high := int64(0), int64(endOfStamps)
	isStamp := t.kind(by.Column) == Time
	switch value := value.(type) {
	case nil:
		high = 0 // nothing compares to NULL
	case string:
		if !isStamp {
			return
		}
		low, high = by.span(firstStamp(value, false), firstStamp(value, true))
	case int64:
		if isStamp {
			w.narrow(t, by, strconv.FormatInt(value, 10)) // as SQLite compares it
			return
		}
		at := min(max(value, -1), endOfStamps)
		low, high = by.span(at, at+1)
	case float64:
		if isStamp || math.IsNaN(value) {
			return
		}
		value = min(max(value, -1), endOfStamps)
		low, high = by.span(int64(math.Ceil(value)), int64(math.Floor(value))+1)
	default:
		return
	}
	*w = w.and(window{low, high})
}

// span returns the seconds that satisfy a comparison: from is the first second
// that is not less than the value, and behind the first that is greater.
func (t term) span(from, behind int64) (low, high int64) {
	low, high = 0, endOfStamps
	switch t.Op {
	case opEqual:
		return from, behind
	case opAtLeast:
		low = from
	case opMore:
		low = behind
	case opLess:
		high = from
	case opAtMost:
		high = behind
	}
	return low, high
}

// send adds the window to the parameters of a list.
func (w window) send(params map[string]string, name string) {
	low, high := w.bounded()
	if low {
		params[name+"[gte]"] = strconv.FormatInt(w.low, 10)
	}
	if high {
		params[name+"[lt]"] = strconv.FormatInt(w.high, 10)
	}
}
