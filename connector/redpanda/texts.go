package redpanda

// The descriptions and examples of the components, for their documentation.

const inputDescription = `
Stripe is asked for what is new at regular intervals, so that no webhook endpoint is needed. The input finds everything: what is created while it does not run, what becomes visible late, and thousands of objects in one second.

### Messages

The body is JSON: the object as Stripe sends it (triggers that end in ` + "`.new`" + `), or what happened, with ` + "`type`, `object` and `previous`" + ` (those that end in ` + "`.changed`" + `). The metadata is:

- ` + "`stripe_trigger`" + `: the trigger
- ` + "`stripe_id`" + `: the id of the new object, or of Stripe's event about the change
- ` + "`stripe_created`" + `: when the object was created or the change happened, as 2026-01-31T15:04:05Z
- ` + "`stripe_attempt`" + `: the number of the delivery, 1 for the first
- ` + "`stripe_late`" + `: whether the object became visible after newer ones
- ` + "`stripe_decode_error`" + `: only if the object is not as expected: why. The body is what Stripe has sent

### Delivery

A message is delivered until it is acknowledged, which is when the outputs have accepted it: at least once, and the oldest first. With a ` + "`checkpoint`" + ` this holds when the process is killed, too. What was acknowledged in the last second before that may be delivered again, since checkpoints are saved now and then.

A message that an output rejects is delivered again after ` + "`nack_delay`" + `, which doubles each time, and holds nothing else back, unless ` + "`max_unacked`" + ` messages are rejected. By default that has no end; after ` + "`max_attempts`" + ` deliveries the message is dropped, and an error with its id is logged.

The outputs have at most ` + "`max_unacked`" + ` messages at a time, 1000 by default. So a batch must not need more: give it a ` + "`count`" + ` of at most ` + "`max_unacked`" + `, or a ` + "`period`" + ` after which it is sent as it is. Otherwise it is never full, and the input waits for it for ever. Nor does the input read anything new while ` + "`max_unacked`" + ` messages are rejected again and again. It logs a warning when it has waited for 30 seconds.

The engine does not reject a message because a processor has failed. Put the output into ` + "`reject_errored`" + ` to have such a message delivered again, or into ` + "`fallback` with `reject_errored`" + ` to send it elsewhere: see the examples.

### Errors

An error that does not pass by itself, such as an invalid key or a missing permission, is logged. Then the input waits, for up to a minute, and begins again where it was. Three of them need you:

- events are missing: a trigger that ends in ` + "`.changed`" + ` did not run for longer than Stripe keeps events. The input goes on only with another ` + "`config.name`" + ` or a deleted checkpoint. Read the objects themselves, with ` + "`stripe_sql`" + ` for example, to learn their state.
- checkpoint was changed by another poller: another process runs the same trigger on the same checkpoint. The newer one continues; the older one is to be stopped. Processes that share a store need a ` + "`config.name`" + ` each.
- it belongs to account …, and this is …: the checkpoint is that of another account. Give each account a ` + "`config.name`" + ` or a store of its own.

### Metrics

- ` + "`stripe_lag_seconds`" + `: the age of the oldest message that is not acknowledged
- ` + "`stripe_unacked`" + `: the messages that were found and are not acknowledged
- ` + "`stripe_failed_requests`" + `: the requests that have failed since the last one that succeeded
- ` + "`stripe_given_up`" + `: the messages that were dropped after ` + "`max_attempts`"

const inputExample = `
input:
  stripe:
    api_key: ${STRIPE_API_KEY}
    trigger: charges.new
    config:
      every: 30s
    checkpoint:
      file:
        directory: /var/lib/stripe/checkpoints

output:
  reject_errored:
    file:
      path: /var/lib/stripe/charges-${! @stripe_created.slice(0, 10) }.jsonl
`

const deadLetterExample = `
input:
  stripe:
    api_key: ${STRIPE_API_KEY}
    trigger: customers.changed
    checkpoint:
      file:
        directory: /var/lib/stripe/checkpoints

pipeline:
  processors:
    - mapping: |
        root.email = this.object.email.not_empty()

output:
  fallback:
    - reject_errored:
        http_client:
          url: https://crm.example.com/customers
    - file:
        path: /var/lib/stripe/dead-letters.jsonl
`

