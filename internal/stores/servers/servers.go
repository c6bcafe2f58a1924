package servers

import (
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Database is a database of a server. It is empty at first.
type Database struct {
	Driver string // the name for sql.Open
	DSN    string // the data source name for sql.Open

	engine engine
	dir    string // of the socket
	name   string
}

// Open opens the database until the end of the test.
func (d Database) Open(tb testing.TB) *sql.DB {
	tb.Helper()
	db, err := sql.Open(d.Driver, d.DSN)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// PostgreSQL returns a new database of the shared PostgreSQL server. Its driver is
// the stdlib package of pgx.
func PostgreSQL(tb testing.TB) Database {
	tb.Helper()
	return sharedPostgreSQL.database(tb)
}

// MariaDB returns a new database of the shared MariaDB server. Its driver is
// go-sql-driver/mysql.
func MariaDB(tb testing.TB) Database {
	tb.Helper()
	return sharedMariaDB.database(tb)
}

var (
	sharedPostgreSQL = shared{engine: postgreSQL()}
	sharedMariaDB    = shared{engine: mariaDB()}
)

// Run runs the tests of a process, and ends the shared servers. It returns the exit
// code.
func Run(m *testing.M) int {
	if err := quietMySQL(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	all := []*shared{&sharedPostgreSQL, &sharedMariaDB}
	for _, s := range all {
		s.allow()
		defer s.end()
	}
	return m.Run()
}

// shared is a server that the tests of a process share. It is started for the first
// test that needs it.
type shared struct {
	engine engine

	mu        sync.Mutex
	allowed   bool // Run will end it
	server    *server
	databases int
}

func (s *shared) allow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = true
}

func (s *shared) database(tb testing.TB) Database {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.True(tb, s.allowed, "the TestMain of the process must call servers.Run")
	if s.server == nil {
		s.server = create(tb, s.engine)
	}
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	require.NoError(tb, s.server.execute("CREATE DATABASE "+name))
	return s.server.database(name)
}

func (s *shared) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return
	}
	if err := s.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	s.server = nil
}

// Server is a server with one database, for one test.
type Server struct {
	Database
	server *server
}

// StartPostgreSQL starts a PostgreSQL server until the end of the test.
func StartPostgreSQL(tb testing.TB) *Server {
	tb.Helper()
	return start(tb, postgreSQL())
}

// StartMariaDB starts a MariaDB server until the end of the test.
func StartMariaDB(tb testing.TB) *Server {
	tb.Helper()
	return start(tb, mariaDB())
}

func start(tb testing.TB, e engine) *Server {
	tb.Helper()
	s := create(tb, e)
	tb.Cleanup(func() { require.NoError(tb, s.remove()) })
	require.NoError(tb, s.execute("CREATE DATABASE test"))
	return &Server{Database: s.database("test"), server: s}
}

// Kill ends all processes of the server by SIGKILL, and returns when it has ended.
// On systems other than Linux some processes of PostgreSQL may end a little later,
// by themselves.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, s.server.kill())
}

// Start starts the server again after a Kill, on the same data, and returns when it
// accepts connections.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, s.server.start())
}
