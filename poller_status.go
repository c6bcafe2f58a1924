package stripekit

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/transport"
)

// attrs returns the status for logs and for JSON.
func (s PollStatus) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.Float64("lag_seconds", seconds(s.Lag)),
		slog.Float64("oldest_unacknowledged_seconds", seconds(s.OldestUnacked)),
		slog.Uint64("requests", s.Requests),
		slog.Uint64("delivered", s.Delivered),
		slog.Uint64("late", s.Late),
		slog.Uint64("given_up", s.GivenUp),
		slog.Int("unacknowledged", s.Unacked),
		slog.Float64("waiting_seconds", seconds(s.Waiting)),
		slog.Int("failures", s.Failures),
		slog.Int("checkpoint_bytes", s.CheckpointBytes),
	}
	if !s.LastPoll.IsZero() {
		attrs = append(attrs, slog.Time("last_poll", s.LastPoll.UTC()))
	}
	for _, e := range []struct {
		name string
		err  error
	}{{"last_error", s.LastError}, {"handler_error", s.HandlerErr}, {"save_error", s.SaveErr}} {
		if e.err != nil {
			attrs = append(attrs, slog.String(e.name, strings.ToValidUTF8(transport.Mask(fmt.Sprint(e.err)), "\uFFFD")))
		}
	}
	return attrs
}

// seconds returns a time in seconds, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// LogValue returns the status as a group of attributes, for log/slog. They have the
// names and values of MarshalJSON.
func (s PollStatus) LogValue() slog.Value { return slog.GroupValue(s.attrs()...) }

// MarshalJSON writes the status with these fields: lag_seconds,
// oldest_unacknowledged_seconds, requests, delivered, late, given_up, unacknowledged,
// waiting_seconds, failures, checkpoint_bytes, last_poll, last_error, handler_error and
// save_error. An error is its text, without API keys. An error that is nil is left out,
// and so is last_poll before the first poll.
func (s PollStatus) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, a := range s.attrs() {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), a.Key...), '"', ':')
		value, err := json.Marshal(a.Value.Any())
		if err != nil {
			return nil, err
		}
		text = append(text, value...)
	}
	return append(text, '}'), nil
}
