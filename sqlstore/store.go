package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripekit/stripekit"
)

// maxMigrations is how often Migrate tries again.
const maxMigrations = 2

// maxKey is the longest key, in bytes. MySQL can index 3072.
const maxKey = 2048

// Store is a stripekit.CheckpointStore in a table of a database. Any number of
// goroutines and processes may use the same table.
type Store struct {
	db      *sql.DB
	dialect Dialect
	sql     statements
}

var _ stripekit.CheckpointStore = (*Store)(nil)

// Option is a setting of New and NewEngine.
type Option func(*options)

type options struct{ table string }

// WithTable names the table. The default is stripekit_checkpoints for New, and
// stripekit_fleet for NewEngine. A name consists of ASCII letters, digits and
// underscores. A schema may stand before it, with a dot.
func WithTable(name string) Option { return func(o *options) { o.table = name } }

// New returns a store in a database. It makes no connection, and it does not create
// the table: Migrate does.
func New(db *sql.DB, dialect Dialect, opts ...Option) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: the database is nil")
	}
	o := options{table: "stripekit_checkpoints"}
	for _, opt := range opts {
		opt(&o)
	}
	stmts, err := dialect.statements(o.table)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, dialect: dialect, sql: stmts}, nil
}

// Schema returns the statements that create the table, for tools that manage the
// schema of a database.
func (s *Store) Schema() []string { return slices.Clone(s.sql.create) }

// Migrate creates the table, unless it exists. Several processes may call it at the
// same time. New does not call it, because a program often may not create tables.
func (s *Store) Migrate(ctx context.Context) error {
	return migrate(ctx, s.db, s.sql.probe, func() error { return s.create(ctx) })
}

// migrate calls create unless the statement probe succeeds.
func migrate(ctx context.Context, db *sql.DB, probe string, create func() error) error {
	for try := 0; ; try++ {
		_, err := db.ExecContext(ctx, probe)
		if err == nil {
			return nil
		}
		// PostgreSQL refuses a table that another transaction is creating, in spite of
		// IF NOT EXISTS. The other databases do nothing if the table has other columns.
		if try > 0 {
			err = fmt.Errorf("sqlstore: the table cannot be used: %w", err)
		}
		if createErr := create(); createErr != nil {
			err = fmt.Errorf("sqlstore: creating the table: %w", createErr)
		}
		if try == maxMigrations || wait(ctx, try) != nil {
			return err
		}
	}
}

func (s *Store) create(ctx context.Context) error {
	for _, statement := range s.sql.create {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Load returns the data last saved under key and its revision, or nil and 0 if there
// is none.
func (s *Store) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, err
	}
	err = s.db.QueryRowContext(ctx, s.sql.load, key).Scan(&data, &revision)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("sqlstore: loading checkpoint %q: %w", key, err)
	}
	return data, revision, nil
}

// Save replaces the data if the stored revision equals revision (0: nothing is
// stored), and returns the new revision. Otherwise it returns an
// ErrCheckpointConflict. Deadlocks and serialization failures are retried.
//
// After any other error the old or the new checkpoint is stored. In the latter case
// the next Save with the old revision returns an ErrCheckpointConflict.
func (s *Store) Save(ctx context.Context, key string, data []byte, revision uint64) (next uint64, err error) {
	err = s.dialect.retry(ctx, func() (err error) {
		next, err = s.SaveTx(ctx, s.db, stripekit.Checkpoint{Key: key, Data: data, Revision: revision})
		return err
	})
	return next, err
}

// Execer executes a statement. *sql.Tx, *sql.Conn and *sql.DB are Execers.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// SaveTx is Save in a transaction of the caller, for Poller.Commit. RunTx calls it;
// only a program that does not use RunTx needs it. The transaction must be one of
// the database of the Store, and must be rolled back after any error.
//
// In SaveTx a second transaction on the same checkpoint waits until the first one
// has ended. So SaveTx should come first in the transaction: what follows it is done
// by one process at a time.
func (s *Store) SaveTx(ctx context.Context, tx Execer, c stripekit.Checkpoint) (uint64, error) {
	if err := checkKey(c.Key); err != nil {
		return 0, err
	}
	data := c.Data
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	var result sql.Result
	var err error
	next := nextRevision(c.Revision)
	switch {
	case next > math.MaxInt64:
		return 0, fmt.Errorf("sqlstore: checkpoint %q: %w", c.Key, stripekit.ErrCheckpointConflict)
	case c.Revision == 0:
		result, err = tx.ExecContext(ctx, s.sql.insert, c.Key, next, data)
	default:
		result, err = tx.ExecContext(ctx, s.sql.update, next, data, c.Key, c.Revision)
	}
	if err != nil {
		return 0, fmt.Errorf("sqlstore: saving checkpoint %q: %w", c.Key, err)
	}
	changed, err := result.RowsAffected()
	switch {
	case err != nil:
		return 0, fmt.Errorf("sqlstore: saving checkpoint %q: %w", c.Key, err)
	case changed != 1:
		return 0, fmt.Errorf("sqlstore: checkpoint %q: %w", c.Key, stripekit.ErrCheckpointConflict)
	}
	return next, nil
}

// nextRevision returns the revision after another one. The first one and each step are
// random, so that no revision returns: not after a Delete, and not if the database goes
// back to an earlier state, as at a failover to a replica that was behind.
func nextRevision(revision uint64) uint64 {
	if revision == 0 {
		return 1 + rand.Uint64N(1<<62)
	}
	const maxStep = 1 << 20 // room for 2^42 saves
	return min(revision, 1<<63) + 1 + rand.Uint64N(maxStep)
}

// Delete removes the checkpoint under key. It returns nil if there is none. A Poller
// then begins anew at its next Start.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.dialect.retry(ctx, func() error {
		_, err := s.db.ExecContext(ctx, s.sql.remove, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: deleting checkpoint %q: %w", key, err)
	}
	return nil
}

// Entry is a checkpoint in a List.
type Entry struct {
	Key      string
	Revision uint64
	Size     int       // of the data, in bytes
	Saved    time.Time // by the database's clock, to the millisecond
}

// listPage is how many checkpoints List reads at a time.
const listPage = 1000

// List returns all checkpoints in the order of their keys. The loop may call the
// Store, too: no connection is held while its body runs.
func (s *Store) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		after := ""
		for {
			page, err := s.listAfter(ctx, after)
			if err != nil {
				yield(Entry{}, fmt.Errorf("sqlstore: listing checkpoints: %w", err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			after = page[listPage-1].Key
		}
	}
}

func (s *Store) listAfter(ctx context.Context, key string) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx, s.sql.list, key, listPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []Entry
	for rows.Next() {
		var e Entry
		var savedMillis int64
		if err := rows.Scan(&e.Key, &e.Revision, &e.Size, &savedMillis); err != nil {
			return nil, err
		}
		e.Saved = time.UnixMilli(savedMillis)
		page = append(page, e)
	}
	return page, rows.Err()
}

// checkKey refuses the keys that one of the databases cannot keep as they are. The
// keys of Pollers and Backfills are printable ASCII.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("sqlstore: the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("sqlstore: the key %.40q… has %d bytes, %d are allowed", key, len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return fmt.Errorf("sqlstore: the key %.40q is not UTF-8 without NUL", key)
	}
	return nil
}
