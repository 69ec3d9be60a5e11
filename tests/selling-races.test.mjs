// Many at once on one order: whatever meets whatever, money is counted once and access follows it. And amounts that
// are none.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';
import { PLANS } from './support/world.mjs';

let shop;
let stripe;
let seller;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
  seller = shop.vendor.as.admin;
});
after(() => shop?.close());

const times = (count, work) => Promise.all(Array.from({ length: count }, (_, index) => work(index)));
const tally = (answers) => Object.entries(Object.groupBy(answers, ({ status }) => status)).map(([status, all]) => [Number(status), all.length]);
const ONE = { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 };
const bought = async () => shop.buy((await shop.buyer()).call, await shop.product());

describe('fifty at once', () => {
  test('pay back a tenth: ten do, and access ends with the tenth', async () => {
    const order = await bought();
    const answers = await times(50, () => seller('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 10 } }));
    assert.deepEqual(tally(answers), [[201, 10], [409, 40]]);
    for (const answer of answers.filter(({ status }) => status === 409)) {
      // While one of the ten has no answer yet it is under way; afterwards nothing is left.
      refused(answer, 409, answer.body.error.details.refund_ids ? 'REFUND_UNDER_WAY' : 'REFUND_TOO_LARGE');
    }
    refused(await seller('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 10 } }), 409, 'REFUND_TOO_LARGE');
    assert.deepEqual(await shop.given(order), { ...ONE, credits: 10 });
    assert.equal((await shop.row(order)).status, 'refunded');
    const sent = [...stripe.refunds.values()].filter((one) => one.payment_intent === order.intent);
    assert.equal(sent.reduce((sum, { amount }) => sum + amount, 0), 10_000);
    await shop.balanced();
  });

  test('pay back with one key: one does', async () => {
    const order = await bought();
    const answers = await times(50, () => seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {}, headers: { 'idempotency-key': order.id } }));
    assert.ok(answers.every(({ status }) => [201, 409].includes(status)), JSON.stringify(tally(answers)));
    assert.equal(new Set(answers.filter(({ status }) => status === 201).map(({ data }) => data.id)).size, 1);
    assert.deepEqual(await shop.given(order), { ...ONE, credits: 1 });
    await shop.balanced();
  });

  test('say that a transfer came: it came once', async () => {
    const { call } = await shop.buyer();
    const order = await shop.order(call, await shop.product());
    await shop.pay(call, order, { gateway: 'manual' });
    const answers = await times(50, () => seller('POST', '/api/orders/{id}/settle', { id: order.id, body: { reference: 'N26' } }));
    assert.deepEqual(tally(answers), [[200, 50]]);
    assert.deepEqual(await shop.given(order), ONE);
    await shop.balanced();
  });

  test('download as often as was bought', async () => {
    const { insertAsset, insertRelease } = await import('./support/market.mjs');
    const product = await shop.product();
    await insertRelease(shop.stack, product);
    const person = await shop.buyer();
    const asset = await insertAsset(shop.stack, { organization: shop.buyers.id, user: person.id, product: product.id, download_limit: 1 });
    const links = await times(50, () => person.call('GET', '/api/my/assets/{id}/download', { id: asset.id }));
    assert.deepEqual(tally(links), [[200, 50]]);
    assert.equal(new Set(links.map(({ data }) => data.url)).size, 1, 'all of them are one');
    const [{ count }] = await shop.rows('SELECT count(*)::int FROM asset_downloads WHERE asset_id = $1', asset.id);
    assert.equal(count, 1);
  });
});

test('paid and given up at the same moment: one of them, and never money without what was bought', async () => {
  for (let round = 0; round < 20; round += 1) {
    const { call } = await shop.buyer();
    const order = await shop.order(call, await shop.product());
    const { transaction_id: id } = await shop.pay(call, order);
    await Promise.all([
      stripe.intents.get(id).status === 'requires_payment_method' && stripe.confirm(id),
      call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }),
    ]);
    const [{ status }, intent] = [await shop.row(order), stripe.intents.get(id)];
    assert.equal(status === 'completed', intent.status === 'succeeded', `${status} and ${intent.status}`);
    assert.deepEqual((await shop.given(order)).licenses, status === 'completed' ? 1 : 0);
  }
  await shop.balanced();
});

test('begun to be paid and given up at the same moment: no payment outlives its order', async () => {
  for (let round = 0; round < 30; round += 1) {
    const { call } = await shop.buyer();
    const order = await shop.order(call, await shop.product());
    await Promise.all([
      call('POST', '/api/orders/{id}/pay', { id: order.id, body: {} }), call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }),
      call('POST', '/api/orders/{id}/pay', { id: order.id, body: {} }), call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }),
    ]);
    const [{ status }, open] = [await shop.row(order), [...stripe.intents.values()].filter(({ metadata, status: at }) => metadata.order_id === order.id && at !== 'canceled')];
    if (status === 'cancelled') assert.deepEqual(open, [], 'the buyer could pay for nothing');
  }
});

