//go:build unix

package fleet_test

import (
	"context"
	"database/sql"
	"errors"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/natsstore"
	"github.com/stripekit/stripekit/sqlstore"
)

// The streams and the table of a fleet.
const (
	engineStream     = "FLEET"
	checkpointStream = "CHECKPOINTS"
	eventStream      = "EVENTS"
	eventSubject     = "events"
	eventTable       = "events"
)

// place is where a process reaches what the fleet shares.
type place struct {
	NATS       string // the URLs of the servers; empty for PostgreSQL
	PostgreSQL string // the data source name
}

// shared is what the processes of a fleet share.
type shared struct {
	engine      fleet.Engine
	checkpoints stripekit.CheckpointStore
	js          jetstream.JetStream // nil for PostgreSQL
	db          *sql.DB             // nil for NATS
	pools       []*sql.DB           // db, and that of the engine
}

// open connects to the place, for a process that then runs until it ends.
func (p place) open(ctx context.Context) (shared, error) {
	if p.NATS == "" {
		return openPostgreSQL(p.PostgreSQL)
	}
	js, err := connect(p.NATS)
	if err != nil {
		return shared{}, err
	}
	engine, err := natsstore.OpenEngine(ctx, js, engineStream)
	if err != nil {
		return shared{}, err
	}
	checkpoints, err := natsstore.Open(ctx, js, checkpointStream)
	return shared{engine: engine, checkpoints: checkpoints, js: js}, err
}

// connect connects to a NATS server, and again whenever the connection is lost.
func connect(urls string) (jetstream.JetStream, error) {
	conn, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.PingInterval(5*time.Second), nats.Timeout(5*time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // the default one prints
	if err != nil {
		return nil, err
	}
	return jetstream.New(conn)
}

// endIdle ends the transactions of a worker that does not go on with them, in ms. The
// transaction of a worker that is cut off locks its checkpoint, and whoever takes over
// would wait for as long as the server does not notice.
const endIdle = " idle_in_transaction_session_timeout=3000"

// openPostgreSQL opens two pools, so that a renewal of the session does not wait for
// what the flows do.
func openPostgreSQL(dsn string) (s shared, err error) {
	pool := func(size int) *sql.DB {
		db, openErr := sql.Open("pgx", dsn+endIdle)
		if openErr != nil {
			err = openErr
			return nil
		}
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(size)
		s.pools = append(s.pools, db)
		return db
	}
	engineDB, db := pool(3), pool(3) // a Watch holds a connection
	if err != nil {
		return s, err
	}
	s.db = db
	engine, err := sqlstore.NewEngine(engineDB)
	if err != nil {
		return s, err
	}
	s.engine = engine
	s.checkpoints, err = sqlstore.New(db, sqlstore.PostgreSQL)
	return s, err
}

// close ends the connections to the servers.
func (s shared) close() {
	if s.js != nil {
		s.js.Conn().Close()
	}
	for _, db := range s.pools {
		_ = db.Close()
	}
}

// createNATS creates the streams.
func createNATS(ctx context.Context, js jetstream.JetStream, replicas int) error {
	_, engineErr := natsstore.CreateEngine(ctx, js, natsstore.Config{Name: engineStream, Replicas: replicas})
	_, checkpointErr := natsstore.Create(ctx, js, natsstore.Config{Name: checkpointStream, Replicas: replicas})
	_, eventErr := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: eventStream, Subjects: []string{eventSubject}, Replicas: replicas, Duplicates: 10 * time.Minute,
	})
	return errors.Join(engineErr, checkpointErr, eventErr)
}

// createPostgreSQL creates the tables. That of the events has no unique key, so that
// what is written twice can be seen.
func createPostgreSQL(ctx context.Context, s shared) error {
	if err := s.engine.(*sqlstore.Engine).Migrate(ctx); err != nil {
		return err
	}
	if err := s.checkpoints.(*sqlstore.Store).Migrate(ctx); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "CREATE TABLE "+eventTable+" (id VARCHAR(64) NOT NULL, pid INTEGER NOT NULL)")
	return err
}

// stored returns how often each event is in the stream or the table.
func (s shared) stored(ctx context.Context) (map[string]int, error) {
	if s.js == nil {
		return s.rows(ctx)
	}
	stream, err := s.js.Stream(ctx, eventStream)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return counts, err
	}
	consumer, err := s.js.OrderedConsumer(ctx, eventStream, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		counts[m.Headers().Get(natsstore.IDHeader)]++
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if meta.Sequence.Stream >= info.State.LastSeq {
			return counts, nil
		}
	}
}

func (s shared) rows(ctx context.Context) (map[string]int, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, count(*) FROM "+eventTable+" GROUP BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		counts[id] = n
	}
	return counts, rows.Err()
}
