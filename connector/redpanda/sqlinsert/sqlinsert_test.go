package sqlinsert_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	_ "github.com/stripekit/stripekit/connector/redpanda/sqlinsert"
)

const soon = 2 * time.Minute

// database returns a new SQLite database, and its data source name.
func database(t *testing.T, schema string) (*sql.DB, string) {
	t.Helper()
	dsn := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db")) + "?_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite3", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Exec(schema)
	require.NoError(t, err)
	return db, dsn
}

// output returns a function that sends a batch to the output, which lines configure. The
// function returns the error of the batch.
func output(t *testing.T, lines ...string) func(service.MessageBatch) error {
	t.Helper()
	builder := service.NewResourceBuilder()
	builder.SetLogger(slog.New(slog.DiscardHandler))
	require.NoError(t, builder.AddOutputYAML("label: output\nsql_insert:\n  "+strings.Join(lines, "\n  ")))
	resources, stop, err := builder.Build()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop(context.WithoutCancel(t.Context()))) })
	return func(batch service.MessageBatch) (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		require.NoError(t, resources.AccessOutput(ctx, "output", func(o *service.ResourceOutput) { err = o.WriteBatch(ctx, batch) }))
		return err
	}
}

func batchOf(messages ...string) service.MessageBatch {
	var batch service.MessageBatch
	for _, text := range messages {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	return batch
}

// rejected returns the indices of the messages that a batch was rejected for.
func rejected(t *testing.T, index *service.Indexer, err error) map[int]string {
	t.Helper()
	failed := map[int]string{}
	batchErr, ok := errors.AsType[*service.BatchError](err)
	require.True(t, ok, "%v", err)
	batchErr.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		if err != nil {
			failed[i] = err.Error()
		}
		return true
	})
	return failed
}

func rows(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	result, err := db.Query(query)
	require.NoError(t, err)
	defer result.Close()
	var all []string
	for result.Next() {
		var row string
		require.NoError(t, result.Scan(&row))
		all = append(all, row)
	}
	require.NoError(t, result.Err())
	return all
}

func TestBatchIsInserted(t *testing.T) {
	db, dsn := database(t, `CREATE TABLE charges (id TEXT PRIMARY KEY, amount INTEGER, rate REAL, paid, note TEXT, tags TEXT)`)
	send := output(t, "driver: sqlite", "dsn: "+dsn, "table: charges", "columns: [ id, amount, rate, paid, note, tags ]",
		"args_mapping: 'root = [ this.id, this.amount, this.rate, this.paid, this.note, this.tags ]'")
	require.NoError(t, send(batchOf(
		`{"id": "a", "amount": 9007199254740993, "rate": 0.5, "paid": true, "note": "it's", "tags": {"x": [1, null]}}`,
		`{"id": "b", "amount": -1, "rate": 1e3, "paid": false, "note": null, "tags": []}`,
	)))
	want := []string{`a 9007199254740993 0.5 1 "it's" '{"x":[1,null]}'`, `b -1 1000.0 0 NULL '[]'`}
	got := rows(t, db, `SELECT id || ' ' || amount || ' ' || rate || ' ' || paid || ' ' || iif(note IS NULL, 'NULL', '"' || note || '"') || ' ' || quote(tags) FROM charges ORDER BY id`)
	require.Empty(t, cmp.Diff(want, got))
}

func TestMessageThatIsDeliveredAgainIsOneRow(t *testing.T) {
	db, dsn := database(t, `CREATE TABLE charges (id TEXT PRIMARY KEY, amount INTEGER)`)
	send := output(t, "driver: sqlite", "dsn: "+dsn, "table: charges", "columns: [ id, amount ]",
		"args_mapping: 'root = [ this.id, this.amount ]'", "suffix: ON CONFLICT (id) DO UPDATE SET amount = excluded.amount")
	require.NoError(t, send(batchOf(`{"id": "a", "amount": 1}`, `{"id": "b", "amount": 2}`, `{"id": "a", "amount": 3}`)))
	require.NoError(t, send(batchOf(`{"id": "b", "amount": 4}`)))
	require.Equal(t, []string{"a 3", "b 4"}, rows(t, db, `SELECT id || ' ' || amount FROM charges ORDER BY id`))
}

func TestOnlyTheMessagesAtFaultAreRejected(t *testing.T) {
	db, dsn := database(t, `CREATE TABLE charges (id TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount > 0))`)
	send := output(t, "driver: sqlite", "dsn: "+dsn, "table: charges", "columns: [ id, amount ]",
		"args_mapping: 'root = if this.id == \"short\" { [ 1 ] } else { [ this.id, this.amount ] }'")
	batch := batchOf(`{"id": "a", "amount": 1}`, `{"id": "b", "amount": -1}`, `{"id": "c", "amount": 2}`, `{"id": "short"}`, `not JSON`, `{"id": "d", "amount": 3}`)
	index := batch.Index()
	failed := rejected(t, index, send(batch))
	require.Len(t, failed, 3)
	require.Contains(t, failed[1], "CHECK constraint failed")
	require.Contains(t, failed[3], "args_mapping: the result must be an array of 2 values")
	require.Contains(t, failed[4], "args_mapping: ")
	require.Equal(t, []string{"a", "c", "d"}, rows(t, db, `SELECT id FROM charges ORDER BY id`))
}

// TestBatchIsOneTransaction: what the failed transaction has inserted was undone before
// the messages were inserted one by one.
func TestBatchIsOneTransaction(t *testing.T) {
	db, dsn := database(t, `CREATE TABLE charges (id TEXT NOT NULL)`)
	send := output(t, "driver: sqlite", "dsn: "+dsn, "table: charges", "columns: [ id ]", "args_mapping: 'root = [ this.id ]'")
	batch := batchOf(`{"id": "a"}`, `{"id": null}`, `{"id": "b"}`)
	index := batch.Index()
	failed := rejected(t, index, send(batch))
	require.Len(t, failed, 1)
	require.Contains(t, failed[1], "NOT NULL constraint failed")
	require.Equal(t, []string{"a", "b"}, rows(t, db, `SELECT id FROM charges`))
}

func TestConfigurationIsRefusedWithoutItsSecrets(t *testing.T) {
	for name, test := range map[string]struct{ driver, dsn, want string }{
		"no such driver": {"postgres", "postgres://user:hidden@host/db", "driver: this program has none for postgres"},
		"no such kind":   {"oracle", "user:hidden@host", "value oracle is not a valid option"},
	} {
		t.Run(name, func(t *testing.T) {
			builder := service.NewStreamBuilder()
			builder.SetHTTPMux(http.NewServeMux())
			builder.SetLogger(slog.New(slog.DiscardHandler))
			err := builder.SetYAML(`
input:
  generate:
    mapping: root = {}
    count: 1
output:
  sql_insert:
    driver: ` + test.driver + `
    dsn: ` + test.dsn + `
    table: t
    columns: [ a ]
    args_mapping: root = [ 1 ]
`)
			if err == nil {
				stream, buildErr := builder.Build()
				require.NoError(t, buildErr)
				err = stream.Run(t.Context())
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}
