package stores_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

type (
	customerEvent  = stripekit.Event[stripekit.Customer]
	customerPoller = stripekit.Poller[stripekit.Customer]
)

// sqliteDSN is the name of a new database in a file. synchronous is off: no power
// fails here.
func sqliteDSN(t testing.TB) string {
	return "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db")) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)"
}

// shop is a fake Stripe in memory, and a database in which its customers are
// written by RunTx.
type shop struct {
	t      *testing.T
	client *stripekit.Client
	server *stripetest.Server
	faults *faultyDB
	db     *sql.DB
	store  *sqlstore.Store
}

// inShop calls test with a shop, in a bubble.
func inShop(t *testing.T, test func(t *testing.T, s *shop)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{t: t, faults: newFaultyDB(t)}
		s.client, s.server = stripekittest.NewClient(t, stripekit.WithMaxRetries(0))
		s.db = s.faults.open(t)
		var err error
		s.store, err = sqlstore.New(s.db, sqlstore.SQLite)
		require.NoError(t, err)
		require.NoError(t, s.store.Migrate(t.Context()))
		// Without a unique key, what is written twice can be seen.
		_, err = s.db.Exec("CREATE TABLE customers (id TEXT NOT NULL)")
		require.NoError(t, err)
		test(t, s)
	})
}

// join makes n customers now, and returns their ids in order.
func (s *shop) join(n int) []string {
	s.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		c, err := s.client.Customers.Create(s.t.Context(), stripekit.CustomerCreateParams{Name: new(fmt.Sprint("customer ", i))})
		require.NoError(s.t, err)
		ids[i] = c.ID
	}
	return ids
}

func (s *shop) poller(cfg stripekit.PollConfig) *customerPoller {
	s.t.Helper()
	if cfg.Checkpoints == nil {
		cfg.Checkpoints = s.store
	}
	p, err := stripekit.NewPoller(s.client.Customers, cfg)
	require.NoError(s.t, err)
	return p
}

// handler handles a batch in a transaction.
type handler = func(context.Context, *sql.Tx, []customerEvent) error

// insert is a handler that writes the id of each event.
func insert(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
	for _, e := range events {
		if _, err := tx.ExecContext(ctx, "INSERT INTO customers (id) VALUES (?)", e.ID); err != nil {
			return fmt.Errorf("customer %s: %w", e.ID, err)
		}
	}
	return nil
}

// running is a RunTx in a goroutine.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

// run starts RunTx, and waits until the Poller knows where it begins.
func (s *shop) run(p *customerPoller, batch int, handle handler) *running {
	ctx, cancel := context.WithCancel(s.t.Context())
	r := &running{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- sqlstore.RunTx(ctx, p, batch, handle) }()
	synctest.Wait()
	return r
}

// stop ends RunTx and returns its error.
func (r *running) stop() error {
	r.cancel()
	return <-r.done
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// written returns the ids in the table, in the order in which they were written.
func (s *shop) written() []string {
	s.t.Helper()
	return queryIDs(s.t, s.db, "SELECT id FROM customers ORDER BY rowid")
}

func queryIDs(t testing.TB, db *sql.DB, query string) (ids []string) {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	return ids
}

func ids(events []customerEvent) []string {
	return slices.Collect(func(yield func(string) bool) {
		for _, e := range events {
			if !yield(e.ID) {
				return
			}
		}
	})
}
