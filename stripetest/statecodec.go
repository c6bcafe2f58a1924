package stripetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRawDepth is the maximum nesting of JSON in a field of an interface type.
const maxRawDepth = 64

// stateCodec writes stored objects as JSON and reads them. Unlike encoding/json
// it includes the fields that responses do not show, such as the test token of a
// card: an unexported field has its name with an underscore in front. So whatever
// an object has is kept, without a list of its fields that could be out of date.
// Fields with the zero value are left out. A field of an interface type is kept as
// the JSON that responses show for it.
type stateCodec struct {
	fields map[reflect.Type][]stateField
}

type stateField struct {
	name  string
	index int
}

func newStateCodec() *stateCodec {
	return &stateCodec{fields: make(map[reflect.Type][]stateField)}
}

func (sc *stateCodec) fieldsOf(t reflect.Type) []stateField {
	if known, ok := sc.fields[t]; ok {
		return known
	}
	fields := make([]stateField, 0, t.NumField())
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported():
			name = "_" + field.Name
		case name == "" || name == "-":
			name = field.Name
		}
		fields = append(fields, stateField{name, i})
	}
	sc.fields[t] = fields
	return fields
}

// settable returns an addressable value without the limits of an unexported
// field.
func settable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
}

// encode returns the JSON of what a pointer points to.
func (sc *stateCodec) encode(pointer any) (json.RawMessage, error) {
	var out bytes.Buffer
	err := sc.write(&out, reflect.ValueOf(pointer).Elem())
	return out.Bytes(), err
}

// write writes an addressable value, or one that has no unexported fields.
func (sc *stateCodec) write(out *bytes.Buffer, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return writePlain(out, v.Interface())
	}
	switch v.Kind() {
	case reflect.Bool:
		out.WriteString(strconv.FormatBool(v.Bool()))
		return nil
	case reflect.Int, reflect.Int64:
		out.WriteString(strconv.FormatInt(v.Int(), 10))
		return nil
	case reflect.String:
		if text := v.String(); isPlainText(text) {
			out.WriteString(`"` + text + `"`)
			return nil
		}
		return writePlain(out, v.String())
	case reflect.Uint64, reflect.Float64, reflect.Interface:
		return writePlain(out, v.Interface())
	case reflect.Pointer:
		if v.IsNil() {
			return writePlain(out, nil)
		}
		return sc.write(out, v.Elem())
	case reflect.Struct:
		return sc.writeStruct(out, v)
	case reflect.Slice:
		if v.IsNil() {
			return writePlain(out, nil)
		}
		return sc.writeSlice(out, v)
	case reflect.Map:
		return sc.writeMap(out, v)
	}
	return fmt.Errorf("a %s cannot be kept", v.Type())
}

