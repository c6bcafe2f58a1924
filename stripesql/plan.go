package stripesql

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// plan describes how one table of a statement is read. SQLite keeps it as text,
// shows it in EXPLAIN QUERY PLAN, and passes it back when the statement runs.
type plan struct {
	Table string    `json:"table"`
	How   how       `json:"how"`
	Terms []term    `json:"terms,omitempty"` // SQLite passes their values to the scan, in this order
	Local []term    `json:"local,omitempty"` // the terms known to be checked by SQLite alone
	Order order     `json:"order,omitzero"`  // the order that SQLite relies on
	Limit int64     `json:"limit,omitempty"` // how many rows are needed, 0 if unknown
	Short bool      `json:"short,omitempty"` // the statement has a LIMIT
	Need  columnSet `json:"need"`
}

// columnSet is a set of columns that are read, as SQLite reports it. The last bit
// stands for all columns from 63 on.
type columnSet uint64

// lastColumn is the place of the last bit.
const lastColumn = 63

func (s columnSet) has(column int) bool { return s>>min(column, lastColumn)&1 != 0 }

// how is the kind of request that a table is read with.
type how string

const (
	byID   how = "get"
	byIDs  how = "ids"
	byList how = "list"
	search how = "search"
)

// order is the order of rows that SQLite relies on.
type order string

const (
	newestFirst         order = "newest"      // in any order within a second
	newestFirstByID     order = "newest, id"  // by ascending id within a second
	newestFirstByIDDesc order = "newest, -id" // by descending id within a second
)

// term compares a column to a value.
type term struct {
	Column string `json:"column"`
	Op     string `json:"op"`
	// In is set if the values of an IN are compared one after the other.
	In bool `json:"in,omitempty"`
	// Value is the other side, nil if it is not known before the statement
	// runs.
	Value *literal `json:"value,omitempty"`
}

func (t term) String() string {
	if t.Op == opNull || t.Op == opNotNull {
		return t.Column + " " + t.Op
	}
	return t.Column + " " + t.Op + " " + t.Value.String()
}

// The operators of terms.
const (
	opEqual   = "="
	opUnequal = "<>"
	opIn      = "IN" // a list of values at once
	opLess    = "<"
	opAtMost  = "<="
	opMore    = ">"
	opAtLeast = ">="
	opNull    = "IS NULL"
	opNotNull = "IS NOT NULL"
)

func operator(op sqlite3.IndexConstraintOp) string {
	switch op {
	case sqlite3.INDEX_CONSTRAINT_EQ:
		return opEqual
	case sqlite3.INDEX_CONSTRAINT_LT:
		return opLess
	case sqlite3.INDEX_CONSTRAINT_LE:
		return opAtMost
	case sqlite3.INDEX_CONSTRAINT_GT:
		return opMore
	case sqlite3.INDEX_CONSTRAINT_GE:
		return opAtLeast
	case sqlite3.INDEX_CONSTRAINT_ISNULL:
		return opNull
	case sqlite3.INDEX_CONSTRAINT_ISNOTNULL:
		return opNotNull
	case sqlite3.INDEX_CONSTRAINT_NE:
		return opUnequal
	case sqlite3.INDEX_CONSTRAINT_LIKE:
		return "LIKE"
	case sqlite3.INDEX_CONSTRAINT_GLOB:
		return "GLOB"
	case sqlite3.INDEX_CONSTRAINT_IS:
		return "IS"
	case sqlite3.INDEX_CONSTRAINT_ISNOT:
		return "IS NOT"
	default:
		return "?"
	}
}

// literal is a value in a plan: a text or a number.
type literal struct {
	Text  *string `json:"text,omitempty"`
	Whole *int64  `json:"whole,omitempty"`
}

func (l *literal) String() string {
	switch {
	case l == nil:
		return "?"
	case l.Text != nil:
		return "'" + strings.ReplaceAll(*l.Text, "'", "''") + "'"
	}
	return fmt.Sprint(*l.Whole)
}

// value returns the literal as SQLite passes it to a scan, nil if it is not known.
func (l *literal) value() any {
	switch {
	case l == nil:
		return nil
	case l.Text != nil:
		return *l.Text
	}
	return *l.Whole
}

// literalOf returns the other side of a constraint, nil if SQLite does not know
// it yet.
func literalOf(info *sqlite3.IndexInfo, constraint int) *literal {
	value, err := info.RHSValue(constraint)
	if err != nil {
		return nil
	}
	switch value.Type() {
	case sqlite3.TEXT:
		return &literal{Text: new(value.Text())}
	case sqlite3.INTEGER:
		return &literal{Whole: new(value.Int64())}
	}
	return nil
}

func (p *plan) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // only strings and numbers
	}
	return string(text)
}

// decodePlan returns the plan that a text begins with, and the rest of the text.
func decodePlan(text string) (p *plan, rest string, err error) {
	p = new(plan)
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(p); err != nil {
		return nil, "", fmt.Errorf("stripesql: plan: %w", err)
	}
	return p, text[d.InputOffset():], nil
}
