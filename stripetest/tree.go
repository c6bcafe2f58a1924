package stripetest

import (
	"bytes"
	"encoding/json"
)

// tree is a JSON object that keeps the order of its fields. Its values are
// strings, json.Numbers, booleans, nil, *tree and []any. A response becomes a
// tree only where it must be changed, such as for an expansion or an older API
// version.
type tree struct {
	names  []string
	values map[string]any
}

// newTree encodes object as JSON and decodes it into a tree.
func newTree(object any) any {
	decoder := json.NewDecoder(bytes.NewReader(render(object)))
	decoder.UseNumber()
	decoded, err := decodeTree(decoder)
	if err != nil {
		panic("stripetest: " + err.Error()) // render writes valid JSON
	}
	return decoded
}

func decodeTree(d *json.Decoder) (any, error) {
	token, err := d.Token()
	switch token {
	case json.Delim('{'):
		return decodeFields(d)
	case json.Delim('['):
		return decodeElements(d)
	}
	return token, err
}

func decodeFields(d *json.Decoder) (*tree, error) {
	t := &tree{values: make(map[string]any)}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := decodeTree(d)
		if err != nil {
			return nil, err
		}
		t.set(name.(string), value)
	}
	_, err := d.Token()
	return t, err
}

func decodeElements(d *json.Decoder) ([]any, error) {
	elements := []any{}
	for d.More() {
		element, err := decodeTree(d)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err := d.Token()
	return elements, err
}

// MarshalJSON does not escape <, > and &, like render.
func (t *tree) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	separator := byte('{')
	for _, name := range t.names {
		out.WriteByte(separator)
		separator = ','
		if err := encoder.Encode(name); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := encoder.Encode(t.values[name]); err != nil {
			return nil, err
		}
	}
	if len(t.names) == 0 {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// text returns a field that is a string, or "" for any other.
func (t *tree) text(name string) string {
	text, _ := t.values[name].(string)
	return text
}

func (t *tree) set(name string, value any) {
	if _, known := t.values[name]; !known {
		t.names = append(t.names, name)
	}
	t.values[name] = value
}

// add sets a field if the object does not have it yet.
func (t *tree) add(name string, value any) {
	if _, known := t.values[name]; !known {
		t.set(name, value)
	}
}

func (t *tree) remove(names ...string) {
	for _, name := range names {
		delete(t.values, name)
	}
	kept := t.names[:0]
	for _, name := range t.names {
		if _, known := t.values[name]; known {
			kept = append(kept, name)
		}
	}
	t.names = kept
}

// rename renames a field and keeps its position.
func (t *tree) rename(from, to string) {
	value, known := t.values[from]
	if !known {
		return
	}
	delete(t.values, from)
	t.values[to] = value
	for i, name := range t.names {
		if name == from {
			t.names[i] = to
		}
	}
}

// eachObject calls visit for every object within node, the inner ones first.
func eachObject(node any, visit func(*tree)) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			eachObject(element, visit)
		}
	case *tree:
		for _, name := range node.names {
			eachObject(node.values[name], visit)
		}
		visit(node)
	}
}

// integer returns a field that is an integer, or 0 for any other.
func (t *tree) integer(name string) int64 {
	number, _ := t.values[name].(json.Number)
	n, _ := number.Int64() // 0 with an error
	return n
}
