package stripesql

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// compares returns the result of SQLite for a comparison, for values of a type
// that the column is compared in.
func compares(second int64, op string, value any) bool {
	order := 0
	switch value := value.(type) {
	case string:
		order = compareStamps([]byte(formatStamp(second)), []byte(value))
	case int64:
		order = cmp.Compare(second, value)
	case float64:
		order = cmp.Compare(float64(second), value)
	}
	switch op {
	case opEqual:
		return order == 0
	case opLess:
		return order < 0
	case opAtMost:
		return order <= 0
	case opMore:
		return order > 0
	default:
		return order >= 0
	}
}

func TestWindowHoldsWhatAComparisonAllows(t *testing.T) {
	charges := newTables()["charges"]
	const at = 1767225600 // 2026-01-01
	values := map[string][]any{
		"created":      {"2026-01-01", "2026-01-01T00:00:00.5Z", "2026", "2026-01-01 01:00+01:00", "x", ""},
		"created_unix": {int64(at), float64(at) + 0.5, float64(at), -1.5, int64(-7), 1e300},
	}
	for column, some := range values {
		for _, value := range some {
			for _, op := range []string{opEqual, opLess, opAtMost, opMore, opAtLeast} {
				w := everything()
				w.narrow(charges, term{Column: column, Op: op}, value)
				for second := int64(at - 3); second < at+4; second++ {
					require.Equal(t, compares(second, op, value), second >= w.low && second < w.high, "%s %v %v at %d: %v", column, op, value, second-at, w)
				}
			}
		}
	}
}

func TestWindowIgnoresOtherTypes(t *testing.T) {
	charges := newTables()["charges"]
	for column, value := range map[string]any{"created": 5.0, "created_unix": "5"} {
		w := everything()
		w.narrow(charges, term{Column: column, Op: opEqual}, value)
		require.Equal(t, everything(), w)
		w.narrow(charges, term{Column: column, Op: opLess}, []byte("5"))
		require.Equal(t, everything(), w)
		w.narrow(charges, term{Column: column, Op: opLess}, nil)
		require.True(t, w.empty(), "NULL")
	}
}

func TestWindowIsSent(t *testing.T) {
	for want, w := range map[string]window{
		"map[]":                             everything(),
		"map[created[gte]:5]":               {5, endOfStamps},
		"map[created[lt]:9]":                {0, 9},
		"map[created[gte]:5 created[lt]:9]": {5, 9},
	} {
		params := map[string]string{}
		w.send(params, "created")
		require.Equal(t, want, fmt.Sprint(params))
	}
}
