// What Stripe says beside what we say: what no event told is taken over, and whatever else differs has a name.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { good } from './support/api.mjs';
import { JOBS, Shop } from './support/shop.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
});
after(() => shop?.close());

const compared = (holds) => shop.job(JOBS.reconcile, holds);
const listed = async (order, open = true) => good(await shop.vendor.as.super_admin('GET', '/api/payment-differences', { query: { order_id: order.id, open } }));
const differences = async (order) => (await listed(order)).map(({ kind, ours, theirs }) => [kind, ours, theirs]);
/** As if an order had been left alone for an hour. */
async function older(order) {
  await shop.rows('ALTER TABLE orders DISABLE TRIGGER set_updated_at');
  await shop.rows("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = $1", order.id);
  await shop.rows('ALTER TABLE orders ENABLE TRIGGER set_updated_at');
}
const bought = async (more) => shop.buy((await shop.buyer()).call, await shop.product(more));
async function ordered() {
  const { call } = await shop.buyer();
  const order = await shop.order(call, await shop.product());
  return { call, order, intent: stripe.intents.get((await shop.pay(call, order)).transaction_id) };
}

describe('what no event told', () => {
  test('a payment is taken over, and an order whose payment was given up can be paid anew', async () => {
    const [paid, lost] = [await ordered(), await ordered()];
    Object.assign(paid.intent, { status: 'succeeded', amount_received: paid.intent.amount });
    lost.intent.status = 'canceled';
    for (const { order } of [paid, lost]) await older(order);
    await compared(async () => {
      assert.deepEqual(await shop.given(paid.order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
      assert.equal((await shop.row(lost.order)).gateway_transaction_id, null);
    });
    assert.deepEqual([await differences(paid.order), await differences(lost.order)], [[], []]);
    assert.equal((await shop.pay(lost.call, lost.order)).next, 'confirm');
    await shop.balanced();
  });

  test('a refund and a dispute are taken over', async () => {
    const [back, disputed] = [await bought(), await bought()];
    stripe.refundStatus = 'pending';
    good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: back.id, body: {} }), 201);
    stripe.refundStatus = 'succeeded';
    for (const refund of stripe.refunds.values()) if (refund.payment_intent === back.intent) refund.status = 'succeeded';
    stripe.disputes.set('dp_missed', { id: 'dp_missed', object: 'dispute', amount: 10_000, currency: 'usd', payment_intent: disputed.intent, reason: 'fraudulent', status: 'needs_response' });
    await compared(async () => {
      assert.equal((await shop.row(back)).status, 'refunded');
      const [held] = await shop.rows('SELECT l.suspension_reason FROM order_grants g JOIN licenses l ON l.id = g.license_id WHERE g.order_id = $1', disputed.id);
      assert.equal(held.suspension_reason, 'payment disputed');
    });
    assert.deepEqual([await differences(back), await differences(disputed)], [[], []]);
    await shop.balanced();
  });
});

