// Releases: their versions and order, what may follow what, what updaters are told, and what changed.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import semver from 'semver';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { fileOf, insertRelease } from './support/market.mjs';
import { auditOf, createOrganization, createProduct } from './support/world.mjs';

const stack = await sharedStack();
const nobody = caller(stack);
const ofProduct = '/api/products/{id}/releases';
const one = '/api/releases/{id}';
let vendor;
let other;

before(async () => {
  [vendor, other] = [await createOrganization(stack), await createOrganization(stack)];
});

const product = (more) => createProduct(stack, vendor.id, more);
const FILE = { storage_path: 'x/setup.zip', ...fileOf(Buffer.from('x')).said };
const make = (id, body) => vendor.as.developer('POST', ofProduct, { id, body: { ...FILE, ...body } });
const released = async (id, version, more) => good(await make(id, { version, status: 'stable', ...more }), 201);
const change = (id, body) => vendor.as.developer('PATCH', one, { id, body });
const latest = (id, query) => nobody('GET', '/api/releases/latest/{id}', { id, query });

describe('versions', () => {
  test('are ordered as the public library orders them', async () => {
    const { id } = await product();
    const versions = [
      '1.0.0', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-alpha-x', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1',
      '0.0.1', '2.0.0', '10.0.0', '1.2.0', '1.10.0', '1.9.99', '1.0.1-0', '1.0.1-10', '1.0.1-9', '1.0.1-A', '1.0.1-a--b', '999999999.0.0', '1.0.0-1.a.2',
      '3.1.4+build.7',
    ];
    for (const version of versions) await insertRelease(stack, { id, organization_id: vendor.id }, { version, status: 'beta', storage_path: null });
    const listed = good(await nobody('GET', ofProduct, { id, query: { per_page: 100 } })).map(({ version }) => version);
    assert.deepEqual(listed, versions.toSorted(semver.rcompare));
    // Identifiers beyond 2^53 are numbers too (semver.org, 11.4.1); the library compares them as floats.
    const beyond = ['9.0.0-100000000000000000000', '9.0.0-99999999999999999999'];
    for (const version of beyond) await insertRelease(stack, { id, organization_id: vendor.id }, { version, status: 'alpha', storage_path: null });
    assert.deepEqual(good(await nobody('GET', ofProduct, { id, query: { status: 'alpha' } })).map(({ version }) => version), beyond);
  });

  test('two that differ in their build alone are one', async () => {
    const { id } = await product();
    await released(id, '1.0.0+linux');
    refused(await make(id, { version: '1.0.0+windows' }), 409, 'VERSION_TAKEN');
    refused(await make(id, { version: '1.0.0' }), 409, 'VERSION_TAKEN');
    for (const version of ['1.0', 'v1.0.0', '1.0.0-01', '01.0.0', '1.0.0-', ` 1.0.0`]) refusedFields(await make(id, { version }), 'version');
    const problem = async (version) => refused(await make(id, { version }), 422, 'VALIDATION_FAILED').fields.version;
    for (const large of ['1.0.1000000000', '18446744073709551616.0.0', '1.99999999999999999999.0-rc.1']) {
      assert.deepEqual(await problem(large), ['tiene un número mayor que 999999999'], large);
    }
    assert.deepEqual(await problem(`1.0.0-${'a'.repeat(50)}`), ['tiene más de 50 caracteres']);
  });
});

