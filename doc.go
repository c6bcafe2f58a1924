// Package stripekit acts on a Stripe account and on what happens in it.
//
// # Client
//
// A [Client] is made from an API key and has a service for each resource:
//
//	client, err := stripekit.New(os.Getenv("STRIPE_API_KEY"))
//	charge, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
//		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
//	})
//
// You know one service, you know all: Create, Get, Update, Delete, List, Page
// and Search, where Stripe offers them. Endpoints without a service are reached
// by [Client.Call].
//
// # Parameters
//
// Required parameters are plain values; optional ones are pointers, slices and
// maps. What is nil is left out. What is set and empty is sent as "key=", which
// Stripe reads as unset: new(""), []string{}, Metadata{}, &Shipping{}. A
// parameter that a struct lacks goes into its Extra field. Amounts are in the
// smallest unit of their currency, times in seconds ([UnixTime]).
//
// What is wrong for certain is refused before any request, as a [ParamError].
//
// # Errors
//
// Every failed call is an [*Error], told apart by errors.Is: [ErrCardDeclined],
// [ErrNotFound], [ErrRateLimited] and so on. A POST that failed after it may
// have been carried out is an [ErrOutcomeUnknown], and its error carries the
// idempotency key with which it can be repeated safely.
//
// Failures that pass are retried: network errors, 409, 429 and 5xx, three times
// by default, with growing waits that end with the context, one idempotency key
// through all attempts, and Stripe's Retry-After and Stripe-Should-Retry
// honoured.
//
// # Poller
//
// A [Poller] turns a list into a channel of its new objects:
//
//	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{})
//	err = poller.Run(ctx, func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
//		fmt.Println(e.Object.Amount, e.Object.Currency)
//		return nil // acknowledged: not delivered again
//	})
//
// Nothing is lost: an object that becomes visible within PollConfig.Overlap of
// its creation is delivered, whatever crashes, fails, shifts or is deleted
// meanwhile. Nothing comes twice, unless the process crashed before the
// acknowledgement was saved, or the event was refused by Nack. A
// [CheckpointStore] carries this across restarts, and [Poller.Commit] stores an
// acknowledgement in a transaction of the caller's, so that nothing comes twice
// after a crash either.
//
// An event that cannot be handled is given up after PollConfig.MaxAttempts, or by
// [Event.Term], and PollConfig.OnGiveUp is the place for it. An object that T
// cannot hold is an event with a DecodeErr and its raw JSON.
//
// A filtered, expanded list is a source as well: client.Charges.Where.
//
// # Connections
//
// [Connections] keeps many accounts by name, as an integration platform does:
// read from JSON, tested, opened, changed and removed while they are in use. A
// [Connection] can be a source or a target only, or switched off, and shows its
// key to nobody. Package schedule runs a job every 15 minutes, or as you say.
//
// # Tests
//
// Package stripetest is a Stripe in your test's process.
package stripekit
