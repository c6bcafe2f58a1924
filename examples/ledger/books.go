package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// The accounts. A debit is positive and a credit is negative.
const (
	stripeBalance = "Stripe balance" // asset: what Stripe owes to the shop
	sales         = "sales"          // income
	refunds       = "refunds"        // deduction from income
	// Memorandum accounts: what may become money later.
	openCharges       = "open charges"
	openChargesContra = "open charges, contra"
)

// The kinds of entries.
const (
	kindCharge  = "charge"
	kindRefund  = "refund"
	kindOpen    = "open charge"
	kindRelease = "release" // of an open charge
)

// entry is a journal entry of two lines, for a charge or a refund.
type entry struct {
	id, kind      string // the id of the object at Stripe
	date          time.Time
	debit, credit string // accounts
	amount        int64  // in the smallest unit of the currency
	currency      string
}

// chargeEntry returns the entry for a new charge, or nil if there is nothing to book.
// An authorization and a bank debit that is not settled are no sales yet.
func chargeEntry(c *stripekit.Charge) *entry {
	e := &entry{id: c.ID, date: c.Created.Time(), amount: c.Amount, currency: c.Currency}
	switch {
	case c.Status == stripekit.ChargeFailed:
		return nil
	case c.Status == stripekit.ChargeSucceeded && c.Captured:
		e.kind, e.debit, e.credit = kindCharge, stripeBalance, sales
	default:
		e.kind, e.debit, e.credit = kindOpen, openCharges, openChargesContra
	}
	return e
}

// refundEntry returns the entry for a new refund, or nil if there is nothing to book.
// The charge is expanded in the list. If it is not captured, no money moves.
func refundEntry(r *stripekit.Refund) *entry {
	e := &entry{id: r.ID, date: r.Created.Time(), amount: r.Amount, currency: r.Currency}
	charge := r.Charge.Object
	switch {
	case r.Status == "failed" || r.Status == "canceled":
		return nil
	case charge != nil && !charge.Captured:
		e.kind, e.debit, e.credit = kindRelease, openChargesContra, openCharges
	default:
		e.kind, e.debit, e.credit = kindRefund, refunds, stripeBalance
	}
	return e
}

// books are the books in a database, which also has the checkpoints.
type books struct {
	db    *sql.DB
	store *sqlstore.Store
}

// openBooks opens the books of a PostgreSQL database, or of a SQLite file if
// databaseURL is empty. It creates the tables unless they exist.
func openBooks(ctx context.Context, databaseURL, path string) (*books, error) {
	driver, name, dialect := "pgx", databaseURL, sqlstore.PostgreSQL
	number := "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
	if databaseURL == "" {
		driver, name, dialect = "sqlite3", sqliteName(path), sqlstore.SQLite
		number = "INTEGER PRIMARY KEY"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, err
	}
	b := &books{db: db}
	b.store, err = sqlstore.New(db, dialect)
	if err == nil {
		err = db.PingContext(ctx) // before Migrate, which tries again after errors
	}
	if err == nil {
		err = b.store.Migrate(ctx)
	}
	for _, table := range []string{fmt.Sprintf(entriesTable, number), linesTable} {
		if err == nil {
			_, err = db.ExecContext(ctx, table)
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// sqliteName is the data source name of a file, with settings that survive a power
// failure (synchronous), let a reader and a writer work at the same time (WAL), and
// let two writers wait for each other (busy_timeout).
func sqliteName(path string) string {
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	return name.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(on)"
}

// The column stripe_id has no unique key, on purpose. With one, the database would
// refuse a second entry for the same object. Here nothing but RunTx prevents it, and
// the check shows whether it does. Add the key to real books.
const entriesTable = `CREATE TABLE IF NOT EXISTS entries (
	number    %s,
	stripe_id TEXT NOT NULL,
	kind      TEXT NOT NULL,
	date      TEXT NOT NULL
)`

const linesTable = `CREATE TABLE IF NOT EXISTS lines (
	entry    BIGINT NOT NULL REFERENCES entries (number),
	account  TEXT NOT NULL,
	amount   BIGINT NOT NULL,
	currency TEXT NOT NULL
)`

func (b *books) close() error { return b.db.Close() }

// keep books the new charges and refunds until ctx ends, or until one of the two
// Pollers fails.
func (b *books) keep(ctx context.Context, client *stripekit.Client, cfg stripekit.PollConfig) error {
	cfg.Checkpoints = b.store
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	refundList := client.Refunds.Where(stripekit.RefundListParams{}, stripekit.WithExpand("charge"))
	ended := make(chan error)
	go func() { ended <- keepList(ctx, client.Charges, cfg, chargeEntry) }()
	go func() { ended <- keepList(ctx, refundList, cfg, refundEntry) }()
	err := <-ended
	stop()
	return errors.Join(err, <-ended)
}

// keepList books the new objects of a list until ctx ends.
func keepList[T any](ctx context.Context, list stripekit.Source[T], cfg stripekit.PollConfig, entryOf func(*T) *entry) error {
	poller, err := stripekit.NewPoller(list, cfg)
	if err != nil {
		return err
	}
	return sqlstore.RunTx(ctx, poller, 100, book(entryOf))
}

// book returns a handler that books events in the transaction of their checkpoint.
func book[T any](entryOf func(*T) *entry) func(context.Context, *sql.Tx, []stripekit.Event[T]) error {
	return func(ctx context.Context, tx *sql.Tx, events []stripekit.Event[T]) error {
		for _, event := range events {
			if e := entryOf(event.Object); e != nil {
				if err := e.insert(ctx, tx); err != nil {
					return fmt.Errorf("booking %s: %w", e.id, err)
				}
			}
		}
		return nil
	}
}

// insert writes an entry. SQLite also accepts the placeholders of PostgreSQL.
func (e *entry) insert(ctx context.Context, tx *sql.Tx) error {
	var number int64
	err := tx.QueryRowContext(ctx, `INSERT INTO entries (stripe_id, kind, date) VALUES ($1, $2, $3) RETURNING number`,
		e.id, e.kind, e.date.UTC().Format(time.RFC3339)).Scan(&number)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO lines (entry, account, amount, currency) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8)`,
		number, e.debit, e.amount, e.currency, number, e.credit, -e.amount, e.currency)
	return err
}

// count returns the number of entries.
func (b *books) count(ctx context.Context) (n int, err error) {
	err = b.db.QueryRowContext(ctx, `SELECT count(*) FROM entries`).Scan(&n)
	return n, err
}
