//go:build unix

package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/shops"
)

// The kinds of lines of a journal.
const (
	requested = "request" // of a list, before it is sent: account, path
	handled   = "handled" // an event by a plain handler: id
	poisoned  = "poison"  // an event on which a handler panics: id
	won       = "won"     // a shard
	drained   = "drained" // a shard that is stopped in order
	lost      = "lost"    // a shard whose right has ended
	warned    = "warned"  // a warning or error of the worker, for the reader
)

// journal is what a worker notes in a file. Each line is written by one call of the
// system, so that the file is complete up to the moment of a SIGKILL.
type journal struct{ file *os.File }

func openJournal(path string) (journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return journal{f}, err
}

// note writes a line: the time, the kind, and what the kind has.
func (j journal) note(at time.Time, kind string, values ...any) {
	line := fmt.Appendf(nil, "%d %s", at.UnixNano(), kind)
	for _, v := range values {
		line = fmt.Append(append(line, ' '), v)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		panic(err) // without its journal a worker shows nothing
	}
}

// shardLog is a slog.Handler that notes which shards the worker has, and warnings.
type shardLog struct{ journal }

func (shardLog) Enabled(context.Context, slog.Level) bool { return true }

func (l shardLog) Handle(_ context.Context, r slog.Record) error {
	kinds := map[string]string{
		"stripe fleet shard won": won, "stripe fleet shard drained": drained, "stripe fleet shard lost": lost,
	}
	if kind, ok := kinds[r.Message]; ok {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "shard" {
				l.note(r.Time, kind, a.Value.Int64())
			}
			return true
		})
	} else if r.Level >= slog.LevelWarn {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			text += " " + a.String()
			return true
		})
		l.note(r.Time, warned, strings.ReplaceAll(text, "\n", " "))
	}
	return nil
}

func (l shardLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l shardLog) WithGroup(string) slog.Handler      { return l }

// line is a line of a journal.
type line struct {
	worker  int   // the number of the worker
	at      int64 // in Unix nanoseconds
	kind    string
	account int
	list    shops.List
	shard   int
	text    string // an id, or a warning
}

// tail reads the lines that were written to a journal since the last call.
type tail struct {
	path   string
	offset int64
}

func (r *tail) read() ([]line, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var lines []line
	for {
		text, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return lines, nil // the rest is being written
		}
		l, err := parseLine(string(text))
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
		r.offset += int64(len(text) + 1)
		data = rest
	}
}

func parseLine(text string) (l line, err error) {
	if _, err = fmt.Sscan(text, &l.at, &l.kind); err != nil {
		return l, fmt.Errorf("journal: %q: %w", text, err)
	}
	_, rest, _ := strings.Cut(text, l.kind+" ")
	switch l.kind {
	case requested:
		var path string
		_, err = fmt.Sscan(rest, &l.account, &path)
		l.list = shops.List(strings.TrimPrefix(path, "/v1/"))
	case won, drained, lost:
		_, err = fmt.Sscan(rest, &l.shard)
	case handled, poisoned:
		l.text = rest
		var ok bool
		if l.account, l.list, _, ok = shops.ParseID(rest); !ok {
			err = fmt.Errorf("%q is no id", rest)
		}
	case warned:
		l.text = rest
	default:
		err = fmt.Errorf("%q is no kind", l.kind)
	}
	return l, err
}
