package connector

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector/internal/godocs"
)

func TestCommentsAreUpToDate(t *testing.T) {
	want, err := godocs.OfCatalog(os.DirFS(".."))
	require.NoError(t, err)
	require.Greater(t, len(want.Comments), 300)
	var have godocs.Docs
	require.NoError(t, json.Unmarshal(docsJSON, &have))
	require.Equal(t, want, have, "go generate ./... in the folder connector writes it anew")
}

func TestCommentsBecomeNotes(t *testing.T) {
	names := map[string]string{"Source": "source", "ListParams": "list_params"}
	for name, c := range map[string]struct {
		comment, field string
		kind           kind
		want           note
	}{
		"a closed list of values": {
			`"none", "exempt" or "reverse"`, "tax_exempt", kindText,
			note{text: `"none", "exempt" or "reverse"`, values: []string{"none", "exempt", "reverse"}, closed: true},
		},
		"an open list of values": {
			`"eu_vat", "us_ein", …`, "type", kindText,
			note{text: `"eu_vat", "us_ein", …`, values: []string{"eu_vat", "us_ein"}},
		},
		"a prefix is no value":             {`"rse_…"`, "session", kindText, note{text: `"rse_…"`}},
		"a value within a text is no list": {`the last quantity, or "inf"`, "up_to", kindText, note{text: `the last quantity, or "inf"`}},
		"legacy values": {
			`legacy: "good" or "service"`, "type", kindText,
			note{text: `legacy: "good" or "service"`, values: []string{"good", "service"}, closed: true},
		},
		"an empty value": {
			`"safe", or "" to withdraw`, "user_report", kindText,
			note{text: `"safe", or "" to withdraw`, values: []string{"safe"}, closed: true},
		},
		"an amount by its comment": {"in the smallest currency unit", "balance", kindInteger, note{text: "in the smallest currency unit", unit: moneyUnit}},
		"an amount by its name":    {"", "application_fee_amount", kindInteger, note{unit: moneyUnit}},
		"a decimal has the unit of its comment": {
			"in the smallest currency unit, with up to 12 decimals", "unit_amount_decimal", kindText,
			note{text: "in the smallest currency unit, with up to 12 decimals", unit: moneyUnit},
		},
		"inches":        {"in inches", "height", kindNumber, note{text: "in inches", unit: "inches"}},
		"a time":        {"not before then", "end", kindTime, note{text: "not before then", unit: "seconds since 1970"}},
		"a default":     {"nil is true; false only authorizes", "capture", kindBool, note{text: "null is true; false only authorizes", fallback: new(true)}},
		"Go names":      {"if Source is nil, Sources is not", "customer", kindText, note{text: "if source is null, Sources is not"}},
		"no comment":    {"", "name", kindText, note{}},
		"every version": {"set for every version", "coupon", kindRef, note{}},
	} {
		t.Run(name, func(t *testing.T) {
			docs := comments{godocs.Docs{Comments: map[string]string{"X.Y": c.comment}}}
			require.Equal(t, c.want, docs.field("X.Y", c.field, c.kind, names))
		})
	}
}

// TestRewordingsAreOfComments fails when a comment that is reworded has changed.
func TestRewordingsAreOfComments(t *testing.T) {
	var all strings.Builder
	for _, comment := range readComments().docs.Comments {
		all.WriteString(comment + "\n")
	}
	for pair := range slices.Chunk(rewordings, 2) {
		require.Contains(t, all.String(), pair[0])
	}
}
