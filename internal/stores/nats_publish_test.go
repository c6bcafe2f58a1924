package stores_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/natsstore"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

// newsroom is a fake Stripe, and a NATS server on which its customers are published.
type newsroom struct {
	t      *testing.T
	client *stripekit.Client
	stripe *stripetest.Server
	nats   *servers.NATS
	js     jetstream.JetStream
	store  *natsstore.Store
}

func newNewsroom(t *testing.T, change ...func(*servers.NATSConfig)) *newsroom {
	t.Helper()
	cfg := servers.NATSConfigs(t, 1)[0]
	for _, c := range change {
		c(&cfg)
	}
	r := &newsroom{t: t, nats: servers.StartNATSWith(t, cfg)}
	r.js = connectNATS(t, r.nats.URL())
	r.client, r.stripe = stripekittest.NewClient(t)
	_, r.store = createStore(t, r.js)
	return r
}

// stream creates the stream of the events.
func (r *newsroom) stream(change ...func(*jetstream.StreamConfig)) {
	r.t.Helper()
	cfg := jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"stripe.>"}, Duplicates: time.Hour}
	for _, c := range change {
		c(&cfg)
	}
	_, err := r.js.CreateOrUpdateStream(r.t.Context(), cfg)
	require.NoError(r.t, err)
}

// join makes n customers with a description of a size, a second apart, and returns
// their ids in order.
func (r *newsroom) join(n, size int) []string {
	return r.stripe.Seed("/v1/customers", stripetest.Seeding{
		Count: n, First: time.Now().Add(-time.Duration(n+3600) * time.Second), Every: time.Second,
		Params: url.Values{"description": {strings.Repeat("x", size)}},
	})
}

func (r *newsroom) poller(cfg stripekit.PollConfig) *customerPoller {
	r.t.Helper()
	if cfg.Checkpoints == nil {
		cfg.Checkpoints = r.store
	}
	cfg.From, cfg.Every = stripekit.FromBeginning, 20*time.Millisecond
	p, err := stripekit.NewPoller(r.client.Customers, cfg)
	require.NoError(r.t, err)
	return p
}

// publishing is a call of Publish.
type publishing struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

func publish[T any](t *testing.T, p *stripekit.Poller[T], js jetstream.JetStream) *publishing {
	ctx, cancel := context.WithCancel(t.Context())
	run := &publishing{t, cancel, make(chan error, 1)}
	go func() { run.done <- natsstore.Publish(ctx, p, js, "stripe.customers") }()
	t.Cleanup(cancel)
	return run
}

// stop cancels the call, and waits for its end.
func (p *publishing) stop() error {
	p.t.Helper()
	p.cancel()
	return p.end()
}

func (p *publishing) end() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(soon):
		p.t.Fatal("Publish does not end")
		return nil
	}
}

// published returns how many messages are in the stream of the events; -1 if the
// server does not say.
func (r *newsroom) published() int {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	stream, err := r.js.Stream(ctx, "EVENTS")
	if err != nil {
		return -1
	}
	return int(stream.CachedInfo().State.Msgs)
}

func (r *newsroom) await(n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.published() >= n }, soon, 5*time.Millisecond)
}

// messages returns all messages of the stream of the events.
func (r *newsroom) messages() (all []jetstream.Msg) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), "EVENTS")
	require.NoError(r.t, err)
	consumer, err := stream.OrderedConsumer(r.t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(r.t, err)
	want := int(stream.CachedInfo().State.Msgs)
	for len(all) < want {
		batch, err := consumer.FetchNoWait(want - len(all))
		require.NoError(r.t, err)
		for m := range batch.Messages() {
			all = append(all, m)
		}
		require.NoError(r.t, batch.Error())
	}
	return all
}

// has requires that the stream has exactly these objects, in order.
func (r *newsroom) has(ids []string) {
	r.t.Helper()
	got := r.ids()
	sorted := func(ids []string) []string { return slices.Sorted(slices.Values(ids)) }
	require.True(r.t, slices.Equal(sorted(ids), sorted(got)), "%d objects, %d messages", len(ids), len(got))
	for i, id := range ids {
		require.Equal(r.t, id, got[i], "message %d", i)
	}
}

