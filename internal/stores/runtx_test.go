package stores_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripetest"
)

func TestRunTxWritesEachEventOnceAndInOrder(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		before := s.join(25)
		var sizes []int
		r := s.run(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}), 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			sizes = append(sizes, len(events))
			return insert(ctx, tx, events)
		})
		pass(time.Minute)
		require.Equal(t, before, s.written())
		require.Equal(t, []int{10, 10, 5}, sizes)
		after := s.join(3)
		pass(time.Minute)
		require.Equal(t, append(before, after...), s.written())
		require.NoError(t, r.stop())

		missed := s.join(2)
		r = s.run(s.poller(stripekit.PollConfig{}), 0, insert)
		pass(time.Minute)
		require.Equal(t, append(append(before, after...), missed...), s.written())
		require.NoError(t, r.stop())
	})
}

func TestRunTxRefusesBeforeARequest(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		refuse := func(context.Context, *sql.Tx, []customerEvent) error {
			t.Error("it was called")
			return nil
		}
		err := sqlstore.RunTx(t.Context(), s.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}), 1, refuse)
		require.ErrorContains(t, err, "must be a *sqlstore.Store, and is a *stripekit.MemoryStore")
		err = sqlstore.RunTx(t.Context(), s.poller(stripekit.PollConfig{}), -1, refuse)
		require.ErrorContains(t, err, "-1 events")
		require.Empty(t, s.server.Requests())
	})
}

func TestRunTxRepeatsAFailedBatchEventByEvent(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(5)
		broken := errors.New("broken")
		var calls [][]string
		var attempts []time.Duration
		var start time.Time
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
		r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			if start.IsZero() {
				start = time.Now()
			}
			calls = append(calls, ids(events))
			if err := insert(ctx, tx, events); err != nil {
				return err
			}
			for _, e := range events {
				if e.ID != joined[2] {
					continue
				}
				if len(events) == 1 {
					attempts = append(attempts, time.Since(start).Truncate(time.Second))
				}
				if e.Attempt < 4 {
					return broken
				}
			}
			return nil
		})
		pass(time.Minute)
		require.Equal(t, append([][]string{joined}, [][]string{
			{joined[0]}, {joined[1]}, {joined[2]}, {joined[3]}, {joined[4]}, {joined[2]}, {joined[2]}, {joined[2]},
		}...), calls)
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}, attempts, "as in Run")
		require.Equal(t, []string{joined[0], joined[1], joined[3], joined[4], joined[2]}, s.written())
		require.NoError(t, p.Status().HandlerErr)
		require.NoError(t, r.stop())
	})
}

func TestRunTxHandlesARedeliveryApartFromTheBatch(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		poison := s.join(1)
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning, Every: 500 * time.Millisecond})
		mixed := false
		r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			for _, e := range events {
				if e.ID == poison[0] {
					mixed = mixed || e.Attempt > 1 && len(events) > 1
					return errors.New("broken")
				}
			}
			<-time.After(3 * time.Second) // a redelivery becomes due, and others queue up
			return insert(ctx, tx, events)
		})
		var sold []string
		for range 100 {
			sold = append(sold, s.join(5)...)
			pass(250 * time.Millisecond)
		}
		pass(10 * time.Minute)
		require.False(t, mixed)
		require.Equal(t, sold, s.written())
		require.NoError(t, r.stop())
	})
}

func TestRunTxGivesUpAfterMaxAttempts(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		broken := errors.New("broken")
		reasons := map[string]error{}
		p := s.poller(stripekit.PollConfig{
			From: stripekit.FromBeginning, MaxAttempts: 2,
			OnGiveUp: func(_ context.Context, e stripekit.Event[any], reason error) error {
				reasons[e.ID] = reason
				return nil
			},
		})
		joined := s.join(3)
		r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			for _, e := range events {
				if e.ID == joined[1] {
					return broken
				}
			}
			return insert(ctx, tx, events)
		})
		pass(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, []string{joined[0], joined[2]}, s.written())
		require.Len(t, reasons, 1)
		require.ErrorIs(t, reasons[joined[1]], broken)

		r = s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(time.Minute)
		require.NoError(t, r.stop())
		require.Len(t, s.written(), 2, "what is given up is acknowledged")
	})
}

func TestRunTxDoesNotHandleWhatCannotBeDecoded(t *testing.T) {
	type strict struct {
		Name int `json:"name"` // a string in truth
	}
	inShop(t, func(t *testing.T, s *shop) {
		s.join(1)
		var reason error
		source, err := stripekit.NewSource[strict](s.client, "/v1/customers", "created")
		require.NoError(t, err)
		p, err := stripekit.NewPoller(source, stripekit.PollConfig{
			Checkpoints: s.store, From: stripekit.FromBeginning, MaxAttempts: 1,
			OnGiveUp: func(_ context.Context, _ stripekit.Event[any], r error) error {
				reason = r
				return nil
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, sqlstore.RunTx(ctx, p, 10, func(context.Context, *sql.Tx, []stripekit.Event[strict]) error {
			t.Error("it was called")
			return nil
		}))
		require.ErrorContains(t, reason, "name")
	})
}

func TestRunTxRollsBackAndPanicsIfTheHandlerPanics(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(3)
		p := s.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			_ = sqlstore.RunTx(t.Context(), p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
				_ = insert(ctx, tx, events)
				panic("boom")
			})
		}()
		v := (<-panicked).(*stripekit.PanicError)
		require.Equal(t, "boom", v.Value)
		require.Contains(t, string(v.Stack), "runtx_test.go")
		require.Empty(t, s.written())
		require.Zero(t, s.db.Stats().InUse)

		r := s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, joined, s.written())
	})
}

