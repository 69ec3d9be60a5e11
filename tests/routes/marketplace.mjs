// Categories, products, reviews, releases and what customers own.

import { randomBytes, randomUUID } from 'node:crypto';
import { createProduct, createUser, insert } from '../support/world.mjs';
import { fileOf, insertAsset, insertRelease, insertReview } from '../support/market.mjs';

const category = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'product_categories', { id, name: 'Route', slug: `route-${id}` });
  return { id };
};
const product = (fields) => async ({ stack, ours }) => ({ id: (await createProduct(stack, ours.id, fields)).id });
/** A product of another organization, as buyers find it. */
const theirProduct = async ({ stack, theirs }) => ({ id: (await createProduct(stack, theirs.id)).id });
/** A review of their product by our administrator. */
const ownReview = async ({ stack, ours, theirs }) => {
  const { id } = await createProduct(stack, theirs.id);
  return { id: (await insertReview(stack, { organization: ours.id, user: ours.users.admin, product: id })).id };
};
/** A review of their product by somebody of theirs. */
const theirReview = async ({ stack, theirs }) => {
  const { id } = await createProduct(stack, theirs.id);
  const user = await createUser(stack, theirs.id, 'viewer');
  return { id: (await insertReview(stack, { organization: theirs.id, user, product: id })).id };
};
const votedReview = async (world) => {
  const made = await theirReview(world);
  for (const { id, users } of new Set([world.ours, world.theirs])) {
    await insert(world.stack, 'product_review_votes', { review_id: made.id, organization_id: id, user_id: users.admin });
  }
  return made;
};
/** A review of our product; `more` makes what is inside it. */
const reviewOfOurs = (more) => async ({ stack, ours, theirs }) => {
  const { id } = await createProduct(stack, ours.id);
  const user = await createUser(stack, theirs.id, 'viewer');
  const review = await insertReview(stack, { organization: theirs.id, user, product: id });
  await more?.(stack, ours, review);
  return { id: review.id };
};
const reply = (stack, ours, review) => insert(stack, 'product_review_replies', {
  review_id: review.id, product_id: review.product_id, organization_id: ours.id, user_id: ours.users.admin, reply: 'Thanks',
});
const release = (fields) => async ({ stack, ours }) => {
  const of = await createProduct(stack, ours.id);
  return { id: (await insertRelease(stack, of, fields)).id };
};
/** Something of somebody's, with a release to download. */
const asset = async ({ stack, ours }, owner) => {
  const of = await createProduct(stack, ours.id);
  await insertRelease(stack, of);
  return { id: (await insertAsset(stack, { organization: ours.id, user: owner, product: of.id })).id };
};
/** A link to the file of something owned, as it was given a moment ago. */
const link = async ({ stack, ours }) => {
  const of = await createProduct(stack, ours.id);
  const { id: release } = await insertRelease(stack, of);
  const { id: asset } = await insertAsset(stack, { organization: ours.id, user: ours.users.admin, product: of.id });
  const id = randomUUID();
  await insert(stack, 'asset_downloads', {
    asset_id: asset, organization_id: ours.id, release_id: release, user_id: ours.users.admin, link: id,
    link_expires_at: new Date(Date.now() + 120_000),
  });
  return { id };
};
const ownedRelease = async ({ stack, ours }, owner) => {
  const of = await createProduct(stack, ours.id);
  const { id } = await insertRelease(stack, of);
  await insertAsset(stack, { organization: ours.id, user: owner ?? ours.users.admin, product: of.id });
  return { id };
};

const NOBODYS = { belongsToNoTenant: true };
const unknown = (errorWhenUnknown) => ({ errorWhenUnknown });
const PRODUCT = unknown('PRODUCT_NOT_FOUND');
const RELEASE = unknown('RELEASE_NOT_FOUND');
const REVIEW = unknown('REVIEW_NOT_FOUND');
const ASSET = unknown('ASSET_NOT_FOUND');
const categories = { permission: 'categories:write', ...unknown('CATEGORY_NOT_FOUND'), make: category };
const products = { permission: 'products:write', ...PRODUCT, make: product() };
const releases = { permission: 'releases:write', ...RELEASE, make: release({ status: 'draft' }) };

