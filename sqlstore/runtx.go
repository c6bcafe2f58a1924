package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
)

const (
	// defaultBatch is the size of a batch if none is given.
	defaultBatch = 100
	// maxBatchRetries is how often a batch is repeated before each event is handled
	// alone, which is likelier to succeed if connections break often.
	maxBatchRetries = 3
	// linger is how long a batch waits for another event.
	linger = time.Millisecond
	// flushTimeout bounds the save at the end.
	flushTimeout = 10 * time.Second
)

// RunTx starts the Poller, and calls handle with batches of its events, each in a
// transaction that also stores the checkpoint. The transaction is committed if
// handle returns nil. So what handle writes is written exactly once for each event,
// even if processes crash or several of them run. PollConfig.Checkpoints of the
// Poller must be a *Store; the transactions are of its database. It may be wrapped: a
// store with a method Unwrap() stripekit.CheckpointStore stands for the one that Unwrap
// returns. If a wrapper has a method Check() error, RunTx calls it before each
// transaction and directly before each commit, and neither begins nor commits a
// transaction if it returns an error.
//
// A batch has the events that are there, in the order of the Poller, up to the number
// batch; 0 is 100. It waits a millisecond at most for more. If handle returns an error
// for more than one event, the transaction is rolled back, and handle is called for
// each event alone. An event for which that fails is redelivered, alone, as after an
// error of the handler of Poller.Run: with the waits of Run, PollConfig.MaxAttempts and
// OnGiveUp. As in Run, handle is not called with an event that has a DecodeErr, which
// is redelivered in the same way. PollConfig.Workers has no meaning.
//
// Some errors are not the fault of an event. While the database cannot be reached or
// refuses the checkpoint, or while a Check fails, RunTx waits and tries again, without
// an end; at its start it returns the error. The batch is repeated three times, and
// then each event ten times, before it counts as an error of handle if the connection
// breaks during handle or the commit, if the database ends the transaction because of
// another one (a deadlock, a serialization failure), or if it is full, read-only or
// interrupted. All this is logged by PollConfig.Logger. handle should return the errors
// of the database as they are, or wrapped.
//
// handle must use tx for what is to be done once, and close the rows of its queries. It
// must not commit tx or roll it back, nor execute what commits implicitly, such as
// CREATE TABLE in MySQL. It must not ignore an error of tx, unless it has a savepoint to
// go back to. It leaves the acknowledgement to RunTx: an Ack or a Term in handle counts
// even if the transaction fails, and Flush and Commit of the same Poller would wait for
// handle to end.
//
// When ctx is cancelled, the transaction under way is rolled back, unless it is being committed.
// Its events are delivered again by the next RunTx.
//
// PollConfig.OnGiveUp is called outside of any transaction, and again if the process crashes
// before the next checkpoint. So a table of events that were given up needs a unique key,
// such as the ID of the event, and an INSERT that ignores a row that is there already.
//
// RunTx returns what Run returns. If handle panics, RunTx panics as Run does, with a
// *stripekit.PanicError, after a rollback and the end of the Poller. If handle calls
// runtime.Goexit, as FailNow of package testing does, the same happens, and the
// goroutine of RunTx ends.
func RunTx[T any](ctx context.Context, p *stripekit.Poller[T], batch int, handle func(ctx context.Context, tx *sql.Tx, events []stripekit.Event[T]) error) error {
	store, check := unwrap(p.Config().Checkpoints)
	switch {
	case store == nil:
		return fmt.Errorf("sqlstore: PollConfig.Checkpoints must be a *sqlstore.Store, and is a %T", p.Config().Checkpoints)
	case batch < 0:
		return fmt.Errorf("sqlstore: a batch of %d events is out of range", batch)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return err
	}
	r := &txRun[T]{poller: p, store: store, check: check, size: cmp.Or(batch, defaultBatch), handle: handle, events: events}
	r.work(ctx)
	cancel()
	for range events { // events are left after a panic
	}
	flushing, stop := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer stop()
	saveErr := p.Flush(flushing)
	if r.panicked != nil {
		panic(r.panicked)
	}
	if err := p.Err(); err != nil {
		return err
	}
	return saveErr
}

// txRun is one call of RunTx.
type txRun[T any] struct {
	poller   *stripekit.Poller[T]
	store    *Store
	check    func() error // of the wrappers of the store
	size     int
	handle   func(context.Context, *sql.Tx, []stripekit.Event[T]) error
	events   <-chan stripekit.Event[T]
	panicked *stripekit.PanicError // the panic of handle
}

// work handles events until the channel is closed or handle panics.
func (r *txRun[T]) work(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked = &stripekit.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	for e := range r.events {
		batch, alone := r.fill(e)
		r.run(ctx, batch)
		for _, e := range alone {
			r.run(ctx, []stripekit.Event[T]{e})
		}
	}
}

