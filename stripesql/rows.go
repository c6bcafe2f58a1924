package stripesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
	"slices"
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
	plain    bool     // each row is one object
	ended    error
}

func newRows(ctx context.Context, s *stmt, compiled *sqlite3.Stmt, q *query, steps []step) *rows {
	r := &rows{ctx: ctx, stmt: s, compiled: compiled, query: q, plain: plain(s.text, steps)}
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

// ColumnTypeScanType returns a type that can hold each value of a column of a table:
// sql.NullString, sql.NullInt64, sql.NullFloat64 or sql.NullTime, or string for an id
// that is never NULL. For an expression it returns the type any.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	nullable, known := r.ColumnTypeNullable(i)
	switch r.ColumnTypeDatabaseTypeName(i) {
	case "TEXT":
		if known && !nullable {
			return reflect.TypeFor[string]()
		}
		return reflect.TypeFor[sql.NullString]()
	case "INTEGER":
		return reflect.TypeFor[sql.NullInt64]()
	case "REAL":
		return reflect.TypeFor[sql.NullFloat64]()
	case "TIMESTAMP":
		return reflect.TypeFor[sql.NullTime]()
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeNullable reports that a column of a table may be NULL, and that an id is
// not, if the statement reads one table and has no parentheses. In other statements, an
// outer join, an aggregate or a subquery may make an id NULL: it is unknown then, as for
// an expression.
func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if r.types[i] == "" {
		return true, false
	}
	if r.compiled.ColumnOriginName(i) == idColumn {
		return !r.plain, r.plain
	}
	return true, true
}

// plain reports whether each row of a statement is one object of one table: it scans
// nothing else, and has neither functions nor subqueries.
func plain(text string, steps []step) bool {
	scans := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return strings.HasPrefix(s.detail, "USE TEMP B-TREE") })
	return len(scans) == 1 && scans[0].plan != nil && !strings.Contains(text, "(")
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
