// A refund of which nobody knows what became of it: whoever asks again is told what is true, and the money goes back once.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { document } from './support/openapi.mjs';
import { JOBS, Shop } from './support/shop.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
});
after(() => shop?.close());

const bought = async () => shop.buy((await shop.buyer()).call, await shop.product());
const refund = (order, body = {}, headers) => shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body, headers });
const sent = (order) => [...stripe.refunds.values()].filter((one) => one.payment_intent === order.intent).map(({ amount }) => amount);
/** The answers to all that is tried of one refund are lost; `how`: after it was carried out, or before. */
const lost = async (order, body, how, headers) => {
  for (let count = 0; count < 3; count += 1) stripe.fail('refunds', how);
  return refused(await refund(order, body, headers), 503, 'SERVICE_UNAVAILABLE').refund_id;
};

test('asked again without its key: it is under way, and not too large; the job finishes it', async () => {
  const order = await bought();
  // Lost before it was carried out: what was carried out is told by an event.
  const id = await lost(order, {}, { drop: true });
  for (const body of [{}, { amount: 100 }, { amount: 0.01 }]) {
    assert.deepEqual(refused(await refund(order, body), 409, 'REFUND_UNDER_WAY'), { left: 0, refund_ids: [id] });
  }
  assert.deepEqual(refused(await refund(order, { amount: 100.01 }), 409, 'REFUND_TOO_LARGE'), { left: 0 });
  await shop.rows("UPDATE refunds SET created_at = now() - interval '2 minutes' WHERE id = $1", id);
  await shop.job(JOBS.payments, async () => assert.equal((await shop.row(order)).status, 'refunded'));
  assert.deepEqual(sent(order), [10_000]);
  assert.deepEqual(refused(await refund(order), 409, 'REFUND_TOO_LARGE'), { left: 0 });
  await shop.balanced();
});

test('asked again with its key: it is the same one, taken up and finished', async () => {
  for (const how of [{ done: true, drop: true }, { drop: true }]) {
    const [order, headers] = [await bought(), { 'idempotency-key': randomUUID() }];
    const id = await lost(order, { amount: 30 }, how, headers);
    const made = good(await refund(order, { amount: 30 }, headers), 201);
    assert.deepEqual([made.id, made.status, made.amount], [id, 'succeeded', 30]);
    assert.equal(good(await refund(order, { amount: 30 }, headers), 201).id, id);
    refused(await refund(order, { amount: 31 }, headers), 409, 'IDEMPOTENCY_CONFLICT');
    assert.deepEqual(sent(order), [3_000]);
  }
  await shop.balanced();
});

test('what still fits beside it is another one, as far as there is money', async () => {
  const order = await bought();
  const first = await lost(order, { amount: 60 }, { drop: true });
  assert.deepEqual(refused(await refund(order, { amount: 60 }), 409, 'REFUND_UNDER_WAY'), { left: 40, refund_ids: [first] });
  assert.equal(good(await refund(order), 201).amount, 40);
  await shop.rows("UPDATE refunds SET created_at = now() - interval '2 minutes' WHERE id = $1", first);
  await shop.job(JOBS.payments, async () => assert.equal((await shop.row(order)).status, 'refunded'));
  assert.deepEqual(sent(order).sort(), [4_000, 6_000]);
  await shop.balanced();
});

test('without an amount, or with null for it, it is all that is left, as the document says', async () => {
  const { properties } = document.components.schemas.NewRefund;
  assert.match(properties.amount.description, /null/);
  for (const body of [{}, { amount: null }, { amount: null, reason: null }]) {
    const order = await bought();
    assert.equal(good(await refund(order, { amount: 30 }), 201).amount, 30);
    const made = good(await refund(order, body), 201);
    assert.deepEqual([made.amount, made.reason, (await shop.row(order)).status], [70, null, 'refunded']);
  }
  await shop.balanced();
});

test('asked again days later with its key: the money went back once, whatever everybody has forgotten', async () => {
  const [order, headers] = [await bought(), { 'idempotency-key': randomUUID() }];
  const made = good(await refund(order, { amount: 30 }, headers), 201);
  const forget = async () => {
    await shop.rows('DELETE FROM idempotency_keys WHERE key = $1', headers['idempotency-key']);
    stripe.forget();
  };
  await forget();
  assert.equal(good(await refund(order, { amount: 30 }, headers), 201).id, made.id);
  assert.deepEqual([sent(order), Number((await shop.row(order)).refunded_total)], [[3_000], 30]);

  // What the gateway refused stays refused: another one is another one.
  headers['idempotency-key'] = randomUUID();
  stripe.fail('refunds', { status: 400, body: { error: { type: 'invalid_request_error', code: 'insufficient_balance' } } });
  assert.deepEqual(refused(await refund(order, { amount: 20 }, headers), 422, 'PAYMENT_REFUSED'), { code: 'insufficient_balance' });
  await forget();
  assert.deepEqual(refused(await refund(order, { amount: 20 }, headers), 422, 'PAYMENT_REFUSED'), { code: 'insufficient_balance' });
  assert.deepEqual(sent(order), [3_000]);
  assert.equal(good(await refund(order, { amount: 20 }), 201).amount, 20);
  await shop.balanced();
});
