package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
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

// member returns the value of the member of that name, which is null if there is none.
func (t *tree) member(name string) *tree {
	for _, m := range t.members {
		if m.name == name {
			return m.value
		}
	}
	return &tree{kind: treeNull}
}

// empty reports whether t is a text, a list or an object with nothing in it.
func (t *tree) empty() bool {
	switch t.kind {
	case treeText, treeList, treeObject:
		return t.text == "" && len(t.items) == 0 && len(t.members) == 0
	}
	return false
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
		return nil, refuse(nil, "is not valid UTF-8")
	}
	if !json.Valid(input) {
		return nil, refuse(nil, syntaxOf(input))
	}
	if hasHalfPair(input) {
		return nil, refuse(nil, "has an escape that is half of a surrogate pair")
	}
	p := parser{json.NewDecoder(bytes.NewReader(input))}
	p.UseNumber()
	root, err := p.value(nil, 0)
	if err != nil {
		return nil, err
	}
	if root.kind == treeNull {
		return &tree{kind: treeObject}, nil
	}
	if root.kind != treeObject {
		return nil, refuse(nil, "must be an object, and is "+root.kind.String())
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

// wholeEscape is an escape of JSON: of one character, or of a surrogate pair.
var wholeEscape = regexp.MustCompile(`\\(?:[^u]|u(?:[^dD]...|[dD][0-7]..|[dD][89abAB]..\\u[dD][c-fC-F]..))`)

// hasHalfPair reports whether valid JSON has an escape that is a half of a surrogate pair
// without the other, such as \ud800. encoding/json would replace it by another character.
func hasHalfPair(input []byte) bool {
	return bytes.IndexByte(wholeEscape.ReplaceAll(input, nil), '\\') >= 0
}

// path is where a value is in the input: below the object or array at parent, which is
// nil at the top. The text of a path is made for an error alone: if it were made for
// each value, a long name would be copied as often as it has elements.
type path struct {
	parent *path
	name   string
	size   int // of the text
}

func (p *path) below(name string) *path {
	if p == nil {
		return &path{name: name, size: len(name)}
	}
	return &path{parent: p, name: name, size: p.size + len(name) + len("[]")}
}

// from returns the path below base, in the style of Stripe: items[0][parent].
func (p *path) from(base *path) string {
	if p.parent == base {
		return p.name
	}
	return p.parent.from(base) + "[" + p.name + "]"
}

// maxPath bounds a path in bytes. A request repeats it for each value, and no parameter
// of Stripe needs more.
const maxPath = 200

// refuse returns the error for the part of the input at a path.
func refuse(at *path, reason string) error {
	param := "input"
	if at != nil {
		param = at.from(nil)
	}
	if len(param) > maxPath {
		param = strings.ToValidUTF8(param[:maxPath], "") + "…"
	}
	return &stripekit.ParamError{Param: param, Reason: reason}
}

// parser reads tokens of valid JSON.
type parser struct{ *json.Decoder }

func (p parser) value(at *path, depth int) (*tree, error) {
	if at != nil && at.size > maxPath {
		return nil, refuse(at, "is too long a name")
	}
	token, err := p.Token()
	if err != nil {
		return nil, refuse(at, "is not valid JSON")
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
			return nil, refuse(at, "is nested too deeply")
		}
		if token == '{' {
			return p.object(at, depth+1)
		}
		return p.list(at, depth+1)
	}
	return &tree{kind: treeNull}, nil
}

func (p parser) object(at *path, depth int) (*tree, error) {
	t := &tree{kind: treeObject}
	seen := map[string]bool{}
	for p.More() {
		token, err := p.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, refuse(at, "is not valid JSON")
		}
		inner := at.below(name)
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

func (p parser) list(at *path, depth int) (*tree, error) {
	t := &tree{kind: treeList}
	for p.More() {
		value, err := p.value(at.below(strconv.Itoa(len(t.items))), depth)
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, value)
	}
	_, err := p.Token()
	return t, err
}
