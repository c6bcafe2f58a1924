package natsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stripekit/stripekit/internal/transport"
)

// Config configures the stream of a Store or of an Engine.
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

// purpose is what a stream is for.
type purpose struct {
	what       string // that the stream keeps
	config     func(Config) jetstream.StreamConfig
	unsuitable func(jetstream.StreamConfig) []string // why a stream cannot keep it
}

func checkpoints() purpose {
	return purpose{"checkpoints", checkpointStream, unsuitableForCheckpoints}
}

func fleetRecords() purpose {
	return purpose{"the records of a fleet", engineStream, unsuitableForRecords}
}

// Create creates the stream unless it exists, and opens the Store. Of an existing
// stream it updates Replicas and Placement, and leaves all other settings alone; a
// stream that cannot keep checkpoints is an error.
//
// Create belongs into a deployment. In a cluster, several processes that create the
// same stream at the same time may run into a timeout. Processes that only use the
// Store call Open.
func Create(ctx context.Context, js jetstream.JetStream, cfg Config) (*Store, error) {
	s, err := checkpoints().create(ctx, js, cfg)
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// Open opens a Store on the stream that Create has created. It creates and changes
// nothing. A stream that cannot keep checkpoints is an error.
func Open(ctx context.Context, js jetstream.JetStream, name string) (*Store, error) {
	s, err := checkpoints().open(ctx, js, name)
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// CreateEngine creates the stream unless it exists, and opens the Engine. Of an existing
// stream it updates Replicas and Placement, and leaves all other settings alone; a
// stream that cannot keep the records of a fleet, such as that of a Store, is an error.
//
// CreateEngine belongs into a deployment, as Create does. The workers of a fleet call
// OpenEngine.
func CreateEngine(ctx context.Context, js jetstream.JetStream, cfg Config) (*Engine, error) {
	s, err := fleetRecords().create(ctx, js, cfg)
	if err != nil {
		return nil, err
	}
	return newEngine(s), nil
}

// OpenEngine opens an Engine on the stream that CreateEngine has created. It creates and
// changes nothing. A stream that cannot keep the records of a fleet is an error.
func OpenEngine(ctx context.Context, js jetstream.JetStream, name string) (*Engine, error) {
	s, err := fleetRecords().open(ctx, js, name)
	if err != nil {
		return nil, err
	}
	return newEngine(s), nil
}

func (p purpose) create(ctx context.Context, js jetstream.JetStream, cfg Config) (*keyStream, error) {
	stream, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, p.config(cfg))
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process has been faster
		stream, err = js.Stream(ctx, cfg.Name)
	}
	if err == nil {
		stream, err = p.update(ctx, js, stream, cfg)
	}
	if err != nil {
		return nil, transport.QuoteError(fmt.Errorf("natsstore: creating stream %q: %w", cfg.Name, err))
	}
	return p.use(js, stream)
}

func (p purpose) open(ctx context.Context, js jetstream.JetStream, name string) (*keyStream, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, transport.QuoteError(fmt.Errorf("natsstore: opening stream %q: %w", name, err))
	}
	return p.use(js, stream)
}

func (p purpose) use(js jetstream.JetStream, stream jetstream.Stream) (*keyStream, error) {
	cfg := stream.CachedInfo().Config
	if wrong := p.unsuitable(cfg); len(wrong) > 0 {
		return nil, fmt.Errorf("natsstore: stream %q cannot keep %s: %s", cfg.Name, p.what, strings.Join(wrong, ", "))
	}
	return newKeyStream(js, stream), nil
}

// update updates an existing stream.
func (p purpose) update(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, cfg Config) (jetstream.Stream, error) {
	present := stream.CachedInfo().Config
	if len(p.unsuitable(present)) > 0 {
		return stream, nil // use reports it
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

// checkpointStream returns the settings of the stream of a Store.
func checkpointStream(cfg Config) jetstream.StreamConfig {
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

// engineStream returns the settings of the stream of an Engine.
func engineStream(cfg Config) jetstream.StreamConfig {
	s := checkpointStream(cfg)
	s.Description = "The records of a fleet of stripekit. The last message of each subject is one."
	s.SubjectDeleteMarkerTTL = markTTL
	return s
}

// unsuitableForCheckpoints returns why a stream cannot keep checkpoints.
func unsuitableForCheckpoints(cfg jetstream.StreamConfig) []string {
	wrong := unsuitable(cfg)
	if cfg.SubjectDeleteMarkerTTL != 0 {
		wrong = append(wrong, "subject_delete_marker_ttl is set")
	}
	return wrong
}

// unsuitableForRecords returns why a stream cannot keep the records of a fleet.
func unsuitableForRecords(cfg jetstream.StreamConfig) []string {
	wrong := unsuitable(cfg)
	if cfg.SubjectDeleteMarkerTTL < markTTL {
		wrong = append(wrong, fmt.Sprintf("subject_delete_marker_ttl is less than %v", markTTL))
	}
	return wrong
}

// unsuitable returns why a stream can keep neither.
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
	require(cfg.PersistMode == jetstream.DefaultPersistMode, "persist_mode is not default")
	require(!cfg.NoAck, "no_ack is set")
	require(!cfg.Sealed, "it is sealed")
	require(cfg.Mirror == nil && len(cfg.Sources) == 0, "it is a mirror or has sources")
	require(cfg.SubjectTransform == nil, "it has a subject transform")
	return wrong
}
