package stripesql

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/url"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
)

const (
	// fillSize is how many rows are written in a transaction at most.
	fillSize = 1000
	// fillBuffered is how many objects are held that were read and not written.
	fillBuffered = 4000
)

// maxGivenUp is how many readings may be given up in a row.
const maxGivenUp = 3

// fill completes a reading of a list that has begun now. An earlier one is continued, and
// given up if the objects that it would continue from are gone. If it is completed, the
// events tell of what has changed since it began, and a list without events is read again.
func (m *materialization) fill(ctx context.Context, c *copied) error {
	for givenUp := 0; ; {
		continued := c.began != 0
		err := m.readList(ctx, c)
		switch {
		case errors.Is(err, listing.ErrLost) && givenUp < maxGivenUp:
			givenUp++
			err = m.file.transact(func() error { return m.file.giveUp(c) })
		case err == nil && (!continued || c.hasEvents()):
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readList continues the reading of a list, or begins one, and completes it.
func (m *materialization) readList(ctx context.Context, c *copied) error {
	from, err := m.file.beginReading(c, m.now)
	if err != nil {
		return err
	}
	path := c.path
	if filter := c.constant(); len(filter) > 0 {
		values := url.Values{}
		for name, value := range filter {
			values.Set(name, value)
		}
		path += "?" + values.Encode()
	}
	source, err := stripekit.NewSource[json.Value](m.client, path, c.timeField)
	if err != nil {
		return err
	}
	f := &filler{replica: m.file, table: c}
	objects := stripekit.Backfill(ctx, source, stripekit.BackfillConfig{
		From: from, Checkpoints: f, Name: c.name, MaxBuffered: fillBuffered,
		AnyOrder: true, // an interrupted one has less to read again
		Progress: func(p stripekit.BackfillProgress) { m.report(c.name, p) },
	})
	for object, err := range objects {
		if err != nil {
			return err
		}
		row, err := c.row(*object)
		if err != nil {
			return err
		}
		if f.rows = append(f.rows, row); len(f.rows) == fillSize {
			if err := f.flush(nil); err != nil {
				return err
			}
		}
	}
	return m.file.completeReading(ctx, f)
}

// beginReading begins a reading of the table at a second, unless one has begun, and
// returns from when on objects are read, zero for all.
func (r *replica) beginReading(c *copied, now int64) (from time.Time, err error) {
	err = r.transact(func() error {
		if c.began == 0 {
			if err := r.begin(c, now); err != nil {
				return err
			}
		}
		if c.whole {
			return nil
		}
		second, err := r.firstPending(c)
		from = time.Unix(max(0, min(second, c.complete-int64(lateness/time.Second))), 0)
		return err
	})
	return from, err
}

// begin begins a reading in the current transaction.
func (r *replica) begin(c *copied, now int64) error {
	c.began, c.mark = now, 0
	if !c.whole {
		err := each(r.db, "SELECT coalesce(max(rowid), 0) FROM "+c.quoted(), func(s *sqlite3.Stmt) error {
			c.mark = s.ColumnInt64(0)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.store(c)
}

// firstPending returns when the oldest balance transaction was created that must be read
// again, since it has become available meanwhile. There is no event of that.
func (r *replica) firstPending(c *copied) (second int64, err error) {
	second = math.MaxInt64
	if c.name != transactionsTable {
		return second, nil
	}
	err = each(r.db, `SELECT min(created_unix) FROM balance_transactions
		WHERE status <> 'available' AND coalesce(available_on_unix, 0) <= ?`, func(s *sqlite3.Stmt) error {
		if s.ColumnType(0) == sqlite3.INTEGER {
			second = s.ColumnInt64(0)
		}
		return nil
	}, c.began)
	return second, err
}

// filler is the CheckpointStore of a Backfill, and holds the rows that are not written
// yet. A checkpoint is written in the transaction of the rows before it: without them it
// would say that they need not be read again.
type filler struct {
	*replica
	table *copied
	rows  []row
}

// Save writes the rows and the checkpoint. A Backfill calls it in its loop, not beside
// it.
func (f *filler) Save(_ context.Context, key string, data []byte, revision uint64) (next uint64, err error) {
	err = f.flush(func() error {
		next, err = f.save(stripekit.Checkpoint{Key: key, Data: data, Revision: revision})
		return err
	})
	return next, err
}

// flush writes the rows and calls then, which may be nil, in one transaction.
func (f *filler) flush(then func() error) error {
	err := f.transact(func() error {
		if err := f.put(f.table, f.rows, f.table.whole || !f.table.hasEvents()); err != nil {
			return err
		}
		if f.table.again() {
			if err := f.see(f.table, f.rows); err != nil {
				return err
			}
		}
		if then != nil {
			return then()
		}
		return nil
	})
	if err == nil {
		f.rows = f.rows[:0]
	}
	return err
}

// again reports whether the current reading is of a whole list that was read before, so
// that rows may have to be removed. Objects without events do not vanish from the account,
// and those of the events table are kept.
func (c *copied) again() bool { return c.whole && c.complete > 0 && c.hasEvents() }

// see records the ids of objects in the current transaction.
func (r *replica) see(c *copied, rows []row) error {
	for _, row := range rows {
		if err := r.exec("INSERT INTO stripekit_seen VALUES (?, ?) ON CONFLICT DO NOTHING", c.name, row.id); err != nil {
			return err
		}
	}
	return nil
}

// completeReading writes the last rows of a reading, removes those whose objects it has
// not seen if it was one of a whole list that was read before, and creates the indexes.
func (r *replica) completeReading(ctx context.Context, f *filler) error {
	defer r.db.SetInterrupt(r.db.SetInterrupt(ctx)) // an index may take minutes
	err := f.flush(func() error {
		c := f.table
		if c.again() {
			if err := r.exec("DELETE FROM "+c.quoted()+" WHERE id NOT IN (SELECT id FROM stripekit_seen WHERE name = ?)", c.name); err != nil {
				return err
			}
		}
		if err := r.forget(c); err != nil {
			return err
		}
		for _, statement := range c.indexes() {
			if err := r.exec(statement); err != nil {
				return err
			}
		}
		c.complete, c.began, c.whole = c.began, 0, false
		return r.store(c)
	})
	return cmp.Or(ctx.Err(), err)
}
