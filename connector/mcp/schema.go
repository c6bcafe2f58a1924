package stripemcp

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stripekit/stripekit/connector"
)

// briefInput returns the schema of the input of an action for an agent, which reads it in
// every conversation. It has the parameters with their types, values, units and defaults,
// and which of them are required. It does not have
//
//   - null, which is the same as leaving a parameter out
//   - titles, which repeat the names, and descriptions that are in the instructions
//   - parameters that have no effect, or are needed very seldom
//   - bounds that keep out nonsense, such as an empty id: an error says what is wrong
//
// The tool accepts all that connector.Invoke does.
func briefInput(action connector.Action) *jsonschema.Schema {
	var full jsonschema.Schema
	if err := json.Unmarshal(action.Input, &full); err != nil {
		panic("stripemcp: the input of " + action.Name + ": " + err.Error()) // it is the same in each process
	}
	return brief(&full, strings.HasSuffix(action.Name, ".update"), "")
}

// brief returns a schema of the catalog in brief. Only an update has something to unset,
// by an empty value. told is the unit that the schema around has told already.
func brief(full *jsonschema.Schema, update bool, told string) *jsonschema.Schema {
	unit := unitOf(full)
	s := &jsonschema.Schema{
		Type: full.Type, Description: describe(full, unit, told), Const: full.Const, Default: full.Default,
		Minimum: full.Minimum, Maximum: full.Maximum, MaxItems: full.MaxItems,
		Required: full.Required, AnyOf: full.AnyOf,
	}
	for _, name := range full.Types {
		if name != "null" {
			s.Type = name
		}
	}
	for _, value := range full.Enum {
		if value != nil && (value != "" || update) {
			s.Enum = append(s.Enum, value)
		}
	}
	if len(s.AnyOf) > 0 && !update {
		s.Required, s.AnyOf = s.AnyOf[0].Required, nil // the other one is the empty object
	}
	if full.Properties != nil {
		s.Properties = map[string]*jsonschema.Schema{}
		s.PropertyOrder = s.Required // then follow the others in the order of the alphabet
	}
	for name, property := range full.Properties {
		if !slices.Contains(seldom, name) && !useless.MatchString(property.Description) {
			s.Properties[name] = brief(property, update, unit)
		}
	}
	if full.Items != nil {
		s.Items = brief(full.Items, update, unit)
	}
	if values := full.AdditionalProperties; values != nil && values.Not == nil {
		s.AdditionalProperties = brief(values, update, unit)
	}
	return s
}

// seldom are parameters that are needed very seldom, and are large.
var seldom = []string{"custom_unit_amount", "radar_options", "tiers"}

var (
	// useless is the description of a parameter that has no effect, or that the API version
	// of the library refuses.
	useless = regexp.MustCompile(`^(legacy|has no effect)\b`)
	// enumeration is a description that says no more than an enum.
	enumeration = regexp.MustCompile(`^("[^"]*"(, | or )?)+$`)
	// ofType is the description of a type. The name of a parameter says nearly as much.
	ofType = regexp.MustCompile(`^[A-Z].*\.$`)
)

// describe returns the description of a value, with its unit.
func describe(full *jsonschema.Schema, unit, told string) string {
	text := shorter.Replace(full.Description)
	if ofType.MatchString(text) || full.Enum != nil && enumeration.MatchString(text) {
		text = ""
	}
	switch short := shorter.Replace(unit); {
	case unit == told || strings.Contains(text, short):
		return text
	case text == "":
		return short
	default:
		return text + ", " + short
	}
}

// unitOf returns the unit of a value, or the one that all values in an object have.
func unitOf(full *jsonschema.Schema) string {
	unit, _ := full.Extra["x-unit"].(string)
	if len(full.Properties) < 2 {
		return unit
	}
	units := map[string]bool{}
	for _, property := range full.Properties {
		unit = unitOf(property)
		units[unit] = true
	}
	if len(units) > 1 {
		return ""
	}
	return unit
}

var shorter = strings.NewReplacer(rewordings...)

// rewordings are parts of the texts of the catalog, each followed by what an agent is told
// in its place. It is nothing where the instructions, the name or the bounds of a
// parameter say the same.
var rewordings = []string{
	"the fields in which to return whole objects in place of ids, such as customer", "",
	"Further parameters, by the names that Stripe uses, such as level3[merchant_reference].", "",
	"writes with the same key are carried out once at most, within at least 24 hours; null is a random key", "",
	"the id of an object. The page ends with the next newer object, and is newest first too.", "",
	"the id of an object. The page begins with the next older object. It cannot be combined with ending_before.", "",
	"the number of objects on a page, 1 to 100. null is 10.", "default: 10",
	"limits the list to objects that were created in a range of time. If null, there is no limit.", "",
	"after this second", "", "in this second or after it", "", "before this second", "", "in this second or before it", "",
	"of the object", "", "when it was canceled", "", "when it was paid", "", "when it was returned", "",
	"of the recipient, not the customer", "", "of the recipient", "", "set for charges, and for orders once fulfilled", "",
	"; required", "", "; null is the first page", "", "must be true", "",
	"Makes a price for one item.", "unit_amount or unit_amount_decimal is required",
	"Makes the default price of a new product.", "unit_amount or unit_amount_decimal is required",
	"null is true; ", "", "null is true, ", "default: true, ", "null is true", "", "null is false", "",
	"null excludes the customers of all test clocks", "without it, customers of test clocks are left out",
	"null is ", "default: ", "if null, ", "by default ", "is null", "is left out", "are null", "are left out",
	"the smallest unit of the currency, such as cents", "in the smallest currency unit",

	" Null fields stay as they are.", "", " The returned object has only id and deleted set.", "",
	" The API version of this library refuses the fields called legacy.", "", " They need an older version.", "",
	"Changes appear in the results within a minute, or within an hour at worst.", "Changes appear after up to a minute, at worst an hour.",
}
