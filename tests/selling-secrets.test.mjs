// The secret that Stripe signs with: changed while both are in use, and taken away. And which money is moved: test
// events are none where it is real, nor the other way round.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { good, refused } from './support/api.mjs';
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

test('without an account of Stripe nobody pays by card, and the order is not bound to it: a transfer goes', async () => {
  const { call } = await shop.buyer();
  const [order, kept] = [await shop.order(call, await shop.product()), await shop.order(call, await shop.product())];
  await shop.stack.restart({ vars: { STRIPE_SECRET_KEY: null } });
  for (const [id, body] of [[order.id, {}], [kept.id, { save_card: true }]]) {
    const answer = await call('POST', '/api/orders/{id}/pay', { id, body });
    refused(answer, 409, 'CARD_PAYMENTS_NOT_CONFIGURED');
    assert.equal(answer.headers.get('retry-after'), null);
  }
  refused(await call('POST', '/api/payment-methods', { body: {} }), 409, 'CARD_PAYMENTS_NOT_CONFIGURED');
  assert.equal((await shop.pay(call, order, { gateway: 'manual' })).next, 'transfer');
  assert.equal(good(await shop.vendor.as.admin('POST', '/api/orders/{id}/settle', { id: order.id, body: {} })).status, 'completed');
  await shop.stack.restart({ vars: { STRIPE_SECRET_KEY: stripe.key } });
  assert.equal((await shop.pay(call, kept)).next, 'confirm');
});

test('a test event is none where real money is moved, whatever it tells', async () => {
  const buyer = await shop.buyer();
  const order = await shop.order(buyer.call, await shop.product());
  const { transaction_id: id } = await shop.pay(buyer.call, order);
  const intent = Object.assign(stripe.intents.get(id), { status: 'succeeded', amount_received: 10_000 });
  const sent = async (livemode) => stripe.send(stripe.event('payment_intent.succeeded', intent, { livemode }));
  await shop.stack.restart({ vars: { STRIPE_SECRET_KEY: 'sk_live_x' } });
  const { status, body } = await sent(false);
  assert.deepEqual([status, body.error.code], [400, 'EVENT_WRONG_MODE']);
  assert.equal((await shop.given(order)).licenses, 0);
  assert.equal(outcome(await sent(true)), 'processed');
  await shop.stack.restart({ vars: { STRIPE_SECRET_KEY: stripe.key } });
  assert.equal((await sent(true)).body.error.code, 'EVENT_WRONG_MODE');
  assert.deepEqual(await shop.given(order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
});
