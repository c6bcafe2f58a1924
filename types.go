package stripekit

import (
	"time"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
)

// unmarshal decodes JSON of the service.
func unmarshal(b []byte, out any) error { return json.Unmarshal(b, out, decoding(out)) }

// decoding returns the options to decode JSON of the service into out.
func decoding(out any) json.Options {
	switch out.(type) {
	case *Customer, *Product, *InvoiceItem, *AccountEvent, *changeEvent,
		*Page[Customer], *Page[Product], *Page[InvoiceItem], *Page[AccountEvent]:
		return inOnePass
	}
	return listing.Lenient
}

var (
	// inOnePass decodes some types by a function in place of their method
	// UnmarshalJSON, which would parse what the decoder has scanned already. It is not
	// for other types: the decoder looks for a function for each value, and a page of
	// charges takes a tenth longer.
	inOnePass = json.JoinOptions(listing.Lenient, json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(decodeCustomer), json.UnmarshalFromFunc(decodeProduct),
		json.UnmarshalFromFunc(decodeInvoiceItem), json.UnmarshalFromFunc(decodeAccountEventData),
	)))
	// byMethods ends the search for functions, for the fields of those types.
	byMethods = json.WithUnmarshalers(nil)
)

// UnixTime is a time in seconds since 1970, as in the Stripe API. Zero is no time.
type UnixTime int64

// Time returns t as a time.Time in UTC. If t is zero, it returns the zero
// time.Time.
func (t UnixTime) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(int64(t), 0).UTC()
}

// UnixTimeOf returns t in seconds, rounded down. For the zero time.Time it returns
// zero.
func UnixTimeOf(t time.Time) UnixTime {
	if t.IsZero() {
		return 0
	}
	return UnixTime(t.Unix())
}

// String returns t in RFC 3339, or "" if t is zero.
func (t UnixTime) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(time.RFC3339)
}

// Ref is a field that refers to another object: by its id, and also by the object
// itself if the call asked for it by WithExpand.
type Ref[T any] struct {
	// ID is the id of the object, expanded or not; empty if there is none.
	ID string
	// Object is the object if the field is expanded, and nil otherwise.
	Object *T
}

// UnmarshalJSON reads an id, an object with an id, or null.
func (r *Ref[T]) UnmarshalJSON(b []byte) error {
	*r = Ref[T]{}
	if len(b) == 0 || b[0] != '{' {
		return unmarshal(b, &r.ID)
	}
	var head struct {
		ID string `json:"id"`
	}
	if err := unmarshal(b, &head); err != nil {
		return err
	}
	object := new(T)
	if err := unmarshal(b, object); err != nil {
		return err
	}
	r.ID, r.Object = head.ID, object
	return nil
}

// MarshalJSON writes the object if there is one, otherwise the id, otherwise null.
// Nil maps and slices in the object are written as null, as encoding/json does.
func (r Ref[T]) MarshalJSON() ([]byte, error) {
	switch {
	case r.Object != nil:
		return json.Marshal(r.Object, json.FormatNilMapAsNull(true), json.FormatNilSliceAsNull(true))
	case r.ID != "":
		return json.Marshal(r.ID)
	default:
		return []byte("null"), nil
	}
}
