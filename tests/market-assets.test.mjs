// What customers own: who sees it, how it is downloaded and counted, when it is not, and how it changes hands.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { good, read, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { askedOf, insertAsset, insertRelease } from './support/market.mjs';
import { auditOf, createOrganization, createProduct, createUser, insertLicense, rowOf, signedIn } from './support/world.mjs';

const stack = await sharedStack();
const one = '/api/my/assets/{id}';
let vendor;
let buyer;

before(async () => {
  [vendor, buyer] = [await createOrganization(stack), await createOrganization(stack)];
});

/** Something of our client's, with a release; `more` overrides columns. */
async function owned(more = {}, release = {}) {
  const product = await createProduct(stack, vendor.id);
  const made = await insertRelease(stack, product, release);
  const asset = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: product.id, ...more });
  return { product, release: made, asset, id: asset.id };
}

const download = (id, query, as = buyer.as.client) => as('GET', `${one}/download`, { id, query });
const follow = (url) => fetch(url, { redirect: 'manual' });
const opened = async (url) => read(await follow(url));
const counts = async ({ asset, release, product }) => [
  (await rowOf(stack, 'customer_assets', asset.id)).download_count,
  Number((await rowOf(stack, 'product_releases', release.id)).download_count),
  Number((await rowOf(stack, 'products', product.id)).download_count),
];

