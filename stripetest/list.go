package stripetest

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// listObject is the JSON object around a page of objects.
type listObject struct {
	Object  string `json:"object"`
	Data    any    `json:"data"`
	HasMore bool   `json:"has_more"`
	Total   *int   `json:"total_count,omitempty"` // only if it is expanded
	URL     string `json:"url"`
}

// query holds the parameters of a list request.
type query struct {
	now           time.Time
	limit         int
	startingAfter string // an id, empty for none
	endingBefore  string
	created       span
	where         map[string]string   // value by index
	within        map[string]span     // bounds by range
	among         map[string][]string // values by set
	ids           *value              // the list of ids to return; nil: any
}

// listFields returns the parameters of a list. The argument has the filters of
// its resource.
func listFields(filters fields) fields {
	all := fields{
		"created":        timeRange,
		"ending_before":  nonEmpty,
		"expand":         list(text),
		"limit":          integer,
		"starting_after": nonEmpty,
	}
	maps.Copy(all, filters)
	return all
}

// timeRange checks a parameter that is an exact second or bounds.
func timeRange(name string, v *value) *apiError {
	if v.children == nil {
		return integer(name, v)
	}
	return fields{"gt": integer, "gte": integer, "lt": integer, "lte": integer}.check(name, v)
}

// bounds returns the keys that a timeRange parameter selects: all of them if it
// was not sent.
func (v *value) bounds() span {
	s := everything
	if v == nil {
		return s
	}
	if v.children == nil {
		return s.from(startOf(v.number())).until(endOf(v.number()))
	}
	for _, bound := range v.names {
		second := v.children[bound].number()
		switch bound {
		case "gt":
			s = s.from(endOf(second))
		case "gte":
			s = s.from(startOf(second))
		case "lt":
			s = s.until(startOf(second))
		case "lte":
			s = s.until(endOf(second))
		}
	}
	return s
}

func (c *collection[T]) newQuery(params *value, now time.Time) query {
	q := query{
		now:           now,
		limit:         int(min(max(params.integer("limit", defaultLimit), 1), maxLimit)),
		startingAfter: params.string("starting_after"),
		endingBefore:  params.string("ending_before"),
		created:       params.get("created").bounds(),
		where:         make(map[string]string),
		within:        make(map[string]span),
		among:         make(map[string][]string),
		ids:           params.get("ids"),
	}
	for index := range c.indexes {
		if value := params.string(index); value != "" {
			q.where[index] = value
		}
	}
	for name := range c.ranges {
		if found := params.walk(splitName(name)); found != nil {
			q.within[name] = found.bounds()
		}
	}
	for name := range c.sets {
		if params.has(name) {
			q.among[name] = params.items(name)
		}
	}
	return q
}

// page returns the entries that a query selects, newest first, and whether
// there are more in the direction of paging.
func (c *collection[T]) page(q query) ([]*entry[T], bool, *apiError) {
	if q.startingAfter != "" && q.endingBefore != "" {
		return nil, false, invalidRequest("", "", "Received both starting_after and ending_before parameters. Please pass in only one.")
	}
	wanted := q.created
	if q.startingAfter != "" {
		cursor, failure := c.cursor("starting_after", q.startingAfter, q.now)
		if failure != nil {
			return nil, false, failure
		}
		wanted = wanted.until(cursor.key)
	}
	if q.endingBefore != "" {
		cursor, failure := c.cursor("ending_before", q.endingBefore, q.now)
		if failure != nil {
			return nil, false, failure
		}
		page, more := c.take(c.narrowest(q).ascend(wanted.from(cursor.next())), q)
		slices.Reverse(page)
		return page, more, nil
	}
	page, more := c.take(c.narrowest(q).descend(wanted), q)
	return page, more, nil
}

// cursor returns the entry of a page's cursor. A cursor that lists do not show
// yet is unknown.
func (c *collection[T]) cursor(param, id string, now time.Time) (*entry[T], *apiError) {
	if found := c.byID[id]; found != nil && found.visibleAt(now) {
		return found, nil
	}
	return nil, noSuch(c.object, id, param)
}

// next returns the first key after k.
func (k key) next() key { return key{k.created, k.seq + 1} }

// take collects a page and reports whether more objects follow.
func (c *collection[T]) take(entries iter.Seq[*entry[T]], q query) ([]*entry[T], bool) {
	var page []*entry[T]
	for e := range entries {
		if !e.visibleAt(q.now) || !c.matches(e, q) {
			continue
		}
		if len(page) == q.limit {
			return page, true
		}
		page = append(page, e)
	}
	return page, false
}

// total returns the number of objects that a query selects, on all pages.
func (c *collection[T]) total(q query) int {
	n := 0
	for e := range c.narrowest(q).descend(q.created) {
		if e.visibleAt(q.now) && c.matches(e, q) {
			n++
		}
	}
	return n
}

// narrowest returns the shortest timeline that has every object of the query.
func (c *collection[T]) narrowest(q query) *timeline[T] {
	if q.ids != nil {
		return c.withIDs(q.ids)
	}
	shortest := &c.all
	for index, value := range q.where {
		if t := c.grouped(index, value); t.size < shortest.size {
			shortest = t
		}
	}
	return shortest
}

// withIDs returns the objects with these ids. It skips ids that do not exist.
func (c *collection[T]) withIDs(ids *value) *timeline[T] {
	t, seen := &timeline[T]{}, make(map[string]bool)
	for _, id := range ids.children {
		if e := c.byID[id.text]; e != nil && !seen[id.text] {
			seen[id.text] = true
			t.insert(e)
		}
	}
	return t
}

// matches reports whether an object passes the filters of a query. It does not
// check the created filter and the cursors.
func (c *collection[T]) matches(e *entry[T], q query) bool {
	for index, value := range q.where {
		if !c.grouped(index, value).has(e.key) {
			return false
		}
	}
	var object *T
	for name, values := range q.among {
		// A filter by several values has the plural of its index as its name.
		if index := strings.TrimSuffix(name, "s"); c.indexes[index] != nil {
			if !slices.ContainsFunc(values, func(value string) bool { return c.grouped(index, value).has(e.key) }) {
				return false
			}
			continue
		}
		if object == nil {
			object = e.read()
		}
		if !slices.Contains(values, c.sets[name](object)) {
			return false
		}
	}
	if object == nil && len(q.within) > 0 {
		object = e.read()
	}
	for name, bounds := range q.within {
		second := c.ranges[name](object)
		if second == nil || !bounds.contains(startOf(*second).next()) {
			return false
		}
	}
	return true
}

// newest returns the first page of a list that is part of another object.
func newest[T any](c *collection[T], index, value, url string) listObject {
	page, t := []any{}, c.grouped(index, value)
	for e := range t.descend(everything) {
		if len(page) == defaultLimit {
			break
		}
		page = append(page, e.stored())
	}
	return listObject{Object: "list", Data: page, HasMore: t.size > len(page), URL: url}
}
