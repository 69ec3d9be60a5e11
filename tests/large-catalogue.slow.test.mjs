// A hundred thousand products: searches, lists and pages read an index and not the table, as the run-time role
// with the settings that the worker really makes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { caller, good } from './support/api.mjs';
import { fillCatalogue } from './support/catalogue.mjs';
import { again, recorder } from './support/statements.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization } from './support/world.mjs';

const PRODUCTS = 100_000;
const TABLE = 'catalogue_products';

let stack;
let log;
let vendor;
let nobody;

before(async () => {
  // Its server's log is read.
  stack = await startStack({ ownServer: true });
  vendor = await createOrganization(stack);
  nobody = caller(stack);
  const client = await stack.pg.connect();
  await fillCatalogue(client, vendor.id, PRODUCTS);
  client.release();
  log = await recorder(stack);
});

after(async () => {
  await log?.end();
  await stack?.stop();
});

/** The first so many rows of a table, whichever they are: no more than those are read. */
const isBounded = ({ 'Node Type': type, Plans: [only] = [] }) => type === 'Limit' && only['Node Type'] === 'Seq Scan' && !only.Filter;

/** The scans of a plan: how each relation is read. */
const scans = (node) => (isBounded(node) ? [] : [
  ...(node['Relation Name'] || node['Index Name'] ? [`${node['Node Type']} ${node['Index Name'] ?? node['Relation Name']}`] : []),
  ...(node.Plans ?? []).flatMap(scans),
]);

/** How the statements of a call read the catalogue. */
async function plansOf(path, query) {
  const { result, transactions } = await log.recorded(() => nobody('GET', path, { query }));
  good(result);
  const found = [];
  await again(stack, async (server) => {
    for (const { settings, statements } of transactions) {
      await server.as(settings);
      for (const statement of statements) {
        if (statement.sql.includes('set_config')) await server.run(statement);
        else found.push(...scans(await server.plan(statement)));
      }
    }
  });
  assert.ok(found.length > 0);
  assert.deepEqual(found.filter((scan) => scan === `Seq Scan ${TABLE}`), [], `${path} ${JSON.stringify(query)}`);
  return found.join(', ');
}

test('a search of words, of many matches and of few', async () => {
  assert.match(await plansOf('/api/products/search', { q: 'gestor licencias 777' }), /Bitmap Index Scan idx_catalogue_products_es/);
  assert.match(await plansOf('/api/products/search', { q: 'motor facturas', lang: 'en' }), /idx_catalogue_products_en/);
  assert.match(await plansOf('/api/products/search', { q: 'automatizaciones' }), /idx_catalogue_products_(es|popularity)/);
  await plansOf('/api/products/search', { q: 'licen', max_price: '20', tag: 't3' });
  await plansOf('/api/products/search', { q: 'panel', vendor_id: vendor.id });
});

test('a search with a slip', async () => {
  assert.match(await plansOf('/api/products/search', { q: 'lisencias' }), /Bitmap Index Scan idx_catalogue_products_words/);
});

test('of many matches a thousand are looked at, and it is said', async () => {
  const found = good(await nobody('GET', '/api/products/search', { query: { q: 'automatización' } }));
  assert.deepEqual([found.total, found.has_more, found.hits.length], [1000, true, 20]);
  assert.ok(found.hits.every(({ download_count: count }) => count > 900));
});

test('lists and their pages', async () => {
  for (const sort of ['published_at', 'popularity', 'price', 'rating', 'name']) {
    for (const order of ['asc', 'desc']) {
      const first = await nobody('GET', '/api/products', { query: { sort, order } });
      await plansOf('/api/products', { sort, order });
      await plansOf('/api/products', { sort, order, cursor: first.body.meta.next_cursor });
    }
  }
  await plansOf('/api/products', { tag: 't7' });
  await plansOf('/api/products/featured', {});
  await plansOf('/api/products/by-slug/filled-7', {});
});
