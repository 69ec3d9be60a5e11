// The catalogue that everybody reads: the tree of categories, what is on sale and only that, and how it is kept.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization, createProduct } from './support/world.mjs';

const stack = await sharedStack();
const nobody = caller(stack);
let home;
let root;

before(async () => {
  home = await createOrganization(stack);
  root = home.as.super_admin;
});

const one = '/api/products/{id}';
const make = (more) => createProduct(stack, home.id, more);
const listed = async (query) => good(await nobody('GET', '/api/products', { query: { vendor_id: home.id, ...query } }));
const newCategory = async (more) => good(await root('POST', '/api/categories', { body: { name: 'C', slug: `c-${randomUUID()}`, ...more } }), 201);
const move = (id, body) => root('PATCH', '/api/categories/{id}', { id, body });

describe('categories', () => {
  test('are a tree in its order, and what is not shown hides what is in it', async () => {
    const top = await newCategory({ name: 'Top', sort_order: 7 });
    const second = await newCategory({ name: 'B', parent_id: top.id, sort_order: 2 });
    const first = await newCategory({ name: 'A', parent_id: top.id, sort_order: 1 });
    const deep = await newCategory({ parent_id: second.id });
    const tree = (rows) => rows.filter(({ id }) => [top, second, first, deep].some((one) => one.id === id)).map(({ id, depth }) => [id, depth]);
    const expected = [[top.id, 1], [first.id, 2], [second.id, 2], [deep.id, 3]];
    assert.deepEqual(tree(good(await nobody('GET', '/api/categories'))), expected);
    good(await move(second.id, { is_active: false }));
    assert.deepEqual(tree(good(await nobody('GET', '/api/categories'))), [[top.id, 1], [first.id, 2]]);
    assert.deepEqual(tree(good(await root('GET', '/api/categories/all'))), expected);
    refused(await nobody('GET', '/api/categories/{id}', { id: second.id }), 404, 'CATEGORY_NOT_FOUND');
  });

  test('nothing is inside itself, also when two move at once', async () => {
    const [a, b] = [await newCategory(), await newCategory()];
    const both = await Promise.all([move(a.id, { parent_id: b.id }), move(b.id, { parent_id: a.id })]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 422]);
    refusedFields(await move(a.id, { parent_id: a.id }), 'parent_id');
    refusedFields(await move(a.id, { parent_id: randomUUID() }), 'parent_id');
    let parent = await newCategory();
    for (let depth = 2; depth <= 6; depth += 1) parent = await newCategory({ parent_id: parent.id });
    refusedFields(await root('POST', '/api/categories', { body: { name: 'Deep', parent_id: parent.id } }), 'parent_id');
  });

  test('are no more than there may be, also when many are made at once', async () => {
    const [{ count }] = (await stack.pg.query('SELECT count(*)::int FROM product_categories')).rows;
    const filler = randomUUID();
    await stack.pg.query(
      "INSERT INTO product_categories (name, slug) SELECT 'Filler', $1 || '-' || n FROM generate_series(1, $2::int) AS n", [filler, 497 - count]);
    const slugs = Array.from({ length: 50 }, () => `m-${randomUUID()}`);
    const answers = await Promise.all(slugs.map((slug) => root('POST', '/api/categories', { body: { name: 'M', slug } })));
    assert.equal(answers.filter(({ status }) => status === 201).length, 3);
    for (const answer of answers) if (answer.status !== 201) refused(answer, 409, 'CATEGORY_LIMIT_REACHED');
    await stack.pg.query("DELETE FROM product_categories WHERE slug LIKE $1 || '-%' OR slug = ANY ($2)", [filler, slugs]);
  });

  test('with something in them stay; slugs are unique', async () => {
    const category = await newCategory();
    const child = await newCategory({ parent_id: category.id });
    refused(await root('DELETE', '/api/categories/{id}', { id: category.id }), 409, 'CATEGORY_IN_USE');
    good(await root('DELETE', '/api/categories/{id}', { id: child.id }), 204);
    const { id } = await make({ category_id: category.id });
    refused(await root('DELETE', '/api/categories/{id}', { id: category.id }), 409, 'CATEGORY_IN_USE');
    refused(await root('POST', '/api/categories', { body: { name: 'X', slug: category.slug } }), 409, 'CATEGORY_SLUG_TAKEN');
    assert.ok(id);
  });
});

