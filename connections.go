package stripekit

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stripekit/stripekit/internal/transport"
)

// Connections keeps connections by name, and what they share: each has one pool
// of network connections, one set of rate limits, and one key, which goes in
// and is not shown again. It is safe for concurrent use. The zero value has no
// connections, and no options for them.
type Connections struct {
	opts []Option

	mu     sync.RWMutex
	byName map[string]*live
}

// NewConnections makes an empty set. The options are those of every client;
// where a connection says something else, it holds. An option that is wrong
// makes Add fail.
func NewConnections(opts ...Option) *Connections {
	return &Connections{opts: slices.Clone(opts)}
}

// live is a connection in use.
type live struct {
	plan    *plan
	http    *http.Client
	current atomic.Pointer[core] // of its clients
}

func newLive(p *plan) *live {
	l := new(live)
	l.take(p)
	return l
}

// take has new calls made by p. What p does not change is kept: the pool on the
// same way to the service, the limits in the same mode there, and with the same
// key its identity.
func (l *live) take(p *plan) {
	old, before, retired := l.plan, l.current.Load(), l.http
	next := &core{version: p.options.version, connection: p.conn.Name, access: p.conn.Access}
	if p.conn.Disabled {
		next.closed = ErrDisabled
	}
	if old == nil || !p.sameWay(old) {
		l.http = p.options.client()
	}
	l.plan = p
	if old != nil && p.sameService(old) {
		next.transport = before.transport.Renew(l.config())
	} else {
		next.transport = transport.New(l.config())
	}
	if old != nil && p.sameService(old) && p.key() == old.key() {
		next.identity = before.identity
	} else {
		next.identity = &keyIdentity{mode: p.mode}
	}
	l.current.Store(next)
	if retired != nil && retired != l.http {
		retired.CloseIdleConnections()
	}
}

func (l *live) config() transport.Config {
	return l.plan.options.config(l.plan.key(), l.plan.mode, l.http)
}

func (p *plan) sameService(old *plan) bool {
	return p.mode == old.mode && p.options.baseURL == old.options.baseURL
}

func (p *plan) sameWay(old *plan) bool {
	return p.options.baseURL == old.options.baseURL && p.proxy() == old.proxy()
}

// key is the connection's. It was read before, and so cannot fail.
func (p *plan) key() string {
	key, _ := p.conn.APIKey.read()
	return key
}

// proxy is the one in use, of the connection or of the options.
func (p *plan) proxy() string {
	if p.options.proxy == nil {
		return ""
	}
	return p.options.proxy.String()
}

// Add keeps a connection under its name. It fails with ErrConnectionExists if
// the name is taken, and with a *ParamError that names the field at fault, as in
// JSON. It makes no request.
func (cs *Connections) Add(c Connection) error {
	p, err := c.plan(cs.opts, nil)
	if err != nil {
		return err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byName[c.Name] != nil {
		return connectionError(c.Name, ErrConnectionExists)
	}
	if cs.byName == nil {
		cs.byName = map[string]*live{}
	}
	cs.byName[c.Name] = newLive(p)
	return nil
}

// Update puts c in place of the connection of its name. New calls of clients
// that are open take it up; calls under way end as they began, and keep their
// network connections unless BaseURL or Proxy is another.
//
// With an empty APIKey the connection keeps its key, and with the Proxy that Get
// and JSON show, the proxy's user and password. A key is not taken along to
// another BaseURL, nor to another Proxy if BaseURL is plain http: there it must
// be given again, so that nobody who may edit a connection can have its key sent
// to himself.
func (cs *Connections) Update(c Connection) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	l, err := cs.named(c.Name)
	if err != nil {
		return err
	}
	p, err := c.plan(cs.opts, l.plan)
	if err != nil {
		return err
	}
	l.take(p)
	return nil
}

// Remove takes a connection away. New calls of its clients fail with
// ErrNoConnection, before they are sent, and their Pollers end with it; calls
// under way end as they began.
func (cs *Connections) Remove(name string) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	l, err := cs.named(name)
	if err != nil {
		return err
	}
	delete(cs.byName, name)
	gone := *l.current.Load()
	gone.closed = fmt.Errorf("removed: %w", ErrNoConnection)
	l.current.Store(&gone)
	if l.plan.options.httpClient == nil { // else it is the caller's own
		l.http.CloseIdleConnections()
	}
	return nil
}

// Get is the connection of a name, with its key and its proxy's user and
// password in it, but out of sight.
func (cs *Connections) Get(name string) (Connection, error) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	l, err := cs.named(name)
	if err != nil {
		return Connection{}, err
	}
	return l.plan.conn, nil
}

// Names are the names of all connections, sorted.
func (cs *Connections) Names() []string {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	return slices.Sorted(maps.Keys(cs.byName))
}

// Open makes a client of the connection of a name. All clients of a connection
// share its pool and its rate limits, and follow it: Update, a key of another
// mode included, and Remove hold for their next call. A disabled connection
// opens too, and refuses calls while it is.
func (cs *Connections) Open(name string) (*Client, error) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	l, err := cs.named(name)
	if err != nil {
		return nil, err
	}
	return newClient(&l.current), nil
}

// named is the connection of a name. The caller holds mu.
func (cs *Connections) named(name string) (*live, error) {
	if l := cs.byName[name]; l != nil {
		return l, nil
	}
	return nil, connectionError(name, ErrNoConnection)
}

// connectionError is about a name, which may turn out to be a key by mistake.
func connectionError(name string, err error) error {
	return fmt.Errorf("stripe: connection %q: %w", transport.Mask(name), err)
}