// fill returns a batch that begins with e. Events that have failed before are apart,
// so that they do not make the batch fail.
func (r *txRun[T]) fill(e stripekit.Event[T]) (batch, alone []stripekit.Event[T]) {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for {
		switch {
		case e.DecodeErr != nil:
			r.poller.Handled(e, e.DecodeErr)
		case e.Attempt > 1:
			alone = append(alone, e)
		default:
			batch = append(batch, e)
		}
		if len(batch)+len(alone) == r.size {
			return batch, alone
		}
		var ok bool
		select {
		case e, ok = <-r.events:
			if !ok {
				return batch, alone
			}
		case <-timer.C:
			return batch, alone
		}
	}
}

// run commits a batch, or each event alone if that fails.
func (r *txRun[T]) run(ctx context.Context, batch []stripekit.Event[T]) {
	err := r.persist(ctx, batch)
	switch {
	case err == nil:
	case len(batch) == 1:
		r.poller.Handled(batch[0], err)
	default:
		for _, e := range batch {
			r.run(ctx, []stripekit.Event[T]{e})
		}
	}
}

// errAcknowledged: an event of a batch is acknowledged, and others may not be.
var errAcknowledged = errors.New("sqlstore: an event of the batch is acknowledged already")

// persist commits a batch, and tries again after errors that are not the fault of an
// event. It returns nil, too, if a single event proves to be acknowledged, or if the
// Poller or ctx has ended.
func (r *txRun[T]) persist(ctx context.Context, batch []stripekit.Event[T]) error {
	calls, limit := 0, maxRetries // of handle
	if len(batch) > 1 {
		limit = maxBatchRetries
	}
	var failure error // of the last call of handle, or of the commit after it
	for try := 0; ; try++ {
		// After the last call of handle it may remain to find out how its commit ended.
		o, err := r.commit(ctx, batch, calls > limit)
		if o.failure != nil {
			calls++
			failure = o.failure
		}
		switch {
		case err == nil, ctx.Err() != nil, r.poller.Err() != nil:
			return nil
		case errors.Is(err, stripekit.ErrAcknowledged):
			// A commit before was carried out, although it returned an error. After the
			// conflict that followed, the Poller has found that in the checkpoint.
			if len(batch) > 1 {
				return errAcknowledged
			}
			return nil
		case o.failure != nil && (!o.passing || calls > limit && !o.unknown), o.notCommitted:
			return failure
		}
		r.poller.Config().Logger.Warn("stripe events not committed, another try",
			"key", r.poller.Key(), "events", len(batch), "error", cmp.Or(o.failure, err))
		if wait(ctx, try) != nil {
			return nil
		}
	}
}

// outcome describes a transaction that was not committed.
type outcome struct {
	failure      error // of handle or of the commit; nil if handle was not called
	passing      bool  // failure is not the fault of an event
	unknown      bool  // the commit may have been carried out
	notCommitted bool  // no commit before was carried out
}

// errFailed stands for an outcome.failure. The Poller must not see the errors that
// handle returns: ErrAcknowledged among them would be that of another Poller.
var errFailed = errors.New("sqlstore: the transaction failed")

// commit makes one transaction of a batch. If inquire is set, it only finds out
// whether one before was committed: then it returns an ErrAcknowledged after a conflict.
func (r *txRun[T]) commit(ctx context.Context, batch []stripekit.Event[T], inquire bool) (o outcome, err error) {
	err = r.poller.Commit(ctx, batch, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		if err := r.check(); err != nil {
			return 0, err
		}
		conn, err := r.store.db.Conn(ctx)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		defer tx.Rollback()
		// First: if another Poller has taken over, the work is not begun.
		revision, err := r.store.SaveTx(ctx, tx, c)
		switch {
		case err != nil:
			return 0, err
		case inquire:
			o.notCommitted = true
			return 0, errFailed
		}
		committing := false
		err = r.handle(ctx, tx, slices.Clone(batch)) // it may change the slice
		if checkErr := r.check(); checkErr != nil {
			return 0, checkErr // whatever handle has returned, it was no attempt
		}
		if err == nil {
			committing, err = r.store.commit(ctx, tx, c.Key, revision)
		}
		if err == nil {
			return revision, nil
		}
		_ = tx.Rollback() // it fails after a Commit, or on a broken connection
		broken := !alive(ctx, conn)
		o.failure, o.unknown = err, broken && committing
		o.passing = broken || r.store.dialect.disturbed(err) || r.store.dialect.interrupted(err)
		return 0, errFailed
	})
	return o, err
}

// alive reports whether a connection can be used. When ctx ends, database/sql may close the
// connection at the same time, and then panics.
func alive(ctx context.Context, conn *sql.Conn) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return conn.PingContext(ctx) == nil
}

// commit commits a transaction that has saved a revision. It reports whether it came
// to the commit itself.
func (s *Store) commit(ctx context.Context, tx *sql.Tx, key string, revision uint64) (committing bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err // the context of tx, which is made from it, ends a moment later
	}
	if s.dialect == MySQL {
		// After a deadlock MySQL rolls the transaction back and goes on without one. If
		// handle has ignored that error, a commit would succeed without the checkpoint.
		var stored uint64
		err := tx.QueryRowContext(ctx, s.sql.revision, key).Scan(&stored)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
		if stored != revision {
			return false, errors.New("sqlstore: the transaction was rolled back before its end; an error of the database was ignored")
		}
	}
	return true, tx.Commit()
}
