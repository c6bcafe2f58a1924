// Package report writes what is observed as attributes of a log and as JSON.
package report

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/transport"
)

// Seconds returns a time in seconds, to the millisecond.
func Seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// Error returns an attribute with the text of an error without secrets, or the empty
// attribute if the error is nil.
func Error(name string, err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String(name, strings.ToValidUTF8(transport.Quote(fmt.Sprint(err)), "\uFFFD"))
}

// JSON returns the attributes as an object, without those that are empty.
func JSON(attrs []slog.Attr) ([]byte, error) {
	text := []byte{'{'}
	for _, a := range attrs {
		if a.Equal(slog.Attr{}) {
			continue
		}
		if len(text) > 1 {
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
