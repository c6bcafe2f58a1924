package connector

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// limit has the least and the greatest value of an integer, of a time in seconds, and
// the most elements of a list. 0 is none.
type limit struct{ min, max float64 }

// limits has the fields with a limit.
var limits = map[string]limit{
	"ListParams.Limit": {1, 100}, "ChargeCreateParams.Amount": {min: 1},
	"ProductCreateParams.Images": {max: 8}, "ProductUpdateParams.Images": {max: 8},
	"OrderCreateParams.Items": {max: 25}, "OrderReturnParams.Items": {max: 25}, "AccountEventListParams.Types": {max: 20},
	"connector.flowConfig.Every": {min: 0.1}, "connector.flowConfig.Overlap": {min: 1},
	"connector.flowConfig.MaxAttempts": {min: 1}, "connector.flowConfig.MaxUnacked": {min: 1},
}

// pattern is what a text must look like.
type pattern struct {
	*regexp.Regexp
	reason string // of the refusal
}

var (
	idempotencyKey = &pattern{regexp.MustCompile(`^[ -~]{1,255}$`), "must be 1 to 255 printable ASCII characters"}
	// start is what startOf accepts, but for days that do not exist.
	start = &pattern{
		regexp.MustCompile(`^(now|beginning|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))$`),
		`must be "now", "beginning", or a time such as "2026-01-31T00:00:00Z"`,
	}
)

// patterns has the fields with a pattern.
var patterns = map[string]*pattern{
	"connector.writeInput.IdempotencyKey": idempotencyKey, "connector.removeInput.IdempotencyKey": idempotencyKey,
	"connector.flowConfig.From": start,
}

// restrict sets what a parameter can be.
func (f *field) restrict(key, owner string) {
	f.limit, f.pattern = limits[key], patterns[key]
	filter := strings.HasSuffix(owner, "ListParams") || owner == "OrderStatusTransitionsParams"
	switch f.shape.kind {
	case kindList, kindMap:
		f.unsets = !filter
	default:
		f.required = !f.pointer && !optional[key] && !optional[owner+".*"]
		f.unsets = !f.required && !filter && f.pattern == nil && (f.pointer || owner == "Address" || owner == "Shipping")
	}
	switch key {
	case "Shipping.Address":
		line1 := f.shape.field("line1")
		line1.required, line1.unsets = true, false
	case "AccountEventListParams.Types":
		f.without = "type"
	case "InvoiceItemCreateParams.PriceData", "InvoiceItemUpdateParams.PriceData", "ProductCreateParams.DefaultPriceData":
		f.unsets = false // the library requires a price in it
	}
}

// check returns an error if a value is not one that the field can have.
func (f *field) check(v reflect.Value, t *tree, at *path) error {
	if t.empty() {
		if !f.unsets {
			return refuse(at, "must not be empty")
		}
		return nil
	}
	switch f.shape.kind {
	case kindText:
		if f.note.closed && !slices.Contains(f.note.values, t.text) {
			return refuse(at, "must be one of "+strings.Join(f.note.values, ", "))
		}
		if f.pattern != nil && !f.pattern.MatchString(t.text) {
			return refuse(at, f.pattern.reason)
		}
	case kindInteger:
		return f.limit.checkInteger(v.Int(), at)
	case kindDuration:
		if least := time.Duration(f.limit.min * float64(time.Second)); time.Duration(v.Int()) < least {
			return refuse(at, "must be at least "+least.String())
		}
	case kindList:
		if most := f.limit.max; most > 0 && float64(len(t.items)) > most {
			return refuse(at, fmt.Sprintf("has more than %v", most))
		}
	}
	return nil
}

func (l limit) checkInteger(n int64, at *path) error {
	switch {
	case l.max > 0 && (float64(n) < l.min || float64(n) > l.max):
		return refuse(at, fmt.Sprintf("must be %v to %v", l.min, l.max))
	case l.min > 0 && float64(n) < l.min:
		return refuse(at, "must be positive")
	}
	return nil
}

// requireFields returns an error if a required field is missing in an object.
func (s *shape) requireFields(t *tree, at *path) error {
	for _, f := range s.fields {
		if f.required && t.member(f.name).kind == treeNull {
			return refuse(at.below(f.name), "is required")
		}
	}
	return nil
}