// ids returns the ids in the stream of the events, in order.
func (r *newsroom) ids() (ids []string) {
	for _, m := range r.messages() {
		ids = append(ids, m.Headers().Get(natsstore.IDHeader))
	}
	return ids
}

// saved requires that the checkpoint has every event acknowledged: a further Poller
// delivers none.
func (r *newsroom) saved() {
	r.t.Helper()
	p := r.poller(stripekit.PollConfig{})
	ctx, cancel := context.WithCancel(r.t.Context())
	events, err := p.Start(ctx)
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool { return !p.Status().LastPoll.IsZero() }, soon, time.Millisecond)
	cancel()
	for e := range events {
		r.t.Errorf("%s is not acknowledged", e.ID)
	}
}

// logged is a slog.Handler that counts the messages with a text.
type logged struct {
	slog.Handler
	text  string
	count atomic.Int64
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) Handle(_ context.Context, record slog.Record) error {
	if strings.Contains(record.Message, l.text) {
		l.count.Add(1)
	}
	return nil
}

func (l *logged) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *logged) await(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return l.count.Load() >= n }, soon, time.Millisecond)
}

func TestNATSPublishStoresEachObjectOnceAndInOrder(t *testing.T) {
	r := newNewsroom(t)
	r.js = connectNATS(t, r.nats.URL(), nats.ReconnectBufSize(-1))
	r.stream()
	ids := r.join(4000, 100)
	p := r.poller(stripekit.PollConfig{MaxUnacked: 300})
	run := publish(t, p, r.js)
	var older []*publishing
	for i := range 6 {
		r.await(500 * (i + 1))
		if i%3 < 2 {
			r.nats.Stop()
			r.nats.Start(t)
			continue
		}
		// Another process takes over while the first one runs, as in a rolling update.
		older, p = append(older, run), r.poller(stripekit.PollConfig{MaxUnacked: 300})
		run = publish(t, p, r.js)
		require.Eventually(t, func() bool { return p.Status().Delivered > 0 || !p.Status().LastPoll.IsZero() }, soon, time.Millisecond)
	}
	require.Eventually(t, func() bool { return p.Status().Unacked == 0 && !p.Status().LastPoll.IsZero() }, soon, time.Millisecond)
	for _, run := range older {
		if err := run.stop(); err != nil { // it may have had nothing more to save
			require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
		}
	}
	require.NoError(t, run.stop())
	requireNoPublisher(t)
	r.has(ids)
	r.saved()
}

func TestNATSPublishIsNotMisledByLostResponses(t *testing.T) {
	t.Parallel()
	r := newNewsroom(t)
	r.stream()
	proxy := startProxy(t, r.nats.NATSConfig)
	js := connectNATS(t, proxy.url(), nats.ReconnectBufSize(-1))
	ids := r.join(1000, 100)
	run := publish(t, r.poller(stripekit.PollConfig{MaxUnacked: 200}), js)
	for range 5 {
		held := proxy.held(toClient)
		proxy.set(toClient, isCutAtAck)
		require.Eventually(t, func() bool { return proxy.held(toClient) > held || r.published() == len(ids) }, soon, time.Millisecond)
		proxy.reconnect()
	}
	r.await(len(ids))
	require.Eventually(t, func() bool { return js.Conn().IsConnected() }, soon, time.Millisecond)
	require.NoError(t, run.stop())
	r.has(ids)
}

func TestNATSPublishSendsTheObjectAndWhatIsKnownOfIt(t *testing.T) {
	r := newNewsroom(t)
	r.stream()
	ids := r.join(1, 10)
	p := r.poller(stripekit.PollConfig{Name: "the name"})
	run := publish(t, p, r.js)
	r.await(1)
	require.NoError(t, run.stop())
	m := r.messages()[0]
	require.Equal(t, "stripe.customers", m.Subject())
	var object struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
	}
	require.NoError(t, json.Unmarshal(m.Data(), &object))
	require.Equal(t, ids[0], object.ID)
	require.Equal(t, "customer", object.Object)
	headers := m.Headers()
	require.Equal(t, p.Key(), headers.Get(natsstore.FlowHeader))
	require.Equal(t, ids[0], headers.Get(natsstore.IDHeader))
	require.Equal(t, fmt.Sprint(object.Created), headers.Get(natsstore.CreatedHeader))
	require.Equal(t, fmt.Sprintf("%s/%s/%d", p.Key(), ids[0], object.Created), headers.Get(nats.MsgIdHdr))
	require.Empty(t, headers.Values(natsstore.LateHeader))
}

