package stripetest

// null is the type of a field that is always null in this fake.
type null = *struct{}

type address struct {
	City       *string `json:"city"`
	Country    *string `json:"country"`
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	PostalCode *string `json:"postal_code"`
	State      *string `json:"state"`
}

func addressFields() fields {
	return fields{"city": text, "country": text, "line1": text, "line2": text, "postal_code": text, "state": text}
}

// newAddress returns nil if params is nil.
func newAddress(params *value) *address {
	if params == nil {
		return nil
	}
	return &address{
		City:       params.optional("city"),
		Country:    params.optional("country"),
		Line1:      params.optional("line1"),
		Line2:      params.optional("line2"),
		PostalCode: params.optional("postal_code"),
		State:      params.optional("state"),
	}
}
