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
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// steps returns the steps that SQLite has chosen for a statement.
func (c *conn) steps(text string) ([]step, error) {
	s, _, err := c.db.Prepare("EXPLAIN QUERY PLAN " + text)
	if err != nil {
		return nil, fmt.Errorf("stripesql: %w", err)
	}
	defer s.Close()
	var steps []step
	for s.Step() {
		made := step{id: s.ColumnInt64(0), parent: s.ColumnInt64(1), unused: s.ColumnInt64(2), detail: s.ColumnText(3)}
		if err := made.read(); err != nil {
			return nil, err
		}
		steps = append(steps, made)
	}
	return steps, s.Err()
}

// read moves the plan from the detail of the step into its own field.
func (s *step) read() error {
	before, encoded, found := strings.Cut(s.detail, planMark)
	if !found {
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

func plansOf(steps []step) []*plan {
	var plans []*plan
	for _, s := range steps {
		if s.plan != nil {
			plans = append(plans, s.plan)
		}
	}
	return plans
}

// prepare decides which fields to expand. If a statement reads a field that
// refers to an object, and looks up objects of that table by their ids, the
// field is expanded, so that the lookups need no calls.
func (q *query) prepare(plans []*plan) {
	q.lookups, q.expand = map[string]bool{}, map[string][]string{}
	for _, p := range plans {
		if p.How == byID {
			q.lookups[p.Table] = true
		}
	}
	for _, table := range []string{"charges", "refunds", "invoice_items", "orders"} { // a table comes after those it refers to
		for _, field := range slices.Sorted(maps.Keys(references(table))) {
			to := references(table)[field]
			if !q.lookups[to] || !q.reads(plans, table, field) {
				continue
			}
			q.expand[table] = append(q.expand[table], field)
			for _, further := range q.expand[to] {
				q.expand[table] = append(q.expand[table], field+"."+further)
			}
		}
	}
}

// reads reports whether a statement reads a column.
func (q *query) reads(plans []*plan, table, field string) bool {
	column := q.source.tables[table].index[field]
	return slices.ContainsFunc(plans, func(p *plan) bool { return p.Table == table && p.Need.has(column) })
}

// explains reports whether a statement is an EXPLAIN QUERY PLAN, and returns
// the statement that it explains.
func explains(text string) (of string, ok bool) {
	rest := text
	for _, word := range []string{"EXPLAIN", "QUERY", "PLAN"} {
		rest = skipBlank(rest)
		if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
			return "", false
		}
		rest = rest[len(word):]
	}
	return rest, true
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
	steps, err := c.steps(text)
	if err != nil {
		return nil, err
	}
	q := newQuery(ctx, c.source)
	q.prepare(plansOf(steps))
	e := &estimator{query: q, steps: steps, calls: make([]float64, len(steps)), seen: map[string]bool{}}
	e.limit(text)
	err = e.group(0, 1)
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
				steps[i].detail += ", " + aboutCalls(e.calls[i])
			}
			steps[i].detail += steps[i].after
		}
	}
	if computesTime.MatchString(text) {
		steps = append(steps, step{id: last + 1, detail: hintOfTime})
		last++
	}
	summary := fmt.Sprintf("ESTIMATE %s (%d allowed)", aboutCalls(e.total), q.source.maxCalls)
	if spent {
		summary = fmt.Sprintf("ESTIMATE unknown: to measure takes more than the %d calls allowed", q.source.maxCalls)
	}
	return &explanation{query: q, steps: append(steps, step{id: last + 1, detail: summary})}, nil
}

// computesTime matches a comparison of what a function makes of created.
var computesTime = regexp.MustCompile(`(?i)\b(date|datetime|time|strftime|julianday|unixepoch|substr)\s*\([^()]*\bcreated(_unix)?\b[^()]*\)\s*(=|<|>|!=|(NOT\s+)?(IN|LIKE|GLOB|BETWEEN)\b)`)

const hintOfTime = "HINT the API receives bounds of created itself, such as created >= '2026-01-31' AND created < '2026-02-01', but not of a function of it"

func aboutCalls(n float64) string {
	whole := int64(math.Ceil(n - 0.01))
	if whole == 1 {
		return "about 1 call"
	}
	return fmt.Sprintf("about %d calls", whole)
}

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
	s, unknown := p.known(t)
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
			} else {
				r.params[by.parameter(t)] = "?"
			}
		}
		text = r.String()
	}
	if len(p.Local) > 0 {
		local := make([]string, len(p.Local))
		for i, by := range p.Local {
			local[i] = by.String()
		}
		text += ", locally " + strings.Join(local, " AND ")
	}
	return text
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

