package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
)

// maxPutSteps bounds the statements of a Put. More than three follow each other only if
// the record changes meanwhile.
const maxPutSteps = 10

// maxRecordKey is the longest key of a record, in bytes.
const maxRecordKey = 200

// Engine is a fleet.Engine in a table of PostgreSQL 13 or later. Any number of
// goroutines and processes may use the same table. The database must be the primary,
// not a standby.
type Engine struct {
	db       *sql.DB
	sql      engineStatements
	attempts attemptLog
}

// NewEngine returns an engine in a PostgreSQL database. No other database will do. It
// makes no connection, and it does not create the table: Engine.Migrate does.
func NewEngine(db *sql.DB, opts ...Option) (*Engine, error) {
	if db == nil {
		return nil, errors.New("sqlstore: the database is nil")
	}
	o := options{table: "stripekit_fleet"}
	for _, opt := range opts {
		opt(&o)
	}
	stmts, err := newEngineStatements(o.table)
	if err != nil {
		return nil, err
	}
	return &Engine{db: db, sql: stmts}, nil
}

// Schema returns the statements that create the table and its index, for tools that
// manage the schema of a database.
func (e *Engine) Schema() []string { return slices.Clone(e.sql.create) }

// Migrate creates the table and its index, unless the table exists. Several processes
// may call it at the same time. NewEngine does not call it, because a program often may
// not create tables.
func (e *Engine) Migrate(ctx context.Context) error {
	return migrate(ctx, e.db, e.sql.probe, func() error {
		tx, err := e.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for _, statement := range e.sql.create {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("PostgreSQL 13 or later is needed: %w", err)
			}
		}
		return tx.Commit()
	})
}

// record is what is stored under a key.
type record struct {
	exists   bool // a record or a tombstone
	live     bool // a record
	value    []byte
	revision uint64
	attempt  int64
}

// Get returns the value under key and its revision, or nil and 0 if there is none.
func (e *Engine) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if err := checkRecordKey(key); err != nil {
		return nil, 0, err
	}
	r, err := e.read(ctx, key)
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("sqlstore: reading record %q: %w", key, err)
	case !r.live:
		return nil, 0, nil
	}
	return r.value, r.revision, nil
}

// errStandby: the database is a standby, which may be behind.
var errStandby = errors.New("the server is a standby, and not the primary")

// read returns what is stored. It removes a record that has expired, in a transaction
// of its own, before it says that there is none: whatever happens to the database's
// clock, nobody can renew the record then.
func (e *Engine) read(ctx context.Context, key string) (record, error) {
	for {
		var r record
		var standby, expired bool
		err := PostgreSQL.retry(ctx, func() error {
			return e.db.QueryRowContext(ctx, e.sql.read, key).Scan(
				&standby, &r.exists, &r.live, &r.value, &r.revision, &r.attempt, &expired)
		})
		switch {
		case err != nil:
			return record{}, err
		case standby:
			return record{}, errStandby
		case !expired:
			if r.live && r.value == nil {
				r.value = []byte{} // not every driver distinguishes it from NULL
			}
			return r, nil
		}
		if _, _, err := e.change(ctx, e.sql.expireKey, key); err != nil {
			return record{}, err
		}
	}
}

// change executes a statement that changes one record at most, and returns the new
// revision if it has changed one.
func (e *Engine) change(ctx context.Context, query string, args ...any) (revision uint64, changed bool, err error) {
	err = PostgreSQL.retry(ctx, func() error {
		var setting string
		return e.db.QueryRowContext(ctx, query, args...).Scan(&revision, &setting)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return revision, err == nil, err
}

// Put stores a value if the revision of what is stored under the key equals revision
// (0: nothing is stored), and returns the new revision. Otherwise it returns an error
// that wraps stripekit.ErrCheckpointConflict. With a ttl other than 0 the record is
// removed when the ttl has passed by the database's clock.
func (e *Engine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if err := checkRecordKey(key); err != nil {
		return 0, err
	}
	if ttl < 0 {
		return 0, fmt.Errorf("sqlstore: record %q: the ttl %v is negative", key, ttl)
	}
	if value == nil {
		value = []byte{} // nil would be NULL
	}
	before := e.attempts.take(key, revision)
	next, err := e.put(ctx, key, value, ttl, before)
	switch {
	case errors.Is(err, stripekit.ErrCheckpointConflict):
		return 0, fmt.Errorf("sqlstore: record %q: %w", key, err)
	case err != nil:
		e.attempts.add(key, before)
		return 0, fmt.Errorf("sqlstore: storing record %q: %w", key, err)
	}
	return next, nil
}

// put stores a value after the attempts before it. First it assumes the state that the
// caller knows. If the state is another one, it reads it, and stores the value on it if
// it is the result of one of the attempts, or a tombstone where the caller knows of no
// record. So each statement depends on one exact state.
func (e *Engine) put(ctx context.Context, key string, value []byte, ttl time.Duration, before attempts) (uint64, error) {
	var micros sql.NullInt64
	if ttl > 0 {
		micros = sql.NullInt64{Int64: int64((ttl-1)/time.Microsecond) + 1, Valid: true}
	}
	known := record{exists: before.revision != 0, live: before.revision != 0, revision: before.revision}
	for range maxPutSteps {
		query, args := e.sql.insert, []any{key, value, micros, before.next()}
		if known.exists {
			query, args = e.sql.update, append(args, sqlRevision(known.revision), !known.live)
		}
		next, stored, err := e.change(ctx, query, args...)
		if err != nil || stored {
			return next, err
		}
		known, err = e.read(ctx, key)
		switch {
		case err != nil:
			return 0, err
		case known.live && !before.include(known.attempt), !known.live && before.revision != 0:
			return 0, stripekit.ErrCheckpointConflict
		}
	}
	return 0, errors.New("it changes all the time")
}

// Delete removes the record if its revision equals revision. Otherwise it returns an
// error that wraps stripekit.ErrCheckpointConflict. If there is no record, it returns
// nil.
func (e *Engine) Delete(ctx context.Context, key string, revision uint64) error {
	if err := checkRecordKey(key); err != nil {
		return err
	}
	_, removed, err := e.change(ctx, e.sql.remove, key, sqlRevision(revision))
	if err == nil && !removed {
		var r record
		if r, err = e.read(ctx, key); err == nil && r.live {
			err = stripekit.ErrCheckpointConflict
		}
	}
	if err != nil {
		return fmt.Errorf("sqlstore: removing record %q: %w", key, err)
	}
	return nil
}

// sqlRevision returns a revision as the database knows it. What is too large for it
// becomes one that no record has.
func sqlRevision(revision uint64) int64 {
	return int64(min(revision, math.MaxInt64))
}

var validRecordKey = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$`)

// checkRecordKey refuses a key that is not one of a record.
func checkRecordKey(key string) error {
	if len(key) > maxRecordKey || !validRecordKey.MatchString(key) {
		return fmt.Errorf("sqlstore: %.40q is not a key of a record: it must have up to %d letters, digits, \"-\", \"_\", \".\" and \"/\", with a letter or digit first and last",
			key, maxRecordKey)
	}
	return nil
}
