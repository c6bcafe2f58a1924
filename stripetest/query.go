package stripetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxClauses   = 10
	minSubstring = 3 // characters
)

// searchQuery is a parsed query. Either all of its clauses must hold, or any of
// them.
type searchQuery struct {
	clauses []clause
	any     bool
}

// clause compares one field. For the field metadata, key is the metadata key.
type clause struct {
	field, key string
	operator   string
	text       string // empty for null
	number     int64  // for a number field
	null       bool
	negated    bool
}

// fieldType is how a field can be searched.
type fieldType int

const (
	tokenField  fieldType = iota // by its whole value
	textField                    // by its whole value or a part of it
	numberField                  // by comparison of numbers
)

// parseQuery parses Stripe's search query language for these fields.
func parseQuery(text string, fields map[string]fieldType) (searchQuery, error) {
	p := &queryParser{rest: text}
	var query searchQuery
	joined := "" // the connective of the clauses, once there is one
	for {
		clause, err := p.clause(fields)
		if err != nil {
			return searchQuery{}, err
		}
		query.clauses = append(query.clauses, clause)
		word, err := p.connective()
		switch {
		case err != nil:
			return searchQuery{}, err
		case word == "":
			return query, p.limit(query)
		case joined != "" && word != joined:
			return searchQuery{}, errors.New("AND and OR cannot be mixed in one query")
		}
		joined, query.any = word, word == "OR"
	}
}

type queryParser struct {
	rest string // the unread part
}

func (p *queryParser) limit(query searchQuery) error {
	if len(query.clauses) > maxClauses {
		return fmt.Errorf("a query can have up to %d clauses, this one has %d", maxClauses, len(query.clauses))
	}
	return nil
}

// connective reads AND or OR between two clauses. It returns "" at the end. A
// space alone means AND.
func (p *queryParser) connective() (string, error) {
	trimmed := strings.TrimLeft(p.rest, " \t\r\n")
	if trimmed == "" {
		return "", nil
	}
	if trimmed == p.rest {
		return "", fmt.Errorf("a space is missing before %q", trimmed)
	}
	p.rest = trimmed
	for _, word := range []string{"AND", "OR"} {
		if after, ok := cutFold(trimmed, word); ok && strings.HasPrefix(after, " ") {
			p.rest = after
			return word, nil
		}
	}
	return "AND", nil
}

func cutFold(text, prefix string) (after string, ok bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

func (p *queryParser) clause(fields map[string]fieldType) (clause, error) {
	var c clause
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	p.rest, c.negated = strings.CutPrefix(p.rest, "-")
	if err := p.field(&c); err != nil {
		return c, err
	}
	kind, known := fields[c.field]
	if !known {
		return c, fmt.Errorf("field %q cannot be searched here", c.field)
	}
	if err := p.operator(&c); err != nil {
		return c, err
	}
	if err := p.value(&c); err != nil {
		return c, err
	}
	return c, c.check(kind)
}

func (p *queryParser) field(c *clause) error {
	end := 0
	for end < len(p.rest) && isFieldByte(p.rest[end]) {
		end++
	}
	if end == 0 {
		return fmt.Errorf("a field name is expected at %q", p.rest)
	}
	c.field, p.rest = p.rest[:end], p.rest[end:]
	if c.field != "metadata" {
		return nil
	}
	key, ok := strings.CutPrefix(p.rest, "[")
	if !ok {
		return errors.New(`metadata is searched by key: metadata["key"]:"value"`)
	}
	p.rest = key
	var err error
	if c.key, err = p.quoted(); err != nil {
		return err
	}
	if p.rest, ok = strings.CutPrefix(p.rest, "]"); !ok {
		return errors.New("a ] is missing after the metadata key")
	}
	return nil
}

func isFieldByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.'
}

func (p *queryParser) operator(c *clause) error {
	for _, operator := range []string{":", "~", ">=", "<=", ">", "<"} {
		if rest, ok := strings.CutPrefix(p.rest, operator); ok {
			c.operator, p.rest = operator, rest
			return nil
		}
	}
	return fmt.Errorf("field %q must be followed by one of : ~ > < >= <=", c.field)
}

// value reads a quoted string or a bare word. The word null means that the
// field has no value.
func (p *queryParser) value(c *clause) error {
	if strings.HasPrefix(p.rest, `"`) || strings.HasPrefix(p.rest, "'") {
		var err error
		c.text, err = p.quoted()
		return err
	}
	end := 0
	for end < len(p.rest) && (isFieldByte(p.rest[end]) || p.rest[end] == '-') {
		end++
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if word == "" {
		return fmt.Errorf("field %q must be compared to a value; texts stand in quotes", c.field)
	}
	if c.null = word == "null"; !c.null {
		c.text = word
	}
	return nil
}

// quoted reads a string in single or double quotes. A backslash escapes the
// next character.
func (p *queryParser) quoted() (string, error) {
	if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
		return "", fmt.Errorf("a quoted text is expected at %q", p.rest)
	}
	quote := p.rest[0]
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch b := p.rest[i]; {
		case b == quote:
			p.rest = p.rest[i+1:]
			return text.String(), nil
		case b == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		default:
			text.WriteByte(b)
		}
	}
	return "", fmt.Errorf("a closing %c is missing", quote)
}

// check returns an error if the field does not support the comparison.
func (c *clause) check(kind fieldType) error {
	switch {
	case c.null && c.operator != ":":
		return fmt.Errorf("null can only be compared with : (field %q)", c.field)
	case c.null:
		return nil
	case c.operator == "~" && kind != textField:
		return fmt.Errorf("field %q does not support ~, use : instead", c.field)
	case c.operator == "~" && utf8.RuneCountInString(c.text) < minSubstring:
		return fmt.Errorf("~ needs at least %d characters (field %q)", minSubstring, c.field)
	case c.operator != ":" && c.operator != "~" && kind != numberField:
		return fmt.Errorf("field %q is not a number and does not support %s", c.field, c.operator)
	case kind == numberField:
		number, err := strconv.ParseInt(c.text, 10, 64)
		if err != nil {
			return fmt.Errorf("field %q is a number, %q is not", c.field, c.text)
		}
		c.number, c.text = number, strconv.FormatInt(number, 10)
	}
	return nil
}

// matches evaluates the query for an object.
func (q searchQuery) matches(object packed) bool {
	for _, c := range q.clauses {
		if c.matches(object.operand(c)) == q.any {
			return q.any
		}
	}
	return !q.any
}

// operand is the value of a field. An empty text means null.
type operand struct {
	text    string
	number  int64
	numeric bool
}

func (c clause) matches(value operand) bool {
	return c.holds(value) != c.negated
}

// holds evaluates the comparison, without regard to case.
func (c clause) holds(value operand) bool {
	missing := !value.numeric && value.text == ""
	switch {
	case c.null || missing:
		return c.null && missing
	case c.operator == "~":
		return strings.Contains(strings.ToLower(value.text), strings.ToLower(c.text))
	case !value.numeric:
		return strings.EqualFold(value.text, c.text)
	case c.operator == ">":
		return value.number > c.number
	case c.operator == "<":
		return value.number < c.number
	case c.operator == ">=":
		return value.number >= c.number
	case c.operator == "<=":
		return value.number <= c.number
	}
	return value.number == c.number
}
