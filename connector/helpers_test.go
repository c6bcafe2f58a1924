package connector_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
)

// invoke carries out an action that must succeed, checks both sides of it against the
// schemas, and returns the output.
func invoke(t *testing.T, client *stripekit.Client, name, input string) map[string]any {
	t.Helper()
	a := action(t, name)
	requireFits(t, a.Input, []byte(input))
	out, err := connector.Invoke(t.Context(), client, name, []byte(input))
	require.NoError(t, err, "%s %s", name, input)
	requireFits(t, a.Output, out)
	return decoded(t, out)
}

func action(t *testing.T, name string) connector.Action {
	t.Helper()
	all := connector.Actions()
	i := slices.IndexFunc(all, func(a connector.Action) bool { return a.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no action %s", name)
	return all[i]
}

func trigger(t *testing.T, name string) connector.Trigger {
	t.Helper()
	all := connector.Triggers()
	i := slices.IndexFunc(all, func(a connector.Trigger) bool { return a.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no trigger %s", name)
	return all[i]
}

func decoded(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var value map[string]any
	require.NoError(t, json.Unmarshal(text, &value), "%s", text)
	return value
}

// fits returns why a JSON value is not as its schema says, or nil.
func fits(t *testing.T, schema json.RawMessage, text []byte) error {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(text, &value), "%s", text)
	return resolved(t, schema).Validate(value)
}

func requireFits(t *testing.T, schema json.RawMessage, text []byte) {
	t.Helper()
	require.NoError(t, fits(t, schema, text), "%s", text)
}

func resolved(t *testing.T, text json.RawMessage) *jsonschema.Resolved {
	t.Helper()
	var schema jsonschema.Schema
	require.NoError(t, json.Unmarshal(text, &schema))
	r, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	require.NoError(t, err)
	return r
}
