package stores_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/natsstore"
)

// doubtful has a store behind a proxy, and another one on the same stream.
type doubtful struct {
	t      *testing.T
	proxy  *proxy
	js     jetstream.JetStream // through the proxy
	store  *natsstore.Store    // through the proxy
	direct jetstream.JetStream
	other  *natsstore.Store
	name   string
	url    string
}

func newDoubtful(t *testing.T) *doubtful {
	n, direct := startNATS(t)
	d := &doubtful{t: t, proxy: startProxy(t, n.NATSConfig), direct: direct, url: n.URL()}
	d.name, d.other = createStore(t, direct)
	d.js = connectNATS(t, d.proxy.url())
	var err error
	d.store, err = natsstore.Open(t.Context(), d.js, d.name)
	require.NoError(t, err)
	return d
}

// without makes a Save or Delete of which nothing returns: what the client sends meets
// the flow up, what the server sends the flow down. Then the client connects again.
func (d *doubtful) without(up, down flow, call func(ctx context.Context) error) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	reconnects := d.js.Conn().Stats().Reconnects
	before := [2]int{d.proxy.held(toServer), d.proxy.held(toClient)}
	d.proxy.set(toServer, up)
	d.proxy.set(toClient, down)
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	require.Eventually(d.t, func() bool {
		return d.proxy.whole() &&
			(up != isPassed && d.proxy.held(toServer) > before[toServer] || down != isPassed && d.proxy.held(toClient) > before[toClient])
	}, soon, time.Millisecond)
	cancel()
	require.ErrorIs(d.t, <-done, context.Canceled)
	d.proxy.reconnect()
	require.Eventually(d.t, func() bool { return d.js.Conn().Stats().Reconnects > reconnects }, soon, time.Millisecond)
	awaitConnection(d.t, d.js)
}

// saveWithoutResponse saves data, and loses the response that says so.
func (d *doubtful) saveWithoutResponse(data string, revision uint64) {
	d.t.Helper()
	d.without(isPassed, isCutAtAck, func(ctx context.Context) error {
		_, err := d.store.Save(ctx, "key", []byte(data), revision)
		return err
	})
}

func (d *doubtful) refuses(store *natsstore.Store, revision uint64) {
	d.t.Helper()
	_, err := store.Save(d.t.Context(), "key", []byte("must not be stored"), revision)
	require.ErrorIs(d.t, err, stripekit.ErrCheckpointConflict)
}

func TestNATSStoreGoesOnFromASaveWithoutResponse(t *testing.T) {
	for name, base := range map[string]func(d *doubtful) uint64{
		"nothing was stored": func(*doubtful) uint64 { return 0 },
		"something was":      func(d *doubtful) uint64 { return save(t, d.other, "key", "first", 0) },
		"it was deleted": func(d *doubtful) uint64 {
			save(t, d.other, "key", "first", 0)
			require.NoError(t, d.other.Delete(t.Context(), "key"))
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoubtful(t)
			revision := base(d)
			for _, data := range []string{"second", "third", "fourth"} {
				d.saveWithoutResponse(data, revision)
				stored(t, d.other, "key", data)
			}
			d.refuses(d.other, revision)
			last := save(t, d.store, "key", "fifth", revision)
			require.Equal(t, last, stored(t, d.other, "key", "fifth"))
			d.refuses(d.store, revision)
			save(t, d.store, "key", "sixth", last)
		})
	}
}

func TestNATSStoreRepeatsASaveThatDidNotArrive(t *testing.T) {
	for name, first := range map[string]bool{"the first": true, "a later one": false} {
		t.Run(name, func(t *testing.T) {
			d := newDoubtful(t)
			revision := uint64(0)
			if !first {
				revision = save(t, d.store, "key", "before", 0)
			}
			for range 3 {
				d.without(isDropped, isPassed, func(ctx context.Context) error {
					_, err := d.store.Save(ctx, "key", []byte("lost"), revision)
					return err
				})
			}
			require.Equal(t, revision, stored(t, d.other, "key", map[bool]string{false: "before"}[first]))
			save(t, d.store, "key", "after", revision)
			d.refuses(d.store, revision)
		})
	}
}

func TestNATSStoreRefusesASaveAfterAnothersInBetween(t *testing.T) {
	d := newDoubtful(t)
	first := save(t, d.store, "key", "first", 0)
	d.saveWithoutResponse("second", first)
	third := save(t, d.other, "key", "third", stored(t, d.other, "key", "second"))
	d.refuses(d.store, first)
	d.refuses(d.store, first)
	require.Equal(t, third, stored(t, d.store, "key", "third"))
}

func TestNATSStoreOfAnotherProcessRefusesASaveAfterOneWithoutResponse(t *testing.T) {
	d := newDoubtful(t)
	first := save(t, d.store, "key", "first", 0)
	d.saveWithoutResponse("second", first)
	d.refuses(openStore(t, d.url, d.name), first)
	save(t, d.store, "key", "third", first)
}

// A Store has two users. What one has saved with success, the other does not take for
// its own Save without response.
func TestNATSStoreGoesOnFromNoSaveThatHasSucceeded(t *testing.T) {
	d := newDoubtful(t)
	first := save(t, d.store, "key", "first", 0)
	d.saveWithoutResponse("second", first)
	third := save(t, d.store, "key", "third", first)
	d.without(isPassed, isDropped, func(ctx context.Context) error {
		_, err := d.store.Save(ctx, "key", []byte("refused by the server"), first)
		return err
	})
	d.refuses(d.store, first)
	require.Equal(t, third, stored(t, d.store, "key", "third"))
	save(t, d.store, "key", "fourth", third)
}

