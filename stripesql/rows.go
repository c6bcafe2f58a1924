package stripesql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// rows is the result of a statement.
type rows struct {
	ctx      context.Context
	stmt     *stmt
	compiled *sqlite3.Stmt
	query    *query
	columns  []string
	types    []string // the declared types of the columns; "" for an expression
	ended    error
}

func newRows(ctx context.Context, s *stmt, compiled *sqlite3.Stmt, q *query) *rows {
	r := &rows{ctx: ctx, stmt: s, compiled: compiled, query: q}
	for i := range compiled.ColumnCount() {
		r.columns = append(r.columns, compiled.ColumnName(i))
		r.types = append(r.types, compiled.ColumnDeclType(i))
	}
	return r
}

// Columns returns the names of the columns.
func (r *rows) Columns() []string { return r.columns }

// ColumnTypeDatabaseTypeName returns TEXT, INTEGER, REAL or TIMESTAMP for a
// column of a table, and "" for an expression.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	name, _, _ := strings.Cut(r.types[i], " ")
	return name
}

// Close ends the query.
func (r *rows) Close() error {
	r.query.close()
	if r.stmt.conn.broken {
		return nil // Next has returned the error
	}
	return r.stmt.conn.guard(func() error {
		// Reset repeats the error of the last step, which Next has returned
		// already.
		_ = r.compiled.Reset()
		return errors.Join(r.compiled.ClearBindings(), r.stmt.release(r.compiled))
	})
}

// Next reads a row.
func (r *rows) Next(dest []driver.Value) error {
	if r.ended == nil {
		r.ended = r.stmt.conn.guard(func() error { return r.step(dest) })
	}
	return r.ended
}

// step reads a row. At the end it returns io.EOF.
func (r *rows) step(dest []driver.Value) error {
	c := r.stmt.conn
	outer, before := c.db.SetInterrupt(r.query.ctx), c.running
	c.running = r.query
	defer func() {
		c.running = before
		c.db.SetInterrupt(outer)
	}()
	if !r.compiled.Step() {
		return r.end()
	}
	for i := range dest {
		dest[i] = r.value(i)
	}
	return nil
}

// end returns why there is no further row: io.EOF or an error.
func (r *rows) end() error {
	failed := r.query.failure()
	err := r.compiled.Err()
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
		return ofSQLite(err)
	}
}

func (r *rows) value(i int) driver.Value {
	s := r.compiled
	switch s.ColumnType(i) {
	case sqlite3.INTEGER:
		return s.ColumnInt64(i)
	case sqlite3.FLOAT:
		return s.ColumnFloat(i)
	case sqlite3.TEXT:
		text := s.ColumnText(i)
		if t, ok := parseStamp(text); ok && (r.types[i] == stampType || t.Format(time.RFC3339) == text) {
			return t
		}
		return text
	case sqlite3.BLOB:
		return s.ColumnBlob(i, nil)
	}
	return nil
}
