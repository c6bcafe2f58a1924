package stripesql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// stmt is a compiled statement.
type stmt struct {
	conn     *conn
	text     string
	compiled *sqlite3.Stmt
}

// Close frees the statement.
func (s *stmt) Close() error { return s.compiled.Close() }

// NumInput returns the number of parameters, -1 if any of them is named.
func (s *stmt) NumInput() int {
	n := s.compiled.BindCount()
	for i := 1; i <= n; i++ {
		if s.compiled.BindName(i) != "" {
			return -1
		}
	}
	return n
}

// Exec returns an error: statements only read.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) {
	return nil, errors.New("stripesql: there is nothing to execute: use Query")
}

// Query runs the statement without a context.
func (s *stmt) Query(values []driver.Value) (driver.Rows, error) {
	args := make([]driver.NamedValue, len(values))
	for i, value := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return s.QueryContext(context.Background(), args)
}

// QueryContext runs the statement. The first API call is made when the first
// row is read.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	for _, arg := range args {
		if err := s.bind(arg); err != nil {
			return nil, fmt.Errorf("stripesql: %w", err)
		}
	}
	if _, ok := explains(s.text); ok {
		// With the values of the parameters, the estimate is better.
		of, _ := explains(s.compiled.ExpandedSQL())
		return s.conn.explain(ctx, of)
	}
	q := newQuery(ctx, s.conn.source)
	if steps, err := s.conn.steps(s.text); err == nil { // it fails for an EXPLAIN
		q.prepare(plansOf(steps))
	}
	return newRows(ctx, s, q), nil
}

// bind sets a parameter by its position or its name.
func (s *stmt) bind(arg driver.NamedValue) error {
	places := []int{arg.Ordinal}
	if arg.Name != "" {
		places = nil
		for _, prefix := range []string{":", "@", "$"} {
			if place := s.compiled.BindIndex(prefix + arg.Name); place != 0 {
				places = append(places, place)
			}
		}
	}
	for _, place := range places {
		if err := s.bindAt(place, arg.Value); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) bindAt(place int, value driver.Value) error {
	switch value := value.(type) {
	case nil:
		return s.compiled.BindNull(place)
	case bool:
		return s.compiled.BindBool(place, value)
	case int64:
		return s.compiled.BindInt64(place, value)
	case float64:
		return s.compiled.BindFloat(place, value)
	case string:
		return s.compiled.BindText(place, value)
	case []byte:
		return s.compiled.BindBlob(place, value)
	case time.Time:
		return s.compiled.BindText(place, value.UTC().Format(time.RFC3339Nano))
	}
	return fmt.Errorf("a parameter is a %T", value)
}
