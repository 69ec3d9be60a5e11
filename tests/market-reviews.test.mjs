// Reviews: who writes them, what they count for, who answers and who hides them.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { insertAsset } from './support/market.mjs';
import { auditOf, createOrganization, createProduct, createUser, signedIn } from './support/world.mjs';

const stack = await sharedStack();
const nobody = caller(stack);
const ofProduct = '/api/products/{id}/reviews';
const one = '/api/reviews/{id}';
let vendor;
let buyer;

before(async () => {
  [vendor, buyer] = [await createOrganization(stack), await createOrganization(stack)];
});

const product = () => createProduct(stack, vendor.id);
const review = (id, body, as = buyer.as.viewer) => as('POST', ofProduct, { id, body: { rating: 4, ...body } });
const shown = async (id, query) => good(await nobody('GET', ofProduct, { id, query }));
const rating = async (id) => {
  const { avg_rating: average, review_count: count, rating_counts: counts } = good(await nobody('GET', '/api/products/{id}', { id }));
  return [average, count, counts];
};

describe('a review', () => {
  test('is one per person, of what somebody else sells', async () => {
    const { id } = await product();
    const made = good(await review(id, { title: 'Bien', comment: 'Hace lo que dice' }), 201);
    assert.deepEqual([made.is_verified, made.user_id], [false, buyer.users.viewer]);
    refused(await review(id), 409, 'REVIEW_EXISTS');
    refused(await review(id, {}, vendor.as.viewer), 409, 'OWN_PRODUCT');
    refusedFields(await review(id, { rating: 6 }, buyer.as.admin), 'rating');
    refused(await review((await createProduct(stack, vendor.id, { status: 'draft' })).id), 404, 'PRODUCT_NOT_FOUND');
    const text = (await nobody('GET', ofProduct, { id })).text;
    for (const secret of [buyer.id, buyer.users.viewer, vendor.id]) assert.ok(!text.includes(secret));
    assert.deepEqual((await auditOf(stack, made.id)).map(({ event, organization_id: org }) => [event, org]), [['review.created', buyer.id]]);
  });

  test('of somebody without a name has none', async () => {
    const { id } = await product();
    await stack.pg.query('UPDATE users_profile SET first_name = NULL, last_name = NULL, display_name = NULL WHERE id = $1', [buyer.users.manager]);
    assert.equal(good(await review(id, {}, buyer.as.manager), 201).author_name, null);
  });

  test('is verified when its author\'s organization has the product', async () => {
    const { id } = await product();
    const asset = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: id });
    assert.equal(good(await review(id), 201).is_verified, true);
    await stack.pg.query("UPDATE customer_assets SET status = 'revoked' WHERE id = $1", [asset.id]);
    assert.equal(good(await review(id, {}, buyer.as.operator), 201).is_verified, false);
  });

  test('is changed and taken back by its author alone', async () => {
    const { id } = await product();
    const made = good(await review(id), 201);
    for (const as of [buyer.as.admin, vendor.as.admin]) refused(await as('PATCH', one, { id: made.id, body: { rating: 1 } }), 404, 'REVIEW_NOT_FOUND');
    const same = good(await buyer.as.viewer('PATCH', one, { id: made.id, body: { rating: 4 } }));
    assert.equal(same.edited_at, null);
    const changed = good(await buyer.as.viewer('PATCH', one, { id: made.id, body: { rating: 2, title: 'Meh' } }));
    assert.ok(changed.edited_at);
    assert.deepEqual(await rating(id), [2, 1, [0, 1, 0, 0, 0]]);
    assert.deepEqual(good(await buyer.as.viewer('GET', '/api/my/reviews')).some((row) => row.id === made.id), true);
    good(await buyer.as.viewer('DELETE', one, { id: made.id }), 204);
    assert.deepEqual(await rating(id), [null, 0, [0, 0, 0, 0, 0]]);
    assert.deepEqual(await shown(id), []);
  });
});

test('thirty reviews at once: the rating is their average', async () => {
  const { id } = await product();
  const authors = await Promise.all(Array.from({ length: 30 }, async () => signedIn(stack, await createUser(stack, buyer.id, 'viewer'))));
  const made = await Promise.all(authors.map(async (call, index) => good(await review(id, { rating: 1 + index % 5 }, call), 201)));
  assert.deepEqual(await rating(id), [3, 30, [6, 6, 6, 6, 6]]);
  await Promise.all(made.map(({ id: key }, index) => (index % 5 < 3
    ? authors[index]('DELETE', one, { id: key })
    : authors[index]('PATCH', one, { id: key, body: { rating: 5 } }))));
  assert.deepEqual(await rating(id), [5, 12, [0, 0, 0, 0, 12]]);
});

