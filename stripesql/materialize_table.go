package stripesql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit/internal/json"
)

const (
	eventsPath  = "/v1/events"
	eventsTable = "events"
	// transactionsTable has objects without events.
	transactionsTable = "balance_transactions"
)

// reading is the state of the readings of a list. A reading begins at a second of the
// service's clock and may be continued by another process. The first one is of the whole
// list. The following ones are of the new objects, unless the whole list must be read
// again.
type reading struct {
	began    int64 // of the reading that is not complete; 0 if there is none
	complete int64 // when the last complete reading began; 0 if there is none
	whole    bool  // the current or the next reading is of the whole list
	mark     int64 // the current or last reading has added the rows with a greater rowid
}

// copied is a table in a file.
type copied struct {
	*table
	reading
	raw     bool  // the file has the column raw
	refused error // why the service refuses to read the table now; nil if it does not
}

// columnType returns the type of a column in a file. Other programs do not have the
// collation of times.
func columnType(c column) string {
	if c.kind == Time {
		return stampType
	}
	return c.kind.declaration()
}

// keeps reports whether the file has a column. What an expanded object has is in its own
// table.
func (c *copied) keeps(column int) bool {
	if c.columns[column].name == rawColumn {
		return c.raw
	}
	return c.columns[column].expand == ""
}

// kept returns the columns that the file has.
func (c *copied) kept() (columns []column) {
	for i, column := range c.columns {
		if c.keeps(i) {
			columns = append(columns, column)
		}
	}
	return columns
}

// objectType returns the type of the objects of a list, which their field object has:
// "checkout.session" for /v1/checkout/sessions.
func (t *table) objectType() string {
	return strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(t.path, "/v1/"), "/", "."), "s")
}

// hasEvents reports whether events tell of changes of the objects. Unless they do,
// objects do not vanish from the account either.
func (t *table) hasEvents() bool { return t.name != eventsTable && t.name != transactionsTable }

// tables returns the names of the tables in the file.
func (r *replica) tables() (names []string, err error) {
	err = r.read("SELECT name FROM stripekit_tables", func(s *sqlite3.Stmt) error {
		names = append(names, s.ColumnText(0))
		return nil
	})
	return names, err
}

// table returns a table of the file. It creates the table, or adds the columns that are
// missing, which makes it necessary to read the whole list again.
func (r *replica) table(t *table, raw bool) (*copied, error) {
	c := &copied{table: t, raw: raw}
	err := r.transact(func() error {
		have, err := r.columns(t.name)
		if err != nil {
			return err
		}
		if len(have) == 0 {
			return r.create(c)
		}
		c.raw = c.raw || have[rawColumn] != ""
		if err := r.load(c); err != nil {
			return err
		}
		return r.addColumns(c, have)
	})
	return c, err
}

// columns returns the types of the columns that a table has in the file.
func (r *replica) columns(table string) (map[string]string, error) {
	have := map[string]string{}
	err := each(r.db, "SELECT name, type FROM pragma_table_info(?)", func(s *sqlite3.Stmt) error {
		have[s.ColumnText(0)] = s.ColumnText(1)
		return nil
	}, table)
	return have, err
}

func (r *replica) create(c *copied) error {
	var columns []string
	for _, column := range c.kept() {
		declared := sqlite3.QuoteIdentifier(column.name) + " " + columnType(column)
		if column.name == idColumn {
			declared += " PRIMARY KEY NOT NULL"
		}
		columns = append(columns, declared)
	}
	if err := r.exec("CREATE TABLE " + c.quoted() + " (" + strings.Join(columns, ", ") + ")"); err != nil {
		return err
	}
	c.whole = true
	return r.exec("INSERT INTO stripekit_tables VALUES (?, ?, 0, 0, true, 0)", c.name, c.path)
}

// load reads the state of a table.
func (r *replica) load(c *copied) error {
	return each(r.db, "SELECT path, began, complete, whole, mark FROM stripekit_tables WHERE name = ?", func(s *sqlite3.Stmt) error {
		if path := s.ColumnText(0); path != c.path {
			return fmt.Errorf("its table %s is of the list %s, and not of %s", c.name, path, c.path)
		}
		c.reading = reading{began: s.ColumnInt64(1), complete: s.ColumnInt64(2), whole: s.ColumnBool(3), mark: s.ColumnInt64(4)}
		return nil
	}, c.name)
}

