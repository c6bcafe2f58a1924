package stores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// wrapped is a store around another one.
type wrapped struct{ stripekit.CheckpointStore }

func (w wrapped) Unwrap() stripekit.CheckpointStore { return w.CheckpointStore }

// checked is a store that may refuse transactions.
type checked struct {
	wrapped
	check func() error
}

func (c checked) Check() error { return c.check() }

func TestRunTxFindsTheStoreInWrappers(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(3)
		checks := 0
		store := wrapped{checked{wrapped{s.store}, func() error { checks++; return nil }}}
		r := s.run(s.poller(stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning}), 10, insert)
		pass(time.Minute)
		require.Equal(t, joined, s.written())
		require.Equal(t, 2, checks, "before the transaction and before its commit")
		require.NoError(t, r.stop())

		refuse := func(context.Context, *sql.Tx, []customerEvent) error { return errors.New("it was called") }
		err := sqlstore.RunTx(t.Context(), s.poller(stripekit.PollConfig{Checkpoints: wrapped{wrapped{new(stripekit.MemoryStore)}}}), 1, refuse)
		require.ErrorContains(t, err, "must be a *sqlstore.Store, and is a stores_test.wrapped")
		err = sqlstore.RunTx(t.Context(), s.poller(stripekit.PollConfig{Checkpoints: wrapped{}}), 1, refuse)
		require.ErrorContains(t, err, "must be a *sqlstore.Store")
	})
}

// TestRunTxCommitsNothingThatACheckRefuses has the right to commit end before a
// transaction, or while the handler runs, which fails or does not. The event has one
// attempt. With the errors of a Poller in it, the error of a Check is one like any other.
func TestRunTxCommitsNothingThatACheckRefuses(t *testing.T) {
	lost := fmt.Errorf("the shard is lost: %w", errors.Join(stripekit.ErrAcknowledged, stripekit.ErrCheckpointConflict))
	for name, tc := range map[string]struct {
		at      int64 // the Check that fails first
		handler error
		calls   int64 // of the handler, before the right returns
	}{
		"before the transaction":          {at: 1},
		"in the handler":                  {at: 2, calls: 1},
		"in a handler that fails by this": {at: 2, calls: 1, handler: errors.New("no right")},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				joined := s.join(1)
				var checks, calls atomic.Int64
				var refused atomic.Bool
				store := checked{wrapped{s.store}, func() error {
					if checks.Add(1) == tc.at {
						refused.Store(true)
					}
					if refused.Load() {
						return lost
					}
					return nil
				}}
				p := s.poller(stripekit.PollConfig{
					Checkpoints: store, From: stripekit.FromBeginning, MaxAttempts: 1, Logger: slog.New(slog.DiscardHandler),
					OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
						t.Error("the event was given up")
						return nil
					},
				})
				handle := func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
					n := calls.Add(1)
					if err := insert(ctx, tx, events); err != nil || n > tc.calls {
						return err
					}
					return tc.handler
				}
				r := s.run(p, 10, handle)
				pass(time.Hour)
				require.Empty(t, s.written())
				require.Equal(t, tc.calls, calls.Load())
				require.Less(t, checks.Load(), int64(600), "it waits between the tries")

				refused.Store(false) // the right has returned
				pass(time.Minute)
				require.Equal(t, joined, s.written())
				require.Equal(t, tc.calls+1, calls.Load())
				refused.Store(true)
				s.join(1)
				pass(time.Minute)
				require.NoError(t, r.stop(), "it ends with its ctx")
				require.Equal(t, joined, s.written())
			})
		})
	}
}
