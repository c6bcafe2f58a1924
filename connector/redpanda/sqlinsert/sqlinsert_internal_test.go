package sqlinsert

import (
	"context"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector/redpanda/internal/database"
	"github.com/stripekit/stripekit/sqlstore"
)

func parsed(t *testing.T, dsn string) *output {
	t.Helper()
	conf, err := spec().ParseYAML(`
driver: sqlite
dsn: "`+dsn+`"
table: charges
columns: [ id ]
args_mapping: root = [ "a" ]
`, nil)
	require.NoError(t, err)
	out, _, inFlight, err := newOutput(conf, nil)
	require.NoError(t, err)
	require.Equal(t, 64, inFlight)
	t.Cleanup(func() { _ = out.Close(context.Background()) })
	return out.(*output)
}

// TestDatabaseThatIsGoneIsReported: the engine then waits until Connect succeeds, and
// sends the batch again.
func TestDatabaseThatIsGoneIsReported(t *testing.T) {
	o := parsed(t, ":memory:")
	require.NoError(t, o.Connect(t.Context()))
	batch := service.MessageBatch{service.NewMessage(nil), service.NewMessage(nil)}
	require.ErrorContains(t, o.WriteBatch(t.Context(), batch), "no such table")
	require.NoError(t, o.db.Close())
	require.ErrorIs(t, o.WriteBatch(t.Context(), batch), service.ErrNotConnected)
	require.Error(t, o.Connect(t.Context()))
}

func TestStatementHasThePlaceholdersOfItsDatabase(t *testing.T) {
	o := &output{db: &database.DB{Dialect: sqlstore.PostgreSQL}}
	require.Equal(t, "INSERT INTO shop.charges (id, amount) VALUES ($1, $2) ON CONFLICT DO NOTHING",
		o.statement("shop.charges", []string{"id", "amount"}, "ON CONFLICT DO NOTHING"))
	o.db.Dialect = sqlstore.MySQL
	require.Equal(t, "INSERT INTO charges (id, amount) VALUES (?, ?)", o.statement("charges", []string{"id", "amount"}, ""))
}
