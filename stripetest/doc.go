// Package stripetest is an in-process fake of the Stripe API for tests. It is
// stateful: a charge that a test creates can be retrieved, updated, listed,
// searched and refunded, as with the real service.
//
//	server := stripetest.New()
//	defer server.Close()
//
//	req, _ := http.NewRequest("GET", server.URL+"/v1/charges?limit=3", nil)
//	req.SetBasicAuth("sk_test_123", "")
//	resp, err := server.Client().Do(req)
//
// [New] listens on a free port of 127.0.0.1. With [InMemory] it uses no socket
// and no goroutine, so it works inside a testing/synctest bubble. In both cases
// the client that [Server.Client] returns reaches this server only, whatever
// host the request names. A Server is also an [http.Handler] and an
// [http.RoundTripper].
//
// # The API
//
// The server implements charges, payment intents and payment methods, customers with
// their sources, products, prices, refunds, invoice items, tokens, the legacy orders,
// order returns and SKUs, and GET /v1/account. They have the lists, filters, searches,
// updates and deletes of the real service. Invoices can be created, retrieved and
// finalized, so that invoice items have one. Requests with an unknown path, or with
// unknown, missing, malformed or too long parameters, are refused with the errors of
// the real service; so are unknown currencies, invalid email addresses and ids of
// objects that do not exist. Amounts are in the smallest currency unit. Timestamps are
// in seconds since 1970 and come from one clock ([WithClock]).
//
// A charge succeeds or fails according to its test token, in live mode too. The
// tokens of Stripe's documentation of testing are known (tok_visa,
// tok_visa_chargeDeclined, tok_refundFail), and /v1/tokens makes others of its
// test card numbers. A charge of a customer uses the customer's default source
// unless it names another one.
//
// A payment intent is confirmed, captured, canceled and refunded as by the real
// service, and its charges are among the others. It is paid by a payment method of a
// test number or token, by a name such as pm_card_visa or pm_card_chargeDeclined, or
// by a card of its customer. A test card with 3D Secure leaves it with the status
// requires_action, until [Server.Authenticate] does what the customer would. Payment
// methods are cards, and each card is charged at once.
//
// Any well-formed key is accepted unless [WithKeys] lists the accepted ones, and
// any well-formed Stripe-Account header unless [WithConnectedAccounts] does. A
// publishable key can only create tokens. [WithPermissions] limits what a
// restricted key may do. [WithExpiredKeys] marks keys as expired, and
// [Server.ExpireKeys] does so during a test. Test mode, live mode and each value of the
// Stripe-Account header have separate data. An account starts empty when a request first
// names it.
//
// Responses follow the Stripe-Version header. Before 2018-02-05 a product has its
// SKUs, before 2019-10-17 a customer has an account_balance, before 2020-08-27 its
// sources, subscriptions and tax ids, before 2022-11-15 a charge has its refunds and
// a payment intent its charges, and before 2025-03-31.basil both have an invoice and
// an invoice item has a price. A payment intent that is created with a version before
// 2023-08-16 has no automatic payment methods, and before 2024-04-10 its charge is
// captured at once. Orders and SKUs exist up to 2020-08-27. Expand works up to four levels
// deep, for objects that this server stores; total_count can be expanded in lists
// and searches. A response is replayed for its idempotency key for 24 hours of the
// server's clock; see [WithStoredBadRequests] for the exception.
//
// # Events and webhooks
//
// Each change that a request makes is an event, or several, with Stripe's names: a
// new charge is charge.succeeded or charge.failed, a refund is refund.created and
// charge.refunded. GET /v1/events lists those of the last 30 days of the server's
// clock, by type and time. The data of an event is in the default version of its
// time, and never changes. A change of nothing, a refused request, a replayed one and
// [Server.Seed] make none. The type invoiceitem.updated exists for default versions up
// to 2020-08-27. An event takes some 340 bytes, and some 490 if it has previous
// attributes, besides a former state of its object, which takes some 300.
//
// Webhook endpoints can be created, changed, listed and deleted. With
// [WithWebhookClient] events are sent to them, signed, and sent again if that fails;
// [Server.WebhookDeliveries] tells how that went.
//
// # Faults and delays
//
// [Server.Fault] makes selected requests of a route fail: rate limited,
// delayed, refused, with a malformed response, or with the connection closed
// before or after the request is executed. [WithVisibility], [WithSearchDelay]
// and [WithCursorAndCreated] make lists and searches incomplete in ways that
// the real service can be. [Server.Seed] stores any number of objects with any
// created timestamps. [Server.Requests], [Server.Counts] and
// [Server.CountsPerSecond] report the requests that the server received.
//
// # Accounts, time and state
//
// All keys belong to one account, unless [WithAccountPerKey] or [WithAccountKeys]
// says otherwise. [WithDefaultVersion] is for requests without a Stripe-Version
// header. [Server.SetTime] and [Server.Advance] move the clock. [Server.Clear]
// removes data; [Server.Dump] and [Server.Load] write and read all of it as JSON.
//
// [WithControl] lets programs in other languages do all this, by requests beside
// the API. The program examples/fakestripe serves the fake on a port, and
// docs/fakestripe.md describes both.
//
// # Not covered
//
// The server has no other resources (setup intents, subscriptions), no fees, no
// events of invoices and disputes, and no webhook endpoints for the events of
// connected accounts. A card number can be sent to /v1/tokens and for a payment
// method only. A payment intent has no confirmation tokens and mandates, is captured
// once, and is read with a secret key only, not with its client_secret. A price has
// no tiers and no other currencies. An item of an order may name a SKU that does
// not exist, which then costs what the item says, or 15.00. It limits the rate of
// requests only where a [Fault] does. It implements no version differences other
// than those above. The text of error messages is close to Stripe's, but not
// always equal. Some of it, and some figures, such as the minimum amounts, could not
// be compared with the service.
package stripetest
