package stripetest

import "time"

// WithVisibility makes new objects appear in lists and searches only some time
// after their created second, as can happen with the real service. It calls
// delay once for each object created, with the object's type: "charge",
// "customer", "product", "refund", "invoiceitem", "order" or "order_return".
// Zero or less means at once. Different delays let objects appear in another
// order than they were created in.
//
// An object that lists do not show yet can be retrieved, updated, charged and
// deleted all the same, and it is shown within others, such as a refund in its
// charge. As a cursor it is unknown, like an object that does not exist. delay
// is called one at a time for each account and mode, but perhaps at the same
// time for several, and must not call the server.
func WithVisibility(delay func(object string) time.Duration) Option {
	return func(s *Server) { s.visibility = delay }
}

func (c *collection[T]) visibleFrom(created int64) time.Time {
	if c.delay == nil {
		return time.Time{}
	}
	if wait := c.delay(c.object); wait > 0 {
		return time.Unix(created, 0).Add(wait)
	}
	return time.Time{}
}

func (e *entry[T]) visibleAt(now time.Time) bool {
	return !e.visible.After(now)
}
