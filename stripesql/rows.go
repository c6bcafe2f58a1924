package stripesql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// rows is the result of a statement.
type rows struct {
	ctx     context.Context
	stmt    *stmt
	query   *query
	columns []string
	stamps  []bool // the columns that hold times
	ended   error
}

func newRows(ctx context.Context, s *stmt, q *query) *rows {
	r := &rows{ctx: ctx, stmt: s, query: q}
	for i := range s.compiled.ColumnCount() {
		r.columns = append(r.columns, s.compiled.ColumnName(i))
		r.stamps = append(r.stamps, s.compiled.ColumnDeclType(i) == stampType)
	}
	return r
}

// Columns returns the names of the columns.
func (r *rows) Columns() []string { return r.columns }

// ColumnTypeDatabaseTypeName returns TEXT, INTEGER, REAL or TIMESTAMP for a
// column of a table, and "" for an expression.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	name, _, _ := strings.Cut(r.stmt.compiled.ColumnDeclType(i), " ")
	return name
}

// Close ends the query.
func (r *rows) Close() error {
	// Reset repeats the error of the last step, which Next has returned
	// already.
	_ = r.stmt.compiled.Reset()
	r.query.close()
	return r.stmt.compiled.ClearBindings()
}

// Next reads a row.
func (r *rows) Next(dest []driver.Value) error {
	if r.ended != nil {
		return r.ended
	}
	c := r.stmt.conn
	outer := c.db.SetInterrupt(r.query.ctx)
	before := c.running
	c.running = r.query
	more := r.stmt.compiled.Step()
	c.running = before
	c.db.SetInterrupt(outer)
	if !more {
		r.ended = r.end()
		return r.ended
	}
	for i := range dest {
		dest[i] = r.value(i)
	}
	return nil
}

// end returns why there is no further row: io.EOF or an error.
func (r *rows) end() error {
	failed := r.query.failure()
	err := r.stmt.compiled.Err()
	switch {
	case failed == nil && err == nil:
		return io.EOF
	case failed != nil:
		return failed
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, sqlite3.AUTH):
		return errOnlyReads
	default:
		return fmt.Errorf("stripesql: %w", err)
	}
}

func (r *rows) value(i int) driver.Value {
	s := r.stmt.compiled
	switch s.ColumnType(i) {
	case sqlite3.INTEGER:
		return s.ColumnInt64(i)
	case sqlite3.FLOAT:
		return s.ColumnFloat(i)
	case sqlite3.TEXT:
		text := s.ColumnText(i)
		if r.stamps[i] {
			if t, ok := parseStamp(text); ok {
				return t
			}
		}
		return text
	case sqlite3.BLOB:
		return s.ColumnBlob(i, nil)
	}
	return nil
}
