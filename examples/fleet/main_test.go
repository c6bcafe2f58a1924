package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// TestMain lets the simulation start the test program as its workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-job" {
		main()
		return
	}
	os.Exit(m.Run())
}

// small are options for a short run.
func small() options {
	return options{
		workers: 3, connections: 40, selling: 8 * time.Second, kill: 4 * time.Second,
		every: 500 * time.Millisecond, period: time.Second, ttl: 3 * time.Second, replicas: 1,
	}
}

func TestEachChargeIsInTheStreamOnceThoughAWorkerIsKilled(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), small(), &out), &out)
	t.Log(&out)
	require.Regexp(t, `worker\d killed, starts again in 1s`, out.String())
	require.Regexp(t, `worker\d starts again\n`, out.String())
	require.Regexp(t, `\nkilled 1 times; published again, and dropped by the stream: \d+\n`, out.String())
	require.Regexp(t, `\ncreated [1-9]\d+, delivered [1-9]\d+, lost 0, twice 0\n$`, out.String())
}

// testBroker starts a broker until the end of the test.
func testBroker(t *testing.T) (*broker, jetstream.JetStream) {
	b, err := startBroker()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.stop()) })
	nc, err := nats.Connect(b.url())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return b, js
}

// watchedOutput calls saw with what was written so far.
type watchedOutput struct {
	bytes.Buffer
	saw func(text string)
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	w.saw(w.String())
	return n, err
}

func TestInterruptEndsInOrderAndLeavesNoStreamsAtTheBroker(t *testing.T) {
	for name, keep := range map[string]bool{"deleted": false, "kept": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, js := testBroker(t)
			o := small()
			o.natsURL, o.keep, o.selling, o.kill = b.url(), keep, time.Hour, 0
			ctx, interrupt := context.WithCancel(t.Context())
			delivered := regexp.MustCompile(`[1-9]\d* delivered`)
			out := &watchedOutput{saw: func(text string) {
				if delivered.MatchString(text) {
					interrupt()
				}
			}}
			require.NoError(t, run(ctx, o, out), out)
			require.Contains(t, out.String(), "\ninterrupted: ")
			require.Regexp(t, `^streams: STRIPEKIT_FLEET_\w+_RECORDS, `, out.String())
			require.Regexp(t, `\ncreated [1-9]\d*, delivered [1-9]\d*, lost 0, twice 0\n$`, out.String())
			names := 0
			for range js.StreamNames(t.Context()).Name() {
				names++
			}
			require.Equal(t, map[bool]int{false: 0, true: 3}[keep], names)
		})
	}
}

