// Nothing of selling grows for ever: downloads go by month, and what counts for nothing any more by its days.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventuallyHolds } from './support/eventually.mjs';
import { insertAsset, insertRelease } from './support/market.mjs';
import { Shop } from './support/shop.mjs';
import { insert } from './support/world.mjs';

const CLEAN = '37 2 * * *';
let shop;
before(async () => {
  shop = await Shop.open();
});
after(() => shop?.close());

const days = (count) => new Date(Date.now() - count * 86_400_000);
const ids = async (sql, ...values) => (await shop.rows(sql, ...values)).map(({ id }) => id);

test('downloads go with their month, and stay counted', async () => {
  const product = await shop.product();
  const release = await insertRelease(shop.stack, product);
  const asset = await insertAsset(shop.stack, { organization: shop.buyers.id, user: shop.buyers.users.client, product: product.id });
  const row = { asset_id: asset.id, organization_id: shop.buyers.id, release_id: release.id, user_id: shop.buyers.users.client };
  for (const at of [days(800), days(731), days(1), new Date()]) await insert(shop.stack, 'asset_downloads', { ...row, created_at: at });
  const partitions = await shop.rows("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'asset_downloads'::regclass");
  assert.ok(partitions.length >= 5, JSON.stringify(partitions));
  await shop.stack.triggerCron(CLEAN);
  await eventuallyHolds(async () => {
    const left = await shop.rows('SELECT created_at FROM asset_downloads WHERE asset_id = $1 ORDER BY created_at', asset.id);
    assert.equal(left.length, 2);
  });
  const [{ download_count: count }] = await shop.rows('SELECT download_count::int FROM product_releases WHERE id = $1', release.id);
  assert.equal(count, 4);
});

test('uses of a coupon go when no limit looks at them any more, and events when they were dealt with', async () => {
  const coupons = {
    running: await shop.coupon({ max_per_user: 1, valid_from: days(2000) }),
    over: await shop.coupon({ max_per_user: 1, valid_from: days(2000), valid_until: days(731) }),
    lately: await shop.coupon({ max_per_user: 1, valid_from: days(2000), valid_until: days(10) }),
  };
  const { call } = await shop.buyer();
  const product = await shop.product();
  const used = async (coupon, at, more = {}) => {
    const order = await shop.order(call, product);
    const [{ organization_id, user_id }] = await shop.rows('SELECT organization_id, user_id FROM orders WHERE id = $1', order.id);
    await insert(shop.stack, 'coupon_redemptions', { order_id: order.id, organization_id, user_id, coupon_id: coupon.id, created_at: at, ...more });
    return order.id;
  };
  const kept = [await used(coupons.running, days(1500)), await used(coupons.lately, days(1500)), await used(coupons.over, days(700)), await used(coupons.running, days(1), { released_at: days(1) })];
  const gone = [await used(coupons.over, days(1500)), await used(coupons.running, days(1500), { released_at: days(1499) })];
  const event = async (name, at, processed) => insert(shop.stack, 'payment_events', {
    provider: 'stripe', event_id: name, type: 'walk.unknown', payload: {}, received_at: at, processed_at: processed,
  });
  await event('evt_old', days(731), days(731));
  await event('evt_parked', days(731), null);
  await event('evt_new', days(1), days(1));
  await shop.stack.triggerCron(CLEAN);
  await eventuallyHolds(async () => {
    assert.deepEqual((await ids('SELECT order_id AS id FROM coupon_redemptions WHERE order_id = ANY ($1)', [...kept, ...gone])).sort(), kept.sort());
    assert.deepEqual(await ids("SELECT event_id AS id FROM payment_events WHERE event_id LIKE 'evt\\_%' ESCAPE '\\' AND type = 'walk.unknown' ORDER BY 1"), ['evt_new', 'evt_parked']);
  });
  // Whoever used it once does not use it again.
  const again = await call('POST', '/api/orders', { body: { items: [{ product_id: product.id }], coupon_code: coupons.running.code } });
  assert.deepEqual([again.status, again.body.error?.details?.reason], [409, 'used_by_customer']);
});
