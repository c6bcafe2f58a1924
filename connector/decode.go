package connector

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stripekit/stripekit"
)

// decode reads JSON into the struct that in points to, which has the given shape.
//
// null is the same as a field that is absent: it is not sent. An empty text, object
// or array is sent as an empty value, by which Stripe unsets the field. What a Go
// field cannot hold so is refused, or goes to the Extra of the struct.
func decode(input []byte, s *shape, in any) error {
	root, err := parse(input)
	if err != nil {
		return err
	}
	_, err = decoder{}.members(reflect.ValueOf(in).Elem(), s, root, "")
	return err
}

// decoder reads the members of one struct that has an Extra, and of those in it.
type decoder struct {
	shape *shape          // of the struct
	path  string          // of the struct
	extra stripekit.Extra // what is sent in addition to the fields
}

// value reads t into v. It reports whether v must be sent: not if t is null, nor if it
// is an object in which all fields are null.
func (d decoder) value(v reflect.Value, s *shape, t *tree, path string) (bool, error) {
	if t.kind == treeNull {
		return false, nil
	}
	if v.Kind() == reflect.Pointer {
		pointee := reflect.New(v.Type().Elem())
		set, err := d.value(pointee.Elem(), s, t, path)
		if set {
			v.Set(pointee)
		}
		return set, err
	}
	switch s.kind {
	case kindText:
		return true, decodeText(v, t, path)
	case kindInteger, kindTime:
		return true, decodeInteger(v, t, path)
	case kindNumber:
		return true, decodeNumber(v, t, path)
	case kindBool:
		return true, decodeBool(v, t, path)
	case kindDuration:
		return true, decodeDuration(v, t, path)
	case kindList:
		return true, d.list(v, s, t, path)
	case kindMap:
		return d.entries(v, s, t, path)
	case kindExtra:
		return true, d.further(t, path)
	case kindObject:
		if t.kind != treeObject {
			return false, wrongKind(path, "an object", t)
		}
		set, err := d.members(v, s, t, path)
		return set || len(t.members) == 0, err
	}
	return false, refuse(path, "cannot be set")
}

// members reads the members of an object into a struct. It reports whether one of
// them is sent.
func (d decoder) members(v reflect.Value, s *shape, t *tree, path string) (bool, error) {
	further := s.furtherField()
	if further != nil {
		d = decoder{shape: s, path: path, extra: stripekit.Extra{}}
	}
	sent := false
	for _, m := range t.members {
		inner := below(path, m.name)
		f := s.field(m.name)
		if f == nil {
			return false, refuse(inner, "is unknown")
		}
		set, err := d.member(v.FieldByIndex(f.index), f, m.value, inner)
		if err != nil {
			return false, err
		}
		sent = sent || set
	}
	if further != nil && len(d.extra) > 0 {
		v.FieldByIndex(further.index).Set(reflect.ValueOf(d.extra))
		sent = true
	}
	return sent, nil
}

// unset sends an empty value in a field that a struct does not send when it is empty.
func (d decoder) unset(path string) {
	if d.path != "" {
		first, rest, _ := strings.Cut(strings.TrimPrefix(path, d.path+"["), "]")
		path = first + rest
	}
	d.extra[path] = ""
}

// member reads a field. A plain Go field, which is not sent if it is zero, is refused
// where zero would be lost.
func (d decoder) member(v reflect.Value, f *field, t *tree, path string) (bool, error) {
	set, err := d.value(v, f.shape, t, path)
	if err != nil || !set || f.pointer || !v.IsZero() {
		return set, err
	}
	switch f.shape.kind {
	case kindText:
		if f.unsets && !f.required {
			d.unset(path)
			return false, nil
		}
		return false, refuse(path, "must not be empty")
	case kindInteger, kindNumber, kindTime, kindDuration:
		return false, refuse(path, "must not be 0")
	case kindBool:
		return false, refuse(path, "must be true")
	case kindObject:
		return false, refuse(path, "must not be empty")
	}
	return true, nil
}

func decodeText(v reflect.Value, t *tree, path string) error {
	if t.kind != treeText {
		return wrongKind(path, "a string", t)
	}
	v.SetString(t.text)
	return nil
}

func decodeBool(v reflect.Value, t *tree, path string) error {
	if t.kind != treeTrue && t.kind != treeFalse {
		return wrongKind(path, "a boolean", t)
	}
	v.SetBool(t.kind == treeTrue)
	return nil
}

// decodeInteger reads a number without a fraction and an exponent, so that none is
// rounded.
func decodeInteger(v reflect.Value, t *tree, path string) error {
	if t.kind != treeNumber {
		return wrongKind(path, "an integer", t)
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	switch {
	case err == nil && !v.OverflowInt(n):
		v.SetInt(n)
		return nil
	case strings.ContainsAny(t.text, ".eE"):
		return refuse(path, "must be an integer, written without a fraction and an exponent")
	}
	return refuse(path, "is too large an integer")
}

func decodeNumber(v reflect.Value, t *tree, path string) error {
	if t.kind != treeNumber {
		return wrongKind(path, "a number", t)
	}
	n, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return refuse(path, "is too large a number")
	}
	v.SetFloat(n)
	return nil
}

