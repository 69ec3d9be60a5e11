// The journey of docs/selling.md: from an empty catalogue to a paid, validated and downloaded product, and its refund. Stripe is a
// fake that checks what it is asked; the official library runs against it, and signs what our webhook takes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';
import { caller, good, refused } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { VERSION } from './fakes/stripe.mjs';
import { fileOf } from './support/market.mjs';
import { Shop } from './support/shop.mjs';
import { PLANS, auditOf } from './support/world.mjs';

let shop;
before(async () => {
  shop = await Shop.open();
  shop.seller = await shop.vendor.token('admin');
});
after(() => shop?.close());

const verdict = async (key) => good(await caller(shop.stack)('POST', '/api/licenses/validate', {
  body: { license_key: key, ip_address: '192.0.2.1' },
})).code;

/** A vendor's program, published with its file; what the catalogue says of it. */
async function published() {
  const { admin } = shop.vendor.as;
  const { bytes, said } = fileOf();
  const code = `J${randomBytes(4).toString('hex').toUpperCase()}`;
  const product = good(await admin('POST', '/api/products', {
    body: { name: `Journey ${code}`, code, price: 100, plan_id: PLANS.professional, download_limit: 1, status: 'published' },
  }), 201);
  const release = good(await admin('POST', '/api/products/{id}/releases', { id: product.id, body: { version: '1.0.0' } }), 201);
  const place = good(await admin('POST', '/api/releases/{id}/upload', { id: release.id, body: { file_name: 'journey.zip', ...said } }));
  assert.equal((await fetch(place.url, { method: 'PUT', body: bytes })).status, 200);
  good(await admin('PATCH', '/api/releases/{id}', { id: release.id, body: { status: 'stable' } }));
  const { hits } = good(await caller(shop.stack)('GET', '/api/products/search', { query: { q: code } }));
  assert.deepEqual([hits[0].id, hits[0].price], [product.id, 100]);
  return { product, bytes, said };
}

test('a buyer orders, pays, validates, downloads, and is paid back', async () => {
  const { stripe, vendor } = shop;
  const buyer = await shop.buyer();
  await shop.tax('US', 20);
  const { product, bytes, said } = await published();
  const coupon = await shop.coupon({ discount_type: 'fixed_amount', discount_value: 10 });

  // Ordered: 100.00 - 10.00 at 20 % is 108.00, and frozen.
  const order = await shop.order(buyer.call, product, { coupon_code: coupon.code.toLowerCase() });
  assert.deepEqual(
    [order.subtotal, order.discount_total, order.tax_total, order.total, order.status, order.seller_id],
    [100, 10, 18, 108, 'pending', vendor.id]);
  assert.match(order.order_number, /^ORD-\d{4}-\d{6,}$/);
  await shop.rows('UPDATE products SET price = 999 WHERE id = $1', product.id);

  // Paid: one payment, however often it is asked for.
  const payment = await shop.pay(buyer.call, order);
  const again = await shop.pay(buyer.call, order);
  assert.equal(payment.next, 'confirm');
  assert.deepEqual([again.transaction_id, again.client_secret], [payment.transaction_id, payment.client_secret]);
  assert.equal(stripe.intents.size, 1);
  const intent = stripe.intents.get(payment.transaction_id);
  assert.deepEqual([intent.amount, intent.currency, intent.metadata.order_id], [10_800, 'usd', order.id]);
  await stripe.confirm(payment.transaction_id);

  // Everything is there at once.
  const paid = good(await buyer.call('GET', '/api/orders/{id}', { id: order.id }));
  assert.deepEqual([paid.status, paid.gateway], ['completed', 'stripe']);
  assert.deepEqual(await shop.given(order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
  const [item] = good(await buyer.call('GET', '/api/orders/{id}/items', { id: order.id }));
  const license = good(await buyer.call('GET', '/api/licenses/{id}', { id: item.license_ids[0] }));
  assert.ok(license.license_key.startsWith(`CELAEST-${product.code}-`));
  assert.equal(await verdict(license.license_key), 'VALID');
  const download = async () => buyer.call('GET', '/api/my/assets/{id}/download', { id: item.asset_ids[0] });
  const link = good(await download());
  assert.deepEqual([link.checksum_sha256, link.version, link.downloads_left], [said.checksum_sha256, '1.0.0', 0]);
  assert.deepEqual(Buffer.from(await (await fetch(link.url)).arrayBuffer()), bytes);
  assert.equal(good(await download()).url, link.url, 'it is one download');
  const [invoice] = good(await buyer.call('GET', '/api/invoices', { query: { order_id: order.id } }));
  assert.match(invoice.invoice_number, /^INV-\d{4}-000001$/);
  assert.deepEqual([invoice.document.total, invoice.document.seller.name], ['108.00', 'Açaí Software, S. L.']);

  // The client secret is nowhere.
  const [{ leaks }] = await shop.rows(
    `SELECT (SELECT count(*) FROM payment_events e WHERE strpos(e::text, $1) > 0) + (SELECT count(*) FROM orders o WHERE strpos(o::text, $1) > 0)
       + (SELECT count(*) FROM idempotency_keys k WHERE strpos(k::text, $1) > 0) AS leaks`, intent.client_secret);
  assert.equal(Number(leaks), 0);
  assert.ok(!shop.stack.logs().includes(intent.client_secret));

  // Whoever sold sees it, and pays half of it back: the license stays.
  assert.equal(good(await vendor.as.admin('GET', '/api/orders/{id}', { id: order.id })).id, order.id);
  const half = good(await vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 54 } }), 201);
  assert.equal(half.status, 'succeeded');
  assert.equal(await verdict(license.license_key), 'VALID');

  // All of it: access ends with the very next validation.
  const details = refused(await vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 54.01 } }), 409, 'REFUND_TOO_LARGE');
  assert.equal(details.left, 54);
  good(await vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
  assert.equal(await verdict(license.license_key), 'SUSPENDED');
  assert.equal((await fetch(link.url)).status, 403);
  refused(await download(), 403, 'ASSET_REVOKED');
  const back = good(await buyer.call('GET', '/api/orders/{id}', { id: order.id }));
  assert.deepEqual([back.status, back.refunded_total], ['refunded', 108]);
  const notes = good(await buyer.call('GET', '/api/invoices', { query: { order_id: order.id, kind: 'credit_note' } }));
  assert.deepEqual(notes.map((note) => note.total), [54, 54]);
  assert.ok(notes.every((note) => note.document.corrects === invoice.invoice_number));
  await shop.balanced();
  const events = (await auditOf(shop.stack, order.id)).map(({ event }) => event);
  for (const event of ['order.created', 'order.completed', 'order.refunded']) assert.ok(events.includes(event), event);
  await eventuallyHolds(async () => {
    const topics = (await shop.rows("SELECT topic FROM outbox_messages WHERE payload->'order'->>'id' = $1", order.id)).map(({ topic }) => topic);
    assert.ok(topics.includes('order.completed') && topics.includes('order.refunded'));
  });
});

