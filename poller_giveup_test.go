package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// Events that are never handled, and those that are given up.

var errPoisoned = errors.New("poisoned")

func TestPollerRunGoesOnBehindEventsThatAlwaysFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		p := s.poller(cfg)
		handled, failed := map[string]int{}, map[string]int{}
		var poisoned []string
		end := runInBackground(t, p, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
			if e.Object.Name == "customer 500" { // 1 of each 1,000
				failed[e.ID]++
				return errPoisoned
			}
			handled[e.ID]++
			return nil
		})
		for range 4 {
			sold := s.sell(1000)
			poisoned = append(poisoned, sold[500])
			pass(10 * time.Minute)
		}
		require.Equal(t, 4*999, len(handled))
		for id, times := range handled {
			require.Equal(t, 1, times, id)
		}
		for _, id := range poisoned {
			require.Greater(t, failed[id], 8)
			require.Less(t, failed[id], 30, "repeated less and less often")
		}
		require.Equal(t, 4, p.Status().Unacked)
		require.ErrorIs(t, p.Status().HandlerErr, errPoisoned)
		require.NoError(t, end())

		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, poisoned, collect(events, time.Minute), "they come again after a restart, and nothing else does")
	})
}

func TestPollerMaxUnackedCountsWhatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{MaxUnacked: 10})
		events, stop := s.watch(p)
		defer stop()
		s.sell(300)
		var held []stripekit.Event[stripekit.Customer]
		for len(held) < 9 {
			held = append(held, <-events)
		}
		for range 200 { // far beyond the oldest, one at a time
			e := <-events
			e.Ack()
		}
		held = append(held, <-events)
		select {
		case <-events:
			t.Fatal("11 events without an acknowledgement")
		case <-time.After(time.Hour):
		}
		held[3].Nack(time.Minute) // is still not acknowledged
		e := <-events
		require.Equal(t, held[3].ID, e.ID)
		select {
		case <-events:
			t.Fatal("11 events without an acknowledgement")
		case <-time.After(time.Hour):
		}
		held[0].Term(errPoisoned) // given up, and with it acknowledged
		<-events
	})
}

func TestPollerGivesUpAfterMaxAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var dead deadLetters
		cfg := stripekit.PollConfig{MaxAttempts: 4, OnGiveUp: dead.keep, Checkpoints: new(stripekit.MemoryStore)}
		p := s.poller(cfg)
		attempts := map[string]int{}
		var times []time.Duration
		began := time.Now()
		end := runInBackground(t, p, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
			if attempts[e.ID]++; e.Object.Name == "customer 1" {
				times = append(times, time.Since(began))
				return fmt.Errorf("attempt %d: %w", e.Attempt, errPoisoned)
			}
			return nil
		})
		sold := s.sell(3)
		pass(time.Hour)
		require.Equal(t, map[string]int{sold[0]: 1, sold[1]: 4, sold[2]: 1}, attempts)
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second},
			[]time.Duration{0, times[1] - times[0], times[2] - times[0], times[3] - times[0]})
		require.Len(t, dead.events, 1)
		require.Equal(t, sold[1], dead.events[0].ID)
		require.Equal(t, 4, dead.events[0].Attempt)
		require.Equal(t, sold[1], (*dead.events[0].Object).(*stripekit.Customer).ID)
		require.EqualError(t, dead.reasons[0], "attempt 4: poisoned")
		require.EqualValues(t, 1, p.Status().GivenUp)
		require.Zero(t, p.Status().Unacked)
		require.NoError(t, end())

		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Hour), "given up is acknowledged, over a restart too")
	})
}

func TestPollerRunLeavesAnEventThatItsHandlerHasGivenUpToOnGiveUp(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Second} { // OnGiveUp is called before the handler returns, or after
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			var dead []string
			p := s.poller(stripekit.PollConfig{OnGiveUp: func(_ context.Context, e stripekit.Event[any], reason error) error {
				dead = append(dead, e.ID)
				if len(dead) < 3 {
					return errors.New("the dead letter cannot be stored")
				}
				return nil
			}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				done <- p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
					e.Term(errPoisoned)
					pass(wait)
					return nil
				})
			}()
			synctest.Wait()
			sold := s.sell(1)
			pass(time.Minute)
			require.Equal(t, []string{sold[0], sold[0], sold[0]}, dead)
			require.EqualValues(t, 1, p.Status().GivenUp)
			require.Zero(t, p.Status().Unacked)
			cancel()
			require.NoError(t, <-done)
		})
	}
}

func TestPollerRunKeepsAnEventThatItsHandlerRefusesAfterTheEndOfTheContext(t *testing.T) {
	for name, refuse := range map[string]func(customerEvent){
		"Nack":           func(e customerEvent) { e.Nack(0) },
		"Term":           func(e customerEvent) { e.Term(errPoisoned) },
		"Term and Nack":  func(e customerEvent) { e.Term(errPoisoned); e.Nack(0) },
		"Nack, and Term": func(e customerEvent) { e.Nack(0); e.Term(errPoisoned) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				var dead deadLetters
				cfg := stripekit.PollConfig{
					MaxAttempts: 1, OnGiveUp: dead.keep, Checkpoints: new(stripekit.MemoryStore), From: stripekit.FromBeginning,
				}
				sold := s.sell(1)
				for life := range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					err := s.poller(cfg).Run(ctx, func(_ context.Context, e customerEvent) error {
						if life == 0 {
							cancel()
						}
						refuse(e)
						return nil
					})
					cancel()
					require.NoError(t, err)
					require.Len(t, dead.events, min(life, 1), "none in the first life, and one in the second")
				}
				require.Equal(t, sold[0], dead.events[0].ID)
			})
		})
	}
}

