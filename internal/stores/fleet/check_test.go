//go:build unix

package fleet_test

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

func sortByTime(lines []line) {
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
}

// finish waits until everything that was created up to now is delivered, ends the
// workers, and checks what has happened.
func (w *world) finish() {
	w.t.Helper()
	until := time.Now()
	var stored map[string]int
	w.awaitDelivered(until)
	for _, f := range w.live() {
		w.end(f)
	}
	eventually(w.t, "the events are read", func(ctx context.Context) (err error) {
		stored, err = w.shared.stored(ctx)
		return err
	})
	w.read()
	w.checkOwners()
	created, missing := w.missing(stored, until)
	require.NotZero(w.t, created)
	require.Empty(w.t, missing, "lost, of %d", created)
	w.checkStored(stored)
	w.checkHandled()
	moved := -w.job.Shards
	for _, lines := range w.tenures {
		for _, l := range lines {
			if l.kind == won {
				moved++
			}
		}
	}
	w.t.Logf("%d workers, %d requests, %d objects: lost 0; %d times a shard was won again", len(w.workers), len(w.requests), created, moved)
}

// awaitDelivered waits until everything that was created before is delivered.
func (w *world) awaitDelivered(until time.Time) {
	w.t.Helper()
	var missing []string
	defer func() {
		if len(missing) > 0 {
			w.t.Logf("missing: %v", missing[:min(len(missing), 20)])
		}
	}()
	var looked time.Time
	w.await("all events are delivered", func() bool {
		if time.Since(looked) < time.Second/2 { // it reads all of them
			return false
		}
		looked = time.Now()
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		defer cancel()
		stored, err := w.shared.stored(ctx)
		if err != nil {
			return false
		}
		_, missing = w.missing(stored, until)
		return len(missing) == 0
	})
}

// missing returns how many objects of the connections were created before, and the ids
// of those that were not delivered. Of a connection that was removed, the last objects
// may be missing: it does not count.
func (w *world) missing(stored map[string]int, until time.Time) (created int, missing []string) {
	for account, c := range w.connections {
		if account == w.job.Poison || !c.removed.IsZero() {
			continue
		}
		for _, list := range []shops.List{shops.Charges, shops.Customers} {
			for o := range w.shops.Objects(account, list, c.added, until) {
				created++
				if list == shops.Charges && stored[o.ID()] == 0 || list == shops.Customers && len(w.events[o.ID()]) == 0 {
					missing = append(missing, o.ID())
				}
			}
		}
	}
	return created, missing
}

// checkStored requires that no event is twice in the stream or the table. A connection
// that is put again after a removal is another one, which begins 10 s before.
func (w *world) checkStored(stored map[string]int) {
	w.t.Helper()
	var twice []string
	for id, n := range stored {
		account, list, _, ok := shops.ParseID(id)
		require.True(w.t, ok && list == shops.Charges && w.connections[account] != nil, id)
		if n > 1 && !w.connections[account].again {
			twice = append(twice, id)
		}
	}
	require.Empty(w.t, twice, "twice in the stream or the table, of %d", len(stored))
}

// checkHandled requires that a plain handler gets an event twice only if its worker was
// killed or stopped, or has lost the shard, after the first time.
func (w *world) checkHandled() {
	w.t.Helper()
	var bad []string
	twice := 0
	for id, all := range w.events {
		if w.connections[all[0].account].again {
			continue
		}
		sortByTime(all)
		for i := range all[1:] {
			twice++
			if !w.mayRepeat(all[i], all[i+1]) {
				bad = append(bad, id)
			}
		}
	}
	require.Empty(w.t, bad, "handled twice without a reason")
	w.t.Logf("%d events handled by plain handlers, %d twice", len(w.events), twice)
}

// mayRepeat reports whether an event that was handled may be handled again.
func (w *world) mayRepeat(first, second line) bool {
	f := w.workers[first.worker]
	if !f.killed.IsZero() {
		return true
	}
	for _, stopped := range f.stopped {
		if first.at <= stopped.UnixNano() && stopped.UnixNano() < second.at {
			return true
		}
	}
	for _, l := range w.tenures[w.shardOf(first.account)] {
		// The handler may have been called directly before the loss was noted.
		if l.kind == lost && l.worker == f.number && l.at > first.at-int64(time.Second) && l.at < second.at {
			return true
		}
	}
	return false
}

// checkOwners requires that each request was made, and each event handled, by the worker
// that was the last one to win the shard.
func (w *world) checkOwners() {
	w.t.Helper()
	wins := map[int][]line{}
	for shard, lines := range w.tenures {
		sortByTime(lines)
		for _, l := range lines {
			if l.kind == won {
				wins[shard] = append(wins[shard], l)
			}
		}
	}
	zombies := 0
	check := func(what string, l line) {
		w.t.Helper()
		of := wins[w.shardOf(l.account)]
		i, _ := slices.BinarySearchFunc(of, l.at+1, func(l line, at int64) int { return cmp.Compare(l.at, at) })
		switch {
		case i == 0:
			w.t.Errorf("%s of account %d by worker %d, which has never won its shard", what, l.account, l.worker)
		case of[i-1].worker != l.worker:
			zombies++
			w.t.Logf("%s of account %d by worker %d, %v after worker %d had won its shard",
				what, l.account, l.worker, time.Duration(l.at-of[i-1].at), of[i-1].worker)
		}
	}
	require.NotEmpty(w.t, w.requests)
	for _, l := range w.requests {
		check("a request", l)
	}
	for _, all := range w.events {
		for _, l := range all {
			check("an event", l)
		}
	}
	require.LessOrEqual(w.t, zombies, w.zombies, "requests and events of a worker that had lost the shard")
}
