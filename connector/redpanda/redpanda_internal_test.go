package redpanda

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripetest"
)

func TestNackDelayDoublesUpToABound(t *testing.T) {
	for _, test := range []struct {
		first   time.Duration
		attempt int
		want    time.Duration
	}{
		{time.Second, 1, time.Second},
		{time.Second, 2, 2 * time.Second},
		{time.Second, 9, 256 * time.Second},
		{time.Second, 10, 5 * time.Minute},
		{time.Second, 1 << 40, 5 * time.Minute},
		{time.Hour, 1, time.Hour},
		{time.Hour, 3, time.Hour},
		{0, 1 << 20, 0},
	} {
		require.Equal(t, test.want, nackDelay(test.first, test.attempt), "%v, attempt %d", test.first, test.attempt)
	}
}

func TestPauseGrowsUpToABound(t *testing.T) {
	in := new(input)
	var pauses []time.Duration
	for range 8 {
		pauses = append(pauses, in.nextPause(stripekit.ErrGap))
	}
	s := time.Second
	require.Equal(t, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, time.Minute, time.Minute}, pauses)
	require.Equal(t, time.Minute, new(input).nextPause(stripekit.ErrCheckpointConflict))
}

func TestIdempotencyKeyIsAddedToAnObject(t *testing.T) {
	for input, want := range map[string]string{
		`{}`:               `{"idempotency_key":"k"}`,
		" {\n } ":          `{"idempotency_key":"k"} `,
		` {"a": 1, "a":2}`: `{"idempotency_key":"k","a": 1, "a":2}`,
		`[]`:               `[]`,
		`{`:                `{"idempotency_key":"k",`,
		``:                 ``,
	} {
		got, err := withKey([]byte(input), "k")
		require.NoError(t, err)
		require.Equal(t, want, string(got), input)
	}
}

func TestSettingsAreThoseOfTheConfiguration(t *testing.T) {
	for yaml, want := range map[string]settings{
		"api_key: a": {apiKey: "a", timeout: 80 * time.Second, maxRetries: 3},
		"api_key: a\napi_version: b\nbase_url: c\nproxy: d\ntimeout: 5s\nmax_retries: 0\nrate_limit: { total: 2.5, search: 1 }": {
			apiKey: "a", apiVersion: "b", baseURL: "c", proxy: "d", timeout: 5 * time.Second,
			limited: true, rateLimit: stripekit.RateLimit{Total: 2.5, Search: 1},
		},
		"api_key: a\nrate_limit: { total: 0 }": {apiKey: "a", timeout: 80 * time.Second, maxRetries: 3, limited: true},
	} {
		conf, err := service.NewConfigSpec().Fields(clientFields()...).ParseYAML(yaml, nil)
		require.NoError(t, err)
		got, err := readSettings(conf)
		require.NoError(t, err)
		require.True(t, want == got, yaml)
	}
}

func TestRecordsAreLoggedByTheEngine(t *testing.T) {
	var text strings.Builder
	engine := service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	log := slog.New(logHandler{log: engine})
	log.Debug("looking 100%")
	log.With("every", time.Second).Info("started")
	log.WithGroup("of").With("a", 1).Warn("failed", "error", &stripekit.Error{Method: "GET", Path: "/v1/charges", HTTPStatus: 500})
	log.Error("ended", "key", stripekit.NewSecret("sk_test_0123456789abcdef"))
	require.Equal(t, `level=DEBUG msg="looking 100%"
level=INFO msg=started every=1s
level=WARN msg=failed of.a=1 of.error="stripe: GET /v1/charges: 500 Internal Server Error"
level=ERROR msg=ended key=sk_test_…cdef
`, text.String())
}

