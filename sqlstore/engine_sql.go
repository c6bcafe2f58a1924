package sqlstore

import (
	"fmt"
	"strings"
)

// tombstoneTime is how long a removed record stays in the table, so that each Watch
// learns of the removal. It is an interval of SQL.
const tombstoneTime = "interval '1 hour'"

// maxEngineTable is the longest name of a table, without its schema. PostgreSQL cuts
// names after 63 bytes, and the name of the index is longer.
const maxEngineTable = 56

// engineStatements are the SQL of an Engine.
type engineStatements struct {
	create []string
	probe  string

	read, insert, update, remove            string
	expireKey, expireKeys, expireAll, purge string
	repair, snapshot, page, changes         string
}

// The columns of the table, beyond the contract of the Engine:
//
//   - value is NULL in a tombstone, which stands for a removed record.
//   - expires_at is when a record is removed, and when a tombstone is deleted.
//   - attempt identifies the Put that has stored the record.
//   - change is the transaction that has changed the row. Its index rules out updates
//     that change no index, but a Watch finds the changes by it at the same cost
//     whatever the size of the table.
const (
	// clockRevision is the database's clock in units of 1/1024 µs. It is below 2^63
	// until the year 2255.
	clockRevision = `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) * 1024`
	// step is random, so that a failover to a replica that was behind repeats no
	// revision. It is a millisecond at most.
	step = `1 + CAST(floor(random() * 1048576) AS bigint)`
	// firstRevision is greater than those that the key had before its tombstone was
	// deleted: the Puts of a key are fewer than 1,000 a second.
	firstRevision = clockRevision + ` + ` + step
	nextRevisions = `GREATEST(t.revision, ` + clockRevision + `) + ` + step
	expiryOfPut   = `clock_timestamp() + CAST($3 AS bigint) * interval '1 microsecond'`
	expired       = `t.value IS NOT NULL AND t.expires_at <= clock_timestamp()`
	// durable makes the commit of this statement wait for the disk, even if the user
	// has turned that off. A claim that was stored and is lost in a crash would have two
	// owners.
	durable = `set_config('synchronous_commit',
	CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`
	// header is the state of the server, in the columns that row.header scans.
	header = `SELECT pg_is_in_recovery() AS standby,
	CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS bigint) AS server,
	CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now,
	CAST(pg_current_snapshot() AS text) AS snapshot`
	expiryMicros = `CASE WHEN value IS NOT NULL THEN CAST(extract(epoch FROM expires_at) * 1000000 AS bigint) END`
)

func newEngineStatements(table string) (s engineStatements, err error) {
	if !validTable.MatchString(table) {
		return s, errTable
	}
	name := table[strings.IndexByte(table, '.')+1:]
	if len(name) > maxEngineTable {
		return s, fmt.Errorf("sqlstore: the table %s: a name of %d bytes is too long, %d are allowed", table, len(name), maxEngineTable)
	}
	s.create = []string{`CREATE TABLE IF NOT EXISTS ` + table + ` (
	record_key text COLLATE "C" PRIMARY KEY,
	revision bigint NOT NULL,
	value bytea,
	expires_at timestamptz,
	attempt bigint NOT NULL,
	change xid8 NOT NULL
)`, `CREATE INDEX IF NOT EXISTS ` + name + `_change ON ` + table + ` (change)`}
	s.probe = `SELECT record_key, revision, value, expires_at, attempt, change FROM ` + table + ` WHERE 1 = 0`
	s.read = `SELECT pg_is_in_recovery(), t.record_key IS NOT NULL, t.value IS NOT NULL, t.value,
	COALESCE(t.revision, 0), COALESCE(t.attempt, 0), COALESCE(` + expired + `, false)
FROM (SELECT 1) AS one LEFT JOIN ` + table + ` AS t ON t.record_key = $1`
	s.writes(table)
	s.watches(table)
	return s, nil
}

