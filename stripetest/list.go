package stripetest

import (
	"maps"
	"slices"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// listObject is the envelope of a page.
type listObject struct {
	Object  string `json:"object"`
	Data    any    `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

// query is what a list is asked for.
type query struct {
	limit         int
	startingAfter string // ids, empty for none
	endingBefore  string
	created       *value            // nil for any
	where         map[string]string // filter to value
}

// listFields are the parameters of a list; filters are those of its resource.
func listFields(filters fields) fields {
	all := fields{
		"created":        createdRange,
		"ending_before":  filled,
		"expand":         list(text),
		"limit":          integer,
		"starting_after": filled,
	}
	maps.Copy(all, filters)
	return all
}

// createdRange is an exact second or bounds.
func createdRange(name string, v *value) *apiError {
	if v.below == nil {
		return integer(name, v)
	}
	return fields{"gt": integer, "gte": integer, "lt": integer, "lte": integer}.check(name, v)
}

func (c *collection[T]) newQuery(params *value) query {
	q := query{
		limit:         int(min(max(params.integer("limit", defaultLimit), 1), maxLimit)),
		startingAfter: params.string("starting_after"),
		endingBefore:  params.string("ending_before"),
		created:       params.get("created"),
		where:         make(map[string]string),
	}
	for filter := range c.filters {
		if value := params.string(filter); value != "" {
			q.where[filter] = value
		}
	}
	return q
}

// page returns the objects asked for, newest first, and whether there are more
// in the direction of paging.
func (c *collection[T]) page(q query) ([]*T, bool, *apiError) {
	if q.startingAfter != "" && q.endingBefore != "" {
		return nil, false, invalidRequest("", "", "Received both starting_after and ending_before parameters. Please pass in only one.")
	}
	t := c.narrowest(q.where)
	from, to := t.within(q.created)
	if q.startingAfter != "" {
		cursor, failure := c.cursor("starting_after", q.startingAfter)
		if failure != nil {
			return nil, false, failure
		}
		to = min(to, t.before(cursor))
	}
	if q.endingBefore != "" {
		cursor, failure := c.cursor("ending_before", q.endingBefore)
		if failure != nil {
			return nil, false, failure
		}
		page, more := c.upwards(t[min(max(from, t.after(cursor)), to):to], q)
		return page, more, nil
	}
	page, more := c.downwards(t[min(from, to):to], q)
	return page, more, nil
}

func (c *collection[T]) cursor(param, id string) (*entry[T], *apiError) {
	if found := c.byID[id]; found != nil {
		return found, nil
	}
	return nil, noSuch(c.object, id, param)
}

// narrowest is the shortest timeline that holds every object asked for.
func (c *collection[T]) narrowest(where map[string]string) timeline[T] {
	shortest := c.all
	for filter, value := range where {
		if t := c.groups[group{filter, value}]; len(t) < len(shortest) {
			shortest = t
		}
	}
	return shortest
}

// matches is about the filters that narrowest did not choose.
func (c *collection[T]) matches(object *T, where map[string]string) bool {
	for filter, value := range where {
		if c.filters[filter](object) != value {
			return false
		}
	}
	return true
}

// downwards is the newest page of t.
func (c *collection[T]) downwards(t timeline[T], q query) ([]*T, bool) {
	page := []*T{}
	for _, e := range slices.Backward(t) {
		if !c.matches(e.object, q.where) {
			continue
		}
		if len(page) == q.limit {
			return page, true
		}
		page = append(page, e.object)
	}
	return page, false
}

// upwards is the oldest page of t, newest first all the same.
func (c *collection[T]) upwards(t timeline[T], q query) ([]*T, bool) {
	page, more := []*T{}, false
	for _, e := range t {
		if !c.matches(e.object, q.where) {
			continue
		}
		if more = len(page) == q.limit; more {
			break
		}
		page = append(page, e.object)
	}
	slices.Reverse(page)
	return page, more
}

// after counts the entries up to and including e.
func (t timeline[T]) after(e *entry[T]) int {
	i := t.before(e)
	if i < len(t) && t[i] == e {
		i++
	}
	return i
}

// within returns where the entries of a created range begin and end; the end
// may lie before the beginning.
func (t timeline[T]) within(created *value) (from, to int) {
	from, to = 0, len(t)
	if created == nil {
		return from, to
	}
	if created.below == nil {
		second := created.number()
		return t.earlier(second), t.upTo(second)
	}
	for _, bound := range created.names {
		second := created.get(bound).number()
		switch bound {
		case "gt":
			from = max(from, t.upTo(second))
		case "gte":
			from = max(from, t.earlier(second))
		case "lt":
			to = min(to, t.earlier(second))
		case "lte":
			to = min(to, t.upTo(second))
		}
	}
	return from, to
}
