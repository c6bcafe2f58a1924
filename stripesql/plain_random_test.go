package stripesql_test

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// randomQueries returns the number of random queries: STRIPEKIT_QUERIES, or
// fewer if they are slow.
func randomQueries(t *testing.T) int {
	text, set := os.LookupEnv("STRIPEKIT_QUERIES")
	switch {
	case set:
		n, err := strconv.Atoi(text)
		require.NoError(t, err, "STRIPEKIT_QUERIES")
		return n
	case raceDetector:
		return 30
	case testing.Short():
		return 200
	}
	return 600
}

// randomSeed returns STRIPEKIT_SEED, or a new seed.
func randomSeed(t *testing.T) uint64 {
	text, set := os.LookupEnv("STRIPEKIT_SEED")
	if !set {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "STRIPEKIT_SEED")
	return seed
}

func TestRandomQueriesEqualPlainSQLite(t *testing.T) {
	shop := newSmallShop(t)
	plain := newPlain(t, shop.client, plainTables())
	dbs := map[string]*sql.DB{
		"lists": openShop(t, shop), "search": openShop(t, shop, stripesql.WithSearch()), "few lookups": openShop(t, shop, stripesql.WithFewLookups(1)),
	}
	seed, n := randomSeed(t), randomQueries(t)
	t.Logf("%d queries from STRIPEKIT_SEED=%d", n, seed)
	a := &asker{Rand: rand.New(rand.NewPCG(seed, 0)), shop: shop}
	failed := 0
	for i := range n {
		q, ordered := a.query()
		how := [...]string{"lists", "search", "few lookups"}[i%3]
		db := dbs[how]
		check := func(q randomQuery, ordered bool) error {
			p := q.part()
			return agree(t.Context(), shop, db, plain, ordered, p.text, p.args...)
		}
		err := check(q, ordered)
		if err == nil {
			continue
		}
		for shrunk := true; shrunk; {
			shrunk = false
			for _, smaller := range q.smaller() {
				// A smaller query may have lost the columns that order it.
				stillOrdered := ordered && smaller.order == q.order && len(smaller.columns) == len(q.columns)
				if next := check(smaller, stillOrdered); next != nil && !strings.HasPrefix(next.Error(), "plain SQLite: ") {
					q, err, ordered, shrunk = smaller, next, stillOrdered, true
					break
				}
			}
		}
		p := q.part()
		t.Errorf("query %d of seed %d, with %s: %s %v: %v", i, seed, how, p.text, p.args, err)
		if failed++; failed == 10 {
			t.Fatal("the rest is left out")
		}
	}
}
