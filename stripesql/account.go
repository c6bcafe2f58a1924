package stripesql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/transport"
)

// OpenAll returns a database of all accounts of connections, for queries over several of
// them. Each table has the column connection, the name of the connection that a row was
// read with, and a condition on it, such as connection = 'shop', leaves out the other
// accounts. Ids are looked up in every account unless such a condition says in which, so a
// join reads
//
//	FROM charges h JOIN customers c ON c.connection = h.connection AND c.id = h.customer
//
// The accounts are those that are enabled when a query begins, read side by side. The
// budget of a query, see WithMaxCalls, is one for each account. The error of one account
// ends the query, and names the connection. So does an Update to another key, or a Remove,
// while the query reads the account: it would have rows of two accounts. In the order of
// created, a page of each account is held in memory, about 400 kB.
func OpenAll(connections *stripekit.Connections, opts ...Option) (*sql.DB, error) {
	if connections == nil {
		return nil, errors.New("stripesql: the connections are nil")
	}
	s, err := newSource(&accounts{connections: connections}, opts)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(&connector{s}), nil
}

// connectionColumn is the column of OpenAll with the name of the connection.
const connectionColumn = "connection"

// account is a client that tables are read with, and what is known of its lists.
type account struct {
	name    string            // of its connection, "" for the client of a Connector
	client  *stripekit.Client // with one key, or a query would have rows of two accounts
	density *densities
}

// get makes a GET request.
func (a *account) get(ctx context.Context, r request, out any, opts ...stripekit.CallOption) error {
	return a.named(a.client.Call(ctx, http.MethodGet, r.path, r.params, out, opts...))
}

// lanes returns how many requests read a list of the account at the same time.
func (a *account) lanes(concurrency int) *listing.Lanes {
	return listing.NewLanes(transport.Limits(a.client.RateLimit()).List(), concurrency)
}

// named adds the name of the connection to an error, if it has one.
func (a *account) named(err error) error {
	if err == nil || a.name == "" || strings.Contains(err.Error(), fmt.Sprintf("connection %q", a.name)) {
		return err
	}
	return fmt.Errorf("stripesql: connection %q: %w", transport.Mask(a.name), err)
}

// accounts are the accounts that a source reads.
type accounts struct {
	one         *account // of a Connector
	connections *stripekit.Connections

	mu        sync.Mutex
	densities map[string]*densities // by the name of the connection
}

// now returns the accounts for a query, in the order of their names.
func (as *accounts) now() []*account {
	if as.one != nil {
		one := *as.one
		if one.client != nil { // a file has none
			one.client = one.client.PinKey()
		}
		return []*account{&one}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	for {
		if all, ok := as.open(); ok {
			return all
		}
	}
}

// open returns the accounts that are enabled at one moment. ok is false if one of them was
// removed since then. Without it, there might be none in place of two, while a connection
// is replaced by another.
func (as *accounts) open() (all []*account, ok bool) {
	known := map[string]*densities{}
	for _, c := range as.connections.All() {
		if c.Disabled {
			continue
		}
		client, err := as.connections.Open(c.Name)
		if err != nil {
			return nil, false
		}
		if known[c.Name] = as.densities[c.Name]; !known[c.Name].isOf(c) {
			known[c.Name] = newDensities()
			known[c.Name].of = c
		}
		all = append(all, &account{name: c.Name, client: client.PinKey(), density: known[c.Name]})
	}
	as.densities = known
	return all, true
}

// isOf reports whether d is what lists of the account of a connection have shown.
func (d *densities) isOf(c stripekit.Connection) bool {
	return d != nil && d.of.APIKey.Equal(c.APIKey) && d.of.BaseURL == c.BaseURL
}

// several reports whether the tables have the column connection.
func (as *accounts) several() bool { return as.one == nil }

// withName returns the accounts with a name: one or none.
func withName(all []*account, name string) []*account {
	i := slices.IndexFunc(all, func(a *account) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return all[i : i+1]
}

// densitiesOf returns what is known of a table in each account.
func densitiesOf(all []*account, t *table) []*density {
	known := make([]*density, len(all))
	for i, a := range all {
		known[i] = a.density.now(t)
	}
	return known
}

// rowsOf estimates how many objects a table has in all accounts.
func rowsOf(all []*density, t *table) (sum float64) {
	for _, d := range all {
		sum += d.rows(t)
	}
	return sum
}

// shareOf estimates the share of a table's objects that is in a window.
func shareOf(all []*density, t *table, w window) (sum float64) {
	for _, d := range all {
		sum += d.share(t, w) * d.rows(t)
	}
	return sum / max(rowsOf(all, t), 1)
}