func TestRunTxRollsBackWhenItIsStopped(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(3)
		var r *running
		started := make(chan struct{})
		r = s.run(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}), 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			_ = insert(ctx, tx, events)
			close(started)
			<-ctx.Done()
			return nil // although it is
		})
		<-started
		start := time.Now()
		require.NoError(t, r.stop())
		require.Less(t, time.Since(start), time.Second)
		require.Empty(t, s.written())

		r = s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, joined, s.written())
	})
}

func TestRunTxRefusesAZombieBeforeItsHandler(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		zombie := s.run(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}), 10, func(context.Context, *sql.Tx, []customerEvent) error {
			t.Error("it was called")
			return nil
		})
		successor := s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		joined := s.join(3)
		require.ErrorIs(t, <-zombie.done, stripekit.ErrCheckpointConflict)
		pass(time.Minute)
		require.NoError(t, successor.stop())
		require.Equal(t, joined, s.written())
	})
}

func TestRunTxWaitsForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(op, query string) fault{
		"it cannot be reached":              func(string, string) fault { return diesBefore },
		"it refuses transactions":           only(opBegin, isRefused),
		"it refuses the checkpoint":         only(opExec, isRefused),
		"the checkpoint is always locked":   only(opExec, isDisturbed),
		"connections break after each step": only(opExec, diesAfter),
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				var log bytes.Buffer
				handled := 0
				p := s.poller(stripekit.PollConfig{MaxAttempts: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				r := s.run(p, 10, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
					handled++
					return insert(ctx, tx, events)
				})
				s.faults.fail(away)
				joined := s.join(5)
				pass(time.Hour)
				require.Zero(t, handled)
				require.Contains(t, log.String(), "not committed")
				require.Less(t, bytes.Count(log.Bytes(), []byte("not committed")), 800, "the waits grow to 10 s")
				s.faults.fail(nil)
				pass(time.Minute)
				require.Equal(t, joined, s.written())
				require.Equal(t, 1, handled)
				require.Zero(t, p.Status().GivenUp)
				require.NoError(t, r.stop())
			})
		})
	}
}

// only chooses a fault for one operation.
func only(op string, f fault) func(string, string) fault {
	return func(o, _ string) fault {
		if o == op {
			return f
		}
		return noFault
	}
}

// TestRunTxRepeatsWhatIsNotTheFaultOfAnEvent has errors in the middle of a
// transaction that occur a number of times and then no more.
func TestRunTxRepeatsWhatIsNotTheFaultOfAnEvent(t *testing.T) {
	const inserts = "INSERT INTO customers (id) VALUES (?)"
	for name, tc := range map[string]struct {
		op     string
		query  string
		fault  fault
		times  int
		passes bool
	}{
		"deadlock in the handler":                   {opExec, inserts, isDisturbed, 10, true},
		"deadlock in the commit":                    {opCommit, "", isDisturbed, 10, true},
		"connection lost in the handler":            {opExec, inserts, diesBefore, 10, true},
		"connection lost before the commit":         {opCommit, "", diesBefore, 10, true},
		"connection lost after the commit":          {opCommit, "", diesAfter, 1, true},
		"deadlock without an end":                   {opExec, inserts, isDisturbed, 12, false},
		"connection lost in the handler every time": {opExec, inserts, diesBefore, 12, false},
		"statement of the handler refused":          {opExec, inserts, isRefused, 1, false},
		"commit refused, for a deferred constraint": {opCommit, "", isRefused, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(t *testing.T, s *shop) {
				gaveUp := 0
				p := s.poller(stripekit.PollConfig{MaxAttempts: 1, OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
					gaveUp++
					return nil
				}})
				r := s.run(p, 10, insert)
				joined := s.join(1)
				left := tc.times
				s.faults.fail(func(op, query string) fault {
					if op != tc.op || query != tc.query && tc.query != "" || left == 0 {
						return noFault
					}
					left--
					return tc.fault
				})
				pass(10 * time.Minute)
				if tc.passes {
					require.Equal(t, joined, s.written())
					require.Zero(t, gaveUp)
					require.NoError(t, p.Status().HandlerErr)
				} else {
					require.Empty(t, s.written())
					require.Equal(t, 1, gaveUp)
				}
				require.LessOrEqual(t, left, 1)
				s.faults.fail(nil)
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestRunTxOutlivesADeletedCheckpoint(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		p := s.poller(stripekit.PollConfig{})
		r := s.run(p, 10, insert)
		require.NoError(t, s.store.Delete(t.Context(), p.Key()))
		joined := s.join(3)
		pass(time.Minute)
		require.Equal(t, joined, s.written())
		require.NoError(t, r.stop())
	})
}

func TestRunTxCommitsTheBatchInHandAfterAPermanentError(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		joined := s.join(2)
		entered, leave := make(chan struct{}), make(chan struct{})
		r := s.run(s.poller(stripekit.PollConfig{From: stripekit.FromBeginning}), 2, func(ctx context.Context, tx *sql.Tx, events []customerEvent) error {
			close(entered)
			<-leave
			return insert(ctx, tx, events)
		})
		<-entered
		s.server.Fault("GET /v1/customers", stripetest.Every(), stripetest.Respond(http.StatusUnauthorized, `{"error": {"type": "invalid_request_error"}}`))
		pass(time.Minute)
		close(leave)
		require.ErrorIs(t, <-r.done, stripekit.ErrAuthentication)
		require.Equal(t, joined, s.written())
	})
}
