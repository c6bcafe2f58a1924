package stores_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

// durableSQLite is a new file that survives a power failure.
func durableSQLite(b *testing.B) servers.Database {
	name := "file:" + filepath.ToSlash(filepath.Join(b.TempDir(), "test.db"))
	return servers.Database{Driver: "sqlite3", DSN: name + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"}
}

// databases are measured with what each does by default to keep a transaction.
var databases = []struct {
	dialect sqlstore.Dialect
	open    func(b *testing.B) servers.Database
}{
	{sqlstore.SQLite, durableSQLite},
	{sqlstore.PostgreSQL, func(b *testing.B) servers.Database { return servers.PostgreSQL(b) }},
	{sqlstore.MySQL, func(b *testing.B) servers.Database {
		d := servers.MariaDB(b)
		d.DSN += "&interpolateParams=true"
		return d
	}},
}

// checkpointSize is that of the checkpoint of a flow with about 100 objects in the
// overlap.
const checkpointSize = 1000

// BenchmarkSave saves the checkpoints of 64 flows. The raw row is the UPDATE alone.
func BenchmarkSave(b *testing.B) {
	for _, d := range databases {
		b.Run(string(d.dialect), func(b *testing.B) {
			db, store := openBench(b, d.dialect, d.open(b))
			update := rawUpdate(d.dialect)
			save := func(ctx context.Context, flow int, revision uint64) (uint64, error) {
				return store.Save(ctx, flowKey(flow), make([]byte, checkpointSize), revision)
			}
			raw := func(ctx context.Context, flow int, revision uint64) (uint64, error) {
				_, err := db.ExecContext(ctx, update, make([]byte, checkpointSize), flowKey(flow))
				return revision + 1, err
			}
			benchSaves(b, save, raw)
		})
	}
	for name, open := range map[string]func(b *testing.B) stripekit.CheckpointStore{
		"memory": func(*testing.B) stripekit.CheckpointStore { return new(stripekit.MemoryStore) },
		"file": func(b *testing.B) stripekit.CheckpointStore {
			store, err := stripekit.NewFileStore(b.TempDir())
			require.NoError(b, err)
			return store
		},
		"nats": func(b *testing.B) stripekit.CheckpointStore {
			_, js := startNATS(b)
			_, store := createStore(b, js)
			return store
		},
	} {
		b.Run(name, func(b *testing.B) {
			store := open(b)
			benchSaves(b, func(ctx context.Context, flow int, revision uint64) (uint64, error) {
				return store.Save(ctx, flowKey(flow), make([]byte, checkpointSize), revision)
			}, nil)
		})
	}
}

func flowKey(flow int) string { return fmt.Sprintf("test///charges//%d", flow) }

// rawUpdate is the statement of a Save, without its comparison. It changes the row
// each time: an update that changes nothing costs nothing.
func rawUpdate(dialect sqlstore.Dialect) string {
	if dialect == sqlstore.PostgreSQL {
		return "UPDATE stripekit_checkpoints SET data = $1, revision = revision + 1 WHERE checkpoint_key = $2"
	}
	return "UPDATE stripekit_checkpoints SET data = ?, revision = revision + 1 WHERE checkpoint_key = ?"
}

// openBench opens a database with a store and a table of rows.
func openBench(b *testing.B, dialect sqlstore.Dialect, database servers.Database) (*sql.DB, *sqlstore.Store) {
	db := database.Open(b)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	store, err := sqlstore.New(db, dialect)
	require.NoError(b, err)
	require.NoError(b, store.Migrate(b.Context()))
	_, err = db.Exec("CREATE TABLE payments (id VARCHAR(64) NOT NULL, amount BIGINT NOT NULL)")
	require.NoError(b, err)
	return db, store
}

// saveFunc saves the checkpoint of a flow.
type saveFunc = func(ctx context.Context, flow int, revision uint64) (uint64, error)

// benchSaves measures saves of 1 and of 64 flows at the same time, and as many raw
// statements in turn with them.
func benchSaves(b *testing.B, save, raw saveFunc) {
	const flows = 64
	var revisions [flows]uint64
	for flow := range flows {
		revision, err := save(b.Context(), flow, 0)
		require.NoError(b, err)
		revisions[flow] = revision
	}
	measure := func(f saveFunc, flows int) float64 {
		var calls atomic.Int64
		var all sync.WaitGroup
		began := time.Now()
		for flow := range flows {
			all.Go(func() {
				for time.Since(began) < 500*time.Millisecond {
					revision, err := f(b.Context(), flow, revisions[flow])
					if err != nil {
						b.Error(err)
						return
					}
					revisions[flow] = revision
					calls.Add(1)
				}
			})
		}
		all.Wait()
		return float64(calls.Load()) / time.Since(began).Seconds()
	}
	for _, n := range []int{1, flows} {
		var speeds, raws []float64
		for range 3 {
			speeds = append(speeds, measure(save, n))
			if raw != nil {
				raws = append(raws, measure(raw, n))
			}
		}
		b.ReportMetric(median(speeds), fmt.Sprintf("saves/s-%d-at-once", n))
		if raw != nil {
			b.ReportMetric(100*median(speeds)/median(raws), fmt.Sprintf("%%-of-raw-%d", n))
		}
	}
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// defaultMaxUnacked is the default of PollConfig.MaxUnacked. A queue of more events
// makes a checkpoint in the middle of a backlog larger.
const defaultMaxUnacked = 1000

// BenchmarkRunTx books a backlog of charges that the Poller has found already. The raw
// row has the same statements in transactions of the same size, with a checkpoint of the
// same size, without a Poller.
func BenchmarkRunTx(b *testing.B) {
	for _, d := range databases {
		for _, batch := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/batch=%d", d.dialect, batch), func(b *testing.B) {
				events := min(200*batch, defaultMaxUnacked)
				var speeds, raws []float64
				for range 9 {
					db, store := openBench(b, d.dialect, d.open(b))
					speed, size := runTxSpeed(b, d.dialect, store, batch, events)
					speeds = append(speeds, speed)
					raws = append(raws, rawSpeed(b, d.dialect, db, batch, events, size))
				}
				b.ReportMetric(median(speeds), "events/s")
				b.ReportMetric(100*median(speeds)/median(raws), "%-of-raw")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func insertPayment(dialect sqlstore.Dialect) string {
	if dialect == sqlstore.PostgreSQL {
		return "INSERT INTO payments (id, amount) VALUES ($1, $2)"
	}
	return "INSERT INTO payments (id, amount) VALUES (?, ?)"
}

// runTxSpeed returns the events per second of RunTx, and the size of the checkpoint in
// the middle.
func runTxSpeed(b *testing.B, dialect sqlstore.Dialect, store *sqlstore.Store, batch, events int) (speed float64, checkpoint int) {
	client, server := stripekittest.NewClient(b)
	server.Seed("/v1/charges", stripetest.Seeding{
		Count: events, First: time.Now().Add(-2 * time.Hour), Every: time.Hour / time.Duration(events+1),
		Params: url.Values{"amount": {"2000"}, "currency": {"usd"}, "source": {"tok_visa"}},
	})
	p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Checkpoints: store, From: stripekit.FromBeginning, Every: time.Second,
	})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var began time.Time
	insert := insertPayment(dialect)
	handled := 0
	err = sqlstore.RunTx(ctx, p, batch, func(ctx context.Context, tx *sql.Tx, batch []stripekit.Event[stripekit.Charge]) error {
		if began.IsZero() {
			for p.Status().Unacked < events {
				<-time.After(time.Millisecond)
			}
			server.Fault("", stripetest.Every(), stripetest.Do(func() { <-ctx.Done() })) // the fake takes no time
			began = time.Now()
		}
		for _, e := range batch {
			if _, err := tx.ExecContext(ctx, insert, e.ID, e.Object.Amount); err != nil {
				return err
			}
		}
		handled += len(batch)
		if handled > events/2 && checkpoint == 0 {
			checkpoint = p.Status().CheckpointBytes
		}
		if handled == events {
			speed = float64(events) / time.Since(began).Seconds() // without the last commit
			cancel()
		}
		return nil
	})
	require.NoError(b, err)
	return speed, checkpoint
}

// rawSpeed returns the rows per second of the same transactions.
func rawSpeed(b *testing.B, dialect sqlstore.Dialect, db *sql.DB, batch, events, checkpoint int) (speed float64) {
	ctx := b.Context()
	update, insert := rawUpdate(dialect), insertPayment(dialect)
	data := bytes.Repeat([]byte("x"), checkpoint)
	var key string
	require.NoError(b, db.QueryRow("SELECT checkpoint_key FROM stripekit_checkpoints").Scan(&key))
	began := time.Now()
	for row := 0; row < events; row += batch {
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(b, err)
		_, err = tx.ExecContext(ctx, update, data, key)
		require.NoError(b, err)
		for i := range batch {
			_, err = tx.ExecContext(ctx, insert, fmt.Sprintf("ch_%024d", row+i), 2000)
			require.NoError(b, err)
		}
		speed = float64(events) / time.Since(began).Seconds() // without the last commit
		require.NoError(b, tx.Commit())
	}
	return speed
}
