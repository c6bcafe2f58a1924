package stripesql

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/stripekit/stripekit/internal/transport"
)

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
	e := &estimator{query: q, text: text, steps: steps, seen: map[string]bool{}}
	e.limit()
	err = e.group(0, exactly(1))
	_, spent := errors.AsType[*BudgetError](err)
	if err != nil && !spent {
		q.close()
		return nil, err
	}
	x, last := &explanation{query: q}, int64(0)
	for _, s := range steps {
		if s.plan != nil {
			s.detail += ": " + q.describe(s.plan)
			if !spent {
				s.detail += ", " + s.calls.ofCalls()
			}
			s.detail += s.after
		}
		x.steps, last = append(x.steps, s), max(last, s.id)
	}
	add := func(detail string) {
		last++
		x.steps = append(x.steps, step{id: last, detail: detail})
	}
	if computesTime.MatchString(text) {
		add(hintOfTime)
	}
	switch allowed := q.source.maxCalls; {
	case spent:
		add(fmt.Sprintf("ESTIMATE unknown: to measure takes more than the %d calls allowed", allowed))
	case q.source.accounts.several():
		add(fmt.Sprintf("ESTIMATE %s (%d allowed for each connection)", e.total.ofCalls(), allowed))
	default:
		add(fmt.Sprintf("ESTIMATE %s (%d allowed)", e.total.ofCalls(), allowed))
	}
	return x, nil
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
