package listing

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendEncodesAQuery(t *testing.T) {
	for want, q := range map[string]Query{
		"":                                     {},
		"limit=100":                            {Limit: 100},
		"limit=1&created[gte]=5&created[lt]=9": {Limit: 1, GTE: 5, LT: 9},
		"created[lt]=9":                        {LT: 9},
		"limit=3&starting_after=ch_1":          {Limit: 3, After: "ch_1"},
		"ending_before=a%26b":                  {Before: "a&b"},
		"limit=100&page=p%2F2":                 {Limit: 100, Page: "p/2"},
	} {
		require.Equal(t, want, string(q.Append(nil)))
	}
	require.Equal(t, "paid=true&limit=2", string(Query{Limit: 2}.Append([]byte("paid=true"))))
}
