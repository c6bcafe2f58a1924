package stripetest

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is the maximum number of names in a parameter: a[b][c] has three.
const maxDepth = 16

// errNUL is the error for a NUL byte in a parameter or a path. That a path is
// refused with status 400 is known from stripe-php pull requests 1811 and 1813;
// that a parameter is refused likewise, and the text, are assumed.
var errNUL = errors.New("NUL bytes are not allowed")

// value is a decoded parameter: either a string or a set of named values. A
// list is a set whose names are 0, 1, 2 and so on.
type value struct {
	text     string
	children map[string]*value // nil for a string
	names    []string          // the keys of children, in the order they were sent
	next     int               // the index of the next a[]
}

func newValue() *value {
	return &value{children: make(map[string]*value)}
}

// parseForm decodes form-encoded strings, such as a[b]=1, a[0][c]=1 and a[]=1,
// into one value. If a parameter is sent twice, the last one counts.
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
	if strings.ContainsRune(name, 0) || strings.ContainsRune(text, 0) {
		return errNUL
	}
	path := splitName(name)
	if len(path) > maxDepth {
		return fmt.Errorf("parameters may be nested %d deep", maxDepth)
	}
	return v.set(path, text)
}

// splitName splits a[b][c] into a, b and c. A malformed name is returned as one
// part, which every operation refuses as unknown.
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

// joinName is the inverse of splitName.
func joinName(path []string) string {
	name := ""
	for _, part := range path {
		name = nested(name, part)
	}
	return name
}

// set stores text at path.
func (v *value) set(path []string, text string) error {
	at := v
	for i, name := range path {
		if name == "" && i > 0 {
			name = at.item(path[i+1:])
		}
		child := at.children[name]
		last := i == len(path)-1
		switch {
		case child == nil && last:
			at.add(name, &value{text: text})
		case child == nil:
			child = newValue()
			at.add(name, child)
		case last != (child.children == nil):
			return fmt.Errorf("%s is given both as a value and as a hash", joinName(path[:i+1]))
		case last:
			child.text = text
		}
		at = child
	}
	return nil
}

// item returns the index of the list element that a[] refers to:
// a[][b]=1&a[][c]=2 is one element; a[][b]=1&a[][b]=2 and a[]=1&a[]=2 are two.
func (v *value) item(rest []string) string {
	if len(rest) > 0 && v.next > 0 {
		newest := strconv.Itoa(v.next - 1)
		if open := v.children[newest]; open != nil && open.children != nil && open.walk(rest) == nil {
			return newest
		}
	}
	return strconv.Itoa(v.next)
}

func (v *value) add(name string, child *value) {
	v.children[name] = child
	v.names = append(v.names, name)
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		v.next = max(v.next, int(n)+1)
	}
}

// walk returns the value at path, or nil.
func (v *value) walk(path []string) *value {
	for _, name := range path {
		if v == nil {
			return nil
		}
		v = v.children[name]
	}
	return v
}
