package stripesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit/internal/transport"
)

// conn is a connection: an SQLite of its own, which holds no data, or reads a file of
// Materialize.
type conn struct {
	source  *source
	db      *sqlite3.Conn
	running *query    // the query whose statement is being stepped
	reads   reads     // the columns of the statement that is being compiled
	held    int       // bytes that functions hold outside of SQLite
	broken  bool      // SQLite has panicked: only Close uses it now
	opened  fileState // of the file of Materialize
}

func open(ctx context.Context, s *source) (*conn, error) {
	c := &conn{source: s, reads: reads{}}
	err := c.guard(func() (err error) {
		c.db, err = sqlite3.OpenContext(sqlite3.WithMaxMemory(ctx, int64(s.maxMemory)), s.place())
		if err == nil {
			err = c.setUp()
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(ofSQLite(err), c.Close())
	}
	return c, nil
}

// guard calls f, which uses SQLite, unless SQLite has panicked before.
func (c *conn) guard(f func() error) error {
	if c.broken {
		return driver.ErrBadConn
	}
	return c.attempt(f)
}

// attempt calls f, which uses SQLite, and returns a panic as an error. The Go
// package of SQLite panics when memory runs out. Errors quote the statement and ids of
// objects, so keys in them are masked here.
func (c *conn) attempt(f func() error) (err error) {
	defer func() {
		failure := recover()
		if failure == nil {
			return
		}
		c.broken = true
		if of, ok := failure.(error); ok && of.Error() == sqlite3.NOMEM.Error() {
			err = ErrMemory
		} else {
			err = masked(fmt.Errorf("stripesql: SQLite panicked: %v", failure))
		}
	}()
	return masked(f())
}

// masked returns err, unless its text has a secret: then an error with the text in which
// that is masked.
func masked(err error) error {
	if err == nil {
		return nil
	}
	if text := transport.Mask(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// ofSQLite adds the prefix of this package to an error of SQLite.
func ofSQLite(err error) error {
	if errors.Is(err, ErrMemory) {
		return err
	}
	return fmt.Errorf("stripesql: %w", err)
}

// IsValid reports whether database/sql may use the connection again.
func (c *conn) IsValid() bool { return !c.broken }

func (c *conn) setUp() error {
	c.db.Limit(sqlite3.LIMIT_LENGTH, c.source.maxMemory/maxValueShare)
	c.db.Limit(sqlite3.LIMIT_COMPOUND_SELECT, maxCompound)
	store := "memory"
	if c.source.tempFiles {
		store = "file"
	}
	if err := c.db.Exec("PRAGMA temp_store = " + store); err != nil {
		return err
	}
	if err := c.db.CreateCollation(stampCollation, compareStamps); err != nil {
		return err
	}
	connect := func(db *sqlite3.Conn, _, _, name string, _ ...string) (*vtab, error) {
		t := c.source.tables[name]
		return &vtab{table: t, conn: c}, db.DeclareVTab(t.declaration())
	}
	//lint:ignore SA1019 the method that replaces it needs Go 1.27
	if err := sqlite3.CreateModule(c.db, moduleName, connect, connect); err != nil {
		return err
	}
	if err := c.addFunctions(); err != nil {
		return err
	}
	if c.source.file != "" {
		if err := c.setUpViews(); err != nil {
			return err
		}
	} else if err := c.db.Exec(c.source.schema); err != nil {
		return err
	}
	return c.db.SetAuthorizer(c.authorize)
}

// reads are the columns that a statement reads, by table.
type reads map[string]map[string]bool

func (r reads) add(table, column string) {
	if r[table] == nil {
		r[table] = map[string]bool{}
	}
	r[table][column] = true
}

// authorize allows actions that only read.
func (c *conn) authorize(action sqlite3.AuthorizerActionCode, table, name, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_READ:
		c.reads.add(table, name)
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_PRAGMA:
		if describesSchema(table) {
			return sqlite3.AUTH_OK
		}
	case sqlite3.AUTH_FUNCTION:
		if !strings.EqualFold(name, "load_extension") {
			return sqlite3.AUTH_OK
		}
	}
	return sqlite3.AUTH_DENY
}

// Prepare compiles a statement.
func (c *conn) Prepare(text string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}

// PrepareContext compiles a statement. It makes no API call.
func (c *conn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &stmt{conn: c, text: text}
	err := c.guard(func() (err error) {
		s.idle, err = c.compile(text)
		if err == nil {
			s.params = paramsOf(s.idle)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// errOnlyReads is returned for a statement that the authorizer does not allow.
var errOnlyReads = errors.New("stripesql: only statements that read are allowed: SELECT, VALUES, EXPLAIN QUERY PLAN, and PRAGMA table_info and its like")

// maxCompound is how many SELECTs a compound may have. SQLite would allow 500, but its
// stack in this build has not the room for them.
const maxCompound = 100

// maxText is the length of the longest statement, in bytes.
const maxText = 900_000

func (c *conn) compile(text string) (*sqlite3.Stmt, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("stripesql: the statement is longer than %d bytes", maxText)
	}
	compiled, tail, err := c.db.Prepare(text)
	switch {
	case errors.Is(err, sqlite3.AUTH):
		return nil, errOnlyReads
	case err != nil:
		return nil, ofSQLite(err)
	case compiled == nil:
		return nil, errors.New("stripesql: the statement is empty")
	case !compiled.ReadOnly() || compiled.ColumnCount() == 0: // REINDEX has no columns
		return nil, errors.Join(errOnlyReads, compiled.Close())
	}
	if rest, _, err := c.db.Prepare(tail); err != nil || rest != nil {
		return nil, errors.Join(errors.New("stripesql: one statement at a time"), rest.Close(), compiled.Close())
	}
	return compiled, nil
}

// free closes a compiled statement, or nil.
func (c *conn) free(compiled *sqlite3.Stmt) error {
	if c.broken {
		return nil // Close does it
	}
	return c.attempt(compiled.Close)
}

// Close closes the connection. After a panic of SQLite, statements may not be closed
// yet.
func (c *conn) Close() error {
	if c.db == nil {
		return nil // SQLite had no memory to begin with
	}
	if c.broken {
		for _, open := range slices.Collect(c.db.Stmts()) {
			_ = c.attempt(open.Close) // it repeats the error of the statement
		}
	}
	return c.attempt(c.db.Close)
}

// Ping makes one request, which shows whether the client's key works, or one for each
// connection. For a file of Materialize there is nothing to request.
func (c *conn) Ping(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	if c.source.file != "" {
		return nil
	}
	for _, a := range c.source.accounts.now() {
		if _, err := a.client.Check(ctx); err != nil {
			return a.named(err)
		}
	}
	return nil
}

// Begin begins a transaction with the default options.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx begins a transaction, which is only a place for the queries of programs that
// need one. It isolates nothing.
func (c *conn) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if level := sql.IsolationLevel(opts.Isolation); level != sql.LevelDefault {
		return nil, fmt.Errorf("stripesql: there is no isolation level %s: a transaction does not isolate", level)
	}
	return tx{}, nil
}

// tx is a transaction. It has nothing to commit and nothing to roll back.
type tx struct{}

// Commit does nothing.
func (tx) Commit() error { return nil }

// Rollback does nothing.
func (tx) Rollback() error { return nil }
