package stripesql

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// known returns the spec for those terms of a plan whose values are known
// before the statement runs, and the other terms.
func (q *query) known(p *plan, t *table) (s *spec, unknown []term) {
	known, values := *p, []any(nil)
	known.Terms = nil
	for _, by := range p.Terms {
		if by.Value == nil && by.Op != opNull && by.Op != opNotNull {
			unknown = append(unknown, by)
			continue
		}
		known.Terms, values = append(known.Terms, by), append(values, by.Value.value())
	}
	s = known.newSpec(q.accounts, t, values)
	s.how = p.How
	return s, unknown
}

// expandedBy returns the table whose objects are read with the objects of the
// given table expanded, "" if there is none.
func (q *query) expandedBy(table string) string {
	for _, r := range references() {
		if r.to == table && slices.Contains(q.expand[r.from], r.field) {
			return r.from
		}
	}
	return ""
}

// estimator estimates the calls of a statement.
type estimator struct {
	query *query
	text  string // of the statement
	steps []step
	total guess
	seen  map[string]bool // keys of the scans that were counted: a scan is made once
}

// trailingLimit matches a LIMIT at the end of a statement.
var trailingLimit = regexp.MustCompile(`(?i)\bLIMIT\s+(\d{1,9})[\s;]*$`)

// limit finds the LIMIT of a join, which SQLite passes to no table. The LIMIT
// ends the reading only if nothing is sorted and the first table is in order.
func (e *estimator) limit() {
	found := trailingLimit.FindStringSubmatch(e.text)
	first := slices.IndexFunc(e.steps, func(s step) bool { return s.parent == 0 })
	sorted := slices.ContainsFunc(e.steps, func(s step) bool { return s.parent == 0 && strings.HasPrefix(s.detail, "USE TEMP B-TREE") })
	if found == nil || first < 0 || sorted {
		return
	}
	if s := &e.steps[first]; s.plan != nil && s.plan.Order != "" {
		s.limit, _ = strconv.ParseInt(found[1], 10, 64) // digits, and not many
	}
}

// values returns how many values the IN of a column has.
func (e *estimator) values(column string) guess {
	text := regexp.MustCompile(`'[^']*'`).ReplaceAllString(e.text, "''")
	list := regexp.MustCompile(`(?i)\b` + column + `"?\s+IN\s*\(([^()]*)\)`).FindStringSubmatch(text)
	if list == nil || strings.Contains(strings.ToUpper(list[1]), "SELECT") {
		return guess{1, 10, maxPage} // of a subquery
	}
	return exactly(float64(1 + strings.Count(list[1], ",")))
}