// known returns the spec for those terms of a plan whose values are known
// before the statement runs, and the other terms.
func (p *plan) known(t *table) (s *spec, unknown []term) {
	known := *p
	known.Terms = nil
	var values []any
	for _, by := range p.Terms {
		switch {
		case by.Op == opNull || by.Op == opNotNull:
			known.Terms, values = append(known.Terms, by), append(values, nil)
		case by.Value != nil && by.Value.value() != nil:
			known.Terms, values = append(known.Terms, by), append(values, by.Value.value())
		default:
			unknown = append(unknown, by)
		}
	}
	s = known.newSpec(t, values)
	s.how = p.How
	return s, unknown
}

// expandedBy returns the table whose objects are read with the objects of the
// given table expanded, "" if there is none.
func (q *query) expandedBy(table string) string {
	for _, from := range slices.Sorted(maps.Keys(q.expand)) {
		for field, to := range references(from) {
			if to == table && slices.Contains(q.expand[from], field) {
				return from
			}
		}
	}
	return ""
}

// estimator estimates the calls of a statement.
type estimator struct {
	query *query
	steps []step
	calls []float64 // by step
	total float64
	seen  map[string]bool // keys of the scans that were counted: a scan is made once
	// limits is how many rows are needed, by step, if its plan has no limit.
	limits map[int]int64
}

// trailingLimit matches a LIMIT at the end of a statement.
var trailingLimit = regexp.MustCompile(`(?i)\bLIMIT\s+(\d{1,9})[\s;]*$`)

// limit finds the LIMIT of a join, which SQLite passes to no table. The LIMIT
// ends the reading only if nothing is sorted and the first table is in order.
func (e *estimator) limit(text string) {
	found := trailingLimit.FindStringSubmatch(text)
	first := slices.IndexFunc(e.steps, func(s step) bool { return s.parent == 0 })
	sorted := slices.ContainsFunc(e.steps, func(s step) bool { return s.parent == 0 && strings.HasPrefix(s.detail, "USE TEMP B-TREE") })
	if found == nil || first < 0 || sorted {
		return
	}
	if p := e.steps[first].plan; p != nil && p.Order != "" {
		n, _ := strconv.ParseInt(found[1], 10, 64) // digits, and not many
		e.limits = map[int]int64{first: n}
	}
}

// group estimates the steps below a parent, which is run the given number of
// times. The steps are nested loops.
func (e *estimator) group(parent int64, times float64) error {
	runs := times
	for i, s := range e.steps {
		if s.parent != parent {
			continue
		}
		if s.plan != nil {
			calls, rows, err := e.loop(i, times)
			if err != nil {
				return err
			}
			e.calls[i] = calls
			e.total += calls
			times *= rows
		}
		inner := runs
		if strings.HasPrefix(s.detail, "CORRELATED") || strings.HasSuffix(s.detail, "OR") || strings.HasPrefix(s.detail, "INDEX") {
			inner = times
		}
		if err := e.group(s.id, inner); err != nil {
			return err
		}
	}
	return nil
}

// loop estimates the calls of a step that is run the given number of times, and
// the rows that it returns each time.
func (e *estimator) loop(i int, times float64) (calls, rows float64, err error) {
	q, s := e.query, e.steps[i]
	p, limit := s.plan, cmp.Or(s.plan.Limit, e.limits[i])
	t := q.source.tables[p.Table]
	known, unknown := p.known(t)
	switch {
	case times == 0 || known.none:
		return 0, 0, nil
	case p.How == byID && len(unknown) == 0:
		return 1, 1, nil
	case p.How == byID && (q.expandedBy(t.name) != "" || e.listed(t)):
		return 0, 1, nil
	case p.How == byID:
		return q.lookupCalls(min(times, q.source.density.rows(t)), q.source.density.rows(t)), 1, nil
	case p.How == byIDs:
		return 1, maxPage, nil
	}
	if strings.HasPrefix(s.detail, "SEARCH") && p.Order != "" {
		return 1, 1, nil // of a min() or max()
	}
	fits, err := q.selectivity(t, known.window.high, p.Local)
	if err != nil {
		return 0, 0, err
	}
	wanted := math.Inf(1)
	if limit > 0 {
		wanted = float64(limit) / fits
	}
	n := wanted
	if low, _ := known.window.bounded(); low || wanted > enough {
		if n, err = e.objects(t, p, known, unknown); err != nil {
			return 0, 0, err
		}
	}
	rows = n * fits
	if limit > 0 {
		n, rows = min(n, wanted), min(rows, float64(limit))
	}
	calls = max(1, math.Ceil(n/maxPage))
	if key := known.key(); len(unknown) > 0 {
		if calls *= times; calls > float64(q.source.fewLookups) && len(unknown) == 1 && p.lookup(t) >= 0 {
			whole, err := q.estimate(t, known.window)
			return q.lookupCalls(calls, whole), rows, err
		}
	} else if e.seen[key] {
		calls = 0
	} else {
		e.seen[key] = true
	}
	return calls, rows, nil
}

