// Package sqlstore keeps the checkpoints of Pollers and Backfills in a table of the
// caller's database, and writes what a Poller delivers into that database exactly
// once.
//
// New makes a Store, Store.Migrate creates its table, and RunTx writes. The example of
// RunTx is a whole program. NewEngine makes an Engine, on which module fleet runs.
//
// # Exactly once
//
// RunTx writes the rows of the handler and the checkpoint in one transaction. Both
// are stored or neither is, whatever crashes: the program, the machine, the
// database. Two processes may run with the same flow by mistake or in a rolling
// update. The newer one continues. The older one is refused before its handler is
// called, because the checkpoint is saved first.
//
// This covers what the handler does with its transaction. What it does elsewhere,
// such as sending an email, may be done again. A POST to Stripe then has its effect once
// if its idempotency key is made from the event, within the 24 hours for which Stripe
// keeps the key at least:
//
//	client.Refunds.Create(ctx, params, stripekit.WithIdempotencyKey("refund-"+e.ID))
//
// # Databases
//
// The package uses database/sql and no driver. It is tested with SQLite
// (github.com/ncruces/go-sqlite3), PostgreSQL (the stdlib package of
// github.com/jackc/pgx/v5) and MariaDB (github.com/go-sql-driver/mysql). Some
// settings matter:
//
//   - A connection that hangs holds RunTx up until the driver gives up. Limit that by
//     the driver: connect_timeout and tcp_user_timeout of pgx; timeout, readTimeout
//     and writeTimeout of go-sql-driver/mysql.
//   - SQLite needs a busy timeout if more than one process or Poller writes, and is
//     faster with a write-ahead log. For that log some drivers flush to the disk only
//     now and then by default, so that the last transactions are lost in a power
//     failure: synchronous must be FULL. With github.com/ncruces/go-sqlite3/driver the
//     name of the driver is "sqlite3", and the name of the database
//     "file:shop.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)".
//   - With MySQL, autocommit must be on, as it is by default. interpolateParams=true
//     saves a round trip for each statement. max_allowed_packet must be larger than the
//     largest checkpoint.
//
// # The engine of a fleet
//
// An Engine keeps the sessions, claims and connections of a fleet in a table of
// PostgreSQL 13 or later, and in no other database. The only clock that counts is the
// database's. It must not jump: if it jumps ahead, sessions end early.
//
//   - The database must be the primary. A standby is refused. With several hosts in the
//     data source name, pgx finds the primary by target_session_attrs=read-write.
//   - A failover must lose no commit, or two workers may own one shard until they
//     notice: the replica must be synchronous, and the old primary must be stopped. A
//     crash loses none, even if synchronous_commit is off, because an Engine turns it on
//     for its commits. fsync must be on.
//   - Each Watch holds a connection. So the pool must have one more than there are
//     Watches at the least. A Watch ends with its connection, since a restart of the
//     server may hide changes. It looks for changes four times a second.
//   - An hour after its removal a record is deleted by a Watch. A program that changes
//     rows of the table by itself is not noticed by Watches.
//
// # Isolation
//
// The isolation level is that of the database or the data source name. Each works, but
// for READ UNCOMMITTED of MySQL.
package sqlstore
