package stripekit

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/stripekit/stripekit/internal/form"
)

// Metadata is the user's own data on an object. An update merges it: a key with
// the value "" is removed, a nil map changes nothing, and an empty map that is not
// nil removes all keys. Stripe allows 50 keys of up to 40 characters without
// brackets, and values of up to 500 characters. Anything else is a ParamError.
type Metadata map[string]string

const (
	maxMetadataKeys  = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

func (m Metadata) check() error { return m.checkAs("metadata") }

// checkAs checks metadata that is sent as the parameter param.
func (m Metadata) checkAs(param string) error {
	if len(m) > maxMetadataKeys {
		return &ParamError{Param: param, Reason: fmt.Sprintf("has more than %d keys", maxMetadataKeys)}
	}
	for k, v := range m {
		switch {
		case k == "" || strings.ContainsAny(k, "[]"):
			return &ParamError{Param: param, Reason: "has a key that is empty or contains a bracket"}
		case utf8.RuneCountInString(k) > maxMetadataKey:
			return &ParamError{Param: param, Reason: fmt.Sprintf("has a key of more than %d characters", maxMetadataKey)}
		case utf8.RuneCountInString(v) > maxMetadataValue:
			return &ParamError{Param: param + "[" + k + "]", Reason: fmt.Sprintf("is longer than %d characters", maxMetadataValue)}
		}
	}
	return nil
}

// Extra holds parameters that a struct of this library lacks, under the names
// that Stripe uses: Extra{"radar_options": map[string]any{"session": "rse_1"}}, or
// Extra{"radar_options[session]": "rse_1"}. A required parameter may be set here
// instead of in its field: a charge may have a "card" here instead of Source. A
// parameter that is set in both places is sent twice.
type Extra map[string]any

// has reports whether e sets one of the parameters, or a part of one, to a
// non-empty value. It reads the encoded form, so that "card", "card[number]" and
// nested maps and structs are treated alike.
func (e Extra) has(names ...string) bool {
	sent, err := form.Append(nil, e)
	if err != nil {
		return false
	}
	values, err := url.ParseQuery(string(sent))
	if err != nil {
		return false
	}
	for _, name := range names {
		for key, value := range values {
			if value[0] != "" && (key == name || strings.HasPrefix(key, name+"[")) {
				return true
			}
		}
	}
	return false
}

// Address is a postal address, in an object or in parameters. In parameters an
// empty field is not sent, and &Address{} unsets the address.
type Address struct {
	City       string `json:"city" form:"city"`
	Country    string `json:"country" form:"country"` // two letters, ISO 3166-1
	Line1      string `json:"line1" form:"line1"`
	Line2      string `json:"line2" form:"line2"`
	PostalCode string `json:"postal_code" form:"postal_code"`
	State      string `json:"state" form:"state"`
}

// Shipping is the address that goods are sent to, in an object or in parameters. In
// parameters Name and Address.Line1 are required if any field is set, and
// &Shipping{} unsets it.
type Shipping struct {
	Name           string  `json:"name" form:"name"`   // of the recipient
	Phone          string  `json:"phone" form:"phone"` // of the recipient, not the customer
	Address        Address `json:"address" form:"address"`
	Carrier        string  `json:"carrier" form:"carrier"`                 // set for charges, and for orders once fulfilled
	TrackingNumber string  `json:"tracking_number" form:"tracking_number"` // set for charges, and for orders once fulfilled
}

func (s *Shipping) check(extra Extra) error {
	switch {
	case s == nil || *s == Shipping{}:
		return nil
	case s.Name == "" && !extra.has("shipping[name]"):
		return &ParamError{Param: "shipping[name]", Reason: "is required with shipping"}
	case s.Address.Line1 == "" && !extra.has("shipping[address][line1]"):
		return &ParamError{Param: "shipping[address][line1]", Reason: "is required with shipping"}
	}
	return nil
}

// Period is a span of time, in an object or in parameters. In parameters both ends
// are required.
type Period struct {
	Start UnixTime `json:"start" form:"start"`
	End   UnixTime `json:"end" form:"end"` // not before Start
}

// ObjectID is the id of an object for which this library has no type.
type ObjectID struct {
	ID string `json:"id"`
}