// What was sent arrives when its sender has long been doing something else.
func TestNATSStoreIsNotDisturbedByWhatArrivesLate(t *testing.T) {
	save1 := func(revision uint64) func(d *doubtful) func(context.Context) error {
		return func(d *doubtful) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := d.store.Save(ctx, "key", []byte("late"), revision)
				return err
			}
		}
	}
	for name, late := range map[string]func(d *doubtful) func(context.Context) error{
		"a delete": func(d *doubtful) func(context.Context) error {
			save(t, d.other, "key", "before", 0)
			return func(ctx context.Context) error { return d.store.Delete(ctx, "key") }
		},
		"a first save": save1(0),
		"a save": func(d *doubtful) func(context.Context) error {
			return save1(save(t, d.other, "key", "before", 0))(d)
		},
	} {
		for then, act := range map[string]func(d *doubtful, revision uint64) (want string){
			"a save": func(d *doubtful, revision uint64) string {
				save(t, d.store, "key", "after", revision)
				return "after"
			},
			"another's save": func(d *doubtful, revision uint64) string {
				save(t, d.other, "key", "after", revision)
				return "after"
			},
			"a delete": func(d *doubtful, _ uint64) string {
				require.NoError(t, d.store.Delete(t.Context(), "key"))
				return ""
			},
			"a delete and a save": func(d *doubtful, _ uint64) string {
				require.NoError(t, d.store.Delete(t.Context(), "key"))
				save(t, d.other, "key", "anew", 0)
				return "anew"
			},
		} {
			t.Run(name+" after "+then, func(t *testing.T) {
				d := newDoubtful(t)
				call := late(d)
				_, revision, err := d.other.Load(t.Context(), "key")
				require.NoError(t, err)
				held := isHeld
				if name == "a delete" {
					held = isHeldAtDelete // it reads first
				}
				d.without(held, isPassed, call)
				want := act(d, revision)
				_, after, err := d.other.Load(t.Context(), "key")
				require.NoError(t, err)
				last := lastMessage(t, d.js, d.name).Sequence
				require.Equal(t, last+1, d.releaseAndWait(), "what came late was stored")
				require.Equal(t, after, stored(t, d.other, "key", want))
			})
		}
	}
}

// The Save replaces the mark of an earlier Delete, and comes behind a later one.
func TestNATSStoreDeletesWhatComesLateOnAMark(t *testing.T) {
	d := newDoubtful(t)
	save(t, d.store, "key", "first", 0)
	require.NoError(t, d.store.Delete(t.Context(), "key"))
	d.without(isHeldAtUpdate, isPassed, func(ctx context.Context) error {
		_, err := d.store.Save(ctx, "key", []byte("late"), 0)
		return err
	})
	require.NoError(t, d.store.Delete(t.Context(), "key"))
	last := lastMessage(t, d.js, d.name).Sequence
	require.Equal(t, last+1, d.releaseAndWait(), "what came late was stored")
	require.Zero(t, stored(t, d.other, "key", ""))
	save(t, d.store, "key", "anew", 0)
}

// A lost connection ends an operation long before its deadline: the response is lost.
func TestNATSStoreEndsWithItsConnection(t *testing.T) {
	d := newDoubtful(t)
	revision := save(t, d.store, "key", "data", 0)
	for name, call := range map[string]func(ctx context.Context) error{
		"Load": func(ctx context.Context) error {
			_, _, err := d.store.Load(ctx, "key")
			return err
		},
		"Save": func(ctx context.Context) error {
			_, err := d.store.Save(ctx, "key", nil, revision)
			return err
		},
		"Delete": func(ctx context.Context) error { return d.store.Delete(ctx, "key") },
	} {
		t.Run(name, func(t *testing.T) {
			held := d.proxy.held(toServer)
			d.proxy.set(toServer, isDropped)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			require.Eventually(t, func() bool { return d.proxy.held(toServer) > held }, soon, time.Millisecond)
			reconnects := d.js.Conn().Stats().Reconnects
			d.proxy.reconnect()
			select {
			case err := <-done:
				require.ErrorIs(t, err, nats.ErrDisconnected)
			case <-time.After(soon):
				t.Fatal("it goes on")
			}
			require.Eventually(t, func() bool { return d.js.Conn().Stats().Reconnects > reconnects }, soon, time.Millisecond)
			awaitConnection(t, d.js)
		})
	}
	save(t, d.store, "key", "more", revision)
}

// releaseAndWait returns when the server has processed what was held. It returns the
// sequence number of a message that was stored after that.
func (d *doubtful) releaseAndWait() uint64 {
	d.t.Helper()
	subject := "passed." + d.name
	passed, err := d.direct.Conn().SubscribeSync(subject)
	require.NoError(d.t, err)
	require.NoError(d.t, d.direct.Conn().Flush())
	d.proxy.release(d.t, "PUB "+subject+" 0\r\n\r\n")
	_, err = passed.NextMsg(soon)
	require.NoError(d.t, err)
	ack, err := d.direct.Publish(d.t.Context(), d.name+".next", nil)
	require.NoError(d.t, err)
	return ack.Sequence
}
