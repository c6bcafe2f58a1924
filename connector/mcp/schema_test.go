package stripemcp_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/stripekittest"
)

// TestToolsTakeLittleOfAnAgentsContext guards the size of the response to tools/list,
// which an agent reads in every conversation.
func TestToolsTakeLittleOfAnAgentsContext(t *testing.T) {
	for write, most := range map[bool]int{false: 13_000, true: 40_000} {
		tools := listTools(t, stripemcp.Options{Write: write})
		text, err := json.Marshal(tools)
		require.NoError(t, err)
		require.LessOrEqual(t, len(text), most, "write: %v", write)
	}
}

// toolSchema returns the schema of a tool as agents see it.
func toolSchema(t *testing.T, schema any) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(schema)
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(text, &s))
	return &s
}

// TestSchemasHaveWhatACallNeeds compares the schemas of tools with those of the catalog.
func TestSchemasHaveWhatACallNeeds(t *testing.T) {
	leftOut := map[string]bool{}
	tools := listTools(t, stripemcp.Options{Write: true})
	for _, action := range connector.Actions() {
		name := strings.Replace(action.Name, ".", "_", 1)
		tool := toolSchema(t, toolNamed(t, tools, name).InputSchema)
		comparison{t: t, update: strings.HasSuffix(name, "_update"), leftOut: leftOut}.
			requireSame(name, tool, toolSchema(t, action.Input), "")
	}
	require.Equal(t, []string{
		"charges_create.radar_options",
		"customers_delete.idempotency_key", "invoice_items_delete.idempotency_key", // without effect
		"products_create.attributes", "products_create.caption", "products_create.deactivate_on",
		"products_create.default_price_data.currency_options.*.custom_unit_amount",
		"products_create.default_price_data.currency_options.*.tiers",
		"products_create.default_price_data.custom_unit_amount",
		"products_create.type", "products_delete.idempotency_key",
		"products_update.attributes", "products_update.caption", "products_update.deactivate_on",
	}, slices.Sorted(maps.Keys(leftOut)))
}

// comparison is that of a schema of a tool with one of the catalog.
type comparison struct {
	t       *testing.T
	update  bool
	leftOut map[string]bool
}

// requireSame requires that a tool has types, values, bounds, units and required fields.
// around has the descriptions of the objects around it.
func (c comparison) requireSame(path string, tool, full *jsonschema.Schema, around string) {
	t := c.t
	t.Helper()
	require.Equal(t, slices.DeleteFunc(append(full.Types, full.Type), isNullOrEmpty), []string{tool.Type}, path)
	require.Equal(t, full.Default, tool.Default, path)
	require.Equal(t, full.Minimum, tool.Minimum, path)
	require.Equal(t, full.Maximum, tool.Maximum, path)
	require.Equal(t, full.MaxItems, tool.MaxItems, path)
	require.Equal(t, full.Const, tool.Const, path)
	require.Equal(t, slices.DeleteFunc(full.Enum, func(value any) bool { return value == nil || value == "" && !c.update }), tool.Enum, path)
	if len(full.AnyOf) > 0 && !c.update {
		full.Required, full.AnyOf = full.AnyOf[0].Required, nil
	}
	require.Equal(t, full.Required, tool.Required, path)
	require.Equal(t, full.AnyOf, tool.AnyOf, path)
	around += " " + tool.Description
	if unit, ok := full.Extra["x-unit"].(string); ok {
		short := map[string]string{"the smallest unit of the currency, such as cents": "in the smallest currency unit"}
		if short[unit] != "" {
			unit = short[unit]
		}
		require.Contains(t, around, unit, path)
	}
	require.Subset(t, slices.Collect(maps.Keys(full.Properties)), slices.Collect(maps.Keys(tool.Properties)), path)
	for name, property := range full.Properties {
		if tool.Properties[name] == nil {
			c.leftOut[path+"."+name] = true
			continue
		}
		c.requireSame(path+"."+name, tool.Properties[name], property, around)
	}
	if full.Items != nil {
		c.requireSame(path+"[]", tool.Items, full.Items, around)
	}
	if values := full.AdditionalProperties; values != nil && values.Not == nil {
		c.requireSame(path+".*", tool.AdditionalProperties, values, around)
	}
}

