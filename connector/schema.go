package connector

import (
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// inputSchema returns the schema of parameters: what decode accepts.
func inputSchema(s *shape) *jsonschema.Schema {
	schema := objectOf(s.fields, inputField)
	schema.Schema = draft
	schema.AdditionalProperties = nothing()
	return schema
}

// objectOf returns the schema of an object with the given fields.
func objectOf(fields []*field, of func(*field) *jsonschema.Schema) *jsonschema.Schema {
	schema := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	for _, f := range fields {
		property := of(f)
		describe(property, f)
		schema.Properties[f.name] = property
		schema.PropertyOrder = append(schema.PropertyOrder, f.name)
		if f.required {
			schema.Required = append(schema.Required, f.name)
		}
	}
	return schema
}

// describe adds what a reader wants to know of a field.
func describe(schema *jsonschema.Schema, f *field) {
	schema.Title = title(f.name)
	schema.Description = f.note.text
	if f.note.unit != "" {
		schema.Extra = map[string]any{"x-unit": f.note.unit}
	}
	if f.note.fallback != nil {
		schema.Default, _ = json.Marshal(*f.note.fallback)
	}
}

// inputField returns the schema of a parameter. One that is not required may be null.
func inputField(f *field) *jsonschema.Schema {
	schema := inputValue(f.shape)
	switch f.shape.kind {
	case kindText:
		textField(schema, f)
	case kindInteger, kindNumber, kindTime:
		switch {
		case f.limit.min > 0:
			schema.Minimum = new(f.limit.min)
		case !f.pointer:
			schema.Not = &jsonschema.Schema{Const: new(any(0))}
		}
		if f.limit.max > 0 {
			schema.Maximum = new(f.limit.max)
		}
	case kindDuration:
		schema.Minimum = new(f.limit.min)
	case kindBool:
		if !f.pointer {
			schema.Const = new(any(true))
		}
	case kindList:
		if !f.unsets {
			schema.MinItems = new(1)
		}
		if f.limit.max > 0 {
			schema.MaxItems = new(int(f.limit.max))
		}
	case kindObject:
		switch {
		case !f.unsets:
			schema.MinProperties = new(1)
		case len(schema.Required) > 0:
			// An empty object unsets the field.
			schema.AnyOf = []*jsonschema.Schema{{Required: schema.Required}, {MaxProperties: new(0)}}
			schema.Required = nil
		}
	}
	if !f.required {
		nullable(schema)
	}
	return schema
}

func textField(schema *jsonschema.Schema, f *field) {
	if f.note.closed {
		schema.Enum = enumOf(f)
	} else {
		schema.Examples = anys(f.note.values)
	}
	switch {
	case f.pattern != nil:
		schema.Pattern = f.pattern.String()
	case !f.unsets:
		schema.MinLength = new(1)
	}
}

// inputValue returns the schema of a value in parameters.
func inputValue(s *shape) *jsonschema.Schema {
	switch s.kind {
	case kindText:
		return &jsonschema.Schema{Type: "string"}
	case kindInteger, kindTime:
		return &jsonschema.Schema{Type: "integer"}
	case kindNumber:
		return &jsonschema.Schema{Type: "number"}
	case kindBool:
		return &jsonschema.Schema{Type: "boolean"}
	case kindDuration:
		return &jsonschema.Schema{
			Types: []string{"string", "number"}, Pattern: durationText.String(), ExclusiveMaximum: new(maxDuration),
		}
	case kindList:
		items := inputValue(s.elem)
		switch s.elem.kind {
		case kindText:
			items.MinLength = new(1)
		case kindObject:
			items.MinProperties = new(1)
		}
		return &jsonschema.Schema{Type: "array", Items: items}
	case kindMap:
		values := inputValue(s.elem)
		if s.elem.kind == kindObject {
			values.MinProperties = new(1)
		} else {
			values.MaxLength = new(500) // of metadata
		}
		names := &jsonschema.Schema{Pattern: entryName.String()}
		return &jsonschema.Schema{Type: "object", PropertyNames: names, AdditionalProperties: nullable(values)}
	case kindObject:
		schema := objectOf(s.fields, inputField)
		schema.AdditionalProperties = nothing()
		return schema
	}
	// kindExtra
	return &jsonschema.Schema{Type: "object", PropertyNames: &jsonschema.Schema{Pattern: furtherName.String()}}
}

// enumOf returns the values of a parameter, with "" and null if they are allowed too.
func enumOf(f *field) []any {
	values := anys(f.note.values)
	if f.unsets {
		values = append(values, "")
	}
	if !f.required {
		values = append(values, nil)
	}
	return values
}

// outputSchema returns the schema of an object as Stripe sends it. Any field may be
// absent or null, because API versions differ; only the id of the object is required.
func outputSchema(s *shape) *jsonschema.Schema {
	schema := objectOf(s.fields, outputField)
	schema.Schema = draft
	if id := schema.Properties["id"]; id != nil {
		id.Type, id.Types = "string", nil
		schema.Required = []string{"id"}
	}
	return schema
}

func outputField(f *field) *jsonschema.Schema {
	schema := outputValue(f.shape)
	if f.shape.kind == kindText {
		schema.Examples = anys(f.note.values)
	}
	return schema
}

// outputValue returns the schema of a value in an object. Stripe may add fields and
// values at any time, so none is excluded.
func outputValue(s *shape) *jsonschema.Schema {
	switch s.kind {
	case kindText:
		return &jsonschema.Schema{Types: []string{"string", "null"}}
	case kindInteger, kindTime:
		return &jsonschema.Schema{Types: []string{"integer", "null"}}
	case kindNumber:
		return &jsonschema.Schema{Types: []string{"number", "null"}}
	case kindBool:
		return &jsonschema.Schema{Types: []string{"boolean", "null"}}
	case kindList:
		return &jsonschema.Schema{Types: []string{"array", "null"}, Items: outputValue(s.elem)}
	case kindMap:
		return &jsonschema.Schema{Types: []string{"object", "null"}, AdditionalProperties: outputValue(s.elem)}
	case kindObject:
		return nullable(objectOf(s.fields, outputField))
	case kindRef:
		schema := &jsonschema.Schema{Types: []string{"string", "object", "null"}}
		if s.ref != "" {
			schema.Extra = map[string]any{"x-object": s.ref}
		}
		return schema
	}
	return &jsonschema.Schema{} // kindRaw
}

// pageSchema returns the schema of a page of objects.
func pageSchema(object *jsonschema.Schema, search bool) *jsonschema.Schema {
	item := object.CloneSchemas()
	item.Schema = ""
	schema := &jsonschema.Schema{
		Schema: draft, Type: "object", Required: []string{"data", "has_more"},
		Properties: map[string]*jsonschema.Schema{
			"data":     {Title: "Data", Description: "The objects, the newest first.", Type: "array", Items: item},
			"has_more": {Title: "Has more", Description: "Whether more objects follow the page.", Type: "boolean"},
		},
		PropertyOrder: []string{"data", "has_more"},
	}
	if search {
		schema.Properties["data"].Description = "The objects that were found."
		schema.Properties["next_page"] = &jsonschema.Schema{
			Title: "Next page", Types: []string{"string", "null"},
			Description: "The page of the next search; null on the last page.",
		}
		schema.PropertyOrder = append(schema.PropertyOrder, "next_page")
	}
	return schema
}

// nullable allows null, too.
func nullable(schema *jsonschema.Schema) *jsonschema.Schema {
	if schema.Type != "" {
		schema.Type, schema.Types = "", []string{schema.Type}
	}
	schema.Types = append(schema.Types, "null")
	return schema
}

// nothing returns the schema that no value has.
func nothing() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

func anys(values []string) []any {
	var all []any
	for _, v := range values {
		all = append(all, v)
	}
	return all
}

// encoded returns a schema as JSON.
func encoded(schema *jsonschema.Schema) json.RawMessage {
	text, err := json.Marshal(schema)
	if err != nil {
		panic("connector: a schema cannot be encoded: " + err.Error()) // it is the same in each process
	}
	return text
}
