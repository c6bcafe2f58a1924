package stripekit_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// copying is a program that copies a list in batches, and can be killed.
type copying struct {
	list    *fakeList
	cfg     stripekit.BackfillConfig
	table   map[string]int // how often each object was stored
	batch   []string
	yielded int
	moments int // that have passed
	killAt  int // the moment of the kill; 0 is none
}

// killed is the panic in place of a kill.
const killed = "killed"

func newCopying(l *fakeList, cfg stripekit.BackfillConfig) *copying {
	c := &copying{list: l, cfg: cfg, table: map[string]int{}}
	c.cfg.BeforeSave = c.store
	c.cfg.Checkpoints = &mortalSaves{CheckpointStore: new(stripekit.MemoryStore), moment: c.moment}
	return c
}

func (c *copying) moment() {
	if c.moments++; c.moments == c.killAt {
		panic(killed)
	}
}

// store stores the batch, one object at a time.
func (c *copying) store(context.Context) error {
	for _, id := range c.batch {
		c.moment()
		c.table[id]++
	}
	c.batch = nil
	c.moment()
	return nil
}

// run runs the program until it ends or is killed.
func (c *copying) run() (ended bool, err error) {
	c.moments, c.batch = 0, nil
	defer func() {
		if v := recover(); v != nil {
			require.Equal(c.list.t, killed, v)
		}
	}()
	for object, err := range c.list.backfill(c.cfg) {
		if err != nil {
			return true, err
		}
		c.yielded++
		c.moment()
		c.batch = append(c.batch, object.ID)
		pass(70 * time.Millisecond)
	}
	return true, nil
}

// mortalSaves is a store with a moment before and after each save.
type mortalSaves struct {
	stripekit.CheckpointStore
	moment func()
	saves  int
}

func (s *mortalSaves) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.moment()
	next, err := s.CheckpointStore.Save(ctx, key, data, revision)
	s.saves++
	s.moment()
	return next, err
}

func TestBackfillLosesNoBatchWheneverItIsKilled(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		for _, undated := range []bool{false, true} {
			t.Run(fmt.Sprintf("any order %t, undated %t", anyOrder, undated), func(t *testing.T) {
				again := 0
				for kill, ended := 1, false; !ended; kill++ {
					bubble(t, func(t *testing.T) {
						l := newFakeList(t, steady(60, 60)...)
						l.undated = undated
						c := newCopying(l, stripekit.BackfillConfig{AnyOrder: anyOrder})
						var err error
						c.killAt = kill
						ended, err = c.run()
						require.NoError(t, err)
						c.killAt = 0
						_, err = c.run()
						require.NoError(t, err)
						for _, id := range l.ids() {
							require.NotZero(t, c.table[id], "%s is lost after a kill at moment %d", id, kill)
						}
						if c.table[l.ids()[30]] > 1 {
							again++
						}
					})
				}
				require.NotZero(t, again, "kills between a batch and its checkpoint")
			})
		}
	}
}

// After an error of BeforeSave nothing is saved, although the loop has dropped what it
// could not store.
func TestBackfillEndsWithAnErrorOfBeforeSave(t *testing.T) {
	for name, after := range map[string]int{"the first save": 1, "a save in the middle": 2, "the last save": 4} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(60, 60)...)
				c := newCopying(l, stripekit.BackfillConfig{})
				calls, yielded := 0, 0
				c.cfg.BeforeSave = func(ctx context.Context) error {
					if calls++; calls == after {
						c.batch, yielded = nil, c.yielded
						return errUnlucky
					}
					return c.store(ctx)
				}
				_, err := c.run()
				require.ErrorIs(t, err, errUnlucky)
				require.EqualError(t, err, "stripe: BackfillConfig.BeforeSave: "+errUnlucky.Error())
				require.Equal(t, after, calls, "it is not called again")
				require.Equal(t, yielded, c.yielded, "objects after the error")
				require.Equal(t, after-1, c.cfg.Checkpoints.(*mortalSaves).saves)
				_, err = c.run()
				require.NoError(t, err)
				require.Len(t, c.table, 60)
			})
		})
	}
}

