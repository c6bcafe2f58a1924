package bound_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector/mcp/internal/bound"
)

// responses are those that are cut in tests.
var responses = []string{
	`{"object": "list", "data": [{"id": "ch_1", "d": "xxxxxxxxxxxxxxxxxxxx"}, {"id": "ch_2", "d": 1}, {"id": "ch_3", "d": 1}], "has_more": false}`,
	`{"data": [{"id": "1", "d": "` + strings.Repeat("x", 400) + `"}], "next_page": null, "more": "é<&>"}`,
	`{"id": "ch_1", "a": {"b": [1, 2, 3, 4, 5, 6, 7, 8, 9]}, "truncated": 5}`,
	`{"data": [[1], {"id": 7}, "x"], "a": "` + "\xff\xff" + `"}`,
	`{"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk": 1, "id": "x"}`,
	`[[[[[]]]]]`, "null", `"\ud800"`, "{", "",
}

func TestResponseKeepsToEveryLimit(t *testing.T) {
	for _, response := range responses {
		for limit := range 500 {
			requireBound(t, []byte(response), limit)
		}
	}
}

// FuzzResponse gives any response and any limit to Response.
func FuzzResponse(f *testing.F) {
	for _, response := range responses {
		for _, limit := range []uint16{0, 60, 180, 400} {
			f.Add([]byte(response), limit)
		}
	}
	f.Fuzz(func(t *testing.T, response []byte, limit uint16) { requireBound(t, response, int(limit)) })
}

// requireBound requires that a response is either refused, or the result is valid JSON
// within the limit: the response itself, or an object that says what is missing, whose
// fields and objects are those of the response.
func requireBound(t *testing.T, response []byte, limit int) {
	t.Helper()
	got, err := bound.Response(response, limit, false)
	if err != nil {
		return
	}
	require.LessOrEqual(t, len(got), limit)
	require.True(t, json.Valid(got), "%s", got)
	require.True(t, utf8.Valid(got))

	var want, cut any
	response = bytes.ToValidUTF8(response, []byte("\uFFFD"))
	require.NoError(t, json.Unmarshal(response, &want))
	require.NoError(t, json.Unmarshal(got, &cut))
	if fields, ok := cut.(map[string]any); ok && len(response) > limit {
		requirePart(t, want, fields)
		return
	}
	require.Equal(t, want, cut)
}

// requirePart requires that what is in a cut result is in the response.
func requirePart(t *testing.T, want any, cut map[string]any) {
	t.Helper()
	whole := want.(map[string]any)
	text, isCut := cut["truncated"].(string)
	if !isCut || text == whole["truncated"] {
		require.Equal(t, whole, cut)
		return
	}
	objects, isPage := cut["data"].([]any)
	if isPage && len(cut) == 3 {
		require.Equal(t, true, cut["has_more"])
		for i, object := range objects {
			if fields, ok := object.(map[string]any); ok {
				requirePart(t, whole["data"].([]any)[i], fields)
				continue
			}
			require.Equal(t, whole["data"].([]any)[i], object)
		}
		return
	}
	for name, value := range cut {
		if name != "truncated" {
			require.Equal(t, whole[name], value, name)
		}
	}
}
