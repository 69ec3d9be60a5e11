// What whoever sold a license sees and does of it: little, with a reason, and the buyer learns of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { Shop } from './support/shop.mjs';
import { createOrganization } from './support/world.mjs';

let shop;
let seller;
before(async () => {
  shop = await Shop.open();
  seller = shop.vendor.as.admin;
});
after(() => shop?.close());

const OF_ORDER = '/api/orders/{id}/licenses';
const bought = async (more) => shop.buy((await shop.buyer()).call, await shop.product(), more);
const listed = async (order) => good(await seller('GET', OF_ORDER, { id: order.id }));
const act = (what, order, license, body = {}, as = seller, headers = {}) => as('POST', `${OF_ORDER}/{inner_id}/${what}`, { id: order.id, inner_id: license.id, body, headers });
const suspend = (order, license, reason = 'Shared with others', as = seller) => act('suspend', order, license, { reason }, as);
const reactivate = (order, license, as = seller) => act('reactivate', order, license, {}, as);
const rowOf = async (license) => (await shop.rows('SELECT license_key, status, suspension_reason FROM licenses WHERE id = $1', license.id))[0];
const verdict = async (license) => good(await caller(shop.stack)('POST', '/api/licenses/validate', {
  body: { license_key: (await rowOf(license)).license_key, ip_address: '198.51.100.7' },
})).code;

test('are listed for whoever sold them, without their keys and without what is the buyer\'s', async () => {
  const order = await bought({ quantity: 2 });
  const licenses = await listed(order);
  assert.equal(licenses.length, 2);
  for (const license of licenses) {
    const { license_key: key } = await rowOf(license);
    assert.equal(license.key_ends_with, key.slice(-4));
    assert.ok(!JSON.stringify(license).includes(key));
    for (const theirs of ['organization_id', 'owner_id', 'notes', 'metadata', 'license_key', 'ai_requests_used']) assert.ok(!(theirs in license), theirs);
  }
  // What somebody stops of their own is for their own reasons.
  good(await shop.buyers.as.admin('POST', '/api/licenses/{id}/revoke', { id: licenses[0].id, body: { reason: 'Mallory left us' } }));
  const [mine] = (await listed(order)).filter(({ id }) => id === licenses[0].id);
  assert.deepEqual([mine.status, mine.suspension_reason], ['suspended', null]);
  good(await reactivate(order, mine));
  assert.equal(await verdict(mine), 'VALID');
});

test('are stopped and let go on: seen by the next validation, in both logs, and the buyer is told why', async () => {
  const order = await bought({ quantity: 2 });
  const [license, other] = await listed(order);
  assert.equal(await verdict(license), 'VALID');
  const stopped = good(await suspend(order, license));
  assert.deepEqual([stopped.status, stopped.suspension_reason], ['suspended', 'seller: Shared with others']);
  assert.deepEqual([await verdict(license), await verdict(other)], ['SUSPENDED', 'VALID']);
  refused(await suspend(order, license), 409, 'LICENSE_STATUS_CONFLICT');
  // The buyer reads why, and does not lift it.
  assert.equal(good(await shop.buyers.as.admin('GET', '/api/licenses/{id}', { id: license.id })).suspension_reason, 'seller: Shared with others');
  refused(await shop.buyers.as.admin('POST', '/api/licenses/{id}/reactivate', { id: license.id, body: {} }), 409, 'LICENSE_BOUGHT');
  assert.equal(good(await reactivate(order, license)).status, 'active');
  assert.equal(await verdict(license), 'VALID');
  refused(await reactivate(order, license), 409, 'LICENSE_STATUS_CONFLICT');
  const logged = await shop.rows(
    `SELECT organization_id, event, user_id FROM audit_logs WHERE resource_id = $1 AND event IN ('license.revoked', 'license.reactivated')`, license.id);
  const [user] = [shop.vendor.users.admin];
  for (const organization of [shop.vendor.id, shop.buyers.id]) {
    const events = logged.filter((row) => row.organization_id === organization && row.user_id === user).map(({ event }) => event);
    assert.deepEqual(events.sort(), ['license.reactivated', 'license.revoked']);
  }
  const mails = await shop.rows(
    `SELECT payload->>'template' AS template, payload->'data'->>'reason' AS reason, organization_id FROM outbox_messages
     WHERE topic = 'email.send' AND payload->'data'->>'order_number' = $1 AND payload->>'template' LIKE 'license%' ORDER BY created_at`, order.order_number);
  assert.deepEqual(mails, [
    { template: 'license_suspended', reason: 'Shared with others', organization_id: shop.buyers.id },
    { template: 'license_reactivated', reason: null, organization_id: shop.buyers.id },
  ]);
  const told = await shop.rows("SELECT topic, organization_id FROM outbox_messages WHERE topic LIKE 'license.re%' AND payload->'license'->>'id' = $1", license.id);
  assert.deepEqual(told.map((row) => row.organization_id), [shop.buyers.id, shop.buyers.id]);
});

