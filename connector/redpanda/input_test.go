package redpanda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

var errRefused = errors.New("refused by the test")

func TestMessagesHaveTheObjectAndMetadata(t *testing.T) {
	server, ids := newServer(t, 3)
	messages := make(chan received)
	p := run(t, fromBeginning(server)+toConsumer, into(messages))
	for _, id := range ids {
		m := next(t, messages)
		require.Equal(t, id, m.body["id"])
		require.EqualValues(t, 500, m.body["amount"])
		created := time.Unix(int64(m.body["created"].(float64)), 0).UTC().Format(time.RFC3339)
		require.Equal(t, map[string]any{
			"stripe_trigger": "charges.new", "stripe_id": id, "stripe_created": created,
			"stripe_attempt": int64(1), "stripe_late": false,
		}, m.meta)
	}
	p.stop()
	requireNoneLeft(t)
}

// Stripe sends JSON over many lines.
func TestMessageIsOneLine(t *testing.T) {
	server, _ := newServer(t, 0)
	server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(200, "{\n \"data\": [\n  {\n \"id\": \"ch_1\",\n \"created\": 5,\n \"description\": \"a b\"\n }\n ], \"has_more\": false }"))
	texts := make(chan string)
	run(t, fromBeginning(server)+toConsumer, func(_ context.Context, m *service.Message) error {
		text, err := m.AsBytes()
		texts <- string(text)
		return err
	})
	require.Equal(t, `{"id":"ch_1","created":5,"description":"a b"}`, next(t, texts))
}

func TestMessageThatCannotBeDecodedSaysWhy(t *testing.T) {
	server, _ := newServer(t, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		fmt.Fprint(w, strings.ReplaceAll(answer.Body.String(), `"amount": 500`, `"amount": "a lot"`))
	}))
	t.Cleanup(proxy.Close)
	messages := make(chan received)
	yaml := strings.Replace(fromBeginning(server), server.URL, proxy.URL, 1)
	run(t, yaml+toConsumer, into(messages))
	m := next(t, messages)
	require.Equal(t, "a lot", m.body["amount"])
	require.Contains(t, m.meta["stripe_decode_error"], "amount")
}

func TestRejectedMessageIsDeliveredAgainLaterEachTime(t *testing.T) {
	server, ids := newServer(t, 3)
	messages := make(chan received, 100)
	run(t, fromBeginning(server)+toConsumer, func(_ context.Context, m *service.Message) error {
		r, err := receive(m)
		messages <- r
		if err == nil && r.id == ids[1] && r.meta["stripe_attempt"].(int64) < 4 {
			return errRefused
		}
		return err
	})
	var others []string
	var times []time.Time
	for len(times) < 4 {
		m := next(t, messages)
		if m.id != ids[1] {
			others = append(others, m.id)
			continue
		}
		times = append(times, m.at)
		require.EqualValues(t, len(times), m.meta["stripe_attempt"])
	}
	require.Equal(t, []string{ids[0], ids[2]}, others, "a rejected message holds nothing back")
	for i, least := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond} {
		require.GreaterOrEqual(t, times[i+1].Sub(times[i]), least)
	}
}

func TestMessageIsDroppedAfterMaxAttempts(t *testing.T) {
	server, ids := newServer(t, 2)
	var mu sync.Mutex
	attempts := map[string]int{}
	p := run(t, fromBeginning(server, "      max_attempts: 3")+toConsumer, func(_ context.Context, m *service.Message) error {
		r, err := receive(m)
		mu.Lock()
		defer mu.Unlock()
		attempts[r.id]++
		if r.id == ids[0] {
			return errRefused
		}
		return err
	})
	p.logs.await(t, "stripe event given up", 1)
	p.stop()
	require.Regexp(t, "level=ERROR.*given up.*id="+ids[0], p.logs.String())
	require.Equal(t, map[string]int{ids[0]: 3, ids[1]: 1}, attempts)
}

// A batch that is never full holds all messages that the outputs may have.
func TestBatchThatCannotFillIsSentAfterItsPeriod(t *testing.T) {
	server, ids := newServer(t, 7)
	messages := make(chan received, len(ids))
	run(t, fromBeginning(server, "      max_unacked: 3")+`
output:
  broker:
    outputs: [ consume: {} ]
    batching: { count: 4, period: 50ms }
`, into(messages))
	for _, id := range ids {
		require.Equal(t, id, next(t, messages).id)
	}
}

