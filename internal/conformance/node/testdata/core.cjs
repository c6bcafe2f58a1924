// Checks of a fake Stripe with stripe-node, for any of its versions:
//
//	node core.cjs stripe http://127.0.0.1:12111
//
// Each check prints a line, "ok" or "FAIL", with its name and what is wrong.
const assert = require('node:assert/strict');
const {load} = require('./client.cjs');

const {newClient, control, old} = load(process.argv[2], process.argv[3]);
const stripe = newClient();
const checks = [];
const check = (name, run) => checks.push([name, run]);

// refused returns the error of a call that must fail.
async function refused(promise) {
  try {
    await promise;
  } catch (err) {
    return err;
  }
  assert.fail('the call succeeded');
}

// all reads a whole list by autopaging.
async function all(list) {
  const ids = [];
  for await (const object of list) ids.push(object.id);
  return ids;
}

const visa = {amount: 2000, currency: 'usd', source: 'tok_visa'};

// Customers
check('customers: create echoes fields', async () => {
  const c = await stripe.customers.create({email: 'jenny@example.com', name: 'Jenny', metadata: {order: '6735'}, address: {line1: 'x', city: 'Ulm'}});
  assert.match(c.id, /^cus_/);
  assert.deepEqual([c.object, c.email, c.metadata.order, c.address.city, c.livemode], ['customer', 'jenny@example.com', '6735', 'Ulm', false]);
});
check('customers: create without parameters', async () => assert.equal((await stripe.customers.create()).email, null));
check('customers: retrieve', async () => {
  const c = await stripe.customers.create({name: 'Retrieved'});
  assert.equal((await stripe.customers.retrieve(c.id)).name, 'Retrieved');
});
check('customers: update merges metadata', async () => {
  const c = await stripe.customers.create({metadata: {a: '1', b: '2'}});
  const u = await stripe.customers.update(c.id, {name: 'New', metadata: {a: '', c: '3'}});
  assert.deepEqual([u.name, u.metadata], ['New', {b: '2', c: '3'}]);
});
check('customers: a card is the default source', async () => {
  const c = await stripe.customers.create({source: 'tok_visa'});
  assert.match(c.default_source, /^card_/);
});
check('customers: delete', async () => {
  const c = await stripe.customers.create();
  const d = await stripe.customers.del(c.id);
  assert.deepEqual([d.id, d.object, d.deleted], [c.id, 'customer', true]);
  assert.equal((await stripe.customers.retrieve(c.id)).deleted, true);
});
check('customers: list by email', async () => {
  const c = await stripe.customers.create({email: 'only@example.com'});
  const list = await stripe.customers.list({email: 'only@example.com'});
  assert.deepEqual(list.data.map((x) => x.id), [c.id]);
});
check('customers: unknown id', async () => {
  const err = await refused(stripe.customers.retrieve('cus_missing'));
  assert.deepEqual([err.type, err.statusCode, err.code, err.param], ['StripeInvalidRequestError', 404, 'resource_missing', 'id']);
});

