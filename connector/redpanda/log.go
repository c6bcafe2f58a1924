package redpanda

import (
	"context"
	"log/slog"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// logHandler logs by the logger of a component, which filters by level.
type logHandler struct {
	log    *service.Logger
	prefix string // the names of the open groups, each with a dot
}

// Enabled returns true.
func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle logs a record.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	log := h.log
	r.Attrs(func(a slog.Attr) bool {
		log = h.with(log, a)
		return true
	})
	switch { // a message is not a format
	case r.Level >= slog.LevelError:
		log.Errorf("%s", r.Message)
	case r.Level >= slog.LevelWarn:
		log.Warnf("%s", r.Message)
	case r.Level >= slog.LevelInfo:
		log.Infof("%s", r.Message)
	default:
		log.Debugf("%s", r.Message)
	}
	return nil
}

// WithAttrs returns a handler that adds attributes to each record.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.log = h.with(h.log, a)
	}
	return h
}

// WithGroup returns a handler for the attributes of a group.
func (h logHandler) WithGroup(name string) slog.Handler {
	h.prefix += name + "."
	return h
}

func (h logHandler) with(log *service.Logger, a slog.Attr) *service.Logger {
	if err, ok := a.Value.Any().(error); ok {
		return log.With(h.prefix+a.Key, err.Error()) // an Error would log itself as a group
	}
	return log.With(h.prefix+a.Key, a.Value.Resolve().String())
}
