package stores_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/natsstore"
)

// doubtfulEngine has an engine behind a proxy, and another one on the same stream.
type doubtfulEngine struct {
	*doubtful
	engine *natsstore.Engine // through the proxy
	other  *natsstore.Engine
}

func newDoubtfulEngine(t *testing.T) *doubtfulEngine {
	d := &doubtfulEngine{doubtful: newDoubtful(t)}
	d.name, d.other = createNATSEngine(t, d.direct) // releaseAndWait uses the name
	var err error
	d.engine, err = natsstore.OpenEngine(t.Context(), d.js, d.name)
	require.NoError(t, err)
	return d
}

// putWithoutResponse puts a value, and loses the response that says so.
func (d *doubtfulEngine) putWithoutResponse(value string, revision uint64, ttl time.Duration) {
	d.t.Helper()
	d.without(isPassed, isCutAtAck, d.putting(value, revision, ttl))
}

func (d *doubtfulEngine) putting(value string, revision uint64, ttl time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := d.engine.Put(ctx, "key", []byte(value), revision, ttl)
		return err
	}
}

// has requires what is stored, "" for nothing, and returns its revision.
func (d *doubtfulEngine) has(value string) uint64 {
	d.t.Helper()
	got, revision, err := d.other.Get(d.t.Context(), "key")
	require.NoError(d.t, err)
	require.Equal(d.t, value, string(got))
	require.Equal(d.t, value != "", revision != 0)
	return revision
}

func (d *doubtfulEngine) refuses(e *natsstore.Engine, revision uint64) {
	d.t.Helper()
	_, err := e.Put(d.t.Context(), "key", []byte("must not be stored"), revision, 0)
	require.ErrorIs(d.t, err, stripekit.ErrCheckpointConflict)
}

// awaitRemoval waits until the ttl of the record is over.
func (d *doubtfulEngine) awaitRemoval() {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		_, revision, err := d.other.Get(d.t.Context(), "key")
		return err == nil && revision == 0
	}, soon, 10*time.Millisecond)
}

func TestNATSEngineGoesOnFromAPutWithoutResponse(t *testing.T) {
	for name, base := range map[string]func(d *doubtfulEngine) uint64{
		"nothing was stored": func(*doubtfulEngine) uint64 { return 0 },
		"something was":      func(d *doubtfulEngine) uint64 { return putNATS(t, d.other, "key", "first", 0, 0) },
		"it has a ttl":       func(d *doubtfulEngine) uint64 { return putNATS(t, d.other, "key", "first", 0, time.Hour) },
		"it was deleted": func(d *doubtfulEngine) uint64 {
			require.NoError(t, d.other.Delete(t.Context(), "key", putNATS(t, d.other, "key", "first", 0, 0)))
			return 0
		},
		"it was removed": func(d *doubtfulEngine) uint64 {
			putNATS(t, d.other, "key", "first", 0, time.Second)
			d.awaitRemoval()
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoubtfulEngine(t)
			revision := base(d)
			for i, value := range []string{"second", "third", "fourth"} {
				d.putWithoutResponse(value, revision, time.Duration(i%2)*time.Hour)
				d.has(value)
			}
			d.refuses(d.other, revision)
			last := putNATS(t, d.engine, "key", "fifth", revision, time.Hour)
			require.Equal(t, last, d.has("fifth"))
			d.refuses(d.engine, revision)
			putNATS(t, d.engine, "key", "sixth", last, 0)
		})
	}
}

func TestNATSEngineAfterAPutWithoutResponse(t *testing.T) {
	const removed = "the removal is a conflict"
	for name, check := range map[string]func(t *testing.T, d *doubtfulEngine, revision uint64){
		"another's Put is a conflict": func(t *testing.T, d *doubtfulEngine, revision uint64) {
			putNATS(t, d.other, "key", "third", d.has("second"), 0)
			d.refuses(d.engine, revision)
			d.has("third")
		},
		"another's Delete is a conflict": func(t *testing.T, d *doubtfulEngine, revision uint64) {
			require.NoError(t, d.other.Delete(t.Context(), "key", d.has("second")))
			d.refuses(d.engine, revision)
			d.has("")
		},
		removed: func(t *testing.T, d *doubtfulEngine, revision uint64) {
			d.awaitRemoval()
			d.refuses(d.engine, revision)
			d.has("")
		},
		"Delete compares": func(t *testing.T, d *doubtfulEngine, revision uint64) {
			require.ErrorIs(t, d.engine.Delete(t.Context(), "key", revision), stripekit.ErrCheckpointConflict)
			require.NoError(t, d.engine.Delete(t.Context(), "key", d.has("second")))
			d.refuses(d.engine, revision)
		},
		"another process goes on from the next revision": func(t *testing.T, d *doubtfulEngine, revision uint64) {
			again := openNATSEngine(t, d.url, d.name)
			d.refuses(again, revision)
			putNATS(t, again, "key", "third", d.has("second"), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoubtfulEngine(t)
			revision := putNATS(t, d.engine, "key", "first", 0, time.Hour)
			ttl := time.Hour
			if name == removed {
				ttl = time.Second
			}
			d.putWithoutResponse("second", revision, ttl)
			check(t, d, revision)
		})
	}
}