func TestNATSPublishSendsWhatCannotBeDecoded(t *testing.T) {
	type odd struct {
		Description int `json:"description"` // it is a string
	}
	r := newNewsroom(t)
	r.stream()
	ids := r.join(3, 10)
	source, err := stripekit.NewSource[odd](r.client, "/v1/customers", "created")
	require.NoError(t, err)
	p, err := stripekit.NewPoller(source,
		stripekit.PollConfig{From: stripekit.FromBeginning, Every: 20 * time.Millisecond, Checkpoints: r.store, MaxAttempts: 1, OnGiveUp: never(t)})
	require.NoError(t, err)
	run := publish(t, p, r.js)
	r.await(len(ids))
	require.NoError(t, run.stop())
	r.has(ids)
	require.Contains(t, string(r.messages()[0].Data()), `"xxxxxxxxxx"`)
}

func never(t *testing.T) func(context.Context, stripekit.Event[any], error) error {
	return func(_ context.Context, e stripekit.Event[any], reason error) error {
		t.Errorf("%s was given up: %v", e.ID, reason)
		return nil
	}
}

// A broker that is not there is not the fault of an event.
func TestNATSPublishWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ down, up func(r *newsroom) }{
		"the server is down": {
			func(r *newsroom) {
				r.stream()
				r.nats.Stop()
			},
			func(r *newsroom) { r.nats.Start(r.t) },
		},
		"there is no stream": {func(*newsroom) {}, func(r *newsroom) { r.stream() }},
		"the stream is full": {
			func(r *newsroom) {
				r.stream(func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 10, jetstream.DiscardNew })
			},
			func(r *newsroom) { r.stream(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew }) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t)
			ids := r.join(300, 10)
			test.down(r)
			r.js = connectNATS(t, r.nats.URL(), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true))
			log := &logged{text: "not published"}
			p := r.poller(stripekit.PollConfig{
				MaxUnacked: 50, MaxAttempts: 1, OnGiveUp: never(t), Logger: slog.New(log), Checkpoints: new(stripekit.MemoryStore),
			})
			run := publish(t, p, r.js)
			log.await(t, 4)
			require.LessOrEqual(t, p.Status().Delivered, uint64(50+max(r.published(), 0)))
			test.up(r)
			r.await(len(ids))
			require.NoError(t, run.stop())
			r.has(ids)
			require.EqualValues(t, len(ids), p.Status().Delivered)
		})
	}
}

func TestNATSPublishGivesUpWhatIsTooLarge(t *testing.T) {
	for name, change := range map[string]func(*newsroom){
		"for the server": func(r *newsroom) { r.stream() },
		"for the stream": func(r *newsroom) { r.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 4000 }) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t, func(c *servers.NATSConfig) {
				if name == "for the server" {
					c.MaxPayload = 4000
				}
			})
			change(r)
			large := r.join(60, 4900)
			ids := r.join(60, 10)
			var given atomic.Int64
			p := r.poller(stripekit.PollConfig{MaxUnacked: 20, Checkpoints: new(stripekit.MemoryStore), OnGiveUp: func(_ context.Context, e stripekit.Event[any], reason error) error {
				require.ErrorContains(t, reason, "publishing event "+e.ID)
				require.Regexp(t, "maximum payload exceeded|message size exceeds maximum", reason.Error())
				given.Add(1)
				return nil
			}})
			run := publish(t, p, r.js)
			r.await(len(ids))
			require.Eventually(t, func() bool { return given.Load() == int64(len(large)) }, soon, time.Millisecond)
			require.NoError(t, run.stop())
			require.Equal(t, len(ids), r.published())
			require.EqualValues(t, len(ids)+len(large), p.Status().Delivered, "it was tried again")
		})
	}
}

func TestNATSPublishKeepsWhatIsTooLargeIfNobodyTakesIt(t *testing.T) {
	r := newNewsroom(t)
	r.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 4000 })
	large := r.join(1, 4900)
	ids := r.join(10, 10)
	p := r.poller(stripekit.PollConfig{})
	run := publish(t, p, r.js)
	r.await(len(ids))
	require.Eventually(t, func() bool { return p.Status().Unacked == 1 }, soon, time.Millisecond)
	r.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	r.await(len(ids) + 1)
	require.NoError(t, run.stop())
	require.Equal(t, large[0], r.messages()[len(ids)].Headers().Get(natsstore.IDHeader))
}