// TestStopSavesAcknowledgementsInAnyOrder holds every third message until all others are
// acknowledged, and one until the pipeline has been stopped.
func TestStopSavesAcknowledgementsInAnyOrder(t *testing.T) {
	server, ids := newServer(t, 30)
	yaml := fromBeginning(server, checkpointIn(t.TempDir())) + "output:\n  consume:\n    max_in_flight: 10\n"
	messages, release := make(chan received, len(ids)), make(chan struct{})
	p := run(t, yaml, func(ctx context.Context, m *service.Message) error {
		r, err := receive(m)
		switch i := slices.Index(ids, r.id); {
		case err != nil:
			return err
		case i == 6:
			return errRefused
		case i < 9 && i%3 == 0:
			<-release
		}
		messages <- r
		return nil
	})
	var got []string
	for len(got) < len(ids)-3 { // two are held, one is refused
		got = append(got, next(t, messages).id)
	}
	close(release)
	for len(got) < len(ids)-1 {
		got = append(got, next(t, messages).id)
	}
	require.ElementsMatch(t, []string{ids[0], ids[3]}, got[len(got)-2:])
	p.stop()

	again := make(chan received, len(ids))
	p = run(t, yaml, into(again))
	require.Equal(t, ids[6], next(t, again).id)
	marker := server.Seed("/v1/charges", stripetest.Seeding{})[0]
	require.Equal(t, marker, next(t, again).id, "nothing else is delivered again")
	p.stop()
	require.Empty(t, again)
	requireNoneLeft(t)
}

// TestInputContinuesAfterAnErrorWithoutACheckpoint: what is created while the input waits
// is delivered, although nothing is kept in a store.
func TestInputContinuesAfterAnErrorWithoutACheckpoint(t *testing.T) {
	server, _ := newServer(t, 0)
	messages := make(chan received)
	yaml := strings.Replace(fromBeginning(server), "      from: beginning\n", "", 1)
	p := run(t, yaml+toConsumer, into(messages))
	p.logs.await(t, "stripe poller started", 1)
	require.Eventually(t, func() bool { return server.Count("GET /v1/charges") > 1 }, soon, time.Millisecond)
	ended := server.Fault("GET /v1/charges", stripetest.First(1), stripetest.Respond(http.StatusUnauthorized, `{"error": {"type": "invalid_request_error", "message": "the key is gone"}}`))
	p.logs.await(t, "Failed to connect to stripe", 1)
	require.Equal(t, 1, ended.Struck())
	id := server.Seed("/v1/charges", stripetest.Seeding{})[0]
	server.Advance(time.Minute)
	require.Equal(t, id, next(t, messages).id)
	require.Contains(t, p.logs.String(), "the key is gone")
}

// The flow ends while the output has messages that it accepts later.
func TestFlowThatEndedRepeatsNoMessageInFlight(t *testing.T) {
	server, ids := newServer(t, 5)
	messages, release := make(chan received, 100), make(chan struct{})
	p := run(t, fromBeginning(server, checkpointIn(t.TempDir()))+"output:\n  consume: { max_in_flight: 10 }\n", func(_ context.Context, m *service.Message) error {
		r, err := receive(m)
		messages <- r
		<-release
		return err
	})
	var got []string
	for range ids {
		got = append(got, next(t, messages).id)
	}
	server.Fault("GET /v1/charges", stripetest.First(1), stripetest.Respond(http.StatusUnauthorized, `{"error": {"type": "invalid_request_error", "message": "the key is gone"}}`))
	p.logs.await(t, "Failed to connect to stripe", 1)
	close(release)
	last := server.Seed("/v1/charges", stripetest.Seeding{})[0]
	server.Advance(time.Minute)
	got = append(got, next(t, messages).id)
	require.ElementsMatch(t, append(ids, last), got, "each once")
	require.NotContains(t, p.logs.String(), "changed by another poller")
}

func TestErrorThatStaysIsLoggedEachTimeWithoutHaste(t *testing.T) {
	server, _ := newServer(t, 1, stripetest.WithKeys("sk_test_another"))
	began := time.Now()
	p := run(t, fromBeginning(server)+toConsumer, into(nil))
	p.logs.await(t, "Failed to connect to stripe", 2)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
	require.LessOrEqual(t, len(server.Requests()), 8)
	require.Contains(t, p.logs.String(), "Invalid API Key")
	p.stop()
	requireNoneLeft(t)
}

