// Package form encodes parameter structs as Stripe expects them:
// a=1&b[c]=2&d[0][e]=3.
//
// As documented for the exported API, a plain zero value and a nil pointer,
// slice or map are not sent. A pointer, slice or map that is set but empty is
// sent as "key=", which makes Stripe unset the value.
package form

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Inline is the field tag that merges the entries of a map, or the fields of a
// struct, into the level of the field itself.
const Inline = "*"

// ErrType is wrapped by the error for a value that has no form encoding.
var ErrType = errors.New("form: type cannot be encoded")

// Append appends the encoding of params to dst. params is a struct, a pointer
// to one, a map with string keys, url.Values, or nil. Struct fields are named by
// their `form` tag; a field without one, or with "-", is not sent. A struct of
// which no field has one, such as a time.Time, is an ErrType: it would unset the
// parameter.
func Append(dst []byte, params any) ([]byte, error) {
	if values, ok := params.(url.Values); ok {
		return append(dst, values.Encode()...), nil // these are names as they are sent
	}
	v := reflect.ValueOf(params)
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	if !v.IsValid() {
		return dst, nil
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.out, e.key = e.out[:0], e.key[:0]
	var err error
	switch v.Kind() {
	case reflect.Struct:
		err = e.fields(planOf(v.Type()), v)
	case reflect.Map:
		err = e.entries(v)
	default:
		err = fmt.Errorf("%w: %s", ErrType, v.Type())
	}
	if err != nil {
		return dst, err
	}
	return append(dst, e.out...), nil
}

// AppendPair appends one key and its value. The key is not escaped.
func AppendPair(dst []byte, key, value string) []byte {
	if len(dst) > 0 {
		dst = append(dst, '&')
	}
	dst = append(dst, key...)
	dst = append(dst, '=')
	return appendEscaped(dst, value)
}

// encoder is the state of one Append. Its buffers are reused.
type encoder struct {
	out   []byte
	key   []byte   // the key being written
	names []string // the keys of a map
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// plan lists the fields of a struct type that are encoded. It is computed once.
type plan []field

type field struct {
	index  int
	name   string
	inline bool
}

// plans caches the plan of each type. It needs no bound: a program has few
// types.
var plans sync.Map

func planOf(t reflect.Type) plan {
	if p, ok := plans.Load(t); ok {
		return p.(plan)
	}
	var p plan
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("form")
		if tag == "" || tag == "-" || !f.IsExported() {
			continue
		}
		p = append(p, field{index: i, name: tag, inline: tag == Inline})
	}
	got, _ := plans.LoadOrStore(t, p)
	return got.(plan)
}

func (e *encoder) fields(p plan, v reflect.Value) error {
	if len(p) == 0 && v.NumField() > 0 {
		return fmt.Errorf("%w: no field of %s at %q has a form tag", ErrType, v.Type(), e.key)
	}
	for _, f := range p {
		fv := v.Field(f.index)
		if f.inline {
			if err := e.inline(fv); err != nil {
				return err
			}
			continue
		}
		if fv.IsZero() {
			continue
		}
		if err := e.under(f.name, fv); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) inline(v reflect.Value) error {
	if v.Kind() == reflect.Struct {
		return e.fields(planOf(v.Type()), v)
	}
	return e.entries(v)
}

// under encodes v below the current key.
func (e *encoder) under(name string, v reflect.Value) error {
	n := e.enter(name)
	err := e.value(v)
	e.key = e.key[:n]
	return err
}

// enter goes one level down: it appends name at the top, and [name] below. It
// returns the length of the key before that.
func (e *encoder) enter(name string) int {
	n := len(e.key)
	if n == 0 {
		e.key = append(e.key, name...)
	} else {
		e.key = append(e.key, '[')
		e.key = append(e.key, name...)
		e.key = append(e.key, ']')
	}
	return n
}

// enterEscaped is like enter, for a name that comes from the user. At the top
// level, brackets are structure, as in "radar_options[session]". Below it, they
// would change the structure, so they are escaped.
func (e *encoder) enterEscaped(name string) int {
	n := len(e.key)
	if n > 0 {
		e.key = append(e.key, '[')
		e.key = appendEscaped(e.key, name)
		e.key = append(e.key, ']')
		return n
	}
	for i := range len(name) {
		if c := name[i]; c == '[' || c == ']' {
			e.key = append(e.key, c)
		} else {
			e.key = appendEscaped(e.key, name[i:i+1])
		}
	}
	return n
}

func (e *encoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			e.pair("")
			return nil
		}
		return e.value(v.Elem())
	case reflect.String:
		e.pair(v.String())
	case reflect.Bool:
		e.begin()
		e.out = strconv.AppendBool(e.out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.begin()
		e.out = strconv.AppendInt(e.out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.begin()
		e.out = strconv.AppendUint(e.out, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		e.begin()
		e.out = strconv.AppendFloat(e.out, v.Float(), 'f', -1, 64)
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return e.composite(v)
	default:
		return fmt.Errorf("%w: %s at %s", ErrType, v.Type(), e.key)
	}
	return nil
}

// composite encodes a struct, map, slice or array. If no part of it was
// written, it writes "key=".
func (e *encoder) composite(v reflect.Value) error {
	before := len(e.out)
	var err error
	switch v.Kind() {
	case reflect.Struct:
		err = e.fields(planOf(v.Type()), v)
	case reflect.Map:
		err = e.entries(v)
	default:
		for i := 0; i < v.Len() && err == nil; i++ {
			err = e.item(i, v.Index(i))
		}
	}
	if err == nil && len(e.out) == before {
		e.pair("")
	}
	return err
}

func (e *encoder) item(i int, v reflect.Value) error {
	n := len(e.key)
	e.key = append(e.key, '[')
	e.key = strconv.AppendInt(e.key, int64(i), 10)
	e.key = append(e.key, ']')
	err := e.value(v)
	e.key = e.key[:n]
	return err
}

// entries encodes a map in the order of its keys. Equal params must have equal
// bodies, because an idempotent retry depends on it.
func (e *encoder) entries(v reflect.Value) error {
	if v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("%w: %s at %q", ErrType, v.Type(), e.key)
	}
	if v.Len() == 0 {
		return nil
	}
	if t := v.Type(); t.Key() == text && t.Elem() == text {
		// The copy is not addressable. For such a value, Convert does not
		// allocate.
		e.texts(reflect.ValueOf(v.Interface()).Convert(texts).Interface().(map[string]string))
		return nil
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		n := e.enterEscaped(k.String())
		err := e.value(v.MapIndex(k))
		e.key = e.key[:n]
		if err != nil {
			return err
		}
	}
	return nil
}

// texts is the fast path of entries for metadata, which nearly every request
// has.
func (e *encoder) texts(m map[string]string) {
	e.names = slices.AppendSeq(e.names[:0], maps.Keys(m))
	slices.Sort(e.names)
	for _, name := range e.names {
		n := e.enterEscaped(name)
		e.pair(m[name])
		e.key = e.key[:n]
	}
	clear(e.names)
}

var (
	text  = reflect.TypeFor[string]()
	texts = reflect.TypeFor[map[string]string]()
)

func (e *encoder) begin() {
	if len(e.out) > 0 {
		e.out = append(e.out, '&')
	}
	e.out = append(e.out, e.key...)
	e.out = append(e.out, '=')
}

func (e *encoder) pair(value string) {
	e.begin()
	e.out = appendEscaped(e.out, value)
}

// appendEscaped escapes as net/url.QueryEscape does, without its allocation.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	done := 0
	for i := range len(s) {
		c := s[i]
		if plain[c] {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		if c == ' ' {
			dst = append(dst, '+')
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[done:]...)
}

// plain holds the bytes that need no escape.
var plain = func() (plain [256]bool) {
	for c := range len(plain) {
		plain[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.~", rune(c))
	}
	return plain
}()