describe('a release', () => {
  test('goes from draft to everybody, and never back', async () => {
    const { id } = await product();
    const draft = good(await make(id, { version: '1.0.0', storage_path: null }), 201);
    assert.deepEqual([draft.status, draft.published_at], ['draft', null]);
    refused(await nobody('GET', one, { id: draft.id }), 404, 'RELEASE_NOT_FOUND');
    refused(await change(draft.id, { status: 'stable' }), 409, 'RELEASE_WITHOUT_FILE');
    refused(await change(draft.id, { status: 'yanked' }), 409, 'RELEASE_STATUS_CONFLICT');
    const stable = good(await change(draft.id, { ...FILE, status: 'stable' }));
    assert.ok(stable.published_at);
    const details = refused(await change(draft.id, { version: '1.0.1', checksum_sha256: 'a'.repeat(64) }), 409, 'RELEASE_PUBLISHED');
    assert.deepEqual(details.unchangeable, ['version', 'checksum_sha256']);
    for (const status of ['draft', 'alpha', 'beta']) refused(await change(draft.id, { status }), 409, 'RELEASE_STATUS_CONFLICT');
    good(await change(draft.id, { status: 'deprecated' }));
    refused(await latest(id), 404, 'NO_RELEASE');
    good(await change(draft.id, { status: 'stable', title: 'Good again' }));
    refused(await vendor.as.developer('DELETE', one, { id: draft.id }), 409, 'RELEASE_STATUS_CONFLICT');
    assert.deepEqual((await auditOf(stack, draft.id)).map(({ event }) => event),
      ['release.created', 'release.published', 'release.deprecated', 'release.published']);
    refusedFields(await make(id, { version: '2.0.0-rc.1', status: 'stable' }), 'status');
    refused(await other.as.developer('PATCH', one, { id: draft.id, body: { title: 'x' } }), 404, 'RELEASE_NOT_FOUND');
  });

  test('its file is where its product\'s files are', async () => {
    const { id } = await product();
    for (const path of ['../x', '/etc/passwd', 'a//b', 'a/../b', 'a\\b', '.', 'x?y', 'é', '']) {
      refusedFields(await make(id, { version: '1.0.0', storage_path: path }), 'storage_path');
    }
  });

  test('is taken back for a reason, with another in its place', async () => {
    const { id } = await product();
    const [bad, better] = [await released(id, '1.0.0'), await released(id, '1.0.1')];
    refusedFields(await change(bad.id, { yanked_reason: 'x' }), 'status');
    refusedFields(await change(bad.id, { status: 'yanked', replaced_by: randomUUID() }), 'replaced_by');
    const yanked = good(await change(bad.id, { status: 'yanked', yanked_reason: 'Loses data', replaced_by: better.id }));
    assert.ok(yanked.yanked_at);
    const told = good(await nobody('GET', one, { id: bad.id }));
    assert.deepEqual([told.status, told.yanked_reason, told.replaced_by], ['yanked', 'Loses data', better.id]);
    const details = refused(await vendor.as.developer('GET', '/api/releases/{id}/download', { id: bad.id }), 410, 'RELEASE_YANKED');
    assert.deepEqual(details, { reason: 'Loses data', replacement: better.id });
    good(await change(better.id, { status: 'yanked' }));
    refused(await latest(id), 404, 'NO_RELEASE');
  });

  test('a draft gets a place for its file', async () => {
    const owner = await product();
    const draft = good(await vendor.as.developer('POST', ofProduct, { id: owner.id, body: { version: '1.0.0' } }), 201);
    const { bytes, said } = fileOf();
    const link = good(await vendor.as.developer('POST', '/api/releases/{id}/upload', { id: draft.id, body: { file_name: 'app.zip', ...said } }));
    assert.equal((await fetch(link.url, { method: 'PUT', body: bytes })).status, 200);
    assert.equal((await fetch(link.url, { method: 'PUT', body: 'other' })).status, 400);
    good(await change(draft.id, { status: 'stable' }));
    const download = good(await vendor.as.developer('GET', '/api/releases/{id}/download', { id: draft.id }));
    assert.deepEqual([download.file_name, download.checksum_sha256], ['app.zip', said.checksum_sha256]);
    assert.deepEqual(Buffer.from(await (await fetch(download.url)).arrayBuffer()), bytes);
    refused(await vendor.as.developer('POST', '/api/releases/{id}/upload', { id: draft.id, body: { file_name: 'app.zip', ...said } }), 409, 'RELEASE_PUBLISHED');
  });
});

