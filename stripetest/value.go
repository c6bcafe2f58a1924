package stripetest

import (
	"cmp"
	"slices"
	"strconv"
)

// The methods below read values that the operation's fields have checked, so
// none of them can fail. Each has a result for a missing value.

func (v *value) has(name string) bool {
	return v.get(name) != nil
}

func (v *value) get(name string) *value {
	return v.walk([]string{name})
}

// count returns how many of the names have a value.
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

// optional returns a pointer to a string, or nil if it is empty.
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

// setHash changes a field if the parameter was sent. The function newField must
// return nil for nil.
func setHash[T any](field **T, params *value, name string, newField func(*value) *T) {
	if params.has(name) {
		*field = newField(params.hash(name))
	}
}

// hash returns a value that has children, or nil if it is missing or was unset.
func (v *value) hash(name string) *value {
	if found := v.get(name); found != nil && found.children != nil {
		return found
	}
	return nil
}

// items returns the strings of a list by index. It never returns nil.
func (v *value) items(name string) []string {
	items := []string{}
	for _, element := range v.elements(name) {
		items = append(items, element.text)
	}
	return items
}

// elements returns the values of a list by index, which may differ from the
// order in which they were sent.
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
		elements[i] = found.children[index]
	}
	return elements
}

func position(index string) uint64 {
	n, _ := strconv.ParseUint(index, 10, 31) // checked by list
	return n
}
