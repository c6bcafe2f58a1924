package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// customerEvent is what the shop's Pollers deliver.
type customerEvent = stripekit.Event[stripekit.Customer]

// ledger keeps rows and checkpoints, and changes both in one transaction.
type ledger struct {
	stripekit.MemoryStore
	mu   sync.Mutex
	rows map[string]int // how often the row of an object was written
}

// transact writes the rows of the events and the checkpoint, or neither.
func (d *ledger) transact(ctx context.Context, c stripekit.Checkpoint, events ...customerEvent) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	revision, err := d.Save(ctx, c.Key, c.Data, c.Revision)
	if err != nil {
		return 0, fmt.Errorf("updating the checkpoint: %w", err)
	}
	if d.rows == nil {
		d.rows = map[string]int{}
	}
	for _, e := range events {
		d.rows[e.ID]++
	}
	return revision, nil
}

func (d *ledger) written(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[id]
}

var errConnectionLost = errors.New("the connection to the database was lost")

// commit is a commit that succeeds.
func (d *ledger) commit(events ...customerEvent) func(context.Context, stripekit.Checkpoint) (uint64, error) {
	return func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		return d.transact(ctx, c, events...)
	}
}

// commitUnknown is a commit that may have been stored although the caller gets an
// error.
func (d *ledger) commitUnknown(stored bool, events ...customerEvent) func(context.Context, stripekit.Checkpoint) (uint64, error) {
	return func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		if stored {
			if _, err := d.transact(ctx, c, events...); err != nil {
				return 0, err
			}
		}
		return 0, errConnectionLost
	}
}

// committing is a Poller with a database, and the events of n objects that it
// has delivered.
type committing struct {
	*shop
	db     *ledger
	p      *stripekit.Poller[stripekit.Customer]
	events <-chan customerEvent
	stop   func()
	got    []customerEvent
}

func newCommitting(t *testing.T, n int) *committing {
	c := &committing{shop: newShop(t), db: new(ledger)}
	c.live()
	c.sell(n)
	for range n {
		c.got = append(c.got, <-c.events)
	}
	pass(2 * time.Second) // saves rest
	return c
}

// live starts another Poller on the same checkpoint.
func (c *committing) live() {
	c.p = c.poller(stripekit.PollConfig{Checkpoints: c.db})
	c.events, c.stop = c.watch(c.p)
}

// commit commits the event at an index.
func (c *committing) commit(i int) error {
	return c.p.Commit(c.t.Context(), c.got[i:i+1], c.db.commit(c.got[i]))
}

// restart ends the Poller and returns what another one delivers.
func (c *committing) restart() (ids []string) {
	c.stop()
	c.live()
	return collect(c.events, time.Minute)
}

func refuse(t *testing.T) func(context.Context, stripekit.Checkpoint) (uint64, error) {
	return func(context.Context, stripekit.Checkpoint) (uint64, error) {
		t.Error("commit was called")
		return 0, errors.New("unexpected")
	}
}

func TestPollerCommitAcknowledgesInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 5)
		defer func() { c.stop() }()
		require.NoError(t, c.commit(3))
		require.NoError(t, c.p.Commit(t.Context(), []customerEvent{c.got[4], c.got[1]}, c.db.commit(c.got[4], c.got[1])))
		require.Equal(t, 2, c.p.Status().Unacked)
		require.Equal(t, []string{c.got[0].ID, c.got[2].ID}, c.restart())
		for i, rows := range []int{0, 1, 0, 1, 1} {
			require.Equal(t, rows, c.db.written(c.got[i].ID))
		}
	})
}

func TestPollerCommitMayChangeTheSlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 3)
		defer func() { c.stop() }()
		events := slices.Clone(c.got)
		require.NoError(t, c.p.Commit(t.Context(), events, func(ctx context.Context, cp stripekit.Checkpoint) (uint64, error) {
			revision, err := c.db.commit(events...)(ctx, cp)
			clear(events)
			return revision, err
		}))
		require.Zero(t, c.p.Status().Unacked)
	})
}

func TestPollerStatusHasNoErrorWhileACommitTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 1)
		defer func() { c.stop() }()
		require.NoError(t, c.p.Commit(t.Context(), c.got, func(ctx context.Context, cp stripekit.Checkpoint) (uint64, error) {
			pass(time.Minute)
			require.NoError(t, c.p.Status().SaveErr)
			return c.db.commit(c.got...)(ctx, cp)
		}))
	})
}

func TestPollerAckAfterCommitChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 2)
		defer func() { c.stop() }()
		require.NoError(t, c.commit(0))
		c.got[0].Ack()
		c.got[0].Nack(0)
		c.got[0].Term(errPoisoned)
		c.got[1].Ack()
		require.Empty(t, collect(c.events, time.Minute))
		require.Zero(t, c.p.Status().Unacked)
		require.Zero(t, c.p.Status().GivenUp)
		require.Empty(t, c.restart())
	})
}