describe('what differs', () => {
  test('has a name, is told once, and is done with when it is gone', async () => {
    const [amount, undone, unknown, returned, elsewhere] = await Promise.all(Array.from({ length: 5 }, () => bought()));
    const late = await ordered();
    good(await late.call('POST', '/api/orders/{id}/cancel', { id: late.order.id, body: {} }));
    const wrong = await ordered();
    Object.assign(wrong.intent, { status: 'succeeded', amount_received: 1 });
    await older(wrong.order);
    Object.assign(late.intent, { status: 'succeeded', amount_received: 10_000 });
    const [intentOf, intentUndone] = [stripe.intents.get(amount.intent), stripe.intents.get(undone.intent)];
    intentOf.amount_received = 9_999;
    intentUndone.status = 'canceled';
    const hidden = stripe.intents.get(unknown.intent);
    stripe.intents.delete(unknown.intent);
    good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: returned.id, body: { amount: 10 } }), 201);
    const [ours] = [...stripe.refunds.values()].filter((one) => one.payment_intent === returned.intent);
    stripe.refunds.delete(ours.id);
    stripe.refunds.set('re_more', { id: 're_more', object: 'refund', amount: 10_001, currency: 'usd', payment_intent: elsewhere.intent, status: 'succeeded', metadata: {} });
    const expected = [
      [amount, [['amount', '10000', '9999']]],
      [undone, [['completed_and_not_paid', 'completed', 'Cancelled']]],
      [unknown, [['payment_unknown', unknown.intent, 'resource_missing']]],
      [late.order, [['cancelled_and_paid', 'cancelled', 'succeeded']]],
      [wrong.order, [['paid_and_not_taken', 'processing', "the amount is not the order's"]]],
      [returned, [['refunded', '1000', '0']]],
      [elsewhere, [['refund', 'more is paid back than was paid', 're_more'], ['refunded', '0', '10001']]],
    ];
    await compared(async () => {
      for (const [order, found] of expected) assert.deepEqual((await differences(order)).sort(), found);
    });
    const told = async () => (await shop.rows("SELECT count(*)::int FROM system_events WHERE event_type = 'payment.difference'"))[0].count;
    assert.equal(await told(), 8);
    // Found again it is no news.
    await compared();
    await compared(async () => assert.equal(await told(), 8));
    Object.assign(intentOf, { amount_received: 10_000 });
    intentUndone.status = 'succeeded';
    stripe.intents.set(unknown.intent, hidden);
    stripe.refunds.set(ours.id, ours);
    stripe.refunds.delete('re_more');
    await compared(async () => {
      for (const order of [amount, undone, unknown, returned, elsewhere]) assert.deepEqual(await differences(order), []);
    });
    assert.equal((await listed(amount, false))[0].kind, 'amount');
    stripe.intents.delete(late.intent.id);
    await shop.rows("DELETE FROM payment_differences");
  });

  test('is looked at until it is gone, however old the order is; what was given up is done with when the money went back', async () => {
    const [late, old] = [await ordered(), await bought()];
    good(await late.call('POST', '/api/orders/{id}/cancel', { id: late.order.id, body: {} }));
    Object.assign(late.intent, { status: 'succeeded', amount_received: 10_000 });
    stripe.intents.get(old.intent).amount_received = 9_999;
    await compared(async () => {
      assert.deepEqual(await differences(late.order), [['cancelled_and_paid', 'cancelled', 'succeeded']]);
      assert.equal((await differences(old)).length, 1);
    });
    await shop.rows("UPDATE orders SET cancelled_at = cancelled_at - interval '9 days' WHERE id = $1", late.order.id);
    await shop.rows("UPDATE orders SET completed_at = completed_at - interval '9 days' WHERE id = $1", old.id);
    stripe.intents.get(old.intent).amount_received = 10_000;
    const back = (id, amount) => stripe.refunds.set(id, { id, object: 'refund', amount, currency: 'usd', payment_intent: late.intent.id, status: 'succeeded', metadata: {} });
    back('re_some', 4_000);
    await compared(async () => assert.deepEqual(await differences(old), []));
    assert.deepEqual(await differences(late.order), [['cancelled_and_paid', 'cancelled', 'succeeded']]);
    back('re_rest', 6_000);
    await compared(async () => assert.deepEqual(await differences(late.order), []));
    assert.equal((await listed(late.order, false)).length, 1);
  });

  test('nobody waits for ever: who was not looked at for longest comes first', async () => {
    const orders = await Promise.all(Array.from({ length: 3 }, () => bought()));
    await shop.rows("UPDATE orders SET compared_at = now() - interval '1 day' WHERE id = $1", orders[0].id);
    // More that were looked at lately than a run takes.
    await shop.rows(
      `INSERT INTO orders (id, organization_id, user_id, seller_id, gateway_id, gateway_transaction_id, currency, status, subtotal, total,
         billing_address, completed_at, compared_at)
       SELECT gen_random_uuid(), organization_id, user_id, seller_id, gateway_id, 'pi_filler_' || n, currency, 'completed', 1, 1, billing_address, now(),
         now() - interval '1 hour'
       FROM orders, generate_series(1, 250) AS n WHERE id = $1`, orders[0].id);
    const { updated_at: before } = await shop.row(orders[0]);
    await compared(async () => {
      for (const order of orders) assert.ok((await shop.row(order)).compared_at > new Date(Date.now() - 600_000));
    });
    assert.deepEqual((await shop.row(orders[0])).updated_at, before, 'a comparison is no change');
    const [{ waiting }] = await shop.rows("SELECT count(*)::int AS waiting FROM orders WHERE compared_at < now() - interval '50 minutes'");
    assert.ok(waiting > 0 && waiting < 250, String(waiting));
  });
});

test('a difference is for operators alone', async () => {
  for (const as of [shop.vendor.as.admin, shop.buyers.as.admin]) assert.equal((await as('GET', '/api/payment-differences', { query: { order_id: randomUUID() } })).status, 403);
});
