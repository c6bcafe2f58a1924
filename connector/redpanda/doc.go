// Package redpanda has components of Redpanda Connect (Benthos) for Stripe: a pipeline
// that begins with what happens in a Stripe account, or that does something there, is a
// file in YAML. The command cmd/stripe-connect runs such files, and a program that has
// the engine in it gets the components by importing the package:
//
//	import _ "github.com/stripekit/stripekit/connector/redpanda"
//
// # A pipeline
//
// This one writes each new charge into a table, and notes it in the customer's record
// in Stripe. It may be stopped or killed at any time: it goes on where it was, and
// neither the row nor the change is made twice.
//
//	input:
//	  stripe:
//	    api_key: ${STRIPE_API_KEY}
//	    trigger: charges.new
//	    config:
//	      every: 30s
//	      from: "2026-01-01T00:00:00Z"
//	    checkpoint:
//	      file:
//	        directory: /var/lib/stripe/checkpoints
//
//	pipeline:
//	  processors:
//	    - mapping: |
//	        root = if this.status != "succeeded" || this.customer == null { deleted() }
//	    - branch:
//	        processors:
//	          - stripe:
//	              api_key: ${STRIPE_API_KEY}
//	              action: customers.update
//	              input: |
//	                root.id = this.customer
//	                root.metadata.last_charge = this.id
//	              idempotency_key: root = @stripe_id + "-last-charge"
//
//	output:
//	  reject_errored:
//	    sql_insert:
//	      driver: postgres
//	      dsn: postgres://shop:${PASSWORD}@db.example.com:5432/shop
//	      table: charges
//	      columns: [ id, amount, currency ]
//	      args_mapping: root = [ this.id, this.amount, this.currency ]
//	      suffix: ON CONFLICT (id) DO NOTHING
//
// To check and to run it:
//
//	go run ./connector/redpanda/cmd/stripe-connect lint pipeline.yaml
//	go run ./connector/redpanda/cmd/stripe-connect run pipeline.yaml
//
// # The components
//
//   - Input stripe delivers what is new or has changed: the triggers of package
//     connector. It keeps which messages were acknowledged in files, in a database, or
//     in NATS.
//   - Input stripe_sql delivers the rows of a query, by package stripesql.
//   - Processor stripe carries out an action of package connector, and continues with
//     its result.
//   - Output stripe carries out an action that writes.
//   - Output sql_insert, in package sqlinsert, inserts rows into a table. It is in
//     stripe-connect alone, because other distributions of the engine have their own.
//
// All their fields, with examples, are shown by the engine:
//
//	go run ./connector/redpanda/cmd/stripe-connect create stripe/stripe/stripe
//
// and are written down in the folder docs.
//
// # Delivery
//
// A message is acknowledged when all outputs have accepted it, and delivered again until
// then. So each message arrives at least once, whatever crashes. What it causes can
// nevertheless happen once: in Stripe by an idempotency_key made from the message, and in
// a table by a unique column and a suffix such as that above.
//
// The engine passes a message on whose processor has failed. reject_errored around the
// output, as above, has it delivered again; fallback sends it elsewhere.
package redpanda
