package stripesql

import (
	"fmt"
	"io"
	"slices"
)

// maxListPages is how many pages of a list are read beside lookups at most.
const maxListPages = 200

// maxLookups is how many groups of lookups a query keeps.
const maxLookups = 1000

// lookups are the loops of a statement over a table that differ only in the text
// that one column must have, such as the charges of one customer after the other.
// When there are more than a few, the whole list is read as well, one page for each
// further lookup that takes a call. Once it was read, lookups need no calls. Neither
// the number of lookups nor the length of the list is known beforehand. So as many
// calls may be wasted as are needed, and those of the first lookups.
type lookups struct {
	query *query
	plan  *plan
	term  int // the index of the term that differs, -1 if there is none
	calls int // lookups that took a call

	list    feed // nil before and after it is read
	spec    *spec
	pages   int // pages of it that were read
	size    int // bytes of the objects
	objects map[string][]*object
	done    bool // the list was read
}

// lookupsOf returns the lookups that a loop belongs to: those by the same plan with
// the same other values.
func (q *query) lookupsOf(t *table, encoded string, p *plan, values []any) *lookups {
	term := p.lookup(t)
	if term < 0 {
		return &lookups{term: -1}
	}
	others := slices.Delete(slices.Clone(values), term, term+1)
	key := fmt.Sprintf("%s %q %q", t.name, encoded, others)
	l := q.repeated[key]
	if l == nil {
		l = &lookups{query: q, plan: p, term: term}
		if len(q.repeated) == maxLookups {
			l.term = -1
		} else {
			q.repeated[key] = l
		}
	}
	return l
}

// lookup returns the index of the term that the loops of a plan may differ in, -1 if
// there is none.
func (p *plan) lookup(t *table) int {
	if p.How != byID && p.How != byList {
		return -1
	}
	return slices.IndexFunc(p.Terms, func(by term) bool {
		return by.Op == opEqual && by.Value == nil && !by.In && by.Column != connectionColumn && t.kind(by.Column) == Text
	})
}

// find returns the objects that have the values of a loop. ok is false if the list
// was not read.
func (l *lookups) find(t *table, values []any) (objects []*object, ok bool, err error) {
	if l.term < 0 {
		return nil, false, nil
	}
	value, isText := values[l.term].(string)
	if !isText {
		return nil, false, nil
	}
	if err := l.read(t, values); err != nil {
		return nil, false, err
	}
	return l.objects[value], l.done, nil
}

// read reads a page of the list for each lookup beyond the first few.
func (l *lookups) read(t *table, values []any) error {
	if l.done || l.calls <= l.query.source.fewLookups {
		return nil
	}
	if l.list == nil {
		l.spec = l.plan.without(l.query.accounts, t, l.term, values)
		l.spec.expand = l.query.expand[t.name]
		l.list, l.objects = l.query.newFeed(l.spec), map[string][]*object{}
	}
	for l.pages < l.calls-l.query.source.fewLookups {
		page, err := l.list.next()
		if err == io.EOF {
			l.done, l.list = true, nil
			return nil
		}
		if err == nil {
			err = l.add(t, page)
		}
		if err != nil {
			return err
		}
		if l.pages++; l.pages == maxListPages || l.query.listed > maxScans {
			l.query.listed -= l.size
			l.list, l.objects, l.term = nil, nil, -1 // the list is too long
			return nil
		}
	}
	return nil
}

// add files the objects of a page under their texts, without their JSON.
func (l *lookups) add(t *table, page []*object) error {
	if err := l.query.keep(l.spec, page); err != nil {
		return err
	}
	if err := l.query.compact(t, page...); err != nil {
		return err
	}
	at := l.query.columns[t.name].place[t.index[l.plan.Terms[l.term].Column]]
	for _, o := range page {
		if value, ok := o.values[at].(string); ok {
			l.objects[value] = append(l.objects[value], o)
			l.size += o.size()
			l.query.listed += o.size()
		}
	}
	return nil
}

// without returns the spec of the list that all loops of a plan read a part of. It is
// read one page after another.
func (p *plan) without(accounts []*account, t *table, lookup int, values []any) *spec {
	whole := plan{Table: p.Table, How: byList, Order: p.Order, Short: true, Terms: slices.Delete(slices.Clone(p.Terms), lookup, lookup+1)}
	return whole.newSpec(accounts, t, slices.Delete(slices.Clone(values), lookup, lookup+1))
}
