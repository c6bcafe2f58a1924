package stripetest

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is the most names that a parameter may have: a[b][c] has three.
const maxDepth = 16

// value is a decoded parameter: a text, or more values by name. A list is a
// value whose names are 0, 1, 2 and so on.
type value struct {
	text  string
	below map[string]*value // nil for a text
	names []string          // of below, in the order they came
	next  int               // the name of the next a[]
}

func newValue() *value {
	return &value{below: make(map[string]*value)}
}

// parseForm decodes form-encoded texts, a[b]=1 and a[0][c]=1 and a[]=1, into
// one value. A text sent twice counts as sent last.
func parseForm(encoded ...string) (*value, error) {
	root := newValue()
	for _, part := range encoded {
		for pair := range strings.SplitSeq(part, "&") {
			if pair == "" {
				continue
			}
			if err := root.decode(pair); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

func (v *value) decode(pair string) error {
	rawName, rawText, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return err
	}
	text, err := url.QueryUnescape(rawText)
	if err != nil {
		return err
	}
	if !utf8.ValidString(name) || !utf8.ValidString(text) {
		return errors.New("parameters must be valid UTF-8")
	}
	path := splitName(name)
	if len(path) > maxDepth {
		return fmt.Errorf("parameters may be nested %d deep", maxDepth)
	}
	return v.set(path, text)
}

// splitName parts a[b][c] into a, b and c. A name that is not so formed is one
// name, which no operation knows.
func splitName(name string) []string {
	first, rest, nested := strings.Cut(name, "[")
	if !nested || first == "" || !strings.HasSuffix(rest, "]") {
		return []string{name}
	}
	path := append([]string{first}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
	for _, part := range path {
		if strings.ContainsAny(part, "[]") {
			return []string{name}
		}
	}
	return path
}

// joinName undoes splitName.
func joinName(path []string) string {
	name := ""
	for _, part := range path {
		name = nested(name, part)
	}
	return name
}

// set puts text where path leads.
func (v *value) set(path []string, text string) error {
	at := v
	for i, name := range path {
		if name == "" && i > 0 {
			name = at.item(path[i+1:])
		}
		child := at.below[name]
		last := i == len(path)-1
		switch {
		case child == nil && last:
			at.add(name, &value{text: text})
		case child == nil:
			child = newValue()
			at.add(name, child)
		case last != (child.below == nil):
			return fmt.Errorf("%s is given both as a value and as a hash", joinName(path[:i+1]))
		case last:
			child.text = text
		}
		at = child
	}
	return nil
}

// item says which element of a list a[] means: a[][b]=1&a[][c]=2 is one
// element, a[][b]=1&a[][b]=2 are two, a[]=1&a[]=2 too.
func (v *value) item(rest []string) string {
	if len(rest) > 0 && v.next > 0 {
		newest := strconv.Itoa(v.next - 1)
		if open := v.below[newest]; open != nil && open.below != nil && open.walk(rest) == nil {
			return newest
		}
	}
	return strconv.Itoa(v.next)
}

func (v *value) add(name string, child *value) {
	v.below[name] = child
	v.names = append(v.names, name)
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		v.next = max(v.next, int(n)+1)
	}
}

// walk returns the value at path, nil if there is none.
func (v *value) walk(path []string) *value {
	for _, name := range path {
		if v == nil {
			return nil
		}
		v = v.below[name]
	}
	return v
}
