package stripesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stripekit/stripekit"
)

// driverName is the name of the driver for sql.Open.
const driverName = "stripe"

// connector opens connections to one client.
type connector struct{ source *source }

// Connector returns a connector for sql.OpenDB: a pool of connections that
// share one client. Queries use the client's key, account, API versions and
// rate limits.
func Connector(client *stripekit.Client, opts ...Option) (driver.Connector, error) {
	if client == nil {
		return nil, errors.New("stripesql: the client is nil")
	}
	s := &source{client: client, options: defaultOptions(), tables: newTables(), density: newDensities()}
	for _, opt := range opts {
		if err := opt(&s.options); err != nil {
			return nil, fmt.Errorf("stripesql: %w", err)
		}
	}
	return &connector{s}, nil
}

// Driver returns the driver, which is the same for all clients.
func (c *connector) Driver() driver.Driver { return named{} }

// Connect opens a connection. It makes no API call.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	return open(ctx, c.source)
}

// clients holds the registered clients by name. It is global because sql.Open
// and its registry of drivers are.
var clients struct {
	sync.Mutex
	register sync.Once
	sources  map[string]*source
}

// Register registers a client under a name for sql.Open:
//
//	stripesql.Register("shop", client)
//	db, err := sql.Open("stripe", "stripe://shop?max_calls=100&search=1")
//
// The parameters of the data source name override the options: max_calls (see
// WithMaxCalls), search (1 or 0, see WithSearch) and concurrency (see
// WithConcurrency). A data source name must not contain an API key. The first
// call of Register registers the driver with database/sql. A name must not be
// empty, taken, or contain a space or one of the characters / : ? # % @.
func Register(name string, client *stripekit.Client, opts ...Option) error {
	if name == "" || strings.ContainsAny(name, "/:?#%@ ") {
		return errors.New("stripesql: Register: the name is empty or has a character that it must not have")
	}
	if looksLikeKey(name) {
		return errors.New("stripesql: Register: the name looks like an API key, which has no place in a data source name")
	}
	made, err := Connector(client, opts...)
	if err != nil {
		return err
	}
	clients.register.Do(func() { sql.Register(driverName, named{}) })
	clients.Lock()
	defer clients.Unlock()
	if clients.sources[name] != nil {
		return fmt.Errorf("stripesql: Register: %q is taken", name)
	}
	if clients.sources == nil {
		clients.sources = map[string]*source{}
	}
	clients.sources[name] = made.(*connector).source
	return nil
}

// Unregister removes a name. Databases that were opened with it stay open.
func Unregister(name string) {
	clients.Lock()
	defer clients.Unlock()
	delete(clients.sources, name)
}

// looksLikeKey reports whether a text contains an API key or the beginning of
// one.
func looksLikeKey(text string) bool {
	text = strings.ToLower(text)
	for _, prefix := range []string{"sk_", "rk_", "pk_", "_test_", "_live_"} {
		if strings.Contains(text, prefix) {
			return true
		}
	}
	return false
}

// named is the driver: it finds clients by their names.
type named struct{}

// Open opens a connection by its data source name.
func (named) Open(name string) (driver.Conn, error) {
	c, err := named{}.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// errDSN does not quote the data source name, because it may contain a key.
var errDSN = errors.New(`stripesql: the data source name must be "stripe://name", where name was given to Register, and may go on with "?max_calls=100&search=1"`)

// OpenConnector returns the connector for a data source name.
func (named) OpenConnector(name string) (driver.Connector, error) {
	if looksLikeKey(name) {
		return nil, fmt.Errorf("%w: an API key has no place in it", errDSN)
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "stripe" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Path != "" && u.Path != "/" {
		return nil, errDSN
	}
	params, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errDSN
	}
	clients.Lock()
	registered := clients.sources[u.Host]
	clients.Unlock()
	if registered == nil {
		return nil, fmt.Errorf("stripesql: no client is registered as %q", u.Host)
	}
	s := *registered
	if err := s.override(params); err != nil {
		return nil, err
	}
	return &connector{&s}, nil
}

// override sets options from the parameters of a data source name.
func (s *source) override(params url.Values) error {
	for name, values := range params {
		value, err := strconv.Atoi(values[0])
		if err != nil || len(values) > 1 {
			return fmt.Errorf("stripesql: data source name: %s must be one number", name)
		}
		switch name {
		case "max_calls":
			err = WithMaxCalls(value)(&s.options)
		case "concurrency":
			err = WithConcurrency(value)(&s.options)
		case "search":
			if value != 0 && value != 1 {
				err = errors.New("search must be 0 or 1")
			}
			s.search = value == 1
		default:
			err = fmt.Errorf("there is no parameter %q", name)
		}
		if err != nil {
			return fmt.Errorf("stripesql: data source name: %w", err)
		}
	}
	return nil
}

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

// rows is the result of a statement.
type rows struct {
	ctx     context.Context
	stmt    *stmt
	query   *query
	columns []string
	stamps  []bool // the columns that hold times
	ended   error
}

func newRows(ctx context.Context, s *stmt, q *query) *rows {
	r := &rows{ctx: ctx, stmt: s, query: q}
	for i := range s.compiled.ColumnCount() {
		r.columns = append(r.columns, s.compiled.ColumnName(i))
		r.stamps = append(r.stamps, s.compiled.ColumnDeclType(i) == stampType)
	}
	return r
}

// Columns returns the names of the columns.
func (r *rows) Columns() []string { return r.columns }

// ColumnTypeDatabaseTypeName returns TEXT, INTEGER, REAL or TIMESTAMP for a
// column of a table, and "" for an expression.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	name, _, _ := strings.Cut(r.stmt.compiled.ColumnDeclType(i), " ")
	return name
}

// Close ends the query.
func (r *rows) Close() error {
	// Reset repeats the error of the last step, which Next has returned
	// already.
	_ = r.stmt.compiled.Reset()
	r.query.close()
	return r.stmt.compiled.ClearBindings()
}

// Next reads a row.
func (r *rows) Next(dest []driver.Value) error {
	if r.ended != nil {
		return r.ended
	}
	c := r.stmt.conn
	outer := c.db.SetInterrupt(r.query.ctx)
	before := c.running
	c.running = r.query
	more := r.stmt.compiled.Step()
	c.running = before
	c.db.SetInterrupt(outer)
	if !more {
		r.ended = r.end()
		return r.ended
	}
	for i := range dest {
		dest[i] = r.value(i)
	}
	return nil
}

// end returns why there is no further row: io.EOF or an error.
func (r *rows) end() error {
	failed := r.query.failure()
	err := r.stmt.compiled.Err()
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
		return fmt.Errorf("stripesql: %w", err)
	}
}

func (r *rows) value(i int) driver.Value {
	s := r.stmt.compiled
	switch s.ColumnType(i) {
	case sqlite3.INTEGER:
		return s.ColumnInt64(i)
	case sqlite3.FLOAT:
		return s.ColumnFloat(i)
	case sqlite3.TEXT:
		text := s.ColumnText(i)
		if r.stamps[i] {
			if t, ok := parseStamp(text); ok {
				return t
			}
		}
		return text
	case sqlite3.BLOB:
		return s.ColumnBlob(i, nil)
	}
	return nil
}
