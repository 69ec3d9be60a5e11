// Reading the audit log: who did what, found by everything that is known of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, createOrganization, createUser, insert, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
let home;
let admin;
let license;
let key;

before(async () => {
  home = await createOrganization(stack, { roles: ['super_admin', 'admin', 'manager', 'developer'] });
  admin = home.as.admin;
  license = good(await home.as.developer('POST', '/api/licenses', { body: { plan_id: PLANS.free, notes: 'first' } }), 201);
  key = await withApiKey(stack, home.users.admin, home.id, { name: 'Pipeline of Ümit' });
  good(await key('PATCH', '/api/licenses/{id}', { id: license.id, body: { notes: '50% off_season', metadata: { color: 'teal' } }, headers: { 'x-request-id': 'req-of-the-pipeline', 'user-agent': 'pipeline/2.0' } }));
  good(await admin('POST', '/api/licenses/{id}/revoke', { id: license.id, body: { reason: 'unpaid' } }));
  // Sign-ins are noted behind the answers.
  await eventually(async () => (await found({ action: 'user.login' })).length === 2);
});

const answered = (query, call = admin, path = '/api/audit-logs') => call('GET', path, { query });
const found = async (query, call, path) => good(await answered({ per_page: 100, ...query }, call, path));
const events = async (query, call, path) => (await found(query, call, path)).map((row) => row.action);

describe('a row', () => {
  test('says who did what with which change, through which key', async () => {
    const [row, ...more] = await found({ action: 'license.updated', entity_id: license.id });
    assert.deepEqual(more, []);
    const { id, sequence, created_at: at, ip_address: ip, ...rest } = row;
    assert.deepEqual(rest, {
      organization_id: home.id,
      user_id: home.users.admin,
      actor_kind: 'api_key',
      api_key_id: key.id,
      api_key_name: 'Pipeline of Ümit',
      action: 'license.updated',
      entity_type: 'license',
      entity_id: license.id,
      changes: { notes: ['first', '50% off_season'], metadata: [{}, { color: 'teal' }] },
      description: null,
      request_id: 'req-of-the-pipeline',
      user_agent: 'pipeline/2.0',
      success: true,
      error_message: null,
    });
    assert.ok(ip && sequence > 0 && !Number.isNaN(Date.parse(at)));
    assert.deepEqual(good(await admin('GET', '/api/audit-logs/{id}', { id })), row);
    const [created] = await found({ action: 'license.created', entity_id: license.id });
    assert.deepEqual(created.changes.license_key, [null, '[redacted]']);
    assert.deepEqual([created.actor_kind, created.user_id, created.api_key_id, created.api_key_name], ['user', home.users.developer, null, null]);
  });

  test('keeps the name of a key that is gone', async () => {
    await stack.pg.query('UPDATE user_api_keys SET is_active = false WHERE id = $1', [key.id]);
    const [row] = await found({ api_key_id: key.id });
    assert.equal(row.api_key_name, 'Pipeline of Ümit');
    await stack.pg.query('UPDATE user_api_keys SET is_active = true WHERE id = $1', [key.id]);
  });

  test('of a job has no person', async () => {
    await insert(stack, 'audit_logs', {
      organization_id: home.id, actor_kind: 'system', action: 'update', event: 'license.expired', resource_type: 'license',
      success: false, error_message: 'no luck', description: 'Expired over night', request_id: 'cron:expiries@1',
    });
    const [row] = await found({ actor_kind: 'system' });
    assert.deepEqual(
      [row.user_id, row.entity_id, row.changes, row.success, row.error_message, row.description],
      [null, null, {}, false, 'no luck', 'Expired over night'],
    );
  });
});

