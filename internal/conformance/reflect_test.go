package conformance_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stripekit/stripekit"
)

// serviceMethods returns the methods of a client's services, such as
// "Charges.Create".
func serviceMethods() []string {
	var names []string
	for field := range reflect.TypeFor[stripekit.Client]().Fields() {
		if !field.IsExported() {
			continue
		}
		for method := range field.Type.Methods() {
			if method.Name == "Where" || method.Name == "Changes" {
				continue // the method makes no request
			}
			names = append(names, field.Name+"."+method.Name)
		}
	}
	return names
}

// fields returns the parameters of a struct by the names of its fields,
// including those of an embedded struct.
func fields(params reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for field, value := range params.Fields() {
		switch {
		case field.Anonymous:
			maps.Copy(all, fields(value))
		case field.IsExported():
			all[field.Name] = value
		}
	}
	return all
}

// subset returns a copy of params that has only these fields.
func subset(params any, names ...string) any {
	from := reflect.ValueOf(params)
	to := reflect.New(from.Type()).Elem()
	target := fields(to)
	for name, value := range fields(from) {
		if slices.Contains(names, name) {
			target[name].Set(value)
		}
	}
	return to.Interface()
}

// unset returns the names of the empty fields of v, including nested ones. A
// pointer to a scalar is not empty.
func unset(path string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Struct:
		var names []string
		for field, value := range v.Fields() {
			below := strings.TrimPrefix(path+"."+field.Name, ".")
			if field.Anonymous {
				below = path
			}
			names = append(names, unset(below, value)...)
		}
		return names
	case reflect.Pointer:
		if v.IsNil() {
			return []string{path}
		}
		if v.Elem().Kind() == reflect.Struct {
			return unset(path, v.Elem())
		}
		return nil
	case reflect.Slice:
		if v.Len() == 0 {
			return []string{path}
		}
		return unset(path, v.Index(0))
	default:
		if v.IsZero() || v.Kind() == reflect.Map && v.Len() == 0 {
			return []string{path}
		}
		return nil
	}
}

// wireName returns the parameter that a field is sent as, if it has one name.
func wireName(params any, field string) string {
	if f, ok := reflect.TypeOf(params).FieldByName(field); ok && f.Tag.Get("form") != "" {
		return f.Tag.Get("form")
	}
	return map[string]string{"Created": "created", "Limit": "limit", "StartingAfter": "starting_after", "EndingBefore": "ending_before"}[field]
}
