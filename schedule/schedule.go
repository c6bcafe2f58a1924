// Package schedule runs a function at fixed intervals, such as the sync job of a
// connector. It has no times of day: a report at two in the morning is for cron.
package schedule

import (
	"cmp"
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/duration"
	"github.com/stripekit/stripekit/internal/report"
)

// Schedule runs a function repeatedly at fixed times: Every, twice Every and so on
// after the call of Run, regardless of how long the function takes. The zero value
// is valid.
type Schedule struct {
	// Every is the time between two starts; 0 is 15 minutes. The minimum is 1 ms: 15
	// without time.Minute is 15 ns, and an error.
	Every time.Duration
	// AtOnce starts the first run when Schedule.Run is called, instead of Every
	// later.
	AtOnce bool
	// Observe is called after every run, on the goroutine that called Schedule.Run,
	// and must not block. If nil, it is not called, and errors and panics of the
	// function are ignored.
	Observe func(Run)
}

// Run is the report of one run of a Schedule.
type Run struct {
	Number   int           // the number of the run, from 1
	At       time.Time     // the scheduled start
	Duration time.Duration // from the actual start to the end
	Missed   int           // how many starts were skipped after the scheduled start, because this run took too long
	Err      error         // the error of the function; a *stripekit.PanicError if it panicked
}

// attrs returns the report for logs and for JSON.
func (r Run) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Int("number", r.Number),
		slog.Time("at", r.At.UTC()),
		slog.Float64("duration_seconds", report.Seconds(r.Duration)),
		slog.Int("missed", r.Missed),
		report.Error("error", r.Err),
	}
}

// LogValue returns the report as a group of attributes, for log/slog. They have the
// names and values of MarshalJSON.
func (r Run) LogValue() slog.Value { return slog.GroupValue(r.attrs()...) }

// MarshalJSON writes the report with these fields: number, at, duration_seconds, missed
// and, unless it is nil, error, which is the text of Err without API keys.
func (r Run) MarshalJSON() ([]byte, error) { return report.JSON(r.attrs()) }

// Run calls f at the scheduled times until ctx is cancelled. Then it returns nil, as
// soon as f has returned. Runs do not overlap: a start during a run is skipped, and
// counted in Run.Missed. An error or a panic of f ends only that run. Run returns an
// error only if Every is out of range.
func (s Schedule) Run(ctx context.Context, f func(context.Context) error) error {
	if err := duration.Check("stripe: Schedule.Every", s.Every); err != nil {
		return err
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
		// The next start is the first that is not in the past, possibly right now.
		elapsed := time.Since(start)
		next := max(tick+1, int((elapsed+every-1)/every))
		run.Missed, tick = next-tick-1, next
		timer.Reset(every*time.Duration(tick) - elapsed)
	}
}

// contained calls f, and returns a panic as an error.
func contained(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &stripekit.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}
