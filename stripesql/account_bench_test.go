package stripesql_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// shortList is the list of every account: 20 charges, the same in each but for the ids.
func shortList(r *http.Request) (*http.Response, error) {
	key, _, _ := r.BasicAuth()
	var objects []string
	for i := range 20 {
		objects = append(objects, fmt.Sprintf(`{"id":"ch_%s_%d","created":%d}`, key[len("sk_test_"):], i, newYear.Unix()-int64(i)*60))
	}
	body := `{"data":[` + strings.Join(objects, ",") + `],"has_more":false}`
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// Each query makes a call for each account, but for that of one.
func BenchmarkManyAccounts(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		connections := stripekit.NewConnections(stripekit.WithRateLimit(stripekit.RateLimit{}), stripekit.WithHTTPClient(&http.Client{Transport: roundTrip(shortList)}))
		for i := range n {
			require.NoError(b, connections.Add(stripekit.Connection{Name: fmt.Sprint("shop", i), APIKey: stripekit.NewSecret(fmt.Sprint("sk_test_", i))}))
		}
		db, err := stripesql.OpenAll(connections)
		require.NoError(b, err)
		for _, bench := range []struct {
			name, query string
			rows        int
		}{
			{"one", "SELECT id FROM charges WHERE connection = 'shop7'", 20},
			{"all", "SELECT id FROM charges", 20 * n},
			{"latest", "SELECT id FROM charges ORDER BY created DESC LIMIT 5", 5},
			{"in order", "SELECT id FROM charges ORDER BY created DESC", 20 * n},
		} {
			b.Run(fmt.Sprintf("%s of %d", bench.name, n), func(b *testing.B) {
				for b.Loop() {
					got, err := run(b.Context(), db, bench.query)
					require.NoError(b, err)
					require.Len(b, got.rows, bench.rows)
				}
			})
		}
		require.NoError(b, db.Close())
	}
}