func TestPollerTermGivesUpAtOnceAndOnce(t *testing.T) {
	for _, logged := range []bool{false, true} { // without OnGiveUp it is logged alone
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			var dead deadLetters
			cfg := stripekit.PollConfig{OnGiveUp: dead.keep, Checkpoints: new(stripekit.MemoryStore)}
			if logged {
				cfg.OnGiveUp = nil
			}
			p := s.poller(cfg)
			events, stop := s.watch(p)
			sold := s.sell(3)
			acked, termed, nacked := <-events, <-events, <-events
			acked.Ack()
			acked.Term(errPoisoned)
			termed.Term(errPoisoned)
			termed.Term(errors.New("again"))
			termed.Nack(0)
			nacked.Nack(time.Minute)
			nacked.Term(errPoisoned) // of a delivery that was refused before
			synctest.Wait()
			require.EqualValues(t, 1, p.Status().GivenUp)
			if !logged {
				require.Len(t, dead.events, 1)
				require.Equal(t, sold[1], dead.events[0].ID)
				require.Equal(t, errPoisoned, dead.reasons[0])
			}
			require.Equal(t, sold[2:], collect(events, 2*time.Minute))
			stop()

			events, stop = s.watch(s.poller(cfg))
			defer stop()
			require.Empty(t, collect(events, time.Minute))
		})
	}
}

func TestPollerKeepsAnEventThatOnGiveUpFailsFor(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errPoisoned },
		"a panic":  func() error { panic(errPoisoned) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				var calls, handled atomic.Int64
				p := s.poller(stripekit.PollConfig{
					MaxAttempts: 2,
					OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
						if calls.Add(1) < 4 {
							return fail()
						}
						return nil
					},
				})
				end := runInBackground(t, p, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
					if e.Object.Name == "customer 0" {
						return errors.New("no")
					}
					handled.Add(1)
					return nil
				})
				s.sell(2)
				for range 600 {
					if calls.Load() == 3 {
						break
					}
					pass(100 * time.Millisecond)
				}
				require.EqualValues(t, 1, p.Status().Unacked)
				require.Zero(t, p.Status().GivenUp)
				pass(10 * time.Minute)
				require.EqualValues(t, 4, calls.Load(), "delivered again each time, and then given up")
				require.EqualValues(t, 1, p.Status().GivenUp)
				require.Zero(t, p.Status().Unacked)
				require.EqualValues(t, 1, handled.Load())
				require.NoError(t, end())
			})
		})
	}
}

func TestPollerReportsWhyOnGiveUpFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		p := s.poller(stripekit.PollConfig{OnGiveUp: func(context.Context, stripekit.Event[any], error) error { panic(errPoisoned) }})
		events, stop := s.watch(p)
		defer stop()
		s.sell(1)
		e := <-events
		e.Term(errors.New("no"))
		synctest.Wait()
		require.ErrorIs(t, p.Status().HandlerErr, errPoisoned)
		_, panicked := errors.AsType[*stripekit.PanicError](p.Status().HandlerErr)
		require.True(t, panicked)
	})
}

func TestPollerGoesOnWhileOnGiveUpHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{
			OnGiveUp: func(ctx context.Context, _ stripekit.Event[any], _ error) error {
				<-ctx.Done()
				return ctx.Err()
			},
			Checkpoints: new(stripekit.MemoryStore),
		}
		p := s.poller(cfg)
		events, stop := s.watch(p)
		poisoned := s.sell(2)
		for range poisoned {
			e := <-events
			e.Term(errPoisoned)
		}
		for range 10 {
			sold := s.sell(30)
			require.Equal(t, sold, collect(events, 16*time.Second))
		}
		require.Equal(t, 2, p.Status().Unacked)
		start := time.Now()
		stop()
		require.Zero(t, time.Since(start), "the end does not wait for it")
		require.NoError(t, p.Err())

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, poisoned, collect(events, time.Minute), "what was not given up is delivered again")
	})
}

func TestPollerEventIsGivenUpOnceTheHangIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		awake := make(chan struct{})
		cfg := stripekit.PollConfig{
			OnGiveUp: func(context.Context, stripekit.Event[any], error) error {
				<-awake
				return nil
			},
			Checkpoints: new(stripekit.MemoryStore),
		}
		p := s.poller(cfg)
		events, stop := s.watch(p)
		s.sell(1)
		e := <-events
		e.Term(errPoisoned)
		synctest.Wait()
		stop()
		close(awake) // after the end
		pass(2 * time.Second)
		require.EqualValues(t, 1, p.Status().GivenUp)
		require.NoError(t, p.Flush(t.Context()))

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Minute))
	})
}