// startTestWorker starts a worker of a fleet without connections. It returns when the
// worker has a session.
func startTestWorker(t *testing.T, b *broker, js jetstream.JetStream) *process {
	names := newStreams("TEST")
	require.NoError(t, names.create(t.Context(), js, 1))
	pages := make(chan string, 1)
	j := job{Worker: "one", Page: anyPort, Streams: names, Shops: shopping{Connections: 1, Start: time.Now(), Period: time.Hour}, TTL: 3 * time.Second}
	p, err := startProcess(b.url(), j, func(kind, value string) {
		if kind == pageLine {
			pages <- value
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		if !p.hasEnded() {
			require.NoError(t, p.kill())
		}
	})
	select {
	case page := <-pages:
		require.Eventually(t, func() bool {
			metrics, err := read("http://" + page + "/metrics")
			return err == nil && strings.Contains(metrics, "\nstripekit_fleet_worker_session_valid 1\n")
		}, time.Minute, 50*time.Millisecond)
	case <-p.ended:
		require.Fail(t, "the worker has ended", "%v", p.err)
	}
	return p
}

func read(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestWorkerServesTheStatusPageUntilItsStandardInputEnds(t *testing.T) {
	b, js := testBroker(t)
	require.NoError(t, startTestWorker(t, b, js).stop())
}

func TestWorkerEndsWithItsStandardInputThoughTheBrokerIsGone(t *testing.T) {
	b, js := testBroker(t)
	p := startTestWorker(t, b, js)
	b.server.Shutdown()
	began := time.Now()
	require.NoError(t, p.stop())
	require.Less(t, time.Since(began), stopTimeout)
}

func TestSimulationFailsWhereAWorkerFails(t *testing.T) {
	b, js := testBroker(t)
	s := &simulation{
		options: small(), js: js, streams: newStreams("NONE"), out: output{w: io.Discard},
		shops: shopping{Connections: 1, Start: time.Now(), Until: time.Now().Add(time.Hour), Period: time.Hour},
	}
	s.natsURL, s.began, s.selling = b.url(), time.Now(), time.Hour
	require.NoError(t, s.start())
	require.ErrorContains(t, s.watch(t.Context()), "has ended by itself")
	require.ErrorContains(t, s.stop(), "exit status 1")
}

func TestBalanceNoticesWhatIsWrong(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	s := shopping{Connections: 2, Start: start, Until: start.Add(10 * time.Second), Period: time.Second}
	stripe, err := s.open()
	require.NoError(t, err)
	var latest shops.Object // the last one to be shown
	all := map[string]int{}
	for account := range s.Connections {
		for charge := range stripe.Objects(account, shops.Charges, s.Start, s.Until) {
			all[charge.ID()] = 1
			if charge.Visible.After(latest.Visible) {
				latest = charge
			}
		}
	}
	require.Len(t, all, 20)
	require.Equal(t, 20, created(stripe, s, s.Until))
	end := s.Until.Add(lateMax)
	for name, c := range map[string]struct {
		change func(times map[string]int)
		due    time.Time
		want   balance
	}{
		"nothing":              {func(map[string]int) {}, end, balance{created: 20, delivered: 20}},
		"a charge is missing":  {func(times map[string]int) { delete(times, "ch_1_3") }, end, balance{created: 20, delivered: 19, lost: 1}},
		"a charge twice":       {func(times map[string]int) { times["ch_0_9"]++ }, end, balance{created: 20, delivered: 20, twice: 1}},
		"missing and twice":    {func(times map[string]int) { delete(times, "ch_0_0"); times["ch_0_9"]++ }, end, balance{created: 20, delivered: 19, lost: 1, twice: 1}},
		"a charge of nobody":   {func(times map[string]int) { times["ch_2_0"]++ }, end, balance{created: 20, delivered: 20, unknown: 1}},
		"a charge not due yet": {func(times map[string]int) { delete(times, latest.ID()) }, latest.Visible, balance{created: 19, delivered: 19}},
	} {
		t.Run(name, func(t *testing.T) {
			counted := &counter{times: map[string]int{}}
			sequence := uint64(0)
			times := map[string]int{}
			for id := range all {
				times[id] = 1
			}
			c.change(times)
			for id, n := range times {
				for range n {
					sequence++
					counted.count(id, sequence)
				}
			}
			got := counted.balance(stripe, s, c.due)
			require.Equal(t, c.want, got)
			require.Equal(t, c.want.lost+c.want.twice+c.want.unknown > 0, got.wrong())
		})
	}
}

func TestReportIsAnErrorIfTheStreamDiffers(t *testing.T) {
	_, js := testBroker(t)
	var out bytes.Buffer
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	s := &simulation{
		js: js, streams: newStreams("TEST"), out: output{w: &out}, counter: counter{times: map[string]int{}},
		shops: shopping{Connections: 1, Start: start, Until: start.Add(10 * time.Second), Period: time.Second},
	}
	require.NoError(t, s.streams.create(t.Context(), js, 1))
	var err error
	s.stripe, err = s.shops.open()
	require.NoError(t, err)
	stop, err := s.counter.follow(t.Context(), js, s.streams.Events)
	require.NoError(t, err)
	defer stop()
	publish := func(k int) {
		m := nats.NewMsg(s.streams.subject())
		m.Header.Set("Stripekit-Id", fmt.Sprintf("ch_0_%d", k))
		_, err := js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
	}
	for k := range 9 {
		publish(k)
	}
	publish(4)
	require.EqualError(t, s.report(t.Context(), time.Now()),
		"the stream differs from the shops: created 10, delivered 9, lost 1, twice 1")
	publish(9)
	require.ErrorContains(t, s.report(t.Context(), time.Now()), "lost 0, twice 1")
	require.Contains(t, out.String(), "created 10, delivered 10, lost 0, twice 1\n")
}

func TestBadOptionsAreRefused(t *testing.T) {
	for problem, change := range map[string]func(*options){
		"-workers":     func(o *options) { o.workers = 0 },
		"-connections": func(o *options) { o.connections = 0 },
		"-for":         func(o *options) { o.selling = 0 },
		"-kill":        func(o *options) { o.kill = -1 },
		"-every":       func(o *options) { o.every = 0 },
		"-period":      func(o *options) { o.period = -1 },
		"TTL":          func(o *options) { o.ttl = time.Second },
		"-job":         func(o *options) { o.job = "nonsense" },
	} {
		o := small()
		change(&o)
		require.ErrorContains(t, run(t.Context(), o, io.Discard), problem)
	}
}

func TestJobIsReadAsItWasWritten(t *testing.T) {
	want := job{
		Worker: "one", Page: anyPort, Streams: newStreams("A"), TTL: time.Second,
		Shops: shopping{Connections: 3, Start: time.Unix(1, 0).UTC(), Until: time.Unix(2, 5).UTC(), Period: time.Hour},
	}
	encoded, err := json.Marshal(want)
	require.NoError(t, err)
	var got job
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Equal(t, want, got)
}
