package stripetest

import (
	"cmp"
	"slices"
	"strconv"
)

// The methods here read values that the operation's fields have checked, so
// none of them can fail. On a missing value they return what its absence means.

func (v *value) has(name string) bool {
	return v.get(name) != nil
}

func (v *value) get(name string) *value {
	return v.walk([]string{name})
}

// count says how many of the names have a value.
func (v *value) count(names ...string) int {
	n := 0
	for _, name := range names {
		if v.has(name) {
			n++
		}
	}
	return n
}

func (v *value) string(name string) string {
	if found := v.get(name); found != nil {
		return found.text
	}
	return ""
}

// optional is a text that is null if it is empty.
func (v *value) optional(name string) *string {
	if text := v.string(name); text != "" {
		return &text
	}
	return nil
}

func (v *value) integer(name string, absent int64) int64 {
	if found := v.get(name); found != nil {
		return found.number()
	}
	return absent
}

func (v *value) optionalInteger(name string) *int64 {
	if found := v.get(name); found != nil {
		return new(found.number())
	}
	return nil
}

func (v *value) number() int64 {
	n, _ := strconv.ParseInt(v.text, 10, 64) // checked by integer
	return n
}

func (v *value) boolean(name string, absent bool) bool {
	if v.has(name) {
		return v.string(name) == "true"
	}
	return absent
}

// setText, setInteger, setBoolean and setItems change a field if the parameter was sent.

func (v *value) setText(field **string, name string) {
	if v.has(name) {
		*field = v.optional(name)
	}
}

func (v *value) setInteger(field *int64, name string) {
	*field = v.integer(name, *field)
}

func (v *value) setBoolean(field *bool, name string) {
	*field = v.boolean(name, *field)
}

func (v *value) setItems(field *[]string, name string) {
	if v.has(name) {
		*field = v.items(name)
	}
}

// setHash changes a field if the parameter was sent; of makes nil of nil.
func setHash[T any](field **T, params *value, name string, of func(*value) *T) {
	if params.has(name) {
		*field = of(params.hash(name))
	}
}

// hash is a value with names below it, nil if it is absent or was unset.
func (v *value) hash(name string) *value {
	if found := v.get(name); found != nil && found.below != nil {
		return found
	}
	return nil
}

// items are the texts of a list, by index, never nil.
func (v *value) items(name string) []string {
	items := []string{}
	for _, element := range v.elements(name) {
		items = append(items, element.text)
	}
	return items
}

// elements are the values of a list by index, which need not be the order they
// came in.
func (v *value) elements(name string) []*value {
	found := v.hash(name)
	if found == nil {
		return nil
	}
	indexes := slices.SortedFunc(slices.Values(found.names), func(a, b string) int {
		return cmp.Compare(position(a), position(b))
	})
	elements := make([]*value, len(indexes))
	for i, index := range indexes {
		elements[i] = found.below[index]
	}
	return elements
}

func position(index string) uint64 {
	n, _ := strconv.ParseUint(index, 10, 31) // checked by list
	return n
}
