package stores_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/natsstore"
	"github.com/stripekit/stripekit/stripekittest"
)

func TestNATSStorePassesTestStore(t *testing.T) {
	n, js := startNATS(t)
	stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
		name, _ := createStore(t, js)
		return func() stripekit.CheckpointStore { return openStore(t, n.URL(), name) }
	})
}

func TestNATSStoreKeepsCheckpointsWhenTheServerRestarts(t *testing.T) {
	n, js := startNATS(t)
	_, store := createStore(t, js)
	revision := save(t, store, "kept", "data", save(t, store, "kept", "old", 0))
	save(t, store, "deleted", "data", 0)
	require.NoError(t, store.Delete(t.Context(), "deleted"))
	n.Stop()
	awaitLoss(t, js)
	_, err := store.Save(t.Context(), "kept", []byte("while it is down"), revision)
	require.ErrorIs(t, err, nats.ErrDisconnected)
	require.ErrorIs(t, store.Delete(t.Context(), "kept"), nats.ErrDisconnected)
	n.Start(t)
	awaitConnection(t, js)
	require.Equal(t, revision, stored(t, store, "kept", "data"))
	require.Zero(t, stored(t, store, "deleted", ""))
	save(t, store, "kept", "new", revision)
}

func TestNATSStoreOfOneRevisionOnlyOneSaveWins(t *testing.T) {
	n, js := startNATS(t)
	name, store := createStore(t, js)
	const racers = 100
	stores := []*natsstore.Store{store}
	for range 9 {
		stores = append(stores, openStore(t, n.URL(), name))
	}
	for _, prepare := range map[string]func(key string) uint64{
		"nothing is stored": func(string) uint64 { return 0 },
		"something is":      func(key string) uint64 { return save(t, store, key, "before", 0) },
		"it was deleted": func(key string) uint64 {
			save(t, store, key, "before", 0)
			require.NoError(t, store.Delete(t.Context(), key))
			return 0
		},
	} {
		key := fmt.Sprint("key ", time.Now().UnixNano())
		base := prepare(key)
		results := make(chan uint64, racers)
		for i := range racers {
			go func() {
				next, err := stores[i%len(stores)].Save(t.Context(), key, fmt.Append(nil, i), base)
				if err != nil {
					next = 0
				}
				if err != nil && !strings.Contains(err.Error(), stripekit.ErrCheckpointConflict.Error()) {
					t.Error(err)
				}
				results <- next
			}()
		}
		var won []uint64
		for range racers {
			if next := <-results; next != 0 {
				won = append(won, next)
			}
		}
		require.Len(t, won, 1)
		_, revision, err := store.Load(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, won[0], revision)
	}
}

func TestNATSStoreRefusesWhatIsTooLarge(t *testing.T) {
	_, js := startNATS(t)
	_, store := createStore(t, js)
	limit := int(js.Conn().MaxPayload())

	_, err := store.Save(t.Context(), "key", make([]byte, limit), 0)
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	require.ErrorContains(t, err, fmt.Sprintf("the server accepts %d", limit))
	require.True(t, js.Conn().IsConnected(), "the server ends the connection of a client that sends too much")

	// Somewhere below is the largest that fits.
	fits := limit - sort.Search(500, func(less int) bool {
		_, err := store.Save(t.Context(), fmt.Sprint("key", limit-less), make([]byte, limit-less), 0)
		if err != nil {
			require.ErrorIs(t, err, nats.ErrMaxPayload)
		}
		return err == nil
	})
	require.Greater(t, fits, limit-500)
	data, _, err := store.Load(t.Context(), fmt.Sprint("key", fits))
	require.NoError(t, err)
	require.Len(t, data, fits)

	long := strings.Repeat("k", 5000)
	_, err = store.Save(t.Context(), long, nil, 0)
	require.ErrorContains(t, err, "has 5000 bytes, 4096 are allowed")
	_, err = store.Save(t.Context(), strings.Repeat("\xff", 4096), nil, 0)
	require.NoError(t, err)
}

