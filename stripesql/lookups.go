package stripesql

import (
	"io"
	"reflect"
	"slices"
)

// maxListPages is how many pages of a list are read beside lookups at most.
const maxListPages = 200

// lookups are the loops of a statement over a table that differ only in the text
// that one column must have, such as the charges of one customer after the other.
// When there are more than a few, the whole list is read as well, one page for each
// call of a lookup. Once it was read, lookups need no calls. So without knowing how many
// lookups there will be or how long the list is, the statement makes at most twice
// the calls that the cheaper of both ways needs.
type lookups struct {
	query  *query
	plan   *plan
	term   int   // the index of the term that differs, -1 if there is none
	others []any // the values of the first loop
	calls  int   // calls made by lookups

	list    *scan // nil before and after it is read
	pages   int   // pages of it that were read
	objects map[string][]*object
	done    bool // the list was read
}

// lookupsOf returns the lookups of a plan.
func (q *query) lookupsOf(t *table, encoded string, p *plan, values []any) *lookups {
	key := t.name + " " + encoded
	if q.repeated[key] == nil {
		made := &lookups{query: q, plan: p, term: p.lookup(t), others: slices.Clone(values)}
		q.repeated[key] = made
	}
	return q.repeated[key]
}

// lookup returns the index of the term that the loops of a plan may differ in, -1 if
// there is none.
func (p *plan) lookup(t *table) int {
	if p.How != byID && p.How != byList {
		return -1
	}
	return slices.IndexFunc(p.Terms, func(by term) bool {
		return by.Op == opEqual && by.Value == nil && t.columns[t.index[by.Column]].kind == text
	})
}

// find returns the objects that have the values of a loop. ok is false if the list
// was not read.
func (l *lookups) find(t *table, values []any) (objects []*object, ok bool, err error) {
	if l.term < 0 {
		return nil, false, nil
	}
	others := slices.Clone(l.others)
	others[l.term] = values[l.term]
	value, isText := values[l.term].(string)
	if !isText || !reflect.DeepEqual(others, values) {
		return nil, false, nil
	}
	if err := l.read(t); err != nil {
		return nil, false, err
	}
	return l.objects[value], l.done, nil
}

// read reads the list until it has taken as many calls as the lookups.
func (l *lookups) read(t *table) error {
	if l.done || l.calls < l.query.source.fewLookups {
		return nil
	}
	if l.list == nil {
		whole := l.plan.without(t, l.term, l.others)
		whole.expand = l.query.expand[t.name]
		l.list, l.objects = l.query.scan(whole), map[string][]*object{}
	}
	for l.pages < min(l.calls, maxListPages) {
		page, err := l.list.page(l.pages)
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
		l.pages++
		if !l.list.kept { // it is too long to be kept
			l.list, l.objects, l.term = nil, nil, -1
			return nil
		}
	}
	return nil
}

// add files the objects of a page under their texts.
func (l *lookups) add(t *table, page []*object) error {
	column := t.index[l.plan.Terms[l.term].Column]
	for _, o := range page {
		values, err := t.read(o, 1<<min(column, 63), nil)
		if err != nil {
			return err
		}
		if value, ok := values[column].(string); ok {
			l.objects[value] = append(l.objects[value], o)
		}
	}
	return nil
}

// without returns the spec of the list that all loops of a plan read a part of.
func (p *plan) without(t *table, lookup int, values []any) *spec {
	whole := plan{Table: p.Table, How: byList, Order: p.Order, Terms: slices.Delete(slices.Clone(p.Terms), lookup, lookup+1)}
	return whole.newSpec(t, slices.Delete(slices.Clone(values), lookup, lookup+1))
}
