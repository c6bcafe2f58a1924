package stripetest

import (
	"maps"
	"time"
)

// collection holds the objects of one type in one account. A stored object is
// never modified: an update replaces it by a changed copy. So a response can be
// encoded after the lock is released. Objects are stored packed if the collection
// has shapes, and as they are otherwise.
type collection[T any] struct {
	object  string                            // its name in error messages, such as "charge"
	param   string                            // the name in errors of an id in the path
	indexes map[string]func(*T) string        // filters by one value, by parameter
	ranges  map[string]func(*T) *int64        // filters by a range of seconds, by parameter; nil: no value
	sets    map[string]func(*T) string        // filters by a list of values, by parameter
	delay   func(object string) time.Duration // see WithVisibility; nil: no delay
	changed func(before, after *T)            // called before a change; nil: not called
	forDump func(*T) *T                       // returns what a dump has of an object; nil: all of it
	shapes  *shapes                           // nil: objects are not packed
	search  map[string]fieldType              // by path; nil: the objects, which are packed, cannot be searched

	all     timeline[T]
	byID    map[string]*entry[T]
	groups  map[group]*timeline[T]
	deleted map[string]bool // ids of deleted objects
	added   uint64
	terms   map[int64]*terms // of each termObjects objects, for searches
}

// entry is an object and its position in every list.
type entry[T any] struct {
	key
	id      string
	object  *T         // nil if it is packed
	packed  packed     // the zero value if it is not
	visible *time.Time // when lists begin to show it; nil: at once
}

// read returns the object: a copy if it is packed. It must not be modified.
func (e *entry[T]) read() *T {
	if e.object != nil {
		return e.object
	}
	return unpack[T](e.packed)
}

// stored returns what a response or an event has of the object: a packed object, or
// the object itself.
func (e *entry[T]) stored() any {
	if e.object != nil {
		return e.object
	}
	return e.packed
}

// store puts an object into an entry.
func (c *collection[T]) store(e *entry[T], object *T) {
	if c.shapes == nil {
		e.object = object
		return
	}
	e.packed = c.shapes.pack(object)
	c.note(e)
}

// group identifies the objects for which an index has one value.
type group struct{ index, value string }

// newCollection makes a collection with these indexes. An index is a function
// that returns the value of an object, or "" if it has none.
func newCollection[T any](object string, delay func(string) time.Duration, indexes map[string]func(*T) string) *collection[T] {
	return &collection[T]{
		object:  object,
		param:   "id",
		indexes: indexes,
		delay:   delay,
		byID:    make(map[string]*entry[T]),
		groups:  make(map[group]*timeline[T]),
		deleted: make(map[string]bool),
		terms:   make(map[int64]*terms),
	}
}

func (c *collection[T]) get(id string) (*T, bool) {
	if found := c.byID[id]; found != nil {
		return found.read(), true
	}
	return nil, false
}

// find returns the object with an id from the path, or an error with status
// 404.
func (c *collection[T]) find(id string) (*T, *apiError) {
	e, failure := c.findEntry(id)
	if failure != nil {
		return nil, failure
	}
	return e.read(), nil
}

func (c *collection[T]) findEntry(id string) (*entry[T], *apiError) {
	if e := c.byID[id]; e != nil {
		return e, nil
	}
	failure := notFound(c.object, id)
	failure.Param = c.param
	return nil, failure
}

// wasDeleted reports whether an object with this id was deleted.
func (c *collection[T]) wasDeleted(id string) bool { return c.deleted[id] }

// add stores a new object. Its id must not be in use.
func (c *collection[T]) add(id string, created int64, object *T) {
	c.report(nil, object)
	c.added++
	delete(c.deleted, id)
	c.insert(&entry[T]{key: key{created, c.added}, id: id, visible: c.visibleFrom(created)}, object)
}

// insert stores an object as a new entry.
func (c *collection[T]) insert(e *entry[T], object *T) {
	c.store(e, object)
	c.byID[e.id] = e
	c.all.insert(e)
	for index, of := range c.indexes {
		c.enter(group{index, of(object)}, e)
	}
}

// replace stores a changed copy of an object in its place.
func (c *collection[T]) replace(id string, object *T) {
	e := c.byID[id]
	old := e.read()
	c.report(old, object)
	for index, of := range c.indexes {
		before, after := of(old), of(object)
		if before != after {
			c.leave(group{index, before}, e)
			c.enter(group{index, after}, e)
		}
	}
	c.store(e, object)
}

// rename gives an object another id, which must not be in use. The argument
// object has it already.
func (c *collection[T]) rename(from, to string, object *T) {
	e := c.byID[from]
	delete(c.byID, from)
	delete(c.deleted, to)
	e.id = to
	c.byID[to] = e
	c.replace(to, object)
}

// remove deletes an object and records its id as deleted.
func (c *collection[T]) remove(id string) {
	c.report(c.byID[id].read(), nil)
	c.deleted[id] = true
	c.forget(id)
}

// report announces a change: of a new object if before is nil, and of a deleted one
// if after is nil.
func (c *collection[T]) report(before, after *T) {
	if c.changed != nil {
		c.changed(before, after)
	}
}

// forget removes an object without a trace.
func (c *collection[T]) forget(id string) {
	e := c.byID[id]
	delete(c.byID, id)
	c.all.remove(e.key)
	object := e.read()
	for index, of := range c.indexes {
		c.leave(group{index, of(object)}, e)
	}
}

// shrink releases the memory of ids that were removed.
func (c *collection[T]) shrink() {
	byID := make(map[string]*entry[T], len(c.byID))
	maps.Copy(byID, c.byID)
	c.byID = byID
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

// grouped returns the objects for which an index has this value.
func (c *collection[T]) grouped(index, value string) *timeline[T] {
	if t := c.groups[group{index, value}]; t != nil {
		return t
	}
	return &timeline[T]{}
}
