package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
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
// a deadlock, a serialization failure, a lock that was not free in time. The
// drivers' types of errors are unknown here, so that no driver is linked.
func (d Dialect) disturbed(err error) bool {
	texts := []string{
		// SQLite, by each of its drivers: SQLITE_BUSY and SQLITE_LOCKED.
		"database is locked", "database table is locked",
	}
	switch d {
	case PostgreSQL:
		// *pgconn.PgError of pgx and *pq.Error have the method.
		var state interface{ SQLState() string }
		if !errors.As(err, &state) {
			return false
		}
		code := state.SQLState()
		return strings.HasPrefix(code, "40") || // transaction rollback: serialization failure, deadlock
			code == "55P03" // lock not available
	case MySQL:
		// As *mysql.MySQLError is printed: deadlock, lock wait timeout, and in MariaDB a
		// record that has changed since the snapshot.
		texts = []string{"Error 1213 (", "Error 1205 (", "Error 1020 ("}
	}
	for _, text := range texts {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
