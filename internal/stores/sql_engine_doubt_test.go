package stores_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
)

// TestSQLEngineAcceptsAPutAfterDoubtfulOnes breaks the connection at a response of each
// of several Puts in a row, and then stores with the same revision.
func TestSQLEngineAcceptsAPutAfterDoubtfulOnes(t *testing.T) {
	t.Parallel()
	var cutAt atomic.Int64 // responses until the cut; 0: none
	database := servers.PostgreSQL(t)
	plain := openEngine(t, database)
	broken := openEngine(t, database.BehindProxy(t, func() bool { return cutAt.Load() > 0 && cutAt.Add(-1) == 0 }))
	// doubtful makes a Put, and reports whether its end is unknown.
	doubtful := func(key string, revision uint64, at int64) bool {
		cutAt.Store(at)
		_, err := broken.Put(t.Context(), key, []byte("doubtful"), revision, time.Hour)
		cutAt.Store(0)
		require.NotErrorIs(t, err, stripekit.ErrCheckpointConflict)
		return err != nil
	}
	stored, lost := 0, 0
	for _, before := range []string{"nothing", "tombstone", "record"} {
		for at := range int64(8) {
			for doubts := range 3 {
				key := fmt.Sprintf("%s/%d/%d", before, at, doubts)
				revision := uint64(0)
				if before != "nothing" {
					revision = put(t, plain, key, "old", 0, 0)
				}
				if before == "tombstone" {
					require.NoError(t, plain.Delete(t.Context(), key, revision))
					revision = 0
				}
				unknown := true
				for range doubts + 1 {
					unknown = unknown && doubtful(key, revision, at+1)
				}
				if !unknown {
					requireConflict(t, broken, key, revision) // the Put ended before the cut
					continue
				}
				if value, _, err := plain.Get(t.Context(), key); err == nil && string(value) == "doubtful" {
					stored++
					requireConflict(t, plain, key, revision) // the Put is not one of this Engine
				} else {
					lost++
				}
				requireRecord(t, plain, key, "known", put(t, broken, key, "known", revision, 0))
				requireConflict(t, broken, key, revision)
			}
		}
	}
	require.Positive(t, stored, "no Put of unknown end was stored")
	require.Positive(t, lost, "each Put of unknown end was stored")
}

// TestSQLEngineLosesNoUpdateOverBrokenConnections has several engines add operations to
// a list, and repeat what is not known to have ended. Each is added once.
func TestSQLEngineLosesNoUpdateOverBrokenConnections(t *testing.T) {
	t.Parallel()
	const writers, operations = 4, 40
	for name, settings := range map[string]string{"read committed": "", "serializable": " default_transaction_isolation=serializable"} {
		t.Run(name, func(t *testing.T) {
			database := servers.PostgreSQL(t)
			database.DSN += settings
			plain := openEngine(t, database)
			var cuts atomic.Int64
			var all sync.WaitGroup
			for n := range writers {
				behind := database.BehindProxy(t, func() bool {
					cut := rand.N(40) == 0
					if cut {
						cuts.Add(1)
					}
					return cut
				})
				db := behind.Open(t)
				engine, err := sqlstore.NewEngine(db)
				require.NoError(t, err)
				all.Go(func() {
					for i := range operations {
						if err := addOperation(t.Context(), engine, fmt.Sprintf("%d.%d", n, i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			w := watchEngine(t, plain)
			all.Wait()
			value, revision, err := plain.Get(t.Context(), "list")
			require.NoError(t, err)
			list := strings.Fields(string(value))
			require.Len(t, list, writers*operations)
			slices.Sort(list)
			require.Equal(t, list, slices.Compact(slices.Clone(list)))
			// A Put of unknown end that was stored, and is repeated, stores the value again.
			w.eventually("the list has its last revision", func() bool {
				seen := w.seen["list"]
				return len(seen) > 0 && seen[len(seen)-1].revision == revision
			})
			require.Equal(t, string(value), w.seen["list"][len(w.seen["list"])-1].value)
			require.Greater(t, cuts.Load(), int64(10))
		})
	}
}

// addOperation adds a word to the record "list".
func addOperation(ctx context.Context, engine *sqlstore.Engine, operation string) error {
	for {
		value, revision, err := engine.Get(ctx, "list")
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			continue
		}
		if slices.Contains(strings.Fields(string(value)), operation) {
			return nil // a Put of unknown end was stored
		}
		for {
			_, err = engine.Put(ctx, "list", []byte(string(value)+" "+operation), revision, 0)
			if err == nil {
				return nil
			}
			if errors.Is(err, stripekit.ErrCheckpointConflict) {
				break // the list is read again
			}
			if ctx.Err() != nil {
				return err
			}
		}
	}
}
