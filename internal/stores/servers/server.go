package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// startTimeout bounds the start of a server, with the recovery of its data.
	startTimeout = time.Minute
	// maxStarts is how often a server that ends before it accepts connections is
	// started again. After a Kill, PostgreSQL refuses to start until the last of the
	// old processes has ended.
	maxStarts = 100
	// maxSocketPath is the longest path of a socket on all systems, in bytes.
	maxSocketPath = 103
)

// errEnded: the server has ended before it accepted connections.
var errEnded = errors.New("it ended before it accepted connections")

// server is a server in a folder of its own.
type server struct {
	engine   engine
	programs programs
	dir      string
	owner    *owner // the user of its processes; nil for that of the test

	process *os.Process   // nil before the first start
	ended   chan struct{} // closed when the process has ended
}

// create creates the data of a server and starts it. If the server is not installed,
// it skips the test, or fails it.
func create(tb testing.TB, e engine) *server {
	tb.Helper()
	p, ok := e.find()
	if !ok {
		missing(tb, e.name+" is not installed ("+e.packages+")")
	}
	if runtime.GOOS == "windows" {
		missing(tb, e.name+" is not started on Windows")
	}
	owner, err := findOwner(e.user)
	if err != nil {
		missing(tb, fmt.Sprintf("%s does not run as root, and not as another user: %v", e.name, err))
	}
	dir, err := folder(e.socket)
	require.NoError(tb, err)
	s := &server{engine: e, programs: p, dir: dir, owner: owner}
	err = s.setUp()
	if err == nil {
		err = s.start()
	}
	if err != nil {
		err = errors.Join(err, s.remove())
	}
	require.NoError(tb, err)
	return s
}

// missing ends a test that needs a server which cannot be started here.
func missing(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("STRIPEKIT_REQUIRE_SERVERS") == "1" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// folder returns a new temporary folder in which the path of a socket is not too
// long.
func folder(socket string) (string, error) {
	var dir string
	for _, parent := range []string{"", "/tmp"} {
		var err error
		dir, err = os.MkdirTemp(parent, "stripekit")
		if err != nil {
			return "", err
		}
		if len(filepath.Join(dir, socket)) <= maxSocketPath && !strings.ContainsAny(dir, " '\\()?") {
			return dir, nil
		}
		if err := os.Remove(dir); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("servers: the path %s is too long for a socket", dir)
}

// dataFolder is the folder of the data.
func dataFolder(dir string) string { return filepath.Join(dir, "data") }

func (s *server) setUp() error {
	if s.owner != nil {
		if err := os.Chown(s.dir, s.owner.uid, s.owner.gid); err != nil {
			return err
		}
	}
	output, err := s.command(s.programs.setUp, s.engine.setUp(s.dir)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("servers: creating the data of %s: %w\n%s", s.engine.name, err, output)
	}
	return nil
}

// command returns a command that runs as the owner, in the folder.
func (s *server) command(program string, arguments []string) *exec.Cmd {
	cmd := exec.Command(program, arguments...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "LC_ALL=C"}
	setAttributes(cmd, s.owner, s.engine.quit)
	return cmd
}

// start starts the server, and waits until it accepts connections.
func (s *server) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for try := 1; ; try++ {
		if err := s.launch(); err != nil {
			return fmt.Errorf("servers: starting %s: %w", s.engine.name, err)
		}
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errEnded) || try == maxStarts || pause(ctx) != nil {
			return fmt.Errorf("servers: starting %s: %w\n%s", s.engine.name, err, s.log())
		}
	}
}

// launch starts the process.
func (s *server) launch() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(s.programs.serve, s.engine.serve(s.dir))
	cmd.Stdout, cmd.Stderr = log, log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// On Linux the server ends with the thread that started it. So the thread must
		// have no other use.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the error says how the server ended
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.ended = cmd.Process, ended
	return nil
}

// ready waits until the server accepts connections.
func (s *server) ready(ctx context.Context) error {
	db, err := sql.Open(s.engine.driver, s.engine.dsn(s.dir, s.engine.system))
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errEnded
		default:
		}
		if pause(ctx) != nil {
			return err
		}
	}
}

// pause waits before another try.
func pause(ctx context.Context) error {
	select {
	case <-time.After(10 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// execute executes a statement in the database that always exists.
func (s *server) execute(statement string) error {
	db, err := sql.Open(s.engine.driver, s.engine.dsn(s.dir, s.engine.system))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), statement)
	return err
}

func (s *server) database(name string) Database {
	return Database{
		Driver: s.engine.driver, DSN: s.engine.dsn(s.dir, name),
		engine: s.engine, dir: s.dir, name: name,
	}
}

// running reports whether the process has been started and has not ended.
func (s *server) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

func (s *server) kill() error {
	if !s.running() {
		return fmt.Errorf("servers: %s has ended before\n%s", s.engine.name, s.log())
	}
	if err := killAll(s.process); err != nil {
		return fmt.Errorf("servers: killing %s: %w", s.engine.name, err)
	}
	<-s.ended
	return nil
}

// remove ends the server and removes its folder.
func (s *server) remove() error {
	if s.running() {
		_ = s.process.Signal(s.engine.quit) // it fails if the server has just ended
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			if err := s.kill(); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(s.dir)
}

func (s *server) logFile() string { return filepath.Join(s.dir, "log") }

// log returns the end of what the server has written.
func (s *server) log() string {
	const most = 2000
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
