// Search in the catalogue: word forms of two languages, beginnings, slips, the best first, facets and marks.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { document } from './support/openapi.mjs';
import { createOrganization, createProduct } from './support/world.mjs';

const stack = await sharedStack();
const nobody = caller(stack);
let vendor;

before(async () => {
  vendor = await createOrganization(stack);
  await stack.pg.query("UPDATE products SET status = 'archived' WHERE organization_id = $1", [vendor.id]);
  const make = (name, more) => createProduct(stack, vendor.id, { name, ...more });
  await make('Gestor de Automatización', { short_description: 'Procesos que se hacen solos', tags: ['procesos', 'empresa'], price: 100 });
  await make('Panel de informes', { description: 'Informes sobre la automatización de tareas <script>alert(1)</script>', price: 20, currency: 'EUR' });
  await make('Running Dashboard', { short_description: 'Dashboards that run anywhere', product_type: 'saas', is_subscription: true, billing_cycle: 'monthly' });
  await make('Licencias Ñandú', { short_description: 'Gestiona licencias', avg_rating: 4.5, review_count: 10 });
  await make('Borrador de automatización', { status: 'draft' });
});

const search = (q, query) => nobody('GET', '/api/products/search', { query: { q, vendor_id: vendor.id, ...query } });
const found = async (q, query) => good(await search(q, query)).hits.map(({ name }) => name);

describe('words', () => {
  test('in any form, with or without accents, and by their beginning', async () => {
    for (const q of ['automatización', 'automatizaciones', 'automatizacion', 'AUTOMATIZACIÓN', 'automat', 'automatizaciones de gestor']) {
      assert.equal((await found(q))[0], 'Gestor de Automatización', q);
    }
    assert.deepEqual(await found('licencia nandu'), ['Licencias Ñandú']);
    assert.deepEqual(await found('ñan'), ['Licencias Ñandú']);
    assert.deepEqual(await found('runs', { lang: 'en' }), ['Running Dashboard']);
    assert.deepEqual(await found('dashboards', { lang: 'en' }), ['Running Dashboard']);
  });

  test('the name counts for more than the description; drafts for nothing', async () => {
    assert.deepEqual(await found('automatización'), ['Gestor de Automatización', 'Panel de informes']);
  });

  test('with a slip find what looks like them, and say so', async () => {
    for (const [q, name] of [['lisencias', 'Licencias Ñandú'], ['automatisacion', 'Gestor de Automatización'], ['dashbord', 'Running Dashboard']]) {
      const result = good(await search(q));
      assert.deepEqual([result.match, result.hits[0]?.name], ['similar', name], q);
    }
    assert.equal(good(await search('licencias')).match, 'words');
    assert.deepEqual([good(await search('zzzzqqq')).match, good(await search('zzzzqqq')).hits], ['none', []]);
  });

  test('are taken as text, whatever is in them', async () => {
    for (const q of ["licencias'); DROP TABLE products; --", 'licencias & !panel | (', "licencias:* <-> 'x", 'licencias %_\\']) good(await search(q));
    for (const q of ['', '   ', '&|!', 'x'.repeat(201)]) refusedFields(await search(q), 'q');
    refused(await nobody('GET', '/api/products/search'), 400, 'INVALID_QUERY');
    refused(await search('x', { lang: 'fr' }), 400, 'INVALID_QUERY');
  });
});

test('what was found is marked, and everything else is text', async () => {
  const [gestor, panel] = good(await search('automatizaciones')).hits;
  assert.deepEqual(gestor.highlight, { name: 'Gestor de <mark>Automatización</mark>', short_description: null, description: null });
  assert.equal(panel.highlight.description, 'Informes sobre la <mark>automatización</mark> de tareas &lt;script&gt;alert(1)&lt;/script&gt;');
});

test('facets count what was found, and filters narrow it', async () => {
  const { facets, total } = good(await search('automatización'));
  const counts = (facet) => Object.fromEntries(facet.map(({ value, count }) => [value, count]));
  assert.equal(total, 2);
  assert.deepEqual(counts(facets.currency), { EUR: 1, USD: 1 });
  assert.deepEqual(counts(facets.tag), { procesos: 1, empresa: 1 });
  assert.deepEqual(counts(facets.product_type), { software: 2 });
  assert.deepEqual(await found('automatización', { currency: 'EUR' }), ['Panel de informes']);
  assert.deepEqual(await found('automatización', { tag: 'empresa' }), ['Gestor de Automatización']);
  assert.deepEqual(counts(good(await search('licencias')).facets.min_rating), { 1: 1, 2: 1, 3: 1, 4: 1 });
});

test('page by page, without one twice', async () => {
  const first = await found('automatización', { per_page: 1 });
  const second = await found('automatización', { per_page: 1, page: 2 });
  assert.deepEqual([...first, ...second], ['Gestor de Automatización', 'Panel de informes']);
  assert.deepEqual(await found('automatización', { per_page: 1, page: 3 }), []);
  // What fits best comes first: there is no other order, and no cursor into it.
  const { parameters } = document.paths['/api/products/search'].get;
  const known = parameters.map(({ name }) => name);
  assert.ok(['page', 'per_page'].every((name) => known.includes(name)), known);
  for (const [name, value] of [['cursor', 'x'], ['order', 'asc']]) {
    assert.match(refused(await search('automatización', { [name]: value }), 400, 'INVALID_QUERY').problem, new RegExp(name));
    assert.ok(!known.includes(name), name);
  }
});
