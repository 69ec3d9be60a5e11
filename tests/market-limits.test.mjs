// What is open to everybody is asked for only so often from one address: catalogue, search, updates and downloads.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { caller, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, createProduct } from './support/world.mjs';

const LIMIT = 12;
let stack;
let product;
before(async () => {
  stack = await startStack({ vars: { BROWSE_LIMIT_PER_IP: String(LIMIT) } });
  const vendor = await createOrganization(stack, { roles: ['admin'] });
  product = await createProduct(stack, vendor.id);
});
after(() => stack?.stop());

/** Windows are minutes of the clock: a burst must not lie on the border. */
async function earlyInTheMinute(seconds) {
  const left = 60 - (Date.now() / 1000) % 60;
  if (left < seconds) await pause(left * 1000 + 300);
}

const from = (ip) => (method, path, { headers, ...more } = {}) =>
  caller(stack)(method, path, { ...more, headers: { 'cf-connecting-ip': ip, ...headers } });

test('all of it together, each address for itself', async () => {
  await earlyInTheMinute(8);
  const call = from('198.51.100.7');
  const routes = [
    ['GET', '/api/products'], ['GET', '/api/products/search', { query: { q: 'product' } }], ['GET', '/api/products/featured'],
    ['GET', '/api/products/{id}', { id: product.id }], ['GET', '/api/products/by-slug/{key}', { key: product.slug }],
    ['GET', '/api/products/{id}/reviews', { id: product.id }], ['GET', '/api/products/{id}/releases', { id: product.id }],
    ['GET', '/api/categories'], ['GET', '/api/releases/latest/{id}', { id: product.id }], ['GET', '/api/releases/{id}', { id: randomUUID() }],
    ['GET', '/api/releases/{id}/changelog', { id: randomUUID() }], ['GET', '/api/downloads/{id}', { id: randomUUID() }],
  ];
  assert.equal(routes.length, LIMIT);
  for (const [method, path, args] of routes) assert.notEqual((await call(method, path, args)).status, 429, path);
  for (const [method, path, args] of routes) {
    const answer = await call(method, path, args);
    refused(answer, 429, 'RATE_LIMITED');
    assert.deepEqual([answer.headers.get('ratelimit-limit'), answer.headers.get('ratelimit-remaining')], [String(LIMIT), '0']);
    assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    assert.equal(answer.counts.db, 0, 'PostgreSQL is asked nothing');
  }
  good(await from('198.51.100.8')('GET', '/api/products'));
});

test('fifty at once get through as often as one after the other', async () => {
  await earlyInTheMinute(8);
  const call = from('2001:db8:7::1');
  const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => (index % 2 ? call : from(`2001:db8:7::${index}`))('GET', '/api/products')));
  assert.equal(answers.filter(({ status }) => status === 200).length, LIMIT, 'a connection counts once, whichever of its addresses it uses');
});

test('who is signed in does their own work however often the address looked', async () => {
  await earlyInTheMinute(8);
  const vendor = await createOrganization(stack, { roles: ['admin'] });
  const headers = { 'cf-connecting-ip': '198.51.100.9' };
  for (let count = 0; count < LIMIT + 1; count += 1) await from('198.51.100.9')('GET', '/api/categories');
  refused(await from('198.51.100.9')('GET', '/api/categories'), 429, 'RATE_LIMITED');
  good(await vendor.as.admin('GET', '/api/my/products', { headers }));
});
