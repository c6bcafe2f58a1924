package listing

import (
	"strconv"

	"github.com/stripekit/stripekit/internal/form"
)

// Append appends the form-encoded parameters of q to b.
func (q Query) Append(b []byte) []byte {
	for _, number := range []struct {
		key   string
		value int64
	}{{"limit", int64(q.Limit)}, {"created[gte]", q.GTE}, {"created[lt]", q.LT}} {
		if number.value != 0 {
			b = form.AppendPair(b, number.key, strconv.FormatInt(number.value, 10))
		}
	}
	for _, cursor := range []struct{ key, value string }{
		{"starting_after", q.After}, {"ending_before", q.Before}, {"page", q.Page},
	} {
		if cursor.value != "" {
			b = form.AppendPair(b, cursor.key, cursor.value)
		}
	}
	return b
}
