// Package conformance tests the library against Stripe's own programs: its
// requests against stripe-mock, which has Stripe's OpenAPI descriptions, and
// its fake service, stripetest, against the client stripe-go. It is a separate
// module, so that neither is a dependency of the library.
package conformance