func (sc *stateCodec) writeStruct(out *bytes.Buffer, v reflect.Value) error {
	separator := byte('{')
	for _, field := range sc.fieldsOf(v.Type()) {
		inner := settable(v.Field(field.index))
		if inner.IsZero() {
			continue
		}
		out.WriteByte(separator)
		separator = ','
		out.WriteString(strconv.Quote(field.name)) // a Go name, or one of the API
		out.WriteByte(':')
		if err := sc.write(out, inner); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	if separator == '{' {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	return nil
}

func (sc *stateCodec) writeSlice(out *bytes.Buffer, v reflect.Value) error {
	out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := sc.write(out, v.Index(i)); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

// writeMap writes a map with strings as its keys, in the order of the keys.
func (sc *stateCodec) writeMap(out *bytes.Buffer, v reflect.Value) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a %s cannot be kept", v.Type())
	}
	if v.IsNil() {
		return writePlain(out, nil)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	out.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writePlain(out, key.String()); err != nil {
			return err
		}
		out.WriteByte(':')
		element := reflect.New(v.Type().Elem()).Elem() // an element of a map is not addressable
		element.Set(v.MapIndex(key))
		if err := sc.write(out, element); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// isPlainText reports whether JSON has a text as it is. Most texts are ids.
func isPlainText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// writePlain writes JSON as responses have it.
func writePlain(out *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line's end
	return nil
}

// decode reads JSON into what a pointer points to. Its errors name the field.
func (sc *stateCodec) decode(raw json.RawMessage, pointer any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return sc.read(decoder, reflect.ValueOf(pointer).Elem())
}

func (sc *stateCodec) read(d *json.Decoder, v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		return readRaw(d, v)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	return sc.readToken(d, token, v)
}

// readToken reads the value that begins with a token.
func (sc *stateCodec) readToken(d *json.Decoder, token json.Token, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if token == nil {
			v.SetZero()
			return nil
		}
	default:
		if token == nil {
			return errors.New("null is not possible")
		}
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return readTime(token, v)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return sc.readToken(d, token, v.Elem())
	case v.Kind() == reflect.Struct:
		return sc.readStruct(d, token, v)
	case v.Kind() == reflect.Slice:
		return sc.readSlice(d, token, v)
	case v.Kind() == reflect.Map:
		return sc.readMap(d, token, v)
	}
	return readPlain(token, v)
}

func (sc *stateCodec) readStruct(d *json.Decoder, token json.Token, v reflect.Value) error {
	if token != json.Delim('{') {
		return unexpected(token, "an object")
	}
	fields := sc.fieldsOf(v.Type())
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(fields, func(f stateField) bool { return f.name == name })
		if i < 0 {
			return fmt.Errorf("%.40v: no such field", name)
		}
		if err := sc.read(d, settable(v.Field(fields[i].index))); err != nil {
			return fmt.Errorf("%v: %w", name, err)
		}
	}
	if metadata := v.FieldByName("Metadata"); metadata.Kind() == reflect.Map && metadata.IsNil() {
		return errors.New("metadata: it is missing") // every object has some, and updates add to it
	}
	_, err := d.Token()
	return err
}

func (sc *stateCodec) readSlice(d *json.Decoder, token json.Token, v reflect.Value) error {
	if token != json.Delim('[') {
		return unexpected(token, "an array")
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.More(); i++ {
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if err := sc.read(d, v.Index(i)); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	_, err := d.Token()
	return err
}

func (sc *stateCodec) readMap(d *json.Decoder, token json.Token, v reflect.Value) error {
	if token != json.Delim('{') {
		return unexpected(token, "an object")
	}
	v.Set(reflect.MakeMap(v.Type()))
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := sc.read(d, element); err != nil {
			return fmt.Errorf("%.40v: %w", name, err)
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
	}
	_, err := d.Token()
	return err
}

// readRaw keeps the JSON as it is, so that responses show the same bytes.
func readRaw(d *json.Decoder, v reflect.Value) error {
	if v.NumMethod() > 0 {
		return fmt.Errorf("a %s cannot be read", v.Type())
	}
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if depthOf(raw) > maxRawDepth {
		return errors.New("it is nested too deep")
	}
	if string(raw) == "null" {
		v.SetZero()
	} else {
		v.Set(reflect.ValueOf(raw))
	}
	return nil
}

// depthOf returns the nesting of valid JSON.
func depthOf(raw json.RawMessage) (deepest int) {
	decoder, depth := json.NewDecoder(bytes.NewReader(raw)), 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func readPlain(token json.Token, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		text, ok := token.(string)
		if !ok {
			return unexpected(token, "a string")
		}
		v.SetString(text)
		return nil
	case reflect.Bool:
		flag, ok := token.(bool)
		if !ok {
			return unexpected(token, "true or false")
		}
		v.SetBool(flag)
		return nil
	}
	number, ok := token.(json.Number)
	if !ok {
		return unexpected(token, "a number")
	}
	var err error
	switch {
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(number.String(), 10, v.Type().Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(number.String(), 10, v.Type().Bits())
		v.SetUint(n)
	case v.CanFloat():
		var n float64
		n, err = strconv.ParseFloat(number.String(), v.Type().Bits())
		v.SetFloat(n)
	default:
		return fmt.Errorf("a %s cannot be read", v.Type())
	}
	if err != nil {
		return fmt.Errorf("the number %.40s is not possible", number)
	}
	return nil
}

func readTime(token json.Token, v reflect.Value) error {
	text, ok := token.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if !ok || err != nil {
		return errors.New("it is no time")
	}
	v.Set(reflect.ValueOf(at))
	return nil
}

func unexpected(token json.Token, want string) error {
	found := "a number"
	switch token := token.(type) {
	case string:
		found = "a string"
	case bool:
		found = "true or false"
	case json.Delim:
		found = map[json.Delim]string{'{': "an object", '[': "an array"}[token]
	}
	return fmt.Errorf("%s was found where %s is expected", found, want)
}

// readStrict decodes JSON and refuses fields that the target does not have.
func readStrict(raw []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return wrongType(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON")
	}
	return nil
}

// wrongType says what was expected in words of JSON, not of Go.
func wrongType(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := "a number"
	switch wrong.Type.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.String:
		want = "a string"
	case reflect.Map, reflect.Struct:
		want = "an object"
	case reflect.Slice:
		want = "an array"
	}
	if wrong.Field != "" {
		return fmt.Errorf("%s: %s was found where %s is expected", wrong.Field, wrong.Value, want)
	}
	return fmt.Errorf("%s was found where %s is expected", wrong.Value, want)
}
