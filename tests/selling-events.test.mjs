// What Stripe tells: the same thing many times, late, early, in any order, and things that do not fit. One of
// everything comes of it, or a parked event that an operator sees.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';

let shop;
let stripe;
let operator;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
  operator = shop.vendor.as.super_admin;
});
after(() => shop?.close());

const ONE = { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 };
const NOTHING = { licenses: 0, assets: 0, invoices: 0, credits: 0, completed: 0 };

/** A payment that the buyer has confirmed, and of which nothing was told. */
async function confirmed(more) {
  const buyer = await shop.buyer();
  const order = await shop.order(buyer.call, await shop.product(more));
  const { transaction_id: id } = await shop.pay(buyer.call, order);
  const intent = Object.assign(stripe.intents.get(id), { status: 'succeeded', amount_received: stripe.intents.get(id).amount, latest_charge: 'ch_1' });
  return { buyer, order, intent };
}

const outcome = ({ status, body }) => {
  assert.equal(status, 200, JSON.stringify(body));
  return body.data.outcome;
};
const parked = async (event) => (await shop.rows('SELECT id, error, processed_at, order_id FROM payment_events WHERE event_id = $1', event.id))[0];

describe('a payment that is told', () => {
  test('twenty times at once, by two events, and as failed afterwards: one of everything', async () => {
    const { order, intent } = await confirmed();
    const event = stripe.event('payment_intent.succeeded', intent);
    const outcomes = (await Promise.all(Array.from({ length: 20 }, () => stripe.send(event)))).map(outcome);
    assert.equal(outcomes.filter((one) => one === 'processed').length, 1);
    assert.equal(outcomes.filter((one) => one === 'repeated').length, 19);
    assert.equal(outcome(await stripe.send(stripe.event('payment_intent.succeeded', intent))), 'processed');
    const failed = stripe.event('payment_intent.payment_failed', { ...intent, status: 'requires_payment_method', last_payment_error: { code: 'card_declined' } });
    assert.equal(outcome(await stripe.send(failed)), 'processed');
    assert.deepEqual(await shop.given(order), ONE);
    assert.equal((await shop.row(order)).status, 'completed');
    const mails = await shop.rows("SELECT id FROM outbox_messages WHERE topic = 'email.send' AND payload->'data'->>'order_number' = $1", order.order_number);
    assert.equal(mails.length, 1);
  });

  test('by two events at the same moment', async () => {
    const { order, intent } = await confirmed();
    const events = Array.from({ length: 5 }, () => stripe.event('payment_intent.succeeded', intent));
    for (const answer of await Promise.all(events.map((event) => stripe.send(event)))) assert.equal(outcome(answer), 'processed');
    assert.deepEqual(await shop.given(order), ONE);
  });

  test('before our own commit', async () => {
    const { order, intent } = await confirmed();
    // As if whoever asked had died before it was noted.
    await shop.rows('UPDATE orders SET gateway_transaction_id = NULL WHERE id = $1', order.id);
    assert.equal(outcome(await stripe.send(stripe.event('payment_intent.succeeded', intent))), 'processed');
    assert.deepEqual(await shop.given(order), ONE);
    assert.equal((await shop.row(order)).gateway_transaction_id, intent.id);
  });

  test('with an amount, a currency or a payment that is not the order\'s: parked, and nothing is given', async () => {
    for (const [change, why] of [
      [{ amount_received: 1 }, 'the amount is not the order\'s'],
      [{ currency: 'eur' }, 'the currency is not the order\'s'],
      [{ id: 'pi_other' }, 'the order has another payment'],
      [{ id: 'pi_stranger', metadata: {} }, 'no order is known of this payment'],
      [{ id: 'pi_lost', metadata: { order_id: randomUUID() } }, 'no order is known of this payment'],
    ]) {
      const { order, intent } = await confirmed();
      const event = stripe.event('payment_intent.succeeded', { ...intent, ...change });
      assert.equal(outcome(await stripe.send(event)), 'parked');
      const row = await parked(event);
      assert.deepEqual([row.error, row.processed_at], [why, null]);
      assert.deepEqual(await shop.given(order), NOTHING);
      const listed = good(await operator('GET', '/api/payment-events', { query: { parked: true } }));
      assert.ok(listed.some((one) => one.event_id === event.id && one.error === why));
    }
  });

  test('of another account: parked', async () => {
    const { order, intent } = await confirmed();
    const event = stripe.event('payment_intent.succeeded', intent, { account: 'acct_other' });
    assert.equal(outcome(await stripe.send(event)), 'parked');
    assert.deepEqual(await shop.given(order), NOTHING);
  });

  test('after the order was given up: parked, and an operator can be done with it', async () => {
    const { order, intent } = await confirmed();
    await shop.rows("UPDATE orders SET status = 'cancelled', cancelled_at = now() WHERE id = $1", order.id);
    const event = stripe.event('payment_intent.succeeded', intent);
    assert.equal(outcome(await stripe.send(event)), 'parked');
    const { id } = await parked(event);
    const tried = good(await operator('POST', '/api/payment-events/{id}/replay', { id, body: {} }));
    assert.deepEqual([tried.processed_at, tried.attempts], [null, 2]);
    const done = good(await operator('POST', '/api/payment-events/{id}/replay', { id, body: { dismiss: true } }));
    assert.ok(done.processed_at);
  });

  test('for an order that is known a little later: taken over by itself', async () => {
    const { order, intent } = await confirmed();
    await shop.rows("UPDATE orders SET gateway_transaction_id = NULL, payments_begun = 0 WHERE id = $1", order.id);
    const event = stripe.event('payment_intent.succeeded', intent);
    assert.equal(outcome(await stripe.send(event)), 'parked');
    await shop.rows('UPDATE orders SET payments_begun = 1 WHERE id = $1', order.id);
    await shop.rows('UPDATE payment_events SET next_attempt_at = now() WHERE event_id = $1', event.id);
    await shop.job(JOBS.payments, async () => assert.ok((await parked(event)).processed_at));
    assert.deepEqual(await shop.given(order), ONE);
  });
});

