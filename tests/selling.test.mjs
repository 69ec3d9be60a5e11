// The journey of docs/selling.md: from an empty catalogue to a paid, validated product, and its refund. Stripe is a
// fake that checks what it is asked; the official library runs against it, and signs what our webhook takes.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';
import { caller, good, refused } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { VERSION } from './fakes/stripe.mjs';
import { Shop } from './support/shop.mjs';
import { auditOf } from './support/world.mjs';

let shop;
before(async () => {
  shop = await Shop.open();
});
after(() => shop?.close());

const verdict = async (key) => good(await caller(shop.stack)('POST', '/api/licenses/validate', {
  body: { license_key: key, ip_address: '192.0.2.1' },
})).code;

test('a buyer orders, pays, validates, and is paid back', async () => {
  const { stripe, vendor } = shop;
  const buyer = await shop.buyer();
  await shop.tax('US', 20);
  const product = await shop.product();
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
  assert.notEqual(await verdict(license.license_key), 'VALID');
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
  }
  assert.equal((await post(sign(), payload.replace('"amount_received"', '"Amount_received"'))).status, 400);
  assert.deepEqual((await post(sign())).body.data.outcome, 'processed');
  assert.deepEqual((await post(sign())).body.data.outcome, 'repeated');
  assert.equal(library.webhooks.constructEvent(payload, sign(), stripe.webhook.secret).id, event.id);
  assert.deepEqual(await shop.given(order), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
});
