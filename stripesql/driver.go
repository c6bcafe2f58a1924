package stripesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/stripekit/stripekit"
)

// driverName is the name of the driver for sql.Open.
const driverName = "stripe"

// connector opens connections to one client.
type connector struct{ source *source }

// Connector returns a connector for sql.OpenDB: a pool of connections that
// share one client. Queries use the client's key, account, API versions and
// rate limits. A query ends with stripekit.ErrKeyChanged if the connection of the
// client is updated to another key while it runs.
func Connector(client *stripekit.Client, opts ...Option) (driver.Connector, error) {
	if client == nil {
		return nil, errors.New("stripesql: the client is nil")
	}
	s, err := newSource(&accounts{one: &account{client: client, density: newDensities()}}, opts)
	if err != nil {
		return nil, err
	}
	return &connector{s}, nil
}

func newSource(of *accounts, opts []Option) (*source, error) {
	s := &source{accounts: of, options: defaultOptions()}
	for _, opt := range opts {
		if err := opt(&s.options); err != nil {
			return nil, fmt.Errorf("stripesql: %w", err)
		}
	}
	var err error
	if s.tables, err = withAdded(s.added); err != nil {
		return nil, fmt.Errorf("stripesql: %w", err)
	}
	if of.several() {
		for _, t := range s.tables {
			if err := t.addConnection(); err != nil {
				return nil, fmt.Errorf("stripesql: %w", err)
			}
		}
	}
	s.schema = schemaOf(s.tables)
	return s, nil
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