const processorDescription = `
The body of the message, or the result of ` + "`input`" + `, is the input of the action: JSON with the fields of Stripe's API. An action on one object has ` + "`id`" + ` as well. Reads and writes can have ` + "`expand`" + `, and parameters that are not known here go into ` + "`extra`" + `. The metadata of the message remains.

If the action fails, the message stays as it was and is marked as failed, like after any other processor: ` + "`error()`" + ` is the reason. Processors behind this one see the message nevertheless; use ` + "`try`" + ` to skip them. Requests that may succeed later are retried first (` + "`max_retries`" + `).

A message may be delivered more than once, so an action that writes should have an ` + "`idempotency_key`" + ` made from the message.

As many actions run at a time as the pipeline has threads. Components with the same connection settings share network connections and rate limits.`

const outputDescription = `
The body of the message, or the result of ` + "`input`" + `, is the input of the action: JSON with the fields of Stripe's API. An action on one object has ` + "`id`" + ` as well. Parameters that are not known here go into ` + "`extra`" + `.

If the action fails, the message is rejected, and its input delivers it again. Requests that may succeed later are retried first (` + "`max_retries`" + `). A message that Stripe will never accept, such as a refund that is too large, is rejected each time: send it elsewhere by ` + "`fallback`" + `.

A message may be delivered more than once, so an action should have an ` + "`idempotency_key`" + ` made from the message.

With ` + "`max_in_flight`" + ` above 1, actions may be carried out in another order than that of the messages. Components with the same connection settings share network connections and rate limits.`

const lookupExample = `
pipeline:
  processors:
    - branch:
        request_map: |
          root = if this.customer == null { deleted() } else { { "id": this.customer } }
        processors:
          - stripe:
              api_key: ${STRIPE_API_KEY}
              action: customers.get
        result_map: root.customer = this
`

const refundExample = `
input:
  stripe:
    api_key: ${STRIPE_API_KEY}
    trigger: charges.new
    checkpoint:
      file:
        directory: /var/lib/stripe/checkpoints

pipeline:
  processors:
    - mapping: |
        root = if this.metadata.product.or("") != "test" { deleted() }

output:
  stripe:
    api_key: ${STRIPE_API_KEY}
    action: refunds.create
    input: |
      root.charge = this.id
      root.reason = "requested_by_customer"
    idempotency_key: root = @stripe_id + "-refund"
`

const sqlDescription = `
The tables are ` + "`charges`, `customers`, `products`, `refunds`, `invoice_items` and `orders`" + `. A column has the name of the object's field; a field of a nested object has the name of that object in front, such as ` + "`billing_details_email`" + `. ` + "`SELECT * FROM charges LIMIT 0`" + ` needs no request. Times are text such as 2026-01-31T15:04:05Z, and ` + "`created_unix`" + ` is in seconds since 1970. Amounts are in the smallest unit of the currency.

Each row is a message: a JSON object with the columns in their order. NULL is null, and integers remain integers. Two columns must not have the same name; use ` + "`AS`" + `.

Nothing is copied: the rows are read from Stripe while the query runs, and its cost is its requests. Put conditions on ` + "`id`, `created` and `customer`" + ` where possible. ` + "`EXPLAIN QUERY PLAN`" + ` in front of the query tells what would be requested.

A message that is rejected is delivered again until it is accepted. If the query fails in the middle, because it needs more than ` + "`max_calls`" + ` requests for example, the error is logged every minute and the input does not end, so that half a result is not taken for a whole one. Nothing is kept between two runs.`

const sqlExample = `
input:
  stripe_sql:
    api_key: ${STRIPE_API_KEY}
    query: |
      SELECT currency, count(*) AS charges, sum(amount) AS total
      FROM charges WHERE created >= ? AND created < ? AND status = 'succeeded'
      GROUP BY currency
    args_mapping: |
      root = [
        now().ts_sub_iso8601("P1D").ts_format("2006-01-02", "UTC"),
        now().ts_format("2006-01-02", "UTC"),
      ]

output:
  stdout: {}
`