describe('filters', () => {
  test('narrow by everything that a row has', async () => {
    const all = await found({});
    const [updated] = await found({ action: 'license.updated' });
    const at = updated.created_at;
    const cases = [
      [{ user_id: home.users.developer }, (row) => row.user_id === home.users.developer],
      [{ actor_kind: 'api_key' }, (row) => row.actor_kind === 'api_key'],
      [{ api_key_id: key.id }, (row) => row.api_key_id === key.id],
      [{ action: 'license.revoked' }, (row) => row.action === 'license.revoked'],
      [{ entity_type: 'session' }, (row) => row.entity_type === 'session'],
      [{ entity_id: license.id }, (row) => row.entity_id === license.id],
      [{ success: false }, (row) => !row.success],
      [{ created_after: at }, (row) => row.created_at >= at],
      [{ created_before: at }, (row) => row.created_at < at],
      [{ organization_id: home.id }, () => true],
      [{ entity_type: 'license', user_id: home.users.admin, success: true }, (row) => row.entity_type === 'license' && row.user_id === home.users.admin],
    ];
    for (const [query, fits] of cases) {
      const wanted = all.filter(fits);
      assert.ok(wanted.length, JSON.stringify(query));
      assert.deepEqual(await found(query), wanted, JSON.stringify(query));
      assert.deepEqual(await found(query, admin, '/api/audit-logs/search'), wanted, JSON.stringify(query));
    }
    assert.deepEqual(await found({ user_id: randomUUID() }), []);
  });

  test('sort and page', async () => {
    const all = await found({ sort: 'sequence', order: 'asc' });
    assert.deepEqual(all.map((row) => row.sequence), all.map((row) => row.sequence).toSorted((a, b) => a - b));
    const pages = [];
    for (let page = 1; page <= Math.ceil(all.length / 2); page += 1) {
      const answer = await answered({ sort: 'sequence', order: 'asc', per_page: 2, page });
      assert.equal(answer.body.meta.total, all.length);
      pages.push(...good(answer));
    }
    assert.deepEqual(pages, all);
    const byEvent = await events({ sort: 'action', order: 'asc' });
    assert.deepEqual(byEvent, byEvent.toSorted());
  });

  test('refuse what is none', async () => {
    for (const query of [{ action: 'x'.repeat(101) }, { q: 'x'.repeat(101) }, { per_page: 101 }, { page: 0 }]) {
      refusedFields(await answered(query), ...Object.keys(query));
    }
    for (const query of [{ user_id: 'me' }, { actor_kind: 'robot' }, { sort: 'changes' }, { created_after: 'yesterday' }, { success: 'maybe' }, { q: 'a\u0000' }]) {
      refused(await answered(query), 400, 'INVALID_QUERY');
    }
  });
});

describe('search', () => {
  const search = (q, call) => events({ q, sort: 'sequence', order: 'asc' }, call, '/api/audit-logs/search');

  test('finds text in everything that people remember', async () => {
    assert.deepEqual(await search('revoked'), ['license.revoked']);
    assert.deepEqual(await search('REQ-of-THE'), ['license.updated']);
    assert.deepEqual(await search('teal'), ['license.updated']);
    assert.deepEqual(await search('of üMIT'), ['license.updated']);
    assert.deepEqual(await search('over night'), ['license.expired']);
    const { rows: [{ email }] } = await stack.pg.query('SELECT email FROM users_profile WHERE id = $1', [home.users.developer]);
    assert.deepEqual((await search(email)).toSorted(), ['license.created', 'user.login']);
  });

  test('takes text for what it is', async () => {
    assert.deepEqual(await search('50% off_'), ['license.updated']);
    for (const q of ['50%%', 'off-season%', "' OR true --", '\\', '%', '_____________________________________________']) {
      const rows = await found({ q }, admin, '/api/audit-logs/search');
      for (const row of rows) assert.ok(JSON.stringify(row).includes(JSON.stringify(q).slice(1, -1)), `${q}: ${JSON.stringify(row)}`);
    }
    assert.equal((await search('')).length, (await found({})).length);
  });
});

