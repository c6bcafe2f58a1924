package stripetest

import (
	"encoding/json"
	"strings"
)

// tree is a JSON object that keeps the order of its fields. Its values are
// strings, json.Numbers, booleans, nil, *tree and []any. A response becomes a
// tree only where it must be changed, such as for an expansion or an older API
// version.
type tree struct {
	names  []string
	values map[string]any
}

// newTree returns the JSON of object as a tree.
func newTree(object any) any {
	reader := treeReader{rest: string(render(object))}
	return reader.value()
}

// treeReader reads JSON that render has written.
type treeReader struct {
	rest string // the unread part
}

func (r *treeReader) value() any {
	switch r.peek() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return unquote(r.quoted())
	}
	word := r.rest
	if end := strings.IndexAny(word, ",]}\n"); end >= 0 {
		word = word[:end]
	}
	r.rest = r.rest[len(word):]
	switch word {
	case "null":
		return nil
	case "true", "false":
		return word == "true"
	}
	return json.Number(word)
}

// peek skips spaces and returns the next byte.
func (r *treeReader) peek() byte {
	r.rest = strings.TrimLeft(r.rest, " \n")
	return r.rest[0]
}

// skip skips the next byte, which stands before or after a value.
func (r *treeReader) skip() byte {
	skipped := r.peek()
	r.rest = r.rest[1:]
	return skipped
}

func (r *treeReader) object() *tree {
	t := &tree{values: make(map[string]any)}
	r.skip()
	if r.peek() == '}' {
		r.skip()
		return t
	}
	for {
		r.peek()
		name := unquote(r.quoted())
		r.skip()
		t.set(name, r.value())
		if r.skip() == '}' {
			return t
		}
	}
}

func (r *treeReader) array() []any {
	elements := []any{}
	r.skip()
	if r.peek() == ']' {
		r.skip()
		return elements
	}
	for {
		elements = append(elements, r.value())
		if r.skip() == ']' {
			return elements
		}
	}
}

// quoted cuts off a string, with its quotes.
func (r *treeReader) quoted() string {
	end := 1
	for r.rest[end] != '"' {
		if r.rest[end] == '\\' {
			end++
		}
		end++
	}
	text := r.rest[:end+1]
	r.rest = r.rest[end+1:]
	return text
}

// MarshalJSON does not escape <, > and &, like render.
func (t *tree) MarshalJSON() ([]byte, error) {
	var w writer
	w.tree(t)
	return w.text, nil
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