test('a vote is one per person, not for oneself, and orders', async () => {
  const { id } = await product();
  const [first, second] = [good(await review(id), 201), good(await review(id, {}, buyer.as.admin), 201)];
  const vote = (as, key, method = 'POST') => as(method, '/api/reviews/{id}/helpful', { id: key });
  refused(await vote(buyer.as.viewer, first.id), 409, 'OWN_REVIEW');
  await Promise.all(Array.from({ length: 5 }, () => vote(vendor.as.viewer, first.id)));
  assert.deepEqual(good(await vote(buyer.as.admin, first.id)), { id: first.id, helpful_count: 2, is_helpful: true });
  assert.deepEqual((await shown(id, { sort: 'helpful' })).map(({ id: key }) => key), [first.id, second.id]);
  await vote(vendor.as.viewer, first.id, 'DELETE');
  assert.equal(good(await vote(vendor.as.viewer, first.id, 'DELETE')).helpful_count, 1);
});

test('the vendor answers, others do not', async () => {
  const { id } = await product();
  const made = good(await review(id), 201);
  const reply = (as, text) => as('POST', '/api/reviews/{id}/reply', { id: made.id, body: { reply: text } });
  refused(await reply(buyer.as.developer, 'No'), 404, 'REVIEW_NOT_FOUND');
  good(await reply(vendor.as.developer, 'Gracias'));
  good(await reply(vendor.as.admin, 'Muchas gracias'));
  assert.deepEqual((await shown(id)).map((row) => row.reply), ['Muchas gracias']);
  assert.deepEqual((await auditOf(stack, made.id)).filter(({ event }) => event === 'review.replied').length, 2);
  good(await vendor.as.admin('DELETE', '/api/reviews/{id}/reply', { id: made.id }), 204);
  assert.deepEqual((await shown(id)).map((row) => row.reply), [null]);
});

test('what the platform hides is not seen and does not count', async () => {
  const { id } = await product();
  const made = good(await review(id, { rating: 1 }), 201);
  good(await review(id, { rating: 5 }, buyer.as.admin), 201);
  const moderate = (hidden) => buyer.as.super_admin('POST', '/api/reviews/{id}/moderate', { id: made.id, body: { hidden, reason: 'Insulta' } });
  assert.equal(good(await moderate(true)).hidden_reason, 'Insulta');
  assert.deepEqual(await rating(id), [5, 1, [0, 0, 0, 0, 1]]);
  assert.equal((await shown(id)).length, 1);
  refused(await vendor.as.admin('POST', '/api/reviews/{id}/helpful', { id: made.id }), 404, 'REVIEW_NOT_FOUND');
  assert.equal(good(await buyer.as.viewer('PATCH', one, { id: made.id, body: { rating: 2 } })).is_hidden, true);
  // Nobody writes it anew.
  refused(await buyer.as.viewer('DELETE', one, { id: made.id }), 409, 'REVIEW_HIDDEN');
  refused(await review(id, { rating: 1 }), 409, 'REVIEW_EXISTS');
  good(await moderate(false));
  assert.deepEqual(await rating(id), [3.5, 2, [0, 1, 0, 0, 1]]);
  good(await moderate(true));
  good(await buyer.as.super_admin('DELETE', one, { id: made.id }), 204);
});

test('taken back while others vote and the vendor replies: it is gone for them too', async () => {
  const others = await Promise.all(Array.from({ length: 6 }, async () => signedIn(stack, await createUser(stack, buyer.id, 'viewer'))));
  for (let round = 0; round < 6; round += 1) {
    const { id } = await product();
    const made = good(await review(id), 201);
    const answers = await Promise.all([
      ...others.slice(0, 3).map((as) => as('POST', `${one}/helpful`, { id: made.id })),
      vendor.as.admin('POST', `${one}/reply`, { id: made.id, body: { reply: 'Thanks' } }),
      buyer.as.viewer('DELETE', one, { id: made.id }),
      ...others.slice(3).map((as) => as('POST', `${one}/helpful`, { id: made.id })),
    ]);
    const wrong = answers.filter(({ status, body }) => status >= 300 && body.error.code !== 'REVIEW_NOT_FOUND');
    assert.deepEqual(wrong.map(({ status, text }) => `${status} ${text}`), []);
    assert.deepEqual(await shown(id), []);
  }
});
