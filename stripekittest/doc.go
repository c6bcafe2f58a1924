// Package stripekittest has what the tests of a program that uses stripekit
// need: a client of a fake Stripe, a client of recorded responses, events to call a
// handler with, and a test of checkpoint stores. Nothing in it reaches the network.
//
// # A fake Stripe
//
// [NewClient] returns a client and the stateful fake of package stripetest that
// it calls:
//
//	func TestCheckout(t *testing.T) {
//		client, server := stripekittest.NewClient(t)
//		...
//	}
//
// # Recorded responses
//
// [Replay] returns a client whose responses are read from files, the fixtures. A
// fixture is a text file with the extension .http. It holds a request and the
// response to it:
//
//	POST /v1/charges?amount=2000&source=tok_chargeDeclined
//	402
//	Request-Id: req_1
//
//	{"error": {"type": "card_error", "code": "card_declined", "message": "No."}}
//
// The first line is the method and the path of the request and, after a question
// mark, the parameters that the request must have, form-encoded: those of a POST
// too, which sends them in its body. A status line and header lines may follow.
// If there is no status line, the status is 200. The default of the header Date is
// the present time, that of Content-Type application/json. The rest, after an
// empty line, is the body of the response, sent as it is.
//
// The status line and the headers may also be as curl -i prints them, so that
// two commands record a fixture:
//
//	echo "GET /v1/charges/ch_1" > testdata/charge.http
//	curl -si -u "$STRIPE_API_KEY:" https://api.stripe.com/v1/charges/ch_1 >> testdata/charge.http
//
// The recording is in the account's default API version. The client's own is
// stripekit.APIVersion, which curl requests by -H "Stripe-Version: ...".
//
// A fixture matches a request with the same method and path that has at least
// the parameters of the fixture, with the same values; a parameter is a name such
// as limit, metadata[order] or expand[0]. If several fixtures match,
// those with the most parameters are used: a fixture without parameters is for
// the requests that no other fixture matches. If several of these have equally
// many parameters, each responds once, in the order of their file names, and the
// last one to every further request. A Poller requests GET /v1/account before its
// list, and so needs a fixture for each.
//
// # Events
//
// [NewEvent] returns an event as a Poller delivers it, and the [Receipt] that
// says whether the code under test acknowledged it.
//
// # Checkpoint stores
//
// [TestStore] tests an implementation of stripekit.CheckpointStore.
package stripekittest
