// Package fleet shares out the Pollers of many connections among many processes: a
// hundred thousand accounts of Stripe on a few machines, each polled by one process at
// a time, whatever dies.
//
//	engine, err := natsstore.CreateEngine(ctx, js, natsstore.Config{Name: "FLEET"})
//	…
//	f, err := fleet.New(fleet.Config{
//		Worker: hostname, Engine: engine, Checkpoints: store,
//		Keys: func(ctx context.Context, ref string) (stripekit.Secret, error) { return vault.Key(ctx, ref) },
//	})
//	…
//	err = fleet.Watch(f, "charges.new",
//		func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
//		func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
//			return book(ctx, fleet.FlowFromContext(ctx).Connection, e.Object)
//		})
//	…
//	err = f.Run(ctx) // until ctx ends
//
// and, in the same or any other process:
//
//	err = f.Put(ctx, fleet.Spec{Name: "shop 17", Key: "vault/17", Triggers: []fleet.Trigger{{Name: "charges.new"}}})
//
// # How it works
//
// The processes share nothing but an Engine, which is NATS JetStream
// (natsstore.Engine) or PostgreSQL (sqlstore.Engine). The Engine keeps the
// connections, and who is responsible for what. The connections are divided into
// shards by a hash of their names. A worker has a session, which the Engine removes
// if it is not renewed, and claims shards up to its fair share. It polls the
// connections of its shards. If it dies, its session ends after Config.TTL, and the
// others claim its shards. If another worker joins, each of the others stops the
// Pollers of the surplus, saves their checkpoints, and frees those shards. No other
// shard moves. Package lease, which is internal, has the protocol.
//
// # What it promises
//
// Nothing is lost, whatever dies or is cut off: a checkpoint says what was acknowledged,
// and the worker that polls next begins there. That does not depend on sessions and
// claims, which only prevent needless requests and duplicates: a worker that has lost its
// shards, as after a pause of the process or of its network, makes no request with them,
// handles no event and saves nothing. It measures that by its own clock, and stops a tenth
// of the TTL before the Engine lets others take over.
//
// An event is handled once, unless a worker dies: a handler of Watch gets it again if its
// acknowledgement was not saved. In a stream of JetStream, natsstore.Message gives
// events an id by which the server drops the second one, within the duplicate window of
// the stream. With sqlstore.RunTx in WatchPoller what a handler writes into the database
// is written exactly once.
//
// # Keys
//
// A Spec has a reference to a key, and never the key. Config.Keys resolves it on the
// worker that polls the connection.
package fleet
