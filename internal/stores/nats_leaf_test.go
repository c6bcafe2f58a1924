package stores_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/natsstore"
)

// startLeaf starts a server, and another one that is a leaf node of it. Each has a
// JetStream with its name as the domain.
func startLeaf(t *testing.T) (hub, leaf *natsserver.Server) {
	t.Helper()
	port := servers.NATSConfigs(t, 1)[0].Port
	hub = startServer(t, func(o *natsserver.Options) {
		o.ServerName, o.JetStreamDomain = "hub", "hub"
		o.LeafNode = natsserver.LeafNodeOpts{Host: "127.0.0.1", Port: port}
	})
	to := &url.URL{Scheme: "nats-leaf", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	leaf = startServer(t, func(o *natsserver.Options) {
		o.ServerName, o.JetStreamDomain = "leaf", "leaf"
		o.LeafNode = natsserver.LeafNodeOpts{
			ReconnectInterval: 100 * time.Millisecond, Remotes: []*natsserver.RemoteLeafOpts{{URLs: []*url.URL{to}}},
		}
	})
	require.Eventually(t, func() bool { return hub.NumLeafNodes() == 1 }, soon, time.Millisecond)
	return hub, leaf
}

// startServer starts a server with JetStream and other options.
func startServer(t *testing.T, change func(*natsserver.Options)) *natsserver.Server {
	t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
	}
	change(options)
	s, err := natsserver.NewServer(options)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(soon))
	return s
}

// openHub opens the store of the hub from the leaf.
func openHub(t *testing.T, hub, leaf *natsserver.Server, name string) *natsstore.Store {
	t.Helper()
	_, err := natsstore.Create(t.Context(), connectNATS(t, hub.ClientURL()), natsstore.Config{Name: name})
	require.NoError(t, err)
	js, err := jetstream.NewWithDomain(connectNATS(t, leaf.ClientURL()).Conn(), "hub")
	require.NoError(t, err)
	var store *natsstore.Store
	require.Eventually(t, func() bool { // the leaf learns of the stream a little later
		store, err = natsstore.Open(t.Context(), js, name)
		return err == nil
	}, soon, 10*time.Millisecond)
	return store
}

func TestNATSStoreOverALeafNode(t *testing.T) {
	hub, leaf := startLeaf(t)
	store := openHub(t, hub, leaf, "CHECKPOINTS")
	large := strings.Repeat("x", 1<<20*3/4-1000)
	revision := save(t, store, "key", large, save(t, store, "key", "small", 0))
	require.Equal(t, revision, stored(t, store, "key", large))
	for e, err := range store.List(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, len(large), e.Size)
	}
	require.NoError(t, store.Delete(t.Context(), "key"))
	save(t, store, "key", "anew", 0)
}

// A message goes to the streams of both domains, and the nearer one responds first.
func TestNATSStoreDoesNotMistakeTheStreamOfAnotherDomainForItsOwn(t *testing.T) {
	hub, leaf := startLeaf(t)
	_, err := natsstore.Create(t.Context(), connectNATS(t, leaf.ClientURL()), natsstore.Config{Name: "SAME"})
	require.NoError(t, err)
	store := openHub(t, hub, leaf, "SAME")
	mistaken := 0
	for i := range 100 {
		key, data := fmt.Sprint(i), fmt.Sprint("data ", i)
		revision, err := store.Save(t.Context(), key, []byte(data), 0)
		if err != nil {
			require.ErrorContains(t, err, `in the domain "leaf" has responded, instead of the one in "hub"`)
			mistaken++
			continue
		}
		require.Equal(t, revision, stored(t, store, key, data))
	}
	require.NotZero(t, mistaken)
}