func TestMissingEventsAreNotPassedOver(t *testing.T) {
	server, _ := newServer(t, 0)
	yaml := strings.Replace(fromBeginning(server, checkpointIn(t.TempDir())), "charges.new", "charges.changed", 1)
	yaml = strings.Replace(yaml, "      from: beginning\n", "", 1) + toConsumer
	messages := make(chan received, 10)
	p := run(t, yaml, into(messages))
	p.logs.await(t, "stripe poller started", 1)
	require.Eventually(t, func() bool { return server.Count("GET /v1/events") > 2 }, soon, time.Millisecond)
	p.stop()

	server.Advance(40 * 24 * time.Hour)
	p = run(t, yaml, into(messages))
	p.logs.await(t, "Failed to connect to stripe", 2)
	require.Contains(t, p.logs.String(), stripekit.ErrGap.Error())
	require.Empty(t, messages)
}

func TestSecondPipelineOnACheckpointIsReported(t *testing.T) {
	server, _ := newServer(t, 3)
	yaml := fromBeginning(server, checkpointIn(t.TempDir())) + toConsumer
	messages := make(chan received, 100)
	older := run(t, yaml, into(messages))
	older.logs.await(t, "stripe poller started", 1)
	newer := run(t, yaml, into(messages))
	newer.logs.await(t, "stripe poller started", 1)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 5})
	older.logs.await(t, "Failed to connect to stripe", 1)
	require.Contains(t, older.logs.String(), stripekit.ErrCheckpointConflict.Error())
}

func TestInputWaitsForItsStore(t *testing.T) {
	server, _ := newServer(t, 1)
	for url, want := range map[string]string{
		"nats://user:hidden@127.0.0.1:1":   "no servers available",
		"nats://user:hid/hidden@127.0.0.1": "checkpoint.nats.url: is not a URL",
	} {
		p := run(t, fromBeginning(server, "    checkpoint:", "      nats:", "        url: "+url)+toConsumer, into(nil))
		p.logs.await(t, "Failed to connect to stripe", 2)
		p.stop()
		require.Contains(t, p.logs.String(), want)
		require.NotContains(t, p.logs.String(), "hid")
	}
	require.Empty(t, server.Requests(), "nothing is requested before")
	requireNoneLeft(t)
}

func TestMetricsTellTheState(t *testing.T) {
	began := time.Now()
	server, ids := newServer(t, 5)
	mux := http.NewServeMux()
	consume, release := make(chan struct{}), make(chan struct{})
	stream, _, err := build(t, fromBeginning(server, "      max_attempts: 1")+toConsumer+"metrics:\n  json_api: {}\n", func(_ context.Context, m *service.Message) error {
		r, err := receive(m)
		switch {
		case err != nil:
			return err
		case r.id == ids[0]:
			return errRefused
		}
		consume <- struct{}{}
		<-release
		return nil
	}, func(b *service.StreamBuilder) { b.SetHTTPMux(mux) })
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- stream.Run(context.Background()) }()
	next(t, consume)
	metric := func(name string) string {
		response := httptest.NewRecorder()
		mux.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		var all map[string]any
		require.NoError(t, json.Unmarshal(response.Body.Bytes(), &all))
		return fmt.Sprint(all[name+`{label="",path="root.input"}`])
	}
	require.Eventually(t, func() bool { return metric("stripe_given_up") == "1" }, soon, 10*time.Millisecond)
	require.Equal(t, "4", metric("stripe_unacked"))
	require.Equal(t, "0", metric("stripe_failed_requests"))
	lag, err := strconv.Atoi(metric("stripe_lag_seconds"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, lag, 60, "a minute ago the last one was created")
	require.LessOrEqual(t, lag, 65+int(time.Since(began).Seconds()))
	close(release)
	for range 3 {
		next(t, consume)
	}
	require.NoError(t, stream.StopWithin(soon))
	require.NoError(t, <-ended)
}

func TestEachKindOfCheckpointContinuesAndIsClosed(t *testing.T) {
	for name, checkpoint := range kindsOfCheckpoint {
		t.Run(name, func(t *testing.T) {
			server, ids := newServer(t, 2)
			yaml := fromBeginning(server, checkpoint(t)) + toConsumer
			for range 2 {
				messages := make(chan received, 10)
				p := run(t, yaml, into(messages))
				var got []string
				for range ids {
					got = append(got, next(t, messages).id)
				}
				p.stop()
				requireNoneLeft(t)
				require.Equal(t, ids, got)
				require.Empty(t, messages)
				ids = server.Seed("/v1/charges", stripetest.Seeding{})
			}
		})
	}
}
