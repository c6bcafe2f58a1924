package stores_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"

	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"
)

// Operations on a database, in a faultyDB.
const (
	opConnect = "connect"
	opBegin   = "begin"
	opExec    = "exec"
	opQuery   = "query"
	opCommit  = "commit"
	opPing    = "ping"
)

// fault says what goes wrong in an operation.
type fault int

const (
	noFault     fault = iota
	isDisturbed       // another transaction has ended this one
	isRefused         // an error, and the connection is as before
	diesBefore        // the connection breaks before the operation
	diesAfter         // the connection breaks after the operation, before its result
)

var (
	errDisturbed = errors.New("database is locked")
	errRefused   = errors.New("disk quota exceeded")
)

// faultyDB is a SQLite database in a file, with an operation that may fail at each
// step. A connection that breaks rolls its transaction back, as with a server.
type faultyDB struct {
	driver.Connector
	mu     sync.Mutex
	choose func(op, query string) fault // nil: no fault
}

// open opens a pool of connections.
func (d *faultyDB) open(t testing.TB) *sql.DB {
	db := sql.OpenDB(d)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func newFaultyDB(t testing.TB) *faultyDB {
	connector, err := new(sqlite.SQLite).OpenConnector(sqliteDSN(t))
	require.NoError(t, err)
	return &faultyDB{Connector: connector}
}

// fail sets what goes wrong from now on.
func (d *faultyDB) fail(choose func(op, query string) fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.choose = choose
}

func (d *faultyDB) fault(op, query string) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.choose == nil {
		return noFault
	}
	return d.choose(op, query)
}

func (d *faultyDB) Connect(ctx context.Context) (driver.Conn, error) {
	if d.fault(opConnect, "") != noFault {
		return nil, errors.New("connection refused")
	}
	conn, err := d.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: conn.(sqlite.Conn), db: d}, nil
}

type faultyConn struct {
	sqlite.Conn
	db   *faultyDB
	tx   driver.Tx
	dead bool
}

// do makes an operation, with the fault that is chosen for it.
func (c *faultyConn) do(op, query string, f func() error) error {
	if c.dead {
		return driver.ErrBadConn
	}
	fault := c.db.fault(op, query)
	switch fault {
	case isDisturbed:
		return errDisturbed
	case isRefused:
		return errRefused
	case diesBefore:
		c.die()
		return io.ErrUnexpectedEOF
	}
	err := f()
	if fault == diesAfter {
		c.die()
		return io.ErrUnexpectedEOF
	}
	return err
}

// die rolls the transaction back.
func (c *faultyConn) die() {
	c.dead = true
	if c.tx != nil {
		_ = c.tx.Rollback()
	}
}

func (c *faultyConn) IsValid() bool { return !c.dead }

func (c *faultyConn) Ping(context.Context) error {
	return c.do(opPing, "", func() error { return nil })
}

func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	err := c.do(opBegin, "", func() (err error) {
		c.tx, err = c.Conn.BeginTx(ctx, opts)
		return err
	})
	return faultyTx{c}, err
}

func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if c.dead {
		return nil, driver.ErrBadConn
	}
	stmt, err := c.Conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &faultyStmt{stmt.(sqliteStmt), c, query}, nil
}

type faultyTx struct{ *faultyConn }

// Commit rolls the transaction back if it fails. database/sql does not.
func (t faultyTx) Commit() error {
	committed := false
	err := t.do(opCommit, "", func() error {
		committed = true
		return t.tx.Commit()
	})
	if !committed && !t.dead {
		_ = t.tx.Rollback()
	}
	t.tx = nil
	return err
}

func (t faultyTx) Rollback() error {
	if t.dead || t.tx == nil {
		return driver.ErrBadConn
	}
	defer func() { t.tx = nil }()
	return t.tx.Rollback()
}

// sqliteStmt is a statement of the SQLite driver.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
	driver.NamedValueChecker
}

type faultyStmt struct {
	sqliteStmt
	conn  *faultyConn
	query string
}

func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	err = s.conn.do(opExec, s.query, func() (err error) {
		result, err = s.sqliteStmt.ExecContext(ctx, args)
		return err
	})
	return result, err
}

func (s *faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = s.conn.do(opQuery, s.query, func() (err error) {
		rows, err = s.sqliteStmt.QueryContext(ctx, args)
		return err
	})
	return rows, err
}
