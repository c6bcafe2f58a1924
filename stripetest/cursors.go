package stripetest

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
)

// CursorAndCreated is how a list answers a request that has both a cursor and
// a created filter.
type CursorAndCreated int

// What people who know the real service reported of the combination, and what
// its documentation lets one expect.
const (
	ApplyBoth  CursorAndCreated = iota // the default: the objects beyond the cursor that fit the filter
	EmptyPage                          // nothing, and no more
	LoseSecond                         // not the objects of the same second as the cursor's
)

// WithCursorAndCreated sets how lists answer requests with a cursor and a
// created filter; the default is [ApplyBoth]. A client that is to be safe with
// the real service does not build on it.
func WithCursorAndCreated(behaviour CursorAndCreated) Option {
	return func(s *Server) { s.cursorAndCreated = behaviour }
}

// narrow makes the created filter of a list leave out what the behaviour loses.
func (c *call) narrow(behaviour CursorAndCreated) {
	created := c.params.get("created")
	if behaviour == ApplyBoth || c.method != http.MethodGet || created == nil {
		return
	}
	cursor, bound := c.params.string("starting_after"), "lt"
	if cursor == "" {
		cursor, bound = c.params.string("ending_before"), "gt"
	}
	second, known := c.created(cursor)
	if cursor == "" || !known {
		return
	}
	created.toBounds()
	if behaviour == EmptyPage {
		created.bound("gt", math.MaxInt64)
	} else {
		created.bound(bound, second)
	}
}

// created is the second of an object of the list that is called.
func (c *call) created(id string) (second int64, ok bool) {
	found, _, ok := c.server.match(http.MethodGet, c.path+"/"+url.PathEscape(id))
	if !ok {
		return 0, false
	}
	inner := *c
	inner.id = id
	object, failure := found.handle(&inner)
	if failure != nil {
		return 0, false
	}
	shown, ok := newTree(object).(*tree)
	if !ok {
		return 0, false
	}
	if shown.text("object") == "invoiceitem" {
		return shown.integer("date"), true
	}
	return shown.integer("created"), true
}

// toBounds turns an exact second into bounds.
func (v *value) toBounds() {
	if v.below != nil {
		return
	}
	second := v.text
	*v = *newValue()
	v.add("gte", &value{text: second})
	v.add("lte", &value{text: second})
}

// bound adds a bound, or narrows the one that is there.
func (v *value) bound(name string, second int64) {
	old := v.get(name)
	if old == nil {
		v.add(name, &value{text: strconv.FormatInt(second, 10)})
		return
	}
	if name == "lt" {
		second = min(second, old.number())
	} else {
		second = max(second, old.number())
	}
	old.text = strconv.FormatInt(second, 10)
}