// lines receives what is written, line by line.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestInputSaysWhyNothingNewIsRead reads three of four messages, as the engine does, with
// max_unacked 3.
func TestInputSaysWhyNothingNewIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		decide error // on one of them; nil if it is not decided on
		want   string
	}{
		"a batch waits for a fourth": {nil, "The outputs have 3 messages, which is config.max_unacked"},
		"one is rejected":            {errors.New("refused by the test"), "3 messages, which is config.max_unacked, were rejected or wait"},
	} {
		t.Run(name, func(t *testing.T) {
			server := stripetest.New(stripetest.InMemory())
			t.Cleanup(server.Close)
			server.Seed("/v1/charges", stripetest.Seeding{Count: 4, Every: time.Second})
			synctest.Test(t, func(t *testing.T) {
				warnings := make(lines, 10)
				in := newTestInput(t, server, warnings)
				require.NoError(t, in.Connect(t.Context()))
				var decide service.AckFunc
				for range 3 {
					var err error
					_, decide, err = in.Read(t.Context())
					require.NoError(t, err)
				}
				if test.decide != nil {
					require.NoError(t, decide(t.Context(), test.decide))
				}
				read := make(chan error)
				go func() {
					_, _, err := in.Read(t.Context())
					read <- err
				}()
				<-time.After(stalledAfter - 1)
				synctest.Wait()
				require.Empty(t, warnings)
				<-time.After(1)
				require.Contains(t, <-warnings, test.want)
				require.NoError(t, decide(t.Context(), nil))
				require.NoError(t, <-read)
				require.NoError(t, in.Close(t.Context()))
				require.Empty(t, warnings)
			})
		})
	}
}

// TestOutputThatFailsForAnHourLosesNothing rejects all messages for an hour.
func TestOutputThatFailsForAnHourLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		server.Seed("/v1/charges", stripetest.Seeding{Count: 2, Every: time.Second})
		in := newTestInput(t, server, make(lines, 1000))
		in.nackDelay = time.Second
		require.NoError(t, in.Connect(t.Context()))
		recovered := time.Now().Add(time.Hour)
		deliveries, accepted := map[string]int{}, map[string]int{}
		for len(accepted) < 3 {
			m, decide, err := in.Read(t.Context())
			require.NoError(t, err)
			id, _ := m.MetaGet("stripe_id")
			deliveries[id]++
			if time.Now().Before(recovered) {
				require.NoError(t, decide(t.Context(), errors.New("refused by the test")))
				continue
			}
			require.NoError(t, decide(t.Context(), nil))
			accepted[id]++
			if len(accepted) == 1 {
				server.Seed("/v1/charges", stripetest.Seeding{})
			}
		}
		require.NoError(t, in.Close(t.Context()))
		require.Less(t, time.Since(recovered), maxNackDelay+time.Minute)
		for id, n := range accepted {
			require.Equal(t, 1, n)
			require.LessOrEqual(t, deliveries[id], 22, "without haste: after 1 s, 2 s, 4 s … 5 m, 5 m")
		}
	})
}

func newTestInput(t *testing.T, server *stripetest.Server, warnings lines) *input {
	t.Helper()
	log := slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))
	res := service.MockResources(service.MockResourcesOptUseLogger(service.NewLoggerFromSlog(log)))
	conf, err := inputSpec().ParseYAML(`
api_key: sk_test_1
trigger: charges.new
nack_delay: 1h
config: { from: beginning, max_unacked: 3 }`, nil)
	require.NoError(t, err)
	made, err := newInput(conf, res)
	require.NoError(t, err)
	in := made.(*input)
	in.client, err = stripekit.New("sk_test_1", stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	return in
}

func TestDefaultMaxUnackedIsThatOfTheCatalog(t *testing.T) {
	form, err := connector.Describe("charges.new")
	require.NoError(t, err)
	i := slices.IndexFunc(form.Fields, func(f connector.Field) bool { return f.Name == "max_unacked" })
	require.Contains(t, form.Fields[i].Description, fmt.Sprintf("null is %d", defaultMaxUnacked))
}
