// What fails for good holds up no others: each job goes on with what comes after it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { good } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
  await shop.rows("CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$");
});
after(() => shop?.close());

const bought = async (more) => shop.buy((await shop.buyer()).call, await shop.product(more));
/** Runs a job until `holds` does, as the clock would. */
const runs = (cron, holds) => eventuallyHolds(async () => {
  await shop.stack.triggerCron(cron);
  await holds();
}, 20_000, 500);
/** From now on no update of a table that is such succeeds. */
const never = (table, when) => shop.rows(`CREATE TRIGGER never BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION never()`);
/** Copies of a row that differ in something. */
const copies = (table, id, differ, count) => shop.rows(
  `INSERT INTO ${table} SELECT c.* FROM ${table} t, generate_series(1, $2) AS n, jsonb_populate_record(t, ${differ}) AS c WHERE t.id = $1 RETURNING id`, id, count);

test('a hundred subscriptions whose next period cannot be ordered', async () => {
  const order = await bought({ is_subscription: true, billing_cycle: 'monthly', price: 49 });
  const subscriptionOf = async ({ id }) => (await shop.rows('SELECT s.* FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id WHERE i.order_id = $1', id))[0];
  const [item] = await shop.rows('SELECT id FROM order_items WHERE order_id = $1', order.id);
  const one = await subscriptionOf(order);
  // Their invoices would be of nobody's country.
  await shop.rows("UPDATE orders SET billing_address = '{}' WHERE id = $1", order.id);
  const items = await copies('order_items', item.id, "jsonb_build_object('id', gen_random_uuid(), 'position', n)", 99);
  for (const { id } of items) await copies('subscriptions', one.id, `jsonb_build_object('id', gen_random_uuid(), 'order_item_id', '${id}')`, 1);
  const other = await bought({ is_subscription: true, billing_cycle: 'monthly', price: 49 });
  await shop.rows("UPDATE subscriptions SET next_attempt_at = now() - interval '1 hour' WHERE seller_id = $1", shop.vendor.id);
  const due = await subscriptionOf(other);
  await shop.rows("UPDATE subscriptions SET next_attempt_at = now() - interval '1 minute' WHERE id = $1", due.id);
  await runs(JOBS.renewals, async () => assert.ok((await subscriptionOf(other)).current_period_end > due.current_period_end));
  const [{ waiting }] = await shop.rows("SELECT count(*)::int AS waiting FROM subscriptions WHERE next_attempt_at BETWEEN now() AND now() + interval '15 minutes'");
  assert.equal(waiting, 100);
  await shop.rows("UPDATE subscriptions SET status = 'ended', next_attempt_at = NULL WHERE id <> $1", due.id);
});

test('a hundred events that cannot be taken over', async () => {
  const stranger = () => stripe.event('payment_intent.succeeded', { id: 'pi_stranger', amount_received: 1, currency: 'usd', metadata: {} });
  const [bad, fine] = [stranger(), stranger()];
  for (const event of [bad, fine]) await stripe.send(event);
  const row = async ({ id }) => (await shop.rows('SELECT * FROM payment_events WHERE event_id = $1', id))[0];
  await copies('payment_events', (await row(bad)).id, "jsonb_build_object('id', gen_random_uuid(), 'event_id', t.event_id || n)", 99);
  await never('payment_events', `OLD.event_id LIKE '${bad.id}%' AND NEW.attempts > OLD.attempts`);
  await shop.rows("UPDATE payment_events SET next_attempt_at = now() - CASE event_id WHEN $1 THEN interval '1 minute' ELSE interval '1 hour' END", fine.id);
  const { attempts } = await row(fine);
  await runs(JOBS.payments, async () => assert.ok((await row(fine)).attempts > attempts));
  await shop.rows('UPDATE payment_events SET next_attempt_at = NULL');
});

test('fifty refunds that cannot be carried out, and an order that cannot be given up', async () => {
  const [bad, fine, stuck, late] = [await bought(), await bought(), await bought(), await shop.order((await shop.buyer()).call, await shop.product())];
  const refund = async (order, body) => {
    for (let count = 0; count < 3; count += 1) stripe.fail('refunds', { drop: true });
    await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body });
    return (await shop.rows('SELECT id FROM refunds WHERE order_id = $1', order.id))[0].id;
  };
  const id = await refund(bad, { amount: 1, reason: 'never' });
  await copies('refunds', id, "jsonb_build_object('id', gen_random_uuid(), 'n', n)", 49);
  await never('refunds', "OLD.reason = 'never' AND NEW.status <> OLD.status");
  await refund(fine, {});
  await shop.rows('ALTER TABLE refunds DISABLE TRIGGER set_updated_at');
  await shop.rows(
    `UPDATE refunds SET (created_at, updated_at) = (SELECT at, at FROM (SELECT now() - CASE order_id WHEN $1 THEN interval '2 minutes' ELSE interval '1 hour' END) AS t(at))`, fine.id);
  await shop.rows('ALTER TABLE refunds ENABLE TRIGGER set_updated_at');
  await shop.rows(`UPDATE orders SET status = 'pending', tax_lines = '{}', completed_at = NULL, expires_at = now() - interval '1 hour' WHERE id = $1`, stuck.id);
  await shop.rows("UPDATE orders SET expires_at = now() - interval '1 minute' WHERE id = $1", late.id);
  await runs(JOBS.payments, async () => assert.deepEqual(
    [(await shop.row(fine)).status, (await shop.row(late)).status], ['refunded', 'cancelled']));
  await shop.rows("DELETE FROM refunds WHERE reason = 'never'");
  await shop.rows("UPDATE orders SET status = 'cancelled', cancelled_at = now(), tax_lines = '[]' WHERE id = $1", stuck.id);
});

test('an order that cannot be compared', async () => {
  const paid = async () => {
    const { call } = await shop.buyer();
    const order = await shop.order(call, await shop.product());
    const intent = stripe.intents.get((await shop.pay(call, order)).transaction_id);
    Object.assign(intent, { status: 'succeeded', amount_received: intent.amount });
    return order;
  };
  const [bad, fine] = [await paid(), await paid()];
  await never('orders', `OLD.id = '${bad.id}' AND NEW.status = 'completed'`);
  await shop.rows('ALTER TABLE orders DISABLE TRIGGER set_updated_at');
  await shop.rows("UPDATE orders SET compared_at = now() WHERE id NOT IN ($1, $2)", bad.id, fine.id);
  await shop.rows("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id IN ($1, $2)", bad.id, fine.id);
  await shop.rows('ALTER TABLE orders ENABLE TRIGGER set_updated_at');
  await runs(JOBS.reconcile, async () => assert.equal((await shop.row(fine)).status, 'completed'));
  assert.equal((await shop.row(bad)).status, 'processing');
  assert.equal(good(await shop.vendor.as.super_admin('GET', '/api/payment-differences', { query: { order_id: fine.id, open: true } })).length, 0);
});
