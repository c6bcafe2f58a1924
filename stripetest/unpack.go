package stripetest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// unpack returns the object that was packed, as a new one.
func unpack[T any](p packed) *T {
	object := new(T)
	u := &unpacker{choices: p.shape.choices, values: p.values(), hidden: p.shape.visible}
	u.structure(reflect.ValueOf(object).Elem())
	return object
}

// values returns the JSON of all values.
func (p packed) values() []string {
	values := make([]string, len(p.shape.values))
	for i, at := range p.shape.values {
		values[i] = at.of(p.shape.text)
	}
	for diff := p.diff; diff != ""; {
		var i int
		var value string
		i, value, diff = cutValue(diff)
		values[i] = value
	}
	return values
}

// unpacker reads the values of an object in the order in which the writer has
// marked them.
type unpacker struct {
	choices string // those that follow
	values  []string
	shown   int // the index of the next value of the JSON
	hidden  int // and of the next hidden one
}

func (u *unpacker) structure(v reflect.Value) {
	for _, f := range jsonFields(v.Type()) {
		inner := v.Field(f.index)
		switch {
		case f.hidden:
			inner = settable(inner)
			if !setScalar(inner, u.values[u.hidden]) {
				must(newStateCodec().decode(json.RawMessage(u.values[u.hidden]), inner.Addr().Interface()))
			}
			u.hidden++
		case f.optional && !u.choose():
		case f.nested:
			u.nested(inner)
		default:
			if !setScalar(inner, u.values[u.shown]) {
				setJSON(inner, u.values[u.shown])
			}
			u.shown++
		}
	}
}

func (u *unpacker) nested(v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if !u.choose() {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	u.structure(v)
}

// choose reports whether the next part that can be missing is there.
func (u *unpacker) choose() bool {
	there := u.choices[0] == '+'
	u.choices = u.choices[1:]
	return there
}

// setScalar sets a text, an integer, a boolean, or a pointer to one. It returns false
// for other values.
func setScalar(v reflect.Value, raw string) bool {
	if raw == "null" {
		return true // v is nil already
	}
	switch v.Kind() {
	case reflect.Pointer:
		target := reflect.New(v.Type().Elem())
		if !setScalar(target.Elem(), raw) {
			return false
		}
		v.Set(target)
	case reflect.String:
		v.SetString(unquote(raw))
	case reflect.Bool:
		v.SetBool(raw == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(raw, 10, 64)
		must(err)
		v.SetInt(n)
	default:
		return false
	}
	return true
}

// setJSON sets a value of any other type.
func setJSON(v reflect.Value, raw string) {
	if v.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(json.RawMessage(raw)))
		return
	}
	must(json.Unmarshal([]byte(raw), v.Addr().Interface()))
}

// unquote returns the text of a JSON string.
func unquote(raw string) string {
	if !strings.Contains(raw, `\`) {
		return raw[1 : len(raw)-1]
	}
	var text string
	must(json.Unmarshal([]byte(raw), &text))
	return text
}

// must panics if JSON that this package has written cannot be read.
func must(err error) {
	if err != nil {
		panic("stripetest: " + err.Error())
	}
}
