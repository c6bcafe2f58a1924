package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

const (
	// lateness is how long after its creation an object may become visible in lists,
	// as in PollConfig.Overlap.
	lateness = 10 * time.Minute
	// batchSize is how many changes are applied in a transaction, and linger is how
	// long a batch waits for more of them.
	batchSize = 100
	linger    = 10 * time.Millisecond
	// readers is how many objects are read at the same time.
	readers = 8
	// fillSize is how many rows of a Backfill are stored in a transaction at most.
	fillSize = 1000
)

// list is a list of an account, and the table that is kept equal to it.
type list[T any] struct {
	client  *stripekit.Client
	table   *table
	poll    stripekit.PollConfig
	objects stripekit.Source[T]
	changes stripekit.Source[stripekit.Change[T]]
	get     func(context.Context, string, ...stripekit.CallOption) (*T, error)
	// inspect returns the id of an object, and whether it is deleted.
	inspect func(*T) (id string, deleted bool)
}

// batch has changes as a Poller delivers them.
type batch[T any] []stripekit.Event[stripekit.Change[T]]

// keep keeps the tables equal to the account until ctx ends, or until it cannot any more.
func keep(ctx context.Context, client *stripekit.Client, db *database, poll stripekit.PollConfig) error {
	poll.Checkpoints = db.checkpoints
	if poll.Logger == nil {
		poll.Logger = slog.New(slog.DiscardHandler)
	}
	customers := &list[stripekit.Customer]{
		client: client, table: &table{db, "customers"}, poll: poll,
		objects: client.Customers, changes: client.Customers.Changes(), get: client.Customers.Get,
		inspect: func(c *stripekit.Customer) (string, bool) { return c.ID, c.Deleted },
	}
	charges := &list[stripekit.Charge]{
		client: client, table: &table{db, "charges"}, poll: poll,
		objects: client.Charges, changes: client.Charges.Changes(), get: client.Charges.Get,
		inspect: func(c *stripekit.Charge) (string, bool) { return c.ID, false },
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	go func() { ended <- customers.keep(ctx) }()
	go func() { ended <- charges.keep(ctx) }()
	err := <-ended
	stop()
	return errors.Join(err, <-ended)
}

// keep follows the list until ctx ends. After a gap it begins another round.
func (l *list[T]) keep(ctx context.Context) error {
	for {
		err := l.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		gap, ok := errors.AsType[*stripekit.GapError](err)
		if !ok {
			return fmt.Errorf("%s: %w", l.table.name, err)
		}
		l.poll.Logger.Warn("changes are missing, the list is read again", "list", l.table.name, "from", gap.From, "to", gap.To)
		// In this order. If the process were killed after the checkpoint alone was
		// deleted, the next one would begin with the changes of its time, and nobody
		// would know of the gap any more.
		if err := l.table.beginRound(ctx); err != nil {
			return err
		}
		if err := l.table.checkpoints.Delete(ctx, gap.Key); err != nil {
			return err
		}
	}
}

// follow applies the changes of the list until ctx ends or the Poller does, and reads
// the whole list meanwhile unless that was done.
//
// The Poller is started first. From then on its checkpoint has the second from which
// it delivers changes, so that what changes while the Backfill reads is applied, even
// if this process is killed at once.
func (l *list[T]) follow(ctx context.Context) error {
	round, complete, err := l.table.round(ctx, l.client.Mode())
	if err != nil {
		return err
	}
	poll := l.poll
	// A complete list has a checkpoint. If that was lost, so are changes: a Poller that
	// begins before all events that Stripe keeps ends with an ErrGap.
	poll.From = stripekit.FromTime(time.Unix(0, 0).AddDate(1, 0, 0))
	if !complete {
		if poll.From, err = l.beginning(ctx); err != nil {
			return err
		}
	}
	poller, err := stripekit.NewPoller(l.changes, poll)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changes, err := poller.Start(ctx)
	if err != nil {
		return err
	}
	filled := make(chan error, 1)
	go func() {
		var err error
		if !complete {
			err = l.backfill(ctx, round)
		}
		if err != nil {
			stop()
		}
		filled <- err
	}()
	for first := range changes {
		l.apply(ctx, poller, round, collect(first, changes))
	}
	stop()
	err = <-filled
	if poller.Err() != nil {
		return poller.Err() // the Backfill's error, if any, follows from it
	}
	return err
}

// beginning returns where a Poller without a checkpoint begins. It is earlier than now,
// by the service's clock, since an object that was created a moment ago may be missing
// from the list that the Backfill reads. That the Poller delivers some changes that the
// Backfill has seen does no harm.
func (l *list[T]) beginning(ctx context.Context) (stripekit.Start, error) {
	var r stripekit.Response
	newest := stripekit.AccountEventListParams{ListParams: stripekit.ListParams{Limit: 1}}
	if _, err := l.client.Events.Page(ctx, newest, stripekit.CaptureResponse(&r)); err != nil {
		return 0, err
	}
	now, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("the time of the service: %w", err)
	}
	return stripekit.FromTime(now.Add(-lateness)), nil
}

// collect returns a batch that begins with a change.
func collect[T any](first stripekit.Event[stripekit.Change[T]], changes <-chan stripekit.Event[stripekit.Change[T]]) batch[T] {
	b := batch[T]{first}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(b) < batchSize {
		select {
		case e, ok := <-changes:
			if !ok {
				return b
			}
			b = append(b, e)
		case <-timer.C:
			return b
		}
	}
	return b
}