test('handed over and paid back at the same moment: both are done', async () => {
  for (let round = 0; round < 3; round += 1) {
    const order = await shop.buy((await shop.buyer()).call, await shop.product(), { quantity: 30 });
    const assets = (await shop.rows('SELECT id FROM customer_assets WHERE order_id = $1 ORDER BY license_id DESC', order.id)).map(({ id }) => id);
    const [back, ...moved] = await Promise.all([
      seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }),
      ...assets.map(async (id, n) => {
        // All along what is paid back is taken away.
        await new Promise((resolve) => setTimeout(resolve, n * 15));
        return shop.buyers.as.admin('POST', '/api/my/assets/{id}/transfer', { id, body: { user_id: shop.buyers.users.viewer } });
      }),
    ]);
    good(back, 201);
    for (const answer of moved) if (answer.status !== 200) refused(answer, 403, 'ASSET_REVOKED');
  }
  await shop.balanced();
});

test('a refund, its event and a dispute in any order at once: access follows the money', async () => {
  for (let round = 0; round < 10; round += 1) {
    const order = await bought();
    await Promise.all([
      seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }),
      stripe.dispute(order.intent, 'needs_response').then((id) => stripe.dispute(order.intent, 'won', id)),
    ]);
    const [license] = await shop.rows('SELECT l.status, l.suspension_reason FROM order_grants g JOIN licenses l ON l.id = g.license_id WHERE g.order_id = $1', order.id);
    assert.deepEqual(license, { status: 'suspended', suspension_reason: 'order refunded' });
  }
  await shop.balanced();
});

test('the job five times at once orders the next period once', async () => {
  const { call } = await shop.buyer();
  const product = await shop.product({ is_subscription: true, billing_cycle: 'monthly' });
  const order = await shop.buy(call, product);
  await shop.rows(
    `UPDATE subscriptions SET next_attempt_at = now(), current_period_start = now() - interval '29 days', current_period_end = now() + interval '1 day'
     WHERE order_item_id IN (SELECT id FROM order_items WHERE order_id = $1)`, order.id);
  await times(5, () => shop.stack.triggerCron(JOBS.renewals));
  await shop.job(JOBS.renewals, async () => {
    const renewals = await shop.rows(
      `SELECT r.status FROM orders r JOIN subscriptions s ON s.id = r.subscription_id JOIN order_items i ON i.id = s.order_item_id
       WHERE i.order_id = $1 AND r.kind = 'renewal'`, order.id);
    assert.deepEqual(renewals, [{ status: 'completed' }]);
  });
  const charged = stripe.requests.filter(({ path, form }) => path === '/v1/payment_intents' && form.off_session === 'true');
  assert.equal(new Set(charged.map(({ headers }) => headers['idempotency-key'])).size, 1);
  await shop.balanced();
});

