package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/transport"
)

const (
	// reportTTL is how long a report is kept after its worker has stopped.
	reportTTL = time.Minute
	// maxReport is how many flows a report has at the most, and maxReportBytes how many
	// bytes.
	maxReport, maxReportBytes = 500, 100_000
	// maxError is how many bytes of an error are shown.
	maxError = 300
)

// report is the flows of a worker that are not all right, the worst first, so that each
// process can show them.
type report struct {
	At    time.Time    `json:"at"` // that of the sample
	Flows []flowReport `json:"flows"`
	More  int          `json:"more,omitempty"` // how many have no place
}

// flowReport is the state of a flow in a report, and in the JSON of the status page.
type flowReport struct {
	Connection string   `json:"connection,omitempty"`
	Trigger    string   `json:"trigger"`
	State      State    `json:"state"` // see conditions
	Error      string   `json:"error,omitempty"`
	Lag        *float64 `json:"lag_seconds,omitempty"` // nil if it is not known
	Unacked    int      `json:"unacknowledged,omitempty"`
	GivenUp    uint64   `json:"given_up,omitempty"`
}

func (s *flowStatus) report() flowReport {
	r := flowReport{
		Connection: s.connection, Trigger: s.trigger, State: s.condition(),
		Lag: lagSeconds(s.lag), Unacked: s.unacked, GivenUp: s.givenUp,
	}
	if s.err != nil {
		r.Error = shownError(s.err)
	}
	return r
}

func lagSeconds(lag time.Duration) *float64 {
	if lag == noLag {
		return nil
	}
	return new(float64(lag.Milliseconds()) / 1000)
}

// shownError returns the text of an error as it is stored and shown. The library puts no
// key into an error, but a handler or Config.Keys may.
func shownError(err error) string {
	text := strings.ToValidUTF8(transport.Quote(err.Error()), "\uFFFD")
	if len(text) <= maxError {
		return text
	}
	cut := maxError
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// encodeReport returns a report about flows, which are sorted.
func encodeReport(at time.Time, flows []flowStatus) []byte {
	r := report{At: at, Flows: []flowReport{}}
	size := 0
	for i := range flows[:min(len(flows), maxReport)] {
		next := flows[i].report()
		encoded, _ := json.Marshal(next) // it never fails
		if size += len(encoded) + 1; size > maxReportBytes {
			break
		}
		r.Flows = append(r.Flows, next)
	}
	r.More = len(flows) - len(r.Flows)
	value, _ := json.Marshal(r)
	return value
}

// report stores a report, or deletes the last one if there is nothing to report. It
// returns the revision of the record.
func (w *worker) report(at time.Time, flows []flowStatus, revision uint64) uint64 {
	if len(flows) == 0 && revision == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(w.ctx, sampleEvery/2)
	defer cancel()
	engine, key := w.fleet.cfg.Engine, reportPrefix+w.fleet.cfg.Worker
	for range 2 {
		var next uint64
		var err error
		if len(flows) == 0 {
			err = engine.Delete(ctx, key, revision)
		} else {
			next, err = engine.Put(ctx, key, encodeReport(at, flows), revision, reportTTL)
		}
		switch {
		case err == nil:
			return next
		case !errors.Is(err, stripekit.ErrCheckpointConflict):
			return revision // the Engine accepts it again
		}
		// It has expired, or is that of an earlier process.
		if _, revision, err = engine.Get(ctx, key); err != nil {
			return 0
		}
	}
	return revision
}
