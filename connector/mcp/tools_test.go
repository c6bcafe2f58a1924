package stripemcp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/stripekittest"
)

var update = flag.Bool("update", false, "write testdata/tools.json anew")

func listTools(t *testing.T, o stripemcp.Options) []*mcp.Tool {
	t.Helper()
	client, server := stripekittest.NewClient(t)
	list, err := connect(t, client, o).ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, list.NextCursor, "there are clients that read one page only")
	require.Empty(t, server.Requests())
	return list.Tools
}

// TestToolsAreTheOnesDecided compares what agents see, the instructions and the tools,
// with testdata/tools.json, so that a change is a decision.
func TestToolsAreTheOnesDecided(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	session := connect(t, client, stripemcp.Options{Write: true})
	tools := listTools(t, stripemcp.Options{Write: true})
	golden := struct {
		Instructions string      `json:"instructions"`
		Tools        []*mcp.Tool `json:"tools"`
	}{session.InitializeResult().Instructions, tools}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	require.NoError(t, encoder.Encode(golden))
	if *update {
		require.NoError(t, os.WriteFile("testdata/tools.json", text.Bytes(), 0o644))
	}
	want, err := os.ReadFile("testdata/tools.json")
	require.NoError(t, err)
	require.Equal(t, string(want), text.String(), "if the change is meant: go test -run ToolsAreTheOnesDecided -update")
}

func toolNamed(t *testing.T, tools []*mcp.Tool, name string) *mcp.Tool {
	t.Helper()
	i := slices.IndexFunc(tools, func(tool *mcp.Tool) bool { return tool.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no tool %s", name)
	return tools[i]
}

func TestToolsAreTheActionsThatAreAllowed(t *testing.T) {
	for _, write := range []bool{false, true} {
		want := []string{"sql", "sql_tables"}
		for _, action := range connector.Actions() {
			if write || action.Access == connector.Read {
				want = append(want, strings.Replace(action.Name, ".", "_", 1))
			}
		}
		var got []string
		for _, tool := range listTools(t, stripemcp.Options{Write: write}) {
			got = append(got, tool.Name)
			if !write {
				require.True(t, tool.Annotations.ReadOnlyHint, tool.Name)
			}
		}
		require.ElementsMatch(t, want, got)
	}
}

// keywords are those of JSON Schema that the inputs use. Some clients reject schemas with
// others, such as $ref.
var keywords = regexp.MustCompile(`^(type|description|default|enum|const|not|anyOf|properties|required|additionalProperties|items|minLength|maxItems|minimum|maximum|maxProperties)$`)

func TestSchemasSuitClients(t *testing.T) {
	for _, tool := range listTools(t, stripemcp.Options{Write: true}) {
		require.Regexp(t, `^[a-zA-Z0-9_-]{1,64}$`, tool.Name)
		require.NotEmpty(t, tool.Title, tool.Name)
		require.NotEmpty(t, tool.Description, tool.Name)
		require.Nil(t, tool.OutputSchema, tool.Name)

		input := tool.InputSchema.(map[string]any)
		require.Equal(t, "object", input["type"], tool.Name)
		for _, keyword := range []string{"anyOf", "oneOf", "allOf", "not"} {
			require.NotContains(t, input, keyword, tool.Name)
		}
		requireKeywords(t, tool.Name, input)

		text, err := json.Marshal(input)
		require.NoError(t, err)
		var schema jsonschema.Schema
		require.NoError(t, json.Unmarshal(text, &schema), tool.Name)
		_, err = schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
		require.NoError(t, err, tool.Name)
	}
}

// requireKeywords visits the schemas in a schema.
func requireKeywords(t *testing.T, path string, schema map[string]any) {
	t.Helper()
	for keyword, value := range schema {
		require.Regexp(t, keywords, keyword, path)
		inner, isObject := value.(map[string]any)
		switch {
		case keyword == "properties":
			for name, property := range inner {
				require.Regexp(t, `^[a-zA-Z0-9_.-]{1,64}$`, name, path)
				requireKeywords(t, path+"."+name, property.(map[string]any))
			}
		case isObject && keyword != "default" && keyword != "const":
			requireKeywords(t, path+"."+keyword, inner)
		}
	}
}

func TestAnnotationsAreTruthful(t *testing.T) {
	tools := listTools(t, stripemcp.Options{Write: true})
	for name, want := range map[string]struct{ reads, destructive, idempotent, open bool }{
		"charges_list":         {true, false, true, true},
		"customers_search":     {true, false, true, true},
		"sql":                  {true, false, true, true},
		"sql_tables":           {true, false, true, false},
		"customers_create":     {false, false, false, true},
		"charges_create":       {false, true, false, true},
		"refunds_create":       {false, true, false, true},
		"orders_pay":           {false, true, false, true},
		"orders_return":        {false, true, false, true},
		"charges_capture":      {false, true, true, true},
		"customers_update":     {false, true, true, true},
		"customers_delete":     {false, true, true, true},
		"invoice_items_delete": {false, true, true, true},
		"refunds_cancel":       {false, true, true, true},
	} {
		a := toolNamed(t, tools, name).Annotations
		require.Equal(t, want.reads, a.ReadOnlyHint, name)
		require.Equal(t, want.destructive, !a.ReadOnlyHint && isTrue(a.DestructiveHint), name)
		require.Equal(t, want.idempotent, a.IdempotentHint, name)
		require.Equal(t, want.open, isTrue(a.OpenWorldHint), name)
	}
}

// isTrue returns a hint that is true by default.
func isTrue(hint *bool) bool { return hint == nil || *hint }