export default {
  'GET /api/categories': { open: true },
  'GET /api/categories/{id}': { open: true, errorWhenUnknown: 'CATEGORY_NOT_FOUND', make: category },
  'GET /api/categories/all': { permission: 'categories:write' },
  'POST /api/categories': {
    permission: 'categories:write', status: 201, make: async () => ({ body: { name: 'Route', slug: `r-${randomUUID()}` } }),
  },
  'PATCH /api/categories/{id}': { ...categories, body: { name: 'Renamed' } },
  'DELETE /api/categories/{id}': { ...categories, status: 204 },

  'GET /api/products': { open: true },
  'GET /api/products/featured': { open: true },
  'GET /api/products/search': { open: true, query: { q: 'product' } },
  'GET /api/products/by-slug/{key}': {
    open: true, make: async ({ stack, ours }) => ({ key: (await createProduct(stack, ours.id)).slug }),
  },
  'GET /api/products/{id}': { open: true, ...PRODUCT, make: product() },
  'GET /api/products/{id}/reviews': { open: true, ...PRODUCT, make: product() },
  'GET /api/products/{id}/releases': { open: true, ...PRODUCT, make: product() },
  'GET /api/my/products': { permission: 'products:read', rowsOfNewTenant: 1 },
  'GET /api/my/products/{id}': { permission: 'products:read', ...PRODUCT, make: product({ status: 'draft' }) },
  'POST /api/products': {
    permission: 'products:write', status: 201,
    make: async () => ({ body: { name: 'Route', slug: `r-${randomUUID()}`, code: `R${randomBytes(4).toString('hex').toUpperCase()}`, price: 9.9 } }),
  },
  'PATCH /api/products/{id}': { ...products, body: { short_description: 'Changed' } },
  'DELETE /api/products/{id}': { ...products, status: 204 },

  'GET /api/my/reviews': { permission: 'reviews:write', belongsToNoTenant: true },
  'POST /api/products/{id}/reviews': {
    permission: 'reviews:write', ...NOBODYS, ...PRODUCT, status: 201, body: { rating: 5, title: 'Good' }, make: theirProduct,
  },
  'PATCH /api/reviews/{id}': { permission: 'reviews:write', ...REVIEW, body: { rating: 2 }, make: ownReview },
  'DELETE /api/reviews/{id}': { permission: 'reviews:write', ...REVIEW, status: 204, make: ownReview },
  'POST /api/reviews/{id}/helpful': {
    permission: 'reviews:write', ...NOBODYS, ...REVIEW, leavesNoAuditRow: true, make: theirReview,
  },
  'DELETE /api/reviews/{id}/helpful': {
    permission: 'reviews:write', ...NOBODYS, ...REVIEW, leavesNoAuditRow: true, make: votedReview,
  },
  'POST /api/reviews/{id}/reply': { permission: 'products:write', ...REVIEW, body: { reply: 'Thank you' }, make: reviewOfOurs() },
  'DELETE /api/reviews/{id}/reply': { permission: 'products:write', ...REVIEW, status: 204, make: reviewOfOurs(reply) },
  'POST /api/reviews/{id}/moderate': {
    permission: 'reviews:moderate', ...REVIEW, body: { hidden: true, reason: 'Rude' }, make: theirReview,
  },

  'GET /api/releases/latest/{id}': {
    open: true, errorWhenUnknown: 'NO_RELEASE', query: { channel: 'stable', current: '0.9.0' },
    make: async ({ stack, ours }) => {
      const of = await createProduct(stack, ours.id);
      await insertRelease(stack, of);
      return { id: of.id };
    },
  },
  'GET /api/releases/{id}': { open: true, ...RELEASE, make: release() },
  'GET /api/releases/{id}/changelog': { open: true, ...RELEASE, make: release({ release_notes: '# New\n\n- this' }) },
  'GET /api/my/products/{id}/releases': { permission: 'products:read', ...PRODUCT, make: product() },
  'GET /api/my/releases/{id}': { permission: 'products:read', ...RELEASE, make: release({ status: 'draft' }) },
  'POST /api/products/{id}/releases': {
    permission: 'releases:write', ...PRODUCT, status: 201, make: product(),
    body: { version: '1.2.3-beta.1', status: 'beta', storage_path: '1.2.3/setup.zip', ...fileOf(Buffer.from('x')).said, release_notes: '- this' },
  },
  'PATCH /api/releases/{id}': { ...releases, body: { status: 'stable' } },
  'DELETE /api/releases/{id}': { ...releases, status: 204 },
  'POST /api/releases/{id}/upload': { ...releases, body: { file_name: 'setup.zip', ...fileOf(Buffer.from('x')).said } },
  'GET /api/releases/{id}/download': {
    permission: 'assets:read', ...RELEASE, clientSeesOwnOnly: true, make: ownedRelease,
  },

  'GET /api/my/assets': { permission: 'assets:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: asset },
  'GET /api/my/assets/{id}': { permission: 'assets:read', ...ASSET, clientSeesOwnOnly: true, make: asset },
  'GET /api/downloads/{id}': { open: true, status: 302, errorWhenUnknown: 'DOWNLOAD_NOT_FOUND', make: link },
  'GET /api/my/assets/{id}/download': { permission: 'assets:read', ...ASSET, clientSeesOwnOnly: true, make: asset },
  'POST /api/my/assets/{id}/transfer': {
    permission: 'assets:write', ...ASSET,
    make: async (world, owner) => ({ ...await asset(world, owner), body: { user_id: world.ours.users.viewer } }),
  },
};
