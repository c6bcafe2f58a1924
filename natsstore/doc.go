// Package natsstore keeps the checkpoints of Pollers and Backfills and the records of a
// fleet in NATS JetStream, and publishes the events of a Poller there.
//
//	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
//	js, err := jetstream.New(nc)
//	store, err := natsstore.Create(ctx, js, natsstore.Config{Name: "CHECKPOINTS", Replicas: 3}) // when the program is deployed
//	store, err = natsstore.Open(ctx, js, "CHECKPOINTS")                                         // in each process
//	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Checkpoints: store})
//	err = natsstore.Publish(ctx, poller, js, "stripe.charges")
//
// # Fleet
//
// An Engine is the fleet.Engine in a stream of its own: the sessions of the workers, who
// has which shard, and the connections. It needs a server of version 2.11 or later.
//
//	engine, err := natsstore.CreateEngine(ctx, js, natsstore.Config{Name: "FLEET", Replicas: 3}) // when the program is deployed
//	engine, err = natsstore.OpenEngine(ctx, js, "FLEET")                                         // in each worker
//
// The stream of an Engine differs from that of a Store: the server leaves a marker there
// when it removes a record. Leave the removal of messages to the Engine: what is deleted
// or purged by other means, a Watch does not observe. If a server loses power, and with
// it what it has acknowledged last, two workers may have the same shard for as long as a
// session lasts.
//
// # Durability
//
// JetStream acknowledges a message once it is written to the file system, but by
// default flushes it to the disk only every two minutes (sync_interval). If a server
// loses power, what it has acknowledged last may be gone. If that is an event, and
// the checkpoint behind it is kept, the event is lost: no Poller delivers it again.
// A crash of the process alone loses nothing. To make a loss by a power failure
// unlikely,
//
//   - give the streams three replicas on servers that do not fail together, each in an
//     availability zone of its own, and
//   - set "sync_interval: always" in the servers, which makes each write slower.
//
// docs/scale.md says what is known of losses in spite of that. This applies to the
// stream of the checkpoints, and more so to that of the events, and to that of an
// Engine. It is safe to lose a checkpoint alone: an older one delivers events again.
//
// # Consistency
//
// The leader of the stream responds to a Load, never a follower that may be behind.
// Only while the network splits a cluster may a leader that is being replaced respond
// with an old checkpoint. That is harmless: a Save compares the revision in the
// majority of the cluster, so that the first Save after such a Load is refused.
//
// # Connections
//
// The connection remains the caller's. It should reconnect without an end
// (nats.MaxReconnects(-1)): by default it is closed two minutes after it is lost. If
// the server stops reading, without an end of the connection, a write by any user of
// the connection blocks for up to nats.FlusherTimeout, which is one minute by default.
package natsstore
