package servers

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// BehindProxy returns the same database behind a proxy, until the end of the test.
// cut is called for each response of the server. If it returns true, the proxy breaks
// the connection instead of forwarding the response. Then the client cannot know
// whether its request was executed. cut must be safe for concurrent use.
func (d Database) BehindProxy(tb testing.TB, cut func() bool) Database {
	tb.Helper()
	dir, err := folder(d.engine.socket)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
	listener, err := net.Listen("unix", filepath.Join(dir, d.engine.socket))
	require.NoError(tb, err)
	p := &proxy{server: filepath.Join(d.dir, d.engine.socket), cut: cut, open: map[net.Conn]bool{}}
	p.running.Go(func() { p.accept(listener) })
	tb.Cleanup(func() {
		_ = listener.Close() // accept returns
		p.end()
	})
	behind := d
	behind.dir = dir
	behind.DSN = d.engine.dsn(dir, d.name)
	return behind
}

// proxy forwards connections.
type proxy struct {
	server  string // the path of its socket
	cut     func() bool
	running sync.WaitGroup

	mu    sync.Mutex
	ended bool
	open  map[net.Conn]bool // both sides of the connections
}

func (p *proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.add(client, server) {
			return
		}
		p.running.Go(func() {
			defer p.remove(client, server)
			_, _ = io.Copy(server, client) // an error ends the connection, as EOF does
		})
		p.running.Go(func() {
			defer p.remove(client, server)
			_ = p.respond(client, server)
		})
	}
}

// respond forwards the responses of the server.
func (p *proxy) respond(client io.Writer, server io.Reader) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return err
		}
		if p.cut() {
			return errors.New("cut")
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

// add adds a connection, unless the proxy has ended.
func (p *proxy) add(sides ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range sides {
		if p.ended {
			_ = c.Close()
		} else {
			p.open[c] = true
		}
	}
	return !p.ended
}

// remove closes a connection.
func (p *proxy) remove(sides ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range sides {
		_ = c.Close() // the other direction may have closed it
		delete(p.open, c)
	}
}

// end closes all connections, and waits until nothing runs.
func (p *proxy) end() {
	p.mu.Lock()
	p.ended = true
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