// A save that fails is repeated, after another call of BeforeSave.
func TestBackfillCallsBeforeSaveThoughSavesFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(60, 60)...)
		c := newCopying(l, stripekit.BackfillConfig{})
		store := &unluckyStore{luck: func(n int64) string {
			require.Empty(t, c.batch, "it was stored before")
			return []string{1: "fails", 2: "loses the response", 3: ""}[min(n, 3)]
		}}
		c.cfg.Checkpoints = store
		_, err := c.run()
		require.NoError(t, err)
		require.Len(t, c.table, 60)
		require.Greater(t, store.saves.Load(), int64(3))
	})
}

// A loop may be left because it could not store. The objects since the last save are
// yielded again.
func TestBackfillSavesNothingWhenALoopWithBeforeSaveIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(60, 60)...)
		c := newCopying(l, stripekit.BackfillConfig{})
		n := 0
		for object, err := range l.backfill(c.cfg) {
			require.NoError(t, err)
			c.batch = append(c.batch, object.ID)
			if n++; n == 40 {
				c.batch = nil // a program that drops what it could not store
				break
			}
			pass(70 * time.Millisecond)
		}
		require.NotEmpty(t, c.table, "there was a save")
		_, err := c.run()
		require.NoError(t, err)
		require.Len(t, c.table, 60)
	})
}

func TestBackfillStoresWhatTheLoopHoldsAtItsEnd(t *testing.T) {
	down := func(r *http.Request) (*http.Response, error) {
		return response(r, 401, `{"error":{"type":"invalid_request_error"}}`), nil
	}
	for name, end := range map[string]func(l *fakeList, cancel func()){
		"the context ends": func(_ *fakeList, cancel func()) { cancel() },
		"the key ends":     func(l *fakeList, _ func()) { l.interfere(down) },
		"the list ends":    func(*fakeList, func()) {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(1000, 60)...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := newCopying(l, stripekit.BackfillConfig{MaxBuffered: 500})
				store := c.cfg.BeforeSave
				c.cfg.BeforeSave = func(ctx context.Context) error {
					require.NoError(t, ctx.Err())
					return store(ctx)
				}
				n := 0
				for object, err := range stripekit.Backfill(ctx, l.source(), c.cfg) {
					if err != nil {
						require.NotEqual(t, "the list ends", name)
						break
					}
					if n++; n == 10 {
						end(l, cancel)
					}
					c.batch = append(c.batch, object.ID)
				}
				require.Equal(t, name == "the list ends", n == 1000)
				require.Empty(t, c.batch)
				require.Len(t, c.table, n)
			})
		})
	}
}

// What the loop holds when the Backfill fails may not be stored either.
func TestBackfillYieldsTheLastErrorOfBeforeSaveWithItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(1000, 60)...)
		c := newCopying(l, stripekit.BackfillConfig{})
		c.cfg.BeforeSave = func(context.Context) error { return errUnlucky }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var ends []error
		for _, err := range stripekit.Backfill(ctx, l.source(), c.cfg) {
			if err != nil {
				ends = append(ends, err)
			}
			cancel()
		}
		require.Len(t, ends, 1)
		require.ErrorIs(t, ends[0], context.Canceled)
		require.ErrorIs(t, ends[0], errUnlucky)
		require.EqualError(t, ends[0], "context canceled; stripe: BackfillConfig.BeforeSave: "+errUnlucky.Error())
		require.Zero(t, c.cfg.Checkpoints.(*mortalSaves).saves)
	})
}

func TestBackfillRequiresCheckpointsForBeforeSave(t *testing.T) {
	l := newFakeList(t, 1)
	_, err := taken(l.backfill(stripekit.BackfillConfig{BeforeSave: func(context.Context) error { return nil }}))
	require.EqualError(t, err, "stripe: BackfillConfig.BeforeSave requires Checkpoints")
}
