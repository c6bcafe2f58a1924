package stripesql

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stripekit/stripekit/internal/transport"
)

// step is a line of SQLite's EXPLAIN QUERY PLAN.
type step struct {
	id, parent, unused int64
	detail             string
	plan               *plan  // of a step that reads one of our tables, else nil
	after              string // the text after the plan
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
func (s *step) read() error {
	before, encoded, found := strings.Cut(s.detail, planMark)
	if !found || !strings.HasPrefix(encoded, "{") { // of a table that is not ours
		return nil
	}
	s.plan = new(plan)
	d := json.NewDecoder(strings.NewReader(encoded))
	if err := d.Decode(s.plan); err != nil {
		return fmt.Errorf("stripesql: plan: %w", err)
	}
	s.detail, s.after = before, encoded[d.InputOffset():]
	return nil
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
			// A USING is in need alone, whose last bit is of all further columns.
			return read[name][column] || need.has(i) && (i < lastColumn || !t.columns[i].hidden())
		})
		for i, c := range t.columns {
			if c.expand != "" && q.columns[name].has(i) && !slices.Contains(q.expand[name], c.expand) {
				q.expand[name] = append(q.expand[name], c.expand)
			}
		}
	}
	for _, table := range []string{"charges", "refunds", "invoice_items", "orders"} { // a table comes after those it refers to
		for _, field := range slices.Sorted(maps.Keys(references(table))) {
			to := references(table)[field]
			if !q.lookups[to] || !read[table][field] {
				continue
			}
			q.expand[table] = append(q.expand[table], field)
			for _, further := range q.expand[to] {
				q.expand[table] = append(q.expand[table], field+"."+further)
			}
		}
	}
}

// explains reports whether a statement is an EXPLAIN QUERY PLAN, and returns
// the statement that it explains.
func explains(text string) (of string, ok bool) {
	of, ok = text, true
	for _, word := range []string{"EXPLAIN", "QUERY", "PLAN"} {
		if of, ok = cutWord(of, word); !ok {
			return "", false
		}
	}
	return of, ok
}

// cutWord returns what follows a word at the beginning of a text.
func cutWord(text, word string) (rest string, ok bool) {
	text = skipBlank(text)
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return "", false
	}
	return text[len(word):], true
}

// skipBlank skips white space and comments.
func skipBlank(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f")
		switch {
		case strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
		case strings.HasPrefix(text, "/*"):
			_, text, _ = strings.Cut(text[2:], "*/")
		default:
			return text
		}
	}
}

// explanation is the result of EXPLAIN QUERY PLAN.
type explanation struct {
	query *query
	steps []step
}

// explain describes the steps of a statement. It makes calls to estimate how
// many objects there are.
func (c *conn) explain(ctx context.Context, text string) (driver.Rows, error) {
	steps, read, err := c.steps(text)
	if err != nil {
		return nil, err
	}
	q := newQuery(ctx, c.source)
	q.prepare(steps, read)
	e := &estimator{query: q, text: text, steps: steps, calls: make([]guess, len(steps)), seen: map[string]bool{}}
	e.limit()
	err = e.group(0, exactly(1))
	_, spent := errors.AsType[*BudgetError](err)
	if err != nil && !spent {
		q.close()
		return nil, err
	}
	last := int64(0)
	for i := range steps {
		last = max(last, steps[i].id)
		if p := steps[i].plan; p != nil {
			steps[i].detail += ": " + q.describe(p)
			if !spent {
				steps[i].detail += ", " + e.calls[i].ofCalls()
			}
			steps[i].detail += steps[i].after
		}
	}
	if computesTime.MatchString(text) {
		steps = append(steps, step{id: last + 1, detail: hintOfTime})
		last++
	}
	allowed := fmt.Sprintf("%d allowed", q.source.maxCalls)
	if q.source.accounts.several() {
		allowed += " for each connection"
	}
	summary := fmt.Sprintf("ESTIMATE %s (%s)", e.total.ofCalls(), allowed)
	if spent {
		summary = fmt.Sprintf("ESTIMATE unknown: to measure takes more than the %d calls allowed", q.source.maxCalls)
	}
	return &explanation{query: q, steps: append(steps, step{id: last + 1, detail: summary})}, nil
}

// computesTime matches a comparison of what a function makes of created.
var computesTime = regexp.MustCompile(`(?i)\b(date|datetime|time|strftime|julianday|unixepoch|substr)\s*\([^()]*\bcreated(_unix)?\b[^()]*\)\s*(=|<|>|!=|(NOT\s+)?(IN|LIKE|GLOB|BETWEEN)\b)`)

const hintOfTime = "HINT the API receives bounds of created itself, such as created >= '2026-01-31' AND created < '2026-02-01', but not of a function of it"

// Columns returns the names that SQLite uses for EXPLAIN QUERY PLAN.
func (e *explanation) Columns() []string { return []string{"id", "parent", "notused", "detail"} }

// Close ends the query.
func (e *explanation) Close() error {
	e.query.close()
	return nil
}

// Next returns the next step.
func (e *explanation) Next(dest []driver.Value) error {
	if len(e.steps) == 0 {
		return io.EOF
	}
	s := e.steps[0]
	e.steps = e.steps[1:]
	dest[0], dest[1], dest[2], dest[3] = s.id, s.parent, s.unused, s.detail
	return nil
}

// describe describes a plan for people: its first request, and the conditions
// that only SQLite checks.
func (q *query) describe(p *plan) string {
	t := q.source.tables[p.Table]
	s, unknown := q.known(p, t)
	s.expand = q.expand[t.name]
	text := ""
	switch {
	case p.How == byID && len(unknown) > 0:
		text = "GET " + t.path + "/{id}"
		if from := q.expandedBy(t.name); from != "" {
			text = "expanded with " + from + ", else " + text
		}
	case p.How == byIDs:
		text = fmt.Sprintf("GET %s?ids[]=…&limit=%d", t.path, maxPage)
	case s.none:
		text = "nothing"
	default:
		r := s.request()
		for _, by := range unknown {
			if p.How == search {
				r.params["query"] = strings.TrimPrefix(r.params["query"]+" AND "+by.String(), " AND ")
			} else if by.Column != connectionColumn {
				r.params[by.parameter(t)] = "?"
			}
		}
		text = r.String()
	}
	switch n := len(s.accounts); {
	case !q.source.accounts.several() || s.none:
	case slices.ContainsFunc(unknown, func(by term) bool { return by.Column == connectionColumn }):
		text += " of one connection"
	case n == 1:
		text += " of connection " + s.account().name
	default:
		text += fmt.Sprintf(" of %d connections", n)
	}
	if len(p.Local) > 0 {
		local := make([]string, len(p.Local))
		for i, by := range p.Local {
			local[i] = by.String()
		}
		text += ", locally " + strings.Join(local, " AND ")
	}
	return transport.Mask(text)
}

// parameter returns the name of the parameter that a term is sent as, for
// display.
func (t term) parameter(from *table) string {
	name := from.filter(t.Column).param
	if slices.Contains(from.createdColumns(), t.Column) {
		name = createdColumn
	}
	bound := map[string]string{opAtLeast: "[gte]", opMore: "[gt]", opLess: "[lt]", opAtMost: "[lte]"}
	return cmp.Or(name, t.Column) + bound[t.Op]
}
