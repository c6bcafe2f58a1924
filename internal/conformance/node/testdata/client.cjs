// load returns what a script needs of a version of stripe-node and a fake Stripe:
// newClient makes a client, control sends a request of the control plane, and old
// says whether the client is of a version before 2022-11-15 of the API.
exports.load = (name, base) => {
  const exported = require(name);
  const Stripe = exported.default || exported;
  const url = new URL(base);
  const old = name === 'stripe-8';
  const newClient = ({key = 'sk_test_node', retries = 0} = {}) =>
    new Stripe(key, {
      host: url.hostname,
      port: Number(url.port),
      protocol: url.protocol.slice(0, -1),
      maxNetworkRetries: retries,
      ...(old ? {apiVersion: '2020-08-27'} : {}), // the newest has one of its own
    });
  const control = async (method, path, body) => {
    const response = await fetch(`${base}/_stripetest/${path}`, {method, body: body && JSON.stringify(body)});
    const result = await response.json();
    if (!response.ok) throw new Error(result.error.message);
    return result;
  };
  return {newClient, control, old};
};
