package connector

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/stripekit/stripekit"
)

// A shape says how values of a Go type are written in JSON. The schemas, the decoder
// and the forms are all made from shapes, so that they agree.
type shape struct {
	kind   kind
	typ    reflect.Type // without its pointer
	ref    string       // of kindRef: the object that is referred to, such as "customers"; may be empty
	fields []*field     // of kindObject
	elem   *shape       // of kindList and kindMap
	// reserved are the parameters that an Extra in it cannot have although it has no such
	// fields.
	reserved []string
}

// kind is the kind of a value.
type kind int

const (
	kindText kind = iota
	kindInteger
	kindNumber
	kindBool
	kindTime     // an integer: stripekit.UnixTime
	kindDuration // a text or a number: duration
	kindObject
	kindList
	kindMap
	kindRef   // in objects: an id, or an object
	kindRaw   // in objects: any JSON
	kindExtra // in parameters: stripekit.Extra
)

// field is a field of an object.
type field struct {
	name     string // in JSON
	index    []int  // in the Go struct
	shape    *shape
	pointer  bool // the Go field is a pointer, so that an empty value is sent
	required bool
	unsets   bool // an empty text, list or object is accepted; most are sent, and unset the value
	limit    limit
	pattern  *pattern // of a text; nil if any is accepted
	without  string   // the field that it does not go together with, if any
	note     note
}

// duration is a time in JSON: a text such as "15s", or a number of seconds.
type duration time.Duration

var (
	typeExtra    = reflect.TypeFor[stripekit.Extra]()
	typeTime     = reflect.TypeFor[stripekit.UnixTime]()
	typeDuration = reflect.TypeFor[duration]()
	typeList     = reflect.TypeFor[stripekit.ListParams]()
	typeRaw      = reflect.TypeFor[json.RawMessage]()
)

// optional has the plain fields of parameters that are optional. All other plain
// fields are required: an optional one is a pointer, so that its zero value can be sent.
var optional = map[string]bool{
	"Address.*": true, "CreatedRange.*": true, "ListParams.*": true,
	"Shipping.Phone": true, "Shipping.Carrier": true, "Shipping.TrackingNumber": true,
	"PriceRecurring.IntervalCount": true,
}

// walker makes shapes.
type walker struct {
	comments comments
	tag      string            // "form" for parameters, "json" for objects
	leaveOut map[string]bool   // the fields that are left out, such as "ProductListParams.IDs"
	objects  map[string]string // the name of an object by its Go type, for kindRef
}

// of returns the shape of a type. key is where its comments are found.
func (w *walker) of(t reflect.Type, key string) *shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &shape{typ: t}
	switch {
	case t == typeExtra:
		s.kind = kindExtra
	case t == typeTime:
		s.kind = kindTime
	case t == typeDuration:
		s.kind = kindDuration
	case strings.HasPrefix(t.Name(), "Ref["):
		s.kind = kindRef
		object, _ := t.FieldByName("Object")
		s.ref = w.objects[object.Type.Elem().Name()]
	case t == typeRaw:
		s.kind = kindRaw
	default:
		w.basic(s, t, key)
	}
	return s
}

func (w *walker) basic(s *shape, t reflect.Type, key string) {
	switch t.Kind() {
	case reflect.String:
		s.kind = kindText
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int64:
		s.kind = kindInteger
	case reflect.Float64:
		s.kind = kindNumber
	case reflect.Slice:
		s.kind, s.elem = kindList, w.of(t.Elem(), "")
	case reflect.Map:
		s.kind, s.elem = kindMap, w.of(t.Elem(), "")
	case reflect.Struct:
		s.kind, s.fields = kindObject, w.fields(t, key)
	default:
		panic(fmt.Sprintf("connector: %s has no form in JSON", t))
	}
}

// fields returns the fields of a struct. key names an unnamed struct.
func (w *walker) fields(t reflect.Type, key string) []*field {
	owner := key
	if t.Name() != "" {
		owner = ownerOf(t)
	}
	names := fieldNames(t, w.tag)
	var all []*field
	for i := range t.NumField() {
		f := t.Field(i)
		name := nameOf(t, f, w.tag)
		if name == "" || w.leaveOut[owner+"."+f.Name] {
			continue
		}
		if name == "*" && f.Type != typeExtra {
			for _, inner := range w.fields(f.Type, "") {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
			continue
		}
		all = append(all, w.field(t, f, owner, name, names))
	}
	return all
}

func (w *walker) field(t reflect.Type, f reflect.StructField, owner, name string, names map[string]string) *field {
	key := owner + "." + f.Name
	out := &field{name: name, index: f.Index, pointer: f.Type.Kind() == reflect.Pointer, shape: w.of(f.Type, key)}
	if out.shape.kind == kindExtra {
		out.name, out.unsets = "extra", true
		out.note.text = "Further parameters, by the names that Stripe uses, such as " + furtherExample + "."
		return out
	}
	out.note = w.comments.field(key, out.name, out.shape.kind, names)
	if out.note.text == "" || out.shape.kind == kindMap {
		out.note.text = strings.TrimSpace(out.note.text + " " + w.comments.ofType(out.shape, w.tag))
	}
	if values := w.comments.docs.Values[out.shape.typ.Name()]; len(values) > 0 {
		out.note.values = values
	}
	if w.tag == "form" {
		out.restrict(key, owner)
	}
	return out
}

// field returns the field of that name, or nil.
func (s *shape) field(name string) *field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// has reports whether a name in an Extra is that of a field, or of a part of one. A
// member that an object lacks is none: Stripe may have added it.
func (s *shape) has(name string) bool {
	for part := range strings.SplitSeq(strings.ReplaceAll(name, "]", ""), "[") {
		if s.kind != kindObject {
			return true
		}
		f := s.field(part)
		if f == nil {
			return part == ""
		}
		s = f.shape
	}
	return true
}

// furtherField returns the field that takes further parameters, or nil.
func (s *shape) furtherField() *field {
	for _, f := range s.fields {
		if f.shape.kind == kindExtra {
			return f
		}
	}
	return nil
}

// ownerOf returns the name of a struct type in docs.json.
func ownerOf(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[") // without the arguments of a generic type
	if strings.HasSuffix(t.PkgPath(), "/connector") {
		return "connector." + name
	}
	return name
}

// nameOf returns the name of a field in JSON, "*" if its fields are on the level of
// the struct itself, and "" if it has none.
func nameOf(t reflect.Type, f reflect.StructField, tag string) string {
	switch {
	case tag == "form" && f.Type == typeList && f.Anonymous:
		return "*"
	case tag == "form" && t == typeList:
		return snake(f.Name)
	}
	name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
	if name == "-" {
		return ""
	}
	return name
}

// fieldNames returns the names in JSON of the fields of a struct, by their Go names,
// those of its ListParams included.
func fieldNames(t reflect.Type, tag string) map[string]string {
	names := map[string]string{}
	for f := range t.Fields() {
		switch name := nameOf(t, f, tag); {
		case name == "*" && f.Type == typeExtra:
			names[f.Name] = "extra"
		case name != "*" && name != "":
			names[f.Name] = name
		case name == "*":
			maps.Copy(names, fieldNames(f.Type, tag))
		}
	}
	return names
}

// snake returns a Go name in the style of the API: "StartingAfter" is starting_after.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