describe('a download', () => {
  test('is the file, by a short link that is for it alone', async () => {
    const made = await owned();
    const link = good(await download(made.id));
    assert.deepEqual([link.checksum_sha256, link.file_name, link.file_size_bytes, link.version],
      [made.release.checksum_sha256, 'setup.zip', made.release.bytes.length, made.release.version]);
    assert.ok(link.url.startsWith(`${stack.url}/api/downloads/`), link.url);
    const file = await fetch(link.url);
    assert.deepEqual(Buffer.from(await file.arrayBuffer()), made.release.bytes);
    assert.match(file.headers.get('content-disposition'), /filename="setup\.zip"/);
    assert.ok(new Date(link.expires_at) - Date.now() <= 121_000);
    // Where it leads is for no other file, and not with a changed end.
    const { headers } = await follow(link.url);
    const stored = headers.get('location');
    assert.equal(headers.get('cache-control'), 'no-store');
    const other = await owned();
    const url = new URL(stored);
    url.pathname = `/object/sign/releases/${vendor.id}/${other.product.id}/${other.release.storage_path}`;
    assert.equal((await fetch(url)).status, 400);
    assert.equal((await fetch(stored.replace(/token=(.)/, (_, c) => `token=${c === 'e' ? 'f' : 'e'}`))).status, 400);
    const asked = (await askedOf(stack)).filter((one) => one.path.includes(made.product.id));
    assert.ok(asked.length >= 2 && asked.every(({ expiresIn, wrong }) => expiresIn <= 120 && !wrong), JSON.stringify(asked));
  });

  test('of a file with a space in its name has a link that is one', async () => {
    const made = await owned({}, { storage_path: `${randomUUID()}/set up (1).zip`, file_name: 'set up (1).zip' });
    const { headers } = await follow(good(await download(made.id)).url);
    const stored = headers.get('location');
    assert.ok(!stored.includes(' ') && stored.includes('/set%20up%20(1).zip?'), stored);
    const file = await fetch(stored);
    assert.deepEqual(Buffer.from(await file.arrayBuffer()), made.release.bytes);
    const draft = await insertRelease(stack, made.product, { status: 'draft', storage_path: null });
    const body = { file_name: 'set up (1).zip', file_size_bytes: 5, checksum_sha256: 'a'.repeat(64) };
    const { url } = good(await vendor.as.admin('POST', '/api/releases/{id}/upload', { id: draft.id, body }));
    assert.ok(!url.includes(' ') && url.includes('/set%20up%20(1).zip?'), url);
  });

  test('has a link of its own for each asset: it ends with that one, and is counted for it alone', async () => {
    const made = await owned({ download_limit: 1 });
    const second = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: made.product.id, download_limit: 1 });
    const [first, other] = [good(await download(made.id)), good(await download(second.id))];
    assert.notEqual(first.url, other.url);
    const limits = async () => Promise.all([made.id, second.id].map(async (id) => (await rowOf(stack, 'customer_assets', id)).download_count));
    assert.deepEqual(await limits(), [1, 1]);
    // Followed as often as one likes while it is good: it is the same download.
    await Promise.all(Array.from({ length: 10 }, () => follow(first.url)));
    assert.deepEqual(await limits(), [1, 1]);
    await stack.pg.query("UPDATE customer_assets SET status = 'revoked', status_reason = 'Refunded' WHERE id = $1", [made.id]);
    assert.deepEqual(refused(await opened(first.url), 403, 'ASSET_REVOKED'), { reason: 'Refunded' });
    assert.equal((await follow(other.url)).status, 302);
  });

  test('follows its link only while it could be asked for', async () => {
    const over = (change) => async ({ asset }) => stack.pg.query(`UPDATE asset_downloads SET ${change} WHERE asset_id = $1`, [asset.id]);
    const person = await createUser(stack, buyer.id, 'viewer');
    const gone = await signedIn(stack, person);
    for (const [as, change, status, code] of [
      [buyer.as.client, over("link_expires_at = now() - interval '1 second'"), 404, 'DOWNLOAD_NOT_FOUND'],
      [buyer.as.client, ({ asset }) => stack.pg.query('UPDATE customer_assets SET user_id = $2 WHERE id = $1', [asset.id, buyer.users.viewer]), 404, 'DOWNLOAD_NOT_FOUND'],
      [gone, () => stack.pg.query('UPDATE users_profile SET deleted_at = now() WHERE id = $1', [person]), 404, 'DOWNLOAD_NOT_FOUND'],
      [buyer.as.client, ({ release }) => stack.pg.query("UPDATE product_releases SET status = 'yanked' WHERE id = $1", [release.id]), 410, 'RELEASE_YANKED'],
      [buyer.as.client, ({ asset }) => stack.pg.query("UPDATE customer_assets SET status = 'suspended' WHERE id = $1", [asset.id]), 403, 'ASSET_SUSPENDED'],
    ]) {
      const made = await owned();
      const { url } = good(await download(made.id, {}, as));
      assert.equal((await follow(url)).status, 302);
      await change(made);
      refused(await opened(url), status, code);
    }
    // Nor does what is no link, or the id of the download.
    const made = await owned();
    good(await download(made.id));
    const { rows: [{ id }] } = await stack.pg.query('SELECT id FROM asset_downloads WHERE asset_id = $1', [made.id]);
    refused(await opened(`${stack.url}/api/downloads/${id}`), 404, 'DOWNLOAD_NOT_FOUND');
  });

  test('is counted once, however often its link is asked for', async () => {
    const made = await owned({ download_limit: 5 });
    for (let again = 0; again < 3; again += 1) assert.equal(good(await download(made.id)).downloads_left, 4);
    await Promise.all(Array.from({ length: 5 }, () => download(made.id)));
    assert.deepEqual(await counts(made), [1, 1, 1]);
    await stack.pg.query("UPDATE asset_downloads SET link_expires_at = now() - interval '1 second' WHERE asset_id = $1", [made.id]);
    assert.equal(good(await download(made.id)).downloads_left, 3);
    assert.deepEqual(await counts(made), [2, 2, 2]);
    const head = await buyer.as.client('HEAD', `${one}/download`, { id: made.id });
    assert.equal(head.status, 200);
    assert.deepEqual(await counts(made), [2, 2, 2]);
  });

  test('no more often than was bought, also by many at once', async () => {
    const made = await owned({ download_limit: 3 });
    const people = await Promise.all(Array.from({ length: 10 }, async () => signedIn(stack, await createUser(stack, buyer.id, 'viewer'))));
    const answers = await Promise.all(people.map((as) => download(made.id, {}, as)));
    const refusals = answers.filter(({ status }) => status !== 200);
    assert.equal(answers.length - refusals.length, 3);
    for (const answer of refusals) assert.deepEqual(refused(answer, 403, 'DOWNLOAD_LIMIT_REACHED'), { limit: 3 });
    assert.deepEqual(await counts(made), [3, 3, 3]);
  });

  test('is of the release that is wanted', async () => {
    const made = await owned({}, { version: '1.0.0' });
    const beta = await insertRelease(stack, made.product, { version: '2.0.0-beta.1', status: 'beta' });
    await insertRelease(stack, made.product, { version: '3.0.0', status: 'draft' });
    assert.equal(good(await download(made.id)).version, '1.0.0');
    assert.equal(good(await download(made.id, { channel: 'beta' })).version, '2.0.0-beta.1');
    assert.equal(good(await download(made.id, { version: '2.0.0-beta.1' })).release_id, beta.id);
    assert.equal(good(await download(made.id, { release_id: made.release.id })).version, '1.0.0');
    refused(await download(made.id, { version: '3.0.0' }), 404, 'RELEASE_NOT_FOUND');
    const other = await owned();
    refused(await download(made.id, { release_id: other.release.id }), 404, 'RELEASE_NOT_FOUND');
    assert.equal(good(await buyer.as.client('GET', '/api/releases/{id}/download', { id: beta.id })).version, '2.0.0-beta.1');
    refused(await vendor.as.client('GET', '/api/releases/{id}/download', { id: beta.id }), 404, 'RELEASE_NOT_FOUND');
  });

  test('of a release is by what is good for it, and asked for again the same one', async () => {
    const ofRelease = ({ release }, as = buyer.as.client) => as('GET', '/api/releases/{id}/download', { id: release.id });
    const past = new Date(Date.now() - 1000);
    const ended = async () => (await insertLicense(stack, buyer.id, { owner_id: buyer.users.client, status: 'active', expires_at: past })).id;
    // Whoever bought it again has the one of before still.
    for (const before of [{ expires_at: past }, { license_id: await ended() }, { download_limit: 1, download_count: 1 }]) {
      // By chance of their ids, either is first.
      for (let round = 0; round < 4; round += 1) {
        const made = await owned(before);
        const again = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: made.product.id });
        good(await ofRelease(made));
        assert.equal((await rowOf(stack, 'customer_assets', again.id)).download_count, 1);
      }
    }
    // What is one's own goes before what is a colleague's, unless it is used up.
    const made = await owned({ user: buyer.users.manager, download_limit: 1 });
    const other = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: made.product.id, download_limit: 5 });
    const left = async () => good(await ofRelease(made, buyer.as.manager)).downloads_left;
    for (let round = 0; round < 3; round += 1) assert.equal(await left(), 0);
    assert.equal((await rowOf(stack, 'customer_assets', other.id)).download_count, 0);
    await stack.pg.query("UPDATE asset_downloads SET link_expires_at = now() - interval '1 second' WHERE asset_id = $1", [made.id]);
    for (let round = 0; round < 3; round += 1) assert.equal(await left(), 4);
    // Of two alike, one is counted, once.
    const first = await owned({ download_limit: 5 });
    const second = await insertAsset(stack, { organization: buyer.id, user: buyer.users.client, product: first.product.id, download_limit: 5 });
    for (let round = 0; round < 3; round += 1) assert.equal(good(await ofRelease(first)).downloads_left, 4);
    const [one, two] = await Promise.all([first.id, second.id].map((id) => rowOf(stack, 'customer_assets', id)));
    assert.equal(one.download_count + two.download_count, 1);
    // Where none is good, it says why.
    const none = await owned({ status: 'suspended' });
    refused(await ofRelease(none), 403, 'ASSET_SUSPENDED');
  });

  test('every refusal says why', async () => {
    const refusal = async (asset, status, code, release) => {
      const made = await owned(asset, release);
      const details = refused(await download(made.id), status, code);
      assert.deepEqual(await counts(made), [0, 0, 0]);
      return details;
    };
    const past = new Date(Date.now() - 1000);
    assert.equal(new Date((await refusal({ expires_at: past }, 403, 'ASSET_EXPIRED')).expired_at).getTime(), past.getTime());
    assert.deepEqual(await refusal({ status: 'suspended', status_reason: 'Disputed' }, 403, 'ASSET_SUSPENDED'), { reason: 'Disputed' });
    assert.deepEqual(await refusal({ status: 'revoked', status_reason: 'Refunded' }, 403, 'ASSET_REVOKED'), { reason: 'Refunded' });
    for (const [status, more] of [['suspended', {}], ['cancelled', {}], ['active', { expires_at: past }]]) {
      const license = await insertLicense(stack, buyer.id, { owner_id: buyer.users.client, status, ...more });
      const details = await refusal({ license_id: license.id }, 403, 'ASSET_LICENSE_INACTIVE');
      assert.equal(details.license_status, status);
    }
    await refusal({}, 404, 'NO_RELEASE', { status: 'draft' });
    const made = await owned({}, { storage_path: 'nowhere/setup.zip', version: '1.0.0' });
    await stack.pg.query("UPDATE product_releases SET storage_path = 'gone/setup.zip' WHERE id = $1", [made.release.id]);
    refused(await download(made.id), 409, 'RELEASE_WITHOUT_FILE');
    await stack.pg.query("UPDATE product_releases SET status = 'yanked', yanked_reason = 'Bad' WHERE id = $1", [made.release.id]);
    assert.deepEqual(refused(await download(made.id, { version: '1.0.0' }), 410, 'RELEASE_YANKED'), { reason: 'Bad', replacement: null });
    refused(await download(randomUUID()), 404, 'ASSET_NOT_FOUND');
  });

  test('a storage that fails counts nothing', async () => {
    const made = await owned();
    await fetch(`${stack.vars.STORAGE_URL}/test/trouble`, { method: 'POST', body: JSON.stringify({ status: 500 }) });
    refused(await download(made.id), 503, 'SERVICE_UNAVAILABLE');
    assert.deepEqual(await counts(made), [0, 0, 0]);
    good(await download(made.id));
  });
});

