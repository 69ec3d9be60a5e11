// A refund of which nobody knows what became of it: whoever asks again is told what is true, and the money goes back once.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
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

test('with the key of another order\'s, whatever was forgotten: no', async () => {
  const [order, other, headers] = [await bought(), await bought(), { 'idempotency-key': randomUUID() }];
  good(await refund(order, { amount: 30 }, headers), 201);
  refused(await refund(other, { amount: 30 }, headers), 409, 'IDEMPOTENCY_CONFLICT');
  await shop.rows('DELETE FROM idempotency_keys WHERE key = $1', headers['idempotency-key']);
  refused(await refund(other, { amount: 30 }, headers), 409, 'IDEMPOTENCY_CONFLICT');
  assert.deepEqual(sent(other), []);
});

test('in part of an order as large as money reaches, and no larger', async () => {
  const order = await shop.buy((await shop.buyer()).call, await shop.product({ price: 9_999_999_999.99 }));
  assert.equal(good(await refund(order, { amount: 123_456_789.01 }), 201).amount, 123_456_789.01);
  for (const amount of [10_000_000_000, 1_234_567.891]) assert.equal((await refund(order, { amount })).status, 400);
  assert.equal(good(await refund(order), 201).amount, 9_876_543_210.98);
  assert.equal((await shop.row(order)).status, 'refunded');
  await shop.balanced();
});

describe('of several taxes', () => {
  const notes = (order) => shop.rows(
    "SELECT kind, subtotal, tax_total, total, document->'taxes' AS taxes FROM invoices WHERE order_id = $1 ORDER BY created_at, id", order.id);
  const sum = (rows, value) => Math.round(rows.reduce((total, row) => total + (row.kind === 'invoice' ? 1 : -1) * Number(value(row)), 0) * 1_000) + 0;
  /** Everything was invoiced and credited, each tax for itself, and nothing is below zero. */
  async function even(order) {
    const found = await notes(order);
    for (const row of found) assert.ok([row.subtotal, ...row.taxes.map(({ amount }) => amount)].every((amount) => Number(amount) >= 0), JSON.stringify(row));
    assert.deepEqual([sum(found, ({ total }) => total), sum(found, ({ tax_total: tax }) => tax)], [0, 0]);
    for (const n of [0, 1]) assert.equal(sum(found, ({ taxes }) => taxes[n].amount), 0);
    await shop.balanced();
  }
  const taxed = async (currency, price) => shop.buy((await shop.buyer()).call, await shop.product({ currency, price }), { billing: { country_code: 'CA', state: 'Quebec' } });
  before(async () => {
    await shop.tax('CA', 10, { name: 'GST' });
    await shop.tax('CA', 10, { name: 'QST', state: 'Quebec' });
  });

  test('the smallest amounts are paid back, in currencies with two, no and three decimals', async () => {
    for (const [currency, price, unit] of [['USD', 1, 0.01], ['JPY', 100, 1], ['KWD', 1, 0.01]]) {
      const order = await taxed(currency, price);
      for (const units of [5, 1, 6, 1, 46, 59, 1]) {
        const amount = Number((units * unit).toFixed(2));
        const made = good(await refund(order, { amount }), 201);
        assert.deepEqual([made.status, made.amount], ['succeeded', amount]);
      }
      good(await refund(order), 201);
      assert.equal((await shop.row(order)).status, 'refunded');
      await even(order);
    }
  });

  test('one that failed after all gives back what its note took, and the rest comes to nothing', async () => {
    const order = await taxed('USD', 1);
    for (const amount of [0.03, 0.04]) good(await refund(order, { amount }), 201);
    const [first] = [...stripe.refunds.values()].filter((one) => one.payment_intent === order.intent);
    await stripe.settleRefund(first.id, 'failed', 'lost_or_stolen_card');
    assert.equal(Number((await shop.row(order)).refunded_total), 0.04);
    for (const amount of [0.02, 0.01, 0.05]) good(await refund(order, { amount }), 201);
    good(await refund(order), 201);
    await even(order);
  });
});
