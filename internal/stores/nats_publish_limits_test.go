package stores_test

import (
	"context"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

// joinSizes makes customers with descriptions of sizes, and returns their ids in order.
func (r *newsroom) joinSizes(sizes ...int) (ids []string) {
	first := time.Now().Add(-2 * time.Hour)
	for i, size := range sizes {
		ids = append(ids, r.stripe.Seed("/v1/customers", stripetest.Seeding{
			Count: 1, First: first.Add(time.Duration(i) * time.Second), Every: time.Second,
			Params: url.Values{"description": {strings.Repeat("x", size)}},
		})...)
	}
	return ids
}

// bytesOf changes the limit of a stream.
func bytesOf(discard jetstream.DiscardPolicy, limit int64) func(*jetstream.StreamConfig) {
	return func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = discard, limit }
}

// The server responds to what can never fit as if the stream were full, or stores it
// and removes it at once.
func TestNATSPublishGivesUpWhatIsLargerThanTheWholeStream(t *testing.T) {
	for name, discard := range map[string]jetstream.DiscardPolicy{"discard new": jetstream.DiscardNew, "discard old": jetstream.DiscardOld} {
		for when, late := range map[string]bool{"from the beginning": false, "the stream comes later": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				r := newNewsroom(t)
				if !late {
					r.stream(bytesOf(discard, 4500))
				}
				ids := r.joinSizes(4900, 10, 10)
				given := make(chan string, 10)
				log := &logged{text: "not published"}
				p := r.poller(stripekit.PollConfig{Logger: slog.New(log), OnGiveUp: func(_ context.Context, e stripekit.Event[any], reason error) error {
					require.ErrorContains(t, reason, "exceeds max_bytes of the stream")
					given <- e.ID
					return nil
				}})
				run := publish(t, p, r.js)
				if late {
					log.await(t, 1)
					r.stream(bytesOf(discard, 4500))
				}
				r.await(2)
				select {
				case id := <-given:
					require.Equal(t, ids[0], id)
				case <-time.After(soon):
					t.Fatal("nothing was given up")
				}
				require.Eventually(t, func() bool { return p.Status().Unacked == 0 }, soon, time.Millisecond)
				require.NoError(t, run.stop())
				r.has(ids[1:])
				require.Empty(t, given)
			})
		}
	}
}

// The size that Publish computes is that of the server, to the byte.
func TestNATSPublishKnowsTheSizeOfAMessageInTheStream(t *testing.T) {
	for name, storage := range map[string]jetstream.StorageType{"file": jetstream.FileStorage, "memory": jetstream.MemoryStorage} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t)
			in := func(c *jetstream.StreamConfig) { c.Storage, c.Discard = storage, jetstream.DiscardNew }
			r.stream(in)
			ids := r.joinSizes(1000)
			run := publish(t, r.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}), r.js)
			r.await(1)
			require.NoError(t, run.stop())
			stream, err := r.js.Stream(t.Context(), "EVENTS")
			require.NoError(t, err)
			size := int64(stream.CachedInfo().State.Bytes)
			require.NoError(t, r.js.DeleteStream(t.Context(), "EVENTS"))

			r.stream(in, func(c *jetstream.StreamConfig) { c.MaxBytes = size - 1 })
			p := r.poller(stripekit.PollConfig{})
			run = publish(t, p, r.js)
			require.Eventually(t, func() bool { return p.Status().HandlerErr != nil }, soon, time.Millisecond)
			require.ErrorContains(t, p.Status().HandlerErr, "exceeds max_bytes of the stream")
			require.Zero(t, r.published())
			r.stream(in, func(c *jetstream.StreamConfig) { c.MaxBytes = size })
			r.await(1)
			require.NoError(t, run.stop())
			r.has(ids)
		})
	}
}

func TestNATSPublishDropsWhatIsTooLargeAfterMaxAttempts(t *testing.T) {
	r := newNewsroom(t)
	r.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 4000 })
	ids := r.joinSizes(4900, 10)
	log := &logged{text: "not handled"}
	p := r.poller(stripekit.PollConfig{MaxAttempts: 2, Logger: slog.New(log)})
	run := publish(t, p, r.js)
	require.Eventually(t, func() bool { return p.Status().GivenUp == 1 && p.Status().Unacked == 0 }, soon, time.Millisecond)
	require.EqualValues(t, 2, log.count.Load())
	require.NoError(t, run.stop())
	r.has(ids[1:])
}

