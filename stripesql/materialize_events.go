package stripesql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/json"
)

const (
	// noticesEvery is the time between two polls. It is short because one is enough.
	noticesEvery = 100 * time.Millisecond
	// noticesBatch is how many events are applied in a transaction at most.
	noticesBatch = 500
	// readers is how many objects are read at the same time.
	readers = 16
)

// notice is an event of the account, which tells that an object has changed. Its own copy
// of the object is not written, for two reasons: events come in no certain order, and
// several may be of one second; and an event is written in the API version of the account,
// not of the client.
type notice struct {
	Data struct {
		Object struct {
			ID     string     `json:"id"`
			Object string     `json:"object"`
			Charge json.Value `json:"charge"`
		} `json:"object"`
	} `json:"data"`
}

// target is an object that has changed.
type target struct {
	table *copied
	id    string
}

// applyEvents reads the events that there are, and writes what they tell of as it is now.
func (m *materialization) applyEvents(ctx context.Context) error {
	since, err := m.file.since()
	if err != nil {
		return err
	}
	source, err := stripekit.NewSource[notice](m.client, eventsPath, "")
	if err != nil {
		return err
	}
	polled := make(chan struct{}, 1)
	poller, err := stripekit.NewPoller(source, stripekit.PollConfig{
		Every: noticesEvery, Overlap: lateness, Checkpoints: m.file, Name: "materialize", MaxUnacked: 2 * noticesBatch,
		From: stripekit.FromTime(time.Unix(since, 0).Add(-lateness)),
		Observe: func(stripekit.PollStatus) {
			select {
			case polled <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events, err := poller.Start(ctx)
	if err != nil {
		return err
	}
	err = m.applyUntilPolled(ctx, poller, events, polled)
	stop()
	for range events {
		continue // it is redelivered to the next Poller
	}
	return cmp.Or(poller.Err(), err)
}

// applyUntilPolled applies events until the Poller has polled once, and then those that it
// has found by then. Others may come all the time.
func (m *materialization) applyUntilPolled(ctx context.Context, poller *stripekit.Poller[notice], events <-chan stripekit.Event[notice], polled <-chan struct{}) error {
	failing := time.Time{}
	complete, left := false, 0 // the poll, and the events that it has found and that are not applied
	for {
		select {
		case first, ok := <-events:
			if !ok {
				return ctx.Err()
			}
			batch := collect(first, events)
			if err := m.apply(ctx, poller, batch); err != nil {
				return err
			}
			left -= len(batch)
		case <-polled:
		}
		s := poller.Status()
		switch {
		case s.SaveErr != nil:
			return s.SaveErr
		case s.Failures == 0:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > outage:
			return s.LastError
		}
		if !complete && !s.LastPoll.IsZero() {
			complete, left = true, s.Unacked
		}
		if complete && left <= 0 {
			return nil
		}
	}
}

// collect returns a batch of events that are there, and begins with first.
func collect(first stripekit.Event[notice], events <-chan stripekit.Event[notice]) []stripekit.Event[notice] {
	const linger = 10 * time.Millisecond // the next one is offered when this one was taken
	batch := []stripekit.Event[notice]{first}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(batch) < noticesBatch {
		select {
		case e, ok := <-events:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// apply writes what a batch of events tells of, and the checkpoint, in one transaction.
// The next batch is applied afterwards: if two were applied at the same time, one of them
// could read an object first and write it last.
func (m *materialization) apply(ctx context.Context, poller *stripekit.Poller[notice], batch []stripekit.Event[notice]) error {
	targets, err := m.targets(batch)
	if err != nil {
		return err
	}
	rows, err := m.readAll(ctx, targets)
	if err != nil {
		return err
	}
	return poller.Commit(ctx, batch, func(_ context.Context, c stripekit.Checkpoint) (revision uint64, err error) {
		err = m.file.transact(func() error {
			if revision, err = m.file.save(c); err != nil {
				return err
			}
			for i, t := range targets {
				if err := m.file.update(t, rows[i]); err != nil {
					return err
				}
			}
			return nil
		})
		return revision, err
	})
}

// update writes what an object is now.
func (r *replica) update(t target, now row) error {
	switch {
	case t.table.refused != nil:
		return r.miss(t.table)
	case now.values == nil:
		return r.exec("DELETE FROM "+t.table.quoted()+" WHERE id = ?", t.id)
	}
	return r.put(t.table, []row{now}, true)
}

// targets returns the objects that events tell of, each once.
func (m *materialization) targets(batch []stripekit.Event[notice]) (targets []target, err error) {
	known := map[target]bool{}
	add := func(e stripekit.Event[notice], objectType, id string) error {
		for _, c := range m.tables {
			t := target{c, id}
			if c.objectType() != objectType || !c.hasEvents() || !requestable(id) || known[t] {
				continue
			}
			read, err := m.file.hasRead(t, e.Created)
			if err != nil {
				return err
			}
			if !read {
				known[t] = true
				targets = append(targets, t)
			}
		}
		return nil
	}
	for _, e := range batch {
		if e.DecodeErr != nil {
			return nil, fmt.Errorf("stripesql: GET %s: %s: %w", eventsPath, e.ID, e.DecodeErr)
		}
		object := e.Object.Data.Object
		if err := add(e, object.Object, object.ID); err != nil {
			return nil, err
		}
		if object.Object != "dispute" {
			continue
		}
		// A dispute changes its charge, of which there is no event.
		if charge, err := Text.value(object.Charge); err == nil && charge != nil {
			if err := add(e, "charge", fmt.Sprint(charge)); err != nil {
				return nil, err
			}
		}
	}
	return targets, nil
}

// hasRead reports whether the last reading of the list has added the row of an object and
// began after an event, so that the row has what the event tells of. It makes one request
// for 100 new objects do.
func (r *replica) hasRead(t target, event time.Time) (found bool, err error) {
	if event.Add(lateness).Unix() >= t.table.complete {
		return false, nil
	}
	err = r.read("SELECT 1 FROM "+t.table.quoted()+" WHERE id = ? AND rowid > ?", func(*sqlite3.Stmt) error {
		found = true
		return nil
	}, t.id, t.table.mark)
	return found, err
}

// readAll reads objects, several at a time.
func (m *materialization) readAll(ctx context.Context, targets []target) ([]row, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	rows := make([]row, len(targets))
	slots := make(chan struct{}, readers)
	var all sync.WaitGroup
	for i, t := range targets {
		if t.table.refused != nil {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var err error
			if rows[i], err = m.readObject(ctx, t); refused(err) {
				rows[i].refused = err
			} else if err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	for i, t := range targets {
		t.table.refused = cmp.Or(t.table.refused, rows[i].refused)
	}
	return rows, context.Cause(ctx)
}

// readObject returns the row of an object. It has no values if the object is deleted, or
// if Stripe says that it does not exist.
func (m *materialization) readObject(ctx context.Context, t target) (row, error) {
	var raw json.Value
	err := m.get(ctx, t.table.path+"/"+url.PathEscape(t.id), nil, &raw)
	if e, ok := errors.AsType[*stripekit.Error](err); ok && e.Code == missingCode {
		return row{}, nil
	}
	if err != nil {
		return row{}, err
	}
	o, err := t.table.newObject(nil, raw)
	switch {
	case err != nil || o.deleted:
		return row{}, err
	case o.id != t.id:
		return row{}, fmt.Errorf("stripesql: GET %s/%s: it is the object %s", t.table.path, t.id, o.id)
	}
	return t.table.row(raw)
}