describe('refunds and disputes', () => {
  test('access ends when a refund succeeded, not before, and comes back when it failed after all', async () => {
    const buyer = await shop.buyer();
    const order = await shop.buy(buyer.call, await shop.product());
    stripe.refundStatus = 'pending';
    const refund = good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
    assert.equal(refund.status, 'pending');
    const license = async () => (await shop.rows(
      `SELECT l.status, l.suspension_reason, a.status AS asset FROM order_grants g JOIN licenses l ON l.id = g.license_id
       JOIN customer_assets a ON a.id = g.asset_id WHERE g.order_id = $1`, order.id))[0];
    assert.deepEqual(await license(), { status: 'active', suspension_reason: null, asset: 'active' });
    const again = refused(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 409, 'REFUND_UNDER_WAY');
    assert.deepEqual(again, { left: 0, refund_ids: [refund.id] });
    const [theirs] = [...stripe.refunds.values()].filter((one) => one.payment_intent === order.intent);
    await stripe.settleRefund(theirs.id, 'succeeded');
    assert.deepEqual(await license(), { status: 'suspended', suspension_reason: 'order refunded', asset: 'revoked' });
    // An older word that comes late changes nothing.
    await stripe.send(stripe.event('refund.created', { ...theirs, status: 'pending' }));
    assert.equal((await license()).status, 'suspended');
    await shop.balanced();
    await stripe.settleRefund(theirs.id, 'failed', 'expired_or_canceled_card');
    assert.deepEqual(await license(), { status: 'active', suspension_reason: null, asset: 'active' });
    await stripe.send(stripe.event('refund.updated', { ...theirs, status: 'succeeded' }));
    assert.equal((await license()).status, 'active');
    assert.equal((await shop.row(order)).status, 'completed');
    stripe.refundStatus = 'succeeded';
    await shop.balanced();
  });

  test('a refund made at Stripe itself is one all the same', async () => {
    const buyer = await shop.buyer();
    const order = await shop.buy(buyer.call, await shop.product());
    const refund = { id: `re_${randomUUID()}`, object: 'refund', amount: 10_000, currency: 'usd', payment_intent: order.intent, status: 'succeeded', metadata: {} };
    assert.equal(outcome(await stripe.send(stripe.event('refund.created', { ...refund, amount: 10_001 }))), 'parked');
    await Promise.all(['refund.created', 'refund.updated', 'charge.refund.updated'].map((type) => stripe.send(stripe.event(type, refund))));
    assert.deepEqual(await shop.given(order), { ...ONE, credits: 1 });
    assert.equal((await shop.row(order)).status, 'refunded');
    // The seller gave no reason, in any language.
    assert.deepEqual(good(await buyer.call('GET', '/api/orders/{id}/refunds', { id: order.id })).map(({ amount, reason }) => [amount, reason]), [[100, null]]);
    await shop.balanced();
  });

  test('a dispute suspends, and its outcome restores or not', async () => {
    const [won, lost] = [await shop.buy((await shop.buyer()).call, await shop.product()), await shop.buy((await shop.buyer()).call, await shop.product())];
    const status = async (order) => (await shop.rows(
      'SELECT l.status, l.suspension_reason FROM order_grants g JOIN licenses l ON l.id = g.license_id WHERE g.order_id = $1', order.id))[0];
    for (const [order, end] of [[won, 'won'], [lost, 'lost']]) {
      const dispute = await stripe.dispute(order.intent, 'needs_response');
      assert.deepEqual(await status(order), { status: 'suspended', suspension_reason: 'payment disputed' });
      await stripe.dispute(order.intent, end, dispute);
      await stripe.dispute(order.intent, 'under_review', dispute);
    }
    assert.deepEqual(await status(won), { status: 'active', suspension_reason: null });
    assert.deepEqual(await status(lost), { status: 'suspended', suspension_reason: 'payment disputed' });
    const warned = await shop.buy((await shop.buyer()).call, await shop.product());
    await stripe.dispute(warned.intent, 'warning_needs_response');
    assert.equal((await status(warned)).status, 'active');
  });
});

