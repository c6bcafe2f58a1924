// Package stripekit calls the Stripe API, and delivers the new objects of a
// Stripe account as events.
//
// # Client
//
// [New] makes a [Client] from an API key. It has a service for each resource:
//
//	client, err := stripekit.New(os.Getenv("STRIPE_API_KEY"))
//	charge, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
//		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
//	})
//
// All services have the same methods, as far as Stripe offers them: Create, Get,
// Update, Delete, List, Page and Search. [Client.Call] reaches the endpoints
// that have no service.
//
// # Parameters
//
// Required parameters are plain values; optional ones are pointers, slices and
// maps. A nil parameter is not sent. One that is set but empty is sent as
// "key=", which Stripe reads as unset: new(""), []string{}, Metadata{},
// &Shipping{}. A parameter that a struct lacks goes into its Extra field. Amounts
// are in the smallest unit of their currency, times in seconds ([UnixTime]).
//
// A parameter that is certainly wrong is refused with a [ParamError], before any
// request is made.
//
// # Errors
//
// Every failed request returns an [*Error]. errors.Is distinguishes the kinds of
// errors: [ErrCardDeclined], [ErrNotFound], [ErrRateLimited] and so on. The error
// of a POST that may have been carried out is an [ErrOutcomeUnknown], and holds the
// idempotency key with which the POST can be repeated safely.
//
// Temporary failures are retried, three times by default: network errors, 409,
// 429 and 5xx. The waits grow, and end with the context. All attempts of a call
// have one idempotency key. Stripe's headers Retry-After and Stripe-Should-Retry
// are honoured.
//
// # Lists
//
// List and Search are iterators of objects and errors:
//
//	for charge, err := range client.Charges.List(ctx, stripekit.ChargeListParams{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(charge.ID)
//	}
//
// An error is the last pair, and its object is nil. A loop with one variable compiles, and
// gets that nil without the error. When ctx is cancelled, the objects of the page that was
// read come before the error. Another loop over the same iterator reads the list again.
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
// No object is lost: one that becomes visible within PollConfig.Overlap of its
// creation is delivered, even if the process crashes, requests fail, pages shift
// or other objects are deleted. No event is redelivered, unless the process crashed
// before the acknowledgement was saved, or the caller called Nack. A
// [CheckpointStore] keeps this promise across restarts. [Poller.Commit] stores an
// acknowledgement in a transaction of the caller, so that no event is
// redelivered after a crash either.
//
// A Poller gives an event up after PollConfig.MaxAttempts deliveries, or after
// [Event.Term], and calls PollConfig.OnGiveUp with it. An object that cannot be
// decoded into T is an event with a DecodeErr and the raw JSON.
//
// The method Where of a service, such as client.Charges, returns a source of a
// filtered list, with expanded fields if needed.
//
// # Connections
//
// [Connections] keeps the connections to many accounts by name, as an integration
// platform needs it. A [Connection] can be read from JSON, checked, opened,
// updated and removed while it is in use. It can be read-only, write-only or
// disabled, and never reveals its key. Package schedule runs a job every 15
// minutes, or at another interval.
//
// # Tests
//
// Package stripetest is a fake Stripe server in the process of a test. Package
// stripekittest has helpers for unit tests: a client of that server, recorded
// responses, events.
package stripekit
