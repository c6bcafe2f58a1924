package stripekit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// historyLife is a process in a history. After its crash, its saves have no effect.
type historyLife struct {
	*ledger
	mu   sync.Mutex
	dead bool
}

func (l *historyLife) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return 0, errConnectionLost
	}
	return l.ledger.Save(ctx, key, data, revision)
}

func (l *historyLife) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

// history is a random sequence of processes on one database. Objects with an even
// number are acknowledged by Commit, the others by Ack.
type history struct {
	*shop
	db     *ledger
	rand   *rand.Rand
	number map[string]int // of the objects, by id
	mu     sync.Mutex
	acked  map[string]int

	unknown, refused, acknowledged, conflicts int
}

// live runs a process, until a crash, a stop, or the start of the next process.
func (h *history) live() (end func(crash bool)) {
	life := &historyLife{ledger: h.db}
	p := h.poller(stripekit.PollConfig{Checkpoints: life, From: stripekit.FromBeginning, MaxUnacked: 4 + h.rand.IntN(30)})
	ctx, cancel := context.WithCancel(h.t.Context())
	events, err := p.Start(ctx)
	require.NoError(h.t, err)
	seed := h.rand.Uint64()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := rand.New(rand.NewPCG(seed, 0))
		var batch []customerEvent
		for open := true; open; {
			var e customerEvent
			select {
			case e, open = <-events:
				if open {
					batch = append(batch, e)
				}
				if open && len(batch) <= r.IntN(4) {
					continue
				}
			case <-time.After(2 * time.Second):
			}
			r.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			h.deal(ctx, p, life, r, batch)
			batch = nil
			pass(time.Duration(r.IntN(300)) * time.Millisecond)
		}
	}()
	return func(crash bool) {
		if crash {
			life.crash()
		}
		cancel()
		<-done
	}
}

// deal acknowledges a batch of events, or calls Nack for each.
func (h *history) deal(ctx context.Context, p *stripekit.Poller[stripekit.Customer], life *historyLife, r *rand.Rand, batch []customerEvent) {
	var commit []customerEvent
	h.mu.Lock()
	for _, e := range batch {
		switch {
		case r.IntN(10) == 0:
			e.Nack(time.Duration(r.IntN(5)) * time.Second)
		case h.number[e.ID]%2 == 0:
			commit = append(commit, e)
		default:
			h.acked[e.ID]++
			e.Ack()
		}
	}
	h.mu.Unlock()
	if len(commit) == 0 {
		return
	}
	err := p.Commit(ctx, commit, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		pass(time.Duration(r.IntN(200)) * time.Millisecond)
		life.mu.Lock()
		defer life.mu.Unlock()
		fate := r.IntN(6)
		if life.dead || fate == 0 {
			return 0, errConnectionLost
		}
		revision, err := h.db.transact(ctx, c, commit...)
		if fate == 1 && err == nil {
			return 0, errConnectionLost
		}
		return revision, err
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, stripekit.ErrAcknowledged):
		h.acknowledged++
	case errors.Is(err, stripekit.ErrCheckpointConflict):
		h.conflicts++
	case errors.Is(err, errConnectionLost):
		h.unknown++
	case err != nil:
		h.refused++
	}
	if err != nil {
		for _, e := range commit {
			e.Nack(time.Duration(r.IntN(3)) * time.Second)
		}
	}
}

func TestPollerCommitsEveryRowOnceInRandomHistories(t *testing.T) {
	seed := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("STRIPEKIT_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("STRIPEKIT_SEED=%d", seed)
	restingBubble(t, func(t *testing.T) {
		const lives = 250
		h := &history{
			shop: newShop(t), db: new(ledger), rand: rand.New(rand.NewPCG(seed, 1)),
			number: map[string]int{}, acked: map[string]int{},
		}
		sell := func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, id := range h.sell(h.rand.IntN(10)) {
				h.number[id] = len(h.number)
			}
		}
		var lingering []func(bool) // processes that have not noticed their successor
		for range lives {
			end := h.live()
			for range 1 + h.rand.IntN(4) {
				sell()
				pass(time.Duration(h.rand.IntN(10_000)) * time.Millisecond)
			}
			if h.rand.IntN(4) == 0 {
				lingering = append(lingering, end)
				continue
			}
			end(h.rand.IntN(3) > 0)
		}
		for _, end := range lingering {
			end(false)
		}
		end := h.live()
		pass(30 * time.Minute)
		end(false)

		h.mu.Lock()
		defer h.mu.Unlock()
		for id, number := range h.number {
			if number%2 == 0 {
				require.Equal(t, 1, h.db.written(id), "rows of object %d", number)
			} else {
				require.NotZero(t, h.acked[id], "object %d is lost", number)
			}
		}
		require.NotZero(t, h.unknown)
		require.NotZero(t, h.acknowledged)
		require.NotZero(t, h.conflicts)
		t.Logf("%d lives, %d objects; commits: %d of unknown end, %d acknowledged before, %d conflicts, %d others",
			lives, len(h.number), h.unknown, h.acknowledged, h.conflicts, h.refused)
	})
}
