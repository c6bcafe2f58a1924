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
	byName map[string]*entry
}

// NewConnections makes an empty set. The options are those of every client;
// where a connection says something else, it holds. An option that is wrong
// makes Add fail.
func NewConnections(opts ...Option) *Connections {
	return &Connections{opts: slices.Clone(opts)}
}

// entry is a connection in use.
type entry struct {
	resolved *resolved
	http     *http.Client
	current  atomic.Pointer[snapshot] // of its clients
}

func newEntry(p *resolved) *entry {
	e := new(entry)
	e.apply(p)
	return e
}

// apply has new calls made by p. What p does not change is kept: the pool on the
// same way to the service, the limits in the same mode there, and with the same
// key its identity.
func (e *entry) apply(p *resolved) {
	old, before, retired := e.resolved, e.current.Load(), e.http
	next := &snapshot{version: p.options.version, connection: p.conn.Name, access: p.conn.Access}
	if p.conn.Disabled {
		next.closed = ErrDisabled
	}
	if old == nil || !p.sameWay(old) {
		e.http = p.options.client()
	}
	e.resolved = p
	next.config = e.config()
	if old != nil && p.sameService(old) {
		next.transport = before.transport.Renew(next.config)
	} else {
		next.transport = transport.New(next.config)
	}
	if old != nil && p.sameService(old) && p.key() == old.key() {
		next.identity = before.identity
	} else {
		next.identity = &keyIdentity{mode: p.mode}
	}
	e.current.Store(next)
	if retired != nil && retired != e.http {
		retired.CloseIdleConnections()
	}
}

func (e *entry) config() transport.Config {
	return e.resolved.options.config(e.resolved.key(), e.resolved.mode, e.http)
}

func (p *resolved) sameService(old *resolved) bool {
	return p.mode == old.mode && p.options.baseURL == old.options.baseURL
}

func (p *resolved) sameWay(old *resolved) bool {
	return p.options.baseURL == old.options.baseURL && p.proxy() == old.proxy()
}

// key is the connection's. It was read before, and so cannot fail.
func (p *resolved) key() string {
	key, _ := p.conn.APIKey.read()
	return key
}

// proxy is the one in use, of the connection or of the options.
func (p *resolved) proxy() string {
	if p.options.proxy == nil {
		return ""
	}
	return p.options.proxy.String()
}

// Add keeps a connection under its name. It fails with ErrConnectionExists if
// the name is taken, and with a *ParamError that names the field at fault, as in
// JSON. It makes no request.
func (cs *Connections) Add(c Connection) error {
	p, err := c.resolve(cs.opts, nil)
	if err != nil {
		return err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byName[c.Name] != nil {
		return connectionError(c.Name, ErrConnectionExists)
	}
	if cs.byName == nil {
		cs.byName = map[string]*entry{}
	}
	cs.byName[c.Name] = newEntry(p)
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
	e, err := cs.named(c.Name)
	if err != nil {
		return err
	}
	p, err := c.resolve(cs.opts, e.resolved)
	if err != nil {
		return err
	}
	e.apply(p)
	return nil
}

// Remove takes a connection away. New calls of its clients fail with
// ErrNoConnection, before they are sent, and their Pollers end with it; calls
// under way end as they began.
func (cs *Connections) Remove(name string) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	e, err := cs.named(name)
	if err != nil {
		return err
	}
	delete(cs.byName, name)
	gone := *e.current.Load()
	gone.closed = fmt.Errorf("removed: %w", ErrNoConnection)
	e.current.Store(&gone)
	if e.resolved.options.httpClient == nil { // else it is the caller's own
		e.http.CloseIdleConnections()
	}
	return nil
}

// Get is the connection of a name, with its key and its proxy's user and
// password in it, but out of sight.
func (cs *Connections) Get(name string) (Connection, error) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	e, err := cs.named(name)
	if err != nil {
		return Connection{}, err
	}
	return e.resolved.conn, nil
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
	e, err := cs.named(name)
	if err != nil {
		return nil, err
	}
	return newClient(&e.current), nil
}

// named is the connection of a name. The caller holds mu.
func (cs *Connections) named(name string) (*entry, error) {
	if e := cs.byName[name]; e != nil {
		return e, nil
	}
	return nil, connectionError(name, ErrNoConnection)
}

// connectionError is about a name, which may turn out to be a key by mistake.
func connectionError(name string, err error) error {
	return fmt.Errorf("stripe: connection %q: %w", transport.Mask(name), err)
}