// What was sent arrives when the record has been removed, or replaced.
func TestNATSEngineIsNotDisturbedByWhatArrivesLate(t *testing.T) {
	for name, late := range map[string]func(d *doubtfulEngine, revision uint64) (flow, func(context.Context) error){
		"a renewal": func(d *doubtfulEngine, revision uint64) (flow, func(context.Context) error) {
			return isHeld, d.putting("late", revision, time.Second)
		},
		"a delete": func(d *doubtfulEngine, revision uint64) (flow, func(context.Context) error) {
			return isHeldAtDelete, func(ctx context.Context) error { return d.engine.Delete(ctx, "key", revision) }
		},
	} {
		const sending = 5 * time.Second // longer than it takes to send what is late
		for then, after := range map[string]struct {
			ttl time.Duration
			act func(d *doubtfulEngine, revision uint64) (want string)
		}{
			"its removal": {sending, func(d *doubtfulEngine, _ uint64) string {
				d.awaitRemoval()
				return ""
			}},
			"its removal and another's Put": {sending, func(d *doubtfulEngine, _ uint64) string {
				d.awaitRemoval()
				putNATS(t, d.other, "key", "anew", 0, 0)
				return "anew"
			}},
			"another's Put": {time.Hour, func(d *doubtfulEngine, revision uint64) string {
				putNATS(t, d.other, "key", "renewed", revision, 0)
				return "renewed"
			}},
			"another's Delete": {time.Hour, func(d *doubtfulEngine, revision uint64) string {
				require.NoError(t, d.other.Delete(t.Context(), "key", revision))
				return ""
			}},
			"the same engine's Delete": {time.Hour, func(d *doubtfulEngine, revision uint64) string {
				require.NoError(t, d.engine.Delete(t.Context(), "key", revision))
				return ""
			}},
		} {
			t.Run(name+" after "+then, func(t *testing.T) {
				t.Parallel()
				d := newDoubtfulEngine(t)
				revision := putNATS(t, d.other, "key", "first", 0, after.ttl)
				held, call := late(d, revision)
				d.without(held, isPassed, call)
				want := after.act(d, revision)
				last := lastMessage(t, d.js, d.name).Sequence
				require.Equal(t, last+1, d.releaseAndWait(), "what came late was stored")
				d.has(want)
			})
		}
	}
}

// The first Put of a session is late. The session was given up meanwhile.
func TestNATSEngineDeletesWhatComesLate(t *testing.T) {
	d := newDoubtfulEngine(t)
	d.without(isHeld, isPassed, d.putting("late", 0, time.Hour))
	require.NoError(t, d.engine.Delete(t.Context(), "key", 0))
	last := lastMessage(t, d.js, d.name).Sequence
	require.Equal(t, last+1, d.releaseAndWait(), "what came late was stored")
	d.has("")
	putNATS(t, d.engine, "key", "anew", 0, 0)
}

func TestNATSEngineDeleteWithoutResponse(t *testing.T) {
	d := newDoubtfulEngine(t)
	revision := putNATS(t, d.engine, "key", "first", 0, 0)
	d.without(isPassed, isCutAtAck, func(ctx context.Context) error { return d.engine.Delete(ctx, "key", revision) })
	d.has("")
	require.NoError(t, d.engine.Delete(t.Context(), "key", revision))
	d.refuses(d.engine, revision)
	putNATS(t, d.engine, "key", "anew", 0, 0)
	require.ErrorIs(t, d.engine.Delete(t.Context(), "key", revision), stripekit.ErrCheckpointConflict)
}

// The response to a renewal is late, so that its ttl may have been over before it was
// stored: it is stored again, which decides.
func TestNATSEngineStoresALateRenewalAgain(t *testing.T) {
	t.Parallel()
	d := newDoubtfulEngine(t)
	w := watchNATSAll(t, d.other)
	revision := putNATS(t, d.engine, "key", "first", 0, time.Hour)
	w.sees("key", "first")
	next := putNATS(t, d.engine, "key", "renewed", revision, time.Hour)
	w.sees("key", "renewed")
	_, calls := w.last("key")
	require.Equal(t, 3, calls, "a renewal in time is stored once")

	other := putNATS(t, d.other, "key", "by another engine", next, time.Hour)
	w.sees("key", "by another engine")
	require.Equal(t, other, d.has("by another engine"))
	w.await(func() bool { return w.calls == 5 }, "it is not known when its ttl is over")
	other = putNATS(t, d.other, "key", "for a second", other, time.Second)
	d.awaitRemoval()
	w.sees("key", "-")
	removal, _ := w.last("key")
	require.Greater(t, removal, other)
}
