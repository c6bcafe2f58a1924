package stripesql

import (
	"math"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// planner makes the plan of one table for one choice of usable constraints.
type planner struct {
	table    *table
	source   *source
	accounts []*account
	known    []*density // of the table, by account; nil for a lookup by id
	info     *sqlite3.IndexInfo
	options  []option
	short    bool  // the statement has a LIMIT
	limit    int64 // how many rows are needed, 0 if unknown
}

// option is a constraint that could be sent to the API.
type option struct {
	constraint int
	term       term
	in         bool // the constraint is an IN
}

// bestIndex chooses how a table is read. No constraint is marked as handled, so
// SQLite checks every row itself. A request may therefore return more objects
// than the statement needs, but never fewer.
func (t *table) bestIndex(s *source, info *sqlite3.IndexInfo) {
	p := &planner{table: t, source: s, accounts: s.accounts.now(), info: info}
	p.read()
	chosen := p.choose()
	p.addConnection(&chosen)
	for i, o := range chosen.use {
		info.ConstraintUsage[o.constraint].ArgvIndex = i + 1
		if o.term.Op == opIn {
			info.In(o.constraint, 1)
		}
		chosen.plan.Terms = append(chosen.plan.Terms, o.term)
	}
	chosen.plan.Local = p.local(chosen.use)
	if chosen.plan.How == byID {
		info.OrderByConsumed = p.oneAccount(chosen.use) // there is at most one row of each
	} else if order, ok := p.order(); ok && chosen.plan.How == byList {
		chosen.plan.Order, info.OrderByConsumed = order, len(info.OrderBy) > 0
	}
	chosen.plan.Short = p.short
	chosen.plan.Limit = p.limit
	chosen.plan.Need = columnSet(info.ColumnsUsed)
	info.IdxStr = chosen.plan.encode()
	info.EstimatedRows = int64(max(chosen.rows, 1))
	info.EstimatedCost = chosen.calls*callCost + chosen.rows
}

// callCost is the cost of a call, in rows that are in memory.
const callCost = 1000

// candidate is a plan with its cost.
type candidate struct {
	plan  plan
	use   []option
	calls float64
	rows  float64
}

// read collects the constraints that could be sent, and the LIMIT.
func (p *planner) read() {
	limit, offset, known := int64(0), int64(0), true
	for i, c := range p.info.Constraint {
		switch {
		case c.Op == sqlite3.INDEX_CONSTRAINT_LIMIT:
			p.short = true
			limit, known = p.count(i, known)
		case c.Op == sqlite3.INDEX_CONSTRAINT_OFFSET:
			offset, known = p.count(i, known)
		case c.Usable && c.Column >= 0:
			p.consider(i, c)
		}
	}
	if known && limit > 0 && offset >= 0 && limit < math.MaxInt32 && offset < math.MaxInt32 {
		p.limit = limit + offset
	}
}

// count returns the number of a LIMIT or OFFSET, and known, or false if the
// number is not in the statement.
func (p *planner) count(constraint int, known bool) (int64, bool) {
	l := literalOf(p.info, constraint)
	if l == nil || l.Whole == nil {
		return 0, false
	}
	return *l.Whole, known
}

func (p *planner) consider(i int, c sqlite3.IndexConstraint) {
	column := p.table.columns[c.Column]
	o := option{constraint: i, term: term{Column: column.name, Op: operator(c.Op), Value: literalOf(p.info, i)}}
	collation := p.info.Collation(i)
	switch {
	case column.kind == Text && !strings.EqualFold(collation, "BINARY"),
		column.kind == Time && !strings.EqualFold(collation, stampCollation):
		return // with this collation, SQLite compares in another way than the API
	}
	o.in = c.Op == sqlite3.INDEX_CONSTRAINT_EQ && p.info.In(i, -1)
	p.options = append(p.options, o)
}

// oneAccount reports whether a plan that sends the given constraints reads one account.
func (p *planner) oneAccount(sent []option) bool {
	return !p.source.accounts.several() || slices.ContainsFunc(sent, func(o option) bool { return o.term.Column == connectionColumn && !o.in })
}

// addConnection adds a condition on the connection, which leaves out the other accounts.
func (p *planner) addConnection(c *candidate) {
	if o, ok := p.find(connectionColumn, opEqual); ok && p.source.accounts.several() {
		o.term.In = o.in
		c.use = append(c.use, o)
		c.rows = max(1, c.rows/float64(len(p.accounts)))
	} else {
		c.calls *= float64(len(p.accounts))
	}
}

// find returns the first option with the column and one of the operators.
func (p *planner) find(column string, ops ...string) (option, bool) {
	i := slices.IndexFunc(p.options, func(o option) bool {
		return o.term.Column == column && slices.Contains(ops, o.term.Op)
	})
	if i < 0 {
		return option{}, false
	}
	return p.options[i], true
}

// choose returns the cheapest plan.
func (p *planner) choose() candidate {
	if c, ok := p.byID(); ok {
		return c
	}
	p.known = densitiesOf(p.accounts, p.table)
	best := p.byList()
	if c, ok := p.bySearch(); ok && c.calls < best.calls {
		best = c
	}
	return best
}

// idCost is the cost of one lookup by id, in calls. Most lookups find an object
// that a list has expanded or an earlier lookup has read.
const idCost = 0.02

func (p *planner) byID() (candidate, bool) {
	id, ok := p.find(idColumn, opEqual)
	if !ok {
		return candidate{}, false
	}
	id.term.In = id.in
	c := candidate{plan: plan{Table: p.table.name, How: byID}, use: []option{id}, calls: idCost, rows: 1}
	if id.in && p.table.byIDs {
		id.term.Op, id.term.Value, id.term.In = opIn, nil, false
		c.plan.How, c.use = byIDs, []option{id}
		c.calls, c.rows = 1, maxPage
	}
	return c, true
}

// byList returns a plan that reads a list with all filters that apply.
func (p *planner) byList() candidate {
	c := candidate{plan: plan{Table: p.table.name, How: byList}}
	c.rows = rowsOf(p.known, p.table)
	for _, column := range p.table.columns {
		f, ok := p.table.filters[column.name]
		if !ok {
			continue
		}
		if f.span {
			c.use = append(c.use, p.bounds(column.name, column.name+unixSuffix)...)
		} else if o, ok := p.find(column.name, opEqual); ok {
			if o.term.In = o.in; o.in && f.many {
				o.term.Op, o.term.Value, o.term.In = opIn, nil, false
			}
			c.use = append(c.use, o)
			if f.rows > 0 {
				c.rows = min(c.rows, f.rows)
			} else {
				c.rows /= 3
			}
		}
	}
	if o, ok := p.find(pendingColumn, opNull, opNotNull); ok && p.table.filters[pendingColumn].param != "" {
		c.use = append(c.use, o)
		c.rows /= 2
	}
	p.addTimes(&c)
	c.calls = max(1, math.Ceil(c.rows/maxPage))
	if _, ok := p.order(); ok && p.limit > 0 && len(p.local(c.use)) == 0 {
		c.rows = min(c.rows, float64(p.limit))
		c.calls = max(1, math.Ceil(c.rows/maxPage))
	}
	return c
}

// pendingColumn is NULL in the invoice items that lists call pending.
const pendingColumn = "invoice"

// bounds returns all options that bound the time in the given columns.
func (p *planner) bounds(columns ...string) []option {
	return slices.DeleteFunc(slices.Clone(p.options), func(o option) bool {
		switch o.term.Op {
		case opEqual, opLess, opAtMost, opMore, opAtLeast:
			return o.in || !slices.Contains(columns, o.term.Column)
		}
		return true
	})
}

// addTimes adds the bounds of created to a candidate.
func (p *planner) addTimes(c *candidate) {
	times := p.bounds(p.table.createdColumns()...)
	c.use = append(c.use, times...)
	w, complete := everything(), true
	var lower, upper bool
	for _, o := range times {
		lower = lower || o.term.Op != opLess && o.term.Op != opAtMost
		upper = upper || o.term.Op != opMore && o.term.Op != opAtLeast
		if o.term.Value == nil {
			complete = false
			continue
		}
		w.narrow(p.table, o.term, o.term.Value.value())
	}
	switch {
	case len(times) == 0:
	case complete:
		c.rows *= shareOf(p.known, p.table, w)
	case lower && upper:
		c.rows /= 30
	default:
		c.rows /= 3
	}
}

// createdColumns returns the columns that hold when an object was created.
func (t *table) createdColumns() []string {
	if _, ok := t.index["date"]; ok {
		return []string{createdColumn, unixColumn, "date", "date_unix"}
	}
	return []string{createdColumn, unixColumn}
}

// bySearch returns a plan that uses a search, false if searches are not allowed
// or have nothing to filter by.
func (p *planner) bySearch() (candidate, bool) {
	if !p.source.search || p.table.searches == nil {
		return candidate{}, false
	}
	if order, _ := p.order(); order != "" && len(p.bounds(p.table.createdColumns()...)) == 0 {
		return candidate{}, false // a list begins with the newest objects
	}
	c := candidate{plan: plan{Table: p.table.name, How: search}, rows: rowsOf(p.known, p.table)}
	for _, column := range p.table.columns {
		if !slices.Contains(p.table.searches, column.name) || column.kind == Time || len(c.use) == maxClauses-2 { // two are reserved for the time
			continue
		}
		ops := []string{opEqual}
		if column.kind == Integer {
			ops = append(ops, opLess, opAtMost, opMore, opAtLeast)
		}
		if o, ok := p.find(column.name, ops...); ok {
			c.use = append(c.use, o)
			c.rows /= 10
		}
	}
	if len(c.use) == 0 {
		return candidate{}, false
	}
	if slices.Contains(p.table.searches, createdColumn) {
		p.addTimes(&c)
	}
	c.calls = max(1, math.Ceil(c.rows/maxPage))
	return c, true
}

// maxClauses is the maximum number of conditions of a search.
const maxClauses = 10

// local returns the constraints that are not sent.
func (p *planner) local(sent []option) []term {
	var local []term
	for i, c := range p.info.Constraint {
		switch {
		case !c.Usable || c.Column < 0 || c.Op == sqlite3.INDEX_CONSTRAINT_LIMIT || c.Op == sqlite3.INDEX_CONSTRAINT_OFFSET:
		case slices.ContainsFunc(sent, func(o option) bool { return o.constraint == i }):
		case p.ofLike(c):
		default:
			local = append(local, term{Column: p.table.columns[c.Column].name, Op: operator(c.Op), Value: literalOf(p.info, i)})
		}
	}
	return local
}

// ofLike reports whether SQLite has derived a bound from a LIKE or GLOB.
func (p *planner) ofLike(c sqlite3.IndexConstraint) bool {
	return (c.Op == sqlite3.INDEX_CONSTRAINT_GE || c.Op == sqlite3.INDEX_CONSTRAINT_LT) &&
		slices.ContainsFunc(p.info.Constraint, func(other sqlite3.IndexConstraint) bool {
			return other.Column == c.Column && (other.Op == sqlite3.INDEX_CONSTRAINT_LIKE || other.Op == sqlite3.INDEX_CONSTRAINT_GLOB)
		})
}

// order returns the order of lists that the ORDER BY matches, false if it
// matches none.
func (p *planner) order() (order, bool) {
	if len(p.info.OrderBy) == 0 {
		return "", true
	}
	if p.table.disordered {
		return "", false
	}
	for i, by := range p.info.OrderBy {
		name := ""
		if by.Column >= 0 {
			name = p.table.columns[by.Column].name
		}
		switch {
		case i == 0 && !by.Desc:
			return "", false
		case name == createdColumn || name == unixColumn:
			// A repeated time column does not change the order.
		case i == 0 || name != idColumn:
			return "", false
		case i < len(p.info.OrderBy)-1 && p.source.accounts.several():
			return "", false // two accounts may have an object of the same id
		case by.Desc:
			return newestFirstByIDDesc, true
		default:
			return newestFirstByID, true
		}
	}
	return newestFirst, true
}
