package stripekit

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stripekit/stripekit/internal/transport"
)

// Connections keeps connections by name. All clients of one connection share its
// rate limits. Connections with the same BaseURL and Proxy share a pool of network
// connections. A key that was added is not shown again. Connections is safe for
// concurrent use. The zero value is empty and has no options.
type Connections struct {
	opts []Option

	mu     sync.RWMutex
	byName map[string]*entry
	pools  map[route]*pool
}

// route identifies the way to a service: its base URL and the proxy. It is a hash with
// a secret salt, so that a printed Connections does not show the password of a proxy.
type route [sha256.Size]byte

var routeSalt = rand.Text()

// pool is the pool of a route that connections use. Its network connections have buffers
// with keys, so it is behind a func, which reflection cannot see through.
type pool struct {
	shared func() *transport.Pool
	users  int
}

// NewConnections returns an empty set of connections. The options apply to every
// client; a field that is set in a Connection overrides them. If an option is
// invalid, Add fails.
func NewConnections(opts ...Option) *Connections {
	return &Connections{opts: slices.Clone(opts)}
}

// entry is a connection that is in use. Its options have the login of the proxy, so they
// are behind a func, too.
type entry struct {
	resolved func() *resolved         // nil in a new entry
	current  atomic.Pointer[snapshot] // shared with its clients
}

func newEntry(p *resolved, pool *transport.Pool) *entry {
	e := new(entry)
	e.apply(p, pool)
	return e
}

// apply makes p the settings of new calls. It keeps what p does not change: the rate
// limits if base URL and mode are the same, and the identity if the key is the same
// too.
func (e *entry) apply(p *resolved, pool *transport.Pool) {
	var old *resolved
	before := e.current.Load()
	if e.resolved != nil {
		old = e.resolved()
	}
	next := &snapshot{version: p.options.version, connection: p.conn.Name, access: p.conn.Access}
	if p.conn.Disabled {
		next.closed = ErrDisabled
	}
	e.resolved = func() *resolved { return p }
	next.config = p.options.config(p.key(), p.mode, pool)
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
}

func (p *resolved) sameService(old *resolved) bool {
	return p.mode == old.mode && p.options.baseURL == old.options.baseURL
}

// key returns the key of the connection. It was read before, so no error is
// possible.
func (p *resolved) key() string {
	key, _ := p.conn.APIKey.read()
	return key
}

func (p *resolved) route() route {
	way := routeSalt + p.options.baseURL
	if p.options.proxy != nil {
		way += " " + p.options.proxy.String()
	}
	return sha256.Sum256([]byte(way))
}

// use returns the pool of a connection's route. The caller holds mu.
func (cs *Connections) use(p *resolved) *transport.Pool {
	r := p.route()
	if cs.pools[r] == nil {
		if cs.pools == nil {
			cs.pools = map[route]*pool{}
		}
		shared := p.options.pool()
		cs.pools[r] = &pool{shared: func() *transport.Pool { return shared }}
	}
	cs.pools[r].users++
	return cs.pools[r].shared()
}

// leave ends the use of a pool. The last that leaves it closes its idle network
// connections, unless they belong to the HTTP client of the caller. The caller holds
// mu.
func (cs *Connections) leave(p *resolved) {
	pool := cs.pools[p.route()]
	if pool.users--; pool.users > 0 {
		return
	}
	delete(cs.pools, p.route())
	if p.options.httpClient == nil {
		pool.shared().HTTP.CloseIdleConnections()
	}
}

// Add adds a connection. It makes no request. It returns ErrConnectionExists if
// the name is taken. An invalid field is a *ParamError that names the field as in
// JSON.
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
	cs.byName[c.Name] = newEntry(p, cs.use(p))
	return nil
}

// Update replaces the connection named c.Name with c. It takes effect for the
// next call of every open client. A call in flight ends with its old settings.
//
// If APIKey is empty, the connection keeps its key. If Proxy is as Get and JSON
// show it, the connection keeps the user and password of the proxy. The key must
// be given again if BaseURL changes, or if Proxy changes and BaseURL is plain
// http. Otherwise a user who may edit a connection could send its key to a server
// of his own.
func (cs *Connections) Update(c Connection) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	e, err := cs.named(c.Name)
	if err != nil {
		return err
	}
	p, err := c.resolve(cs.opts, e.resolved())
	if err != nil {
		return err
	}
	old := e.resolved()
	e.apply(p, cs.use(p))
	cs.leave(old)
	return nil
}

// Remove removes a connection. New calls of its clients fail with
// ErrNoConnection before they are sent, and Pollers on them end with that error.
// A call in flight ends normally. The checkpoints of the Pollers stay: with another
// account under the same name, a Poller ends with ErrCheckpointInvalid until the
// checkpoint is deleted, by CheckpointStore.Delete with Poller.Key.
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
	cs.leave(e.resolved())
	return nil
}

// Get returns the connection of a name. It contains the key and the user and
// password of the proxy, but does not show them.
func (cs *Connections) Get(name string) (Connection, error) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	e, err := cs.named(name)
	if err != nil {
		return Connection{}, err
	}
	return e.resolved().conn, nil
}

// All returns all connections as they are at one moment, sorted by name. Like those of
// Get, they do not show what is secret.
func (cs *Connections) All() []Connection {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	all := make([]Connection, 0, len(cs.byName))
	for _, name := range slices.Sorted(maps.Keys(cs.byName)) {
		all = append(all, cs.byName[name].resolved().conn)
	}
	return all
}

// Names returns the names of all connections, sorted.
func (cs *Connections) Names() []string {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	return slices.Sorted(maps.Keys(cs.byName))
}

// Open makes a client of a named connection. All clients of a connection share its
// rate limits. An Update, even to a key of the other mode, and a Remove take effect
// for the next call of each client. A disabled connection can be opened, and its calls
// fail with ErrDisabled.
func (cs *Connections) Open(name string) (*Client, error) {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	e, err := cs.named(name)
	if err != nil {
		return nil, err
	}
	return newClient(&e.current), nil
}

// named returns the connection of a name. The caller holds mu.
func (cs *Connections) named(name string) (*entry, error) {
	if e := cs.byName[name]; e != nil {
		return e, nil
	}
	return nil, connectionError(name, ErrNoConnection)
}

// connectionError wraps err with the name of a connection, which is masked in case
// it is a key by mistake.
func connectionError(name string, err error) error {
	return fmt.Errorf("stripe: connection %q: %w", transport.Mask(name), err)
}
