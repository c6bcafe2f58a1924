// Package schedule runs a function at fixed times: the job that a connector
// repeats every so often.
package schedule

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/stripekit/stripekit"
)

// Schedule runs a function again and again at fixed times: after Every, twice
// Every and so on from the start of Run, however long the function takes. Its
// zero value is good.
type Schedule struct {
	// Every is the time between two starts; 0 is 15 minutes.
	Every time.Duration
	// AtOnce has the first run start with Run, instead of Every later.
	AtOnce bool
	// Observe is called after every run, on the goroutine that called Schedule.Run,
	// and must not block. If it is nil, errors and panics go unnoticed.
	Observe func(Run)
}

// Run describes one run of a Schedule, after its end.
type Run struct {
	Number   int           // from 1
	At       time.Time     // the start it was scheduled for
	Duration time.Duration // from the actual start
	Missed   int           // starts since the run before that fell into it, and were left out
	Err      error         // of the function; a *stripekit.PanicError if it panicked
}

// Run calls f until ctx is cancelled, and returns nil then, at once or as soon
// as f has returned. Runs do not overlap: a start that falls into a run is left
// out and counted. An error or a panic of f ends that run alone. Run fails only
// if Every is negative.
func (s Schedule) Run(ctx context.Context, f func(context.Context) error) error {
	if s.Every < 0 {
		return errors.New("stripe: Schedule.Every is negative")
	}
	every := cmp.Or(s.Every, 15*time.Minute)
	start, tick := time.Now(), 1
	if s.AtOnce {
		tick = 0
	}
	timer := time.NewTimer(every * time.Duration(tick))
	defer timer.Stop()
	for run := (Run{Number: 1}); ; run.Number++ {
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return nil
		}
		run.At = start.Add(every * time.Duration(tick))
		began := time.Now()
		run.Err = contained(ctx, f)
		run.Duration = time.Since(began)
		if s.Observe != nil {
			s.Observe(run)
		}
		// The next start that is not over; one of this very moment is not.
		elapsed := time.Since(start)
		next := max(tick+1, int((elapsed+every-1)/every))
		run.Missed, tick = next-tick-1, next
		timer.Reset(every*time.Duration(tick) - elapsed)
	}
}

// contained calls f and makes an error of its panic.
func contained(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &stripekit.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}
