package stripesql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTermHoldsAsInSQLite(t *testing.T) {
	charges := newTables()["charges"]
	whole := func(n int64) *literal { return &literal{Whole: &n} }
	text := func(s string) *literal { return &literal{Text: &s} }
	operators := []string{opEqual, opUnequal, opLess, opAtMost, opMore, opAtLeast, opNull, opNotNull}
	null, less := []string{opNull}, []string{opUnequal, opLess, opAtMost, opNotNull}
	equal, more := []string{opEqual, opAtMost, opAtLeast, opNotNull}, []string{opUnequal, opMore, opAtLeast, opNotNull}
	other := []string{opUnequal, opNotNull}
	for name, test := range map[string]struct {
		column  string
		value   any
		with    *literal
		holding []string // the operators of the terms that hold
	}{
		"null and a number":                  {"amount", nil, whole(5), null},
		"null and a text":                    {"currency", nil, text("usd"), null},
		"a smaller number":                   {"amount", int64(4), whole(5), less},
		"the same number":                    {"amount", int64(5), whole(5), equal},
		"a larger number":                    {"amount", int64(6), whole(5), more},
		"a number and a text":                {"amount", int64(5), text("5"), other},
		"an earlier text":                    {"currency", "eur", text("usd"), less},
		"the same text":                      {"currency", "usd", text("usd"), equal},
		"a later text":                       {"currency", "usd", text("eur"), more},
		"a text and a number":                {"currency", "usd", whole(1), other},
		"an earlier time":                    {"created", "2026-01-31T12:00:00Z", text("2026-02-01"), less},
		"a time, written in another way":     {"created", "2026-01-31T00:00:00Z", text("2026-01-31"), equal},
		"a time, and the text of another":    {"created", "2026-01-31T12:00:00Z", text("2026-01-31T11:59:59Z"), more},
		"text is not compared as times are":  {"currency", "2026-01-31T00:00:00Z", text("2026-01-31"), more},
		"a text that is upper case is other": {"currency", "USD", text("usd"), less},
	} {
		t.Run(name, func(t *testing.T) {
			var holding []string
			for _, op := range operators {
				by := term{Column: test.column, Op: op, Value: test.with}
				require.True(t, by.comparable())
				if by.holds(charges, test.value) {
					holding = append(holding, op)
				}
			}
			require.Equal(t, test.holding, holding)
		})
	}
}