test('what the event did not tell the comparison finds', async () => {
  const { order } = await confirmed();
  await shop.rows("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = $1", order.id);
  await shop.rows('ALTER TABLE orders DISABLE TRIGGER set_updated_at');
  await shop.rows("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = $1", order.id);
  await shop.rows('ALTER TABLE orders ENABLE TRIGGER set_updated_at');
  await shop.job(JOBS.reconcile, async () => assert.deepEqual(await shop.given(order), ONE));
  const other = await shop.buy((await shop.buyer()).call, await shop.product());
  Object.assign(stripe.intents.get(other.intent), { status: 'canceled' });
  await shop.job(JOBS.reconcile, () => eventuallyHolds(async () => {
    const [found] = await shop.rows('SELECT kind, ours FROM payment_differences WHERE order_id = $1', other.id);
    assert.deepEqual(found, { kind: 'completed_and_not_paid', ours: 'completed' });
  }));
});

// Last in the file: who refuses a body unread hangs up.
describe('bad input', () => {
  test('events of an unknown kind are kept; a megabyte, the other mode, and no event are refused', async () => {
    const unknown = stripe.event('walk.unknown', { id: 'x', text: 'a\u0000b' });
    assert.equal(outcome(await stripe.send(unknown)), 'ignored');
    assert.ok((await parked(unknown)).processed_at);
    const nearly = stripe.event('walk.unknown', { id: 'x', text: 'x'.repeat(1000 * 1024) });
    assert.equal(outcome(await stripe.send(nearly)), 'ignored');
    const live = await stripe.send(stripe.event('walk.unknown', {}, { livemode: true }));
    assert.deepEqual([live.status, live.body.error.code], [400, 'EVENT_WRONG_MODE']);
    for (const text of ['', '{', '[]', '{"id":1}', '{"id":"evt_1","type":"x"}']) {
      assert.equal((await stripe.send(unknown, { text })).status, 400, text);
    }
    const incomplete = stripe.event('payment_intent.succeeded', { id: 'pi_x' });
    assert.equal(outcome(await stripe.send(incomplete)), 'parked');
    const large = stripe.event('walk.unknown', { id: 'x', text: 'x'.repeat(1024 * 1024) });
    assert.equal((await stripe.send(large)).status, 413);
  });
});
