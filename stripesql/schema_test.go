package stripesql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

func TestSchemaListsTheTables(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server, stripesql.WithTable("topups", "/v1/topups", stripesql.Column{Name: "amount", Type: stripesql.Integer}))
	var want []string
	for _, table := range append(stripesql.Tables(), "topups") {
		want = append(want, "table|"+table+"|"+table)
	}
	require.ElementsMatch(t, want, mustRun(t, db, "SELECT type, name, tbl_name FROM sqlite_schema").rows)
	require.Equal(t, []string{`CREATE VIRTUAL TABLE "topups" USING stripe("id" TEXT NOT NULL, "created" TIMESTAMP TEXT COLLATE timestamp, ` +
		`"created_unix" INTEGER, "amount" INTEGER, "raw" TEXT HIDDEN)`},
		mustRun(t, db, "SELECT sql FROM sqlite_master WHERE name = 'topups'").rows)
	listed := mustRun(t, db, "SELECT schema, name, type, ncol FROM pragma_table_list WHERE name = 'topups'")
	require.Equal(t, []string{"main|topups|virtual|5"}, listed.rows)
	require.Equal(t, []string{"0|main|"}, mustRun(t, db, "PRAGMA database_list").rows)
	require.Empty(t, server.Requests())
}

func TestPragmasDescribeATable(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server)
	visible := mustRun(t, db, "PRAGMA table_info(payouts)").rows
	require.Equal(t, []string{"0|id|TEXT|1|NULL|0", "1|created|TIMESTAMP TEXT|0|NULL|0", "2|created_unix|INTEGER|0|NULL|0"}, visible[:3])
	require.Equal(t, visible, mustRun(t, db, "SELECT * FROM pragma_table_info('payouts')").rows)

	all := mustRun(t, db, "PRAGMA table_xinfo(payouts)").rows
	require.Len(t, all, len(visible)+6, "five columns of the balance transaction, and raw")
	require.Regexp(t, `^\d+\|balance_transaction_amount\|INTEGER\|0\|NULL\|0\|1$`, all[len(visible)], "it is hidden")
	require.Regexp(t, `^\d+\|raw\|TEXT\|0\|NULL\|0\|1$`, all[len(visible)+5], "raw is hidden")

	var selected []string
	rows, err := db.Query("SELECT * FROM payouts LIMIT 0")
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	for _, row := range visible {
		selected = append(selected, strings.Split(row, "|")[1])
	}
	require.Equal(t, selected, names)

	require.Empty(t, mustRun(t, db, "PRAGMA index_list(payouts)").rows)
	require.Empty(t, mustRun(t, db, "PRAGMA foreign_key_list(payouts)").rows)
	require.Empty(t, server.Requests())
}

// Tools find the columns of all tables in one query.
func TestColumnsOfAllTablesAreOneQuery(t *testing.T) {
	db := openDB(t, newServer(t))
	got := mustRun(t, db, `SELECT m.name FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c
		WHERE c.name = 'raw' AND c.hidden = 1 ORDER BY m.name`).rows
	require.Equal(t, stripesql.Tables(), got)
}

func BenchmarkConnect(b *testing.B) {
	client, err := stripekit.New("sk_test_123")
	require.NoError(b, err)
	connector, err := stripesql.Connector(client)
	require.NoError(b, err)
	for b.Loop() {
		c, err := connector.Connect(context.Background())
		require.NoError(b, err)
		require.NoError(b, c.Close())
	}
}

func TestTableMayBeNamedLikeAKeyword(t *testing.T) {
	var opts []stripesql.Option
	names := []string{"order", "group", "transaction", "index", "values", "select", "table"}
	for _, name := range names {
		opts = append(opts, stripesql.WithTable(name, "/v1/topups"))
	}
	db := openDB(t, newServer(t), opts...)
	for _, name := range names {
		rows, err := db.Query(`SELECT id, raw FROM "` + name + `" LIMIT 0`)
		require.NoError(t, err)
		require.NoError(t, rows.Close())
	}
}
