// Package conformance holds the library to programs that others wrote: its
// requests to stripe-mock, which knows Stripe's OpenAPI descriptions, and its
// fake service, stripetest, to stripe-go, Stripe's own client. It is a module
// of its own so that neither is a dependency of the library.
package conformance