func (r *replica) addColumns(c *copied, have map[string]string) error {
	var missing []column
	for _, column := range c.kept() {
		declared, found := have[column.name]
		switch {
		case !found:
			missing = append(missing, column)
		case declared != columnType(column):
			return fmt.Errorf("its column %s.%s is of type %s, and not %s: make another file", c.name, column.name, declared, columnType(column))
		}
		delete(have, column.name)
	}
	for name := range have {
		return fmt.Errorf("its table %s has the column %s, which this version does not know and no WithTable adds: make another file", c.name, name)
	}
	for _, column := range missing {
		if err := r.exec("ALTER TABLE " + c.quoted() + " ADD COLUMN " + sqlite3.QuoteIdentifier(column.name) + " " + columnType(column)); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return r.restart(c)
}

// miss is called when a change of the table could not be read: the next reading will have
// it. The rows of a first reading are removed, since it does not see which objects are gone.
func (r *replica) miss(c *copied) error {
	if c.complete == 0 {
		if err := r.exec("DELETE FROM " + c.quoted()); err != nil {
			return err
		}
	}
	return r.restart(c)
}

// restart makes the next reading one of the whole list, from its beginning.
func (r *replica) restart(c *copied) error {
	c.whole = true
	return r.giveUp(c)
}

// giveUp makes the next reading begin anew.
func (r *replica) giveUp(c *copied) error {
	c.began = 0
	if err := r.forget(c); err != nil {
		return err
	}
	return r.store(c)
}

// store stores the state of a table.
func (r *replica) store(c *copied) error {
	return r.exec("UPDATE stripekit_tables SET began = ?, complete = ?, whole = ?, mark = ? WHERE name = ?", c.began, c.complete, c.whole, c.mark, c.name)
}

// forget removes what a reading leaves for the next process.
func (r *replica) forget(c *copied) error {
	err := r.exec("DELETE FROM stripekit_seen WHERE name = ?", c.name)
	if err == nil {
		err = r.exec("DELETE FROM stripekit_checkpoints WHERE key GLOB 'backfill/*/' || ?", c.name)
	}
	return err
}

// readAgain is called when events are missing: the lists of their objects must be read
// again, and events be applied from now on, from a new checkpoint.
func (r *replica) readAgain(tables []*copied, checkpoint string, since int64) error {
	return r.transact(func() error {
		for _, c := range tables {
			if !c.hasEvents() {
				continue
			}
			if err := r.restart(c); err != nil {
				return err
			}
		}
		err := r.exec("UPDATE stripekit_file SET since = ?", since)
		if err == nil {
			err = r.exec("DELETE FROM stripekit_checkpoints WHERE key = ?", checkpoint)
		}
		return err
	})
}

// row is a row of a table: the values of the columns that the file has.
type row struct {
	id      string
	values  []any
	refused error // why the object could not be read; nil if it was
}

// row returns the row of an object.
func (c *copied) row(raw json.Value) (row, error) {
	o, err := c.newObject(nil, raw)
	if err != nil {
		return row{}, err
	}
	values, err := c.read(o, c.project(c.keeps), nil)
	if err != nil {
		return row{}, err
	}
	if c.raw {
		if err := raw.Compact(); err != nil {
			return row{}, err
		}
		values[len(values)-1] = string(raw) // the last column
	}
	return row{id: o.id, values: values}, nil
}

// put writes rows in the current transaction. If overwrite is false, rows that exist stay
// as they are.
func (r *replica) put(c *copied, rows []row, overwrite bool) error {
	if len(rows) == 0 {
		return nil
	}
	s, _, err := r.db.Prepare(c.upsert(overwrite))
	if err != nil {
		return err
	}
	defer s.Close() // it repeats the error of the last step
	for _, row := range rows {
		for i, value := range row.values {
			if err := bindAt(s, i+1, value); err != nil {
				return err
			}
		}
		if err := s.Exec(); err != nil {
			return fmt.Errorf("writing %s of %s: %w", row.id, c.path, err)
		}
	}
	return nil
}

// upsert returns the statement that writes a row.
func (c *copied) upsert(overwrite bool) string {
	var names, updates []string
	for _, column := range c.kept() {
		name := sqlite3.QuoteIdentifier(column.name)
		names, updates = append(names, name), append(updates, name+" = excluded."+name)
	}
	action := "DO NOTHING"
	if overwrite {
		action = "DO UPDATE SET " + strings.Join(updates, ", ")
	}
	return "INSERT INTO " + c.quoted() + " (" + strings.Join(names, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(names)-1) + ") ON CONFLICT (id) " + action
}

// indexes returns the statements that create the indexes of a table: on its times, and on
// what the list can be filtered by. The index on created is for OpenMaterialized. Other
// programs do not have its collation, and SQLite then reads the table without it.
func (c *copied) indexes() []string {
	columns := map[string]string{createdColumn: " COLLATE " + stampCollation, unixColumn: ""}
	for name := range c.filters {
		if c.kind(name) == Text {
			columns[name] = ""
		}
	}
	var statements []string
	for name, collation := range columns {
		statements = append(statements, "CREATE INDEX IF NOT EXISTS "+sqlite3.QuoteIdentifier(c.name+"_"+name)+
			" ON "+c.quoted()+" ("+sqlite3.QuoteIdentifier(name)+collation+")")
	}
	slices.Sort(statements)
	return statements
}
