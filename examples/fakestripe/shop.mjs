import {spawn} from 'node:child_process';
import {once} from 'node:events';
import Stripe from 'stripe';

// Start fakestripe. Its first line says where it listens.
const fake = spawn('fakestripe', ['-addr', '127.0.0.1:0'], {stdio: ['ignore', 'pipe', 'inherit']});
const [line] = await once(fake.stdout, 'data');
const base = new URL(String(line).match(/http:\/\/[\d.]+:\d+/)[0]);
fake.stdout.resume(); // its log

// The control plane takes JSON.
async function control(path, body) {
  const response = await fetch(new URL('/_stripetest/' + path, base), {method: 'POST', body: JSON.stringify(body)});
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

const stripe = new Stripe('sk_test_123', {host: base.hostname, port: Number(base.port), protocol: 'http', maxNetworkRetries: 2});
try {
  // Create and list, as with Stripe.
  const customer = await stripe.customers.create({email: 'jenny@example.com', source: 'tok_visa'});
  const charge = await stripe.charges.create({amount: 2000, currency: 'usd', customer: customer.id, capture: false});
  const list = await stripe.charges.list({customer: customer.id});
  console.log('listed:', list.data.length, list.data[0].status);

  // Objects with chosen ids and times.
  await control('seed', {path: '/v1/products', ids: ['prod_mug', 'prod_cup'], first: '2026-01-31T12:00:00Z', every: '1h', params: {name: 'Seeded'}});
  console.log('seeded:', (await stripe.products.retrieve('prod_cup')).created);

  // The first response of the next request is lost. The client repeats the request.
  await control('faults', {route: 'POST /v1/refunds', first: 1, effects: [{drop: 'before_response'}]});
  const other = await stripe.charges.create({amount: 500, currency: 'usd', source: 'tok_visa'});
  const refund = await stripe.refunds.create({charge: other.id});
  console.log('refunded once:', refund.amount, (await stripe.refunds.list()).data.length);

  // Eight days later the charge, which was not captured, has expired.
  await control('clock', {advance: '192h'});
  console.log('expired:', (await stripe.charges.retrieve(charge.id)).refunded);
} finally {
  fake.kill('SIGINT');
}
