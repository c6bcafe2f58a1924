package stores_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/natsstore"
)

// busyStream refuses messages as the leader of a stream with replicas does while an
// earlier message of the subject is in process.
type busyStream struct {
	jetstream.JetStream
	refusals atomic.Int64 // to come
}

func (b *busyStream) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if b.refusals.Add(-1) >= 0 {
		return nil, &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequenceConstant, Description: "wrong last sequence"}
	}
	return b.JetStream.PublishMsg(ctx, m, opts...)
}

// The leader removes a message from those in process after it has acknowledged it. The
// next one of the same subject may be there before.
func TestNATSStoreAndEngineWaitForAStreamThatIsBusy(t *testing.T) {
	_, js := startNATS(t)
	busy := &busyStream{JetStream: js}
	name, _ := createStore(t, js)
	store, err := natsstore.Open(t.Context(), busy, name)
	require.NoError(t, err)
	revision := save(t, store, "key", "first", 0)
	busy.refusals.Store(2)
	next := save(t, store, "key", "second", revision)
	require.Negative(t, busy.refusals.Load())

	busy.refusals.Store(1)
	_, err = store.Save(t.Context(), "key", []byte("must not be stored"), revision)
	require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
	require.Equal(t, next, stored(t, store, "key", "second"))

	name, _ = createNATSEngine(t, js)
	engine, err := natsstore.OpenEngine(t.Context(), busy, name)
	require.NoError(t, err)
	revision = putNATS(t, engine, "key", "first", 0, time.Hour)
	busy.refusals.Store(2)
	next = putNATS(t, engine, "key", "second", revision, time.Hour)
	busy.refusals.Store(2)
	require.NoError(t, engine.Delete(t.Context(), "key", next))
	require.Negative(t, busy.refusals.Load())
}