func TestPollerCommitIsSavedWithoutAnotherSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 1)
		defer func() { c.stop() }()
		_, before, err := c.db.Load(t.Context(), customersKey)
		require.NoError(t, err)
		require.NoError(t, c.commit(0))
		require.NoError(t, c.p.Flush(t.Context()))
		pass(time.Hour)
		_, after, err := c.db.Load(t.Context(), customersKey)
		require.NoError(t, err)
		require.Equal(t, before+1, after)
	})
}

func TestPollerCommitOfAnAcknowledgedEventIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 3)
		defer c.stop()
		c.got[0].Ack()
		require.NoError(t, c.commit(1))
		for i := range 2 {
			err := c.p.Commit(t.Context(), []customerEvent{c.got[2], c.got[i]}, refuse(t))
			require.ErrorIs(t, err, stripekit.ErrAcknowledged)
			require.ErrorContains(t, err, c.got[i].ID)
		}
		require.NoError(t, c.commit(2), "it is not acknowledged by that")
		require.NoError(t, c.p.Commit(t.Context(), nil, refuse(t)))
	})
}

func TestPollerCommitRefusesTheEventOfAnotherPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 1)
		defer c.stop()
		other := c.poller(stripekit.PollConfig{Name: "other"})
		_, stop := c.watch(other)
		defer stop()
		require.ErrorContains(t, other.Commit(t.Context(), c.got, refuse(t)), "not delivered by this Poller")
		require.ErrorContains(t, c.p.Commit(t.Context(), []customerEvent{{ID: "made up"}}, refuse(t)), "not delivered by this Poller")
		require.NoError(t, c.commit(0))
	})
}

func TestPollerCommitWaitsForASave(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		h := newHangs(t)
		store := &hangingStore{hangs: h}
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		events, stop := s.watch(p)
		s.sell(3)
		first, second, third := <-events, <-events, <-events
		pass(2 * time.Second)
		h.told.Store(true)
		first.Ack()
		synctest.Wait()
		require.EqualValues(t, 1, h.calls.Load(), "a save hangs")

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := p.Commit(ctx, []customerEvent{second}, refuse(t))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.ErrorIs(t, p.Flush(ctx), context.DeadlineExceeded)

		time.AfterFunc(4*time.Second, h.release)
		inside := false
		err = p.Commit(t.Context(), []customerEvent{second}, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
			inside = true
			third.Ack() // neither blocks nor is saved meanwhile
			_, revision, err := store.MemoryStore.Load(ctx, c.Key)
			require.NoError(t, err)
			require.Equal(t, c.Revision, revision, "the revision of the save that it waited for")
			pass(time.Minute)
			return store.MemoryStore.Save(ctx, c.Key, c.Data, c.Revision)
		})
		require.NoError(t, err)
		require.True(t, inside)
		require.NoError(t, p.Flush(t.Context()))
		stop()
		events, stop = s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
		defer stop()
		require.Empty(t, collect(events, time.Minute))
	})
}

func TestPollerNoticesACommitThatWasStoredAfterAll(t *testing.T) {
	for _, noticedBy := range []string{"the next save", "Flush", "the Commit of another event", "the Commit of its redelivery", "a restart"} {
		t.Run(noticedBy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCommitting(t, 2)
				defer func() { c.stop() }()
				unknown, other := c.got[0], c.got[1]
				require.ErrorIs(t, c.p.Commit(t.Context(), c.got[:1], c.db.commitUnknown(true, unknown)), errConnectionLost)
				require.Equal(t, 2, c.p.Status().Unacked)
				unknown.Nack(0)
				again := <-c.events
				require.Equal(t, unknown.ID, again.ID)
				switch noticedBy {
				case "the next save":
					other.Ack()
					pass(2 * time.Second)
				case "Flush":
					other.Ack()
					require.NoError(t, c.p.Flush(t.Context()))
				case "the Commit of another event":
					require.ErrorIs(t, c.commit(1), stripekit.ErrCheckpointConflict, "it is found out, and nothing is done")
					require.Equal(t, 1, c.p.Status().Unacked)
					require.NoError(t, c.commit(1))
				case "the Commit of its redelivery":
					err := c.p.Commit(t.Context(), []customerEvent{again}, c.db.commit(again))
					require.ErrorIs(t, err, stripekit.ErrAcknowledged)
					require.NoError(t, c.commit(1))
				case "a restart":
					require.Equal(t, []string{other.ID}, c.restart())
				}
				require.Zero(t, c.p.Status().Unacked)
				if noticedBy != "a restart" {
					require.ErrorIs(t, c.p.Commit(t.Context(), []customerEvent{again}, refuse(t)), stripekit.ErrAcknowledged)
				}
				require.Empty(t, collect(c.events, time.Hour), "it is not delivered again")
				require.NoError(t, c.p.Err())
				require.Empty(t, c.restart())
				require.Equal(t, 1, c.db.written(unknown.ID))
			})
		})
	}
}

