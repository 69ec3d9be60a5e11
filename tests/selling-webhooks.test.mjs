// What receivers of webhooks are told of selling: whoever sells, whoever buys, and each only what they may read.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { eventually } from './support/eventually.mjs';
import { fileOf } from './support/market.mjs';
import { makeWebhook, startReceiver, verified } from './support/receiver.mjs';
import { Shop } from './support/shop.mjs';
import { createUser, signedIn } from './support/world.mjs';

let shop;
const receivers = [];
before(async () => {
  shop = await Shop.open({ WEBHOOK_ALLOW_PRIVATE: 'true' });
});
after(async () => {
  await shop?.close();
  await Promise.all(receivers.map((receiver) => receiver.close()));
});

/** A webhook of `call`; what it was told about a thing, by its id. */
async function listening(call, events) {
  const receiver = await startReceiver();
  receivers.push(receiver);
  const { secret } = await makeWebhook(call, receiver.url, events);
  const told = () => receiver.requests.map((request) => verified(request, secret));
  const of = (id) => told().filter((event) => Object.values(event.data)[0].id === id).map(({ type }) => type);
  return { told, of, all: (id, ...types) => eventually(() => types.every((type) => of(id).includes(type)) && of(id)) };
}

test('a vendor is told what becomes of products and releases, without what is kept with them', async () => {
  const { admin } = shop.vendor.as;
  const products = await listening(admin, ['product.*', 'release.*']);
  const yanks = await listening(admin, ['release.yanked']);
  const code = `W${randomBytes(4).toString('hex').toUpperCase()}`;
  const product = good(await admin('POST', '/api/products', { body: { name: 'Told', slug: code.toLowerCase(), code, price: 5, metadata: { note: 'hush-hush' } } }), 201);
  const patch = (body) => admin('PATCH', '/api/products/{id}', { id: product.id, body });
  good(await patch({ short_description: 'Changed' }));
  good(await patch({ status: 'published' }));
  const release = good(await admin('POST', '/api/products/{id}/releases', {
    id: product.id, body: { version: '1.0.0', storage_path: 'secret-place/setup.zip', ...fileOf().said, metadata: { note: 'hush-hush' } },
  }), 201);
  const change = (id, body) => admin('PATCH', '/api/releases/{id}', { id, body });
  good(await change(release.id, { title: 'First' }));
  good(await change(release.id, { status: 'stable' }));
  good(await change(release.id, { status: 'deprecated' }));
  good(await change(release.id, { status: 'yanked', yanked_reason: 'Bad' }));
  const at = good(await admin('POST', '/api/products/{id}/releases', {
    id: product.id, body: { version: '1.1.0', status: 'stable', storage_path: 'a/setup.zip', ...fileOf().said },
  }), 201);
  const draft = good(await admin('POST', '/api/products/{id}/releases', { id: product.id, body: { version: '2.0.0' } }), 201);
  good(await admin('DELETE', '/api/releases/{id}', { id: draft.id }), 204);
  good(await patch({ status: 'archived' }));
  good(await admin('DELETE', '/api/products/{id}', { id: product.id }), 204);
  await products.all(product.id, 'product.created', 'product.updated', 'product.published', 'product.archived', 'product.deleted');
  await products.all(release.id, 'release.created', 'release.updated', 'release.published', 'release.deprecated', 'release.yanked');
  // What is public from the start was published.
  assert.deepEqual(await products.all(at.id, 'release.published'), ['release.published']);
  await products.all(draft.id, 'release.created', 'release.deleted');
  assert.deepEqual(await yanks.all(release.id, 'release.yanked'), ['release.yanked']);
  const texts = JSON.stringify(products.told());
  assert.ok(!/hush-hush|secret-place/.test(texts));
});

test('a sale is told to both sides, and its invoice', async () => {
  const seller = await listening(shop.vendor.as.admin, ['order.*', 'invoice.*', 'subscription.*']);
  const company = await listening(shop.buyers.as.admin, ['order.*', 'invoice.*', 'subscription.*']);
  const webhooks = { scopes: JSON.stringify(['webhooks:read', 'webhooks:write']) };
  const clientOf = async () => signedIn(shop.stack, await createUser(shop.stack, shop.buyers.id, 'client', webhooks));
  const [client, other] = [await clientOf(), await clientOf()];
  const [own, others] = [await listening(client, ['*']), await listening(other, ['*'])];
  const product = await shop.product({ is_subscription: true, billing_cycle: 'monthly' });
  const order = await shop.order(client, product);
  const { transaction_id: id } = await shop.pay(client, order);
  await shop.stripe.confirm(id, 'pm_poor');
  await shop.stripe.confirm(id);
  good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
  const [invoice, note] = good(await client('GET', '/api/invoices', { query: { order_id: order.id, order: 'asc' } }));
  const [subscription] = good(await client('GET', '/api/subscriptions'));
  for (const side of [seller, company, own]) {
    await side.all(order.id, 'order.payment_failed', 'order.completed', 'order.refunded');
    assert.deepEqual(await side.all(invoice.id, 'invoice.issued'), ['invoice.issued']);
    assert.deepEqual(await side.all(note.id, 'invoice.issued'), ['invoice.issued']);
    await side.all(subscription.id, 'subscription.created', 'subscription.changed');
  }
  assert.deepEqual([invoice.kind, note.kind], ['invoice', 'credit_note']);
  await company.all(order.id, 'order.created');
  good(await client('POST', '/api/invoices/{id}/send', { id: invoice.id, body: {} }), 202);
  await own.all(invoice.id, 'invoice.sent');
  // Nobody else's is told to a client.
  const mine = await shop.buy(other, await shop.product());
  await others.all(mine.id, 'order.completed');
  assert.deepEqual([others.of(order.id), others.of(invoice.id), others.of(subscription.id), own.of(mine.id)], [[], [], [], []]);
});

test('each event needs what its thing needs to be read', async () => {
  const needs = Object.fromEntries(good(await shop.vendor.as.admin('GET', '/api/webhooks/events')).map(({ name, permission }) => [name, permission]));
  assert.deepEqual([needs['product.published'], needs['release.yanked'], needs['invoice.issued'], needs['subscription.created']],
    ['products:read', 'products:read', 'invoices:read', 'orders:read']);
  const scopes = JSON.stringify(['webhooks:read', 'webhooks:write']);
  const viewer = await signedIn(shop.stack, await createUser(shop.stack, shop.buyers.id, 'viewer', { scopes }));
  const subscribe = (events) => viewer('POST', '/api/webhooks', { body: { name: 'x', url: 'https://example.com/', events } });
  assert.deepEqual(refused(await subscribe(['release.published']), 403, 'PERMISSION_NOT_HELD'), { missing: ['products:read'] });
  good(await subscribe(['invoice.issued']), 201);
});