func TestNATSStoreListsItsCheckpoints(t *testing.T) {
	_, js := startNATS(t)
	name, store := createStore(t, js)
	for range store.List(t.Context()) {
		t.Fatal("there is none")
	}
	began := time.Now().Add(-time.Second)
	var want []natsstore.Entry
	for i := range 2500 {
		key := fmt.Sprintf("test///customers//%04d \n\xff", i*7%2500)
		want = append(want, natsstore.Entry{Key: key, Size: i, Revision: save(t, store, key, strings.Repeat("x", i), 0)})
	}
	want[3].Revision, want[3].Size = save(t, store, want[3].Key, "again", want[3].Revision), 5
	require.NoError(t, store.Delete(t.Context(), want[4].Key))
	want = slices.Delete(want, 4, 5)
	_, err := js.Publish(t.Context(), name+".foreign", []byte("not a checkpoint"))
	require.NoError(t, err)
	slices.SortFunc(want, func(a, b natsstore.Entry) int { return strings.Compare(a.Key, b.Key) })

	var got []natsstore.Entry
	for e, err := range store.List(t.Context()) {
		require.NoError(t, err)
		require.WithinRange(t, e.Saved, began, time.Now().Add(time.Second))
		e.Saved = time.Time{}
		got = append(got, e)
	}
	require.Equal(t, want, got)
	for e, err := range store.List(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, want[0].Key, e.Key)
		break
	}
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	require.Zero(t, stream.CachedInfo().State.Consumers, "List has left a consumer")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range store.List(ctx) {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// List misses no checkpoint that others save meanwhile.
func TestNATSStoreListsWhatIsBeingSaved(t *testing.T) {
	n, js := startNATS(t)
	name, store := createStore(t, js)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const keys = 8
	var all sync.WaitGroup
	for i := range keys {
		other, key := openStore(t, n.URL(), name), fmt.Sprint(i)
		revision := save(t, other, key, "data", 0)
		all.Go(func() {
			for ctx.Err() == nil {
				next, err := other.Save(t.Context(), key, []byte("data"), revision)
				if err != nil {
					t.Error(err)
					return
				}
				revision = next
			}
		})
	}
	for range 500 {
		var got []string
		for e, err := range store.List(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, 4, e.Size)
			got = append(got, e.Key)
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, got)
	}
	cancel()
	all.Wait()
}

// The numbers of the messages do not begin again.
func TestNATSStoreRefusesTheRevisionsOfADeletedStream(t *testing.T) {
	n, js := startNATS(t)
	name, old := createStore(t, js)
	save(t, old, "other", "data", 0)
	revision := save(t, old, "key", "of the old stream", 0)
	require.NoError(t, js.DeleteStream(t.Context(), name))
	store, err := natsstore.Create(t.Context(), connectNATS(t, n.URL()), natsstore.Config{Name: name})
	require.NoError(t, err)
	next := save(t, store, "key", "first", 0)
	require.Greater(t, next, revision)
	next = save(t, store, "key", "second", next)
	_, err = old.Save(t.Context(), "key", []byte("late"), revision)
	require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	save(t, store, "key", "third", next)
}