func TestPollerRepeatsACommitThatWasNotStored(t *testing.T) {
	for name, commit := range map[string]func(context.Context, stripekit.Checkpoint) (uint64, error){
		"an error": new(ledger).commitUnknown(false),
		"a panic":  func(context.Context, stripekit.Checkpoint) (uint64, error) { panic(errConnectionLost) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCommitting(t, 2)
				defer func() { c.stop() }()
				func() {
					defer func() { require.Equal(t, name == "a panic", recover() != nil) }()
					require.ErrorIs(t, c.p.Commit(t.Context(), c.got[:1], commit), errConnectionLost)
				}()
				c.got[1].Ack()
				require.NoError(t, c.p.Flush(t.Context()), "saves go on")
				c.got[0].Nack(0)
				again := <-c.events
				require.Equal(t, c.got[0].ID, again.ID)
				require.NoError(t, c.p.Commit(t.Context(), []customerEvent{again}, c.db.commit(again)))
				require.Equal(t, 1, c.db.written(again.ID))
				require.Empty(t, c.restart())
			})
		})
	}
}

func TestPollerNoticesACommitThatPanickedAfterItWasStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 1)
		defer func() { c.stop() }()
		require.Panics(t, func() {
			_ = c.p.Commit(t.Context(), c.got, func(ctx context.Context, cp stripekit.Checkpoint) (uint64, error) {
				_, err := c.db.transact(ctx, cp, c.got...)
				require.NoError(t, err)
				panic("after the commit")
			})
		})
		require.ErrorIs(t, c.commit(0), stripekit.ErrAcknowledged)
		require.Equal(t, 1, c.db.written(c.got[0].ID))
		require.Empty(t, c.restart())
	})
}

func TestPollerThatWasReplacedCannotCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 2)
		zombie, events, stopZombie := c.p, c.events, c.stop
		defer stopZombie()
		c.live()
		defer func() { c.stop() }()

		err := zombie.Commit(t.Context(), c.got[:1], c.db.commit(c.got[0]))
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
		require.Zero(t, c.db.written(c.got[0].ID))
		_, open := <-events
		require.False(t, open, "it ends")
		require.ErrorIs(t, zombie.Err(), stripekit.ErrCheckpointConflict)
		require.ErrorIs(t, zombie.Commit(t.Context(), c.got[:1], refuse(t)), stripekit.ErrCheckpointConflict)

		for range 2 {
			e := <-c.events
			require.NoError(t, c.p.Commit(t.Context(), []customerEvent{e}, c.db.commit(e)))
			require.Equal(t, 1, c.db.written(e.ID))
		}
		require.NoError(t, c.p.Err(), "the newest goes on")
	})
}

func TestPollerCommitsAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommitting(t, 2)
		c.stop()
		require.NoError(t, c.commit(1))
		c.live()
		defer func() { c.stop() }()
		require.Equal(t, []string{c.got[0].ID}, collect(c.events, time.Minute))
	})
}

func TestPollerFlushReturnsOnceAllIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		store := &slowStore{awake: make(chan struct{})}
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		require.Error(t, p.Flush(t.Context()), "it is not started")
		events, stop := s.watch(p)
		s.sell(10)
		for range 10 {
			e := <-events
			e.Ack()
			start, before := time.Now(), store.saves.Load()
			require.NoError(t, p.Flush(t.Context()))
			require.NoError(t, p.Flush(t.Context()), "there is nothing to do")
			require.LessOrEqual(t, store.saves.Load()-before, int64(2))
			require.Zero(t, time.Since(start), "at once, however soon after a save")
			data, _, err := store.Load(t.Context(), customersKey)
			require.NoError(t, err)
			require.Len(t, data, p.Status().CheckpointBytes)
		}
		sold := s.sell(1)
		e := <-events
		require.Equal(t, sold[0], e.ID)
		stop()
		store.hangs.Store(true)
		e.Ack()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Flush(ctx), context.DeadlineExceeded, "its error")
		store.hangs.Store(false)
		close(store.awake)
		require.NoError(t, p.Flush(t.Context()), "after the end")

		events, stop = s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
		defer stop()
		require.Empty(t, collect(events, time.Minute))
	})
}

func TestPollerFlushWithoutAStoreHasNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{})
		events, stop := s.watch(p)
		defer stop()
		s.sell(1)
		require.Len(t, collect(events, time.Minute), 1)
		require.NoError(t, p.Flush(t.Context()))
	})
}

func TestPollerFlushReturnsTheErrorOfTheSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{Checkpoints: new(brokenStore)})
		events, stop := s.watch(p)
		defer stop()
		s.sell(1)
		e := <-events
		e.Ack()
		require.ErrorIs(t, p.Flush(t.Context()), errBroken)
		require.ErrorIs(t, p.Status().SaveErr, errBroken)
	})
}