describe('what is on sale', () => {
  test('and nothing else is seen, by nobody and by strangers', async () => {
    const shown = await make({ name: 'Shown', metadata: { secret: 'internal' } });
    const hidden = [];
    for (const status of ['draft', 'coming_soon', 'archived']) hidden.push(await make({ status }));
    hidden.push(await make({ deleted_at: new Date() }));
    const ids = (await listed({ per_page: 100 })).map(({ id }) => id);
    assert.ok(ids.includes(shown.id));
    for (const { id } of hidden) {
      assert.ok(!ids.includes(id));
      refused(await nobody('GET', one, { id }), 404, 'PRODUCT_NOT_FOUND');
      refused(await nobody('GET', '/api/products/{id}/releases', { id }), 404, 'PRODUCT_NOT_FOUND');
      refused(await nobody('GET', '/api/products/{id}/reviews', { id }), 404, 'PRODUCT_NOT_FOUND');
    }
    const answer = await nobody('GET', one, { id: shown.id });
    assert.ok(!answer.text.includes('internal') && !answer.text.includes(shown.code));
  });

  test('appears and goes with its status, its vendor and its vendor\'s name', async () => {
    const vendor = await createOrganization(stack);
    const { id } = vendor.product;
    assert.equal(good(await nobody('GET', one, { id })).vendor_name, vendor.slug);
    good(await vendor.as.admin('PATCH', '/api/organizations/{id}', { id: vendor.id, body: { name: 'New name' } }));
    assert.equal(good(await nobody('GET', one, { id })).vendor_name, 'New name');
    good(await vendor.as.admin('PATCH', one, { id, body: { status: 'archived' } }));
    refused(await nobody('GET', one, { id }), 404, 'PRODUCT_NOT_FOUND');
    good(await vendor.as.admin('PATCH', one, { id, body: { status: 'published' } }));
    good(await nobody('GET', one, { id }));
    good(await root('DELETE', '/api/organizations/{id}', { id: vendor.id }), 204);
    refused(await nobody('GET', one, { id }), 404, 'PRODUCT_NOT_FOUND');
  });

  test('is sent again only when it changed', async () => {
    const { id } = await make();
    const first = await nobody('GET', one, { id });
    const tag = first.headers.get('etag');
    assert.match(tag, /^W\/"[\w-]{22}"$/);
    assert.equal(first.headers.get('cache-control'), 'public, no-cache');
    for (const known of [tag, `"x", ${tag}`, tag.slice(2), '*']) {
      const again = await nobody('GET', one, { id, headers: { 'if-none-match': known } });
      assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', tag], known);
    }
    good(await home.as.admin('PATCH', one, { id, body: { price: 11 } }));
    const changed = await nobody('GET', one, { id, headers: { 'if-none-match': tag } });
    assert.equal(good(changed).price, 11);
    const list = await nobody('GET', '/api/products', { query: { vendor_id: home.id } });
    const same = await nobody('GET', '/api/products', { query: { vendor_id: home.id }, headers: { 'if-none-match': list.headers.get('etag') } });
    assert.equal(same.status, 304);
    // What belongs to somebody is kept by nobody.
    assert.equal((await home.as.admin('GET', '/api/my/products')).headers.get('cache-control'), 'no-store');
  });

  test('is narrowed and ordered', async () => {
    const vendor = await createOrganization(stack);
    await stack.pg.query("UPDATE products SET status = 'archived' WHERE id = $1", [vendor.product.id]);
    const category = await newCategory();
    const inside = await newCategory({ parent_id: category.id });
    const [a, b, c] = [
      await createProduct(stack, vendor.id, { name: 'A', price: 5, currency: 'EUR', category_id: inside.id, tags: ['x', 'y'] }),
      await createProduct(stack, vendor.id, { name: 'B', price: 50, product_type: 'course', avg_rating: 4.5, review_count: 10 }),
      await createProduct(stack, vendor.id, { name: 'C', price: 500, is_subscription: true, billing_cycle: 'monthly', is_featured: true }),
    ];
    const names = async (query) => good(await nobody('GET', '/api/products', { query: { vendor_id: vendor.id, ...query } })).map(({ name }) => name).join('');
    assert.equal(await names({ sort: 'name', order: 'asc' }), 'ABC');
    assert.equal(await names({ sort: 'price' }), 'CBA');
    assert.equal(await names({ sort: 'rating' }), [b, ...[a, c].sort((x, y) => (x.id < y.id ? 1 : -1))].map(({ name }) => name).join(''));
    assert.equal(await names({ category_id: category.id }), 'A');
    assert.equal(await names({ tag: 'y' }), 'A');
    assert.equal(await names({ currency: 'EUR' }), 'A');
    assert.equal(await names({ product_type: 'course' }), 'B');
    assert.equal(await names({ min_price: 5.01, max_price: 50 }), 'B');
    assert.equal(await names({ is_subscription: true }), 'C');
    assert.equal(await names({ min_rating: 4 }), 'B');
    assert.equal(await names({ sort: 'popularity' }), 'BCA');
    assert.ok(good(await nobody('GET', '/api/products/featured')).some(({ id }) => id === c.id));
    // Page by page, by the place where the last one ended.
    const first = await nobody('GET', '/api/products', { query: { vendor_id: vendor.id, sort: 'price', per_page: 2 } });
    const rest = await nobody('GET', '/api/products', { query: { vendor_id: vendor.id, sort: 'price', per_page: 2, cursor: first.body.meta.next_cursor } });
    assert.deepEqual(good(rest).map(({ name }) => name), ['A']);
    // Whatever somebody makes of that place is one, or none; PostgreSQL gets nothing that it does not read.
    const placed = (path, sort, place) => nobody('GET', path, {
      id: a.id, query: { ...(sort && { sort }), cursor: Buffer.from(JSON.stringify([place, a.id])).toString('base64url') },
    });
    for (const [path, sort, place] of [
      ['/api/products', 'published_at', '2026-05-05T05:05:05+16:00'], ['/api/products', 'price', '1e-99999'], ['/api/products', 'price', '0e2147483647'],
      ['/api/products/featured', undefined, '1e-99999'],
    ]) good(await placed(path, sort, place));
    for (const sort of ['helpful', 'rating']) refused(await placed('/api/products/{id}/reviews', sort, 3_000_000_000), 400, 'INVALID_QUERY');
    for (const query of [{ min_price: 'x' }, { min_price: -1 }, { product_type: 'thing' }, { category_id: 'x' }, { sort: 'code' }]) {
      refused(await nobody('GET', '/api/products', { query }), 400, 'INVALID_QUERY');
    }
    refusedFields(await nobody('GET', '/api/products', { query: { min_rating: 9 } }), 'min_rating');
  });

  test('old links lead to it, and to nothing else', async () => {
    const bySlug = (key) => nobody('GET', '/api/products/by-slug/{key}', { key });
    const [old, next] = [`old-${randomUUID()}`, `new-${randomUUID()}`];
    const { id } = await make({ slug: old });
    assert.equal(good(await bySlug(old)).id, id);
    good(await home.as.admin('PATCH', one, { id, body: { slug: next } }));
    const moved = await bySlug(old);
    assert.deepEqual([moved.status, moved.headers.get('location')], [301, `/api/products/by-slug/${next}`]);
    assert.equal(good(await bySlug(next)).id, id);
    // Nobody else takes the old name; the product itself may have it back.
    const other = await make();
    refused(await home.as.admin('PATCH', one, { id: other.id, body: { slug: old } }), 409, 'PRODUCT_SLUG_TAKEN');
    good(await home.as.admin('PATCH', one, { id, body: { slug: old } }));
    assert.equal((await bySlug(next)).headers.get('location'), `/api/products/by-slug/${old}`);
    good(await home.as.admin('PATCH', one, { id, body: { status: 'archived' } }));
    for (const key of [old, next, randomUUID()]) refused(await bySlug(key), 404, 'PRODUCT_NOT_FOUND');
  });
});
