// Package stripetest is an in-process fake of the Stripe API for tests. It
// keeps what it is told: a charge that was created can be retrieved, listed,
// filtered and paged over, as with the real service.
//
//	server := stripetest.New()
//	defer server.Close()
//
//	req, _ := http.NewRequest("GET", server.URL+"/v1/charges?limit=3", nil)
//	req.SetBasicAuth("sk_test_123", "")
//	resp, err := server.Client().Do(req)
//
// # Transport
//
// [New] listens on a free port of 127.0.0.1. With [InMemory] there is no
// socket and no goroutine: [Server.Client] calls the server directly, which
// makes it fit for testing/synctest. Either way the client reaches this server
// and nothing else, whatever host the request names. A Server is also an
// [http.Handler] and an [http.RoundTripper], to be mounted anywhere.
//
// # Accounts and keys
//
// Basic authentication (the key is the user name) and bearer tokens are
// understood. Any well-formed secret or restricted key is accepted unless
// [WithKeys] names some. Test mode and live mode hold separate data, and so
// does every value of the Stripe-Account header. Accounts need no set-up: they
// come into being, empty, when they are first named.
//
// # Resources
//
//	GET  /v1/account
//	POST /v1/charges     GET /v1/charges     GET /v1/charges/{id}
//	POST /v1/customers   GET /v1/customers   GET /v1/customers/{id}
//
// Unknown parameters, missing ones and malformed ones are refused with the
// errors of the real service. Amounts are in the smallest currency unit,
// timestamps in seconds since 1970. A charge succeeds or fails by its token:
// tok_visa, tok_mastercard, tok_amex, tok_createDispute and
// tok_riskLevelElevated succeed; tok_chargeDeclined,
// tok_chargeDeclinedInsufficientFunds, tok_chargeDeclinedFraudulent,
// tok_chargeDeclinedIncorrectCvc, tok_chargeDeclinedExpiredCard and
// tok_chargeDeclinedProcessingError are answered with 402 and leave a failed
// charge behind; tok_chargeCustomerFail can be attached to a customer and is
// declined when charged. The tokens work in live mode too. A customer is
// charged with the source it was created with.
//
// # Lists
//
// Lists are newest first, by second of creation and then by order of creation.
// A limit out of the range 1 to 100 is clamped, as the live service does; the
// default is 10. A page costs the same wherever it lies in the list. A cursor
// together with a created filter is answered by applying both.
//
// # Time
//
// Created and the Date header are read from one clock, [WithClock], once per
// request.
//
// # Not covered
//
// Other resources, updates, deletes, captures, refunds, search, idempotent
// replays (the key is echoed, no more), expansion (expand is accepted and
// nothing is expanded), rate limits, the permissions of restricted keys, raw
// card numbers, and the differences between API versions: the Stripe-Version
// header is echoed and objects always have the shape of 2026-08-26.dahlia.
package stripetest
