package stripesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// OpenMaterialized opens a file of Materialize for queries. The tables and columns are
// those of the account, and times compare as times. Statements only read, and make no API
// calls. A statement sees the file as it was when the statement began. Before the first
// Materialize has returned, rows may be missing.
//
// There are four differences: SELECT * has the column raw, if the file has it; the columns
// of a balance transaction, and others that have to be expanded, are missing; there is no
// rowid; and the driver does not report the type TIMESTAMP of a time, which can be
// scanned into a time.Time nevertheless.
//
// WithMaxMemory and WithTempFiles have the effect that they have for a Connector. Other
// options have none: the file has its tables of WithTable. The folder of the file must be
// writable, because SQLite keeps the file with the suffix -shm there. An error is returned
// if the file does not exist, or is not one of Materialize.
func OpenMaterialized(file string, opts ...Option) (*sql.DB, error) {
	s := &source{accounts: &accounts{one: &account{}}, options: defaultOptions(), file: file}
	for _, opt := range opts {
		if err := opt(&s.options); err != nil {
			return nil, fmt.Errorf("stripesql: %w", err)
		}
	}
	db := sql.OpenDB(&connector{s})
	if err := db.Ping(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// place returns the name of the database of a connection, for SQLite.
func (s *source) place() string {
	if s.file == "" {
		return ":memory:"
	}
	return fileURI(s.file, "mode", "ro")
}

// setUpViews creates a view for each table of a file of Materialize, in which times have
// their collation. SQLite replaces the view by the table, with its indexes, when it plans
// a statement.
func (c *conn) setUpViews() error {
	// The last program that closes the file locks it.
	if err := c.db.BusyTimeout(busyTimeout); err != nil {
		return err
	}
	id, version, err := identify(c.db)
	if err == nil {
		err = checkIdentity(id, version)
	}
	if err == nil {
		c.opened, err = c.fileState()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.source.file, err)
	}
	columns := map[string][]string{}
	err = each(c.db, "SELECT t.name, c.name, c.type FROM stripekit_tables t JOIN pragma_table_info(t.name) c ORDER BY c.cid", func(s *sqlite3.Stmt) error {
		table, column := s.ColumnText(0), sqlite3.QuoteIdentifier(s.ColumnText(1))
		if s.ColumnText(2) == stampType {
			column += " COLLATE " + stampCollation + " AS " + column
		}
		columns[table] = append(columns[table], column)
		return nil
	})
	if err != nil {
		return err
	}
	for table, selected := range columns {
		table = sqlite3.QuoteIdentifier(table)
		if err := c.db.Exec("CREATE TEMP VIEW " + table + " AS SELECT " + strings.Join(selected, ", ") + " FROM main." + table); err != nil {
			return err
		}
	}
	return nil
}

// fileState identifies a file, and the tables and columns that it has.
type fileState struct {
	file   os.FileInfo
	schema int64 // SQLite increases it with each change of a table
}

func (c *conn) fileState() (s fileState, err error) {
	err = each(c.db, "SELECT schema_version FROM pragma_schema_version", func(row *sqlite3.Stmt) error {
		s.schema = row.ColumnInt64(0)
		return nil
	})
	if err == nil {
		s.file, err = os.Stat(c.source.file)
	}
	return s, err
}

// ResetSession is called before the connection is used again. If the file was replaced, or
// Materialize has added a table or a column, the pool opens another connection.
func (c *conn) ResetSession(context.Context) error {
	if c.source.file == "" || c.broken {
		return nil
	}
	err := c.guard(func() error {
		if err := c.db.SetAuthorizer(nil); err != nil {
			return err
		}
		now, err := c.fileState()
		if err == nil && (now.schema != c.opened.schema || !os.SameFile(now.file, c.opened.file)) {
			err = errors.New("it is not the file that was opened")
		}
		return errors.Join(err, c.db.SetAuthorizer(c.authorize))
	})
	if err != nil {
		return driver.ErrBadConn
	}
	return nil
}
