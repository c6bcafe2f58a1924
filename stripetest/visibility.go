package stripetest

import "time"

// WithVisibility delays when lists and searches show new objects, which can
// happen with the real service. It calls delay once for each new object, with
// the object's type: "charge", "payment_intent", "payment_method", "customer",
// "product", "price", "refund", "invoiceitem", "order", "order_return", "sku" or
// "event". The result is counted from the object's created second; zero or less means
// no delay. With different delays,
// objects can appear in another order than they were created in.
//
// An object that lists do not show yet can still be retrieved, updated, charged
// and deleted, and it appears within other objects, such as a refund in its
// charge. Using it as a cursor fails, as for an object that does not exist.
// Calls of delay for one account and mode are serial, but calls for different
// ones may be concurrent. It must not call the server.
func WithVisibility(delay func(object string) time.Duration) Option {
	return func(s *Server) { s.visibility = delay }
}

func (c *collection[T]) visibleFrom(created int64) *time.Time {
	if c.delay == nil {
		return nil
	}
	if wait := c.delay(c.object); wait > 0 {
		return new(time.Unix(created, 0).Add(wait))
	}
	return nil
}

func (e *entry[T]) visibleAt(now time.Time) bool {
	return e.visible == nil || !e.visible.After(now)
}
