package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// maxRetries is how often a statement or transaction is repeated after an error
// that is likely to pass.
const maxRetries = 10

// maxWait is the longest wait between two tries.
const maxWait = 10 * time.Second

// retry calls f again, after a wait, as long as it returns an error of a transaction
// that another one has disturbed. It returns the last error of f.
func (d Dialect) retry(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || try == maxRetries || !d.disturbed(err) || wait(ctx, try) != nil {
			return err
		}
	}
}

// wait waits after a try: 5 to 10 ms after try 0, and twice as long after each one
// more, up to maxWait.
func wait(ctx context.Context, try int) error {
	longest := min(10*time.Millisecond<<min(try, 10), maxWait)
	timer := time.NewTimer(longest/2 + rand.N(longest/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// disturbed reports whether err ended a transaction because of another transaction:
// a deadlock, a serialization failure, a lock that was not free in time.
func (d Dialect) disturbed(err error) bool {
	switch d {
	case PostgreSQL:
		state := sqlState(err)
		return strings.HasPrefix(state, "40") || // transaction rollback
			state == "55P03" // lock not available
	case MySQL:
		// Deadlock, lock wait timeout, and in MariaDB a record that has changed since the
		// snapshot.
		return containsAny(err, "Error 1213 (", "Error 1205 (", "Error 1020 (")
	default:
		return containsAny(err, "database is locked", "database table is locked")
	}
}

// interrupted reports whether err is due to the state of the server, or to somebody
// who has interrupted the statement, and not to what the statement says. A server that
// ends the connection as well needs no place here.
func (d Dialect) interrupted(err error) bool {
	switch d {
	case PostgreSQL:
		state := sqlState(err)
		return strings.HasPrefix(state, "53") || // insufficient resources, such as a full disk
			strings.HasPrefix(state, "57") || // operator intervention, such as a cancelled query
			strings.HasPrefix(state, "58") || // system error
			state == "25006" // read-only, as a standby
	case MySQL:
		// Full disk or table, read-only, query interrupted or too long, shutdown.
		return containsAny(err, "Error 1021 (", "Error 1114 (", "Error 1290 (", "Error 1836 (",
			"Error 1317 (", "Error 1969 (", "Error 3024 (", "Error 1053 (")
	default:
		return containsAny(err, "database or disk is full", "disk I/O error", "readonly database")
	}
}

// sqlState returns the SQLSTATE of an error of PostgreSQL: *pgconn.PgError of pgx and
// *pq.Error have that method.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if !errors.As(err, &e) {
		return ""
	}
	return e.SQLState()
}

// containsAny reports whether the text of an error contains one of texts. The types of
// the drivers are unknown here, so that none is linked. *mysql.MySQLError prints its
// number as "Error 1213 (40001): …"; the drivers of SQLite print SQLite's own text.
func containsAny(err error, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}
