package stripetest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const indent = "  " // of one level in a response

// render encodes a result as indented JSON: the same bytes as those of
// encoding/json without the escaping of HTML. It needs no lock, since stored
// objects are never modified.
func render(object any) []byte {
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.text, w.depth = w.text[:0], 0
	w.any(object)
	w.text = append(w.text, '\n')
	return bytes.Clone(w.text)
}

// writers has writers with texts as long as those of former responses.
var writers = sync.Pool{New: func() any { return new(writer) }}

// writer appends indented JSON to a text.
type writer struct {
	text  []byte
	depth int
	marks *marks // what is noted while an object is packed; nil: nothing
}

// any writes a value of any type, and those by hand that are no structs of the API.
func (w *writer) any(object any) {
	switch object := object.(type) {
	case nil:
		w.text = append(w.text, "null"...)
	case packed:
		w.text = object.appendTo(w.text, w.depth)
	case *tree:
		w.tree(object)
	case string:
		w.string(object)
	case json.Number:
		w.text = append(w.text, object...)
	case json.Marshaler:
		w.encoded(object)
	default:
		w.value(reflect.ValueOf(object))
	}
}

func (w *writer) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.text = strconv.AppendBool(w.text, v.Bool())
	case reflect.Int, reflect.Int64:
		w.text = strconv.AppendInt(w.text, v.Int(), 10)
	case reflect.String:
		w.string(v.String())
	case reflect.Interface:
		w.any(v.Interface())
	case reflect.Pointer:
		if v.IsNil() {
			w.any(nil)
			return
		}
		w.value(v.Elem())
	case reflect.Struct:
		w.structure(v)
	case reflect.Slice:
		w.slice(v)
	case reflect.Map:
		w.mapping(v)
	default:
		w.encoded(v.Interface())
	}
}

func (w *writer) structure(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		w.encoded(v.Interface())
		return
	}
	w.text = append(w.text, '{')
	w.depth++
	empty := true
	for _, f := range jsonFields(v.Type()) {
		inner := v.Field(f.index)
		if f.hidden {
			w.marks.hide(inner)
			continue
		}
		if f.optional && !w.marks.choose(f.shows(inner)) {
			continue
		}
		w.separate(&empty)
		w.text = append(w.text, f.head...)
		w.field(f, inner)
	}
	w.end(empty, '}')
}

// field writes the value of a field, and marks it.
func (w *writer) field(f field, v reflect.Value) {
	if w.marks == nil {
		w.value(v)
		return
	}
	if f.nested {
		w.nested(f, v)
		return
	}
	marks, start := w.marks, len(w.text)
	w.marks = nil // the value is one, whatever it has inside
	w.value(v)
	w.marks = marks
	marks.add(f.name, piece{start, len(w.text)})
}

// nested writes a field that is a struct, or a pointer to one, of which the fields
// are marked.
func (w *writer) nested(f field, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if !w.marks.choose(!v.IsNil()) {
			w.any(nil)
			return
		}
		v = v.Elem()
	}
	leave := w.marks.enter(f.name)
	w.structure(v)
	leave()
}

func (w *writer) slice(v reflect.Value) {
	if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
		w.encoded(v.Interface())
		return
	}
	w.text = append(w.text, '[')
	w.depth++
	empty := true
	for i := range v.Len() {
		w.separate(&empty)
		w.value(v.Index(i))
	}
	w.end(empty, ']')
}

// mapping writes a map in the order of its keys.
func (w *writer) mapping(v reflect.Value) {
	if v.IsNil() {
		w.any(nil)
		return
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	w.text = append(w.text, '{')
	w.depth++
	empty := true
	for _, key := range keys {
		w.separate(&empty)
		w.string(key.String())
		w.text = append(w.text, ": "...)
		w.value(v.MapIndex(key))
	}
	w.end(empty, '}')
}

func (w *writer) tree(t *tree) {
	w.text = append(w.text, '{')
	w.depth++
	empty := true
	for _, name := range t.names {
		w.separate(&empty)
		w.string(name)
		w.text = append(w.text, ": "...)
		w.any(t.values[name])
	}
	w.end(empty, '}')
}

// separate writes what stands before an element.
func (w *writer) separate(empty *bool) {
	if !*empty {
		w.text = append(w.text, ',')
	}
	*empty = false
	w.newline()
}

// end writes the bracket after the last element.
func (w *writer) end(empty bool, bracket byte) {
	w.depth--
	if !empty {
		w.newline()
	}
	w.text = append(w.text, bracket)
}

func (w *writer) newline() {
	w.text = append(w.text, '\n')
	for range w.depth {
		w.text = append(w.text, indent...)
	}
}

func (w *writer) string(text string) {
	if !isPlainText(text) {
		w.encoded(text)
		return
	}
	w.text = append(w.text, '"')
	w.text = append(w.text, text...)
	w.text = append(w.text, '"')
}

// encoded writes a value by encoding/json.
func (w *writer) encoded(value any) {
	var compact, indented bytes.Buffer
	err := writePlain(&compact, value)
	if err == nil {
		err = json.Indent(&indented, compact.Bytes(), strings.Repeat(indent, w.depth), indent)
	}
	if err != nil {
		// Every object is a struct of texts, numbers and maps of texts.
		panic("stripetest: " + err.Error())
	}
	w.text = append(w.text, indented.Bytes()...)
}

// field is what the writer knows about a field of a struct.
type field struct {
	index     int
	name      string // in the JSON
	head      string // what stands before the value: "name": and a space
	optional  bool   // it can be left out
	omitempty bool   // if it is empty; otherwise if it is zero
	hidden    bool   // unexported: only packed objects have it
	nested    bool   // a struct, or a pointer to one: its fields are marked one by one
}

// shows reports whether an optional field is in the JSON.
func (f field) shows(v reflect.Value) bool {
	if f.omitempty {
		return !isEmpty(v)
	}
	return !v.IsZero()
}

// structs caches the fields of struct types: a map of []field by reflect.Type.
var structs sync.Map

func jsonFields(t reflect.Type) []field {
	if known, ok := structs.Load(t); ok {
		return known.([]field)
	}
	fields := make([]field, t.NumField())
	for i := range fields {
		declared := t.Field(i)
		name, option, _ := strings.Cut(declared.Tag.Get("json"), ",")
		if name == "" {
			name = declared.Name
		}
		inner := declared.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		fields[i] = field{
			index:     i,
			name:      name,
			head:      `"` + name + `": `,
			optional:  option != "",
			omitempty: option == "omitempty",
			hidden:    !declared.IsExported(),
			nested:    inner.Kind() == reflect.Struct && inner.NumField() > 0 && inner != reflect.TypeFor[time.Time](),
		}
	}
	structs.Store(t, fields)
	return fields
}
