package stores_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/fleet/fleettest"
	"github.com/stripekit/stripekit/natsstore"
)

var _ fleet.Engine = (*natsstore.Engine)(nil)

// createNATSEngine creates a stream, and returns its name and an engine on it.
func createNATSEngine(t testing.TB, js jetstream.JetStream) (string, *natsstore.Engine) {
	t.Helper()
	name := fmt.Sprintf("FLEET%d", streams.Add(1))
	e, err := natsstore.CreateEngine(t.Context(), js, natsstore.Config{Name: name})
	require.NoError(t, err)
	return name, e
}

// openNATSEngine opens an engine on a connection of its own.
func openNATSEngine(t testing.TB, urls, name string) *natsstore.Engine {
	t.Helper()
	e, err := natsstore.OpenEngine(t.Context(), connectNATS(t, urls), name)
	require.NoError(t, err)
	return e
}

func TestNATSEnginePassesTestEngine(t *testing.T) {
	t.Parallel()
	n, js := startNATS(t)
	fleettest.TestEngine(t, func(t *testing.T) func() fleet.Engine {
		name, _ := createNATSEngine(t, js)
		return func() fleet.Engine { return openNATSEngine(t, n.URL(), name) }
	})
}

func TestNATSEngineRefusesBadInput(t *testing.T) {
	_, js := startNATS(t)
	_, engine := createNATSEngine(t, js)
	for _, key := range []string{
		"", "-a", "a-", "/a", "a/", ".", "a b", "a*", "a>", "a:b", "a\r\nb", "ä", "a\x00b", "a~b", strings.Repeat("k", 201),
	} {
		_, err := engine.Put(t.Context(), key, []byte("x"), 0, 0)
		require.ErrorContains(t, err, "invalid key", "%q", key)
		_, _, err = engine.Get(t.Context(), key)
		require.ErrorContains(t, err, "invalid key", "%q", key)
		require.ErrorContains(t, engine.Delete(t.Context(), key, 0), "invalid key", "%q", key)
	}
	_, err := engine.Put(t.Context(), "key", nil, 0, 0)
	require.ErrorContains(t, err, "must not be nil")
	_, err = engine.Put(t.Context(), "key", []byte("x"), 0, -1)
	require.ErrorContains(t, err, "is negative")
	_, err = engine.Put(t.Context(), "key", make([]byte, js.Conn().MaxPayload()), 0, 0)
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	putNATS(t, engine, "key", strings.Repeat("x", 1_000_000), 0, 0)
}

func TestNATSEngineDeletesByAMarkThatExpires(t *testing.T) {
	_, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	w := watchNATSAll(t, engine)
	first := putNATS(t, engine, "a.b/c", "value", 0, 0)
	require.NoError(t, engine.Delete(t.Context(), "a.b/c", first))
	mark := lastMessage(t, js, name)
	require.Equal(t, name+".a:b/c", mark.Subject)
	require.Equal(t, "1h0m0s", mark.Header.Get(jetstream.MsgTTLHeader))
	require.NoError(t, engine.Delete(t.Context(), "a.b/c", first))
	require.Equal(t, mark.Sequence, lastMessage(t, js, name).Sequence, "a second Delete writes nothing")
	w.sees("a.b/c", "-")

	// A shorter mark, to see that the server leaves none of its own behind it.
	m := &nats.Msg{Subject: mark.Subject, Header: mark.Header}
	m.Header.Set(jetstream.MsgTTLHeader, "1s")
	m.Header.Set("Nats-Expected-Last-Subject-Sequence", fmt.Sprint(mark.Sequence))
	_, err := js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := stream.GetLastMsgForSubject(t.Context(), mark.Subject)
		return errors.Is(err, jetstream.ErrMsgNotFound)
	}, soon, 10*time.Millisecond)
	removal, _ := w.last("a.b/c")
	for _, old := range []uint64{first, 2 * mark.Sequence, removal} {
		_, err = engine.Put(t.Context(), "a.b/c", []byte("x"), old, 0)
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	}
	require.Greater(t, putNATS(t, engine, "a.b/c", "anew", 0, 0), 2*mark.Sequence+1)
}

func TestNATSEngineWatchIgnoresWhatIsNoRecord(t *testing.T) {
	_, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	w := watchNATSAll(t, engine)
	for _, foreign := range []string{".a.b", ".-", ".~other", "." + strings.Repeat("k", 201)} {
		_, err := js.Publish(t.Context(), name+foreign, []byte("x"))
		require.NoError(t, err)
	}
	putNATS(t, engine, "key", "value", 0, 0)
	w.sees("key", "value")
	_, calls := w.last("key")
	require.Equal(t, 2, calls)
}