// Charges
check('charges: create', async () => {
  const ch = await stripe.charges.create(visa);
  assert.deepEqual([ch.status, ch.paid, ch.captured, ch.amount_refunded], ['succeeded', true, true, 0]);
  assert.equal(ch.payment_method_details.card.last4, '4242');
});
check('charges: of a customer', async () => {
  const c = await stripe.customers.create({source: 'tok_mastercard'});
  const ch = await stripe.charges.create({amount: 500, currency: 'eur', customer: c.id});
  assert.deepEqual([ch.customer, ch.payment_method_details.card.brand], [c.id, 'mastercard']);
});
check('charges: capture later, in part', async () => {
  const ch = await stripe.charges.create({...visa, capture: false});
  assert.equal(ch.captured, false);
  const captured = await stripe.charges.capture(ch.id, {amount: 1500});
  assert.deepEqual([captured.captured, captured.amount_captured, captured.amount_refunded], [true, 1500, 500]);
});
check('charges: capture twice', async () => {
  const ch = await stripe.charges.create(visa);
  assert.equal((await refused(stripe.charges.capture(ch.id))).code, 'charge_already_captured');
});
check('charges: update', async () => {
  const ch = await stripe.charges.create(visa);
  const u = await stripe.charges.update(ch.id, {description: 'ä & <b>', metadata: {a: 'b'}});
  assert.deepEqual([u.description, u.metadata], ['ä & <b>', {a: 'b'}]);
});
check('charges: shipping', async () => {
  const shipping = {name: 'Jenny', phone: '+49', address: {line1: 'x', country: 'DE'}};
  const ch = await stripe.charges.create({...visa, shipping});
  assert.deepEqual([ch.shipping.name, ch.shipping.address.country], ['Jenny', 'DE']);
});
check('charges: list by customer', async () => {
  const c = await stripe.customers.create({source: 'tok_visa'});
  const ids = [];
  for (let i = 0; i < 3; i++) ids.unshift((await stripe.charges.create({amount: 100, currency: 'usd', customer: c.id})).id);
  assert.deepEqual((await stripe.charges.list({customer: c.id})).data.map((x) => x.id), ids);
});
check('charges: list by created', async () => {
  await control('POST', 'seed', {path: '/v1/charges', ids: ['ch_2001', 'ch_2002'], first: 1000000000, every: 60});
  const list = await stripe.charges.list({created: {gte: 1000000000, lt: 1000000060}});
  assert.deepEqual(list.data.map((x) => x.id), ['ch_2001']);
});
check('charges: the decline is an error', async () => {
  const err = await refused(stripe.charges.create({...visa, source: 'tok_chargeDeclined'}));
  assert.deepEqual([err.type, err.statusCode, err.code, err.decline_code], ['StripeCardError', 402, 'card_declined', 'generic_decline']);
  assert.match(err.charge, /^ch_/);
  assert.equal((await stripe.charges.retrieve(err.charge)).status, 'failed');
});
check('charges: insufficient funds', async () => {
  const err = await refused(stripe.charges.create({...visa, source: 'tok_chargeDeclinedInsufficientFunds'}));
  assert.equal(err.decline_code, 'insufficient_funds');
});
check('charges: a wrong cvc', async () => {
  const err = await refused(stripe.charges.create({...visa, source: 'tok_chargeDeclinedIncorrectCvc'}));
  assert.deepEqual([err.code, err.param], ['incorrect_cvc', 'cvc']);
});
check('charges: amount too small', async () => {
  const err = await refused(stripe.charges.create({...visa, amount: 1}));
  assert.deepEqual([err.type, err.code], ['StripeInvalidRequestError', 'amount_too_small']);
});
check('charges: missing parameter', async () => {
  const err = await refused(stripe.charges.create({currency: 'usd', source: 'tok_visa'}));
  assert.deepEqual([err.code, err.param], ['parameter_missing', 'amount']);
});
check('charges: unknown parameter', async () => {
  const err = await refused(stripe.charges.create({...visa, nonsense: 1}));
  assert.deepEqual([err.code, err.param], ['parameter_unknown', 'nonsense']);
});
check('charges: of a customer without a card', async () => {
  const c = await stripe.customers.create();
  const err = await refused(stripe.charges.create({amount: 500, currency: 'usd', customer: c.id}));
  assert.deepEqual([err.statusCode, err.code], [402, 'missing']);
});

// Refunds
check('refunds: the whole charge', async () => {
  const ch = await stripe.charges.create(visa);
  const r = await stripe.refunds.create({charge: ch.id, reason: 'requested_by_customer'});
  assert.deepEqual([r.object, r.amount, r.status, r.charge], ['refund', 2000, 'succeeded', ch.id]);
  assert.equal((await stripe.charges.retrieve(ch.id)).refunded, true);
});
check('refunds: in parts', async () => {
  const ch = await stripe.charges.create(visa);
  await stripe.refunds.create({charge: ch.id, amount: 500});
  await stripe.refunds.create({charge: ch.id, amount: 700});
  const after = await stripe.charges.retrieve(ch.id);
  assert.deepEqual([after.amount_refunded, after.refunded], [1200, false]);
});
check('refunds: more than is left', async () => {
  const ch = await stripe.charges.create(visa);
  assert.equal((await refused(stripe.refunds.create({charge: ch.id, amount: 2001}))).param, 'amount');
});
check('refunds: twice', async () => {
  const ch = await stripe.charges.create(visa);
  await stripe.refunds.create({charge: ch.id});
  assert.equal((await refused(stripe.refunds.create({charge: ch.id}))).code, 'charge_already_refunded');
});
check('refunds: retrieve and update', async () => {
  const ch = await stripe.charges.create(visa);
  const r = await stripe.refunds.create({charge: ch.id});
  await stripe.refunds.update(r.id, {metadata: {a: 'b'}});
  assert.deepEqual((await stripe.refunds.retrieve(r.id)).metadata, {a: 'b'});
});
check('refunds: list of a charge', async () => {
  const ch = await stripe.charges.create(visa);
  const r = await stripe.refunds.create({charge: ch.id});
  assert.deepEqual((await stripe.refunds.list({charge: ch.id})).data.map((x) => x.id), [r.id]);
});

