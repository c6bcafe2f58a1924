package connector_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector"
)

func TestDescribeHasWhatAFormNeeds(t *testing.T) {
	form, err := connector.Describe("charges.create")
	require.NoError(t, err)
	require.Equal(t, "Create charge", form.Title)
	require.Contains(t, form.Description, "amount, currency and one of source and customer are required")

	const cents = "the smallest unit of the currency, such as cents"
	require.Equal(t, connector.Field{
		Name: "amount", Title: "Amount", Description: "in the smallest currency unit", Type: connector.TypeInteger, Required: true, Unit: cents,
	}, form.Fields[0])
	require.Equal(t, connector.Field{
		Name: "capture", Title: "Capture", Description: "null is true; false only authorizes", Type: connector.TypeBoolean, Default: new(true),
	}, fieldOf(t, form.Fields, "capture"))
	shipping := fieldOf(t, form.Fields, "shipping")
	require.Equal(t, connector.TypeObject, shipping.Type)
	require.False(t, shipping.Required)
	require.True(t, fieldOf(t, shipping.Fields, "name").Required)
	require.False(t, fieldOf(t, shipping.Fields, "phone").Required)
	address := fieldOf(t, shipping.Fields, "address")
	require.True(t, address.Required)
	require.True(t, fieldOf(t, address.Fields, "line1").Required)
	require.False(t, fieldOf(t, address.Fields, "line2").Required)
	metadata := fieldOf(t, form.Fields, "metadata")
	require.Equal(t, connector.TypeMap, metadata.Type)
	require.Equal(t, connector.TypeString, metadata.Items.Type)
	require.Equal(t, connector.TypeFurther, fieldOf(t, form.Fields, "extra").Type)
	require.Equal(t, "idempotency_key", form.Fields[len(form.Fields)-1].Name)

	form, err = connector.Describe("customers.create")
	require.NoError(t, err)
	require.Equal(t, []string{"none", "exempt", "reverse"}, fieldOf(t, form.Fields, "tax_exempt").Enum)
	taxIDs := fieldOf(t, form.Fields, "tax_id_data")
	require.Equal(t, connector.TypeList, taxIDs.Type)
	kind := fieldOf(t, taxIDs.Items.Fields, "type")
	require.True(t, kind.Required)
	require.Empty(t, kind.Enum)
	require.Equal(t, []string{"eu_vat", "us_ein"}, kind.Examples)

	form, err = connector.Describe("products.update")
	require.NoError(t, err)
	require.Equal(t, "inches", fieldOf(t, fieldOf(t, form.Fields, "package_dimensions").Fields, "height").Unit)

	form, err = connector.Describe("orders.new")
	require.NoError(t, err)
	every := fieldOf(t, form.Fields, "every")
	require.Equal(t, connector.TypeDuration, every.Type)
	require.NotEmpty(t, every.Unit)
	paid := fieldOf(t, fieldOf(t, fieldOf(t, form.Fields, "filter").Fields, "status_transitions").Fields, "paid")
	require.Equal(t, connector.Field{
		Name: "gte", Title: "At or after", Description: "in this second or after it", Type: connector.TypeTime, Unit: "seconds since 1970",
	}, fieldOf(t, paid.Fields, "gte"))

	_, err = connector.Describe("charges")
	require.ErrorIs(t, err, connector.ErrUnknownName)
}

func fieldOf(t *testing.T, fields []connector.Field, name string) connector.Field {
	t.Helper()
	i := slices.IndexFunc(fields, func(f connector.Field) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return fields[i]
}

// TestFormsHaveTheFieldsOfTheSchemas compares all forms with the schemas.
func TestFormsHaveTheFieldsOfTheSchemas(t *testing.T) {
	schemas := map[string]json.RawMessage{}
	for _, a := range connector.Actions() {
		schemas[a.Name] = a.Input
	}
	for _, tr := range connector.Triggers() {
		schemas[tr.Name] = tr.Config
	}
	for name, text := range schemas {
		form, err := connector.Describe(name)
		require.NoError(t, err)
		requireSameFields(t, name, form.Fields, text)
	}
}

func requireSameFields(t *testing.T, path string, fields []connector.Field, text json.RawMessage) {
	t.Helper()
	var schema struct {
		Properties map[string]json.RawMessage
		Required   []string
		AnyOf      []struct{ Required []string }
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	if len(schema.AnyOf) > 0 {
		schema.Required = schema.AnyOf[0].Required
	}
	require.Len(t, fields, len(schema.Properties), path)
	for _, f := range fields {
		inner := path + "." + f.Name
		require.Contains(t, schema.Properties, f.Name, inner)
		require.Equal(t, slices.Contains(schema.Required, f.Name), f.Required, inner)
		require.NotEmpty(t, f.Title, inner)
		require.NotEmpty(t, f.Type, inner)
		switch {
		case f.Type == connector.TypeObject:
			requireSameFields(t, inner, f.Fields, schema.Properties[f.Name])
		case f.Type == connector.TypeList && f.Items.Type == connector.TypeObject:
			var list struct{ Items json.RawMessage }
			require.NoError(t, json.Unmarshal(schema.Properties[f.Name], &list))
			requireSameFields(t, inner, f.Items.Fields, list.Items)
		}
	}
}
