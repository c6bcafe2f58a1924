package stripetest

import "time"

// collection holds the objects of one kind in one account. An object is never
// changed once stored, so it can be rendered after the lock is gone: an update
// replaces it by a changed copy.
type collection[T any] struct {
	object  string                            // the name that errors give it: "charge"
	param   string                            // the name that errors give to an id in the path
	indexes map[string]func(*T) string        // filters by one value
	ranges  map[string]func(*T) *int64        // filters by seconds, nil for none
	sets    map[string]func(*T) string        // filters by a list of values
	delay   func(object string) time.Duration // nil: see WithVisibility

	all     timeline[T]
	byID    map[string]*entry[T]
	groups  map[group]*timeline[T]
	deleted map[string]bool // ids that were in use once
	added   uint64
}

// entry is an object and its place in every list.
type entry[T any] struct {
	key
	id      string
	object  *T
	visible time.Time // in lists from then on; zero: at once
}

// group names the objects for which an index has one value.
type group struct{ index, value string }

// newCollection makes a collection that can be filtered by the indexes,
// functions that return the value of an object, empty for none.
func newCollection[T any](object string, delay func(string) time.Duration, indexes map[string]func(*T) string) *collection[T] {
	return &collection[T]{
		object:  object,
		param:   "id",
		indexes: indexes,
		delay:   delay,
		byID:    make(map[string]*entry[T]),
		groups:  make(map[group]*timeline[T]),
		deleted: make(map[string]bool),
	}
}

func (c *collection[T]) get(id string) (*T, bool) {
	if found := c.byID[id]; found != nil {
		return found.object, true
	}
	return nil, false
}

// find is get for an id in the path.
func (c *collection[T]) find(id string) (*T, *apiError) {
	if object, ok := c.get(id); ok {
		return object, nil
	}
	failure := notFound(c.object, id)
	failure.Param = c.param
	return nil, failure
}

// wasDeleted says whether id belonged to an object that is no more.
func (c *collection[T]) wasDeleted(id string) bool { return c.deleted[id] }

// add stores a new object. Its id must not be in use.
func (c *collection[T]) add(id string, created int64, object *T) {
	c.added++
	e := &entry[T]{key: key{created, c.added}, id: id, object: object, visible: c.visibleFrom(created)}
	c.byID[id] = e
	delete(c.deleted, id)
	c.all.insert(e)
	for index, of := range c.indexes {
		c.enter(group{index, of(object)}, e)
	}
}

// replace stores a changed copy of an object in its place.
func (c *collection[T]) replace(id string, object *T) {
	e := c.byID[id]
	for index, of := range c.indexes {
		before, after := of(e.object), of(object)
		if before != after {
			c.leave(group{index, before}, e)
			c.enter(group{index, after}, e)
		}
	}
	e.object = object
}

// remove forgets an object, but not that its id was in use.
func (c *collection[T]) remove(id string) {
	e := c.byID[id]
	delete(c.byID, id)
	c.deleted[id] = true
	c.all.remove(e.key)
	for index, of := range c.indexes {
		c.leave(group{index, of(e.object)}, e)
	}
}

func (c *collection[T]) enter(g group, e *entry[T]) {
	if g.value == "" {
		return
	}
	if c.groups[g] == nil {
		c.groups[g] = &timeline[T]{}
	}
	c.groups[g].insert(e)
}

func (c *collection[T]) leave(g group, e *entry[T]) {
	t := c.groups[g]
	if t == nil {
		return
	}
	t.remove(e.key)
	if t.size == 0 {
		delete(c.groups, g)
	}
}

// grouped are the objects for which an index has this value.
func (c *collection[T]) grouped(index, value string) *timeline[T] {
	if t := c.groups[group{index, value}]; t != nil {
		return t
	}
	return &timeline[T]{}
}
