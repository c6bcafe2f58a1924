package stripetest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// maxDecimal is the most characters of a decimal.
const maxDecimal = 32

// kind says whether v fits a parameter; name is the parameter's full name,
// such as shipping[address][line1].
type kind func(name string, v *value) *apiError

// fields are the parameters of an operation, or of a hash within it.
type fields map[string]kind

func parseParams(encoded ...string) (*value, *apiError) {
	params, err := parseForm(encoded...)
	if err != nil {
		return nil, invalidRequest("", "", "Invalid request: "+err.Error())
	}
	return params, nil
}

// check refuses what is unknown before it looks at what is known.
func (f fields) check(prefix string, v *value) *apiError {
	for _, name := range v.names {
		if f[name] == nil {
			return unknownParam(nested(prefix, name))
		}
	}
	for _, name := range v.names {
		if failure := f[name](nested(prefix, name), v.below[name]); failure != nil {
			return failure
		}
	}
	return nil
}

func nested(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "[" + name + "]"
}

// text may be empty, which unsets it.
func text(name string, v *value) *apiError {
	if v.below != nil {
		return invalidRequest("", name, "Invalid string: "+name+" must be a string")
	}
	return nil
}

// filled is a text that may not be empty.
func filled(name string, v *value) *apiError {
	if failure := text(name, v); failure != nil {
		return failure
	}
	if v.text == "" {
		return emptyParam(name)
	}
	return nil
}

func integer(name string, v *value) *apiError {
	if failure := filled(name, v); failure != nil {
		return failure
	}
	if _, err := strconv.ParseInt(v.text, 10, 64); err != nil {
		return invalidRequest(codeInvalidInteger, name, "Invalid integer: "+v.text)
	}
	return nil
}

// atLeast is an integer that is not less than n.
func atLeast(n int64) kind {
	return func(name string, v *value) *apiError {
		if failure := integer(name, v); failure != nil {
			return failure
		}
		if v.number() < n {
			return invalidRequest(codeInvalidInteger, name, fmt.Sprintf("This value must be greater than or equal to %d.", n))
		}
		return nil
	}
}

// decimal is a number written with digits, and perhaps a sign and a point.
func decimal(name string, v *value) *apiError {
	if failure := filled(name, v); failure != nil {
		return failure
	}
	if _, ok := new(big.Rat).SetString(v.text); !ok || len(v.text) > maxDecimal || strings.Trim(v.text, "-.0123456789") != "" {
		return invalidRequest("", name, "Invalid decimal: "+v.text)
	}
	return nil
}

func boolean(name string, v *value) *apiError {
	if failure := filled(name, v); failure != nil {
		return failure
	}
	if v.text != "true" && v.text != "false" {
		return invalidRequest("", name, "Invalid boolean: "+v.text)
	}
	return nil
}

func oneOf(choices ...string) kind {
	return func(name string, v *value) *apiError {
		if failure := text(name, v); failure != nil {
			return failure
		}
		if !slices.Contains(choices, v.text) {
			return invalidRequest("", name, fmt.Sprintf("Invalid %s: must be one of %s", name, strings.Join(choices, ", ")))
		}
		return nil
	}
}

func hash(f fields) kind {
	return func(name string, v *value) *apiError {
		switch {
		case v.below != nil:
			return f.check(name, v)
		case v.text == "":
			return emptyParam(name)
		default:
			return invalidRequest("", name, "Invalid object")
		}
	}
}

// requiring is a hash that must hold some of its fields.
func requiring(f fields, names ...string) kind {
	return func(name string, v *value) *apiError {
		if failure := hash(f)(name, v); failure != nil {
			return failure
		}
		for _, needed := range names {
			if !v.has(needed) {
				return missingParam(nested(name, needed))
			}
		}
		return nil
	}
}

// anyHash is a hash whose contents mean nothing here.
func anyHash(name string, v *value) *apiError {
	if v.below == nil {
		return invalidRequest("", name, "Invalid object")
	}
	return nil
}

func list(element kind) kind {
	return func(name string, v *value) *apiError {
		if v.below == nil && v.text == "" {
			return emptyParam(name)
		}
		if v.below == nil {
			return invalidRequest("", name, "Invalid array")
		}
		for _, index := range v.names {
			if _, err := strconv.ParseUint(index, 10, 31); err != nil {
				return invalidRequest("", name, "Invalid array")
			}
			if failure := element(nested(name, index), v.below[index]); failure != nil {
				return failure
			}
		}
		return nil
	}
}

// atMost is a list of no more than n elements.
func atMost(n int, k kind) kind {
	return func(name string, v *value) *apiError {
		if len(v.names) > n {
			return invalidRequest("", name, fmt.Sprintf("%s can have at most %d elements.", name, n))
		}
		return k(name, v)
	}
}

// with are all these fields and more.
func (f fields) with(more fields) fields {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// without are all these fields but some.
func (f fields) without(names ...string) fields {
	rest := maps.Clone(f)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// orEmpty is a kind that an empty text unsets.
func orEmpty(k kind) kind {
	return func(name string, v *value) *apiError {
		if v.below == nil && v.text == "" {
			return nil
		}
		return k(name, v)
	}
}

// required refuses params that lack one of these, written as they are sent.
func required(params *value, names ...string) *apiError {
	for _, name := range names {
		if params.walk(splitName(name)) == nil {
			return missingParam(name)
		}
	}
	return nil
}
