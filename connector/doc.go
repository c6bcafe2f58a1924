// Package connector is a catalog of what package stripekit can do, for programs that
// offer it to people or to other programs: integration platforms, pipelines, agents.
// Each operation and each trigger has a name that does not change, JSON Schemas, and
// JSON in and out.
//
//	for _, a := range connector.Actions() {
//		fmt.Println(a.Name, a.Access, a.Title) // charges.create write Create charge
//	}
//	charge, err := connector.Invoke(ctx, client, "charges.create",
//		[]byte(`{"amount": 2000, "currency": "usd", "source": "tok_visa"}`))
//
// # Actions
//
// An [Action] is a method of a service: its name is the object and the verb, such as
// customers.search. [Invoke] calls it, so that all that the library does for a call
// holds: its checks, retries and rate limits, the access of the connection, and its
// errors. The names of the fields are those of Stripe. To them come
//
//   - id, the object that is read, changed or deleted
//   - expand, the fields in which to return whole objects. They are named as in the
//     object, for a list and a search too: "customer"
//   - idempotency_key, for a write that may have to be repeated
//   - extra, parameters that the library does not know
//
// A list is one page: limit is 1 to 100, and starting_after is the id of the last
// object of the page before. A search has query, and page: the next_page before.
//
// A field that is null is not sent, as if it were not there. An empty string, object
// or array unsets the field; a filter cannot be unset, and must not be empty. An object
// without required fields in which all fields are null is not sent. A number must be
// written as one, and an integer without a fraction and an exponent. Unknown names, names
// that are there twice, and values of another type are refused by a
// stripekit.ParamError with their path, such as items[0][parent]. A path has 200 bytes at
// most.
//
// A name in extra must not be that of a field, or of a part of one: address[city] is
// refused, since an address has a city. Members that an object lacks, such as
// shipping[locker], can be set.
//
// The output is the JSON that Stripe has sent, whole.
//
// # Triggers
//
// A [Trigger] such as charges.new delivers the new objects of a list, and one such as
// customers.changed what happened to objects. [Open] starts it: the [Flow] is a
// stripekit.Poller, and promises what that does.
//
//	flow, err := connector.Open(ctx, client, "charges.new",
//		[]byte(`{"every": "30s", "filter": {"customer": "cus_1"}}`), connector.Options{Checkpoints: store})
//	for {
//		event, err := flow.Next(ctx)
//		if err != nil {
//			return err
//		}
//		if err := handle(event.Data); err != nil {
//			event.Nack(time.Minute)
//			continue
//		}
//		event.Ack()
//	}
//
// # Schemas and forms
//
// What the schema of an input refuses, [Invoke] or [Open] refuses too, before a request.
// They also refuse what their schemas do not say: fields that do not go together, or of
// which one is required, among them the names in extra; how many keys metadata has, and
// which characters an id has; integers of more than 64 bits, or written as 5.0; lists of
// objects in which all is null; a time in text that is too short or too long; and a day
// that does not exist.
//
// The schemas are of draft 2020-12. They are made from the Go types of the library, and
// their descriptions from the comments of these. The keyword x-unit is the unit of a
// number, and x-object the object that a reference is to. In an output every field but
// the id may be absent or null, because API versions differ, and there may be more
// fields. [Describe] returns the same for a form: titles, required fields, lists of
// values, units.
package connector
