// A worker that is killed between any two steps of taking a payment over: each step is held up by a lock on the table
// that it needs, the worker is killed there, and Stripe tells it again. And random histories of payments, refunds,
// events, repeats and kills: money is conserved whatever happens.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { caller, good } from './support/api.mjs';
import { eventually } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
  await shop.tax('US', 8.25);
});
after(() => shop?.close());

const ONE = { licenses: 2, assets: 2, invoices: 1, credits: 0, completed: 1 };

/** A payment that Stripe has, and of which nothing was told. */
async function confirmed() {
  const { call } = await shop.buyer();
  const order = await shop.order(call, await shop.product(), { quantity: 2 });
  const { transaction_id: id } = await shop.pay(call, order);
  const intent = stripe.intents.get(id);
  Object.assign(intent, { status: 'succeeded', amount_received: intent.amount });
  return { order, event: stripe.event('payment_intent.succeeded', intent) };
}

/** Runs `work` while a table cannot be written to, until the worker waits for it; then kills the worker. */
async function killedAt(table, work) {
  const client = await shop.stack.pg.connect();
  try {
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${table} IN SHARE MODE`);
    const working = work().catch(() => undefined);
    await eventually(async () => (await shop.rows(
      "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = $1 AND NOT l.granted", table)).length > 0);
    await shop.stack.restart({ kill: 'SIGKILL' });
    await working;
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

for (const table of ['payment_events', 'orders', 'licenses', 'customer_assets', 'order_grants', 'invoice_series', 'invoices', 'audit_logs', 'outbox_messages']) {
  test(`killed where ${table} is written: nothing is there, and then one of everything`, async () => {
    const { order, event } = await confirmed();
    await killedAt(table, () => stripe.send(event));
    // What was on its way when the worker died is over; with the last step the COMMIT may have been on its way too.
    await eventually(async () => (await shop.rows(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'celaest_app' AND state <> 'idle'")).length === 0);
    const given = await shop.given(order);
    const isLast = ['audit_logs', 'outbox_messages'].includes(table);
    if (!isLast || given.licenses === 0) assert.deepEqual(given, { licenses: 0, assets: 0, invoices: 0, credits: 0, completed: 0 });
    else assert.deepEqual(given, ONE);
    for (let round = 0; round < 2; round += 1) assert.equal((await stripe.send(event)).status, 200);
    assert.deepEqual(await shop.given(order), ONE);
    await shop.balanced();
  });
}

test('killed right after the commit: what was to be sent is sent by the sweep, once', async () => {
  const { order, event } = await confirmed();
  const sending = stripe.send(event).catch(() => undefined);
  await eventually(async () => (await shop.row(order)).status === 'completed', 20_000, 5);
  await shop.stack.restart({ kill: 'SIGKILL' });
  await sending;
  assert.equal((await stripe.send(event)).body.data.outcome, 'repeated');
  assert.deepEqual(await shop.given(order), ONE);
  await shop.rows("UPDATE outbox_messages SET available_at = now() WHERE processed_at IS NULL");
  await shop.stack.triggerCron('* * * * *');
  await eventually(async () => (await shop.rows("SELECT 1 FROM outbox_messages WHERE processed_at IS NULL AND topic = 'order.completed' AND payload->'order'->>'id' = $1", order.id)).length === 0);
  const [license] = await shop.rows('SELECT l.license_key FROM licenses l JOIN order_grants g ON g.license_id = l.id WHERE g.order_id = $1', order.id);
  const verdict = good(await caller(shop.stack)('POST', '/api/licenses/validate', { body: { license_key: license.license_key, ip_address: '192.0.2.7' } }));
  assert.equal(verdict.code, 'VALID');
});

test('random histories: money is conserved, every paid order has exactly what was bought, no number is missing', async () => {
  const orders = [];
  const told = [];
  const tell = async (event) => {
    told.push(event);
    for (let copies = randomInt(1, 4); copies > 0; copies -= 1) await stripe.send(event).catch(() => undefined);
  };
  const acts = {
    order: async () => {
      const { call } = await shop.buyer();
      const order = await shop.order(call, await shop.product({ price: randomInt(1, 50_000) / 100 + 0.5 }), { quantity: randomInt(1, 4) });
      orders.push({ order, call });
    },
    pay: async ({ order, call }) => {
      const answer = await call('POST', '/api/orders/{id}/pay', { id: order.id, body: {} });
      if (answer.status === 200) order.intent = answer.data.transaction_id ?? order.intent;
    },
    confirm: async ({ order }) => {
      const intent = stripe.intents.get(order.intent);
      if (intent?.status !== 'requires_payment_method') return;
      Object.assign(intent, { status: 'succeeded', amount_received: intent.amount, latest_charge: 'ch' });
      if (randomInt(4)) await tell(stripe.event('payment_intent.succeeded', intent));
    },
    fail: async ({ order }) => {
      const intent = stripe.intents.get(order.intent);
      if (intent) await tell(stripe.event('payment_intent.payment_failed', { ...intent, last_payment_error: { code: 'card_declined' } }));
    },
    cancel: async ({ order, call }) => call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }),
    refund: async ({ order }) => {
      stripe.refundStatus = ['pending', 'succeeded', 'failed'][randomInt(3)];
      const body = randomInt(2) ? {} : { amount: randomInt(1, 2_000) / 100 };
      await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body });
    },
    settle: async () => {
      const open = [...stripe.refunds.values()];
      const one = open[randomInt(Math.max(open.length, 1))];
      if (!one) return;
      one.status = ['succeeded', 'failed'][randomInt(2)];
      await tell(stripe.event('refund.updated', one));
    },
    repeat: async () => { if (told.length) await stripe.send(told[randomInt(told.length)]).catch(() => undefined); },
    trouble: async () => stripe.fail(['payment_intents', 'refunds'][randomInt(2)], { done: Boolean(randomInt(2)), drop: Boolean(randomInt(2)) }),
    kill: async () => shop.stack.restart({ kill: 'SIGKILL' }),
  };
  const names = ['order', 'order', 'pay', 'pay', 'pay', 'confirm', 'confirm', 'confirm', 'fail', 'cancel', 'refund', 'refund', 'settle', 'repeat', 'repeat', 'trouble'];
  const history = [];
  for (let step = 0; step < 240; step += 1) {
    const name = step % 60 === 59 ? 'kill' : names[randomInt(names.length)];
    const subject = orders[randomInt(Math.max(orders.length, 1))];
    if (!subject && name !== 'order') continue;
    history.push(`${name} ${subject?.order.order_number ?? ''}`);
    const acting = acts[name](subject).catch(() => undefined);
    // Some at once with the next.
    if (randomInt(3)) await acting;
    if (step % 40 === 0) await acting.then(() => shop.balanced()).catch((error) => { throw new Error(`${error.message}\n${history.join('\n')}`); });
  }
  stripe.trouble.length = 0;
  await eventually(async () => {
    await shop.rows("UPDATE refunds SET created_at = created_at - interval '5 minutes' WHERE status = 'requested'");
    await shop.stack.triggerCron(JOBS.payments);
    return (await shop.rows("SELECT 1 FROM refunds WHERE status = 'requested'")).length === 0;
  });
  await shop.rows('ALTER TABLE orders DISABLE TRIGGER set_updated_at');
  await shop.rows("UPDATE orders SET updated_at = now() - interval '1 hour'");
  await shop.rows('ALTER TABLE orders ENABLE TRIGGER set_updated_at');
  await shop.stack.triggerCron(JOBS.reconcile);
  await eventually(async () => {
    await shop.balanced();
    const wrong = await shop.rows(
      "SELECT gateway_transaction_id AS id FROM orders WHERE gateway_transaction_id IS NOT NULL AND status IN ('pending', 'processing', 'failed')");
    return wrong.every(({ id }) => stripe.intents.get(id).status !== 'succeeded');
  }).catch((error) => { throw new Error(`${error.message}\n${history.join('\n')}`); });
  const captured = [...stripe.intents.values()].reduce((sum, intent) => sum + intent.amount_received, 0);
  const [{ ours }] = await shop.rows("SELECT coalesce(sum(total), 0) * 100 AS ours FROM orders WHERE status IN ('completed', 'refunded') AND currency = 'USD'");
  const unsold = await shop.rows(
    "SELECT order_number, status, payments_begun, gateway_transaction_id FROM orders WHERE id = ANY ($1) AND status NOT IN ('completed', 'refunded')",
    [...stripe.intents.values()].filter((intent) => intent.amount_received).map((intent) => intent.metadata.order_id));
  assert.equal(Math.round(Number(ours)), captured, `what Stripe captured is what was sold: ${JSON.stringify(unsold)}\n${history.join('\n')}`);
});

test('fifty buyers at once on one product with twenty coupons left', async () => {
  const product = await shop.product();
  const coupon = await shop.coupon({ max_redemptions: 20 });
  const buyers = await Promise.all(Array.from({ length: 50 }, () => shop.buyer()));
  const made = await Promise.all(buyers.map(({ call }) => call('POST', '/api/orders', { body: { items: [{ product_id: product.id }], coupon_code: coupon.code } })));
  assert.equal(made.filter(({ status }) => status === 201).length, 20);
  assert.ok(made.every(({ status }) => status === 201 || status === 409));
  const all = await Promise.all(buyers.map(async ({ call }, index) => made[index].data ?? shop.order(call, product)));
  await Promise.all(all.map(async (order, index) => {
    const { transaction_id: id } = await shop.pay(buyers[index].call, order);
    await stripe.confirm(id);
  }));
  for (const order of all) assert.deepEqual(await shop.given(order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
  assert.equal(good(await buyers[0].call('GET', '/api/orders/{id}', { id: all[0].id })).status, 'completed');
  await shop.balanced();
});
