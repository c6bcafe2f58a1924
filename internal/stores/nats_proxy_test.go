package stores_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// direction is that of bytes through a proxy.
type direction int

const (
	toServer direction = iota
	toClient
)

// flow is what becomes of the bytes of a direction.
type flow int

const (
	isPassed       flow = iota
	isHeld              // they are kept, to be passed on later
	isDropped           // as if the connection had been cut
	isCutAtAck          // as isDropped, from the first message on that says that something was stored
	isHeldAtDelete      // as isHeld, from the first message on that marks a checkpoint as deleted
	isHeldAtUpdate      // as isHeld, from the first message on that replaces another
	isUnread            // they stay in the buffers of the sender
)

// pubAck matches the response to a publish that has stored something.
var pubAck = regexp.MustCompile(`"stream":"\w+",\s*"seq":[1-9]`)

// replacing matches a publish that replaces a message.
var replacing = regexp.MustCompile(`Nats-Expected-Last-Subject-Sequence: [1-9]`)

// proxy is between clients and a NATS server.
type proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	state *sync.Cond
	flows [2]flow
	count [2]int // bytes that are held or dropped
	links map[*link]bool
}

// link is one connection through a proxy.
type link struct {
	client, server net.Conn
	held           [2][]byte
	cut            bool // closed on the client's side, and open on the server's until the test ends
}

func startProxy(t testing.TB, server servers.NATSConfig) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, server: fmt.Sprintf("127.0.0.1:%d", server.Port), links: map[*link]bool{}}
	p.state = sync.NewCond(&p.mu)
	var all sync.WaitGroup
	all.Go(func() { p.accept(&all) })
	t.Cleanup(func() {
		_ = l.Close()
		p.set(toServer, isDropped)
		p.set(toClient, isDropped)
		p.each(func(k *link) {
			k.cut = false
			_, _ = k.client.Close(), k.server.Close()
		})
		all.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		k := &link{client: client, server: server}
		p.mu.Lock()
		p.links[k] = true
		p.mu.Unlock()
		all.Go(func() { p.copy(k, toServer, client, server) })
		all.Go(func() { p.copy(k, toClient, server, client) })
	}
}

func (p *proxy) copy(k *link, d direction, from io.Reader, to net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		p.mu.Lock()
		for p.flows[d] == isUnread {
			p.state.Wait()
		}
		p.mu.Unlock()
		n, err := from.Read(buffer)
		p.mu.Lock()
		if p.flows[d] == isCutAtAck && pubAck.Match(buffer[:n]) {
			p.flows[d] = isDropped
		}
		if p.flows[d] == isHeldAtDelete && bytes.Contains(buffer[:n], []byte("Stripekit-Deleted")) ||
			p.flows[d] == isHeldAtUpdate && replacing.Match(buffer[:n]) {
			p.flows[d] = isHeld
		}
		switch p.flows[d] {
		case isHeld:
			k.held[d] = append(k.held[d], buffer[:n]...)
			p.count[d] += n
			n = 0
		case isDropped:
			p.count[d] += n
			n = 0
		}
		p.mu.Unlock()
		if _, werr := to.Write(buffer[:n]); werr != nil {
			return
		}
		if err != nil && d == toServer {
			p.mu.Lock()
			for k.cut {
				p.state.Wait()
			}
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// set says what becomes of the bytes of a direction from now on.
func (p *proxy) set(d direction, f flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows[d] = f
	p.state.Broadcast()
}

// held returns how many bytes of a direction were held or dropped.
func (p *proxy) held(d direction) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[d]
}

// whole reports whether what is held for the server ends where a message may end. The
// rest of one that was read in part would be lost when the client connects again.
func (p *proxy) whole() bool {
	whole := true
	p.each(func(k *link) {
		whole = whole && (len(k.held[toServer]) == 0 || bytes.HasSuffix(k.held[toServer], []byte("\r\n")))
	})
	return whole
}

func (p *proxy) each(f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.links {
		f(k)
	}
	p.state.Broadcast()
}

// reconnect passes on what comes from now on, and closes the connections of the
// clients, which connect again. What is held for the server stays held.
func (p *proxy) reconnect() {
	p.set(toServer, isPassed)
	p.set(toClient, isPassed)
	p.each(func(k *link) {
		k.cut = len(k.held[toServer]) > 0
		_ = k.client.Close()
	})
}

// release passes on what is held for the server, late, and then some more. The
// connection stays open: a server that fails to write to it would not read the rest.
func (p *proxy) release(t testing.TB, more string) {
	t.Helper()
	p.each(func(k *link) {
		if len(k.held[toServer]) == 0 {
			return
		}
		_, err := k.server.Write(append(k.held[toServer], more...))
		require.NoError(t, err)
		k.held[toServer] = nil
	})
}
