package stores_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/natsstore"
)

// soon is a time after which something that must happen has not happened.
const soon = 2 * time.Minute

// connectNATS returns a JetStream on a connection of its own.
func connectNATS(t testing.TB, urls string, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // the default one prints
	opts = append([]nats.Option{quiet, nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0)}, opts...)
	conn, err := nats.Connect(urls, opts...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

// awaitConnection waits until a connection is there again.
func awaitConnection(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	require.Eventually(t, js.Conn().IsConnected, soon, time.Millisecond)
	require.NoError(t, js.Conn().FlushTimeout(soon))
}

// awaitLoss waits until a connection has noticed that it is lost.
func awaitLoss(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	require.Eventually(t, func() bool { return !js.Conn().IsConnected() }, soon, time.Millisecond)
}

var streams atomic.Int64

// createStore creates a stream, and returns its name and a store on it.
func createStore(t testing.TB, js jetstream.JetStream) (string, *natsstore.Store) {
	t.Helper()
	name := fmt.Sprintf("CHECKPOINTS%d", streams.Add(1))
	store, err := natsstore.Create(t.Context(), js, natsstore.Config{Name: name})
	require.NoError(t, err)
	return name, store
}

// openStore opens a store on a connection of its own.
func openStore(t testing.TB, urls, name string) *natsstore.Store {
	t.Helper()
	store, err := natsstore.Open(t.Context(), connectNATS(t, urls), name)
	require.NoError(t, err)
	return store
}

func startNATS(t testing.TB) (*servers.NATS, jetstream.JetStream) {
	t.Helper()
	n := servers.StartNATS(t)
	return n, connectNATS(t, n.URL())
}

// save saves data, which must succeed.
func save(t testing.TB, s *natsstore.Store, key, data string, revision uint64) uint64 {
	t.Helper()
	next, err := s.Save(t.Context(), key, []byte(data), revision)
	require.NoError(t, err)
	require.Greater(t, next, revision)
	return next
}

// stored requires what is stored, and returns its revision.
func stored(t testing.TB, s *natsstore.Store, key, data string) uint64 {
	t.Helper()
	got, revision, err := s.Load(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, data, string(got))
	return revision
}

// lastSequence returns the sequence number of the last message of a stream.
func lastSequence(t testing.TB, js jetstream.JetStream, name string) uint64 {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	return stream.CachedInfo().State.LastSeq
}

// lastMessage returns the last message of a stream.
func lastMessage(t testing.TB, js jetstream.JetStream, name string) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	m, err := stream.GetMsg(t.Context(), stream.CachedInfo().State.LastSeq)
	require.NoError(t, err)
	return m
}