// writes sets the statements that change records. Each of them depends on the exact
// state that it replaces. So one that the server executes late, after its caller has
// given up, changes nothing if anything has happened since.
func (s *engineStatements) writes(table string) {
	const removed = ` SET value = NULL, revision = ` + nextRevisions + `,
	expires_at = clock_timestamp() + ` + tombstoneTime + `, change = pg_current_xact_id()`
	s.insert = `INSERT INTO ` + table + ` AS t (record_key, revision, value, expires_at, attempt, change)
VALUES ($1, ` + firstRevision + `, $2, ` + expiryOfPut + `, $4, pg_current_xact_id())
ON CONFLICT DO NOTHING RETURNING t.revision, ` + durable
	s.update = `UPDATE ` + table + ` AS t SET revision = ` + nextRevisions + `, value = $2,
	expires_at = ` + expiryOfPut + `, attempt = $4, change = pg_current_xact_id()
WHERE t.record_key = $1 AND t.revision = $5 AND (t.value IS NULL) = CAST($6 AS boolean) AND NOT COALESCE(` + expired + `, false)
RETURNING t.revision, ` + durable
	s.remove = `UPDATE ` + table + ` AS t` + removed + `
WHERE t.record_key = $1 AND t.revision = $2 AND t.value IS NOT NULL AND NOT COALESCE(` + expired + `, false)
RETURNING t.revision, ` + durable
	s.expireKey = `UPDATE ` + table + ` AS t` + removed + ` WHERE t.record_key = $1 AND ` + expired + `
RETURNING t.revision, ` + durable
	// What another transaction has locked is left to it, because two that wait for each
	// other are a deadlock.
	batch := func(condition string) string {
		return `WITH due AS MATERIALIZED (
	SELECT t.record_key FROM ` + table + ` AS t WHERE ` + condition + ` FOR UPDATE SKIP LOCKED
) `
	}
	expire := `UPDATE ` + table + ` AS t` + removed + ` FROM due WHERE t.record_key = due.record_key AND ` + expired + `
RETURNING t.revision, ` + durable
	s.expireKeys = batch(`t.record_key = ANY(string_to_array(CAST($1 AS text), ' ')) AND `+expired) + expire
	s.expireAll = batch(expired) + expire
	const old = `t.value IS NULL AND t.expires_at <= clock_timestamp()`
	s.purge = batch(old) + `DELETE FROM ` + table + ` AS t USING due WHERE t.record_key = due.record_key AND ` + old
}

// watches sets the statements of a Watch. A snapshot has two parts here: its xmax, and
// the list of the transactions before it that were running. What has changed since is
// what it does not see.
func (s *engineStatements) watches(table string) {
	const xmax, running = `CAST(CAST($1 AS text) AS xid8)`, `ANY(CAST(CAST($2 AS text) AS xid8[]))`
	const columns = `record_key, value IS NOT NULL AS live, value, revision, ` + expiryMicros + ` AS expiry, change`
	// A table that was restored into another cluster has transactions that are still to
	// come there. Each Watch would observe them again and again.
	s.repair = `UPDATE ` + table + ` SET change = pg_current_xact_id() WHERE change >= pg_snapshot_xmax(pg_current_snapshot())`
	s.snapshot = header
	s.page = `SELECT record_key, true, value, revision, ` + expiryMicros + `, change >= ` + xmax + ` OR change = ` + running + `
FROM ` + table + ` WHERE record_key > $3 AND value IS NOT NULL ORDER BY record_key LIMIT $4`
	s.changes = `SELECT h.standby, h.server, h.now, h.snapshot, r.record_key, r.live, r.value, r.revision, r.expiry
FROM (` + header + `) AS h LEFT JOIN (
	SELECT ` + columns + ` FROM ` + table + ` WHERE change >= ` + xmax + `
	UNION ALL SELECT ` + columns + ` FROM ` + table + ` WHERE change = ` + running + `
) AS r ON true ORDER BY r.change`
}
