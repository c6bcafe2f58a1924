package connector

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
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
	_, err = decoder{}.members(reflect.ValueOf(in).Elem(), s, root, nil)
	return err
}

// decoder reads the members of one struct that has an Extra, and of those in it.
type decoder struct {
	shape *shape          // of the struct
	path  *path           // of the struct
	extra stripekit.Extra // what is sent in addition to the fields
}

// value reads t into v. It reports whether v must be sent: not if t is null, nor if it
// is an object in which all fields are null.
func (d decoder) value(v reflect.Value, s *shape, t *tree, at *path) (bool, error) {
	if t.kind == treeNull {
		return false, nil
	}
	if v.Kind() == reflect.Pointer {
		pointee := reflect.New(v.Type().Elem())
		set, err := d.value(pointee.Elem(), s, t, at)
		if set {
			v.Set(pointee)
		}
		return set, err
	}
	switch s.kind {
	case kindText:
		return true, decodeText(v, t, at)
	case kindInteger, kindTime:
		return true, decodeInteger(v, t, at)
	case kindNumber:
		return true, decodeNumber(v, t, at)
	case kindBool:
		return true, decodeBool(v, t, at)
	case kindDuration:
		return true, decodeDuration(v, t, at)
	case kindList:
		return true, d.list(v, s, t, at)
	case kindMap:
		return d.entries(v, s, t, at)
	case kindExtra:
		return true, d.further(t, at)
	case kindObject:
		if t.kind != treeObject {
			return false, wrongKind(at, "an object", t)
		}
		if t.empty() {
			return true, nil
		}
		set, err := d.members(v, s, t, at)
		if err == nil {
			err = s.requireFields(t, at)
		}
		return set, err
	}
	return false, refuse(at, "cannot be set")
}