describe('what is owned', () => {
  test('is seen by its owner, with the vendor\'s product, whatever became of it', async () => {
    const license = await insertLicense(stack, buyer.id, { owner_id: buyer.users.client });
    const made = await owned({ license_id: license.id, expires_at: new Date(Date.now() - 1) });
    await stack.pg.query("UPDATE products SET status = 'archived' WHERE id = $1", [made.product.id]);
    const seen = good(await buyer.as.client('GET', one, { id: made.id }));
    assert.deepEqual([seen.product_name, seen.product_status, seen.status, seen.license_status, seen.latest_version],
      [made.product.name, 'archived', 'expired', 'active', made.release.version]);
    assert.ok(good(await buyer.as.client('GET', '/api/my/assets', { query: { status: 'expired' } })).some(({ id }) => id === made.id));
    assert.ok(!good(await buyer.as.client('GET', '/api/my/assets', { query: { status: 'active', per_page: 100 } })).some(({ id }) => id === made.id));
    refused(await vendor.as.admin('GET', one, { id: made.id }), 404, 'ASSET_NOT_FOUND');
  });

  test('does not show the vendor\'s other things', async () => {
    const made = await owned();
    const draft = await createProduct(stack, vendor.id, { status: 'draft' });
    const { rows } = await stack.pg.query('SELECT count(*)::int FROM products WHERE organization_id = $1', [vendor.id]);
    assert.ok(rows[0].count > 1);
    for (const id of [made.product.id, draft.id]) {
      refused(await buyer.as.admin('GET', '/api/my/products/{id}', { id }), 404, 'PRODUCT_NOT_FOUND');
      refused(await buyer.as.admin('PATCH', '/api/products/{id}', { id, body: { name: 'Mine' } }), 404, 'PRODUCT_NOT_FOUND');
    }
  });

  test('is handed over within the organization, with its license', async () => {
    const license = await insertLicense(stack, buyer.id, { owner_id: buyer.users.client });
    const made = await owned({ license_id: license.id });
    const hand = (to, as = buyer.as.manager) => as('POST', `${one}/transfer`, { id: made.id, body: { user_id: to } });
    refusedFields(await hand(vendor.users.admin), 'user_id');
    refusedFields(await hand(randomUUID()), 'user_id');
    const moved = good(await hand(buyer.users.viewer));
    assert.deepEqual([moved.user_id, Boolean(moved.transferred_at)], [buyer.users.viewer, true]);
    assert.equal((await rowOf(stack, 'licenses', license.id)).owner_id, buyer.users.viewer);
    refused(await buyer.as.client('GET', one, { id: made.id }), 404, 'ASSET_NOT_FOUND');
    assert.deepEqual((await auditOf(stack, made.id)).map(({ event }) => event), ['asset.transferred']);
    await stack.pg.query("UPDATE customer_assets SET status = 'revoked' WHERE id = $1", [made.id]);
    refused(await hand(buyer.users.client), 403, 'ASSET_REVOKED');
  });
});