func TestNATSStoreIsCreatedBySeveralAtTheSameTime(t *testing.T) {
	n, _ := startNATS(t)
	cfg := natsstore.Config{Name: "TOGETHER", Replicas: 1}
	var all sync.WaitGroup
	for i := range 20 {
		js := connectNATS(t, n.URL())
		all.Go(func() {
			store, err := natsstore.Create(t.Context(), js, cfg)
			if err == nil {
				_, err = store.Save(t.Context(), fmt.Sprint(i), nil, 0)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestNATSStoreDeletesByAMarkThatExpires(t *testing.T) {
	_, js := startNATS(t)
	name, store := createStore(t, js)
	first := save(t, store, "key", "data", 0)
	require.NoError(t, store.Delete(t.Context(), "key"))
	mark := lastMessage(t, js, name)
	require.Equal(t, "1h0m0s", mark.Header.Get(jetstream.MsgTTLHeader))
	require.NoError(t, store.Delete(t.Context(), "key"))
	require.Equal(t, mark.Sequence, lastMessage(t, js, name).Sequence, "a second Delete writes nothing")

	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), mark.Sequence)) // as if it had expired
	require.Zero(t, stored(t, store, "key", ""))
	for _, old := range []uint64{first, mark.Sequence} {
		_, err = store.Save(t.Context(), "key", nil, old)
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	}
	require.Greater(t, save(t, store, "key", "anew", 0), mark.Sequence)
}

func TestNATSStoreTakesNothingElseForACheckpoint(t *testing.T) {
	_, js := startNATS(t)
	name, store := createStore(t, js)
	revision := save(t, store, "mine", "data", 0)
	subject := lastMessage(t, js, name).Subject
	for what, m := range map[string]*nats.Msg{
		"is not a checkpoint":                             {Data: []byte("foreign")},
		"has the checkpoint of another key, \"other\\n\"": {Header: nats.Header{"Stripekit-Key": {`"other\n"`}}},
	} {
		t.Run(what, func(t *testing.T) {
			m.Subject = subject
			_, err := js.PublishMsg(t.Context(), m)
			require.NoError(t, err)
			_, _, err = store.Load(t.Context(), "mine")
			require.ErrorIs(t, err, stripekit.ErrCheckpointInvalid)
			require.ErrorContains(t, err, what)
			require.ErrorContains(t, err, subject)
			_, err = store.Save(t.Context(), "mine", nil, 0)
			require.ErrorIs(t, err, stripekit.ErrCheckpointInvalid)
			_, err = store.Save(t.Context(), "mine", nil, revision)
			require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
			require.NoError(t, store.Delete(t.Context(), "mine"))
			revision = save(t, store, "mine", "anew", 0)
		})
	}
}

func TestNATSStoreEndsWithItsContext(t *testing.T) {
	t.Parallel()
	n, js := startNATS(t)
	name, _ := createStore(t, js)
	proxy := startProxy(t, n.NATSConfig)
	store := openStore(t, proxy.url(), name)
	revision := save(t, store, "key", "data", 0)
	proxy.set(toServer, isHeld)
	for what, call := range map[string]func(context.Context) error{
		"Load": func(ctx context.Context) error {
			_, _, err := store.Load(ctx, "key")
			return err
		},
		"Save": func(ctx context.Context) error {
			_, err := store.Save(ctx, "key", nil, revision)
			return err
		},
		"Delete": func(ctx context.Context) error { return store.Delete(ctx, "key") },
		"List": func(ctx context.Context) error {
			for _, err := range store.List(ctx) {
				return err
			}
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			held := proxy.held(toServer)
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			require.Eventually(t, func() bool { return proxy.held(toServer) > held }, soon, time.Millisecond)
			cancel()
			select {
			case err := <-done:
				require.ErrorIs(t, err, context.Canceled)
			case <-time.After(soon):
				t.Fatal("it goes on")
			}
			ended := time.Now()
			require.ErrorIs(t, call(context.WithoutCancel(ctx)), context.DeadlineExceeded)
			require.Less(t, time.Since(ended), soon, "it has a deadline of its own")
		})
	}
}

func TestNATSStoreCreate(t *testing.T) {
	_, js := startNATS(t)
	cfg := natsstore.Config{Name: "CREATED"}
	first, err := natsstore.Create(t.Context(), js, cfg)
	require.NoError(t, err)
	revision := save(t, first, "key", "data", 0)

	stream, err := js.Stream(t.Context(), cfg.Name)
	require.NoError(t, err)
	changed := stream.CachedInfo().Config
	changed.MaxBytes, changed.Description = 1<<20, "ours"
	_, err = js.UpdateStream(t.Context(), changed)
	require.NoError(t, err)

	cfg.Replicas, cfg.Placement = 1, &jetstream.Placement{Cluster: ""}
	again, err := natsstore.Create(t.Context(), js, cfg)
	require.NoError(t, err)
	require.Equal(t, revision, stored(t, again, "key", "data"))
	stream, err = js.Stream(t.Context(), cfg.Name)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, stream.CachedInfo().Config.MaxBytes, "Create has undone the setting of an operator")

	cfg.Replicas = 3
	_, err = natsstore.Create(t.Context(), js, cfg)
	require.ErrorContains(t, err, `creating stream "CREATED"`, "there is one server")
	for _, name := range []string{"", "a b", "a.b", "a*", ">"} {
		_, err = natsstore.Create(t.Context(), js, natsstore.Config{Name: name})
		require.ErrorContains(t, err, "creating stream", name)
		_, err = natsstore.Open(t.Context(), js, name)
		require.ErrorContains(t, err, "opening stream", name)
	}
	_, err = natsstore.Open(t.Context(), js, "MISSING")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestNATSStoreOpensNoStreamThatCannotKeepCheckpoints(t *testing.T) {
	_, js := startNATS(t)
	cfg := natsstore.Config{Name: "MODEL"}
	_, err := natsstore.Create(t.Context(), js, cfg)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), cfg.Name)
	require.NoError(t, err)
	model := stream.CachedInfo().Config
	for i, test := range []struct {
		want   string
		change func(*jetstream.StreamConfig)
	}{
		{"its subjects are not", func(c *jetstream.StreamConfig) { c.Subjects = []string{c.Name + ".*"} }},
		{"storage is not file", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
		{"max_msgs_per_subject is not 1", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 }},
		{"max_age is not 0", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{"retention is not limits", func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }},
		{"discard is not new", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{"allow_direct is set", func(c *jetstream.StreamConfig) { c.AllowDirect = true }},
		{"allow_msg_ttl is not set", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false }},
		{"no_ack is set", func(c *jetstream.StreamConfig) { c.NoAck = true }},
	} {
		t.Run(test.want, func(t *testing.T) {
			other := model
			other.Name = fmt.Sprint("OTHER", i)
			other.Subjects = []string{other.Name + ".>"}
			test.change(&other)
			_, err := js.CreateStream(t.Context(), other)
			require.NoError(t, err)
			_, err = natsstore.Open(t.Context(), js, other.Name)
			require.ErrorContains(t, err, test.want)
			_, err = natsstore.Create(t.Context(), js, natsstore.Config{Name: other.Name, Replicas: 3})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestNATSStoreRefusesRevisionsThatNoMessageHas(t *testing.T) {
	_, js := startNATS(t)
	_, store := createStore(t, js)
	save(t, store, "key", "data", 0)
	for _, revision := range []uint64{math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		_, err := store.Save(t.Context(), "key", nil, revision)
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	}
}
