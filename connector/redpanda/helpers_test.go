package redpanda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	_ "github.com/stripekit/stripekit/connector/redpanda/sqlinsert"
	"github.com/stripekit/stripekit/stripetest"
)

const (
	key = "sk_test_51SecretOfTheTests"
	// soon is a time after which something that must happen has not happened.
	soon = 2 * time.Minute
)

// logs collects what is logged, and lets tests wait for it.
type logs struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next line
}

func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(line)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until a text has been logged n times.
func (l *logs) await(t *testing.T, text string, n int) {
	t.Helper()
	timeout := time.After(soon)
	for {
		l.mu.Lock()
		count, changed := strings.Count(l.text.String(), text), l.changed
		l.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			require.Fail(t, "not logged", "%q, %d of %d times:\n%s", text, count, n, l)
		}
	}
}

// consumer is the output consume of a test. It returns an error to reject a message.
type consumer func(ctx context.Context, m *service.Message) error

func (consumer) Connect(context.Context) error                         { return nil }
func (c consumer) Write(ctx context.Context, m *service.Message) error { return c(ctx, m) }
func (consumer) Close(context.Context) error                           { return nil }

// pipeline is a pipeline that runs.
type pipeline struct {
	t      *testing.T
	logs   *logs
	stream *service.Stream
	ended  chan error
	stop   func()
}

// build builds a pipeline from YAML, in which consume is an output.
func build(t *testing.T, yaml string, consume consumer, more ...func(*service.StreamBuilder)) (*service.Stream, *logs, error) {
	t.Helper()
	env := service.NewEnvironment()
	require.NoError(t, env.RegisterOutput("consume", service.NewConfigSpec().Field(service.NewOutputMaxInFlightField().Default(1)),
		func(conf *service.ParsedConfig, _ *service.Resources) (service.Output, int, error) {
			inFlight, err := conf.FieldMaxInFlight()
			return consume, inFlight, err
		}))
	l := &logs{changed: make(chan struct{})}
	builder := env.NewStreamBuilder()
	builder.SetHTTPMux(http.NewServeMux())
	builder.SetLogger(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 8})))
	for _, set := range more {
		set(builder)
	}
	err := builder.SetYAML(yaml)
	var stream *service.Stream
	if err == nil {
		stream, err = builder.Build()
	}
	return stream, l, err
}

// run runs a pipeline until it is stopped or the test ends.
func run(t *testing.T, yaml string, consume consumer) *pipeline {
	t.Helper()
	stream, l, err := build(t, yaml, consume)
	require.NoError(t, err)
	p := &pipeline{t: t, logs: l, stream: stream, ended: make(chan error, 1)}
	go func() {
		err := stream.Run(context.Background())
		fmt.Fprintf(l, "the pipeline has ended: %v\n", err)
		p.ended <- err
	}()
	p.stop = sync.OnceFunc(func() {
		assert.NoError(t, stream.StopWithin(soon))
		assert.NotContains(t, l.String(), key)
	})
	t.Cleanup(p.stop)
	return p
}

// received is a message that an output has received.
type received struct {
	id      string
	body    map[string]any
	meta    map[string]any
	at      time.Time
	failure error // of a processor
}

func receive(m *service.Message) (received, error) {
	r := received{meta: map[string]any{}, at: time.Now(), failure: m.GetError()}
	_ = m.MetaWalkMut(func(name string, value any) error {
		r.meta[name] = value
		return nil
	})
	r.id, _ = r.meta["stripe_id"].(string)
	text, err := m.AsBytes()
	if err == nil {
		err = json.Unmarshal(text, &r.body)
	}
	return r, err
}

// into returns a consumer that accepts all messages, and sends them to a channel.
func into(messages chan<- received) consumer {
	return func(ctx context.Context, m *service.Message) error {
		r, err := receive(m)
		if err != nil {
			return err
		}
		select {
		case messages <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next returns the next message.
func next[T any](t *testing.T, messages <-chan T) T {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(soon):
		require.Fail(t, "no message")
		panic("unreachable")
	}
}

// newServer returns a fake Stripe with n charges, created a second apart until a minute ago.
func newServer(t *testing.T, n int, opts ...stripetest.Option) (*stripetest.Server, []string) {
	t.Helper()
	server := stripetest.New(opts...)
	t.Cleanup(server.Close)
	if n == 0 {
		return server, nil
	}
	first := time.Now().Add(-time.Minute - time.Duration(n)*time.Second)
	return server, server.Seed("/v1/charges", stripetest.Seeding{
		Count: n, First: first, Every: time.Second,
		Params: url.Values{"amount": {"500"}, "currency": {"usd"}, "source": {"tok_visa"}, "description": {"tea"}},
	})
}

// fromBeginning is an input with all charges. more are further lines of it.
func fromBeginning(server *stripetest.Server, more ...string) string {
	lines := append([]string{
		"input:", "  stripe:", "    api_key: " + key, "    base_url: " + server.URL, "    trigger: charges.new",
		"    max_retries: 0", "    nack_delay: 50ms", "    config:", "      every: 100ms", "      from: beginning",
	}, more...)
	return strings.Join(lines, "\n") + "\n"
}

// checkpointIn is the checkpoint of an input in a folder.
func checkpointIn(directory string) string {
	return fmt.Sprintf("    checkpoint:\n      file:\n        directory: %q", directory)
}

const toConsumer = "output:\n  consume: {}\n"

// requireNoneLeft requires that no goroutine of the library, of a database or of a
// connection to NATS is left.
func requireNoneLeft(t *testing.T) {
	t.Helper()
	var left []string
	require.Eventually(t, func() bool {
		left = nil
		stacks := make([]byte, 4<<20)
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			inTest := strings.Contains(stack, "testing.tRunner") || strings.Contains(stack, "stripetest") || strings.Contains(stack, "requireNoneLeft")
			for _, of := range []string{"stripekit", "database/sql.", "nats.go.(*Conn)"} {
				if !inTest && strings.Contains(stack, of) {
					left = append(left, stack)
				}
			}
		}
		return len(left) == 0
	}, soon, 10*time.Millisecond, "%v", &left)
}

// charges returns all charges.
func charges(t *testing.T, server *stripetest.Server) iter.Seq[*stripekit.Charge] {
	client, err := stripekit.New(key, stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	return func(yield func(*stripekit.Charge) bool) {
		for charge, err := range client.Charges.List(t.Context(), stripekit.ChargeListParams{}) {
			require.NoError(t, err)
			if !yield(charge) {
				return
			}
		}
	}
}
