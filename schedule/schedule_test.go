package schedule_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/schedule"
)

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }

// week ends right before a scheduled start.
const week = 7*24*time.Hour - 1

// runs runs a schedule for a time, and returns the runs that it observed. f is called
// with the number of the run.
func runs(t *testing.T, s schedule.Schedule, during time.Duration, f func(ctx context.Context, number int) error) (seen []schedule.Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	s.Observe = func(r schedule.Run) { seen = append(seen, r) }
	number, running := 0, false
	require.NoError(t, s.Run(ctx, func(ctx context.Context) error {
		require.False(t, running, "runs overlap")
		running = true
		defer func() { running = false }()
		number++
		return f(ctx, number)
	}))
	require.Len(t, seen, number)
	return seen
}

func TestScheduleKeepsItsTimesForAWeek(t *testing.T) {
	for name, test := range map[string]struct {
		schedule schedule.Schedule
		takes    time.Duration
		first    time.Duration
		number   int
		spacing  time.Duration
		missed   int // before every run but the first
	}{
		"zero value":        {schedule.Schedule{}, 0, 15 * time.Minute, 7*24*4 - 1, 15 * time.Minute, 0},
		"at once":           {schedule.Schedule{AtOnce: true}, 0, 0, 7 * 24 * 4, 15 * time.Minute, 0},
		"every hour":        {schedule.Schedule{Every: time.Hour}, 0, time.Hour, 7*24 - 1, time.Hour, 0},
		"slow":              {schedule.Schedule{}, 14 * time.Minute, 15 * time.Minute, 7*24*4 - 1, 15 * time.Minute, 0},
		"as slow as can be": {schedule.Schedule{}, 15 * time.Minute, 15 * time.Minute, 7*24*4 - 1, 15 * time.Minute, 0},
		"too slow":          {schedule.Schedule{}, 15*time.Minute + 1, 15 * time.Minute, 7 * 24 * 2, 30 * time.Minute, 1},
		"too slow by far":   {schedule.Schedule{AtOnce: true}, 50 * time.Minute, 0, 7 * 24, time.Hour, 3},
		"slow, every 10 s":  {schedule.Schedule{Every: 10 * time.Second}, 25 * time.Second, 10 * time.Second, 7 * 24 * 120, 30 * time.Second, 2},
		"quick, every 10 s": {schedule.Schedule{Every: 10 * time.Second}, time.Millisecond, 10 * time.Second, 7*24*360 - 1, 10 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				seen := runs(t, test.schedule, week, func(context.Context, int) error {
					pass(test.takes)
					return nil
				})
				require.Len(t, seen, test.number)
				for i, run := range seen {
					want := schedule.Run{
						Number: i + 1, At: start.Add(test.first + time.Duration(i)*test.spacing),
						Duration: test.takes, Missed: test.missed,
					}
					if i == 0 {
						want.Missed = 0
					}
					if diff := cmp.Diff(want, run); diff != "" {
						t.Fatal(diff)
					}
				}
			})
		})
	}
}

func TestScheduleGoesOnAfterErrorsAndPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("not now")
		start := time.Now()
		seen := runs(t, schedule.Schedule{}, week, func(_ context.Context, number int) error {
			switch number % 4 {
			case 0:
				panic("boom")
			case 1:
				return failure
			case 2:
				panic(io.ErrUnexpectedEOF)
			}
			return nil
		})
		require.Len(t, seen, 7*24*4-1)
		for i, run := range seen {
			require.Equal(t, start.Add(time.Duration(i+1)*15*time.Minute), run.At)
			var panicked *stripekit.PanicError
			switch isPanic := errors.As(run.Err, &panicked); run.Number % 4 {
			case 0:
				require.True(t, isPanic)
				require.Equal(t, "boom", panicked.Value)
				require.EqualError(t, run.Err, "panic: boom")
				require.Contains(t, string(panicked.Stack), "TestScheduleGoesOnAfterErrorsAndPanics")
			case 1:
				require.Equal(t, failure, run.Err)
			case 2:
				require.True(t, isPanic)
				require.ErrorIs(t, run.Err, io.ErrUnexpectedEOF)
			case 3:
				require.NoError(t, run.Err)
			}
		}
	})
}

func TestScheduleCountsMissedStartsOnceAndMakesUpForNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		seen := runs(t, schedule.Schedule{Every: time.Minute}, 10*time.Minute-1, func(_ context.Context, number int) error {
			if number == 2 {
				pass(3*time.Minute + 30*time.Second)
			}
			return nil
		})
		var at []time.Duration
		var missed []int
		for _, run := range seen {
			at, missed = append(at, run.At.Sub(start)), append(missed, run.Missed)
		}
		require.Equal(t, []time.Duration{
			time.Minute, 2 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute,
		}, at)
		require.Equal(t, []int{0, 0, 3, 0, 0, 0}, missed)
	})
}

func TestScheduleStopsWaitingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		seen := runs(t, schedule.Schedule{Every: time.Hour}, 90*time.Minute, func(context.Context, int) error { return nil })
		require.Len(t, seen, 1)
		require.Equal(t, 90*time.Minute, time.Since(start))
	})
}

func TestScheduleStopsTheRunUnderWayAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		seen := runs(t, schedule.Schedule{AtOnce: true}, time.Minute, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			pass(time.Second) // clearing up
			return ctx.Err()
		})
		require.Len(t, seen, 1)
		require.ErrorIs(t, seen[0].Err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

func TestScheduleThatIsCancelledBeforeRunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		require.NoError(t, schedule.Schedule{AtOnce: true}.Run(ctx, func(context.Context) error {
			t.Error("ran")
			return nil
		}))
	}
}

func TestScheduleNeedsNoObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour-1)
		defer cancel()
		number := 0
		require.NoError(t, schedule.Schedule{}.Run(ctx, func(context.Context) error {
			number++
			panic("boom")
		}))
		require.Equal(t, 3, number)
	})
}

func TestScheduleRefusesATimeOutOfRange(t *testing.T) {
	for every, want := range map[time.Duration]string{
		-1: "stripe: Schedule.Every must not be negative",
		15: "stripe: Schedule.Every is 15ns: is the unit missing?",
	} {
		err := schedule.Schedule{Every: every}.Run(t.Context(), func(context.Context) error { return nil })
		require.EqualError(t, err, want)
	}
}
