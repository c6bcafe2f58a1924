package stripesql

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// stmt is a statement.
type stmt struct {
	conn   *conn
	text   string
	params []string      // the names of the parameters, with their prefix; "" for one without a name
	idle   *sqlite3.Stmt // compiled, and not used by rows; nil if it is in use
	closed bool
}

// paramsOf returns the names of the parameters of a statement.
func paramsOf(compiled *sqlite3.Stmt) []string {
	names := make([]string, compiled.BindCount())
	for i := range names {
		names[i] = compiled.BindName(i + 1)
	}
	return names
}

// Close frees the statement.
func (s *stmt) Close() error {
	s.closed = true
	return s.release(s.idle)
}

// release is called with the compiled statement that is not used any more.
func (s *stmt) release(compiled *sqlite3.Stmt) error {
	if s.closed || s.idle != nil {
		return s.conn.free(compiled)
	}
	s.idle = compiled
	return nil
}

// NumInput returns the number of parameters, -1 if any of them is named.
func (s *stmt) NumInput() int {
	if slices.ContainsFunc(s.params, func(name string) bool { return name != "" }) {
		return -1
	}
	return len(s.params)
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
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (result driver.Rows, err error) {
	err = s.conn.guard(func() error {
		compiled, err := s.bound(args)
		if err != nil {
			return err
		}
		result, err = s.start(ctx, compiled)
		return err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// bound returns a compiled statement with values for all its parameters.
func (s *stmt) bound(args []driver.NamedValue) (*sqlite3.Stmt, error) {
	compiled := s.idle
	if s.idle = nil; compiled == nil { // other rows are using it
		var err error
		if compiled, err = s.conn.compile(s.text); err != nil {
			return nil, err
		}
	}
	if err := s.bind(compiled, args); err != nil {
		return nil, errors.Join(fmt.Errorf("stripesql: %w", err), s.release(compiled))
	}
	return compiled, nil
}

func (s *stmt) start(ctx context.Context, compiled *sqlite3.Stmt) (driver.Rows, error) {
	if _, ok := explains(s.text); ok {
		// With the values of the parameters, the estimate is better.
		of, _ := explains(compiled.ExpandedSQL())
		if err := s.release(compiled); err != nil {
			return nil, err
		}
		return s.conn.explain(ctx, of)
	}
	steps, read, err := s.conn.steps(s.text)
	if _, other := cutWord(s.text, "EXPLAIN"); err != nil && !other { // an EXPLAIN cannot be explained
		return nil, errors.Join(err, s.release(compiled))
	}
	q := newQuery(ctx, s.conn.source)
	q.prepare(steps, read)
	return newRows(ctx, s, compiled, q, steps), nil
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

// bind sets the parameters of a compiled statement.
func (s *stmt) bind(compiled *sqlite3.Stmt, args []driver.NamedValue) error {
	missing := map[int]bool{}
	for i := range s.params {
		missing[i] = true
	}
	_, explained := explains(s.text)
	for _, arg := range args {
		places := s.places(arg)
		if len(places) == 0 {
			return fmt.Errorf("the statement has no parameter %s", cmp.Or(arg.Name, strconv.Itoa(arg.Ordinal)))
		}
		if explained {
			arg.Value = finite(arg.Value)
		}
		for _, place := range places {
			if err := bindAt(compiled, place+1, arg.Value); err != nil {
				return err
			}
			delete(missing, place)
		}
	}
	for i, name := range s.params {
		if missing[i] {
			return fmt.Errorf("there is no value for the parameter %s", cmp.Or(name, strconv.Itoa(i+1)))
		}
	}
	return nil
}

// finite returns the number next to an infinite value, and any other value as it is. An
// EXPLAIN QUERY PLAN has its parameters in its text, and SQL has no literal of infinity.
func finite(value driver.Value) driver.Value {
	if number, ok := value.(float64); ok && math.IsInf(number, 0) {
		return math.Copysign(math.MaxFloat64, number)
	}
	return value
}

// places returns the indices of the parameters that an argument is for.
func (s *stmt) places(arg driver.NamedValue) (places []int) {
	for i, name := range s.params {
		if arg.Name == "" && i == arg.Ordinal-1 || arg.Name != "" && strings.TrimLeft(name, ":@$") == arg.Name {
			places = append(places, i)
		}
	}
	return places
}

func bindAt(compiled *sqlite3.Stmt, place int, value driver.Value) error {
	switch value := value.(type) {
	case nil:
		return compiled.BindNull(place)
	case bool:
		return compiled.BindBool(place, value)
	case int64:
		return compiled.BindInt64(place, value)
	case float64:
		return compiled.BindFloat(place, value)
	case string:
		return compiled.BindText(place, value)
	case []byte:
		return compiled.BindBlob(place, value)
	case time.Time:
		return compiled.BindText(place, value.UTC().Format(time.RFC3339Nano))
	}
	return fmt.Errorf("a parameter is a %T", value)
}