// Products
check('products: create with a default price', async () => {
  const p = await stripe.products.create({name: 'Mug', default_price_data: {currency: 'usd', unit_amount: 900}, images: ['https://x/y.png'], shippable: true});
  assert.match(p.default_price, /^price_/);
  assert.deepEqual([p.active, p.images, p.shippable], [true, ['https://x/y.png'], true]);
});
check('products: a chosen id', async () => {
  const p = await stripe.products.create({id: 'mug_1', name: 'Mug'});
  assert.equal(p.id, 'mug_1');
  assert.equal((await refused(stripe.products.create({id: 'mug_1', name: 'Mug'}))).code, 'resource_already_exists');
});
check('products: update', async () => {
  const p = await stripe.products.create({name: 'Mug'});
  assert.equal((await stripe.products.update(p.id, {active: false, name: 'Cup'})).name, 'Cup');
  assert.equal((await stripe.products.retrieve(p.id)).active, false);
});
check('products: list by ids', async () => {
  const a = await stripe.products.create({name: 'a'});
  const b = await stripe.products.create({name: 'b'});
  await stripe.products.create({name: 'c'});
  assert.deepEqual((await stripe.products.list({ids: [a.id, b.id]})).data.map((x) => x.name), ['b', 'a']);
});
check('products: delete', async () => {
  const p = await stripe.products.create({name: 'Mug'});
  assert.equal((await stripe.products.del(p.id)).deleted, true);
  assert.equal((await refused(stripe.products.retrieve(p.id))).statusCode, 404);
});

// Invoice items
check('invoice items: create', async () => {
  const c = await stripe.customers.create();
  const i = await stripe.invoiceItems.create({customer: c.id, amount: -250, currency: 'usd', description: 'discount'});
  assert.deepEqual([i.object, i.amount, i.customer], ['invoiceitem', -250, c.id]);
});
check('invoice items: update and retrieve', async () => {
  const c = await stripe.customers.create();
  const i = await stripe.invoiceItems.create({customer: c.id, amount: 100, currency: 'usd'});
  await stripe.invoiceItems.update(i.id, {amount: 300});
  assert.equal((await stripe.invoiceItems.retrieve(i.id)).amount, 300);
});
check('invoice items: list those pending', async () => {
  const c = await stripe.customers.create();
  const i = await stripe.invoiceItems.create({customer: c.id, amount: 100, currency: 'usd'});
  assert.deepEqual((await stripe.invoiceItems.list({customer: c.id, pending: true})).data.map((x) => x.id), [i.id]);
});
check('invoice items: delete', async () => {
  const c = await stripe.customers.create();
  const i = await stripe.invoiceItems.create({customer: c.id, amount: 100, currency: 'usd'});
  assert.deepEqual(JSON.parse(JSON.stringify(await stripe.invoiceItems.del(i.id))), {id: i.id, object: 'invoiceitem', deleted: true});
});

// Search
const searching = (resource, query, more) => stripe[resource].search({query, ...more});
check('search: by metadata', async () => {
  const c = await stripe.customers.create({metadata: {needle: 'hay'}});
  assert.deepEqual((await searching('customers', "metadata['needle']:'hay'")).data.map((x) => x.id), [c.id]);
});
check('search: by a number and a text', async () => {
  const ch = await stripe.charges.create({...visa, amount: 777700});
  assert.deepEqual((await searching('charges', "amount>777600 AND currency:'usd'")).data.map((x) => x.id), [ch.id]);
});
check('search: pages', async () => {
  for (let i = 0; i < 3; i++) await stripe.products.create({name: 'searched ' + i});
  const first = await searching('products', "name~'searched'", {limit: 2});
  assert.deepEqual([first.data.length, first.has_more], [2, true]);
  const second = await searching('products', "name~'searched'", {limit: 2, page: first.next_page});
  assert.deepEqual([second.data.map((x) => x.name), second.has_more], [['searched 0'], false]);
});
check('search: a query that cannot be read', async () => assert.equal((await refused(searching('charges', 'nonsense'))).param, 'query'));

