// The secret that Stripe signs with: changed while both are in use, and taken away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Shop } from './support/shop.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
});
after(() => shop?.close());

const outcome = ({ status, body }) => {
  assert.equal(status, 200, JSON.stringify(body));
  return body.data.outcome;
};

test('an old secret counts while it is in the list; without a secret there is no address', async () => {
  const [event, secret] = [stripe.event('walk.unknown', {}), stripe.webhook.secret];
  await shop.stack.restart({ vars: { STRIPE_WEBHOOK_SECRET: `${secret},whsec_new` } });
  assert.equal(outcome(await stripe.send(event)), 'ignored');
  assert.equal(outcome(await stripe.send(stripe.event('walk.unknown', {}), { secret: 'whsec_new' })), 'ignored');
  await shop.stack.restart({ vars: { STRIPE_WEBHOOK_SECRET: null } });
  assert.deepEqual((await stripe.send(event)).body.error.code, 'ROUTE_NOT_FOUND');
  await shop.stack.restart({ vars: { STRIPE_WEBHOOK_SECRET: secret } });
  assert.equal(outcome(await stripe.send(event)), 'repeated');
});
