package stripetest

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
)

// CursorAndCreated is how a list handles a request that has both a cursor and a
// created filter.
type CursorAndCreated int

// ApplyBoth is what Stripe's documentation suggests. The others are what users
// of the real service have reported.
const (
	ApplyBoth  CursorAndCreated = iota // the default: return objects beyond the cursor that match the filter
	EmptyPage                          // return an empty page, with has_more false
	LoseSecond                         // as ApplyBoth, without objects created in the cursor's second
)

// WithCursorAndCreated sets how lists handle requests with a cursor and a
// created filter. The default is [ApplyBoth]. A client should work with each of
// them, since it is not certain which the real service does.
func WithCursorAndCreated(behaviour CursorAndCreated) Option {
	return func(s *Server) { s.cursorAndCreated = behaviour }
}

// narrow changes the created filter of a list so that it excludes the objects
// that the behaviour loses.
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

// created returns the created second of an object of the requested list.
func (c *call) created(id string) (second int64, ok bool) {
	inner := *c
	inner.path += "/" + url.PathEscape(id)
	found, outer, ok := c.server.match(http.MethodGet, inner.path)
	if !ok {
		return 0, false
	}
	inner.id = outer
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

// toBounds replaces an exact second by bounds.
func (v *value) toBounds() {
	if v.children != nil {
		return
	}
	second := v.text
	*v = *newValue()
	v.add("gte", &value{text: second})
	v.add("lte", &value{text: second})
}

// bound adds a bound, or makes an existing one stricter.
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
