//go:build unix

package fleet_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// direction is that of bytes through a proxy.
type direction int

const (
	toServer direction = iota
	toClient
)

// proxy is between a process and a server. While it holds a direction, no byte passes,
// and none is lost: they arrive later, as after a partition of the network. Neither side
// is told.
type proxy struct {
	listener net.Listener
	server   string // the address
	all      sync.WaitGroup

	mu    sync.Mutex
	state *sync.Cond
	held  [2]bool
	ended bool
	open  map[net.Conn]bool // both sides of the connections
}

// startProxy starts a proxy of a server on a port, or on a Unix socket, whose name
// remains the same.
func startProxy(tb testing.TB, network, server string) *proxy {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("/tmp", "stripekit") // a longer path is not possible
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
		address = filepath.Join(dir, filepath.Base(server))
	}
	l, err := net.Listen(network, address)
	require.NoError(tb, err)
	p := &proxy{listener: l, server: server, open: map[net.Conn]bool{}}
	p.state = sync.NewCond(&p.mu)
	p.all.Go(p.accept)
	tb.Cleanup(p.end)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// hold says which directions are held from now on, and passes on those that are not.
func (p *proxy) hold(directions ...direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = [2]bool{}
	for _, d := range directions {
		p.held[d] = true
	}
	p.state.Broadcast()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.listener.Addr().Network(), p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.add(client, server) {
			return
		}
		p.all.Go(func() { p.copy(toServer, client, server) })
		p.all.Go(func() { p.copy(toClient, server, client) })
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

// copy passes on the bytes of a direction, and the end of the connection.
func (p *proxy) copy(d direction, from, to net.Conn) {
	defer p.close(from, to)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.pass(d)
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// pass waits while a direction is held.
func (p *proxy) pass(d direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held[d] && !p.ended {
		p.state.Wait()
	}
}

func (p *proxy) close(sides ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range sides {
		_ = c.Close() // the other direction may have closed it
		delete(p.open, c)
	}
}

// end closes all connections, and waits until nothing runs.
func (p *proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for c := range p.open {
		_ = c.Close()
	}
	p.state.Broadcast()
	p.mu.Unlock()
	p.all.Wait()
}
