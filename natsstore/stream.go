package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config configures the stream of a Store.
type Config struct {
	// Name is the name of the stream. It is the first part of its subjects, too. A
	// name has no spaces, dots, asterisks or angle brackets. Domains of JetStream that
	// leaf nodes connect need different names: a message goes to all streams that have
	// its subject.
	Name string
	// Replicas is how many servers keep the stream: 1, 3 or 5. If it is 0, a new
	// stream has 1, and an existing one keeps what it has.
	Replicas int
	// Placement selects the servers. If nil, a new stream may be on any, and an existing
	// one keeps what it has.
	Placement *jetstream.Placement
}

// Create creates the stream unless it exists, and opens the Store. Of an existing
// stream it updates Replicas and Placement, and leaves all other settings alone; a
// stream that cannot keep checkpoints is an error.
//
// Create belongs into a deployment. In a cluster, several processes that create the
// same stream at the same time may run into a timeout. Processes that only use the
// Store call Open.
func Create(ctx context.Context, js jetstream.JetStream, cfg Config) (*Store, error) {
	stream, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, newStream(cfg))
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process has been faster
		stream, err = js.Stream(ctx, cfg.Name)
	}
	if err == nil {
		stream, err = update(ctx, js, stream, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("natsstore: creating stream %q: %w", cfg.Name, err)
	}
	return open(js, stream)
}

// Open opens a Store on the stream that Create has created. It creates and changes
// nothing. A stream that cannot keep checkpoints is an error.
func Open(ctx context.Context, js jetstream.JetStream, name string) (*Store, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("natsstore: opening stream %q: %w", name, err)
	}
	return open(js, stream)
}

func open(js jetstream.JetStream, stream jetstream.Stream) (*Store, error) {
	cfg := stream.CachedInfo().Config
	if wrong := unsuitable(cfg); len(wrong) > 0 {
		return nil, fmt.Errorf("natsstore: stream %q cannot keep checkpoints: %s", cfg.Name, strings.Join(wrong, ", "))
	}
	return &Store{
		js: js, stream: stream, name: cfg.Name, domain: stream.CachedInfo().Domain,
		writer: rand.Text(), doubts: map[string]doubt{},
	}, nil
}

func newStream(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: cfg.Name, Subjects: []string{cfg.Name + ".>"}, Replicas: cfg.Replicas, Placement: cfg.Placement,
		Description:       "Checkpoints of stripekit. The last message of each subject is one.",
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		// A stream that is full refuses a Save; the default would drop the checkpoint that
		// was not saved for the longest time.
		Discard: jetstream.DiscardNew,
		// For the marks of Delete.
		AllowMsgTTL: true,
		// The sequence numbers are revisions. If the stream is deleted and created again,
		// they must not return. There are fewer than a million saves in a second.
		FirstSeq: uint64(time.Now().UnixMicro()),
	}
}

// update updates an existing stream.
func update(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, cfg Config) (jetstream.Stream, error) {
	present := stream.CachedInfo().Config
	if len(unsuitable(present)) > 0 {
		return stream, nil // open reports it
	}
	next := present
	if cfg.Replicas != 0 {
		next.Replicas = cfg.Replicas
	}
	if cfg.Placement != nil {
		next.Placement = cfg.Placement
	}
	if next.Replicas == present.Replicas && samePlacement(next.Placement, present.Placement) {
		return stream, nil
	}
	return js.UpdateStream(ctx, next)
}

func samePlacement(a, b *jetstream.Placement) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Cluster == b.Cluster && slices.Equal(a.Tags, b.Tags)
}

// unsuitable returns why a stream cannot keep checkpoints.
func unsuitable(cfg jetstream.StreamConfig) (wrong []string) {
	require := func(ok bool, setting string) {
		if !ok {
			wrong = append(wrong, setting)
		}
	}
	require(slices.Equal(cfg.Subjects, []string{cfg.Name + ".>"}), fmt.Sprintf("its subjects are not %q", cfg.Name+".>"))
	require(cfg.Storage == jetstream.FileStorage, "storage is not file")
	require(cfg.MaxMsgsPerSubject == 1, "max_msgs_per_subject is not 1")
	require(cfg.MaxAge == 0, "max_age is not 0")
	require(cfg.Retention == jetstream.LimitsPolicy, "retention is not limits")
	require(cfg.Discard == jetstream.DiscardNew && !cfg.DiscardNewPerSubject, "discard is not new")
	require(!cfg.AllowDirect, "allow_direct is set: followers that are behind would respond")
	require(cfg.AllowMsgTTL, "allow_msg_ttl is not set")
	require(cfg.SubjectDeleteMarkerTTL == 0, "subject_delete_marker_ttl is set")
	require(cfg.PersistMode == jetstream.DefaultPersistMode, "persist_mode is not default")
	require(!cfg.NoAck, "no_ack is set")
	require(!cfg.Sealed, "it is sealed")
	require(cfg.Mirror == nil && len(cfg.Sources) == 0, "it is a mirror or has sources")
	require(cfg.SubjectTransform == nil, "it has a subject transform")
	return wrong
}

const (
	// defaultTimeout bounds an operation whose context has no deadline.
	defaultTimeout = 5 * time.Second
	// retryWait is the wait before a request is repeated.
	retryWait = 20 * time.Millisecond
	// electionWait is the wait before another publish if the stream has no leader.
	electionWait = 200 * time.Millisecond
)

// bound returns a context with a deadline.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// whileConnected returns a context with a deadline that also ends when the connection is
// lost. The response to a request under way is lost with it, so that a wait for the
// deadline would be in vain.
func whileConnected(ctx context.Context, conn *nats.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := bound(ctx)
	ctx, end := context.WithCancelCause(ctx)
	lost := conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, ok := <-lost; ok {
			end(nats.ErrDisconnected)
		}
	}()
	return ctx, func() {
		conn.RemoveStatusListener(lost) // closes it
		<-done
		end(nil)
		cancel()
	}
}

// endOf returns the error of an operation with a context of whileConnected.
func endOf(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), nats.ErrDisconnected) {
		return nats.ErrDisconnected
	}
	return err
}

// pause waits, or returns the error of the context.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
