package stripesql

// WithFewLookups sets after how many calls of lookups the whole list is read too, 20
// by default.
func WithFewLookups(n int) Option {
	return func(o *options) error {
		o.fewLookups = n
		return nil
	}
}