// requireNoPublisher requires that no goroutine of Publish is left. One that has done
// all may still be about to end.
func requireNoPublisher(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "natsstore.(*publisher")
	}, soon, time.Millisecond)
}

func TestNATSPublishEndsWhenItIsCancelled(t *testing.T) {
	for name, f := range map[string]flow{"the broker does not respond": isHeld, "the broker is dead": isDropped} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t)
			r.stream()
			ids := r.join(200, 100)
			proxy := startProxy(t, r.nats.NATSConfig)
			js := connectNATS(t, proxy.url())
			proxy.set(toServer, f)
			p := r.poller(stripekit.PollConfig{})
			run := publish(t, p, js)
			require.Eventually(t, func() bool { return p.Status().Delivered == 200 }, soon, time.Millisecond)
			require.NoError(t, run.stop())
			requireNoPublisher(t)
			require.Equal(t, 200, p.Status().Unacked)
			run = publish(t, r.poller(stripekit.PollConfig{}), r.js)
			r.await(len(ids))
			require.NoError(t, run.stop())
			r.has(ids)
		})
	}
}

// The server stops reading, and the write of the client blocks, which no context ends.
func TestNATSPublishEndsAlthoughAWriteIsStuck(t *testing.T) {
	r := newNewsroom(t)
	r.stream()
	ids := r.join(5000, 4900)
	proxy := startProxy(t, r.nats.NATSConfig)
	js := connectNATS(t, proxy.url())
	p := r.poller(stripekit.PollConfig{MaxUnacked: len(ids)})
	proxy.set(toServer, isUnread)
	run := publish(t, p, js)
	before := uint64(0)
	require.Eventually(t, func() bool {
		now := p.Status().Delivered
		stuck := now > 0 && now == before
		before = now
		return stuck
	}, soon, 300*time.Millisecond)
	require.Less(t, before, uint64(len(ids)), "nothing was stuck")
	run.cancel()
	require.NoError(t, run.end())
	proxy.reconnect() // ends the write
	requireNoPublisher(t)
}

func TestNATSPublishEndsWithAClosedConnection(t *testing.T) {
	r := newNewsroom(t)
	r.stream()
	js := connectNATS(t, r.nats.URL())
	js.Conn().Close()
	r.join(10, 10)
	p := r.poller(stripekit.PollConfig{})
	run := publish(t, p, js)
	require.ErrorIs(t, run.end(), nats.ErrConnectionClosed)
	require.NoError(t, p.Err())
	run = publish(t, r.poller(stripekit.PollConfig{}), r.js)
	r.await(10)
	require.NoError(t, run.stop())
}

func TestNATSPublishEndsWithItsPoller(t *testing.T) {
	for name, down := range map[string]bool{"in peace": false, "while the server is down": true} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t)
			r.stream()
			r.join(10, 10)
			if down {
				r.nats.Stop()
			}
			log := &logged{text: "not published"}
			p := r.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore), Logger: slog.New(log)})
			run := publish(t, p, r.js)
			if down {
				log.await(t, 2)
			} else {
				r.await(10)
			}
			r.stripe.Fault("GET /v1/customers", stripetest.Every(), stripetest.Respond(403, `{"error":{"type":"invalid_request_error","message":"no"}}`))
			err := run.end()
			require.Error(t, err)
			require.Equal(t, p.Err(), err)
		})
	}
}

func TestNATSPublishRefusesASubjectBeforeItStarts(t *testing.T) {
	r := newNewsroom(t)
	r.stream()
	r.join(1, 10)
	p := r.poller(stripekit.PollConfig{})
	for _, subject := range []string{"", "stripe.*", "stripe.>", "stripe customers", "stripe..customers", ".stripe", "stripe.", "stripe\r\n", "\xff"} {
		require.ErrorContains(t, natsstore.Publish(t.Context(), p, r.js, subject), "the subject", "%q", subject)
	}
	run := publish(t, p, r.js)
	r.await(1)
	require.NoError(t, run.stop())
}
