package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// database is a SQLite file with the tables and the checkpoints.
type database struct {
	*sql.DB
	checkpoints *sqlstore.Store
}

// schema has a table for each list. The columns after object are computed from it.
//
// A round is a reading of a whole list by a Backfill. The round of a row is the last
// one that has seen the object, or during which a change of it was applied. Table gone
// has the ids of the deleted objects. Stripe does not use an id again.
var schema = []string{
	`CREATE TABLE IF NOT EXISTS customers (
		id      TEXT PRIMARY KEY,
		round   INTEGER NOT NULL,
		object  TEXT NOT NULL,
		created INTEGER AS (object ->> 'created'),
		email   TEXT AS (object ->> 'email'),
		name    TEXT AS (object ->> 'name'),
		balance INTEGER AS (object ->> 'balance')
	)`,
	`CREATE TABLE IF NOT EXISTS charges (
		id              TEXT PRIMARY KEY,
		round           INTEGER NOT NULL,
		object          TEXT NOT NULL,
		created         INTEGER AS (object ->> 'created'),
		customer        TEXT AS (object ->> 'customer'),
		amount          INTEGER AS (object ->> 'amount'),
		amount_captured INTEGER AS (object ->> 'amount_captured'),
		amount_refunded INTEGER AS (object ->> 'amount_refunded'),
		currency        TEXT AS (object ->> 'currency'),
		status          TEXT AS (object ->> 'status')
	)`,
	`CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY)`,
	`CREATE TABLE IF NOT EXISTS rounds (
		list     TEXT PRIMARY KEY,
		round    INTEGER NOT NULL,
		complete INTEGER NOT NULL,
		mode     TEXT NOT NULL
	)`,
}

// openDatabase opens a SQLite file. It creates the tables unless they exist.
func openDatabase(ctx context.Context, path string) (*database, error) {
	db, err := sql.Open("sqlite3", sqliteName(path))
	if err != nil {
		return nil, err
	}
	d := &database{DB: db}
	d.checkpoints, err = sqlstore.New(db, sqlstore.SQLite)
	if err == nil {
		err = db.PingContext(ctx) // before Migrate, which tries again after errors
	}
	if err == nil {
		err = d.checkpoints.Migrate(ctx)
	}
	for _, statement := range schema {
		if err == nil {
			_, err = db.ExecContext(ctx, statement)
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// sqliteName is the data source name of a file, with settings that survive a power
// failure (synchronous), let a reader and a writer work at the same time (WAL), and
// let two writers wait for each other (busy_timeout; _txlock, since a transaction that
// reads first and then writes would not wait).
func sqliteName(path string) string {
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	return name.String() + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
}

// transact executes write in a transaction, which is committed unless write returns an
// error.
func (d *database) transact(ctx context.Context, write func(*sql.Tx) error) error {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := write(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// count returns the number of rows of a table.
func (d *database) count(ctx context.Context, table string) (n int, err error) {
	err = d.QueryRowContext(ctx, `SELECT count(*) FROM `+table).Scan(&n)
	return n, err
}

// row is what is to be stored of an object. It is empty for an object that is gone.
type row struct{ id, object string }

// table is the table of a list.
type table struct {
	*database
	name string
}

// round returns the current round of the table, and whether it is complete. The first
// one is 1. The objects of test mode and of live mode are not mixed: it returns an error
// if the table is of the other mode.
func (t *table) round(ctx context.Context, mode stripekit.Mode) (round int, complete bool, err error) {
	var have stripekit.Mode
	err = t.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO rounds VALUES (?, 1, 0, ?) ON CONFLICT DO NOTHING`, t.name, mode)
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT round, complete, mode FROM rounds WHERE list = ?`, t.name).Scan(&round, &complete, &have)
	})
	if err == nil && have != mode {
		err = fmt.Errorf("the mirror is of %s mode, and the key of %s mode: use another file", have, mode)
	}
	return round, complete, err
}

// beginRound makes another Backfill necessary.
func (t *table) beginRound(ctx context.Context) error {
	_, err := t.ExecContext(ctx, `UPDATE rounds SET round = round + 1, complete = 0 WHERE list = ?`, t.name)
	return err
}

// apply stores rows that were read because the objects have changed, and the checkpoint
// of the changes, in one transaction. If another process has taken the checkpoint over,
// neither is stored: what this process has read may be older than what the other one
// has stored.
func (t *table) apply(ctx context.Context, c stripekit.Checkpoint, round int, rows []row) (revision uint64, err error) {
	err = t.transact(ctx, func(tx *sql.Tx) (err error) {
		if revision, err = t.checkpoints.SaveTx(ctx, tx, c); err != nil {
			return err
		}
		for _, r := range rows {
			if err := t.applyRow(ctx, tx, round, r); err != nil {
				return fmt.Errorf("storing %s: %w", r.id, err)
			}
		}
		return nil
	})
	return revision, err
}

func (t *table) applyRow(ctx context.Context, tx *sql.Tx, round int, r row) error {
	if r.object != "" {
		_, err := tx.ExecContext(ctx, `INSERT INTO `+t.name+` (id, round, object) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET round = excluded.round, object = excluded.object`, r.id, round, r.object)
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM `+t.name+` WHERE id = ?`, r.id)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO gone VALUES (?) ON CONFLICT DO NOTHING`, r.id)
	}
	return err
}

// errOtherRound: another process has begun another round.
var errOtherRound = errors.New("another process keeps the mirror")

// fill executes store, which may be nil, and stores the rows that a Backfill has read in
// a round, in one transaction. A row that this round has stored stays as it is. So does
// one that a change has made or removed since the round began:
//
//  1. The Backfill reads a page with customer A.
//  2. A is changed or deleted, the event is delivered, and the change is applied.
//  3. The Backfill stores the page, in which A is as it was.
//
// If the Backfill's state of a row that is left alone is the newer one, there is an event
// about the difference, which is yet to be applied.
func (t *table) fill(ctx context.Context, round int, rows []row, store func(*sql.Tx) error) error {
	return t.transact(ctx, func(tx *sql.Tx) error {
		if store != nil {
			if err := store(tx); err != nil {
				return err
			}
		}
		if err := t.checkRound(ctx, tx, round); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO `+t.name+` (id, round, object)
			SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM gone WHERE id = ?1)
			ON CONFLICT (id) DO UPDATE SET round = excluded.round, object = excluded.object
			WHERE `+t.name+`.round < excluded.round`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, r := range rows {
			if _, err := insert.ExecContext(ctx, r.id, round, r.object); err != nil {
				return fmt.Errorf("storing %s: %w", r.id, err)
			}
		}
		return nil
	})
}

// completeRound removes the rows that neither the Backfill nor a change has stored in
// this round: the objects were deleted, and nobody has read the events of that. In the
// first round there are none.
func (t *table) completeRound(ctx context.Context, round int) error {
	return t.transact(ctx, func(tx *sql.Tx) error {
		if err := t.checkRound(ctx, tx, round); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+t.name+` WHERE round < ?`, round); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE rounds SET complete = 1 WHERE list = ?`, t.name)
		return err
	})
}

func (t *table) checkRound(ctx context.Context, tx *sql.Tx, round int) error {
	var current int
	err := tx.QueryRowContext(ctx, `SELECT round FROM rounds WHERE list = ?`, t.name).Scan(&current)
	if err == nil && current != round {
		return errOtherRound
	}
	return err
}