test('disputes of two orders of one subscription at once: access is held while one of them is', async () => {
  const { call } = await shop.buyer();
  const order = await shop.buy(call, await shop.product({ is_subscription: true, billing_cycle: 'monthly' }));
  await shop.rows(
    `UPDATE subscriptions SET next_attempt_at = now(), current_period_start = now() - interval '29 days', current_period_end = now() + interval '1 day'
     WHERE order_item_id IN (SELECT id FROM order_items WHERE order_id = $1)`, order.id);
  const renewals = () => shop.rows(
    `SELECT r.status, r.gateway_transaction_id AS intent FROM orders r JOIN subscriptions s ON s.id = r.subscription_id
     JOIN order_items i ON i.id = s.order_item_id WHERE i.order_id = $1 AND r.kind = 'renewal'`, order.id);
  await shop.job(JOBS.renewals, async () => assert.equal((await renewals())[0]?.status, 'completed'));
  const [{ intent }] = await renewals();
  const license = () => shop.rows('SELECT l.id, l.status, l.suspension_reason FROM order_grants g JOIN licenses l ON l.id = g.license_id WHERE g.order_id = $1', order.id);
  const first = await stripe.dispute(order.intent, 'needs_response');
  const [held] = await license();
  assert.deepEqual([held.status, held.suspension_reason], ['suspended', 'payment disputed']);

  // The second begins and the first is won while neither can reach the license.
  const client = await shop.stack.pg.connect();
  const waiting = (count) => eventuallyHolds(async () => {
    const { rows: [{ now }] } = await client.query(
      "SELECT count(*)::int AS now FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
    assert.equal(now, count);
  });
  let told;
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM licenses WHERE id = $1 FOR UPDATE', [held.id]);
    told = [stripe.dispute(intent, 'needs_response')];
    await waiting(1);
    told.push(stripe.dispute(order.intent, 'won', first));
    await waiting(2);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  const [second] = await Promise.all(told);
  assert.deepEqual(await license(), [held]);
  await stripe.dispute(intent, 'won', second);
  assert.deepEqual(await license(), [{ ...held, status: 'active', suspension_reason: null }]);
  await shop.balanced();
});

test('amounts that are none are refused, whoever sends them', async () => {
  const order = await bought();
  const refund = (text) => seller('POST', '/api/orders/{id}/refund', { id: order.id, text: `{"amount":${text}}` });
  for (const text of ['0', '-0', '-1', '0.001', '1e-7', '54.005', '1e308', '9007199254740993', '1e400', '"10"', 'NaN', 'true', '[]']) {
    const { status } = await refund(text);
    assert.ok([400, 409, 422].includes(status), `${text}: ${status}`);
  }
  assert.deepEqual(await shop.given(order), ONE);
  const { call } = await shop.buyer();
  const product = await shop.product();
  for (const text of ['99.999', '1e308', '-100', '1e400']) {
    const answer = await call('POST', '/api/orders', { text: `{"items":[{"product_id":"${product.id}","unit_price":${text}}]}` });
    assert.ok([400, 409, 422].includes(answer.status), `${text}: ${answer.status} ${answer.text}`);
  }
  // What comes off is never more than there is, and a third of a cent is nobody's.
  const most = await shop.coupon({ discount_type: 'fixed_amount', discount_value: 1_000_000 });
  assert.equal((await shop.order(call, product, { coupon_code: most.code })).total, 0);
  const third = await shop.coupon({ discount_value: 33.33 });
  const odd = await shop.product({ price: 0.1 });
  const { subtotal, discount_total: off, total } = await shop.order(call, odd, { quantity: 3, coupon_code: third.code });
  assert.equal(Math.round((subtotal - off) * 100), Math.round(total * 100));
  for (const code of ['İ', 'ﬀ', 'C\u0000', 'x'.repeat(10_000), '%', "'", '<b>']) {
    const answer = await call('POST', '/api/orders', { body: { items: [{ product_id: product.id }], coupon_code: code } });
    assert.ok([400, 422].includes(answer.status), `${code}: ${answer.status}`);
  }
  const named = (name) => call('POST', '/api/orders', { body: { items: [{ product_id: product.id }], billing: { country_code: 'US', name } } });
  for (const hidden of ['\u202E', '\u2066', '\u200F', '\u200B', '\u2028', '\u0007']) refusedFields(await named(`ŁÓDŹ ${hidden}evil`), 'billing.name');
  const strange = good(await named('ŁÓDŹ devil 株式会社 👩\u200D💻'), 201);
  good(await call('POST', '/api/orders/{id}/cancel', { id: strange.id, body: {} }));
});

test('many are settled at once, with the same things in another order: none is refused', async () => {
  const [one, two] = [await shop.product(), await shop.product()];
  const orders = await Promise.all(Array.from({ length: 12 }, async (_, index) => {
    const { call } = await shop.buyer();
    const items = (index % 2 ? [one, two] : [two, one]).map(({ id }) => ({ product_id: id }));
    const order = good(await call('POST', '/api/orders', { body: { items } }), 201);
    await shop.pay(call, order, { gateway: 'manual' });
    return order;
  }));
  const answers = await Promise.all(orders.map(({ id }) => seller('POST', '/api/orders/{id}/settle', { id, body: {} })));
  assert.deepEqual(tally(answers), [[200, 12]]);
  await shop.balanced();
});

test('whoever bought a license does not say what it is worth', async () => {
  const order = await bought();
  const [{ license_id: id }] = await shop.rows('SELECT license_id FROM order_grants WHERE order_id = $1 AND license_id IS NOT NULL', order.id);
  const admin = shop.buyers.as.admin;
  const refusedAll = async () => {
    refused(await admin('POST', '/api/licenses/{id}/renew', { id, body: { months: 120 } }), 409, 'LICENSE_BOUGHT');
    refused(await admin('POST', '/api/licenses/{id}/reactivate', { id, body: {} }), 409, 'LICENSE_BOUGHT');
    for (const body of [{ custom_limits: { max_ips: -1 } }, { plan_id: PLANS.enterprise }, { expires_at: '2036-01-01T00:00:00Z' }]) {
      refused(await admin('PATCH', '/api/licenses/{id}', { id, body }), 409, 'LICENSE_BOUGHT');
    }
  };
  await refusedAll();
  good(await admin('PATCH', '/api/licenses/{id}', { id, body: { notes: 'Desk 7' } }));
  good(await seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
  await refusedAll();
  assert.equal(good(await admin('GET', '/api/licenses/{id}', { id })).status, 'suspended');
});
