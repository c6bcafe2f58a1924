package stripesql

import (
	"errors"
	"fmt"
	"io"

	"github.com/ncruces/go-sqlite3"
)

// vtab is the virtual table of one connection's SQLite.
type vtab struct {
	table *table
	conn  *conn
}

// BestIndex chooses how the table is read.
func (v *vtab) BestIndex(info *sqlite3.IndexInfo) error {
	v.table.bestIndex(v.conn.source, info)
	return nil
}

// Open returns a cursor for the statement that is running.
func (v *vtab) Open() (sqlite3.VTabCursor, error) {
	return &cursor{table: v.table, conn: v.conn}, nil
}

// cursor is one loop over a table.
type cursor struct {
	table *table
	conn  *conn
	query *query

	encoded string // the plan as text, as SQLite keeps it
	plan    *plan

	scan   *scan
	place  int // index of the current page in the scan
	page   []*object
	at     int   // index of the current object in the page
	values []any // columns of the current object, if filled is set
	filled bool
	own    []any // buffer for values, reused
}

// Filter starts the loop again, with values for the terms of its plan.
func (c *cursor) Filter(_ int, encoded string, args ...sqlite3.Value) error {
	c.query = c.conn.running
	if err := c.filter(encoded, args); err != nil {
		return c.query.fail(err)
	}
	return nil
}

func (c *cursor) filter(encoded string, args []sqlite3.Value) error {
	if c.plan == nil || c.encoded != encoded {
		p, _, err := decodePlan(encoded)
		if err != nil {
			return err
		}
		c.encoded, c.plan = encoded, p
	}
	values, err := c.arguments(args)
	if err != nil {
		return err
	}
	s := c.plan.newSpec(c.query.accounts, c.table, values)
	s.expand = c.query.expand[c.table.name]
	c.reset()
	if s.none {
		return nil
	}
	l := c.query.lookupsOf(c.table, encoded, c.plan, values)
	if objects, ok, err := l.find(c.table, values); ok || err != nil {
		c.page = objects
		return err
	}
	if !c.query.knows(s) {
		l.calls++
	}
	return c.begin(s)
}

// begin reads the first objects of a loop.
func (c *cursor) begin(s *spec) error {
	if s.how == byID {
		objects, err := c.query.objects(s)
		c.page = objects
		return err
	}
	c.scan = c.query.scan(s)
	c.scan.attach(c)
	return c.goToPage(0)
}

// reset detaches the cursor from its scan and leaves it without objects.
func (c *cursor) reset() {
	if c.scan != nil {
		c.scan.detach(c)
	}
	c.scan, c.page, c.place, c.at, c.filled = nil, nil, 0, 0, false
}

// arguments returns the values of the terms. The value of an IN is a []any.
func (c *cursor) arguments(args []sqlite3.Value) ([]any, error) {
	values := make([]any, len(args))
	for i, arg := range args {
		if c.plan.Terms[i].Op != opIn {
			values[i] = valueOf(arg)
			continue
		}
		list := []any{}
		one, err := arg.InFirst()
		for ; err == nil; one, err = arg.InNext() {
			list = append(list, valueOf(one))
		}
		if !errors.Is(err, doneCode) {
			return nil, err
		}
		values[i] = list
	}
	return values, nil
}

// doneCode is the error at the end of the list of an IN.
const doneCode = sqlite3.ErrorCode(101) // SQLITE_DONE

func valueOf(v sqlite3.Value) any {
	switch v.Type() {
	case sqlite3.INTEGER:
		return v.Int64()
	case sqlite3.FLOAT:
		return v.Float()
	case sqlite3.TEXT:
		return v.Text()
	case sqlite3.BLOB:
		return v.Blob(nil)
	}
	return nil
}

// goToPage moves the cursor to the first object of a page of the scan, or to
// its end.
func (c *cursor) goToPage(place int) error {
	c.place, c.at = place, 0
	page, err := c.scan.page(place)
	if err == io.EOF {
		c.page = nil
		return nil
	}
	c.page = page
	return err
}

// Next moves the cursor to the next object.
func (c *cursor) Next() error {
	c.at++
	c.filled = false
	if c.at < len(c.page) || c.scan == nil {
		return nil
	}
	if err := c.goToPage(c.place + 1); err != nil {
		return c.query.fail(err)
	}
	return nil
}

// EOF reports whether the loop has ended.
func (c *cursor) EOF() bool { return c.at >= len(c.page) }

// Column returns a column of the object to SQLite.
func (c *cursor) Column(ctx sqlite3.Context, column int) error {
	if column == len(c.table.columns)-1 {
		return c.rawColumn(ctx)
	}
	if !c.filled {
		if err := c.fill(); err != nil {
			return c.query.fail(err)
		}
	}
	at := c.query.columns[c.table.name].place[column]
	if at < 0 {
		return c.query.fail(c.unannounced(column))
	}
	switch value := c.values[at].(type) {
	case int64:
		ctx.ResultInt64(value)
	case float64:
		ctx.ResultFloat(value)
	case string:
		ctx.ResultText(value)
	default:
		ctx.ResultNull()
	}
	return nil
}

// unannounced is the error for a column that SQLite reads without having announced it,
// which it does with hidden columns.
func (c *cursor) unannounced(column int) error {
	return fmt.Errorf("stripesql: the column %s of %s is hidden: it can be read and compared, but not joined by USING, nor be an argument of the table",
		c.table.columns[column].name, c.table.name)
}

// rawColumn returns the whole object, without white space, and with ids in place of
// objects that were expanded for other columns.
func (c *cursor) rawColumn(ctx sqlite3.Context) error {
	o := c.page[c.at]
	if o.raw == nil {
		return c.query.fail(c.unannounced(len(c.table.columns) - 1))
	}
	raw, err := unexpanded(o.raw, c.query.expand[c.table.name])
	if err == nil {
		err = raw.Compact()
	}
	if err != nil {
		return c.query.fail(fmt.Errorf("stripesql: %s of %s: %w", o.id, c.table.path, err))
	}
	ctx.ResultText(string(raw))
	return nil
}

// fill reads the columns of the object, unless they are kept with it.
func (c *cursor) fill() (err error) {
	o := c.page[c.at]
	if c.values = o.values; c.values == nil {
		c.own, err = c.table.read(o, c.query.columns[c.table.name], c.own)
		c.values = c.own
	}
	c.filled = err == nil
	return err
}

// RowID returns the number of the object, the same in every loop of the
// statement. SQLite uses it in an OR and in a RIGHT JOIN, to return no object
// twice.
func (c *cursor) RowID() (int64, error) { return c.query.memo.rowID(c.page[c.at].key(c.table)), nil }

// Close detaches the cursor from its scan.
func (c *cursor) Close() error {
	c.reset()
	return nil
}
