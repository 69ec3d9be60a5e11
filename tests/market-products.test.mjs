// Products as their vendors make, change, publish and delete them.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, eventually, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { insertAsset } from './support/market.mjs';
import { PLANS, auditOf, createOrganization, insertLicense } from './support/world.mjs';

const stack = await sharedStack();
const nobody = caller(stack);
const all = '/api/products';
const one = '/api/products/{id}';
let home;
let other;

before(async () => {
  [home, other] = [await createOrganization(stack), await createOrganization(stack)];
});

const code = () => `R${randomBytes(4).toString('hex').toUpperCase()}`;
const make = (body, more) => home.as.developer('POST', all, { body: { name: 'Product', slug: `p-${randomUUID()}`, code: code(), price: 10, ...body }, ...more });
const made = async (body) => good(await make(body), 201);
const change = (id, body, as = home.as.developer) => as('PATCH', one, { id, body });

describe('a product', () => {
  test('is made with everything, and with nothing but what it needs', async () => {
    const body = {
      code: code(), name: 'Gestión Ñandú', slug: `p-${randomUUID()}`, short_description: 'In short', description: 'In *detail*',
      product_type: 'saas', status: 'published', price: 19.99, original_price: 29.99, currency: 'EUR', is_subscription: true,
      billing_cycle: 'yearly', plan_id: PLANS.starter, download_limit: 3, features: ['a', 'b'], tags: ['x'],
      image_url: 'https://cdn.test/a.png', images: [{ url: 'https://cdn.test/b.png', alt: 'B' }],
      requirements: { os: ['linux'] }, metadata: { note: 1 },
    };
    const product = good(await home.as.developer('POST', all, { body }), 201);
    for (const [name, value] of Object.entries(body)) assert.deepEqual(product[name], value, name);
    assert.ok(product.published_at);
    assert.deepEqual((await auditOf(stack, product.id)).map(({ event, organization_id: id }) => [event, id]), [['product.published', home.id]]);
    const bare = good(await home.as.developer('POST', all, { body: { name: `Ñandú Café ${randomUUID()}`, code: code(), price: 0 } }), 201);
    assert.match(bare.slug, /^nandu-cafe-/);
    assert.deepEqual([bare.status, bare.currency, bare.published_at, bare.tags], ['draft', 'USD', null, []]);
  });

  test('out of bounds', async () => {
    for (const body of [{ price: -1 }, { price: 0.001 }, { price: '5' }, { product_type: 'thing' }, { status: 'x' }, { images: [{ uri: 'x' }] }]) {
      refused(await make(body), 400, 'INVALID_BODY');
    }
    refusedFields(await make({ code: 'small' }), 'code');
    refusedFields(await make({ name: '', slug: 'No Slug', currency: 'eur' }), 'name', 'slug', 'currency');
    for (const currency of ['XYZ', 'AAA', 'XAU', 'US', 'USDT']) refusedFields(await make({ currency }), 'currency');
    for (const hidden of ['\u202E', '\u2067', '\u200B', '\u0085']) refusedFields(await make({ name: `App ${hidden}gpj`, tags: [`t${hidden}`] }), 'name', 'tags');
    refusedFields(await make({ tags: ['x', 'x'] }), 'tags');
    refusedFields(await make({ images: [{ url: 'http://cdn.test/x.png' }] }), 'images');
    refusedFields(await make({ image_url: 'javascript:alert(1)' }), 'image_url');
    refusedFields(await make({ is_subscription: true }), 'billing_cycle');
    // What is paid once is no subscription.
    refusedFields(await make({ is_subscription: true, billing_cycle: 'lifetime' }), 'billing_cycle');
    refusedFields(await make({ original_price: 9.99 }), 'original_price');
    for (const currency of ['JPY', 'UGX', 'MGA']) refusedFields(await make({ currency, price: 9.5 }), 'price');
    refusedFields(await make({ category_id: randomUUID() }), 'category_id');
    refusedFields(await make({ plan_id: randomUUID() }), 'plan_id');
    refusedFields(await make({ download_limit: 0 }), 'download_limit');
    refusedFields(await make({ status: 'archived' }), 'status');
    const product = await made();
    refused(await make({ code: product.code }), 409, 'PRODUCT_CODE_TAKEN');
    refused(await make({ slug: product.slug }), 409, 'PRODUCT_SLUG_TAKEN');
    refused(await change(product.id, { code: code() }), 400, 'INVALID_BODY');
    refusedFields(await change(product.id, { original_price: 1 }), 'original_price');
    good(await change(product.id, { billing_cycle: 'lifetime' }));
    refusedFields(await change(product.id, { is_subscription: true }), 'billing_cycle');
    refusedFields(await change(product.id, { name: null, price: null }), 'name', 'price');
  });

  test('only the platform features it', async () => {
    refusedFields(await make({ is_featured: true }), 'is_featured');
    const { id } = await made({ status: 'published' });
    refusedFields(await change(id, { is_popular: true }), 'is_popular');
    const featured = good(await change(id, { is_featured: true, is_popular: true }, home.as.super_admin));
    assert.deepEqual([featured.is_featured, featured.is_popular], [true, true]);
    assert.ok(good(await nobody('GET', '/api/products/featured')).some((row) => row.id === id));
  });

  test('what was on sale is archived, never a draft again, and its licenses know', async () => {
    const { id, name } = await made({ status: 'published' });
    const license = await insertLicense(stack, home.id, { product_id: id });
    const valid = async () => good(await nobody('POST', '/api/licenses/validate', { body: { license_key: license.license_key, ip_address: '192.0.2.1' } }));
    assert.equal((await valid()).product?.name ?? name, name);
    for (const status of ['draft', 'coming_soon']) refused(await change(id, { status }), 409, 'PRODUCT_STATUS_CONFLICT');
    good(await change(id, { status: 'archived' }));
    await eventually(async () => (await valid()).code === 'PRODUCT_INACTIVE');
    good(await change(id, { status: 'published' }));
    await eventually(async () => (await valid()).code === 'VALID');
    assert.deepEqual((await auditOf(stack, id)).map(({ event }) => event), ['product.published', 'product.archived', 'product.published']);
  });

  test('that somebody has is not deleted', async () => {
    const free = await made({ status: 'published' });
    good(await home.as.developer('DELETE', one, { id: free.id }), 204);
    refused(await nobody('GET', one, { id: free.id }), 404, 'PRODUCT_NOT_FOUND');
    refused(await change(free.id, { name: 'X' }), 404, 'PRODUCT_NOT_FOUND');
    const owned = await made({ status: 'published' });
    await insertAsset(stack, { organization: other.id, user: other.users.client, product: owned.id });
    refused(await home.as.developer('DELETE', one, { id: owned.id }), 409, 'PRODUCT_SOLD');
    const licensed = await made();
    await insertLicense(stack, home.id, { product_id: licensed.id });
    refused(await home.as.developer('DELETE', one, { id: licensed.id }), 409, 'PRODUCT_SOLD');
  });

  test('is its vendor\'s: others change nothing, and see drafts nowhere', async () => {
    const draft = await made({ name: 'Draft of ours' });
    refused(await change(draft.id, { name: 'X' }, other.as.admin), 404, 'PRODUCT_NOT_FOUND');
    const rows = good(await home.as.manager('GET', '/api/my/products', { query: { status: 'draft', search: 'draft OF' } }));
    assert.deepEqual(rows.map(({ id }) => id), [draft.id]);
    refused(await other.as.admin('GET', '/api/my/products/{id}', { id: draft.id }), 404, 'PRODUCT_NOT_FOUND');
    refusedFields(await other.as.admin('POST', all, { body: { name: 'X', code: code(), price: 1, organization_id: home.id } }), 'organization_id');
  });
});
