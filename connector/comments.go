package connector

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/stripekit/stripekit/connector/internal/godocs"
)

//go:generate go run ./internal/gendocs

//go:embed docs.json
var docsJSON []byte

// comments are the comments of the Go types, as text for a reader who sees JSON.
type comments struct{ docs godocs.Docs }

func readComments() comments {
	var c comments
	if err := json.Unmarshal(docsJSON, &c.docs); err != nil {
		panic("connector: docs.json: " + err.Error()) // it is embedded, and a test compares it
	}
	return c
}

// note is what a comment says about a field.
type note struct {
	text     string
	values   []string // the values in quotes that the comment begins with
	closed   bool     // there are no other values
	unit     string
	fallback *bool // the value of a field that is null
}

var (
	quoted = regexp.MustCompile(`"([^"]*)"`)
	// moneyComment is in the comment of an amount, or of the struct that it is in.
	moneyComment = regexp.MustCompile(`in the smallest (currency unit|unit of (Currency|currency|the currency))`)
	moneyName    = regexp.MustCompile(`(^|_)(amount|fee|net)(_|$)`)
	unitComment  = regexp.MustCompile(`^in (inches|ounces)$`)
	nilIs        = regexp.MustCompile(`\bnil is (true|false)\b`)
	goLiteral    = regexp.MustCompile(`&?\b[A-Z]\w*\{\}`)
	nilWord      = regexp.MustCompile(`\b([Nn])il\b`)
	paramsType   = regexp.MustCompile(`\b[A-Z]\w*Params\b`)
	// forGo are sentences that only concern callers of the Go methods.
	forGo    = regexp.MustCompile(` ?((Search requests|An empty query|Poller delivers|None is required)[^.]*\.|[^.]*\bset for every version\b[^.]*\.?)`)
	exported = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z0-9]*)*\b`)
)

const moneyUnit = "the smallest unit of the currency, such as cents"

// field returns what is known of a field: from its comment under key, and from the
// comment of the struct that it belongs to. names translates the Go names of the
// struct's fields.
func (c comments) field(key, name string, k kind, names map[string]string) note {
	comment := c.docs.Comments[key]
	n := note{text: plainJSON(comment, names)}
	list := strings.TrimPrefix(comment, "legacy: ")
	if strings.HasPrefix(list, `"`) {
		n.closed = !strings.Contains(list, "…")
		for _, match := range quoted.FindAllStringSubmatch(list, -1) {
			if !strings.Contains(match[1], "…") {
				n.values = append(n.values, match[1])
			}
		}
	}
	switch unit := unitComment.FindStringSubmatch(comment); {
	case k == kindTime:
		n.unit = "seconds since 1970"
	case k == kindDuration:
		n.unit = "seconds, or a text such as 15s, 5m or 1h"
	case unit != nil:
		n.unit = unit[1]
	case moneyComment.MatchString(comment), k == kindInteger && moneyName.MatchString(name):
		n.unit = moneyUnit
	}
	if is := nilIs.FindStringSubmatch(comment); is != nil {
		n.fallback = new(is[1] == "true")
	}
	return n
}

// sentence returns the comment under key as sentences of their own: a comment that
// begins with the name that it is about, such as "Create creates a customer.", begins
// without it.
func (c comments) sentence(key string, names map[string]string) string {
	text := plainJSON(c.docs.Comments[key], names)
	text = strings.TrimPrefix(text, key[strings.LastIndexByte(key, '.')+1:]+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// ofType returns what the type of a field is, for a field without a comment.
func (c comments) ofType(s *shape, tag string) string {
	for s.kind == kindList {
		s = s.elem
	}
	if s.typ.Name() == "" || s.kind != kindObject && s.kind != kindMap {
		return ""
	}
	text := c.sentence(ownerOf(s.typ), nil)
	if s.kind == kindMap && tag == "form" {
		// What can be done with metadata is a matter of all its sentences but the last,
		// which is for readers of Go.
		text, _, _ = strings.Cut(text, " Anything else")
		return text
	}
	if first, _, more := strings.Cut(text, ". "); more {
		return first + "."
	}
	return text
}

// plainJSON replaces what only a reader of Go understands: the names of fields, nil,
// and literals of structs.
func plainJSON(comment string, names map[string]string) string {
	text := forGo.ReplaceAllString(comment, "")
	text = goLiteral.ReplaceAllString(text, "{}")
	text = paramsType.ReplaceAllString(text, "the parameters")
	text = nilWord.ReplaceAllString(text, "${1}ull")
	return exported.ReplaceAllStringFunc(text, func(word string) string {
		if name, ok := names[word]; ok {
			return name
		}
		return word
	})
}
