package stripekit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestPollerRunAcksWhatIsHandledAndRepeatsWhatIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		ctx, cancel := context.WithCancel(t.Context())
		handled := map[string]int{}
		done := make(chan error)
		go func() {
			done <- s.poller(cfg).Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
				if handled[e.ID]++; e.Attempt < 3 {
					return errors.New("not now")
				}
				return nil
			})
		}()
		synctest.Wait()
		sold := s.sell(2)
		pass(time.Minute)
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, map[string]int{sold[0]: 3, sold[1]: 3}, handled)

		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Minute), "handled events are acknowledged and saved")
	})
}

func TestPollerRunRedeliversWhatItsHandlerNacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var times []time.Time
		p := s.poller(stripekit.PollConfig{})
		end := runInBackground(t, p, func(_ context.Context, e customerEvent) error {
			if times = append(times, time.Now()); e.Attempt == 1 {
				e.Nack(2 * time.Hour)
			}
			return nil
		})
		s.sell(1)
		pass(time.Hour)
		require.Len(t, times, 1)
		require.Equal(t, 1, p.Status().Unacked)
		pass(2 * time.Hour)
		require.Len(t, times, 2)
		require.Equal(t, 2*time.Hour, times[1].Sub(times[0]))
		require.Zero(t, p.Status().Unacked)
		require.NoError(t, end())
	})
}

func TestPollerRunSavesTheEventInHandWhenItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.poller(cfg).Run(ctx, func(context.Context, stripekit.Event[stripekit.Customer]) error {
				cancel()
				pass(time.Minute) // the poller has ended meanwhile
				return nil
			})
		}()
		synctest.Wait()
		s.sell(1)
		require.NoError(t, <-done)

		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Minute))
	})
}

func TestPollerRunEndsThePollerWhenTheHandlerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			_ = s.poller(cfg).Run(t.Context(), func(context.Context, stripekit.Event[stripekit.Customer]) error { panic("boom") })
		}()
		synctest.Wait()
		sold := s.sell(1)
		panicked := (<-done).(*stripekit.PanicError)
		require.Equal(t, "boom", panicked.Value)
		require.Contains(t, string(panicked.Stack), "run_test.go")

		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, sold, collect(events, time.Minute), "the event was not acknowledged")
	})
}

func TestPollerRunHandlesAsManyEventsAtATimeAsItHasWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ctx, cancel := context.WithCancel(t.Context())
		var now, most, handled atomic.Int64
		done := make(chan error)
		go func() {
			done <- s.poller(stripekit.PollConfig{Workers: 4}).Run(ctx, func(context.Context, stripekit.Event[stripekit.Customer]) error {
				most.Store(max(most.Load(), now.Add(1)))
				pass(time.Second)
				now.Add(-1)
				handled.Add(1)
				return nil
			})
		}()
		synctest.Wait()
		s.sell(40)
		pass(15*time.Second + 11*time.Second)
		require.EqualValues(t, 4, most.Load())
		require.EqualValues(t, 40, handled.Load())
		cancel()
		require.NoError(t, <-done)
	})
}

func TestPollerHandledDoesAsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		broken := errors.New("broken")
		var givenUp error
		p := s.poller(stripekit.PollConfig{MaxAttempts: 3, OnGiveUp: func(_ context.Context, _ stripekit.Event[any], reason error) error {
			givenUp = reason
			return nil
		}})
		events, stop := s.watch(p)
		defer stop()
		s.sell(2)

		first := <-events
		p.Handled(first, nil)
		require.Equal(t, 1, p.Status().Unacked)

		for attempt, wait := range []time.Duration{0, time.Second, 2 * time.Second} {
			start := time.Now()
			e := <-events
			require.Equal(t, attempt+1, e.Attempt)
			require.Equal(t, wait, time.Since(start))
			require.NoError(t, givenUp)
			p.Handled(e, broken)
			require.ErrorIs(t, p.Status().HandlerErr, broken)
		}
		synctest.Wait()
		require.ErrorIs(t, givenUp, broken)
		require.Zero(t, p.Status().Unacked)
		require.Equal(t, uint64(1), p.Status().GivenUp)

		s.sell(1)
		p.Handled(<-events, nil)
		require.NoError(t, p.Status().HandlerErr)
		require.NotPanics(t, func() { p.Handled(customerEvent{}, broken) }, "an event of no Poller")
	})
}

func TestPollerTellsItsConfigAndItsKey(t *testing.T) {
	client, err := stripekit.New("sk_test_x")
	require.NoError(t, err)
	store := new(stripekit.MemoryStore)
	p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{Name: "a b", Checkpoints: store, MaxAttempts: 3})
	require.NoError(t, err)
	cfg := p.Config()
	require.Same(t, store, cfg.Checkpoints)
	require.Equal(t, 3, cfg.MaxAttempts)
	require.Equal(t, 15*time.Second, cfg.Every, "a default")
	require.NotNil(t, cfg.Logger)
	require.Equal(t, "test///customers//a%20b", p.Key())
}

func TestPollerLogsWhetherItResumes(t *testing.T) {
	for name, from := range map[string]stripekit.Start{
		"FromNow": stripekit.FromNow, "FromBeginning": stripekit.FromBeginning, "FromTime": stripekit.FromTime(time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				var log bytes.Buffer
				cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore), From: from, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				for _, resumed := range []string{"resumed=false", "resumed=true"} {
					_, stop := s.watch(s.poller(cfg))
					require.Contains(t, log.String(), resumed)
					stop()
					synctest.Wait()
					log.Reset()
				}
			})
		})
	}
}
