package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

const (
	// watchEvery is how often a Watch looks for changes.
	watchEvery = 250 * time.Millisecond
	// watchPage is how many records a Watch reads at a time at its start.
	watchPage = 2000
	// stallTimeout is how long a Watch waits for the database.
	stallTimeout = 5 * time.Second
	// purgeEvery is how often a Watch deletes tombstones, on average.
	purgeEvery = 10 * time.Minute
	// maxPause is the longest time between two looks for changes, by the database's clock,
	// in microseconds: half the time for which a tombstone stays.
	maxPause = int64(30 * time.Minute / time.Microsecond)
)

// Watch calls observe with each record, then once with an empty key, and then with each
// change, until ctx ends or the database fails. It returns an error in either case.
//
// It holds a connection of the database until it returns.
func (e *Engine) Watch(ctx context.Context, observe func(key string, value []byte, revision uint64)) error {
	connecting, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	// With one connection for all, a restart of the server is an error, too.
	conn, err := e.db.Conn(connecting)
	if err == nil {
		defer conn.Close()
		w := &watch{sql: &e.sql, conn: conn, observe: observe, expiries: map[string]int64{}, observed: map[string]uint64{}}
		err = w.run(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("sqlstore: watching records: %w", err)
}

// watch is one call of Watch.
type watch struct {
	sql     *engineStatements
	conn    *sql.Conn
	observe func(key string, value []byte, revision uint64)

	last     serverState
	expiries map[string]int64  // the time when a record expires, in microseconds
	observed map[string]uint64 // the revisions of the first reading that the first poll returns again
	purgeAt  time.Time
}

// serverState is the state of the server in a poll.
type serverState struct {
	standby  bool
	server   int64  // when the server was started: another server has another time
	now      int64  // the database's clock, in microseconds
	snapshot string // of the transactions that the poll sees, as in pg_snapshot

	xmax    uint64 // the first transaction that the snapshot does not see
	running string // the others that it does not see, as an array
}

// row is a record or a tombstone, as a statement returns it. In the only row of a poll
// without a change all is NULL.
type row struct {
	key      sql.NullString
	live     sql.NullBool
	value    []byte
	revision sql.NullInt64
	expiry   sql.NullInt64
}

func (r *row) columns() []any {
	return []any{&r.key, &r.live, &r.value, &r.revision, &r.expiry}
}

func (s *serverState) columns() []any {
	return []any{&s.standby, &s.server, &s.now, &s.snapshot}
}

func (w *watch) run(ctx context.Context) error {
	for _, statement := range []string{w.sql.repair, w.sql.expireAll} {
		if err := w.execute(ctx, statement); err != nil {
			return err
		}
	}
	if err := w.readAll(ctx); err != nil {
		return err
	}
	w.observe("", nil, 0)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for expired := false; ; {
		if err := w.poll(ctx); err != nil {
			return err
		}
		// What has expired is removed, and then at once observed. Another transaction may
		// have locked it: that is seen in the next poll.
		due := w.due()
		if expired = len(due) > 0 && !expired; expired {
			if err := w.execute(ctx, w.sql.expireKeys, strings.Join(due, " ")); err != nil {
				return err
			}
			continue
		}
		if err := w.purge(ctx); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readAll observes all records, in pages. What changes meanwhile is observed by the
// first poll, because the snapshot is older than the pages.
func (w *watch) readAll(ctx context.Context) error {
	var s serverState
	err := w.query(ctx, s.columns(), func() error { return nil }, w.sql.snapshot)
	if err == nil {
		err = w.advance(s)
	}
	for key, rows := "", watchPage; err == nil && rows == watchPage; {
		rows = 0
		var r row
		var again bool
		err = w.query(ctx, append(r.columns(), &again), func() error {
			rows++
			key = r.key.String
			if again {
				w.observed[key] = uint64(r.revision.Int64)
			}
			w.tell(&r)
			return nil
		}, w.sql.page, w.xmax(), w.last.running, key, watchPage)
	}
	return err
}

// poll observes what has changed since the last poll: what its snapshot did not see.
// Transactions that were running then, and have ended since, are among that, however
// many have begun and ended before them.
func (w *watch) poll(ctx context.Context) error {
	var s serverState
	var r row
	err := w.query(ctx, append(s.columns(), r.columns()...), func() error {
		if err := w.check(&s); err != nil {
			return err
		}
		if r.key.Valid && w.observed[r.key.String] != uint64(r.revision.Int64) {
			w.tell(&r)
		}
		return nil
	}, w.sql.changes, w.xmax(), w.last.running)
	if err != nil {
		return err
	}
	w.observed = nil
	return w.advance(s)
}

func (w *watch) xmax() string { return strconv.FormatUint(w.last.xmax, 10) }

// tell observes a row.
func (w *watch) tell(r *row) {
	delete(w.expiries, r.key.String)
	if !r.live.Bool {
		w.observe(r.key.String, nil, uint64(r.revision.Int64))
		return
	}
	if r.expiry.Valid {
		w.expiries[r.key.String] = r.expiry.Int64
	}
	if r.value == nil {
		r.value = []byte{} // not every driver distinguishes it from NULL
	}
	w.observe(r.key.String, r.value, uint64(r.revision.Int64))
}

// advance makes the state the last one.
func (w *watch) advance(s serverState) error {
	if err := w.check(&s); err != nil {
		return err
	}
	w.last = s
	return nil
}

// check refuses a state that does not follow the last one, and changes that may not be
// complete. It sets the parts of the snapshot.
func (w *watch) check(s *serverState) error {
	_, rest, _ := strings.Cut(s.snapshot, ":") // xmin:xmax:running
	xmax, running, ok := strings.Cut(rest, ":")
	var err error
	s.xmax, err = strconv.ParseUint(xmax, 10, 64)
	s.running = "{" + running + "}"
	first := w.last.snapshot == ""
	switch {
	case !ok || err != nil:
		return fmt.Errorf("%q is not a snapshot", s.snapshot)
	case s.standby:
		return errStandby
	case first:
		return nil
	case s.server != w.last.server:
		return errors.New("the server was restarted, or another one has taken over")
	case s.xmax < w.last.xmax:
		return errors.New("the database has gone back to an earlier state")
	case s.now-w.last.now > maxPause:
		return errors.New("it was interrupted for so long that removals may be missed")
	}
	return nil
}

// due returns the keys of the records that have expired.
func (w *watch) due() []string {
	var keys []string
	for key, expiry := range w.expiries {
		if expiry <= w.last.now {
			keys = append(keys, key)
		}
	}
	return keys
}

// purge deletes old tombstones, at random times.
func (w *watch) purge(ctx context.Context) error {
	if time.Now().Before(w.purgeAt) {
		return nil
	}
	w.purgeAt = time.Now().Add(purgeEvery/2 + rand.N(purgeEvery))
	return w.execute(ctx, w.sql.purge)
}

// execute executes a statement, and ignores the rows that it returns.
func (w *watch) execute(ctx context.Context, query string, args ...any) error {
	return w.query(ctx, nil, func() error { return nil }, query, args...)
}

var errStalled = fmt.Errorf("the database has not answered for %v", stallTimeout)

// query executes a statement, scans each row into columns, and calls each.
func (w *watch) query(ctx context.Context, columns []any, each func() error, query string, args ...any) error {
	return PostgreSQL.retry(ctx, func() error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		stalled := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
		defer stalled.Stop()
		rows, err := w.conn.QueryContext(ctx, query, args...)
		if err != nil {
			return cmp.Or(stallError(ctx), err)
		}
		defer rows.Close()
		for rows.Next() {
			stalled.Reset(stallTimeout)
			if columns == nil {
				continue
			}
			if err := rows.Scan(columns...); err != nil {
				return err
			}
			if err := each(); err != nil {
				return err
			}
		}
		return cmp.Or(stallError(ctx), rows.Close(), rows.Err())
	})
}

// stallError returns errStalled if that has ended ctx.
func stallError(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return nil
}
