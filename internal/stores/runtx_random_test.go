package stores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// TestRunTxInRandomHistories lets the database fail at any step, the handler fail,
// and processes be stopped, replaced and run side by side, at random. In the end
// each customer is written once, or is given up if it can never be handled.
// STRIPEKIT_RUNTX is the number of histories, STRIPEKIT_SEED the only one to run; how
// its goroutines interleave is not repeated.
func TestRunTxInRandomHistories(t *testing.T) {
	t.Parallel()
	seeds := 50
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_RUNTX")); err == nil {
		seeds = n
	}
	first := 0
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_SEED")); err == nil {
		first, seeds = n, 1
	}
	var total history
	for seed := range seeds {
		seed += first
		passed := t.Run(fmt.Sprint("STRIPEKIT_SEED=", seed), func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				h := &history{shop: s, rng: newDice(seed)}
				h.play()
				h.check(t)
				total.faults += h.faults
				total.conflicts += h.conflicts
				total.poison += h.poison
			})
		})
		if !passed {
			break
		}
	}
	t.Logf("%d histories: %d faults, %d conflicts, %d poisoned events", seeds, total.faults, total.conflicts, total.poison)
	if seeds > 10 && !t.Failed() {
		require.Positive(t, total.faults)
		require.Positive(t, total.conflicts)
		require.Positive(t, total.poison)
	}
}

// history is a random history.
type history struct {
	*shop
	rng       *dice
	joined    []string
	runs      []*running
	faults    int // guarded by the lock of faultyDB
	conflicts int
	poison    int
}

// dice is a random source that several goroutines use.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed int) *dice { return &dice{rng: rand.New(rand.NewPCG(uint64(seed), 14))} }

// IntN returns a number from 0 to n-1.
func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// happens reports true with a probability.
func (d *dice) happens(probability float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64() < probability
}

var errPoison, errNotNow = errors.New("poison"), errors.New("not now")

// isPoison reports whether a customer can never be handled.
func isPoison(id string) bool { return id[len(id)-1]%16 == 3 }

// play runs for some virtual minutes, and then until nothing is left to do.
func (h *history) play() {
	_, err := h.db.Exec("CREATE TABLE given_up (id TEXT NOT NULL)")
	require.NoError(h.t, err)
	h.start()
	for range 10 + h.rng.IntN(30) {
		switch h.rng.IntN(8) {
		case 0, 1, 2:
			h.joined = append(h.joined, h.join(1+h.rng.IntN(30))...)
		case 3:
			h.shop.faults.fail(h.randomFaults())
		case 4:
			h.shop.faults.fail(nil)
		case 5:
			h.start()
		case 6:
			if len(h.runs) > 0 {
				i := h.rng.IntN(len(h.runs))
				h.end(h.runs[i])
				h.runs = slices.Delete(h.runs, i, i+1)
			}
		}
		pass(time.Duration(1<<h.rng.IntN(16)) * time.Millisecond)
	}
	h.shop.faults.fail(nil)
	h.start()
	pass(5 * time.Minute)
	for _, r := range h.runs {
		h.end(r)
	}
}

// start starts another process, which takes the checkpoint over. While the database
// fails, the start may fail.
func (h *history) start() {
	if h.rng.IntN(2) == 0 {
		for _, r := range h.runs {
			h.end(r)
		}
		h.runs = nil
	}
	cfg := stripekit.PollConfig{
		From: stripekit.FromBeginning, Every: time.Duration(1+h.rng.IntN(20)) * time.Second, MaxUnacked: 1 + h.rng.IntN(100),
		MaxAttempts: 3, OnGiveUp: h.giveUp,
	}
	h.runs = append(h.runs, h.run(h.poller(cfg), h.rng.IntN(20), h.handle))
}

func (h *history) end(r *running) {
	err := r.stop()
	if errors.Is(err, stripekit.ErrCheckpointConflict) {
		h.conflicts++
	}
}

func (h *history) giveUp(_ context.Context, e stripekit.Event[any], reason error) error {
	if !errors.Is(reason, errPoison) {
		h.t.Errorf("%s was given up: %v", e.ID, reason)
	}
	_, err := h.db.Exec("INSERT INTO given_up (id) VALUES (?)", e.ID)
	return err
}

// handle writes the events; for some it fails always, and now and then for others.
func (h *history) handle(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
	if err := insert(ctx, tx, events); err != nil {
		return err
	}
	for _, e := range events {
		if isPoison(e.ID) {
			return fmt.Errorf("customer %s: %w", e.ID, errPoison)
		}
	}
	if len(events) > 1 && h.rng.happens(0.05) {
		return errNotNow
	}
	return nil
}

// randomFaults returns what makes some operations fail. Whole outages are among it.
// The error of an event is not: that would rightly be counted as an attempt.
func (h *history) randomFaults() func(op, query string) fault {
	rate := []float64{0.01, 0.1, 0.5, 1}[h.rng.IntN(4)]
	kinds := []fault{isDisturbed, diesBefore, diesAfter}
	return func(op, query string) fault {
		if !h.rng.happens(rate) || rate > 0.1 && (op == opCommit || query == "INSERT INTO customers (id) VALUES (?)") {
			return noFault
		}
		h.faults++
		return kinds[h.rng.IntN(len(kinds))]
	}
}

func (h *history) check(t *testing.T) {
	written := map[string]int{}
	for _, id := range h.written() {
		written[id]++
	}
	givenUp := map[string]int{}
	for _, id := range queryIDs(t, h.db, "SELECT id FROM given_up") {
		givenUp[id]++
	}
	for i, id := range h.joined {
		if isPoison(id) {
			h.poison++
			require.Zero(t, written[id], "%s, number %d, was written", id, i)
			require.Positive(t, givenUp[id], "%s, number %d, was not given up", id, i)
			continue
		}
		require.Equal(t, 1, written[id], "%s, number %d of %d", id, i, len(h.joined))
		require.Zero(t, givenUp[id])
	}
	require.Zero(t, h.db.Stats().InUse)
	for e, err := range h.store.List(t.Context()) {
		require.NoError(t, err)
		require.Less(t, e.Size, 10_000)
	}
}
