package stripesql

import (
	"fmt"
	"slices"
	"strings"
)

// step is a line of SQLite's EXPLAIN QUERY PLAN.
type step struct {
	id, parent, unused int64
	detail             string
	plan               *plan  // of a step that reads one of our tables, else nil
	after              string // the text after the plan

	limit int64 // how many rows are needed if the plan has no limit, 0 if unknown
	calls guess
}

// planMark is the text that SQLite writes before the plan of a virtual table.
const planMark = " VIRTUAL TABLE INDEX 0:"

// steps returns the steps that SQLite has chosen for a statement, and the columns that
// it reads.
func (c *conn) steps(text string) ([]step, reads, error) {
	c.reads = reads{}
	s, _, err := c.db.Prepare("EXPLAIN QUERY PLAN " + text)
	if err != nil {
		return nil, nil, fmt.Errorf("stripesql: %w", err)
	}
	defer s.Close()
	var steps []step
	for s.Step() {
		made := step{id: s.ColumnInt64(0), parent: s.ColumnInt64(1), unused: s.ColumnInt64(2), detail: s.ColumnText(3)}
		if err := made.read(); err != nil {
			return nil, nil, err
		}
		steps = append(steps, made)
	}
	return steps, c.reads, s.Err()
}

// read moves the plan from the detail of the step into its own field.
func (s *step) read() (err error) {
	before, encoded, found := strings.Cut(s.detail, planMark)
	if !found || !strings.HasPrefix(encoded, "{") { // of a table that is not ours
		return nil
	}
	s.detail = before
	s.plan, s.after, err = decodePlan(encoded)
	return err
}

// prepare decides which columns to read, and which fields to expand: those that columns
// need, and, if a statement reads a field that refers to an object, and looks up objects of
// that table by their ids, that field, so that the lookups need no calls.
func (q *query) prepare(steps []step, read reads) {
	q.lookups, q.expand, q.columns = map[string]bool{}, map[string][]string{}, map[string]projection{}
	need := map[string]columnSet{}
	for _, s := range steps {
		if s.plan != nil {
			need[s.plan.Table] |= s.plan.Need
			q.lookups[s.plan.Table] = q.lookups[s.plan.Table] || s.plan.How == byID
		}
	}
	for name, need := range need {
		t := q.source.tables[name]
		q.columns[name] = t.project(func(i int) bool {
			column := t.columns[i].name
			// Only need has the columns of a USING. Its last bit stands for all further columns.
			return read[name][column] || need.has(i) && (i < lastColumn || !t.columns[i].hidden())
		})
		for i, c := range t.columns {
			if c.expand != "" && q.columns[name].has(i) && !slices.Contains(q.expand[name], c.expand) {
				q.expand[name] = append(q.expand[name], c.expand)
			}
		}
	}
	for _, r := range references() {
		if !q.lookups[r.to] || !read[r.from][r.field] {
			continue
		}
		q.expand[r.from] = append(q.expand[r.from], r.field)
		for _, further := range q.expand[r.to] {
			q.expand[r.from] = append(q.expand[r.from], r.field+"."+further)
		}
	}
}