func TestNATSEngineKeepsRevisionsOfADeletedStreamApart(t *testing.T) {
	n, js := startNATS(t)
	name, old := createNATSEngine(t, js)
	putNATS(t, old, "other", "x", 0, 0)
	revision := putNATS(t, old, "key", "of the old stream", 0, 0)
	require.NoError(t, js.DeleteStream(t.Context(), name))
	engine, err := natsstore.CreateEngine(t.Context(), connectNATS(t, n.URL()), natsstore.Config{Name: name})
	require.NoError(t, err)
	require.Greater(t, putNATS(t, engine, "key", "new", 0, 0), revision)
	_, err = old.Put(t.Context(), "key", []byte("late"), revision, 0)
	require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
}

func TestNATSEngineOpensNoStreamThatCannotKeepRecords(t *testing.T) {
	_, js := startNATS(t)
	name, _ := createNATSEngine(t, js)
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	model := stream.CachedInfo().Config
	for i, test := range []struct {
		want   string
		change func(*jetstream.StreamConfig)
	}{
		{"its subjects are not", func(c *jetstream.StreamConfig) { c.Subjects = []string{c.Name + ".*"} }},
		{"storage is not file", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
		{"max_msgs_per_subject is not 1", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 }},
		{"max_age is not 0", func(c *jetstream.StreamConfig) { c.MaxAge = 2 * time.Hour }},
		{"discard is not new", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{"allow_direct is set", func(c *jetstream.StreamConfig) { c.AllowDirect = true }},
		{"subject_delete_marker_ttl is less than 1h0m0s", func(c *jetstream.StreamConfig) { c.SubjectDeleteMarkerTTL = time.Minute }},
		{"subject_delete_marker_ttl is less", func(c *jetstream.StreamConfig) { c.SubjectDeleteMarkerTTL = 0 }},
	} {
		t.Run(test.want, func(t *testing.T) {
			other := model
			other.Name = fmt.Sprint("OTHER", i)
			other.Subjects = []string{other.Name + ".>"}
			test.change(&other)
			_, err := js.CreateStream(t.Context(), other)
			require.NoError(t, err)
			_, err = natsstore.OpenEngine(t.Context(), js, other.Name)
			require.ErrorContains(t, err, "cannot keep the records of a fleet: "+test.want)
			_, err = natsstore.CreateEngine(t.Context(), js, natsstore.Config{Name: other.Name, Replicas: 3})
			require.ErrorContains(t, err, test.want)
		})
	}
	// Neither a Store nor an Engine takes the stream of the other one.
	_, err = natsstore.Open(t.Context(), js, name)
	require.ErrorContains(t, err, "subject_delete_marker_ttl is set")
	checkpoints, _ := createStore(t, js)
	_, err = natsstore.OpenEngine(t.Context(), js, checkpoints)
	require.ErrorContains(t, err, "subject_delete_marker_ttl is less")
	_, err = natsstore.OpenEngine(t.Context(), js, "MISSING")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestNATSEngineCreatesOverWhatAnOperatorHasChanged(t *testing.T) {
	_, js := startNATS(t)
	name, engine := createNATSEngine(t, js)
	revision := putNATS(t, engine, "key", "value", 0, 0)
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	changed := stream.CachedInfo().Config
	changed.MaxBytes = 1 << 20
	_, err = js.UpdateStream(t.Context(), changed)
	require.NoError(t, err)
	engine, err = natsstore.CreateEngine(t.Context(), js, natsstore.Config{Name: name, Replicas: 1})
	require.NoError(t, err)
	_, got, err := engine.Get(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, revision, got)
	stream, err = js.Stream(t.Context(), name)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, stream.CachedInfo().Config.MaxBytes)
}

// A worker that starts claims its shards at once. Each claim is stored once.
func TestNATSEngineClaimsManyShardsAtOnce(t *testing.T) {
	n, js := startNATS(t)
	name, _ := createNATSEngine(t, js)
	engine := openNATSEngine(t, n.URL(), name)
	var revisions [512]uint64
	for round := range 2 {
		before, began := lastSequence(t, js, name), time.Now()
		natsParallel(len(revisions), func(i int) {
			next, err := engine.Put(t.Context(), fmt.Sprint("claim/", i), []byte("worker"), revisions[i], 0)
			if err != nil {
				t.Error(err)
			}
			revisions[i] = next
		})
		t.Logf("round %d: %d claims in %v", round, len(revisions), time.Since(began))
		require.EqualValues(t, len(revisions), lastSequence(t, js, name)-before)
	}
}