func isNullOrEmpty(name string) bool { return name == "null" || name == "" }

// TestDescriptionsHaveNoNull: null is not among the types of a parameter.
func TestDescriptionsHaveNoNull(t *testing.T) {
	for _, tool := range listTools(t, stripemcp.Options{Write: true}) {
		if !strings.HasPrefix(tool.Name, "sql") {
			text, err := json.Marshal(tool)
			require.NoError(t, err)
			require.NotRegexp(t, `(?i)\bnull\b`, string(text), tool.Name)
		}
	}
}

// TestInputsMadeFromSchemasAreSent calls each tool with each of its parameters, with what
// its schema alone says.
func TestInputsMadeFromSchemasAreSent(t *testing.T) {
	client, server := stripekittest.NewClient(t, stripekit.WithMaxRetries(0))
	session := connect(t, client, stripemcp.Options{Write: true})
	// By the descriptions, one of two is required.
	also := map[string]map[string]any{
		"charges_create": {"source": "tok_visa"}, "refunds_create": {"charge": "ch_1"}, "invoice_items_create": {"customer": "cus_1"},
	}
	for _, tool := range listTools(t, stripemcp.Options{Write: true}) {
		if strings.HasPrefix(tool.Name, "sql") {
			continue
		}
		schema := toolSchema(t, tool.InputSchema)
		resolved, err := schema.Resolve(nil)
		require.NoError(t, err)
		for name, property := range schema.Properties {
			for _, value := range samples(property) {
				input := map[string]any{name: value}
				for _, required := range schema.Required {
					if required != name {
						input[required] = samples(schema.Properties[required])[0]
					}
				}
				for parameter, value := range also[tool.Name] {
					if parameter != name {
						input[parameter] = value
					}
				}
				text, err := json.Marshal(input)
				require.NoError(t, err)
				require.NoError(t, resolved.Validate(input), "%s %s", tool.Name, text)
				before := len(server.Requests())
				result := call(t, session, tool.Name, string(text))
				require.Equal(t, before+1, len(server.Requests()), "%s %s: %s", tool.Name, text, textOf(t, result))
			}
		}
	}
}

// samples returns values that a schema allows: each of an enum, and of an object the one
// with all properties and the one with those that are required.
func samples(s *jsonschema.Schema) []any {
	switch {
	case s.Enum != nil:
		return s.Enum
	case s.Const != nil:
		return []any{*s.Const}
	}
	switch s.Type {
	case "integer", "number":
		if s.Minimum != nil {
			return []any{*s.Minimum, max(*s.Minimum, 50)}
		}
		return []any{7}
	case "boolean":
		return []any{true, false}
	case "array":
		return []any{[]any{samples(s.Items)[0]}}
	case "object":
		return objects(s)
	default:
		return []any{"x"}
	}
}

func objects(s *jsonschema.Schema) []any {
	if s.AdditionalProperties != nil {
		return []any{map[string]any{"a": samples(s.AdditionalProperties)[0]}}
	}
	if s.Properties == nil {
		return []any{map[string]any{"some[field]": "x"}}
	}
	required, all := s.Required, []any{}
	if len(s.AnyOf) > 0 {
		required, all = s.AnyOf[0].Required, []any{map[string]any{}} // which unsets it
	}
	whole, least := map[string]any{}, map[string]any{}
	for name, property := range s.Properties {
		whole[name] = samples(property)[0]
		if slices.Contains(required, name) || strings.HasPrefix(s.Description, name+" or ") {
			least[name] = whole[name]
		}
	}
	if len(least) > 0 {
		all = append(all, least)
	}
	return append(all, whole)
}
