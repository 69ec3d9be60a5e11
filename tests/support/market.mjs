// What tests of the marketplace make: releases with a file in the storage, and what somebody owns.

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { insert } from './world.mjs';

/** A file, and what a release says of it. */
export function fileOf(bytes = randomBytes(64)) {
  return {
    bytes,
    said: { file_size_bytes: bytes.length, checksum_sha256: createHash('sha256').update(bytes).digest('hex') },
  };
}

/** Puts a file where a release of the product says that it is. */
export async function store(stack, product, path, bytes) {
  const place = `releases/${product.organization_id}/${product.id}/${path}`;
  const answer = await fetch(`${stack.vars.STORAGE_URL}/test/${encodeURIComponent(place)}`, { method: 'PUT', body: bytes });
  if (!answer.ok) throw new Error(`the storage answered ${answer.status}`);
}

/** What the storage was asked for since it started: `{ path, expiresIn, wrong }`. */
export async function askedOf(stack) {
  return (await fetch(`${stack.vars.STORAGE_URL}/test/asked`)).json();
}

/** Adds a release of a product past the API, with a file; `more` overrides columns. */
export async function insertRelease(stack, product, more = {}) {
  const { bytes, said } = fileOf();
  const row = {
    id: randomUUID(), product_id: product.id, organization_id: product.organization_id,
    version: `1.0.${Math.floor(Math.random() * 1e9)}`, status: 'stable', storage_path: `${randomUUID()}/setup.zip`,
    file_name: 'setup.zip', ...said, ...more,
  };
  await insert(stack, 'product_releases', row);
  if (row.storage_path) await store(stack, product, row.storage_path, bytes);
  return { ...row, bytes };
}

/** Makes somebody the owner of a product; `more` overrides columns. */
export async function insertAsset(stack, { organization, user, product, ...more }) {
  const row = { id: randomUUID(), organization_id: organization, user_id: user, product_id: product, ...more };
  await insert(stack, 'customer_assets', row);
  return row;
}

/** Adds a review; `more` overrides columns. */
export async function insertReview(stack, { organization, user, product, ...more }) {
  const row = { id: randomUUID(), organization_id: organization, user_id: user, product_id: product, rating: 4, ...more };
  await insert(stack, 'product_reviews', row);
  return row;
}
