package stripetest

import (
	"cmp"
	"slices"
	"sort"
)

// collection holds the objects of one kind in one account. Objects are never
// changed once added, so they can be rendered after the lock is gone.
type collection[T any] struct {
	object  string // the name that errors give it: "charge"
	filters map[string]func(*T) string
	all     timeline[T]
	byID    map[string]*entry[T]
	groups  map[group]timeline[T]
	added   uint64
}

// entry is an object and its place in every list.
type entry[T any] struct {
	created int64
	seq     uint64 // tells apart the many objects of one second
	object  *T
}

// timeline is ordered by created, then seq: oldest first, so that a new object
// is appended.
type timeline[T any] []*entry[T]

// group names the objects of which a filter has one value.
type group struct{ filter, value string }

// newCollection makes a collection with an index for each filter, a function
// that returns the value of an object, empty for none.
func newCollection[T any](object string, filters map[string]func(*T) string) *collection[T] {
	return &collection[T]{
		object:  object,
		filters: filters,
		byID:    make(map[string]*entry[T]),
		groups:  make(map[group]timeline[T]),
	}
}

func (c *collection[T]) get(id string) (*T, bool) {
	if found := c.byID[id]; found != nil {
		return found.object, true
	}
	return nil, false
}

func (c *collection[T]) add(id string, created int64, object *T) {
	c.added++
	e := &entry[T]{created: created, seq: c.added, object: object}
	c.byID[id] = e
	c.all = c.all.insert(e)
	for filter, of := range c.filters {
		if value := of(object); value != "" {
			g := group{filter, value}
			c.groups[g] = c.groups[g].insert(e)
		}
	}
}

func (e *entry[T]) compare(other *entry[T]) int {
	return cmp.Or(cmp.Compare(e.created, other.created), cmp.Compare(e.seq, other.seq))
}

// insert appends, unless the clock has gone backwards.
func (t timeline[T]) insert(e *entry[T]) timeline[T] {
	if len(t) == 0 || t[len(t)-1].compare(e) < 0 {
		return append(t, e)
	}
	return slices.Insert(t, t.before(e), e)
}

// before counts the entries older than e, which need not be in t.
func (t timeline[T]) before(e *entry[T]) int {
	return sort.Search(len(t), func(i int) bool { return t[i].compare(e) >= 0 })
}

// upTo counts the entries created at second or before.
func (t timeline[T]) upTo(second int64) int {
	return sort.Search(len(t), func(i int) bool { return t[i].created > second })
}

// earlier counts the entries created before second.
func (t timeline[T]) earlier(second int64) int {
	return sort.Search(len(t), func(i int) bool { return t[i].created >= second })
}