// apply reads the objects of a batch, and stores them as they are now. A change is a
// notice only, and its own object is not stored, for three reasons: events come in no
// certain order, and several may be of one second; the Backfill may have stored what is
// newer; and an event is written in the API version of the account, not of the client.
//
// One batch follows the other. If two were applied at the same time, one of them could
// read an object first and store it last.
//
// The objects are read before the transaction begins, since SQLite has one writer at a
// time: sqlstore.RunTx, which is for exactly one write for each event, would make the
// others wait for the network.
func (l *list[T]) apply(ctx context.Context, poller *stripekit.Poller[stripekit.Change[T]], round int, b batch[T]) {
	states := l.read(ctx, b)
	if ctx.Err() != nil {
		return
	}
	var ready batch[T]
	for _, e := range b {
		err := e.DecodeErr
		if err == nil {
			err = states[l.id(e)].err
		}
		if err != nil {
			poller.Handled(e, err) // it is redelivered, later each time
			continue
		}
		ready = append(ready, e)
	}
	var rows []row
	for _, s := range states {
		if s.err == nil {
			rows = append(rows, s.row)
		}
	}
	err := poller.Commit(ctx, ready, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		return l.table.apply(ctx, c, round, rows)
	})
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, e := range ready {
		poller.Handled(e, err)
	}
}

func (l *list[T]) id(e stripekit.Event[stripekit.Change[T]]) string {
	id, _ := l.inspect(e.Object.Object)
	return id
}

// state is what is to be stored of an object, or why it could not be read.
type state struct {
	row row
	err error
}

// read returns the state of each object of a batch. An object with several changes is
// read once, and a deleted one not at all, since deleted is deleted.
func (l *list[T]) read(ctx context.Context, b batch[T]) map[string]*state {
	states := map[string]*state{}
	deleted := map[string]bool{}
	for _, e := range b {
		if e.DecodeErr == nil {
			id := l.id(e)
			states[id] = &state{row: row{id: id}}
			deleted[id] = deleted[id] || e.Object.Type == stripekit.Deleted
		}
	}
	slots := make(chan struct{}, readers)
	var all sync.WaitGroup
	for id, s := range states {
		if deleted[id] {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			s.row, s.err = l.readOne(ctx, id)
		})
	}
	all.Wait()
	return states
}

// readOne reads an object. It is gone if it is deleted, or if Stripe says that it does not
// exist, as after the deletion of all test data. The 404 of a proxy says nothing of it.
func (l *list[T]) readOne(ctx context.Context, id string) (row, error) {
	object, err := l.get(ctx, id)
	if e, ok := errors.AsType[*stripekit.Error](err); ok && e.Code == "resource_missing" {
		return row{id: id}, nil
	}
	if err != nil {
		return row{}, err
	}
	if _, deleted := l.inspect(object); deleted {
		return row{id: id}, nil
	}
	return l.row(object)
}

// row returns the row of an object.
func (l *list[T]) row(object *T) (row, error) {
	id, _ := l.inspect(object)
	text, err := json.Marshal(object)
	return row{id, string(text)}, err
}

// backfill reads the whole list into the table. If it is interrupted, the next Backfill
// of the same round continues. A Backfill of another round begins anew, because its
// checkpoint has another name.
func (l *list[T]) backfill(ctx context.Context, round int) error {
	f := &filler{CheckpointStore: l.table.checkpoints, table: l.table, round: round}
	objects := stripekit.Backfill(ctx, l.objects, stripekit.BackfillConfig{
		Checkpoints: f, Name: fmt.Sprint("round ", round), AnyOrder: true, // an interrupted one has less to read again
	})
	for object, err := range objects {
		if err != nil {
			return err
		}
		r, err := l.row(object)
		if err != nil {
			return err
		}
		if err := f.add(ctx, r); err != nil {
			return err
		}
	}
	if err := f.flush(ctx, nil); err != nil {
		return err
	}
	if err := l.table.completeRound(ctx, round); err != nil {
		return err
	}
	l.poll.Logger.Info("the list is complete", "list", l.table.name, "round", round)
	return nil
}

// filler is the CheckpointStore of a Backfill, and holds the rows that are not stored
// yet. A checkpoint is stored in the transaction of the rows before it: without them it
// would say that they need not be read again.
type filler struct {
	stripekit.CheckpointStore
	table *table
	round int
	rows  []row
}

func (f *filler) add(ctx context.Context, r row) error {
	f.rows = append(f.rows, r)
	if len(f.rows) < fillSize {
		return nil
	}
	return f.flush(ctx, nil)
}

// flush stores the rows after what store does, in one transaction.
func (f *filler) flush(ctx context.Context, store func(*sql.Tx) error) error {
	if err := f.table.fill(ctx, f.round, f.rows, store); err != nil {
		return err
	}
	f.rows = f.rows[:0]
	return nil
}

// Save stores the rows and the checkpoint. A Backfill calls it in its loop, not beside
// it.
func (f *filler) Save(ctx context.Context, key string, data []byte, revision uint64) (next uint64, err error) {
	err = f.flush(ctx, func(tx *sql.Tx) (err error) {
		next, err = f.table.checkpoints.SaveTx(ctx, tx, stripekit.Checkpoint{Key: key, Data: data, Revision: revision})
		return err
	})
	return next, err
}
