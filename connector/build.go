package connector

import (
	"maps"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// builder makes the catalog.
type builder struct {
	comments comments
	types    map[string]reflect.Type // the Go type of an object, by its name in the catalog
	names    map[string]string       // the reverse
}

// object returns the shape of an object.
func (b builder) object(name string) *shape {
	w := walker{comments: b.comments, tag: "json", objects: b.names}
	return w.of(b.types[name], "")
}

func (b builder) action(op operation) *action {
	w := walker{comments: b.comments, tag: "form"}
	a := &action{operation: op, input: w.of(op.input, "")}
	if a.Name = op.name; a.Name == "" {
		a.Name = op.object + "." + op.verb
	}
	a.Title, a.Object, a.Access = op.title, op.object, op.access
	a.Description = b.description(op)
	a.Input = encoded(inputSchema(a.input))
	schema := outputSchema(b.object(op.object))
	if op.output != oneObject {
		schema = pageSchema(schema, op.output == searchPage)
	}
	a.Output = encoded(schema)
	return a
}

// description returns what an action does. A method says what happens, and the comment
// of its parameters, after a first sentence that repeats that, which are required.
func (b builder) description(op operation) string {
	if op.output == listPage {
		return "Reads one page of " + strings.TrimPrefix(op.title, "List ") + ", the newest first."
	}
	names := fieldNames(b.types[op.object], "json")
	maps.Copy(names, fieldNames(op.input, "form"))
	text := b.comments.sentence(op.comments[0], names)
	if op.output == searchPage {
		text = strings.Replace(text, "Iterates over all", "Reads one page of up to 100", 1)
	}
	if len(op.comments) > 1 {
		if _, more, ok := strings.Cut(b.comments.sentence(op.comments[1], names), ". "); ok {
			text += " " + more
		}
	}
	return text
}

func (b builder) trigger(flow flowKind) *trigger {
	w := walker{comments: b.comments, tag: "form", leaveOut: map[string]bool{
		// The Poller sets these itself.
		"ListParams.Limit": true, "ListParams.StartingAfter": true, "ListParams.EndingBefore": true, "ListParams.Created": true,
		// Stripe refuses it together with the cursors of a Poller.
		"ProductListParams.IDs": true,
	}}
	t := &trigger{flow: flow, config: w.of(flow.config, "")}
	if filter := t.config.field("filter"); filter != nil {
		filter.shape.reserved = []string{"limit", "starting_after", "ending_before", "created", "ids", "expand"}
	}
	t.Name, t.Title, t.Object = flow.object+"."+flow.verb, flow.title, flow.object
	t.Description = flow.description
	if flow.comment != "" {
		changes := strings.NewReplacer("Returns a Source of", "Delivers", "A Poller that", "A flow that")
		t.Description = changes.Replace(b.comments.sentence(flow.comment, nil))
	}
	t.Config = encoded(inputSchema(t.config))
	t.Data = encoded(b.data(flow))
	return t
}

// data returns the schema of the data of a trigger's events.
func (b builder) data(flow flowKind) *jsonschema.Schema {
	object := outputSchema(b.object(flow.object))
	if flow.verb == "new" {
		return object
	}
	w := walker{comments: b.comments, tag: "json", objects: b.names}
	schema := outputSchema(w.of(reflect.TypeFor[changeData](), ""))
	object.Schema, object.Title = "", schema.Properties["object"].Title
	object.Description = schema.Properties["object"].Description
	schema.Properties["object"] = object
	schema.Required = []string{"type", "event_type", "event_id", "at", "object"}
	return schema
}