// Expansion
check('expansion: of a retrieved object', async () => {
  const c = await stripe.customers.create({name: 'Expanded', source: 'tok_visa'});
  const ch = await stripe.charges.create({amount: 500, currency: 'usd', customer: c.id});
  const got = await stripe.charges.retrieve(ch.id, {expand: ['customer.default_source', 'balance_transaction']});
  assert.deepEqual([got.customer.name, got.customer.default_source.last4, got.balance_transaction.amount], ['Expanded', '4242', 500]);
});
check('expansion: in a list', async () => {
  const c = await stripe.customers.create({name: 'Expanded', source: 'tok_visa'});
  await stripe.charges.create({amount: 500, currency: 'usd', customer: c.id});
  const list = await stripe.charges.list({customer: c.id, expand: ['data.customer']});
  assert.equal(list.data[0].customer.name, 'Expanded');
});
check('expansion: of refunds', async () => {
  const ch = await stripe.charges.create(visa);
  const r = await stripe.refunds.create({charge: ch.id});
  const got = await stripe.charges.retrieve(ch.id, {expand: ['refunds']});
  assert.deepEqual(got.refunds.data.map((x) => x.id), [r.id]);
});
check('expansion: refunds are in old versions alone', async () => {
  const ch = await stripe.charges.create(visa);
  assert.equal('refunds' in ch, old);
});
check('expansion: of what cannot be expanded', async () => {
  assert.equal((await refused(stripe.charges.list({expand: ['data.amount']}))).statusCode, 400);
});

// Errors of access
check('errors: a wrong key', async () => {
  const err = await refused(newClient({key: 'nonsense'}).charges.list());
  assert.deepEqual([err.type, err.statusCode], ['StripeAuthenticationError', 401]);
});
check('errors: rate limited', async () => {
  await control('POST', 'faults', {route: 'GET /v1/charges', first: 1, effects: [{rate_limit: 'global-rate'}]});
  const err = await refused(newClient({retries: 0}).charges.list());
  assert.deepEqual([err.statusCode, err.code], [429, 'rate_limit']);
});
check('errors: the request id', async () => {
  const err = await refused(stripe.customers.retrieve('cus_missing'));
  assert.match(err.requestId, /^req_/);
  assert.match((await stripe.customers.create()).lastResponse.requestId, /^req_/);
});

// Idempotency
check('idempotency: a replay', async () => {
  const one = await stripe.charges.create(visa, {idempotencyKey: 'key-1'});
  const two = await stripe.charges.create(visa, {idempotencyKey: 'key-1'});
  assert.equal(one.id, two.id);
});
check('idempotency: other parameters', async () => {
  await stripe.charges.create(visa, {idempotencyKey: 'key-2'});
  const err = await refused(stripe.charges.create({...visa, amount: 99}, {idempotencyKey: 'key-2'}));
  assert.equal(err.type, 'StripeIdempotencyError');
});
check('idempotency: a lost response is retried', async () => {
  const fault = await control('POST', 'faults', {route: 'POST /v1/charges', first: 1, effects: [{drop: 'before_response'}]});
  const description = 'lost once';
  const ch = await newClient({retries: 2}).charges.create({...visa, description});
  const list = (await stripe.charges.list({limit: 5})).data.filter((x) => x.description === description);
  assert.deepEqual(list.map((x) => x.id), [ch.id]);
  await control('DELETE', 'faults/' + fault.id);
});