test('twenty at once with one key, and one by one without: it happens once, and all with the key get its answer', async () => {
  const order = await bought();
  const [license] = await listed(order);
  const many = (call) => Promise.all(Array.from({ length: 20 }, call));
  for (const [what, body] of [['suspend', { reason: 'Once' }], ['reactivate', {}]]) {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await many(() => act(what, order, license, body, seller, headers));
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1, answers.map(({ text }) => text).join('\n'));
    good(answers[0]);
    refused(await act(what, order, license, { ...body, ...(body.reason && { reason: 'Another' }) }, seller, { 'idempotency-key': randomUUID() }), 409, 'LICENSE_STATUS_CONFLICT');
  }
  const statuses = (await many(() => suspend(order, license))).map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, ...Array(19).fill(409)]);
});

test('what its object stopped is let go on before the word of it is here, and stays so', async () => {
  const order = await bought();
  const [license] = await listed(order);
  await shop.rows("UPDATE licenses SET custom_limits = '{\"max_ips\": -1, \"collision_threshold\": 1, \"collision_auto_revoke\": true}' WHERE id = $1", license.id);
  const { license_key: key } = await rowOf(license);
  const from = async (ip) => good(await caller(shop.stack)('POST', '/api/licenses/validate', { body: { license_key: key, ip_address: ip } })).code;
  // No collision gets into PostgreSQL as long as somebody holds the table.
  const client = await shop.stack.pg.connect();
  try {
    await client.query('BEGIN; LOCK TABLE license_collisions IN EXCLUSIVE MODE');
    const codes = [];
    for (const ip of ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.1']) codes.push(await from(ip));
    assert.deepEqual(codes, ['VALID', 'VALID', 'SUSPENDED', 'SUSPENDED']);
    assert.equal((await rowOf(license)).status, 'active');
    assert.equal(good(await reactivate(order, license)).status, 'active');
    assert.equal(await from('198.51.100.1'), 'VALID');
    refused(await reactivate(order, license), 409, 'LICENSE_STATUS_CONFLICT');
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await eventuallyHolds(async () => assert.ok((await shop.rows('SELECT 1 FROM license_collisions WHERE license_id = $1 AND suspended_license', license.id)).length), 60_000);
  assert.deepEqual([(await rowOf(license)).status, await from('198.51.100.1')], ['active', 'VALID']);
  const logged = await shop.rows("SELECT organization_id FROM audit_logs WHERE resource_id = $1 AND event = 'license.reactivated'", license.id);
  assert.deepEqual(logged.map((row) => row.organization_id).sort(), [shop.vendor.id, shop.buyers.id].sort());
});

test('what its buyer stops is the buyer\'s own affair: in other words than payments and sellers use, and left alone by them', async () => {
  const order = await bought();
  const [license] = await listed(order);
  const revoke = (reason) => shop.buyers.as.admin('POST', '/api/licenses/{id}/revoke', { id: license.id, body: { reason } });
  for (const reason of ['order refunded', 'payment disputed', 'subscription unpaid', 'COLLISION_LIMIT', 'seller: we do not like you']) {
    refusedFields(await revoke(reason), 'reason');
  }
  good(await revoke('The key was leaked: payment disputed'));
  good(await seller('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 1 } }), 201);
  assert.equal(await verdict(license), 'SUSPENDED');
  assert.equal(good(await reactivate(order, license)).status, 'active');
});

test('handed over to somebody else they are theirs at once, at the edge as well', async () => {
  const [one, other] = [await shop.buyer(), await shop.buyer()];
  const order = await shop.buy(one.call, await shop.product());
  const [license] = await listed(order);
  const [asset] = await shop.rows('SELECT id FROM customer_assets WHERE order_id = $1', order.id);
  const uses = async ({ call }) => {
    const answer = await call('POST', '/api/ai/chat', { body: { license_id: license.id, messages: [{ role: 'user', content: 'x' }] } });
    return answer.body.error?.code !== 'LICENSE_NOT_FOUND';
  };
  assert.deepEqual([await uses(one), await uses(other)], [true, false]);
  good(await shop.buyers.as.admin('POST', '/api/my/assets/{id}/transfer', { id: asset.id, body: { user_id: other.id } }));
  assert.deepEqual([await uses(one), await uses(other)], [false, true]);
});

describe('and money', () => {
  test('what is held for its payment is not let go on', async () => {
    const order = await bought();
    const [license] = await listed(order);
    good(await seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
    assert.deepEqual(refused(await reactivate(order, license), 409, 'LICENSE_STATUS_CONFLICT'), { reason: 'order refunded' });
    assert.equal(await verdict(license), 'SUSPENDED');
  });

  test('what was stopped before is held for its payment when it is let go on', async () => {
    const order = await bought();
    const [license] = await listed(order);
    good(await suspend(order, license));
    good(await seller('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
    assert.equal((await rowOf(license)).suspension_reason, 'seller: Shared with others');
    const lifted = good(await reactivate(order, license));
    assert.deepEqual([lifted.status, lifted.suspension_reason], ['suspended', 'order refunded']);
    assert.equal(await verdict(license), 'SUSPENDED');
  });
});

test('are nobody else\'s: the buyer, a stranger, a license of another order, one without a reason', async () => {
  const [order, another] = [await bought(), await bought()];
  const [[license], [foreign]] = [await listed(order), await listed(another)];
  const stranger = (await createOrganization(shop.stack, { roles: ['admin'] })).as.admin;
  for (const as of [stranger, shop.buyers.as.admin]) {
    refused(await as('GET', OF_ORDER, { id: order.id }), 404, 'ORDER_NOT_FOUND');
    refused(await suspend(order, license, 'Mine', as), 404, 'ORDER_NOT_FOUND');
    refused(await reactivate(order, license, as), 404, 'ORDER_NOT_FOUND');
  }
  refused(await suspend(order, license, 'Mine', shop.vendor.as.viewer), 403, 'FORBIDDEN');
  refused(await suspend(order, foreign), 404, 'LICENSE_NOT_FOUND');
  refused(await suspend(order, { id: randomUUID() }), 404, 'LICENSE_NOT_FOUND');
  refusedFields(await suspend(order, license, ' '), 'reason');
  refused(await act('suspend', order, license), 400, 'INVALID_BODY');
  // The buyer's row stays the buyer's alone.
  refused(await seller('GET', '/api/licenses/{id}', { id: license.id }), 404, 'LICENSE_NOT_FOUND');
  refused(await seller('POST', '/api/licenses/{id}/revoke', { id: license.id, body: {} }), 404, 'LICENSE_NOT_FOUND');
  assert.equal(await verdict(license), 'VALID');
});
