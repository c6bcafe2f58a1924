package stripesql_test

import (
	"database/sql"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// openCopied returns a file with all that a shop has.
func openCopied(t *testing.T, shop *smallShop) *sql.DB {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.db")
	require.NoError(t, stripesql.Materialize(t.Context(), shop.client, file, stripesql.MaterializeConfig{}))
	db, err := stripesql.OpenMaterialized(file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestMaterializedTrapsEqualPlainSQLite(t *testing.T) {
	shop := newSmallShop(t)
	plain, db := newPlain(t, shop.client, plainTables()), openCopied(t, shop)
	for name, traps := range shop.traps() {
		t.Run(name, func(t *testing.T) {
			for _, x := range traps {
				if strings.Contains(x.query, "rowid") {
					continue // a materialized table has none
				}
				if err := agree(t.Context(), shop, db, plain, x.ordered(), x.query, x.args...); err != nil {
					t.Errorf("%s %v: %v", x.query, x.args, err)
				}
			}
		})
	}
}

func TestMaterializedRandomQueriesEqualPlainSQLite(t *testing.T) {
	shop := newSmallShop(t)
	plain, db := newPlain(t, shop.client, plainTables()), openCopied(t, shop)
	seed, n := randomSeed(t), randomQueries(t)
	t.Logf("%d queries from STRIPEKIT_SEED=%d", n, seed)
	a := &asker{Rand: rand.New(rand.NewPCG(seed, 0)), shop: shop}
	calls := shop.requests.total()
	for i := range n {
		q, ordered := a.query()
		p := q.part()
		if err := agree(t.Context(), shop, db, plain, ordered, p.text, p.args...); err != nil {
			t.Fatalf("query %d of seed %d: %s %v: %v", i, seed, p.text, p.args, err)
		}
	}
	require.Equal(t, calls, shop.requests.total(), "requests")
}