describe('what is large or secret', () => {
  test('a secret stays out at every depth, and quotes are found', async () => {
    const metadata = { password: 'hush-1', nested: [{ apiToken: 'hush-2', word: 'say "so" \\ then' }] };
    good(await admin('PATCH', '/api/licenses/{id}', { id: license.id, body: { metadata } }));
    const rows = await found({ q: 'say "so"', entity_id: license.id });
    assert.equal(rows.length, 1);
    assert.deepEqual(rows[0].changes.metadata[1], { password: '[redacted]', nested: [{ apiToken: '[redacted]', word: 'say "so" \\ then' }] });
    assert.equal((await found({ q: '\\ then', entity_id: license.id })).length, 1);
    assert.deepEqual(await found({ q: 'hush-' }), []);
  });

  test('numbers are measured as they are stored', async () => {
    const metadata = { large: Array(100).fill(1e308) };
    assert.ok(JSON.stringify(metadata).length < 1_000);
    refusedFields(await admin('PATCH', '/api/licenses/{id}', { id: license.id, body: { metadata } }), 'metadata');
    good(await admin('PATCH', '/api/licenses/{id}', { id: license.id, body: { metadata: { large: Array(40).fill(1e308) } } }));
  });

  test('a page ends at a megabyte, and says where it goes on', async () => {
    const other = await createOrganization(stack, { roles: ['admin'] });
    await stack.pg.query(`
      INSERT INTO audit_logs (organization_id, action, event, resource_type, changes)
      SELECT $1, 'update', 'license.updated', 'license', jsonb_build_object('after', jsonb_build_object('text', repeat('x', 40000)))
      FROM generate_series(1, 60)`, [other.id]);
    const [sizes, ids] = [[], []];
    for (let cursor; ;) {
      const answer = await other.as.admin('GET', '/api/audit-logs', { query: { per_page: 100, action: 'license.updated', ...(cursor && { cursor }) } });
      sizes.push(answer.text.length);
      ids.push(...good(answer).map((row) => row.id));
      cursor = answer.body.meta.next_cursor;
      assert.equal(Boolean(answer.body.meta.truncated), Boolean(cursor));
      if (!cursor) break;
    }
    assert.equal(new Set(ids).size, 60);
    assert.ok(sizes.length === 3 && Math.max(...sizes) < 1_100_000, sizes.join());
  });

  test('a search goes on where it ended', async () => {
    const other = await createOrganization(stack, { roles: ['admin'] });
    await stack.pg.query(`
      INSERT INTO audit_logs (organization_id, action, event, resource_type, description)
      SELECT $1, 'read', 'test.noted', 'test', CASE WHEN n = 1 THEN 'needle' END FROM generate_series(1, 12000) AS n`, [other.id]);
    const first = await other.as.admin('GET', '/api/audit-logs/search', { query: { q: 'needle', sort: 'sequence' } });
    assert.deepEqual(good(first), []);
    assert.equal(first.body.meta.total_at_least, 0);
    const rest = await other.as.admin('GET', '/api/audit-logs/search', { query: { q: 'needle', sort: 'sequence', cursor: first.body.meta.next_cursor } });
    assert.deepEqual(good(rest).map((row) => row.description), ['needle']);
    assert.deepEqual([rest.body.meta.total, rest.body.meta.next_cursor], [1, undefined]);
  });

  test('the file of an organization that does not exist is none', async () => {
    refused(await home.as.super_admin('GET', '/api/audit-logs/export', { query: { organization_id: randomUUID() } }), 404, 'ORGANIZATION_NOT_FOUND');
  });
});

describe('tenants', () => {
  test('see their own log, super administrators all or one', async () => {
    const other = await createOrganization(stack, { roles: ['admin'] });
    const product = randomUUID();
    await insert(stack, 'audit_logs', { organization_id: other.id, action: 'create', event: 'order.created', resource_type: 'order', resource_id: product });
    const [theirs] = await found({ entity_id: product }, other.as.admin);
    assert.ok(theirs);
    assert.deepEqual(await found({ entity_id: product }), []);
    refused(await admin('GET', '/api/audit-logs/{id}', { id: theirs.id }), 404, 'NOT_FOUND');
    refusedFields(await answered({ organization_id: other.id }), 'organization_id');
    // The words of another tenant's people find nothing here.
    assert.deepEqual(await found({ q: other.users.admin }), []);
    const root = home.as.super_admin;
    assert.equal((await found({ entity_id: product }, root)).length, 1);
    assert.deepEqual(await found({ entity_id: product, organization_id: home.id }, root), []);
    assert.deepEqual(good(await root('GET', '/api/audit-logs/{id}', { id: theirs.id })), theirs);
  });

  test('a client with the permission sees what it did itself', async () => {
    const id = await createUser(stack, home.id, 'client', { scopes: '["audit:read"]' });
    const client = await signedIn(stack, id);
    await found({}, client);
    await eventually(async () => (await found({}, client)).length === 1);
    const [row] = await found({}, client);
    assert.deepEqual([row.action, row.user_id], ['user.login', id]);
    assert.deepEqual(await found({ q: 'license' }, client), []);
    const [foreign] = await found({ action: 'license.created' });
    refused(await client('GET', '/api/audit-logs/{id}', { id: foreign.id }), 404, 'NOT_FOUND');
  });
});

test('an export of an organization that was never there is 404, and leaves no row', async () => {
  const root = home.as.super_admin;
  const id = randomUUID();
  refused(await answered({ organization_id: id }, root, '/api/audit-logs/export'), 404, 'ORGANIZATION_NOT_FOUND');
  const closed = await createOrganization(stack, { roles: ['admin'] });
  await stack.pg.query('UPDATE organizations SET deleted_at = now() WHERE id = $1', [closed.id]);
  good(await answered({ organization_id: closed.id }, root, '/api/audit-logs/export'));
});