test('the official library agrees with the fake, and its signatures with our webhook', async () => {
  const { stripe } = shop;
  const { hostname, port } = new URL(stripe.url);
  const library = new Stripe(stripe.key, { apiVersion: VERSION, host: hostname, port, protocol: 'http', maxNetworkRetries: 1 });
  const buyer = await shop.buyer();
  const order = await shop.order(buyer.call, await shop.product());
  const { transaction_id: id } = await shop.pay(buyer.call, order);
  const intent = await library.paymentIntents.retrieve(id);
  assert.deepEqual([intent.status, intent.amount, intent.metadata.order_id], ['requires_payment_method', Math.round(order.total * 100), order.id]);
  await library.paymentIntents.confirm(id, { payment_method: 'pm_visa', off_session: true });
  const paid = await library.paymentIntents.retrieve(id);
  assert.equal(paid.status, 'succeeded');

  const event = stripe.event('payment_intent.succeeded', stripe.intents.get(id));
  const payload = JSON.stringify(event);
  const post = async (header, body = payload) => {
    const response = await fetch(`${shop.stack.url}/api/webhooks/stripe`, { method: 'POST', headers: { 'content-type': 'application/json', 'stripe-signature': header }, body });
    return { status: response.status, body: await response.json() };
  };
  const sign = (more = {}) => library.webhooks.generateTestHeaderString({ payload, secret: stripe.webhook.secret, ...more });
  const now = Math.floor(Date.now() / 1000);
  for (const header of ['', 'x', sign({ secret: `whsec_${randomUUID()}` }), sign({ timestamp: now - 400 }), sign({ timestamp: now + 400 })]) {
    const answer = await post(header);
    assert.deepEqual([answer.status, answer.body.error?.code], [400, 'INVALID_SIGNATURE'], header);
    // What the document promises.
    assert.ok(['malformed', 'wrong', 'out_of_time'].includes(answer.body.error.details.reason), header);
  }
  assert.equal((await post(sign(), payload.replace('"amount_received"', '"Amount_received"'))).status, 400);
  assert.deepEqual((await post(sign())).body.data.outcome, 'processed');
  assert.deepEqual((await post(sign())).body.data.outcome, 'repeated');
  assert.equal(library.webhooks.constructEvent(payload, sign(), stripe.webhook.secret).id, event.id);
  assert.deepEqual(await shop.given(order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
});

test('every step of docs/selling.md can be pasted', () => {
  const page = readFileSync(new URL('../docs/selling.md', import.meta.url), 'utf8');
  const journey = page.slice(page.indexOf('## The journey'), page.indexOf('## What an order comes to'));
  const blocks = [...journey.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block);
  assert.equal(blocks.length, 7);
  const folder = mkdtempSync(join(tmpdir(), 'celaest-journey-'));
  try {
    const script = blocks.join('').replace(/^API=.*$/m, `API=${shop.stack.url}`);
    const lines = execFileSync('bash', ['-e', '-c', script], {
      cwd: folder, encoding: 'utf8', env: { ...process.env, TOKEN: shop.seller },
    }).trim().split('\n');
    const [id] = lines.splice(lines.findIndex((line) => /^[0-9a-f-]{36}$/.test(line)), 1);
    assert.ok(id);
    const number = lines.find((line) => line.startsWith('INV-'));
    const shown = lines.map((line) => line.replace(/^ORD-.*/, 'ORD'));
    assert.deepEqual(shown, ['stable', '90', 'ORD', 'completed', 'VALID', 'the same file', number, 'succeeded', 'SUSPENDED', 'revoked', '403', number]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
