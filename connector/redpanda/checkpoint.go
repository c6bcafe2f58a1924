package redpanda

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector/redpanda/internal/database"
	"github.com/stripekit/stripekit/natsstore"
	"github.com/stripekit/stripekit/sqlstore"
)

func checkpointField() *service.ConfigField {
	return service.NewObjectField("checkpoint",
		service.NewObjectField("file",
			service.NewStringField("directory").Example("/var/lib/stripe/checkpoints").
				Description("The folder. It is made if it is missing."),
		).Optional().Description("Files in a folder of a local disk, for one machine."),
		service.NewObjectField("sql", append(database.Fields(),
			service.NewStringField("table").Default("stripekit_checkpoints").
				Description("The table. It is created unless it exists."))...,
		).Optional().Description("A table of a database."),
		service.NewObjectField("nats",
			service.NewStringField("url").Secret().Example("nats://nats.example.com:4222").
				Description("The URL of a server, or of several with commas between them."),
			service.NewStringField("stream").Default("stripekit").
				Description("The stream. It is created unless it exists."),
			service.NewIntField("replicas").Default(0).Advanced().
				Description("How many servers of a cluster keep the stream: 1, 3 or 5. With 0 a new stream has 1, and an existing one keeps what it has."),
			service.NewStringField("credentials_file").Optional().Advanced().
				Description("A file with the credentials of a user."),
		).Optional().Description("A stream of NATS JetStream."),
	).Optional().
		LintRule(`root = if this.keys().length() != 1 { [ "must have exactly one of file, sql and nats" ] }`).
		Description("Where to keep which events were acknowledged. If absent, that is forgotten when the process ends," +
			" and the next process begins anew, as `config.from` says: what happened between the two is not delivered.")
}

// errCheckpoint is the error for a checkpoint that the lint rule refuses as well.
var errCheckpoint = errors.New("checkpoint: must have exactly one of file, sql and nats")

var errNATSURL = errors.New("checkpoint.nats.url: is not a URL, or has characters in its password that must be written as %2F, for example")

// checkpoints is where the checkpoints of an input are kept.
type checkpoints interface {
	// open opens the store. It may be called again after an error.
	open(ctx context.Context) (stripekit.CheckpointStore, error)
	close()
}

// newCheckpoints makes no connection.
func newCheckpoints(conf *service.ParsedConfig) (checkpoints, error) {
	if !conf.Contains("checkpoint") {
		return memory{}, nil
	}
	kinds := map[string]func(*service.ParsedConfig) (checkpoints, error){"file": newFolder, "sql": newTable, "nats": newStream}
	var set []string
	for kind := range kinds {
		if conf.Contains("checkpoint", kind) {
			set = append(set, kind)
		}
	}
	if len(set) != 1 {
		return nil, errCheckpoint
	}
	return kinds[set[0]](conf.Namespace("checkpoint", set[0]))
}

// memory is for an input without a checkpoint. After an error its flow continues where it
// was, as long as the process runs.
type memory struct{}

func (memory) open(context.Context) (stripekit.CheckpointStore, error) {
	return new(stripekit.MemoryStore), nil
}

func (memory) close() {}

// folder keeps checkpoints in files.
type folder string

func newFolder(conf *service.ParsedConfig) (checkpoints, error) {
	path, err := conf.FieldString("directory")
	return folder(path), err
}

func (f folder) open(context.Context) (stripekit.CheckpointStore, error) {
	return stripekit.NewFileStore(string(f))
}

func (folder) close() {}

// table keeps checkpoints in a database.
type table struct {
	db    *database.DB
	store *sqlstore.Store
}

func newTable(conf *service.ParsedConfig) (checkpoints, error) {
	name, err := conf.FieldString("table")
	if err != nil {
		return nil, err
	}
	db, err := database.Open(conf)
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db.DB, db.Dialect, sqlstore.WithTable(name))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return table{db, store}, nil
}

func (t table) open(ctx context.Context) (stripekit.CheckpointStore, error) {
	if err := t.db.Ping(ctx); err != nil { // before Migrate, which tries again after errors
		return nil, err
	}
	return t.store, t.store.Migrate(ctx)
}

func (t table) close() { _ = t.db.Close() }

// stream keeps checkpoints in NATS.
type stream struct {
	servers string
	opts    []nats.Option
	cfg     natsstore.Config
	conn    *nats.Conn // nil before open
}

func newStream(conf *service.ParsedConfig) (checkpoints, error) {
	s := &stream{opts: []nats.Option{nats.Name("stripe"), nats.MaxReconnects(-1)}}
	var err error
	if s.servers, err = conf.FieldString("url"); err != nil {
		return nil, err
	}
	if s.cfg.Name, err = conf.FieldString("stream"); err != nil {
		return nil, err
	}
	if s.cfg.Replicas, err = conf.FieldInt("replicas"); err != nil {
		return nil, err
	}
	credentials, err := text(conf, "credentials_file")
	if strings.Contains(credentials, "-----BEGIN") {
		return nil, errors.New("checkpoint.nats.credentials_file: must be the name of a file, and not what is in it")
	}
	if credentials != "" {
		s.opts = append(s.opts, nats.UserCredentials(credentials))
	}
	return s, err
}

func (s *stream) open(ctx context.Context) (stripekit.CheckpointStore, error) {
	s.close() // after an attempt that failed
	var err error
	if s.conn, err = nats.Connect(s.servers, s.opts...); err != nil {
		if _, ok := errors.AsType[*url.Error](err); ok {
			return nil, errNATSURL // err may have the password
		}
		return nil, err
	}
	js, err := jetstream.New(s.conn)
	if err != nil {
		return nil, err
	}
	return natsstore.Create(ctx, js, s.cfg)
}

func (s *stream) close() {
	if s.conn != nil {
		s.conn.Close()
	}
}
