package stripesql_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// BenchmarkMaterialize copies 40,000 charges from a fake in the process, without a rate
// limit.
func BenchmarkMaterialize(b *testing.B) {
	shop := newBigShop(b, 40_000)
	dir, n := b.TempDir(), 0
	for b.Loop() {
		n++
		file := filepath.Join(dir, strconv.Itoa(n)+".db")
		require.NoError(b, stripesql.Materialize(b.Context(), shop.client, file, stripesql.MaterializeConfig{Tables: []string{"charges"}}))
	}
	b.ReportMetric(float64(n*len(shop.charges))/b.Elapsed().Seconds(), "rows/s")
}
