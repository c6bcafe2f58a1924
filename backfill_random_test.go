package stripekit_test

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// backfillLives is a list that several Backfills read one after the other, on one
// checkpoint.
type backfillLives struct {
	*fakeList
	random   *rand.Rand
	disk     *stripekit.MemoryStore
	anyOrder bool
	to       time.Time // BackfillConfig.To
	end      int64     // the second after the newest object
	had      map[string]int
	done     map[string]bool // objects that a later Backfill must not read again
}

func newBackfillLives(t *testing.T, seed uint64) *backfillLives {
	random := rand.New(rand.NewPCG(seed, 6))
	seconds, end := randomList(random, 0, 1_000_000)
	h := &backfillLives{
		fakeList: newFakeList(t, seconds...), random: random, disk: new(stripekit.MemoryStore),
		anyOrder: random.IntN(2) == 0, end: end, had: map[string]int{}, done: map[string]bool{},
	}
	h.latency = 50 * time.Millisecond
	if random.IntN(2) == 0 {
		h.to = h.someTime()
	}
	return h
}

func (h *backfillLives) someTime() time.Time { return time.Unix(listStart+h.random.Int64N(h.end), 0) }

// ending is how a Backfill ends: the loop is left, the process crashes, or the
// context ends. The constant all stands for a loop that reads the list to its end.
type ending int

const (
	left ending = iota
	crashed
	cancelled
	all
)

// live is one Backfill, which ends after n objects.
func (h *backfillLives) live(n int, end ending) {
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	store := &mortalStore{CheckpointStore: h.disk}
	got := map[string]bool{}
	last := int64(0) // the second of the object before
	for object, err := range stripekit.Backfill(ctx, h.source(), h.config(store)) {
		if err != nil {
			require.Equal(h.t, cancelled, end, "%v", err)
			require.ErrorIs(h.t, err, context.Canceled)
			break
		}
		require.False(h.t, got[object.ID], "%s twice in one Backfill", object.ID)
		require.False(h.t, h.done[object.ID], "%s again, though the checkpoint is behind it", object.ID)
		if !h.anyOrder {
			require.GreaterOrEqual(h.t, object.Created, last, "oldest first")
		}
		last = object.Created
		if n--; n < 0 && end == cancelled {
			cancel() // and the loop goes on until the error
		} else if n < 0 {
			store.dead.Store(end == crashed)
			break
		}
		h.had[object.ID]++
		got[object.ID] = true
		if h.random.IntN(5) == 0 {
			pass(time.Duration(h.random.IntN(40)) * time.Millisecond)
		}
	}
	if h.anyOrder || store.dead.Load() {
		return
	}
	for id := range got {
		if listStart+h.second(id) < last {
			h.done[id] = true
		}
	}
}

// config returns a random configuration. It has Progress checked.
func (h *backfillLives) config(store stripekit.CheckpointStore) stripekit.BackfillConfig {
	done := 0
	return stripekit.BackfillConfig{
		AnyOrder: h.anyOrder, Checkpoints: store, To: h.to,
		MaxBuffered: 1 + h.random.IntN(3000), Concurrency: 1 + h.random.IntN(20),
		Progress: func(p stripekit.BackfillProgress) {
			require.GreaterOrEqual(h.t, p.Done, done)
			done = p.Done
			if p.Total != 0 {
				require.GreaterOrEqual(h.t, p.Total, p.Done)
			}
			require.GreaterOrEqual(h.t, p.Remaining, time.Duration(0))
			require.GreaterOrEqual(h.t, p.Rate, 0.0)
		},
	}
}

func TestBackfillReadsAllThroughItsCheckpointsInRandomHistories(t *testing.T) {
	histories(t, 30, func(t *testing.T, seed uint64) {
		bubble(t, func(t *testing.T) {
			h := newBackfillLives(t, seed)
			for lives := 0; lives < 40 && h.random.IntN(10) > 0; lives++ {
				if !h.to.IsZero() && h.random.IntN(3) == 0 {
					h.to = h.someTime()
				}
				h.live(1+h.random.IntN(1500), ending(h.random.IntN(3)))
			}
			h.to = time.Time{}
			h.live(math.MaxInt, all)
			requireAllDelivered(t, h.ids(), h.had)
			require.Len(t, slices.Collect(maps.Keys(h.had)), len(h.ids()))
		})
	})
}
