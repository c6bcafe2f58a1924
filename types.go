package stripekit

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stripekit/stripekit/internal/listing"
)

// unmarshal decodes what the service answers.
func unmarshal(b []byte, out any) error { return json.Unmarshal(b, out, listing.Lenient) }

// UnixTime is a moment in seconds since 1970, as Stripe counts. Zero means that
// there is none.
type UnixTime int64

// Time is t as a time.Time in UTC; the zero time.Time where t is zero.
func (t UnixTime) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(int64(t), 0).UTC()
}

// UnixTimeOf returns t in seconds, rounded down; zero for the zero time.Time.
func UnixTimeOf(t time.Time) UnixTime {
	if t.IsZero() {
		return 0
	}
	return UnixTime(t.Unix())
}

// String is t in RFC 3339; empty where t is zero.
func (t UnixTime) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(time.RFC3339)
}

// Ref is a field that holds an object's id, or the object itself where the
// call asked for it by WithExpand.
type Ref[T any] struct {
	// ID is the object's id, expanded or not; empty where there is none.
	ID string
	// Object is nil unless expanded.
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

// MarshalJSON writes the object where there is one, else the id, else null; in
// the object what is nil is null, as encoding/json writes it elsewhere.
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