// Pages
check('pages: forward and back', async () => {
  const c = await stripe.customers.create({source: 'tok_visa'});
  const ids = [];
  for (let i = 0; i < 5; i++) ids.unshift((await stripe.charges.create({amount: 100, currency: 'usd', customer: c.id})).id);
  const first = await stripe.charges.list({customer: c.id, limit: 2});
  assert.deepEqual([first.data.map((x) => x.id), first.has_more], [ids.slice(0, 2), true]);
  const rest = await stripe.charges.list({customer: c.id, limit: 5, starting_after: ids[1]});
  assert.deepEqual([rest.data.map((x) => x.id), rest.has_more], [ids.slice(2), false]);
  const back = await stripe.charges.list({customer: c.id, limit: 2, ending_before: ids[3]});
  assert.deepEqual(back.data.map((x) => x.id), ids.slice(1, 3));
});
check('pages: autopaging', async () => {
  const {seeded} = await control('POST', 'seed', {path: '/v1/products', count: 250, first: 1100000000, every: 1});
  const ids = await all(stripe.products.list({limit: 100, created: {gte: 1100000000, lt: 1100000250}}));
  assert.deepEqual(ids, seeded[0].ids.reverse());
});
check('pages: an unknown cursor', async () => {
  assert.equal((await refused(stripe.charges.list({starting_after: 'ch_missing'}))).param, 'starting_after');
});

// Payment intents
const byCard = {amount: 2000, currency: 'usd', payment_method_types: ['card']};
check('payment intents: create, confirm, capture, refund', async () => {
  const c = await stripe.customers.create();
  const m = await stripe.paymentMethods.attach('pm_card_visa', {customer: c.id});
  const p = await stripe.paymentIntents.create({...byCard, customer: c.id, payment_method: m.id, capture_method: 'manual'});
  assert.equal(p.status, 'requires_confirmation');
  assert.equal((await stripe.paymentIntents.confirm(p.id)).status, 'requires_capture');
  const captured = await stripe.paymentIntents.capture(p.id, {amount_to_capture: 1500});
  assert.deepEqual([captured.status, captured.amount_received], ['succeeded', 1500]);
  assert.equal(captured.charges ? captured.charges.data[0].id : captured.latest_charge, captured.latest_charge);
  const r = await stripe.refunds.create({payment_intent: p.id});
  assert.deepEqual([r.amount, r.charge, r.payment_intent], [1500, captured.latest_charge, p.id]);
  assert.deepEqual(await all(stripe.paymentIntents.list({customer: c.id})), [p.id]);
  assert.deepEqual(await all(stripe.paymentMethods.list({customer: c.id, type: 'card'})), [m.id]);
});
check('payment intents: a decline', async () => {
  const err = await refused(stripe.paymentIntents.create({...byCard, payment_method: 'pm_card_chargeDeclined', confirm: true}));
  assert.deepEqual([err.type, err.code, err.decline_code], ['StripeCardError', 'card_declined', 'generic_decline']);
  assert.deepEqual([err.payment_intent.status, err.payment_intent.last_payment_error.code], ['requires_payment_method', 'card_declined']);
  assert.equal((await stripe.charges.retrieve(err.raw.charge)).payment_intent, err.payment_intent.id);
});
check('payment intents: 3D Secure', async () => {
  for (const fails of [false, true]) {
    const p = await stripe.paymentIntents.create({...byCard, payment_method: 'pm_card_threeDSecure2Required', confirm: true});
    assert.deepEqual([p.status, p.next_action.type], ['requires_action', 'use_stripe_sdk']);
    const {status} = await control('POST', 'authenticate', {payment_intent: p.id, fails});
    assert.equal(status, fails ? 'requires_payment_method' : 'succeeded');
    assert.equal((await stripe.paymentIntents.retrieve(p.id)).status, status);
  }
});
check('payment intents: cancel and its refusal', async () => {
  const p = await stripe.paymentIntents.create(byCard);
  assert.equal((await stripe.paymentIntents.cancel(p.id, {cancellation_reason: 'abandoned'})).cancellation_reason, 'abandoned');
  const err = await refused(stripe.paymentIntents.cancel(p.id));
  assert.deepEqual([err.code, err.payment_intent.id], ['payment_intent_unexpected_state', p.id]);
});

(async () => {
  for (const [name, run] of checks) {
    try {
      await run();
      console.log('ok ' + name);
    } catch (err) {
      console.log('FAIL ' + name + ': ' + String(err.message || err).replace(/\s+/g, ' '));
    }
  }
  console.log('done ' + checks.length);
})();
