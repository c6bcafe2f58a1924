//go:build unix

package main

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// serviceVariable is set in the process of TestPromptAtATerminal that is the box. It is
// the address of the service.
const serviceVariable = "SQLBOX_TEST_SERVICE"

func TestMain(m *testing.M) {
	if service := os.Getenv(serviceVariable); service != "" {
		if err := boxAtATerminal(service, os.Args[1]); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// boxAtATerminal is the box at the standard input and output of the process.
func boxAtATerminal(service, history string) error {
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL(service))
	if err != nil {
		return err
	}
	connector, err := stripesql.Connector(client)
	if err != nil {
		return err
	}
	b := &box{db: sql.OpenDB(connector), out: os.Stdout, err: os.Stderr, prompt: true, progress: &progress{out: os.Stderr}}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	return b.serveTerminal(context.Background(), history, interrupts)
}

// screen is the terminal of a process.
type screen struct {
	t      *testing.T
	keys   io.Writer
	writes chan string // what the process writes
	text   string      // what it has written, without what was expected already
}

// openScreen starts the box at a terminal.
func openScreen(t *testing.T, service, history string) *screen {
	box := exec.CommandContext(t.Context(), os.Args[0], history)
	box.Env = append(os.Environ(), serviceVariable+"="+service, "TERM=xterm")
	terminal, err := pty.StartWithSize(box, &pty.Winsize{Rows: 50, Cols: 200})
	require.NoError(t, err)
	s := &screen{t: t, keys: terminal, writes: make(chan string)}
	ended := make(chan struct{})
	go func() {
		defer close(s.writes)
		for {
			buffer := make([]byte, 4096)
			n, err := terminal.Read(buffer)
			if err != nil {
				return
			}
			select {
			case s.writes <- string(buffer[:n]):
			case <-ended:
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		_ = box.Process.Kill() // it has ended, unless the test has failed
		_ = box.Wait()
		for range s.writes {
		}
		require.NoError(t, terminal.Close())
	})
	return s
}

// expect waits until the process has written a text, and returns what it wrote before
// it.
func (s *screen) expect(want string) string {
	s.t.Helper()
	patience := time.After(2 * time.Minute)
	for {
		if before, after, found := strings.Cut(s.text, want); found {
			s.text = after
			return before
		}
		select {
		case more, open := <-s.writes:
			if !open {
				require.Fail(s.t, "the process has ended", "without %q: %q", want, s.text)
			}
			s.text += more
		case <-patience:
			require.Fail(s.t, "timeout", "without %q: %q", want, s.text)
		}
	}
}

func (s *screen) enter(keys string) {
	s.t.Helper()
	_, err := io.WriteString(s.keys, keys)
	require.NoError(s.t, err)
}

// hangingService returns a service that never responds, and a channel that gets a value
// for each request.
func hangingService(t *testing.T) (url string, requested <-chan struct{}) {
	requests := make(chan struct{}, 10)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(service.Close)
	return service.URL, requests
}

func TestPromptAtATerminal(t *testing.T) {
	url, requested := hangingService(t)
	history := filepath.Join(t.TempDir(), "sqlbox", "history")
	const ctrlC, ctrlD, tab, up = "\x03", "\x04", "\t", "\x1b[A"

	s := openScreen(t, url, history)
	s.expect("sql> ")
	s.enter("SELECT count(*) FROM charges;\r")
	<-requested
	s.enter(ctrlC)
	s.expect("error: cancelled")
	s.expect("sql> ")

	s.enter("SELECT 'half\r")
	s.expect("...> ")
	s.enter("of a")
	s.expect("of a") // the terminal is in raw mode from here on
	s.enter(ctrlC)
	s.expect("sql> ")
	s.enter("SELECT 'sk_test_4eC39HqLyjWDarjtT1zdp7dc';\r")
	s.expect("1 row, 0 calls")
	s.expect("sql> ")
	s.enter(".schem" + tab + " topu")
	s.expect(".schema topu")
	s.enter(ctrlC)
	s.expect("^C")
	s.expect("sql> ")
	s.enter("sel" + tab + " 6 *\r")
	s.expect("...> ")
	s.enter("7;\r")
	s.expect("42")
	s.expect("sql> ")
	s.enter(up)
	s.expect("select 6 * 7;")
	s.enter("\r")
	s.expect("42")
	s.expect("sql> ")
	s.enter(ctrlD)
	for range s.writes { // until it has ended
	}

	kept, err := os.ReadFile(history)
	require.NoError(t, err)
	require.Equal(t, "SELECT count(*) FROM charges;\nselect 6 * 7;\n", string(kept))

	s = openScreen(t, url, history)
	s.expect("sql> ")
	s.enter(up + up)
	s.expect("SELECT count(*) FROM charges;")
	s.enter(ctrlC)
	s.expect("sql> ")
	s.enter(".quit\r")
	for range s.writes {
	}
}

func TestPromptWithoutAHistory(t *testing.T) {
	url, _ := hangingService(t)
	s := openScreen(t, url, "")
	s.expect("sql> ")
	s.enter("SELECT 6 * 7;\r")
	s.expect("42")
	s.expect("sql> ")
	s.enter(".quit\r")
	for range s.writes {
	}

	s = openScreen(t, url, t.TempDir())
	s.expect("error: the history is not kept: ")
	s.expect("sql> ")
	s.enter("SELECT 6 * 7;\r")
	s.expect("42")
	s.enter(".quit\r")
	for range s.writes {
	}
}