describe('an updater', () => {
  test('is told of the latest of its channel', async () => {
    const { id } = await product();
    await released(id, '1.0.0', { signature: 'c2ln' });
    await released(id, '1.1.0-beta.1', { status: 'beta' });
    await released(id, '1.2.0-alpha.1', { status: 'alpha' });
    const version = async (channel) => good(await latest(id, channel && { channel })).release.version;
    assert.deepEqual([await version(), await version('beta'), await version('alpha')], ['1.0.0', '1.1.0-beta.1', '1.2.0-alpha.1']);
    const told = good(await latest(id));
    assert.deepEqual([told.is_newer, told.release.signature, told.release.checksum_sha256], [null, 'c2ln', FILE.checksum_sha256]);
    refused(await latest(id, { channel: 'nightly' }), 400, 'INVALID_QUERY');
    refusedFields(await latest(id, { current: 'one' }), 'current');
    refused(await latest(randomUUID()), 404, 'NO_RELEASE');
  });

  test('is told whether to install it, and what first', async () => {
    const { id } = await product();
    await released(id, '1.0.0');
    await released(id, '1.1.0', { is_critical: true });
    await released(id, '2.0.0', { min_version: '1.1.0' });
    const told = async (current) => {
      const { is_newer: newer, is_required: required, next } = good(await latest(id, { current }));
      return [newer, required, next?.version ?? null];
    };
    assert.deepEqual(await told('2.0.0'), [false, false, null]);
    assert.deepEqual(await told('2.0.0+mine'), [false, false, null]);
    assert.deepEqual(await told('2.1.0'), [false, false, null]);
    assert.deepEqual(await told('1.1.0'), [true, false, null]);
    assert.deepEqual(await told('1.0.0'), [true, true, '1.1.0']);
    const bad = await released(id, '1.5.0');
    good(await change(bad.id, { status: 'yanked' }));
    assert.deepEqual(await told('1.5.0'), [true, true, null]);
  });

  test('is told of nothing that no version can be updated to', async () => {
    const { id } = await product();
    refusedFields(await make(id, { version: '2.0.0', min_version: '2.0.1' }), 'min_version');
    const { id: release } = good(await make(id, { version: '2.0.0', min_version: '2.0.0' }), 201);
    refusedFields(await change(release, { min_version: '3.0.0-rc.1' }), 'min_version');
    refusedFields(await change(release, { version: '1.9.0' }), 'min_version');
    good(await change(release, { version: '1.9.0', min_version: '1.0.0' }));
    good(await change(release, { status: 'stable' }));
    refusedFields(await change(release, { min_version: '1.9.1' }), 'min_version');
  });

  test('goes on being told of a product that is no longer sold', async () => {
    const { id } = await product();
    await released(id, '1.0.0');
    good(await vendor.as.admin('PATCH', '/api/products/{id}', { id, body: { status: 'archived' } }));
    assert.equal(good(await latest(id)).release.version, '1.0.0');
    const draft = await product({ status: 'draft' });
    await released(draft.id, '1.0.0');
    refused(await latest(draft.id), 404, 'NO_RELEASE');
  });
});

test('what changed is shown as it was written and as safe HTML, from one version to another', async () => {
  const { id } = await product();
  await released(id, '1.0.0', { release_notes: '# First' });
  const bad = await released(id, '1.1.0', { release_notes: 'gone' });
  await released(id, '1.2.0-rc.1', { status: 'beta', release_notes: '- **safe** <script>alert(1)</script> [x](javascript:alert(1))' });
  const last = await released(id, '1.2.0', { release_notes: '- done' });
  good(await change(bad.id, { status: 'yanked' }));
  const log = async (query) => good(await nobody('GET', '/api/releases/{id}/changelog', { id: last.id, query }));
  assert.deepEqual((await log()).entries.map(({ version, html }) => [version, html]), [['1.2.0', '<ul><li>done</li></ul>']]);
  const between = await log({ from: '1.0.0' });
  assert.deepEqual([between.from, between.to, between.has_more], ['1.0.0', '1.2.0', false]);
  assert.deepEqual(between.entries.map(({ version }) => version), ['1.2.0', '1.2.0-rc.1']);
  assert.ok(!/<script|javascript:/.test(between.entries[1].html));
  assert.ok(between.entries[1].html.includes('<strong>safe</strong>') && between.entries[1].markdown.includes('<script>'));
  assert.deepEqual((await log({ from: '0.0.1' })).entries.map(({ version }) => version), ['1.2.0', '1.2.0-rc.1', '1.0.0']);
});
