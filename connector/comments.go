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
	values   []string // the values in quotes that the comment begins with, but for ""
	closed   bool     // there are no other values
	unit     string
	fallback *bool // the value of a field that is null
}

var (
	quoted = regexp.MustCompile(`"([^"]*)"`)
	// moneyComment is in the comment of an amount.
	moneyComment = regexp.MustCompile(`in the smallest (currency unit|unit of (Currency|currency|the currency))`)
	moneyName    = regexp.MustCompile(`(^|_)(amount|fee|net)(_|$)`)
	unitComment  = regexp.MustCompile(`^in (inches|ounces)$`)
	nilIs        = regexp.MustCompile(`\bnil is (true|false)\b`)
	goLiteral    = regexp.MustCompile(`&?\b[A-Z]\w*\{\}`)
	nilWord      = regexp.MustCompile(`\b([Nn])il\b`)
	zeroWord     = regexp.MustCompile(`\b(zero|empty|0) (if|unless|until|while|before|in|for)\b`)
	paramsType   = regexp.MustCompile(`\b[A-Z]\w*Params\b`)
	returnedType = regexp.MustCompile(`\bThe returned [A-Z]\w*`)
	sentinel     = regexp.MustCompile(`\b(?:an )?Err([A-Z][a-z]+)([A-Z][a-z]+)?\b`)
	verb         = regexp.MustCompile(`^(?:(?:is|are|has) |reports (whether ))`)
	// forGo are sentences that only concern callers of the Go methods.
	forGo    = regexp.MustCompile(` ?((Search requests|An empty query|Poller delivers|None is required|List yields)[^.]*\.|[^.]*\bset for every version\b[^.]*\.?)`)
	exported = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z0-9]*)*\b`)
)

// rewordings are parts of comments, each followed by what a reader of JSON is told in its
// place.
var rewordings = []string{
	"a nil map changes nothing, and an empty map that is not nil removes all keys", "null changes nothing, and an empty object removes all keys",
	"If zero, Page uses the service's default of 10, and List uses 100.", "null is 10.",
	"created after; zero for no bound", "after this second",
	"created at or after; zero for no bound", "in this second or after it",
	"created before; zero for no bound", "before this second",
	"created at or before; zero for no bound", "in this second or before it",
	"in parameters 0 is 1", "null is 1",
	": Error.ChargeID is its id", "",
	"(Code charge_already_refunded)", "(code charge_already_refunded)",
	"with Capture false", "with capture false",
	"A second Delete returns", "A second deletion returns",
	"; Update can make that product inactive", "; an update can make that product inactive",
	", set by WithAPIVersion", "",
	"so its requests are pinned to OrdersAPIVersion", "so its requests use the last of these versions",
	"OrdersService.Returns lists all", "order_returns.list lists all",
	"the ID of one of ShippingMethods", "the id of one of shipping_methods",
	"without Carrier and TrackingNumber", "without carrier and tracking_number",
	"unlike in an Order", "unlike in an order",
}

const moneyUnit = "the smallest unit of the currency, such as cents"

// field returns what is known of a field from its comment under key. names translates the
// Go names of the struct's fields.
func (c comments) field(key, name string, k kind, names map[string]string) note {
	comment := c.docs.Comments[key]
	n := note{text: c.text(key, names)}
	list := strings.TrimPrefix(comment, "legacy: ")
	if strings.HasPrefix(list, `"`) {
		n.closed = !strings.Contains(list, "…")
		for _, match := range quoted.FindAllStringSubmatch(list, -1) {
			if match[1] != "" && !strings.Contains(match[1], "…") {
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

// text returns the comment under key. One that begins with the name that it is about, such
// as "Create creates a customer.", begins without it.
func (c comments) text(key string, names map[string]string) string {
	name := key[strings.LastIndexByte(key, '.')+1:] + " "
	comment, named := strings.CutPrefix(c.docs.Comments[key], name)
	if named {
		comment = verb.ReplaceAllString(comment, "$1")
	}
	return plainJSON(comment, names)
}

// sentence returns the comment under key, with a capital letter.
func (c comments) sentence(key string, names map[string]string) string {
	text := c.text(key, names)
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

// plainJSON replaces what only a reader of Go understands: the names of fields and of
// errors, nil, zero values, and literals of structs.
func plainJSON(comment string, names map[string]string) string {
	text := forGo.ReplaceAllString(comment, "")
	text = strings.NewReplacer(rewordings...).Replace(text)
	text = goLiteral.ReplaceAllString(text, "{}")
	text = paramsType.ReplaceAllString(text, "the parameters")
	text = returnedType.ReplaceAllString(text, "The returned object")
	text = nilWord.ReplaceAllString(text, "${1}ull")
	text = zeroWord.ReplaceAllString(text, "null $2")
	text = sentinel.ReplaceAllStringFunc(text, func(name string) string {
		words := sentinel.FindStringSubmatch(name)
		return `an error ("` + strings.ToLower(strings.TrimSpace(words[1]+" "+words[2])) + `")`
	})
	return exported.ReplaceAllStringFunc(text, func(word string) string {
		if name, ok := names[word]; ok {
			return name
		}
		return word
	})
}
