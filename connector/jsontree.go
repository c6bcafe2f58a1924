package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stripekit/stripekit"
)

// tree is a JSON value. encoding/json cannot be used in its place: it ignores
// duplicate names, and a struct does not show whether a field was null or absent.
type tree struct {
	kind    treeKind
	text    string // of a text or a number
	members []member
	items   []*tree
}

type member struct {
	name  string
	value *tree
}

type treeKind int

const (
	treeNull treeKind = iota
	treeFalse
	treeTrue
	treeText
	treeNumber
	treeList
	treeObject
)

// String returns the name of the kind, with an article.
func (k treeKind) String() string {
	return [...]string{"null", "a boolean", "a boolean", "a string", "a number", "an array", "an object"}[k]
}

// maxDepth is how deep arrays and objects may be nested. No input needs more than six
// levels.
const maxDepth = 32

// parse reads a JSON object. An input without a byte is an empty object. Errors are
// ParamErrors, and quote no value.
func parse(input []byte) (*tree, error) {
	if len(bytes.TrimSpace(input)) == 0 {
		return &tree{kind: treeObject}, nil
	}
	if !utf8.Valid(input) {
		return nil, refuse("", "is not valid UTF-8")
	}
	if !json.Valid(input) {
		return nil, refuse("", syntaxOf(input))
	}
	p := parser{json.NewDecoder(bytes.NewReader(input))}
	p.UseNumber()
	root, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if root.kind == treeNull {
		return &tree{kind: treeObject}, nil
	}
	if root.kind != treeObject {
		return nil, refuse("", "must be an object, and is "+root.kind.String())
	}
	return root, nil
}

// syntaxOf says where the JSON is wrong, without its text.
func syntaxOf(input []byte) string {
	var value any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(input, &value); errors.As(err, &syntax) {
		return fmt.Sprintf("is not valid JSON, at byte %d", syntax.Offset)
	}
	return "is not valid JSON"
}

// parser reads tokens of valid JSON.
type parser struct{ *json.Decoder }

func (p parser) value(path string, depth int) (*tree, error) {
	token, err := p.Token()
	if err != nil {
		return nil, refuse(path, "is not valid JSON")
	}
	switch token := token.(type) {
	case bool:
		if token {
			return &tree{kind: treeTrue}, nil
		}
		return &tree{kind: treeFalse}, nil
	case string:
		return &tree{kind: treeText, text: token}, nil
	case json.Number:
		return &tree{kind: treeNumber, text: token.String()}, nil
	case json.Delim:
		if depth == maxDepth {
			return nil, refuse(path, "is nested too deeply")
		}
		if token == '{' {
			return p.object(path, depth+1)
		}
		return p.list(path, depth+1)
	}
	return &tree{kind: treeNull}, nil
}

func (p parser) object(path string, depth int) (*tree, error) {
	t := &tree{kind: treeObject}
	seen := map[string]bool{}
	for p.More() {
		token, err := p.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, refuse(path, "is not valid JSON")
		}
		inner := below(path, name)
		if seen[name] {
			return nil, refuse(inner, "is there twice")
		}
		seen[name] = true
		value, err := p.value(inner, depth)
		if err != nil {
			return nil, err
		}
		t.members = append(t.members, member{name, value})
	}
	_, err := p.Token()
	return t, err
}

func (p parser) list(path string, depth int) (*tree, error) {
	t := &tree{kind: treeList}
	for p.More() {
		value, err := p.value(below(path, strconv.Itoa(len(t.items))), depth)
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, value)
	}
	_, err := p.Token()
	return t, err
}

// below returns the path of a part, in the style of Stripe: items[0][parent].
func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "[" + name + "]"
}

// refuse returns the error for a part of the input.
func refuse(path, reason string) error {
	if path == "" {
		path = "input"
	}
	if len(path) > maxPath {
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	return &stripekit.ParamError{Param: path, Reason: reason}
}

// maxPath bounds the path in an error in bytes: names come from the input.
const maxPath = 200
