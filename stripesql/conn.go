package stripesql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// conn is a connection: an SQLite of its own, which holds no data.
type conn struct {
	source  *source
	db      *sqlite3.Conn
	running *query // the query whose statement is being stepped
}

func open(ctx context.Context, s *source) (_ *conn, err error) {
	c := &conn{source: s}
	if c.db, err = sqlite3.OpenContext(ctx, ":memory:"); err != nil {
		return nil, fmt.Errorf("stripesql: %w", err)
	}
	if err := c.setUp(); err != nil {
		return nil, errors.Join(fmt.Errorf("stripesql: %w", err), c.db.Close())
	}
	return c, nil
}

func (c *conn) setUp() error {
	// Temporary tables stay in memory, so that no data of the account is
	// written to a file.
	if err := c.db.Exec("PRAGMA temp_store = memory"); err != nil {
		return err
	}
	if err := c.db.CreateCollation(stampCollation, compareStamps); err != nil {
		return err
	}
	for name, t := range c.source.tables {
		connect := func(db *sqlite3.Conn, _, _, _ string, _ ...string) (*vtab, error) {
			return &vtab{table: t, conn: c}, db.DeclareVTab(t.declaration())
		}
		//lint:ignore SA1019 the method that replaces it needs Go 1.27
		if err := sqlite3.CreateModule(c.db, name, nil, connect); err != nil {
			return err
		}
	}
	return c.db.SetAuthorizer(c.authorize)
}

// authorize allows actions that only read.
func (c *conn) authorize(action sqlite3.AuthorizerActionCode, _, function, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_READ, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_FUNCTION:
		if !strings.EqualFold(function, "load_extension") {
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
	compiled, err := c.compile(text)
	if err != nil {
		return nil, err
	}
	return &stmt{conn: c, text: text, compiled: compiled}, nil
}

// errOnlyReads is returned for a statement that the authorizer does not allow.
var errOnlyReads = errors.New("stripesql: only statements that read are allowed: SELECT, VALUES, EXPLAIN QUERY PLAN")

func (c *conn) compile(text string) (*sqlite3.Stmt, error) {
	compiled, tail, err := c.db.Prepare(text)
	switch {
	case errors.Is(err, sqlite3.AUTH):
		return nil, errOnlyReads
	case err != nil:
		return nil, fmt.Errorf("stripesql: %w", err)
	case compiled == nil:
		return nil, errors.New("stripesql: the statement is empty")
	case !compiled.ReadOnly():
		return nil, errors.Join(errOnlyReads, compiled.Close())
	}
	if rest, _, err := c.db.Prepare(tail); err != nil || rest != nil {
		return nil, errors.Join(errors.New("stripesql: one statement at a time"), rest.Close(), compiled.Close())
	}
	return compiled, nil
}

// Close closes the connection.
func (c *conn) Close() error { return c.db.Close() }

// Begin returns an error: there are no transactions.
func (c *conn) Begin() (driver.Tx, error) {
	return nil, errors.New("stripesql: there are no transactions")
}
