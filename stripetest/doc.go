// Package stripetest is an in-process fake of the Stripe API for tests. It
// keeps what it is told: a charge that was created can be retrieved, changed,
// listed, searched and refunded, as with the real service.
//
//	server := stripetest.New()
//	defer server.Close()
//
//	req, _ := http.NewRequest("GET", server.URL+"/v1/charges?limit=3", nil)
//	req.SetBasicAuth("sk_test_123", "")
//	resp, err := server.Client().Do(req)
//
// [New] listens on a free port of 127.0.0.1. With [InMemory] there is no socket
// and no goroutine, which makes it fit for testing/synctest. Either way
// [Server.Client] reaches this server and nothing else, whatever host the
// request names. A Server is also an [http.Handler] and an
// [http.RoundTripper], to be mounted anywhere.
//
// # The API
//
// Charges, customers, products, refunds, invoice items and the legacy orders
// and order returns, with their lists, filters, searches, updates and deletes,
// and GET /v1/account. What is unknown, missing or malformed is refused with
// the errors of the real service. Amounts are in the smallest currency unit,
// timestamps in seconds since 1970, all of one clock ([WithClock]). A charge
// succeeds or fails by its test token, in live mode too; a customer is charged
// with the source it has.
//
// Any well-formed key is accepted unless [WithKeys] names some;
// [WithPermissions] restricts a restricted key, [WithExpiredKeys] ends one. Test
// mode, live mode and every value of the Stripe-Account header hold separate
// data and come into being, empty, when they are first named.
//
// Answers follow the Stripe-Version header: customers have an account_balance
// before 2019-10-17, orders exist up to 2020-08-27, charges have an invoice and
// invoice items a price before 2025-03-31.basil. Expand goes four levels deep
// along the ids of what is kept here. An idempotency key is good for a day of
// the server's clock; see [WithStoredBadRequests].
//
// # Making it fail
//
// [Server.Fault] makes chosen calls of a route go wrong in one line: limited,
// delayed, refused, answered with nonsense, or cut off before or after the
// charge is made. [WithVisibility], [WithSearchDelay] and
// [WithCursorAndCreated] are about lists and searches that do not show
// everything at once. [Server.Seed] stores any number of objects with any
// created timestamps. [Server.Requests], [Server.Counts] and
// [Server.CountsPerSecond] tell what a client asked for.
//
// # Not covered
//
// Other resources (payment intents, subscriptions, invoices, prices, events),
// raw card numbers, webhooks, fees and rate limits by itself. Other changes
// between versions than those named are not made: a charge always has its
// refunds, which the real service leaves out since 2022-11-15 unless they are
// expanded. The text of error messages is close to Stripe's, not always equal.
package stripetest
