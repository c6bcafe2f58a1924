package stripekit

import (
	"log/slog"

	"github.com/stripekit/stripekit/internal/report"
)

// attrs returns the status for logs and for JSON.
func (s PollStatus) attrs() []slog.Attr {
	var lastPoll slog.Attr
	if !s.LastPoll.IsZero() {
		lastPoll = slog.Time("last_poll", s.LastPoll.UTC())
	}
	return []slog.Attr{
		slog.Float64("lag_seconds", report.Seconds(s.Lag)),
		slog.Float64("oldest_unacknowledged_seconds", report.Seconds(s.OldestUnacked)),
		slog.Uint64("requests", s.Requests),
		slog.Uint64("delivered", s.Delivered),
		slog.Uint64("late", s.Late),
		slog.Uint64("given_up", s.GivenUp),
		slog.Int("unacknowledged", s.Unacked),
		slog.Float64("waiting_seconds", report.Seconds(s.Waiting)),
		slog.Int("failures", s.Failures),
		slog.Int("checkpoint_bytes", s.CheckpointBytes),
		lastPoll,
		report.Error("last_error", s.LastError),
		report.Error("handler_error", s.HandlerErr),
		report.Error("save_error", s.SaveErr),
	}
}

// LogValue returns the status as a group of attributes, for log/slog. They have the
// names and values of MarshalJSON.
func (s PollStatus) LogValue() slog.Value { return slog.GroupValue(s.attrs()...) }

// MarshalJSON writes the status with these fields: lag_seconds,
// oldest_unacknowledged_seconds, requests, delivered, late, given_up, unacknowledged,
// waiting_seconds, failures, checkpoint_bytes, last_poll, last_error, handler_error and
// save_error. An error is its text, without API keys. An error that is nil is left out,
// and so is last_poll before the first poll.
func (s PollStatus) MarshalJSON() ([]byte, error) { return report.JSON(s.attrs()) }