// group estimates the steps below a parent, which is run the given number of
// times. The steps are nested loops.
func (e *estimator) group(parent int64, times guess) error {
	runs := times
	for i := range e.steps {
		s := &e.steps[i]
		if s.parent != parent {
			continue
		}
		if s.plan != nil {
			calls, rows, err := e.loop(s, times)
			if err != nil {
				return err
			}
			s.calls = calls
			e.total = e.total.plus(calls)
			times = times.times(rows)
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
func (e *estimator) loop(s *step, times guess) (calls, rows guess, err error) {
	q, p := e.query, s.plan
	t := q.source.tables[p.Table]
	known, unknown := q.known(p, t)
	accounts := exactly(float64(len(known.accounts)))
	each := exactly(1) // how many requests a run begins with
	for _, by := range unknown {
		if by.In || by.Op == opIn {
			each = each.times(e.values(by.Column))
		}
		if by.Column == connectionColumn {
			accounts = exactly(1)
		}
	}
	switch {
	case times.most == 0 || known.none:
		return guess{}, guess{}, nil
	case p.How == byID && len(unknown) == 0:
		return accounts, accounts, nil
	case p.How == byID && (q.expandedBy(t.name) != "" || e.listed(t)):
		return guess{}, each, nil
	case p.How == byID:
		objects := rowsOf(densitiesOf(known.accounts, t), t)
		return q.lookupCalls(times.times(each).atMost(objects), objects).times(accounts), each, nil
	case p.How == byIDs:
		return each.pages().times(accounts), each, nil
	}
	if strings.HasPrefix(s.detail, "SEARCH") && p.Order != "" {
		return accounts, exactly(1), nil // of a min() or max()
	}
	n, rows, err := e.list(s, known)
	if err != nil {
		return guess{}, guess{}, err
	}
	calls = n.with(func(n float64) float64 { return n / accounts.likely }).pages().times(accounts)
	if len(unknown) == 0 {
		key := known.key()
		if e.seen[key] {
			calls = guess{}
		}
		e.seen[key] = true
		return calls, rows, nil
	}
	calls, rows = calls.times(times).times(each), rows.times(each)
	if calls.likely > float64(q.source.fewLookups) && len(unknown) == 1 && p.lookup(t) >= 0 {
		whole, err := q.estimate(known.accounts, t, known.window)
		return q.lookupCalls(calls, whole.likely), rows, err
	}
	return calls, rows, nil
}

// list estimates how many objects a run of a list or a search reads, and how many
// rows it returns.
func (e *estimator) list(s *step, known *spec) (objects, rows guess, err error) {
	fits, err := e.query.selectivity(known, s.plan.Local)
	if err != nil {
		return guess{}, guess{}, err
	}
	limit := math.Inf(1)
	if n := cmp.Or(s.plan.Limit, s.limit); n > 0 {
		limit = float64(n)
	}
	wanted := limit / fits
	objects = exactly(wanted)
	if low, _ := known.window.bounded(); low || wanted > enough {
		if objects, err = e.objects(s.plan, known); err != nil {
			return guess{}, guess{}, err
		}
	}
	return objects.atMost(wanted), objects.times(exactly(fits)).atMost(limit), nil
}

// lookupCalls estimates the calls of lookups in a list of so many objects.
func (q *query) lookupCalls(lookups guess, objects float64) guess {
	few, pages := float64(q.source.fewLookups), exactly(objects).pages().likely
	return lookups.with(func(n float64) float64 {
		further := max(n-few, 0) // each with a page
		if pages > maxListPages {
			return n + min(further, maxListPages)
		}
		return min(n+further, few+2*pages)
	})
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
func (e *estimator) objects(p *plan, known *spec) (guess, error) {
	t, sent := known.table, []term(nil)
	for _, by := range p.Terms {
		switch f := t.filter(by.Column); {
		case slices.Contains(t.createdColumns(), by.Column), by.Column == connectionColumn:
		case p.How == byList && f.rows > 0 && by.Op == opEqual:
			return exactly(f.rows), nil
		default:
			sent = append(sent, by)
		}
	}
	n, err := e.query.estimate(known.accounts, t, known.window)
	if err != nil {
		return guess{}, err
	}
	fits, err := e.query.selectivity(known, sent)
	for _, by := range p.Terms {
		switch {
		case by.Value != nil:
		case slices.Contains(t.createdColumns(), by.Column):
			fits /= 3
		case by.Column == connectionColumn:
			fits /= float64(len(known.accounts))
		}
	}
	return n.times(exactly(fits)), err
}

// selectivity estimates the share of objects that satisfy all terms, from the newest in
// the window of a scan.
func (q *query) selectivity(of *spec, terms []term) (float64, error) {
	if len(terms) == 0 {
		return 1, nil
	}
	t := of.table
	objects, err := q.sample(of.account(), t, of.window.high)
	if err != nil || len(objects) == 0 {
		return 1, err
	}
	guess, known := 1.0, []term{}
	for _, by := range terms {
		switch {
		case by.comparable() && t.columns[t.index[by.Column]].expand == "":
			known = append(known, by)
		case by.Op == opEqual || by.Op == "IS":
			guess /= 10
		default:
			guess /= 3
		}
	}
	fits, values, all := 0, []any(nil), allOf(len(t.columns))
	for _, o := range objects {
		if values, err = t.read(o, all, values); err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(known, func(by term) bool { return !by.holds(t, values[t.index[by.Column]]) }) {
			fits++
		}
	}
	return guess * max(float64(fits), 0.5) / float64(len(objects)), nil
}

// comparable reports whether holds can decide a term.
func (t term) comparable() bool {
	switch t.Op {
	case opNull, opNotNull:
		return true
	case opEqual, opLess, opAtMost, opMore, opAtLeast, opUnequal:
		return t.Value != nil
	}
	return false
}

// holds reports whether a value satisfies the term, which is comparable. It compares as
// SQLite does if both sides have the same type.
func (t term) holds(table *table, value any) bool {
	if value == nil || t.Op == opNull || t.Op == opNotNull {
		return (value == nil) == (t.Op == opNull)
	}
	compared := 0
	switch value := value.(type) {
	case float64:
		return true
	case int64:
		if t.Value.Whole == nil {
			return t.Op == opUnequal
		}
		compared = cmp.Compare(value, *t.Value.Whole)
	case string:
		if t.Value.Text == nil {
			return t.Op == opUnequal
		}
		compared = strings.Compare(value, *t.Value.Text)
		if table.kind(t.Column) == Time {
			compared = compareStamps([]byte(value), []byte(*t.Value.Text))
		}
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
	return compared != 0
}
