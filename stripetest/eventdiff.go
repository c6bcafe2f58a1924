package stripetest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// previousAttributes returns the former values of what differs between two states
// of an object, as JSON, or nil if nothing does. Of objects within it, only what
// differs is there; a list is there as a whole. A field that did not exist is null.
// If nothing differs but the ignored fields, there is no difference.
func previousAttributes(before, after any, ignored []string) any {
	old, changed := differentFields(before, after)
	previous := difference(old, changed)
	if !slices.ContainsFunc(previous.names, func(name string) bool { return !slices.Contains(ignored, name) }) {
		return nil
	}
	var compact bytes.Buffer
	must(writePlain(&compact, previous))
	return json.RawMessage(compact.Bytes())
}

// differentFields returns two states of an object with the fields that may differ.
// To encode only these fields of a struct is much faster than to encode all.
func differentFields(before, after any) (old, changed *tree) {
	a, b := reflect.ValueOf(before), reflect.ValueOf(after)
	if a.Type() != b.Type() || a.Kind() != reflect.Pointer || a.Type().Elem().Kind() != reflect.Struct || a.Type() == reflect.TypeFor[*tree]() {
		old, _ = newTree(before).(*tree)
		changed, _ = newTree(after).(*tree)
		return old, changed
	}
	a, b = a.Elem(), b.Elem()
	old, changed = &tree{values: make(map[string]any)}, &tree{values: make(map[string]any)}
	for i := range a.NumField() {
		field := a.Type().Field(i)
		if !field.IsExported() || reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		for state, value := range map[*tree]reflect.Value{old: a.Field(i), changed: b.Field(i)} {
			if options != "omitempty" || !isEmpty(value) {
				state.set(name, newTree(value.Interface()))
			}
		}
	}
	return old, changed
}

// isEmpty reports whether the option omitempty leaves a value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

func difference(before, after *tree) *tree {
	previous := &tree{values: make(map[string]any)}
	for _, name := range before.names {
		old, now := before.values[name], after.values[name]
		inner, isObject := old.(*tree)
		nowInner, both := now.(*tree)
		switch {
		case isObject && both && inner.text("id") == nowInner.text("id"):
			if nested := difference(inner, nowInner); len(nested.names) > 0 {
				previous.set(name, nested)
			}
		case !equalJSON(old, now):
			previous.set(name, old)
		}
	}
	for _, name := range after.names {
		if _, known := before.values[name]; !known && after.values[name] != nil {
			previous.set(name, nil)
		}
	}
	return previous
}

func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case *tree:
		b, ok := b.(*tree)
		return ok && len(a.names) == len(b.names) && !slices.ContainsFunc(a.names, func(name string) bool {
			other, known := b.values[name]
			return !known || !equalJSON(a.values[name], other)
		})
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalJSON)
	}
	switch b.(type) {
	case *tree, []any:
		return false
	}
	return a == b
}
