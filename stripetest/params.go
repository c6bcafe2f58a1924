package stripetest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Maximum lengths, in characters.
const (
	maxText        = 5000
	maxDescription = 40000 // of charges and products
	maxDescriptor  = 22
	maxEmail       = 512 // of customers
	maxDecimal     = 32
)

// checker checks the value of a parameter and returns nil if it is valid. The
// name is the parameter's full name, such as shipping[address][line1].
type checker func(name string, v *value) *apiError

// fields has the parameters of an operation, or of a hash within it.
type fields map[string]checker

func parseParams(encoded ...string) (*value, *apiError) {
	params, err := parseForm(encoded...)
	if err != nil {
		return nil, invalidRequest("", "", "Invalid request: "+err.Error())
	}
	return params, nil
}

// check first refuses unknown parameters and then checks the known ones.
func (f fields) check(prefix string, v *value) *apiError {
	for _, name := range v.names {
		if f[name] == nil {
			return unknownParam(nested(prefix, name))
		}
	}
	for _, name := range v.names {
		if failure := f[name](nested(prefix, name), v.children[name]); failure != nil {
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

// text accepts a string of up to 5,000 characters, which is the maxLength that
// Stripe's descriptions of the API give most strings. An empty one unsets the
// field.
func text(name string, v *value) *apiError { return upTo(maxText)(name, v) }

// upTo is text with another maximum, also of Stripe's descriptions.
func upTo(characters int) checker {
	return func(name string, v *value) *apiError {
		if v.children != nil {
			return invalidRequest("", name, "Invalid string: "+name+" must be a string")
		}
		if len(v.text) > characters && utf8.RuneCountInString(v.text) > characters {
			return invalidRequest("", name, fmt.Sprintf("Invalid string: %s; must be at most %d characters", abridged(v.text), characters))
		}
		return nil
	}
}

// abridged returns the beginning and the end of a long text.
func abridged(text string) string {
	const shown = 10
	characters := []rune(text)
	if len(characters) <= 2*shown {
		return text
	}
	return string(characters[:shown]) + "..." + string(characters[len(characters)-shown:])
}

// nonEmpty accepts a string that is not empty.
func nonEmpty(name string, v *value) *apiError { return filled(text)(name, v) }

// filled refuses an empty string that a check accepts.
func filled(check checker) checker {
	return func(name string, v *value) *apiError {
		if failure := check(name, v); failure != nil {
			return failure
		}
		if v.text == "" {
			return emptyParam(name)
		}
		return nil
	}
}

// statementDescriptor has an error of its own (stripe-laravel issue 56).
func statementDescriptor(name string, v *value) *apiError {
	if n := utf8.RuneCountInString(v.text); n > maxDescriptor {
		return invalidRequest("", name, fmt.Sprintf("The statement descriptor must be at most %d characters. %s is %d characters long.", maxDescriptor, v.text, n))
	}
	return text(name, v)
}

// email accepts an address, or an empty string. The rules are those that public
// reports agree with: "x", "x@com", "x@.example.com" and " x@example.com" are
// refused.
func email(characters int) checker {
	return func(name string, v *value) *apiError {
		if failure := upTo(characters)(name, v); failure != nil {
			return failure
		}
		if v.text != "" && !isEmail(v.text) {
			return invalidRequest("email_invalid", name, "Invalid email address: "+v.text)
		}
		return nil
	}
}

func isEmail(text string) bool {
	local, domain, _ := strings.Cut(text, "@")
	labels := strings.Split(domain, ".")
	return local != "" && len(labels) > 1 && !slices.Contains(labels, "") &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) && !strings.ContainsAny(domain, "@,;:<>()[]\\\"")
}

func integer(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	if _, err := strconv.ParseInt(v.text, 10, 64); err != nil {
		return invalidRequest(codeInvalidInteger, name, "Invalid integer: "+v.text)
	}
	return nil
}

// atLeast accepts an integer of n or more.
func atLeast(n int64) checker {
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

// decimal accepts a number of digits with an optional sign and point.
func decimal(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	if _, ok := new(big.Rat).SetString(v.text); !ok || len(v.text) > maxDecimal || strings.Trim(v.text, "-.0123456789") != "" {
		return invalidRequest("", name, "Invalid decimal: "+v.text)
	}
	return nil
}

// boolean accepts true and false in any case: older stripe-python
// sends True and False, which v1 accepts today (stripe-dotnet pull request
// 3104, stripe-python pull request 1499). It puts the value in lower case, so
// that all readers compare with one spelling.
func boolean(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	lower := strings.ToLower(v.text)
	if lower != "true" && lower != "false" {
		return invalidRequest("", name, "Invalid boolean: "+v.text)
	}
	v.text = lower
	return nil
}

func oneOf(choices ...string) checker {
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

func hash(f fields) checker {
	return func(name string, v *value) *apiError {
		switch {
		case v.children != nil:
			return f.check(name, v)
		case v.text == "":
			return emptyParam(name)
		default:
			return invalidRequest("", name, "Invalid object")
		}
	}
}

// requiring accepts a hash that has these fields.
func requiring(f fields, names ...string) checker {
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

// anyHash accepts any hash. The server ignores its contents.
func anyHash(name string, v *value) *apiError {
	if v.children == nil {
		return invalidRequest("", name, "Invalid object")
	}
	return nil
}

func list(element checker) checker {
	return func(name string, v *value) *apiError {
		if v.children == nil && v.text == "" {
			return emptyParam(name)
		}
		if v.children == nil {
			return invalidRequest("", name, "Invalid array")
		}
		for _, index := range v.names {
			if _, err := strconv.ParseUint(index, 10, 31); err != nil {
				return invalidRequest("", name, "Invalid array")
			}
			if failure := element(nested(name, index), v.children[index]); failure != nil {
				return failure
			}
		}
		return nil
	}
}

// atMost accepts a list of up to n elements.
func atMost(n int, check checker) checker {
	return func(name string, v *value) *apiError {
		if len(v.names) > n {
			return invalidRequest("", name, fmt.Sprintf("%s can have at most %d elements.", name, n))
		}
		return check(name, v)
	}
}

// with returns the fields with more added.
func (f fields) with(more fields) fields {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// only returns the named fields.
func (f fields) only(names ...string) fields {
	some := make(fields, len(names))
	for _, name := range names {
		some[name] = f[name]
	}
	return some
}

// without returns the fields without the named ones.
func (f fields) without(names ...string) fields {
	rest := maps.Clone(f)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// orEmpty also accepts an empty string, which unsets the field.
func orEmpty(check checker) checker {
	return func(name string, v *value) *apiError {
		if v.children == nil && v.text == "" {
			return nil
		}
		return check(name, v)
	}
}

// required refuses params without one of the names, which are full names such
// as default_price_data[currency].
func required(params *value, names ...string) *apiError {
	for _, name := range names {
		if params.walk(splitName(name)) == nil {
			return missingParam(name)
		}
	}
	return nil
}