// With one message in flight, an event never passes by one that was refused.
func TestNATSPublishKeepsTheOrderOfAFullStreamWithOneInFlight(t *testing.T) {
	r := newNewsroom(t)
	r.stream(bytesOf(jetstream.DiscardNew, 7000))
	ids := r.joinSizes(3000, 3000, 10, 10)
	log := &logged{text: "not published"}
	p := r.poller(stripekit.PollConfig{MaxUnacked: 1, Logger: slog.New(log)})
	run := publish(t, p, r.js)
	log.await(t, 3)
	require.Equal(t, 1, r.published())
	r.stream(bytesOf(jetstream.DiscardNew, 70000))
	r.await(len(ids))
	require.NoError(t, run.stop())
	r.has(ids)
}

func TestNATSPublishRefusesAStreamThatDoesNotRespond(t *testing.T) {
	for when, late := range map[string]bool{"from the beginning": false, "the stream comes later": true} {
		t.Run(when, func(t *testing.T) {
			r := newNewsroom(t)
			silent := func() { r.stream(func(c *jetstream.StreamConfig) { c.NoAck = true }) }
			if !late {
				silent()
			}
			r.join(3, 10)
			log := &logged{text: "not published"}
			p := r.poller(stripekit.PollConfig{Logger: slog.New(log)})
			run := publish(t, p, r.js)
			if late {
				log.await(t, 1)
				silent()
			}
			require.ErrorContains(t, run.end(), "stream EVENTS has no_ack")
			require.Zero(t, r.published())
			require.NoError(t, p.Err())
		})
	}
}

// All that Publish needs is to publish, and to receive the responses.
func TestNATSPublishNeedsNoPermissionToReadTheSettings(t *testing.T) {
	s := startServer(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "user", Password: "u", Permissions: &natsserver.Permissions{
			Publish:   &natsserver.SubjectPermission{Allow: []string{"stripe.>"}},
			Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}}
	})
	r := &newsroom{t: t, js: connectNATS(t, s.ClientURL(), nats.UserInfo("admin", "a"))}
	r.client, r.stripe = stripekittest.NewClient(t)
	r.stream(bytesOf(jetstream.DiscardNew, 1<<20))
	ids := r.join(100, 10)
	p := r.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)})
	run := publish(t, p, connectNATS(t, s.ClientURL(), nats.UserInfo("user", "u")))
	r.await(len(ids))
	require.NoError(t, run.stop())
	r.has(ids)
}

// Another process takes over while the server does not read what this one writes.
func TestNATSPublishEndsWithItsPollerAlthoughAWriteIsStuck(t *testing.T) {
	r := newNewsroom(t)
	r.stream()
	ids := r.join(8000, 4900)
	proxy := startProxy(t, r.nats.NATSConfig)
	js := connectNATS(t, proxy.url())
	p := r.poller(stripekit.PollConfig{MaxUnacked: len(ids)})
	run := publish(t, p, js)
	r.await(50)
	proxy.set(toServer, isUnread)
	_, err := r.poller(stripekit.PollConfig{}).Start(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Err() != nil }, soon, time.Millisecond)
	require.ErrorIs(t, run.end(), stripekit.ErrCheckpointConflict)
	proxy.reconnect() // ends the write
	require.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "natsstore.(*publisher")
	}, soon, 10*time.Millisecond)
}

func TestNATSPublishEndsWithItsConnection(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*testing.T, jetstream.JetStream)
		flow flow
	}{
		"closed while nothing is in flight": {func(_ *testing.T, js jetstream.JetStream) { js.Conn().Close() }, isPassed},
		"closed while events are in flight": {func(_ *testing.T, js jetstream.JetStream) { js.Conn().Close() }, isDropped},
		"drained":                           {func(t *testing.T, js jetstream.JetStream) { require.NoError(t, js.Conn().Drain()) }, isPassed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(t)
			r.stream()
			proxy := startProxy(t, r.nats.NATSConfig)
			js := connectNATS(t, proxy.url())
			ids := r.join(3, 10)
			p := r.poller(stripekit.PollConfig{})
			run := publish(t, p, js)
			require.Eventually(t, func() bool { return p.Status().Delivered == 3 && p.Status().Unacked == 0 }, soon, time.Millisecond)
			if test.flow == isDropped {
				proxy.set(toServer, isDropped)
				ids = append(ids, r.join(3, 10)...)
				require.Eventually(t, func() bool { return p.Status().Delivered == 6 }, soon, time.Millisecond)
			}
			test.end(t, js)
			require.ErrorIs(t, run.end(), nats.ErrConnectionClosed)
			requireNoPublisher(t)
			p = r.poller(stripekit.PollConfig{})
			run = publish(t, p, r.js)
			require.Eventually(t, func() bool { return !p.Status().LastPoll.IsZero() && p.Status().Unacked == 0 }, soon, time.Millisecond)
			require.NoError(t, run.stop())
			require.ElementsMatch(t, ids, r.ids())
			r.saved()
		})
	}
}