// lookupCalls estimates the calls of lookups in a list of so many objects.
func (q *query) lookupCalls(lookups, objects float64) float64 {
	pages := max(1, math.Ceil(objects/maxPage))
	further := max(lookups-float64(q.source.fewLookups), 0) // each with a page
	if pages > maxListPages {
		return lookups + min(further, maxListPages)
	}
	return min(lookups+further, float64(q.source.fewLookups)+2*pages)
}

// enough is how many objects may be needed without estimating how many there
// are.
const enough = 10 * maxPage

// listed reports whether the statement lists the table too, so that lookups by
// id find its objects in memory.
func (e *estimator) listed(t *table) bool {
	return slices.ContainsFunc(e.steps, func(s step) bool { return s.plan != nil && s.plan.Table == t.name && s.plan.How != byID })
}

// objects estimates how many objects a list or a search returns.
func (e *estimator) objects(t *table, p *plan, known *spec, unknown []term) (float64, error) {
	sent := []term{}
	for _, by := range p.Terms {
		switch f := t.filter(by.Column); {
		case slices.Contains(t.createdColumns(), by.Column):
		case p.How == byList && f.rows > 0 && by.Op == opEqual:
			return f.rows, nil
		default:
			sent = append(sent, by)
		}
	}
	n, err := e.query.estimate(t, known.window)
	if err != nil {
		return 0, err
	}
	fits, err := e.query.selectivity(t, known.window.high, sent)
	for _, by := range unknown {
		if slices.Contains(t.createdColumns(), by.Column) {
			fits /= 3
		}
	}
	return n * fits, err
}

// selectivity estimates the share of objects that satisfy all terms, from the
// sample before the second high.
func (q *query) selectivity(t *table, high int64, terms []term) (float64, error) {
	if len(terms) == 0 {
		return 1, nil
	}
	s, err := q.sample(t, high)
	if err != nil || len(s.objects) == 0 {
		return 1, err
	}
	guess, known := 1.0, []term{}
	for _, by := range terms {
		switch {
		case by.comparable():
			known = append(known, by)
		case by.Op == opEqual || by.Op == "IS":
			guess /= 10
		default:
			guess /= 3
		}
	}
	fits, values := 0, []any(nil)
	for _, o := range s.objects {
		if values, err = t.read(o, allColumns, values); err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(known, func(by term) bool { return !by.holds(t, values[t.index[by.Column]]) }) {
			fits++
		}
	}
	return guess * max(float64(fits), 0.5) / float64(len(s.objects)), nil
}

// comparable reports whether holds can decide a term.
func (t term) comparable() bool {
	switch t.Op {
	case opNull, opNotNull:
		return true
	case opEqual, opLess, opAtMost, opMore, opAtLeast, "<>":
		return t.Value != nil && t.Value.value() != nil
	}
	return false
}

// holds reports whether a value satisfies the term. It compares as SQLite does
// if both sides have the same type.
func (t term) holds(table *table, value any) bool {
	compared := 0
	switch value := value.(type) {
	case nil:
		return t.Op == opNull
	case string:
		if t.Value == nil || t.Value.Text == nil {
			return t.Op == opNotNull || t.Op == "<>"
		}
		compare := strings.Compare
		if table.columns[table.index[t.Column]].kind == stamp {
			compare = func(a, b string) int { return compareStamps([]byte(a), []byte(b)) }
		}
		compared = compare(value, *t.Value.Text)
	case int64:
		if t.Value == nil || t.Value.Whole == nil {
			return t.Op == opNotNull || t.Op == "<>"
		}
		compared = cmp.Compare(value, *t.Value.Whole)
	default:
		return t.Op != opNull
	}
	switch t.Op {
	case opEqual:
		return compared == 0
	case opLess:
		return compared < 0
	case opAtMost:
		return compared <= 0
	case opMore:
		return compared > 0
	case opAtLeast:
		return compared >= 0
	}
	return t.Op != opNull && (t.Op != "<>" || compared != 0)
}