// members reads the members of an object into a struct. It reports whether one of
// them is sent.
func (d decoder) members(v reflect.Value, s *shape, t *tree, at *path) (bool, error) {
	further := s.furtherField()
	if further != nil {
		d = decoder{shape: s, path: at, extra: stripekit.Extra{}}
	}
	sent := false
	for _, m := range t.members {
		inner := at.below(m.name)
		f := s.field(m.name)
		if f == nil {
			return false, refuse(inner, "is unknown")
		}
		if f.without != "" && m.value.kind != treeNull && t.member(f.without).kind != treeNull {
			return false, refuse(inner, "does not go together with "+f.without)
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

// member reads a field. A plain Go field, which is not sent if it is zero, is refused
// where zero would be lost. An empty text, by which it is unset, is sent by the Extra.
func (d decoder) member(v reflect.Value, f *field, t *tree, at *path) (bool, error) {
	set, err := d.value(v, f.shape, t, at)
	if err == nil && set {
		err = f.check(reflect.Indirect(v), t, at)
	}
	if err != nil || !set || f.pointer || !v.IsZero() {
		return set, err
	}
	switch f.shape.kind {
	case kindText:
		d.extra[at.from(d.path)] = ""
		return false, nil
	case kindInteger, kindNumber, kindTime:
		return false, refuse(at, "must not be 0")
	case kindBool:
		return false, refuse(at, "must be true")
	}
	return true, nil
}

func decodeText(v reflect.Value, t *tree, at *path) error {
	if t.kind != treeText {
		return wrongKind(at, "a string", t)
	}
	v.SetString(t.text)
	return nil
}

func decodeBool(v reflect.Value, t *tree, at *path) error {
	if t.kind != treeTrue && t.kind != treeFalse {
		return wrongKind(at, "a boolean", t)
	}
	v.SetBool(t.kind == treeTrue)
	return nil
}

// decodeInteger reads a number without a fraction and an exponent, so that none is
// rounded.
func decodeInteger(v reflect.Value, t *tree, at *path) error {
	if t.kind != treeNumber {
		return wrongKind(at, "an integer", t)
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	switch {
	case err == nil && !v.OverflowInt(n):
		v.SetInt(n)
		return nil
	case strings.ContainsAny(t.text, ".eE"):
		return refuse(at, "must be an integer, written without a fraction and an exponent")
	}
	return refuse(at, "is too large an integer")
}

func decodeNumber(v reflect.Value, t *tree, at *path) error {
	if t.kind != treeNumber {
		return wrongKind(at, "a number", t)
	}
	n, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return refuse(at, "is too large a number")
	}
	v.SetFloat(n)
	return nil
}

// durationText is a time with units, without a sign.
var durationText = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`)

// maxDuration is about what a time.Duration can hold.
const maxDuration = math.MaxInt64 / float64(time.Second)

func decodeDuration(v reflect.Value, t *tree, at *path) error {
	var d time.Duration
	switch t.kind {
	case treeText:
		parsed, err := time.ParseDuration(t.text)
		if err != nil || !durationText.MatchString(t.text) {
			return refuse(at, `is not a time such as "15s", "5m" or "1h"`)
		}
		d = parsed
	case treeNumber:
		seconds, err := strconv.ParseFloat(t.text, 64)
		if err != nil || math.Abs(seconds) >= maxDuration {
			return refuse(at, "is too large a number of seconds")
		}
		d = time.Duration(seconds * float64(time.Second))
	default:
		return wrongKind(at, `a time such as "15s", or a number of seconds`, t)
	}
	v.SetInt(int64(d))
	return nil
}

// list reads an array. An empty array is sent, and unsets the field; an element that
// would be sent as an empty value is refused.
func (d decoder) list(v reflect.Value, s *shape, t *tree, at *path) error {
	if t.kind != treeList {
		return wrongKind(at, "an array", t)
	}
	list := reflect.MakeSlice(v.Type(), len(t.items), len(t.items))
	for i, item := range t.items {
		inner := at.below(strconv.Itoa(i))
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
func (d decoder) entries(v reflect.Value, s *shape, t *tree, at *path) (bool, error) {
	if t.kind != treeObject {
		return false, wrongKind(at, "an object", t)
	}
	entries := reflect.MakeMap(v.Type())
	for _, m := range t.members {
		inner := at.below(m.name)
		if !entryName.MatchString(m.name) {
			return false, refuse(inner, "must have a name of 1 to 40 characters without brackets")
		}
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

// entryName is a key of metadata, or a currency.
var entryName = regexp.MustCompile(`^[^\[\]]{1,40}$`)

// further reads the parameters that are no fields.
func (d decoder) further(t *tree, at *path) error {
	if t.kind != treeObject {
		return wrongKind(at, "an object", t)
	}
	for _, m := range t.members {
		inner := at.below(m.name)
		switch top, _, _ := strings.Cut(m.name, "["); {
		case !furtherName.MatchString(m.name):
			return refuse(inner, "must be the name of a parameter, such as "+furtherExample)
		case d.shape.has(m.name):
			return refuse(inner, "is a field of the input itself: set it there")
		case slices.Contains(d.shape.reserved, top):
			return refuse(inner, "is no filter of a trigger")
		}
		value, err := plainValue(m.value, inner)
		if err != nil {
			return err
		}
		if value != nil {
			d.extra[m.name] = value
		}
	}
	for _, m := range t.members {
		for i := range m.name {
			if m.name[i] != '[' {
				continue
			}
			if _, twice := d.extra[m.name[:i]]; twice {
				return refuse(at.below(m.name), "is there twice")
			}
		}
	}
	return nil
}

// furtherName is a parameter as Stripe names it.
var furtherName = regexp.MustCompile(`^[A-Za-z0-9_]+(\[[A-Za-z0-9_.-]*\])*$`)

// furtherExample is a parameter that no field of the catalog has.
const furtherExample = "level3[merchant_reference]"

// plainValue returns a value as it is in an Extra, or nil if it is not sent: null, and
// an object in which all is null. Numbers keep the digits that they were written with.
func plainValue(t *tree, at *path) (any, error) {
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
			inner := at.below(strconv.Itoa(i))
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
			value, err := plainValue(m.value, at.below(m.name))
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

func wrongKind(at *path, want string, t *tree) error {
	return refuse(at, "must be "+want+", and is "+t.kind.String())
}
