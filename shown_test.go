package stripekit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	jsonv2 "github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/schedule"
)

// shown are values as JSON and as text in a log. Those "with everything" have
// no field of the zero value.
var shown = map[string]struct {
	value      any
	json, text string
}{
	"a status of the zero value": {
		value: stripekit.PollStatus{},
		json: `{"lag_seconds":0,"oldest_unacknowledged_seconds":0,"requests":0,"delivered":0,"late":0,"given_up":0,` +
			`"unacknowledged":0,"waiting_seconds":0,"failures":0,"checkpoint_bytes":0}`,
		text: `s.lag_seconds=0 s.oldest_unacknowledged_seconds=0 s.requests=0 s.delivered=0 s.late=0 s.given_up=0 ` +
			`s.unacknowledged=0 s.waiting_seconds=0 s.failures=0 s.checkpoint_bytes=0`,
	},
	"a status with everything": {
		value: stripekit.PollStatus{
			LastPoll: time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600)), Lag: 90*time.Minute + time.Microsecond,
			OldestUnacked: 1500 * time.Millisecond, Requests: 1, Delivered: 2, Late: 3, GivenUp: 4, Unacked: 5, Waiting: 2 * time.Second,
			Failures: 6, LastError: &stripekit.Error{Method: "GET", Path: "/v1/charges", HTTPStatus: 500, Message: `"no"`},
			HandlerErr: errors.New("key " + markedKey + " \xff"), SaveErr: stripekit.ErrCheckpointConflict, CheckpointBytes: 7,
		},
		json: `{"lag_seconds":5400,"oldest_unacknowledged_seconds":1.5,"requests":1,"delivered":2,"late":3,"given_up":4,` +
			`"unacknowledged":5,"waiting_seconds":2,"failures":6,"checkpoint_bytes":7,"last_poll":"2026-01-31T12:00:00Z",` +
			`"last_error":"stripe: GET /v1/charges: 500 \"no\"","handler_error":"key sk_test_**** ` + "\uFFFD" + `",` +
			`"save_error":"` + stripekit.ErrCheckpointConflict.Error() + `"}`,
		text: `s.lag_seconds=5400 s.oldest_unacknowledged_seconds=1.5 s.requests=1 s.delivered=2 s.late=3 s.given_up=4 ` +
			`s.unacknowledged=5 s.waiting_seconds=2 s.failures=6 s.checkpoint_bytes=7 s.last_poll=2026-01-31T12:00:00.000Z ` +
			`s.last_error="stripe: GET /v1/charges: 500 \"no\"" s.handler_error="key sk_test_**** ` + "\uFFFD" + `" ` +
			`s.save_error="` + stripekit.ErrCheckpointConflict.Error() + `"`,
	},
	"an attempt of the zero value": {
		value: stripekit.Attempt{},
		json:  `{"method":"","path":"","attempt":0,"status":0,"duration_seconds":0,"request_id":""}`,
		text:  `s.method="" s.path="" s.attempt=0 s.status=0 s.duration_seconds=0 s.request_id=""`,
	},
	"an attempt with everything": {
		value: stripekit.Attempt{
			Method: "GET", Path: "/v1/charges", Number: 2, Status: 200, Duration: 1234567 * time.Microsecond, RequestID: "req_1",
			Err: errors.New("key " + markedKey),
		},
		json: `{"method":"GET","path":"/v1/charges","attempt":2,"status":200,"duration_seconds":1.234,"request_id":"req_1","error":"key sk_test_****"}`,
		text: `s.method=GET s.path=/v1/charges s.attempt=2 s.status=200 s.duration_seconds=1.234 s.request_id=req_1 s.error="key sk_test_****"`,
	},
	"a run of the zero value": {
		value: schedule.Run{},
		json:  `{"number":0,"at":"0001-01-01T00:00:00Z","duration_seconds":0,"missed":0}`,
		text:  `s.number=0 s.at=0001-01-01T00:00:00.000Z s.duration_seconds=0 s.missed=0`,
	},
	"a run with everything": {
		value: schedule.Run{
			Number: 1, At: time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600)), Duration: time.Minute, Missed: 2,
			Err: &stripekit.PanicError{Value: markedKey, Stack: []byte("…")},
		},
		json: `{"number":1,"at":"2026-01-31T12:00:00Z","duration_seconds":60,"missed":2,"error":"panic: sk_test_****"}`,
		text: `s.number=1 s.at=2026-01-31T12:00:00.000Z s.duration_seconds=60 s.missed=2 s.error="panic: sk_test_****"`,
	},
}

func TestReportsShowTheirErrorsAsText(t *testing.T) {
	for name, test := range shown {
		t.Run(name, func(t *testing.T) {
			requireJSON(t, test.json, test.value)
			require.Equal(t, "msg=m "+test.text+"\n", logged(test.value, func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }))
			require.Equal(t, `{"msg":"m","s":`+test.json+"}\n", logged(test.value, func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) }))
		})
	}
}

// brokenError is an error with a method that panics, as that of a nil pointer in place of
// nil does.
type brokenError struct{ text func() string }

func (e *brokenError) Error() string { return e.text() }

func TestPollStatusShowsErrorsWithoutAText(t *testing.T) {
	for want, broken := range map[string]*brokenError{
		"<nil>":                                 nil,
		"%!v(PANIC=Error method: sk_test_****)": {func() string { panic(markedKey) }},
	} {
		got, err := jsonv2.Marshal(stripekit.PollStatus{HandlerErr: broken})
		require.NoError(t, err)
		require.Contains(t, string(got), `"handler_error":"`+want)
	}
}

// requireJSON requires that both packages for JSON encode v so, also behind a pointer.
func requireJSON(t *testing.T, want string, v any) {
	t.Helper()
	pointer := reflect.New(reflect.TypeOf(v))
	pointer.Elem().Set(reflect.ValueOf(v))
	for _, v := range []any{v, pointer.Interface()} {
		got, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		got, err = jsonv2.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

// logged returns the line of a log with the attribute s, without time and level.
func logged(v any, handler func(io.Writer, *slog.HandlerOptions) slog.Handler) string {
	var out bytes.Buffer
	slog.New(handler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}})).Info("m", "s", v)
	return out.String()
}

func TestReportsShowAllOfTheirFields(t *testing.T) {
	for name, test := range shown {
		if !strings.HasSuffix(name, "everything") {
			continue
		}
		value := reflect.ValueOf(test.value)
		for i := range value.NumField() {
			require.False(t, value.Field(i).IsZero(), "%s: %s", name, value.Type().Field(i).Name)
		}
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(test.json), &fields))
		require.Len(t, fields, value.NumField(), name)
	}
}
