package stores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
)

// faults returns a choice of faults for the first times that an operation is made, one
// after the other.
func faults(op string, first ...fault) func(op, query string) fault {
	return func(o, _ string) fault {
		if o != op || len(first) == 0 {
			return noFault
		}
		next := first[0]
		first = first[1:]
		return next
	}
}

func TestRunTxLetsItsHandlerChangeTheSlice(t *testing.T) {
	for name, skip := range map[string]func(id string, events []customerEvent) []customerEvent{
		"filtered in place": func(id string, events []customerEvent) []customerEvent {
			kept := events[:0]
			for _, e := range events {
				if e.ID != id {
					kept = append(kept, e)
				}
			}
			return kept
		},
		"slices.DeleteFunc": func(id string, events []customerEvent) []customerEvent {
			return slices.DeleteFunc(events, func(e customerEvent) bool { return e.ID == id })
		},
	} {
		for commit, choose := range map[string]func(string, string) fault{
			"committed at once":      nil,
			"committed the 2nd time": faults(opCommit, isDisturbed),
		} {
			t.Run(name+", "+commit, func(t *testing.T) {
				inShop(t, func(t *testing.T, s *shop) {
					joined := s.join(6)
					s.faults.fail(choose)
					p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
					r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
						return insert(ctx, tx, skip(joined[0], events))
					})
					pass(10 * time.Minute)
					require.Equal(t, joined[1:], s.written())
					require.Zero(t, p.Status().Unacked)
					require.NoError(t, r.stop())
				})
			})
		}
	}
}

func TestRunTxRedeliversWhateverErrorItsHandlerReturns(t *testing.T) {
	for _, err := range []error{
		stripekit.ErrAcknowledged, stripekit.ErrCheckpointConflict, stripekit.ErrCheckpointInvalid,
		sql.ErrNoRows, sql.ErrTxDone, context.Canceled, context.DeadlineExceeded,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				joined := s.join(2)
				r := s.run(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}), 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
					if events[0].Attempt < 3 {
						return fmt.Errorf("from elsewhere: %w", err)
					}
					return insert(ctx, tx, events)
				})
				pass(time.Hour)
				require.Equal(t, joined, s.written())
				require.NoError(t, r.stop())
			})
		})
	}
}

// TestRunTxFindsOutHowTheLastCommitEnded loses the connection in the commit of each
// call of the handler that is allowed. Whether the last commit was carried out decides
// whether the event is given up.
func TestRunTxFindsOutHowTheLastCommitEnded(t *testing.T) {
	broken := slices.Repeat([]fault{diesBefore}, 10)
	for name, tc := range map[string]struct {
		last    fault
		written int
	}{
		"carried out":     {diesAfter, 1},
		"not carried out": {diesBefore, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				gaveUp, calls := 0, 0
				p := s.poller(stripekit.PollConfig{MaxAttempts: 1, OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
					gaveUp++
					return nil
				}})
				r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
					calls++
					return insert(ctx, tx, events)
				})
				s.faults.fail(faults(opCommit, append(broken, tc.last)...))
				s.join(1)
				pass(10 * time.Minute)
				require.Equal(t, 11, calls)
				require.Len(t, s.written(), tc.written)
				require.Equal(t, 1-tc.written, gaveUp)
				require.Zero(t, p.Status().Unacked)
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestRunTxKeepsTryingInAnOutageAfterTheLastCall(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		p := s.poller(stripekit.PollConfig{MaxAttempts: 1, OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
			t.Error("the event was given up")
			return nil
		}})
		r := s.run(p, 10, insert)
		commits := 0
		s.faults.fail(func(op, _ string) fault {
			switch {
			case op == opCommit:
				commits++
				return map[bool]fault{true: diesAfter, false: diesBefore}[commits == 11]
			case commits == 11:
				return diesBefore // the database is away
			}
			return noFault
		})
		joined := s.join(1)
		pass(time.Hour)
		s.faults.fail(nil)
		pass(time.Minute)
		require.Equal(t, joined, s.written())
		require.Zero(t, p.Status().Unacked)
		require.NoError(t, r.stop())
	})
}

func TestRunTxGoesOnBesideAnEventThatItsHandlerAcknowledges(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(4)
		failed := false
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
		r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			events[0].Ack() // it may be lost then
			if len(events) > 1 && !failed {
				failed = true
				return errors.New("not now")
			}
			return insert(ctx, tx, events)
		})
		pass(10 * time.Minute)
		require.Equal(t, joined[1:], s.written())
		require.Zero(t, p.Status().Unacked)
		require.NoError(t, r.stop())
	})
}

func TestRunTxEndsThePollerWhenItsHandlerEndsTheGoroutine(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(1)
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = sqlstore.RunTx(t.Context(), p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
				_ = insert(ctx, tx, events)
				runtime.Goexit()
				return nil
			})
			t.Error("it returned")
		}()
		<-ended
		pass(time.Minute)
		require.Zero(t, s.db.Stats().InUse)
		require.Empty(t, s.written())
		requests := len(s.server.Requests())
		pass(time.Hour)
		require.Len(t, s.server.Requests(), requests, "the Poller has ended")

		r := s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(time.Minute)
		require.Equal(t, joined, s.written())
		require.NoError(t, r.stop())
	})
}