// maxDuration is about what a time.Duration can hold.
const maxDuration = math.MaxInt64 / float64(time.Second)

func decodeDuration(v reflect.Value, t *tree, path string) error {
	var d time.Duration
	switch t.kind {
	case treeText:
		parsed, err := time.ParseDuration(t.text)
		if err != nil {
			return refuse(path, `is not a time such as "15s", "5m" or "1h"`)
		}
		d = parsed
	case treeNumber:
		seconds, err := strconv.ParseFloat(t.text, 64)
		if err != nil || math.Abs(seconds) >= maxDuration {
			return refuse(path, "is too large a number of seconds")
		}
		d = time.Duration(seconds * float64(time.Second))
	default:
		return wrongKind(path, `a time such as "15s", or a number of seconds`, t)
	}
	if d <= 0 {
		return refuse(path, "must be positive")
	}
	v.SetInt(int64(d))
	return nil
}

// list reads an array. An empty array is sent, and unsets the field; an element that
// would be sent as an empty value is refused.
func (d decoder) list(v reflect.Value, s *shape, t *tree, path string) error {
	if t.kind != treeList {
		return wrongKind(path, "an array", t)
	}
	list := reflect.MakeSlice(v.Type(), len(t.items), len(t.items))
	for i, item := range t.items {
		inner := below(path, strconv.Itoa(i))
		if _, err := d.value(list.Index(i), s.elem, item, inner); err != nil {
			return err
		}
		if list.Index(i).IsZero() {
			return refuse(inner, "must not be empty")
		}
	}
	v.Set(list)
	return nil
}

// entries reads an object into a map. An entry that is null is not sent. An empty
// object is sent, and removes all entries.
func (d decoder) entries(v reflect.Value, s *shape, t *tree, path string) (bool, error) {
	if t.kind != treeObject {
		return false, wrongKind(path, "an object", t)
	}
	entries := reflect.MakeMap(v.Type())
	for _, m := range t.members {
		inner := below(path, m.name)
		value := reflect.New(v.Type().Elem()).Elem()
		set, err := d.value(value, s.elem, m.value, inner)
		switch {
		case err != nil:
			return false, err
		case !set:
			continue
		case s.elem.kind == kindObject && value.IsZero():
			return false, refuse(inner, "must not be empty")
		}
		entries.SetMapIndex(reflect.ValueOf(m.name), value)
	}
	if len(t.members) > 0 && entries.Len() == 0 {
		return false, nil
	}
	v.Set(entries)
	return true, nil
}

// further reads the parameters that are no fields.
func (d decoder) further(t *tree, path string) error {
	if t.kind != treeObject {
		return wrongKind(path, "an object", t)
	}
	for _, m := range t.members {
		inner := below(path, m.name)
		switch {
		case !furtherName.MatchString(m.name):
			return refuse(inner, "must be the name of a parameter, such as expand or radar_options[session]")
		case d.shape.field(m.name) != nil:
			return refuse(inner, "is a field of the input itself: set it there")
		}
		value, err := plainValue(m.value, inner)
		if err != nil {
			return err
		}
		if value != nil {
			d.extra[m.name] = value
		}
	}
	return nil
}

// furtherName is a parameter as Stripe names it.
var furtherName = regexp.MustCompile(`^[A-Za-z0-9_]+(\[[A-Za-z0-9_.-]*\])*$`)

// plainValue returns a value as it is in an Extra, or nil if it is not sent: null, and
// an object in which all is null. Numbers keep the digits that they were written with.
func plainValue(t *tree, path string) (any, error) {
	switch t.kind {
	case treeNull:
		return nil, nil
	case treeText:
		return t.text, nil
	case treeNumber:
		return json.Number(t.text), nil
	case treeList:
		list := []any{}
		for i, item := range t.items {
			inner := below(path, strconv.Itoa(i))
			value, err := plainValue(item, inner)
			if err != nil {
				return nil, err
			}
			if value == nil {
				return nil, refuse(inner, "must not be empty")
			}
			list = append(list, value)
		}
		return list, nil
	case treeObject:
		entries := map[string]any{}
		for _, m := range t.members {
			value, err := plainValue(m.value, below(path, m.name))
			if err != nil {
				return nil, err
			}
			if value != nil {
				entries[m.name] = value
			}
		}
		if len(t.members) > 0 && len(entries) == 0 {
			return nil, nil
		}
		return entries, nil
	}
	return t.kind == treeTrue, nil
}

func wrongKind(path, want string, t *tree) error {
	return refuse(path, "must be "+want+", and is "+t.kind.String())
}
